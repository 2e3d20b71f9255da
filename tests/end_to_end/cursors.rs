//! Tests of cursors that were tampered with, used for another list, or expired, and of strings that aren't cursors.
//! Each kind is refused with its own code, without a request to the upstream.

use std::thread;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::harness::{
    Numbers, eventually,
    gateway::{Gateway, Keys},
    http::{Connection, Response, encode},
    list::{PLAIN, Setup, serve, users},
    scaled,
    upstream::Upstream,
};

/// More lists: another route on the same collection, and a route with a parameter in its path.
const LISTS: Setup = Setup {
    upstream: "",
    route: "sortable = [\"id\"]\nparameters = { ignored = [\"trace\"], private = [\"secret\"] }",
    more: r#"
[routes.people]
path = "/people"
upstream = "legacy"
dialect = "scripted"
order = ["id"]

[routes.members]
path = "/teams/{team}/members"
upstream = "legacy"
dialect = "scripted"
order = ["id"]
"#,
};

fn started(setup: &Setup) -> (Upstream, Gateway) {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&setup.configuration(upstream.address));
    (upstream, gateway)
}

fn next_cursor(gateway: &Gateway, target: &str) -> String {
    let page = gateway.get(target);
    assert_eq!(page.outcome(), "200", "{target}: {}", page.text());
    page.json()["pagination"]["nextCursor"].as_str().expect("a next page").to_owned()
}

fn ask(connection: &mut Connection, cursor: &[u8]) -> Response {
    let target = format!("/users?limit=5&cursor={}", encode(cursor));
    connection.request("GET", &target, &[], b"").unwrap_or_else(|fault| panic!("{target}: {fault}"))
}

fn assert_invalid(what: &str, response: &Response) {
    assert_eq!(response.outcome(), "400 cursor_invalid", "{what}: {response:?}");
    assert!(response.json()["restart"].as_str().is_some_and(|link| !link.contains("cursor=")), "{what}: {response:?}");
}

/// An upstream that gets the client's `Host` may serve another tenant for each host. A cursor is therefore valid only
/// for the host that it came from, unless `host_header` sends the same host to the upstream for all clients.
///
/// Row: A02
#[test]
fn a_cursor_is_bound_to_the_host_that_the_upstream_gets() {
    for (upstream, elsewhere) in [("", "400 cursor_mismatch"), ("host_header = \"people.internal\"", "200")] {
        let (_upstream, gateway) = started(&Setup { upstream, ..PLAIN });
        let first = gateway.send("GET", "/users?limit=5", &[("Host", "one.example")], b"");
        let next = first.link("next").expect("a next page");
        for (host, outcome) in [("one.example", "200"), ("ONE.example.:81", "200"), ("two.example", elsewhere)] {
            let response = gateway.send("GET", &next, &[("Host", host)], b"");
            assert_eq!(response.outcome(), outcome, "{host}, {upstream:?}: {response:?}");
        }
    }
}

/// A cursor with a single bit flipped, in its bytes or in its encoded text, is refused.
///
/// Row: A01
#[test]
fn every_single_flipped_bit_is_refused() {
    let (upstream, gateway) = started(&PLAIN);
    let cursor = next_cursor(&gateway, "/users?limit=5");
    let mut connection = gateway.connect();
    assert_eq!(ask(&mut connection, cursor.as_bytes()).outcome(), "200", "as it was");
    let asked = upstream.count();

    let bytes = URL_SAFE_NO_PAD.decode(cursor.trim_start_matches('~')).expect("base64url without padding");
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let response = ask(&mut connection, URL_SAFE_NO_PAD.encode(flipped).as_bytes());
        assert_invalid(&format!("bit {bit} of its bytes"), &response);
    }
    for bit in 0..cursor.len() * 8 {
        let mut flipped = cursor.clone().into_bytes();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let response = ask(&mut connection, &flipped);
        assert_invalid(&format!("bit {bit} of its text"), &response);
    }
    assert_eq!(upstream.count(), asked, "nothing is asked upstream for a bad cursor");
}

/// Each prefix and suffix of a cursor is refused, and so is a cursor with additional bytes.
///
/// Row: A01
#[test]
fn cut_and_lengthened_cursors_are_refused() {
    let (upstream, gateway) = started(&PLAIN);
    let cursor = next_cursor(&gateway, "/users?limit=5");
    let asked = upstream.count();
    let mut connection = gateway.connect();
    for length in 0..cursor.len() {
        assert_invalid(&format!("its first {length}"), &ask(&mut connection, &cursor.as_bytes()[..length]));
    }
    // Without its mark alone, it is a cursor of an earlier release.
    for length in 2..=cursor.len() {
        assert_invalid(&format!("without its first {length}"), &ask(&mut connection, &cursor.as_bytes()[length..]));
    }
    for byte in 0..=u8::MAX {
        let mut longer = cursor.clone().into_bytes();
        longer.push(byte);
        assert_invalid(&format!("with byte {byte} behind"), &ask(&mut connection, &longer));
        longer.rotate_right(1);
        assert_invalid(&format!("with byte {byte} before"), &ask(&mut connection, &longer));
    }
    for length in [2_048, 2_049, 8_000] {
        let longer = cursor.clone() + &"A".repeat(length - cursor.len());
        assert_invalid(&format!("{length} characters"), &ask(&mut connection, longer.as_bytes()));
    }
    let twice = cursor.clone() + &cursor;
    assert_invalid("twice in one", &ask(&mut connection, twice.as_bytes()));
    assert_eq!(upstream.count(), asked, "nothing is asked upstream for a bad cursor");
}

/// A cursor belongs to its route, path, filters and order. Parameters that the route ignores or keeps private may
/// change.
///
/// Row: A02
#[test]
fn a_cursor_used_elsewhere_is_refused_with_the_parts_that_differ() {
    let (upstream, gateway) = started(&LISTS);
    let users = next_cursor(&gateway, "/users?limit=5&team=a");
    let members = next_cursor(&gateway, "/teams/red/members?limit=5");
    let asked = upstream.count();
    for (target, differs) in [
        (format!("/people?team=a&cursor={users}"), "route"),
        (format!("/users?team=b&cursor={users}"), "filters"),
        (format!("/users?team=a&more=1&cursor={users}"), "filters"),
        (format!("/users?cursor={users}"), "filters"),
        (format!("/users?team=a&sort=-id&cursor={users}"), "order"),
        (format!("/teams/blue/members?cursor={members}"), "path"),
        (format!("/teams/red%20/members?cursor={members}"), "path"),
    ] {
        let response = gateway.get(&target);
        assert_eq!(response.outcome(), "400 cursor_mismatch", "{target}: {response:?}");
        let problem = response.json();
        let told = problem["differs"].to_string();
        assert!(told.contains(differs), "{target}: differs is {told}, and should name {differs}");
        let restart = problem["restart"].as_str().expect("a way to start over");
        assert_eq!(gateway.get(restart).outcome(), "200", "{restart}");
    }
    assert!(upstream.count() <= asked + 7, "only the restarts were asked upstream");

    for target in [
        format!("/users?limit=9&team=a&cursor={users}"),
        format!("/users?team=a&trace=123&cursor={users}"),
        format!("/users?team=a&secret=s3cret&cursor={users}"),
        format!("/users/?team=a&cursor={users}"),
        format!("/teams/red/members?cursor={members}"),
    ] {
        let response = gateway.get(&target);
        assert_eq!(response.outcome(), "200", "{target}: {response:?}");
        assert_eq!(response.json()["data"][0]["id"], 6, "{target}");
    }
}

/// Random strings are refused as cursors.
///
/// Row: A01
#[test]
fn random_strings_are_refused_as_cursors() {
    const THREADS: u64 = 4;
    let (upstream, gateway) = started(&PLAIN);
    let cursor = next_cursor(&gateway, "/users?limit=5");
    let asked = upstream.count();
    thread::scope(|scope| {
        for seed in 1..=THREADS {
            let (gateway, cursor) = (&gateway, cursor.as_bytes());
            scope.spawn(move || {
                let mut numbers = Numbers::new(seed);
                let mut connection = gateway.connect();
                for round in 0..scaled(100_000) / THREADS {
                    let text = random(&mut numbers, cursor);
                    let response = ask(&mut connection, &text);
                    assert_eq!(
                        response.outcome(),
                        "400 cursor_invalid",
                        "round {round} of seed {seed}: {:?}",
                        String::from_utf8_lossy(&text)
                    );
                }
            });
        }
    });
    assert_eq!(upstream.count(), asked, "nothing is asked upstream for them");
}

/// Returns a string that isn't a cursor: random characters of the base64url alphabet, random bytes, or a valid cursor
/// with some characters replaced.
fn random(numbers: &mut Numbers, cursor: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    match numbers.below(3) {
        0 => (0..numbers.below(300)).map(|_| ALPHABET[numbers.below(ALPHABET.len())]).collect(),
        1 => (0..numbers.below(100)).map(|_| numbers.draw().to_le_bytes()[0]).collect(),
        _ => {
            let mut text = cursor.to_vec();
            for _ in 0..=numbers.below(4) {
                let place = numbers.below(text.len());
                // The new character must differ from the old one, which is therefore left out.
                let others = ALPHABET.iter().filter(|other| **other != cursor[place]).collect::<Vec<_>>();
                text[place] = *others[numbers.below(others.len())];
            }
            text
        }
    }
}

/// An expired cursor is refused with 410, with a link to start over.
///
/// Row: A03
#[test]
fn an_expired_cursor_is_gone_and_says_where_to_start_over() {
    let setup = Setup { upstream: "", route: "cursor = { ttl = \"1s\" }", more: "" };
    let (_upstream, gateway) = started(&setup);
    let target = format!("/users?limit=5&cursor={}", next_cursor(&gateway, "/users?limit=5"));
    assert_eq!(gateway.get(&target).outcome(), "200", "while it lives");
    let gone = eventually("the cursor expires", || {
        let response = gateway.get(&target);
        (response.status != 200).then_some(response)
    });
    assert_eq!(gone.outcome(), "410 cursor_expired", "{gone:?}");
    let restart = gone.json()["restart"].as_str().expect("a way to start over").to_owned();
    assert_eq!(gateway.get(&restart).outcome(), "200", "{restart}");
}

/// Each step of a roll-out accepts the cursors of the step before, and that step accepts its cursors, so replicas of two
/// neighbouring steps can serve the same walk. Without the step between, they can't.
#[test]
fn settings_of_cursors_are_rolled_out_in_steps() {
    let upstream = Upstream::start(serve(users(60)));
    let plain = PLAIN.configuration(upstream.address);
    let with = |keys: &str| format!("{plain}\n[routes.users.cursor]\n{keys}\n");
    let renamed = |name: &str, was: &str| {
        let written = plain.replace("[routes.users]", &format!("[routes.{name}]"));
        written.replace("order = [\"id\"]", &format!("order = [\"id\"]\nwas = [\"{was}\"]"))
    };
    let roll_outs = [
        vec![
            plain.clone(),
            with("accept = [\"sealed\"]"),
            with("sealed = true\naccept = [\"signed\"]"),
            with("sealed = true"),
        ],
        vec![plain.clone(), with("ttl = \"1h\"\naccept = [\"undated\"]"), with("ttl = \"1h\"")],
        vec![
            plain.clone(),
            renamed("users", "people"),
            renamed("people", "users"),
            plain.replace("[routes.users]", "[routes.people]"),
        ],
    ];
    for steps in roll_outs {
        let gateways: Vec<Gateway> = steps.iter().map(|step| Gateway::start(step)).collect();
        let targets: Vec<String> = gateways
            .iter()
            .map(|gateway| format!("/users?limit=5&cursor={}", next_cursor(gateway, "/users?limit=5")))
            .collect();
        for at in 1..steps.len() {
            // The last step is for the time when no client has the cursors of the first one any more.
            let pairs = [(at, at - 1), (at - 1, at)];
            for (serves, made) in pairs {
                let page = gateways[serves].get(&targets[made]);
                assert_eq!(page.outcome(), "200", "step {serves} gets a cursor of step {made}: {}", steps[serves]);
                assert_eq!(page.json()["data"][0]["id"], 6, "{page:?}");
            }
        }
        let last = gateways.last().expect("steps").get(&targets[0]);
        assert!([400, 410].contains(&last.status), "{last:?}");
    }
}

/// During a rotation, cursors of both keys are valid. After the old key is removed, its cursors are refused.
///
/// Row: A42, F46
#[test]
fn keys_rotate_without_loss_and_a_removed_key_ends_its_cursors() {
    let upstream = Upstream::start(serve(users(60)));
    let configuration = PLAIN.configuration(upstream.address);
    let gateway = Gateway::start_with(Keys::One, &configuration);
    let old = format!("/users?limit=5&cursor={}", next_cursor(&gateway, "/users?limit=5"));
    let first = next_cursor(&gateway, "/users?limit=5");

    gateway.rewrite(Keys::Both, &configuration);
    gateway.signal("HUP");
    eventually("the other key signs", || (next_cursor(&gateway, "/users?limit=5") != first).then_some(()));
    assert_eq!(gateway.get(&old).outcome(), "200", "the old key is still good");
    let new = format!("/users?limit=5&cursor={}", next_cursor(&gateway, "/users?limit=5"));

    gateway.rewrite(Keys::Two, &configuration);
    gateway.signal("HUP");
    eventually("the old key is gone", || (gateway.get(&old).outcome() == "400 cursor_invalid").then_some(()));
    assert_eq!(gateway.get(&new).outcome(), "200", "the new key's cursors stay good");
}

/// A cursor in a parameter of another name would be unknown to the upstream, which would answer with the first page.
#[test]
fn a_cursor_in_another_parameter_never_reaches_the_upstream() {
    let (upstream, gateway) = started(&LISTS);
    let cursor = next_cursor(&gateway, "/users?limit=5");
    let asked = upstream.count();
    let spelt = cursor.replace('A', "%41");
    for target in [
        format!("/users?after={cursor}"),
        format!("/users?limit=5&page_token={spelt}"),
        format!("/users?trace={cursor}"),
        format!("/users?offset=5&after={cursor}"),
        format!("/users?cursor={cursor}&after={cursor}"),
        format!("/people?after={cursor}"),
    ] {
        let refused = gateway.get(&target);
        assert_eq!(refused.outcome(), "400 cursor_mismatch", "{target}: {}", refused.text());
        let detail = refused.json()["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.contains("send it as cursor"), "{detail}");
    }
    assert_eq!(upstream.count(), asked);
    // A replica that lacks the key of a cursor recognises it by its mark.
    let encoded = cursor.strip_prefix('~').expect("the mark of cursors");
    let mut bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64url without padding");
    bytes[1] = 99;
    let unknown = gateway.get(&format!("/users?trace=~{}", URL_SAFE_NO_PAD.encode(bytes)));
    assert_eq!(unknown.outcome(), "400 cursor_mismatch", "{}", unknown.text());
    assert_eq!(upstream.count(), asked);
    let (foreign, short) = (format!("~{}", "A".repeat(200)), &cursor[..12]);
    for value in [&foreign, short, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", &"A".repeat(200)] {
        let page = gateway.get(&format!("/users?trace={value}"));
        assert_eq!(page.outcome(), "200", "{value}: {}", page.text());
    }
}

/// The operator is told why a cursor was refused, and clients aren't.
#[test]
fn refused_cursors_are_counted_and_logged_by_their_reasons() {
    let (_upstream, gateway) = started(&LISTS);
    let cursor = next_cursor(&gateway, "/users?limit=5");
    let encoded = cursor.strip_prefix('~').expect("the mark of cursors");
    let bytes = URL_SAFE_NO_PAD.decode(encoded).expect("base64url without padding");
    let changed = |at: usize, to: u8| {
        let mut changed = bytes.clone();
        changed[at] = to;
        format!("~{}", URL_SAFE_NO_PAD.encode(changed))
    };
    let (unknown, forged) = (changed(1, 99), changed(bytes.len() - 1, bytes[bytes.len() - 1] ^ 1));
    for (target, reason) in [
        (format!("/users?cursor={unknown}"), "key_unknown"),
        (format!("/users?cursor={forged}"), "signature"),
        ("/users?cursor=none".to_owned(), "malformed"),
        (format!("/people?cursor={cursor}"), "context"),
        (format!("/people?after={cursor}"), "parameter"),
    ] {
        let route = target.split(['/', '?']).nth(1).expect("a path").to_owned();
        let series = format!("cursorgate_cursors_refused_total{{route=\"{route}\",reason=\"{reason}\"}}");
        assert_eq!(gateway.get(&target).status, 400, "{target}");
        eventually(&series, || (gateway.metric(&series) == Some(1)).then_some(()));
        let told = |line: &Value| line["detail"].as_str().is_some_and(|said| said.contains(&format!(": {reason}")));
        eventually(reason, || gateway.access_log().iter().any(told).then_some(()));
    }
    let warned = gateway.log().iter().filter(|line| line.contains("the cursor: ")).count();
    assert!(warned >= 4, "{:?}", gateway.log());
}

/// One replica has a lifetime for cursors, and another one doesn't.
#[test]
fn a_cursor_without_a_time_is_told_from_an_expired_one() {
    let upstream = Upstream::start(serve(users(60)));
    let plain = PLAIN.configuration(upstream.address);
    let cursor = next_cursor(&Gateway::start(&plain), "/users?limit=5");
    let gateway = Gateway::start(&format!("{plain}\n[routes.users.cursor]\nttl = \"1h\"\n"));
    assert_eq!(gateway.get(&format!("/users?cursor={cursor}")).outcome(), "410 cursor_expired");
    let series = "cursorgate_cursors_refused_total{route=\"users\",reason=\"undated\"}";
    eventually(series, || (gateway.metric(series) == Some(1)).then_some(()));
    let told = || gateway.log().iter().any(|line| line.contains("the cursor: undated") && line.contains("cursor.ttl"));
    eventually("the hint", || told().then_some(()));
}

/// Equal answers lead to equal cursors, and a cursor can be used repeatedly, with any limit, forward and backward.
#[test]
fn cursors_are_stable_and_reusable() {
    let (_upstream, gateway) = started(&PLAIN);
    let cursor = next_cursor(&gateway, "/users?limit=5");
    assert_eq!(cursor, next_cursor(&gateway, "/users?limit=5"));
    for limit in [1, 5, 50] {
        for _ in 0..2 {
            let page = gateway.get(&format!("/users?limit={limit}&cursor={cursor}"));
            assert_eq!(page.json()["data"][0]["id"], 6, "{page:?}");
        }
    }
    let page = gateway.get(&format!("/users?limit=5&cursor={cursor}"));
    let back = page.json()["pagination"]["prevCursor"].as_str().expect("a page before").to_owned();
    let first = gateway.get(&format!("/users?limit=5&cursor={back}"));
    assert_eq!(first.json()["data"][0]["id"], 1, "{first:?}");
}

/// Links may encode a path in another way than the request did. For cursors, both are the same path.
#[test]
fn cursors_are_valid_for_every_encoding_of_their_path() {
    let upstream = Upstream::start(serve(users(5)));
    let configuration = PLAIN.configuration(upstream.address);
    let gateway = Gateway::start(&configuration.replace("path = \"/users\"", "path = \"/groups/{group}/users\""));
    for group in ["1,2", "a;v=1", "%C3%A9", "%c3%a9%2C1", "(1)", "%5B0%5D", "[0]", "a|b", "%7Eme", "caf\u{e9}"] {
        let mut target = format!("/groups/{group}/users?limit=2");
        let mut seen = Vec::new();
        loop {
            let page = gateway.get(&target);
            assert_eq!(page.outcome(), "200", "{target}: {page:?}");
            seen.extend(page.json()["data"].as_array().expect("items").iter().map(|item| item["id"].clone()));
            let Some(next) = page.link("next") else { break };
            target = next;
        }
        assert_eq!(seen, [1, 2, 3, 4, 5], "{group}");
    }
}
