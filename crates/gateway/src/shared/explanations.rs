//! Explanations of single requests in production. A request with a permit is recorded while it is served, and its
//! explanation is kept for operators. The response stays the same.
//!
//! A permit can leak. Therefore a permit is for one route and path, and lasts only for minutes. At most
//! [`MOST_IN_HAND`] requests are explained at a time, and all explanations together take at most [`MOST_BYTES`].

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::HeaderValue;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use cursorgate_config::secret::Secret;
use cursorgate_cursor::permit::{PermitKey, PermitScope};

/// The largest number of explanations that are kept. Beyond it, the oldest is dropped.
pub const MOST_KEPT: usize = 64;

/// The largest number of bytes of all kept explanations together. Beyond it, the oldest are dropped.
const MOST_BYTES: usize = 4 << 20;

/// The largest number of bytes of one explanation. A longer explanation is kept without its `treatment`.
const LONGEST: usize = 512 << 10;

/// The largest number of requests that are explained at a time. Further requests are served without an explanation.
const MOST_IN_HAND: usize = 4;

/// The time for which an explanation is kept, in seconds.
const LIFE: u64 = 60 * 60;

/// The key of permits, and the kept explanations, which the next snapshot shares.
#[derive(Debug)]
pub struct Explanations {
    key: PermitKey,
    kept: Arc<KeptExplanations>,
}

#[derive(Debug)]
struct KeptExplanations {
    /// True if each explanation is announced in the log, for operators, who find it at the admin listener.
    are_told: bool,
    /// The kept explanations, the oldest first.
    kept: Mutex<VecDeque<KeptExplanation>>,
    in_hand: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
pub struct KeptExplanation {
    pub request_id: String,
    pub route: String,
    /// The time at which the explanation was made, in seconds since 1970.
    pub at: u64,
    /// The explanation, as JSON.
    pub text: Arc<str>,
}

/// A request that is being explained.
#[derive(Debug)]
pub struct ExplainedRequest {
    kept: Arc<KeptExplanations>,
    facts: Map<String, Value>,
    route: String,
    _place: OwnedSemaphorePermit,
}

impl Explanations {
    /// Creates the explanations of a snapshot, with this key for permits, and with the explanations that the previous
    /// snapshot has kept.
    pub fn new(secret: &Secret, previous: Option<&Self>) -> Self {
        let kept = previous.map(|previous| Arc::clone(&previous.kept));
        let kept = kept.unwrap_or_else(|| KeptExplanations::new(true));
        Self { key: PermitKey::new(secret.reveal()), kept }
    }

    /// Creates the explanations of a service. The service signs permits itself ([`Self::sign`]) and takes the
    /// explanations ([`Self::take`]). They aren't announced in the log.
    pub fn of_service(secret: &[u8]) -> Self {
        Self { key: PermitKey::new(secret), kept: KeptExplanations::new(false) }
    }

    /// Signs a permit for a route and a path. The permit ends at `until`, in seconds since 1970.
    pub fn sign(&self, scope: PermitScope<'_>, until: u64) -> String {
        self.key.sign(scope, until)
    }

    /// Removes the explanation of a request, and returns it; `None` if no explanation of the request is kept.
    pub fn take(&self, request_id: &str) -> Option<KeptExplanation> {
        let mut kept = self.kept.lock();
        let at = kept.iter().position(|explanation| explanation.request_id == request_id)?;
        kept.remove(at)
    }

    /// Begins to explain a request with this permit. Returns `None` if the permit isn't valid for the request at `now`,
    /// in seconds since 1970, or if too many requests are being explained. The response is the same with and without an
    /// explanation.
    pub fn begin(&self, permit: &HeaderValue, scope: PermitScope<'_>, now: u64) -> Option<Box<ExplainedRequest>> {
        // The permit is checked before a place is taken, so a request without a valid permit takes no place. Test:
        // `explanations_at_a_time_are_bounded_and_need_a_permit_of_the_key`.
        if !self.key.permits(permit.as_bytes(), scope, now) {
            return None;
        }
        let place = Arc::clone(&self.kept.in_hand).try_acquire_owned().ok()?;
        let (kept, route) = (Arc::clone(&self.kept), scope.route.to_owned());
        Some(Box::new(ExplainedRequest { kept, facts: Map::new(), route, _place: place }))
    }

    /// Returns the explanations that are kept at `now`, in seconds since 1970, the latest first. Drops expired
    /// explanations.
    pub fn all(&self, now: u64) -> Vec<KeptExplanation> {
        let mut kept = self.kept.lock();
        kept.retain(|explanation| now.saturating_sub(explanation.at) < LIFE);
        kept.iter().rev().cloned().collect()
    }
}

impl KeptExplanations {
    fn new(are_told: bool) -> Arc<Self> {
        let in_hand = Arc::new(Semaphore::new(MOST_IN_HAND));
        Arc::new(Self { are_told, kept: Mutex::default(), in_hand })
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<KeptExplanation>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ExplainedRequest {
    /// Adds facts under a name. Replaces earlier facts with the same name.
    pub fn note(&mut self, name: &str, facts: Value) {
        self.facts.insert(name.to_owned(), facts);
    }

    /// Keeps the explanation under the id of its request, with the time `now`. If too many explanations are kept, drops
    /// the oldest. If the explanation is too long, leaves out its `treatment`, which contains the upstream requests.
    pub fn keep(mut self, request_id: &str, now: u64) {
        let mut text = Value::Object(self.facts.clone()).to_string();
        if text.len() > LONGEST {
            self.facts.insert("treatment".to_owned(), Value::from("left out: it is too long to be kept"));
            text = Value::Object(self.facts).to_string();
        }
        if self.kept.are_told {
            tracing::info!(
                target: "cursorgate::explanations",
                request_id,
                route = self.route,
                "a request with a permit was explained: /explanations at the admin listener has it"
            );
        }
        let (request_id, text) = (request_id.to_owned(), Arc::from(text));
        let mut kept = self.kept.lock();
        kept.push_back(KeptExplanation { request_id, route: self.route, at: now, text });
        let mut bytes: usize = kept.iter().map(|explanation| explanation.text.len()).sum();
        while kept.len() > MOST_KEPT || bytes > MOST_BYTES {
            // The new explanation is dropped too if it exceeds the bound by itself.
            let Some(oldest) = kept.pop_front() else { return };
            bytes -= oldest.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const SCOPE: PermitScope<'_> = PermitScope { route: "users", path: "/users" };

    fn permit() -> HeaderValue {
        HeaderValue::from_str(&PermitKey::new(&[7; 32]).sign(SCOPE, NOW + 60)).unwrap()
    }

    #[test]
    fn explanations_are_bounded_in_number_bytes_and_time() {
        let explanations = Explanations::new(&Secret::new(vec![7; 32]), None);
        let keep = |name: &str, bytes: usize, now: u64| {
            let mut explained = explanations.begin(&permit(), SCOPE, NOW).unwrap();
            explained.note("treatment", Value::from("x".repeat(bytes)));
            explained.keep(name, now);
        };
        let ids = |now| explanations.all(now).into_iter().map(|kept| kept.request_id).collect::<Vec<_>>();
        for number in 0..100 {
            keep(&number.to_string(), 10, NOW);
        }
        assert_eq!((ids(NOW).len(), ids(NOW)[0].as_str(), ids(NOW)[63].as_str()), (MOST_KEPT, "99", "36"));
        for number in 0..20 {
            keep(&format!("large {number}"), 500 << 10, NOW + 1);
        }
        let bytes: usize = explanations.all(NOW).iter().map(|kept| kept.text.len()).sum();
        assert!(bytes <= MOST_BYTES && ids(NOW).len() == 8, "{bytes} {:?}", ids(NOW));
        keep("larger", 1 << 20, NOW + 2);
        let larger = explanations.all(NOW)[0].clone();
        assert!(larger.request_id == "larger" && larger.text.contains("too long") && larger.text.len() < 200);
        assert_eq!(ids(NOW + LIFE + 1), ["larger"]);
        assert_eq!(ids(NOW + LIFE + 2), [""; 0]);
    }

    #[test]
    fn a_service_signs_permits_and_takes_their_explanations_once() {
        let (own, others) = (Explanations::of_service(&[1; 32]), Explanations::of_service(&[2; 32]));
        let permit = HeaderValue::from_str(&own.sign(SCOPE, NOW + 60)).unwrap();
        assert!(others.begin(&permit, SCOPE, NOW).is_none(), "a permit of another key");
        own.begin(&permit, SCOPE, NOW).unwrap().keep("1", NOW);
        assert!(own.take("2").is_none());
        assert_eq!(own.take("1").unwrap().request_id, "1");
        assert!(own.take("1").is_none() && own.all(NOW).is_empty(), "it is taken once");
    }

    #[test]
    fn explanations_at_a_time_are_bounded_and_need_a_permit_of_the_key() {
        let explanations = Explanations::new(&Secret::new(vec![7; 32]), None);
        let mut in_hand: Vec<_> = (0..10).filter_map(|_| explanations.begin(&permit(), SCOPE, NOW)).collect();
        assert_eq!(in_hand.len(), MOST_IN_HAND);
        let next = Explanations::new(&Secret::new(vec![8; 32]), Some(&explanations));
        assert!(next.begin(&permit(), SCOPE, NOW).is_none(), "another key");
        in_hand.pop().unwrap().keep("1", NOW);
        assert!(explanations.begin(&permit(), SCOPE, NOW).is_some());
        assert_eq!(next.all(NOW)[0].request_id, "1", "a reload keeps what was kept");
    }
}
