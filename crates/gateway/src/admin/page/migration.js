// The migration board: each list's progress from `page=` to `cursor=`, the remaining legacy clients, and the time left.

import { badge, columns, empty, h, shares } from './draw.js';
import { top } from './findings.js';
import { ago, count, percent, plural, span, between, sum } from './format.js';

/** The number of clients that are shown before the reader expands the list. */
const FEW = 8;

/** The reasons why observed answers can't be served as a list, and the explanation of each. */
const VERDICTS = {
  status: 'the status is not that of a list',
  encoding: 'the answer has a coding that is not read',
  too_large: 'the answer is larger than budgets.answer_size',
  shape: 'there is no list at the place that response.items names',
  facts: 'a place of the dialect has something else',
  ids: 'items lack an id, or share one',
  kinds: 'values have another type than declared',
  order: 'items come in another order than declared',
  size: 'there are more items than were asked for',
  parameters: 'the request can’t be asked for in the dialect’s words',
  failed: 'the answer could not be read',
};

const OLD_CLIENTS = {
  pass: 'pass to the upstream',
  translate: 'get the page in the new envelope',
  redirect: 'are redirected to the cursor',
  reject: 'are refused with 410',
  none: 'get 400',
};

function sunset(route) {
  if (!route.sunset) return h('p', { class: 'days' }, h('b', null, '–'), h('small', null, 'no sunset announced'));
  if (route.sunset_passed) return h('p', { class: 'days' }, h('b', { class: 'is-bad' }, 'Passed'), h('small', null, `on ${route.sunset}`));
  return h('p', { class: 'days' }, h('b', { class: route.days_left <= 14 ? 'is-warn' : null }, plural(route.days_left, 'day')), h('small', null, `left, until ${route.sunset}`));
}

/** Describes the current brownout, or the next one. */
function brownout(route, now) {
  const next = (route.brownouts ?? []).find(({ until }) => between(now, until) > 0);
  if (!next) return null;
  const effect = next.requests ? `at most ${plural(next.requests, 'legacy request')} of a client in ${next.seconds} s` : `legacy requests get ${next.status}`;
  return h('p', { class: 'note' }, badge(next.is_on ? 'warn' : 'mild', next.is_on ? 'Brownout' : 'Brownout to come'), ` ${next.from} to ${next.until}: ${effect}.`);
}

/** Describes the rate limit of legacy clients, and the number of requests that it has refused. */
function limit(route) {
  const refused = (route.limited.legacy ?? 0) + (route.limited.brownout ?? 0);
  const parts = [route.limit ? `A client may send ${plural(route.limit.requests, 'legacy request')} in ${route.limit.seconds} s.` : '',
    refused > 0 ? `${plural(refused, 'legacy request')} refused for the sake of limits.` : ''].filter(Boolean);
  return parts.length > 0 ? h('p', { class: 'note' }, parts.join(' ')) : null;
}

function client({ client: name, requests, unmarked, hours, last_seen: seen }, now, all) {
  const lately = sum(hours);
  return h('tr', { role: 'row', 'data-key': name }, h('th', { role: 'rowheader', scope: 'row' }, h('code', null, name)),
    h('td', { role: 'cell', 'data-label': '24 hours', class: 'number' }, h('b', null, count(lately)), h('small', null, all > 0 ? percent(lately / all) : '')),
    h('td', { role: 'cell', 'data-label': 'By the hour', class: 'hours' }, columns(`Legacy requests of ${name} by the hour`, [['warn', hours]])),
    h('td', { role: 'cell', 'data-label': 'In all', class: 'number' }, h('b', null, count(requests)), unmarked > 0 ? h('small', null, `${count(unmarked)} unmarked`) : null),
    h('td', { role: 'cell', 'data-label': 'Last seen' }, seen ? ago(seen, now) : '–'));
}

function clients(route, now, isOpen) {
  if (!route.clients) return h('p', { class: 'note' }, 'Clients are not told apart: ', h('code', null, 'legacy.client'), ' names the header or parameter that identifies them.');
  const rest = [['other clients', route.other_clients], ['without an identity', route.unidentified]].filter(([, { requests }]) => requests > 0);
  const rows = [...route.clients, ...rest.map(([name, counted]) => ({ ...counted, client: name }))].sort((one, other) => sum(other.hours) - sum(one.hours) || other.requests - one.requests);
  if (rows.length === 0) return h('p', { class: 'good' }, `No client has sent a legacy request since the count began, ${ago(route.counted_since, now)}.`);
  const all = sum(route.legacy.hours);
  const shown = isOpen ? rows : rows.slice(0, FEW);
  return [h('table', { role: 'table', class: 'clients' },
    h('caption', { class: 'spoken' }, `Clients of ${route.route} that send legacy requests, the most frequent first`),
    h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, ['Client', '24 hours', 'By the hour', 'In all', 'Last seen'].map((head) => h('th', { role: 'columnheader', scope: 'col' }, head)))),
    h('tbody', { role: 'rowgroup' }, shown.map((row) => client(row, now, all)))),
  rows.length > FEW ? h('p', null, h('button', { type: 'button', 'data-clients': route.route, 'aria-expanded': String(isOpen) }, isOpen ? 'Show few' : `Show all ${count(rows.length)}`)) : null];
}

function observed(route) {
  const all = sum(Object.values(route.verdicts));
  if (all === 0) return h('p', { class: 'note' }, 'No answer was observed yet.');
  const servable = route.verdicts.servable ?? 0;
  const against = top(route.verdicts).filter(([word]) => word !== 'servable');
  return [h('p', null, h('b', null, percent(servable / all)), ` of ${plural(all, 'observed answer')} could be served by cursor.`),
    against.length > 0 ? h('ul', { class: 'counts' }, against.map(([word, number]) => h('li', { class: 'long' }, h('b', null, count(number)), ' ', h('code', null, word), ` ${VERDICTS[word] ?? ''}`))) : null];
}

/** Lists the differences between the configuration and observed answers, each with the key to change. */
function differences(route, now) {
  if (route.findings.length === 0) return null;
  return [h('p', null, h('b', null, plural(route.findings.length, 'difference')), ' from the configuration, as answers show:'),
    h('ul', { class: 'counts' }, route.findings.map((found) => h('li', { class: 'long' }, h('b', null, count(found.count)), ' ', h('code', null, found.kind),
      ` ${found.detail ?? ''} → `, h('code', null, found.key), `, last ${ago(found.last_seen, now)}`)))];
}

function board(route, now, isOpen) {
  const { hours } = route;
  const parts = [['calm', sum(hours.cursor), 'by cursor'], ['warn', sum(hours.legacy), 'by the upstream’s paging'], ['quiet', sum(hours.unmarked), 'unmarked']];
  const all = sum(parts.map(([, number]) => number));
  const told = parts.map(([, number, word]) => `${count(number)} ${word}`).join(', ');
  const fate = route.observed ? 'pass to the upstream, and answers are observed' : OLD_CLIENTS[route.old_clients];
  return h('article', { class: 'card wide', id: `migration-${route.route}`, 'data-key': route.route, tabindex: '-1', 'aria-labelledby': `migration-${route.route}-title` },
    h('div', { class: 'board' },
      h('div', null, h('h3', { id: `migration-${route.route}-title` }, route.route, ' ', route.observed ? badge('mild', 'Observed') : null),
        h('p', { class: 'note' }, `Old clients ${fate}. ${route.old_clients === 'none' ? 'All other requests are new ones.' : 'All requests without a mark are theirs.'}`)),
      h('p', { class: 'days' }, h('b', null, all > 0 ? percent(parts[0][1] / all) : '–'), h('small', null, 'by cursor')),
      sunset(route)),
    all > 0 ? [columns(`Requests to ${route.route} by the hour: ${told}`, [['calm', hours.cursor], ['quiet', hours.unmarked], ['warn', hours.legacy]]),
      h('p', { class: 'axis', 'aria-hidden': 'true' }, h('span', null, '24 hours ago'), h('span', null, 'now')),
      shares(`In the last 24 hours: ${told}`, parts),
      h('ul', { class: 'legend' }, parts.map(([name, number, word]) => h('li', null, h('i', { class: name, 'aria-hidden': 'true' }), `${count(number)} ${word}`)))] : h('p', { class: 'note' }, 'No requests in the last 24 hours.'),
    route.observed ? observed(route) : null,
    brownout(route, now),
    limit(route),
    differences(route, now),
    clients(route, now, isOpen),
    h('p', { class: 'note' }, `Counted for ${span(between(route.counted_since, now))}.`));
}

/** Returns whether a route has a migration to show: legacy requests, a sunset, observed answers, or findings. */
const isMigrating = (route) => route.observed || route.findings.length > 0 || route.legacy.requests > 0 || Boolean(route.sunset);

/** Creates the card of the routes without a migration, one line for each. */
function done(routes) {
  return h('article', { class: 'card wide', 'data-key': 'done', 'aria-labelledby': 'done-title' }, h('h3', { id: 'done-title' }, 'Without legacy requests'),
    h('ul', { class: 'peers' }, routes.map((route) => h('li', { id: `migration-${route.route}`, 'data-key': route.route, tabindex: '-1' }, h('b', null, route.route),
      h('span', null, `${plural(sum(route.hours.cursor) + sum(route.hours.unmarked), 'request')} in the last 24 hours, none by the upstream’s paging, which would ${OLD_CLIENTS[route.old_clients].replace('are', 'be')}`)))));
}

export function migration({ migration: report, status }, open) {
  if (report.routes.length === 0) {
    return [empty('No route serves or observes a list.', 'With ', h('code', null, 'action = "observe"'), ' on a route its answers pass unchanged, and this board shows who still sends ', h('code', null, 'page='), ' and whether the list could be served by cursor.')];
  }
  const rest = report.routes.filter((route) => !isMigrating(route));
  return [h('div', { class: 'cards' },
    report.routes.filter(isMigrating).map((route) => board(route, status.now, open.has(`clients ${route.route}`))),
    rest.length > 0 ? done(rest) : null)];
}
