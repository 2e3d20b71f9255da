//! The queue of deliveries of events to endpoints.
//!
//! A process claims a delivery for slightly longer than an attempt may take. If the process ends, the delivery is due
//! again after that time. So every delivery is attempted at least once, and a receiver can get it twice. Claims are
//! counted, so a process that was suspended until after its claim can't change the delivery.

use std::{collections::BTreeSet, time::Duration};

use serde::Serialize;

use super::{Subscribers, WebhookTables};
use crate::{
    database::{DatabaseFault, count, limit, natural, whole},
    id::new_id,
    sql::{Row, SqlValue, places, values},
    webhooks::{
        endpoint::{Endpoint, EndpointState},
        event::{Audience, Event},
        send::AttemptRecord,
    },
};
use cursorgate_config::settings::EndpointPace;

/// The largest number of deliveries that a query returns. Older deliveries are found with `before`.
pub(in crate::webhooks) const MOST_LISTED: usize = 100;

/// The largest number of a delivery's attempts whose records are kept, including the attempts after redeliveries. Older
/// records are removed.
const MOST_ATTEMPTS: i64 = 40;

/// The fault of a delivery that an endpoint didn't get because it was disabled.
pub(in crate::webhooks) const DISABLED: &str = "endpoint_disabled";

/// The largest number of deliveries that are removed at a time for each bound, and by one statement.
const MOST_REMOVED: usize = 10_000;
const AT_ONCE: usize = 500;

/// The fault of a delivery for which the queue had no room.
const FULL: &str = "queue_full";

/// The part of `keep_deliveries` that deliveries to one disabled endpoint can have: a tenth. Test:
/// `a_disabled_endpoint_keeps_a_share_of_the_dead_letters`.
const SHARE: usize = 10;

/// The columns that [`read`] needs, of a delivery and its event.
pub(super) const COLUMNS: &str =
    "deliveries.id, deliveries.endpoint, event, kind, deliveries.state, attempts, not_before,
    deliveries.created, finished, fault, payload";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::webhooks) enum DeliveryState {
    /// The delivery waits for an attempt, or an attempt is running.
    Queued,
    Delivered,
    /// The delivery is a dead letter: its last attempt has failed, or no attempt could be made.
    Dead,
}

impl DeliveryState {
    /// Returns the word for the state in documents and in the store.
    pub(in crate::webhooks) fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// Returns the state with this word; `None` if the word is unknown.
    pub(in crate::webhooks) fn of(word: &str) -> Option<Self> {
        [Self::Queued, Self::Delivered, Self::Dead].into_iter().find(|state| state.word() == word)
    }
}

/// The data of a delivery that the endpoint's client can read.
#[derive(Clone, Debug)]
pub(in crate::webhooks) struct Delivery {
    pub(in crate::webhooks) id: String,
    /// The id of the event, which is the delivery's `webhook-id`.
    pub(in crate::webhooks) event: String,
    pub(in crate::webhooks) kind: String,
    pub(in crate::webhooks) state: DeliveryState,
    /// The number of attempts since the event, or since the delivery was last queued again.
    pub(in crate::webhooks) attempts: u32,
    /// The time of the next attempt, in milliseconds since 1970; meaningless for a finished delivery.
    pub(in crate::webhooks) not_before: u64,
    /// The time at which the delivery was queued, in seconds since 1970.
    pub(in crate::webhooks) created: u64,
    pub(in crate::webhooks) finished: Option<u64>,
    pub(in crate::webhooks) fault: Option<String>,
    pub(in crate::webhooks) payload: String,
}

/// A delivery that this process has claimed.
#[derive(Clone, Debug)]
pub(in crate::webhooks) struct Claimed {
    pub(in crate::webhooks) id: String,
    pub(in crate::webhooks) endpoint: String,
    pub(in crate::webhooks) event: String,
    pub(in crate::webhooks) payload: String,
    /// The number of attempts before this one.
    pub(in crate::webhooks) attempts: u32,
    /// The number of this claim. A later claim, or the end of the delivery, invalidates the claim.
    pub(in crate::webhooks) claim: i64,
}

/// The next step of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::webhooks) enum NextStep {
    Delivered,
    /// The delivery waits for this time.
    Again(Duration),
    Dead,
}

/// What a turn of an endpoint is for. Each has a rate limit of its own. Test: `each_kind_of_turn_has_a_limit_of_its_own`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::webhooks) enum TurnKind {
    Delivery,
    Verification,
    Trial,
}

impl TurnKind {
    /// Returns the column of the time at which a whole second's turns are permitted again.
    fn column(self) -> &'static str {
        match self {
            Self::Delivery => "whole_at",
            Self::Verification => "challenged_at",
            Self::Trial => "tested_at",
        }
    }
}

#[derive(Clone, Debug)]
pub(in crate::webhooks) struct EndedAttempt {
    pub(in crate::webhooks) next: NextStep,
    pub(in crate::webhooks) record: AttemptRecord,
}

/// The numbers of deliveries that resulted from an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::webhooks) struct Raised {
    /// The number of deliveries that wait for an attempt.
    pub(in crate::webhooks) queued: usize,
    /// The number of deliveries that became dead letters at once, because the queue is full.
    pub(in crate::webhooks) dead: usize,
    /// The number of deliveries that are kept for an endpoint that is disabled, as dead letters without an attempt.
    pub(in crate::webhooks) kept: usize,
}

/// The bounds of the finished deliveries that the store keeps.
#[derive(Clone, Copy, Debug)]
pub(in crate::webhooks) struct QueueBounds {
    /// The time for which a finished delivery is kept, in seconds.
    pub(in crate::webhooks) keep: u64,
    /// The largest number of deliveries that have arrived, and of dead letters, that are kept. Older ones are removed.
    pub(in crate::webhooks) deliveries: usize,
}

impl WebhookTables<'_> {
    /// Queues a delivery for each endpoint that gets the event, unless a waiting delivery takes the event instead
    /// (`renew`). An endpoint that already has a delivery of this event doesn't get a second delivery. `queue` is the
    /// largest number of waiting deliveries. When it is reached, or that of the endpoint, new deliveries become dead
    /// letters at once. For an endpoint that is disabled, the delivery is kept as a dead letter, so that the client can
    /// recover it. `now` is in seconds since 1970.
    pub(in crate::webhooks) fn raise(
        &mut self,
        event: &Event,
        subscribers: &Subscribers,
        queue: usize,
        now: u64,
    ) -> Result<Raised, DatabaseFault> {
        let mut raised = Raised::default();
        let receivers = self.receivers(event, subscribers, now)?;
        if receivers.is_empty() {
            return Ok(raised);
        }
        self.add_event(event)?;
        let mut waiting = self.waiting()?;
        for endpoint in receivers {
            if endpoint.state == EndpointState::Disabled {
                raised.kept += self.keep(&endpoint.id, event, now)?;
                continue;
            }
            if self.renew(&endpoint.id, event, now)? {
                continue;
            }
            // Deliveries to an endpoint that fails wait for a day or more, and must not take the place of others.
            // Test: `an_endpoint_that_fails_leaves_room_in_the_queue`.
            let is_full = waiting >= queue || self.waiting_for(&endpoint.id)? >= subscribers.most_waiting;
            let (added, _) = self.add_delivery(&endpoint.id, &event.id, is_full.then_some(FULL), now)?;
            match (added, is_full) {
                // The delivery exists already, because a process ended before it recorded that the event was raised.
                // Test: `an_event_is_raised_once_if_its_process_ends_around_it`.
                (0, _) => {}
                (_, true) => raised.dead += 1,
                (_, false) => (raised.queued, waiting) = (raised.queued + 1, waiting + 1),
            }
        }
        Ok(raised)
    }

    /// Queues a delivery of an event for one endpoint, whatever events the endpoint asks for. Returns the id of the
    /// delivery. `queue` is the largest number of waiting deliveries. `now` is in seconds since 1970.
    pub(in crate::webhooks) fn raise_for(
        &mut self,
        endpoint: &str,
        event: &Event,
        queue: usize,
        now: u64,
    ) -> Result<String, DatabaseFault> {
        self.add_event(event)?;
        let is_full = self.waiting()? >= queue;
        Ok(self.add_delivery(endpoint, &event.id, is_full.then_some(FULL), now)?.1)
    }

    fn add_event(&mut self, event: &Event) -> Result<(), DatabaseFault> {
        self.transaction.execute(
            "INSERT INTO events (id, kind, created, payload, subject) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO NOTHING",
            values![&event.id, &event.kind, whole(event.created), &event.payload, &event.subject],
        )?;
        Ok(())
    }

    /// Adds a delivery of an event; a dead letter if there is a `fault`. Returns the number of deliveries that were
    /// added, which is 0 if there is one already, and the new id.
    fn add_delivery(
        &mut self,
        endpoint: &str,
        event: &str,
        fault: Option<&str>,
        now: u64,
    ) -> Result<(usize, String), DatabaseFault> {
        let Some(id) = new_id() else { return Err(DatabaseFault::Task) };
        let added = self.transaction.execute(
            "INSERT INTO deliveries (id, endpoint, event, state, not_before, created, finished, fault)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            values![
                &id,
                endpoint,
                event,
                if fault.is_some() { DeliveryState::Dead } else { DeliveryState::Queued }.word(),
                whole(now.saturating_mul(1_000)),
                whole(now),
                fault.map(|_| whole(now)),
                fault,
            ],
        )?;
        Ok((added, id))
    }

    /// Returns whether at least one endpoint would get the event. `now` is in seconds since 1970.
    pub(in crate::webhooks) fn has_receiver(
        &mut self,
        event: &Event,
        subscribers: &Subscribers,
        now: u64,
    ) -> Result<bool, DatabaseFault> {
        Ok(!self.receivers(event, subscribers, now)?.is_empty())
    }

    fn receivers(
        &mut self,
        event: &Event,
        subscribers: &Subscribers,
        now: u64,
    ) -> Result<Vec<Endpoint>, DatabaseFault> {
        let mut receivers = Vec::new();
        for endpoint in &subscribers.operators {
            self.configure(endpoint, now)?;
            receivers.extend(self.endpoint(&endpoint.id)?);
        }
        // A reload might have removed the type from the types permitted to clients, although clients' endpoints still
        // name it. So clients get only the permitted types.
        // Test: `an_event_is_for_the_endpoints_of_its_client_and_of_the_operator`.
        if subscribers.of_clients.contains(&event.kind) {
            receivers.extend(match &event.audience {
                Audience::Client(owners) => self.of_client(owners)?,
                Audience::Subject(subjects) => self.of_subject(subjects)?,
                Audience::All => self.of_clients()?,
            });
        }
        receivers.retain(|endpoint| {
            let is_receiver = match endpoint.state {
                EndpointState::Active => true,
                // An endpoint that was never verified might belong to somebody else, so nothing is kept for it.
                EndpointState::Disabled => endpoint.is_verified,
                EndpointState::Unverified => false,
            };
            is_receiver && endpoint.events.contains(&event.kind)
        });
        if receivers.iter().any(|endpoint| !endpoint.filter.is_empty()) {
            let body = serde_json::from_str(&event.payload)?;
            receivers.retain(|endpoint| endpoint.filter.permits(&body));
        }
        Ok(receivers)
    }

    /// Replaces the event of a waiting delivery with a newer event about the same subject. Returns `false` if no
    /// delivery about this subject waits. A delivery that is being attempted keeps its event, because the receiver
    /// might have read the list before the newer change. Test: `a_delivery_under_way_keeps_its_event`.
    fn renew(&mut self, endpoint: &str, event: &Event, now: u64) -> Result<bool, DatabaseFault> {
        let Some(subject) = &event.subject else { return Ok(false) };
        let renewed = self.transaction.execute(
            "UPDATE deliveries SET event = ?1
             WHERE endpoint = ?2 AND state = 'queued' AND held_until <= ?3 AND id =
                 (SELECT deliveries.id FROM deliveries JOIN events ON events.id = event
                  WHERE endpoint = ?2 AND deliveries.state = 'queued' AND held_until <= ?3 AND subject = ?4 LIMIT 1)",
            values![&event.id, endpoint, whole(now.saturating_mul(1_000)), subject],
        )?;
        // The earlier event might not have a delivery any more, so it is removed.
        // Test: `a_delivery_under_way_keeps_its_event`.
        self.remove_earlier(event)?;
        Ok(renewed > 0)
    }

    /// Keeps a delivery to a disabled endpoint, in place of one of an earlier event about the same subject. Returns the
    /// number of deliveries that were added.
    fn keep(&mut self, endpoint: &str, event: &Event, now: u64) -> Result<usize, DatabaseFault> {
        // The time of the delivery becomes that of the newer event, by which the client recovers it.
        // Test: `events_for_a_disabled_endpoint_are_kept_until_it_recovers_them`.
        if let Some(subject) = &event.subject {
            let statement =
                "DELETE FROM deliveries WHERE endpoint = ?1 AND state = 'dead' AND fault = ?2 AND event <> ?4
                 AND event IN (SELECT id FROM events WHERE subject = ?3)
                 AND id NOT IN (SELECT delivery FROM attempts)";
            self.transaction.execute(statement, values![endpoint, DISABLED, subject, &event.id])?;
        }
        let (added, _) = self.add_delivery(endpoint, &event.id, Some(DISABLED), now)?;
        self.remove_earlier(event)?;
        Ok(added)
    }

    /// Removes events about the same subject that have no delivery any more.
    fn remove_earlier(&mut self, event: &Event) -> Result<(), DatabaseFault> {
        let statement =
            "DELETE FROM events WHERE subject = ?1 AND id <> ?2 AND id NOT IN (SELECT event FROM deliveries)";
        self.transaction.execute(statement, values![&event.subject, &event.id])?;
        Ok(())
    }

    /// Returns the number of deliveries that wait or are being attempted.
    pub(in crate::webhooks) fn waiting(&mut self) -> Result<usize, DatabaseFault> {
        let query = "SELECT count(*) FROM deliveries WHERE state = 'queued'";
        Ok(count(self.transaction.cell(query, &[])?.unwrap_or(0)))
    }

    /// Returns the number of deliveries to an endpoint that wait or are being attempted.
    fn waiting_for(&mut self, endpoint: &str) -> Result<usize, DatabaseFault> {
        let query = "SELECT count(*) FROM deliveries WHERE endpoint = ?1 AND state = 'queued'";
        Ok(count(self.transaction.cell(query, values![endpoint])?.unwrap_or(0)))
    }

    /// Returns the ids of the endpoints that have a delivery which is due. At a disabled endpoint, a delivery is due as
    /// soon as no attempt is under way. `now` is in milliseconds since 1970.
    pub(in crate::webhooks) fn due(&mut self, now: u64) -> Result<Vec<String>, DatabaseFault> {
        let query = "SELECT DISTINCT endpoint FROM deliveries WHERE state = 'queued' AND (not_before <= ?1
             OR held_until <= ?1 AND endpoint IN (SELECT id FROM endpoints WHERE state = 'disabled'))
             ORDER BY endpoint";
        let rows = self.transaction.rows(query, values![whole(now)])?;
        rows.into_iter().map(|mut row| row.take("endpoint")).collect()
    }

    /// Claims deliveries to an endpoint that are due: as many as its rate limit permits, but at most `room`. The
    /// deliveries that have waited longest come first. The claims last until `until`. Times are in milliseconds since
    /// 1970.
    pub(in crate::webhooks) fn claim(
        &mut self,
        endpoint: &str,
        pace: EndpointPace,
        room: usize,
        now: u64,
        until: u64,
    ) -> Result<Vec<Claimed>, DatabaseFault> {
        // Attempts of all processes count, because the limit protects the endpoint.
        // Test: `an_endpoint_is_attempted_at_its_pace`.
        let query = "SELECT count(*) FROM deliveries WHERE endpoint = ?1 AND state = 'queued' AND held_until > ?2";
        let held = count(self.transaction.cell(query, values![endpoint, whole(now)])?.unwrap_or(0));
        let room = room.min(usize::try_from(pace.at_once).unwrap_or(usize::MAX).saturating_sub(held));
        let query = "SELECT deliveries.id, event, attempts, claim, payload
             FROM deliveries JOIN events ON events.id = event
             WHERE endpoint = ?1 AND deliveries.state = 'queued' AND not_before <= ?2
             ORDER BY not_before, deliveries.rowid LIMIT ?3";
        let claimed = |mut row: Row| {
            Ok::<_, DatabaseFault>(Claimed {
                id: row.take("id")?,
                endpoint: endpoint.to_owned(),
                event: row.take("event")?,
                payload: row.take("payload")?,
                attempts: row.take("attempts")?,
                claim: row.take::<i64>("claim")? + 1,
            })
        };
        let rows = self.transaction.rows(query, values![endpoint, whole(now), limit(room)])?;
        let mut claimed: Vec<Claimed> = rows.into_iter().map(claimed).collect::<Result<_, _>>()?;
        let turns = self.take_turns(endpoint, TurnKind::Delivery, pace, claimed.len(), now)?;
        claimed.truncate(turns);
        if !claimed.is_empty() {
            // If the process ends, the delivery is due again when the claim expires.
            // Test: `an_event_whose_process_is_killed_at_its_delivery_arrives`.
            let statement = format!(
                "UPDATE deliveries SET claim = claim + 1, not_before = ?1, held_until = ?1 WHERE id IN ({})",
                places(2, claimed.len())
            );
            let ids = claimed.iter().map(|claimed| SqlValue::from(&claimed.id));
            let parameters: Vec<_> = std::iter::once(whole(until).into()).chain(ids).collect();
            self.transaction.execute(&statement, &parameters)?;
        }
        Ok(claimed)
    }

    /// Takes up to `wanted` turns from the endpoint's rate limit, and returns how many the limit permits at `now`, in
    /// milliseconds since 1970. Example with 5 per second: after a second without deliveries, 5 turns are permitted at
    /// once, and then another one every 200 ms. The state of the limit is the time at which a whole second's turns are
    /// permitted again.
    pub(in crate::webhooks) fn take_turns(
        &mut self,
        endpoint: &str,
        kind: TurnKind,
        pace: EndpointPace,
        wanted: usize,
        now: u64,
    ) -> Result<usize, DatabaseFault> {
        let column = kind.column();
        let query = format!("SELECT {column} FROM endpoints WHERE id = ?1");
        let whole_at = self.transaction.cell(&query, values![endpoint])?;
        // A time more than a second ahead was stored before the clock was set back, so it counts as a second ahead.
        // Test: `a_clock_that_is_set_back_holds_up_an_endpoint_for_a_second_at_most`.
        let latest = now.saturating_add(1_000);
        let whole_at = natural(whole_at.unwrap_or(0)).clamp(now, latest);
        // The configuration permits 1 to 1,000 per second, so the clamp doesn't change the number.
        let per_second = u64::from(pace.per_second.clamp(1, 1_000));
        let free = (latest - whole_at) * per_second / 1_000;
        let turns = wanted.min(usize::try_from(free).unwrap_or(usize::MAX));
        // The time is rounded up once for all turns together, so fractions of milliseconds never add up to exceed the
        // limit. Test: `a_pace_is_kept_whose_interval_is_no_whole_number_of_milliseconds`.
        let taken = u64::try_from(turns).unwrap_or(u64::MAX).saturating_mul(1_000).div_ceil(per_second);
        let statement = format!("UPDATE endpoints SET {column} = ?2 WHERE id = ?1");
        self.transaction.execute(&statement, values![endpoint, whole(whole_at.saturating_add(taken))])?;
        Ok(turns)
    }

    /// Stores the end of an attempt. Returns `false` if another process has claimed the delivery in the meantime, the
    /// delivery has ended, or the end is stored already. `now` is in milliseconds since 1970.
    pub(in crate::webhooks) fn end(
        &mut self,
        claimed: &Claimed,
        ended: &EndedAttempt,
        now: u64,
    ) -> Result<bool, DatabaseFault> {
        let (state, not_before) = match ended.next {
            NextStep::Delivered => (DeliveryState::Delivered, 0),
            NextStep::Again(wait) => {
                let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                (DeliveryState::Queued, now.saturating_add(wait))
            }
            NextStep::Dead => (DeliveryState::Dead, 0),
        };
        let changed = self.transaction.execute(
            "UPDATE deliveries SET state = ?3, attempts = attempts + 1, not_before = ?4, held_until = 0,
                 finished = ?5, fault = ?6
             WHERE id = ?1 AND claim = ?2 AND state = 'queued' AND held_until > 0",
            values![
                &claimed.id,
                claimed.claim,
                state.word(),
                whole(not_before),
                (state != DeliveryState::Queued).then(|| whole(now / 1_000)),
                &ended.record.fault,
            ],
        )?;
        // The record is stored in any case, because the attempt was made even if another process has claimed the
        // delivery. Test: `a_process_that_has_lost_a_delivery_changes_nothing`.
        let record = serde_json::to_string(&ended.record)?;
        let statement = "INSERT INTO attempts (delivery, number, record)
             SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE delivery = deliveries.id), ?2
             FROM deliveries WHERE id = ?1";
        self.transaction.execute(statement, values![&claimed.id, &record])?;
        let statement = "DELETE FROM attempts WHERE delivery = ?1
             AND number <= (SELECT max(number) FROM attempts WHERE delivery = ?1) - ?2";
        self.transaction.execute(statement, values![&claimed.id, MOST_ATTEMPTS])?;
        Ok(changed == 1)
    }

    /// Turns all waiting deliveries to an endpoint into dead letters, except those of which an attempt is under way: the
    /// receiver may get them. Returns the number of dead letters. `now` is in milliseconds since 1970. Test:
    /// `an_attempt_under_way_outlives_the_end_of_its_endpoint`.
    pub(in crate::webhooks) fn bury(&mut self, endpoint: &str, fault: &str, now: u64) -> Result<usize, DatabaseFault> {
        let statement =
            "UPDATE deliveries SET state = 'dead', finished = ?2, fault = ?3, claim = claim + 1, held_until = 0
             WHERE endpoint = ?1 AND state = 'queued' AND held_until <= ?4";
        self.transaction.execute(statement, values![endpoint, whole(now / 1_000), fault, whole(now)])
    }

    /// Returns the delivery `id` to an endpoint; `None` if there is no such delivery.
    pub(in crate::webhooks) fn delivery(
        &mut self,
        endpoint: &str,
        id: &str,
    ) -> Result<Option<Delivery>, DatabaseFault> {
        let query = format!(
            "SELECT {COLUMNS} FROM deliveries JOIN events ON events.id = event
             WHERE deliveries.endpoint = ?1 AND deliveries.id = ?2"
        );
        self.transaction.row(&query, values![endpoint, id])?.map(|mut row| read(&mut row)).transpose()
    }

    /// Returns the records of the attempts at a delivery, the oldest first.
    pub(in crate::webhooks) fn attempts(&mut self, id: &str) -> Result<Vec<AttemptRecord>, DatabaseFault> {
        let query = "SELECT record FROM attempts WHERE delivery = ?1 ORDER BY number";
        let rows = self.transaction.rows(query, values![id])?;
        rows.into_iter().map(|mut row| Ok(serde_json::from_str(&row.take::<String>("record")?)?)).collect()
    }

    /// Returns up to [`MOST_LISTED`] deliveries to an endpoint, the newest first. With `state`, only deliveries in this
    /// state are returned. With `before`, only deliveries older than the delivery with this id are returned.
    pub(in crate::webhooks) fn deliveries(
        &mut self,
        endpoint: &str,
        state: Option<DeliveryState>,
        before: Option<&str>,
    ) -> Result<Vec<Delivery>, DatabaseFault> {
        let query = format!(
            "SELECT {COLUMNS} FROM deliveries JOIN events ON events.id = event
             WHERE deliveries.endpoint = ?1 AND (?2 IS NULL OR deliveries.state = ?2)
                 AND (?3 IS NULL OR deliveries.rowid < (SELECT rowid FROM deliveries WHERE id = ?3))
             ORDER BY deliveries.rowid DESC LIMIT {MOST_LISTED}"
        );
        let rows = self.transaction.rows(&query, values![endpoint, state.map(DeliveryState::word), before])?;
        rows.into_iter().map(|mut row| read(&mut row)).collect()
    }

    /// Queues a finished delivery again, or ends the wait of one that waits for another attempt. It keeps its
    /// `webhook-id`. `now` is in milliseconds since 1970.
    pub(in crate::webhooks) fn redeliver(&mut self, id: &str, now: u64) -> Result<(), DatabaseFault> {
        // The attempts are counted from 0 again. Otherwise one failure would make the delivery a dead letter. The
        // records of earlier attempts stay. Test: `a_dead_letter_is_delivered_again_under_its_id`.
        let statement = "UPDATE deliveries SET state = 'queued', attempts = 0, not_before = ?2, finished = NULL
             WHERE id = ?1 AND held_until <= ?2";
        self.transaction.execute(statement, values![id, whole(now)])?;
        Ok(())
    }

    /// Removes finished deliveries that exceed the bounds, and events without a delivery. A delivery that has been due
    /// for the time of `keep` becomes a dead letter, for example because no process has its endpoint in the
    /// configuration. Returns the number of these dead letters. `now` is in seconds since 1970.
    pub(in crate::webhooks) fn clean(&mut self, bounds: QueueBounds, now: u64) -> Result<usize, DatabaseFault> {
        let statement = "UPDATE deliveries SET state = 'dead', finished = ?1, fault = 'expired', claim = claim + 1
             WHERE state = 'queued' AND not_before <= ?2";
        let oldest = now.saturating_sub(bounds.keep);
        let expired = self.transaction.execute(statement, values![whole(now), whole(oldest.saturating_mul(1_000))])?;
        let surplus: Vec<String> = self.surplus(bounds, oldest)?.into_iter().collect();
        for part in surplus.chunks(AT_ONCE) {
            let (ids, places) = (part.iter().map(SqlValue::from).collect::<Vec<_>>(), places(1, part.len()));
            self.transaction.execute(&format!("DELETE FROM attempts WHERE delivery IN ({places})"), &ids)?;
            self.transaction.execute(&format!("DELETE FROM deliveries WHERE id IN ({places})"), &ids)?;
        }
        if !surplus.is_empty() {
            self.remove_lone_events()?;
        }
        Ok(expired)
    }

    /// Returns the ids of finished deliveries that exceed the bounds, or ended before `oldest`, in seconds since 1970: up
    /// to [`MOST_REMOVED`] for each bound.
    fn surplus(&mut self, bounds: QueueBounds, oldest: u64) -> Result<BTreeSet<String>, DatabaseFault> {
        let mut found = BTreeSet::new();
        let mut add = |rows: Vec<Row>| {
            for mut row in rows {
                found.insert(row.take("id")?);
            }
            Ok::<_, DatabaseFault>(())
        };
        let query = format!("SELECT id FROM deliveries WHERE finished <= ?1 LIMIT {MOST_REMOVED}");
        add(self.transaction.rows(&query, values![whole(oldest)])?)?;
        // Dead letters have room of their own, because many deliveries that arrive must not push them out. Test:
        // `finished_deliveries_are_kept_for_a_time_and_up_to_a_number`.
        let query = format!(
            "SELECT id FROM deliveries WHERE state = ?1 AND finished IS NOT NULL
             ORDER BY finished DESC, rowid DESC LIMIT {MOST_REMOVED} OFFSET ?2"
        );
        for state in [DeliveryState::Delivered, DeliveryState::Dead] {
            add(self.transaction.rows(&query, values![state.word(), limit(bounds.deliveries)])?)?;
        }
        // Test: `a_disabled_endpoint_keeps_a_share_of_the_dead_letters`.
        let share = limit((bounds.deliveries / SHARE).max(1));
        let query = "SELECT endpoint FROM deliveries WHERE finished IS NOT NULL AND state = 'dead' AND fault = ?1
             GROUP BY endpoint HAVING count(*) > ?2";
        let full = self.transaction.rows(query, values![DISABLED, share])?;
        let query = format!(
            "SELECT id FROM deliveries WHERE endpoint = ?1 AND finished IS NOT NULL AND state = 'dead' AND fault = ?2
             ORDER BY finished DESC, rowid DESC LIMIT {MOST_REMOVED} OFFSET ?3"
        );
        for mut row in full {
            add(self.transaction.rows(&query, values![&row.take::<String>("endpoint")?, DISABLED, share])?)?;
        }
        Ok(found)
    }

    /// Removes the events that no delivery needs any more.
    pub(super) fn remove_lone_events(&mut self) -> Result<(), DatabaseFault> {
        self.transaction.execute("DELETE FROM events WHERE id NOT IN (SELECT event FROM deliveries)", &[])?;
        Ok(())
    }
}

pub(super) fn read(row: &mut Row) -> Result<Delivery, DatabaseFault> {
    let state: String = row.take("state")?;
    Ok(Delivery {
        id: row.take("id")?,
        event: row.take("event")?,
        kind: row.take("kind")?,
        // The fallback is never used, because the table permits only the words of states.
        state: DeliveryState::of(&state).unwrap_or(DeliveryState::Dead),
        attempts: row.take("attempts")?,
        not_before: natural(row.take("not_before")?),
        created: natural(row.take("created")?),
        finished: row.take::<Option<i64>>("finished")?.map(natural),
        fault: row.take("fault")?,
        payload: row.take("payload")?,
    })
}
