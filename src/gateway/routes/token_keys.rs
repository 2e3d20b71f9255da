//! The URL of the keys that verify tokens (`server.tokens.keys`): when it is read, and how long its keys are used. The
//! thread that reads it is `lifecycle::token_keys`.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use super::upstream::Upstream;
use crate::{
    config::{
        Diagnostics,
        settings::{TokenKeyUrl, UpstreamTls},
    },
    gateway::{identity::tokens::TokenVerifier, runtime::clock},
};

/// The shortest time between two reads. Whoever invents names of keys can't cause more.
const AGAIN: Duration = Duration::from_secs(5);

/// The longest time after which a read that failed is repeated.
const RETRY: Duration = Duration::from_secs(30);

/// The longest time that a request waits for the key of its token. After that it is told apart by its headers.
const PATIENCE: Duration = Duration::from_secs(2);

/// The URL of keys, and the state of its reads.
#[derive(Debug)]
pub(crate) struct TokenKeys {
    pub upstream: Arc<Upstream>,
    /// The path and query.
    pub target: String,
    pub verifier: Arc<TokenVerifier>,
    /// The settings that make two sources one, so the keys of the first serve the second.
    same: (Vec<String>, Option<String>, String, Option<UpstreamTls>),
    refresh: Duration,
    keep: Duration,
    state: Mutex<ReadState>,
    /// Wakes the thread that reads the URL.
    pub wanted: Notify,
    /// Changes at the end of each read.
    ended: watch::Sender<()>,
    counts: Arc<ReadCounts>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ReadState {
    is_wanted: bool,
    is_running: bool,
    /// The start of the last read.
    tried: Option<Instant>,
    /// The end of the last read that succeeded.
    loaded: Option<Instant>,
    /// Whether the last read failed. The log has the first failure of a series, and the success after it.
    fails: bool,
}

/// The numbers of reads since the start of the process, by result.
#[derive(Debug, Default)]
struct ReadCounts {
    loaded: AtomicU64,
    failed: AtomicU64,
}

impl TokenKeys {
    /// Compiles the source. The source of the same URL in force passes on its keys. Returns `None` if there are errors,
    /// which are reported in `diagnostics`.
    pub(crate) fn compile(
        url: &TokenKeyUrl,
        verifier: &Arc<TokenVerifier>,
        previous: Option<&Arc<Self>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Arc<Self>> {
        let peers = url.upstream.peers.iter().map(|peer| peer.value.clone()).collect();
        let same = (peers, url.upstream.host_header.clone(), url.target.clone(), url.upstream.tls.clone());
        let known = previous.filter(|known| known.is_same(&same));
        if let Some(known) = known {
            verifier.continue_from(&known.verifier);
        }
        let known_upstream = known.map(|known| Arc::clone(&known.upstream));
        let upstream = Upstream::compile(&url.upstream, known_upstream.as_slice(), diagnostics)?;
        let state = known.map(|known| ReadState { is_running: false, ..*known.locked() });
        Some(Arc::new(Self {
            upstream: Arc::new(upstream),
            target: url.target.clone(),
            verifier: Arc::clone(verifier),
            same,
            refresh: url.refresh,
            keep: url.keep,
            state: Mutex::new(state.unwrap_or_default()),
            wanted: Notify::new(),
            ended: watch::Sender::default(),
            counts: previous.map(|previous| Arc::clone(&previous.counts)).unwrap_or_default(),
        }))
    }

    fn is_same(&self, other: &(Vec<String>, Option<String>, String, Option<UpstreamTls>)) -> bool {
        let is_same_tls = match (&self.same.3, &other.3) {
            (None, None) => true,
            (Some(own), Some(other)) => own.names_like(other),
            _ => false,
        };
        (&self.same.0, &self.same.1, &self.same.2) == (&other.0, &other.1, &other.2) && is_same_tls
    }

    fn locked(&self) -> MutexGuard<'_, ReadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the URL has been read, because a token names a key that isn't known. Returns at once if the URL was
    /// read a moment ago.
    pub(crate) async fn wait_for_new(&self) {
        let mut ended = self.ended.subscribe();
        {
            let mut state = self.locked();
            let is_early = state.tried.is_some_and(|tried| clock::instant() < tried + AGAIN);
            if is_early && !state.is_running {
                return;
            }
            state.is_wanted = true;
        }
        self.wanted.notify_one();
        // This value owns the sender, so the wait ends only by a change or by the time.
        let _ = tokio::time::timeout(PATIENCE, ended.changed()).await;
    }

    /// Begins a read, if one is due.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        let mut state = self.locked();
        let after = if state.fails { RETRY.min(self.refresh) } else { self.refresh };
        let is_due = match state.tried {
            None => true,
            Some(tried) if state.is_wanted && now >= tried + AGAIN => true,
            Some(tried) => now >= tried + after,
        };
        if is_due {
            *state = ReadState { is_wanted: false, is_running: true, tried: Some(now), ..*state };
        }
        is_due
    }

    /// Ends a read with the keys of the URL, or with the reason that there are none.
    pub(crate) fn end(&self, read: Result<Vec<u8>, String>, now: Instant) {
        let url = format!("{}{}", self.upstream.name, self.target);
        let renewed = read.and_then(|text| self.verifier.renew(&text));
        let before = std::mem::replace(&mut self.locked().fails, renewed.is_err());
        match renewed {
            Ok(is_changed) => {
                self.locked().loaded = Some(now);
                self.counts.loaded.fetch_add(1, Ordering::Relaxed);
                if is_changed || before {
                    tracing::info!(url, keys = self.verifier.count(), "the keys of tokens were read");
                }
            }
            Err(fault) => {
                self.counts.failed.fetch_add(1, Ordering::Relaxed);
                if !before {
                    let keys = self.verifier.count();
                    tracing::warn!(url, fault, keys, "the keys of tokens can't be read: those from before are used");
                }
            }
        }
        self.locked().is_running = false;
        self.ended.send_replace(());
    }

    /// Drops the keys if they are too old.
    pub(crate) fn expire(&self, now: Instant) {
        let is_over = |loaded: Instant| loaded.checked_add(self.keep).is_some_and(|end| now >= end);
        if self.locked().loaded.is_some_and(is_over) && self.verifier.count() > 0 {
            self.verifier.forget();
            tracing::error!("the keys of tokens are older than server.tokens.keep: no token is verified");
        }
    }

    /// Returns the time since the keys were read; `None` if they never were.
    pub(crate) fn age(&self, now: Instant) -> Option<Duration> {
        self.locked().loaded.map(|loaded| now.saturating_duration_since(loaded))
    }

    /// Returns the number of reads for each result.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        let ReadCounts { loaded, failed } = &*self.counts;
        [("loaded", loaded.load(Ordering::Relaxed)), ("failed", failed.load(Ordering::Relaxed))]
    }
}
