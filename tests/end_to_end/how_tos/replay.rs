//! Requests of old clients, sent to a service and through the gateway, and the differences between the answers.

use std::{fmt::Write as _, io::Read, net::SocketAddr};

use serde_json::Value;

use crate::harness::http::{Connection, Response};

/// The paths and names of a service.
pub(super) struct Names {
    /// The path of the list, as the service's documentation writes it.
    pub(super) list: &'static str,
    /// The same path with the other spelling of its end.
    pub(super) other_slash: &'static str,
    /// The path of one item, and of one that doesn't exist.
    pub(super) details: [&'static str; 2],
    /// The parameter for the page or the offset.
    pub(super) page: &'static str,
    pub(super) size: &'static str,
    /// A query with a sort, and one with a filter.
    pub(super) sort: &'static str,
    pub(super) filter: &'static str,
    /// Whether pages are requested by POST.
    pub(super) by_post: bool,
}

pub(super) const DJANGO: Names = Names {
    list: "/api/users/",
    other_slash: "/api/users",
    details: ["/api/users/7/", "/api/users/7000/"],
    page: "page",
    size: "page_size",
    sort: "ordering=created_at,-id",
    filter: "created_at__gte=2025-01-01T00:20:00Z",
    by_post: false,
};

pub(super) const FASTAPI: Names = Names {
    list: "/api/users",
    other_slash: "/api/users/",
    details: ["/api/users/7", "/api/users/7000"],
    page: "page",
    size: "size",
    sort: "sort=created_at,-id",
    filter: "name=user%207",
    by_post: false,
};

pub(super) const EXPRESS: Names =
    Names { size: "limit", filter: "created_at__gte=2025-01-01T00:20:00.123Z", ..FASTAPI };

/// A configuration and its service.
pub(super) struct Case<'names> {
    service: SocketAddr,
    gateway: SocketAddr,
    /// The `Host` of requests to the service.
    host: String,
    /// The beginning of the gateway's links.
    public: String,
    /// True if the gateway requests another host than clients do.
    rewrites: bool,
    /// True if the configuration announces the end of old requests.
    announces: bool,
    names: &'names Names,
}

const PUBLIC: &str = "api.example.com";

impl<'names> Case<'names> {
    pub(super) fn new(text: &str, service: SocketAddr, gateway: SocketAddr, names: &'names Names) -> Self {
        let written = text.lines().find_map(|line| line.strip_prefix("host_header = \"")?.split('"').next());
        let host = written.unwrap_or(PUBLIC).to_owned();
        let announces = text.contains("sunset = ");
        let is_own = text.contains("env:CURSORGATE_PUBLIC_URL");
        let public = if is_own { format!("http://{gateway}") } else { format!("https://{PUBLIC}") };
        Self { service, gateway, host, public, rewrites: written.is_some(), announces, names }
    }
}

#[derive(Default)]
struct Kind {
    what: String,
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: &'static str,
    /// The header of an earlier answer whose value is sent in this header.
    earlier: Option<(&'static str, &'static str)>,
}

impl Kind {
    fn get(what: &str, target: String) -> Self {
        Self { what: what.to_owned(), method: "GET", target, ..Self::default() }
    }

    fn with(self, name: &str, value: &str) -> Self {
        let mut headers = self.headers;
        headers.push((name.to_owned(), value.to_owned()));
        Self { headers, ..self }
    }

    fn by(self, method: &'static str, body: &'static str) -> Self {
        let kind = Self { method, body, ..self };
        if body.is_empty() { kind } else { kind.with("Content-Type", "application/json") }
    }
}

fn queries(names: &Names) -> Vec<(&'static str, String)> {
    let (page, size) = (names.page, names.size);
    vec![
        ("a page", format!("{page}=2")),
        ("a size", format!("{size}=5")),
        ("a page and a size", format!("{page}=2&{size}=5")),
        ("a size of 0", format!("{size}=0")),
        ("a size of 1,000", format!("{size}=1000")),
        ("a word as size", format!("{size}=abc")),
        ("a negative page", format!("{page}=-1")),
        ("a size twice", format!("{size}=5&{size}=7")),
        ("the first page", format!("{page}=1")),
        ("past the end", format!("{page}=9999")),
        ("a sort", names.sort.to_owned()),
        ("a sort and a page", format!("{}&{page}=3", names.sort)),
        ("a filter", names.filter.to_owned()),
        ("a cursor of the service", "cursor=cD0yMDI1LTAxLTAx".to_owned()),
        ("cursor=abc", "cursor=abc".to_owned()),
        ("an empty cursor", "cursor=".to_owned()),
        ("a page and cursor=null", format!("{page}=2&cursor=null")),
        ("a date named after", "after=2025-01-01".to_owned()),
        ("after=start", "after=start".to_owned()),
        ("first", "first=5".to_owned()),
        ("limit", "limit=5".to_owned()),
        ("LIMIT", "LIMIT=5".to_owned()),
        ("$skiptoken", "$skiptoken=abc".to_owned()),
        ("names of another API", "per_page=5&offset=3&pageToken=x".to_owned()),
        ("names in brackets", "page[number]=2&page[size]=5".to_owned()),
        ("a bad escape", "a=%zz&b=%C3%BC".to_owned()),
        ("a trailing &", format!("{page}=2&&")),
    ]
}

fn kinds(names: &Names) -> Vec<Kind> {
    let (list, page) = (names.list, names.page);
    let at = |what: &str, target: &str| Kind::get(what, target.to_owned());
    let mut kinds = vec![at("no parameters", list), at("a question mark alone", &format!("{list}?"))];
    kinds.extend(queries(names).into_iter().map(|(what, query)| Kind::get(what, format!("{list}?{query}"))));
    let second = format!("{list}?{page}=2");
    kinds.extend([
        at("the other slash", names.other_slash),
        at("a page at the other slash", &format!("{}?{page}=2", names.other_slash)),
        at("one item", names.details[0]),
        at("an item that doesn't exist", names.details[1]),
        at("an unknown path", "/api/unknown"),
        at("the root", "/"),
        at("the admin site", "/admin/"),
        at("the admin site without a slash", "/admin"),
        at("HEAD", list).by("HEAD", ""),
        at("HEAD of a page", &second).by("HEAD", ""),
        Kind { earlier: Some(("If-None-Match", "etag")), ..at("If-None-Match", list) },
        Kind { earlier: Some(("If-Modified-Since", "last-modified")), ..at("If-Modified-Since", &second) },
        at("another If-None-Match", list).with("If-None-Match", "\"another\""),
        at("gzip", list).with("Accept-Encoding", "gzip"),
        at("gzip of one item", names.details[0]).with("Accept-Encoding", "gzip"),
        at("Accept: JSON", list).with("Accept", "application/json"),
        at("Accept: HAL", list).with("Accept", "application/hal+json"),
        at("Accept: JSON:API", &second).with("Accept", "application/vnd.api+json"),
        at("Accept of browsers", list).with("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        at("Prefer", list).with("Prefer", "odata.maxpagesize=3"),
        at("Origin", list).with("Origin", "https://app.example.com"),
        at("another Origin", list).with("Origin", "https://evil.example.com"),
        at("a preflight", list)
            .by("OPTIONS", "")
            .with("Origin", "https://app.example.com")
            .with("Access-Control-Request-Method", "GET"),
        at("OPTIONS", list).by("OPTIONS", ""),
        at("GET with a body", list).by("GET", "{\"limit\":5}"),
        at("POST", list).by("POST", "{\"name\":\"new\"}"),
        at("DELETE", list).by("DELETE", ""),
        at("Range", list).with("Range", "bytes=0-9"),
        at("a wrong password", list).with("Authorization", "Basic eDp5"),
        at("a cookie", &second).with("Cookie", "session=1; csrftoken=abcdefghijklmnopqrstuvwxyz012345"),
    ]);
    if names.by_post {
        for (what, body) in [
            ("POST of a search", "{\"query\":{\"match_all\":{}}}"),
            ("POST of a page", "{\"from\":20,\"size\":5}"),
            ("POST of a size", "{\"size\":5}"),
            ("POST of a size of 0", "{\"size\":0}"),
            ("POST past the end", "{\"from\":5000}"),
            ("POST of a cursor", "{\"cursor\":\"abc\"}"),
            ("POST of an empty cursor", "{\"cursor\":\"\",\"limit\":3}"),
            ("POST of a sort", "{\"sort\":[{\"published\":\"asc\"},{\"book_id\":\"asc\"}],\"size\":3}"),
        ] {
            kinds.push(at(what, list).by("POST", body));
        }
        return kinds;
    }
    let bare = list.trim_end_matches('/');
    kinds.extend([
        at("the suffix .json", &format!("{bare}.json?{page}=2")),
        at("two slashes", &format!("/{second}")),
        at("a parameter of the path", &format!("{bare};v=1?{page}=2")),
        at("an encoded slash", &format!("{bare}%2F")),
        at("GET by a header", &second).by("POST", "{}").with("X-HTTP-Method-Override", "GET"),
    ]);
    kinds
}

/// Headers that may differ.
const FREE: [&str; 9] = [
    "age",
    "connection",
    "content-length", // compared by the body
    "date",
    "keep-alive",
    "server",
    "transfer-encoding",
    "via",
    "x-request-id",
];

fn ask(address: SocketAddr, host: &str, kind: &Kind) -> Response {
    let mut headers: Vec<(&str, &str)> = vec![("Host", host), ("User-Agent", "old-client/1.0")];
    headers.extend(kind.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Connection::direct(address)
        .and_then(|mut connection| connection.request(kind.method, &kind.target, &headers, kind.body.as_bytes()))
        .unwrap_or_else(|fault| panic!("{} {}: {fault}", kind.method, kind.target))
}

/// Sends a request whose header repeats one of an earlier answer from the same side.
fn ask_as(address: SocketAddr, host: &str, kind: &Kind) -> Response {
    let Some((name, of)) = kind.earlier else { return ask(address, host, kind) };
    let first = ask(address, host, &Kind::get("", kind.target.clone()));
    let value = first.header(of).unwrap_or("\"none\"").to_owned();
    ask(address, host, &Kind::get("", kind.target.clone()).with(name, &value))
}

/// Returns the headers that are compared, with links to the gateway as links to the service.
fn compared(case: &Case<'_>, response: &Response, through: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in &response.headers {
        let name = name.to_ascii_lowercase();
        let announced = through && case.announces && ["sunset", "deprecation"].contains(&name.as_str());
        if FREE.contains(&name.as_str()) || announced {
            continue;
        }
        // Django writes the time of the answer, and the two answers may be of different seconds.
        let mut value = if name == "expires" { "a time".to_owned() } else { mapped(case, value, through) };
        if name == "link" && through && case.announces {
            let links = value.split(", ").filter(|link| {
                !["successor-version\"", "\"deprecation\"", "\"sunset\""]
                    .iter()
                    .any(|relation| link.ends_with(relation))
            });
            value = links.collect::<Vec<_>>().join(", ");
            if value.is_empty() {
                continue;
            }
        }
        lines.push(format!("{name}: {value}"));
    }
    lines.sort();
    lines
}

fn mapped(case: &Case<'_>, text: &str, through: bool) -> String {
    if !(through && case.rewrites) {
        return text.to_owned();
    }
    let escaped = |url: &str| url.replace('/', "\\/");
    let (from, to) = (&case.public, format!("http://{}", case.host));
    text.replace(from, &to).replace(&escaped(from), &escaped(&to))
}

/// Returns the body without its coding.
fn plain(response: &Response) -> String {
    if response.header("content-encoding") != Some("gzip") || response.body.is_empty() {
        return String::from_utf8_lossy(&response.body).into_owned();
    }
    let mut text = String::new();
    flate2::read::GzDecoder::new(&response.body[..]).read_to_string(&mut text).expect("gzip");
    text
}

/// Returns what differs between an answer of the service and the answer through the gateway.
fn differences(case: &Case<'_>, is_of_the_list: bool, direct: &Response, through: &Response) -> String {
    let mut found = String::new();
    if direct.status != through.status {
        let _ = writeln!(found, "  status {} became {}", direct.status, through.status);
    }
    let (mut before, after) = (compared(case, direct, false), compared(case, through, true));
    let rewritten = plain(direct) != plain(through);
    // Where links in bodies are rewritten, the tag of the service's bytes becomes a weak one.
    if case.rewrites && through.header("etag").is_some_and(|tag| tag.starts_with("W/")) && is_of_the_list {
        for line in &mut before {
            if let Some(tag) = line.strip_prefix("etag: \"") {
                *line = format!("etag: W/\"{tag}");
            }
        }
    }
    for line in before.iter().filter(|line| !after.contains(line)) {
        let _ = writeln!(found, "  missing {line}");
    }
    for line in after.iter().filter(|line| !before.contains(line)) {
        let _ = writeln!(found, "  added {line}");
    }
    let same = if rewritten { mapped(case, &plain(through), true) == plain(direct) } else { true };
    // The bytes of a coded body may only differ where links are rewritten.
    let same = same && (case.rewrites || direct.body == through.body);
    if !same {
        let shown = |response: &Response| plain(response).chars().take(300).collect::<String>();
        let _ = writeln!(found, "  body {:?}\n  became {:?}", shown(direct), shown(through));
    }
    found
}

/// Sends all kinds of requests to both sides. Returns the number of kinds and the differences.
pub(super) fn replay(case: &Case<'_>) -> (usize, Vec<String>) {
    let kinds = kinds(case.names);
    let mut found = Vec::new();
    for kind in &kinds {
        let (direct, through) = (ask_as(case.service, &case.host, kind), ask_as(case.gateway, PUBLIC, kind));
        let path = kind.target.split('?').next().unwrap_or_default();
        let text = differences(case, path == case.names.list, &direct, &through);
        if !text.is_empty() {
            found.push(format!("{}: {} {}\n{text}", kind.what, kind.method, kind.target));
        }
    }
    (kinds.len(), found)
}

/// Walks the list by cursor in pages of the usual size. Returns the ids in the order of the walk.
pub(super) fn walk(case: &Case<'_>) -> Result<Vec<u64>, String> {
    let list = case.names.list;
    let mut cursor = "start".to_owned();
    let mut ids = Vec::new();
    for _ in 0..100 {
        let mut kind = Kind::get("", format!("{list}?cursor={cursor}"));
        if case.names.by_post {
            kind = kind.by("POST", "{\"query\":{\"match_all\":{}}}");
        }
        let page = ask(case.gateway, PUBLIC, &kind);
        if page.outcome() != "200" || page.header("cursorgate-level").is_none() {
            return Err(format!("{}: {page:?}", kind.target));
        }
        let page = page.json();
        let items = page["data"].as_array().expect("items");
        ids.extend(items.iter().map(|item| item["id"].as_u64().unwrap_or_else(|| panic!("no id: {item}"))));
        match &page["pagination"]["nextCursor"] {
            Value::String(next) => next.clone_into(&mut cursor),
            _ => return Ok(ids),
        }
    }
    Err(format!("the walk doesn't end: {ids:?}"))
}
