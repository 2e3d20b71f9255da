//! Tests of pages that are made ahead of a client's request: which pages are made, for which client, and how many.

use super::{KEPT, start};
use crate::harness::{
    eventually,
    gateway::Gateway,
    list::{PLAIN, Setup, body, users},
    metric,
    rows::{BY_OFFSET, BY_SCORE, Row, Rows, configuration, ids, walk},
    upstream::{Exchange, Upstream},
};

/// Each page of a walk is made once, and at most one page ahead of the client.
#[test]
fn only_the_next_page_is_prefetched() {
    // The time that the upstream takes for an answer, and that the client takes for a page.
    const TIME: std::time::Duration = std::time::Duration::from_millis(20);
    let items = users(200);
    let upstream = Upstream::start(move |exchange: &mut Exchange| {
        std::thread::sleep(TIME);
        let body = body(exchange, &items);
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let with = Setup { route: "page_cache = { ttl = \"1h\", private = false }\nprefetch = true", ..PLAIN };
    let mut took = Vec::new();
    for (setup, first, spells) in
        [(&KEPT, "/users?limit=10", false), (&with, "/users?limit=10", false), (&with, "/users?limit=10", true)]
    {
        let (gateway, before) = (start(setup, &upstream), upstream.count());
        // The second page is made ahead under the spelling of the link, so it is made twice for a client with another
        // spelling.
        let twice = usize::from(spells);
        let begin = crate::harness::now();
        let mut connection = gateway.connect();
        let (mut target, mut pages, mut seen) = (Some(first.to_owned()), 0, Vec::new());
        while let Some(asked) = target {
            let page = connection.request("GET", &asked, &[], b"").expect("a response");
            assert_eq!(page.status, 200, "{page:?}");
            seen.extend(ids(&page));
            pages += 1;
            let made = upstream.count() - before;
            std::thread::sleep(TIME);
            assert!(made <= pages + 1 + twice, "{made} requests for {pages} pages");
            target = page.link("next");
            if spells {
                // This client writes queries itself, with the cursor first, instead of following links.
                let cursor = target.as_ref().and_then(|next| next.split("cursor=").nth(1));
                target = cursor.map(|cursor| format!("/users?cursor={cursor}&limit=10"));
            }
        }
        took.push(begin.elapsed());
        assert_eq!((seen.len(), pages), (200, 20));
        let mut requests: Vec<String> =
            upstream.requests()[before..].iter().map(|request| request.target.clone()).collect();
        let all = requests.len();
        requests.sort();
        requests.dedup();
        assert_eq!((requests.len(), all), (20, 20 + twice), "each once");
        let ahead = "cursorgate_background_pages_total{route=\"users\",work=\"prefetch\",end=\"stored\"}";
        let wanted = if setup.route == with.route { 19 } else { 0 };
        eventually("all are counted", || (metric(&gateway, ahead) == wanted).then_some(()));
        let head = gateway.send("HEAD", "/users?limit=9", &[], b"");
        assert_eq!((head.status, upstream.count() - before), (200, 21 + twice), "a HEAD request makes no page ahead");
    }
    println!("a walk of 20 pages, plain, with links, and with own queries: {took:?}");
}

/// Pages are made ahead with the client's own credentials, and only if they may be kept.
///
/// Row: A22
#[test]
fn prefetched_pages_are_made_with_the_credentials_of_the_client() {
    let rows = Rows::default();
    for tenant in ["Bearer one", "Bearer two"] {
        rows.change_of(tenant, |own| own.extend((1..=40).map(|id| Row { id, score: id, note: tenant.to_owned() })));
    }
    let upstream = Upstream::start(move |exchange: &mut Exchange| rows.answer(exchange));
    let route =
        |private: bool| format!("{BY_SCORE}\npage_cache = {{ ttl = \"1h\", private = {private} }}\nprefetch = true");
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, &route(true)));
    for tenant in ["Bearer one", "Bearer two"] {
        let pages = walk(&gateway, "/users?limit=10", "next", &[("Authorization", tenant)], |_, _| ());
        assert!(pages.len() == 4 && pages.iter().all(|page| page.text().matches(tenant).count() == 10));
    }
    let gateway = Gateway::start(&configuration(upstream.address, BY_OFFSET, &route(false)));
    let before = upstream.count();
    assert_eq!(gateway.send("GET", "/users?limit=10", &[("Authorization", "Bearer one")], b"").status, 200);
    gateway.send("GET", "/users?limit=10", &[("Authorization", "Bearer one"), ("Cache-Control", "no-store")], b"");
    assert_eq!(upstream.count() - before, 2, "a page that may not be kept is not made ahead");
}
