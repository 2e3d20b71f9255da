//! Tests of the page of services at the admin listener, in a headless browser: operators see exports, endpoints, dead
//! letters, watches and live pages, and change them. The screenshots are in target/services-page.

use serde_json::json;

use super::{
    CLIENTS, JSON, ONE, active, delivery, export, get,
    receiver::{self, Receiver},
    services,
};
use crate::{
    browser::{is_sound, look},
    harness::{
        Directory, eventually,
        gateway::Gateway,
        http,
        list::{PLAIN, serve, users},
        upstream::Upstream,
    },
};

const TOKEN: &str = "a-token-of-the-tests";

/// An operator sees the state of all services, resumes an export, sends a dead letter again, and pauses an endpoint.
///
/// Row: A46, A47
#[test]
fn an_operator_sees_and_changes_services() {
    let items = users(300);
    let upstream = Upstream::start(serve(items.clone()));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let secret = directory.file("secret");
    std::fs::write(&secret, receiver::SECRET).expect("a file");
    let tables = format!(
        "[services.webhooks.watches.all]\npath = \"/users?limit=5\"\n[services.webhooks.endpoints.audit]\nurl = {:?}\n\
         events = [\"export.failed\"]\nsecret = \"file:{}\"\n{CLIENTS}[services.live]\nroutes = [\"users\"]\n",
        receiver.url("/audit?canary=1"),
        secret.display()
    );
    let services = services(&directory, &[receiver.port()], "attempts = 3", &tables);
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    eventually("the token is in force", || {
        (http::get(gateway.admin, "/status").json()["can_reload"] == true).then_some(())
    });
    assert_eq!(http::get(gateway.admin, "/status").json()["services"], true);
    let on = http::get(gateway.admin, "/services").json();
    assert_eq!(on, json!({ "exports": true, "webhooks": true, "live": true }));

    let client = active(&gateway, &[ONE], &receiver.url("/client?canary=2"), &["export.failed"]);
    let all = items.clone();
    upstream.answer(move |exchange| {
        if exchange.request.parameter("offset").is_some_and(|offset| offset != "0") {
            return exchange.reply("403 Forbidden", &[], b"");
        }
        serve(all.clone())(exchange)
    });
    receiver.answer(|_, exchange| exchange.reply("500 Internal Server Error", &[], b""));
    let job = export(&gateway, &[ONE]);
    delivery(&gateway, &client.path, &[ONE], "dead");
    receiver.echo();
    upstream.answer(serve(items));
    let mut live = gateway.connect();
    let request =
        "GET /users/live?limit=5&canary=3 HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer one\r\n\r\n";
    live.send(request.as_bytes()).expect("it is sent");
    assert_eq!(live.head().expect("a head").0, 200);
    eventually("a live page", || {
        (http::get(gateway.admin, "/live").json()["pages"][0]["state"] == "live").then_some(())
    });
    let report = http::get(gateway.admin, "/live");
    let expected = json!({ "route": "users", "path": "/users", "subscribers": 1, "state": "live" });
    let page = report.json()["pages"][0].clone();
    for (name, value) in expected.as_object().expect("members") {
        assert_eq!(&page[name], value, "{page}");
    }
    for path in ["/live", "/exports", "/webhooks", "/webhooks/dead-letters"] {
        assert!(!http::get(gateway.admin, path).text().contains("canary"), "{path}");
    }

    let begun_by = |at: usize| http::get(gateway.admin, "/exports").json()["exports"][at]["client"].clone();
    export(&gateway, &[super::TWO]);
    assert_ne!(begun_by(0), begun_by(1), "clients are told apart");
    let endpoint = client.path.rsplit('/').next().expect("an id");
    let saw = look("services.mjs", &[&format!("http://{}/services/", gateway.admin), TOKEN, endpoint], "services-page");
    let looks = ["desktop-light", "desktop-dark", "phone-light", "phone-dark"];
    is_sound(&saw, &format!("http://{}", gateway.admin), &looks);
    let shown = |section: &str| saw["sections"][section].as_str().expect("a text").to_owned();
    for (section, words) in [
        ("exports", &["failed", "/users", "credentials_refused", "Resume"][..]),
        ("endpoints", &["active", "of a client", "of the operator", "1 dead", "Pause"]),
        ("letters", &["export.failed", "refused", "Send again"]),
        ("watches", &["all", "/users"]),
        ("live", &["live", "/users", "1 client"]),
    ] {
        for word in words {
            assert!(shown(section).contains(word), "{word} in {section}: {}", shown(section));
        }
    }
    assert!(saw["refused"].as_str().is_some_and(|text| text.contains("admin.token")), "{saw}");
    assert_eq!(saw["unseen"], json!([]), "each control shows that it has the focus");
    assert_eq!(get(&gateway, &client.path, &[ONE])["disabledBy"], "operator");
    delivery(&gateway, &client.path, &[ONE], "delivered");
    eventually("the export goes on", || {
        let answer = gateway.send("GET", &job, &[ONE, JSON], b"").json();
        (answer["state"] == "completed").then_some(())
    });
}
