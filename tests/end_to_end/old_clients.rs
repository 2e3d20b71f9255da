//! Tests of the promise that old clients see no change: `check --live` sends their requests to the service and through
//! the gateway's own code, and every difference is an error that names the line to change.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::{Value, json};

use crate::harness::{
    Directory,
    gateway::{Gateway, KEY, command},
    upstream::{After, Exchange, Upstream},
};

/// The number of rows of every service here.
const ROWS: usize = 60;

const JSON: [(&str, &str); 2] = [("Content-Type", "application/json"), ("ETag", "\"1\"")];

fn rows() -> Vec<Value> {
    (1..=ROWS).map(|id| json!({ "id": id, "name": format!("row {id}") })).collect()
}

/// A service with a list by page and limit at /items, an item below it, and a page at /about.
fn service(exchange: &mut Exchange) -> io::Result<After> {
    let path = exchange.request.path().to_owned();
    if let Some(id) = path.strip_prefix("/items/").filter(|id| !id.is_empty()) {
        return exchange.reply("200 OK", &JSON, json!({ "id": id.trim_end_matches('/') }).to_string().as_bytes());
    }
    match path.as_str() {
        "/items" | "/items/" => {
            let number = |name: &str| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
            let size = number("limit").filter(|size| *size > 0).unwrap_or(30).min(50);
            let from = (number("page").unwrap_or(1).max(1) - 1).saturating_mul(size);
            let data: Vec<Value> = rows().into_iter().skip(from).take(size).collect();
            // It changes with each answer, as times and tokens do.
            static ANSWERS: AtomicU64 = AtomicU64::new(1);
            let body = json!({ "data": data, "total": ROWS, "took": ANSWERS.fetch_add(1, Ordering::Relaxed) });
            exchange.reply("200 OK", &JSON, body.to_string().as_bytes())
        }
        "/about" => exchange.reply("200 OK", &[("Content-Type", "text/html")], b"<p>About</p>"),
        _ => exchange.reply("404 Not Found", &JSON, b"{\"error\":\"not found\"}"),
    }
}

fn configuration(upstream: &Upstream) -> String {
    format!(
        "version = 1\n\
         [server]\n\
         public_url = \"http://api.test\"\n\
         [cursor]\n\
         signing_key = 1\n\
         keys = {{ 1 = \"env:CURSORGATE_KEY_1\" }}\n\
         [upstreams.service]\n\
         peers = [\"{}\"]\n\
         [routes.items]\n\
         path = \"/items\"\n\
         upstream = \"service\"\n\
         dialect = \"own\"\n\
         order = [\"id\"]\n\
         fields = {{ id = {{ type = \"number\" }} }}\n\
         page_size = {{ default = 20, max = 40 }}\n\
         old_clients = \"pass\"\n\
         [dialects.own]\n\
         request = {{ query = \"page={{page}}&limit={{size}}\" }}\n\
         response = {{ items = \"/data\", total = \"/total\" }}\n\
         size = {{ max = 50 }}\n",
        upstream.address
    )
}

/// Runs `check --live` on a configuration, with more arguments. Returns the exit code and both outputs.
fn check(text: &str, more: &[&str]) -> (Option<i32>, String) {
    let directory = Directory::new();
    let file = directory.file("cursorgate.toml");
    std::fs::write(&file, text).expect("a file in the test's directory");
    let mut command = command();
    command.arg("check").arg(&file).args(more);
    let output = command.env("CURSORGATE_KEY_1", KEY).output().expect("the binary starts");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

const LIVE: [&str; 3] = ["--live", "--delay", "0"];

/// Asserts that the live check fails with a message at the line that begins with `key`.
fn assert_fails(text: &str, key: &str, message: &str, help: &str) {
    let (code, report) = check(text, &LIVE);
    let line = text.lines().position(|line| line.contains(key)).expect("the key is there") + 1;
    assert_eq!(code, Some(2), "{report}");
    assert!(report.contains(message) && report.contains(help), "{report}\n{text}");
    assert!(report.contains(&format!("cursorgate.toml:{line}:")), "line {line}: {report}");
}

#[test]
fn old_requests_are_compared_in_both_ways() {
    let upstream = Upstream::start(service);
    let (code, report) = check(&configuration(&upstream), &LIVE);
    assert_eq!(code, Some(0), "{report}");
    let line =
        report.lines().find(|line| line.contains("old requests unchanged")).unwrap_or_else(|| panic!("{report}"));
    let numbers: Vec<usize> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] >= 20, "{line}");
    let requests = upstream.requests();
    assert!(requests.len() <= 190, "{}", requests.len());
    assert!(requests.iter().all(|request| ["GET", "HEAD", "OPTIONS"].contains(&request.method.as_str())));
    // The service gets the Host that `run` sends.
    assert!(requests.iter().any(|request| request.header("host") == Some("api.test")));
    for target in
        ["/items?limit=0", "/items?limit=abc", "/items?limit=3&limit=4", "/items?cursor=abc", "/items/", "/items/1"]
    {
        let both = requests.iter().filter(|request| request.target == target).count();
        assert!(both >= 2, "{target}: {both}");
    }
}

#[test]
fn a_name_that_the_service_uses_too_is_reported() {
    let upstream = Upstream::start(|exchange: &mut Exchange| match exchange.request.parameter("after") {
        Some(_) => exchange.reply("200 OK", &JSON, br#"{"data":[],"total":0}"#),
        None => service(exchange),
    });
    let marked_by = |name: &str| {
        let text = format!("old_clients = \"pass\"\nnew_clients = {{ by = [{name:?}] }}");
        configuration(&upstream).replace("old_clients = \"pass\"", &text)
    };
    // A name that the dialect has needs no request.
    assert_fails(&marked_by("limit"), "new_clients = ", "`limit` is a parameter of the dialect", "remove it");
    let said = "the service itself has a use for `after`: it answers `GET /items?after=3` with something else";
    assert_fails(&marked_by("after"), "new_clients = ", said, "new_clients.by");
    // Names that the service doesn't have are free, the envelope's own as well as others.
    for name in ["cursor", "v2"] {
        let (code, report) = check(&marked_by(name), &LIVE);
        assert_eq!(code, Some(0), "{report}");
        assert!(report.contains(&format!("then the cursor of each page; or with {name}=")), "{report}");
    }
}

/// A service that fails at strange sizes is compared by all other requests.
#[test]
fn requests_that_the_service_never_answers_are_left_out() {
    let upstream = Upstream::start(|exchange: &mut Exchange| match exchange.request.parameter("limit") {
        Some(text) if text == "0" || text == "abc" => Ok(After::Close),
        _ => service(exchange),
    });
    let (code, report) = check(&configuration(&upstream), &LIVE);
    assert_eq!(code, Some(0), "{report}");
    let line =
        report.lines().find(|line| line.contains("old requests unchanged")).unwrap_or_else(|| panic!("{report}"));
    assert!(line.ends_with("; to 2 more, the service gives no answer"), "{line}");
    let numbers: Vec<usize> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] >= 18, "{line}");
}

#[test]
fn a_second_path_that_the_service_has_is_reported() {
    let upstream = Upstream::start(service);
    let with = |path: &str| {
        let text = format!("old_clients = \"pass\"\nnew_clients = {{ path = {path:?} }}");
        configuration(&upstream).replace("old_clients = \"pass\"", &text)
    };
    assert_fails(&with("/about"), "new_clients = ", "the service itself answers 200 at /about", "choose a path");
    let (code, report) = check(&with("/v2/items"), &LIVE);
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("or every request at /v2/items"), "{report}");
}

#[test]
fn a_list_without_pages_of_which_old_clients_get_a_part_is_reported() {
    let upstream = Upstream::start(|exchange: &mut Exchange| match exchange.request.path() {
        "/items" => exchange.reply("200 OK", &JSON, json!(rows()).to_string().as_bytes()),
        _ => service(exchange),
    });
    let whole = configuration(&upstream)
        .replace("request = { query = \"page={page}&limit={size}\" }", "request = { query = \"\" }")
        .replace(
            "response = { items = \"/data\", total = \"/total\" }",
            "response = { items = \"\", end = \"whole-list\" }",
        )
        .replace("size = { max = 50 }\n", "");
    let (code, report) = check(&whole, &LIVE);
    assert_eq!(code, Some(0), "{report}");
    let text = whole.replace("old_clients = \"pass\"", "old_clients = \"pass\"\nnew_clients = { by = [\"limit\"] }");
    assert_fails(&text, "new_clients = ", "gives the list whole", "remove it");
}

/// A service that redirects to the path with a final slash, as Django does.
fn with_slash(exchange: &mut Exchange) -> io::Result<After> {
    let path = exchange.request.path().to_owned();
    if path.starts_with("/items") && !path.ends_with('/') {
        let location = format!("{path}/?{}", exchange.request.query());
        return exchange.reply("301 Moved Permanently", &[("Location", location.trim_end_matches('?'))], b"");
    }
    service(exchange)
}

#[test]
fn a_missing_final_slash_is_reported() {
    let upstream = Upstream::start(with_slash);
    let text = configuration(&upstream);
    assert_fails(&text, "[routes.items]", "the upstream redirects with 301", "upstream_path = ");
    let text = text.replace("path = \"/items\"\n", "path = \"/items\"\nupstream_path = \"{path}/\"\n");
    let (code, report) = check(&text, &LIVE);
    assert_eq!(code, Some(0), "{report}");
}

/// Old clients that send the path without its slash are redirected by the service, as before, though pages are read
/// with it.
#[test]
fn requests_that_pass_keep_their_final_slash() {
    let upstream = Upstream::start(with_slash);
    let gateway = Gateway::start(&format!(
        "[upstreams.service]\npeers = [\"{}\"]\n[routes.items]\npath = \"/items\"\nupstream_path = \"{{path}}/\"\n\
         upstream = \"service\"\ndialect = \"own\"\norder = [\"id\"]\nfields = {{ id = {{ type = \"number\" }} }}\n\
         old_clients = \"pass\"\n[dialects.own]\n\
         request = {{ query = \"page={{page}}&limit={{size}}\" }}\nresponse = {{ items = \"/data\", total = \"/total\" }}\n\
         size = {{ max = 50 }}\n",
        upstream.address
    ));
    let moved = gateway.get("/items?page=2");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/items/?page=2")), "{moved:?}");
    assert_eq!(gateway.get("/items/?page=2").status, 200);
    let page = gateway.get("/items?cursor=start&limit=5");
    assert_eq!((page.status, page.json()["data"].as_array().map(Vec::len)), (200, Some(5)), "{page:?}");
}

#[test]
fn a_service_that_refuses_the_host_of_clients_is_reported() {
    let upstream = Upstream::start(|exchange: &mut Exchange| match exchange.request.header("host") {
        Some("api.test" | "127.0.0.1:8080") => exchange.reply("421 Misdirected Request", &[], b"wrong host"),
        _ => service(exchange),
    });
    let text = configuration(&upstream);
    let address = upstream.address.to_string();
    assert_fails(
        &text,
        "peers = ",
        "the service answers 421 to requests with Host api.test",
        &format!("host_header = \"{address}\""),
    );
    let text = text.replace("[routes.items]", &format!("host_header = \"{address}\"\n[routes.items]"));
    let (code, report) = check(&text, &LIVE);
    assert_eq!(code, Some(0), "{report}");
    // If the service refuses the addresses in the configuration too, only the operator knows its name.
    let strict = Upstream::start(|exchange: &mut Exchange| match exchange.request.header("host") {
        Some("people.internal") => service(exchange),
        _ => exchange.reply("421 Misdirected Request", &[], b"wrong host"),
    });
    let help = "Write it as `host_header` of the upstream";
    assert_fails(&configuration(&strict), "[routes.items]", "the upstream answers 421", help);
    // `learn` writes the line itself, and its file passes.
    let directory = Directory::new();
    let file = directory.file("learnt.toml");
    let mut learn = command();
    learn.args(["learn", &format!("http://{address}/items"), "--delay", "0", "--out"]).arg(&file);
    let output = learn.args(["--header", "X-Api-Key: secret"]).output().expect("the binary starts");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let written = std::fs::read_to_string(&file).expect("it was written");
    assert!(output.status.success() && written.contains(&format!("host_header = \"{address}\"")), "{said}\n{written}");
    assert!(said.contains("old requests unchanged"), "{said}");
    assert!(said.contains("check --live") && said.contains(" --header 'X-Api-Key: env:X_API_KEY'"), "{said}");
    assert!(!said.contains("secret"), "{said}");
}

/// The catch-all route passes bodies on as they are. With `host_header`, a service that writes its `Host` into links
/// would lead the clients of other lists past the gateway.
#[test]
fn links_to_the_configured_host_on_other_paths_are_reported() {
    let linked = |exchange: &mut Exchange| {
        let host = exchange.request.header("host").unwrap_or_default().to_owned();
        let next = json!(format!("http://{host}/items?page=2"));
        exchange.reply("200 OK", &JSON, json!({ "data": [{ "id": 1 }], "next": next }).to_string().as_bytes())
    };
    let reported = |upstream: &Upstream| {
        let text = configuration(upstream).replace("[routes.items]", "host_header = \"old.internal\"\n[routes.items]");
        check(&text, &LIVE).1
    };
    let said = reported(&Upstream::start(linked));
    let cause = "writes the Host of a request into links, and host_header is old.internal";
    assert!(said.contains(cause) && said.contains("the service answers Host api.test too"), "{said}");
    let strict = Upstream::start(move |exchange: &mut Exchange| match exchange.request.header("host") {
        Some("old.internal") => linked(exchange),
        _ => exchange.reply("421 Misdirected Request", &[], b"wrong host"),
    });
    let said = reported(&strict);
    assert!(said.contains(cause) && said.contains("let the service accept the Host api.test"), "{said}");
    // Links to the name that clients use lead through the gateway.
    let said = reported(&Upstream::start(service));
    assert!(!said.contains(cause), "{said}");
}

#[test]
fn paths_without_a_route_are_reported() {
    let upstream = Upstream::start(service);
    let text = configuration(&upstream).replace("version = 1\n", "version = 1\nother_paths = \"refuse\"\n");
    assert_fails(
        &text,
        "path = \"/items\"",
        "old clients get another answer to `GET /items/1 (an item)`",
        "write other_paths = \"service\"",
    );
}

/// `learn` says so if its file doesn't pass.
#[test]
fn a_learnt_file_that_changes_old_answers_fails() {
    // The service has another list for each client that is announced by a proxy, so no gateway can be in front of it.
    let upstream = Upstream::start(|exchange: &mut Exchange| {
        match exchange.request.header("x-forwarded-for").is_some() && exchange.request.path() == "/items" {
            true => exchange.reply("200 OK", &JSON, json!({ "data": [{ "id": 1 }] }).to_string().as_bytes()),
            false => service(exchange),
        }
    });
    let directory = Directory::new();
    let file = directory.file("learnt.toml");
    let mut learn = command();
    learn.args(["learn", &format!("http://{}/items", upstream.address), "--delay", "0", "--out"]).arg(&file);
    let output = learn.output().expect("the binary starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("old clients get another answer to `GET /items`") && said.contains("learnt.toml:"), "{said}");
}

#[test]
fn requests_of_an_access_log_are_classified_and_sent() {
    let upstream = Upstream::start(service);
    let directory = Directory::new();
    let log = directory.file("access.log");
    let line =
        |request: &str| format!("10.0.0.1 - - [10/Oct/2026:13:55:36 +0000] \"{request} HTTP/1.1\" 200 9 \"-\" \"x\"\n");
    let targets = [
        "/items?page=2",
        "/items?page=3",
        "/items?limit=5",
        "/items?cursor=abc",
        "/items",
        "/items/7",
        "/about",
        "/logout",
    ];
    let lines: String = targets.iter().map(|target| line(&format!("GET {target}"))).collect();
    std::fs::write(&log, lines + &line("POST /items")).expect("a file in the test's directory");
    let log = log.to_str().expect("UTF-8");
    let text = configuration(&upstream);
    let (code, report) = check(&text, &["--old-clients", log]);
    assert_eq!((code, upstream.count()), (Some(0), 0), "{report}");
    assert!(report.contains("9 requests: 9 pass"), "{report}");
    let (code, report) = check(&text, &[&["--old-clients", log][..], &LIVE].concat());
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("6 of 6 that were sent are unchanged"), "{report}");
    let sent = upstream.requests();
    assert!(
        sent.iter().any(|request| request.target == "/about") && sent.iter().all(|request| request.path() != "/logout")
    );
    assert!(sent.iter().all(|request| request.method != "POST"));
    // Another spelling of the list's path is refused only where the list has a policy that it would bypass.
    let spelt = directory.file("spelt.log");
    std::fs::write(&spelt, line("GET /items.json?page=2")).expect("a file in the test's directory");
    let spelt = spelt.to_str().expect("UTF-8");
    let (code, report) = check(&text, &["--old-clients", spelt]);
    assert!(code == Some(0) && report.contains("1 request: 1 pass"), "{report}");
    let limited = text.replace(
        "[routes.items]\n",
        "[routes.items]\nrate_limit = { requests = 9, per = \"1m\", key = \"address\" }\n",
    );
    let (code, report) = check(&limited, &["--old-clients", spelt]);
    assert!(code == Some(2) && report.contains("the path is another spelling of a list's path"), "{report}");
    let (code, report) =
        check(&text.replace("version = 1\n", "version = 1\nother_paths = \"refuse\"\n"), &["--old-clients", log]);
    assert_eq!(code, Some(2), "{report}");
    assert!(report.contains("1 request like `GET /about` would not pass: 404 route_not_found"), "{report}");
}

/// If no order is declared, the live check asks twice, and warns if it doesn't see the same sequence.
#[test]
fn a_list_that_is_not_seen_to_keep_its_order_is_reported() {
    let warned = |turns: bool, drops: bool, order: &str| {
        let answers = AtomicU64::new(0);
        let upstream = Upstream::start(move |exchange: &mut Exchange| {
            if exchange.request.path() != "/items" {
                return service(exchange);
            }
            let answer = answers.fetch_add(1, Ordering::Relaxed);
            let mut data: Vec<Value> = rows().into_iter().take(30).collect();
            if turns {
                data.rotate_left(usize::try_from(answer % 7).expect("small"));
            }
            if drops {
                data.remove(usize::try_from(answer % 30).expect("small"));
            }
            exchange.reply("200 OK", &JSON, json!({ "data": data, "total": ROWS }).to_string().as_bytes())
        });
        let text = configuration(&upstream).replace("order = [\"id\"]\n", order);
        let (_, report) = check(&text, &LIVE);
        let begins = "items: no order is declared, and two equal requests got ";
        report.split_once(begins).map(|(_, rest)| rest.split([':', ',']).next().unwrap_or_default().to_owned())
    };
    assert_eq!(warned(true, false, ""), Some("the same items in another order".to_owned()));
    assert_eq!(warned(false, true, ""), Some("other items".to_owned()));
    assert_eq!(warned(false, false, ""), None);
    assert_eq!(warned(true, false, "order = [\"id\"]\n"), None, "the order of the answers is checked instead");
}

/// A list whose path has parameters is compared with the values of a path that the command line gives. Without one, the
/// report says that it isn't covered.
#[test]
fn lists_with_parameters_in_their_paths_are_compared_by_a_sample() {
    let upstream = Upstream::start(|exchange| {
        let path = exchange.request.path().to_owned();
        match path.strip_prefix("/teams/a%20b") {
            Some(_) if exchange.request.parameter("after").is_some() => {
                exchange.reply("200 OK", &JSON, b"{\"data\":[]}")
            }
            Some(rest) => {
                exchange.request.target = exchange.request.target.replacen("/teams/a%20b", "", 1);
                assert!(rest.starts_with("/items"), "{path}");
                service(exchange)
            }
            None if path == "/v1/teams/a%20b/items" => service(exchange),
            None if path == "/v3/a%20b/things" => exchange.reply("200 OK", &JSON, b"[]"),
            None => exchange.reply("404 Not Found", &JSON, b"{\"error\":\"not found\"}"),
        }
    });
    let text = |rest: &str| {
        let more = format!("path = \"/teams/{{team}}/items\"\n{rest}");
        configuration(&upstream).replace("path = \"/items\"", &more)
    };
    fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
        [&LIVE[..], more].concat()
    }
    let (code, report) = check(&text(""), &LIVE);
    assert_eq!(code, Some(0), "{report}");
    let said = "not asked, and old clients not compared: --sample takes a path for /teams/{team}/items";
    assert!(report.contains(said), "{report}");
    assert_eq!(upstream.count(), 0, "nothing is sent");
    let (code, report) = check(&text(""), &with(&["--sample", "/teams/a%20b/items"]));
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("looks as configured"), "{report}");
    let line =
        report.lines().find(|line| line.contains("old requests unchanged")).unwrap_or_else(|| panic!("{report}"));
    let numbers: Vec<usize> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(numbers[0] == numbers[1] && numbers[0] >= 20, "{line}");
    // A log of old clients has paths too.
    let directory = Directory::new();
    let log = directory.file("access.log");
    let line = "::1 - - [01/Jan/2026:00:00:00 +0000] \"GET /teams/a%20b/items?page=2 HTTP/1.1\" 200 5\n";
    std::fs::write(&log, line).expect("a file in the test's directory");
    let (code, report) = check(&text(""), &with(&["--old-clients", log.to_str().expect("UTF-8")]));
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("old requests unchanged"), "{report}");
    // A difference is found as on other lists, and the second path is asked for with the same values.
    let marked = text("new_clients = { by = [\"after\"] }");
    let (code, report) = check(&marked, &with(&["--sample", "/teams/a%20b/items/"]));
    assert_eq!(code, Some(2), "{report}");
    assert!(report.contains("it answers `GET /teams/a%20b/items?after=3` with something else"), "{report}");
    let second = text("new_clients = { path = \"/v3/{team}/things\" }");
    let (code, report) = check(&second, &with(&["--sample", "/teams/a%20b/items"]));
    assert_eq!(code, Some(2), "{report}");
    assert!(report.contains("the service itself answers 200 at /v3/a%20b/things"), "{report}");
    let (code, report) = check(&text(""), &with(&["--sample", "/things"]));
    assert_eq!(code, Some(2), "{report}");
    assert!(report.contains("--sample /things: no list of the configuration has this path"), "{report}");
}

/// A service whose list is filtered by the body of a GET request.
fn filtered_by_body(exchange: &mut Exchange) -> io::Result<After> {
    if exchange.request.path() != "/items" {
        return service(exchange);
    }
    let body = exchange.body()?;
    let wanted = serde_json::from_slice::<Value>(&body).ok().and_then(|body| body["least"].as_u64()).unwrap_or(0);
    let number = |name: &str| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("limit").unwrap_or(30).min(50);
    let from = (number("page").unwrap_or(1) - 1) * size;
    let rows: Vec<Value> = rows().into_iter().filter(|row| row["id"].as_u64() >= Some(wanted)).collect();
    let data: Vec<&Value> = rows.iter().skip(from).take(size).collect();
    exchange.reply("200 OK", &JSON, json!({ "data": data, "total": rows.len() }).to_string().as_bytes())
}

#[test]
fn a_get_request_with_a_body_is_read_as_one_by_post() {
    let upstream = Upstream::start(filtered_by_body);
    let list = |rest: &str| {
        format!(
            "[upstreams.service]\npeers = [\"{}\"]\n[routes.items]\npath = \"/items\"\nupstream = \"service\"\n\
             dialect = \"own\"\norder = [\"id\"]\nfields = {{ id = {{ type = \"number\" }} }}\n{rest}\n[dialects.own]\n\
             request = {{ query = \"page={{page}}&limit={{size}}\" }}\n\
             response = {{ items = \"/data\", total = \"/total\" }}\nsize = {{ max = 50 }}\n",
            upstream.address
        )
    };
    let typed = [("Content-Type", "application/json")];
    let (body, other) = (b"{\"least\":31}", b"{\"least\":9}");
    let gateway = Gateway::start(&list("old_clients = \"pass\""));
    let ids = |body: &Value| {
        body["data"].as_array().expect("items").iter().filter_map(|row| row["id"].as_u64()).collect::<Vec<_>>()
    };
    // An old client's request passes, whatever its body is.
    for old in ["/items", "/items?page=2&limit=7", "/items?limit=5"] {
        let through = gateway.send("GET", old, &typed, body);
        let direct = crate::harness::http::send(upstream.address, "GET", old, &typed, body);
        assert_eq!((through.status, through.text()), (200, direct.text()), "{old}");
    }
    assert_eq!(gateway.send("GET", "/items", &[], b"no JSON").status, 200);
    // For pages, the members are filters, and belong to the cursor.
    let (mut target, mut seen) = ("/items?cursor=start&limit=7".to_owned(), Vec::new());
    for _ in 0..10 {
        let page = gateway.send("GET", &target, &typed, body);
        assert_eq!(page.status, 200, "{page:?}");
        let page = page.json();
        seen.extend(ids(&page));
        let Some(cursor) = page["pagination"]["nextCursor"].as_str() else { break };
        target = format!("/items?limit=7&cursor={cursor}");
        assert_eq!(gateway.send("GET", &target, &typed, other).status, 400, "a cursor of another list");
    }
    assert_eq!(seen, (31..=60).collect::<Vec<u64>>());
    assert_eq!(gateway.send("GET", "/items?cursor=start", &[], b"no JSON").status, 415);
    drop(gateway);
    // A route that observes says that it met one.
    let observing = Gateway::start(&list("action = \"observe\""));
    assert_eq!(observing.send("GET", "/items", &typed, body).status, 200);
    let found = crate::harness::eventually("the body is reported", || {
        let migration = crate::harness::http::get(observing.admin, "/migration").json();
        let findings = migration["routes"][0]["findings"].as_array().cloned().unwrap_or_default();
        findings.into_iter().find(|found| found["kind"] == "body_by_get")
    });
    assert_eq!(found["count"], 1, "{found}");
}

#[test]
fn hashes_of_clients_are_resolved_offline() {
    let upstream = Upstream::start(service);
    let gateway = Gateway::start(&format!(
        "[upstreams.service]\npeers = [\"{}\"]\n[routes.items]\npath = \"/items\"\nupstream = \"service\"\ndialect = \"own\"\n\
         order = [\"id\"]\nold_clients = \"pass\"\nlegacy = {{ client = {{ header = \"X-Api-Key\" }} }}\n\
         [dialects.own]\nrequest = {{ query = \"page={{page}}&limit={{size}}\" }}\nresponse = {{ items = \"/data\" }}\n",
        upstream.address
    ));
    gateway.send("GET", "/items?page=2", &[("X-Api-Key", "canary-7")], b"");
    let migration = crate::harness::http::get(gateway.admin, "/migration").json();
    let hash =
        migration["routes"][0]["clients"][0]["client"].as_str().unwrap_or_else(|| panic!("{migration}")).to_owned();
    let resolve = |hashes: &[&str]| {
        use std::io::Write as _;
        let mut child = command();
        child.args(["client-hash", "--config"]).arg(gateway.file("cursorgate.toml")).args(hashes);
        child
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped());
        let mut child = child.spawn().expect("the binary starts");
        let input = b"Acme\tcanary-6\nGlobex\tcanary-7\ncanary-8\n";
        child.stdin.take().expect("piped").write_all(input).expect("it is read");
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = resolve(&[&hash]);
    assert_eq!((code, said.trim()), (Some(0), format!("{hash}  Globex").as_str()));
    let (_, all) = resolve(&[]);
    assert!(all.lines().count() == 3 && all.contains("line 3") && !all.contains("canary"), "{all}");
    let (code, said) = resolve(&["0123456789abcdef"]);
    assert!(code == Some(1) && said.contains("no line of the input has the hash"), "{said}");
}

#[test]
fn a_warning_can_be_accepted_where_warnings_are_errors() {
    let upstream = Upstream::start(service);
    let text = configuration(&upstream)
        + "[admin]\naddress = \"0.0.0.0:9180\"\n[listeners.public]\naddress = \"0.0.0.0:8080\"\n";
    let strict = ["--without-secrets", "--warnings-as-errors"];
    let (code, report) = check(&text, &strict);
    assert!(code == Some(2) && report.contains("reachable from everywhere"), "{report}");
    let accepted = ["--accept", "reachable from everywhere", "--accept", "limits above", "--accept", "has no token"];
    let (code, report) = check(&text, &[&strict[..], &accepted].concat());
    assert_eq!(code, Some(0), "{report}");
    let (code, report) = check(&text, &[&strict[..], &["--accept", "another text"]].concat());
    assert_eq!(code, Some(2), "{report}");
}

/// A route that serves no pages at the moment doesn't promise them in its report.
#[test]
fn routes_that_observe_or_forward_promise_no_pages() {
    let upstream = Upstream::start(service);
    for (action, does) in [("observe", "observes"), ("forward", "forwards")] {
        let route = format!("action = \"{action}\"\nold_clients = \"pass\"");
        let (_, report) = check(&configuration(&upstream).replace("old_clients = \"pass\"", &route), &[]);
        assert!(report.contains(&format!("new clients  get 503 not_paged, because the route {does}")), "{report}");
        assert!(!report.contains("cursor=start"), "{report}");
    }
}

/// A list without an order has the weakest pages, so `check` says it.
#[test]
fn a_missing_order_is_a_warning() {
    let upstream = Upstream::start(service);
    let (code, report) = check(&configuration(&upstream).replace("order = [\"id\"]\n", ""), &[]);
    assert!(
        code == Some(0) && report.contains("items: no order is declared, so pages are anchored at best"),
        "{report}"
    );
    let (_, report) = check(&configuration(&upstream), &[]);
    assert!(!report.contains("no order is declared"), "{report}");
}

/// In some frameworks, `/items.json` is the list too. It is refused only where a policy of the list would be bypassed.
#[test]
fn a_spelling_that_a_policy_refuses_is_reported() {
    let upstream = Upstream::start(|exchange: &mut Exchange| match exchange.request.path() {
        "/items.json" => exchange.reply("200 OK", &JSON, b"{\"data\":[]}"),
        _ => service(exchange),
    });
    let said = "items: the service answers 200 at /items.json, and the gateway 400 request_invalid";
    let plain = configuration(&upstream);
    let (code, report) = check(&plain, &LIVE);
    assert!(code == Some(0) && !report.contains(said), "{report}");
    let limits = "[routes.items]\nrate_limit = { requests = 9, per = \"1m\", key = \"address\" }\n";
    let limited = plain.replace("[routes.items]\n", limits);
    let (code, report) = check(&limited, &LIVE);
    assert!(code == Some(0) && report.contains(said), "{report}");
    let route = "\n[routes.items_json]\npath = \"/items.json\"\nupstream = \"service\"\naction = \"forward\"\n";
    let (code, report) = check(&format!("{limited}{route}"), &LIVE);
    assert!(code == Some(0) && !report.contains(said), "{report}");
}
