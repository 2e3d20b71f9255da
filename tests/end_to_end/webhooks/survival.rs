//! Tests that deliveries survive the end of their process and changes of the keys of cursors.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    CLIENTS, ONE, active, deliveries, delivery, export, get, post,
    receiver::{Receiver, signed_by},
    register, services, start, start_at,
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
    every_event_of_two_processes_arrives_or_is_a_dead_letter,
    every_event_of_four_processes_arrives_or_is_a_dead_letter,
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

fn every_event_of_two_processes_arrives_or_is_a_dead_letter(place: &Place) {
    every_event_arrives(place, 2);
}

fn every_event_of_four_processes_arrives_or_is_a_dead_letter(place: &Place) {
    every_event_arrives(place, 4);
}

/// Each event arrives or is a dead letter, even if processes are killed repeatedly while exports end and the receiver
/// refuses at random.
fn every_event_arrives(place: &Place, processes: usize) {
    const EXPORTS: usize = 24;
    let upstream = Upstream::start(serve(users(30)));
    let receiver = Receiver::start();
    let keys = "attempts = 3\ntimeout = \"1s\"\nper_second = 100";
    let start = || start_at(&upstream, place, &receiver, keys);
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
    let mut numbers = Numbers::new(3);
    let mut jobs = BTreeSet::new();
    for round in 0..6 {
        for number in 0..EXPORTS / 6 {
            let job = export(&gateways[number % processes], &[ONE]);
            jobs.insert(job.rsplit('/').next().expect("an id").to_owned());
        }
        let wanted = receiver.events().len() + numbers.below(5);
        eventually(&format!("some attempts in round {round}"), || {
            let rests = deliveries(&gateways[0], &endpoint.path, &[ONE]).iter().all(|one| one["state"] != "queued");
            (receiver.events().len() >= wanted || rests).then_some(())
        });
        // The killed process leaves its place to another one, while the others go on.
        drop(gateways.remove(numbers.below(processes)));
        gateways.push(start());
    }
    let gateway = &gateways[0];
    let ended = eventually("the end of all deliveries", || {
        let found = deliveries(gateway, &endpoint.path, &[ONE]);
        (found.len() == EXPORTS && found.iter().all(|one| one["state"] != "queued")).then_some(found)
    });
    let arrived: BTreeMap<String, Value> =
        receiver.events().iter().map(|event| (event.id(), event.json()["data"]["id"].clone())).collect();
    let mut told = BTreeSet::new();
    for one in &ended {
        let path = format!("{}/deliveries/{}", endpoint.path, one["id"].as_str().expect("an id"));
        let document = get(gateway, &path, &[ONE]);
        told.insert(document["payload"]["data"]["id"].as_str().expect("an id").to_owned());
        let id = one["eventId"].as_str().expect("an id");
        match one["state"].as_str() {
            Some("delivered") => assert_eq!(arrived.get(id), Some(&document["payload"]["data"]["id"])),
            _ => assert_eq!((one["state"].as_str(), one["attempts"].as_u64()), (Some("dead"), Some(3)), "{document}"),
        }
    }
    assert_eq!(told, jobs, "each export once");
    receiver.echo();
    for one in ended.iter().filter(|one| one["state"] == "dead") {
        let path = format!("{}/deliveries/{}/redeliver", endpoint.path, one["id"].as_str().expect("an id"));
        assert_eq!(post(gateway, &path, &[ONE], &Value::Null).status, 202);
    }
    eventually("no dead letter", || {
        deliveries(gateway, &endpoint.path, &[ONE]).iter().all(|one| one["state"] == "delivered").then_some(())
    });
    let arrived: BTreeSet<String> =
        receiver.events().iter().map(|event| event.json()["data"]["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(arrived, jobs);
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
