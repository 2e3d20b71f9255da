// Shows a request: its answer, the envelope, the upstream requests that it caused, and the proof.

import { badge, h } from '../page/draw.js';
import { count, milliseconds, plural } from '../page/format.js';

const LEVELS = {
  exact: ['calm', 'one answer of the upstream shows the place and everything on the page'],
  checked: ['calm', 'several answers of the upstream agree on the page'],
  anchored: ['mild', 'the place is known by the items around it'],
  positional: ['warn', 'the place is counted from the start of the list, without a proof'],
};

/** The names of headers with information about paging; other headers occur in any answer. */
const TOLD = /^(cursorgate-|link$|location$|deprecation$|sunset$|retry-after$|ratelimit|cache-status$|age$|etag$|www-authenticate$|x-request-id$)/;

const severity = (status) => (status >= 500 ? 'bad' : status >= 400 ? 'warn' : status >= 300 ? 'mild' : 'calm');

function sent({ method, target, purpose, milliseconds: took, answer, body }) {
  const { status, items, total, fault } = answer;
  const facts = fault ? [fault] : [`${status}`, plural(items, 'item'), total === null || total === undefined ? null : `total ${count(total)}`];
  return h('li', null, h('code', null, `${method} ${target}`), body ? h('pre', { tabindex: '0', 'aria-label': 'Body' }, body) : null,
    h('small', null, [purpose, ...facts, milliseconds(took)].filter(Boolean).join(' · ')));
}

/** Returns the upstream requests, and the reasons for the treatment of the request, as far as these are known. */
function upstream(explanation) {
  const { treatment, outcome } = explanation ?? {};
  if (!explanation) return ['not known: too many requests were explained at this time'];
  if (!treatment) return ['none: the request was refused before its page was planned'];
  if (typeof treatment === 'string') return [treatment];
  if (treatment.action === 'forward') {
    const query = treatment.parameters.length > 0 ? `?${treatment.parameters.map((name) => `${name}=…`).join('&')}` : '';
    return [h('ol', null, h('li', null, h('code', null, `GET ${treatment.path}${query}`), h('small', null, `passed to ${treatment.upstream}, because ${treatment.why}`)))];
  }
  const requests = treatment.live?.requests ?? [];
  if (requests.length === 0) return [outcome?.upstream_requests ? plural(outcome.upstream_requests, 'request') : 'none'];
  return [h('ol', null, requests.map(sent)), treatment.more_requests ? h('p', null, `and ${count(treatment.more_requests)} more`) : null];
}

/** Returns the reason why an answer has no level and no proof. */
const without = (explanation) => (explanation?.treatment?.action === 'forward' ? 'none: the upstream’s own answer, passed on' : 'none: there is no page');

function proof(explanation, page) {
  const { treatment } = explanation ?? {};
  const refused = treatment?.live?.refused ?? (treatment?.action === 'refuse' ? treatment.why : null);
  if (refused) return [h('p', null, `There is no page: ${refused}`)];
  const found = treatment?.live?.page;
  if (!found?.proof?.length) return [h('p', null, page.level ? 'none is known' : without(explanation))];
  const agrees = found.checker === 'follows';
  return [h('ul', { class: 'proof' }, found.proof.map((line) => h('li', null, line))),
    h('p', { class: agrees ? 'good' : 'is-bad' }, agrees ? '✓ A second implementation finds that the page follows from these answers.' : `The check of the argument: ${found.checker}`)];
}

/** Creates the element of a request, unfolded. */
export function told(path, answer, page) {
  const { status, headers, explanation, milliseconds: took } = answer;
  const { level, header, shown } = page;
  const [look, meaning] = LEVELS[level] ?? ['quiet', without(explanation)];
  const treatment = explanation?.treatment;
  const number = explanation?.outcome?.upstream_requests;
  const listed = headers.filter(([name]) => TOLD.test(name)).map(([name, value]) => h('li', null, h('code', null, `${name}: ${value}`)));
  const cursor = (treatment?.cursor ?? []).map(({ about, text }) => h('li', null, `${about} ${text}`));
  const parts = [
    ['Guarantee', level ? `${level}: ${meaning}` : meaning, header('cursorgate-unproven').map((why) => h('p', null, `Not proven: ${why}`)),
      page.isEndUnproven ? h('p', { class: 'is-bad' }, `The end is not proven: ${treatment?.live?.page?.end_unproven ?? 'the upstream says that more items follow'}.`) : null],
    ['Upstream requests', upstream(explanation)],
    ['Proof', proof(explanation, page)],
    treatment?.place ? ['Place', treatment.place, cursor.length > 0 ? h('ul', null, cursor) : null] : null,
    ['Headers', h('ul', null, listed)],
    ['Envelope', h('pre', { tabindex: '0', 'aria-label': 'Envelope' }, shown)],
  ];
  return h('details', { open: true }, h('summary', null, badge(severity(status), `${status}`), ' ', h('code', null, `GET ${path}`), ' ', level ? badge(look, level) : null,
    h('small', null, [number === undefined ? null : plural(number, 'upstream request'), milliseconds(took)].filter(Boolean).join(' · '))),
  h('dl', null, parts.filter(Boolean).flatMap(([term, ...value]) => [h('dt', null, term), h('dd', null, ...value)])));
}
