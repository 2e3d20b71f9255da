//! The limit of concurrent requests to an upstream, and the queue for it.
//!
//! An upstream has a fixed number of slots (`connections`), or as many as it answers without delay ([`limiter`]). Other
//! requests wait in a queue that is fair by address and client ([`queue`]), and only as long as the wait is worthwhile: a client that
//! has waited for a second would get an answer that it no longer wants. All others are refused at once.

pub mod limiter;
pub mod queue;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::{HeaderName, header::AUTHORIZATION};
use tokio::sync::oneshot;

use super::clients::{ClientHashes, LimitedClient};
use limiter::{LatencyKind, Limiter};
use queue::{FairQueue, QueuedClient};

/// The number of slots if the configuration sets none, and the largest adaptive limit.
pub const MOST: usize = 1_024;

/// The longest time that a request waits for a slot. Afterwards the request is refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// The longest time that a request waits while others are refused, if the limit is adaptive and its address has another
/// one that waits, but no client with several. A queue that is there for long brings nothing but delay, whereas a short one takes in a burst (the
/// controlled delay of CoDel, RFC 8289).
const SHORT_PATIENCE: Duration = Duration::from_millis(250);

/// The number of waiting requests up to which all wait for the whole [`PATIENCE`], whoever sends them: a queue this short
/// is no sign of a load that the upstream can't carry. Test: `a_few_clients_wait_instead_of_being_refused`.
const SHORT_QUEUE: usize = 8;

/// The least number of requests that may wait. In a shorter queue, a client that fills it would leave no places for others
/// that come at once. Test: `a_hot_client_leaves_the_others_whole_with_few_slots`.
const LEAST_QUEUE: usize = 64;

/// The interval at which a waiting request lets the limiter notice that it waits.
const PRESSING: Duration = Duration::from_millis(100);

/// The time over which refusals are counted, for `Retry-After`.
const RECENT: Duration = Duration::from_secs(1);

/// The largest `Retry-After` in seconds.
const LONGEST_RETRY_AFTER: f64 = 30.0;

/// The slots of one upstream, for pages and forwarded requests together. The next snapshot shares the slots if their
/// number stays the same.
#[derive(Debug)]
pub struct UpstreamSlots {
    /// The number of slots. As many requests may wait for a slot, and at least [`LEAST_QUEUE`].
    most: usize,
    /// The configured number; `None` if the limit is adaptive.
    configured: Option<usize>,
    /// The adaptive limit of requests that await their answers; [`Self::most`] if the number is configured.
    limit: AtomicUsize,
    limiter: Option<Mutex<Limiter>>,
    /// The number of taken slots.
    in_flight: AtomicUsize,
    /// The number of taken slots whose requests await their answers. A download, a stream or a WebSocket doesn't keep
    /// the upstream from answering other requests.
    awaited: AtomicUsize,
    /// The number of requests in the queue, which is read without its lock.
    waiting: AtomicUsize,
    queue: Mutex<SlotQueue>,
    refused: AtomicU64,
    clients: ClientHashes,
    clock: fn() -> Instant,
}

#[derive(Debug)]
struct SlotQueue {
    requests: FairQueue<oneshot::Sender<UpstreamSlot>>,
    /// The refusals in the current second and in the one before it.
    refused: [u64; 2],
    /// The beginning of the current second.
    second: Instant,
    /// The time of the last refusal; `None` before the first one.
    last: Option<Instant>,
}

/// The right to have one request in flight. Dropping it frees the slot.
#[derive(Debug)]
pub struct UpstreamSlot {
    slots: Arc<UpstreamSlots>,
    awaits: AtomicBool,
    is_given_back: bool,
}

/// The refusal of a request for a slot: the queue is full, or the wait took or would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied {
    /// The number of seconds after which the client may try again.
    pub retry_after: u32,
    /// `true` if the limit is adaptive.
    pub is_adaptive: bool,
}

/// A waiting request. Dropping this value removes the request from the queue.
struct WaitingRequest<'a> {
    slots: &'a Arc<UpstreamSlots>,
    client: QueuedClient,
    number: u64,
}

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        let mut queue = self.slots.queue();
        queue.requests.remove(self.client, self.number);
        self.slots.count_waiting(&mut queue);
    }
}

impl UpstreamSlots {
    /// Creates free slots: `configured` ones, or with `None` as many as the upstream answers without delay.
    #[must_use]
    pub fn new(configured: Option<usize>, clock: fn() -> Instant) -> Arc<Self> {
        let (most, now) = (configured.unwrap_or(MOST), clock());
        let limiter = configured.is_none().then(|| Limiter::new(most, now));
        let named = ["x-api-key", "api-key", "x-auth-token", "x-access-token"].map(HeaderName::from_static);
        let headers = std::iter::once(AUTHORIZATION).chain(named).collect();
        let queue = SlotQueue { requests: FairQueue::default(), refused: [0; 2], second: now, last: None };
        Arc::new(Self {
            most,
            configured,
            limit: AtomicUsize::new(limiter.as_ref().map_or(most, Limiter::limit)),
            limiter: limiter.map(Mutex::new),
            in_flight: AtomicUsize::new(0),
            awaited: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            queue: Mutex::new(queue),
            refused: AtomicU64::new(0),
            clients: ClientHashes::by(headers, true),
            clock,
        })
    }

    /// Returns the configured number of slots; `None` if the limit is adaptive.
    #[must_use]
    pub fn configured(&self) -> Option<usize> {
        self.configured
    }

    /// Returns the number of slots.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Returns the limit of requests that await their answers. It adapts itself unless the number is configured.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// Returns the number of requests in flight, which is the number of taken slots.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the number of waiting requests.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that have been refused so far.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Takes a slot. If requests wait, addresses and their clients have their turns one after the other. Waits for at
    /// most `left`, the time that the request has left, and never for more than one second.
    ///
    /// # Errors
    ///
    /// Returns [`Occupied`] at once if the queue is full, or if the wait would take too long, and after the wait if no
    /// slot became free.
    pub async fn take(self: &Arc<Self>, client: LimitedClient<'_>, left: Duration) -> Result<UpstreamSlot, Occupied> {
        if self.waiting() == 0 && self.enters() {
            return Ok(self.slot());
        }
        // The request may have less time left than `PATIENCE`. Test:
        // `a_request_waits_for_a_slot_no_longer_than_its_deadline`.
        let client = QueuedClient { address: self.clients.at(client.address), client: self.clients.find(client) };
        match self.wait(client, left).await {
            Some(slot) => Ok(slot),
            None => Err(self.refuse()),
        }
    }

    async fn wait(self: &Arc<Self>, client: QueuedClient, left: Duration) -> Option<UpstreamSlot> {
        let (sender, receiver) = oneshot::channel();
        self.press();
        let (_waiting, patience) = {
            let now = (self.clock)();
            let mut queue = self.queue();
            let patience = self.patience(&queue, client, now)?;
            // Whoever has the most requests makes room for one that has fewer.
            if queue.requests.length() >= self.most.max(LEAST_QUEUE) && !queue.requests.displace(client) {
                return None;
            }
            let number = queue.requests.push(client, sender);
            // Dropping this value removes the request from the queue, even if its client disconnects. Test:
            // `a_wait_that_is_given_up_takes_no_place`.
            let waiting = WaitingRequest { slots: self, client, number };
            // A slot may have become free before the request was counted as waiting.
            self.count_waiting(&mut queue);
            self.hand_over(&mut queue);
            (waiting, patience)
        };
        let (mut receiver, mut left) = (receiver, left.min(patience));
        loop {
            // Nobody else might notice that the limit can grow.
            let wait = if self.limiter.is_some() { left.min(PRESSING) } else { left };
            if let Ok(handed) = tokio::time::timeout(wait, &mut receiver).await {
                return handed.ok();
            }
            left -= wait;
            if left.is_zero() {
                return None;
            }
            self.press();
        }
    }

    /// Lets the limiter notice that a request waits.
    fn press(self: &Arc<Self>) {
        let Some(Ok(mut limiter)) = self.limiter.as_ref().map(Mutex::try_lock) else { return };
        limiter.pressed((self.clock)());
        let limit = limiter.limit();
        drop(limiter);
        self.adapt(limit);
    }

    /// Changes the adaptive limit.
    fn adapt(self: &Arc<Self>, limit: usize) {
        if self.limit.swap(limit, Ordering::SeqCst) < limit {
            self.wake();
        }
    }

    /// Returns the longest time that a new request may wait; `None` if its wait would take longer.
    fn patience(&self, queue: &SlotQueue, client: QueuedClient, now: Instant) -> Option<Duration> {
        let Some(limiter) = &self.limiter else { return Some(PATIENCE) };
        let limiter = limiter.lock().unwrap_or_else(PoisonError::into_inner);
        if !limiter.is_adapted() || queue.requests.length() < SHORT_QUEUE {
            return Some(PATIENCE);
        }
        let refuses = queue.last.is_some_and(|last| now.saturating_duration_since(last) < RECENT);
        // The wait and the answer together should take no longer than `PATIENCE`, and behind the limit answers take about
        // twice as long as on time. The first request of an address waits as long as before, because it comes before those
        // of the others. Test: `a_client_among_a_crowd_of_addresses_is_served`.
        let bound = limiter.bound().unwrap_or_default();
        let whole = PATIENCE.saturating_sub(bound * 2).max(SHORT_PATIENCE);
        let patience = match refuses {
            // Its turn comes before the other requests of the one that has several, so it isn't what makes the queue
            // long. Test: `a_hot_client_leaves_the_others_at_its_address_whole`.
            true if queue.requests.is_first_beside_several(client) => PATIENCE.saturating_sub(bound).max(whole),
            true if !queue.requests.is_new(client) => SHORT_PATIENCE,
            _ => whole,
        };
        let before = number(queue.requests.turns_until(client));
        let is_too_long = limiter.rate().is_some_and(|rate| before > rate * patience.as_secs_f64());
        // A client's first request always waits: the estimate could be wrong for good.
        (!is_too_long || queue.requests.length_of(client) == 0).then_some(patience)
    }

    /// Takes the time of an answer to a request of this kind that was sent at `began`.
    pub fn answered(self: &Arc<Self>, kind: LatencyKind, began: Instant, now: Instant) {
        // If another thread has the lock, this answer isn't needed.
        let Some(Ok(mut limiter)) = self.limiter.as_ref().map(Mutex::try_lock) else { return };
        limiter.answered(kind, began, self.awaited.load(Ordering::Relaxed), now);
        let limit = limiter.limit();
        drop(limiter);
        self.adapt(limit);
    }

    /// Counts a request as in flight, if the limits permit it.
    fn enters(&self) -> bool {
        let below = |most: usize| move |count: usize| (count < most).then_some(count + 1);
        if self.in_flight.fetch_update(Ordering::SeqCst, Ordering::SeqCst, below(self.most)).is_err() {
            return false;
        }
        let limit = self.limit.load(Ordering::Relaxed);
        if self.awaited.fetch_update(Ordering::SeqCst, Ordering::SeqCst, below(limit)).is_err() {
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        true
    }

    fn slot(self: &Arc<Self>) -> UpstreamSlot {
        UpstreamSlot { slots: Arc::clone(self), awaits: AtomicBool::new(true), is_given_back: false }
    }

    /// Gives free slots to waiting requests.
    fn wake(self: &Arc<Self>) {
        // A request is counted as waiting before it looks for a slot, and a slot is free before this count is read, so
        // one of the two sees the other.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.hand_over(&mut self.queue());
        }
    }

    fn hand_over(self: &Arc<Self>, queue: &mut SlotQueue) {
        while queue.requests.length() > 0 && self.enters() {
            let slot = self.slot();
            match queue.requests.pop().map(|waiting| waiting.send(slot)) {
                Some(Ok(())) => {}
                // The client has left. The slot isn't dropped as others are, because that would need the lock again.
                Some(Err(slot)) => slot.give_back(),
                None => break,
            }
            self.count_waiting(queue);
        }
    }

    fn count_waiting(&self, queue: &mut SlotQueue) {
        self.waiting.store(queue.requests.length(), Ordering::SeqCst);
    }

    /// Counts a refusal. The more requests are refused, the longer clients should wait, so that they don't all come back
    /// at once.
    fn refuse(&self) -> Occupied {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let now = (self.clock)();
        let recent = {
            let mut queue = self.queue();
            let since = now.saturating_duration_since(queue.second);
            if since >= RECENT {
                let last = if since < RECENT * 2 { queue.refused[0] } else { 0 };
                (queue.refused, queue.second) = ([0, last], now);
            }
            queue.refused[0] += 1;
            queue.last = Some(now);
            queue.refused[0].max(queue.refused[1])
        };
        let rate =
            self.limiter.as_ref().and_then(|limiter| limiter.lock().unwrap_or_else(PoisonError::into_inner).rate());
        // Without a measurement, as many requests a second as there are slots are assumed.
        let rate = rate.unwrap_or_else(|| number(self.most)).max(1.0);
        let random = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
        #[expect(clippy::cast_precision_loss, reason = "there are far fewer refusals in a second")]
        let longest = (recent as f64 / rate).min(LONGEST_RETRY_AFTER - 1.0);
        // The bound comes before the choice: else most clients would get the longest time, and come back together. Test:
        // `refused_clients_come_back_at_different_times`.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is at most LONGEST_RETRY_AFTER"
        )]
        let retry_after = (1.0 + random * longest) as u32;
        Occupied { retry_after, is_adaptive: self.limiter.is_some() }
    }

    fn queue(&self) -> MutexGuard<'_, SlotQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UpstreamSlot {
    /// Records that the answer has begun. The rest of the answer doesn't count for the adaptive limit.
    pub fn begins(&self) {
        if self.awaits.swap(false, Ordering::Relaxed) {
            self.slots.awaited.fetch_sub(1, Ordering::SeqCst);
            self.slots.wake();
        }
    }

    /// Frees the slot without giving it to a waiting request.
    fn give_back(mut self) {
        self.free();
        self.is_given_back = true;
    }

    fn free(&self) {
        if self.awaits.swap(false, Ordering::Relaxed) {
            self.slots.awaited.fetch_sub(1, Ordering::SeqCst);
        }
        self.slots.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for UpstreamSlot {
    fn drop(&mut self) {
        if !self.is_given_back {
            self.free();
            self.slots.wake();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "there are far fewer requests")]
fn number(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
