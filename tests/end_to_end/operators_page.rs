//! Tests of the operator's page in a headless browser. It reports the faults of a gateway, works with mouse and
//! keyboard, in light and dark, on a desktop and a phone, and while the gateway can't be reached. The screenshots are
//! in target/operators-page.

use serde_json::{Value, json};

use crate::{
    browser::{is_sound, look},
    harness::{
        gateway::{Gateway, free_port},
        http,
        list::{PLAIN, Setup, serve, users},
        upstream::Upstream,
    },
};

const TOKEN: &str = "a-token-of-the-tests";

/// The name of a client that contains markup: clients choose their names.
const HOSTILE: &str = "<img src=x onerror=alert(1)>";

/// Starts a gateway with four lists: one without faults, one whose peer is unreachable, and two that are observed, of
/// which one could not be served by cursor.
fn troubled() -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(90)));
    let more = format!(
        "[routes.orders]\npath = \"/orders\"\nupstream = \"shop\"\ndialect = \"scripted\"\norder = [\"id\"]\n\
         [routes.people]\npath = \"/people\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\ndialect = \"scripted\"\norder = [\"id\"]\naction = \"observe\"\n\
         [routes.unordered]\npath = \"/unordered\"\nupstream_path = \"/users\"\nupstream = \"legacy\"\ndialect = \"scripted\"\norder = [\"-id\"]\naction = \"observe\"\n\
         [routes.rest]\npath = \"/{{*rest}}\"\nupstream = \"legacy\"\naction = \"forward\"\n\
         [upstreams.shop]\npeers = [\"127.0.0.1:{}\"]\n",
        free_port()
    );
    let route = "old_clients = \"pass\"\n[routes.users.legacy]\nsunset = 2020-12-31\n\
                 client = { header = \"X-Client\", shown = \"value\" }\n";
    let setup = Setup { route, more: Box::leak(more.into_boxed_str()), ..PLAIN };
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    std::fs::write(gateway.file("token"), TOKEN).expect("a file of the test");
    let hosts = "hosts = [\"gateway.test\"]";
    gateway.rewrite_raw(&gateway.configuration().replace(hosts, &format!("{hosts}, token = \"file:token\"")));
    gateway.signal("HUP");
    crate::harness::eventually("the token is in force", || {
        (http::get(gateway.admin, "/status").json()["can_reload"] == true).then_some(())
    });
    (upstream, gateway)
}

fn visit(gateway: &Gateway) {
    let mut next = Some("/users?cursor=start&limit=9".to_owned());
    while let Some(target) = next {
        next = gateway.get(&target).link("next");
    }
    for client in ["mobile", "mobile", "partner", HOSTILE] {
        let page = gateway.send("GET", "/users?offset=20&limit=20", &[("X-Client", client)], b"");
        assert_eq!(page.status, 200, "{page:?}");
    }
    for offset in [0, 9, 18, 27] {
        assert_eq!(gateway.get(&format!("/unordered?offset={offset}&limit=9")).status, 200);
    }
    for (target, status) in [("/people?offset=0&limit=9", 200), ("/anything", 200), ("/users?cursor=~nonsense", 400)] {
        assert_eq!(gateway.get(target).status, status, "{target}");
    }
    for _ in 0..4 {
        assert_eq!(gateway.get("/orders").status, 502);
    }
    assert_eq!(gateway.get("/orders?limit=none").status, 400);
}

fn texts(of: &Value) -> Vec<&str> {
    of.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

/// The operator's page displays the faults of routes, upstreams and the configuration, and is accessible in each theme
/// and size.
///
/// Row: A46, A47
#[test]
fn an_operator_sees_faults_at_once() {
    let (_upstream, gateway) = troubled();
    visit(&gateway);
    let file = gateway.configuration();
    gateway.rewrite_raw("nonsense = = 1");
    gateway.signal("HUP");
    crate::harness::eventually("it is refused", || {
        (http::get(gateway.admin, "/reload").json()["in_force"] == false).then_some(())
    });
    gateway.rewrite_raw(&file);
    let saw = look("page.mjs", &[&format!("http://{}/", gateway.admin), TOKEN], "operators-page");

    let looks = ["desktop-light", "desktop-dark", "phone-light", "phone-dark", "dialog", "offline"];
    is_sound(&saw, &format!("http://{}", gateway.admin), &looks);
    let cut = saw["cut"].as_object().expect("a list for each screen");
    assert!(cut.len() == 4 && cut.values().all(|parts| *parts == json!([])), "printed over their neighbours: {cut:?}");
    assert_ne!(saw["looks"]["desktop-light"], saw["looks"]["desktop-dark"], "light and dark differ");

    let findings = texts(&saw["findings"]);
    let found = |words: &[&str]| findings.iter().any(|finding| words.iter().all(|word| finding.contains(word)));
    for words in [
        &["Fault", "Route orders", "4 of 5 requests failed (80 %)", "upstream_unavailable"][..],
        &["Fault", "Upstream shop", "its only peer is unhealthy"],
        &["Fault", "Configuration", "was refused", "1 error"],
        &["Warning", "Route unordered", "0 % of 4 observed answers could be served by cursor", "order"],
        &["Warning", "Migration of users", "sunset has passed", "4 legacy requests"],
    ] {
        assert!(found(words), "{words:?}: {findings:?}");
    }
    let verdict = saw["verdict"].as_str().expect("a verdict");
    assert_eq!((verdict, &saw["title"]), ("3 faults and 2 warnings", &json!("3 faults and 2 warnings · cursorgate")));
    let routes = texts(&saw["routes"]);
    assert!(routes[0].starts_with("orders /orders") && routes[0].contains("Failing"), "faults come first: {routes:?}");
    assert!(!routes[0].contains("upstream_unavailable"), "a failure is not why the fifth was refused: {routes:?}");
    for (place, words) in [
        (1, ["unordered", "observe", "Not servable"]),
        (2, ["users", "exact", "Fine"]),
        (3, ["people", "observe", "Fine"]),
        (4, ["rest", "forward", "Fine"]),
    ] {
        assert!(words.iter().all(|word| routes[place].contains(word)), "{words:?}: {routes:?}");
    }
    let levels = texts(&saw["levels"]);
    assert!(levels[0].contains("quiet") && levels[1].contains("calm"), "a failing route isn't praised: {levels:?}");
    let board = texts(&saw["migration"]).concat();
    for word in [HOSTILE, "mobile", "partner", "Passed", "by cursor", "could be served by cursor"] {
        assert!(board.contains(word), "{word}: {board}");
    }
    assert_eq!(saw["images"], 0, "names are texts");
    let configuration = saw["configuration"].as_str().expect("a text");
    for word in ["cursorgate.toml", "token", "Refused", "SIGHUP", "Start"] {
        assert!(configuration.contains(word), "{word}: {configuration}");
    }

    assert_eq!(saw["unseen"], json!([]), "each control shows that it has the focus");
    let mut reached = texts(&saw["tabs"]);
    assert_eq!(reached[..2], ["Skip to the overview", "Routes"], "the order of the page");
    reached.sort_unstable();
    for control in ["pause", "more-orders", "more-users", "reload-open", "Show it", "metrics"] {
        assert!(reached.contains(&control), "{control} can't be reached by keys: {reached:?}");
    }
    assert_eq!(
        (&saw["opened"], &saw["kept"], &saw["closed"]),
        (&json!("more-orders true"), &json!("more-orders true"), &json!("more-orders false"))
    );

    let reloads = texts(&saw["reloads"]);
    assert!(reloads[0].contains("admin.token") && reloads[1].contains("is in force"), "{reloads:?}");
    assert_eq!(saw["dialog"], json!([false, ""]), "it is closed, and the token forgotten");
    let offline = saw["offline"].as_str().expect("a text");
    assert!(offline.contains("can’t be reached since") && offline.contains("Figures are those of"), "{offline}");
    assert!(saw["back"].as_str().is_some_and(|text| text.starts_with("Live")), "{saw}");
}
