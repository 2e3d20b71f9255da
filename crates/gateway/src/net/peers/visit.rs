//! The attempts of one client request: the peer that the request stays at, the peers that failed, and the retries.
//!
//! All upstream requests of a page go to one peer unless it fails. The core proves each answer separately, so a change
//! of the peer skips and repeats no item. But if two answers contradict each other, the core requests the earlier one
//! again. If that answer is unchanged, the list hasn't changed either, and the core refuses the list as unsorted.
//! Replicas of different age contradict each other in the same way, so mixing them would cause sorted lists to be
//! refused.
//!
//! If the answers of one peer make no page, the whole page is made again from the answers of another one alone. If that
//! succeeds, the first peer differs from the others, and this counts against it.

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
use crate::{net::error::FetchError, shared::slots::limiter::LatencyKind};

/// The attempts of one client request at an upstream.
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
    /// The kind whose usual time an answer is compared with.
    kind: LatencyKind,
    /// `true` if there are suspects.
    doubts: AtomicBool,
    /// `true` if the page is made again, from the answers of another peer.
    is_again: AtomicBool,
    state: Mutex<VisitState>,
}

#[derive(Debug, Default)]
struct VisitState {
    /// The peer of the last attempt; `None` before the first attempt and after a failed one.
    peer: Option<SocketAddr>,
    /// The peers that failed this request, at most one for each attempt.
    failed: Vec<SocketAddr>,
    /// The peers whose answers couldn't be read, or made no page. If no other peer gives the page, they aren't at fault:
    /// the upstream is another one than the configuration says.
    suspects: Vec<Suspect>,
    /// The peers whose answers the page is made from.
    used: UsedPeers,
    /// The reason that no page can be made from the answers of these peers; `None` if another peer would give none
    /// either.
    no_page: Option<NoPage>,
    retries: u32,
    /// The number of times that the page was made again.
    again: u32,
}

/// The peers whose answers a page is made from.
#[derive(Debug, Default)]
enum UsedPeers {
    #[default]
    None,
    One(Arc<Peer>),
    /// A peer failed meanwhile, and another one took its place.
    Several,
}

/// A peer whose answers couldn't be read, or made no page.
#[derive(Debug)]
pub struct Suspect {
    pub peer: Arc<Peer>,
    /// What its answers were.
    pub said: String,
}

/// The reason that the answers of a peer make no page.
#[derive(Debug)]
pub enum NoPage {
    /// The answers differ from those of other peers if one of these gives the page.
    Differs(String),
    /// Only the peer that made it knows the upstream's token, and the others aren't at fault.
    UnknownToken,
}

impl<'a> Visit<'a> {
    /// Creates the visit of a client request that hasn't been sent to a peer yet.
    #[must_use]
    pub fn new(peers: &'a Peers, key: u128, can_repeat: bool) -> Self {
        let (doubts, is_again) = (AtomicBool::new(false), AtomicBool::new(false));
        let (kind, state) = (LatencyKind::default(), Mutex::default());
        Self { peers, key, can_repeat, judges: false, kind, doubts, is_again, state }
    }

    /// Returns the visit of a request whose answers are read as pages: [`Self::served`] is called for pages.
    #[must_use]
    pub fn judging(self) -> Self {
        Self { judges: true, kind: self.kind.of_pages(), ..self }
    }

    /// Returns the visit of a request of this kind.
    #[must_use]
    pub fn of_kind(self, kind: LatencyKind) -> Self {
        Self { kind, ..self }
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

    /// Adds the share of a request to the budget of retries. The requests for a page that is made again are themselves
    /// retries.
    pub fn begins(&self) {
        match self.is_again.load(Ordering::Relaxed) {
            false => self.peers.budget().add(self.peers.retries().share),
            true => self.peers.budget().charge(),
        }
    }

    /// Records a failed answer of a peer. The next attempt takes another peer. An unreadable answer counts against the
    /// peer only when another peer gives the page.
    pub fn failed(&self, peer: &Arc<Peer>, flaw: Flaw, now: Instant) {
        if flaw == Flaw::Unreadable {
            self.suspect(peer, "its answer can't be read: broken HTTP".to_owned());
        } else {
            self.leaves(peer);
            self.peers.failed(peer, &flaw.to_string(), now);
        }
    }

    /// Records that an answer of a peer can't be read, for the reason `said`, as [`Self::failed`] does.
    pub fn suspect(&self, peer: &Arc<Peer>, said: String) {
        self.leaves(peer);
        // If no other peer gives the page, nothing counts against this one, but its remark still says why.
        peer.remark(&said, self.peers.now());
        self.locked().suspects.push(Suspect { peer: Arc::clone(peer), said });
        self.doubts.store(true, Ordering::Relaxed);
    }

    /// Records an answer of a peer that isn't a failure. If answers aren't read as pages, it is a readable one.
    pub fn answered(&self, request: &PeerRequest, now: Instant) {
        self.peers.timed(self.kind, request, now);
        self.peers.answered(request, now);
        if !self.judges {
            self.blame_suspects();
        }
    }

    /// Records that the page uses an answer of this peer.
    pub fn uses(&self, peer: &Arc<Peer>) {
        let used = &mut self.locked().used;
        match used {
            UsedPeers::None => *used = UsedPeers::One(Arc::clone(peer)),
            UsedPeers::One(known) if known.address == peer.address => {}
            UsedPeers::One(_) | UsedPeers::Several => *used = UsedPeers::Several,
        }
    }

    /// Records that the page was made. Returns the peers that differ from the one that gave it.
    pub fn served(&self) -> Vec<Suspect> {
        // A page from the answers of several peers shows nothing about one of them.
        if let UsedPeers::One(peer) = &self.locked().used {
            self.peers.gave_page(peer);
        }
        self.blame_suspects()
    }

    fn blame_suspects(&self) -> Vec<Suspect> {
        if !self.doubts.load(Ordering::Relaxed) {
            return Vec::new();
        }
        self.doubts.store(false, Ordering::Relaxed);
        let suspects = std::mem::take(&mut self.locked().suspects);
        suspects.iter().for_each(|suspect| self.peers.missed_page(&suspect.peer, &suspect.said));
        suspects
    }

    /// Records that the answers so far make no page, so that [`Self::again`] lets another peer give it.
    pub fn no_page(&self, reason: NoPage) {
        self.locked().no_page = Some(reason);
    }

    /// Begins to make the page again from the answers of another peer alone, and returns the pause before it. Returns
    /// `None` if there is no reason for it, or in the cases of [`Self::retry`]. Everything that is known from the answers
    /// so far must be dropped: the answers of two peers together prove nothing.
    pub fn again(&self, now: Instant, deadline: Instant) -> Option<Duration> {
        let state = &mut *self.locked();
        let reason = state.no_page.take()?;
        // After answers of several peers, each of them may still give the page alone.
        let alone = match std::mem::take(&mut state.used) {
            UsedPeers::One(peer) => Some(peer),
            UsedPeers::None | UsedPeers::Several => None,
        };
        if let (Some(peer), NoPage::Differs(said), 2..) = (&alone, &reason, self.peers.count()) {
            peer.remark(said, now);
        }
        let is_used = |peer: &Peer| alone.as_ref().is_some_and(|alone| alone.address == peer.address);
        let has_other = self.peers.has_ready(|peer| !state.failed.contains(&peer.address) && !is_used(peer));
        let pause = self.pause(state, Flaw::Unreadable, has_other, now, deadline)?;
        if !self.peers.budget().permits() {
            return None;
        }
        if let Some(peer) = alone {
            if !state.failed.contains(&peer.address) {
                state.failed.push(peer.address);
            }
            if let NoPage::Differs(said) = reason {
                state.suspects.push(Suspect { peer, said });
                self.doubts.store(true, Ordering::Relaxed);
            }
        }
        state.peer = None;
        state.again += 1;
        self.is_again.store(true, Ordering::Relaxed);
        Some(pause)
    }

    /// Returns the number of peers that failed the request, or whose answers made no page.
    #[must_use]
    pub fn failed_peers(&self) -> usize {
        self.locked().failed.len()
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
        let mut state = self.locked();
        let has_other = self.peers.has_ready(|peer| !state.failed.contains(&peer.address));
        let pause = self.pause(&state, flaw, has_other, now, deadline)?;
        if !self.peers.budget().take() {
            return None;
        }
        state.retries += 1;
        Some(pause)
    }

    /// Returns the pause before another attempt; `None` in the cases of [`Self::retry`] but for the budget.
    fn pause(
        &self,
        state: &VisitState,
        flaw: Flaw,
        has_other: bool,
        now: Instant,
        deadline: Instant,
    ) -> Option<Duration> {
        let settings = self.peers.retries();
        let attempts = state.retries + state.again;
        // A write might have been carried out although its answer was lost, so it isn't repeated. Test:
        // `writes_are_sent_once`.
        if !self.can_repeat || attempts >= settings.most {
            return None;
        }
        let pause = flaw.pause(settings, has_other, attempts, getrandom::u32().unwrap_or(u32::MAX / 2))?;
        // A retry that comes too late takes nothing from the budget.
        (now + pause < deadline).then_some(pause)
    }

    /// Returns whether the request can be repeated at a healthy peer other than `peer`.
    pub fn has_other(&self, peer: &Peer) -> bool {
        let state = self.locked();
        let is_other = |other: &Peer| other.address != peer.address && !state.failed.contains(&other.address);
        self.can_repeat && state.retries + state.again < self.peers.retries().most && self.peers.has_ready(is_other)
    }

    fn locked(&self) -> MutexGuard<'_, VisitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
