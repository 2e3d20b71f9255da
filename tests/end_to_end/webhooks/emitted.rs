//! Tests of events of the operator's own types, which services emit.

use super::{CLIENTS, ONE, active, ask, deliveries, delivery, receiver, receiver::Receiver, services};
use crate::harness::{
    Directory,
    gateway::{Gateway, command},
    list::{PLAIN, serve, users},
    upstream::Upstream,
};
use serde_json::{Value, json};

const TOKEN: &str = "an-emit-token-of-32-characters!!";
const TYPES: &str = "[services.webhooks.types.order-paid]\ntype = \"order.paid\"\nversion = \"1\"\n\
    schema = '{ \"type\": \"object\", \"required\": [\"id\"], \"properties\": { \"id\": { \"type\": \"integer\" } } }'\n";

#[test]
fn an_event_of_an_own_type_arrives_if_it_matches_its_schema() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, own, clients) = (Directory::new(), Receiver::start(), Receiver::start());
    std::fs::write(directory.file("secret"), receiver::SECRET).expect("a file");
    std::fs::write(directory.file("token"), TOKEN).expect("a file");
    let tables = format!(
        "{TYPES}[services.webhooks.emit]\ntoken = \"file:{}\"\n[services.webhooks.endpoints.audit]\nurl = {:?}\n\
         events = [\"order.paid\"]\nsecret = \"file:{}\"\n{CLIENTS}events = [\"order.paid\", \"export.completed\"]\n",
        directory.file("token").display(),
        own.url("/"),
        directory.file("secret").display()
    );
    let services = services(&directory, &[own.port(), clients.port()], "", &tables);
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    let endpoint = active(&gateway, &[ONE], &clients.url("/"), &["order.paid"]);
    let other = active(&gateway, &[ONE], &clients.url("/other"), &["export.completed"]);
    let bearer = format!("Bearer {TOKEN}");
    let emit = |token: &str, body: &Value| ask(&gateway, "POST", "/events", &[("Authorization", token)], body);
    let event = json!({ "type": "order.paid", "id": "42", "data": { "id": 42 } });
    assert_eq!(emit("Bearer one", &event).outcome(), "401 credentials_refused");
    for (place, wrong) in [
        ("/type", json!({ "type": "order.lost", "data": { "id": 42 } })),
        ("/data", json!({ "type": "order.paid", "data": { "id": "42" } })),
        ("/data", json!({ "type": "order.paid", "data": {} })),
    ] {
        let refused = emit(&bearer, &wrong);
        assert_eq!((refused.outcome().as_str(), &refused.json()["parameter"]), ("400 body_invalid", &json!(place)));
    }
    let accepted = emit(&bearer, &event);
    assert_eq!(accepted.status, 202, "{}", accepted.text());
    assert_eq!(emit(&bearer, &event).json()["id"], accepted.json()["id"], "a repetition is the same event");
    let sent = delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    assert_eq!((&sent["eventId"], &sent["type"]), (&accepted.json()["id"], &json!("order.paid")), "{sent}");
    let payload = clients.events().last().expect("an event").json();
    assert_eq!((&payload["version"], &payload["data"]), (&json!("1"), &json!({ "id": 42 })), "{sent}");
    assert_eq!(deliveries(&gateway, &endpoint.path, &[ONE]).len(), 1);
    assert_eq!(deliveries(&gateway, &other.path, &[ONE]).len(), 0);
    assert_eq!(upstream.requests().iter().filter(|request| request.path() == "/events").count(), 0);
}

/// Types, schemas and tokens are checked with the configuration.
#[test]
fn own_types_of_events_are_checked() {
    let upstream = Upstream::start(serve(users(3)));
    let check = |webhooks: &str| {
        let directory = Directory::new();
        let file = directory.file("cursorgate.toml");
        let text = format!("version = 1\n{}{webhooks}", PLAIN.configuration(upstream.address));
        std::fs::write(&file, text).expect("a file");
        let checked = command().arg("check").arg("--config").arg(&file).output().expect("it runs");
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout)
    };
    let webhooks = "[services.webhooks]\ndirectory = \"/d\"\n";
    for (tables, said) in [
        (
            "[services.webhooks.types.a]\ntype = \"order.paid\"\nschema = '{ \"type\": \"things\" }'\n",
            "this is not a JSON Schema",
        ),
        ("[services.webhooks.types.a]\ntype = \"export.failed\"\nschema = '{}'\n", "is a type of the gateway itself"),
        ("[services.webhooks.types.a]\ntype = \"order\"\nschema = '{}'\n", "is not a type of events"),
        ("[services.webhooks.types.a]\ntype = \"order.paid\"\nschema = \"none.json\"\n", "can't be read"),
        (
            "[services.webhooks.clients]\nauthorize = \"/users\"\nevents = [\"order.paid\"]\n",
            "there is no type of events",
        ),
    ] {
        let output = check(&format!("{webhooks}{tables}"));
        assert!(output.contains(said), "{tables}\n{output}");
    }
}
