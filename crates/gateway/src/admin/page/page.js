// The operator's page: requests the gateway's reports every few seconds and displays them. After failures, the page
// waits longer and longer, and states the time since which the gateway hasn't answered.

import { h, show } from './draw.js';
import { findings } from './findings.js';
import { clock, plural, span, between } from './format.js';
import { migration } from './migration.js';
import { configuration, findingList, overview, routes, tiles, upstreams } from './sections.js';

const EVERY = 5_000;
const SLOWEST = 60_000;
const PATIENCE = 8_000;

/** The names of the reports, which are also their relative paths. */
const REPORTS = ['status', 'routes', 'upstreams', 'migration', 'reload', 'certificates'];

/** The number of routes from which the page has a search field. */
const MANY = 8;

const state = { data: null, open: new Set(), wanted: '', paused: false, failures: 0, failedSince: null, fault: '', locked: false, next: 0, timer: 0, asking: false, configLoaded: null };
const by = (id) => document.getElementById(id);

/** Returns the headers with the token for reading. The token is only in this field of the page, and isn't stored. */
function withToken() {
  const token = by('read-token').value;
  return /^[\x21-\x7e]+$/.test(token) ? { Authorization: `Bearer ${token}` } : {};
}

async function get(path) {
  const response = await fetch(path, { headers: withToken(), cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(PATIENCE) });
  // The field appears with the first answer that asks for a token, and stays.
  state.locked = response.status === 401;
  if (state.locked) by('reading').hidden = false;
  if (!response.ok) throw new Error(`${path}: ${response.status} ${(await response.text()).slice(0, 200).trim()}`);
  return response.json();
}

/** Requests the configuration only after a reload, because it changes only then and may be large. */
async function configFor(status) {
  const { loaded } = status.configuration;
  return state.data?.config && state.configLoaded === loaded ? state.data.config : get('config').then(({ files }) => {
    state.configLoaded = loaded;
    return { files };
  });
}

async function ask() {
  clearTimeout(state.timer);
  if (state.asking) return;
  state.asking = true;
  try {
    // The requests are sent in sequence over one connection: the listener allows few, and probes need some of them.
    const data = {};
    for (const name of REPORTS) data[name] = await get(name);
    data.config = await configFor(data.status);
    Object.assign(state, { data, failures: 0, failedSince: null, shown: new Date() });
    render();
  } catch (error) {
    state.failures += 1;
    state.failedSince ??= new Date();
    if (error instanceof TypeError || error.name === 'TimeoutError') state.locked = false;
    state.fault = error.name === 'TimeoutError' ? 'it does not answer in time' : error instanceof TypeError ? 'no connection' : error.message;
  } finally {
    state.asking = false;
  }
  plan();
}

/** Schedules the next requests. The wait grows with each failure, and is random so that pages don't send at once. */
function plan() {
  clearTimeout(state.timer);
  const wait = state.failures === 0 ? EVERY : Math.min(SLOWEST, EVERY * 2 ** (state.failures - 1)) * (0.8 + 0.4 * Math.random());
  state.next = Date.now() + wait;
  if (!document.hidden && !(state.paused && state.failures === 0)) state.timer = setTimeout(ask, wait);
  pulse();
}

function pulse() {
  const { failures, failedSince, shown, paused, fault, locked } = state;
  const isLost = failures > 0;
  document.body.classList.toggle('stale', isLost && state.data !== null);
  show(by('pulse'), isLost ? (locked ? 'Locked' : 'Not reached') : paused ? ['Paused', h('span', { class: 'when' }, `, ${clock(shown)}`)] : shown ? ['Live', h('span', { class: 'when' }, `, ${clock(shown)}`)] : 'Loading…');
  const offline = by('offline');
  const known = shown ? ` Figures are those of ${clock(shown)}.` : '';
  // Screen readers repeat an alert when its text changes, so the time until the next try isn't part of it.
  show(offline, isLost ? [h('strong', null, locked ? 'The reports need a token' : 'The gateway can’t be reached'), ` since ${clock(failedSince)}: ${fault}. This page goes on trying.${known} `,
    h('button', { type: 'button', id: 'again' }, 'Try now')] : null);
}

function render() {
  const { data, open, wanted } = state;
  if (!data) return;
  const found = findings(data);
  const { severity, text } = overview(found);
  document.title = `${severity === 'calm' ? '' : `${text} · `}cursorgate`;
  const verdict = by('verdict');
  verdict.className = severity;
  show(verdict, text);
  show(by('findings'), findingList(found));
  show(by('tiles'), tiles(data));
  by('filters').hidden = data.routes.routes.length < MANY;
  show(by('routes-body'), routes(data.routes, open, wanted));
  show(by('upstreams-body'), upstreams(data));
  show(by('migration-body'), migration(data, open));
  show(by('configuration-body'), configuration(data));
  const { status } = data;
  by('playground').hidden = !status.playground;
  by('services').hidden = !status.services;
  show(by('place'), location.host);
  show(by('build'), `cursorgate ${status.version}, commit ${status.commit}, ${status.openssl}; process ${status.process}, started ${span(between(status.started, status.now))} ago; ${plural(data.routes.routes.length, 'route')}.`);
}

function toggle(name) {
  if (!state.open.delete(name)) state.open.add(name);
  render();
}

/** Sends the reload. The token isn't stored. */
async function reload(event) {
  event.preventDefault();
  const [token, result, send] = [by('token'), by('reload-result'), by('reload-send')];
  send.disabled = true;
  show(result, 'Reading the files…');
  try {
    const response = await fetch('reload', { method: 'POST', headers: { Authorization: `Bearer ${token.value}` }, signal: AbortSignal.timeout(45_000) });
    const text = await response.text();
    const report = (response.headers.get('content-type') ?? '').startsWith('application/json') ? JSON.parse(text) : null;
    const told = report ? (report.in_force ? 'The configuration is in force.' : 'Refused: the configuration before stays in force.') : text;
    show(result, h('p', null, told), report?.report ? h('pre', { tabindex: '0' }, report.report) : null);
    if (response.status !== 401) token.value = '';
  } catch {
    show(result, 'The gateway can’t be reached.');
  } finally {
    send.disabled = false;
  }
  ask();
}

document.addEventListener('click', ({ target }) => {
  const button = target instanceof Element ? target.closest('button') : null;
  if (!button) return;
  if (button.dataset.route) toggle(button.dataset.route);
  else if (button.dataset.clients) toggle(`clients ${button.dataset.clients}`);
  else if (button.id === 'again') ask();
  else if (button.id === 'reload-open') {
    show(by('reload-result'));
    by('reload').showModal();
  } else if (button.id === 'reload-close') by('reload').close();
  else if (button.id === 'pause') {
    state.paused = !state.paused;
    button.setAttribute('aria-pressed', String(state.paused));
    if (state.paused) plan();
    else ask();
  }
});
by('reading').addEventListener('submit', (event) => {
  event.preventDefault();
  ask();
});
by('reload-form').addEventListener('submit', reload);
by('reload').addEventListener('close', () => { by('token').value = ''; });
by('find').addEventListener('input', ({ target }) => {
  state.wanted = target.value.trim();
  render();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(state.timer);
  else if (!state.paused) ask();
});
ask();
