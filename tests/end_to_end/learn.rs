//! Tests of `cursorgate learn`: lists of many APIs are learnt over real sockets, and the written file is served as it
//! is. Walks by cursor skip and repeat no row that stays while others are added and removed.

mod documents;
mod ends;
mod reported;
mod types;

use std::{
    cmp::Reverse,
    collections::HashSet,
    io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    harness::{
        Directory, Numbers,
        gateway::{Gateway, KEY, command},
        http,
        upstream::{After, Exchange, Upstream},
    },
    third_party::{Kind, ThirdParty, launch, python},
};

/// The rows of a list, which tests change during a walk.
#[derive(Clone)]
struct Rows(Arc<Mutex<Vec<Value>>>);

impl Rows {
    /// Returns rows with ids in steps of 10, which leaves ids for rows between them.
    fn new(count: u64) -> Self {
        Self(Arc::new(Mutex::new((1..=count).map(|at| row(at * 10)).collect())))
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes a row and adds another, both at random places. Returns the id of the removed row.
    fn change(&self, numbers: &mut Numbers) -> u64 {
        let mut rows = self.locked();
        let at = numbers.below(rows.len());
        let gone = id(&rows.remove(at));
        let near = id(&rows[numbers.below(rows.len())]);
        let new = (1..10).map(|more| near / 10 * 10 + more).find(|own| rows.iter().all(|row| id(row) != *own));
        rows.extend(new.map(row));
        rows.sort_by_key(id);
        gone
    }
}

fn id(row: &Value) -> u64 {
    row["id"].as_u64().expect("every row has an id")
}

fn row(id: u64) -> Value {
    const WORDS: [&str; 12] = [
        "Zoe", "adam", "Berta", "cäsar", "Äpfel", "dora-lee", "Dora", "emil", "von Holt", "Vonberg", "O'Brien",
        "obrecht",
    ];
    let drawn = scatter(id);
    let word = WORDS[usize::try_from(drawn % 12).expect("small")];
    let group = id / 170;
    let kind = ["low", "normal", "high"][usize::try_from(drawn / 16 % 3).expect("small")];
    json!({
        "id": id,
        "name": format!("{word} {}", drawn % 89),
        "kind": kind,
        "occurred_at": format!("2024-{:02}-{:02}T10:00:00Z", 1 + group / 28 % 12, 1 + group % 28),
        "url": format!("http://other.example/things/{id}"),
    })
}

/// Returns a pseudo-random number from a seed, with steps of splitmix64.
fn scatter(seed: u64) -> u64 {
    let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 31)
}

/// A request with its parsed body, as the families of APIs below read it.
struct Asked<'a> {
    exchange: &'a Exchange,
    body: Value,
}

impl Asked<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let decode = |text: &str| {
            let mut bytes = Vec::new();
            let mut rest = text.as_bytes();
            while let Some((first, tail)) = rest.split_first() {
                match (first, tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok()))
                {
                    (b'%', Some(byte)) => (bytes.push(byte), rest = &tail[2..]),
                    (byte, _) => (bytes.push(*byte), rest = tail),
                };
            }
            String::from_utf8(bytes).expect("UTF-8")
        };
        let pairs = self.exchange.request.query().split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(own, value)| (decode(own), decode(value))).find(|(own, _)| own == name).map(|(_, value)| value)
    }

    fn number(&self, name: &str) -> Option<usize> {
        self.text(name)?.parse().ok()
    }
}

/// The status, the headers and the body of an answer.
type Reply = (&'static str, Vec<(&'static str, String)>, Value);

fn ok(body: Value) -> Reply {
    ("200 OK", Vec::new(), body)
}

fn slice(rows: &[Value], from: usize, size: usize) -> Vec<Value> {
    rows.iter().skip(from).take(size).cloned().collect()
}

type Family = fn(&Asked<'_>, &[Value]) -> Reply;

/// Starts an upstream that serves rows as a family of APIs does, at `/api/items` with or without a final slash.
fn serve(rows: &Rows, family: Family) -> Upstream {
    let rows = rows.clone();
    Upstream::start(move |exchange| -> io::Result<After> {
        let body = if exchange.request.method == "POST" { exchange.body()? } else { Vec::new() };
        if exchange.request.path().trim_end_matches('/') != "/api/items" {
            return exchange.reply("404 Not Found", &[], b"{\"error\":\"not found\"}");
        }
        let asked = Asked { exchange, body: serde_json::from_slice(&body).unwrap_or(Value::Null) };
        let (status, headers, body) = family(&asked, &rows.locked());
        let mut headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("Content-Type", "application/json"));
        exchange.reply(status, &headers, body.to_string().as_bytes())
    })
}

/// Learns a list by the command line. Returns the configuration and the output of the command.
pub(crate) fn learn(url: &str, more: &[&str]) -> (String, String) {
    let directory = Directory::new();
    let file = directory.file("learnt.toml");
    let mut command = command();
    command.args(["learn", url, "--delay", "0", "--out"]).arg(&file).args(more);
    let output = command.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{url}: {said}{faults}");
    let written = std::fs::read_to_string(file).expect("it was written");
    let guesses = said.contains("Likely, and not shown by a request: ");
    assert_eq!(guesses, written.contains("(likely:"), "the reader is told of likely lines: {said}{written}");
    (written, said)
}

/// Requests the next page of a walk, or the first one with `start`: all other requests are old clients'.
fn page(gateway: &Gateway, path: &str, limit: usize, cursor: Option<&str>, how: &How) -> http::Response {
    let headers: Vec<(&str, &str)> = how.headers.to_vec();
    match how.body {
        Some(body) => {
            let mut body = body();
            body["limit"] = limit.into();
            body["cursor"] = cursor.unwrap_or("start").into();
            let headers = [headers, vec![("Content-Type", "application/json")]].concat();
            gateway.send("POST", path, &headers, body.to_string().as_bytes())
        }
        None => {
            let cursor = cursor.unwrap_or("start");
            gateway.send("GET", &format!("{path}?limit={limit}&cursor={cursor}"), &headers, b"")
        }
    }
}

/// The additional headers and the body of a client's requests for a list.
#[derive(Clone, Copy, Default)]
struct How {
    headers: &'static [(&'static str, &'static str)],
    body: Option<fn() -> Value>,
    /// True if the test must not change rows during the walk.
    at_rest: bool,
}

/// Walks a list to its end while rows change, and asserts that rows that stay come once. Returns the inner levels.
fn walk(gateway: &Gateway, rows: &Rows, how: &How, name: &str) -> HashSet<String> {
    let mut numbers = Numbers::new(7);
    let mut stays: HashSet<u64> = rows.locked().iter().map(id).collect();
    let (mut seen, mut levels) = (Vec::new(), HashSet::new());
    let mut cursor: Option<String> = None;
    for _ in 0..500 {
        let answer = page(gateway, "/api/items", 10, cursor.as_deref(), how);
        assert_eq!(answer.status, 200, "{name}: after {} items: {answer:?}\n{}", seen.len(), gateway.configuration());
        let body = answer.json();
        seen.extend(body["data"].as_array().expect("items").iter().map(id));
        cursor = body["pagination"]["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        levels.extend(answer.header("cursorgate-level").map(str::to_owned));
        if !how.at_rest {
            stays.remove(&rows.change(&mut numbers));
        }
    }
    assert!(cursor.is_none(), "{name}: no end");
    let distinct: HashSet<u64> = seen.iter().copied().collect();
    assert_eq!(distinct.len(), seen.len(), "{name}: items came twice");
    let skipped: Vec<&u64> = stays.difference(&distinct).collect();
    assert!(skipped.is_empty(), "{name}: {skipped:?} were skipped\n{}", gateway.configuration());
    levels
}

/// Learns a family's list, serves the written configuration, and walks the list. Returns the levels of the pages.
fn hold(name: &str, family: Family, arguments: &[&str], how: How) -> HashSet<String> {
    let rows = Rows::new(240);
    let upstream = serve(&rows, family);
    let (text, _) = learn(&format!("http://{}/api/items", upstream.address), arguments);
    let gateway = Gateway::start_as_written(&text);
    walk(&gateway, &rows, &how, name)
}

fn page_and_total(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("per_page").unwrap_or(20).clamp(1, 60);
    let from = (asked.number("page").unwrap_or(1).max(1) - 1) * size;
    ok(json!({ "data": slice(rows, from, size), "meta": { "total": rows.len() } }))
}

fn nested_offsets(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let (from, size) = (asked.number("startIdx").unwrap_or(0), asked.number("maxResults").unwrap_or(15).min(40));
    let records: Vec<Value> = slice(rows, from, size)
        .into_iter()
        .map(|row| json!({ "id": row["id"], "attributes": { "sku": format!("S-{:08}", id(&row)), "kind": row["kind"] } }))
        .collect();
    ok(json!({ "response": { "status": "ok", "result": { "records": records } } }))
}

/// Answers with items of which seventeen share each time. Their order changes with each request.
fn unsteady_ties(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let mut rows = rows.to_vec();
    static CALLS: AtomicU64 = AtomicU64::new(1);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let time = |row: &Value| row["occurred_at"].as_str().unwrap_or_default().to_owned();
    let is_ascending = asked.text("sort").is_some_and(|sort| sort == "occurred_at");
    if is_ascending {
        rows.sort_by_key(|row| (time(row), scatter(id(row) ^ call << 24)));
    } else {
        rows.sort_by_key(|row| (Reverse(time(row)), scatter(id(row) ^ call << 24)));
    }
    let size = asked.number("size").unwrap_or(20).min(100);
    let from = asked.number("page").unwrap_or(0) * size;
    ok(json!({ "content": slice(&rows, from, size), "totalElements": rows.len() }))
}

fn page_tokens(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let after =
        asked.text("pageToken").and_then(|token| token.strip_prefix("after-")?.parse::<u64>().ok()).unwrap_or(0);
    let size = asked.number("pageSize").unwrap_or(20).min(50);
    let rest: Vec<Value> = rows.iter().filter(|row| id(row) > after).cloned().collect();
    let page = slice(&rest, 0, size);
    let next = page.last().filter(|_| rest.len() > size).map(|last| format!("after-{}", id(last)));
    ok(json!({ "results": page, "nextPageToken": next }))
}

fn bare_with_links(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let mut rows = rows.to_vec();
    rows.reverse();
    let (page, size) = (asked.number("page").unwrap_or(1).max(1), asked.number("per_page").unwrap_or(30).min(100));
    let link = format!("<http://scm.internal/api/items?page={}&per_page={size}>; rel=\"next\"", page + 1);
    let headers = if page * size < rows.len() { vec![("Link", link)] } else { Vec::new() };
    ("200 OK", headers, json!(slice(&rows, (page - 1) * size, size)))
}

fn search(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    if asked.body["filters"]["lang"] != "de" {
        return ("400 Bad Request", Vec::new(), json!({ "error": "filters.lang" }));
    }
    let number =
        |place: &str| asked.body.pointer(place).and_then(Value::as_u64).and_then(|own| usize::try_from(own).ok());
    let size = number("/page/size").unwrap_or(10).min(50);
    let from = (number("/page/number").unwrap_or(1).max(1) - 1) * size;
    ok(json!({ "hits": slice(rows, from, size), "count": rows.len() }))
}

fn with_a_key(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    if asked.exchange.request.header("x-api-key") != Some("k1") {
        return ("401 Unauthorized", Vec::new(), json!({ "error": "key" }));
    }
    let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
    ok(json!({ "items": slice(rows, from, size), "total": rows.len(), "limit": size, "offset": from }))
}

/// A key in the URL becomes a part of the dialect. Nobody else can read the file, and `check` warns of it.
#[test]
fn a_key_in_the_url_is_warned_of() {
    let rows = Rows::new(60);
    let upstream = serve(&rows, |asked, rows| match asked.text("api_key").as_deref() {
        Some("canary-4711") => {
            let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
            ok(json!({ "items": slice(rows, from, size), "total": rows.len() }))
        }
        _ => ("401 Unauthorized", Vec::new(), json!({ "error": "key" })),
    });
    let directory = Directory::new();
    let file = directory.file("learnt.toml");
    let url = format!("http://{}/api/items?limit=10&offset=0&sort_key=id&api_key=canary-4711", upstream.address);
    let output = command().args(["learn", &url, "--delay", "0", "--out"]).arg(&file).output().expect("it starts");
    assert_eq!(std::fs::metadata(&file).expect("it was written").permissions().mode() & 0o777, 0o600);
    assert!(output.status.success(), "{output:?}");
    let checked = command().env("CURSORGATE_KEY", KEY).arg("check").arg(&file).output().expect("it starts");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("this api_key for every client") && !said.contains("this sort_key"), "{said}");
    assert!(!said.contains("canary-4711"), "{said}");
}

#[test]
fn seven_undescribed_services_are_learnt_and_walked() {
    let search_body = || json!({ "filters": { "lang": "de" } });
    let by_post = How { body: Some(search_body), ..How::default() };
    let with_key = How { headers: &[("X-Api-Key", "k1")], ..How::default() };
    let body = r#"{"filters":{"lang":"de"},"page":{"number":1,"size":10}}"#;
    let services: [(&str, Family, &[&str], How, &str); 7] = [
        ("pages and a total", page_and_total, &[], How::default(), "exact"),
        ("offsets, deep in the answer", nested_offsets, &[], How::default(), "exact"),
        ("times that many share", unsteady_ties, &[], How::default(), "exact"),
        ("tokens", page_tokens, &[], How::default(), "checked"),
        ("a bare array with links", bare_with_links, &[], How::default(), "exact"),
        ("a search by POST", search, &["--body", body], by_post, "exact"),
        ("a key in a header", with_a_key, &["--header", "X-Api-Key: k1"], with_key, "exact"),
    ];
    for (name, family, arguments, how, level) in services {
        let levels = hold(name, family, arguments, how);
        assert!(levels.contains(level), "{name}: {levels:?}");
    }
}

/// The commands that `learn` prints for a list by POST repeat its body, and the first page has the mark.
#[test]
fn the_printed_first_page_of_a_search_is_a_page() {
    let rows = Rows::new(240);
    let upstream = serve(&rows, search);
    let body = r#"{"filters":{"lang":"de"},"page":{"number":1,"size":10}}"#;
    let (text, said) = learn(&format!("http://{}/api/items", upstream.address), &["--body", body]);
    let live = said.lines().find(|line| line.contains("cursorgate check --live")).expect("a command");
    assert!(live.ends_with(&format!(" --body '{body}'")), "{live}");
    // Without the other members of the body, the service refuses, and the report names the option that gives them.
    let (passes, report) = check_live(&text, &[]);
    assert!(!passes && report.contains("does it take this body? --body '{…}' gives its other members"), "{report}");
    let (passes, report) = check_live(&text, &["--body", body]);
    assert!(passes, "{report}");
    let curl = said.lines().find(|line| line.trim_start().starts_with("curl ")).expect(&said);
    let first = curl.split(" --data '").nth(1).and_then(|rest| rest.strip_suffix('\'')).expect(curl);
    assert!(curl.contains("/api/items' --header 'Content-Type: application/json' --data"), "{curl}");
    let gateway = Gateway::start_as_written(&text);
    let page = gateway.send("POST", "/api/items", &[("Content-Type", "application/json")], first.as_bytes());
    assert!(page.status == 200 && page.header("cursorgate-level").is_some(), "{curl}: {page:?}");
    assert_eq!(page.json()["data"].as_array().map(Vec::len), Some(10), "the size of the given body is the limit");
}

/// Answers as a batch service: the size and the token are in `payload`.
fn batch(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let payload = &asked.body["payload"];
    let size = payload["page_size"].as_u64().and_then(|size| usize::try_from(size).ok()).unwrap_or(10).min(100);
    let from: usize = payload["cursor"].as_str().and_then(|token| token.strip_prefix("c-")?.parse().ok()).unwrap_or(0);
    let next = (from + size < rows.len()).then(|| format!("c-{}", from + size));
    ok(json!({ "response": { "next_cursor": next, "rows": slice(rows, from, size) } }))
}

/// The answer shows the name of the token, and the body the place where it belongs.
#[test]
fn a_token_beside_the_size_of_a_body_is_learnt() {
    let rows = Rows::new(60);
    let upstream = serve(&rows, batch);
    let (text, _) = learn(
        &format!("http://{}/api/items", upstream.address),
        &["--body", r#"{"requester":"planner","payload":{"page_size":10}}"#],
    );
    assert!(text.contains(r#"body = { payload = { cursor = "{token}", page_size = "{size}" } }"#), "{text}");
}

/// Sorts by a pair of parameters, of which the last counts, and ignores all other names of such parameters.
fn by_field_and_order(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let mut rows = rows.to_vec();
    let query = asked.exchange.request.target.split_once('?').unwrap_or_default().1.to_owned();
    let last = |name: &str| {
        let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        values.next_back().map(str::to_owned)
    };
    if let Some(field) = last("sortField") {
        rows.sort_by(|left, right| left[&field].to_string().cmp(&right[&field].to_string()));
        if field == "id" {
            rows.sort_by_key(id);
        }
        if last("sortOrder").is_some_and(|order| order == "desc") {
            rows.reverse();
        }
    }
    let (page, size) = (asked.number("page").unwrap_or(1).max(1), asked.number("pageSize").unwrap_or(20).min(100));
    ok(json!({ "data": slice(&rows, (page - 1) * size, size), "total": rows.len() }))
}

/// A sort is learnt as a pair of parameters, and clients sort by the route's own parameter or by the pair.
#[test]
fn a_field_and_an_order_in_two_parameters_are_learnt() {
    let rows = Rows::new(240);
    let upstream = serve(&rows, by_field_and_order);
    let (text, said) = learn(&format!("http://{}/api/items", upstream.address), &[]);
    assert!(text.contains("sortField={field}&sortOrder={direction}"), "{said}\n{text}");
    assert!(text.contains("max_keys = 1"), "the last pair alone counts: {said}\n{text}");
    let gateway = Gateway::start_as_written(&text);
    for query in ["sort=-id", "sortField=id&sortOrder=desc"] {
        let page = gateway.get(&format!("/api/items?cursor=start&limit=3&{query}"));
        let found: Vec<u64> = page.json()["data"].as_array().expect("items").iter().map(id).collect();
        assert_eq!(found, [2_400, 2_390, 2_380], "{query}: {page:?}\n{text}");
    }
    // An old client's own sort passes.
    let old = gateway.get("/api/items?sortField=id&sortOrder=desc&pageSize=2");
    assert_eq!((old.json()["total"].as_u64(), id(&old.json()["data"][0])), (Some(240), 2_400), "{old:?}");
}

/// Answers from after two values on, and refuses one of them without the other. The items are in the order of their
/// ids.
fn after_two_values(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let from = match (asked.number("lastId"), asked.text("lastOccurredAt")) {
        (Some(last), Some(_)) => rows.iter().take_while(|row| id(row) <= last as u64).count(),
        (None, None) => 0,
        _ => return ("400 Bad Request", Vec::new(), json!({ "error": "lastId and lastOccurredAt belong together" })),
    };
    let page = slice(rows, from, asked.number("limit").unwrap_or(20).min(50));
    let last = page.last().filter(|_| from + page.len() < rows.len());
    let next = last.map(|row| json!({ "lastId": row["id"], "lastOccurredAt": row["occurred_at"] }));
    ok(json!({ "data": page, "nextCursor": next }))
}

/// If an answer has several values that lead on only together, `learn` writes that they are sent together.
#[test]
fn values_that_lead_on_only_together_are_learnt_and_walked() {
    hold("two values together", after_two_values, &[], How::default());
    // The values may have other names in answers than in requests.
    let rows = Rows::new(120);
    let upstream = serve(&rows, |asked, rows| {
        let (status, headers, mut body) = after_two_values(asked, rows);
        if let Some(next) = body["nextCursor"].as_object().cloned() {
            body["nextCursor"] = json!({ "id": next["lastId"], "at": next["lastOccurredAt"] });
        }
        (status, headers, body)
    });
    let gateway = Gateway::start(&format!(
        "[upstreams.service]\npeers = [\"{}\"]\n[routes.items]\npath = \"/api/items\"\nupstream = \"service\"\n\
         dialect = \"own\"\norder = [\"id\"]\nfields = {{ id = {{ type = \"number\" }} }}\nold_clients = \"pass\"\n\
         [dialects.own]\nrequest = {{ query = \"limit={{size}}\" }}\nsize = {{ max = 50 }}\n\
         response = {{ items = \"/data\", next_params = \"/nextCursor\", \
         param_names = {{ id = \"lastId\", at = \"lastOccurredAt\" }} }}\n",
        upstream.address
    ));
    walk(&gateway, &rows, &How::default(), "two values under other names");
    let old = "/api/items?lastId=70&limit=3";
    let direct = http::send(upstream.address, "GET", old, &[], b"");
    let through = gateway.get(old);
    assert_eq!((through.status, through.text()), (400, direct.text()), "an old client's request passes");
}

/// Records pages 1 to 11 in an HTTP archive, and pages 12 and 13 in a file of exchanges, in the same folder.
fn record(directory: &Directory, address: &str, rows: &[Value]) {
    let body = |page: usize| json!({ "data": slice(rows, (page - 1) * 20, 20), "meta": { "total": rows.len() } });
    let query = |page: usize| format!("page={page}&per_page=20");
    let entry = |page: usize| {
        let url = format!("http://{address}/api/items?{}", query(page));
        let headers = json!([{ "name": "X-Api-Key", "value": "secret" }]);
        let content = json!({ "text": BASE64_STANDARD.encode(body(page).to_string()), "encoding": "base64" });
        let answer = json!({ "status": 200, "headers": [], "content": content });
        json!({ "time": 3, "request": { "method": "GET", "url": url, "headers": headers }, "response": answer })
    };
    let entries: Vec<Value> = (1..=11).map(entry).collect();
    let archive = json!({ "log": { "version": "1.2", "entries": entries } });
    std::fs::write(directory.file("pages.har"), archive.to_string()).expect("it is written");
    let exchange = |page: usize| {
        let (query, body) = (query(page), body(page));
        format!(
            "[[exchange]]\nname = \"page {page}\"\npage = {}\nsize = 20\nlist = \"/api/items\"\nquery = {query:?}\n\
             [exchange.answer]\nstatus = 200\nbody = '''{body}'''\n",
            page - 1
        )
    };
    std::fs::write(directory.file("last.toml"), exchange(12) + &exchange(13)).expect("it is written");
}

#[test]
fn a_recorded_list_is_learnt_without_a_connection_and_served() {
    let (rows, directory) = (Rows::new(240), Directory::new());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    record(&directory, &address, &rows.locked());
    let folder = directory.file("pages.har").parent().expect("it is in a folder").to_owned();
    let recorded = ["--recorded", folder.to_str().expect("UTF-8")];
    let (text, said) = learn(&format!("http://{address}/api/items"), &recorded);
    listener.set_nonblocking(true).expect("it can be");
    assert_eq!(listener.accept().expect_err("nothing is sent").kind(), io::ErrorKind::WouldBlock);
    assert!(said.contains("page, the first page is 1") && said.contains("an empty list"), "{said}");
    assert!(said.contains("not recorded") && said.contains("x-api-key") && !said.contains("secret"), "{said}");
    assert!(!text.contains("secret"), "{text}");
    assert!(said.contains("  cursorgate check ") && !said.contains("cursorgate walk"), "{said}");

    let upstream = serve(&rows, page_and_total);
    let gateway = Gateway::start_as_written(&text.replace(&address, &upstream.address.to_string()));
    let how = How { headers: &[("X-Api-Key", "k1")], ..How::default() };
    assert!(walk(&gateway, &rows, &how, "a recording").contains("exact"));
}

fn fixed_pages(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let from = (asked.number("p").unwrap_or(1).max(1) - 1) * 25;
    ok(json!({ "rows": slice(rows, from, 25), "pages": rows.len().div_ceil(25), "total": rows.len() }))
}

fn strict(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let names = asked.exchange.request.query().split('&').filter_map(|pair| pair.split_once('=')).map(|(name, _)| name);
    if let Some(name) = names.into_iter().find(|name| !["offset", "limit"].contains(name)) {
        return ("400 Bad Request", Vec::new(), json!({ "message": format!("unknown parameter {name}") }));
    }
    let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20));
    if size > 50 {
        return ("422 Unprocessable Content", Vec::new(), json!({ "message": "limit may be at most 50" }));
    }
    ok(json!({ "data": slice(rows, from, size), "has_more": from + size < rows.len() }))
}

fn after_an_item(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let after = asked.number("starting_after").unwrap_or(0) as u64;
    let size = asked.number("limit").unwrap_or(10).min(100);
    let rest: Vec<Value> = rows.iter().filter(|row| id(row) > after).cloned().collect();
    ok(json!({ "object": "list", "has_more": rest.len() > size, "data": slice(&rest, 0, size) }))
}

fn whole_list(_: &Asked<'_>, rows: &[Value]) -> Reply {
    ok(json!(rows))
}

fn last_page_again(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("_per_page").unwrap_or(10).max(1);
    let pages = rows.len().div_ceil(size).max(1);
    let page = asked.number("_page").unwrap_or(1).clamp(1, pages);
    let next = (page < pages).then_some(page + 1);
    ok(
        json!({ "first": 1, "next": next, "pages": pages, "items": rows.len(), "data": slice(rows, (page - 1) * size, size) }),
    )
}

fn not_found_past_the_end(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("page_size").unwrap_or(25).clamp(1, 90);
    let page = asked.number("page").unwrap_or(1);
    let from = page.saturating_sub(1) * size;
    if page == 0 || from >= rows.len() {
        return ("404 Not Found", Vec::new(), json!({ "detail": "Invalid page." }));
    }
    let next = (from + size < rows.len()).then(|| format!("http://django.internal/api/items/?page={}", page + 1));
    ok(json!({ "count": rows.len(), "next": next, "previous": null, "results": slice(rows, from, size) }))
}

fn few_sizes(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let size = asked.number("limit").filter(|size| [10, 25, 50].contains(size)).unwrap_or(25);
    let from = asked.number("offset").unwrap_or(0);
    ok(json!({ "data": slice(rows, from, size), "limit": size, "offset": from, "total": rows.len() }))
}

fn without_case(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| (row["name"].as_str().unwrap_or_default().to_lowercase(), id(row)));
    let (from, size) = (asked.number("skip").unwrap_or(0), asked.number("top").unwrap_or(20).min(100));
    ok(json!({ "value": slice(&rows, from, size), "count": rows.len() }))
}

fn by_rank(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| (["low", "normal", "high"].iter().position(|kind| row["kind"] == *kind), id(row)));
    let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
    ok(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
}

fn from_one(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let from = asked.number("page[number]").unwrap_or(1).max(1);
    let size = asked.number("page[size]").unwrap_or(20).min(100);
    let data: Vec<Value> = slice(rows, (from - 1) * size, size)
        .into_iter()
        .map(|row| json!({ "type": "thing", "id": row["id"], "attributes": { "name": row["name"] } }))
        .collect();
    ok(json!({ "data": data, "meta": { "total-count": rows.len() } }))
}

fn in_no_order(asked: &Asked<'_>, rows: &[Value]) -> Reply {
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| scatter(id(row) * 31));
    let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
    ok(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
}

#[test]
fn families_of_lists_are_learnt_and_walked_while_they_change() {
    let families: [(&str, Family, &[&str]); 12] = [
        ("fixed pages", fixed_pages, &["exact", "checked"]),
        ("strict", strict, &["exact"]),
        ("after an item", after_an_item, &["exact", "checked", "anchored"]),
        ("whole list", whole_list, &["checked"]),
        ("last page again", last_page_again, &["exact", "checked"]),
        ("404 past the end", not_found_past_the_end, &["exact"]),
        ("few sizes", few_sizes, &["exact", "checked"]),
        ("without regard to case", without_case, &["anchored"]),
        ("by rank", by_rank, &["exact"]),
        ("from one, in brackets", from_one, &["exact"]),
        ("in no order", in_no_order, &["anchored"]),
        ("pages and a total", page_and_total, &["exact"]),
    ];
    for (name, family, allowed) in families {
        let levels = hold(name, family, &[], How::default());
        let others: Vec<&String> = levels.iter().filter(|level| !allowed.contains(&level.as_str())).collect();
        assert!(others.is_empty(), "{name}: {others:?}");
    }
}

#[test]
fn third_party_servers_are_learnt_and_walked() {
    for kind in [Kind::JsonServer, Kind::Django] {
        let upstream = ThirdParty::start(kind);
        let path = kind.users();
        let (text, said) = learn(&format!("http://{}{path}", upstream.address), &[]);
        let gateway = Gateway::start_as_written(&text);
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..200 {
            let answer = page(&gateway, path.trim_end_matches('/'), 50, cursor.as_deref(), &How::default());
            assert_eq!(answer.status, 200, "{kind:?}: {answer:?}\n{text}");
            let body = answer.json();
            seen.extend(body["data"].as_array().expect("items").iter().map(id));
            cursor = body["pagination"]["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
            assert_eq!(answer.header("cursorgate-level"), Some("exact"), "{kind:?}: {said}");
        }
        let distinct: HashSet<u64> = seen.iter().copied().collect();
        assert_eq!((seen.len(), distinct.len()), (1_003, 1_003), "{kind:?}");
    }
}

/// Forty items in any order share each time, which is returned in milliseconds and sorted by microseconds.
#[test]
fn a_service_on_postgresql_is_learnt_and_walked() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/upstreams/postgres/service.py");
    let (mut child, input, address) = launch(Command::new(python()).arg(source).args(["--rows", "2400"]));
    let (text, said) = learn(&format!("http://{address}/items"), &[]);
    let gateway = Gateway::start_as_written(&text);
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..200 {
        let answer = page(&gateway, "/items", 60, cursor.as_deref(), &How::default());
        assert_eq!(answer.status, 200, "{answer:?}\n{said}\n{text}");
        let body = answer.json();
        seen.extend(body["data"].as_array().expect("items").iter().map(id));
        cursor = body["pagination"]["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
        // A row is added at the beginning of the list, which shifts each later page.
        let change = json!([["insert", "2027-01-01 00:00:00+00"]]).to_string();
        assert_eq!(http::send(address, "POST", "/changes", &[], change.as_bytes()).status, 200);
    }
    let distinct: HashSet<u64> = seen.iter().copied().collect();
    assert_eq!((seen.len(), distinct.len()), (2_400, 2_400), "{said}\n{text}");
    drop((gateway, input));
    // The service drops its database when its standard input ends, so the test waits for it.
    let _ = child.wait();
}

#[test]
fn requests_only_read_and_urls_that_cannot_be_learnt_are_reported() {
    let rows = Rows::new(40);
    let upstream = serve(&rows, page_and_total);
    let address: SocketAddr = upstream.address;
    let (text, said) = learn(&format!("http://{address}/api/items"), &[]);
    assert!(upstream.requests().iter().all(only_reads));
    // The list is learnt by at most 40 requests. The comparison of old requests sends each twice, or three times.
    assert!(upstream.count() <= 300, "{}", upstream.count());
    assert!(said.contains("links to another host") && said.contains("other.example"), "{said}");
    assert!(text.contains("# - page parameter: page, the first page is 1 (shown: "), "{text}");
    for (url, expected) in [
        (format!("http://{address}/nothing"), "the upstream answers 404"),
        ("http://127.0.0.1:9/api".to_owned(), "the upstream gives no answer"),
        ("ftp://x/y".to_owned(), "begin with http://"),
    ] {
        let output = command().args(["learn", &url, "--delay", "0"]).output().expect("the binary starts");
        let fault = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && fault.contains(expected), "{url}: {fault}");
    }
}

fn only_reads(request: &crate::harness::upstream::Request) -> bool {
    ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str())
}

/// Checks a configuration against its upstreams. Returns whether it passes, and the report.
fn check_live(text: &str, more: &[&str]) -> (bool, String) {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    std::fs::write(&file, text).expect("a file in the test's directory");
    let mut command = command();
    command.arg("check").arg(&file).args(["--live", "--delay", "0"]).args(more);
    let output = command.env("CURSORGATE_KEY", KEY).output().expect("the binary starts");
    let report = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&report).into_owned())
}

#[test]
fn a_learnt_configuration_passes_the_live_check_and_a_changed_one_fails() {
    let rows = Rows::new(240);
    let services: [(&str, Family, &[&str], &[&str]); 6] = [
        ("pages and a total", page_and_total, &[], &[]),
        ("offsets, deep in the answer", nested_offsets, &[], &[]),
        ("times that many share", unsteady_ties, &[], &[]),
        ("tokens", page_tokens, &[], &[]),
        ("404 past the end", not_found_past_the_end, &[], &[]),
        ("a key in a header", with_a_key, &["--header", "X-Api-Key: k1"], &["--header", "X-Api-Key: k1"]),
    ];
    for (name, family, learning, checking) in services {
        let upstream = serve(&rows, family);
        let (text, _) = learn(&format!("http://{}/api/items", upstream.address), learning);
        let before = upstream.count();
        let (is_good, report) = check_live(&text, checking);
        assert!(is_good && report.contains("looks as configured"), "{name}: {report}\n{text}");
        assert!((1..=300).contains(&(upstream.count() - before)), "{name}");
        assert!(upstream.requests().iter().all(only_reads), "{name}");
    }
    let upstream = serve(&rows, page_and_total);
    let (text, _) = learn(&format!("http://{}/api/items", upstream.address), &[]);
    for (right, wrong, key) in [
        ("per_page={size}", "page_size={size}", "write \"per_page\" for \"page_size\""),
        ("page={page}", "p={page}", "\"page={page}\" for \"p\""),
        ("/meta/total", "/meta/totals", "response.total = \"/meta/total\""),
        ("items = \"/data\"", "items = \"/rows\"", "response.items = \"/data\""),
        ("\"id\"]", "\"nr\", \"id\"]", "their members are"),
    ] {
        let (is_good, report) = check_live(&text.replace(right, wrong), &[]);
        assert!(!is_good && report.contains(key), "{wrong}: {report}\n{text}");
    }
    // A built-in dialect can't be changed, so the help proposes a dialect that extends it.
    let name = text.lines().find_map(|line| line.strip_prefix("dialect = ")).expect("a dialect");
    let (is_good, report) = check_live(&text.replace(&format!("dialect = {name}"), "dialect = \"drf-page\""), &[]);
    assert!(!is_good && report.contains("] with extends = \"drf-page\""), "{report}\n{text}");
    drop(upstream);
    let (is_good, report) = check_live(&text, &[]);
    assert!(!is_good && report.contains("the upstream gives no answer"), "{report}");
}
