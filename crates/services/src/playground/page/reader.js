// Shows one of the two lists: its pages, below each other or one at a time, and the requests for these pages.

import { h, show } from '../page/draw.js';
import { plural } from '../page/format.js';
import { at, read } from './ask.js';
import { told } from './told.js';

/** The largest number of requests that are shown. Older requests are removed. */
const KEPT = 20;

/** The largest number of columns of items. Further members aren't shown. */
const COLUMNS = 4;

const text = (value) => (typeof value === 'string' ? value : JSON.stringify(value) ?? '');

/** Returns the columns of items: the members of the first item that are neither arrays nor objects, the id first. */
function columns(list, [item]) {
  if (typeof item !== 'object' || item === null) return [''];
  const isPlain = (value) => typeof value !== 'object' || value === null;
  const names = Object.keys(item).filter((name) => isPlain(item[name])).map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  const own = [list.id].filter((pointer) => pointer);
  return [...own, ...names.filter((name) => !own.includes(name))].slice(0, COLUMNS);
}

export class Reader {
  /** `paging` computes the first target of a list and the targets around a page; `send` sends a request. */
  constructor(root, { paging, send, view }) {
    Object.assign(this, { root, paging, send, view, reading: null });
    this.box = root.querySelector('.items');
    this.end = h('div', { class: 'end', 'aria-hidden': 'true' });
    this.watcher = new IntersectionObserver((seen) => { if (seen.some((entry) => entry.isIntersecting)) this.fill(); }, { root: this.box, rootMargin: '40px' });
  }

  /** Starts reading a list. Late answers of the previous reading aren't shown. */
  async begin(list, asked) {
    const first = this.paging.first(list, asked);
    this.reading = { list, asked, shown: new Map(), pages: 0, rows: 0, ended: !first, isEndUnproven: false, busy: false, around: {}, first, full: null, last: null, fault: null };
    this.table = null;
    this.watcher.disconnect();
    this.box.replaceChildren();
    this.box.hidden = true;
    this.root.querySelector('.requests').replaceChildren();
    this.root.querySelector('h3').hidden = true;
    if (first) await this.turn(first);
    else this.judge(this.paging.none);
  }

  /** Reads another page if the end of the shown items is in sight. */
  fill() {
    const { reading } = this;
    if (this.view() === 'scroll' && reading && !reading.ended && !reading.busy) this.turn(reading.around.next);
  }

  /** Reads a page, and shows it below the others or in place of them. */
  async turn(target) {
    const { reading } = this;
    if (!target || reading.busy) return;
    reading.busy = true;
    this.judge();
    try {
      const answer = await this.send(target.path);
      if (this.reading !== reading) return;
      const page = read(reading.list, target.path, answer);
      this.add(page, target);
      this.explain(target.path, answer, page);
      reading.fault = page.fault;
    } catch (error) {
      if (this.reading !== reading) return;
      Object.assign(reading, { fault: error.message, ended: true });
    }
    reading.busy = false;
    this.judge();
    // The watcher reports only changes. Observing the end again makes it report an end that has stayed in sight.
    this.watcher.disconnect();
    if (!reading.ended && !this.box.hidden) this.watcher.observe(this.end);
  }

  add(page, target) {
    const { reading } = this;
    const { list } = reading;
    const again = reading.pages > 0 && page.ids.join() === reading.last;
    reading.around = this.paging.around(reading, page, target);
    reading.full ??= page.items.length;
    reading.ended = page.fault !== null || !reading.around.next || (again && this.view() === 'scroll');
    reading.last = page.ids.join();
    reading.isEndUnproven = page.isEndUnproven;
    reading.pages += 1;
    if (this.view() === 'pages') this.table = null;
    if (page.items.length === 0) {
      if (this.view() === 'pages') this.box.replaceChildren();
      reading.rows = this.view() === 'pages' ? 0 : reading.rows;
      return;
    }
    if (!this.table) this.draw(columns(list, page.items));
    for (const [place, item] of page.items.entries()) {
      const times = (reading.shown.get(page.ids[place]) ?? 0) + 1;
      reading.shown.set(page.ids[place], times);
      this.table.append(this.row(item, this.view() === 'scroll' ? times : 1));
    }
    reading.rows = this.table.children.length;
  }

  draw(names) {
    this.names = names;
    this.table = h('tbody');
    const head = h('tr', null, names.map((name) => h('th', { scope: 'col' }, name.slice(1).replaceAll('~1', '/').replaceAll('~0', '~') || 'item')));
    this.box.replaceChildren(h('table', null, h('thead', null, head), this.table), this.end);
    this.box.hidden = false;
    this.box.scrollTop = 0;
  }

  row(item, times) {
    const cells = this.names.map((name) => { const shown = text(at(item, name)); return h('td', { title: shown }, shown); });
    if (times > 1) cells[0].append(' ', h('small', null, `shown ${times} times`));
    return h('tr', times > 1 ? { class: 'repeated' } : null, cells);
  }

  /** States how much of the list has been read, and offers the pages that can be read next. */
  judge(none) {
    const { reading } = this;
    const { shown, ended, busy, around, fault, rows, pages, isEndUnproven } = reading;
    const isLong = this.view() === 'scroll';
    const repeated = [...shown.values()].filter((times) => times > 1).length;
    const end = isEndUnproven ? 'The end is not proven, the upstream says that more items follow: ' : 'The end: ';
    const long = `${ended ? end : ''}${plural(shown.size, 'item')} shown, ${repeated} repeated`;
    const words = isLong ? long : `${plural(rows, 'item')} on this page${isEndUnproven ? ', whose end is not proven' : ''}`;
    const verdict = this.root.querySelector('.verdict');
    show(verdict, none ?? (pages === 0 && busy ? 'Asking for the first page…' : [fault, rows > 0 || !fault ? words : null].filter(Boolean).join('. ')));
    verdict.className = `verdict ${none ? '' : fault || (isLong && repeated) || isEndUnproven ? 'bad' : ended && isLong ? 'good' : ''}`;
    const button = (name, label) => h('button', { type: 'button', 'data-turn': name, 'data-key': name, 'aria-disabled': !around[name] || busy ? 'true' : null }, label);
    const turns = isLong ? [['next', 'More']] : [['first', 'First'], ['prev', 'Previous'], ['next', 'Next'], ['last', 'Last']];
    const offered = none || (isLong && ended) ? [] : turns.filter(([name]) => name !== 'last' || around.last);
    const links = this.root.querySelector('.links');
    const hadFocus = links.contains(document.activeElement);
    show(links, offered.map(([name, label]) => button(name, label)));
    // The last "More" button disappears while it has the focus, so the focus moves to the list.
    if (hadFocus && offered.length === 0) this.box.focus();
  }

  explain(path, answer, page) {
    const requests = this.root.querySelector('.requests');
    this.root.querySelector('h3').hidden = false;
    if (requests.firstElementChild) requests.firstElementChild.open = false;
    requests.prepend(told(path, answer, page));
    while (requests.children.length > KEPT) requests.lastElementChild.remove();
  }
}
