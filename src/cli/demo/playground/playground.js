// The playground: one list, read by `page=` and by `cursor=`, while it changes.

import { follow } from '/playground/live.js';

const element = (selector, within = document) => within.querySelector(selector);

/** Returns an element with a text or with other elements in it. */
function made(name, content, attributes = {}) {
  const node = document.createElement(name);
  node.append(...[content].flat());
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

const plural = (count, noun) => `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;

/** Returns the row of a user who has been shown this number of times. */
function row(user, times) {
  const note = times > 1 ? `shown ${times} times` : user.created_at.slice(0, 10);
  const line = [made('span', `${user.id}`), made('span', user.name), made(times > 1 ? 'strong' : 'time', note)];
  return made('li', line, times > 1 ? { class: 'repeated' } : {});
}

/** Sends a request. Returns the body of the answer as JSON, and the response with its headers. */
async function send(method, target) {
  const response = await fetch(target, { method, cache: 'no-store' });
  const body = await response.json();
  if (!response.ok) throw new Error(`${method} ${target}: ${response.status} ${body.code ?? body.error ?? ''}`);
  return { body, response };
}

/** The ids of the users that have been on the list, unmoved, since the reading began. */
class Truth {
  async begin() {
    this.lasting = new Set((await send('GET', '/playground/ids')).body.ids);
  }

  /** Removes a user who was deleted or moved, because such a user is neither lost nor repeated. */
  touched(id) {
    this.lasting.delete(id);
  }
}

/** A side of the page: the list by page number, or by cursor. */
class Side {
  constructor(root, first, links) {
    Object.assign(this, { root, first, links });
    this.list = element('.items', root);
    this.list.addEventListener('scroll', () => this.fill());
  }

  begin(limit) {
    // A page that was requested before belongs to another reading.
    Object.assign(this, { limit, shown: new Map(), ended: false, busy: null, next: this.first(limit), around: {}, current: Symbol('reading') });
    this.list.replaceChildren();
    this.list.scrollTop = 0;
    element('dl', this.root).replaceChildren();
    this.judge();
  }

  /** Reads a page, and shows it below the earlier pages or, with `replaces`, in place of them. */
  async read(target, replaces) {
    const { current } = this;
    const since = (await send('GET', '/playground/requests')).body.last;
    const { body, response } = await send('GET', target);
    const { requests } = (await send('GET', `/playground/requests?since=${since}`)).body;
    if (this.current !== current) return;
    if (replaces) this.list.replaceChildren();
    for (const user of body.data) {
      const times = (this.shown.get(user.id) ?? 0) + 1;
      this.shown.set(user.id, times);
      this.list.append(row(user, times));
    }
    this.around = this.links(body, this.limit, target);
    this.next = this.around.next;
    this.ended = !this.next;
    this.explain(target, response, body, requests);
    this.judge();
  }

  /** Reads the next page if the end of the shown rows is visible and no page is being read. */
  async fill() {
    const { scrollTop, clientHeight, scrollHeight } = this.list;
    const atTheEnd = scrollTop + clientHeight > scrollHeight - 40;
    if (view() === 'scroll' && atTheEnd && !this.ended && !this.busy) await reading(this);
  }

  judge() {
    const verdict = element('.verdict', this.root);
    const repeated = [...this.shown].filter(([id, times]) => times > 1 && truth.lasting.has(id)).length;
    const lost = this.ended ? [...truth.lasting].filter((id) => !this.shown.has(id)).length : 0;
    const words = [`${plural(this.shown.size, 'user')} shown`, `${repeated.toLocaleString('en')} repeated`];
    if (this.ended) words.push(`${lost.toLocaleString('en')} lost`);
    const end = this.ended ? (repeated + lost ? 'The end, with losses: ' : 'The end, exact: ') : '';
    // A reader of single pages goes back and forth, so losses and repetitions are not counted.
    verdict.textContent = view() === 'pages' ? `${plural(this.list.children.length, 'user')} on this page` : end + words.join(', ');
    verdict.className = view() === 'pages' ? 'verdict' : `verdict ${repeated + lost ? 'bad' : this.ended ? 'good' : ''}`;
    const turn = (name, words) => {
      const button = made('button', words, { type: 'button' });
      button.disabled = !this.around[name];
      button.addEventListener('click', () => reading(this, this.around[name]));
      return button;
    };
    const links = [turn('first', 'First'), turn('prev', 'Previous'), turn('next', 'Next'), turn('last', 'Last')];
    element('.links', this.root).replaceChildren(...(view() === 'pages' ? links : []));
  }

  /** Shows the request, its answer, and the requests to the legacy API that it caused. */
  explain(target, response, body, requests) {
    const level = response.headers.get('cursorgate-level');
    const said = {
      exact: 'exact: one answer of the legacy API shows the place and everything on the page',
      checked: 'checked: several answers agree on the page',
      anchored: 'anchored: the place is known by the items around it',
      positional: 'positional: counted from the start of the list, without a proof',
    };
    const parts = [
      ['Request', made('code', `GET ${target}`)],
      ['Guarantee', level ? said[level] ?? level : 'none: the answer of the legacy API, passed through'],
      ['Requests to the legacy API', made('ol', requests.map((request) => made('li', made('code', request))))],
      ['Answer', made('pre', JSON.stringify({ ...body, data: `… ${plural(body.data.length, 'user')} …` }, null, 2), { tabindex: 0, 'aria-label': 'Answer' })],
    ];
    element('dl', this.root).replaceChildren(...parts.flatMap(([term, value]) => [made('dt', term), made('dd', value)]));
  }
}

const view = () => element('input[name=view]:checked').value;
const say = (words) => { element('#said').textContent = words; };
const path = (link) => { const url = new URL(link, location.href); return url.pathname + url.search; };

const truth = new Truth();
const byPage = new Side(element('#by-page'), (limit) => `/users?page=1&limit=${limit}`, ({ page, total }, limit) => {
  const last = Math.max(1, Math.ceil(total / limit));
  const at = (number) => `/users?page=${number}&limit=${limit}`;
  return { first: at(1), prev: page > 1 ? at(page - 1) : null, next: page < last ? at(page + 1) : null, last: at(last) };
});
const byCursor = new Side(element('#by-cursor'), (limit) => `/users?cursor=start&limit=${limit}`, ({ links }) => {
  const at = (link) => (link ? path(link) : null);
  return { first: at(links.first), prev: at(links.prev), next: at(links.next), last: at(links.last) };
});
const sides = [byPage, byCursor];

let turns = 0;
let queue = Promise.resolve();

/** Reads a page of a side. Changes the list afterwards if the option is on. */
async function reading(side, target = side.next) {
  if (side.busy || !target) return;
  // Pages are read one after the other, because each is shown with the requests to the legacy API that it caused.
  const { current } = side;
  const busy = queue.then(() => (side.current === current ? side.read(target, view() === 'pages') : undefined));
  side.busy = busy;
  queue = busy.catch(() => {});
  try {
    await busy;
    if (side.current !== current) return;
    if (element('#always').checked) await change(['add', 'delete', 'move'][turns++ % 3]);
  } catch (error) {
    if (side.current === current) side.ended = true;
    say(error.message);
  } finally {
    if (side.busy === busy) side.busy = null;
  }
  await side.fill();
}

/** Changes the list. A user who is deleted or moved was read on both sides, so the users after it shift. */
async function change(kind) {
  const read = [...byCursor.shown.keys()].filter((id) => byPage.shown.has(id) && truth.lasting.has(id));
  const id = read[Math.floor(read.length / 2)];
  if (kind === 'add') {
    const { added } = (await send('POST', '/users')).body;
    say(`Added ${plural(added.length, 'user')} at the front: ${added.map((user) => user.id).join(', ')}`);
  } else if (id === undefined) {
    say('Read a page first.');
  } else {
    truth.touched(id);
    await (kind === 'delete' ? send('DELETE', `/users/${id}`) : send('POST', `/users/${id}/touch`));
    say(kind === 'delete' ? `Deleted user ${id}.` : `Moved user ${id} to the front.`);
  }
}

async function begin() {
  await Promise.allSettled(sides.map((side) => side.busy));
  await truth.begin();
  const limit = Number(element('#limit').value);
  for (const side of sides) side.begin(limit);
  say('');
  await Promise.all(sides.map((side) => reading(side)));
}

/** Reads both lists to their ends, one page of each in turn. */
async function toTheEnd() {
  const button = element('#to-the-end');
  button.disabled = true;
  element('input[value=scroll]').checked = true;
  await begin();
  while (sides.some((side) => !side.ended)) {
    for (const side of sides) if (!side.ended) await (side.busy?.catch(() => {}) ?? reading(side));
  }
  for (const side of sides) side.list.scrollTop = side.list.scrollHeight;
  button.disabled = false;
  say('Both lists have been read to their ends.');
}

let stream = null;

/** Begins or stops following the changes of the first page. */
function toggle() {
  const root = element('#live');
  const verdict = (words) => { element('.verdict', root).textContent = words; };
  const followed = stream === null;
  element('#follow').setAttribute('aria-pressed', `${followed}`);
  stream?.close();
  stream = null;
  verdict(followed ? 'Asking for the page' : 'Not followed');
  if (!followed) return;
  let patches = 0;
  const changed = ({ data }, message) => {
    patches += message.type === 'patch' ? 1 : 0;
    element('.items', root).replaceChildren(...data.map((user) => row(user, 1)));
    verdict(`${plural(data.length, 'user')}, ${patches.toLocaleString('en')} ${patches === 1 ? 'patch' : 'patches'}`);
  };
  stream = follow(`/users/live?limit=${element('#limit').value}`, changed, (words) => verdict(`No page: ${words}`));
}

element('#follow').addEventListener('click', toggle);
element('#begin').addEventListener('click', begin);
element('#limit').addEventListener('change', begin);
element('#to-the-end').addEventListener('click', toTheEnd);
for (const radio of document.querySelectorAll('input[name=view]')) radio.addEventListener('change', begin);
for (const button of document.querySelectorAll('[data-change]')) {
  button.addEventListener('click', () => change(button.dataset.change).catch((error) => say(error.message)));
}
await begin();
