//! Tests of look-ups of items by id: after each fault, the page is refused and the answer is not cached.

use crate::harness::{
    gateway::Gateway,
    rows::{BY_OFFSET, BY_SCORE, Rows, configuration, ids},
    upstream::{After, Exchange, Upstream},
};

type Fault = fn(&mut Exchange) -> std::io::Result<After>;

fn json(exchange: &mut Exchange, status: &str, body: &str) -> std::io::Result<After> {
    exchange.reply(status, &[("Content-Type", "application/json")], body.as_bytes())
}

#[test]
fn a_failed_look_up_is_one_failed_request() {
    let faults: [(&str, Fault); 9] = [
        ("502 upstream_unavailable", |exchange| json(exchange, "500 Oops", "{}")),
        ("502 upstream_unavailable", |_| Ok(After::Reset)),
        ("502 upstream_malformed", |exchange| json(exchange, "200 OK", "{\"id\":31,")),
        ("502 upstream_truncated", |exchange| {
            exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"id\":31,\"score\":310}")?;
            Ok(After::Close)
        }),
        ("502 upstream_redirected", |exchange| exchange.reply("302 Found", &[("Location", "/elsewhere")], b"")),
        ("403", |exchange| json(exchange, "403 Forbidden", "{}")),
        ("410 cursor_gone", |exchange| json(exchange, "410 Gone", "{}")),
        ("502 upstream_unsorted", |exchange| json(exchange, "200 OK", "{\"id\":31}")),
        ("410 cursor_gone", |exchange| json(exchange, "200 OK", "{\"id\":32,\"score\":310}")),
    ];
    let rows = Rows::count(40);
    let served = rows.clone();
    let upstream = Upstream::start(move |exchange| served.answer(exchange));
    let settings = configuration(upstream.address, BY_OFFSET, &format!("{BY_SCORE}\nmode = \"seek\""));
    let target = Gateway::start(&settings).get("/users?limit=10").link("next").expect("a next page");
    let gateway = Gateway::start(&settings);
    for (outcome, fault) in faults {
        let served = rows.clone();
        upstream.answer(move |exchange| match exchange.request.path() {
            "/users/31" => fault(exchange),
            _ => served.answer(exchange),
        });
        let page = gateway.get(&target);
        assert_eq!(page.outcome(), outcome, "{page:?}");
    }
    let served = rows.clone();
    upstream.answer(move |exchange| served.answer(exchange));
    let page = gateway.get(&target);
    assert_eq!(ids(&page), (21..=30).rev().collect::<Vec<_>>(), "{page:?}");
}
