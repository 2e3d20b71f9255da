//! Tests of the report of webhooks at the admin listener, and of the redelivery of dead letters there.

use serde_json::{Value, json};

use super::{
    CLIENTS, ONE, active, ask, delivery, export, get,
    receiver::{self, Receiver},
    services_at, start_at,
};
use crate::{
    exports::place::{Place, over_each_store},
    harness::{
        Directory, eventually,
        gateway::Gateway,
        http::{self, Response},
        list::{PLAIN, serve, users},
        upstream::Upstream,
    },
};

const TOKEN: &str = "a-token-of-the-tests";

fn read(gateway: &Gateway, path: &str) -> Value {
    let answer = http::get(gateway.admin, path);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn redeliver(gateway: &Gateway, headers: &[(&str, &str)], body: &Value) -> Response {
    let headers = [headers, &[("Content-Type", "application/json")]].concat();
    http::send(gateway.admin, "POST", "/webhooks/redeliver", &headers, body.to_string().as_bytes())
}

over_each_store!(dead_letters_are_listed_and_sent_again, an_operator_pauses_and_activates_endpoints);

fn dead_letters_are_listed_and_sent_again(place: &Place) {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let secret = directory.file("secret");
    std::fs::write(&secret, receiver::SECRET).expect("a file");
    let audit = format!(
        "[services.webhooks.endpoints.audit]\nurl = {:?}\nevents = [\"export.completed\"]\nsecret = \"file:{}\"\n",
        receiver.url("/audit?canary=1"),
        secret.display()
    );
    let services = services_at(place, &[receiver.port()], "attempts = 3", &format!("{audit}{CLIENTS}"));
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    let bearer = format!("Bearer {TOKEN}");
    let token = [("Authorization", bearer.as_str())];
    eventually("the token is in force", || (redeliver(&gateway, &token, &json!({})).status == 400).then_some(()));

    let client = active(&gateway, &[ONE], &receiver.url("/client?canary=2"), &["export.completed"]);
    receiver.answer(|_, exchange| exchange.reply("500 Internal Server Error", &[], b""));
    export(&gateway, &[ONE]);
    let letters = eventually("two dead letters", || {
        let found = read(&gateway, "/webhooks/dead-letters");
        (found["dead_letters"].as_array().map(Vec::len) == Some(2)).then_some(found)
    });
    let all = letters["dead_letters"].as_array().expect("a list");
    let endpoint = client.path.rsplit('/').next().expect("an id");
    let of = |endpoint: &str| all.iter().find(|letter| letter["endpoint"] == endpoint).expect("a dead letter").clone();
    let letter = of("config:audit");
    let facts = ["type", "attempts", "error"].map(|name| letter[name].clone());
    assert_eq!(facts, [json!("export.completed"), json!(3), json!("refused")]);
    let overview = read(&gateway, "/webhooks");
    let endpoints = overview["endpoints"].as_array().expect("a list");
    for (entry, id, of) in [(&endpoints[0], "config:audit", "operator"), (&endpoints[1], endpoint, "client")] {
        let facts = ["id", "of", "host", "state", "queued", "dead"].map(|name| entry[name].clone());
        let expected = [json!(id), json!(of), json!("127.0.0.1"), json!("active"), json!(0), json!(1)];
        assert_eq!(facts, expected, "{entry}");
    }
    for text in [letters.to_string(), overview.to_string()] {
        assert!(!text.contains("canary") && !text.contains("whsec") && !text.contains("/users"), "{text}");
    }
    let next = letters["next"].as_str().expect("a path");
    assert_eq!(read(&gateway, next)["dead_letters"], json!([]), "they are all");

    let id = letter["id"].as_str().expect("an id").to_owned();
    for (headers, body, status) in [
        (&[][..], json!({ "delivery": id }), 401),
        (&[("Authorization", "Bearer another")], json!({ "delivery": id }), 401),
        (&token, json!({ "delivery": id, "endpoint": endpoint }), 400),
        (&token, json!({ "deliveries": [id] }), 400),
        (&token, json!({ "delivery": "0".repeat(32) }), 404),
        (&token, json!({ "endpoint": "config:other" }), 404),
    ] {
        assert_eq!(redeliver(&gateway, headers, &body).status, status, "{body}");
    }
    let refused = http::get(gateway.admin, "/webhooks/redeliver");
    assert_eq!((refused.status, refused.header("allow")), (405, Some("POST")));
    assert_eq!(http::send(gateway.admin, "POST", "/webhooks", &token, b"").status, 405);
    assert_eq!(http::get(gateway.admin, "/webhooks/dead-letters?before=1").status, 400);
    let removed = format!("/webhooks/dead-letters?before={}", "0".repeat(32));
    assert_eq!(http::get(gateway.admin, &removed).status, 404, "older letters may be there");

    receiver.echo();
    let before = receiver.events().len();
    let queued = redeliver(&gateway, &token, &json!({ "delivery": id }));
    assert_eq!((queued.status, queued.json()), (200, json!({ "redelivered": 1 })));
    let again = eventually("the event", || receiver.events().get(before).cloned());
    assert_eq!(
        (again.request.target.as_str(), again.id().as_str()),
        ("/audit?canary=1", letter["event_id"].as_str().expect("an id"))
    );
    let queued = redeliver(&gateway, &token, &json!({ "endpoint": endpoint }));
    assert_eq!(queued.json(), json!({ "redelivered": 1 }));
    eventually("no dead letter", || {
        (read(&gateway, "/webhooks/dead-letters") == json!({ "dead_letters": [], "next": null })).then_some(())
    });
    let disabled = ask(&gateway, "PATCH", &client.path, &[ONE], &json!({ "enabled": false }));
    assert_eq!(disabled.status, 200);
    assert_eq!(redeliver(&gateway, &token, &json!({ "endpoint": endpoint })).status, 409);
}

/// An operator can pause an endpoint, which its client can't enable, and activate it again.
fn an_operator_pauses_and_activates_endpoints(place: &Place) {
    let upstream = Upstream::start(serve(users(3)));
    let receiver = Receiver::start();
    let gateway = start_at(&upstream, place, &receiver, "");
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    let bearer = format!("Bearer {TOKEN}");
    let change = |path: &str, body: &Value| {
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        http::send(gateway.admin, "POST", path, &headers, body.to_string().as_bytes())
    };
    eventually("the token is in force", || (change("/webhooks/pause", &json!({})).status == 400).then_some(()));
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let id = endpoint.path.rsplit('/').next().expect("an id");
    let named = json!({ "endpoint": id });
    assert_eq!(change("/webhooks/activate", &named).status, 409, "it isn't disabled");
    assert_eq!(change("/webhooks/pause", &json!({ "endpoint": "0".repeat(32) })).status, 404);
    let paused = change("/webhooks/pause", &named);
    assert_eq!((paused.status, paused.json()), (200, json!({ "endpoint": id, "state": "disabled" })));
    assert_eq!(get(&gateway, &endpoint.path, &[ONE])["disabledBy"], "operator");
    // Its client can't undo that: not by the switch, another URL, or a verification.
    let patch = |body: Value| ask(&gateway, "PATCH", &endpoint.path, &[ONE], &body);
    assert_eq!(patch(json!({ "enabled": true })).outcome(), "409 webhook_unverified");
    assert_eq!(patch(json!({ "enabled": false })).json()["disabledBy"], "operator");
    assert_eq!(patch(json!({ "url": receiver.url("/other") })).json()["state"], "disabled");
    assert_eq!(super::verify(&gateway, &[ONE], &endpoint).outcome(), "409 webhook_unverified");
    let activated = change("/webhooks/activate", &named);
    assert_eq!(activated.json()["state"], "unverified", "its URL has changed: {activated:?}");
    assert_eq!(super::verify(&gateway, &[ONE], &endpoint).json()["state"], "active");
    // What the client has disabled is the client's.
    patch(json!({ "enabled": false }));
    assert_eq!(change("/webhooks/activate", &named).status, 409);
    patch(json!({ "enabled": true }));
    export(&gateway, &[ONE]);
    delivery(&gateway, &endpoint.path, &[ONE], "delivered");
}
