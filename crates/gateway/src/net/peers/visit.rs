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
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    peer::{Peer, PeerRequest},
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
    /// `true` if answers are read as pages.
    judges: bool,
    /// `true` if there are suspects.
    doubts: AtomicBool,
    state: Mutex<VisitState>,
}

#[derive(Debug, Default)]
struct VisitState {
    /// The peer of the last attempt; `None` before the first attempt and after a failed one.
    peer: Option<SocketAddr>,
    /// The peers that failed this request, at most one for each attempt.
    failed: Vec<SocketAddr>,
    /// The peers whose answers couldn't be read. If no peer gives a readable answer, they aren't at fault: the upstream
    /// is another one than the configuration says.
    suspects: Vec<Suspect>,
    retries: u32,
}

/// A peer whose answer couldn't be read.
#[derive(Debug)]
struct Suspect {
    peer: Arc<Peer>,
    /// What its answer was.
    said: String,
}

impl<'a> Visit<'a> {
    /// Creates the visit of a client request that hasn't been sent to a peer yet.
    #[must_use]
    pub fn new(peers: &'a Peers, key: u128, can_repeat: bool) -> Self {
        Self { peers, key, can_repeat, judges: false, doubts: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Returns the visit of a request whose answers are read as pages: [`Self::usable`] is called for readable ones.
    #[must_use]
    pub fn judging(self) -> Self {
        Self { judges: true, ..self }
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
        let Self { key, can_repeat, judges, .. } = *self;
        let wanted = WantedPeer { key, can_repeat, judges, known, failed: &failed };
        let chosen = self.peers.next(wanted, now, patience).await?;
        self.locked().peer = Some(chosen.request.address);
        Ok(chosen)
    }

    /// Adds the share of a request to the budget of retries.
    pub fn begins(&self) {
        self.peers.budget().add(self.peers.retries().share);
    }

    /// Records a failed answer of a peer. The next attempt takes another peer. An unreadable answer counts against the
    /// peer only when another peer gives a readable one.
    pub fn failed(&self, peer: &Arc<Peer>, flaw: Flaw, now: Instant) {
        if flaw == Flaw::Unreadable {
            self.suspect(peer, "broken HTTP".to_owned());
        } else {
            self.leaves(peer);
            self.peers.failed(peer, &flaw.to_string(), now);
        }
    }

    /// Records an answer of a peer that can't be read, and what it was, as [`Self::failed`] does.
    pub fn suspect(&self, peer: &Arc<Peer>, said: String) {
        self.leaves(peer);
        self.locked().suspects.push(Suspect { peer: Arc::clone(peer), said });
        self.doubts.store(true, Ordering::Relaxed);
    }

    /// Records an answer of a peer that isn't a failure. If answers aren't read as pages, it is a readable one.
    pub fn answered(&self, request: &PeerRequest, now: Instant) {
        self.peers.timed(request, now);
        self.peers.answered(request, now);
        if !self.judges {
            self.blame_suspects();
        }
    }

    /// Records an answer of a peer that was read as a page.
    pub fn usable(&self, peer: &Peer) {
        self.peers.usable(peer);
        self.blame_suspects();
    }

    fn blame_suspects(&self) {
        if self.doubts.load(Ordering::Relaxed) {
            self.doubts.store(false, Ordering::Relaxed);
            let suspects = std::mem::take(&mut self.locked().suspects);
            suspects.iter().for_each(|suspect| self.peers.unusable(&suspect.peer, &suspect.said));
        }
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

    /// Returns whether the request can be repeated at a healthy peer other than `peer`.
    pub fn has_other(&self, peer: &Peer) -> bool {
        let state = self.locked();
        let is_other = |other: &Peer| other.address != peer.address && !state.failed.contains(&other.address);
        self.can_repeat && state.retries < self.peers.retries().most && self.peers.has_ready(is_other)
    }

    fn locked(&self) -> MutexGuard<'_, VisitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
