// The requests of the page, and the facts in their answers: items, links and faults.

import { plural } from '../page/format.js';

/** Sends a request through the gateway, and returns its answer. Throws an error with the reason if it can't be sent. */
export async function ask(token, order) {
  if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('Type the token of admin.token: visible characters of ASCII.');
  const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
  let response;
  try {
    response = await fetch('request', { method: 'POST', headers, body: JSON.stringify(order), cache: 'no-store', credentials: 'same-origin' });
  } catch {
    throw new Error('The gateway can’t be reached.');
  }
  const text = await response.text();
  if (response.ok) return JSON.parse(text);
  throw new Error(response.status === 401 ? 'The token is not that of admin.token.' : `${response.status}: ${text.trim()}`);
}

/** Returns the value at a JSON Pointer (RFC 6901). */
export function at(value, pointer) {
  if (pointer === null || pointer === undefined) return undefined;
  const steps = pointer.split('/').slice(1).map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  return steps.reduce((inner, step) => inner?.[step], value);
}

/** Returns a path with these parameters appended to its own query. */
export function extended(path, pairs) {
  const query = new URLSearchParams(pairs.filter(([name, value]) => name && value !== null && value !== undefined)).toString();
  return query ? `${path}${path.includes('?') ? '&' : '?'}${query}` : path;
}

function parsed({ body, cut }) {
  if (cut) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** Returns the targets of Link headers by their relations (RFC 8288). */
function linked(values) {
  const found = {};
  for (const [, target, parameters] of values.join(', ').matchAll(/<([^>]*)>((?:\s*;\s*[\w*-]+(?:=(?:"[^"]*"|[^\s;,"]+))?)*)/g)) {
    const relation = /;\s*rel="?([\w ]+)"?/.exec(parameters)?.[1];
    for (const name of relation?.split(' ') ?? []) found[name] ??= target;
  }
  return found;
}

/** Returns the targets of the pages around a page, from its envelope, or else from its Link headers. */
function around(list, body, path, header) {
  const { places, parameters, limit } = list;
  const [own] = path.split('?');
  // Links can name another host, or the path that clients of a proxy use, so only their query is read.
  const ofLink = (link) => (typeof link === 'string' && link ? own + new URL(link, location.origin).search : null);
  const links = linked(header('link'));
  const fact = (name) => at(body, places[name]);
  const query = [...new URLSearchParams(path.split('?')[1] ?? '')];
  const paging = Object.values(parameters).filter(Boolean);
  const size = query.find(([name]) => name === limit.parameter || name === parameters.limit_backward)?.[1];
  const by = (parameter, cursor, sizeName) => (parameter && typeof cursor === 'string'
    ? extended(own, [...query.filter(([name]) => name !== limit.parameter && !paging.includes(name)), [sizeName, size], [parameter, cursor]]) : null);
  const { cursor, after, before, limit_backward: backward } = parameters;
  const next = fact('has_next') === false ? null : by(cursor, fact('next.cursor'), limit.parameter) ?? (fact('has_next') ? by(after ?? cursor, fact('end.cursor'), limit.parameter) : null);
  const prev = fact('has_prev') === false ? null : by(cursor, fact('prev.cursor'), limit.parameter) ?? (fact('has_prev') ? by(before, fact('start.cursor'), backward ?? limit.parameter) : null);
  return {
    first: ofLink(fact('links.first') ?? links.first),
    prev: ofLink(fact('links.prev')) ?? prev ?? ofLink(links.prev),
    next: ofLink(fact('links.next')) ?? next ?? ofLink(links.next),
    last: ofLink(fact('links.last') ?? links.last),
  };
}

/** Reads an answer: its items with their ids, the envelope without the items, and the links, or the fault. */
export function read(list, path, answer) {
  const header = (name) => answer.headers.filter(([known]) => known === name).map(([, value]) => value);
  const [level] = header('cursorgate-level');
  const body = parsed(answer);
  const { array: place, item } = level ? list.items : list.legacy.items;
  const array = at(body, place);
  const isPage = answer.status === 200 && Array.isArray(array);
  const items = isPage ? array.map((element) => at(element, item ?? '') ?? element) : [];
  const shown = body === undefined ? answer.body.slice(0, 4_000) : JSON.stringify(body, (_, value) => (isPage && value === array ? `… ${plural(items.length, 'item')} …` : value), 2);
  return {
    level, header, items, shown,
    isEndUnproven: header('cursorgate-end').length > 0,
    ids: items.map((one) => JSON.stringify(at(one, list.id) ?? one)),
    links: level && body !== undefined ? around(list, body, path, header) : {},
    fault: isPage ? null : fault(answer, body, header('location')[0]),
  };
}

function fault({ status, cut }, body, location) {
  if (status >= 300 && status < 400) return `Answered with ${status}: go on at ${location ?? 'another place'}`;
  if (status >= 400) return `Refused with ${[status, body?.code].filter(Boolean).join(' ')}${body?.detail ? `: ${body.detail}` : ''}`;
  return cut ? 'The answer is longer than services.playground.answer_size' : 'The answer has no items where the configuration says';
}
