//! Tests of the admin listener: the configuration and the routes in force, and the requests that may change state.

use serde_json::{Value, json};

use crate::harness::{
    eventually,
    gateway::{Gateway, Keys},
    http,
    list::{PLAIN, Setup, serve, users},
    upstream::Upstream,
};

const TOKEN: &str = "a-token-of-the-tests";

/// `/config` shows the configuration in force, with its files and without secrets, before and after a reload.
#[test]
fn the_configuration_in_force_can_be_read() {
    let upstream = Upstream::start(serve(users(30)));
    let setup = Setup { upstream: "headers = { X-Plain = \"canary-in-a-header\" }", ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    let text = gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\""));
    let before = http::get(gateway.admin, "/config").json();
    assert_eq!(before["configuration"]["admin"].get("token"), None);
    gateway.rewrite_raw(&text.replace("default = 20", "default = 7"));
    gateway.signal("HUP");
    let config = eventually("the reload is shown", || {
        let config = http::get(gateway.admin, "/config").json();
        (config["configuration"]["routes"]["users"]["page_size"]["default"] == 7).then_some(config)
    });
    assert_eq!(config["configuration"]["admin"]["token"], "file:token");
    assert_eq!(config["configuration"]["upstreams"]["legacy"]["headers"]["X-Plain"], "(redacted)");
    let files: Vec<&str> = config["files"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    let named = |name: &str| files.iter().any(|file| file.ends_with(name));
    assert!(named("cursorgate.toml") && named("token") && files.len() == 2, "{files:?}");

    let toml = http::get(gateway.admin, "/config?format=toml");
    assert_eq!(toml.header("content-type"), Some("application/toml"));
    for text in [toml.text(), &config.to_string()] {
        assert!(!text.contains("canary") && !text.contains(TOKEN), "a secret: {text}");
        assert!(!text.contains(crate::harness::gateway::KEY), "a key: {text}");
    }
    // An invalid file changes neither the configuration in force nor the answer of `/config`.
    gateway.rewrite_raw("nonsense = = 1");
    gateway.signal("HUP");
    eventually("it is refused", || (http::get(gateway.admin, "/reload").json()["in_force"] == false).then_some(()));
    assert_eq!(http::get(gateway.admin, "/config").json()["configuration"], config["configuration"]);
    let causes: Vec<Value> = http::get(gateway.admin, "/reload").json()["earlier"]
        .as_array()
        .expect("earlier results")
        .iter()
        .map(|result| result["cause"].clone())
        .collect();
    assert_eq!(causes, ["signal", "start"], "the latest first");
    gateway.rewrite_raw(toml.text());
    gateway.signal("HUP");
    eventually("what is shown as TOML loads", || {
        (http::get(gateway.admin, "/reload").json()["in_force"] == true).then_some(())
    });
}

/// A request whose `Origin` or `Sec-Fetch-Site` names another site is refused, even with a valid token.
///
/// Row: A46
#[test]
fn no_foreign_page_changes_anything() {
    let upstream = Upstream::start(serve(users(3)));
    let gateway = Gateway::start(&PLAIN.configuration(upstream.address));
    let hosts = "hosts = [\"gateway.test\"]";
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    // The harness sends the `Host` `gateway.test`, so this is the gateway's own origin.
    let own = "http://gateway.test";
    let bearer = format!("Bearer {TOKEN}");
    let ask = |more: &[(&str, &str)]| {
        let headers = [&[("Authorization", bearer.as_str())], more].concat();
        http::send(gateway.admin, "POST", "/reload", &headers, b"").status
    };
    eventually("the token is in force", || (ask(&[]) == 200).then_some(()));
    let counted = || gateway.metric("cursorgate_config_reloads_total{cause=\"admin\",result=\"in_force\"}");
    let before = counted();
    for (headers, status) in [
        (&[("Origin", "https://evil.example")][..], 403),
        (&[("Origin", "null")], 403),
        (&[("Origin", own), ("Sec-Fetch-Site", "cross-site")], 403),
        (&[("Sec-Fetch-Site", "same-site")], 403),
        // A form in a page of another site can send these two types without a preflight, so they are refused.
        (&[("Content-Type", "text/plain")], 415),
        (&[("Content-Type", "application/x-www-form-urlencoded")], 415),
        (&[("Host", "evil.example")], 421),
    ] {
        assert_eq!(ask(headers), status, "{headers:?}");
    }
    assert_eq!(counted(), before, "nothing was reloaded");
    assert_eq!(ask(&[("Origin", own), ("Sec-Fetch-Site", "same-origin"), ("Content-Type", "application/json")]), 200);
    let page = http::get(gateway.admin, "/routes");
    assert_eq!(page.header("cross-origin-resource-policy"), Some("same-origin"));
    assert_eq!(page.header("access-control-allow-origin"), None);
}

/// `/routes` describes each route, with its counts of requests.
#[test]
fn the_routes_are_listed_with_their_figures() {
    let upstream = Upstream::start(serve(users(90)));
    let more = "[routes.old]\npath = \"/old\"\nhosts = [\"gateway.test\"]\nupstream_path = \"/users\"\nupstream = \"legacy\"\ndialect = \"scripted\"\norder = [\"id\"]\naction = \"observe\"\n\
                [routes.rest]\npath = \"/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"\n";
    let setup = Setup { route: "old_clients = \"translate\"", more, ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    let mut next = Some("/users?limit=30".to_owned());
    while let Some(target) = next {
        next = gateway.get(&target).link("next");
    }
    for (target, status) in [
        ("/users?cursor=nonsense", 400),
        ("/users?offset=20&limit=20", 200),
        ("/old?offset=0&limit=5", 200),
        ("/x", 200),
    ] {
        assert_eq!(gateway.get(target).status, status, "{target}");
    }
    let routes = eventually("all are counted", || {
        let routes = http::get(gateway.admin, "/routes").json()["routes"].clone();
        let counts: Vec<&Value> = (0..3).map(|place| &routes[place]["recent"]["requests"]).collect();
        (counts == [5, 1, 1]).then(|| routes.clone())
    });
    let list = &routes[0];
    for (member, expected) in [
        ("name", json!("users")),
        ("path", json!("/users")),
        ("hosts", json!([])),
        ("upstream", json!("legacy")),
        ("action", json!("paginate")),
        ("mode", json!("offset")),
        ("level", json!("exact")),
        ("dialect", json!("scripted")),
        ("envelopes", json!(["standard"])),
        ("order", json!(["id"])),
        ("methods", json!(["GET"])),
        ("old_clients", json!("translate")),
    ] {
        assert_eq!(list[member], expected, "{member}: {list}");
    }
    let recent = &list["recent"];
    assert_eq!(recent["statuses"], json!({ "2xx": 4, "4xx": 1 }), "{recent}");
    assert_eq!((&recent["failed"], &recent["refused"]), (&json!(0), &json!(1)), "{recent}");
    assert_eq!(recent["problems"], json!({ "cursor_invalid": 1 }), "{recent}");
    assert_eq!(recent["pages"], 4, "{recent}");
    let levels: u64 = recent["levels"].as_object().expect("levels").values().filter_map(Value::as_u64).sum();
    assert_eq!(levels, 4, "{recent}");
    assert!(recent["upstream_requests_per_page"].as_f64().is_some_and(|requests| requests >= 1.0), "{recent}");
    let quantile = |name: &str| recent["latency_ms"][name].as_f64().expect("a time");
    assert!(quantile("p50") <= quantile("p90") && quantile("p90") <= quantile("p99"), "{recent}");
    assert_eq!(
        (&routes[1]["action"], &routes[2]["action"], &routes[2]["mode"]),
        (&json!("observe"), &json!("forward"), &Value::Null)
    );
    assert_eq!(routes[1]["hosts"], json!(["gateway.test"]));
    let own = http::get(gateway.admin, "/upstreams").json()["upstreams"][0]["recent"].clone();
    assert!(own["requests"].as_u64().is_some_and(|requests| requests >= 5), "{own}");
}

/// A route that observes counts requests with `offset=` and requests without paging parameters separately.
#[test]
fn a_route_that_observes_is_on_the_migration_board() {
    let upstream = Upstream::start(serve(users(90)));
    let route = "action = \"observe\"\nold_clients = \"pass\"\n[routes.users.legacy]\nclient = { header = \"X-Client\", shown = \"value\" }";
    let observing = Setup { route, ..PLAIN };
    let gateway = Gateway::start(&observing.configuration(upstream.address));
    for (target, client) in [
        ("/users?offset=0&limit=5", "shop"),
        ("/users?offset=5&limit=5", "shop"),
        ("/users", "shop"),
        ("/users", "app"),
    ] {
        assert_eq!(gateway.send("GET", target, &[("X-Client", client)], b"").status, 200, "{target}");
    }
    assert_eq!(
        gateway.send("POST", "/users?offset=3", &[("X-Client", "shop")], b"").status,
        200,
        "no request for the list"
    );
    let row = || http::get(gateway.admin, "/migration").json()["routes"][0].clone();
    let told = eventually("all are counted", || {
        Some(row()).filter(|row| row["requests"]["unmarked"] == 2 && row["verdicts"]["servable"].as_u64() >= Some(2))
    });
    assert_eq!((&told["route"], &told["observed"]), (&json!("users"), &json!(true)), "{told}");
    assert_eq!(told["requests"], json!({ "cursor": 0, "legacy": 2, "unmarked": 2 }), "{told}");
    let clients = told["clients"].as_array().expect("clients");
    let shop = clients.iter().find(|client| client["client"] == "shop").expect("the shop");
    assert_eq!((&shop["requests"], &shop["unmarked"]), (&json!(3), &json!(1)), "{told}");
    let lately: u64 = shop["hours"].as_array().expect("hours").iter().filter_map(Value::as_u64).sum();
    assert_eq!(lately, 3, "{told}");
    let metrics = gateway.metrics().text().to_owned();
    for sample in [
        "cursorgate_legacy_requests_total{route=\"users\",client=\"shop\",paging=\"legacy\"} 2\n",
        "cursorgate_legacy_requests_total{route=\"users\",client=\"shop\",paging=\"unmarked\"} 1\n",
        "cursorgate_legacy_requests_total{route=\"users\",client=\"app\",paging=\"unmarked\"} 1\n",
    ] {
        assert!(metrics.contains(sample), "{sample}\n{metrics}");
    }
    // The counts continue when the route begins to serve.
    let serving = Setup { route: Box::leak(route.replace("observe", "paginate").into_boxed_str()), ..PLAIN };
    gateway.rewrite(Keys::One, &serving.configuration(upstream.address));
    gateway.signal("HUP");
    let served = eventually("it serves", || Some(row()).filter(|row| row["observed"] == false));
    assert_eq!((&served["legacy"]["requests"], served.get("verdicts")), (&json!(4), None), "{served}");
}
