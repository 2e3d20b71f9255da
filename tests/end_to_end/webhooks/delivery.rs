//! Tests of deliveries: attempts, dead letters, redeliveries, the rate of an endpoint, and the change of its secret.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use super::{
    ONE, TWO, active, ask, deliveries, delivery, export, get, post,
    receiver::{Receiver, signed_by},
    schema, start, start_at,
};
use crate::{
    exports::place::{Place, over_each_store},
    harness::{
        Directory, eventually,
        list::{serve, users},
        metric,
        schema::faults,
        upstream::{After, Gate, Upstream},
    },
};

fn unavailable(
    headers: &[(&str, &str)],
) -> impl Fn(&super::receiver::Received, &mut crate::harness::upstream::Exchange) -> io::Result<After> + use<> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    move |_, exchange| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        exchange.reply("503 Service Unavailable", &headers, b"not now")
    }
}

over_each_store!(a_dead_letter_is_delivered_again_under_its_id, events_while_an_endpoint_is_disabled_are_recovered);

fn a_dead_letter_is_delivered_again_under_its_id(place: &Place) {
    let upstream = Upstream::start(serve(users(3)));
    let receiver = Receiver::start();
    let gateway = start_at(&upstream, place, &receiver, "attempts = 3");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/hook-canary"), &["export.completed"]);
    receiver.answer(unavailable(&[("Set-Cookie", "a=cookie-canary")]));
    export(&gateway, &[ONE]);
    let dead = delivery(&gateway, &endpoint.path, &[ONE], "dead");
    assert_eq!(
        (&dead["attempts"], &dead["error"], &dead["nextAttemptAt"]),
        (&json!(3), &json!("refused"), &Value::Null)
    );
    let log = dead["log"].as_array().expect("attempts");
    assert_eq!(log.len(), 3, "{dead}");
    assert!(log.iter().all(|attempt| attempt["response"]["status"] == 503 && attempt["response"]["body"] == "not now"));
    assert!(!dead["log"].to_string().contains("cookie-canary"), "{dead}");
    assert_eq!(metric(&gateway, "cursorgate_webhook_deliveries_total{end=\"dead\"}"), 1);
    assert_eq!(metric(&gateway, "cursorgate_webhook_attempts_total{end=\"refused\"}"), 3);
    let of_state = |state: &str| {
        get(&gateway, &format!("{}/deliveries?state={state}", endpoint.path), &[ONE])["deliveries"].clone()
    };
    assert_eq!((of_state("dead").as_array().map(Vec::len), of_state("delivered")), (Some(1), json!([])));
    let before = |id: &str| gateway.send("GET", &format!("{}/deliveries?before={id}", endpoint.path), &[ONE], b"");
    let (oldest, removed) = (before(dead["id"].as_str().expect("an id")), before(&"0".repeat(32)));
    assert_eq!((oldest.json()["deliveries"].clone(), removed.status), (json!([]), 404), "older ones may be there");
    receiver.echo();
    let path = format!("{}/deliveries/{}", endpoint.path, dead["id"].as_str().expect("an id"));
    let again = post(&gateway, &format!("{path}/redeliver"), &[ONE], &Value::Null);
    assert_eq!(again.status, 202, "{again:?}");
    let delivered = delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    assert_eq!((&delivered["id"], &delivered["attempts"]), (&dead["id"], &json!(1)));
    assert_eq!(delivered["log"].as_array().map(Vec::len), Some(4), "the attempts before are kept");
    let events = receiver.events();
    assert!(
        events.len() == 4 && events.iter().all(|event| event.id() == events[0].id() && event.body == events[0].body)
    );
    assert!(events.iter().all(|event| signed_by(event, &endpoint.secret)));
    let log = gateway.log().join("\n");
    assert!(log.contains("a webhook is a dead letter") && !log.contains("hook-canary"), "{log}");
}

#[test]
fn receivers_that_stall_redirect_or_break_get_dead_letters() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver, elsewhere) = (Directory::new(), Receiver::start(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "attempts = 3\ntimeout = \"500ms\"");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let target = elsewhere.url("/");
    for (word, kind) in [("late", 0), ("redirected", 1), ("unreached", 2), ("unreached", 3), ("late", 4)] {
        let target = target.clone();
        receiver.answer(move |_, exchange| match kind {
            0 => exchange.wait_for_close().map(|()| After::Close),
            1 => exchange.reply("307 Temporary Redirect", &[("Location", &target)], b""),
            2 => Ok(After::Close),
            3 => exchange.send(b"SSH-2.0-OpenSSH_9.6\r\n").map(|()| After::Close),
            _ => {
                exchange.send(b"HTTP/1.1 200 OK\r\nX-Endless: ")?;
                exchange.wait_for_close().map(|()| After::Close)
            }
        });
        export(&gateway, &[ONE]);
        let dead = delivery(&gateway, &endpoint.path, &[ONE], "dead");
        let words: Vec<&Value> = dead["log"].as_array().expect("attempts").iter().map(|one| &one["error"]).collect();
        assert_eq!(words, [word, word, word], "{dead}");
        receiver.echo();
        post(
            &gateway,
            &format!("{}/deliveries/{}/redeliver", endpoint.path, dead["id"].as_str().expect("an id")),
            &[ONE],
            &Value::Null,
        );
        eventually("no dead letter", || {
            deliveries(&gateway, &endpoint.path, &[ONE]).iter().all(|one| one["state"] == "delivered").then_some(())
        });
    }
    assert_eq!(elsewhere.received().len(), 0, "no redirect is followed");
}

#[test]
fn an_endless_answer_is_cut() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "timeout = \"2s\"");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    receiver.answer(|_, exchange| {
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
        // The gateway closes the connection long before the end, so the loop ends with an error.
        for _ in 0..100_000 {
            exchange.send(&[b'x'; 10_000])?;
        }
        Ok(After::Close)
    });
    export(&gateway, &[ONE]);
    let delivered = delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    let body = delivered["log"][0]["response"]["body"].as_str().expect("a text");
    assert!(body.len() == 2_048 && body.bytes().all(|byte| byte == b'x'), "{}", body.len());
}

#[test]
fn an_endpoint_that_is_gone_is_disabled() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    receiver.answer(|_, exchange| exchange.reply("410 Gone", &[], b""));
    export(&gateway, &[ONE]);
    let dead = delivery(&gateway, &endpoint.path, &[ONE], "dead");
    assert_eq!((&dead["attempts"], &dead["error"]), (&json!(1), &json!("gone")));
    let document = get(&gateway, &endpoint.path, &[ONE]);
    assert_eq!((&document["state"], &document["disabledBy"]), (&json!("disabled"), &json!("gone")));
    let again = format!("{}/deliveries/{}/redeliver", endpoint.path, dead["id"].as_str().expect("an id"));
    assert_eq!(post(&gateway, &again, &[ONE], &Value::Null).outcome(), "409 webhook_unverified");
    receiver.echo();
    let enabled = ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": true }));
    assert_eq!((&enabled.json()["state"], &enabled.json()["disabledBy"]), (&json!("active"), &Value::Null));
    assert_eq!(post(&gateway, &again, &[ONE], &Value::Null).status, 202);
    delivery(&gateway, &endpoint.path, &[ONE], "delivered");
}

#[test]
fn deliveries_of_an_endpoint_that_is_paused_are_dead_letters() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "longest_delay = \"1h\"");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    // The delivery doesn't wait as long as the receiver asks for.
    receiver.answer(unavailable(&[("Retry-After", "1800")]));
    export(&gateway, &[ONE]);
    eventually("an attempt", || {
        deliveries(&gateway, &endpoint.path, &[ONE]).iter().any(|one| one["attempts"] == 1).then_some(())
    });
    ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": false }));
    let dead = delivery(&gateway, &endpoint.path, &[ONE], "dead");
    assert_eq!((&dead["error"], &dead["attempts"]), (&json!("endpoint_disabled"), &json!(1)));
    let ended = |end: &str| metric(&gateway, &format!("cursorgate_webhook_deliveries_total{{end=\"{end}\"}}"));
    eventually("the count", || (ended("kept") == 1).then_some(()));
    assert_eq!(ended("dead"), 0, "nobody is to be alerted");
}

#[test]
fn the_retry_after_of_a_receiver_is_obeyed_within_a_bound() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "longest_delay = \"1h\"");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    for (asked, least, most) in [("1800", 1_795, 1_805), ("90000", 3_595, 3_605)] {
        receiver.answer(unavailable(&[("Retry-After", asked)]));
        let before: Vec<Value> = deliveries(&gateway, &endpoint.path, &[ONE]);
        export(&gateway, &[ONE]);
        let waiting = eventually("a failed attempt", || {
            let mut found = deliveries(&gateway, &endpoint.path, &[ONE]);
            found.retain(|one| one["attempts"] == 1 && before.iter().all(|known| known["id"] != one["id"]));
            found.pop()
        });
        let path = format!("{}/deliveries/{}", endpoint.path, waiting["id"].as_str().expect("an id"));
        let moment = |text: &Value| {
            chrono::DateTime::parse_from_rfc3339(text.as_str().expect("a time")).expect("a time").timestamp()
        };
        let attempt = get(&gateway, &path, &[ONE])["log"][0]["at"].clone();
        let wait = moment(&waiting["nextAttemptAt"]) - moment(&attempt);
        assert!((least..=most).contains(&wait), "{asked}: {wait}");
    }
    // Its client needn't wait.
    receiver.echo();
    let waiting = delivery(&gateway, &endpoint.path, &[ONE], "queued");
    let path = format!("{}/deliveries/{}/redeliver", endpoint.path, waiting["id"].as_str().expect("an id"));
    assert_eq!(post(&gateway, &path, &[ONE], &Value::Null).status, 202);
    assert_eq!(delivery(&gateway, &endpoint.path, &[ONE], "delivered")["id"], waiting["id"]);
}

#[test]
fn an_endpoint_has_a_pace_of_its_own() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "at_once = 2\ntimeout = \"1m\"");
    let slow = active(&gateway, &[ONE], &receiver.url("/slow"), &["export.completed"]);
    active(&gateway, &[ONE], &receiver.url("/fast"), &["export.completed"]);
    let (gate, held, most) = (Gate::default(), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (own_gate, own_held, own_most) = (gate.clone(), Arc::clone(&held), Arc::clone(&most));
    receiver.answer(move |received, exchange| {
        if received.request.target == "/slow" {
            own_most.fetch_max(own_held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            own_gate.wait();
            own_held.fetch_sub(1, Ordering::SeqCst);
        }
        exchange.reply("200 OK", &[], b"")
    });
    for _ in 0..5 {
        export(&gateway, &[ONE]);
    }
    let at = |path: &str| receiver.events().iter().filter(|event| event.request.target == path).count();
    eventually("all events at the other endpoint", || (at("/fast") == 5 && at("/slow") == 2).then_some(()));
    let waiting = deliveries(&gateway, &slow.path, &[ONE]);
    assert_eq!(waiting.iter().filter(|one| one["state"] == "queued").count(), 5, "{waiting:?}");
    assert_eq!(metric(&gateway, "cursorgate_webhook_queue_deliveries"), 5);
    gate.open();
    eventually("all events at the slow endpoint", || (at("/slow") == 5).then_some(()));
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_secret_is_replaced_without_a_gap() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "overlap = \"8s\"");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let rotated = post(&gateway, &format!("{}/rotate", endpoint.path), &[ONE], &Value::Null);
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let newer = rotated.json()["secret"].as_str().expect("a secret").to_owned();
    let told = || {
        let before = receiver.events().len();
        export(&gateway, &[ONE]);
        eventually("an event", || receiver.events().get(before).cloned())
    };
    let first = told();
    assert!(signed_by(&first, &newer) && signed_by(&first, &endpoint.secret), "both sign");
    eventually("the end of the overlap", || {
        let event = told();
        assert!(signed_by(&event, &newer));
        (!signed_by(&event, &endpoint.secret)).then_some(())
    });
    for secret in [&newer, &endpoint.secret] {
        assert!(!gateway.log().join("\n").contains(secret.as_str()));
        let files = directory.file("webhooks");
        for file in std::fs::read_dir(files).expect("a directory") {
            let bytes = std::fs::read(file.expect("an entry").path()).expect("a file");
            let key = secret.strip_prefix("whsec_").expect("its prefix").as_bytes();
            assert!(!bytes.windows(key.len()).any(|part| part == key), "a secret is on the disk");
        }
    }
}

#[test]
fn a_client_tries_its_endpoint_by_a_test_event() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "");
    let unverified = super::register(&gateway, &[ONE], &receiver.url("/other"), &["export.failed"]);
    let test = |path: &str| post(&gateway, &format!("{path}/test"), &[ONE], &Value::Null);
    assert_eq!(test(&unverified.path).outcome(), "409 webhook_unverified");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.failed"]);
    let queued = test(&endpoint.path);
    assert_eq!((queued.status, &queued.json()["type"]), (202, &json!("webhook.test")), "{queued:?}");
    let delivered = delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    assert_eq!(delivered["id"], queued.json()["id"]);
    let received = receiver.events();
    assert_eq!(received.len(), 1, "no other endpoint gets it: {received:?}");
    assert!(signed_by(&received[0], &endpoint.secret));
    assert_eq!((&received[0].json()["type"], &received[0].json()["data"]), (&json!("webhook.test"), &json!({})));
}

#[test]
fn dead_letters_of_a_range_of_time_are_sent_again() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "attempts = 3");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    receiver.answer(unavailable(&[]));
    export(&gateway, &[ONE]);
    let dead = delivery(&gateway, &endpoint.path, &[ONE], "dead");
    receiver.echo();
    let recover = |order: &Value| post(&gateway, &format!("{}/recover", endpoint.path), &[ONE], order);
    for order in [
        json!({}),
        json!({ "since": "yesterday" }),
        json!({ "since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z" }),
    ] {
        assert_eq!(recover(&order).outcome(), "400 body_invalid", "{order}");
    }
    let earlier = recover(&json!({ "since": "2001-01-01T00:00:00Z", "until": dead["createdAt"] }));
    assert_eq!((earlier.status, earlier.json()), (202, json!({ "redelivered": 0 })));
    let since = recover(&json!({ "since": dead["createdAt"] }));
    assert_eq!((since.status, since.json()), (202, json!({ "redelivered": 1 })));
    let delivered = delivery(&gateway, &endpoint.path, &[ONE], "delivered");
    assert_eq!(delivered["eventId"], dead["eventId"]);
}

fn events_while_an_endpoint_is_disabled_are_recovered(place: &Place) {
    let upstream = Upstream::start(serve(users(3)));
    let receiver = Receiver::start();
    let gateway = start_at(&upstream, place, &receiver, "");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": false }));
    export(&gateway, &[ONE]);
    export(&gateway, &[ONE]);
    let kept = eventually("two deliveries", || {
        let kept = deliveries(&gateway, &endpoint.path, &[ONE]);
        (kept.len() == 2).then_some(kept)
    });
    for one in &kept {
        let facts = ["state", "error", "attempts", "nextAttemptAt"].map(|name| one[name].clone());
        assert_eq!(facts, [json!("dead"), json!("endpoint_disabled"), json!(0), Value::Null], "{one}");
    }
    let ended = |end: &str| metric(&gateway, &format!("cursorgate_webhook_deliveries_total{{end=\"{end}\"}}"));
    assert_eq!((ended("dead"), ended("kept")), (0, 2), "nobody is to be alerted");
    let recover = || {
        post(&gateway, &format!("{}/recover", endpoint.path), &[ONE], &json!({ "since": kept[1]["createdAt"].clone() }))
    };
    assert_eq!(recover().outcome(), "409 webhook_unverified");
    ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": true }));
    assert_eq!((recover().json(), recover().json()), (json!({ "redelivered": 2 }), json!({ "redelivered": 0 })));
    let received = eventually("both events", || Some(receiver.events()).filter(|events| events.len() == 2));
    let ids: Vec<_> = kept.iter().map(|one| one["eventId"].as_str().expect("an id").to_owned()).collect();
    assert!(received.iter().all(|event| ids.contains(&event.id().to_string())), "{received:?}");
}

/// An endpoint that no attempt has reached for `disable_after` is disabled with its next dead letter.
#[test]
fn an_endpoint_that_fails_for_long_is_disabled() {
    let upstream = Upstream::start(serve(users(3)));
    let (directory, receiver) = (Directory::new(), Receiver::start());
    let gateway = start(&upstream, &directory, &receiver, "attempts = 3\ndisable_after = \"1s\"");
    let endpoint = active(&gateway, &[ONE], &receiver.url("/"), &["export.completed"]);
    let told = active(&gateway, &[ONE], &receiver.url("/told"), &["endpoint.disabled"]);
    let stranger = active(&gateway, &[TWO], &receiver.url("/stranger"), &["endpoint.disabled"]);
    receiver.answer(|received, exchange| match received.request.target.as_str() {
        "/" => exchange.reply("503 Service Unavailable", &[], b"not now"),
        _ => exchange.reply("200 OK", &[], b""),
    });
    // Each export makes a dead letter. One of them is a second after the first failed attempt.
    export(&gateway, &[ONE]);
    let document = eventually("the endpoint is disabled", || {
        let all = deliveries(&gateway, &endpoint.path, &[ONE]);
        if !all.is_empty() && all.iter().all(|one| one["state"] == "dead") {
            export(&gateway, &[ONE]);
        }
        let document = get(&gateway, &endpoint.path, &[ONE]);
        (document["state"] == "disabled").then_some(document)
    });
    assert_eq!(document["disabledBy"], "failures");
    let is_counted = || metric(&gateway, "cursorgate_webhook_endpoints_disabled_total") == 1;
    eventually("the endpoint is counted", || is_counted().then_some(()));
    let payload = delivery(&gateway, &told.path, &[ONE], "delivered")["payload"].clone();
    assert_eq!(faults(&schema(&gateway, "endpoint.disabled"), &payload), Vec::<String>::new(), "{payload}");
    let facts = ["endpoint", "host", "disabledBy", "disabledAt"].map(|name| payload["data"][name].clone());
    let expected = [&document["id"], &json!("127.0.0.1"), &json!("failures"), &document["disabledAt"]];
    assert_eq!(facts.each_ref(), expected, "{payload}");
    assert!(payload["data"]["failingSince"].as_str() < document["disabledAt"].as_str(), "{payload}");
    assert_eq!(deliveries(&gateway, &stranger.path, &[TWO]), Vec::<Value>::new());
    receiver.echo();
    let enabled = ask(&gateway, "PATCH", &endpoint.path, &[ONE], &json!({ "enabled": true }));
    let facts = ["state", "disabledBy", "disabledAt"].map(|name| enabled.json()[name].clone());
    assert_eq!(facts, [json!("active"), Value::Null, Value::Null]);
    export(&gateway, &[ONE]);
    delivery(&gateway, &endpoint.path, &[ONE], "delivered");
}
