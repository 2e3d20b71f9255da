//! What may be written in a dialect: a file of `config/dialects`, or `[dialects.NAME]`.

use super::key;
use crate::config::{
    form::{Form, Form::*, Key},
    syntax,
};

/// A dialect.
pub(in crate::config) const DIALECT: &[Key] = &[
    key("description", Text(syntax::line)),
    key("documentation", Text(syntax::url)),
    key("extends", Text(syntax::name)),
    key("request", REQUEST),
    key("size", SIZE),
    key("response", RESPONSE),
    key("sort", SORT),
    key("filter", FILTER),
    key("item", ITEM),
    key("count", COUNT),
];

const REQUEST: Form = Table(&[
    key("method", Word(&["GET", "POST"], &[])),
    key("query", Text(syntax::line)),
    key("headers", Named(&Text(syntax::line), "write headers = { Range = \"{offset}-{last}\" }")),
    key("body", Json),
    key("first_page", Count(0, u32::MAX as u64)),
    key("also", List(&Text(syntax::line))),
    key("first_token", Text(syntax::line)),
    key("max_depth", Count(1, u64::MAX)),
    key("token_alone", Boolean),
    key("single_use", Boolean),
]);

const SIZE: Form = Table(&[
    key("default", Count(1, 1_000_000)),
    key("min", Count(1, 1_000_000)),
    key("max", Count(1, 1_000_000)),
    key("choices", List(&Count(1, 1_000_000))),
]);

const RESPONSE: Form = Table(&[
    key("items", Text(syntax::pointer)),
    key("items_optional", Boolean),
    key("item", Text(syntax::pointer)),
    key("id", Text(syntax::member_pointer)),
    key("item_token", Text(syntax::pointer)),
    key("total", Text(syntax::place)),
    key("total_exact_when", JsonMembers),
    key("has_more", Text(syntax::place)),
    key("is_last", Text(syntax::place)),
    key("next_url", Text(syntax::place)),
    key("prev_url", Text(syntax::place)),
    key("url_base", Text(syntax::place)),
    key("next_token", Text(syntax::place)),
    key("prev_token", Text(syntax::place)),
    key("token_param", Text(syntax::name)),
    key("next_params", Text(syntax::pointer)),
    key("next_page", Text(syntax::place)),
    key("last_page", Text(syntax::place)),
    key("page", Text(syntax::place)),
    key("offset", Text(syntax::place)),
    key("size", Text(syntax::place)),
    key("end", Word(&["flag", "short-page", "empty-page", "same-token", "whole-list"], &[])),
    key("hidden", Boolean),
    key("repeats_last_page", Boolean),
    key("past_end", List(&MATCH)),
    key("gone", List(&MATCH)),
    key("error", List(&MATCH)),
]);

const MATCH: Form =
    Table(&[key("status", Count(100, 599)), key("body", JsonMembers), key("present", Text(syntax::pointer))]);

const SORT: Form = Table(&[
    key("query", Text(syntax::line)),
    key("body", Json),
    key("join", Text(syntax::line)),
    key("ascending", Text(syntax::line)),
    key("descending", Text(syntax::line)),
    key("nulls_first", Text(syntax::line)),
    key("nulls_last", Text(syntax::line)),
    key("max_keys", Count(1, 64)),
]);

const FILTER: Form = Table(&[
    key("lt", Text(syntax::line)),
    key("gt", Text(syntax::line)),
    key("lte", Text(syntax::line)),
    key("gte", Text(syntax::line)),
    key("eq", Text(syntax::line)),
    key("null", Text(syntax::line)),
    key("not_null", Text(syntax::line)),
    key("from", Text(syntax::line)),
    key("to", Text(syntax::line)),
    key("after", Text(syntax::line)),
    key("before", Text(syntax::line)),
    key("query", Text(syntax::line)),
    key("and", Text(syntax::line)),
    key("or", Text(syntax::line)),
    key("merge", Text(syntax::line)),
    key("repeatable", Boolean),
    key("quote", QUOTE),
    key("fields", Named(&TERMS, "write [filter.fields.NAME]")),
]);

const TERMS: Form = Table(&[
    key("lt", Text(syntax::line)),
    key("gt", Text(syntax::line)),
    key("lte", Text(syntax::line)),
    key("gte", Text(syntax::line)),
    key("eq", Text(syntax::line)),
    key("null", Text(syntax::line)),
    key("not_null", Text(syntax::line)),
    key("from", Text(syntax::line)),
    key("to", Text(syntax::line)),
    key("after", Text(syntax::line)),
    key("before", Text(syntax::line)),
]);

const QUOTE: Form = Table(&[
    key("number", QUOTES),
    key("string", QUOTES),
    key("number-in-string", QUOTES),
    key("datetime", QUOTES),
    key("boolean", QUOTES),
    key("uuid", QUOTES),
]);

const QUOTES: Form = Word(&["none", "single", "double", "json"], &[]);

const ITEM: Form = Table(&[
    key("path", Text(syntax::line)),
    key("query", Text(syntax::line)),
    key("headers", Named(&Text(syntax::line), "write headers = { NAME = \"TEXT\" }")),
    key("value", Text(syntax::pointer)),
    key("gone", List(&MATCH)),
]);

const COUNT: Form = Table(&[
    key("method", Word(&["GET", "HEAD", "POST"], &[])),
    key("path", Text(syntax::line)),
    key("query", Text(syntax::line)),
    key("headers", Named(&Text(syntax::line), "write headers = { NAME = \"TEXT\" }")),
    key("total", Text(syntax::place)),
]);
