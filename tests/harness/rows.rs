//! A collection that changes while it is read, and an upstream for it: by offset, page, token and link, sorted,
//! filtered and in both directions, with single items by id, and with the count. Each `Authorization` can have its own
//! rows.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    gateway::Gateway,
    http::Response,
    upstream::{After, Exchange, Request},
};

/// The paging of the upstream: parts of a dialect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    request: &'static str,
    response: &'static str,
    more: &'static str,
}

/// Any slice, with a total.
pub(crate) const BY_OFFSET: Reading =
    Reading { request: "offset={offset}&limit={size}", response: r#", total = "/total""#, more: "" };
/// Any slice, with a total; only the last one is short.
pub(crate) const BY_OFFSET_TO_SHORT: Reading =
    Reading { response: r#", total = "/total", end = "short-page""#, ..BY_OFFSET };
/// Any slice, without facts in addition to its rows.
pub(crate) const SLICES: Reading = Reading { request: "offset={offset}&limit={size}", response: "", more: "" };
/// Pages of any size, without facts in addition to their rows.
pub(crate) const SLICES_BY_PAGE: Reading = Reading { request: "page={page}&per_page={size}", response: "", more: "" };
/// Pages of any size, with a total.
pub(crate) const BY_PAGE: Reading =
    Reading { request: "page={page}&per_page={size}", response: r#", total = "/total""#, more: "" };
/// Pages of ten, with a total.
pub(crate) const BY_TEN: Reading =
    Reading { request: "page={page}", response: r#", total = "/total""#, more: "size = { default = 10 }" };
/// Tokens in the body, in both directions.
pub(crate) const BY_TOKEN: Reading = Reading {
    request: "on={next_token}&back={prev_token}&limit={size}",
    response: r#", next_token = "/next", prev_token = "/previous", end = "flag""#,
    more: "",
};
/// Tokens in the body, forward only, to pages of ten.
pub(crate) const ONWARD_BY_TEN: Reading =
    Reading { request: "on={next_token}", response: r#", next_token = "/next""#, more: "size = { default = 10 }" };
/// Links to the next page, in a header.
pub(crate) const BY_LINK: Reading =
    Reading { request: "limit={size}", response: r#", next_url = "link:next", end = "flag""#, more: "" };

/// Returns the configuration of a route `/users` on rows, with these lines in its table. Rows can be sorted and
/// filtered by id and score, and looked up by id.
pub(crate) fn configuration(address: SocketAddr, reading: Reading, route: &str) -> String {
    let Reading { request, response, more } = reading;
    format!(
        r#"
[upstreams.legacy]
peers = ["{address}"]
host_header = "rows.test"

[routes.users]
path = "/users"
upstream = "legacy"
dialect = "rows"
fields = {{ id = {{ type = "number", nulls = "none" }}, score = {{ type = "number", nulls = "none" }} }}
{route}

[dialects.rows]
request = {{ query = "{request}" }}
response = {{ items = "/items"{response} }}
{more}

[dialects.rows.sort]
query = "sort={{direction}}{{field}}"
ascending = ""
descending = "-"
join = ","

[dialects.rows.filter]
gte = "{{field}}__gte={{value}}"
lte = "{{field}}__lte={{value}}"
eq = "{{field}}__eq={{value}}"

[dialects.rows.item]
path = "{{path}}/{{id}}"
"#
    )
}

/// The lines of a route in descending order of the score, with all sorts and filters of the upstream.
pub(crate) const BY_SCORE: &str =
    "order = [\"-score\", \"id\"]\nsortable = [\"score\", \"id\"]\nfilterable = [\"score\", \"id\"]";

/// A row of the collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: u64,
    /// The sort key, which many rows may share.
    pub(crate) score: u64,
    /// A value without influence on the order.
    pub(crate) note: String,
}

impl Row {
    /// Creates a row whose note contains the id.
    pub(crate) fn new(id: u64, score: u64) -> Self {
        Self { id, score, note: format!("row {id}") }
    }

    /// Returns the row as JSON.
    pub(crate) fn json(&self) -> String {
        format!(r#"{{"id":{},"score":{},"note":"{}"}}"#, self.id, self.score, self.note)
    }
}

/// Rows that tests change while they are read, for each `Authorization`, and for requests without it.
#[derive(Clone, Default)]
pub(crate) struct Rows(Arc<Mutex<HashMap<String, Vec<Row>>>>);

impl Rows {
    /// Creates the rows of requests without `Authorization`.
    pub(crate) fn new(rows: impl IntoIterator<Item = Row>) -> Self {
        let all = Self::default();
        all.change(|own| own.extend(rows));
        all
    }

    /// Creates rows with the ids from 1 on and distinct scores: ten times the id.
    pub(crate) fn count(count: u64) -> Self {
        Self::new((1..=count).map(|id| Row::new(id, id * 10)))
    }

    /// Changes the rows of requests without `Authorization`.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<Row>)) {
        self.change_of("", change);
    }

    /// Changes the rows of requests with this `Authorization`.
    pub(crate) fn change_of(&self, whose: &str, change: impl FnOnce(&mut Vec<Row>)) {
        change(self.locked().entry(whose.to_owned()).or_default());
    }

    /// Returns the rows of requests without `Authorization`.
    pub(crate) fn all(&self) -> Vec<Row> {
        self.locked().get("").cloned().unwrap_or_default()
    }

    /// Returns the rows that a request sees.
    fn seen_by(&self, request: &Request) -> Vec<Row> {
        self.locked().get(request.header("authorization").unwrap_or_default()).cloned().unwrap_or_default()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<String, Vec<Row>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a request: `…/count` with the count, `…/ID` with a row, other paths with the list.
    pub(crate) fn answer(&self, exchange: &mut Exchange) -> io::Result<After> {
        self.answer_as(exchange, |body| body)
    }

    /// Answers like [`Self::answer`], with the body changed by a function.
    pub(crate) fn answer_as(&self, exchange: &mut Exchange, body: impl FnOnce(String) -> String) -> io::Result<After> {
        let request = &exchange.request;
        let rows = self.seen_by(request);
        let last = request.path().rsplit('/').next().unwrap_or_default();
        let answer = match last {
            "count" => Answer::ok(format!(r#"{{"count":{}}}"#, filtered(rows, request).len())),
            _ => match last.parse::<u64>() {
                Ok(id) => match rows.iter().find(|row| row.id == id) {
                    Some(row) => Answer::ok(row.json()),
                    None => Answer { status: "404 Not Found", link: None, body: r#"{"error":"gone"}"#.to_owned() },
                },
                Err(_) => list(rows, request),
            },
        };
        let mut headers = vec![("Content-Type", "application/json")];
        headers.extend(answer.link.as_deref().map(|link| ("Link", link)));
        exchange.reply(answer.status, &headers, body(answer.body).as_bytes())
    }
}

struct Answer {
    status: &'static str,
    link: Option<String>,
    body: String,
}

impl Answer {
    fn ok(body: String) -> Self {
        Self { status: "200 OK", link: None, body }
    }
}

fn number(request: &Request, name: &str) -> Option<u64> {
    request.parameter(name).and_then(|text| text.parse().ok())
}

/// Filters rows by parameters such as `score__gte=5`.
fn filtered(rows: Vec<Row>, request: &Request) -> Vec<Row> {
    let mut rows = rows;
    for (field, value) in [("id", (|row| row.id) as fn(&Row) -> u64), ("score", |row| row.score)] {
        let bound = |word: &str| number(request, &format!("{field}__{word}"));
        let (least, most, exactly) = (bound("gte"), bound("lte"), bound("eq"));
        let (above, below) = (bound("gt"), bound("lt"));
        rows.retain(|row| {
            let value = value(row);
            least.is_none_or(|least| value >= least)
                && most.is_none_or(|most| value <= most)
                && exactly.is_none_or(|exactly| value == exactly)
                && above.is_none_or(|above| value > above)
                && below.is_none_or(|below| value < below)
        });
    }
    if let Some(parity) = number(request, "parity") {
        rows.retain(|row| row.id % 2 == parity);
    }
    rows
}

/// Sorts rows by a parameter such as `sort=-score,id`. Without it, their order is kept.
fn sorted(mut rows: Vec<Row>, request: &Request) -> Vec<Row> {
    let sort = request.parameter("sort").unwrap_or_default().replace("%2C", ",");
    // Sorts are stable, so the first term is applied last.
    for term in sort.split(',').collect::<Vec<_>>().into_iter().rev() {
        match term {
            "id" => rows.sort_by_key(|row| row.id),
            "-id" => rows.sort_by_key(|row| std::cmp::Reverse(row.id)),
            "score" => rows.sort_by_key(|row| row.score),
            "-score" => rows.sort_by_key(|row| std::cmp::Reverse(row.score)),
            _ => {}
        }
    }
    rows
}

/// Returns the slice of the list that the parameters select: `offset` and `limit`; `page` with ten rows or `per_page`;
/// `after`, the id of the last row, with the target of the next page in `Link`; or `on` and `back`, with tokens in the
/// body.
fn list(rows: Vec<Row>, request: &Request) -> Answer {
    let rows = sorted(filtered(rows, request), request);
    let total = rows.len();
    let limit = usize::try_from(number(request, "limit").unwrap_or(10)).unwrap_or(10);
    let body = |rows: &[Row], more: &str| {
        let items: Vec<String> = rows.iter().map(Row::json).collect();
        format!(r#"{{"total":{total},"items":[{}]{more}}}"#, items.join(","))
    };
    let place = |id: u64| rows.iter().position(|row| row.id == id);
    if let Some(page) = number(request, "page") {
        let size = usize::try_from(number(request, "per_page").unwrap_or(10)).unwrap_or(10);
        let from = usize::try_from(page.saturating_sub(1)).unwrap_or(usize::MAX).saturating_mul(size).min(total);
        return Answer::ok(body(&rows[from..(from + size).min(total)], ""));
    }
    let after = number(request, "after");
    if request.path().ends_with("/linked") {
        let from = after.and_then(place).map_or(0, |at| at + 1);
        let page = &rows[from..(from + limit).min(total)];
        let mut answer = Answer::ok(body(page, ""));
        if let Some(last) = page.last().filter(|_| from + limit < total) {
            answer.link = Some(format!("<{}?limit={limit}&after={}>; rel=\"next\"", request.path(), last.id));
        }
        return answer;
    }
    if request.path().ends_with("/tokens") {
        let id = |name: &str| request.parameter(name).and_then(|token| token.strip_prefix("t-")?.parse().ok());
        let (from, to) = match (id("on"), id("back")) {
            (Some(id), _) => {
                let from = place(id).map_or(total, |at| at + 1);
                (from, (from + limit).min(total))
            }
            (None, Some(id)) => {
                let to = place(id).unwrap_or(total);
                (to.saturating_sub(limit), to)
            }
            (None, None) => (0, limit.min(total)),
        };
        let page = &rows[from..to];
        let on = page.last().filter(|_| to < total).map(|row| format!("\"t-{}\"", row.id));
        let back = page.first().filter(|_| from > 0).map(|row| format!("\"t-{}\"", row.id));
        let or_null = |token: Option<String>| token.unwrap_or_else(|| "null".to_owned());
        return Answer::ok(body(page, &format!(r#","next":{},"previous":{}"#, or_null(on), or_null(back))));
    }
    let from = usize::try_from(number(request, "offset").unwrap_or(0)).unwrap_or(usize::MAX).min(total);
    Answer::ok(body(&rows[from..(from + limit).min(total)], ""))
}

/// Returns the ids of a page.
pub(crate) fn ids(page: &Response) -> Vec<u64> {
    let body = page.json();
    let items = body["data"].as_array().unwrap_or_else(|| panic!("no page: {page:?}"));
    items.iter().map(|item| item["id"].as_u64().expect("an id")).collect()
}

/// Returns the pages from a target on, by the links of a relation. Calls `between` after each page with its number.
pub(crate) fn walk(
    gateway: &Gateway,
    first: &str,
    relation: &str,
    headers: &[(&str, &str)],
    mut between: impl FnMut(usize, &Response),
) -> Vec<Response> {
    let mut connection = gateway.connect();
    let mut pages = Vec::new();
    let mut target = Some(first.to_owned());
    while let Some(asked) = target {
        let page = connection.request("GET", &asked, headers, b"").expect("a response");
        assert_eq!(page.outcome(), "200", "{asked}: {}", page.text());
        between(pages.len(), &page);
        target = page.link(relation);
        pages.push(page);
        assert!(pages.len() < 1_000, "the walk doesn't end");
    }
    pages
}
