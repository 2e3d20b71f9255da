//! Tests of the playground at the admin listener: it sends requests for lists only for users with the token, and its
//! page works in a headless browser. The screenshots are in target/operators-playground.

use serde_json::{Value, json};

use crate::{
    browser::{is_sound, look},
    harness::{
        eventually,
        gateway::Gateway,
        http::{self, Response},
        list::{PLAIN, Setup, serve, users},
        upstream::Upstream,
    },
};

const TOKEN: &str = "a-token-of-the-tests";

/// A second list, with a rate limit, and a route that is not a list.
const MORE: &str = "[routes.members]\npath = \"/teams/{team}/members\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\n\
                    dialect = \"scripted\"\norder = [\"id\"]\nhosts = [\"api.test\"]\nenvelope = \"relay\"\n\
                    rate_limit = { requests = 2, per = \"1h\" }\n\
                    [routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";

/// Starts a gateway with a token for the admin listener, and with additional `tables`.
fn start(tables: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(57)));
    let route = "old_clients = \"pass\"\n";
    let setup = Setup { route, more: MORE, ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    let text = gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\""));
    gateway.rewrite_raw(&(text + tables));
    gateway.signal("HUP");
    eventually("the token is in force", || {
        (http::get(gateway.admin, "/status").json()["can_reload"] == true).then_some(())
    });
    (upstream, gateway)
}

/// Orders a request from the playground, as the page does, with the token.
fn play(gateway: &Gateway, order: &Value) -> Response {
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    http::send(gateway.admin, "POST", "/playground/request", &headers, order.to_string().as_bytes())
}

#[test]
fn a_playground_request_is_sent_as_by_a_client_and_explained() {
    let (upstream, gateway) = start("\n[services.playground]\n");
    let headers = json!({ "Authorization": "Bearer canary" });
    let answer =
        play(&gateway, &json!({ "path": "/users?cursor=start&limit=5", "host": "gateway.test", "headers": headers }))
            .json();
    let alone = gateway.send("GET", "/users?cursor=start&limit=5", &[("Authorization", "Bearer canary")], b"");
    assert_eq!(
        (&answer["status"], &answer["body"], &answer["cut"]),
        (&200.into(), &alone.text().into(), &false.into())
    );
    let asked = upstream.requests();
    assert_eq!(asked[0].header("authorization"), Some("Bearer canary"));
    assert!(!asked.iter().any(|request| request.header("cursorgate-explain").is_some()), "a permit stays here");
    let treatment = &answer["explanation"]["treatment"];
    assert_eq!(treatment["live"]["page"]["checker"], "follows", "{answer}");
    assert_eq!(treatment["live"]["requests"][0]["answer"]["total"], 57, "{answer}");
    let body: Value = serde_json::from_str(answer["body"].as_str().expect("a text")).expect("JSON");
    let next = body["links"]["next"].as_str().expect("a link");
    let second = play(&gateway, &json!({ "path": next, "host": "gateway.test", "headers": headers })).json();
    assert_eq!(second["status"], 200, "the page of the cursor: {second}");
    let passed = play(&gateway, &json!({ "path": "/users?offset=20&limit=5" })).json();
    assert_eq!(passed["explanation"]["treatment"]["action"], "forward", "{passed}");
    let refused = play(&gateway, &json!({ "path": "/users?cursor=~nonsense" })).json();
    let why = refused["explanation"]["treatment"]["live"]["refused"].as_str().unwrap_or_default();
    assert!(refused["status"] == 400 && why.contains("cursor_invalid"), "{refused}");
    let logged = eventually("a line for each request", || {
        let log = gateway.access_log();
        (log.len() >= 5).then_some(log)
    });
    assert!(logged.iter().all(|line| line["route"] == "users"), "{logged:?}");
    let log = gateway.log().join("\n");
    assert!(!log.contains("canary") && !log.contains(TOKEN), "{log}");
    assert_eq!(http::get(gateway.admin, "/explanations").status, 404, "nothing is kept: there is no explain_key");
}

#[test]
fn requests_need_the_token_and_are_for_lists_within_their_limits() {
    let (upstream, gateway) = start("\n[services.playground]\nanswer_size = \"1KiB\"\n");
    let users = json!({ "path": "/users" });
    for (headers, status) in [
        (&[("Content-Type", "application/json")][..], 401),
        (&[("Content-Type", "application/json"), ("Authorization", "Bearer another-token-of-theirs")], 401),
        (&[("Content-Type", "text/plain"), ("Authorization", "Bearer a-token-of-the-tests")], 415),
        (&[("Authorization", "Bearer a-token-of-the-tests"), ("Origin", "http://evil.example")], 403),
    ] {
        let text = users.to_string();
        let answer = http::send(gateway.admin, "POST", "/playground/request", headers, text.as_bytes());
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
    }
    assert_eq!(http::get(gateway.admin, "/playground/request").status, 405);
    for (order, status) in [
        (json!({ "path": "/anything" }), 404),
        (json!({ "path": "/teams/1/members" }), 404),
        (json!({ "path": "users" }), 400),
        (json!({ "path": "/a/../users" }), 400),
        (json!({ "path": "/users", "headers": { "Cursorgate-Form": "connection" } }), 400),
        (json!({ "path": "/users", "method": "DELETE" }), 400),
        (json!({ "path": format!("/users?a={}", "x".repeat(40_000)) }), 400),
    ] {
        let answer = play(&gateway, &order);
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(upstream.requests().len(), 0, "nothing went upstream");
    let long = play(&gateway, &json!({ "path": "/users?cursor=start&limit=50" })).json();
    assert_eq!((&long["cut"], long["body"].as_str().map(str::len)), (&true.into(), Some(1_024)), "{long}");
    let members = json!({ "path": "/teams/1/members", "host": "api.test" });
    let statuses: Vec<Value> = (0..3).map(|_| play(&gateway, &members).json()["status"].clone()).collect();
    assert_eq!(statuses, [200, 200, 429], "the limit of the route");
}

#[test]
fn without_its_table_there_is_no_playground() {
    let (_upstream, gateway) = start("");
    for path in ["/playground/", "/playground/playground.js", "/playground/lists", "/playground/request"] {
        assert_eq!(http::get(gateway.admin, path).status, 404, "{path}");
    }
    assert_eq!(play(&gateway, &json!({ "path": "/users" })).status, 404);
    assert_eq!(http::get(gateway.admin, "/status").json()["playground"], false);
    gateway.rewrite_raw(&(gateway.configuration() + "\n[services.playground]\n"));
    gateway.signal("HUP");
    let page = eventually("a reload turns it on", || {
        Some(http::get(gateway.admin, "/playground/")).filter(|page| page.status == 200)
    });
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

/// The playground reads a list by page and by cursor, explains each answer, and can be used by keyboard.
///
/// Row: A47
#[test]
fn an_operator_reads_a_list_by_page_and_by_cursor() {
    let doubted = Upstream::start(|exchange| {
        let number = |name| exchange.request.parameter(name).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        let (from, size) = (number("offset"), number("limit"));
        let rows: Vec<Value> = (from..(from + size).min(57)).map(|id| json!({ "id": id })).collect();
        let body = json!({ "rows": rows, "total": 60 }).to_string();
        exchange.reply("200 OK", &[("Content-Type", "application/json")], body.as_bytes())
    });
    let (_upstream, gateway) = start(&format!(
        "\n[services.playground]\n[upstreams.doubted]\npeers = [\"{}\"]\n[routes.doubted]\npath = \"/doubted\"\n\
         upstream = \"doubted\"\ndialect = \"doubted\"\norder = [\"id\"]\n[dialects.doubted]\n\
         request = {{ query = \"offset={{offset}}&limit={{size}}\" }}\nresponse = {{ items = \"/rows\", total = \"/total\" }}\n",
        doubted.address
    ));
    let origin = format!("http://{}", gateway.admin);
    let saw = look("operators_playground.mjs", &[&format!("{origin}/playground/"), TOKEN], "operators-playground");
    is_sound(&saw, &origin, &["desktop-light", "desktop-dark", "phone-light", "phone-dark", "narrow"]);
    assert_ne!(saw["looks"]["desktop-light"], saw["looks"]["desktop-dark"], "light and dark differ");
    assert_eq!(
        saw["options"],
        json!(["users (/users)", "members (api.test/teams/{team}/members)", "doubted (/doubted)"]),
        "lists alone"
    );
    let by_page = saw["requests"]["page"].to_string();
    assert!(by_page.contains("GET /users?offset=50&limit=25"), "{by_page}");
    assert!(saw["requests"]["cursor"].to_string().contains("cursor="), "{saw}");
    for (side, words) in [
        ("cursor", &["exact: one answer", "GET /users?offset=0", "follows from these answers", "hasMore"][..]),
        ("page", &["GET /users?offset=…&limit=…", "passed to legacy", "… 25 items …"]),
    ] {
        let details = saw["details"][side].as_str().expect("a text");
        assert!(words.iter().all(|word| details.contains(word)), "{words:?}: {details}");
    }
    assert!(!saw["focused"].to_string().contains("BODY"), "the focus stays: {}", saw["focused"]);
    assert_eq!(saw["unseen"], Value::Null, "each control shows that it has the focus");
    let tabs = saw["tabs"].to_string();
    for name in ["list", "limit", "authorization", "token", "read", "next", "Items by cursor", "Envelope"] {
        assert!(tabs.contains(&format!("\"{name}\"")), "{name} is reached by Tab: {tabs}");
    }
    let end = "The end: 57 items shown, 0 repeated";
    assert_eq!(saw["ends"], json!({ "page": end, "cursor": end }));
    assert_eq!(saw["shown"]["page"], saw["shown"]["cursor"], "both to the end");
    let doubted = |part: &str| saw["doubted"][part].as_str().unwrap_or_default().to_owned();
    assert!(doubted("verdict").contains("more items follow: 57 items shown"), "{saw}");
    assert!(doubted("look").contains("bad") && !doubted("look").contains("good"), "{saw}");
    assert!(doubted("details").contains("The end is not proven: the list ends after 57 items"), "{saw}");
    assert!(saw["members"]["page"].as_str().is_some_and(|said| said.starts_with("Refused with 400")), "{saw}");
    assert_eq!(
        (&saw["members"]["cursor"], &saw["members"]["path"]),
        (&end.into(), &json!(["GET /teams/a%20b/members?first=100"]))
    );
    assert!(saw["limited"].as_str().is_some_and(|said| said.starts_with("Refused with 429 rate_limited")), "{saw}");
    assert_eq!((&saw["wrong"], &saw["kept"]), (&"The token is not that of admin.token.".into(), &json!([0, 0, 0])));
}
