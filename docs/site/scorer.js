// Ranks the results of the search: pages for users come before the extras, and these before the internals. The numbers
// below `score` are Sphinx's own.

const RANKS = [
  // These pages are where readers begin.
  [/^docs\/tutorial$/, 1.5],
  [/^docs\/(migration|troubleshooting)$/, 1.3],
  // These pages name everything, so they are seldom what is meant.
  [/^docs\/(commands|problems|incidents|glossary|operators-page)$/, 0.6],
  // A guide explains a subject, and links its keys.
  [/^docs\/reference/, 0.4],
  [/^docs\/(bulk|contract|exports|graphql|jobs|live|mcp|playground|webhooks)$/, 0.7],
  [/^docs\/guides\//, 0.8],
  [/^docs\/decisions\//, 0.1],
  [/^docs\//, 1],
  [/^deploy\//, 1.3],
  [/^examples\//, 0.5],
  // ARCHITECTURE, CONTRIBUTING, SECURITY, tests/ and benches/.
  [/^/, 0.2],
];

var Scorer = {
  score: ([docname, title, anchor, descr, score]) => score * RANKS.find(([pages]) => pages.test(docname))[1],
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
