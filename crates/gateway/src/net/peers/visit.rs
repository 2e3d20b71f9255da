//! The dealings of one client request with an upstream: the peer that the request stays at, the peers that failed it,
//! and its retries.
//!
//! All upstream requests of a page go to one peer unless it fails. The core proves each answer separately, so a change
//! of the peer skips and repeats no item. But if two answers contradict each other, the core requests the earlier one
//! again. If that answer is unchanged, the list hasn't changed either, and the core refuses the list as unsorted.
//! Replicas of different age contradict each other in the same way, so mixing them would cause sorted lists to be
//! refused.

use std::{
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    peer::Peer,
    retry::Flaw,
    set::{ChosenPeer, Peers, WantedPeer},
};
use crate::net::error::FetchError;

/// The dealings of one client request with an upstream.
#[derive(Debug)]
pub struct Visit<'a> {
    /// The peers of the upstream.
    pub peers: &'a Peers,
    /// The key by which [`Balance::Hash`](cursorgate_config::settings::Balance::Hash) chooses the peer.
    key: u128,
    /// `true` if the request can be repeated: it only reads, and its body, if any, is still available.
    can_repeat: bool,
    state: Mutex<VisitState>,
}

#[derive(Debug, Default)]
struct VisitState {
    /// The peer of the last attempt; `None` before the first attempt and after a failed one.
    peer: Option<SocketAddr>,
    /// The peers that failed this request, at most one for each attempt.
    failed: Vec<SocketAddr>,
    retries: u32,
}

impl<'a> Visit<'a> {
    /// Creates the visit of a client request that hasn't been sent to a peer yet.
    #[must_use]
    pub fn new(peers: &'a Peers, key: u128, can_repeat: bool) -> Self {
        Self { peers, key, can_repeat, state: Mutex::default() }
    }

    /// Returns the number of retries so far.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.locked().retries
    }

    /// Returns the peer for the next attempt.
    ///
    /// # Errors
    ///
    /// Returns [`FetchError::Unavailable`] or [`FetchError::Timeout`] if there is no address and no name can be
    /// resolved in time.
    pub async fn next(&self, now: Instant, patience: Duration) -> Result<ChosenPeer, FetchError> {
        // The lock is not held while a name is resolved.
        let (known, failed) = {
            let state = self.locked();
            (state.peer, state.failed.clone())
        };
        let wanted = WantedPeer { key: self.key, can_repeat: self.can_repeat, known, failed: &failed };
        let chosen = self.peers.next(wanted, now, patience).await?;
        self.locked().peer = Some(chosen.request.address);
        Ok(chosen)
    }

    /// Adds the share of a request to the budget of retries.
    pub fn begins(&self) {
        self.peers.budget().add(self.peers.retries().share);
    }

    /// Records a failed answer of a peer. The next attempt takes another peer.
    pub fn failed(&self, peer: &Peer, flaw: Flaw, now: Instant) {
        self.leaves(peer);
        self.peers.failed(peer, &flaw.to_string(), now);
    }

    /// Records that the peer of the last attempt gave no answer in time.
    pub fn late(&self, now: Instant) {
        let Some(address) = self.locked().peer else { return };
        if let Some(peer) = self.peers.at(address) {
            self.failed(&peer, Flaw::Late, now);
        }
    }

    /// Records that a peer failed this request. The next attempt takes another peer, if there is one.
    pub fn leaves(&self, peer: &Peer) {
        let state = &mut *self.locked();
        if state.peer == Some(peer.address) {
            state.peer = None;
        }
        if !state.failed.contains(&peer.address) {
            state.failed.push(peer.address);
        }
    }

    /// Takes a retry after a flaw and returns the pause before it. Returns `None` in these cases: the request can't be
    /// repeated or has used all its retries, a retry isn't worthwhile, the retry would begin after `deadline`, or the
    /// budget is spent.
    pub fn retry(&self, flaw: Flaw, now: Instant, deadline: Instant) -> Option<Duration> {
        let settings = self.peers.retries();
        let mut state = self.locked();
        // A write might have been carried out although its answer was lost, so it isn't repeated. Test:
        // `writes_are_sent_once`.
        if !self.can_repeat || state.retries >= settings.most {
            return None;
        }
        let has_other = self.peers.has_ready(|peer| !state.failed.contains(&peer.address));
        let pause = flaw.pause(settings, has_other, state.retries, getrandom::u32().unwrap_or(u32::MAX / 2))?;
        // A retry that comes too late takes nothing from the budget.
        if now + pause >= deadline || !self.peers.budget().take() {
            return None;
        }
        state.retries += 1;
        Some(pause)
    }

    fn locked(&self) -> MutexGuard<'_, VisitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
