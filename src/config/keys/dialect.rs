//! What may be written in a dialect: a file of `config/dialects`, or `[dialects.NAME]`.

use super::key;
use crate::config::{
    form::{Form, Form::*, Key, Wrong},
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
    key("filter", Later("keyset mode")),
    key("item", Later("seek mode")),
    key("count", Later("totals by a request of their own")),
];

const TOKENS: &str = "dialects by token";

const REQUEST: Form = Table(&[
    key("method", Word(&["GET"], &[("POST", "batch routes")])),
    key("query", Text(template)),
    key("headers", Named(&Text(template), "write headers = { Range = \"{offset}-{last}\" }")),
    key("body", Later("batch routes")),
    key("first_page", Count(0, u32::MAX as u64)),
    key("also", List(&Text(template))),
    key("first_token", Later(TOKENS)),
    key("max_depth", Count(1, u64::MAX)),
    key("token_alone", Later(TOKENS)),
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
    key("item_token", Later("dialects by item")),
    key("total", Text(syntax::place)),
    key("total_exact_when", JsonMembers),
    key("has_more", Text(syntax::place)),
    key("is_last", Text(syntax::place)),
    key("next_url", Text(syntax::place)),
    key("prev_url", Text(syntax::place)),
    key("url_base", Later("dialects by link")),
    key("next_token", Later(TOKENS)),
    key("prev_token", Later(TOKENS)),
    key("token_param", Later(TOKENS)),
    key("next_params", Later(TOKENS)),
    key("next_page", Text(syntax::place)),
    key("last_page", Text(syntax::place)),
    key("page", Text(syntax::place)),
    key("offset", Text(syntax::place)),
    key("size", Text(syntax::place)),
    key("end", Word(&["flag", "short-page", "empty-page"], &[("same-token", TOKENS)])),
    key("hidden", Later("lists with hidden items")),
    key("repeats_last_page", Boolean),
    key("past_end", List(&MATCH)),
    key("gone", Later("seek mode")),
    key("error", List(&MATCH)),
]);

const MATCH: Form =
    Table(&[key("status", Count(100, 599)), key("body", JsonMembers), key("present", Text(syntax::pointer))]);

const SORT: Form = Table(&[
    key("query", Text(syntax::line)),
    key("body", Later("batch routes")),
    key("join", Text(syntax::line)),
    key("ascending", Text(syntax::line)),
    key("descending", Text(syntax::line)),
    key("nulls_first", Text(syntax::line)),
    key("nulls_last", Text(syntax::line)),
    key("max_keys", Count(1, 64)),
]);

/// A template of a family that this version has.
fn template(text: &str) -> Result<(), Wrong> {
    let families = [
        ("{token}", "token"),
        ("{next_token}", "token"),
        ("{prev_token}", "token"),
        ("{after}", "item"),
        ("{before}", "item"),
    ];
    for (variable, family) in families {
        if let Some(start) = text.find(variable) {
            let message = format!("dialects by {family} come with a later version: this one has no `{variable}`");
            let help = "write {page}, or {offset}, with {size}";
            return Err(Wrong::new(message, help).of(start..start + variable.len()));
        }
    }
    syntax::line(text)
}
