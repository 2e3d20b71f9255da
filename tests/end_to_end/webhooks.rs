//! Tests of webhooks: each event arrives at its endpoints or becomes a dead letter. Requests are signed and go only to
//! permitted addresses, and no client sees another client's events.

mod changes;
mod delivery;
mod emitted;
mod guard;
mod libraries;
mod operators;
mod receiver;
mod replicas;
mod services_page;
mod shared;
mod survival;

use serde_json::{Value, json};

use self::receiver::{Receiver, signed_by};
use crate::{
    exports::place::Place,
    harness::{
        Directory, eventually,
        gateway::Gateway,
        http::Response,
        list::{PLAIN, Setup, serve, users},
        metric,
        schema::faults,
        upstream::Upstream,
    },
};

const JSON: (&str, &str) = ("Content-Type", "application/json");
const ONE: (&str, &str) = ("Authorization", "Bearer one");
const TWO: (&str, &str) = ("Authorization", "Bearer two");

/// The settings by which clients may register endpoints.
const CLIENTS: &str = "[services.webhooks.clients]\nauthorize = \"/users?limit=1\"\n";

/// Returns the tables of exports and of webhooks whose receivers are at these ports of this machine. `keys` are lines
/// of `[services.webhooks]`, and `tables` follow that table.
fn services(directory: &Directory, ports: &[u16], keys: &str, tables: &str) -> String {
    let (exports, webhooks) = (directory.file("exports"), directory.file("webhooks"));
    format!(
        "\n[services.exports]\ndirectory = {exports:?}\nper_client = 50\n\n[services.webhooks]\n\
         directory = {webhooks:?}\n{}{keys}\n{tables}",
        receivers(ports)
    )
}

/// Returns the lines of `[services.webhooks]` that permit receivers at these ports of this machine.
fn receivers(ports: &[u16]) -> String {
    format!("http = true\nports = {ports:?}\nnetworks = [\"127.0.0.1\"]\ndelay = \"100ms\"\n")
}

/// Returns the tables of exports and of webhooks in a store, as [`services`] does.
fn services_at(place: &Place, ports: &[u16], keys: &str, tables: &str) -> String {
    let webhooks = place.webhooks(&format!("{}{keys}", receivers(ports)));
    format!("{}{webhooks}{tables}", place.table("per_client = 50"))
}

/// Starts a gateway whose exports and webhooks are in a store, as [`start`] does.
fn start_at(upstream: &Upstream, place: &Place, receiver: &Receiver, keys: &str) -> Gateway {
    let services = services_at(place, &[receiver.port()], keys, CLIENTS);
    Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)))
}

/// Starts a gateway that may send webhooks to a receiver. `keys` are lines of `[services.webhooks]`.
fn start(upstream: &Upstream, directory: &Directory, receiver: &Receiver, keys: &str) -> Gateway {
    let services = services(directory, &[receiver.port()], keys, CLIENTS);
    Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)))
}

fn ask(gateway: &Gateway, method: &str, target: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    gateway.send(method, target, &[headers, &[JSON]].concat(), body.as_bytes())
}

fn post(gateway: &Gateway, target: &str, headers: &[(&str, &str)], body: &Value) -> Response {
    ask(gateway, "POST", target, headers, body)
}

fn get(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Value {
    let answer = gateway.send("GET", target, headers, b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// An endpoint that a client has registered.
struct Registered {
    path: String,
    secret: String,
}

/// Registers an endpoint, and doesn't verify it.
fn register(gateway: &Gateway, headers: &[(&str, &str)], url: &str, events: &[&str]) -> Registered {
    let answer = post(gateway, "/webhooks", headers, &json!({ "url": url, "events": events }));
    assert_eq!(answer.status, 201, "{answer:?}");
    let path = answer.header("location").expect("a location").to_owned();
    Registered { path, secret: answer.json()["secret"].as_str().expect("a secret").to_owned() }
}

/// Orders a challenge for an endpoint, and repeats the order while it is rate-limited. Returns the answer.
fn verify(gateway: &Gateway, headers: &[(&str, &str)], endpoint: &Registered) -> Response {
    eventually("a challenge", || {
        let answer = post(gateway, &format!("{}/verify", endpoint.path), headers, &Value::Null);
        (answer.outcome() != "429 rate_limited").then_some(answer)
    })
}

/// Registers an endpoint and verifies it.
fn active(gateway: &Gateway, headers: &[(&str, &str)], url: &str, events: &[&str]) -> Registered {
    let registered = register(gateway, headers, url, events);
    let verified = verify(gateway, headers, &registered);
    assert_eq!((verified.status, &verified.json()["state"]), (200, &json!("active")), "{verified:?}");
    registered
}

/// Begins an export, whose end is an event, and returns the path of the job.
fn export(gateway: &Gateway, headers: &[(&str, &str)]) -> String {
    let begun = post(gateway, "/users/exports", headers, &json!({}));
    assert_eq!(begun.status, 202, "{begun:?}");
    begun.header("location").expect("a location").to_owned()
}

fn deliveries(gateway: &Gateway, endpoint: &str, headers: &[(&str, &str)]) -> Vec<Value> {
    let list = get(gateway, &format!("{endpoint}/deliveries"), headers);
    list["deliveries"].as_array().expect("a list").clone()
}

/// Waits for a delivery in a state, and returns the delivery with its attempts.
fn delivery(gateway: &Gateway, endpoint: &str, headers: &[(&str, &str)], state: &str) -> Value {
    let found = eventually(&format!("a delivery that is {state}"), || {
        deliveries(gateway, endpoint, headers).into_iter().find(|delivery| delivery["state"] == state)
    });
    get(gateway, &format!("{endpoint}/deliveries/{}", found["id"].as_str().expect("an id")), headers)
}

/// Returns the JSON Schema of a type of events, without annotations.
fn schema(gateway: &Gateway, kind: &str) -> Value {
    let types = get(gateway, "/webhooks/events", &[ONE]);
    let types = types["events"].as_array().expect("a list").clone();
    let mut found = types.into_iter().find(|known| known["type"] == kind).expect("the type")["schema"].take();
    plain(&mut found);
    found
}

/// Removes the annotations of a schema: keywords that validate nothing.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for name in ["$schema", "title", "description", "format"] {
                if members.get(name).is_some_and(Value::is_string) {
                    members.remove(name);
                }
            }
            members.values_mut().for_each(plain);
        }
        Value::Array(elements) => elements.iter_mut().for_each(plain),
        _ => {}
    }
}

#[test]
fn an_event_arrives_signed_and_conforms_to_its_schema() {
    let upstream = Upstream::start(serve(users(30)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    let endpoint = register(&gateway, &[ONE], &receiver.url("/hook?canary=1"), &["export.completed"]);
    let document = get(&gateway, &endpoint.path, &[ONE]);
    let expected = json!({
        "id": document["id"], "url": receiver.url("/hook?canary=1"), "events": ["export.completed"],
        "state": "unverified", "createdAt": document["createdAt"],
    });
    assert_eq!(document, expected, "the secret is shown once");
    let verified = post(&gateway, &format!("{}/verify", endpoint.path), &[ONE], &Value::Null);
    assert_eq!((verified.status, &verified.json()["state"]), (200, &json!("active")), "{verified:?}");
    let challenge = receiver.received()[0].clone();
    assert!(signed_by(&challenge, &endpoint.secret));
    assert_eq!(challenge.json()["type"], "webhook.verification");
    let job = export(&gateway, &[ONE]);
    let delivered = delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    let received = receiver.events();
    assert_eq!(received.len(), 1, "{received:?}");
    let event = &received[0];
    assert!(signed_by(event, &endpoint.secret));
    assert_eq!(event.request.target, "/hook?canary=1");
    let payload = event.json();
    assert_eq!(faults(&schema(&gateway, "export.completed"), &payload), Vec::<String>::new(), "{payload}");
    assert_eq!((&payload["type"], &payload["data"]["items"]), (&json!("export.completed"), &json!(30)));
    assert_eq!(payload["data"]["statusUrl"], job.as_str(), "a path alone, where the gateway knows no public URL");
    assert_eq!(gateway.send("GET", payload["data"]["resultUrl"].as_str().expect("a path"), &[ONE], b"").status, 200);
    assert_eq!((&delivered["payload"], &delivered["attempts"]), (&payload, &json!(1)));
    assert_eq!(delivered["eventId"], event.request.header("webhook-id").expect("an id"));
    let attempt = &delivered["log"][0];
    assert_eq!((&attempt["response"]["status"], &attempt["error"]), (&json!(200), &Value::Null), "{delivered}");
    assert!(attempt["request"]["headers"].to_string().contains("webhook-timestamp"), "{delivered}");
    for secret in [endpoint.secret.as_str(), "v1,", "canary", "Bearer"] {
        assert!(!delivered["log"].to_string().contains(secret), "{secret}: {delivered}");
    }
    assert_eq!(metric(&gateway, "cursorgate_webhook_deliveries_total{end=\"delivered\"}"), 1);
    assert_eq!(metric(&gateway, "cursorgate_webhook_attempts_total{end=\"delivered\"}"), 2, "with the verification");
    assert_eq!(metric(&gateway, "cursorgate_webhook_queue_deliveries"), 0);
    assert!(metric(&gateway, "cursorgate_requests_total{route=\"\",outcome=\"webhooks\",status=\"2xx\"}") > 4);
}

#[test]
fn an_event_links_to_the_export_at_the_public_url() {
    let upstream = Upstream::start(serve(users(30)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let services = services(&directory, &[receiver.port()], "", CLIENTS);
    let plain = Setup { route: "public_url = \"https://api.test:8443/v2\"", ..PLAIN }.configuration(upstream.address);
    let gateway = Gateway::start(&format!("{plain}{services}"));
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let job = export(&gateway, &[ONE]);
    assert!(job.starts_with("https://api.test:8443/v2/users/exports/"), "{job}");
    let delivered = delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    let data = &delivered["payload"]["data"];
    assert_eq!((&data["statusUrl"], &data["resultUrl"]), (&json!(job), &json!(format!("{job}/result"))), "{data}");
}

#[test]
fn a_failed_export_is_an_event() {
    let upstream = Upstream::start(serve(users(300)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.failed"]);
    let items = users(300);
    upstream.answer(move |exchange| {
        if exchange.request.parameter("offset").is_some_and(|offset| offset != "0") {
            return exchange.reply("403 Forbidden", &[], b"");
        }
        serve(items.clone())(exchange)
    });
    export(&gateway, &[ONE]);
    delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    let payload = receiver.events()[0].json();
    assert_eq!(faults(&schema(&gateway, "export.failed"), &payload), Vec::<String>::new(), "{payload}");
    assert_eq!(payload["data"]["error"]["code"], "credentials_refused", "{payload}");
}

/// Other clients can't read, change or use the endpoint of a client.
///
/// Row: A22
#[test]
fn an_endpoint_belongs_to_its_client() {
    let upstream = Upstream::start(serve(users(30)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    let one = active(&gateway, &[ONE], &receiver.url("/one"), &["export.completed"]);
    let two = active(&gateway, &[TWO], &receiver.url("/two"), &["export.completed"]);
    export(&gateway, &[ONE]);
    let own = delivery(&gateway, &one.path, &[ONE], "delivered");
    let delivery = format!("{}/deliveries/{}", one.path, own["id"].as_str().expect("an id"));
    for headers in [&[TWO][..], &[], &[("Cookie", "session=one")], &[ONE, ("Cookie", "a=1")]] {
        for (method, target) in [
            ("GET", one.path.clone()),
            ("PATCH", one.path.clone()),
            ("DELETE", one.path.clone()),
            ("POST", format!("{}/verify", one.path)),
            ("POST", format!("{}/rotate", one.path)),
            ("GET", format!("{}/deliveries", one.path)),
            ("GET", delivery.clone()),
            ("POST", format!("{delivery}/redeliver")),
        ] {
            let body = if method == "PATCH" { json!({ "enabled": false }) } else { Value::Null };
            let refused = ask(&gateway, method, &target, headers, &body);
            assert_eq!(refused.outcome(), "404 webhook_not_found", "{method} {target} {headers:?}");
        }
    }
    let elsewhere = delivery.replace(&one.path, &two.path);
    assert_eq!(gateway.send("GET", &elsewhere, &[TWO], b"").outcome(), "404 webhook_not_found");
    let listed = get(&gateway, "/webhooks", &[TWO]);
    assert_eq!(listed["endpoints"].as_array().map(Vec::len), Some(1));
    assert_eq!(listed["endpoints"][0]["url"], receiver.url("/two"));
    let paths: Vec<String> = receiver.events().iter().map(|event| event.request.target.clone()).collect();
    assert_eq!(paths, ["/one"], "the other client's endpoint learns nothing");
    assert_eq!(deliveries(&gateway, &two.path, &[TWO]), Vec::<Value>::new());
    assert_eq!(get(&gateway, "/webhooks", &[ONE, ("Traceparent", "1")])["endpoints"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_client_without_rights_registers_no_endpoint() {
    let upstream = Upstream::start(|exchange| {
        if exchange.request.header("authorization") != Some("Bearer one") {
            let challenge = [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")];
            return exchange.reply("401 Unauthorized", &challenge, b"who are you?");
        }
        serve(users(3))(exchange)
    });
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    let order = json!({ "url": receiver.url("/"), "events": ["export.completed"] });
    let refused = post(&gateway, "/webhooks", &[TWO], &order);
    assert_eq!(
        (refused.status, refused.text(), refused.header("www-authenticate")),
        (401, "who are you?", Some("Bearer"))
    );
    assert_eq!(get(&gateway, "/webhooks", &[TWO])["endpoints"], json!([]));
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    upstream.answer(|exchange| exchange.reply("401 Unauthorized", &[], b""));
    assert_eq!(post(&gateway, &format!("{}/verify", endpoint.path), &[ONE], &Value::Null).status, 401);
    assert_eq!(gateway.send("DELETE", &endpoint.path, &[ONE], b"").status, 204, "an end is always possible");
}

#[test]
fn registrations_are_checked_and_bounded() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let tables =
        format!("{CLIENTS}per_client = 2\nendpoints = 3\nevents = [\"export.completed\", \"export.failed\"]\n");
    let services = services(&directory, &[receiver.port()], "", &tables);
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    let url = receiver.url("/");
    for (order, outcome) in [
        (json!({ "url": url }), "400 body_invalid"),
        (json!({ "url": url, "events": [] }), "400 body_invalid"),
        (json!({ "url": url, "events": ["export.started"] }), "400 body_invalid"),
        (json!({ "url": url, "events": ["legacy.sunset_approaching"] }), "400 body_invalid"),
        (json!({ "url": url, "events": ["export.failed", "export.failed"] }), "400 body_invalid"),
        (json!({ "url": url, "events": ["export.failed"], "secret": "x" }), "400 body_invalid"),
        (json!({ "url": "ftp://a.example/", "events": ["export.failed"] }), "422 webhook_url_refused"),
        (json!({ "url": "https://a.example/", "events": ["export.failed"] }), "422 webhook_url_refused"),
        (json!({ "url": "http://10.0.0.1/", "events": ["export.failed"] }), "422 webhook_url_refused"),
    ] {
        assert_eq!(post(&gateway, "/webhooks", &[ONE], &order).outcome(), outcome, "{order}");
    }
    let order = json!({ "url": url, "events": ["export.failed"] });
    assert_eq!(post(&gateway, "/webhooks", &[], &order).outcome(), "400 request_invalid", "no credentials");
    for (header, status) in [(ONE, 201), (ONE, 201), (ONE, 409), (TWO, 201), (TWO, 503)] {
        assert_eq!(post(&gateway, "/webhooks", &[header], &order).status, status);
    }
    for (method, target) in [("PUT", "/webhooks"), ("GET", "/webhooks/"), ("GET", "/webhooks/config:x")] {
        assert_eq!(gateway.send(method, target, &[ONE], b"").outcome(), "404 route_not_found", "{method} {target}");
    }
    assert_eq!(gateway.get("/webhooksx").outcome(), "404 route_not_found");
    let types = get(&gateway, "/webhooks/events", &[ONE]);
    assert_eq!(types["events"].as_array().map(Vec::len), Some(2));
}

/// Row: A24
#[test]
fn noise_in_a_cookie_registers_no_further_endpoints() {
    let upstream = Upstream::start(serve(users(3)));
    for (more, most) in [("", 8), ("key = \"header:Authorization\"\n", 2), ("key = \"address\"\n", 2)] {
        let (directory, receiver) = (Directory::new(), Receiver::start());
        let tables = format!("{CLIENTS}per_client = 2\nendpoints = 100\n{more}");
        let services = services(&directory, &[receiver.port()], "", &tables);
        let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
        let order = json!({ "url": receiver.url("/"), "events": ["export.failed"] });
        let registered = (0..12).filter(|at| {
            let cookie = format!("x={at}");
            post(&gateway, "/webhooks", &[ONE, ("Cookie", cookie.as_str())], &order).status == 201
        });
        assert_eq!(registered.count(), most, "{more}");
    }
}

#[test]
fn an_endpoint_is_active_once_it_has_answered_its_challenge() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    receiver.answer(|_, exchange| exchange.reply("200 OK", &[], br#"{"challenge":"guessed"}"#));
    let endpoint = register(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let verify = || verify(&gateway, &[ONE], &endpoint);
    assert_eq!(verify().outcome(), "409 webhook_unverified");
    receiver.answer(|_, exchange| exchange.reply("500 Internal Server Error", &[], b""));
    let refused = verify();
    assert_eq!(refused.outcome(), "409 webhook_unverified");
    assert!(refused.text().contains("answered with 500"), "{refused:?}");
    assert_eq!(get(&gateway, &endpoint.path, &[ONE])["state"], "unverified");
    let with_body = eventually("a challenge", || {
        let answer = post(&gateway, &format!("{}/verify", endpoint.path), &[ONE], &json!({}));
        (answer.outcome() != "429 rate_limited").then_some(answer)
    });
    assert_eq!(
        with_body.outcome(),
        "409 webhook_unverified",
        "a body that is not needed is none of a client that left"
    );
    export(&gateway, &[ONE]);
    receiver.echo();
    assert_eq!(verify().status, 200);
    let moved = ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "url": receiver.url("/other") }));
    assert_eq!(moved.json()["state"], "unverified", "another URL has to answer as well: {moved:?}");
    assert_eq!(
        ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": true })).json()["state"],
        "unverified"
    );
    assert_eq!(verify().status, 200);
    let paused = ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": false })).json();
    assert_eq!((&paused["state"], &paused["disabledBy"]), (&json!("disabled"), &json!("client")));
    let enabled =
        ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": true, "events": ["export.failed"] }));
    assert_eq!((&enabled.json()["state"], &enabled.json()["events"]), (&json!("active"), &json!(["export.failed"])));
    assert_eq!(receiver.events().len(), 0, "an endpoint that is not active gets no events");
}

#[test]
fn a_sunset_is_announced_once_for_each_notice() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let secret = directory.file("secret");
    std::fs::write(&secret, receiver::SECRET).expect("a file");
    let before = directory.file("secret-before");
    std::fs::write(&before, receiver::SECRET_BEFORE).expect("a file");
    let endpoint = format!(
        "[services.webhooks.endpoints.audit]\nurl = {:?}\nevents = [\"legacy.sunset_approaching\", \"export.completed\"]\n\
         secret = \"file:{}\"\nprevious_secret = \"file:{}\"\n",
        receiver.url("/audit"),
        secret.display(),
        before.display()
    );
    let sunset = receiver::day_after(20);
    let today =
        Setup { upstream: "", route: "old_clients = \"translate\"\nlegacy = { sunset = 2999-01-01 }", more: "" };
    let today = today.configuration(upstream.address).replace("2999-01-01", &sunset);
    let start = |notice: &str| {
        let keys = format!("sunset_notice = [{notice}]");
        Gateway::start(&format!("{today}{}", services(&directory, &[receiver.port()], &keys, &endpoint)))
    };
    let sunsets = || {
        let mut events = receiver.events();
        events.retain(|event| event.json()["type"] == "legacy.sunset_approaching");
        events
    };
    let gateway = start("\"30d\", \"7d\"");
    let first = eventually("the notice", || sunsets().pop());
    assert!(signed_by(&first, receiver::SECRET) && signed_by(&first, receiver::SECRET_BEFORE));
    let payload = first.json();
    let mut schema: Value =
        serde_json::from_str(include_str!("../../crates/gateway/src/openapi/events/legacy.sunset_approaching.json"))
            .expect("a schema");
    plain(&mut schema);
    assert_eq!(faults(&schema, &payload), Vec::<String>::new(), "{payload}");
    let data = &payload["data"];
    assert_eq!((&data["route"], &data["path"], &data["daysLeft"]), (&json!("users"), &json!("/users"), &json!(20)));
    assert_eq!(data["sunset"], format!("{sunset}T00:00:00Z"));
    drop(gateway);
    // The gateway remembers which notices it has sent, and doesn't send one again with another event.
    let gateway = start("\"30d\", \"7d\"");
    export(&gateway, &[ONE]);
    eventually("another event", || (receiver.events().len() > sunsets().len()).then_some(()));
    assert_eq!(sunsets().len(), 1);
    drop(gateway);
    let _gateway = start("\"30d\", \"25d\"");
    eventually("the nearer notice", || (sunsets().len() == 2).then_some(()));
    assert_ne!(sunsets()[0].id(), sunsets()[1].id());
}
