//! Tests of events of the operator's own types, which services emit.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    CLIENTS, ONE, active, ask, deliveries, delivery, receiver,
    receiver::{Receiver, signed_by},
    services, services_at,
};
use crate::{
    exports::place::{Place, over_each_store},
    harness::{
        Directory, eventually,
        gateway::{Gateway, Keys, command},
        list::{PLAIN, serve, users},
        upstream::{Exchange, Upstream},
    },
};

over_each_store!(data_arrive_as_they_are_written);

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

/// Endpoints get the text of the data as a service writes it, whichever way and whichever store it takes: a number can have
/// more digits than a parsed one, and members keep their order.
fn data_arrive_as_they_are_written(place: &Place) {
    const DATA: [&str; 4] = [
        r#"{"id":12345678901234567890123,"by":"a"}"#,
        r#"{"zone":1.50, "id":1e2,"exact":0.1000000000000000055511151231257827}"#,
        "{\n  \"id\": 18446744073709551616,\n  \"a\": \"\\u00e9 \\/ Zoë\"\n}",
        r#"{"id":-0,"more":[1.0,1,{"b":2,"a":1}]}"#,
    ];
    let list = serve(users(3));
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        let number = exchange.request.path().strip_prefix("/orders/").and_then(|number| number.parse::<usize>().ok());
        let Some(number) = number else { return list(exchange) };
        let event = format!(r#"{{"type":"order.paid","data":{}}}"#, DATA[number]);
        exchange.reply("200 OK", &[("Cursorgate-Event", &STANDARD.encode(event))], b"done")
    });
    let (directory, clients) = (Directory::new(), Receiver::start());
    std::fs::write(directory.file("token"), TOKEN).expect("a file");
    let tables = format!(
        "{TYPES}[services.webhooks.emit]\ntoken = \"file:{}\"\nroutes = [\"orders\"]\n{CLIENTS}events = [\"order.paid\"]\n\
         [routes.orders]\npath = \"/orders/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n",
        directory.file("token").display(),
    );
    let services = services_at(place, &[clients.port()], "", &tables);
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    let endpoint = active(&gateway, &[ONE], &clients.url("/"), &["order.paid"]);
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str()), super::JSON];
    let emit = |data: &str| {
        let body = format!(r#"{{"data":{data},"type":"order.paid"}}"#);
        gateway.send("POST", "/events", &headers, body.as_bytes())
    };
    for (number, data) in DATA.into_iter().enumerate() {
        for is_by_header in [false, true] {
            let before = clients.events().len();
            match is_by_header {
                false => assert_eq!(emit(data).status, 202, "{data}"),
                true => assert_eq!(gateway.send("GET", &format!("/orders/{number}"), &[ONE], b"").status, 200),
            }
            let event = eventually("the event", || clients.events().get(before).cloned());
            assert!(event.body.ends_with(&format!(r#","data":{data}}}"#)), "{} is not {data}", event.body);
            assert!(signed_by(&event, &endpoint.secret), "{data}");
        }
    }
    let sent = &deliveries(&gateway, &endpoint.path, &[ONE])[0];
    let path = format!("{}/deliveries/{}", endpoint.path, sent["id"].as_str().expect("an id"));
    assert!(gateway.send("GET", &path, &[ONE], b"").text().contains(DATA[3]), "clients read the same text");
    // What the schema has seen is what endpoints read.
    for (wrong, place) in [
        (r#"{"id":1,"id":"2"}"#, None),
        (r#"{"id":1.5}"#, Some("/data")),
        (r#"{"id":1e999}"#, Some("/data")),
        (r#"{"id":1,"name":"\ud800"}"#, Some("/data")),
    ] {
        let refused = emit(wrong);
        assert_eq!(
            (refused.outcome().as_str(), refused.json()["parameter"].as_str()),
            ("400 body_invalid", place),
            "{wrong}"
        );
    }
}

/// A service names the client of an event by what the upstream says about the client's credentials. The endpoints of
/// other clients don't get it, and those of the client get it whichever token has registered them.
#[test]
fn an_event_for_one_client_reaches_its_endpoints_and_the_operators() {
    let list = serve(users(3));
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        if exchange.request.path() != "/me" {
            return list(exchange);
        }
        let user = exchange.request.header("authorization").and_then(|token| token.strip_prefix("Bearer "));
        let user = user.and_then(|token| token.split('-').next()).unwrap_or("nobody");
        let id = if user == "carol" { json!(7) } else { json!(user) };
        exchange.reply("200 OK", &[("Content-Type", "application/json")], json!({ "id": id }).to_string().as_bytes())
    });
    let (directory, own, clients) = (Directory::new(), Receiver::start(), Receiver::start());
    std::fs::write(directory.file("secret"), receiver::SECRET).expect("a file");
    std::fs::write(directory.file("token"), TOKEN).expect("a file");
    let identity = "identity = [\"answer:/id\", \"header:X-Api-Key\"]\nevents = [\"order.paid\"]\n";
    let tables = format!(
        "[server]\nidentity_answer = {{ upstream = \"legacy\", path = \"/me\" }}\n\
         {TYPES}[services.webhooks.emit]\ntoken = \"file:{}\"\n[services.webhooks.endpoints.audit]\nurl = {:?}\n\
         events = [\"order.paid\"]\nsecret = \"file:{}\"\n{CLIENTS}{identity}",
        directory.file("token").display(),
        own.url("/"),
        directory.file("secret").display()
    );
    let services = services(&directory, &[own.port(), clients.port()], "", &tables);
    let text = format!("{}{services}", PLAIN.configuration(upstream.address));
    let gateway = Gateway::start_with(Keys::One, &text);
    let sent = |token: &'static str| [("Authorization", token), ("X-Api-Key", "of-an-application")];
    let users = [sent("Bearer alice-1"), sent("Bearer alice-2"), sent("Bearer bob-1"), sent("Bearer carol-1")];
    let endpoints = users.each_ref().map(|user| active(&gateway, user, &clients.url("/"), &["order.paid"]));
    let bearer = format!("Bearer {TOKEN}");
    let emit = |gateway: &Gateway, id: u64, client: &Value| {
        let event = json!({ "type": "order.paid", "id": id.to_string(), "client": client, "data": { "id": id } });
        ask(gateway, "POST", "/events", &[("Authorization", &bearer)], &event)
    };
    // A service whose customer has no name writes null, and must not tell all clients of it.
    for wrong in [json!(""), json!(7.5), json!(["alice"]), json!({}), Value::Null] {
        let refused = emit(&gateway, 1, &wrong);
        assert_eq!((refused.outcome().as_str(), &refused.json()["parameter"]), ("400 body_invalid", &json!("/client")));
    }
    for (id, client) in [(1, json!("alice")), (2, json!(7)), (3, json!("7")), (4, json!("mallory"))] {
        assert_eq!(emit(&gateway, id, &client).status, 202, "{client}");
    }
    let emit_order = |order: &Value| ask(&gateway, "POST", "/events", &[("Authorization", &bearer)], order);
    assert_eq!(emit_order(&json!({ "type": "order.paid", "id": "5", "data": { "id": 5 } })).status, 202);
    let ids_of = |gateway: &Gateway, number: usize| {
        let of_endpoint = deliveries(gateway, &endpoints[number].path, &users[number]);
        let events = of_endpoint.iter().map(|sent| {
            let path = format!("{}/deliveries/{}", endpoints[number].path, sent["id"].as_str().expect("an id"));
            super::get(gateway, &path, &users[number])["payload"]["data"]["id"].as_u64().expect("an id")
        });
        let mut ids: Vec<u64> = events.collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!([0, 1, 2, 3].map(|number| ids_of(&gateway, number)), [vec![1, 5], vec![1, 5], vec![5], vec![2, 5]]);
    eventually("the operator's events", || (own.events().len() == 5).then_some(()));

    // The names are computed anew under a new key of cursors, so the earlier key can go.
    drop(gateway);
    let gateway = Gateway::start_with(Keys::Both, &text);
    eventually("the endpoints are sealed anew", || {
        let database = rusqlite::Connection::open(directory.file("webhooks/webhooks.sqlite3")).expect("the database");
        let others = "SELECT count(*) FROM endpoints WHERE number <> 2";
        database.query_row(others, [], |row| row.get(0)).is_ok_and(|left: u32| left == 0).then_some(())
    });
    drop(gateway);
    let gateway = Gateway::start_with(Keys::Two, &text);
    assert_eq!(emit(&gateway, 6, &json!("alice")).status, 202);
    assert_eq!([0, 2].map(|number| ids_of(&gateway, number)), [vec![1, 5, 6], vec![5]]);
}

/// Two clients can have an order 42 each. An event for one of them is never that of the other, or of all.
#[test]
fn an_id_of_an_event_belongs_to_the_client_of_the_event() {
    let list = serve(users(3));
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        if exchange.request.path() != "/me" {
            return list(exchange);
        }
        let id = exchange.request.header("authorization").and_then(|token| token.strip_prefix("Bearer "));
        exchange.reply("200 OK", &[("Content-Type", "application/json")], json!({ "id": id }).to_string().as_bytes())
    });
    let (directory, clients) = (Directory::new(), Receiver::start());
    std::fs::write(directory.file("token"), TOKEN).expect("a file");
    let tables = format!(
        "[server]\nidentity_answer = {{ upstream = \"legacy\", path = \"/me\" }}\n\
         {TYPES}[services.webhooks.emit]\ntoken = \"file:{}\"\n\
         {CLIENTS}identity = [\"answer:/id\"]\nevents = [\"order.paid\"]\n",
        directory.file("token").display(),
    );
    let services = services(&directory, &[clients.port()], "", &tables);
    let text = format!("{}{services}", PLAIN.configuration(upstream.address));
    let gateway = Gateway::start_with(Keys::One, &text);
    let users = ["alice", "bob"].map(|user| format!("Bearer {user}"));
    let endpoints = users
        .each_ref()
        .map(|user| active(&gateway, &[("Authorization", user.as_str())], &clients.url("/"), &["order.paid"]));
    let bearer = format!("Bearer {TOKEN}");
    let emit = |gateway: &Gateway, client: Option<&str>, number: u64| {
        let mut event = json!({ "type": "order.paid", "id": "42", "data": { "id": number } });
        if let Some(client) = client {
            event["client"] = json!(client);
        }
        let accepted = ask(gateway, "POST", "/events", &[("Authorization", &bearer)], &event);
        assert_eq!(accepted.status, 202, "{}", accepted.text());
        accepted.json()["id"].clone()
    };
    let events = [(Some("alice"), 1), (Some("bob"), 2), (None, 3), (Some("alice"), 4), (Some("bob"), 5), (None, 6)];
    let ids = events.map(|event| emit(&gateway, event.0, event.1));
    assert_eq!(ids[..3], ids[3..], "a repetition for the same client is the same event");
    let received = |number: usize| {
        let user = [("Authorization", users[number].as_str())];
        let sent = deliveries(&gateway, &endpoints[number].path, &user);
        let payload = |sent: &Value| {
            let path = format!("{}/deliveries/{}", endpoints[number].path, sent["id"].as_str().expect("an id"));
            super::get(&gateway, &path, &user)["payload"]["data"]["id"].as_u64().expect("a number")
        };
        let mut numbers: Vec<u64> = sent.iter().map(payload).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!([received(0), received(1)], [[1, 3], [2, 3]]);

    // A new key of cursors changes the names of clients, and not their events.
    drop(gateway);
    let gateway = Gateway::start_with(Keys::Both, &text);
    assert_eq!(events.map(|event| emit(&gateway, event.0, event.1)), ids);
}

/// Members of an event that are there and say nothing are refused: without a name, a repetition would be another event,
/// and with an empty one, all events would be the same.
#[test]
fn an_event_with_an_empty_member_is_refused() {
    let upstream = Upstream::start(serve(users(3)));
    let directory = Directory::new();
    std::fs::write(directory.file("token"), TOKEN).expect("a file");
    let emit = format!("{TYPES}[services.webhooks.emit]\ntoken = \"file:{}\"\n", directory.file("token").display());
    let services = services(&directory, &[443], "", &format!("{emit}{CLIENTS}events = [\"order.paid\"]\n"));
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    let bearer = format!("Bearer {TOKEN}");
    for (member, value) in [("id", Value::Null), ("id", json!("")), ("client", Value::Null)] {
        let mut event = json!({ "type": "order.paid", "data": { "id": 1 } });
        event[member] = value;
        let refused = ask(&gateway, "POST", "/events", &[("Authorization", &bearer)], &event);
        let place = json!(format!("/{member}"));
        assert_eq!((refused.outcome().as_str(), &refused.json()["parameter"]), ("400 body_invalid", &place), "{event}");
    }
}

/// Without the issuer, a token could be that of another issuer's client of the same name. So nobody can be named.
#[test]
fn a_client_named_by_tokens_of_any_issuer_gets_no_event() {
    let upstream = Upstream::start(|exchange: &mut Exchange| {
        exchange.reply("200 OK", &[("Content-Type", "application/json")], br#"{"keys":[]}"#)
    });
    let directory = Directory::new();
    std::fs::write(directory.file("token"), TOKEN).expect("a file");
    for (issuer, is_named) in [("", false), (", issuer = \"https://login.test\"", true)] {
        let tables = format!(
            "[server]\ntokens = {{ keys = \"http://{}/jwks.json\"{issuer} }}\n{TYPES}[services.webhooks.emit]\n\
             token = \"file:{}\"\n{CLIENTS}identity = [\"jwt:sub\"]\nevents = [\"order.paid\"]\n",
            upstream.address,
            directory.file("token").display(),
        );
        let services = services(&directory, &[443], "", &tables);
        let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
        let bearer = format!("Bearer {TOKEN}");
        let event = json!({ "type": "order.paid", "client": "alice", "data": { "id": 1 } });
        let answer = ask(&gateway, "POST", "/events", &[("Authorization", &bearer)], &event);
        let expected = if is_named { "202" } else { "400 body_invalid" };
        assert_eq!(answer.outcome(), expected, "{}", answer.text());
        assert_eq!(answer.text().contains("server.tokens.issuer"), !is_named, "{}", answer.text());
        let file = directory.file("cursorgate.toml");
        std::fs::write(&file, gateway.configuration()).expect("a file");
        let checked = command().arg("check").arg("--config").arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
        assert_eq!(said.contains("without server.tokens.issuer"), !is_named, "{said}");
    }
}

/// An endpoint gets only the events that meet its filter, which it can change.
#[test]
fn an_endpoint_gets_the_events_that_pass_its_filter() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    std::fs::write(directory.file("token"), TOKEN).expect("a file");
    std::fs::write(directory.file("secret"), receiver::SECRET).expect("a file");
    let tables = format!(
        "{TYPES}[services.webhooks.emit]\ntoken = \"file:{}\"\n[services.webhooks.endpoints.refunds]\nurl = {:?}\n\
         events = [\"order.paid\"]\nfilter = {{ data = {{ state = \"refunded\" }} }}\nsecret = \"file:{}\"\n\
         {CLIENTS}events = [\"order.paid\", \"export.completed\"]\n",
        directory.file("token").display(),
        receiver.url("/operator"),
        directory.file("secret").display(),
    );
    let services = services(&directory, &[receiver.port()], "", &tables);
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    let kinds = ["order.paid", "export.completed"];
    let order = |filter: &Value| json!({ "url": receiver.url("/"), "events": kinds, "filter": filter });
    for (filter, place) in [
        (json!("users"), "/filter"),
        (json!({ "lists": "users" }), "/filter/lists"),
        (json!({ "data": { "customer": { "id": 7 } } }), "/filter/data/customer"),
    ] {
        let refused = ask(&gateway, "POST", "/webhooks", &[ONE], &order(&filter));
        assert_eq!((refused.outcome().as_str(), &refused.json()["parameter"]), ("400 body_invalid", &json!(place)));
    }
    let filters = [
        json!({ "data": { "state": ["paid", "refunded"], "/customer/id": [7] } }),
        json!({ "list": ["/users"] }),
        json!({ "list": ["users"] }),
        json!({ "list": ["/orders"] }),
    ];
    let endpoints = filters.each_ref().map(|filter| {
        let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &kinds);
        let changed = ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "filter": filter }));
        assert_eq!((changed.status, &changed.json()["filter"]), (200, filter), "{changed:?}");
        endpoint
    });
    let bearer = format!("Bearer {TOKEN}");
    let emit = |id: u64, state: &str, customer: u64| {
        let data = json!({ "id": id, "state": state, "customer": { "id": customer } });
        let event = json!({ "type": "order.paid", "id": id.to_string(), "data": data });
        assert_eq!(ask(&gateway, "POST", "/events", &[("Authorization", &bearer)], &event).status, 202);
    };
    emit(1, "open", 7);
    emit(2, "paid", 8);
    emit(3, "refunded", 7);
    super::export(&gateway, &[ONE]);
    let sent = endpoints[..3].iter().map(|endpoint| delivery(&gateway, &endpoint.path, &[ONE], "delivered"));
    let sent: Vec<Value> = sent.map(|sent| sent["payload"].clone()).collect();
    assert_eq!((&sent[0]["data"]["id"], &sent[1]["type"]), (&json!(3), &json!("export.completed")));
    assert_eq!((&sent[2], &sent[1]["data"]["route"]), (&sent[1], &json!("users")));
    let numbers = endpoints.each_ref().map(|endpoint| deliveries(&gateway, &endpoint.path, &[ONE]).len());
    assert_eq!(numbers, [1, 1, 1, 0]);
    let removed = ask(&gateway, "PATCH", &endpoints[3].path, &[ONE], &json!({ "filter": null })).json();
    assert_eq!((removed.get("filter"), &removed["events"]), (None, &json!(kinds)));
    emit(4, "open", 8);
    assert_eq!(delivery(&gateway, &endpoints[3].path, &[ONE], "delivered")["payload"]["data"]["id"], 4);
    let of_operator = || receiver.events().into_iter().filter(|event| event.request.target == "/operator");
    let refund = eventually("the operator's event", || of_operator().next());
    assert_eq!((&refund.json()["data"]["id"], of_operator().count()), (&json!(3), 1));
}

/// An upstream of a route that may emit adds events to its answers. Clients get neither these headers nor those of other
/// routes, whether or not an event is valid, and can't emit events through an upstream that repeats their headers.
#[test]
fn an_upstream_emits_events_by_a_header_that_no_client_gets() {
    let long = format!(r#"{{"type":"order.paid","data":{{"id":1,"note":"{}"}}}}"#, "x".repeat(17 << 10));
    let list = serve(users(3));
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        let path = exchange.request.path().to_owned();
        if exchange.request.method == "POST" {
            exchange.body()?;
        }
        let repeated = exchange.request.header("cursorgate-event").unwrap_or("none").to_owned();
        let event = |id: u64| format!(r#"{{"type":"order.paid","id":"{id}","data":{{"id":{id}}}}}"#);
        let events: Vec<String> = match path.as_str() {
            "/orders/1" | "/others/1" | "/jobs-of/1" => vec![event(1)],
            // In base64: {"type":"order.paid","id":"2","data":{"id":2,"name":"Zoë"}}
            "/orders/2" => {
                vec!["eyJ0eXBlIjoib3JkZXIucGFpZCIsImlkIjoiMiIsImRhdGEiOnsiaWQiOjIsIm5hbWUiOiJab8OrIn19".to_owned()]
            }
            "/orders/many" => (100..110).map(event).collect(),
            "/orders/wrong" => vec![
                "no event".to_owned(),
                r#"{"type":"order.lost","data":{}}"#.to_owned(),
                r#"{"type":"order.paid","data":{"id":"canary"}}"#.to_owned(),
                long.clone(),
            ],
            "/orders/early" => {
                exchange
                    .send(format!("HTTP/1.1 103 Early Hints\r\nCursorgate-Event: {}\r\n\r\n", event(7)).as_bytes())?;
                Vec::new()
            }
            "/orders/repeated" => vec![repeated],
            "/users" => return list(exchange),
            _ => Vec::new(),
        };
        let headers: Vec<(&str, &str)> = events.iter().map(|event| ("Cursorgate-Event", event.as_str())).collect();
        exchange.reply("200 OK", &headers, b"done")
    });
    let (directory, own) = (Directory::new(), Receiver::start());
    std::fs::write(directory.file("secret"), receiver::SECRET).expect("a file");
    let route = |name: &str| {
        format!("[routes.{name}]\npath = \"/{name}/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n")
    };
    let tables = format!(
        "{TYPES}[services.webhooks.emit]\nroutes = [\"orders\"]\n[services.webhooks.endpoints.audit]\nurl = {:?}\n\
         events = [\"order.paid\"]\nsecret = \"file:{}\"\n{}{}[services.bulk]\n",
        own.url("/"),
        directory.file("secret").display(),
        route("orders"),
        route("others"),
    );
    let services = services(&directory, &[own.port()], "", &tables);
    let gateway = Gateway::start(&format!("{}{services}", PLAIN.configuration(upstream.address)));
    let ids = || own.events().iter().map(|event| event.json()["data"]["id"].clone()).collect::<Vec<_>>();
    let forged = ("Cursorgate-Event", r#"{"type":"order.paid","id":"9","data":{"id":9}}"#);
    for path in ["/orders/1", "/others/1", "/orders/2", "/orders/wrong", "/orders/repeated", "/orders/many"] {
        let answer = gateway.send("POST", path, &[ONE, forged], b"");
        assert_eq!((answer.status, answer.text()), (200, "done"), "{path}");
        assert_eq!(answer.header("cursorgate-event"), None, "{path}");
    }
    let mut connection = gateway.connect();
    let early = connection.request("GET", "/orders/early", &[], b"").expect("the hints");
    assert_eq!((early.status, early.header("cursorgate-event")), (103, None));
    // An event of an operation is the same event as that of a single request.
    let bulk = json!({ "operations": [{ "method": "POST", "path": "/orders/1", "body": {} }] });
    let answer = ask(&gateway, "POST", "/bulk", &[ONE], &bulk);
    assert!(answer.status == 200 && !answer.text().contains("cursorgate-event"), "{}", answer.text());
    eventually("the events", || (ids().len() == 10).then_some(()));
    let mut received: Vec<u64> = ids().iter().filter_map(Value::as_u64).collect();
    received.sort_unstable();
    assert_eq!(received, [1, 2, 100, 101, 102, 103, 104, 105, 106, 107]);
    let zoe = own.events().into_iter().map(|event| event.json()).find(|event| event["data"]["id"] == 2).expect("it");
    assert_eq!(zoe["data"]["name"], "Zoë");
    let count = |end: &str| gateway.metric(&format!("cursorgate_webhook_emitted_events_total{{end=\"{end}\"}}"));
    // Of refused ones, 1 is that of another route, 4 are wrong, 2 are beyond 8 in an answer, and 1 is "none".
    assert_eq!((count("raised"), count("refused")), (Some(11), Some(8)));
    let log = gateway.log().join("\n");
    for said in ["larger than 16 KiB", "no such type", "match the schema", "more than 8", "lacks this route"] {
        assert!(log.contains(said), "{said}");
    }
    assert!(!log.contains("canary"), "no data in the log");
    assert!(upstream.requests().iter().all(|request| request.header("cursorgate-event").is_none()));
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
            "[services.webhooks.endpoints.a]\nurl = \"https://hooks.test/a\"\nevents = [\"export.failed\"]\n\
             secret = \"env:SECRET\"\nfilter = { data = { a = { b = 1 } } }\n",
            "services.webhooks.endpoints.a has an invalid filter at /filter/data/a",
        ),
        ("[services.webhooks.emit]\n", "neither a token nor routes"),
        ("[services.webhooks.emit]\nroutes = [\"orders\"]\n", "there is no route orders"),
        ("[services.webhooks.emit]\nroutes = [\"users\"]\nheader = \"ETag\"\n", "doesn't name events"),
        (
            "[services.webhooks.clients]\nauthorize = \"/users\"\nevents = [\"order.paid\"]\n",
            "there is no type of events",
        ),
    ] {
        let output = check(&format!("{webhooks}{tables}"));
        assert!(output.contains(said), "{tables}\n{output}");
    }
}
