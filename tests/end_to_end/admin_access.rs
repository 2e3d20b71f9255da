//! Tests of who can read the admin listener, and of its TLS.

use std::process::Command;

use crate::{
    harness::{
        Directory, eventually,
        gateway::{Gateway, binary},
        http,
        list::PLAIN,
        upstream::Upstream,
    },
    tls::{
        authority::{ALWAYS, Authority},
        client::Caller,
    },
};

const READER: &str = "token-of-those-who-only-read";

/// Returns a gateway with one forwarded route, whose configuration has these further keys in `[admin]`.
fn with_admin(folder: &Directory, keys: &str) -> (Gateway, Upstream) {
    std::fs::write(folder.file("read.token"), READER).expect("a file in the test's directory");
    let upstream = Upstream::start(|exchange| exchange.reply("200 OK", &[], b"[]"));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    put(&gateway, keys);
    (gateway, upstream)
}

/// Adds keys to `[admin]`, and reloads.
fn put(gateway: &Gateway, keys: &str) {
    let written = gateway.configuration();
    let (before, rest) = written.split_once("hosts = [\"gateway.test\"").expect("the table of the harness");
    let (_, after) = rest.split_once(" }\n").expect("the end of the table");
    gateway.rewrite_raw(&format!("{before}hosts = [\"gateway.test\", \"api.test\"]{keys} }}\n{after}"));
    let reloads = || gateway.log().iter().filter(|line| line.contains("configuration reloaded")).count();
    let before = reloads();
    gateway.signal("HUP");
    eventually("the reload", || (reloads() > before).then_some(()));
}

/// Reports can be closed at a loopback address too. A refusal says how to read, is counted, and names its sender.
#[test]
fn reports_are_read_with_a_token_and_refusals_are_told() {
    let folder = Directory::new();
    let token = folder.file("read.token");
    let (gateway, _upstream) =
        with_admin(&folder, &format!(", open = \"none\", read_token = \"file:{}\"", token.display()));
    let read = |path: &str, token: &str| {
        http::send(gateway.admin, "GET", path, &[("Authorization", &format!("Bearer {token}"))], b"")
    };
    for path in ["/status", "/metrics", "/config", "/migration", "/routes"] {
        assert_eq!(http::get(gateway.admin, path).status, 401, "{path}");
        assert_eq!(read(path, READER).status, 200, "{path}");
    }
    let refused = read("/config", "token-of-somebody-who-guesses");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
    assert!(refused.text().contains("admin.read_token"), "{refused:?}");
    for path in ["/livez", "/readyz", "/healthz", "/", "/page/page.js"] {
        assert_eq!(http::get(gateway.admin, path).status, 200, "{path}");
    }
    // The token for reading changes nothing.
    assert_eq!(http::send(gateway.admin, "POST", "/reload", &[], b"").status, 405);
    let metrics = read("/metrics", READER);
    assert!(metrics.text().contains("cursorgate_admin_refused_total{reason=\"token\"} 6\n"), "{}", metrics.text());
    let told = eventually("a line about the refusals", || {
        gateway.log().into_iter().find(|line| line.contains("a report was asked for and refused"))
    });
    assert!(told.contains("\"level\":\"WARN\"") && told.contains("\"client\":\"127.0.0.1"), "{told}");
    assert!(!gateway.log().join("\n").contains("token-of-somebody"), "a token isn't logged");
}

/// `status` and `reload` use the tokens of the configuration, and the second prints the faults that it causes.
#[test]
fn status_and_reload_ask_the_running_gateway() {
    let folder = Directory::new();
    let path = |name: &str| folder.file(name).display().to_string();
    std::fs::write(folder.file("admin.token"), "token-of-those-who-may-change")
        .expect("a file in the test's directory");
    let (read, change) = (path("read.token"), path("admin.token"));
    let (gateway, _upstream) =
        with_admin(&folder, &format!(", open = \"none\", read_token = \"file:{read}\", token = \"file:{change}\""));
    let file = gateway.file("cursorgate.toml");
    let ask = |verb: &str| {
        let asked = Command::new(binary()).args([verb, "--config"]).arg(&file).output().expect("it runs");
        let texts = [asked.stdout, asked.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (asked.status.code(), texts.concat())
    };
    let (code, text) = ask("status");
    assert!(code == Some(0) && text.starts_with('{') && text.contains("}\nthe gateway at "), "{text}");
    let (code, text) = ask("reload");
    assert!(code == Some(0) && text.starts_with("reloaded\n") && text.contains("warning: links of"), "{text}");
    let right = gateway.configuration();
    gateway.rewrite_raw(&right.replace("version = 1", "version = 1\nserver.drain_delya = \"1s\""));
    let (code, text) = ask("reload");
    assert!(code == Some(2) && text.contains("did you mean") && text.contains("stays in force"), "{text}");
    assert_eq!(ask("health").0, Some(0), "a refused configuration stops nothing");
    // The process still has the tokens of its start.
    std::fs::write(folder.file("next.token"), "token-of-the-next-start").expect("a file in the test's directory");
    gateway.rewrite_raw(&right.replace("admin.token", "next.token"));
    let (code, text) = ask("reload");
    assert!(code == Some(1) && text.contains("another admin.token"), "{text}");
    gateway.rewrite_raw(&right.replace(&format!(", token = \"file:{change}\""), ""));
    let (code, text) = ask("reload");
    assert!(code == Some(2) && text.contains("kill -HUP"), "{text}");
    // No token is sent to another machine (RFC 5737).
    gateway.rewrite_raw(&right.replace(&gateway.admin.to_string(), "192.0.2.1:9180"));
    let (code, text) = ask("status");
    assert!(code == Some(2) && text.contains("not an address of this machine"), "{text}");
    drop(gateway);
    assert_eq!(ask("status").0, Some(2), "the file is gone with its gateway");
}

/// With `open = "metrics"`, scrapers need no token, and everything else does.
#[test]
fn metrics_can_be_open_alone() {
    let folder = Directory::new();
    let (gateway, _upstream) = with_admin(&folder, ", open = \"metrics\"");
    assert_eq!(http::get(gateway.admin, "/metrics").status, 200);
    let refused = http::get(gateway.admin, "/status");
    assert_eq!(refused.status, 401);
    assert!(refused.text().contains("none is configured"), "{refused:?}");
}

/// The admin listener takes the same `tls` as other listeners. A reload puts it in force, health checks work with it, and
/// its certificate is among those whose end is reported.
#[test]
fn the_admin_listener_speaks_tls() {
    let (folder, root) = (Directory::new(), Authority::new("root"));
    let (certificate, key) = root.issue(&["gateway.test"], ALWAYS).files(&folder, "admin");
    let ca = root.file(&folder, "ca.pem");
    let tls = format!(", tls = {{ certificate = {certificate:?}, key = \"file:{}\" }}", key.display());
    let (gateway, _upstream) = with_admin(&folder, &tls);
    let caller = Caller::new(&ca, "gateway.test");
    assert_eq!(caller.shown(gateway.admin), "gateway.test");
    let answer = caller.get(gateway.admin, "/certificates", "").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"admin.tls\""), "{answer}");
    assert!(
        http::Connection::open(gateway.admin).and_then(|mut plain| plain.request("GET", "/status", &[], b"")).is_err()
    );
    for arguments in [
        vec!["--config".into(), gateway.file("cursorgate.toml")],
        vec!["--address".into(), gateway.admin.to_string().into()],
    ] {
        let asked = Command::new(binary()).arg("health").args(&arguments).env("CURSORGATE_KEY_1", "x").output();
        let asked = asked.expect("the program runs");
        assert!(asked.status.success(), "{arguments:?}: {asked:?}");
    }
}
