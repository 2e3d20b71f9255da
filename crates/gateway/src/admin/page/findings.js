// Findings about routes, upstreams, the process and the migration, each with its place, the evidence and the next step.

import { ago, between, bytes, count, percent, plural, span } from './format.js';

const DAY = 86_400;

/** For how many seconds a remark about a peer is news. */
const RECENT = 300;

/** The causes of refused pages, and the explanation of each. */
const CAUSES = {
  position_lost: 'the place of a cursor is not found: the list changes fast, or its order is declared otherwise',
  tie_run: 'more items have equal keys than one answer holds: add a field to the order',
  too_deep: 'the place lies beyond the declared depth',
  budget_exceeded: 'the page takes more upstream requests than its budget: is the size parameter’s name right?',
  stuck: 'different pages give the same items: is the paging parameter’s name right?',
  pivot_gone: 'the item of a cursor is gone, and its keys are not known',
  token_gone: 'the upstream no longer knows its token',
  unsupported: 'the upstream can’t be asked for this',
  no_list: 'answers have no list at the place that response.items names',
};

export function cause(word) {
  if (CAUSES[word]) return CAUSES[word];
  return word.startsWith('unsorted') ? 'answers contradict the declared order' : word.replaceAll('_', ' ');
}

export const top = (counts) => Object.entries(counts).sort((one, other) => other[1] - one[1]);

/** Returns how many of a route's observed answers could be served by cursor: `[servable, all]`. */
function servable({ recent: { verdicts } }) {
  const all = Object.values(verdicts).reduce((total, number) => total + number, 0);
  return [verdicts.servable ?? 0, all];
}

/** Returns the state of a route: `[severity, word]`. */
export function routeState(route) {
  const { requests, failed, refused, refused_pages: refusedPages } = route.recent;
  if (requests === 0) return ['quiet', 'No requests'];
  if (failed >= 3 && failed / requests > 0.05) return ['bad', 'Failing'];
  if (failed > 0) return ['warn', 'Some failed'];
  if (top(refusedPages).length > 0) return ['warn', 'Pages refused'];
  if (refused >= 5 && refused / requests > 0.2) return ['warn', 'Many refused'];
  // The route works, but it would not once it serves pages.
  const [good, observed] = servable(route);
  if (good < observed * 0.95) return ['warn', 'Not servable'];
  return ['calm', 'Fine'];
}

function* ofRoutes({ routes, migration }) {
  for (const route of routes.routes) {
    const [severity, word] = routeState(route);
    if (severity === 'calm' || severity === 'quiet') continue;
    const { requests, failed, refused, problems, refused_pages: refusedPages } = route.recent;
    const at = { severity, where: `Route ${route.name}`, href: `#route-${route.name}` };
    const [code] = top(problems)[0] ?? [];
    if (failed > 0) {
      const what = `${count(failed)} of ${plural(requests, 'request')} failed (${percent(failed / requests)})`;
      yield { ...at, what, next: code ? `Mostly ${code}. Its upstream is ${route.upstream}.` : `Its upstream is ${route.upstream}.` };
    } else if (word === 'Pages refused') {
      const [reason, pages] = top(refusedPages)[0];
      yield { ...at, what: `${plural(pages, 'page')} refused`, next: `${reason}: ${cause(reason)}. The log has the evidence.` };
    } else if (word === 'Not servable') {
      const [good, observed] = servable(route);
      const [known] = migration.routes.find(({ route: name }) => name === route.name)?.findings ?? [];
      const what = `${percent(good / observed)} of ${plural(observed, 'observed answer')} could be served by cursor`;
      yield { ...at, href: `#migration-${route.name}`, what, next: known ? `${known.detail ? `${known.detail}: ` : ''}${known.key}` : null };
    } else {
      yield { ...at, what: `${percent(refused / requests)} of requests are refused`, next: code ? `Mostly ${code}.` : null };
    }
  }
}

function* ofUpstreams({ upstreams, status }) {
  for (const upstream of upstreams.upstreams) {
    const at = { where: `Upstream ${upstream.name}`, href: `#upstream-${upstream.name}` };
    const skipped = upstream.peers.filter((peer) => !peer.healthy);
    const isDown = skipped.length > 0 && skipped.length === upstream.peers.length;
    if (isDown) yield { ...at, severity: 'bad', what: skipped.length > 1 ? 'all peers are unhealthy' : 'its only peer is unhealthy', next: skipped[0].reason };
    else for (const peer of skipped) yield { ...at, severity: 'warn', what: `${peer.address} has been skipped for ${span(between(peer.since, status.now))}`, next: peer.reason };
    for (const { address, remark: last } of upstream.peers.filter((peer) => peer.healthy && peer.remark)) {
      if (between(last.at, status.now) < RECENT) yield { ...at, severity: 'warn', what: `${address} failed a request ${ago(last.at, status.now)}`, next: last.said };
    }
    const ahead = upstream.clock_ahead_seconds;
    if (ahead !== null) yield { ...at, severity: 'warn', what: `the clock of this process is ${span(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'} the upstream’s`, next: 'One of the two is wrong. Compare the time here with those of other processes.' };
    for (const name of upstream.unresolved) {
      const known = upstream.peers.some((peer) => peer.name === name.name);
      yield { ...at, severity: known ? 'warn' : 'bad', what: `${name.name} does not resolve`, next: `${name.reason}${known ? '; known addresses stay in use' : ''}` };
    }
    if (upstream.waiting > 0) yield { ...at, severity: 'warn', what: `${plural(upstream.waiting, 'request')} wait for a connection`, next: `All ${count(upstream.connections)} of upstreams.${upstream.name}.connections are in use.` };
  }
}

function* ofProcess({ status, reload, certificates }) {
  const at = { where: 'Gateway', href: '#configuration' };
  if (status.stopping) yield { ...at, severity: 'warn', what: 'this process is stopping', next: 'It finishes its requests and takes no new ones.' };
  if (!reload.in_force) yield { ...at, where: 'Configuration', severity: 'bad', what: `the reload ${ago(reload.finished, status.now)} was refused`, next: `${plural(reload.errors, 'error')}. The configuration before stays in force; the log has the report.` };
  if (reload.needs_restart.length > 0) yield { ...at, where: 'Configuration', severity: 'warn', what: 'a change waits for a restart', next: reload.needs_restart.join(', ') };
  for (const certificate of certificates.certificates) {
    const left = -between(certificate.not_after, status.now);
    const where = { ...at, where: `Certificate of ${certificate.name}` };
    if (certificate.fault) yield { ...where, severity: 'bad', what: 'its files can’t be used', next: certificate.fault };
    if (left < 0) yield { ...where, severity: 'bad', what: `it ended ${span(-left)} ago`, next: certificate.path };
    else if (left < 14 * DAY) yield { ...where, severity: left < 3 * DAY ? 'bad' : 'warn', what: `it ends in ${span(left)}`, next: certificate.path };
  }
  const { held, limit } = status.memory;
  if (held > limit * 0.75) yield { ...at, href: '#overview', severity: 'warn', what: `${bytes(held)} of ${bytes(limit)} for bodies are in use`, next: 'Beyond the limit requests get 503: server.memory.' };
  const { open, limit: places } = status.connections;
  if (open > places * 0.9) yield { ...at, href: '#overview', severity: 'warn', what: `${count(open)} of ${count(places)} connections are open`, next: 'server.connections, or the limit of open files' };
  for (const server of status.shared_store?.servers ?? []) {
    const store = { ...at, where: 'Shared store', href: '#overview', severity: 'warn' };
    if (server.standing !== 'up') yield { ...store, what: `${server.address} has been down for ${span(between(server.since, status.now))}`, next: `${server.reason ?? 'It has not answered yet.'} Requests go on without it.` };
    else if (server.reason) yield { ...store, what: `${server.address} takes no writes`, next: server.reason };
  }
  if (status.log_lines_dropped > 0) yield { ...at, href: '#overview', severity: 'warn', what: `${plural(status.log_lines_dropped, 'log line')} dropped since the start`, next: 'The reader of the log is too slow, or its file failed.' };
}

function* ofMigration({ migration, status }) {
  for (const route of migration.routes) {
    if (!route.sunset) continue;
    const at = { where: `Migration of ${route.route}`, href: `#migration-${route.route}`, severity: 'warn' };
    const lately = route.legacy.hours.reduce((total, hour) => total + hour, 0);
    if (lately === 0) continue;
    const still = `${plural(lately, 'legacy request')} in the last 24 hours`;
    if (route.sunset_passed) yield { ...at, what: 'its sunset has passed', next: `${still}; after_sunset = "${route.after_sunset}"` };
    else if (route.days_left <= 14) yield { ...at, what: `its sunset is in ${plural(route.days_left, 'day')}`, next: still };
  }
}

/** Returns all findings, faults first. */
export function findings(data) {
  const all = [...ofRoutes(data), ...ofUpstreams(data), ...ofProcess(data), ...ofMigration(data)];
  return [...all.filter((found) => found.severity === 'bad'), ...all.filter((found) => found.severity !== 'bad')];
}
