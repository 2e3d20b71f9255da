//! A list for scripted upstreams, with `offset` and `limit`, a total, and items in ascending order of their ids, or in
//! descending order with `sort=-id`; and the configuration of a gateway in front of it. Only the last answer is short.

use std::{io, net::SocketAddr};

use super::upstream::{After, Exchange};

/// The configuration of a route `/users` on the list, with additions.
pub(crate) struct Setup {
    /// More lines for `[upstreams.legacy]`.
    pub(crate) upstream: &'static str,
    /// More lines for `[routes.users]`.
    pub(crate) route: &'static str,
    /// More tables.
    pub(crate) more: &'static str,
}

/// A setup without additions.
pub(crate) const PLAIN: Setup = Setup { upstream: "", route: "", more: "" };

impl Setup {
    /// Returns the configuration of a gateway in front of the upstream at an address.
    pub(crate) fn configuration(&self, address: SocketAddr) -> String {
        let Self { upstream, route, more } = self;
        format!(
            r#"
[upstreams.legacy]
peers = ["{address}"]
{upstream}

[routes.users]
path = "/users"
upstream = "legacy"
dialect = "scripted"
order = ["id"]
page_size = {{ default = 20, max = 200 }}
{route}

[dialects.scripted]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/items", total = "/total", end = "short-page" }}
sort = {{ query = "sort={{direction}}{{field}}", ascending = "", descending = "-", join = "," }}

{more}
"#
        )
    }
}

/// Returns the items of a list of `count` users.
pub(crate) fn users(count: usize) -> Vec<String> {
    (1..=count).map(|id| format!(r#"{{"id":{id},"name":"user {id}"}}"#)).collect()
}

/// Returns the body of the answer to a request with `offset`, `limit` and optionally `sort`.
pub(crate) fn body(exchange: &Exchange, items: &[String]) -> String {
    let number = |name, otherwise| exchange.request.parameter(name).map_or(otherwise, |text| text.parse().unwrap_or(0));
    let from = number("offset", 0).min(items.len());
    let to = (from + number("limit", 20)).min(items.len());
    let slice = if exchange.request.parameter("sort") == Some("-id") {
        items.iter().rev().skip(from).take(to - from).map(String::as_str).collect::<Vec<_>>().join(",")
    } else {
        items[from..to].join(",")
    };
    format!(r#"{{"total":{},"items":[{slice}]}}"#, items.len())
}

/// Returns a function that answers requests for these items.
pub(crate) fn serve(items: Vec<String>) -> impl Fn(&mut Exchange) -> io::Result<After> {
    move |exchange| {
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    }
}
