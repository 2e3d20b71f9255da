//! Tests of the log: one line for each request, and no value in it that a client keeps secret.

use std::{
    fs::OpenOptions,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

use crate::harness::{
    Directory, eventually,
    gateway::{Gateway, Keys, Reading, binary, command, free_port},
    list::{PLAIN, Setup, serve, users},
    upstream::{After, Upstream},
};

/// A secret that no line of the log may contain.
const CANARY: &str = "c4n4ry";

const ROUTES: Setup = Setup {
    upstream: "",
    route: "old_clients = \"pass\"",
    more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
};

/// On a terminal, which `script` makes, the log is text. The demo ends at once, because its address is in use.
#[test]
fn the_log_on_a_terminal_is_text() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let demo = format!("exec {} demo --listen {}", binary().display(), taken.local_addr().expect("an address"));
    let script = Command::new("script").args(["-qec", &demo, "/dev/null"]).stdin(Stdio::null()).output();
    let text = String::from_utf8_lossy(&script.expect("script is installed").stdout).into_owned();
    assert!(text.contains(" INFO ") && text.contains("can't listen") && !text.contains("panicked"), "{text}");
}

/// The access log has one line for each request, and no line contains a secret.
///
/// Row: A35
#[test]
fn each_request_has_one_line_without_secrets() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    let cursor = gateway.get("/users?cursor=start&limit=5").json()["pagination"]["nextCursor"]
        .as_str()
        .expect("a page")
        .to_owned();
    let mut requests = 1;
    let mut ask = |method: &str, target: &str| {
        let secrets = [
            ("Authorization", format!("Bearer {CANARY}")),
            ("Cookie", format!("session={CANARY}")),
            ("X-Api-Key", CANARY.to_owned()),
            ("User-Agent", format!("agent {CANARY}")),
            ("Referer", format!("https://a.example/?q={CANARY}")),
        ];
        let headers = secrets.each_ref().map(|(name, value)| (*name, value.as_str()));
        requests += 1;
        gateway.send(method, target, &headers, b"")
    };
    let query = format!("email={CANARY}@example.com&q={CANARY}");
    for (method, target, outcome) in [
        ("GET", format!("/users?cursor=start&limit=5&{query}"), "200"),
        ("HEAD", format!("/users?cursor=start&limit=5&{query}"), "200"),
        ("GET", format!("/users?limit=5&cursor={cursor}"), "200"),
        ("GET", format!("/users?limit=5&cursor=~{CANARY}"), "400 cursor_invalid"),
        ("GET", format!("/users?limit=5&cursor={cursor}&{query}"), "400 cursor_mismatch"),
        ("GET", format!("/users?cursor=start&limit={CANARY}"), "400 limit_invalid"),
        ("GET", format!("/users?cursor=start&sort={CANARY}"), "400 sort_invalid"),
        ("GET", format!("/users?offset=3&{query}"), "200"),
        ("POST", format!("/users?{query}"), "200"),
        ("GET", format!("/rest/a?{query}"), "200"),
        ("GET", format!("/nothing?{query}"), "404 route_not_found"),
    ] {
        let response = ask(method, &target);
        let told = if method == "HEAD" { response.status.to_string() } else { response.outcome() };
        assert_eq!(told, outcome, "{method} {target}: {response:?}");
    }

    // Failures of the upstream are logged with more detail, and still without a secret.
    upstream.answer(|exchange| exchange.reply("500 Oops", &[], format!("trace with {CANARY}").as_bytes()));
    assert_eq!(ask("GET", &format!("/users?cursor=start&{query}&limit=5")).outcome(), "502 upstream_unavailable");
    upstream.answer(|exchange| exchange.reply("200 OK", &[], format!("<html>{CANARY}").as_bytes()));
    assert_eq!(ask("GET", &format!("/users?cursor=start&{query}&limit=5")).outcome(), "502 upstream_malformed");
    upstream.answer(|_| Ok(After::Reset));
    assert_eq!(ask("GET", &format!("/users?cursor=start&{query}&limit=5")).outcome(), "502 upstream_unavailable");
    assert_eq!(ask("GET", &format!("/rest/a?{query}")).status, 502);
    drop(upstream);
    assert!(ask("GET", &format!("/rest/b?{query}")).status >= 502);

    let lines = eventually("every request has its line", || {
        let lines = gateway.access_log();
        (lines.len() >= requests).then_some(lines)
    });
    assert_eq!(lines.len(), requests, "one line each: {lines:#?}");
    let log = gateway.log().join("\n");
    assert!(!log.contains(CANARY), "{log}");
    assert!(!log.contains(&cursor), "{log}");

    // Lines are written when their requests have ended, after the answer, and so not always in the order of the
    // requests.
    let page = lines.iter().find(|line| line["method"] == "HEAD").expect("it was asked");
    assert_eq!(page["status"], 200, "{page}");
    assert_eq!((page["path"].as_str(), page["route"].as_str()), (Some("/users"), Some("users")), "{page}");
    assert!(page["request_id"].is_string() && page["upstream_requests"].is_u64(), "{page}");
    let refused = lines.iter().find(|line| line["code"] == "cursor_invalid").expect("refusals have their code");
    assert_eq!(refused["upstream_requests"], 0, "{refused}");
}

/// A problem contains the request id under which the log has the details.
#[test]
fn problems_and_log_share_the_request_id() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    upstream.answer(|exchange| exchange.reply("500 Oops", &[], b"internal.host:5432 refused"));
    let response = gateway.get("/users?cursor=start&limit=5");
    let problem = response.json();
    assert!(!response.text().contains("internal.host"), "no word of the upstream's reaches the client: {problem}");
    assert_eq!(problem["retryable"], true, "{problem}");
    let id = problem["requestId"].as_str().expect("an id").to_owned();
    eventually("its line", || gateway.access_log().into_iter().find(|line| line["request_id"] == id.as_str()));
}

/// Requests, health checks, reloads and the end of the process work while standard error is a pipe that nobody reads.
/// Lines that can't be written are counted. Once the pipe is read again, the log has the number of missing lines, and
/// no line of an error is missing.
///
/// Row: F53
#[test]
fn a_log_without_a_reader_stops_no_request() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 2_500;
    let upstream = Upstream::start(serve(users(60)));
    let configuration = PLAIN.configuration(upstream.address);
    let mut gateway = Gateway::start(&configuration);
    let load = |requests: usize| {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut connection = gateway.connect();
                    for request in 0..requests {
                        // A path of this length makes a line longer than a kibibyte.
                        let (target, outcome) = match request % 10 {
                            0 => ("/users?cursor=start&limit=5".to_owned(), "200"),
                            1 => ("/users?cursor=start&limit=x".to_owned(), "400 limit_invalid"),
                            _ => (format!("/{}", "nothing/".repeat(125)), "404 route_not_found"),
                        };
                        let response = connection.request("GET", &target, &[], b"").expect("a response");
                        assert_eq!(response.outcome(), outcome, "request {request}: {response:?}");
                    }
                });
            }
        });
    };
    let dropped =
        || gateway.metric("cursorgate_log_lines_dropped_total{reason=\"queue_full\"}").expect("it is counted");
    assert_eq!(dropped(), 0);

    gateway.read_log(Reading::Rests);
    load(REQUESTS);
    assert!(gateway.is_healthy());
    assert!(dropped() > 0, "the queue is bounded");
    gateway.rewrite(Keys::One, &configuration.replace("order = [\"id\"]", "mistake = 1"));
    gateway.signal("HUP");
    eventually("the reload has failed", || {
        (gateway.metric("cursorgate_config_last_reload_successful") == Some(0)).then_some(())
    });

    gateway.read_log(Reading::Goes);
    eventually("what is missing is told", || {
        gateway.log().iter().any(|line| line.contains("log lines were dropped")).then_some(())
    });
    assert!(gateway.log().iter().any(|line| line.contains("mistake")), "errors are the last to be dropped");
    let lines = u64::try_from(gateway.access_log().len()).expect("a count");
    let requests = u64::try_from(CLIENTS * REQUESTS).expect("a count");
    assert_eq!(lines + dropped(), requests, "each line is written or counted");

    gateway.read_log(Reading::Rests);
    load(REQUESTS);
    gateway.signal("TERM");
    assert!(gateway.ended().success(), "it waits for nobody who reads");
}

/// Neither a full disk nor a closed pipe stops requests, and lines that can't be written are counted.
///
/// Row: F53
#[test]
fn a_log_that_cannot_be_written_stops_no_request() {
    let upstream = Upstream::start(serve(users(60)));
    let full = || OpenOptions::new().write(true).open("/dev/full").expect("Linux has it").into();
    let configuration = PLAIN.configuration(upstream.address);
    let on_a_full_disk = Gateway::start_writing_to(full, Keys::One, &configuration);
    let without_a_reader = Gateway::start(&configuration);
    without_a_reader.read_log(Reading::Ends);
    for mut gateway in [on_a_full_disk, without_a_reader] {
        for _ in 0..100 {
            assert_eq!(gateway.get("/users?cursor=start&limit=5").outcome(), "200");
        }
        eventually("lines that can't be written are counted", || {
            let count = gateway.metric("cursorgate_log_lines_dropped_total{reason=\"write_failed\"}")?;
            (count >= 90).then_some(())
        });
        gateway.signal("TERM");
        assert!(gateway.ended().success());
    }
}

/// Failed TLS handshakes, of which port scans cause many, are counted by cause and logged in summaries.
#[test]
fn failed_handshakes_are_counted_and_logged_in_summaries() {
    const EACH: u64 = 50;
    let upstream = Upstream::start(serve(users(3)));
    let directory = Directory::new();
    let (certificate, key) = (directory.file("tls.crt"), directory.file("tls.key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            "/CN=gateway.test",
        ])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl is there").success());
    let secure = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let tls = format!(
        "listeners.secure = {{ address = \"{secure}\", tls = {{ certificate = {certificate:?}, key = \"file:{}\" }} }}\n",
        key.display()
    );
    let gateway = Gateway::start(&(tls + &PLAIN.configuration(upstream.address)));
    eventually("the other listener is there", || TcpStream::connect(secure).ok());
    for _ in 0..EACH {
        let mut plain = TcpStream::connect(secure).expect("it listens");
        plain.write_all(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n").expect("it is sent");
        // The end of the connection shows that the handshake has failed.
        let _ = plain.read_to_end(&mut Vec::new());
        drop(TcpStream::connect(secure).expect("it listens"));
    }
    let count = |cause: &str| {
        gateway.metric(&format!("cursorgate_tls_handshakes_failed_total{{cause=\"{cause}\"}}")).expect("it is counted")
    };
    // The harness's wait for the listener has also closed a connection without a handshake.
    eventually("all of them are counted", || (count("not_tls") == EACH && count("closed") > EACH).then_some(()));
    assert_eq!(count("other"), 0, "every cause is recognised");
    let told = eventually("they are told", || {
        gateway.log().into_iter().find(|line| line.contains("TLS handshakes of clients failed"))
    });
    assert!(told.len() < 300 && told.contains("\"level\":\"INFO\""), "{told}");
    let lines = gateway.log().iter().filter(|line| line.contains("handshake")).count();
    assert!(lines < 5, "{lines} lines for {EACH} failures of each kind");
}

/// With `log.format = "json"`, every line is JSON: warnings of the configuration at the start, the end, and the faults of
/// a configuration with which the process doesn't start.
#[test]
fn every_line_of_a_json_log_is_json() {
    let upstream = Upstream::start(serve(users(3)));
    let warned = format!("server = {{ trusted_proxies = [\"0.0.0.0/0\"] }}\n{}", PLAIN.configuration(upstream.address));
    let mut gateway = Gateway::start(&warned);
    gateway.get("/users?limit=2&cursor=start");
    let good = gateway.configuration();
    gateway.signal("TERM");
    assert!(gateway.ended().success());
    gateway.rewrite_raw(&good.replace("0.0.0.0/0", "nonsense"));
    let refused = ["cursorgate.toml", "missing.toml"].map(|file| {
        let run = command().args(["run", "--config"]).arg(gateway.file(file)).stderr(Stdio::piped()).output();
        String::from_utf8(run.expect("the program runs").stderr).expect("text")
    });
    let lines = gateway.log().into_iter().chain(refused.iter().flat_map(|text| text.lines()).map(str::to_owned));
    let lines: Vec<Value> =
        lines.map(|line| serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect();
    let has = |level: &str, text: &str| {
        let mut found = lines.iter().filter(|line| line["level"] == level);
        found.any(|line| line["report"].as_str().is_some_and(|report| report.contains(text)))
    };
    assert!(has("WARN", "contains clients") && has("ERROR", "trusted_proxies"), "{lines:?}");
    assert!(has("ERROR", "missing.toml"), "{lines:?}");
}
