//! Tests that entries of the store contain no secret that its operator can read, and that entries of other writers are
//! never used.

use redis::Commands as _;

use super::{
    Flavour, Rows, StoreServer, at, ids, look_ups, next, questions, serve, start, text, wait_for_items, wait_until_up,
    writes,
};
use crate::harness::{
    eventually,
    gateway::{Gateway, Keys},
    rows::Row,
};

const TOKEN: &str = "Bearer canary-token-of-a-client";

/// Returns the keys and values of all remembered items, as the store's operator reads them.
fn dump(server: &StoreServer) -> Vec<(String, Vec<u8>)> {
    let mut client = server.client();
    server
        .keys_of("pivot1")
        .into_iter()
        .map(|key| {
            let value: Vec<u8> = client.get(&key).expect("a value");
            (key, value)
        })
        .collect()
}

/// The store contains no token, filter, id or key in a readable form.
///
/// Row: A24
#[test]
fn a_dump_of_the_store_shows_no_value_of_a_client() {
    let (rows, server) = (Rows::count(0), StoreServer::start(Flavour::Redis));
    // The ids and keys are recognisable in any encoding.
    let all = (0..40).map(|number| Row::new(7_770_001_000 + number, 8_880_002_000 + number));
    rows.change_of(TOKEN, |rows| rows.extend(all));
    let upstream = serve(&rows);
    let gateway = start(Keys::One, &upstream, &at(&server));
    let mut target = Some("/users?limit=10&note=canary-filter".to_owned());
    while let Some(asked) = target {
        let page = gateway.send("GET", &asked, &[("Authorization", TOKEN)], b"");
        assert_eq!(page.outcome(), "200", "{page:?}");
        target = page.link("next");
    }
    wait_for_items(&server, 8);
    let dump = dump(&server);
    assert!(dump.len() >= 7, "{dump:?}");
    let number = |number: u64| [number.to_le_bytes().to_vec(), number.to_be_bytes().to_vec()];
    let mut secrets: Vec<Vec<u8>> =
        ["canary", "Bearer", "777000", "888000", "users", "score"].map(|text| text.as_bytes().to_vec()).to_vec();
    for row in 0..40 {
        secrets.extend(number(7_770_001_000 + row).map(|bytes| bytes[..5].to_vec()).into_iter().take(1));
        secrets.extend(number(8_880_002_000 + row).map(|bytes| bytes[..5].to_vec()).into_iter().take(1));
    }
    for (key, value) in &dump {
        assert!(key.starts_with("cursorgate:1:pivot1:"), "{key}");
        for secret in &secrets {
            let found = |bytes: &[u8]| bytes.windows(secret.len()).any(|part| part == secret.as_slice());
            assert!(!found(key.as_bytes()) && !found(value), "{key} shows {}", String::from_utf8_lossy(secret));
        }
    }
}

/// Values of other entries, values of other signing keys and invalid values are misses, and are counted.
///
/// Row: A24
#[test]
fn a_foreign_value_in_the_store_counts_as_a_miss() {
    let (rows, server) = (Rows::count(40), StoreServer::start(Flavour::Redis));
    let upstream = serve(&rows);
    let first = start(Keys::One, &upstream, &at(&server));
    let target = next(&first.get("/users?limit=10"));
    wait_for_items(&server, 2);
    let own = dump(&server);
    assert_eq!(own.len(), 2, "{own:?}");
    let mut client = server.client();
    let exchange = |client: &mut redis::Connection, values: [&[u8]; 2]| {
        for ((key, _), value) in own.iter().zip(values) {
            let () = client.set(key, value).expect("it is written");
        }
    };
    let (one, other) = (own[0].1.as_slice(), own[1].1.as_slice());
    let mut changed = [one.to_vec(), other.to_vec()];
    changed.iter_mut().for_each(|value| *value.last_mut().expect("bytes") ^= 1);
    let renumbered = [one, other].map(|value| [&[9, 0, 0, 0], &value[4..]].concat());
    let short = [one, other].map(|value| value[..value.len() - 16].to_vec());
    let huge = vec![b'x'; 2 << 20];
    let cases: [(&str, [&[u8]; 2], &str); 7] = [
        ("the other one's", [other, one], "forged"),
        ("changed", [&changed[0], &changed[1]], "forged"),
        ("another key's", [&renumbered[0], &renumbered[1]], "forged"),
        ("cut", [&short[0], &short[1]], "forged"),
        ("empty", [b"", b""], "forged"),
        ("text", [b"{\"keys\":[310]}", b"{\"keys\":[310]}"], "forged"),
        ("huge", [&huge, &huge], ""),
    ];
    for (name, values, answer) in cases {
        exchange(&mut client, values);
        let second = start(Keys::One, &upstream, &at(&server));
        let before = look_ups(&upstream);
        let page = second.get(&target);
        assert_eq!(ids(&page), (21..=30).rev().collect::<Vec<_>>(), "{name}: {page:?}");
        assert_eq!(look_ups(&upstream) - before, 1, "{name}: it is looked up");
        assert_eq!(questions(&second, "hit"), 0, "{name}");
        if !answer.is_empty() {
            assert_eq!(questions(&second, answer), 1, "{name}");
        }
    }
    // The values have another Redis type than the gateway writes.
    for (key, _) in &own {
        let () = client.del(key).expect("deleted");
        let () = client.rpush(key, "7").expect("a list");
    }
    let third = start(Keys::One, &upstream, &at(&server));
    assert_eq!(ids(&third.get(&target)), (21..=30).rev().collect::<Vec<_>>());
    assert_eq!((questions(&third, "refused"), questions(&third, "hit")), (1, 0));
    // The original values, put back, are used.
    exchange(&mut client, [one, other]);
    let last = start(Keys::One, &upstream, &at(&server));
    assert_eq!(ids(&last.get(&target)), (21..=30).rev().collect::<Vec<_>>());
    assert_eq!(questions(&last, "hit"), 1);
}

/// Gateways with different keys, or with different versions of the format, find no entry of each other in one server.
#[test]
fn gateways_of_other_keys_share_a_server_and_nothing_else() {
    let (rows, server) = (Rows::count(40), StoreServer::start(Flavour::Redis));
    let upstream = serve(&rows);
    let [one, two] = [Keys::One, Keys::Two].map(|keys| start(keys, &upstream, &at(&server)));
    for gateway in [&one, &two] {
        assert_eq!(gateway.get(&next(&gateway.get("/users?limit=10"))).outcome(), "200");
        assert_eq!((questions(gateway, "forged"), writes(gateway, "failed")), (0, 0));
    }
    wait_for_items(&server, 8);
    assert_eq!(server.keys_of("pivot1").len(), 8, "each has its own four: {:?}", server.keys());
    eventually("both have published", || (server.keys_of("board1").len() == 2).then_some(()));
    assert_eq!(crate::harness::http::get(one.admin, "/migration").json()["processes"]["running"], 1);
}

/// The store's password appears neither in a report nor in the log.
///
/// Row: A35
#[test]
fn the_password_is_shown_nowhere() {
    const PASSWORD: &str = "canary-password-of-the-store";
    let server = StoreServer::start_with(Flavour::Redis, |_, _| {
        format!(
            "user default off\nuser gate on >{PASSWORD} ~cursorgate:* -@all +get +set +hset +hgetall +hdel +expire\n"
        )
    });
    let upstream = serve(&Rows::count(40));
    let file = crate::harness::Directory::new();
    let path = file.file("password");
    std::fs::write(&path, PASSWORD).expect("a file");
    let shared = format!("{}\nusername = \"gate\"\npassword = \"file:{}\"", at(&server), path.display());
    let gateway = start(Keys::One, &upstream, &shared);
    assert_eq!(gateway.get("/users?limit=10").outcome(), "200");
    eventually("it is of use", || (writes(&gateway, "stored") > 0).then_some(()));
    for report in ["/config", "/config?format=toml", "/status", "/metrics"] {
        let shown = crate::harness::http::get(gateway.admin, report);
        assert!(!shown.text().contains(PASSWORD), "{report}");
    }
    // With a wrong password, no page is kept, and the wrong password doesn't appear either.
    std::fs::write(&path, "canary-of-a-wrong-password").expect("a file");
    let gateway = Gateway::start(&text(&upstream, &shared));
    assert_eq!(gateway.get("/users?limit=10").outcome(), "200");
    let reason = eventually("a reason", || super::status(&gateway)["servers"][0]["reason"].as_str().map(str::to_owned));
    assert!(reason.contains("WRONGPASS") || reason.contains("AuthenticationFailed"), "{reason}");
    assert!(!format!("{reason}{:?}", gateway.log()).contains("canary"), "{reason}");
    // A reload reads the file with the password again.
    std::fs::write(&path, PASSWORD).expect("a file");
    gateway.signal("HUP");
    wait_until_up(&gateway);
}
