//! Tests of the store of webhooks in temporary directories.

use std::{path::PathBuf, time::Duration};

use super::*;
use crate::webhooks::{
    event::{Audience, Event},
    send::AttemptRecord,
};
use cursorgate_config::settings::{EndpointPace, EventType};

/// A store in a temporary directory for one test, which is removed at the end of the test.
struct OwnStore(WebhookStore, PathBuf);

impl Drop for OwnStore {
    fn drop(&mut self) {
        // If this fails, the directory stays among the temporary files, which does no harm.
        let _ = std::fs::remove_dir_all(&self.1);
    }
}

fn store(name: &str) -> OwnStore {
    let directory = std::env::temp_dir().join(format!("cursorgate-webhooks-{}-{name}", std::process::id()));
    OwnStore(WebhookStore::open(&directory).unwrap(), directory)
}

fn subscribers(mark: &str) -> Subscribers {
    let events = vec!["export.failed".to_owned()];
    let operators = vec![OperatorsEndpoint {
        id: "config:a".to_owned(),
        mark: mark.to_owned(),
        events: events.clone(),
        filter: EndpointFilter::default(),
    }];
    Subscribers { operators, of_clients: events, most_waiting: 99 }
}

fn event(cause: &str) -> Event {
    Event::new(EventType::ExportFailed, cause, 1, Audience::Client(vec!["one".to_owned()]), &())
}

fn endpoint(id: &str, owner: &str, state: EndpointState) -> Endpoint {
    Endpoint {
        id: id.to_owned(),
        owner: Some(owner.to_owned()),
        subject: None,
        state,
        is_verified: state == EndpointState::Active,
        disabled_by: None,
        disabled_at: None,
        events: vec!["export.failed".to_owned()],
        filter: EndpointFilter::default(),
        created: 1,
        sealed: b"sealed".to_vec(),
    }
}

fn client(owner: &str) -> RegisteringClient {
    RegisteringClient { names: vec![owner.to_owned()], network: None }
}

fn limits(per_client: usize, all: usize) -> EndpointLimits {
    EndpointLimits { per_client, all }
}

fn ended(next: NextStep) -> EndedAttempt {
    let record = r#"{"at":"","durationMs":1,"request":{"method":"POST","headers":[]},"response":null,"error":"late"}"#;
    let record: AttemptRecord = serde_json::from_str(record).unwrap();
    EndedAttempt { next, record }
}

fn raised(queued: usize, dead: usize) -> Raised {
    Raised { queued, dead, kept: 0 }
}

const PACE: EndpointPace = EndpointPace { at_once: 3, per_second: 1_000 };

#[tokio::test]
async fn an_event_is_for_the_endpoints_of_its_client_and_of_the_operator() {
    let store = store("raise");
    store
        .0
        .call(|tables| {
            let one = ["one".to_owned()];
            for (id, owner, state) in [
                ("1", "one", EndpointState::Active),
                ("2", "one", EndpointState::Unverified),
                ("3", "two", EndpointState::Active),
            ] {
                let added = tables.register(&endpoint(id, owner, state), &client(owner), limits(10, 10), 1)?;
                assert_eq!(added, Registered::Added);
            }
            let led_to = tables.raise(&event("a"), &subscribers("x"), 10, 5)?;
            assert_eq!(led_to, raised(2, 0));
            assert_eq!(tables.due(5_000)?, ["1", "config:a"]);
            assert_eq!(tables.raise(&event("a"), &subscribers("x"), 10, 5)?, Raised::default(), "it was raised before");
            let everyone = Event { audience: Audience::All, ..event("b") };
            assert_eq!(tables.raise(&everyone, &subscribers("x"), 10, 5)?, raised(3, 0));
            let other = Event { kind: "export.completed".to_owned(), ..event("c") };
            assert_eq!(tables.raise(&other, &subscribers("x"), 10, 5)?, Raised::default());
            assert_eq!(tables.raise(&event("d"), &subscribers("x"), 6, 5)?, raised(1, 1), "a full queue");
            tables.disable("config:a", DisabledBy::Gone, 5)?;
            assert_eq!(tables.raise(&event("e"), &subscribers("x"), 99, 5)?, Raised { kept: 1, ..raised(1, 0) });
            assert_eq!(tables.raise(&event("f"), &subscribers("y"), 99, 5)?, raised(2, 0), "a new URL");
            let none = Subscribers { of_clients: Vec::new(), ..subscribers("y") };
            assert_eq!(tables.raise(&event("g"), &none, 99, 5)?, raised(1, 0), "clients have none");
            let further = endpoint("9", "one", EndpointState::Active);
            assert_eq!(tables.register(&further, &client("one"), limits(2, 10), 1)?, Registered::ClientIsFull);
            assert_eq!(tables.register(&further, &client("one"), limits(9, 3), 1)?, Registered::AllAreFull);
            tables.remove("1")?;
            assert_eq!(
                (tables.find("1", &one)?.is_none(), tables.due(5_000)?),
                (true, vec!["3".into(), "config:a".into()])
            );
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_endpoint_that_fails_leaves_room_in_the_queue() {
    let store = store("room");
    store
        .0
        .call(|tables| {
            let added = endpoint("1", "two", EndpointState::Active);
            tables.register(&added, &client("two"), limits(10, 10), 1)?;
            let bounded = Subscribers { most_waiting: 2, ..subscribers("x") };
            let led_to = ["a", "b", "c"].map(|cause| tables.raise(&event(cause), &bounded, 10, 5).unwrap());
            assert_eq!(led_to[1..], [raised(1, 0), raised(0, 1)]);
            let full = tables.deliveries("config:a", Some(DeliveryState::Dead), None)?;
            assert_eq!((full.len(), full[0].fault.as_deref()), (1, Some("queue_full")));
            let everyone = Event { audience: Audience::All, ..event("d") };
            assert_eq!(tables.raise(&everyone, &bounded, 10, 5)?, raised(1, 1), "others have room");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn events_for_a_disabled_endpoint_are_kept_until_it_recovers_them() {
    let store = store("kept");
    store
        .0
        .call(|tables| {
            let own = subscribers("x");
            tables.raise(&event("a"), &own, 10, 5)?;
            tables.transaction.execute("DELETE FROM deliveries", &[])?;
            tables.disable("config:a", DisabledBy::Failures, 5)?;
            for (cause, subject, now) in [("b", None, 10), ("c", Some("users"), 11), ("d", Some("users"), 20)] {
                let event = Event { subject: subject.map(str::to_owned), ..event(cause) };
                assert_eq!(tables.raise(&event, &own, 10, now)?, Raised { kept: 1, ..raised(0, 0) });
                assert_eq!(tables.raise(&event, &own, 10, now)?, raised(0, 0), "it is raised again");
            }
            assert_eq!(tables.due(99_000)?, Vec::<String>::new());
            let kept = tables.deliveries("config:a", None, None)?;
            let facts: Vec<_> = kept
                .iter()
                .map(|one| (one.event.clone(), one.state, one.attempts, one.created, one.fault.as_deref()))
                .collect();
            let dead = |cause: &str, at| (event(cause).id, DeliveryState::Dead, 0, at, Some("endpoint_disabled"));
            assert_eq!(facts, [dead("d", 20), dead("b", 10)], "the newer event of a subject is enough");
            let lone = tables.transaction.cell::<i64>("SELECT count(*) FROM events WHERE subject IS NOT NULL", &[])?;
            assert_eq!(lone, Some(1));
            let range = |since| Revival::Endpoint("config:a".to_owned(), TimeRange { since, until: 99 });
            assert_eq!(tables.revive(&range(1), 30_000)?, Revived::Inactive);
            tables.enable("config:a")?;
            assert_eq!(tables.revive(&range(12), 30_000)?, Revived::Queued(1));
            assert_eq!(tables.revive(&range(1), 30_000)?, Revived::Queued(1));
            assert_eq!(tables.due(30_000)?, ["config:a"]);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_endpoint_is_disabled_once() {
    let store = store("disabled");
    store
        .0
        .call(|tables| {
            tables.raise(&event("a"), &subscribers("x"), 10, 5)?;
            let mut disable = |by, now| tables.disable("config:a", by, now).unwrap();
            assert!(disable(DisabledBy::Gone, 6) && !disable(DisabledBy::Failures, 7));
            assert!(disable(DisabledBy::Operator, 8) && !disable(DisabledBy::Operator, 9));
            assert!(!disable(DisabledBy::Gone, 10), "an attempt that began before");
            let disabled = tables.endpoint("config:a")?.unwrap();
            assert_eq!((disabled.disabled_by, disabled.disabled_at), (Some(DisabledBy::Operator), Some(8)));
            tables.enable("config:a")?;
            assert_eq!(tables.endpoint("config:a")?.unwrap().disabled_at, None);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_disabled_endpoint_keeps_a_share_of_the_dead_letters() {
    let store = store("share");
    store
        .0
        .call(|tables| {
            let own = subscribers("x");
            tables.raise(&event("first"), &own, 10, 5)?;
            let claimed = tables.claim("config:a", PACE, 1, 5_000, 6_000)?.remove(0);
            tables.end(&claimed, &ended(NextStep::Dead), 5_000)?;
            tables.disable("config:a", DisabledBy::Client, 5)?;
            for (now, cause) in (10..).zip(["a", "b", "c", "d"]) {
                tables.raise(&event(cause), &own, 10, now)?;
            }
            tables.clean(QueueBounds { keep: 100, deliveries: 20 }, 14)?;
            let left = tables.deliveries("config:a", None, None)?;
            let events: Vec<&str> = left.iter().map(|one| one.event.as_str()).collect();
            assert_eq!(events, [event("d").id, event("c").id, event("first").id], "two, and what was attempted");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_attempt_under_way_outlives_the_end_of_its_endpoint() {
    let store = store("under-way");
    store
        .0
        .call(|tables| {
            for cause in ["sent", "waits"] {
                tables.raise(&event(cause), &subscribers("x"), 10, 1)?;
            }
            let sent = tables.claim("config:a", PACE, 1, 2_000, 9_000)?.remove(0);
            let waits = tables.claim("config:a", PACE, 1, 2_000, 9_000)?.remove(0);
            tables.end(&waits, &ended(NextStep::Again(Duration::from_secs(600))), 2_000)?;
            assert_eq!(tables.due(3_000)?, Vec::<String>::new());
            tables.disable("config:a", DisabledBy::Client, 3)?;
            assert_eq!(tables.due(3_000)?, ["config:a"], "a delivery doesn't wait at a disabled endpoint");
            assert_eq!(tables.bury("config:a", "endpoint_disabled", 3_000)?, 1);
            assert_eq!(tables.due(3_000)?, Vec::<String>::new(), "the other one has an attempt");
            tables.redeliver(&sent.id, 3_000)?;
            assert!(tables.end(&sent, &ended(NextStep::Delivered), 4_000)?, "the receiver has it");
            let states = [&sent.id, &waits.id].map(|id| tables.delivery("config:a", id).unwrap().unwrap().state);
            assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Dead]);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_process_that_has_lost_a_delivery_changes_nothing() {
    let store = store("lost");
    store
        .0
        .call(|tables| {
            tables.raise(&event("a"), &subscribers("x"), 10, 1)?;
            let first = tables.claim("config:a", PACE, 9, 2_000, 3_000)?.remove(0);
            assert!(tables.claim("config:a", PACE, 9, 2_999, 4_000)?.is_empty(), "another process has it");
            let second = tables.claim("config:a", PACE, 9, 3_000, 4_000)?.remove(0);
            assert!(!tables.end(&first, &ended(NextStep::Delivered), 3_000)?);
            assert!(tables.end(&second, &ended(NextStep::Again(Duration::from_secs(6))), 3_000)?);
            assert_eq!(tables.due(8_999)?, Vec::<String>::new());
            let third = tables.claim("config:a", PACE, 9, 9_000, 10_000)?.remove(0);
            assert_eq!(third.attempts, 1);
            assert!(tables.end(&third, &ended(NextStep::Dead), 9_000)?);
            let dead = tables.delivery("config:a", &third.id)?.unwrap();
            assert_eq!((dead.state, dead.attempts, dead.fault.as_deref()), (DeliveryState::Dead, 2, Some("late")));
            assert_eq!(tables.attempts(&third.id)?.len(), 3, "the attempt that was lost was made");
            tables.redeliver(&third.id, 20_000)?;
            let fourth = tables.claim("config:a", PACE, 9, 20_000, 21_000)?.remove(0);
            assert_eq!((fourth.attempts, &fourth.event), (0, &third.event));
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn an_endpoint_is_attempted_at_its_pace() {
    let store = store("pace");
    store
        .0
        .call(|tables| {
            for cause in ["a", "b", "c", "d", "e"] {
                tables.raise(&event(cause), &subscribers("x"), 10, 1)?;
            }
            let two = EndpointPace { at_once: 3, per_second: 2 };
            let claimed = |tables: &mut WebhookTables<'_>, pace, now| -> Result<usize, DatabaseFault> {
                Ok(tables.claim("config:a", pace, 9, now, now + 60_000)?.len())
            };
            assert_eq!(claimed(tables, two, 2_000)?, 2);
            assert_eq!((claimed(tables, two, 2_400)?, claimed(tables, two, 2_500)?), (0, 1));
            assert_eq!(claimed(tables, two, 9_000)?, 0, "three are under way");
            assert_eq!(claimed(tables, EndpointPace { at_once: 9, ..two }, 9_000)?, 2, "a rest saves up a second");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn each_kind_of_turn_has_a_limit_of_its_own() {
    let store = store("turns");
    store
        .0
        .call(|tables| {
            tables.raise(&event("a"), &subscribers("x"), 10, 1)?;
            let pace = EndpointPace { at_once: 1, per_second: 1 };
            let mut take = |kind, now| tables.take_turns("config:a", kind, pace, 1, now).unwrap();
            let kinds = [TurnKind::Verification, TurnKind::Trial, TurnKind::Delivery];
            assert_eq!(kinds.map(|kind| take(kind, 5_000)), [1, 1, 1]);
            assert_eq!(kinds.map(|kind| take(kind, 5_999)), [0, 0, 0]);
            assert_eq!(kinds.map(|kind| take(kind, 6_000)), [1, 1, 1]);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_up_an_endpoint_for_a_second_at_most() {
    let store = store("clock");
    store
        .0
        .call(|tables| {
            tables.raise(&event("a"), &subscribers("x"), 10, 1)?;
            let two = EndpointPace { at_once: 3, per_second: 2 };
            assert_eq!(tables.take_turns("config:a", TurnKind::Delivery, two, 9, 3_600_000)?, 2);
            let turns =
                [0, 499, 500, 1_000].map(|now| tables.take_turns("config:a", TurnKind::Delivery, two, 9, now).unwrap());
            assert_eq!(turns, [0, 0, 1, 1]);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_pace_is_kept_whose_interval_is_no_whole_number_of_milliseconds() {
    let store = store("odd");
    store
        .0
        .call(|tables| {
            for per_second in [3, 7, 400, 501, 750, 999, 1_000] {
                let pace = EndpointPace { at_once: 9, per_second };
                let most = usize::try_from(per_second).unwrap();
                tables.raise(&event("a"), &subscribers("x"), 10, 1)?;
                tables.transaction.execute("UPDATE endpoints SET whole_at = 0", &[])?;
                assert_eq!(
                    tables.take_turns("config:a", TurnKind::Delivery, pace, 9_999, 2_000)?,
                    most,
                    "{per_second}: at once"
                );
                let mut taken = 0;
                for now in 2_001..=3_000 {
                    taken += tables.take_turns("config:a", TurnKind::Delivery, pace, 9_999, now)?;
                }
                assert!((1..=most).contains(&taken), "{per_second}: {taken} in the next second");
            }
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn finished_deliveries_are_kept_for_a_time_and_up_to_a_number() {
    let store = store("clean");
    store
        .0
        .call(|tables| {
            for (at, cause) in ["a", "b", "c", "d"].into_iter().enumerate() {
                tables.raise(&event(cause), &subscribers("x"), 10, 1)?;
                let now = 10 + u64::try_from(at).unwrap_or(0);
                let claimed = tables.claim("config:a", PACE, 1, now * 1_000, now * 1_000 + 1)?.remove(0);
                tables.end(&claimed, &ended(NextStep::Delivered), now * 1_000)?;
            }
            tables.raise(&event("e"), &subscribers("x"), 10, 13)?;
            tables.raise(&event("f"), &subscribers("x"), 1, 13)?;
            let left = |tables: &mut WebhookTables<'_>| -> Result<(usize, i64, i64), DatabaseFault> {
                let count = |table: &str| tables.transaction.cell(&format!("SELECT count(*) FROM {table}"), &[]);
                let (events, attempts) = (count("events")?.unwrap(), count("attempts")?.unwrap());
                Ok((tables.deliveries("config:a", None, None)?.len(), events, attempts))
            };
            tables.clean(QueueBounds { keep: 100, deliveries: 3 }, 13)?;
            assert_eq!(left(tables)?, (5, 5, 3), "dead letters have room of their own");
            tables.clean(QueueBounds { keep: 1, deliveries: 3 }, 13)?;
            assert_eq!(left(tables)?, (3, 3, 1));
            assert_eq!(tables.clean(QueueBounds { keep: 5, deliveries: 3 }, 18)?, 1, "no process knows its endpoint");
            let dead = tables.deliveries("config:a", Some(DeliveryState::Dead), None)?;
            assert_eq!(dead[0].fault.as_deref(), Some("expired"));
            Ok(())
        })
        .await
        .unwrap();
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|&name| name.to_owned()).collect()
}

#[tokio::test]
async fn a_new_version_of_a_list_is_recorded_once_by_all_processes() {
    let store = store("versions");
    store
        .0
        .call(|tables| {
            let mut see = |of: &[&str], version, before| {
                tables.see(&SeenVersion { names: &names(of), version, before }, 10).unwrap()
            };
            assert!(!see(&["a"], "1", None), "the first version is not a change");
            assert!(!see(&["a"], "1", Some("0")), "another process has seen it");
            assert!(see(&["a"], "2", Some("1")) && !see(&["a"], "2", Some("1")));
            assert!(see(&["a"], "1", Some("2")), "a version that returns");
            assert!(see(&["b"], "1", Some("0")), "a page that was forgotten has a reader who remembers");
            assert!(!see(&["c", "a"], "1", None), "the name by the key before");
            assert!(see(&["c"], "3", None));
            tables.forget_windows(5, 14)?;
            assert!(tables.see(&SeenVersion { names: &names(&["c"]), version: "4", before: None }, 14)?);
            tables.forget_windows(5, 19)?;
            let forgotten = SeenVersion { names: &names(&["c"]), version: "5", before: None };
            assert!(!tables.see(&forgotten, 19)?);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_watch_is_polled_by_one_process_at_a_time() {
    let store = store("watches");
    store
        .0
        .call(|tables| {
            let own = names(&["a"]);
            assert_eq!(tables.claim_watch("top", &own, 10_000, 40_000, 310_000)?, None);
            assert_eq!(tables.claim_watch("top", &own, 20_000, 50_000, 320_000)?, Some(40_000), "by another process");
            assert!(!tables.see(&SeenVersion { names: &own, version: "1", before: None }, 20)?);
            tables.end_watch(&own, None, 0)?;
            assert_eq!(tables.claim_watch("top", &own, 40_000, 70_000, 340_000)?, None);
            tables.end_watch(&own, Some("credentials_refused"), 370_000)?;
            assert_eq!(tables.claim_watch("top", &own, 70_000, 100_000, 370_000)?, Some(370_000), "the longest wait");
            assert_eq!(tables.claim_watch("top", &own, 1_000, 31_000, 301_000)?, None, "a clock that was set back");
            assert!(tables.see(&SeenVersion { names: &own, version: "2", before: None }, 30)?);
            // The record of a watch is kept longer than the record of a live page.
            tables.forget_windows(5, 1_000)?;
            let watches = tables.watches()?;
            let facts: Vec<_> =
                watches.iter().map(|watch| (watch.watch.as_str(), watch.asked, watch.changed)).collect();
            assert_eq!(facts, [("top", 30, Some(30))]);
            assert_eq!(watches[0].fault.as_deref(), Some("credentials_refused"), "until it is read again");
            tables.end_watch(&own, None, 0)?;
            assert_eq!(tables.watches()?[0].fault, None);
            tables.forget_windows(5, 40 * 86_400)?;
            assert!(tables.watches()?.is_empty());
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_wait_longer_than_the_interval_applies_to_all_processes() {
    let store = store("waits");
    store
        .0
        .call(|tables| {
            let own = names(&["a"]);
            assert_eq!(tables.claim_watch("top", &own, 40_000, 70_000, 340_000)?, None);
            tables.end_watch(&own, Some("rate_limited"), 160_000)?;
            assert_eq!(tables.claim_watch("top", &own, 70_000, 100_000, 370_000)?, Some(160_000));
            assert_eq!(tables.claim_watch("top", &own, 159_999, 189_999, 459_999)?, Some(160_000));
            assert_eq!(tables.claim_watch("top", &own, 160_000, 190_000, 460_000)?, None);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn the_list_of_dead_letters_continues_after_a_removed_letter() {
    let store = store("letters");
    store
        .0
        .call(|tables| {
            for cause in ["a", "b", "c"] {
                tables.raise(&event(cause), &subscribers("x"), 10, 1)?;
            }
            tables.bury("config:a", "endpoint_disabled", 5)?;
            let letters = tables.dead_letters(None)?.unwrap();
            let ids: Vec<&str> = letters.iter().map(|letter| letter.delivery.id.as_str()).collect();
            let older = |tables: &mut WebhookTables<'_>, before: &str| -> Result<Option<Vec<String>>, DatabaseFault> {
                let found = tables.dead_letters(Some(before))?;
                Ok(found.map(|found| found.into_iter().map(|letter| letter.delivery.id).collect()))
            };
            assert_eq!((ids.len(), older(tables, ids[1])?), (3, Some(vec![ids[2].to_owned()])));
            assert_eq!(older(tables, ids[2])?, Some(Vec::new()), "the oldest one");
            tables.transaction.execute("DELETE FROM deliveries WHERE id = ?1", values![ids[1]])?;
            assert_eq!(older(tables, ids[1])?, None);
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_delivery_under_way_keeps_its_event() {
    let store = store("renewal");
    store
        .0
        .call(|tables| {
            let about = |cause: &str, subject: &str| event(cause).about(subject.to_owned());
            let own = subscribers("x");
            let waiting = |tables: &mut WebhookTables<'_>| -> Vec<(String, u32)> {
                let found = tables.deliveries("config:a", Some(DeliveryState::Queued), None).unwrap();
                found.into_iter().map(|delivery| (delivery.event, delivery.attempts)).collect()
            };
            let led_to = tables.raise(&about("a", "users"), &own, 10, 5)?;
            assert_eq!(led_to, raised(1, 0));
            assert_eq!(tables.raise(&about("b", "users"), &own, 10, 5)?, Raised::default(), "in place of it");
            assert_eq!(waiting(tables), [(event("b").id, 0)]);
            assert_eq!(tables.raise(&about("c", "orders"), &own, 10, 5)?.queued, 1, "another page");
            let claimed = tables.claim("config:a", PACE, 1, 6_000, 20_000)?;
            assert_eq!(claimed[0].event, event("b").id);
            assert_eq!(tables.raise(&about("d", "users"), &own, 10, 6)?.queued, 1, "the attempt may be before it");
            assert_eq!(waiting(tables).len(), 3);
            // After the failed attempt, two deliveries about one page wait. A newer event replaces the event of one of
            // them.
            tables.end(&claimed[0], &ended(NextStep::Again(Duration::from_secs(23))), 7_000)?;
            assert_eq!(tables.raise(&about("e", "users"), &own, 10, 21)?, Raised::default());
            let events: Vec<String> = waiting(tables).into_iter().map(|(event, _)| event).collect();
            assert!(events.contains(&event("e").id), "{events:?}");
            let lone = tables.transaction.cell::<i64>("SELECT count(*) FROM events", &[])?;
            assert_eq!(lone, Some(3), "events that no delivery has are gone");
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_database_of_the_version_before_reasons_has_them_afterwards() {
    let directory = std::env::temp_dir().join(format!("cursorgate-webhooks-{}-reasons", std::process::id()));
    let path = directory.join("webhooks.sqlite3");
    let earlier = Database::open(&path, &STEPS[..3]).unwrap();
    let insert = "INSERT INTO endpoints (id, state, verified, gone, events, created, mark)
         VALUES (?1, ?2, 1, ?3, '[]', 1, 'x')";
    let rows = [("a", "active", 0), ("b", "disabled", 0), ("c", "disabled", 1)];
    earlier
        .call(move |transaction| {
            for row in rows {
                transaction.execute(insert, row)?;
            }
            Ok(())
        })
        .await
        .unwrap();
    drop(earlier);
    let store = OwnStore(WebhookStore::open(&directory).unwrap(), directory);
    store
        .0
        .call(|tables| {
            let mut reason =
                |id| Ok::<_, DatabaseFault>(tables.endpoint(id)?.and_then(|endpoint| endpoint.disabled_by));
            let reasons = [reason("a")?, reason("b")?, reason("c")?];
            assert_eq!(reasons, [None, Some(DisabledBy::Client), Some(DisabledBy::Gone)]);
            assert_eq!(tables.note_attempt("a", false, 10)?, Some(10));
            assert_eq!(tables.note_attempt("a", false, 20)?, Some(10), "since the first failure");
            assert_eq!(tables.note_attempt("a", true, 30)?, None);
            assert_eq!(tables.note_attempt("a", false, 40)?, Some(40), "since the last success");
            assert_eq!(tables.holder()?.len(), 32);
            Ok(())
        })
        .await
        .unwrap();
}
