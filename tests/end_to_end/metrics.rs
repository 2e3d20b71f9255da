//! Tests of the metrics: the contents of a scrape, which promtool accepts, and the bound on the number of series.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use crate::harness::{
    eventually,
    gateway::Gateway,
    http,
    list::{Setup, serve, users},
    scaled,
    upstream::{After, Upstream},
};

const ROUTES: Setup = Setup {
    upstream: "",
    route: "old_clients = \"reject\"\nlegacy = { client = { header = \"X-Api-Key\", max = 50 } }",
    more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
};

fn scrape(gateway: &Gateway) -> String {
    gateway.metrics().text().to_owned()
}

/// Returns the name, the labels as written, and the value of each sample in a scrape.
fn samples(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        (name, labels.trim_end_matches('}'), value)
    })
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
}

/// Returns promtool of the test environment (`make test-env`), or the system's.
fn promtool() -> Command {
    let environment = std::env::var_os("CURSORGATE_TEST_ENV").map(PathBuf::from);
    let installed = environment.map(|folder| folder.join("promtool/usr/bin/promtool")).filter(|file| file.exists());
    Command::new(installed.unwrap_or_else(|| "promtool".into()))
}

fn load(gateway: &Gateway, upstream: &Upstream) -> usize {
    upstream.answer(|exchange| match exchange.request.path() {
        "/rest/broken" => exchange.reply("500 Oops", &[], b"oops"),
        "/rest/gone" => Ok(After::Reset),
        _ => serve(users(60))(exchange),
    });
    let targets = [
        "/users?cursor=start&limit=50",
        "/users?cursor=start&limit=x",
        "/users?offset=3",
        "/nothing",
        "/rest/a",
        "/rest/broken",
        "/rest/gone",
    ];
    for target in targets {
        gateway.send("GET", target, &[("Accept-Encoding", "gzip"), ("X-Api-Key", "key \"1\"\\")], b"");
    }
    let lines = targets.len();
    eventually("all requests are counted", || (gateway.access_log().len() == lines).then_some(()));
    lines
}

#[test]
fn promtool_accepts_every_family() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    load(&gateway, &upstream);
    let text = scrape(&gateway);
    let mut check = promtool()
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: `make test-env` installs it");
    check.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
    let said = check.wait_with_output().expect("it ends");
    let report = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success() && report.trim().is_empty(), "{report}\n{text}");
}

#[test]
fn a_family_has_one_set_of_labels() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    load(&gateway, &upstream);
    let text = scrape(&gateway);
    let mut families: BTreeMap<&str, BTreeSet<Vec<&str>>> = BTreeMap::new();
    for (name, labels, _) in samples(&text) {
        // Only the client's key has a label value with `="` here, and its quotes are escaped.
        let names =
            labels.split("=\"").filter_map(|part| part.rsplit([',', '"']).next()).filter(|name| !name.is_empty());
        families.entry(name).or_default().insert(names.collect());
    }
    for (name, sets) in families {
        assert_eq!(sets.len(), 1, "{name}: {sets:?}");
    }
}

#[test]
fn times_statuses_and_bytes_are_counted() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    load(&gateway, &upstream);
    let text = scrape(&gateway);
    for (series, expected) in [
        ("cursorgate_requests_total{route=\"users\",outcome=\"page\",status=\"2xx\"}", 1.0),
        ("cursorgate_requests_total{route=\"rest\",outcome=\"forwarded\",status=\"2xx\"}", 1.0),
        ("cursorgate_requests_total{route=\"rest\",outcome=\"forwarded\",status=\"5xx\"}", 1.0),
        ("cursorgate_requests_total{route=\"rest\",outcome=\"upstream_unavailable\",status=\"5xx\"}", 1.0),
        ("cursorgate_requests_total{route=\"\",outcome=\"route_not_found\",status=\"4xx\"}", 1.0),
        ("cursorgate_request_duration_seconds_count{route=\"rest\",status=\"5xx\"}", 2.0),
        ("cursorgate_request_duration_seconds_bucket{route=\"rest\",status=\"5xx\",le=\"+Inf\"}", 2.0),
        ("cursorgate_request_duration_seconds_bucket{route=\"users\",status=\"2xx\",le=\"10\"}", 1.0),
        ("cursorgate_upstream_request_duration_seconds_count{upstream=\"legacy\",status=\"2xx\"}", 2.0),
        ("cursorgate_upstream_request_duration_seconds_count{upstream=\"legacy\",status=\"5xx\"}", 1.0),
        ("cursorgate_upstream_request_duration_seconds_count{upstream=\"legacy\",status=\"none\"}", 1.0),
        ("cursorgate_page_upstream_requests_sum{route=\"users\"}", 1.0),
        ("cursorgate_page_upstream_requests_bucket{route=\"users\",le=\"1\"}", 1.0),
        ("cursorgate_pages_total{route=\"users\",level=\"exact\"}", 1.0),
        ("cursorgate_legacy_requests_total{route=\"users\",client=\"other\",paging=\"legacy\"}", 0.0),
        ("cursorgate_config_last_reload_successful", 1.0),
        ("cursorgate_cursor_key_since_timestamp_seconds{key=\"1\",use=\"sign\"}", f64::NAN),
    ] {
        let value = value(&text, series);
        assert!(
            value.to_bits() == expected.to_bits() || expected.is_nan() && value > 1.6e9,
            "{series}: {value}\n{text}"
        );
    }
    let bytes = |direction| {
        value(&text, &format!("cursorgate_compression_{direction}_bytes_total{{route=\"users\",coding=\"gzip\"}}"))
    };
    assert!(bytes("output") < bytes("input") / 2.0, "{text}");
    assert!(value(&text, "cursorgate_response_body_bytes_total{route=\"users\"}") >= bytes("output"));
    let version = concat!("cursorgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",commit=\"");
    assert!(text.contains(version) && text.contains("openssl=\"OpenSSL "), "{text}");
    for name in ["start_time_seconds", "cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds"] {
        assert!(value(&text, &format!("process_{name}")) > 0.0, "{name}");
    }
}

/// The histograms of routes have few buckets, all, or those of all routes together, as `admin.histograms` says, or the
/// number of routes. Scrapers that take gzip get it.
#[test]
fn histograms_of_routes_are_as_many_as_wanted() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    load(&gateway, &upstream);
    let buckets = |text: &str, route: &str| {
        let label = format!("route=\"{route}\"");
        let of_route = |(name, labels, _): &(&str, &str, &str)| {
            *name == "cursorgate_request_duration_seconds_bucket"
                && labels.contains(&label)
                && labels.contains("\"2xx\"")
        };
        samples(text).filter(of_route).count()
    };
    let few = scrape(&gateway);
    assert_eq!((buckets(&few, "users"), buckets(&few, "rest"), buckets(&few, "")), (7, 7, 0), "{few}");
    let written = gateway.configuration();
    for (word, expected) in [("fine", (15, 15, 0)), ("total", (0, 0, 15))] {
        gateway.rewrite_raw(&written.replace("admin = {", &format!("admin = {{ histograms = \"{word}\",")));
        gateway.signal("HUP");
        eventually(word, || {
            let text = scrape(&gateway);
            ((buckets(&text, "users"), buckets(&text, "rest"), buckets(&text, "")) == expected).then_some(())
        });
    }
    let total = scrape(&gateway);
    let more = (0..100).map(|index| {
        format!("routes.more_{index} = {{ path = \"/more/{index}\", upstream = \"people\", action = \"forward\" }}\n")
    });
    let (tables, end) = written.split_once("\n[").expect("tables");
    gateway.rewrite_raw(&format!("{tables}\n{}[{end}", more.collect::<String>()));
    gateway.signal("HUP");
    eventually("a hundred routes more", || {
        let text = scrape(&gateway);
        ((buckets(&text, "users"), buckets(&text, "")) == (0, 15)).then_some(())
    });
    assert!(value(&scrape(&gateway), "cursorgate_request_seconds_total{route=\"users\"}") > 0.0);
    assert_eq!(value(&total, "cursorgate_page_upstream_requests_sum{route=\"\"}").to_bits(), 1.0_f64.to_bits());
    let zipped = http::send(gateway.admin, "GET", "/metrics", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!(zipped.header("content-encoding"), Some("gzip"));
    assert!(zipped.body.len() * 4 < total.len(), "{} of {}", zipped.body.len(), total.len());
}

/// The number of series is bounded, regardless of the client keys in requests.
///
/// Row: A37
#[test]
fn client_keys_leave_the_number_of_series_bounded() {
    const CLIENTS: u64 = 4;
    let requests = scaled(25_000);
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    load(&gateway, &upstream);
    let series = || samples(&scrape(&gateway)).count();
    let before = series();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut connection = gateway.connect();
                for request in 0..requests {
                    let key = format!("key-{client}-{request}");
                    let host = format!("{key}.example");
                    let headers =
                        [("X-Api-Key", key.as_str()), ("X-Request-Id", &key), ("Host", &host), ("User-Agent", &key)];
                    let target = format!("/users?offset={request}&q={key}");
                    let response = connection.request("GET", &target, &headers, b"").expect("a response");
                    assert_eq!(response.outcome(), "410 legacy_rejected", "{response:?}");
                }
            });
        }
    });
    let after = series();
    // At most 50 clients have their own series, and one new class of outcomes adds fewer than 40 series.
    assert!(after <= before + 50 + 40, "{before} series, then {after}");
    let text = scrape(&gateway);
    let clients = samples(&text).filter(|(name, ..)| *name == "cursorgate_legacy_requests_total");
    let counted: f64 = clients.map(|(.., value)| value.parse::<f64>().expect("a number")).sum();
    assert!(counted >= (CLIENTS * requests) as f64, "{counted}");
    println!("{before} series before {} client keys, {after} after", CLIENTS * requests);
}
