//! Tests of long lists that are read in parts at the same time: where two parts meet, no item is lost or repeated.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::{
    JSON, KEY, ONE, begin, begun, completed, finished,
    place::{Place, over_each_store},
    result,
};
use crate::harness::{
    PATIENCE, eventually,
    gateway::Gateway,
    list::{PLAIN, body, serve, users},
    rows::{self, Row, Rows},
    upstream::{Exchange, Upstream},
};

over_each_store!(a_long_list_is_read_in_parts, rows_that_change_where_parts_meet_are_read_once);

/// Permits for answers of the upstream, and the offsets of the requests that wait for one.
#[derive(Clone, Default)]
struct Waiting(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    permits: usize,
    offsets: Vec<usize>,
}

impl Waiting {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, permits: usize) {
        self.held().permits += permits;
        self.0.1.notify_all();
    }

    /// Waits with a request until there is a permit.
    fn take(&self, exchange: &Exchange) {
        let offset = exchange.request.parameter("offset").and_then(|offset| offset.parse().ok()).unwrap_or_default();
        let mut held = self.held();
        held.offsets.push(offset);
        let waited = self.0.1.wait_timeout_while(held, PATIENCE, |held| held.permits == 0);
        let mut held = waited.unwrap_or_else(PoisonError::into_inner).0;
        held.permits = held.permits.saturating_sub(1);
        if let Some(at) = held.offsets.iter().position(|waiting| *waiting == offset) {
            held.offsets.remove(at);
        }
    }

    /// Gives single permits until requests for each quarter of a list of `count` items wait. A permit is given when the
    /// same requests have waited for some polls, so all parts get to their requests before one of them goes on.
    fn until_in_parts(&self, count: usize) {
        let (mut before, mut polls) = (Vec::new(), 0);
        eventually("a request for each part of the list", || {
            let mut held = self.held();
            // A page is read with some items before it, which show that none was left out.
            let waits = |part: usize| held.offsets.iter().any(|offset| (offset + 15) * 4 / count == part);
            let are_all = (0..4).all(waits);
            polls = if held.offsets == before { polls + 1 } else { 0 };
            before.clone_from(&held.offsets);
            if polls > 20 && !held.offsets.is_empty() {
                (held.permits, polls) = (1, 0);
                self.0.1.notify_all();
            }
            are_all.then_some(())
        });
    }
}

fn a_long_list_is_read_in_parts(place: &Place) {
    const COUNT: usize = 1_003;
    let (items, waiting) = (users(COUNT), Waiting::default());
    let (served, gate) = (items.clone(), waiting.clone());
    let upstream = Upstream::start(move |exchange| {
        gate.take(exchange);
        let page = body(exchange, &served);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let configuration = PLAIN.configuration(upstream.address).replace("max = 200", "max = 20");
    let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 4")));
    let array = format!("[\n{}\n]\n", items.join(",\n"));
    let table = format!("id,name\r\n{}", (1..=COUNT).map(|id| format!("{id},user {id}\r\n")).collect::<String>());
    for (format, whole) in [("ndjson", &(items.join("\n") + "\n")), ("json", &array), ("csv", &table)] {
        let job = eventually("an export", || {
            // The request before the export asks for one item. A database under load may be late with its answer.
            waiting.held().permits = 1;
            let answer = begin(&gateway, "/users/exports", &[ONE], &json!({ "format": format }));
            answer.header("location").filter(|_| answer.status == 202).map(str::to_owned)
        });
        waiting.until_in_parts(COUNT);
        waiting.give(1_000);
        let document = finished(&gateway, &job, &[ONE]);
        let closing = &document["closing"];
        assert_eq!((&closing["complete"], &closing["items"]), (&json!(true), &json!(COUNT)), "{document}");
        assert_eq!((&document["level"], &document["bytes"]), (&json!("exact"), &json!(whole.len())));
        let file = result(&gateway, &job, &[ONE]);
        assert!(file.text() == *whole, "{format}: {:.200}", file.text());
        for (first, last) in
            [(0, whole.len() / 2), (whole.len() / 3, whole.len() - 1), (whole.len() / 4, whole.len() / 2)]
        {
            let range = format!("bytes={first}-{last}");
            let part = gateway.send("GET", &format!("{job}/result"), &[ONE, ("Range", &range)], b"");
            assert!(part.body == whole.as_bytes()[first..=last], "{format} {range}");
        }
        let unproven = gateway.access_log().iter().filter(|line| line["unproven"].is_string()).count();
        assert_eq!(unproven, 0, "the search for the parts is no finding");
        waiting.held().permits = 0;
        let removed = gateway.send("DELETE", &job, &[ONE], b"");
        assert_eq!(removed.status, 204);
    }
    eventually("the results are removed", || (place.results() == 0).then_some(()));
}

/// While all parts wait, the items at their borders are deleted and moved, and others are added beside them.
fn rows_that_change_where_parts_meet_are_read_once(place: &Place) {
    const COUNT: u64 = 600;
    let (rows, waiting) = (Rows::count(COUNT), Waiting::default());
    let (served, gate) = (rows.clone(), waiting.clone());
    let upstream = Upstream::start(move |exchange| {
        gate.take(exchange);
        served.answer(exchange)
    });
    let route = "order = [\"score\", \"id\"]\nsortable = [\"score\", \"id\"]\npage_size = { default = 5, max = 10 }";
    let configuration = rows::configuration(upstream.address, rows::BY_OFFSET, route);
    let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 4")));
    waiting.give(1);
    let job = begun(&gateway, "/users/exports", &[KEY], &json!({}));
    waiting.until_in_parts(600);
    // Rows have ten times their id as their score, so the parts meet at the rows 150, 300 and 450.
    rows.change(|rows| {
        rows.retain(|row| ![150, 151, 299, 450].contains(&row.id));
        for (id, score) in
            [(1_001, 1_500), (1_002, 1_495), (1_003, 1_505), (2_001, 3_000), (3_001, 4_501), (3_002, 4_500)]
        {
            rows.push(Row::new(id, score));
        }
        // A row that moves may be read twice or not at all.
        rows.iter_mut().filter(|row| row.id == 300).for_each(|row| row.score = 1);
    });
    waiting.give(10_000);
    let document = finished(&gateway, &job, &[KEY]);
    assert_eq!(document["closing"]["unprovenPages"], 0, "{document}");
    let file = result(&gateway, &job, &[KEY]);
    let items: Vec<Value> = file.text().lines().map(|line| serde_json::from_str(line).expect("an item")).collect();
    let places: Vec<_> = items.iter().map(|item| (item["score"].as_u64(), item["id"].as_u64())).collect();
    assert!(places.is_sorted_by(|left, right| left < right), "in order, and none twice: {places:?}");
    let expected = rows.all().into_iter().filter(|row| row.id != 300).map(|row| (Some(row.score), Some(row.id)));
    let missing: Vec<_> = expected.filter(|row| !places.contains(row)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(document["items"], places.len());
}

/// A list that is read by range filters is divided too. The filters lead to the parts' pages, and offsets only to the
/// places where they begin.
#[test]
fn a_list_by_keyset_is_read_in_parts() {
    let rows = Rows::new((1..=500).map(|id| Row::new(id, id % 97)));
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let place = Place::directory();
    let route = format!("{}\nmode = \"keyset\"\npage_size = {{ default = 5, max = 10 }}", rows::BY_SCORE);
    let configuration = rows::configuration(upstream.address, rows::BY_OFFSET, &route);
    let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 4")));
    let job = begun(&gateway, "/users/exports", &[KEY], &json!({}));
    let document = finished(&gateway, &job, &[KEY]);
    assert_eq!((&document["items"], &document["closing"]["complete"]), (&json!(500), &json!(true)), "{document}");
    let mut expected = rows.all();
    expected.sort_by_key(|row| (std::cmp::Reverse(row.score), row.id));
    let lines: Vec<String> = expected.iter().map(Row::json).collect();
    assert!(result(&gateway, &job, &[KEY]).text() == lines.join("\n") + "\n");
    assert_eq!(place.results(), 4, "a file for each part");
}

/// Where a page can't be proven by keys, nothing shows where its part ends. It goes on to the end of the list.
#[test]
fn a_part_without_a_proven_end_takes_the_place_of_the_rest() {
    const COUNT: usize = 400;
    // The upstream sorts names without regard to case. The gateway notices this where the case changes.
    let name = |id: usize| if id == 151 { format!("N{id:04}") } else { format!("n{id:04}") };
    let items: Vec<String> = (1..=COUNT).map(|id| format!(r#"{{"id":{id},"name":"{}"}}"#, name(id))).collect();
    let served = items.clone();
    let upstream = Upstream::start(move |exchange| {
        let page = body(exchange, &served);
        exchange.reply("200 OK", &[JSON], page.as_bytes())
    });
    let place = Place::directory();
    let configuration = PLAIN.configuration(upstream.address).replace("max = 200", "max = 10");
    let configuration = configuration.replace("default = 20", "default = 10").replace(r#"["id"]"#, r#"["name", "id"]"#);
    let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 4")));
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    completed(&gateway, &job, &items);
    let document = finished(&gateway, &job, &[ONE]);
    assert_eq!((&document["level"], &document["closing"]["complete"]), (&json!("anchored"), &json!(false)));
    assert_eq!(place.results(), 4, "it was read in parts at first");
}

/// An upstream that fails at large offsets doesn't make an export fail that needs none.
#[test]
fn a_list_whose_offsets_fail_is_one_part() {
    let rows = Rows::count(500);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        let offset = exchange.request.parameter("offset").and_then(|offset| offset.parse::<u64>().ok());
        if offset.is_some_and(|offset| offset > 100) {
            return exchange.reply("500 Internal Server Error", &[JSON], b"{}");
        }
        served.answer(exchange)
    });
    let place = Place::directory();
    let route = "order = [\"id\"]\nsortable = [\"id\"]\nfilterable = [\"id\"]\nmode = \"keyset\"\npage_size = { default = 5, max = 10 }";
    let configuration = rows::configuration(upstream.address, rows::BY_OFFSET_TO_SHORT, route);
    let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 4")));
    let job = begun(&gateway, "/users/exports", &[KEY], &json!({}));
    let document = finished(&gateway, &job, &[KEY]);
    let facts = (&document["state"], &document["items"], &document["attempts"]);
    assert_eq!(facts, (&json!("completed"), &json!(500), &json!(1)), "{document}");
    assert_eq!(place.results(), 1);
}

/// A list whose pages have no keys is one part: a page is requested after the one before.
#[test]
fn a_list_without_an_order_is_one_part() {
    let items = users(400);
    let upstream = Upstream::start(serve(items.clone()));
    let place = Place::directory();
    let configuration = PLAIN.configuration(upstream.address).replace("max = 200", "max = 10");
    let configuration = configuration.replace("default = 20", "default = 10").replace(r#"order = ["id"]"#, "");
    let gateway = Gateway::start(&format!("{configuration}{}", place.table("at_once = 4")));
    let job = begun(&gateway, "/users/exports", &[ONE], &json!({}));
    completed(&gateway, &job, &items);
    assert_eq!(place.results(), 1);
}
