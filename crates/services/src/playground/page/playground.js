// The playground: a list of the gateway, read by page number and by cursor. The token and the credentials are stored
// only in the fields of the form, and sent only with the requests of the page.

import { h, show } from '../page/draw.js';
import { ask, extended } from './ask.js';
import { Reader } from './reader.js';

const by = (id) => document.getElementById(id);
const view = () => document.querySelector('input[name=view]:checked').value;

let lists = [];
const chosen = () => lists[by('list').selectedIndex];

/** Returns the names of a path's parameters: `{name}` for a segment, and `{*name}` for the rest of the path. */
const names = (path) => [...path.matchAll(/\{(\*?[^}]+)\}/g)].map(([, name]) => name);

/** Returns the path of the list, with the typed values of its parameters. */
function filled({ path }) {
  return names(path).reduce((text, name) => {
    const typed = by(`parameter-${name}`).value;
    const encoded = name.startsWith('*') ? typed.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(typed);
    return text.replace(`{${name}}`, () => encoded);
  }, path);
}

/** Returns the headers that were typed. */
function headers() {
  const typed = by('authorization').value.trim();
  const lines = by('headers').value.split('\n').filter((line) => line.trim());
  const pairs = lines.map((line) => {
    const at = line.indexOf(':');
    if (at < 1) throw new Error(`Write each header as Name: value. ${line.slice(0, 20)} is none.`);
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
  });
  return Object.fromEntries([...(typed ? [['Authorization', typed]] : []), ...pairs]);
}

/** The paging of old clients: a page number or an offset, in a parameter of the upstream. */
const byNumber = {
  none: 'This list has no page number: its upstream pages by tokens, or in the body of requests.',
  at({ legacy }, { path, further, limit }, value) {
    return { value, path: extended(path, [...further, [legacy.parameter, value], [legacy.size, limit]]) };
  },
  first(list, asked) {
    const { parameter, counts, first } = list.legacy;
    return parameter && counts !== 'tokens' ? this.at(list, asked, first) : null;
  },
  around({ list, asked, full }, { items, links, level }, { value }) {
    const { counts, first } = list.legacy;
    const step = counts === 'pages' ? 1 : list.legacy.size ? asked.limit : items.length;
    // A page that is shorter than the first page is taken for the last page, as old clients do.
    const isLast = items.length === 0 || (level ? !links.next : items.length < (full ?? 0));
    const target = (number) => this.at(list, asked, number);
    return { first: target(first), prev: value > first ? target(Math.max(first, value - step)) : null, next: isLast ? null : target(value + step) };
  },
};

const byCursor = {
  first: ({ limit, start, first }, asked) => ({ path: extended(asked.path, [[limit.parameter, asked.limit], [start, first], ...asked.further]) }),
  around({ first }, { links }) {
    const target = (path) => (path ? { path } : null);
    return { first: links.first ? target(links.first) : first, prev: target(links.prev), next: target(links.next), last: target(links.last) };
  },
};

let asked = null;
const send = (path) => ask(by('token').value, { path, ...(asked.host ? { host: asked.host } : {}), headers: asked.headers });
const sides = [['by-page', byNumber], ['by-cursor', byCursor]].map(([id, paging]) => new Reader(by(id), { paging, send, view }));

/** Reads both lists from the start. */
async function begin() {
  const list = chosen();
  try {
    const further = [...new URLSearchParams(by('further').value)];
    asked = { host: list.host, headers: headers(), path: filled(list), further, limit: Number(by('limit').value) };
  } catch (error) {
    show(by('said'), error.message);
    return;
  }
  describe(list);
  await Promise.all(sides.map((side) => side.begin(list, asked)));
}

/** Shows the fields of the chosen list. */
function choose() {
  const list = chosen();
  const { limit, headers: allowed } = list;
  show(by('parameters'), names(list.path).map((name) => h('label', { for: `parameter-${name}`, 'data-key': `${list.name} ${name}` }, name.replace('*', ''), h('input', { id: `parameter-${name}`, required: !name.startsWith('*'), spellcheck: 'false', autocapitalize: 'off' }))));
  Object.assign(by('limit'), { max: limit.max, value: limit.default });
  by('headers').title = allowed.join(', ');
  describe(list);
}

function describe({ host, path, mode, level, legacy }) {
  show(by('said'), `${host ?? ''}${path}: ${mode}, at best ${level}; old clients: ${legacy.old_clients}.`);
}

async function load() {
  by('place').textContent = location.host;
  try {
    const token = by('token').value;
    const headers = /^[\x21-\x7e]+$/.test(token) ? { Authorization: `Bearer ${token}` } : {};
    const response = await fetch('lists', { headers, cache: 'no-store', credentials: 'same-origin' });
    if (response.status === 401) throw new Error('Type the token of admin.token: the lists are read with it.');
    if (!response.ok) throw new Error(`${response.status}: ${(await response.text()).trim()}`);
    ({ lists } = await response.json());
  } catch (error) {
    show(by('said'), error instanceof TypeError ? 'The gateway can’t be reached: load the page again.' : error.message);
    return;
  }
  show(by('list'), lists.map(({ name, host, path }) => h('option', { value: name }, `${name} (${host ?? ''}${path})`)));
  by('read').disabled = lists.length === 0;
  if (lists.length === 0) show(by('said'), 'No route of this gateway serves a list by GET.');
  else choose();
}

by('controls').addEventListener('submit', (event) => {
  event.preventDefault();
  begin();
});
by('list').addEventListener('change', choose);
by('token').addEventListener('change', () => { if (lists.length === 0) load(); });
for (const radio of document.querySelectorAll('input[name=view]')) radio.addEventListener('change', () => { if (asked && by('controls').checkValidity()) begin(); });
for (const side of sides) {
  side.root.addEventListener('click', ({ target }) => {
    const name = target instanceof Element ? target.closest('[data-turn]')?.dataset.turn : null;
    if (name) side.turn(side.reading.around[name]);
  });
}
load();
