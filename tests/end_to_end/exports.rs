//! Tests of exports: whole lists as files, written by jobs that survive a restart of the gateway, belong to a single
//! client, and end in time.

mod bulk_keys;
mod million;
mod object_server;
mod objects;
mod parts;
pub(crate) mod place;
pub(crate) mod postgres_server;
mod shared;
mod survival;

use std::{
    collections::HashSet,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use self::place::{Place, over_each_store};
use crate::{
    harness::{
        Directory, PATIENCE, eventually,
        gateway::{Gateway, command, free_port},
        http::{self, Response},
        list::{PLAIN, Setup, body, serve, users},
        metric,
        rows::{self, Rows},
        upstream::{After, Exchange, Gate, Upstream},
    },
    openapi,
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const ONE: (&str, &str) = ("Authorization", "Bearer one");
const TWO: (&str, &str) = ("Authorization", "Bearer two");
/// A token of operators.
const TOKEN: &str = "an-admin-token-of-32-characters!";
/// A credential for upstreams whose rows depend on `Authorization`.
const KEY: (&str, &str) = ("X-Api-Key", "one");

over_each_store!(
    an_export_has_every_item_in_each_form,
    a_result_is_read_in_parts,
    an_export_is_that_of_its_client,
    credentials_that_expire_end_the_export,
    a_page_is_tried_again_and_not_for_ever,
    a_failed_export_is_resumed,
    an_export_is_begun_once_for_a_key,
    an_export_can_be_cancelled_and_removed,
    unfinished_exports_are_limited,
    finished_exports_are_kept_up_to_a_number_and_a_size,
    each_end_is_counted_however_few_jobs_are_kept,
);

/// Starts a gateway with exports. `exports` contains lines for the table `[services.exports]`.
fn start(upstream: &Upstream, place: &Place, exports: &str) -> Gateway {
    let table = place.table(exports);
    Gateway::start(&format!("{}{table}", PLAIN.configuration(upstream.address)))
}

fn begin(gateway: &Gateway, target: &str, headers: &[(&str, &str)], order: &Value) -> Response {
    gateway.send("POST", target, &[headers, &[JSON]].concat(), order.to_string().as_bytes())
}

/// Starts an export. A database under load may be late with its answer.
fn accepted(gateway: &Gateway, target: &str, headers: &[(&str, &str)], order: &Value) -> Response {
    let answer = eventually("an export", || {
        Some(begin(gateway, target, headers, order)).filter(|answer| answer.outcome() != "503 store_unavailable")
    });
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer
}

/// Starts an export and returns the path of its status.
fn begun(gateway: &Gateway, target: &str, headers: &[(&str, &str)], order: &Value) -> String {
    accepted(gateway, target, headers, order).header("location").expect("a location").to_owned()
}

fn status(gateway: &Gateway, job: &str, headers: &[(&str, &str)]) -> Value {
    // A database under load may be late with its answer.
    let answer = eventually("the state of the export", || {
        Some(gateway.send("GET", job, headers, b"")).filter(|answer| answer.status != 503)
    });
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

/// Waits for the end of a job and returns the document with its status.
fn finished(gateway: &Gateway, job: &str, headers: &[(&str, &str)]) -> Value {
    eventually("the end of the export", || {
        let answer = gateway.send("GET", job, headers, b"");
        // Requests for the state have a limit, too.
        if [429, 503].contains(&answer.status) {
            return None;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        Some(answer.json()).filter(|document| document["finishedAt"].is_string())
    })
}

fn result(gateway: &Gateway, job: &str, headers: &[(&str, &str)]) -> Response {
    gateway.send("GET", &format!("{job}/result"), headers, b"")
}

/// Waits for the end of a job, and checks that its result has exactly these items.
fn completed(gateway: &Gateway, job: &str, items: &[String]) {
    let document = finished(gateway, job, &[ONE]);
    assert_eq!((&document["state"], &document["items"]), (&json!("completed"), &json!(items.len())), "{document}");
    assert!(result(gateway, job, &[ONE]).text() == items.join("\n") + "\n");
}

/// Returns whether any file in a directory or its subdirectories contains a text.
fn holds(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).expect("a directory").any(|entry| {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => holds(&path, text),
            false => std::fs::read(&path).expect("a file").windows(text.len()).any(|part| part == text.as_bytes()),
        }
    })
}

/// Permits for answers of the upstream (a semaphore): each answer waits for a permit and uses it up.
#[derive(Clone, Default)]
struct Permits(Arc<(Mutex<usize>, Condvar)>, Arc<Mutex<HashSet<String>>>);

impl Permits {
    fn give(&self, count: usize) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) += count;
        self.0.1.notify_all();
    }

    fn left(&self) -> usize {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) {
        let permits = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(permits, PATIENCE, |permits| *permits == 0);
        let (mut permits, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *permits = permits.saturating_sub(1);
    }

    /// Takes a permit for a request. A request that comes again, because its page couldn't be stored at first, takes no
    /// further one.
    fn take_once(&self, target: &str) {
        if self.1.lock().unwrap_or_else(PoisonError::into_inner).insert(target.to_owned()) {
            self.take();
        }
    }
}

fn an_export_has_every_item_in_each_form(place: &Place) {
    let items = users(1_003);
    let expected = items.clone();
    let upstream = Upstream::start(move |exchange| {
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let gateway = start(&upstream, place, "");
    let lines = expected.join("\n") + "\n";
    let rows: Vec<String> = (1..=1_003).map(|id| format!("{id},user {id}\r\n")).collect();
    let table = format!("id,name\r\n{}", rows.concat());
    let array = format!("[\n{}\n]\n", expected.join(",\n"));
    for (format, whole, kind) in [
        ("ndjson", &lines, "application/x-ndjson"),
        ("csv", &table, "text/csv; charset=utf-8; header=present"),
        ("json", &array, "application/json"),
    ] {
        for (compression, ending, compressed) in
            [("none", "", kind), ("gzip", ".gz", "application/gzip"), ("zstd", ".zst", "application/zstd")]
        {
            let order = json!({ "format": format, "compression": compression });
            let answer = accepted(&gateway, "/users/exports", &[ONE], &order);
            assert_eq!(answer.header("retry-after"), Some("2"), "{}", answer.text());
            let job = answer.header("location").expect("a location").to_owned();
            assert_eq!(answer.json()["statusUrl"], job.as_str());
            let document = finished(&gateway, &job, &[ONE]);
            let facts =
                ["state", "items", "total", "format", "compression", "level", "resultUrl"].map(|name| &document[name]);
            let url = json!(format!("{job}/result"));
            let expected = [
                &json!("completed"),
                &json!(1_003),
                &json!(1_003),
                &json!(format),
                &json!(compression),
                &json!("exact"),
                &url,
            ];
            assert_eq!(facts, expected, "{document}");
            let closing = &document["closing"];
            let worth =
                ["complete", "totalBefore", "totalAfter", "totalChanged", "unprovenPages"].map(|name| &closing[name]);
            assert_eq!(worth, [&json!(true), &json!(1_003), &json!(1_003), &json!(false), &json!(0)]);
            let file = result(&gateway, &job, &[ONE]);
            assert_eq!((file.status, file.header("content-type")), (200, Some(compressed)));
            let name = file.header("content-disposition").expect("a name");
            assert!(
                name.starts_with("attachment; filename=\"users-") && name.ends_with(&format!(".{format}{ending}\"")),
                "{name}"
            );
            assert_eq!(document["bytes"], file.body.len());
            let mut text = String::new();
            match compression {
                "gzip" => flate2::read::MultiGzDecoder::new(&file.body[..]).read_to_string(&mut text),
                "zstd" => zstd::Decoder::new(&file.body[..]).expect("zstd").read_to_string(&mut text),
                _ => (&file.body[..]).read_to_string(&mut text),
            }
            .expect("it can be read");
            assert!(text == *whole, "{format} {compression}: {text:.200}");
        }
    }
    assert!(metric(&gateway, "cursorgate_requests_total{route=\"\",outcome=\"exports\",status=\"2xx\"}") > 18);
    let pages = gateway.access_log().iter().filter(|line| line["route"] == "users" && line["status"] == 200).count();
    // Each page has its line, as the request before the first one and the closing check have. If a database is late, a
    // request is repeated.
    let (expected, is_late) = (9 * (6 + 2), matches!(place, Place::Postgres(_)));
    assert!(pages == expected || is_late && pages > expected, "{pages}");
}

#[test]
fn an_export_has_the_query_parameters_of_its_list() {
    let rows = Rows::count(40);
    let upstream = Upstream::start(move |exchange| rows.answer(exchange));
    let place = Place::directory();
    let route = format!("{}\npage_size = {{ default = 3, max = 7 }}", rows::BY_SCORE);
    let configuration = rows::configuration(upstream.address, rows::BY_OFFSET, &route);
    let gateway = Gateway::start(&format!("{configuration}{}", place.table("")));
    let order = json!({ "format": "csv", "columns": ["id", "none"] });
    let job = begun(&gateway, "/users/exports?sort=id&parity=1", &[KEY], &order);
    let document = finished(&gateway, &job, &[KEY]);
    assert_eq!((&document["items"], &document["query"]), (&json!(20), &json!("sort=id&parity=1")));
    assert_eq!(document["closing"]["omittedMembers"], 40, "two members of each have no column");
    let expected: String = (1..=39).step_by(2).map(|id| format!("{id},\r\n")).collect();
    assert_eq!(result(&gateway, &job, &[KEY]).text(), format!("id,none\r\n{expected}"));
    for (target, order, outcome) in [
        ("/users/exports?sort=nothing", json!({}), "400 sort_invalid"),
        ("/users/exports?limit=5", json!({}), "400 parameter_invalid"),
        ("/users/exports?cursor=abc", json!({}), "400 parameter_invalid"),
        ("/users/exports?offset=5", json!({}), "400 parameter_invalid"),
        ("/users/exports", json!({ "format": "xml" }), "400 body_invalid"),
        ("/users/exports", json!({ "columns": ["id"] }), "400 body_invalid"),
        ("/users/exports", json!([]), "400 body_invalid"),
    ] {
        assert_eq!(begin(&gateway, target, &[KEY], &order).outcome(), outcome, "{target} {order}");
    }
    assert_eq!(
        gateway.send("GET", "/users/exports", &[KEY], b"").json()["exports"].as_array().map(Vec::len),
        Some(1),
        "no refusal is a job"
    );
}

fn a_result_is_read_in_parts(place: &Place) {
    let upstream = Upstream::start(serve(users(30)));
    let gateway = start(&upstream, place, "");
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    finished(&gateway, &job, &[ONE]);
    let whole = result(&gateway, &job, &[ONE]);
    let (length, tag) = (whole.body.len(), whole.header("etag").expect("a tag").to_owned());
    assert!(tag.starts_with('"') && whole.header("accept-ranges") == Some("bytes"));
    let target = format!("{job}/result");
    let head = gateway.send("HEAD", &target, &[ONE], b"");
    assert_eq!((head.header("content-length"), head.body.len()), (Some(length.to_string().as_str()), 0));
    for range in ["bytes=0-9", &format!("bytes={length}-")] {
        let head = gateway.send("HEAD", &target, &[ONE, ("Range", range)], b"");
        let expected = Some(length.to_string());
        assert_eq!((head.status, head.header("content-length").map(str::to_owned)), (200, expected), "{range}");
    }
    for (range, from, to) in [("bytes=0-9", 0, 10), ("bytes=10-", 10, length), ("bytes=-5", length - 5, length)] {
        let part = gateway.send("GET", &target, &[ONE, ("Range", range), ("If-Range", &tag)], b"");
        let expected = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!((part.status, part.header("content-range")), (206, Some(expected.as_str())), "{range}");
        assert_eq!(part.body, whole.body[from..to], "{range}");
    }
    let other = gateway.send("GET", &target, &[ONE, ("Range", "bytes=0-9"), ("If-Range", "\"other\"")], b"");
    assert_eq!((other.status, other.body == whole.body), (200, true));
    let beyond = gateway.send("GET", &target, &[ONE, ("Range", &format!("bytes={length}-"))], b"");
    assert_eq!(beyond.outcome(), "416 range_unsatisfiable");
    assert_eq!(beyond.header("content-range"), Some(format!("bytes */{length}").as_str()));
    assert_eq!(gateway.send("GET", &target, &[ONE, ("If-None-Match", &tag)], b"").status, 304);
}

/// Other clients can't see, download or delete an export, and their own lists of exports don't contain it.
///
/// Row: A22
fn an_export_is_that_of_its_client(place: &Place) {
    let upstream = Upstream::start(serve(users(30)));
    let gateway = start(&upstream, place, "");
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    finished(&gateway, &job, &[ONE]);
    for headers in [
        &[TWO][..],
        &[],
        &[("Cookie", "session=one")],
        &[ONE, ("Cookie", "a=1")],
        &[ONE, ("X-User", "a")],
        &[ONE, ("Content-User", "a")],
    ] {
        for (method, target) in [("GET", job.clone()), ("DELETE", job.clone()), ("GET", format!("{job}/result"))] {
            let refused = gateway.send(method, &target, headers, b"");
            assert_eq!(refused.outcome(), "404 export_not_found", "{method} {target} {headers:?}");
        }
        let own = gateway.send("GET", "/users/exports", headers, b"").json();
        assert_eq!(own["exports"], json!([]), "{headers:?}");
    }
    let own = gateway.send("GET", "/users/exports", &[ONE, ("Traceparent", "1")], b"").json();
    assert_eq!(own["exports"].as_array().map(Vec::len), Some(1));
    assert_eq!(gateway.get(&format!("/users/exports/{}", "0".repeat(32))).outcome(), "404 export_not_found");
    // Older jobs are listed after a job of the client, not after one that is gone, or that is another client's.
    let newer = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    let (id, newer) = [&job, &newer].map(|job| job.rsplit('/').next().expect("an id").to_owned()).into();
    let older = |before: &str, headers: &[(&str, &str)]| {
        gateway.send("GET", &format!("/users/exports?before={before}"), headers, b"")
    };
    let exports = older(&newer, &[ONE]).json();
    assert_eq!((exports["exports"].as_array().map(Vec::len), &exports["exports"][0]["id"]), (Some(1), &json!(id)));
    for (before, headers) in [(newer.as_str(), TWO), ("gone", ONE)] {
        assert_eq!(older(before, &[headers]).outcome(), "404 export_not_found");
    }
    let reported = http::get(gateway.admin, &format!("/exports?before={newer}")).json();
    assert_eq!(reported["exports"][0]["id"], id);
    assert_eq!(http::get(gateway.admin, "/exports?before=gone").status, 400);
}

/// The OpenAPI description contains the paths of exports, and their answers conform to it.
#[test]
fn exports_are_described() {
    let upstream = Upstream::start(serve(users(30)));
    let place = Place::directory();
    let gateway = start(&upstream, &place, "");
    let order =
        json!({ "format": "csv", "compression": "none", "priority": "high", "columns": ["id"], "formulas": "escaped" });
    let begun = begin(&gateway, "/users/exports", &[ONE], &order);
    let job = begun.header("location").expect("a location").to_owned();
    let mut samples = vec![openapi::sample_of_post("/users/exports", &order, &begun, true)];
    finished(&gateway, &job, &[ONE]);
    for (path, target) in [("/users/exports", "/users/exports"), ("/users/exports/{exportId}", job.as_str())] {
        samples.push(openapi::sample(path, &gateway.send("GET", target, &[ONE], b""), true));
    }
    let document = openapi::described(&gateway.file("cursorgate.toml"));
    openapi::validate(&document, &samples);
    let described: Value = serde_json::from_str(&document).expect("JSON");
    assert!(described["paths"]["/users/exports/{exportId}/result"]["get"]["responses"]["206"].is_object());
}

/// The credentials of a job are sealed while it runs, and deleted with it.
///
/// Row: A24
#[test]
fn credentials_are_sealed_and_gone_with_the_job() {
    let permits = Permits::default();
    let (items, gate) = (users(30), permits.clone());
    let upstream = Upstream::start(move |exchange| {
        gate.take();
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let place = Place::directory();
    let setup = Setup { route: "parameters = { private = [\"api_key\"] }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("")));
    let Place::Directory(directory) = &place else { panic!("it is one") };
    // The first page is answered and the second page waits, so the job is running and needs its credentials.
    permits.give(1);
    let secret = ("Authorization", "Bearer canary-of-the-test");
    let job = begun(&gateway, "/users/exports?api_key=canary-in-the-query", &[secret], &json!({}));
    eventually("the first page is asked for", || (upstream.count() == 2).then_some(()));
    assert!(!holds(directory.path(), "canary"), "while it runs");
    permits.give(100);
    let own = format!("{job}?api_key=canary-in-the-query");
    assert_eq!(finished(&gateway, &own, &[secret])["state"], "completed");
    assert!(!holds(directory.path(), "canary"));
    for request in upstream.requests() {
        assert_eq!(request.header("authorization"), Some(secret.1));
        assert_eq!(request.parameter("api_key"), Some("canary-in-the-query"), "{}", request.target);
    }
    assert!(!gateway.log().iter().any(|line| line.contains("canary")));
    let mode = |name: &str| std::fs::metadata(directory.file(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("exports"), mode("exports/jobs.sqlite3")), (0o700, 0o600));
}

/// Starts an upstream with a list of 600 items. It answers the requests from number `from` up to, but not including,
/// number `until` with the status `answer`. Before the first of these, a request that comes again isn't counted: a database
/// under load may be late, and the page is read once more.
fn failing(from: usize, until: usize, answer: &'static str) -> (Upstream, Vec<String>) {
    let items = users(600);
    let (served, counted) = (items.clone(), Mutex::new((0, HashSet::new())));
    let upstream = Upstream::start(move |exchange: &mut Exchange| -> io::Result<After> {
        let is_failing = {
            let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
            let (count, answered) = &mut *counted;
            let comes_again = !answered.insert(exchange.request.target.clone());
            *count += usize::from(!comes_again || *count >= from);
            (from..until).contains(count)
        };
        if is_failing {
            return exchange.reply(answer, &[JSON], b"{}");
        }
        let page = body(exchange, &served);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    (upstream, items)
}

fn credentials_that_expire_end_the_export(place: &Place) {
    let (upstream, _) = failing(3, usize::MAX, "401 Unauthorized");
    let gateway = start(&upstream, place, "");
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    let document = finished(&gateway, &job, &[ONE]);
    assert_eq!((&document["state"], &document["error"]["code"]), (&json!("failed"), &json!("credentials_refused")));
    assert_eq!((&document["error"]["status"], &document["resultUrl"]), (&json!(401), &Value::Null));
    assert_eq!(result(&gateway, &job, &[ONE]).outcome(), "409 export_without_result");
    // A client without rights can't start an export.
    let refused = begin(&gateway, "/users/exports", &[TWO], &json!({}));
    assert_eq!(refused.status, 401, "{}", refused.text());
    assert_eq!(gateway.send("GET", "/users/exports", &[TWO], b"").json()["exports"], json!([]));
}

fn a_page_is_tried_again_and_not_for_ever(place: &Place) {
    let (upstream, items) = failing(3, 5, "500 Internal Server Error");
    let setup = Setup { upstream: "retries = { most = 0 }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("")));
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    assert_eq!(finished(&gateway, &job, &[ONE])["state"], "completed");
    assert_eq!(result(&gateway, &job, &[ONE]).text(), items.join("\n") + "\n");
    drop(gateway);

    let (upstream, _) = failing(3, usize::MAX, "500 Internal Server Error");
    let gateway =
        Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("retry_for = \"1s\"")));
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    let document = finished(&gateway, &job, &[ONE]);
    let facts = ["state", "items", "progress"].map(|name| &document[name]);
    assert_eq!(facts, [&json!("failed"), &json!(200), &json!(33)], "{document}");
    assert!(document["attempts"].as_u64().is_some_and(|attempts| attempts > 1), "{document}");
    assert_eq!(document["error"]["code"], "upstream_unavailable");
}

/// A failed export goes on after the pages that it has: its client resumes it, or an operator does.
fn a_failed_export_is_resumed(place: &Place) {
    let (items, works) = (users(600), Arc::new(AtomicBool::new(false)));
    let (served, is_up) = (items.clone(), Arc::clone(&works));
    let upstream = Upstream::start(move |exchange: &mut Exchange| -> io::Result<After> {
        if exchange.request.parameter("offset").is_some_and(|from| from != "0") && !is_up.load(Ordering::SeqCst) {
            return exchange.reply("500 Internal Server Error", &[JSON], b"{}");
        }
        let page = body(exchange, &served);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let setup = Setup { upstream: "retries = { most = 0 }", ..PLAIN };
    let text = format!("{}{}", setup.configuration(upstream.address), place.table("retry_for = \"0s\""));
    let gateway = Gateway::start(&text);
    let resume = |job: &str, client| gateway.send("POST", &format!("{job}/resume"), &[client], b"");
    let failed = || {
        works.store(false, Ordering::SeqCst);
        let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
        let document = finished(&gateway, &job, &[ONE]);
        assert_eq!((&document["state"], &document["attempts"]), (&json!("failed"), &json!(1)), "{document}");
        assert!(document["items"].as_u64().is_some_and(|items| (100..600).contains(&items)), "{document}");
        works.store(true, Ordering::SeqCst);
        job
    };
    let job = failed();
    assert_eq!(resume(&job, TWO).outcome(), "404 export_not_found");
    let before = upstream.count();
    // Some clients send a body that isn't needed, in a packet of its own.
    let resumed = {
        let (mut connection, before) = (gateway.connect(), upstream.count());
        let head = format!("POST {job}/resume HTTP/1.1\r\nHost: gateway.test\r\n{}: {}\r\n", ONE.0, ONE.1);
        connection.send(format!("{head}Content-Length: 2\r\n\r\n").as_bytes()).expect("a connection");
        for _ in 0..20 {
            // A gateway that doesn't wait for the body has asked the upstream by now.
            if upstream.count() == before {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        connection.send(b"{}").expect("a connection");
        connection.response("POST").expect("an answer")
    };
    assert_eq!((resumed.status, resumed.header("location")), (202, Some(job.as_str())), "{resumed:?}");
    completed(&gateway, &job, &items);
    let offsets: Vec<String> = upstream.requests()[before..]
        .iter()
        .filter_map(|request| request.parameter("offset").map(str::to_owned))
        .collect();
    assert!(offsets.iter().filter(|offset| *offset == "0").count() <= 2, "only the probes: {offsets:?}");
    assert_eq!(status(&gateway, &job, &[ONE])["attempts"], 2);
    assert_eq!(resume(&job, ONE).outcome(), "409 export_not_failed");

    let job = failed();
    let id = job.rsplit('/').next().expect("an id");
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
    let change =
        |path: &str, body: &Value| http::send(gateway.admin, "POST", path, &headers, body.to_string().as_bytes());
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    eventually("the token is in force", || (change("/exports/cancel", &json!({})).status == 400).then_some(()));
    let reported = http::get(gateway.admin, "/exports").json();
    let entry = &reported["exports"][0];
    assert_eq!(
        (&entry["id"], &entry["state"], &entry["error"]),
        (&json!(id), &json!("failed"), &json!("upstream_unavailable"))
    );
    assert!(!reported.to_string().contains("Bearer"), "{reported}");
    let order = json!({ "export": id });
    let untrusted = http::send(gateway.admin, "POST", "/exports/resume", &headers[..1], order.to_string().as_bytes());
    assert_eq!(untrusted.status, 401, "{untrusted:?}");
    assert_eq!(change("/exports/resume", &order).status, 200);
    completed(&gateway, &job, &items);
    assert_eq!(change("/exports/resume", &order).status, 409);
    assert_eq!(change("/exports/cancel", &order).status, 409);
    assert_eq!(change("/exports/cancel", &json!({ "export": "0".repeat(32) })).status, 404);
}

/// A client that repeats a request with its `Idempotency-Key` gets the export that it began.
fn an_export_is_begun_once_for_a_key(place: &Place) {
    let upstream = Upstream::start(serve(users(300)));
    let gateway = start(&upstream, place, "");
    let key = ("Idempotency-Key", "\"one\"");
    let job = begun(&gateway, "/users/exports", &[ONE, key], &json!({}));
    let asked = upstream.count();
    assert_eq!(begun(&gateway, "/users/exports", &[ONE, key], &json!({})), job);
    finished(&gateway, &job, &[ONE]);
    assert_eq!(begun(&gateway, "/users/exports", &[ONE, key], &json!({})), job);
    assert!(upstream.count() <= asked + 5, "the repetitions read nothing");
    let other = begin(&gateway, "/users/exports", &[ONE, key], &json!({ "format": "csv" }));
    assert_eq!(other.outcome(), "422 idempotency_key_reused");
    let unquoted = begin(&gateway, "/users/exports", &[ONE, ("Idempotency-Key", "one")], &json!({}));
    assert_eq!(unquoted.outcome(), "400 idempotency_key_invalid");
    assert_ne!(begun(&gateway, "/users/exports", &[TWO, key], &json!({})), job, "another client's key");
    assert_eq!(gateway.send("DELETE", &job, &[ONE], b"").status, 204);
    assert_ne!(begun(&gateway, "/users/exports", &[ONE, key], &json!({})), job, "the key lives as long as its export");
}

#[test]
fn limits_of_clients_slow_an_export_down() {
    let upstream = Upstream::start(serve(users(1_000)));
    let place = Place::directory();
    let setup = Setup { route: "rate_limit = { requests = 2, per = \"2s\" }", ..PLAIN };
    let gateway =
        Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("retry_for = \"0s\"")));
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    let document = finished(&gateway, &job, &[ONE]);
    assert_eq!((&document["state"], &document["items"]), (&json!("completed"), &json!(1_000)), "{document}");
    assert!(metric(&gateway, "cursorgate_rate_limited_total{route=\"users\",policy=\"requests\"}") > 0);
}

/// Items that come where the export has been, and others that leave before it is there, make both totals larger than the
/// result. The last page by the total shows that the export has reached the end, also if the list has become shorter
/// since, and if as many items have come as have left.
#[test]
fn an_export_of_a_list_that_grows_and_shrinks_is_complete() {
    for (at_once, coming, leaving) in [(1, 3, 1), (4, 3, 1), (1, 2, 2), (1, 1, 3)] {
        let user = |id: usize| format!(r#"{{"id":{id},"name":"user {id}"}}"#);
        let list: Vec<usize> = (100_000..100_600).collect();
        let changing = Arc::new(Mutex::new((list.clone(), 0_usize, HashSet::new())));
        let changed = Arc::clone(&changing);
        let upstream = Upstream::start(move |exchange| {
            let mut changing = changing.lock().expect("no panic");
            let (list, asked, left) = &mut *changing;
            *asked += 1;
            // The request before the export and its first page see the list as it is.
            if *asked > 2 {
                let next = list[0];
                list.splice(0..0, next - coming..next);
                for _ in 0..leaving {
                    let place = list.len() - 10 - *asked % 5;
                    left.insert(list.remove(place));
                }
            }
            let page = body(exchange, &list.iter().map(|id| user(*id)).collect::<Vec<_>>());
            exchange.reply("200 OK", &[JSON], page.as_bytes())
        });
        let place = Place::directory();
        let configuration = PLAIN.configuration(upstream.address).replacen("max = 200", "max = 20", 1);
        let gateway = Gateway::start(&format!("{configuration}{}", place.table(&format!("at_once = {at_once}"))));
        let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
        let document = finished(&gateway, &job, &[ONE]);
        let closing = &document["closing"];
        let items = document["items"].as_u64();
        assert!(items < closing["totalBefore"].as_u64() && items < closing["totalAfter"].as_u64(), "{document}");
        let expected = (&json!(true), &json!(coming != leaving));
        assert_eq!(
            (&closing["complete"], &closing["totalChanged"]),
            expected,
            "{at_once} {coming} {leaving}: {document}"
        );
        let text = result(&gateway, &job, &[ONE]).text().to_owned();
        let left = changed.lock().expect("no panic").2.clone();
        let mut stayed = list.iter().filter(|id| !left.contains(id));
        assert!(stayed.all(|id| text.contains(&user(*id))), "{at_once}: no item is lost");
        assert_eq!(text.lines().collect::<HashSet<_>>().len(), text.lines().count(), "{at_once}: none comes twice");
    }
}

/// An upstream that leaves items out of its pages, but counts them, has a last page like any other. Nothing explains the
/// total if the list hasn't changed, or has changed only at other places than its beginning.
#[test]
fn an_export_that_lacks_items_of_an_unchanged_list_is_not_complete() {
    for hidden in [5_usize, 300, 599] {
        let items = users(600);
        let upstream = Upstream::start(move |exchange| {
            let number = |name: &str| exchange.request.parameter(name).and_then(|number| number.parse::<usize>().ok());
            let (offset, limit) = (number("offset").unwrap_or(0), number("limit").unwrap_or(20));
            let shown = (offset..(offset + limit).min(items.len())).filter(|place| *place != hidden);
            let shown: Vec<&str> = shown.map(|place| items[place].as_str()).collect();
            let page = format!(r#"{{"items":[{}],"total":{}}}"#, shown.join(","), items.len());
            exchange.reply("200 OK", &[JSON], page.as_bytes())
        });
        let place = Place::directory();
        let configuration = PLAIN.configuration(upstream.address).replacen("max = 200", "max = 20", 1);
        let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 1")));
        let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
        let document = finished(&gateway, &job, &[ONE]);
        assert_eq!((&document["items"], &document["total"]), (&json!(599), &json!(600)), "{document}");
        assert_eq!(document["closing"]["complete"], false, "{hidden}: {document}");
    }
}

/// An export reads pages of the size with which the list takes the fewest requests, whatever clients may ask for. After
/// a failure they are no larger than clients may ask for.
#[test]
fn an_export_reads_pages_of_the_size_that_takes_the_fewest_requests() {
    for fails in [false, true] {
        let items = users(1_000);
        let served = items.clone();
        let upstream = Upstream::start(move |exchange| {
            let is_large = exchange.request.parameter("limit").and_then(|limit| limit.parse().ok()) > Some(50);
            if fails && is_large {
                return exchange.reply("503 Service Unavailable", &[JSON], b"{}");
            }
            let page = body(exchange, &served);
            exchange.reply("200 OK", &[JSON], page.as_bytes())
        });
        let place = Place::directory();
        let more = "[dialects.scripted.size]\nmax = 100\n";
        let setup = Setup { upstream: "retries = { most = 0 }", more, ..PLAIN };
        let configuration = setup.configuration(upstream.address).replacen("max = 200", "max = 20", 1);
        let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 1")));
        let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
        completed(&gateway, &job, &items);
        let pages = status(&gateway, &job, &[ONE])["pages"].as_u64();
        assert!(if fails { pages == Some(50) } else { pages < Some(12) }, "{pages:?}");
        let requests = upstream.requests().len();
        // The first request asks for one item.
        assert!(fails || requests < 12 + 1 + 4, "{requests}");
    }
}

/// A page of an export takes a place among the requests of its list, but none among those of its client.
#[test]
fn an_export_leaves_its_client_room_for_requests() {
    let (gate, held) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let (items, shut, count) = (users(300), gate.clone(), Arc::clone(&held));
    let upstream = Upstream::start(move |exchange| {
        let is_second_page = exchange.request.parameter("offset") != Some("0");
        if is_second_page || exchange.request.parameter("name") == Some("held") {
            count.fetch_add(1, Ordering::SeqCst);
            shut.wait();
        }
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let place = Place::directory();
    let setup = Setup { route: "concurrency = { requests = 2, per_client = 1 }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("")));
    let are_held = |count| eventually("requests wait", || (held.load(Ordering::SeqCst) >= count).then_some(()));
    let asked = || gateway.send("GET", "/users?limit=5&name=a", &[ONE], b"").outcome();
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    are_held(1);
    assert_eq!(asked(), "200");
    let head = "GET /users?name=held HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer two\r\n\r\n";
    let mut others = Vec::new();
    // The place of the request before is free only a moment after its response, so the first of these may be refused.
    eventually("another request waits", || {
        let mut other = gateway.connect();
        other.send(head.as_bytes()).expect("the gateway listens");
        others.push(other);
        (held.load(Ordering::SeqCst) >= 2).then_some(())
    });
    assert_eq!(asked(), "503 overloaded", "both places of the list are taken");
    gate.open();
    assert_eq!(finished(&gateway, &job, &[ONE])["items"], json!(300));
}

/// An export has every item that was in the list when it began, also if ordinary requests still get older pages.
#[test]
fn an_export_reads_no_kept_page() {
    let items = Arc::new(Mutex::new(users(60)));
    let served = Arc::clone(&items);
    let upstream = Upstream::start(move |exchange| {
        let page = body(exchange, &served.lock().expect("the items"));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], page.as_bytes())
    });
    let place = Place::directory();
    let setup = Setup { route: "page_cache = { ttl = \"1h\", private = true }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("")));
    // The last client has asked for kept pages alone, which holds for its own request.
    for asked in [&[ONE][..], &[ONE], &[ONE, ("Cache-Control", "only-if-cached")]] {
        let expected = items.lock().expect("the items").clone();
        let job = begun(&gateway, "/users/exports", asked, &json!({}));
        completed(&gateway, &job, &expected);
        items.lock().expect("the items").push(format!(r#"{{"id":{},"name":"new"}}"#, expected.len() + 1));
    }
}

fn an_export_can_be_cancelled_and_removed(place: &Place) {
    let permits = Permits::default();
    let (items, gate) = (users(900), permits.clone());
    let upstream = Upstream::start(move |exchange| {
        gate.take_once(&exchange.request.target);
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let gateway = start(&upstream, place, "at_once = 1");
    permits.give(2);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    eventually("its second page is asked for", || (upstream.count() >= 3).then_some(()));
    let running = result(&gateway, &job, &[ONE]);
    assert_eq!((running.outcome().as_str(), running.header("retry-after")), ("409 export_without_result", Some("2")));
    let cancelled = gateway.send("DELETE", &job, &[ONE], b"");
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")));
    permits.give(100);
    eventually("its result is removed", || (place.results() == 0).then_some(()));
    assert_eq!(status(&gateway, &job, &[ONE])["state"], "cancelled");
    assert!(upstream.count() <= 4, "no further page");

    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    finished(&gateway, &job, &[ONE]);
    assert_eq!(gateway.send("DELETE", &job, &[ONE], b"").status, 204);
    assert_eq!(gateway.send("GET", &job, &[ONE], b"").outcome(), "404 export_not_found");
    eventually("its result is removed", || (place.results() == 0).then_some(()));
    for end in ["cancelled", "completed"] {
        let sample = format!("cursorgate_export_jobs_ended_total{{kind=\"export\",end=\"{end}\"}}");
        assert_eq!(metric(&gateway, &sample), 1, "{end}");
    }
}

fn unfinished_exports_are_limited(place: &Place) {
    let gate = Gate::default();
    let (items, held) = (users(300), gate.clone());
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.parameter("offset") != Some("0") {
            held.wait();
        }
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let gateway = start(&upstream, place, "per_client = 2\nqueue = 3\nat_once = 1");
    let jobs = [ONE, ONE, TWO].map(|client| begun(&gateway, "/users/exports", &[client], &json!({})));
    let refused = begin(&gateway, "/users/exports", &[ONE], &json!({}));
    assert_eq!(refused.outcome(), "429 export_limit");
    assert!(refused.header("retry-after").is_some());
    assert_eq!(begin(&gateway, "/users/exports", &[TWO], &json!({})).outcome(), "503 overloaded");
    gate.open();
    for (job, client) in jobs.iter().zip([ONE, ONE, TWO]) {
        assert_eq!(finished(&gateway, job, &[client])["state"], "completed");
    }
    let again = begin(&gateway, "/users/exports", &[ONE], &json!({}));
    assert_eq!(again.status, 202);
}

fn finished_exports_are_kept_up_to_a_number_and_a_size(place: &Place) {
    let upstream = Upstream::start(serve(users(30)));
    let gateway = start(&upstream, place, "keep_jobs = 2");
    let jobs: Vec<String> = (0..4)
        .map(|_| {
            let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
            finished(&gateway, &job, &[ONE]);
            job
        })
        .collect();
    eventually("two are left", || {
        let own = gateway.send("GET", "/users/exports", &[ONE], b"").json();
        (own["exports"].as_array()?.len() == 2).then_some(())
    });
    eventually("two results are left", || (place.results() == 2).then_some(()));
    let left = jobs.iter().filter(|job| gateway.send("GET", job, &[ONE], b"").status == 200).count();
    assert_eq!(left, 2);
    drop(gateway);
    let gateway = start(&upstream, place, "keep = \"1s\"");
    eventually("none is left", || {
        let own = gateway.send("GET", "/users/exports", &[ONE], b"").json();
        own["exports"].as_array()?.is_empty().then_some(())
    });
    drop(gateway);
    let large = Upstream::start(serve(users(30_000)));
    let bounded = start(&large, place, "size = \"64KiB\"");
    let job = begun(&bounded, "/users/exports", &[ONE], &json!({}));
    assert_eq!(finished(&bounded, &job, &[ONE])["error"]["code"], "export_too_large");
}

/// The number of failed jobs in the store ends at `keep_jobs`, while all fail. Their ends are counted, each by one of the
/// processes.
fn each_end_is_counted_however_few_jobs_are_kept(place: &Place) {
    const FAILED: u64 = 5;
    let upstream = Upstream::start(serve(users(3_000)));
    let gateways = [(), ()].map(|()| start(&upstream, place, "keep_jobs = 2\nsize = \"64KiB\""));
    let ended = |kind: &str, end: &str| -> u64 {
        let sample = format!("cursorgate_export_jobs_ended_total{{kind=\"{kind}\",end=\"{end}\"}}");
        gateways.iter().map(|gateway| metric(gateway, &sample)).sum()
    };
    for number in 0..FAILED {
        let gateway = &gateways[usize::try_from(number % 2).expect("0 or 1")];
        let job = begun(gateway, "/users/exports", &[ONE], &json!({}));
        assert_eq!(finished(gateway, &job, &[ONE])["state"], "failed");
    }
    eventually("the ends are counted", || (ended("export", "failed") == FAILED).then_some(()));
    let in_store = || metric(&gateways[0], "cursorgate_export_jobs{state=\"failed\"}") == 2;
    eventually("the store has few of them", || in_store().then_some(()));
    assert_eq!(["completed", "cancelled"].map(|end| ended("export", end)), [0, 0]);
    assert_eq!((ended("export", "failed"), ended("job", "failed")), (FAILED, 0));
}

#[test]
fn paths_beside_those_of_exports_belong_to_routes() {
    let items = users(3);
    let upstream = Upstream::start(move |exchange| {
        exchange.body()?;
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let place = Place::directory();
    let rest = "[routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
    let without = Gateway::start(&format!("{}{rest}", PLAIN.configuration(upstream.address)));
    assert_eq!(begin(&without, "/users/exports", &[], &json!({})).status, 200, "forwarded");
    let gateway = Gateway::start(&format!("{}{rest}{}", PLAIN.configuration(upstream.address), place.table("")));
    for (method, target) in [
        ("POST", "/elsewhere/exports"),
        ("POST", "/exports"),
        ("GET", "/users/exports/7"),
        ("PUT", "/users/exports"),
        ("GET", "/users/exports/"),
        ("GET", "/users/exportsome"),
    ] {
        let answer = gateway.send(method, target, &[JSON], b"{}");
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        let asked = upstream.requests().pop().expect("a request");
        assert_eq!((asked.method.as_str(), asked.target.as_str()), (method, target));
    }
    assert_eq!(begin(&gateway, "/users/exports", &[ONE], &json!({})).status, 202);
}

/// Clients at one address with different keys in their queries can't see one another's exports, and neither can a
/// client without a key.
#[test]
fn an_export_with_a_key_in_its_query_is_that_of_the_key() {
    let items = users(3);
    let upstream = Upstream::start(move |exchange| match exchange.request.parameter("api_key") {
        Some("a" | "b") => {
            let page = body(exchange, &items);
            exchange.reply("200 OK", &[JSON], page.as_bytes())
        }
        _ => exchange.reply("401 Unauthorized", &[JSON], b"{}"),
    });
    let place = Place::directory();
    let setup = Setup { route: "parameters = { private = [\"api_key\"] }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("")));
    let begun = begin(&gateway, "/users/exports?api_key=a", &[], &json!({}));
    assert_eq!(begun.status, 202, "{}", begun.text());
    let job = begun.header("location").expect("a location").to_owned();
    let with = |key: &str, target: &str| format!("{target}{key}");
    let own = "?api_key=%61";
    eventually("the end of the export", || {
        let status = gateway.get(&with(own, &job)).json();
        (status["state"] == "completed").then_some(())
    });
    for (method, target) in [("GET", job.clone()), ("DELETE", job.clone()), ("GET", format!("{job}/result"))] {
        for key in ["", "?api_key=b", "?api_key="] {
            let refused = gateway.send(method, &with(key, &target), &[], b"");
            assert_eq!(refused.outcome(), "404 export_not_found", "{method} {target} {key}");
        }
    }
    let listed = |key: &str| gateway.get(&with(key, "/users/exports")).json()["exports"].as_array().map(Vec::len);
    assert_eq!([own, "", "?api_key=b"].map(listed), [Some(1), Some(0), Some(0)]);
    assert_eq!(gateway.get(&with(own, &format!("{job}/result"))).status, 200);
    assert_eq!(gateway.send("DELETE", &with(own, &job), &[], b"").status, 204);
}

/// A directory that is no longer mounted still has its open database, which would take jobs that never run.
#[test]
fn a_directory_that_vanishes_is_told_of() {
    let upstream = Upstream::start(serve(users(3)));
    let place = Place::directory();
    let gateway = start(&upstream, &place, "");
    let up = "cursorgate_store_up{store=\"exports\"}";
    eventually("the store is used", || (gateway.metric(up) == Some(1)).then_some(()));
    let Place::Directory(directory) = &place else { panic!("it is one") };
    let (here, away) = (directory.file("exports/results"), directory.file("exports/away"));
    std::fs::rename(&here, &away).expect("it is there");
    let refused = begin(&gateway, "/users/exports", &[ONE], &json!({}));
    assert_eq!(refused.outcome(), "503 store_unavailable", "{}", refused.text());
    assert!(refused.header("retry-after").is_some());
    eventually("the store is down", || (gateway.metric(up) == Some(0)).then_some(()));
    let ready = http::get(gateway.admin, "/readyz");
    assert_eq!((ready.status, ready.text()), (200, "ok, but the store of exports is down\n"));
    let state = http::get(gateway.admin, "/status").json()["stores"]["exports"].clone();
    assert!(state["up"] == false && state["fault"].is_string(), "{state}");
    assert_eq!(gateway.get("/users").status, 200, "pages need no store");
    std::fs::rename(&away, &here).expect("it is there");
    eventually("the store is up again", || (gateway.metric(up) == Some(1)).then_some(()));
    assert_eq!(begin(&gateway, "/users/exports", &[ONE], &json!({})).status, 202);
}

/// The directory is there, but nothing can be written into it, as on a full disk. Pages are served, and the fault is told
/// before a job is lost.
#[test]
fn a_full_disk_is_told_of() {
    let upstream = Upstream::start(serve(users(3)));
    let place = Place::directory();
    let gateway = start(&upstream, &place, "");
    let up = "cursorgate_store_up{store=\"exports\"}";
    let Place::Directory(directory) = &place else { panic!("it is one") };
    // A directory in the place of the file by which the gateway finds out whether there is room.
    let probe = directory.file("exports/results/probe");
    eventually("the store is used", || (gateway.metric(up) == Some(1)).then_some(()));
    eventually("a moment between two probes", || std::fs::create_dir(&probe).ok());
    eventually("the store is down", || (gateway.metric(up) == Some(0)).then_some(()));
    assert_eq!(begin(&gateway, "/users/exports", &[ONE], &json!({})).outcome(), "503 store_unavailable");
    assert_eq!(http::get(gateway.admin, "/readyz").text(), "ok, but the store of exports is down\n");
    assert_eq!(gateway.get("/users").status, 200, "pages need no store");
    std::fs::remove_dir(&probe).expect("it is there");
    eventually("the store is up again", || (gateway.metric(up) == Some(1)).then_some(()));
    assert_eq!(begin(&gateway, "/users/exports", &[ONE], &json!({})).status, 202);
}

/// An address isn't a credential: a client without any gets no export, unless all clients see the same list.
/// A small disk of its own; `None` where this account may mount none.
struct SmallDisk(Directory);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let disk = Self(Directory::new());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs"]).arg(disk.path()).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(disk)
    }

    fn path(&self) -> PathBuf {
        self.0.file("")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).stderr(Stdio::null()).status();
    }
}

/// A disk that fills up costs only the services that need it, also when the process starts again.
#[test]
fn a_process_starts_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount() else { return };
    let upstream = Upstream::start(serve(users(3)));
    let table = |name: &str| format!("[services.{name}]\ndirectory = {:?}\n", disk.path().join(name));
    let webhooks = format!("{}http = true\n", table("webhooks"));
    let configuration = format!("{}{}{webhooks}", PLAIN.configuration(upstream.address), table("exports"));
    let filler = disk.path().join("filler");
    let fill = || std::fs::write(&filler, vec![1; 4 << 20]).expect_err("the disk is full");
    let down = "ok, but the store of exports is down, the store of webhooks is down\n";
    for is_new in [true, false] {
        fill();
        let gateway = Gateway::start(&configuration);
        assert_eq!(gateway.get("/users").status, 200, "pages need no store");
        assert_eq!(begin(&gateway, "/users/exports", &[ONE], &json!({})).outcome(), "503 store_unavailable");
        eventually("the stores are down", || (http::get(gateway.admin, "/readyz").text() == down).then_some(()));
        std::fs::remove_file(&filler).expect("the filler");
        let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
        assert_eq!(finished(&gateway, &job, &[ONE])["state"], "completed", "{is_new}");
        eventually("the stores are up", || (http::get(gateway.admin, "/readyz").text() == "ok\n").then_some(()));
    }
}

#[test]
fn an_export_without_credentials_is_refused() {
    let upstream = Upstream::start(serve(users(3)));
    let place = Place::directory();
    let gateway = start(&upstream, &place, "");
    let refused = begin(&gateway, "/users/exports", &[], &json!({}));
    assert_eq!(refused.outcome(), "422 export_unsupported", "{}", refused.text());
    assert_eq!(begin(&gateway, "/users/exports", &[ONE], &json!({})).status, 202);
    let place = Place::directory();
    let setup = Setup { route: "principal = []", ..PLAIN };
    let public = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("")));
    assert_eq!(begin(&public, "/users/exports", &[], &json!({})).status, 202);
}

/// Another account could read or change a store that the gateway uses, or lead it elsewhere by a link.
#[test]
fn exports_in_reach_of_other_accounts_are_refused() {
    let upstream = Upstream::start(serve(users(3)));
    let place = Place::directory();
    let Place::Directory(directory) = &place else { panic!("it is one") };
    let gateway = start(&upstream, &place, "");
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    finished(&gateway, &job, &[ONE]);

    // A link in the place of a result isn't followed.
    let id = job.rsplit('/').next().expect("an id");
    let (file, elsewhere) = (directory.file(&format!("exports/results/{id}")), directory.file("elsewhere"));
    std::fs::write(&elsewhere, "of another account".repeat(1_000)).expect("a file");
    std::fs::remove_file(&file).expect("it is there");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("a link");
    let linked = result(&gateway, &job, &[ONE]);
    assert_eq!(linked.outcome(), "503 store_unavailable");
    assert!(!linked.text().contains("of another account"));
    drop(gateway);
    std::fs::remove_file(&file).expect("it is there");
    for left in ["exports/jobs.sqlite3-wal", "exports/jobs.sqlite3-shm"] {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.file(left))
            .expect("a file of a killed process");
    }

    let refused = || {
        let port = free_port();
        let configuration = format!(
            "version = 1\nlisteners.public = {{ address = \"127.0.0.1:{}\" }}\n[cursor]\nsigning_key = 1\nkeys = {{ 1 = \"env:KEY\" }}\n{}{}",
            port,
            Setup { route: "old_clients = \"none\"", ..PLAIN }.configuration(upstream.address),
            place.table("")
        );
        let written = directory.file("refused.toml");
        std::fs::write(&written, configuration).expect("a file");
        let key = "nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE";
        let mut command = command();
        command.env("KEY", key).args(["run", "--config"]).arg(&written);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
        let ended = eventually("its end, or its service", || {
            let is_serving = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            let status = process.try_wait().expect("a process");
            status.map(|status| !status.success()).or_else(|| is_serving().then_some(false))
        });
        let _ = process.kill();
        let output = process.wait_with_output().expect("it ends");
        ended.then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let set = |name: &str, mode| {
        std::fs::set_permissions(directory.file(name), std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    for (name, mode, own) in [
        ("exports", 0o777, 0o700),
        ("exports/jobs.sqlite3", 0o666, 0o600),
        ("exports/jobs.sqlite3", 0o604, 0o600),
        ("exports/jobs.sqlite3-wal", 0o666, 0o600),
        ("exports/jobs.sqlite3-shm", 0o604, 0o600),
        ("exports/results", 0o705, 0o700),
    ] {
        set(name, mode);
        let said = refused().expect("it doesn't start");
        assert!(said.contains("other accounts") && said.contains("chmod o-rwx"), "{name} {mode:o}: {said}");
        set(name, own);
    }
    let database = directory.file("exports/jobs.sqlite3");
    std::fs::rename(&database, directory.file("moved")).expect("it is there");
    std::os::unix::fs::symlink(directory.file("moved"), &database).expect("a link");
    assert!(refused().expect("it doesn't start").contains("services.exports"));
    std::fs::rename(directory.file("moved"), &database).expect("it is there");
    let again = start(&upstream, &place, "");
    assert_eq!(status(&again, &job, &[ONE])["state"], "completed");
}

#[test]
fn requests_for_exports_have_the_limits_of_their_list() {
    let upstream = Upstream::start(serve(users(3)));
    let place = Place::directory();
    let setup = Setup { route: "rate_limit = { requests = 4, per = \"1h\" }", ..PLAIN };
    let gateway = Gateway::start(&format!("{}{}", setup.configuration(upstream.address), place.table("")));
    // They are counted apart from pages, so asking for the state doesn't slow an export down.
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    let outcomes: Vec<String> = (0..6).map(|_| gateway.send("GET", "/users/exports", &[ONE], b"").outcome()).collect();
    assert_eq!(outcomes.last().map(String::as_str), Some("429 rate_limited"), "{outcomes:?}");
    for (method, target) in [("GET", job.clone()), ("GET", format!("{job}/result")), ("DELETE", job.clone())] {
        assert_eq!(gateway.send(method, &target, &[ONE], b"").outcome(), "429 rate_limited", "{method} {target}");
    }
    let other = gateway.send("GET", "/users/exports", &[TWO], b"");
    assert_eq!(other.status, 200, "another client has a limit of its own");
    assert!(other.header("ratelimit").is_some());
}

/// Row: A24
#[test]
fn noise_in_a_cookie_makes_no_new_client() {
    let gate = Gate::default();
    let (items, held) = (users(300), gate.clone());
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.parameter("offset") != Some("0") {
            held.wait();
        }
        let page = body(exchange, &items);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let begin_all = |gateway: &Gateway, count: usize| {
        let begun = (0..count).filter(|at| {
            let cookie = format!("x={at}");
            let headers = [ONE, ("Cookie", cookie.as_str())];
            begin(gateway, "/users/exports", &headers, &json!({})).status == 202
        });
        begun.count()
    };
    // By default the address bounds the clients that a client makes of itself. With a `key`, it stays one client.
    for (more, most) in [("", 8), ("key = \"header:Authorization\"", 2), ("key = \"address\"", 2)] {
        let place = Place::directory();
        let gateway = start(&upstream, &place, &format!("per_client = 2\nqueue = 100\nat_once = 1\n{more}"));
        assert_eq!(begin_all(&gateway, 12), most, "{more}");
    }
    gate.open();
}
