//! Tests of limits that upstreams don't announce: sizes that are lowered without notice, and depths beyond which
//! requests are refused. The upstreams here have no total, no link and no flag, unless a test says otherwise.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::harness::{
    eventually,
    gateway::Gateway,
    rows::{BY_OFFSET, Row, Rows, SLICES, SLICES_BY_PAGE, configuration, ids, walk},
    upstream::{Request, Upstream},
};

const BY_ID: &str = "order = [\"id\"]\npage_size = { default = 20, max = 200 }";
const FREE: &str = "Bearer free";
const PRO: &str = "Bearer pro";

/// Returns the rows of the tests about caps.
fn thousand() -> impl Iterator<Item = Row> {
    (1..=1_000).map(|id| Row::new(id, id * 10))
}

/// Starts an upstream that lowers the size of each request to the result of `cap`.
fn capped(rows: &Rows, cap: impl Fn(&Request) -> u64 + Send + Sync + 'static) -> Upstream {
    let served = rows.clone();
    Upstream::start(move |exchange| {
        let cap = cap(&exchange.request);
        for name in ["limit", "per_page"] {
            let asked = exchange.request.parameter(name).and_then(|size| size.parse::<u64>().ok());
            if let Some(size) = asked.filter(|size| *size > cap) {
                let target = &exchange.request.target;
                exchange.request.target = target.replace(&format!("{name}={size}"), &format!("{name}={cap}"));
            }
        }
        served.answer(exchange)
    })
}

/// Walks from a target to the end, and asserts that all rows from the id `from` on are returned, each once, in order.
fn complete(gateway: &Gateway, first: &str, headers: &[(&str, &str)], from: u64) {
    let pages = walk(gateway, first, "next", headers, |_, _| {});
    let delivered: Vec<u64> = pages.iter().flat_map(ids).collect();
    let end = pages.last().expect("a page");
    let level = end.header("cursorgate-level");
    let what = format!("{first} {headers:?}: {} rows, the end is {level:?}", delivered.len());
    assert_eq!(delivered, (from..=1_000).collect::<Vec<_>>(), "{what}");
}

/// No walk ends early if the cap falls below sizes that answers to earlier walks have filled. The test covers a walk
/// that begins before the cap falls, one that begins later, and one that begins after a reload.
///
/// Row: F32
#[test]
fn a_falling_cap_ends_no_walk_early() {
    for (reading, limit) in [SLICES, SLICES_BY_PAGE].into_iter().flat_map(|reading| [(reading, 50), (reading, 100)]) {
        let rows = Rows::new(thousand());
        let cap = Arc::new(AtomicU64::new(100));
        let current = Arc::clone(&cap);
        let upstream = capped(&rows, move |_| current.load(Ordering::SeqCst));
        let gateway = Gateway::start(&configuration(upstream.address, reading, BY_ID));
        let first = format!("/users?limit={limit}");
        complete(&gateway, &first, &[], 1);
        let begun = gateway.get(&first);
        cap.store(25, Ordering::SeqCst);
        complete(&gateway, &begun.link("next").expect("a next page"), &[], limit + 1);
        complete(&gateway, &first, &[], 1);
        gateway.signal("HUP");
        eventually("the reload", || {
            gateway.log().iter().any(|line| line.contains("configuration reloaded")).then_some(())
        });
        complete(&gateway, &first, &[], 1);
    }
}

/// A size that one principal's answers have filled doesn't end the list of another principal early.
///
/// Row: A22, F32
#[test]
fn a_cap_of_one_principal_ends_no_list_of_another() {
    for reading in [SLICES, SLICES_BY_PAGE] {
        let rows = Rows::default();
        for principal in [FREE, PRO] {
            rows.change_of(principal, |own| own.extend(thousand()));
        }
        let upstream = capped(&rows, |request| if request.header("authorization") == Some(PRO) { 100 } else { 10 });
        let gateway = Gateway::start(&configuration(upstream.address, reading, BY_ID));
        for principal in [FREE, PRO, FREE, PRO, PRO, FREE] {
            complete(&gateway, "/users?limit=20", &[("Authorization", principal)], 1);
        }
    }
}

/// A parameter with a lower cap ends no list early. At many vendors, a parameter that makes each row larger lowers the
/// cap.
///
/// Row: F32
#[test]
fn a_parameter_with_a_lower_cap_ends_no_list() {
    for reading in [SLICES, SLICES_BY_PAGE] {
        let rows = Rows::new(thousand());
        let upstream = capped(&rows, |request| if request.parameter("expand").is_some() { 25 } else { 100 });
        let gateway = Gateway::start(&configuration(upstream.address, reading, BY_ID));
        for query in ["", "&expand=x", "", "&expand=x", "&expand=x", ""] {
            complete(&gateway, &format!("/users?limit=50{query}"), &[], 1);
        }
    }
}

/// The largest offset plus size that the upstream answers.
const DEPTH: u64 = 500;

/// Starts an upstream with a total that refuses slices that end after `DEPTH`. The gateway's configuration declares
/// this depth, and the gateway can read the flipped list.
fn shallow(count: u64) -> (Upstream, Gateway) {
    let rows = Rows::new((1..=count).map(|id| Row::new(id, id * 10)));
    let upstream = Upstream::start(move |exchange| {
        if deepest(&exchange.request) > DEPTH {
            return exchange.reply("400 Bad Request", &[], br#"{"error":"too deep"}"#);
        }
        rows.answer(exchange)
    });
    let route = "mode = \"offset\"\norder = [\"id\"]\nsortable = [\"id\"]";
    let settings = configuration(upstream.address, BY_OFFSET, route);
    let settings = settings.replace("&limit={size}\" }", &format!("&limit={{size}}\", max_depth = {DEPTH} }}"));
    assert!(settings.contains("max_depth"), "{settings}");
    let gateway = Gateway::start(&settings);
    (upstream, gateway)
}

/// Returns the place in the list at which a requested slice ends.
fn deepest(request: &Request) -> u64 {
    let number = |name| request.parameter(name).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    number("offset") + number("limit")
}

/// Returns the ids of the last page, and asserts that this page took one request.
fn last_page(upstream: &Upstream, gateway: &Gateway) -> Vec<u64> {
    let last = gateway.get("/users?limit=20").link("last").expect("a last page");
    let before = upstream.count();
    let page = gateway.get(&last);
    assert_eq!((page.outcome().as_str(), upstream.count() - before), ("200", 1), "{page:?}");
    ids(&page)
}

/// A page that is too deep for the upstream is read from the other end of the list.
#[test]
fn a_page_beyond_the_depth_is_read_from_the_other_end() {
    let (upstream, gateway) = shallow(900);
    let mut before = upstream.count();
    let pages = walk(&gateway, "/users?limit=20", "next", &[], |number, page| {
        let asked = upstream.requests()[before..].to_vec();
        before += asked.len();
        assert_eq!(asked.len(), 1, "page {number}: {asked:#?}");
        assert_eq!(page.header("cursorgate-level"), Some("exact"), "page {number}");
    });
    assert_eq!(pages.iter().flat_map(ids).collect::<Vec<_>>(), (1..=900).collect::<Vec<_>>());
    assert_eq!(last_page(&upstream, &gateway), (881..=900).collect::<Vec<_>>());
    let last = gateway.get("/users?limit=20").link("last").expect("a last page");
    before = upstream.count();
    let back = walk(&gateway, &last, "prev", &[], |number, page| {
        let asked = upstream.requests()[before..].to_vec();
        before += asked.len();
        assert_eq!(asked.len(), 1, "page {number} back: {asked:#?}");
        assert_eq!(page.header("cursorgate-level"), Some("exact"), "page {number} back");
    });
    assert_eq!(back.iter().rev().flat_map(ids).collect::<Vec<_>>(), (1..=900).collect::<Vec<_>>());
    let requests = upstream.requests();
    let flipped = requests.iter().filter(|request| request.query().contains("sort=-id")).count();
    assert!(flipped >= 20, "{flipped} requests for the flipped list");
    assert!(requests.iter().all(|request| deepest(request) <= DEPTH), "{requests:#?}");
}

/// Pages that are too deep from both ends are refused without a request for them. The pages near both ends are still
/// served.
///
/// Row: A20
#[test]
fn a_page_too_deep_from_both_ends_is_refused_at_once() {
    let (upstream, gateway) = shallow(1_200);
    let (mut target, mut rows) = ("/users?limit=20".to_owned(), 0);
    let refused = loop {
        let before = upstream.count();
        let page = gateway.get(&target);
        let asked = upstream.count() - before;
        assert!(asked <= 1, "{target} after {rows} rows: {asked} requests");
        if page.status != 200 {
            break page;
        }
        rows += ids(&page).len();
        target = page.link("next").expect("the middle can't be reached");
    };
    assert_eq!(refused.outcome(), "400 too_deep", "after {rows} rows: {refused:?}");
    assert!(rows >= 480, "{rows} rows");
    assert_eq!(last_page(&upstream, &gateway), (1_181..=1_200).collect::<Vec<_>>());
}
