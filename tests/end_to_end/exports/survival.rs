//! Tests of exports whose process is killed, stopped, or replaced by a successor.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write as _},
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

use super::{
    JSON, KEY, ONE, Permits, begun, completed, finished,
    place::{Place, over_each_store},
    result, start, status,
};
use crate::harness::{
    Numbers, eventually,
    gateway::Gateway,
    list::{body, serve, users},
    rows::{self, Row, Rows},
    upstream::Upstream,
};

over_each_store!(no_item_is_lost_or_repeated_when_processes_are_killed, another_process_takes_over);

/// The process of a job is killed repeatedly while rows are added and removed. The result has each stable item once.
fn no_item_is_lost_or_repeated_when_processes_are_killed(place: &Place) {
    const STABLE: u64 = 1_200;
    let all = Rows::new((1..=STABLE).map(|id| Row::new(id, id % 97)));
    let (rows, permits, numbers) = (all.clone(), Permits::default(), Mutex::new(Numbers::new(7)));
    let gate = permits.clone();
    let upstream = Upstream::start(move |exchange| {
        gate.take();
        rows.change(|rows| {
            let mut numbers = numbers.lock().unwrap_or_else(PoisonError::into_inner);
            let id = 10_000 + numbers.draw() % 1_000;
            match rows.iter().position(|row| row.id == id) {
                Some(at) => _ = rows.remove(at),
                None => rows.push(Row::new(id, numbers.draw() % 97)),
            }
        });
        rows.answer(exchange)
    });
    let route = format!("{}\npage_size = {{ default = 10, max = 25 }}", rows::BY_SCORE);
    let configuration = rows::configuration(upstream.address, rows::BY_OFFSET, &route);
    let configuration = format!("{configuration}{}", place.table("at_once = 4"));
    let mut numbers = Numbers::new(11);
    permits.give(1);
    let mut gateway = Gateway::start(&configuration);
    permits.give(4);
    let job = begun(&gateway, "/users/exports", &[KEY], &json!({ "compression": "gzip" }));
    let mut reached = 0;
    for round in 0..6 {
        permits.give(4 + numbers.below(8));
        let moved = eventually("some pages", || {
            let items = status(&gateway, &job, &[KEY])["items"].as_u64()?;
            (items > reached || permits.left() == 0).then_some(items)
        });
        assert!(moved >= reached, "{round}: {moved} after {reached}");
        reached = moved;
        // The process is killed at whatever point of the job it has reached.
        drop(gateway);
        gateway = Gateway::start(&configuration);
    }
    permits.give(100_000);
    let document = finished(&gateway, &job, &[KEY]);
    assert_eq!(document["state"], "completed", "{document}");
    let mut text = String::new();
    let file = result(&gateway, &job, &[KEY]);
    flate2::read::MultiGzDecoder::new(&file.body[..]).read_to_string(&mut text).expect("gzip");
    let found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("an item")).collect();
    let mut times = BTreeMap::new();
    for item in &found {
        *times.entry(item["id"].as_u64().expect("an id")).or_insert(0) += 1;
    }
    let missing: Vec<u64> = (1..=STABLE).filter(|id| !times.contains_key(id)).collect();
    let twice: BTreeSet<_> = times.iter().filter(|(_, count)| **count > 1).collect();
    assert!(missing.is_empty() && twice.is_empty(), "missing {missing:?}, twice {twice:?}: {document}");
    assert_eq!(document["items"], found.len());
    assert_eq!(document["closing"]["complete"], true, "{document}");
}

/// If a process ends after the last page of its export, the result is complete, and no items are added to it.
#[test]
fn no_item_is_added_to_a_complete_export() {
    let upstream = Upstream::start(serve(users(300)));
    let place = Place::directory();
    let Place::Directory(directory) = &place else { panic!("it is one") };
    let gateway = start(&upstream, &place, "");
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({ "format": "json" }));
    finished(&gateway, &job, &[ONE]);
    let (whole, asked) = (result(&gateway, &job, &[ONE]).body, upstream.count());
    drop(gateway);
    let jobs = rusqlite::Connection::open(directory.file("exports/jobs.sqlite3")).expect("the jobs");
    let changed = jobs.execute("UPDATE jobs SET state = 'active', finished = NULL", []).expect("a change");
    assert_eq!(changed, 1);
    drop(jobs);
    let file = directory.file("exports/results").join(job.rsplit('/').next().expect("an id"));
    let written = std::fs::OpenOptions::new().append(true).open(file).and_then(|mut file| file.write_all(b"beyond"));
    written.expect("the result can be written");
    let gateway = start(&upstream, &place, "");
    let document = finished(&gateway, &job, &[ONE]);
    assert_eq!((&document["state"], &document["items"]), (&json!("completed"), &json!(300)), "{document}");
    assert_eq!((result(&gateway, &job, &[ONE]).body == whole, upstream.count()), (true, asked));
}

fn another_process_takes_over(place: &Place) {
    let (items, permits) = (users(900), Permits::default());
    let (served, gate) = (items.clone(), permits.clone());
    let upstream = Upstream::start(move |exchange| {
        gate.take();
        let page = body(exchange, &served);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let first = start(&upstream, place, "");
    permits.give(3);
    let job = begun(&first, "/users/exports", &[ONE], &json!({}));
    eventually("the middle of the export", || (permits.left() == 0).then_some(()));
    let second = start(&upstream, place, "");
    // The first process keeps the job as long as it runs.
    let document = status(&second, &job, &[ONE]);
    assert_eq!(document["state"], "active", "{document}");
    drop(first);
    permits.give(100);
    completed(&second, &job, &items);

    // A process that shuts down gracefully gives up its job after the current page.
    while permits.left() > 0 {
        permits.take();
    }
    permits.give(3);
    let job = begun(&second, "/users/exports", &[ONE], &json!({}));
    eventually("the middle of the export", || (permits.left() == 0).then_some(()));
    let mut second = second;
    second.signal("TERM");
    eventually("the process stops", || second.log().iter().any(|line| line.contains("stopping")).then_some(()));
    permits.give(100);
    second.ended();
    let mut third = start(&upstream, place, "");
    completed(&third, &job, &items);

    // A process that hands over to a successor also gives up its job.
    while permits.left() > 0 {
        permits.take();
    }
    permits.give(3);
    let job = begun(&third, "/users/exports", &[ONE], &json!({}));
    eventually("the middle of the export", || (permits.left() == 0).then_some(()));
    third.succeed();
    permits.give(100);
    completed(&third, &job, &items);
}
