//! Tests of exports whose results are in an object store, and whose jobs are in a database.

use std::{collections::BTreeMap, thread, time::Duration};

use serde_json::{Value, json};

use super::{
    JSON, ONE, Permits, begun, completed, finished,
    object_server::{ObjectServer, SECRET},
    place::Place,
    postgres_server::PostgresServer,
    result, status,
};
use crate::harness::{
    Numbers, eventually,
    gateway::Gateway,
    http,
    list::{PLAIN, body, serve},
    metric,
    upstream::Upstream,
};

/// The largest number of bytes of a part of a completed result that stay in the database.
const REST: u64 = 256 << 10;

/// Returns items of 4 KiB, so that a list of some thousands becomes several objects.
fn large(count: usize) -> Vec<String> {
    let text = "x".repeat(4 << 10);
    (1..=count).map(|id| format!(r#"{{"id":{id},"text":"{text}"}}"#)).collect()
}

/// The servers of a test.
struct Stores {
    database: Box<PostgresServer>,
    objects: ObjectServer,
    configuration: String,
}

impl Stores {
    /// Starts the servers. `exports` contains lines for the table `[services.exports]`.
    fn start(upstream: &Upstream, exports: &str) -> Self {
        let (place, objects) = (Place::postgres(), ObjectServer::start());
        let tables = format!("{}{}", place.table(exports), objects.tables("secret"));
        let configuration = format!("{}{tables}", PLAIN.configuration(upstream.address));
        let Place::Postgres(database) = place else { panic!("it is one") };
        Self { database, objects, configuration }
    }

    fn number(&self, query: &str) -> u64 {
        self.database.ask(query)[0].parse().expect("a number")
    }

    /// Returns the number of bytes of results in the database.
    fn in_rows(&self) -> u64 {
        self.number("SELECT coalesce(sum(length(bytes)), 0) FROM cursorgate_export_parts")
    }

    /// Waits until the bucket has only the objects that rows name.
    fn is_tidy(&self) {
        self.database.ask("UPDATE cursorgate_object_removals SET due = now() WHERE due > now()");
        eventually("no object is left over", || {
            let left = self.number("SELECT count(*) FROM cursorgate_object_removals");
            let named = self.number("SELECT count(object) FROM cursorgate_export_parts");
            (left == 0 && named == self.objects.objects().len() as u64).then_some(())
        });
    }
}

#[test]
fn a_result_is_in_objects_and_read_from_them() {
    let items = large(6_000);
    let upstream = Upstream::start(serve(items.clone()));
    let stores = Stores::start(&upstream, "");
    let gateway = Gateway::start(&stores.configuration);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    completed(&gateway, &job, &items);
    let parts = stores.number("SELECT count(DISTINCT place >> 50) FROM cursorgate_export_parts");
    assert_eq!(parts, 2, "the list was read in parts");
    assert!(stores.objects.objects().len() >= 4, "{:?}", stores.objects.objects());
    assert!(stores.in_rows() < parts * REST, "{} bytes", stores.in_rows());
    let size = stores.number("SELECT pg_total_relation_size('cursorgate_export_parts')");
    stores.database.ask("VACUUM FULL cursorgate_export_parts");
    let left = stores.number("SELECT pg_total_relation_size('cursorgate_export_parts')");
    assert!(left < (1 << 20) && left < size, "{left} of {size} bytes");

    // Ranges across the borders of objects, of pieces that are read at a time, and of rows.
    let whole = result(&gateway, &job, &[ONE]).body;
    let lengths =
        stores.database.ask("SELECT coalesce(length, length(bytes)) FROM cursorgate_export_parts ORDER BY place");
    let lengths: Vec<usize> = lengths.iter().map(|length| length.parse().expect("a number")).collect();
    assert_eq!(lengths.iter().sum::<usize>(), whole.len());
    let mut border = 0;
    for length in lengths {
        let middle = border + length / 2;
        border += length;
        let last = whole.len() - 1;
        for (first, last) in [(border - 1, border.min(last)), (middle, border.min(last)), (border - 1, last)] {
            let range = format!("bytes={first}-{last}");
            let answer = gateway.send("GET", &format!("{job}/result"), &[ONE, ("Range", &range)], b"");
            assert_eq!(answer.status, 206, "{range}");
            assert!(answer.body == whole[first..=last], "{range}");
        }
    }

    // A small result needs no object.
    let count = stores.objects.objects().len();
    let small = begun(&gateway, "/users/exports", &[ONE], &json!({ "compression": "zstd" }));
    assert_eq!(finished(&gateway, &small, &[ONE])["state"], "completed");
    assert_eq!(stores.objects.objects().len(), count);

    assert_eq!(gateway.send("DELETE", &job, &[ONE], b"").status, 204);
    eventually("the objects are removed", || stores.objects.objects().is_empty().then_some(()));
    stores.is_tidy();
    assert!(!gateway.log().iter().any(|line| line.contains("canary")));
}

/// The process of a job is killed repeatedly, also while it moves rows into objects.
#[test]
fn no_item_is_lost_or_repeated_between_rows_and_objects() {
    const KILLS: usize = 8;
    let items = large(9_000);
    let upstream = Upstream::start(serve(items.clone()));
    let stores = Stores::start(&upstream, "at_once = 2");
    let mut numbers = Numbers::new(5);
    let mut gateway = Gateway::start(&stores.configuration);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    let mut objects = 0;
    for kill in 0..KILLS {
        // Half of the processes are killed while an object is written or its row is stored, others at any time.
        if kill % 2 == 0 {
            eventually("another object, or the end", || {
                let now = stores.objects.objects().len();
                let is_ended = || status(&gateway, &job, &[ONE])["finishedAt"].is_string();
                (now > objects || is_ended()).then(|| objects = now)
            });
        }
        thread::sleep(Duration::from_millis(numbers.below(400) as u64));
        drop(gateway);
        gateway = Gateway::start(&stores.configuration);
    }
    let document = finished(&gateway, &job, &[ONE]);
    assert_eq!(document["state"], "completed", "{document}");
    let text = result(&gateway, &job, &[ONE]);
    let mut times = BTreeMap::new();
    for line in text.text().lines() {
        let item: Value = serde_json::from_str(line).expect("an item");
        *times.entry(item["id"].as_u64().expect("an id")).or_insert(0) += 1;
    }
    let wrong = (1..=items.len() as u64).find(|id| times.get(id) != Some(&1));
    assert_eq!((wrong, times.len()), (None, items.len()));
    completed(&gateway, &job, &items);
    stores.is_tidy();
}

#[test]
fn an_export_and_a_download_wait_for_an_object_store_that_is_away() {
    let (items, permits) = (large(6_000), Permits::default());
    let (served, gate) = (items.clone(), permits.clone());
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.parameter("offset") != Some("0") {
            gate.take_once(&exchange.request.target);
        }
        let page = body(exchange, &served);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let mut stores = Stores::start(&upstream, "at_once = 1");
    let gateway = Gateway::start(&stores.configuration);
    permits.give(13);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    eventually("the first object", || (stores.objects.objects().len() == 1).then_some(()));
    stores.objects.stop();
    permits.give(100);
    let is_up = |value| metric(&gateway, "cursorgate_store_up{store=\"exports\"}") == value;
    eventually("the store is down", || is_up(0).then_some(()));
    let told = || http::get(gateway.admin, "/status").text().contains("services.exports.objects").then_some(());
    eventually("the status says why", told);
    let waiting = status(&gateway, &job, &[ONE]);
    assert!(waiting["finishedAt"].is_null() && waiting["items"].as_u64() < Some(5_000), "{waiting}");
    assert!(stores.in_rows() < (10 << 20), "the database doesn't take what the objects can't: {}", stores.in_rows());
    assert_eq!(gateway.send("GET", "/users?limit=10", &[ONE], b"").status, 200, "a page needs no store");
    stores.objects.start_again();
    completed(&gateway, &job, &items);
    eventually("the store is up", || is_up(1).then_some(()));
    assert!(stores.number("SELECT interruptions FROM cursorgate_exports") < 5);

    // An interrupted download goes on after the outage.
    let whole = result(&gateway, &job, &[ONE]).body;
    let mut connection = gateway.connect();
    let (name, value) = ONE;
    let request = format!("GET {job}/result HTTP/1.1\r\nHost: gateway.test\r\n{name}: {value}\r\n\r\n");
    connection.send(request.as_bytes()).expect("it is sent");
    let (code, _) = connection.head().expect("a head");
    assert_eq!(code, 200);
    let mut got = connection.receive(1 << 20).expect("the beginning");
    stores.objects.stop();
    let range = format!("bytes={}-", got.len());
    let resumed = || gateway.send("GET", &format!("{job}/result"), &[ONE, ("Range", &range)], b"");
    assert_eq!(resumed().outcome(), "503 store_unavailable");
    eventually("the store is down for downloads alone", || is_up(0).then_some(()));
    stores.objects.start_again();
    let rest = eventually("the download goes on", || Some(resumed()).filter(|answer| answer.status == 206));
    got.extend_from_slice(&rest.body);
    assert!(got == whole);
    eventually("the store is up without another download", || is_up(1).then_some(()));
}

#[test]
fn a_refused_key_is_told_and_not_shown() {
    let items = large(1_000);
    let upstream = Upstream::start(serve(items.clone()));
    let stores = Stores::start(&upstream, "");
    let wrong = stores.configuration.replace(&stores.objects.tables("secret"), &stores.objects.tables("other"));
    let gateway = Gateway::start(&wrong);
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    eventually("the log says why", || {
        gateway
            .log()
            .iter()
            .any(|line| line.contains("services.exports.objects") && line.contains("SignatureDoesNotMatch"))
            .then_some(())
    });
    let waiting = eventually("the job says why", || {
        Some(status(&gateway, &job, &[ONE])).filter(|job| job["error"]["code"] == "store_unavailable")
    });
    assert_eq!(waiting["state"], "waiting", "{waiting}");
    assert!(!waiting.to_string().contains("Signature"), "{waiting}");
    let reported = http::get(gateway.admin, "/exports").json()["exports"][0].clone();
    assert_eq!((&reported["state"], &reported["error"]), (&json!("waiting"), &json!("store_unavailable")));
    drop(gateway);
    let gateway = Gateway::start(&stores.configuration);
    completed(&gateway, &job, &items);
    assert!(!gateway.log().iter().any(|line| line.contains(SECRET) || line.contains("another-secret")));
}
