//! A server of the store: its connection, its failures, and the trials after them.
//!
//! A server is asked while it has a connection. After three failures in a row the connection is dropped, and the server
//! is tried at intervals: by a new connection, the password, and one question. No request waits for a trial. The pause
//! before the next trial grows while the server stays down, and is short again after the server has been up for a
//! while.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::connect::{Driver, ServerLine};
use crate::runtime::clock;

/// The number of failures in a row after which a server is down.
const MOST_FAILURES: u32 = 3;

/// The first pause before a trial.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest pause before a trial.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The time for which a server has to be up before its pauses begin anew.
const RECOVERED: Duration = Duration::from_secs(30);

/// The standing of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerStanding {
    /// The server has not been tried yet.
    #[default]
    Unknown,
    Up,
    Down,
}

impl ServerStanding {
    /// Returns the word for operators. A server that has not been tried yet counts as down.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unknown | Self::Down => "down",
        }
    }
}

/// The time without a refused write after which a server counts as accepting writes again.
const SETTLED: Duration = Duration::from_secs(10);

/// The report about a server for operators.
#[derive(Clone, Debug)]
pub struct ServerReport {
    /// `host:port`, or the name of a master that sentinels know.
    pub address: String,
    pub standing: ServerStanding,
    /// The time of the last change of `standing`, in seconds since 1970.
    pub since: u64,
    /// The reason that the server is down or refuses writes; `None` if it is up and accepts writes, or hasn't been
    /// tried.
    pub reason: Option<String>,
}

/// The state of a server that other threads read.
#[derive(Debug)]
pub struct ServerStatus {
    report: Mutex<ServerReport>,
    /// The time of the last refused write; `None` before the first one.
    refused: Mutex<Option<Instant>>,
    /// The number of the store's servers that are up, in a counter that all of these servers share.
    up: Arc<AtomicUsize>,
}

/// The state of a server that only the worker uses.
pub(super) struct StoreNode {
    pub(super) status: Arc<ServerStatus>,
    kept: RefCell<Option<KeptLine>>,
    /// The number of failures in a row.
    failures: Cell<u32>,
}

/// A connection that is in use.
struct KeptLine {
    line: ServerLine,
    /// Sends the reason for giving this connection up to the task that owns it, and never to the task of a later
    /// connection. Test: `a_connection_that_is_given_up_does_not_end_the_next_connection`.
    given_up: oneshot::Sender<String>,
}

impl ServerStatus {
    pub(super) fn new(address: String, up: Arc<AtomicUsize>) -> Arc<Self> {
        let report =
            ServerReport { address, standing: ServerStanding::Unknown, since: clock::unix_seconds(), reason: None };
        Arc::new(Self { report: Mutex::new(report), refused: Mutex::default(), up })
    }

    pub fn report(&self) -> ServerReport {
        self.locked().clone()
    }

    /// Records that the server answers, and logs the change.
    pub(super) fn rose(&self) {
        let mut report = self.locked();
        let before = std::mem::replace(&mut report.standing, ServerStanding::Up);
        if before != ServerStanding::Up {
            self.up.fetch_add(1, Ordering::Relaxed);
            (report.since, report.reason) = (clock::unix_seconds(), None);
            // The warning before it would else be the last line at its level.
            if before == ServerStanding::Down {
                tracing::warn!(server = report.address, "the shared store answers again");
            } else {
                tracing::info!(server = report.address, "the shared store answers");
            }
        }
    }

    /// Records that the server does not answer, and logs the change.
    pub(super) fn fell(&self, reason: String) {
        let mut report = self.locked();
        let before = std::mem::replace(&mut report.standing, ServerStanding::Down);
        // A server that fails again while it is down is subtracted only once. Test:
        // `servers_that_are_up_are_counted_once`.
        if before == ServerStanding::Up {
            self.up.fetch_sub(1, Ordering::Relaxed);
        }
        if before != ServerStanding::Down {
            report.since = clock::unix_seconds();
            tracing::warn!(server = report.address, reason, "the shared store is down: requests go on without it");
        }
        report.reason = Some(reason);
    }

    /// Records that the server accepts writes, or the reason that it refuses them, and logs the change. A server whose
    /// memory is full takes some writes and refuses others, so it accepts writes only after [`SETTLED`] without a
    /// refusal.
    pub(super) fn takes_writes(&self, refusal: Option<String>, now: Instant) {
        let mut report = self.locked();
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refusal.is_some() {
            *refused = Some(now);
        } else if refused.is_some_and(|refused| now.saturating_duration_since(refused) < SETTLED) {
            return;
        }
        match (&report.reason, &refusal) {
            _ if report.standing != ServerStanding::Up => return,
            (None, Some(reason)) => {
                tracing::warn!(
                    server = report.address,
                    reason,
                    "the shared store refuses commands: each process counts limits alone"
                );
            }
            // A user may have the right to one command for writes and not to another: a write that succeeds does not
            // show that others would, so the reason stays. Test:
            // `rate_limits_need_only_the_documented_rights_of_the_store`.
            (Some(reason), None) if reason.starts_with("NOPERM") => return,
            (Some(_), None) => tracing::warn!(server = report.address, "the shared store takes all commands again"),
            _ => return,
        }
        report.reason = refusal;
    }

    fn locked(&self) -> MutexGuard<'_, ServerReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ServerStatus {
    fn drop(&mut self) {
        // A node that has left the cluster no longer counts as up. Test: `servers_that_are_up_are_counted_once`.
        if self.locked().standing == ServerStanding::Up {
            self.up.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl StoreNode {
    pub(super) fn new(status: Arc<ServerStatus>) -> Rc<Self> {
        Rc::new(Self { status, kept: RefCell::default(), failures: Cell::default() })
    }

    /// Returns the connection; `None` while the server is down.
    pub(super) fn line(&self) -> Option<ServerLine> {
        self.kept.borrow().as_ref().map(|kept| kept.line.clone())
    }

    /// Records an answer, which ends a series of failures.
    pub(super) fn answered(&self) {
        self.failures.set(0);
    }

    /// Records a failure. After [`MOST_FAILURES`] failures in a row, gives the connection up.
    pub(super) fn failed(&self, reason: String) {
        self.failures.set(self.failures.get() + 1);
        if self.failures.get() >= MOST_FAILURES {
            self.leave(reason);
        }
    }

    /// Gives the connection up for this reason. The connection then ends.
    pub(super) fn leave(&self, reason: String) {
        if let Some(KeptLine { given_up, .. }) = self.kept.borrow_mut().take() {
            // This fails if the connection has already ended, which has the same effect.
            let _ = given_up.send(reason);
        }
    }

    /// Keeps the server connected, for as long as the future is polled. `connect` opens and tests a connection.
    pub(super) async fn keep(self: Rc<Self>, connect: impl AsyncFn() -> Result<(ServerLine, Driver), String>) {
        let mut pauses = Pauses::default();
        loop {
            let reason = match connect().await {
                Ok((line, driver)) => {
                    pauses.rose(clock::instant());
                    self.serve(line, driver).await
                }
                // Another trial follows, even at the start. Test:
                // `a_store_that_is_down_at_the_start_is_used_when_it_comes`.
                Err(reason) => reason,
            };
            self.status.fell(reason);
            tokio::time::sleep(pauses.next(clock::instant())).await;
        }
    }

    /// Uses a connection until it ends or is given up, and returns the reason.
    async fn serve(&self, line: ServerLine, driver: Driver) -> String {
        let (given_up, why) = oneshot::channel();
        self.failures.set(0);
        *self.kept.borrow_mut() = Some(KeptLine { line, given_up });
        self.status.rose();
        // The connection works only while its driver is polled, which is here.
        let reason = tokio::select! {
            // The reason is polled first, because the driver of a connection that is given up ends, too: its last
            // handle is dropped.
            biased;
            Ok(reason) = why => reason,
            () = driver => "the connection ended".to_owned(),
        };
        self.kept.borrow_mut().take();
        reason
    }
}

/// The pauses before trials, which double up to [`LONGEST_PAUSE`].
#[derive(Debug)]
struct Pauses {
    next: Duration,
    /// The time since which the server has been up; `None` while it is down.
    rose: Option<Instant>,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: PAUSE, rose: None }
    }
}

impl Pauses {
    fn rose(&mut self, now: Instant) {
        self.rose = Some(now);
    }

    /// Returns the pause before the next trial. If the server was up for [`RECOVERED`], the pauses begin anew. If it
    /// fails soon after each trial, the pauses continue to grow. Otherwise requests would run into its failures four
    /// times a second.
    fn next(&mut self, now: Instant) -> Duration {
        if self.rose.take().is_some_and(|rose| now.saturating_duration_since(rose) >= RECOVERED) {
            self.next = PAUSE;
        }
        let pause = self.next;
        self.next = (2 * self.next).min(LONGEST_PAUSE);
        pause
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Poll};

    use super::*;
    use cursorgate_config::settings::StoreUser;

    /// A connection that is given up ends at once, for the given reason. The reason isn't stored, so it can't end the
    /// next connection as well.
    #[tokio::test]
    async fn a_connection_that_is_given_up_does_not_end_the_next_connection() {
        let node = StoreNode::new(ServerStatus::new("a:1".to_owned(), Arc::default()));
        for turn in 0..40 {
            let (stream, _server) = tokio::io::duplex(64);
            let (line, driver) = ServerLine::begin(Box::new(stream), &StoreUser::default()).await.unwrap();
            let mut serving = pin!(node.serve(line, driver));
            let begun = poll_fn(|context| Poll::Ready(serving.as_mut().poll(context))).await;
            assert!(begun.is_pending() && node.line().is_some(), "{turn}: {begun:?}");
            node.leave("no answer".to_owned());
            assert_eq!(serving.await, "no answer", "{turn}");
            assert!(node.line().is_none(), "{turn}");
        }
    }

    #[test]
    fn pauses_grow_until_a_server_has_recovered() {
        let (mut pauses, begin) = (Pauses::default(), tokio::time::Instant::now().into_std());
        let waits: Vec<u128> = (0..7).map(|_| pauses.next(begin).as_millis()).collect();
        assert_eq!(waits, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]);
        pauses.rose(begin);
        assert_eq!(pauses.next(begin + Duration::from_secs(29)), LONGEST_PAUSE, "it answered for a moment");
        pauses.rose(begin);
        assert_eq!(pauses.next(begin + RECOVERED), PAUSE);
    }

    #[test]
    fn servers_that_are_up_are_counted_once() {
        let up = Arc::new(AtomicUsize::new(0));
        let now = tokio::time::Instant::now().into_std();
        let count = || up.load(Ordering::Relaxed);
        let status = ServerStatus::new("a:1".to_owned(), Arc::clone(&up));
        status.fell("at first".to_owned());
        assert_eq!(count(), 0);
        status.rose();
        status.rose();
        assert_eq!(count(), 1);
        status.takes_writes(Some("OOM".to_owned()), now);
        assert_eq!((count(), status.report().reason.as_deref()), (1, Some("OOM")));
        status.takes_writes(None, now + SETTLED / 2);
        assert!(status.report().reason.is_some(), "a single write that succeeds shows nothing");
        status.takes_writes(None, now + SETTLED);
        status.fell("again".to_owned());
        status.fell("and again".to_owned());
        assert_eq!((count(), status.report().reason.as_deref()), (0, Some("and again")));
        status.rose();
        drop(status);
        assert_eq!(count(), 0, "a node that left the cluster");
    }
}
