//! A test of the export of a large PostgreSQL table while rows are added, removed and moved, and the process is killed
//! at random times and replaced. Every row that stays in the table must be in the result once, and the memory of the
//! processes must not grow with the table. `make exports` runs the test with each store, page by page and in parts. `CURSORGATE_EXPORT_ROWS` sets
//! the number of rows.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{KEY, begun, place::Place, status};
use crate::{
    harness::{Numbers, gateway::Gateway, now},
    postgres::{CONFIGURATION, Key, Legacy, draw},
};

/// The number of times that the process is killed.
const KILLS: usize = 20;

/// The pause between two batches of ten changes.
const CHANGES: Duration = Duration::from_millis(100);

/// The time between two polls of a job.
const LOOK: Duration = Duration::from_millis(20);

/// The size of the parts in which the result is fetched, in bytes.
const PART: usize = 8 << 20;

/// The memory in bytes by which the last process may exceed the first one, which reads about a twentieth of the rows.
const GROWTH: u64 = 64 << 20;

#[test]
#[ignore = "a run of minutes: make exports"]
fn an_export_over_a_directory_keeps_every_row() {
    export_over(&Place::directory(), 1);
}

#[test]
#[ignore = "a run of minutes: make exports"]
fn an_export_over_postgres_keeps_every_row() {
    export_over(&Place::postgres(), 1);
}

#[test]
#[ignore = "a run of minutes: make exports"]
fn an_export_in_parts_over_a_directory_keeps_every_row() {
    export_over(&Place::directory(), 8);
}

#[test]
#[ignore = "a run of minutes: make exports"]
fn an_export_in_parts_over_postgres_keeps_every_row() {
    export_over(&Place::postgres(), 8);
}

/// The ids of rows that were moved or deleted, and the number of all changes.
#[derive(Default)]
struct Changes {
    touched: Mutex<HashSet<u64>>,
    count: AtomicU64,
    is_over: AtomicBool,
}

/// Runs an export that reads this number of pages at the same time. Only a list with a total is read in parts.
fn export_over(place: &Place, at_once: usize) {
    let rows = std::env::var("CURSORGATE_EXPORT_ROWS").unwrap_or_else(|_| "1000000".to_owned());
    let whole = if at_once == 1 { &["--uncounted"][..] } else { &[] };
    let legacy = Legacy::start_with(&[&["--rows", &rows, "--index"], whole].concat());
    let pages = ("page_size = { default = 100, max = 250 }", "page_size = { default = 100, max = 500 }");
    let upstream =
        ("peers = [\"ADDRESS\"]", "peers = [\"ADDRESS\"]\ntimeouts = { first_byte = \"60s\", whole = \"60s\" }");
    let configuration = CONFIGURATION
        .replace(pages.0, pages.1)
        .replace(upstream.0, upstream.1)
        .replace("ADDRESS", &legacy.address.to_string());
    let configuration = format!("{configuration}{}", place.table(&format!("at_once = {at_once}")));
    let before = legacy.items();
    let ids: Vec<u64> = before.iter().map(|(id, _)| *id).collect();
    let changes = Changes::default();
    let began = now();
    let (lines, peaks, document) = thread::scope(|scope| {
        scope.spawn(|| change(&legacy, &ids, &changes));
        let killed = Killed { configuration: &configuration, rows: ids.len() };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| killed.run()));
        changes.is_over.store(true, Ordering::Relaxed);
        result.unwrap_or_else(|fault| std::panic::resume_unwind(fault))
    });
    let taken = now() - began;
    let touched = changes.touched.into_inner().expect("nobody panicked");
    let stayed: HashSet<&Key> = before.iter().filter(|(id, _)| !touched.contains(id)).collect();
    let mut times: HashMap<Key, usize> = HashMap::new();
    for line in &lines {
        let item: Value = serde_json::from_str(line).expect("an item");
        let key = (item["id"].as_u64().expect("an id"), item["created_at"].as_str().expect("a time").to_owned());
        *times.entry(key).or_default() += 1;
    }
    let lost = stayed.iter().filter(|key| !times.contains_key(**key)).count();
    let repeated = times.values().filter(|count| **count > 1).count();
    println!("rows {rows}, changes {}, stayed {}", changes.count.load(Ordering::Relaxed), stayed.len());
    println!("items {}, lost {lost}, repeated {repeated}, kills {KILLS}, {:.0} s", lines.len(), taken.as_secs_f64());
    println!("peaks of memory, MiB: {:?}", peaks.iter().map(|peak| peak >> 20).collect::<Vec<_>>());
    println!("{}", document["closing"]);
    assert_eq!((lost, repeated), (0, 0));
    assert_eq!(document["items"], lines.len());
    let closing = &document["closing"];
    let said = ["unprovenPages", "endUnproven"].map(|name| &closing[name]);
    assert_eq!(said, [&json!(0), &json!(false)], "{closing}");
    assert!(peaks.last() <= peaks.first().map(|first| first + GROWTH).as_ref(), "{peaks:?}");
}

/// Changes rows until `is_over` is set.
fn change(legacy: &Legacy, ids: &[u64], changes: &Changes) {
    let mut numbers = Numbers::new(77);
    while !changes.is_over.load(Ordering::Relaxed) {
        let batch: Vec<Value> = (0..10).map(|_| draw(&mut numbers, ids, &changes.touched)).collect();
        legacy.change(&json!(batch));
        changes.count.fetch_add(10, Ordering::Relaxed);
        thread::sleep(CHANGES);
    }
}

/// An export of a table with this number of rows, whose processes are killed.
struct Killed<'k> {
    configuration: &'k str,
    rows: usize,
}

impl Killed<'_> {
    /// Runs the export. Returns the lines of the result, the peak memory of each process in bytes, and the status
    /// document of the job.
    fn run(&self) -> (Vec<String>, Vec<u64>, Value) {
        let mut numbers = Numbers::new(11);
        let mut at_work = Gateway::start(self.configuration);
        let job = begun(&at_work, "/keyset/exports", &[KEY], &json!({}));
        let mut peaks = Vec::new();
        let mut reached = 0;
        for _ in 0..KILLS {
            // Each process is killed after it has read between half a share and one and a half shares of the rows.
            let share = self.rows / (KILLS + 2);
            let until = reached + share / 2 + numbers.below(share);
            let other = Gateway::start(self.configuration);
            reached = self.items_of(&other, &job, until);
            peaks.push(at_work.peak_memory());
            // The process is killed at whatever point of the job it has reached.
            drop(std::mem::replace(&mut at_work, other));
        }
        self.items_of(&at_work, &job, usize::MAX);
        let document = status(&at_work, &job, &[KEY]);
        assert_eq!(document["state"], "completed", "{document}");
        let lines = fetched(&at_work, &job, document["bytes"].as_u64().expect("a length"));
        peaks.push(at_work.peak_memory());
        (lines, peaks, document)
    }

    /// Waits until a job has this many items or has ended, and returns the number of its items.
    fn items_of(&self, gateway: &Gateway, job: &str, until: usize) -> usize {
        loop {
            let document = status(gateway, job, &[KEY]);
            let items = document["items"].as_u64().and_then(|items| usize::try_from(items).ok()).expect("a count");
            if items >= until || document["finishedAt"].is_string() {
                assert!(document["state"] != "failed", "{document}");
                return items;
            }
            thread::sleep(LOOK);
        }
    }
}

/// Fetches a result in parts of [`PART`] bytes, and returns its lines.
fn fetched(gateway: &Gateway, job: &str, length: u64) -> Vec<String> {
    let length = usize::try_from(length).expect("a length");
    let mut whole = Vec::with_capacity(length);
    while whole.len() < length {
        let range = format!("bytes={}-{}", whole.len(), (whole.len() + PART - 1).min(length - 1));
        let answer = gateway.send("GET", &format!("{job}/result"), &[KEY, ("Range", &range)], b"");
        assert_eq!(answer.status, 206, "{range}");
        whole.extend(answer.body);
    }
    String::from_utf8(whole).expect("text").lines().map(str::to_owned).collect()
}
