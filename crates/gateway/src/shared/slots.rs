//! The limit of concurrent requests to an upstream.
//!
//! An upstream with `n` slots serves `n` requests at once. Up to `n` more requests wait for a slot, for at most one
//! second. All others are refused at once. More connections don't help a slow upstream, and use memory and descriptors
//! that other upstreams need.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest time that a request waits for a slot. Afterwards the request is refused.
const PATIENCE: Duration = Duration::from_secs(1);

/// The slots of one upstream, for pages and forwarded requests together. The next snapshot shares the slots if their
/// number stays the same.
#[derive(Debug)]
pub struct UpstreamSlots {
    /// The number of slots, which is also the largest number of requests that may wait for a slot.
    most: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    refused: AtomicU64,
}

/// The right to have one request in flight. Dropping it frees the slot.
#[derive(Debug)]
pub struct UpstreamSlot(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// The refusal of a request for a slot: the queue is full, or the wait took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupied;

/// A waiting request. Dropping this value subtracts the request from the number of waiting requests.
struct WaitingRequest<'a>(&'a AtomicUsize);

impl Drop for WaitingRequest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl UpstreamSlots {
    /// Creates `most` free slots.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, free: Arc::new(Semaphore::new(most)), waiting: AtomicUsize::new(0), refused: AtomicU64::new(0) }
    }

    /// Returns the number of slots.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Returns the number of requests in flight, which is the number of taken slots.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.most.saturating_sub(self.free.available_permits())
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

    /// Takes a slot, in the order of arrival. Waits for at most `left`, the time that the request has left, and never
    /// for more than one second.
    ///
    /// # Errors
    ///
    /// Returns [`Occupied`] at once if the queue is full, or after the wait if no slot became free.
    pub async fn take(&self, left: Duration) -> Result<UpstreamSlot, Occupied> {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(UpstreamSlot(slot));
        }
        // The request may have less time left than `PATIENCE`. Test:
        // `a_request_waits_for_a_slot_no_longer_than_its_deadline`.
        let taken = self.wait(left.min(PATIENCE)).await.ok_or(Occupied);
        if taken.is_err() {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    async fn wait(&self, patience: Duration) -> Option<UpstreamSlot> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        // Dropping this value removes the request from the count, even if its client disconnects. Test:
        // `a_wait_that_is_given_up_takes_no_place`.
        let _waiting = WaitingRequest(&self.waiting);
        // The request is counted before the check, so at most `most` requests wait even if several arrive at once.
        if before >= self.most {
            return None;
        }
        let slot = tokio::time::timeout(patience, Arc::clone(&self.free).acquire_owned()).await;
        slot.ok()?.ok().map(UpstreamSlot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::futures::join_all;

    const MINUTE: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn as_many_requests_as_slots_wait_and_the_rest_are_refused_at_once() {
        let slots = UpstreamSlots::new(2);
        let held = (slots.take(MINUTE).await.unwrap(), slots.take(MINUTE).await.unwrap());
        assert_eq!(slots.in_flight(), 2);
        let waiting = join_all((0..2).map(|_| slots.take(MINUTE)));
        let beyond = async {
            assert_eq!(slots.waiting(), 2);
            // The slots are still held here, so the refusal doesn't wait for a slot.
            assert_eq!(slots.take(MINUTE).await.err(), Some(Occupied));
            assert_eq!((slots.refused(), slots.waiting()), (1, 2));
            drop(held);
        };
        let (taken, ()) = tokio::join!(waiting, beyond);
        assert!(taken.iter().all(Result::is_ok));
        assert_eq!((slots.in_flight(), slots.waiting(), slots.refused()), (2, 0, 1));
        drop(taken);
        assert_eq!(slots.in_flight(), 0);
    }

    #[tokio::test]
    async fn a_request_waits_for_a_slot_no_longer_than_its_deadline() {
        let slots = UpstreamSlots::new(1);
        let held = slots.take(MINUTE).await.unwrap();
        assert_eq!(slots.take(SHORT).await.err(), Some(Occupied));
        assert_eq!((slots.waiting(), slots.refused()), (0, 1));
        drop(held);
        assert!(slots.take(SHORT).await.is_ok());
    }

    /// A request that is cancelled while it waits counts neither as waiting nor as refused, and takes no slot.
    #[tokio::test]
    async fn a_wait_that_is_given_up_takes_no_place() {
        let slots = UpstreamSlots::new(1);
        let held = slots.take(MINUTE).await.unwrap();
        tokio::select! {
            biased;
            _ = slots.take(MINUTE) => panic!("there is none"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!((slots.waiting(), slots.refused()), (0, 0));
        drop(held);
        assert_eq!(slots.in_flight(), 0);
    }
}
