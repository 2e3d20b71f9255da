// Creates the sections of the page from the gateway's reports.

import { badge, empty, gauge, h, shares, spoken, trend } from './draw.js';
import { cause, routeState, top } from './findings.js';
import { ago, between, bytes, count, milliseconds, percent, plural, rate, span, sum } from './format.js';

const LEVELS = { exact: 'calm', checked: 'calm', anchored: 'mild', positional: 'warn' };

export function overview(found) {
  const faults = found.filter(({ severity }) => severity === 'bad').length;
  const warnings = found.length - faults;
  const parts = [faults > 0 && plural(faults, 'fault'), warnings > 0 && plural(warnings, 'warning')].filter(Boolean);
  return { severity: faults > 0 ? 'bad' : warnings > 0 ? 'warn' : 'calm', text: parts.join(' and ') || 'All is well' };
}

export function findingList(found) {
  if (found.length === 0) return [];
  return [h('ul', { class: 'findings' }, found.map(({ severity, where, what, next, href }) =>
    h('li', { class: severity }, badge(severity, severity === 'bad' ? 'Fault' : 'Warning'),
      h('p', null, h('a', { href }, where), ': ', what, '.'), next ? h('p', { class: 'next' }, next) : null)))];
}

function tile(title, value, detail, picture, severity) {
  return h('div', { class: `tile ${severity ?? ''}`, 'data-key': title }, h('h2', null, title), h('p', { class: 'value' }, value), h('p', { class: 'detail' }, detail), picture);
}

/** Adds up the histories of routes, aligned at the latest step. */
function summed(routes, name) {
  const length = Math.max(0, ...routes.map((route) => route.history[name].length));
  const totals = new Array(length).fill(0);
  for (const { history } of routes) {
    const values = history[name];
    values.forEach((value, at) => { totals[length - values.length + at] += value; });
  }
  return totals;
}

export function tiles({ routes, status }) {
  const all = [...routes.routes, routes.without_route];
  const of = (name) => sum(all.map((route) => route.recent[name]));
  const [requests, failed, refused] = [of('requests'), of('failed'), of('refused')];
  const lately = span(routes.without_route.recent.seconds);
  const perSecond = sum(all.map((route) => route.recent.requests_per_second));
  const slowest = routes.routes.filter((route) => route.recent.latency_ms).sort((one, other) => other.recent.latency_ms.p99 - one.recent.latency_ms.p99)[0];
  const history = (name) => summed(all, name);
  const { held, limit } = status.memory;
  const { open, limit: places } = status.connections;
  return [h('div', { class: 'tiles' },
    tile('Requests', rate(perSecond), `${count(requests)} in ${lately}`, trend('Requests in the last 15 minutes', [['calm', history('requests_per_second')]])),
    tile('Failed', requests > 0 ? percent(failed / requests) : '–', failed > 0 ? `${plural(failed, 'request')} in ${lately}` : `none in ${lately}`,
      trend('Failed requests in the last 15 minutes', [['bad', history('failed_per_second')]]), failed > 0 ? 'warn' : ''),
    tile('Refused', requests > 0 ? percent(refused / requests) : '–', refused > 0 ? `${plural(refused, 'request')} in ${lately}` : `none in ${lately}`,
      trend('Refused requests in the last 15 minutes', [['warn', history('refused_per_second')]])),
    tile('Slowest route', slowest ? milliseconds(slowest.recent.latency_ms.p99) : '–', slowest ? `99th percentile of ${slowest.name}` : 'no requests yet',
      slowest ? trend('Its 99th percentile in the last 15 minutes', [['mild', slowest.history.p99_ms.map((time) => time ?? 0)]]) : trend('No requests', [['mild', []]])),
    tile('Connections', count(open), `of ${count(places)}; ${plural(status.requests_in_flight, 'request')} in flight`, gauge(`${count(open)} of ${count(places)} connections are open`, open, places)),
    tile('Memory for bodies', bytes(held), `of ${bytes(limit)}; the process takes ${status.memory.resident ? bytes(status.memory.resident) : 'an unknown amount'}`, gauge(`${bytes(held)} of ${bytes(limit)} are in use`, held, limit)))];
}

/** Creates a table cell. Narrow screens leave out cells with the class `unsaid`, which have no information. */
const cell = (label, name, ...children) => h('td', { role: 'cell', class: name, 'data-label': label }, ...children);

function routeRow(route, isOpen) {
  const { recent, history, name } = route;
  const [severity, word] = routeState(route);
  // Problems are counted without their statuses, so the first one is surely a refusal only if no request failed.
  const [code] = recent.failed > 0 ? [] : (top(recent.problems)[0] ?? []);
  const drift = recent.drifted_pages > 0 ? [plural(recent.drifted_pages, 'page'), h('small', null, `${count(Math.round(recent.drift_items / recent.drifted_pages))} items each`)] : ['–'];
  return h('tr', { role: 'row', id: `route-${name}`, 'data-key': name, class: severity, tabindex: '-1' },
    h('th', { role: 'rowheader', scope: 'row' },
      h('button', { type: 'button', class: 'more', id: `more-${name}`, 'aria-expanded': String(isOpen), 'aria-controls': `detail-${name}`, 'data-route': name }, name),
      h('code', null, route.path), route.hosts.length > 0 ? h('small', null, `on ${route.hosts.join(', ')}`) : null),
    cell('State', 'state', badge(severity, word)),
    cell('Mode', 'mode', h('span', null, route.action === 'paginate' ? route.mode : route.action),
      // A failing route serves no pages of its level at the moment, so the level isn't praised.
      route.action === 'paginate' ? badge(severity === 'bad' ? 'quiet' : LEVELS[route.level], route.level) : null),
    cell('Requests', 'rate', h('div', null, h('b', null, rate(recent.requests_per_second)),
      trend(`Requests to ${name} in the last 15 minutes`, [['calm', history.requests_per_second], ['warn', history.refused_per_second], ['bad', history.failed_per_second]]))),
    cell('Latency', 'number', h('b', null, milliseconds(recent.latency_ms?.p50)), h('small', null, `p99 ${milliseconds(recent.latency_ms?.p99)}`)),
    cell('Failed', `number ${recent.failed > 0 ? 'is-bad' : ''}`, h('b', null, recent.requests > 0 ? percent(recent.failed / recent.requests) : '–'), recent.failed > 0 ? h('small', null, count(recent.failed)) : null),
    cell('Refused', 'number', h('b', null, recent.requests > 0 ? percent(recent.refused / recent.requests) : '–'), recent.refused > 0 && code ? h('small', null, code) : null),
    cell('Upstream requests a page', `number ${recent.upstream_requests_per_page === null ? 'unsaid' : ''}`, h('b', null, recent.upstream_requests_per_page === null ? '–' : recent.upstream_requests_per_page.toFixed(2))),
    cell('Drift', `number ${recent.drifted_pages > 0 ? '' : 'unsaid'}`, h('b', null, drift[0]), ...drift.slice(1)));
}

const fact = (name, ...value) => [h('dt', null, name), h('dd', null, ...value)];
const counts = (entries) => h('ul', { class: 'counts' }, entries.map(([word, number, help]) => h('li', { class: help ? 'long' : null }, h('b', null, count(number)), ' ', h('code', null, word), help ? ` ${help}` : null)));

function routeDetail(route) {
  const { recent } = route;
  const levels = ['exact', 'checked', 'anchored', 'positional'].filter((level) => recent.levels[level]).map((level) => [LEVELS[level], recent.levels[level], level]);
  const refusals = top(recent.refused_pages).map(([word, number]) => [word, number, cause(word)]);
  const list = route.action === 'forward' ? [] : [
    fact('List', `${route.methods.join(', ')}, ${route.page_size.default} items a page, at most ${route.page_size.max}`),
    fact('Order', route.order.length > 0 ? h('code', null, route.order.join(', ')) : 'none declared'),
    fact('Dialect', h('code', null, route.dialect), ', envelopes ', h('code', null, route.envelopes.join(', '))),
    fact('Mode', `${route.mode}: ${route.mode_reason}`),
    fact('Level', `at best ${route.level}`, route.obstacle ? `: ${route.obstacle}` : null),
    fact('Old clients', route.action === 'observe' ? 'pass, and are observed' : h('code', null, route.old_clients)),
  ];
  return h('tr', { role: 'row', class: 'detail', id: `detail-${route.name}`, 'data-key': `${route.name} detail` }, h('td', { role: 'cell', colspan: '9' },
    h('div', { class: 'panels' },
      h('div', null, h('h3', null, `In the last ${span(recent.seconds)}`),
        recent.requests === 0 ? h('p', null, 'No requests.') : [
          h('p', null, `${plural(recent.requests, 'request')}: half in ${milliseconds(recent.latency_ms?.p50)}, 90 % in ${milliseconds(recent.latency_ms?.p90)}, 99 % in ${milliseconds(recent.latency_ms?.p99)}.`),
          counts(Object.entries(recent.statuses).map(([word, number]) => [word === 'none' ? 'no answer' : word, number])),
          levels.length > 0 ? [h('h3', null, 'Pages by level'), shares(levels.map(([, number, level]) => `${number} ${level}`).join(', '), levels), counts(levels.map(([, number, level]) => [level, number]))] : null,
          top(recent.problems).length > 0 ? [h('h3', null, 'Problems'), counts(top(recent.problems))] : null,
          refusals.length > 0 ? [h('h3', null, 'Refused pages'), counts(refusals)] : null,
          top(recent.verdicts).length > 0 ? [h('h3', null, 'Observed answers'), counts(top(recent.verdicts))] : null,
        ]),
      h('div', null, h('h3', null, 'As configured'), h('dl', null, fact('Upstream', h('a', { href: `#upstream-${route.upstream}` }, route.upstream)), list)))));
}

export function routes(report, open, wanted) {
  if (report.routes.length === 0) return [empty('No routes.', 'The configuration has none.')];
  const order = { bad: 0, warn: 1, calm: 2, quiet: 2 };
  const matches = ({ name, path, hosts, upstream }) => [name, path, upstream, ...hosts].some((text) => text.toLowerCase().includes(wanted.toLowerCase()));
  const shown = report.routes.filter(matches).sort((one, other) => order[routeState(one)[0]] - order[routeState(other)[0]]);
  if (shown.length === 0) return [empty(`No route has “${wanted}” in its name, path, host or upstream.`, `${plural(report.routes.length, 'route')} in all.`)];
  const heads = ['Route', 'State', 'Mode and level', 'Requests', 'Latency', 'Failed', 'Refused', 'Upstream requests a page', 'Drift'];
  const rest = report.without_route.recent;
  return [h('table', { role: 'table', class: 'routes' },
    h('caption', { class: 'spoken' }, 'Routes, those with faults first'),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, heads.map((head) => h('th', { role: 'columnheader', scope: 'col' }, head)))),
    h('tbody', { role: 'rowgroup' }, shown.flatMap((route) => [routeRow(route, open.has(route.name)), open.has(route.name) ? routeDetail(route) : null]))),
  rest.requests > 0 ? h('p', { class: 'note' }, `${plural(rest.requests, 'request')} in ${span(rest.seconds)} had no route`, top(rest.problems).length > 0 ? `: mostly ${top(rest.problems)[0][0]}` : null, '.') : null];
}

function peer({ address, name, healthy, reason, since, in_flight: inFlight, failed_answers: inRow, requests, failed, mean_ms: mean, remark: last }, now) {
  const state = healthy ? badge('calm', 'Healthy') : badge('bad', 'Skipped');
  return h('li', { 'data-key': `${name} ${address}` }, h('code', null, address), name === address ? null : h('small', null, name), state,
    h('span', null, `for ${span(between(since, now))}, ${count(inFlight)} in flight${inRow > 0 ? `, ${plural(inRow, 'failed answer')} in a row` : ''}`),
    requests > 0 ? h('span', null, `${plural(requests, 'request')}${failed > 0 ? `, ${percent(failed / requests)} failed` : ''}${mean === null ? '' : `, ${milliseconds(mean)} on average`}`) : null,
    reason ? h('p', { class: 'next' }, reason) : null,
    last && !reason ? h('p', { class: 'next' }, `${ago(last.at, now)}: ${last.said}`) : null);
}

export function upstreams({ upstreams: report, status }) {
  return [h('div', { class: 'cards' }, report.upstreams.map((upstream) => {
    const { name, recent, history, peers, retries, unresolved } = upstream;
    const load = `${count(upstream.in_flight)} of ${plural(upstream.connections, 'connection')} in use${upstream.limit < upstream.connections ? `, at most ${count(upstream.limit)} await their answers` : ''}${upstream.waiting > 0 ? `, ${count(upstream.waiting)} waiting` : ''}`;
    return h('article', { class: 'card', id: `upstream-${name}`, 'data-key': name, tabindex: '-1', 'aria-labelledby': `upstream-${name}-title` },
      h('h3', { id: `upstream-${name}-title` }, name),
      h('p', { class: 'figures' }, h('b', null, rate(recent.requests_per_second)), ` · ${recent.latency_ms ? `${milliseconds(recent.latency_ms.p50)}, p99 ${milliseconds(recent.latency_ms.p99)}` : `no requests in ${span(recent.seconds)}`}`,
        recent.failed > 0 ? [' · ', h('span', { class: 'is-bad' }, `${percent(recent.failed / recent.requests)} failed`)] : null),
      trend(`Requests to ${name} in the last 15 minutes`, [['calm', history.requests_per_second], ['bad', history.failed_per_second]]),
      h('p', { class: 'load' }, load), gauge(load, upstream.in_flight, upstream.connections),
      h('ul', { class: 'peers' }, peers.map((each) => peer(each, status.now)), unresolved.map(({ name: host, reason, since }) =>
        h('li', { 'data-key': `unresolved ${host}` }, h('code', null, host), badge('bad', 'Unresolved'), h('span', null, `for ${span(between(since, status.now))}`), h('p', { class: 'next' }, reason)))),
      peers.length === 0 && unresolved.length === 0 ? h('p', { class: 'note' }, 'Its names are resolved with the first request.') : null,
      h('p', { class: 'note' }, `${peers.length > 1 ? `${upstream.balance}, ` : ''}${retries.made > 0 ? `${count(retries.made)} retries since the start` : 'no retries'}${retries.refused > 0 ? `, ${count(retries.refused)} beyond the budget` : ''}`));
  }))];
}

const CAUSE = { start: 'Start', signal: 'SIGHUP', change: 'A file changed', admin: 'This listener' };

export function configuration({ reload, status, certificates, config }) {
  const results = [reload, ...(reload.earlier ?? [])];
  const files = config?.files ?? [];
  return [h('div', { class: 'cards two' },
    h('article', { class: 'card', 'aria-labelledby': 'loaded-title' }, h('h3', { id: 'loaded-title' }, 'In force'),
      h('p', { class: 'figures' }, 'Loaded ', h('b', null, ago(status.configuration.loaded, status.now))),
      files.length > 0 ? h('ul', { class: 'files' }, files.map((file) => h('li', null, h('code', null, file)))) : null,
      reload.needs_restart.length > 0 ? h('p', { class: 'next' }, 'Needs a restart: ', h('code', null, reload.needs_restart.join(', '))) : null,
      h('p', { class: 'actions' }, h('a', { href: 'config?format=toml', class: 'button' }, 'Show it'),
        status.can_reload ? h('button', { type: 'button', id: 'reload-open' }, 'Reload…') : null),
      status.can_reload ? null : h('p', { class: 'note' }, 'With ', h('code', null, 'admin.token'), ' in the configuration it can be reloaded from here. SIGHUP reloads in any case.')),
    h('article', { class: 'card', 'aria-labelledby': 'reloads-title' }, h('h3', { id: 'reloads-title' }, 'Last reloads'),
      h('ul', { class: 'peers' }, results.map((result) => h('li', null, badge(result.in_force ? 'calm' : 'bad', result.in_force ? 'In force' : 'Refused'),
        h('span', null, `${CAUSE[result.cause] ?? result.cause}, ${ago(result.finished, status.now)}`),
        result.errors + result.warnings > 0 ? h('small', null, [result.errors > 0 && plural(result.errors, 'error'), result.warnings > 0 && plural(result.warnings, 'warning')].filter(Boolean).join(', ')) : null)))),
    h('article', { class: 'card wide', 'aria-labelledby': 'certificates-title' }, h('h3', { id: 'certificates-title' }, 'Certificates'),
      certificates.certificates.length === 0 ? h('p', { class: 'note' }, 'None: no listener and no upstream has one of its own.') :
        h('ul', { class: 'peers' }, certificates.certificates.map((certificate) => {
          const left = -between(certificate.not_after, status.now);
          const severity = certificate.fault || left < 3 * 86_400 ? 'bad' : left < 14 * 86_400 ? 'warn' : 'calm';
          return h('li', null, badge(severity, left < 0 ? 'Ended' : `${span(left)} left`), h('span', null, certificate.name, spoken(':')), h('code', null, certificate.path),
            certificate.fault ? h('p', { class: 'next' }, certificate.fault) : null);
        }))))];
}
