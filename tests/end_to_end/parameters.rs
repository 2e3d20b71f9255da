//! Tests of the queries of clients, and of the problems that invalid queries get.

use crate::harness::{
    Numbers,
    gateway::Gateway,
    list::{PLAIN, Setup, serve, users},
    scaled,
    upstream::Upstream,
};

const ROUTE: Setup = Setup { upstream: "", route: "sortable = [\"id\"]", more: "" };

fn started() -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(300)));
    let gateway = Gateway::start(&ROUTE.configuration(upstream.address));
    (upstream, gateway)
}

/// Queries, each with its outcome and the number of items of a successful answer.
const QUERIES: &[(&str, &str, usize)] = &[
    ("", "200", 20),
    ("limit=1", "200", 1),
    ("limit=007", "200", 7),
    ("limit=200", "200", 200),
    ("limit=201", "200", 200),
    ("limit=99999999999999999999999999", "200", 200),
    ("limit=%31%30", "200", 10),
    ("l%69mit=3", "200", 3),
    ("l%69mit=3&limit=3", "200", 3),
    ("limit=5&limit=5", "200", 5),
    ("limit=5&limit=6", "400 parameter_conflict", 0),
    ("limit=5&l%69mit=6", "400 parameter_conflict", 0),
    ("limit=0", "400 limit_invalid", 0),
    ("limit=000", "400 limit_invalid", 0),
    ("limit=-1", "400 limit_invalid", 0),
    ("limit=+1", "400 limit_invalid", 0),
    ("limit=abc", "400 limit_invalid", 0),
    ("limit=", "400 limit_invalid", 0),
    ("limit", "400 limit_invalid", 0),
    ("limit=1.5", "400 limit_invalid", 0),
    ("limit=1e2", "400 limit_invalid", 0),
    ("limit=%D9%A1", "400 limit_invalid", 0),
    ("limit=1%00", "400 limit_invalid", 0),
    ("limit=1%20", "400 limit_invalid", 0),
    ("cursor=", "400 cursor_invalid", 0),
    ("cursor", "400 cursor_invalid", 0),
    ("cursor=a&cursor=b", "400 parameter_conflict", 0),
    ("cursor=a&cursor=a", "400 cursor_invalid", 0),
    ("sort=id", "200", 20),
    ("sort=nothing", "400 sort_invalid", 0),
    ("sort=id&sort=-id", "400 parameter_conflict", 0),
    // Parameters by which the dialect pages are refused in each spelling.
    ("offset=40", "400 parameter_invalid", 0),
    ("offset=40&limit=5", "400 parameter_invalid", 0),
    ("%6Fffset=40", "400 parameter_invalid", 0),
    ("OFFSET=40", "400 parameter_invalid", 0),
    ("offset[]=40", "400 parameter_invalid", 0),
    ("offset=40&cursor=a", "400 parameter_conflict", 0),
    // Other APIs page and sort by these parameters. As filters they would have no effect, and the client would not
    // notice.
    ("per_page=9999", "400 parameter_invalid", 0),
    ("page=3", "400 parameter_invalid", 0),
    ("first=2", "400 parameter_invalid", 0),
    ("skip=40&limit=5", "400 parameter_invalid", 0),
    ("ordering=-id", "400 parameter_invalid", 0),
    ("$orderby=id%20desc&limit=2", "400 parameter_invalid", 0),
    ("orderBy=id", "400 parameter_invalid", 0),
    ("sort_order=desc", "400 parameter_invalid", 0),
    ("order[id]=desc", "400 parameter_invalid", 0),
    // All other parameters are filters, which the gateway passes on.
    ("orders=3&size=5&start=7", "200", 20),
    ("q=%zz&r=%", "200", 20),
    ("q=a;b", "200", 20),
    ("q=%00", "200", 20),
    ("q=|^`{}\\é", "200", 20),
    ("q=%FF%FE", "200", 20),
    ("&&=&=a&b=&&", "200", 20),
    ("?limit=3", "200", 20),
];

/// Each query of [`QUERIES`] has its outcome and its number of items.
///
/// Row: A12
#[test]
fn each_listed_query_has_its_outcome_and_number_of_items() {
    let (_upstream, gateway) = started();
    let mut connection = gateway.connect();
    let mut wrong = Vec::new();
    for (query, outcome, count) in QUERIES {
        let target = format!("/users?{query}");
        let response = connection.request("GET", &target, &[], b"").unwrap_or_else(|fault| panic!("{target}: {fault}"));
        if response.outcome() != *outcome {
            wrong.push(format!("{target}: {} instead of {outcome}: {}", response.outcome(), response.text()));
        } else if response.status == 200 && response.json()["data"].as_array().map(Vec::len) != Some(*count) {
            wrong.push(format!("{target}: not {count} items: {}", response.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn problems_name_the_parameter_and_the_allowed_values() {
    let (_upstream, gateway) = started();
    let limit = gateway.get("/users?limit=abc").json();
    assert_eq!((limit["parameter"].as_str(), limit["status"].as_u64()), (Some("limit"), Some(400)), "{limit}");
    assert_eq!(limit["type"], "about:blank", "{limit}");
    assert!(limit["requestId"].is_string(), "{limit}");

    let offset = gateway.get("/users?a=1&offset=40").json();
    assert_eq!(offset["parameter"], "offset", "{offset}");
    let restart = offset["restart"].as_str().expect("a first page");
    assert!(restart.contains("a=1") && !restart.contains("offset"), "{restart}");

    let sort = gateway.get("/users?sort=nothing").json();
    assert_eq!(sort["parameter"], "sort", "{sort}");
    assert!(sort["detail"].as_str().is_some_and(|detail| detail.contains("id")), "names what is allowed: {sort}");
}

#[test]
fn limits_above_the_largest_are_refused_where_the_route_says_so() {
    let upstream = Upstream::start(serve(users(300)));
    let setup = PLAIN.configuration(upstream.address).replace("max = 200 }", "max = 200, over_max = \"reject\" }");
    let gateway = Gateway::start(&setup);
    assert_eq!(gateway.get("/users?limit=200").outcome(), "200");
    let refused = gateway.get("/users?limit=201");
    assert_eq!(refused.outcome(), "400 limit_too_large");
    assert_eq!(refused.json()["maxLimit"], 200, "{refused:?}");
}

/// The dialect's size parameter is refused in every spelling of its name. If legacy requests are translated, no
/// number makes a page larger than the route allows.
#[test]
fn a_legacy_size_is_refused_or_lowered() {
    const PAGES: &str = r#"
[upstreams.legacy]
peers = ["ADDRESS"]

[defaults]
old_clients = "none"
upstream = "legacy"
dialect = "pages"
order = ["id"]
page_size = { default = 20, max = 50 }

[routes.refusing]
path = "/refusing"

[routes.translating]
path = "/translating"
old_clients = "translate"

[dialects.pages]
request = { query = "page={page}&per_page={size}" }
response = { items = "/items", total = "/total" }
"#;
    let items = users(300);
    let upstream = Upstream::start(move |exchange| {
        let number = |name| exchange.request.parameter(name).map_or(1, |text| text.parse().unwrap_or(1_usize));
        let from = ((number("page") - 1) * number("per_page")).min(300);
        let to = (from + number("per_page")).min(300);
        let body = format!(r#"{{"total":300,"items":[{}]}}"#, items[from..to].join(","));
        exchange.reply("200 OK", &[], body.as_bytes())
    });
    let gateway = Gateway::start(&PAGES.replace("ADDRESS", &upstream.address.to_string()));
    for query in ["per_page=9999", "per.page=5", "PER_PAGE=5", "per%5Fpage=5", "page=2", "page[number]=2"] {
        let response = gateway.get(&format!("/refusing?{query}"));
        assert_eq!(response.outcome(), "400 parameter_invalid", "{query}: {response:?}");
    }
    for (query, first, count) in [
        ("per_page=9999", 1, 50),
        ("page=2&per_page=10", 11, 10),
        ("page=3", 41, 20),
        ("page=3&limit=10", 21, 10),
        ("page=2&per_page=200", 51, 50),
    ] {
        let response = gateway.get(&format!("/translating?{query}"));
        assert_eq!(response.outcome(), "200", "{query}: {response:?}");
        let body = response.json();
        let ids = body["data"].as_array().expect("items").iter().map(|item| item["id"].clone()).collect::<Vec<_>>();
        assert_eq!((ids[0].as_u64(), ids.len()), (Some(first), count), "{query}: {body}");
    }
    for query in ["page=0", "page=-1", "page=abc", "page=2.5", "per_page=0", "per_page=abc", "page=2&page=3"] {
        let response = gateway.get(&format!("/translating?{query}"));
        assert!(
            ["400 page_invalid", "400 parameter_conflict"].contains(&response.outcome().as_str()),
            "{query}: {response:?}"
        );
    }
}

/// The refusal of another API's parameter names the parameter to send. A route can declare another API's parameter as a
/// filter, and legacy requests that pass may have any parameter.
#[test]
fn parameters_of_other_apis_are_refused_unless_they_are_declared() {
    const DECLARING: &str = "sortable = [\"id\"]\nparameters = { filters = [\"order\"] }\n\
                             old_clients = \"pass\"";
    let upstream = Upstream::start(serve(users(300)));
    let gateway = Gateway::start(&Setup { route: DECLARING, ..PLAIN }.configuration(upstream.address));
    for (query, parameter, instead) in [
        ("cursor=start&limit=5&ordering=-id", "ordering", "`sort`"),
        ("cursor=start&limit=5&orderBy=-id", "orderBy", "`sort`"),
        ("cursor=start&limit=5&per_page=2", "per_page", "`limit` and `cursor`"),
    ] {
        let before = upstream.count();
        let problem = gateway.get(&format!("/users?{query}")).json();
        assert_eq!((problem["status"].as_u64(), problem["code"].as_str()), (Some(400), Some("parameter_invalid")));
        assert_eq!(problem["parameter"], parameter, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(instead)), "{problem}");
        assert_eq!(upstream.count(), before, "the upstream is not asked: {query}");
    }
    let page = gateway.get("/users?limit=5&order=4711&cursor=start");
    assert_eq!(page.outcome(), "200", "{page:?}");
    let next = page.link("next").expect("a next page");
    assert!(next.contains("order=4711"), "{next}");
    assert_eq!(gateway.get(&next).outcome(), "200");

    for query in ["offset=20&limit=5&ordering=-id&per_page=2", "ordering=-id&first=2", "limit=5&ordering=-id"] {
        let before = upstream.count();
        let passed = gateway.get(&format!("/users?{query}"));
        assert_eq!(passed.outcome(), "200", "{passed:?}");
        let requests = upstream.requests();
        assert_eq!(requests[before].query(), query, "old clients' requests pass as they are");
    }
}

/// Filters reach the upstream in order and byte for byte, except for bytes that are not allowed in a query or are
/// ambiguous.
#[test]
fn filters_reach_the_upstream_as_they_were_written() {
    let (upstream, gateway) = started();
    for (written, forwarded) in [
        ("z=1&a=2&z=3", "z=1&a=2&z=3"),
        ("q=caf%C3%A9&r=a+b%20c", "q=caf%C3%A9&r=a+b%20c"),
        ("q=%zz&r=%", "q=%zz&r=%"),
        ("q=a;b", "q=a%3Bb"),
        ("q=a%3bb", "q=a%3bb"),
        ("q=a|b\\{c}^`", "q=a|b\\{c}^`"),
        ("q=é", "q=%C3%A9"),
        ("flag&empty=", "flag&empty="),
        ("ids[]=1&ids[]=2", "ids[]=1&ids[]=2"),
        ("at=2024-01-01T00:00:00Z/P1D,x@y!$'()*~", "at=2024-01-01T00:00:00Z/P1D,x@y!$'()*~"),
    ] {
        let before = upstream.count();
        let response = gateway.get(&format!("/users?{written}&limit=5"));
        assert_eq!(response.outcome(), "200", "{written}: {response:?}");
        let requests = upstream.requests();
        let asked = &requests[before];
        let kept = asked
            .query()
            .split('&')
            .filter(|pair| !["offset", "limit", "sort"].contains(&pair.split('=').next().unwrap_or_default()))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(kept, forwarded, "of {written}: {}", asked.target);
        let next = response.link("next").expect("a next page");
        let page = gateway.get(&next);
        assert_eq!(page.outcome(), "200", "the link says the same filters in its own spelling: {next}: {page:?}");
    }
}

/// No random query causes a failure of the gateway.
///
/// Row: A12
#[test]
fn no_query_makes_the_gateway_fail() {
    const PIECES: &[&str] = &[
        "limit",
        "offset",
        "cursor",
        "sort",
        "page",
        "=",
        "=",
        "&",
        "&",
        ";",
        "%",
        "%00",
        "%zz",
        "%C3",
        "[]",
        "[",
        "]",
        ".",
        "+",
        "%20",
        "-1",
        "0",
        "7",
        "99999999999999999999",
        "abc",
        "é",
        "\"",
        "<",
        "\\",
        "?",
        "/",
        ",",
        "-",
        "_",
        "id",
        "*",
        "'",
        "{item}",
        "{{",
        "null",
        "\u{202e}",
    ];
    let (_upstream, gateway) = started();
    let mut connection = gateway.connect();
    let mut numbers = Numbers::new(7);
    for round in 0..scaled(10_000) {
        let query = (0..numbers.below(14)).map(|_| PIECES[numbers.below(PIECES.len())]).collect::<String>();
        let target = format!("/users?{query}");
        let response = connection
            .request("GET", &target, &[], b"")
            .unwrap_or_else(|fault| panic!("round {round}, {target}: {fault}"));
        assert!(response.status == 200 || response.status == 400, "round {round}, {target}: {response:?}");
    }
}
