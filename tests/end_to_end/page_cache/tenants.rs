//! Tests of two tenants on one route, with all caches and without caches.

use super::{is_hit, purge, with_token};
use crate::{
    harness::{
        gateway::Gateway,
        http::Response,
        metric,
        rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, walk},
        upstream::{Exchange, Upstream},
    },
    store::server::{Flavour, StoreServer},
};

/// The headers that may differ between a kept page and a new page, and the headers of limits and of the connection.
const OF_CACHE: [&str; 7] =
    ["age", "cache-status", "x-request-id", "date", "ratelimit", "ratelimit-policy", "connection"];

fn without_age(response: &Response) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let kept = |(name, _): &&(String, String)| !OF_CACHE.contains(&name.to_ascii_lowercase().as_str());
    let mut headers: Vec<_> = response.headers.iter().filter(kept).cloned().collect();
    headers.sort();
    // The document of a problem contains the id of its request, so only the status is compared.
    if response.status >= 400 {
        return (response.status, Vec::new(), Vec::new());
    }
    (response.status, headers, response.body.clone())
}

/// No byte of one tenant's list reaches the other tenant, and answers with and without caches differ only in their age.
/// The tenants request random pages from two gateways with all caches and a shared store, which are purged and emptied
/// at random, and from a gateway without caches. `CURSORGATE_TENANT_REQUESTS` sets the number of requests.
///
/// Row: A22
#[test]
fn two_tenants_see_their_own_lists_with_caches_and_without() {
    const TENANTS: [&str; 2] = ["Bearer alpha", "Bearer beta"];
    let requests = std::env::var("CURSORGATE_TENANT_REQUESTS").ok().and_then(|text| text.parse().ok()).unwrap_or(3_000);
    let rows = Rows::default();
    for (tenant, name) in TENANTS.into_iter().zip(["alpha", "beta"]) {
        rows.change_of(tenant, |own| {
            own.extend((1..=95).map(|id| Row { id, score: id * 10, note: format!("of {name}") }));
        });
    }
    let upstream = Upstream::start(move |exchange: &mut Exchange| rows.answer(exchange));
    let kept = "page_cache = { ttl = \"1s\", private = true, stale_while_revalidate = \"1s\", stale_if_error = \"1h\" }\n\
                prefetch = true\nrate_limit = { requests = 1_000_000, per = \"1s\" }";
    let route = |cache: &str| format!("{BY_SCORE}\nmode = \"seek\"\nenvelopes = [\"relay\", \"bare\"]\n{cache}");
    let store = StoreServer::start(Flavour::Redis);
    let shared = format!("[caches.shared]\naddresses = [\"127.0.0.1:{}\"]\ntimeout = \"1s\"\n", store.port);
    let on = [(); 2]
        .map(|()| Gateway::start(&format!("{shared}{}", configuration(upstream.address, BY_OFFSET, &route(kept)))));
    let off = Gateway::start(&configuration(upstream.address, BY_OFFSET, &route("")));
    on.iter().for_each(with_token);
    let first: Vec<String> = ["/users?limit=10", "/users?limit=7&sort=-id", "/users"].map(str::to_owned).into();
    let mut targets = first.clone();
    for target in &first {
        let headers = [("Authorization", TENANTS[0])];
        targets.extend(walk(&off, target, "next", &headers, |_, _| ()).iter().filter_map(|page| page.link("next")));
    }
    const PREFER: [&str; 3] = ["", "envelope=relay", "envelope=bare"];
    let ask = |seed: u64, count: u64| {
        let mut random = seed;
        let mut next = |most: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from((random >> 33) % u64::try_from(most).expect("small")).expect("small")
        };
        let (mut with, mut without, mut hits) = (on.each_ref().map(Gateway::connect), off.connect(), 0);
        for _ in 0..count {
            let tenant = next(2);
            let target = &targets[next(targets.len())];
            let method = if next(8) == 0 { "HEAD" } else { "GET" };
            let prefer = PREFER[next(PREFER.len())];
            let mut headers = vec![("Authorization", TENANTS[tenant])];
            headers.extend((!prefer.is_empty()).then_some(("Prefer", prefer)));
            headers.extend((next(16) == 0).then_some(("Cache-Control", "no-cache")));
            headers.extend((next(16) == 0).then_some(("Cache-Control", "no-store")));
            let one = with[next(2)].request(method, target, &headers, b"").expect("a response");
            let other = without.request(method, target, &headers, b"").expect("a response");
            assert_eq!(without_age(&one), without_age(&other), "{method} {target} {headers:?}: {}", one.text());
            assert!(!one.text().contains(["of beta", "of alpha"][tenant]), "{method} {target} {headers:?}");
            hits += usize::from(is_hit(&one));
            match next(500) {
                0 => drop(purge(&on[0], "{\"route\":\"users\"}")),
                1 => drop(purge(&on[1], "{\"tag\":\"users\"}")),
                2 => redis::cmd("FLUSHALL").exec(&mut store.client()).expect("it is emptied"),
                _ => {}
            }
        }
        hits
    };
    let hits: usize = std::thread::scope(|scope| {
        let ask = &ask;
        let threads: Vec<_> = (1..=4).map(|seed| scope.spawn(move || ask(seed, requests / 4))).collect();
        threads.into_iter().map(|thread| thread.join().expect("it ends")).sum()
    });
    let of_store: u64 =
        on.iter().map(|gateway| metric(gateway, "cursorgate_shared_store_pages_total{answer=\"hit\"}")).sum();
    assert!(of_store > 0, "no page came from the store");
    // Pages are fresh for a second, so a busy machine has fewer hits.
    assert!(hits > usize::try_from(requests).expect("a number") / 10, "{hits} of {requests} were hits");
}
