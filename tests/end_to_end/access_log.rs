//! Tests of the access log: the fields and the level of a line, and the request id that relates the logs of client,
//! gateway and upstream.

use serde_json::Value;

use crate::harness::{
    eventually,
    gateway::Gateway,
    http,
    list::{Setup, serve, users},
    upstream::{After, Upstream},
};

const ROUTES: Setup = Setup {
    upstream: "",
    route: "",
    more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
};

/// Waits until the access log has a line with this request id, and returns the line.
fn line(gateway: &Gateway, id: &str) -> Value {
    eventually("its line", || gateway.access_log().into_iter().find(|line| line["request_id"] == id))
}

fn id(response: &http::Response) -> String {
    response.header("x-request-id").unwrap_or_else(|| panic!("no id: {response:?}")).to_owned()
}

/// Each answer has a new request id, regardless of the client's headers. The line of the access log and the requests to
/// the upstream have the same id.
///
/// Row: A35
#[test]
fn every_answer_has_the_id_of_its_line_and_of_its_upstream_requests() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    for (method, target, status) in [
        ("GET", "/users?limit=5", 200),
        ("HEAD", "/users?limit=5", 200),
        ("GET", "/users?limit=x", 400),
        ("GET", "/nothing", 404),
        ("GET", "/rest/a", 200),
        ("POST", "/users", 200),
    ] {
        let before = upstream.requests().len();
        let claimed = [("X-Request-Id", "claimed-by-a-stranger"), ("X_Request_Id", "claimed")];
        let response = gateway.send(method, target, &claimed, b"");
        assert_eq!(response.status, status, "{method} {target}: {response:?}");
        let id = id(&response);
        assert_ne!(id, "claimed-by-a-stranger", "a stranger does not choose it");
        let line = line(&gateway, &id);
        assert_eq!((line["status"].as_u64(), line["method"].as_str()), (Some(status.into()), Some(method)), "{line}");
        for request in &upstream.requests()[before..] {
            assert_eq!(request.header("x-request-id"), Some(id.as_str()), "{method} {target}: {request:?}");
            assert_eq!(request.header("x_request_id"), None, "{request:?}");
        }
        if status == 400 {
            assert_eq!(response.json()["requestId"], id.as_str(), "{response:?}");
        }
    }
    // A head that can't be read is refused before a route is found. Its refusal has an id and a line too.
    let mut connection = gateway.connect();
    connection.send(b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n").expect("it is sent");
    let refused = connection.response("GET").expect("a refusal");
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(line(&gateway, &id(&refused))["client"], "127.0.0.1");
}

#[test]
fn a_trusted_proxy_gives_the_id_and_names_the_client() {
    let upstream = Upstream::start(serve(users(60)));
    let configuration = ROUTES.configuration(upstream.address);
    let gateway = Gateway::start(&format!("server = {{ trusted_proxies = [\"127.0.0.0/8\"] }}\n{configuration}"));
    let forwarded = ("X-Forwarded-For", "198.51.100.9, 203.0.113.7, 127.0.0.2");
    for (target, given, is_taken) in [
        ("/users?limit=5", "7f3b2a90-0c1d-4e5f", true),
        ("/rest/a", "Root=1-67891233-abcdef012345678912345678", true),
        ("/users?limit=5", "with blanks and \"quotes\"", false),
        ("/rest/a", &"x".repeat(129), false),
    ] {
        let before = upstream.requests().len();
        let response = gateway.send("GET", target, &[("X-Request-Id", given), forwarded], b"");
        let id = id(&response);
        assert_eq!(id == given, is_taken, "{given}: {response:?}");
        assert_eq!(upstream.requests()[before].header("x-request-id"), Some(id.as_str()));
        let line = line(&gateway, &id);
        assert_eq!(line["client"], "203.0.113.7", "{line}");
    }
}

#[test]
fn a_line_names_the_client_and_the_peer() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    for target in ["/users?limit=5", "/rest/a"] {
        let response = gateway.send("GET", target, &[("Host", "api.example:8443")], b"");
        let line = line(&gateway, &id(&response));
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert_eq!(line["host"], "api.example:8443", "{line}");
        assert_eq!(line["protocol"], "HTTP/1.1", "{line}");
        assert_eq!(line["upstream"], "legacy", "{line}");
        assert_eq!(line["peer"], upstream.address.to_string(), "{line}");
        let (took, waited) = (line["duration_ms"].as_f64().unwrap(), line["upstream_ms"].as_f64().unwrap());
        assert!(0.0 < waited && waited <= took, "{line}");
    }
    let refused = gateway.get("/users?limit=x");
    let unasked = line(&gateway, &id(&refused));
    assert!(unasked.get("upstream").is_none() && unasked.get("upstream_ms").is_none(), "{unasked}");
}

/// A failing upstream is logged as a warning, which operators see even if they log only warnings. The access log has
/// its own setting.
#[test]
fn failures_are_warnings_and_the_access_log_has_its_own_setting() {
    let upstream = Upstream::start(serve(users(60)));
    let configuration = ROUTES.configuration(upstream.address);
    let gateway = Gateway::start(&configuration);
    let with = |settings: &str| {
        let text = gateway.configuration();
        let log = text.lines().find(|line| line.starts_with("log = ")).expect("the harness has one");
        let loads = gateway.metric("cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}");
        gateway.rewrite_raw(&text.replace(log, &format!("log = {{ format = \"json\", {settings} }}")));
        gateway.signal("HUP");
        eventually("the reload", || {
            let now = gateway.metric("cursorgate_config_reloads_total{cause=\"signal\",result=\"in_force\"}");
            (now > loads).then_some(())
        });
    };
    upstream.answer(|exchange| match exchange.request.path() {
        "/rest/broken" => exchange.reply("500 Oops", &[], b"oops"),
        "/rest/gone" => Ok(After::Reset),
        _ => exchange.reply("200 OK", &[], b"fine"),
    });
    // The last request of each round is always logged. Once its line is there, all earlier lines are there.
    for (settings, seen) in [
        ("level = \"error\"", &["INFO 200", "WARN 500", "WARN 502", "INFO 404", "WARN 500"][..]),
        ("level = \"debug\", access = \"errors\"", &["WARN 500", "WARN 502", "WARN 500"]),
        ("level = \"info\", access = \"off\"", &[]),
    ] {
        with(settings);
        let known = gateway.access_log().len();
        for target in ["/rest/fine", "/rest/broken", "/rest/gone", "/nothing", "/rest/broken"] {
            gateway.get(target);
        }
        // Lines of earlier requests are written before a reload is reported.
        with("level = \"info\", access = \"all\"");
        gateway.get("/last");
        let lines = eventually("the last line", || {
            let lines = gateway.access_log();
            lines.iter().skip(known).any(|line| line["path"] == "/last").then_some(lines)
        });
        let mut told: Vec<String> = lines[known..]
            .iter()
            .filter(|line| line["path"] != "/last")
            .map(|line| format!("{} {}", line["level"].as_str().unwrap_or_default(), line["status"]))
            .collect();
        let mut seen = seen.to_vec();
        told.sort();
        seen.sort_unstable();
        assert_eq!(told, seen, "{settings}");
    }
}

/// At the level `debug`, each request to an upstream has a line, which contains no values of parameters or headers.
///
/// Row: A35
#[test]
fn debug_shows_each_upstream_request_and_no_value() {
    const CANARY: &str = "c4n4ry";
    let upstream = Upstream::start(serve(users(60)));
    let configuration = ROUTES.configuration(upstream.address);
    let gateway = Gateway::start(&configuration);
    let text = gateway.configuration().replace("level = \"info\"", "level = \"debug\"");
    gateway.rewrite_raw(&text);
    gateway.signal("HUP");
    let asked = |id: &str| {
        let lines = gateway.log().into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        lines.filter(|line| line["target"] == "cursorgate::upstream" && line["request_id"] == id).collect::<Vec<_>>()
    };
    let page = format!("/users?limit=5&email={CANARY}");
    let lines = eventually("debug is in force", || {
        let response = gateway.send("GET", &page, &[("Authorization", CANARY)], b"");
        line(&gateway, &id(&response));
        let lines = asked(&id(&response));
        (!lines.is_empty()).then_some(lines)
    });
    let first = &lines[0];
    assert_eq!((first["path"].as_str(), first["kind"].as_str()), (Some("/users"), Some("slice")), "{first}");
    let names: Vec<&str> = first["parameters"].as_str().expect("names").split(' ').collect();
    for name in ["email", "offset", "limit"] {
        assert!(names.contains(&name), "{first}");
    }
    assert_eq!((first["status"].as_u64(), first["upstream"].as_str()), (Some(200), Some("legacy")), "{first}");
    assert_eq!(first["peer"], upstream.address.to_string(), "{first}");
    let response = gateway.get(&format!("/rest/a?q={CANARY}"));
    line(&gateway, &id(&response));
    assert_eq!(asked(&id(&response))[0]["parameters"], "q");
    upstream.answer(|_| Ok(After::Reset));
    let response = gateway.get(&page);
    line(&gateway, &id(&response));
    assert!(asked(&id(&response))[0]["fault"].is_string());
    let log = gateway.log().join("\n");
    assert!(!log.contains(CANARY), "{log}");
}
