//! A service that answers in the form of a framework. It has what frameworks add to answers: tags, `304`, compression,
//! CORS, cookies, detail pages, redirects of the slash, and errors in a form of its own.

use std::{
    cmp::Ordering,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write as _},
};

use serde_json::{Value, json};

use super::forms::{Filters, Form, Slice, Sorts};
use crate::harness::upstream::{After, Exchange, Request};

const COUNT: u64 = 203;

/// Decodes a value of a query.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let code = bytes[at..].strip_prefix(b"%").and_then(|rest| std::str::from_utf8(rest.get(..2)?).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            plain.push(byte);
            at += 3;
        } else {
            plain.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Returns all values of a parameter.
fn values(request: &Request, name: &str) -> Vec<String> {
    let pairs = request.query().split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| decoded(key) == name).map(|(_, value)| decoded(value)).collect()
}

fn rows(form: &Form) -> Vec<Value> {
    let row = |id: u64| json!({ "id": id, "name": format!("user {id}"), form.key: (form.write_key)(id / 4) });
    (1..=COUNT).map(row).collect()
}

/// Compares two keys: numbers by value, texts by their bytes.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_u64(), b.as_u64()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_str().unwrap_or_default().cmp(b.as_str().unwrap_or_default()),
    }
}

/// Returns the keys of the requested order, each with whether it is descending.
fn order(form: &Form, request: &Request) -> Vec<(String, bool)> {
    let usual = if form.by_id {
        vec![("id".to_owned(), form.sorts == Sorts::One)]
    } else {
        vec![(form.key.to_owned(), true), ("id".to_owned(), false)]
    };
    let parted = |list: Vec<String>| -> Vec<String> {
        list.iter().flat_map(|value| value.split(',')).map(str::to_owned).collect()
    };
    let asked: Vec<(String, bool)> = match form.sorts {
        Sorts::Never => Vec::new(),
        Sorts::Signs => parted(values(request, "sort"))
            .iter()
            .map(|key| (key.trim_start_matches('-').to_owned(), key.starts_with('-')))
            .collect(),
        Sorts::Pairs => values(request, "sort")
            .iter()
            .map(|pair| pair.split_once(',').unwrap_or((pair, "asc")))
            .map(|(key, way)| (key.to_owned(), way == "desc"))
            .collect(),
        Sorts::Words(name) => parted(values(request, name))
            .iter()
            .map(|pair| pair.trim().split_once(' ').unwrap_or((pair, "asc")))
            .map(|(key, way)| (key.to_owned(), way == "desc"))
            .collect(),
        Sorts::Dots => parted(values(request, "order"))
            .iter()
            .map(|key| (key.split('.').next().unwrap_or_default().to_owned(), key.contains(".desc")))
            .collect(),
        Sorts::One => {
            let falls = values(request, "order").first().is_none_or(|way| way == "desc");
            let keys = values(request, "orderby").into_iter().map(|key| (key, falls));
            keys.chain([("id".to_owned(), falls)]).collect()
        }
    };
    let known: Vec<_> = asked.into_iter().filter(|(key, _)| key == "id" || key == form.key).collect();
    if known.is_empty() || (form.sorts == Sorts::One && known.len() == 1 && !form.by_id) { usual } else { known }
}

/// Returns whether a condition in words holds for a row: `createdAt le 2025-01-01T00:00:00Z`.
fn holds(row: &Value, condition: &str) -> bool {
    let mut words = condition.trim().splitn(3, ' ');
    let [field, operator, value] = [(); 3].map(|()| words.next().unwrap_or_default());
    let value = value.trim_matches(['"', '\'']);
    let key = &row[field];
    // No key is null: `is null` never holds, and `not is null` and `ne null` always do.
    if value == "null" || ["is", "not"].contains(&operator) {
        return ["ne", "not"].contains(&operator);
    }
    let value = if key.is_u64() { value.parse::<u64>().map_or(Value::Null, Value::from) } else { value.into() };
    let found = compare(key, &value);
    match operator {
        "lt" => found.is_lt(),
        "le" | "lte" => found.is_le(),
        "gt" => found.is_gt(),
        "ge" | "gte" => found.is_ge(),
        _ => found.is_eq(),
    }
}

/// Splits a text at a separator that is in no brackets.
fn parts<'text>(text: &'text str, separator: &str) -> Vec<&'text str> {
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && at >= begin && text[at..].starts_with(separator) => {
                found.push(&text[begin..at]);
                begin = at + separator.len();
            }
            _ => {}
        }
    }
    found.push(&text[begin..]);
    found
}

/// Returns whether an expression with `and` and `or` between its conditions holds for a row.
fn infix(row: &Value, text: &str) -> bool {
    let text = text.trim();
    for (separator, all) in [(" or ", false), (" and ", true)] {
        let parts = parts(text, separator);
        if parts.len() > 1 {
            let mut each = parts.into_iter().map(|part| infix(row, part));
            return if all { each.all(|holds| holds) } else { each.any(|holds| holds) };
        }
    }
    match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inner) => infix(row, inner),
        None => holds(row, text),
    }
}

/// Returns whether an expression such as `and(age.lte.80,age.is.null)` holds for a row.
fn prefix(row: &Value, text: &str) -> bool {
    for (word, all) in [("and(", true), ("or(", false), ("(", true)] {
        if let Some(inner) = text.strip_prefix(word).and_then(|text| text.strip_suffix(')')) {
            let mut each = parts(inner, ",").into_iter().map(|part| prefix(row, part));
            return if all { each.all(|holds| holds) } else { each.any(|holds| holds) };
        }
    }
    holds(row, &text.replacen('.', " ", 2))
}

/// Writes Gridify's operators as words.
fn in_words(text: &str) -> String {
    let mut words = text.replace(',', " and ").replace('|', " or ");
    for (operator, word) in
        [("<=", " le "), (">=", " ge "), ("!=", " ne "), ("<", " lt "), (">", " gt "), ("=", " eq ")]
    {
        words = words.replace(operator, word);
    }
    words
}

fn is_wanted(form: &Form, request: &Request, row: &Value) -> bool {
    let all = |name: &str, holds: &dyn Fn(&str) -> bool| values(request, name).iter().all(|value| holds(value));
    match form.filters {
        Filters::Never => true,
        Filters::Gridify => all("filter", &|text| infix(row, &in_words(text))),
        Filters::OData => all("$filter", &|text| infix(row, text)),
        Filters::Dots => {
            let simple = |name: &str| all(name, &|text| holds(row, &format!("{name} {}", text.replacen('.', " ", 1))));
            simple("id") && simple(form.key) && all("and", &|text| prefix(row, text))
        }
        Filters::Dates => {
            all("before", &|value| holds(row, &format!("date lt {value}")))
                && all("after", &|value| holds(row, &format!("date gt {value}")))
        }
    }
}

/// A whole answer before it is compressed.
struct Reply {
    status: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn reply(status: &'static str, body: &Value) -> Reply {
    Reply { status, headers: vec![("Content-Type", "application/json".into())], body: body.to_string() }
}

fn list(form: &Form, request: &Request, url: String) -> Reply {
    let number = |name: &str| values(request, name).pop().map(|text| text.parse::<usize>());
    let size = match number(form.names.size) {
        None | Some(Ok(0)) => form.default,
        Some(Ok(size)) if size > form.max && form.refuses => {
            return reply("400 Bad Request", &json!({ "code": "rest_invalid_param" }));
        }
        Some(Ok(size)) => size.min(form.max),
        Some(Err(_)) => return reply("400 Bad Request", &json!({ "title": "Bad Request", "status": 400 })),
    };
    let place = match number(form.names.page) {
        None => form.first_page.unwrap_or(0),
        Some(Ok(place)) => place.max(form.first_page.unwrap_or(0)),
        Some(Err(_)) => return reply("400 Bad Request", &json!({ "title": "Bad Request", "status": 400 })),
    };
    let offset = form.first_page.map_or(place, |first| (place - first).saturating_mul(size));
    let mut rows = rows(form);
    rows.retain(|row| is_wanted(form, request, row));
    let order = order(form, request);
    rows.sort_by(|a, b| {
        let keys = order.iter().map(|(key, falls)| {
            let found = compare(&a[key], &b[key]);
            if *falls { found.reverse() } else { found }
        });
        keys.fold(Ordering::Equal, Ordering::then)
    });
    let items: Vec<Value> = rows.iter().skip(offset).take(size).cloned().collect();
    let slice = Slice { items, total: rows.len(), offset, size: size.min(1_000_000), page: place, url };
    let (headers, body) = (form.body)(&slice);
    let headers = headers.into_iter().filter(|(_, value)| !value.is_empty());
    Reply {
        status: "200 OK",
        headers: [("Content-Type", "application/json; charset=utf-8".to_owned())].into_iter().chain(headers).collect(),
        body,
    }
}

/// Answers a search, whose parameters are in the body.
fn search(form: &Form, request: &Request, body: &[u8]) -> Reply {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    if ["cursor", "limit"].iter().any(|name| !asked[*name].is_null()) {
        return reply("400 Bad Request", &json!({ "error": { "type": "parsing_exception" }, "status": 400 }));
    }
    let number = |name: &str, usual: u64| {
        let in_query = values(request, name).first().and_then(|text| text.parse().ok());
        let number = asked[name].as_u64().or(in_query).unwrap_or(usual);
        usize::try_from(number).unwrap_or(usize::MAX)
    };
    let way = |key: &Value| key["order"].as_str().or(key.as_str()).map(str::to_owned);
    let rises = asked["sort"][0].as_object().and_then(|sort| way(sort.values().next()?)).as_deref() == Some("asc");
    let second = asked["sort"][1].as_object().and_then(|sort| way(sort.values().next()?));
    let mut rows = rows(form);
    rows.sort_by(|a, b| {
        let first = compare(&a[form.key], &b[form.key]);
        let then = compare(&a["id"], &b["id"]);
        let first = if rises { first } else { first.reverse() };
        first.then(if second.as_deref() == Some("desc") { then.reverse() } else { then })
    });
    let name = |row: &Value| format!("{:04}", row["id"].as_u64().unwrap_or(0));
    let sort = |row: &Value| json!([row["id"].as_u64().unwrap_or(0) / 4, name(row)]);
    let after = asked["search_after"]
        .as_array()
        .map(|last| rows.iter().position(|row| sort(row) == json!(last)).map_or(rows.len(), |at| at + 1));
    let (from, size) = (after.unwrap_or_else(|| number("from", 0)), number("size", 10));
    let hits: Vec<Value> = rows
        .iter()
        .skip(from)
        .take(size)
        .map(|row| json!({ "_index": "books", "_id": name(row), "_score": null, "_source": row, "sort": sort(row) }))
        .collect();
    reply(
        "200 OK",
        &json!({ "took": 3, "timed_out": false, "_shards": { "total": 1, "successful": 1, "skipped": 0, "failed": 0 },
                 "hits": { "total": { "value": rows.len(), "relation": "eq" }, "max_score": null, "hits": hits } }),
    )
}

fn routed(form: &Form, request: &Request, body: &[u8]) -> Reply {
    let host = request.header("host").unwrap_or_default();
    let names = &form.names;
    let is_detail = |at: usize| request.target == names.details[at];
    let methods = if names.by_post { "GET, HEAD, POST" } else { "GET, HEAD, POST, OPTIONS" };
    match (request.method.as_str(), request.path()) {
        ("OPTIONS", path) if path == names.list => Reply {
            status: "204 No Content",
            headers: vec![
                ("Allow", methods.into()),
                ("Access-Control-Allow-Methods", methods.into()),
                ("Access-Control-Max-Age", "600".into()),
            ],
            body: String::new(),
        },
        (_, path) if path == names.list && request.header("authorization").is_some() => Reply {
            headers: vec![("WWW-Authenticate", "Basic realm=\"api\"".into())],
            ..reply("401 Unauthorized", &json!({ "detail": "no such user" }))
        },
        _ if is_detail(0) => reply("200 OK", &json!({ "id": 7, "name": "user 7" })),
        _ if is_detail(1) => reply("404 Not Found", &json!({ "detail": "Not found." })),
        ("GET" | "HEAD" | "POST", path) if path == names.list && names.by_post => search(form, request, body),
        ("GET" | "HEAD", path) if path == names.list => list(form, request, format!("http://{host}{path}")),
        ("POST", path) if path == names.list => Reply {
            headers: vec![
                ("Content-Type", "application/json".into()),
                ("Location", format!("http://{host}{path}/204")),
            ],
            ..reply("201 Created", &json!({ "id": 204, "sent": String::from_utf8_lossy(body) }))
        },
        (_, path) if path == names.list => Reply {
            headers: vec![("Allow", methods.into())],
            ..reply("405 Method Not Allowed", &json!({ "detail": "not allowed" }))
        },
        (_, path) if path == names.other_slash => Reply {
            status: "301 Moved Permanently",
            headers: vec![("Location", format!("http://{host}{}", request.target.replacen(path, names.list, 1)))],
            body: String::new(),
        },
        (_, "/admin/") => Reply {
            status: "200 OK",
            headers: vec![("Content-Type", "text/html".into()), ("Content-Language", "en".into())],
            body: "<h1>the admin site</h1>".into(),
        },
        _ => Reply {
            status: "404 Not Found",
            headers: vec![("Content-Type", "text/html".into())],
            body: "<h1>Not Found</h1>".into(),
        },
    }
}

/// Answers one request.
pub(super) fn answer(form: &Form, exchange: &mut Exchange) -> io::Result<After> {
    let sent = exchange.body()?;
    let request = exchange.request.clone();
    let Reply { mut status, mut headers, body } = routed(form, &request, &sent);
    let mut body = body.into_bytes();
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    if status == "200 OK" {
        headers.push(("ETag", tag.clone()));
        headers.push(("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT".into()));
        let matches = request.header("if-none-match").is_some_and(|tags| tags.trim_start_matches("W/") == tag);
        let is_old = request.header("if-modified-since") == Some("Wed, 01 Jan 2025 00:00:00 GMT");
        if matches || is_old {
            status = "304 Not Modified";
            body.clear();
        }
    }
    headers.push(("Vary", "Accept-Encoding, Origin".into()));
    headers.push(("X-Frame-Options", "DENY".into()));
    headers.push(("X-RateLimit-Limit", "60".into()));
    if request.header("cookie").is_none() {
        headers.push(("Set-Cookie", "session=1; Path=/; HttpOnly; SameSite=Lax".into()));
        headers.push(("Set-Cookie", "theme=dark; Path=/".into()));
    }
    if request.header("origin") == Some("https://app.example.com") {
        headers.push(("Access-Control-Allow-Origin", "https://app.example.com".into()));
        headers.push(("Access-Control-Allow-Credentials", "true".into()));
    }
    if request.header("accept-encoding").is_some_and(|codings| codings.contains("gzip")) && !body.is_empty() {
        let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        coder.write_all(&body)?;
        body = coder.finish()?;
        headers.push(("Content-Encoding", "gzip".into()));
    }
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if status.starts_with("304") || status.starts_with("204") {
        // These have no body, and no length.
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        exchange.send(format!("HTTP/1.1 {status}\r\n{lines}\r\n").as_bytes())?;
        return Ok(After::KeepOpen);
    }
    exchange.reply(status, &headers, &body)
}
