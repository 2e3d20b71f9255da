// Makes elements and small charts. Data of the gateway becomes text nodes and attributes, never markup.

const SVG = 'http://www.w3.org/2000/svg';
const SVG_NAMES = new Set(['svg', 'path', 'rect', 'line', 'g', 'title']);

/** Creates an element. Attributes that are null, undefined or false are left out; children may be nested arrays. */
export function h(name, attributes, ...children) {
  const element = SVG_NAMES.has(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    element.setAttribute(key, value === true ? '' : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ''));
  return element;
}

/** Changes the children of an element to these. Existing elements are updated instead of replaced, which keeps the
 * focus, the selection and the scroll position. Elements with a `data-key` are matched by this key in any order. */
export function show(parent, ...children) {
  const next = h('div', null, ...children);
  patchChildren(parent, next);
}

function patchChildren(parent, next) {
  const keyed = new Map();
  for (const child of parent.children) if (child.dataset.key) keyed.set(child.dataset.key, child);
  let place = parent.firstChild;
  for (const wanted of [...next.childNodes]) {
    const key = wanted.dataset?.key;
    const known = key ? keyed.get(key) : place;
    if (known && isLike(known, wanted)) {
      if (known === place) place = place.nextSibling;
      else parent.insertBefore(known, place);
      patch(known, wanted);
    } else {
      parent.insertBefore(wanted, place);
    }
  }
  while (place) {
    const after = place.nextSibling;
    place.remove();
    place = after;
  }
}

const isLike = (one, other) => one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;

function patch(old, next) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== next.data) old.data = next.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  patchChildren(old, next);
}

/** The number of steps on the time axis of a chart. Steps without data stay empty, so all charts have one scale. */
const STEPS = 90;
const HEIGHT = 32;

function area(values, most) {
  const start = STEPS - values.length;
  const points = values.map((value, at) => `${start + at + 0.5},${(HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(2)}`);
  return { line: `M${points.join('L')}`, fill: `M${start + 0.5},${HEIGHT}L${points.join('L')}L${STEPS - 0.5},${HEIGHT}Z` };
}

/** Draws a chart of the last minutes, with an area for each layer `[class, values]` and a line for the first layer. */
export function trend(label, layers) {
  const most = Math.max(0, ...layers.flatMap(([, values]) => values));
  const picture = h('svg', { class: 'trend', viewBox: `0 0 ${STEPS} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label });
  picture.append(h('path', { class: 'base', d: `M0,${HEIGHT - 1}H${STEPS}` }));
  if (most === 0) return picture;
  layers.forEach(([name, values], at) => {
    if (values.length < 2 || !values.some((value) => value > 0)) return;
    const { line, fill } = area(values, most);
    picture.append(h('path', { class: `fill ${name}`, d: fill }));
    if (at === 0) picture.append(h('path', { class: `line ${name}`, d: line }));
  });
  return picture;
}

/** Draws a column for each hour, in which the values of the layers `[class, values]` are stacked from below. */
export function columns(label, layers) {
  const hours = layers[0][1].length;
  const sums = Array.from({ length: hours }, (_, hour) => layers.reduce((total, [, values]) => total + values[hour], 0));
  const most = Math.max(1, ...sums);
  const picture = h('svg', { class: 'columns', viewBox: `0 0 ${hours * 10} 40`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label });
  for (let hour = 0; hour < hours; hour += 1) {
    let bottom = 40;
    if (sums[hour] === 0) picture.append(h('rect', { class: 'none', x: hour * 10 + 1, width: 8, y: 39, height: 1 }));
    for (const [name, values] of layers) {
      const height = (values[hour] / most) * 40;
      if (height === 0) continue;
      bottom -= height;
      picture.append(h('rect', { class: name, x: hour * 10 + 1, width: 8, y: bottom.toFixed(2), height: height.toFixed(2) }));
    }
  }
  return picture;
}

/** Draws a bar of parts `[class, number, word]`, whose widths are their shares of the total. */
export function shares(label, parts) {
  const all = parts.reduce((total, [, number]) => total + number, 0);
  const picture = h('svg', { class: 'shares', viewBox: '0 0 100 8', preserveAspectRatio: 'none', role: 'img', 'aria-label': label });
  let left = 0;
  for (const [name, number] of parts) {
    const width = all > 0 ? (number / all) * 100 : 0;
    if (width > 0) picture.append(h('rect', { class: name, x: left.toFixed(3), y: 0, width: width.toFixed(3), height: 8 }));
    left += width;
  }
  return picture;
}

/** Draws a bar that is full when the number reaches the limit. */
export function gauge(label, number, limit) {
  const share = limit > 0 ? Math.min(1, number / limit) : 0;
  const name = share > 0.9 ? 'bad' : share > 0.75 ? 'warn' : 'calm';
  return shares(label, [[name, share, ''], ['rest', 1 - share, '']]);
}

export const badge = (name, ...text) => h('span', { class: `badge ${name}` }, ...text);

/** Creates text for screen readers only. */
export const spoken = (text) => h('span', { class: 'spoken' }, text);

export const empty = (title, ...help) => h('div', { class: 'empty' }, h('p', null, h('strong', null, title)), h('p', null, ...help));
