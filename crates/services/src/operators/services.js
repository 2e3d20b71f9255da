// The page of services: reads the reports of exports, webhooks and live pages every few seconds, and sends the changes
// that its buttons name.

import { badge, empty, h, show } from '../page/draw.js';
import { ago, bytes, clock, count, plural } from '../page/format.js';

const EVERY = 5_000;
const PATIENCE = 8_000;
const by = (id) => document.getElementById(id);
const state = { timer: 0, asking: false };

/** Returns the headers with the token. The token is only in its field, and isn't stored. */
function withToken() {
  const token = by('token').value;
  return /^[\x21-\x7e]+$/.test(token) ? { Authorization: `Bearer ${token}` } : {};
}

async function get(path) {
  const response = await fetch(path, { headers: withToken(), cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(PATIENCE) });
  if (!response.ok) throw new Error(response.status === 401 ? 'the reports need the token' : `${path}: ${response.status} ${(await response.text()).slice(0, 200).trim()}`);
  return response.json();
}

const action = (word, path, body) => h('button', { type: 'button', 'data-path': path, 'data-body': JSON.stringify(body) }, word);
const entry = (key, name, ...children) => h('li', { 'data-key': key, 'aria-label': name }, children);

function list(section, entries, nothing) {
  by(section).hidden = entries === null;
  if (entries === null) return;
  show(by(section).querySelector('.body'), entries.length > 0 ? h('ul', { class: 'entries' }, entries) : empty(nothing));
}

const JOB = { queued: 'quiet', active: 'calm', waiting: 'warn', completed: 'calm', failed: 'bad', cancelled: 'quiet' };

function exportEntry(job, now) {
  const { id, client, state: word, queue, path, host, items, total, bytes: size, attempts, created_at: created, error, status } = job;
  const progress = queue ? queue : total === null ? plural(items, 'item') : `${count(items)} of ${plural(total, 'item')}`;
  return entry(id, `${queue ? 'Job' : 'Export'} ${id}`, badge(JOB[word] ?? 'quiet', word), h('code', null, `${host ?? ''}${path}`),
    h('span', null, `${progress}, ${bytes(size)}, ${plural(attempts, 'attempt')}, begun ${ago(created, now)} by `, h('code', null, client)),
    error ? h('small', null, [error, status].filter(Boolean).join(' ')) : null,
    h('span', { class: 'actions' },
      ['queued', 'active', 'waiting'].includes(word) ? action('Cancel', '../exports/cancel', { export: id }) : null,
      word === 'failed' ? action('Resume', '../exports/resume', { export: id }) : null));
}

const ENDPOINT = { active: 'calm', unverified: 'quiet', disabled: 'warn' };

function endpointEntry({ id, of, host, events, state: word, disabled_by: disabledBy, queued, delivered, dead }) {
  const body = { endpoint: id };
  return entry(id, `Endpoint ${id}`, badge(ENDPOINT[word] ?? 'quiet', disabledBy ? `${word} (${disabledBy})` : word), h('code', null, host ?? id),
    h('span', null, `of ${of === 'operator' ? 'the operator' : 'a client'}: ${events.join(', ')}`),
    h('small', null, `${count(queued)} queued, ${count(delivered)} delivered, ${count(dead)} dead`),
    h('span', { class: 'actions' },
      word === 'active' ? action('Pause', '../webhooks/pause', body) : null,
      word === 'disabled' ? action('Activate', '../webhooks/activate', body) : null,
      word === 'active' && dead > 0 ? action('Send dead letters again', '../webhooks/redeliver', body) : null));
}

function letterEntry({ id, endpoint, type, attempts, finished_at: finished, error }, now) {
  return entry(id, `Dead letter ${id}`, badge('bad', error ?? 'dead'), h('code', null, type),
    h('span', null, `to `, h('code', null, endpoint), `, ${plural(attempts, 'attempt')}${finished ? `, given up ${ago(finished, now)}` : ''}`),
    h('span', { class: 'actions' }, action('Send again', '../webhooks/redeliver', { delivery: id })));
}

function watchEntry({ name, path, asked_at: asked, changed_at: changed, error }, now) {
  return entry(name, `Watch ${name}`, badge(error ? 'bad' : 'calm', error ?? 'watched'), h('code', null, path), h('span', null, name),
    h('small', null, `${asked ? `read ${ago(asked, now)}` : 'not read yet'}${changed ? `, changed ${ago(changed, now)}` : ''}`));
}

const LIVE = { live: 'calm', beginning: 'quiet', failing: 'bad' };

function liveEntry({ id, route, host, path, subscribers, state: word }) {
  return entry(id, `Live page ${id}`, badge(LIVE[word] ?? 'quiet', word), h('code', null, `${host ?? ''}${path}`),
    h('span', null, plural(subscribers, 'client')), route ? h('small', null, route) : null);
}

function detectorEntry({ route, state: word }) {
  return entry(route, `Detector of ${route}`, badge(LIVE[word] ?? 'quiet', word), h('code', null, route), h('span', null, 'detector of changes'));
}

async function ask() {
  clearTimeout(state.timer);
  if (state.asking) return;
  state.asking = true;
  try {
    const on = await get('../services');
    const exports = on.exports ? await get('../exports') : null;
    const webhooks = on.webhooks ? await get('../webhooks') : null;
    const letters = on.webhooks ? await get('../webhooks/dead-letters') : null;
    const live = on.live ? await get('../live') : null;
    const now = new Date().toISOString();
    list('exports', exports?.exports.map((job) => exportEntry(job, now)) ?? null, 'No client has begun an export or a job.');
    list('endpoints', webhooks?.endpoints.map(endpointEntry) ?? null, 'There is no endpoint.');
    list('letters', letters?.dead_letters.map((letter) => letterEntry(letter, now)) ?? null, 'No event was given up.');
    list('watches', webhooks?.watches.length ? webhooks.watches.map((watch) => watchEntry(watch, now)) : null, '');
    list('live', live ? [...live.detectors.map(detectorEntry), ...live.pages.map(liveEntry)] : null, 'No client has a live page.');
    show(by('pulse'), `Live, ${clock(new Date())}`);
  } catch (error) {
    show(by('pulse'), error instanceof TypeError || error.name === 'TimeoutError' ? 'Not reached' : error.message);
  } finally {
    state.asking = false;
  }
  if (!document.hidden) state.timer = setTimeout(ask, EVERY);
}

async function change(button) {
  const { path, body } = button.dataset;
  button.disabled = true;
  try {
    const headers = { ...withToken(), 'Content-Type': 'application/json' };
    const response = await fetch(path, { method: 'POST', headers, body, cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(PATIENCE) });
    const text = (await response.text()).trim();
    show(by('said'), response.ok ? `${button.textContent}: done.` : response.status === 401 ? 'This needs the token of admin.token.' : `${button.textContent}: ${text}`);
  } catch {
    show(by('said'), 'The gateway can’t be reached.');
  } finally {
    button.disabled = false;
  }
  ask();
}

document.addEventListener('click', ({ target }) => {
  const button = target instanceof Element ? target.closest('button[data-path]') : null;
  if (button) change(button);
});
by('access').addEventListener('submit', (event) => {
  event.preventDefault();
  ask();
});
document.addEventListener('visibilitychange', () => {
  if (document.hidden) clearTimeout(state.timer);
  else ask();
});
show(by('place'), location.host);
ask();
