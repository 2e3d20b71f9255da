//! Tests of legacy clients, which page by offset. Their requests are passed through, translated, rejected, or refused
//! with the remedy.

use crate::harness::{
    gateway::Gateway,
    list::{PLAIN, Setup, body, users},
    upstream::Upstream,
};

const PASSTHROUGH: &str = r#"old_clients = "pass"
legacy = { deprecation = 2026-01-15, sunset = 2036-12-31, documentation = "https://docs.example.com/cursors" }"#;

fn started(route: &'static str) -> (Upstream, Gateway) {
    let items = users(300);
    let upstream = Upstream::start(move |exchange| {
        let body = body(exchange, &items);
        let link =
            format!("<http://{}/users?offset=20>; rel=\"next\"", exchange.request.header("host").unwrap_or_default());
        let headers = [
            ("Content-Type", "application/legacy+json; charset=utf-8"),
            ("ETag", "\"legacy\""),
            ("X-Total-Count", "300"),
            ("Link", link.as_str()),
        ];
        exchange.reply("200 OK", &headers, format!(" {body}\n").as_bytes())
    });
    let gateway = Gateway::start(&Setup { route, ..PLAIN }.configuration(upstream.address));
    (upstream, gateway)
}

/// Headers that make frameworks read another method or another path are removed from forwarded requests.
///
/// Row: A26
#[test]
fn headers_that_override_the_method_or_the_path_do_not_pass() {
    let (upstream, gateway) = started(PASSTHROUGH);
    let headers = [
        ("X-HTTP-Method-Override", "DELETE"),
        ("X_Method_Override", "DELETE"),
        ("X-Original-URL", "/admin"),
        ("X-Rewrite-URL", "/admin"),
        ("Proxy", "http://evil.example"),
        ("X-Other", "kept"),
    ];
    assert_eq!(gateway.send("GET", "/users?offset=40&limit=3", &headers, b"").status, 200);
    let request = upstream.requests().pop().expect("it was asked");
    for (name, _) in &headers[..5] {
        assert_eq!(request.header(name), None, "{request:?}");
    }
    assert_eq!(request.header("x-other"), Some("kept"));
}

#[test]
fn passthrough_gives_the_old_answer_byte_for_byte() {
    let (upstream, gateway) = started(PASSTHROUGH);
    for target in ["/users?offset=40&limit=3", "/users?offset=40&a=%zz", "/users?OFFSET=7", "/users?offset=x", "/users"]
    {
        let response = gateway.get(target);
        assert_eq!(response.status, 200, "{target}: {response:?}");
        let request = upstream.requests().pop().expect("it was asked");
        assert_eq!(request.target, target, "as the client wrote it");
        let direct = crate::harness::http::get(upstream.address, target);
        assert_eq!(response.body, direct.body, "{target}");
        for name in ["content-type", "etag", "x-total-count"] {
            assert_eq!(response.header(name), direct.header(name), "{name} of {target}");
        }

        assert_eq!(response.header("deprecation"), Some("@1768435200"), "{target}");
        assert_eq!(response.header("sunset"), Some("Wed, 31 Dec 2036 00:00:00 GMT"), "{target}");
        let lines = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("link")).count();
        assert_eq!(lines, 1, "ours stand in the same line: {response:?}");
        assert_eq!(response.link("next").as_deref(), Some("http://gateway.test/users?offset=20"), "the upstream's own");
        assert_eq!(response.link("deprecation").as_deref(), Some("https://docs.example.com/cursors"), "{response:?}");
        let successor = response.link("successor-version").unwrap_or_else(|| panic!("{target}: {response:?}"));
        let page = gateway.get(&successor);
        assert_eq!(page.outcome(), "200", "{successor}: {page:?}");
        assert!(page.json()["pagination"].is_object(), "{successor} leads to the new list: {page:?}");
    }

    let head = gateway.send("HEAD", "/users?offset=40", &[], b"");
    assert_eq!((head.status, head.header("deprecation")), (200, Some("@1768435200")));

    // Requests of new clients get a page, without the headers of deprecation.
    let page = gateway.get("/users?limit=5&cursor=start");
    assert!(page.json()["pagination"].is_object(), "{page:?}");
    assert!(page.header("deprecation").is_none() && page.header("sunset").is_none(), "{page:?}");
}

/// On a route with old clients, each link of the gateway has a mark. Without it, the link would lead to a legacy answer.
#[test]
fn links_of_the_gateway_never_lead_to_legacy_answers() {
    let (_upstream, gateway) = started(PASSTHROUGH);
    let page = gateway.get("/users?limit=5&a=1&cursor=start");
    let cursor = page.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned();
    // This request has no limit that links could repeat.
    let page = gateway.get(&format!("/users?a=1&cursor={cursor}"));
    assert_eq!(page.outcome(), "200", "{page:?}");
    let mut links = ["first", "prev", "next", "last"].map(|relation| (relation, page.link(relation))).to_vec();
    let refused = gateway.get("/users?a=1&cursor=~none");
    links.push(("restart", refused.json()["restart"].as_str().map(str::to_owned)));
    for (relation, link) in links {
        let link = link.unwrap_or_else(|| panic!("no {relation}: {page:?}"));
        let led = gateway.get(&link);
        assert!(led.status == 200 && led.json()["pagination"].is_object(), "{relation}: {link}: {led:?}");
    }
}

/// The service and its old clients may use every name that new clients use. Their requests pass, and only a cursor of
/// the gateway or `start` gets a page.
#[test]
fn requests_pass_whatever_names_they_have() {
    let (upstream, gateway) = started("old_clients = \"pass\"\nenvelopes = [\"relay\", \"jsonapi\"]");
    let accept = |media| vec![("Accept", media)];
    for (target, headers) in [
        ("/users", vec![]),
        ("/users?limit=50", vec![]),
        ("/users?limit=0", vec![]),
        ("/users?limit=abc&limit=7", vec![]),
        ("/users?limit=3&offset=6", vec![]),
        ("/users?LIMIT=3", vec![]),
        ("/users?cursor=abc&limit=3", vec![]),
        ("/users?cursor=", vec![]),
        ("/users?offset=2&cursor=null", vec![]),
        ("/users?after=2026-01-01&before=2026-02-01", vec![]),
        ("/users?first=3&last=2", vec![]),
        ("/users?sort=name&per_page=3&page=2", vec![]),
        ("/users?page[size]=2&page[after]=x", vec![]),
        ("/users?limit=3", accept("application/vnd.api+json")),
        ("/users?limit=3", vec![("Prefer", "envelope=relay")]),
        ("/users", vec![("Prefer", "odata.maxpagesize=3")]),
    ] {
        let passed = gateway.send("GET", target, &headers, b"");
        assert_eq!(upstream.requests().pop().expect("it was asked").target, target);
        let direct = crate::harness::http::send(upstream.address, "GET", target, &headers, b"");
        assert_eq!((passed.status, &passed.body), (direct.status, &direct.body), "{target}");
        for name in ["content-type", "etag", "x-total-count", "vary", "deprecation"] {
            assert_eq!(passed.header(name), direct.header(name), "{name} of {target}");
        }
        let links = passed.header("link").map(|line| line.matches("rel=").count());
        assert_eq!(links, Some(1), "only the service's own link: {target}: {passed:?}");
    }
    let page = gateway.get("/users?limit=5&cursor=start");
    let cursor = page.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned();
    assert!(cursor.starts_with('~'), "{cursor}");
    // The cursors of earlier releases have no mark, and lead on.
    let older = gateway.get(&format!("/users?limit=5&cursor={}", &cursor[1..]));
    assert_eq!(older.json()["data"][0]["id"], 6, "{older:?}");
    let beside = gateway.get(&format!("/users?limit=5&cursor=start&cursor={cursor}"));
    assert_eq!(beside.json()["data"][0]["id"], 6, "`start` has no effect beside a cursor: {beside:?}");
    let relay = gateway.send("GET", "/users?first=2&after=start", &[("Prefer", "envelope=relay")], b"");
    assert_eq!(relay.json()["edges"][1]["node"]["id"], 2, "{relay:?}");
    let last = gateway.send("GET", "/users?last=2&before=end", &[("Prefer", "envelope=relay")], b"");
    assert_eq!(last.json()["edges"][1]["node"]["id"], 300, "{last:?}");
    let before = upstream.count();
    for (query, outcome) in [
        (format!("cursor={}", &cursor[..20]), "400 cursor_invalid"),
        ("cursor=~".to_owned(), "400 cursor_invalid"),
        (format!("team=a&cursor={}", &cursor[1..]), "400 cursor_mismatch"),
        ("cursor=start&offset=20".to_owned(), "400 parameter_conflict"),
        (format!("cursor={cursor}&offset=20"), "400 parameter_conflict"),
    ] {
        assert_eq!(gateway.get(&format!("/users?{query}")).outcome(), outcome, "{query}");
    }
    assert_eq!(upstream.count(), before, "a damaged cursor never reaches the service");
}

/// Simple clients read every `Link` as a further page, so the gateway adds one only to announce the change.
#[test]
fn an_old_answer_without_an_announcement_has_no_link() {
    for (more, relations) in
        [("", None), ("sunset = 2036-12-31", Some(1)), ("documentation = \"https://docs.example.com\"", Some(2))]
    {
        let upstream = Upstream::start(crate::harness::list::serve(users(9)));
        let configuration = Setup { ..PLAIN }.configuration(upstream.address);
        let configuration =
            configuration.replace("page_size", &format!("old_clients = \"pass\"\nlegacy = {{ {more} }}\npage_size"));
        let gateway = Gateway::start(&configuration);
        let passed = gateway.get("/users?offset=3");
        let found = passed.header("link").map(|line| line.matches("rel=").count());
        assert_eq!((passed.status, found), (200, relations), "{more}: {passed:?}");
    }
}

/// A name marks a request only where the route says so: here a client's own limit, under a name that the service doesn't
/// know.
#[test]
fn names_mark_requests_if_so_configured() {
    let (_upstream, gateway) =
        started("old_clients = \"pass\"\nparameters = { limit = \"count\" }\nnew_clients = { by = [\"count\"] }");
    let page = gateway.get("/users?a=1&count=5");
    assert!(page.json()["pagination"].is_object(), "{page:?}");
    for old in ["/users?offset=3", "/users?a=1", "/users?limit=3"] {
        let old = gateway.get(old);
        assert!(old.json()["items"].is_array(), "{old:?}");
    }
}

#[test]
fn without_old_clients_every_request_is_a_page_and_marks_stay_valid() {
    let (_upstream, gateway) = started("old_clients = \"none\"");
    for query in ["?a=1", "?limit=5", "?limit=5&cursor=start", ""] {
        let page = gateway.get(&format!("/users{query}"));
        assert!(page.json()["pagination"].is_object(), "{query}: {page:?}");
    }
    assert_eq!(gateway.get("/users?offset=3").outcome(), "400 parameter_invalid");
}

#[test]
fn translate_serves_the_page_with_cursors_that_lead_on() {
    let (_upstream, gateway) = started(
        r#"old_clients = "translate"
legacy = { deprecation = 2026-01-15 }"#,
    );
    let page = gateway.get("/users?offset=40&limit=10&a=1");
    assert_eq!(page.outcome(), "200", "{page:?}");
    let ids = |page: &crate::harness::http::Response| {
        page.json()["data"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&page), (41..=50).collect::<Vec<_>>());
    assert_eq!(page.header("deprecation"), Some("@1768435200"));
    let next = page.link("next").expect("a next page");
    assert!(next.contains("cursor=") && next.contains("a=1") && !next.contains("offset"), "{next}");
    assert_eq!(ids(&gateway.get(&next)), (51..=60).collect::<Vec<_>>());
    let prev = page.link("prev").expect("a page before");
    assert_eq!(ids(&gateway.get(&prev)), (31..=40).collect::<Vec<_>>());

    let far = gateway.get("/users?offset=4000&limit=10");
    assert_eq!(far.outcome(), "200", "{far:?}");
    assert!(ids(&far).is_empty() && far.link("next").is_none(), "{far:?}");
    assert_eq!(ids(&gateway.get(&far.link("prev").expect("the last page"))), (291..=300).collect::<Vec<_>>());

    for target in ["/users?offset=abc", "/users?offset=-1", "/users?offset=99999999999999999999999"] {
        let response = gateway.get(target);
        assert!((400..500).contains(&response.status), "{target}: {response:?}");
        assert_eq!(response.code(), "page_invalid", "{target}: {response:?}");
    }
}

#[test]
fn reject_has_the_link_to_start_over() {
    let (upstream, gateway) = started(
        r#"old_clients = "reject"
legacy = { sunset = 2026-06-30 }"#,
    );
    let response = gateway.get("/users?offset=40&a=1");
    assert_eq!(response.outcome(), "410 legacy_rejected", "{response:?}");
    assert_eq!(upstream.count(), 0);
    let restart = response.json()["restart"].as_str().expect("a way to start over").to_owned();
    assert!(restart.contains("a=1") && !restart.contains("offset"), "{restart}");
    assert_eq!(gateway.get(&restart).outcome(), "200");
    assert_eq!(response.header("sunset"), Some("Tue, 30 Jun 2026 00:00:00 GMT"), "{response:?}");
}

#[test]
fn without_a_policy_the_refusal_names_the_parameter() {
    let (upstream, gateway) = started("");
    let response = gateway.get("/users?offset=40");
    assert_eq!(response.outcome(), "400 parameter_invalid", "{response:?}");
    assert_eq!(response.json()["parameter"], "offset");
    assert!(response.json()["restart"].is_string());
    assert_eq!(upstream.count(), 0);
}
