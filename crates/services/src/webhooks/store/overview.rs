//! Queries for all endpoints and all dead letters, for the operator's report.

use super::{
    COLUMNS, WebhookTables,
    queue::{self, Delivery, DeliveryState, MOST_LISTED},
};
use crate::{
    database::{DatabaseFault, count, whole},
    sql::{Row, values},
    webhooks::endpoint::{Endpoint, EndpointState},
};

/// The largest number of endpoints that the report lists. Further endpoints are left out.
const MOST_ENDPOINTS: usize = 1_000;

/// An endpoint with the numbers of its deliveries in each state.
#[derive(Clone, Debug)]
pub(in crate::webhooks) struct CountedEndpoint {
    pub(in crate::webhooks) endpoint: Endpoint,
    pub(in crate::webhooks) queued: usize,
    pub(in crate::webhooks) delivered: usize,
    pub(in crate::webhooks) dead: usize,
}

/// A dead letter with the id of its endpoint.
#[derive(Clone, Debug)]
pub(in crate::webhooks) struct DeadLetter {
    pub(in crate::webhooks) endpoint: String,
    pub(in crate::webhooks) delivery: Delivery,
}

/// The selection of dead letters that are to be sent again.
#[derive(Clone, Debug)]
pub(in crate::webhooks) enum Revival {
    /// A dead letter, by its id.
    Delivery(String),
    /// The dead letters of an endpoint, by its id, whose events are in a range of time.
    Endpoint(String, TimeRange),
}

/// A range of time, in seconds since 1970: from the first to before the second.
#[derive(Clone, Copy, Debug)]
pub(in crate::webhooks) struct TimeRange {
    pub(in crate::webhooks) since: u64,
    pub(in crate::webhooks) until: u64,
}

impl TimeRange {
    pub(in crate::webhooks) const ALL: Self = Self { since: 0, until: u64::MAX };
}

/// The result of queueing dead letters again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::webhooks) enum Revived {
    /// This number of dead letters has been queued.
    Queued(usize),
    /// The store has no such dead letter, or no such endpoint.
    Unknown,
    /// The endpoint isn't active, so deliveries to it would fail again.
    Inactive,
}

impl WebhookTables<'_> {
    /// Returns up to [`MOST_ENDPOINTS`] endpoints: first the operator's, then the clients', each from the oldest to the
    /// newest.
    pub(in crate::webhooks) fn counted_endpoints(&mut self) -> Result<Vec<CountedEndpoint>, DatabaseFault> {
        let number = |state: DeliveryState| {
            format!("(SELECT count(*) FROM deliveries WHERE endpoint = endpoints.id AND state = '{}')", state.word())
        };
        let [queued, delivered, dead] =
            [DeliveryState::Queued, DeliveryState::Delivered, DeliveryState::Dead].map(number);
        // The operator's few endpoints are first, so the endpoints of clients can't push them out of the report.
        let query = format!(
            "SELECT {COLUMNS}, {queued} AS queued, {delivered} AS delivered, {dead} AS dead FROM endpoints
             ORDER BY owner IS NOT NULL, created, rowid LIMIT {MOST_ENDPOINTS}"
        );
        let counted = |mut row: Row| {
            let mut number = |name: &str| row.take(name).map(count);
            let (queued, delivered, dead) = (number("queued")?, number("delivered")?, number("dead")?);
            Ok(CountedEndpoint { endpoint: super::read(row)?, queued, delivered, dead })
        };
        self.transaction.rows(&query, &[])?.into_iter().map(counted).collect()
    }

    /// Returns up to [`MOST_LISTED`] dead letters of all endpoints, the newest first. With `before`, only dead letters
    /// older than this delivery are returned. Returns `None` if the delivery `before` has been removed.
    pub(in crate::webhooks) fn dead_letters(
        &mut self,
        before: Option<&str>,
    ) -> Result<Option<Vec<DeadLetter>>, DatabaseFault> {
        let mut place: Option<i64> = None;
        if let Some(before) = before {
            let query = "SELECT rowid FROM deliveries WHERE id = ?1";
            place = self.transaction.cell(query, values![before])?;
            // Without the place of `before`, older letters can't be found, and an empty list would look like the end.
            // Test: `the_list_of_dead_letters_continues_after_a_removed_letter`.
            if place.is_none() {
                return Ok(None);
            }
        }
        let query = format!(
            "SELECT {} FROM deliveries JOIN events ON events.id = event WHERE deliveries.state = 'dead'
                 AND (?1 IS NULL OR deliveries.rowid < ?1)
             ORDER BY deliveries.rowid DESC LIMIT {MOST_LISTED}",
            queue::COLUMNS
        );
        let letter = |mut row: Row| {
            Ok::<_, DatabaseFault>(DeadLetter { endpoint: row.take("endpoint")?, delivery: queue::read(&mut row)? })
        };
        let rows = self.transaction.rows(&query, values![place])?;
        Ok(Some(rows.into_iter().map(letter).collect::<Result<_, _>>()?))
    }

    /// Queues dead letters again. They keep their `webhook-id`. `now` is in milliseconds since 1970.
    pub(in crate::webhooks) fn revive(&mut self, revival: &Revival, now: u64) -> Result<Revived, DatabaseFault> {
        let (delivery, endpoint, range): (_, Option<String>, _) = match revival {
            Revival::Delivery(id) => {
                let query = "SELECT endpoint FROM deliveries WHERE id = ?1 AND state = 'dead'";
                (Some(id.as_str()), self.transaction.cell(query, values![id])?, TimeRange::ALL)
            }
            Revival::Endpoint(id, range) => (None, Some(id.clone()), *range),
        };
        let Some(endpoint) = endpoint.map(|id| self.endpoint(&id)).transpose()?.flatten() else {
            return Ok(Revived::Unknown);
        };
        // The endpoint gets no deliveries in this state: the keeper would make them dead letters again, so they aren't
        // queued. Test: `dead_letters_are_listed_and_sent_again`.
        if endpoint.state != EndpointState::Active {
            return Ok(Revived::Inactive);
        }
        let queued = self.transaction.execute(
            "UPDATE deliveries SET state = 'queued', attempts = 0, not_before = ?1, finished = NULL
             WHERE endpoint = ?2 AND state = 'dead' AND (?3 IS NULL OR id = ?3) AND created >= ?4 AND created < ?5",
            values![whole(now), &endpoint.id, delivery, whole(range.since), whole(range.until)],
        )?;
        Ok(Revived::Queued(queued))
    }
}
