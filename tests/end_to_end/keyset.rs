//! Pages found by range filters: one request each, while rows come and go under the walk.

use crate::harness::{
    eventually,
    gateway::Gateway,
    metric,
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids, walk},
    upstream::Upstream,
};

fn keyset(rows: &Rows) -> (Upstream, Gateway) {
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, BY_SCORE));
    (upstream, gateway)
}

/// Rows that stay are returned exactly once, in order; each page is requested by keys and without an offset, unless the
/// item of the cursor is gone.
#[test]
fn rows_that_stay_are_neither_skipped_nor_repeated() {
    let rows = Rows::count(60);
    let (upstream, gateway) = keyset(&rows);
    let warm = gateway.get("/users?limit=50");
    assert_eq!(warm.outcome(), "200", "{}", warm.text());
    let asked_before = upstream.count();
    let mut expected: Vec<u64> = (1..=60).rev().collect();
    let pages = walk(&gateway, "/users?limit=7", "next", &[], |number, page| {
        let last = *ids(page).last().expect("no page is empty");
        rows.change(|rows| {
            // Every other time the item that the cursor names goes; some served and not yet served; ten come at the head.
            rows.retain(|row| (row.id != last || number % 2 == 1) && row.id % 13 != 0);
            rows.extend((0..10).map(|index| Row::new(1_000 + number as u64 * 10 + index, 5_000)));
        });
        expected.retain(|id| *id >= last || id % 13 != 0);
    });
    let delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
    assert_eq!(delivered, expected);
    for (index, page) in pages.iter().enumerate() {
        // Where the item is gone, the filtered answer does not show that the filter begins where the item was: the whole
        // list does.
        let gone = index % 2 == 1;
        assert_eq!(page.header("cursorgate-level"), Some("exact"), "page {index}");
        assert!(gone || page.header("cursorgate-drift").is_none(), "page {index}: a filter has no drift");
    }
    let requests = &upstream.requests()[asked_before..];
    let filtered = requests.iter().filter(|request| request.query().contains("score__lte=")).count();
    assert_eq!(filtered, pages.len() - 1, "{requests:#?}");
    assert!(requests.len() <= 4 * pages.len(), "{requests:#?}");
}

#[test]
fn a_walk_back_gives_the_same_pages() {
    let rows = Rows::count(40);
    let (_upstream, gateway) = keyset(&rows);
    let forward = walk(&gateway, "/users?limit=8", "next", &[], |_, _| {});
    let last = forward[0].link("last").expect("a last page");
    let backward = walk(&gateway, &last, "prev", &[], |_, _| {});
    let mut reversed: Vec<_> = backward.iter().map(ids).collect();
    reversed.reverse();
    assert_eq!(reversed, forward.iter().map(ids).collect::<Vec<_>>());
    assert_eq!(forward[4].link("next"), None);
    assert_eq!(backward[4].link("prev"), None);
}

/// A client's own filter on a field by which pages are found: both stay in force.
#[test]
fn the_clients_own_filters_stay_in_force() {
    let rows = Rows::count(60);
    let (_upstream, gateway) = keyset(&rows);
    for (filter, expected) in [
        ("parity=0", (1..=60).filter(|id| id % 2 == 0).rev().collect::<Vec<u64>>()),
        ("score__lte=300", (1..=30).rev().collect()),
        ("score__gte=250&parity=1", (25..=60).filter(|id| id % 2 == 1).rev().collect()),
    ] {
        let pages = walk(&gateway, &format!("/users?limit=7&{filter}"), "next", &[], |_, _| {});
        assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected, "{filter}");
    }
}

/// A filter that lets nothing pass, as one that compares numbers as texts: it is told, given up and tried again.
#[test]
fn a_filter_that_never_helps_is_told_and_spared() {
    let rows = Rows::count(60);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| {
        if exchange.request.query().contains("score__lte=") {
            return exchange.reply("200 OK", &[("Content-Type", "application/json")], br#"{"items":[],"total":0}"#);
        }
        served.answer(exchange)
    });
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, BY_SCORE));
    let pages = walk(&gateway, "/users?limit=7", "next", &[], |_, _| {});
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), (1..=60).rev().collect::<Vec<u64>>());
    let filtered = upstream.requests().iter().filter(|request| request.query().contains("score__lte=")).count();
    assert_eq!((pages.len(), filtered), (9, 3));
    for (outcome, count) in [("in_vain", 2), ("given_up", 1), ("spared", 5)] {
        let sample = format!("cursorgate_futile_filters_total{{route=\"users\",outcome=\"{outcome}\"}}");
        assert_eq!(metric(&gateway, &sample), count, "{outcome}");
    }
    let told = || gateway.log().iter().filter(|line| line.contains("the range filter did not help")).count();
    eventually("it is told once", || (told() == 1).then_some(()));
    assert!(gateway.log().iter().any(|line| line.contains("\"futile_filter\":\"in_vain\"")));
}

/// Forty rows to a score: no order among them is promised, and none is needed.
#[test]
fn ties_are_whole_runs() {
    let rows = Rows::new((1..=120).map(|id| Row::new(id, id.div_ceil(40))));
    let (_upstream, gateway) = keyset(&rows);
    let mut turn = 0;
    let pages = walk(&gateway, "/users?limit=9", "next", &[], |_, _| {
        turn += 1;
        rows.change(|rows| rows.rotate_left(turn * 7 % 120));
    });
    let expected: Vec<u64> = (81..=120).chain(41..=80).chain(1..=40).collect();
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), expected);
}
