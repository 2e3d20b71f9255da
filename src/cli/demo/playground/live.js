// The first page of the list, as it changes: a stream of events, whose patches (RFC 6902) are applied to the page.

/** Returns the steps of a JSON Pointer (RFC 6901). */
const steps = (pointer) => pointer.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));

/** Applies the operations of a patch to a page, and returns it. */
export function patched(page, operations) {
  const root = { page };
  const found = (pointer) => {
    const path = ['page', ...steps(pointer)];
    const name = path.pop();
    return [path.reduce((value, step) => value[step], root), name];
  };
  const take = (pointer) => {
    const [parent, name] = found(pointer);
    if (Array.isArray(parent)) return parent.splice(Number(name), 1)[0];
    const value = parent[name];
    delete parent[name];
    return value;
  };
  const put = (pointer, value) => {
    const [parent, name] = found(pointer);
    if (Array.isArray(parent)) parent.splice(name === '-' ? parent.length : Number(name), 0, value);
    else parent[name] = value;
  };
  for (const { op, path, from, value } of operations) {
    if (op === 'move') put(path, take(from));
    if (op === 'remove' || op === 'replace') take(path);
    if (op === 'add' || op === 'replace') put(path, value);
  }
  return root.page;
}

/** Follows a page. Calls `changed` with each page and its message, and `failed` with each fault. Returns the stream. */
export function follow(target, changed, failed) {
  const stream = new EventSource(target);
  let page = null;
  const listen = (type, next) => stream.addEventListener(type, ({ data }) => {
    const message = JSON.parse(data);
    page = next(message);
    changed(page, message);
  });
  listen('paginatedData', (message) => message.page);
  listen('patch', (message) => patched(page, message.patch));
  stream.addEventListener('error', ({ data }) => {
    // An error of the connection has no data. The browser reconnects by itself, unless the answer wasn't a stream.
    if (data) failed(JSON.parse(data).detail);
    else if (stream.readyState === EventSource.CLOSED) failed('there are no live pages here');
  });
  return stream;
}
