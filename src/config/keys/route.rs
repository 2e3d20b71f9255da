//! What may be written for a route, in `[defaults]` and in an upstream's `defaults`.

use super::{TTL, duration, key, size};
use crate::config::{
    form::{Form, Form::*, Key},
    syntax,
};

/// `[routes.NAME]`
pub(in crate::config) const ROUTE: &[Key] = &[
    key("hosts", List(&Text(syntax::host))),
    key("path", Text(syntax::name)),
    key("methods", List(&Word(&["GET", "HEAD", "POST"], &[]))),
    key("upstream", Text(syntax::name)),
    key("upstream_path", Text(syntax::name)),
    key("action", Word(&["paginate", "observe", "forward"], &[])),
    key("observe", Table(&[key("every", Count(1, 1_000_000))])),
    key("dialect", Text(syntax::name)),
    key("envelope", Text(syntax::name)),
    key("envelopes", List(&Text(syntax::name))),
    key("collection", Text(syntax::name)),
    key("order", List(&Text(syntax::sort_term))),
    key("id", Text(syntax::member_pointer)),
    key("ties", Word(&["unordered", "ordered"], &[])),
    key("fields", Named(&FIELD, "write fields = { NAME = { type = \"datetime\" } }")),
    key("sortable", List(&Text(syntax::field))),
    key("filterable", List(&Text(syntax::field))),
    key("mode", Word(&["auto", "offset", "keyset", "seek", "token"], &[])),
    key("verify", Word(&["always", "when-cheap", "never"], &[])),
    key("unproven", Word(&["refuse", "flag"], &[])),
    key("errors", Word(&["envelope", "problem", "jsonapi", "flat"], &[])),
    key("short_pages", Word(&["refuse", "serve"], &[])),
    key("page_size", PAGE_SIZE),
    key("total", Word(&["upstream", "omit", "count", "first-page"], &[])),
    key("principal", List(&Text(syntax::header_name))),
    key("cursor", CURSOR),
    key("parameters", PARAMETERS),
    key("legacy", LEGACY),
    key("page_cache", Later("the page cache")),
    key("prefetch", Later("the page cache")),
    key("rate_limit", Later("rate limits")),
    key("cors", CORS),
    key("budgets", BUDGETS),
    key("openapi", OPENAPI),
    key("public_url", Text(syntax::base_url)),
];

const FIELD: Form = Table(&[
    key("type", Word(&["number", "number-in-string", "string", "datetime", "boolean", "uuid", "rank", "opaque"], &[])),
    key("ranks", List(&Text(syntax::line))),
    key("grain", Text(syntax::grain)),
    key("nulls", Word(&["none", "smallest", "largest", "first", "last"], &[])),
    key("collation", Text(syntax::name)),
    key("at", Text(syntax::member_pointer)),
    key("upstream", Text(syntax::name)),
]);

const PAGE_SIZE: Form = Table(&[
    key("default", Count(1, 1_000_000)),
    key("max", Count(1, 1_000_000)),
    key("over_max", Word(&["clamp", "reject"], &[])),
]);

const CURSOR: Form = Table(&[
    key("sealed", Boolean),
    key("ttl", TTL),
    key("bind", List(&Text(syntax::header_name))),
    key("length", Count(256, 8_192)),
]);

const PARAMETERS: Form = Table(&[
    key("limit", Text(syntax::name)),
    key("limit_backward", Text(syntax::name)),
    key("cursor", Text(syntax::name)),
    key("after", Text(syntax::name)),
    key("before", Text(syntax::name)),
    key("after_id", Text(syntax::name)),
    key("before_id", Text(syntax::name)),
    key("sort", Text(syntax::name)),
    key("private", List(&Text(syntax::name))),
    key("ignored", List(&Text(syntax::name))),
    key("query", Named(&Text(syntax::body_pointer), "write query = { NAME = \"/payload/NAME\" }")),
]);

const LEGACY: Form = Table(&[
    key("policy", Word(&["passthrough", "translate", "redirect", "reject"], &[])),
    key("unmarked", Word(&["new", "legacy"], &[])),
    key("client", LEGACY_CLIENT),
    key("deprecation", Day),
    key("sunset", Day),
    key("after_sunset", Word(&["same", "reject"], &[])),
    key("documentation", Text(syntax::url)),
]);

const OPENAPI: Form =
    Table(&[key("file", Text(syntax::name)), key("operation", Text(syntax::line)), key("schema", Text(syntax::line))]);

const LEGACY_CLIENT: Form = Table(&[
    key("header", Text(syntax::header_name)),
    key("parameter", Text(syntax::name)),
    key("shown", Word(&["hash", "value"], &[])),
    key("names", Named(&Secret, "write names = { mobile = \"env:NAME\" }: what the client is known by is a secret")),
    key("max", Count(1, 10_000)),
]);

const CORS: Form = Table(&[
    key("origins", List(&Text(syntax::origin))),
    key("credentials", Boolean),
    key("max_age", duration("0s", "1d")),
]);

const BUDGETS: Form = Table(&[
    key("time", duration("1ms", "1h")),
    key("upstream_requests", Count(1, 1_000)),
    key("search_requests", Count(1, 10_000)),
    key("search_items", Count(1, 1_000_000)),
    key("offset", Count(0, u64::MAX)),
    key("answer_size", size("1KiB", "1GiB")),
    key("answer_depth", Count(1, 1_024)),
    key("link_length", size("256B", "64KiB")),
    key("body_size", size("1KiB", "64MiB")),
    key("body_depth", Count(1, 256)),
]);
