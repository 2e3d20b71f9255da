//! Tests of webhooks of processes that share only a database, as those on several machines do.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{
    CLIENTS, ONE, TWO, active, ask, deliveries, delivery, export, get, post,
    receiver::{self, Receiver},
    receivers, register, start_at, verify,
};
use crate::{
    exports::{
        place::Place,
        postgres_server::{PASSWORD, PostgresServer},
    },
    harness::{
        Directory, Numbers, eventually,
        gateway::Gateway,
        http,
        list::{PLAIN, serve, users},
        metric, now,
        upstream::{After, Upstream},
    },
};

/// The operator's token for events, and the types of events.
const TOKEN: &str = "an-emit-token-of-32-characters!!";
const BEARER: (&str, &str) = ("Authorization", "Bearer an-emit-token-of-32-characters!!");
const TYPES: &str = "[services.webhooks.types.order-paid]\ntype = \"order.paid\"\nschema = '{}'\n";

/// The time for which an attempt with the timeout of 5 seconds is claimed.
const CLAIM: Duration = Duration::from_secs(6);

/// Starts a gateway whose webhooks are in a database, and whose services emit `order.paid` by requests and in answers
/// below `/orders/`.
/// `timeout` is that of an attempt.
fn start_emitting(
    upstream: &Upstream,
    server: &PostgresServer,
    receiver: &Receiver,
    token: &Directory,
    timeout: &str,
) -> Gateway {
    let file = token.file("token");
    std::fs::write(&file, TOKEN).expect("a file");
    let own = receivers(&[receiver.port()]);
    let services = format!(
        "\n[services.webhooks]\n{own}timeout = {timeout:?}\n{}{TYPES}[services.webhooks.emit]\ntoken = \"file:{}\"\n\
         routes = [\"orders\"]\n{CLIENTS}events = [\"order.paid\"]\n\
         [routes.orders]\npath = \"/orders/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n",
        server.table_of("webhooks", "lease = \"1s\"\ntimeout = \"2s\""),
        file.display()
    );
    Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)))
}

fn emit(gateway: &Gateway, id: &str) -> http::Response {
    ask(gateway, "POST", "/events", &[BEARER], &json!({ "type": "order.paid", "id": id, "data": {} }))
}

/// The tables of exports are in the same database. If processes start at the same time, one of them makes them.
#[test]
fn an_endpoint_is_known_at_every_machine() {
    let upstream = Upstream::start(serve(users(3)));
    let (place, receiver) = (Place::postgres(), Receiver::start());
    let (here, there) = std::thread::scope(|scope| {
        let other = scope.spawn(|| start_at(&upstream, &place, &receiver, ""));
        (start_at(&upstream, &place, &receiver, ""), other.join().expect("a gateway"))
    });
    let endpoint = register(&here, &[ONE], &receiver.url("/"), &["export.completed"]);
    assert_eq!(verify(&there, &[ONE], &endpoint).json()["state"], "active", "by the secret in the database");
    assert_eq!(get(&here, &endpoint.path, &[ONE])["state"], "active");
    assert_eq!(there.send("GET", &endpoint.path, &[TWO], b"").outcome(), "404 webhook_not_found");
    export(&there, &[ONE]);
    let sent = delivery(&here, &endpoint.path, &[ONE], "delivered");
    assert!(receiver::signed_by(&receiver.events()[0], &endpoint.secret), "{sent}");
    let report = |gateway: &Gateway| http::get(gateway.admin, "/webhooks").json()["endpoints"].clone();
    assert_eq!(report(&here)[0]["delivered"], 1);
    assert_eq!(report(&here), report(&there));
    let Place::Postgres(server) = &place else { panic!("it is one") };
    let row =
        server.ask("SELECT endpoints::text || encode(sealed, 'escape') FROM cursorgate_webhooks.endpoints").concat();
    assert!(row.len() > 100 && !row.contains(&endpoint.secret) && !row.contains(&receiver.url("/")), "{row}");
    assert_eq!(there.send("DELETE", &endpoint.path, &[ONE], b"").status, 204);
    assert_eq!(here.send("GET", &endpoint.path, &[ONE], b"").outcome(), "404 webhook_not_found");
    let left = "SELECT (SELECT count(*) FROM cursorgate_webhooks.deliveries)
            + (SELECT count(*) FROM cursorgate_webhooks.events) + (SELECT count(*) FROM cursorgate_webhooks.attempts)";
    assert_eq!(server.ask(left), ["0"]);
}

/// A later program finds the endpoints and deliveries of an earlier one.
#[test]
fn tables_of_the_first_version_are_brought_up_to_date() {
    let upstream = Upstream::start(serve(users(3)));
    let (place, receiver) = (Place::postgres(), Receiver::start());
    let Place::Postgres(server) = &place else { panic!("it is one") };
    let endpoint = {
        let gateway = start_at(&upstream, &place, &receiver, "");
        let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
        export(&gateway, &[ONE]);
        delivery(&gateway, &endpoint.path, &[ONE], "delivered");
        endpoint
    };
    let later = ["challenged_at", "tested_at", "disabled_at", "filter", "subject"];
    for column in later {
        server.ask(&format!("ALTER TABLE cursorgate_webhooks.endpoints DROP COLUMN {column}"));
    }
    server.ask("UPDATE cursorgate_webhooks.cursorgate_version SET version = 1");
    let gateway = start_at(&upstream, &place, &receiver, "");
    assert_eq!(get(&gateway, &endpoint.path, &[ONE])["state"], "active");
    export(&gateway, &[ONE]);
    eventually("both deliveries", || (deliveries_of(&gateway, &endpoint.path)?.len() == 2).then_some(()));
    let filter = json!({ "filter": { "list": ["users"] } });
    assert_eq!(ask(&gateway, "PATCH", &endpoint.path, &[ONE], &filter).status, 200, "a column of the last version");
}

/// The client of the answer with an event doesn't wait for the database, and the event isn't lost.
#[test]
fn emitted_events_wait_for_a_database_that_is_away() {
    let event = ("Cursorgate-Event", "{\"type\":\"order.paid\",\"id\":\"1\",\"data\":{}}");
    let list = serve(users(3));
    let upstream = Upstream::start(move |exchange| match exchange.request.path() {
        "/orders/1" => exchange.reply("200 OK", &[event], b"paid"),
        _ => list(exchange),
    });
    let (mut server, receiver, token) = (PostgresServer::start(), Receiver::start(), Directory::new());
    let gateway = start_emitting(&upstream, &server, &receiver, &token, "1s");
    active(&gateway, &[ONE], &receiver.url("/"), &["order.paid"]);
    let before = receiver.events().len();
    server.stop();
    let answer = gateway.send("GET", "/orders/1", &[ONE], b"");
    assert_eq!((answer.status, answer.text(), answer.header("cursorgate-event")), (200, "paid", None));
    assert_eq!(metric(&gateway, "cursorgate_webhook_unstored_events"), 1);
    server.start_again();
    eventually("the event arrives", || (receiver.events().len() > before).then_some(()));
    eventually("none waits", || (metric(&gateway, "cursorgate_webhook_unstored_events") == 0).then_some(()));
    assert_eq!(metric(&gateway, "cursorgate_webhook_emitted_events_total{end=\"raised\"}"), 1);
}

#[test]
fn events_wait_for_a_database_that_is_away() {
    let upstream = Upstream::start(serve(users(3)));
    let (mut server, receiver, token) = (PostgresServer::start(), Receiver::start(), Directory::new());
    let gateway = start_emitting(&upstream, &server, &receiver, &token, "1s");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["order.paid"]);
    receiver.answer(|_, exchange| exchange.reply("500 Internal Server Error", &[], b""));
    assert_eq!(emit(&gateway, "1").status, 202);
    eventually("an attempt", || (!receiver.events().is_empty()).then_some(()));
    server.stop();
    receiver.echo();
    for (method, target) in [("GET", endpoint.path.as_str()), ("POST", "/webhooks"), ("DELETE", endpoint.path.as_str())]
    {
        let body = json!({ "url": receiver.url("/"), "events": ["order.paid"] });
        let refused = ask(&gateway, method, target, &[ONE], &body);
        assert_eq!(refused.outcome(), "503 store_unavailable", "{method} {target}");
        assert!(refused.header("retry-after").is_some() && refused.json()["retryable"] == true);
    }
    assert_eq!(emit(&gateway, "2").outcome(), "503 store_unavailable", "its service sends it again");
    // A process can start without the database.
    let other = start_emitting(&upstream, &server, &receiver, &token, "1s");
    assert_eq!(emit(&other, "2").outcome(), "503 store_unavailable");
    for gateway in [&gateway, &other] {
        let up = "cursorgate_store_up{store=\"webhooks\"}";
        eventually("the store is down", || (gateway.metric(up) == Some(0)).then_some(()));
        let ready = http::get(gateway.admin, "/readyz");
        assert_eq!((ready.status, ready.text()), (200, "ok, but the store of webhooks is down\n"));
        let state = http::get(gateway.admin, "/status").json()["stores"]["webhooks"].clone();
        assert!(state["up"] == false && state["fault"].is_string(), "{state}");
        assert_eq!(http::get(gateway.admin, "/webhooks").status, 503);
        assert_eq!(gateway.get("/users").status, 200, "pages need no store");
    }
    server.start_again();
    eventually("the event of before arrives", || {
        deliveries_of(&other, &endpoint.path)?.iter().any(|one| one["state"] == "delivered").then_some(())
    });
    assert_eq!(emit(&other, "2").status, 202);
    eventually("the second event arrives", || {
        let found = deliveries_of(&gateway, &endpoint.path)?;
        (found.len() == 2 && found.iter().all(|one| one["state"] == "delivered")).then_some(())
    });
    for gateway in [&gateway, &other] {
        eventually("the store is up", || {
            (metric(gateway, "cursorgate_store_up{store=\"webhooks\"}") == 1).then_some(())
        });
        assert!(!gateway.log().iter().any(|line| line.contains(PASSWORD)));
    }
}

/// Exports in a directory don't need the database of webhooks. If it is away, their events wait, and the store of
/// webhooks is the one that is down.
#[test]
fn exports_go_on_while_the_store_of_webhooks_is_away() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, mut server, receiver) = (Place::directory(), PostgresServer::start(), Receiver::start());
    let tables = format!(
        "{}[services.webhooks]\n{}\n{}{CLIENTS}",
        directory.table(""),
        receivers(&[receiver.port()]),
        server.table_of("webhooks", "lease = \"1s\"\ntimeout = \"1s\""),
    );
    let gateway = Gateway::start(&format!("{}{tables}", PLAIN.configuration(upstream.address)));
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    server.stop();
    let exports: Vec<String> = (0..3).map(|_| export(&gateway, &[ONE])).collect();
    for job in &exports {
        eventually("the export is completed", || (get(&gateway, job, &[ONE])["state"] == "completed").then_some(()));
    }
    eventually("the store of webhooks is down", || {
        (gateway.metric("cursorgate_store_up{store=\"webhooks\"}") == Some(0)).then_some(())
    });
    let more = export(&gateway, &[ONE]);
    eventually("another export", || (get(&gateway, &more, &[ONE])["state"] == "completed").then_some(()));
    assert_eq!(gateway.metric("cursorgate_store_up{store=\"exports\"}"), Some(1));
    server.start_again();
    eventually("all events arrive", || {
        let found = deliveries_of(&gateway, &endpoint.path)?;
        (found.len() == 4 && found.iter().all(|one| one["state"] == "delivered")).then_some(())
    });
    assert!(!gateway.log().iter().any(|line| line.contains("the store of exports")), "{:?}", gateway.log());
}

/// Returns the deliveries of an endpoint; `None` while the store is away.
fn deliveries_of(gateway: &Gateway, endpoint: &str) -> Option<Vec<Value>> {
    let answer = gateway.send("GET", &format!("{endpoint}/deliveries"), &[ONE], b"");
    (answer.status == 200).then(|| answer.json()["deliveries"].as_array().expect("a list").clone())
}

/// The end of an attempt that arrived is stored when the database is back, although the claim of its process has ended.
#[test]
fn an_attempt_that_ends_while_the_database_is_away_is_not_repeated() {
    let upstream = Upstream::start(serve(users(3)));
    let (mut server, receiver, token) = (PostgresServer::start(), Receiver::start(), Directory::new());
    let gateway = start_emitting(&upstream, &server, &receiver, &token, "5s");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["order.paid"]);
    let (answer, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    receiver.answer(move |_, exchange| {
        let _ = wait.lock().unwrap_or_else(std::sync::PoisonError::into_inner).recv();
        exchange.reply("200 OK", &[], b"")
    });
    assert_eq!(emit(&gateway, "1").status, 202);
    eventually("an attempt", || (!receiver.events().is_empty()).then_some(()));
    let claimed = now();
    let attempts = || metric(&gateway, "cursorgate_webhook_attempts_total{end=\"delivered\"}");
    let before = attempts();
    server.stop();
    drop(answer);
    eventually("the attempt ends", || (attempts() > before).then_some(()));
    eventually("the claim ends", || (now() > claimed + CLAIM).then_some(()));
    server.start_again();
    eventually("the end is stored", || {
        deliveries_of(&gateway, &endpoint.path)?.iter().all(|one| one["state"] == "delivered").then_some(())
    });
    assert_eq!(post(&gateway, &format!("{}/test", endpoint.path), &[ONE], &Value::Null).status, 202);
    eventually("a later event", || (receiver.events().len() > 1).then_some(()));
    let found = deliveries(&gateway, &endpoint.path, &[ONE]);
    assert_eq!((found.len(), receiver.events().len()), (2, 2), "each is sent once: {found:?}");
    assert!(found.iter().all(|one| one["attempts"] == 1 || one["state"] == "queued"), "{found:?}");
}

/// Events that are emitted while the database is away again and again arrive once each.
#[test]
fn events_arrive_once_over_outages_of_the_database() {
    const EVENTS: usize = 8;
    let upstream = Upstream::start(serve(users(3)));
    let (mut server, receiver, token) = (PostgresServer::start(), Receiver::start(), Directory::new());
    let gateways = [(); 2].map(|()| start_emitting(&upstream, &server, &receiver, &token, "5s"));
    let endpoint = active(&gateways[0], &[ONE], &receiver.url("/"), &["order.paid"]);
    let mut numbers = Numbers::new(11);
    for round in 0..3 {
        for number in 0..EVENTS {
            if number == numbers.below(EVENTS) {
                server.stop();
                server.start_again();
            }
            let id = format!("{round}-{number}");
            eventually("the event is accepted", || (emit(&gateways[number % 2], &id).status == 202).then_some(()));
        }
        server.stop();
        server.start_again();
    }
    let ended = eventually("all are delivered", || {
        let found = deliveries_of(&gateways[1], &endpoint.path)?;
        found.iter().all(|one| one["state"] == "delivered").then_some(found)
    });
    let ids: BTreeSet<String> = receiver.events().iter().map(receiver::Received::id).collect();
    assert_eq!([ended.len(), ids.len(), receiver.events().len()], [3 * EVENTS; 3], "each once: {ended:?}");
}

/// A process that stood still until after its claim, and an attempt that took over, don't count twice.
#[test]
fn a_process_that_stood_still_changes_no_delivery() {
    let upstream = Upstream::start(serve(users(3)));
    let (server, receiver, token) = (PostgresServer::start(), Receiver::start(), Directory::new());
    let first = start_emitting(&upstream, &server, &receiver, &token, "1s");
    let endpoint = active(&first, &[ONE], &receiver.url("/"), &["order.paid"]);
    receiver.answer(|_, exchange| exchange.wait_for_close().map(|()| After::Close));
    assert_eq!(emit(&first, "1").status, 202);
    eventually("an attempt", || (!receiver.events().is_empty()).then_some(()));
    first.signal("STOP");
    receiver.echo();
    let second = start_emitting(&upstream, &server, &receiver, &token, "1s");
    let taken = delivery(&second, &endpoint.path, &[ONE], "delivered");
    assert_eq!(taken["attempts"], 1, "{taken}");
    first.signal("CONT");
    let records = "SELECT count(*) FROM cursorgate_webhooks.attempts";
    eventually("the attempt of before is recorded", || (server.ask(records) == ["2"]).then_some(()));
    let found = deliveries(&first, &endpoint.path, &[ONE]);
    assert_eq!((found.len(), &found[0]["state"], &found[0]["attempts"]), (1, &json!("delivered"), &json!(1)));
}
