//! Tests of new clients beside old ones: the second path of a list, further marks, and requests of new clients where no
//! pages are served.

use std::io;

use serde_json::{Value, json};

use crate::harness::{
    Directory, eventually,
    gateway::Gateway,
    http::Response,
    upstream::{After, Exchange, Upstream},
};

/// The number of rows of each team.
const ROWS: usize = 25;

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// A service with a list by page and limit for each team, at /teams/{team}/items.
fn service(exchange: &mut Exchange) -> io::Result<After> {
    let path = exchange.request.path().to_owned();
    let team = path.strip_prefix("/teams/").and_then(|rest| rest.strip_suffix("/items"));
    let Some(team) = team.and_then(|team| team.parse::<usize>().ok()) else {
        return exchange.reply("404 Not Found", &JSON, b"{\"error\":\"not found\"}");
    };
    let body = exchange.body()?;
    if exchange.request.method == "POST" {
        return exchange.reply("201 Created", &JSON, &body);
    }
    let number = |name: &str| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok());
    let size = number("limit").unwrap_or(10).min(50);
    let from = (number("page").unwrap_or(1).max(1) - 1) * size;
    let data: Vec<Value> = (1..=ROWS).map(|id| json!({ "id": team * 100 + id })).skip(from).take(size).collect();
    exchange.reply("200 OK", &JSON, json!({ "data": data, "total": ROWS }).to_string().as_bytes())
}

fn configuration(upstream: &Upstream, more: &str) -> String {
    format!(
        "[upstreams.service]\npeers = [\"{}\"]\n[routes.items]\npath = \"/teams/{{team}}/items\"\nupstream = \"service\"\n\
         dialect = \"own\"\norder = [\"id\"]\nfields = {{ id = {{ type = \"number\" }} }}\n\
         page_size = {{ default = 5, max = 40 }}\n{more}\n[dialects.own]\n\
         request = {{ query = \"page={{page}}&limit={{size}}\" }}\nresponse = {{ items = \"/data\", total = \"/total\" }}\n\
         size = {{ max = 50 }}\n",
        upstream.address
    )
}

const SECOND: &str =
    "new_clients = { path = \"/v2/teams/{team}/items\" }\ncors = { origins = [\"https://app.example.com\"] }";

fn ids(page: &Response) -> Vec<u64> {
    let page = page.json();
    let data = page["data"].as_array().unwrap_or_else(|| panic!("{page}"));
    data.iter().filter_map(|row| row["id"].as_u64()).collect()
}

fn expected(team: u64) -> Vec<u64> {
    (1..=ROWS as u64).map(|id| team * 100 + id).collect()
}

/// Reads a list to its end as a client does that knows only the address of the list and the parameter of its cursor.
fn walk(gateway: &Gateway, base: &str, team: u64) -> Vec<u64> {
    let first = format!("{base}/teams/{team}/items?limit=7");
    let (mut target, mut seen) = (first.clone(), Vec::new());
    for _ in 0..ROWS {
        let page = gateway.get(&target);
        assert_eq!(page.status, 200, "{target}: {page:?}");
        seen.extend(ids(&page));
        let Some(cursor) = page.json()["pagination"]["nextCursor"].as_str().map(str::to_owned) else { return seen };
        target = format!("{first}&cursor={cursor}");
    }
    panic!("the walk doesn't end: {seen:?}");
}

#[test]
fn every_request_on_the_second_path_is_new() {
    let upstream = Upstream::start(service);
    let gateway = Gateway::start(&configuration(&upstream, &format!("old_clients = \"pass\"\n{SECOND}")));
    // A client that can change only its base URL reads all rows, and the service sees the list's own path.
    for team in [3, 4] {
        assert_eq!(walk(&gateway, "/v2", team), expected(team));
    }
    assert!(upstream.requests().iter().all(|request| request.path().starts_with("/teams/")));
    // Old clients get the service's own answers, as before.
    for old in ["/teams/3/items", "/teams/3/items?limit=7", "/teams/3/items?page=2&limit=7"] {
        let direct = crate::harness::http::send(upstream.address, "GET", old, &[], b"");
        assert_eq!(gateway.get(old).text(), direct.text(), "{old}");
    }
    // The parameters of the service have no meaning on the second path.
    let refused = gateway.get("/v2/teams/3/items?page=2");
    assert_eq!((refused.status, &refused.json()["code"]), (400, &json!("parameter_invalid")), "{refused:?}");
    assert_eq!(refused.json()["restart"].as_str(), Some("/v2/teams/3/items"), "{refused:?}");
    assert_eq!(gateway.get("/v2/teams/3/items?cursor=start").status, 200, "marks are valid on every path");
}

#[test]
fn both_paths_have_the_same_cursors() {
    let upstream = Upstream::start(service);
    let gateway = Gateway::start(&configuration(&upstream, &format!("old_clients = \"pass\"\n{SECOND}")));
    let cursor_of = |page: &Response| page.json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let first = cursor_of(&gateway.get("/teams/3/items?cursor=start&limit=7"));
    let second = cursor_of(&gateway.get("/v2/teams/3/items?limit=7"));
    for (path, cursor) in [("/v2/teams/3/items", &first), ("/teams/3/items", &second), ("/v2/teams/3/items/", &first)] {
        let page = gateway.get(&format!("{path}?limit=7&cursor={cursor}"));
        assert_eq!((page.status, ids(&page)), (200, expected(3)[7..14].to_vec()), "{path}: {page:?}");
        // Links lead on at the path that was asked for.
        let asked = format!("{path}?");
        let body = page.json();
        let links = ["next", "prev", "first"].map(|link| body["links"][link].as_str().unwrap_or_default().to_owned());
        let (links, header) = (links.to_vec(), page.header("link").unwrap_or_default().to_owned());
        let begins = |link: &str| link.starts_with(&asked) || link == path;
        let given: Vec<&String> = links.iter().filter(|link| !link.is_empty()).collect();
        assert!(given.iter().all(|link| begins(link)), "{path}: {links:?}");
        let targets: Vec<&str> = header.split('<').skip(1).filter_map(|part| part.split('>').next()).collect();
        assert!(!targets.is_empty() && targets.iter().all(|link| begins(link)), "{path}: {header}");
        let next = targets.iter().find(|link| link.contains(&cursor_of(&page))).expect("a link to the next page");
        assert_eq!(ids(&gateway.get(next)), expected(3)[14..21].to_vec(), "{next}");
    }
    // The cursors of another team stay refused.
    assert_eq!(gateway.get(&format!("/v2/teams/4/items?cursor={first}")).status, 400);
}

#[test]
fn other_methods_on_the_second_path_reach_the_list_of_the_service() {
    let upstream = Upstream::start(service);
    let gateway = Gateway::start(&configuration(&upstream, &format!("old_clients = \"pass\"\n{SECOND}")));
    let made = gateway.send("POST", "/v2/teams/3/items", &JSON, b"{\"name\":\"x\"}");
    assert_eq!((made.status, made.text()), (201, "{\"name\":\"x\"}"), "{made:?}");
    assert_eq!(upstream.requests().pop().expect("it was forwarded").target, "/teams/3/items");
    let preflight = [("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "GET")];
    let answers = ["/teams/3/items", "/v2/teams/3/items"]
        .map(|path| gateway.send("OPTIONS", path, &preflight, b""))
        .map(|answer| (answer.status, answer.header("access-control-allow-origin").map(str::to_owned)));
    assert_eq!(answers[0], (204, Some("https://app.example.com".to_owned())));
    assert_eq!(answers[0], answers[1]);
}

/// A write at either path is seen at both.
#[test]
fn a_write_purges_the_pages_of_both_paths() {
    let upstream = Upstream::start(service);
    let cached = format!("old_clients = \"pass\"\npage_cache = {{ ttl = \"1h\" }}\n{SECOND}");
    let gateway = Gateway::start(&configuration(&upstream, &cached));
    let pages = ["/teams/3/items?cursor=start&limit=7", "/v2/teams/3/items?limit=7"];
    let asked = || upstream.requests().iter().filter(|request| request.method == "GET").count();
    for write in ["/teams/3/items", "/v2/teams/3/items"] {
        pages.iter().for_each(|page| assert_eq!(gateway.get(page).status, 200));
        let before = asked();
        pages.iter().for_each(|page| assert_eq!(gateway.get(page).status, 200));
        assert_eq!(asked(), before, "the pages are stored");
        assert_eq!(gateway.send("POST", write, &JSON, b"{}").status, 201);
        for page in pages {
            let before = asked();
            assert_eq!(gateway.get(page).status, 200);
            assert!(asked() > before, "{page} after a write at {write}");
        }
    }
}

#[test]
fn the_second_path_is_described() {
    let upstream = Upstream::start(service);
    let gateway = Gateway::start(&configuration(&upstream, &format!("old_clients = \"pass\"\n{SECOND}")));
    let document = crate::harness::http::get(gateway.admin, "/openapi.json").json();
    let cursor = |path: &str| {
        let operation = &document["paths"][path]["get"];
        let parameters = operation["parameters"].as_array().unwrap_or_else(|| panic!("{path}: {document}"));
        let cursor = parameters.iter().find(|parameter| parameter["name"] == "cursor").expect("a cursor");
        (cursor["required"] == true, operation["operationId"].as_str().map(str::to_owned))
    };
    let (first, second) = (cursor("/teams/{team}/items"), cursor("/v2/teams/{team}/items"));
    assert_eq!((first.0, second.0), (true, false));
    assert_ne!(first.1, second.1, "each operation has a name of its own");
    let routes = crate::harness::http::get(gateway.admin, "/routes").json();
    assert_eq!(routes["routes"][0]["new_clients"]["path"], "/v2/teams/{team}/items", "{routes}");
}

/// Exports and live pages have the second path too, with the same items.
#[test]
fn exports_and_live_pages_are_at_the_second_path_too() {
    let upstream = Upstream::start(service);
    let results = Directory::new();
    let services = format!(
        "[services.exports]\ndirectory = {:?}\n[services.live]\nroutes = [\"items\"]\n",
        results.file("exports")
    );
    let text = configuration(&upstream, &format!("old_clients = \"pass\"\n{SECOND}"));
    let gateway = Gateway::start(&format!("{text}{services}"));
    let client = [("Authorization", "Bearer one"), ("Content-Type", "application/json")];
    for base in ["", "/v2"] {
        let list = format!("{base}/teams/3/items");
        let begun = gateway.send("POST", &format!("{list}/exports"), &client, b"{}");
        assert_eq!(begun.status, 202, "{begun:?}");
        let job = begun.header("location").expect("a location").to_owned();
        assert!(job.starts_with(&format!("{list}/exports/")), "{job}");
        let ended = eventually("the end of the export", || {
            let status = gateway.send("GET", &job, &client, b"").json();
            Some(status).filter(|status| status["finishedAt"].is_string())
        });
        assert_eq!((&ended["state"], &ended["items"]), (&json!("completed"), &json!(ROWS)), "{ended}");
        let result = gateway.send("GET", &format!("{job}/result"), &client, b"");
        let read = result.text().lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["id"].as_u64());
        assert_eq!(read.collect::<Option<Vec<u64>>>(), Some(expected(3)), "{list}");
        // A live page begins with the page itself.
        let mut connection = gateway.connect();
        let asked =
            format!("GET {list}/live?limit=7 HTTP/1.1\r\nHost: gateway.test\r\nAccept: text/event-stream\r\n\r\n");
        connection.send(asked.as_bytes()).expect("the gateway listens");
        let (status, _) = connection.head().expect("a head");
        assert_eq!(status, 200, "{list}/live");
        let mut events = String::new();
        while !events.contains("\n\n") || !events.contains("paginatedData") {
            events.push_str(&String::from_utf8_lossy(&connection.chunk().expect("an event")));
        }
        let data = events.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{events}"));
        let page: Value = serde_json::from_str(data).expect("JSON");
        let page = if page["data"].is_array() { page } else { page["page"].clone() };
        assert_eq!(page["data"].as_array().map(Vec::len), Some(7), "{events}");
    }
}

/// Where the usual word can be an id, another one begins a list.
#[test]
fn the_first_cursor_can_be_another_word() {
    let upstream = Upstream::start(service);
    let gateway =
        Gateway::start(&configuration(&upstream, "old_clients = \"pass\"\nnew_clients = { start = \"begin\" }"));
    let page = gateway.get("/teams/3/items?limit=7&cursor=begin");
    assert_eq!((page.status, ids(&page)), (200, expected(3)[..7].to_vec()), "{page:?}");
    assert_eq!(page.json()["links"]["first"], "/teams/3/items?limit=7&cursor=begin");
    let refused = gateway.get("/teams/3/items?limit=7&cursor=~abc");
    assert_eq!(refused.json()["restart"], "/teams/3/items?limit=7&cursor=begin", "{refused:?}");
    // The usual word marks nothing here.
    let old = "/teams/3/items?limit=7&cursor=start";
    let direct = crate::harness::http::send(upstream.address, "GET", old, &[], b"");
    assert_eq!(gateway.get(old).text(), direct.text());
    let document = crate::harness::http::get(gateway.admin, "/openapi.json").json();
    let parameters = document["paths"]["/teams/{team}/items"]["get"]["parameters"].as_array().cloned();
    let cursor = parameters.into_iter().flatten().find(|parameter| parameter["name"] == "cursor");
    assert_eq!(cursor.expect("a cursor")["schema"]["default"], "begin", "{document}");
}

const PREFERS: [(&str, &str); 1] = [("Prefer", "envelope=standard")];

#[test]
fn a_preference_marks_a_request_where_the_route_says_so() {
    let upstream = Upstream::start(service);
    let direct = |target: &str| crate::harness::http::send(upstream.address, "GET", target, &[], b"");
    let by = "old_clients = \"pass\"\nnew_clients = { by = [\"prefer\"] }\npage_cache = { ttl = \"1h\" }";
    let gateway = Gateway::start(&configuration(&upstream, by));
    let target = "/teams/3/items?limit=7";
    let varies = |answer: &Response| answer.header("vary").is_some_and(|vary| vary.to_lowercase().contains("prefer"));
    for _ in 0..2 {
        let page = gateway.send("GET", target, &PREFERS, b"");
        assert_eq!((page.status, ids(&page)), (200, expected(3)[..7].to_vec()), "{page:?}");
        assert!(varies(&page) && page.header("preference-applied") == Some("envelope=standard"), "{page:?}");
        // The links have a mark of their own, so they lead to pages without the preference too.
        let page = page.json();
        let first = page["links"]["first"].as_str().unwrap_or_else(|| panic!("{page}"));
        assert_eq!(first, "/teams/3/items?limit=7&cursor=start");
        let next = gateway.get(page["links"]["next"].as_str().expect("a link"));
        assert_eq!(ids(&next), expected(3)[7..14].to_vec());
        // Everything else is an old client's, also after the page was stored.
        let others = ["envelope=nothing", "return=minimal", "envelope", "odata.maxpagesize=7"];
        for headers in std::iter::once(vec![]).chain(others.map(|other| vec![("Prefer", other)])) {
            let old = gateway.send("GET", target, &headers, b"");
            assert_eq!((old.status, old.text()), (200, direct(target).text()), "{headers:?}");
            assert!(varies(&old), "{headers:?}: {old:?}");
        }
    }
    let refused = gateway.send("GET", "/teams/3/items?page=2&limit=7", &PREFERS, b"");
    assert_eq!((refused.status, &refused.json()["parameter"]), (400, &json!("page")), "{refused:?}");
    let without = Gateway::start(&configuration(&upstream, "old_clients = \"pass\""));
    let old = without.send("GET", target, &PREFERS, b"");
    assert_eq!((old.text(), varies(&old)), (direct(target).text(), false), "{old:?}");
}

/// A route that is set back in an emergency still has the keys of its list.
#[test]
fn a_route_set_back_to_forwarding_refuses_marked_requests() {
    let upstream = Upstream::start(service);
    let new = "action = \"forward\"\nold_clients = \"pass\"\n\
               new_clients = { path = \"/v2/teams/{team}/items\", by = [\"prefer\"] }";
    let gateway = Gateway::start(&configuration(&upstream, new));
    let marked = ["/teams/3/items?cursor=start", "/teams/3/items?limit=3&cursor=~abc", "/v2/teams/3/items"];
    for target in marked {
        let refused = gateway.get(target);
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("60")), "{target}: {refused:?}");
        assert_eq!(refused.json()["code"], "not_paged");
    }
    assert_eq!(gateway.send("GET", "/teams/3/items", &PREFERS, b"").status, 503);
    assert_eq!(upstream.count(), 0);
    for old in ["/teams/3/items", "/teams/3/items?page=2&limit=7", "/teams/3/items?cursor=abc"] {
        assert_eq!(gateway.get(old).text(), crate::harness::http::send(upstream.address, "GET", old, &[], b"").text());
    }
    assert_eq!(gateway.send("POST", "/teams/3/items?cursor=start", &JSON, b"{}").status, 201, "only reading has pages");
    // A route without a list looks at no parameter.
    let plain = Gateway::start(&format!(
        "[upstreams.service]\npeers = [\"{}\"]\n[routes.items]\npath = \"/teams/{{team}}/items\"\nupstream = \"service\"\n\
         action = \"forward\"\n",
        upstream.address
    ));
    assert_eq!(plain.get("/teams/3/items?cursor=start").status, 200);
}

/// On a route that also takes POST, a GET request with a body is an old client's too, and its members are filters in
/// one for a page.
#[test]
fn a_get_request_with_a_body_passes_beside_post() {
    let upstream = Upstream::start(service);
    let route = "old_clients = \"pass\"\nmethods = [\"GET\", \"HEAD\", \"POST\"]";
    let gateway = Gateway::start(&configuration(&upstream, route));
    let direct = crate::harness::http::send(upstream.address, "GET", "/teams/3/items?limit=7", &JSON, b"{\"a\":1}");
    let mut connection = gateway.connect();
    for body in [&b"{\"a\":1}"[..], b"no JSON"] {
        let old = connection.request("GET", "/teams/3/items?limit=7", &JSON, body).expect("an answer");
        assert_eq!((old.status, old.text()), (200, direct.text()), "{old:?}");
    }
    let page = gateway.send("GET", "/teams/3/items?limit=7&cursor=start", &JSON, b"{\"a\":1}");
    assert_eq!((page.status, ids(&page)), (200, expected(3)[..7].to_vec()), "{page:?}");
    let cursor = page.json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let next = format!("/teams/3/items?limit=7&cursor={cursor}");
    assert_eq!(ids(&gateway.send("GET", &next, &JSON, b"{\"a\":1}")), expected(3)[7..14].to_vec());
    assert_eq!(gateway.send("GET", &next, &JSON, b"{\"a\":2}").status, 400, "a cursor of another list");
}
