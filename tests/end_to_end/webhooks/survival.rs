//! Tests that deliveries survive the end of their process and changes of the keys of cursors.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    CLIENTS, JSON, ONE, active, deliveries, delivery, export, get, post,
    receiver::{Receiver, signed_by},
    register, services, services_at, start, start_at,
};
use crate::{
    exports::place::{Place, over_each_store},
    harness::{
        Directory, Numbers, PATIENCE, eventually,
        gateway::{Gateway, Keys},
        list::{PLAIN, serve, users},
        upstream::{After, Upstream},
    },
};

over_each_store!(
    an_event_whose_process_is_killed_at_its_delivery_arrives,
    nothing_of_two_processes_is_lost_or_done_twice,
    nothing_of_four_processes_is_lost_or_done_twice,
    processes_share_the_work,
);

fn an_event_whose_process_is_killed_at_its_delivery_arrives(place: &Place) {
    let upstream = Upstream::start(serve(users(3)));
    let receiver = Receiver::start();
    let gateway = start_at(&upstream, place, &receiver, "timeout = \"1s\"");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    receiver.answer(|_, exchange| exchange.wait_for_close().map(|()| After::Close));
    export(&gateway, &[ONE]);
    let first = eventually("an attempt", || receiver.events().into_iter().next());
    let other = start_at(&upstream, place, &receiver, "timeout = \"1s\"");
    drop(gateway);
    receiver.echo();
    delivery(&other, &endpoint.path, &[ONE], "delivered");
    let last = receiver.events().pop().expect("an event");
    assert_eq!((last.id(), &last.body), (first.id(), &first.body));
    assert!(signed_by(&last, &endpoint.secret), "the secret survives too");
}

fn nothing_of_two_processes_is_lost_or_done_twice(place: &Place) {
    nothing_is_lost_or_done_twice(place, 2);
}

fn nothing_of_four_processes_is_lost_or_done_twice(place: &Place) {
    nothing_is_lost_or_done_twice(place, 4);
}

/// Processes are killed repeatedly while exports end, orders of bulk requests are under way, and the receiver refuses at
/// random. Each export has each item once, each order runs once at most and is never said to have run if it hasn't, and
/// each event arrives or is a dead letter.
fn nothing_is_lost_or_done_twice(place: &Place, processes: usize) {
    const EXPORTS: usize = 24;
    let list = serve(users(30));
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.method == "POST" {
            // Some processes are killed while they wait for the answer.
            std::thread::sleep(Duration::from_millis(20));
            return exchange.reply("201 Created", &[JSON], b"{}");
        }
        list(exchange)
    });
    let receiver = Receiver::start();
    let keys = "attempts = 3\ntimeout = \"1s\"\nper_second = 100";
    let tables = format!(
        "{CLIENTS}[services.bulk]\n\
         [routes.orders]\npath = \"/orders/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n"
    );
    let configuration = PLAIN.configuration(upstream.address) + &services_at(place, &[receiver.port()], keys, &tables);
    let start = || Gateway::start(&configuration);
    let mut gateways: Vec<Gateway> = (0..processes).map(|_| start()).collect();
    let endpoint = active(&gateways[0], &[ONE], &receiver.url("/"), &["export.completed"]);
    let numbers = std::sync::Mutex::new(Numbers::new(5));
    receiver.answer(move |_, exchange| {
        let drawn = numbers.lock().unwrap_or_else(std::sync::PoisonError::into_inner).below(4);
        match drawn {
            0 => exchange.reply("200 OK", &[], b""),
            1 => exchange.reply("500 Internal Server Error", &[], b""),
            2 => Ok(After::Reset),
            _ => exchange.reply("429 Too Many Requests", &[], b""),
        }
    });
    // A database under load may be late with its answer.
    let send = |gateway: &Gateway, target: &str, key: &str, body: &Value| {
        eventually("an answer", || {
            let answer = post(gateway, target, &[ONE, ("Idempotency-Key", key)], body);
            (answer.status != 503).then_some(answer)
        })
    };
    let mut numbers = Numbers::new(3);
    let (mut jobs, mut orders) = (BTreeSet::new(), Vec::new());
    for round in 0..6 {
        for number in 0..EXPORTS / 6 {
            let key = format!("\"{round}-{number}\"");
            let begin = |at: usize| send(&gateways[at % processes], "/users/exports", &key, &json!({}));
            let (begun, again) = (begin(number), begin(number + 1));
            assert_eq!((begun.status, begun.header("location")), (202, again.header("location")), "{again:?}");
            jobs.insert(begun.header("location").expect("a location").to_owned());
        }
        let wanted = receiver.events().len() + numbers.below(5);
        eventually(&format!("some attempts in round {round}"), || {
            let rests = deliveries(&gateways[0], &endpoint.path, &[ONE]).iter().all(|one| one["state"] != "queued");
            (receiver.events().len() >= wanted || rests).then_some(())
        });
        let killed = numbers.below(processes);
        let order = |number: usize| {
            let path = format!("/orders/{round}-{number}");
            (format!("\"{path}\""), json!({ "operations": [{ "method": "POST", "path": path, "body": {} }] }))
        };
        std::thread::scope(|scope| {
            for (number, gateway) in gateways.iter().enumerate() {
                let (mut connection, (key, body)) = (gateway.connect(), order(number));
                scope.spawn(move || {
                    let headers = [ONE, JSON, ("Idempotency-Key", &key)];
                    // The process may be killed before its answer.
                    let _ = connection.request("POST", "/bulk", &headers, body.to_string().as_bytes());
                });
            }
            std::thread::sleep(Duration::from_millis(numbers.draw() % 40));
            gateways[killed].signal("KILL");
        });
        // The killed process leaves its place to another one, while the others go on.
        drop(gateways.remove(killed));
        gateways.push(start());
        for number in 0..processes {
            let (key, body) = order(number);
            let again = send(&gateways[numbers.below(processes)], "/bulk", &key, &body);
            let is_done = again.status == 200;
            assert!(is_done || number == killed, "{again:?}");
            assert!(is_done || again.outcome() == "409 idempotency_key_in_use", "{again:?}");
            orders.push((format!("/orders/{round}-{number}"), is_done));
        }
    }
    for (path, is_done) in &orders {
        let times = upstream.requests().iter().filter(|request| request.path() == path).count();
        assert!(times == 1 || times == 0 && !is_done, "{path}: {times} times");
    }
    let ids = jobs.iter().filter_map(|job| job.rsplit('/').next()).map(str::to_owned).collect();
    check_deliveries(&gateways[0], &endpoint.path, &receiver, &ids);
    let expected: BTreeSet<String> = users(30).into_iter().collect();
    for job in &jobs {
        let result = gateways[0].send("GET", &format!("{job}/result"), &[ONE], b"");
        let items: Vec<String> = result.text().lines().map(str::to_owned).collect();
        assert_eq!((items.len(), items.into_iter().collect()), (30, expected.clone()), "{job}");
    }
}

/// Checks that each export has one event, which has arrived or is a dead letter, and that the dead letters arrive when the
/// receiver takes them.
fn check_deliveries(gateway: &Gateway, endpoint: &str, receiver: &Receiver, jobs: &BTreeSet<String>) {
    let ended = eventually("the end of all deliveries", || {
        let found = deliveries(gateway, endpoint, &[ONE]);
        (found.len() == jobs.len() && found.iter().all(|one| one["state"] != "queued")).then_some(found)
    });
    let arrived: BTreeMap<String, Value> =
        receiver.events().iter().map(|event| (event.id(), event.json()["data"]["id"].clone())).collect();
    let mut told = BTreeSet::new();
    for one in &ended {
        let path = format!("{endpoint}/deliveries/{}", one["id"].as_str().expect("an id"));
        let document = get(gateway, &path, &[ONE]);
        told.insert(document["payload"]["data"]["id"].as_str().expect("an id").to_owned());
        let id = one["eventId"].as_str().expect("an id");
        match one["state"].as_str() {
            Some("delivered") => assert_eq!(arrived.get(id), Some(&document["payload"]["data"]["id"])),
            _ => assert_eq!((one["state"].as_str(), one["attempts"].as_u64()), (Some("dead"), Some(3)), "{document}"),
        }
    }
    assert_eq!(&told, jobs, "each export once");
    receiver.echo();
    for one in ended.iter().filter(|one| one["state"] == "dead") {
        let path = format!("{endpoint}/deliveries/{}/redeliver", one["id"].as_str().expect("an id"));
        assert_eq!(post(gateway, &path, &[ONE], &Value::Null).status, 202);
    }
    eventually("no dead letter", || {
        deliveries(gateway, endpoint, &[ONE]).iter().all(|one| one["state"] == "delivered").then_some(())
    });
    let arrived: BTreeSet<String> =
        receiver.events().iter().map(|event| event.json()["data"]["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(&arrived, jobs);
}

/// The end of an export is one event, even if the process ends at a bad moment. A process that ends before the event is
/// raised raises it after the restart. A process that ends after raising the event, but before recording that, doesn't
/// raise it again.
#[test]
fn an_event_is_raised_once_if_its_process_ends_around_it() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let webhooks = rusqlite::Connection::open(directory.file("webhooks/webhooks.sqlite3")).expect("the deliveries");
    let jobs = rusqlite::Connection::open(directory.file("exports/jobs.sqlite3")).expect("the jobs");
    jobs.busy_timeout(PATIENCE).expect("a time");
    let waiting = || -> Option<(String, String)> {
        let query = "SELECT id, announcement FROM jobs WHERE announcement IS NOT NULL";
        jobs.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).ok()
    };
    // The event can't be raised as long as the other database is locked.
    webhooks.busy_timeout(PATIENCE).and_then(|()| webhooks.execute_batch("BEGIN IMMEDIATE")).expect("a lock");
    export(&gateway, &[ONE]);
    let (job, announcement) = eventually("the end of the export", waiting);
    drop(gateway);
    webhooks.execute_batch("ROLLBACK").expect("the end of the lock");
    let gateway = start(&upstream, &directory, &receiver, "");
    delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    eventually("the note that it is raised", || waiting().is_none().then_some(()));
    drop(gateway);
    let changed = jobs.execute("UPDATE jobs SET announcement = ?2 WHERE id = ?1", (job, announcement));
    assert_eq!(changed.expect("a change"), 1);
    let gateway = start(&upstream, &directory, &receiver, "");
    eventually("the note that it is raised", || waiting().is_none().then_some(()));
    assert_eq!((deliveries(&gateway, &endpoint.path, &[ONE]).len(), receiver.events().len()), (1, 1));
}

fn processes_share_the_work(place: &Place) {
    let upstream = Upstream::start(serve(users(3)));
    let receiver = Receiver::start();
    let first = start_at(&upstream, place, &receiver, "");
    let second = start_at(&upstream, place, &receiver, "");
    let endpoint = active(&first, &[ONE], &receiver.url("/"), &["export.completed"]);
    for gateway in [&first, &second, &first, &second, &first, &second] {
        export(gateway, &[ONE]);
    }
    eventually("all events", || {
        let found = deliveries(&second, &endpoint.path, &[ONE]);
        (found.len() == 6 && found.iter().all(|one| one["state"] == "delivered")).then_some(())
    });
    let ids: BTreeSet<String> = receiver.events().iter().map(super::receiver::Received::id).collect();
    assert_eq!((ids.len(), receiver.events().len()), (6, 6), "each is sent by one of the two");
}

#[test]
fn an_endpoint_outlives_the_key_that_sealed_it() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let configuration =
        format!("{}{}", PLAIN.configuration(upstream.address), services(&directory, &[receiver.port()], "", CLIENTS));
    let gateway = Gateway::start_with(Keys::One, &configuration);
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let forgotten = register(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    assert_eq!(gateway.send("DELETE", &forgotten.path, &[ONE], b"").status, 204);
    drop(gateway);
    let gateway = Gateway::start_with(Keys::Both, &configuration);
    let number = |directory: &Directory| -> u32 {
        let file = directory.file("webhooks/webhooks.sqlite3");
        let database = rusqlite::Connection::open(file).expect("the database");
        database.query_row("SELECT number FROM endpoints", [], |row| row.get(0)).expect("one endpoint")
    };
    eventually("the endpoint is sealed anew", || (number(&directory) == 2).then_some(()));
    drop(gateway);
    let gateway = Gateway::start_with(Keys::Two, &configuration);
    export(&gateway, &[ONE]);
    delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    assert!(signed_by(&receiver.events()[0], &endpoint.secret));
}
