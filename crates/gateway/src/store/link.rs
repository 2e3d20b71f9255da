//! The queues between requests and the worker, and the state of the store that requests read.
//!
//! A question waits for its reply within its time limit. A write waits in a queue that is bounded in number and in
//! bytes, and is dropped if the queue is full. The worker ends when the last link to it has been dropped.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use redis::{Cmd, Value};
use tokio::sync::{mpsc, oneshot};

use super::{
    counts::{Answered, StoreCounts, Written},
    node::{ServerReport, ServerStanding, ServerStatus},
};
use crate::tls::{PeerCredentials, Renewable};
use cursorgate_config::settings::StoreSettings;

/// The largest number of questions that wait for the worker. Further questions fail at once, as if the store were down.
const MOST_QUESTIONS: usize = 1_024;
/// The largest number of writes that wait for the worker. Further writes are dropped.
const MOST_WRITES: usize = 4_096;

/// The largest number of bytes of all writes that wait for the worker. Further writes are dropped.
const MOST_BYTES: usize = 16 << 20;

/// The reason that a question has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The server of the name is down, or the queue of questions is full.
    Down,
    /// No reply arrived within the time limit.
    Late,
    /// The server replied with an error, or with a value of an unexpected form.
    Refused,
}

impl From<StoreFault> for Answered {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Down => Self::Down,
            StoreFault::Late => Self::Late,
            StoreFault::Refused => Self::Refused,
        }
    }
}

/// A command that a request waits for, and the sender of its reply.
#[derive(Debug)]
pub(super) struct Question {
    /// The key in the store, which determines the server.
    pub(super) name: String,
    pub(super) command: Cmd,
    /// The largest number of bytes of the reply.
    pub(super) size: usize,
    /// The longest time for the server's reply, from the time at which the worker sends the question.
    pub(super) patience: Duration,
    /// True if the command also writes. Its refusal then shows that the server refuses writes.
    pub(super) writes: bool,
    pub(super) reply: oneshot::Sender<Result<Value, StoreFault>>,
}

/// A write that waits. Dropping it, after its reply or without a reply, subtracts its size from the bytes that wait.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) name: String,
    pub(super) command: Cmd,
    size: usize,
    /// The bytes of all writes that wait.
    waiting: Arc<AtomicUsize>,
}

impl Drop for Write {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.size, Ordering::Relaxed);
    }
}

/// The worker's ends of the queues, and everything else that the worker needs.
#[derive(Debug)]
pub(super) struct WorkerEnd {
    pub(super) questions: mpsc::Receiver<Question>,
    pub(super) writes: mpsc::Receiver<Write>,
    pub(super) settings: Arc<StoreSettings>,
    pub(super) tls: Option<Arc<Renewable<PeerCredentials>>>,
    pub(super) state: Arc<StoreState>,
    pub(super) counts: Arc<StoreCounts>,
}

/// The state of the servers of the store, which the worker writes and requests read.
#[derive(Debug, Default)]
pub(super) struct StoreState {
    /// The number of servers that are up.
    pub(super) up: Arc<AtomicUsize>,
    pub(super) servers: Mutex<Vec<Arc<ServerStatus>>>,
}

/// The requests' ends of the queues to the worker. A reload keeps the link if the servers stay the same.
#[derive(Debug)]
pub struct StoreLink {
    pub(super) settings: Arc<StoreSettings>,
    pub(super) tls: Option<Arc<Renewable<PeerCredentials>>>,
    pub(super) counts: Arc<StoreCounts>,
    questions: mpsc::Sender<Question>,
    writes: mpsc::Sender<Write>,
    waiting: Arc<AtomicUsize>,
    state: Arc<StoreState>,
    /// The worker's ends; `None` after the worker has been started.
    end: Mutex<Option<WorkerEnd>>,
}

impl StoreLink {
    /// Creates a link without a worker. The store counts as down until [`super::worker::begin`] starts one.
    pub(super) fn new(
        settings: StoreSettings,
        tls: Option<Arc<Renewable<PeerCredentials>>>,
        counts: Arc<StoreCounts>,
    ) -> Arc<Self> {
        let (settings, state) = (Arc::new(settings), Arc::<StoreState>::default());
        let (ask, questions) = mpsc::channel(MOST_QUESTIONS);
        let (tell, writes) = mpsc::channel(MOST_WRITES);
        let end = WorkerEnd {
            questions,
            writes,
            settings: Arc::clone(&settings),
            tls: tls.clone(),
            state: Arc::clone(&state),
            counts: Arc::clone(&counts),
        };
        Arc::new(Self {
            settings,
            tls,
            counts,
            questions: ask,
            writes: tell,
            waiting: Arc::default(),
            state,
            end: Mutex::new(Some(end)),
        })
    }

    /// Returns the worker's ends; `None` if they have been taken.
    pub(super) fn take_end(&self) -> Option<WorkerEnd> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Sends a command to the server that has a name, and waits for the reply within the time limit of the
    /// configuration. The reply may have at most about `size` bytes.
    pub(super) fn ask<'a>(
        &'a self,
        name: &'a str,
        command: Cmd,
        size: usize,
    ) -> impl Future<Output = Result<Value, StoreFault>> + 'a {
        self.exchange(self.settings.timeout, name, command, size, false)
    }

    /// Does the same as [`Self::ask`] with another time limit.
    pub(super) fn ask_within<'a>(
        &'a self,
        patience: Duration,
        name: &'a str,
        command: Cmd,
        size: usize,
    ) -> impl Future<Output = Result<Value, StoreFault>> + 'a {
        self.exchange(patience, name, command, size, false)
    }

    /// Sends a command that changes the value of a name, and waits for the reply within the time limit of the
    /// configuration.
    pub(super) fn change<'a>(
        &'a self,
        name: &'a str,
        command: Cmd,
    ) -> impl Future<Output = Result<Value, StoreFault>> + 'a {
        self.exchange(self.settings.timeout, name, command, 0, true)
    }

    async fn exchange(
        &self,
        patience: Duration,
        name: &str,
        command: Cmd,
        size: usize,
        writes: bool,
    ) -> Result<Value, StoreFault> {
        if !self.is_up() {
            return Err(StoreFault::Down);
        }
        let (reply, replied) = oneshot::channel();
        let question = Question { name: name.to_owned(), command, size, patience, writes, reply };
        // A full queue counts as a store that is down: waiting for room would use up the time of the question.
        self.questions.try_send(question).map_err(|_| StoreFault::Down)?;
        // The time limit also bounds the wait in the queue. The worker drops a question whose request no longer waits.
        match tokio::time::timeout(patience, replied).await {
            Ok(Ok(reply)) => reply,
            // The worker has ended without a reply, so the store counts as down.
            Ok(Err(_)) => Err(StoreFault::Down),
            Err(_) => Err(StoreFault::Late),
        }
    }

    /// Sends a write of about `size` bytes, which no request waits for. The write is dropped, and counted as dropped,
    /// if no server is up or the queue is full.
    pub(super) fn tell(&self, name: &str, command: Cmd, size: usize) {
        // The bytes are counted before the check. If the write is dropped here, its `Drop` subtracts them again.
        let waits = self.waiting.fetch_add(size, Ordering::Relaxed);
        let write = Write { name: name.to_owned(), command, size, waiting: Arc::clone(&self.waiting) };
        if !self.is_up() || waits + size > MOST_BYTES || self.writes.try_send(write).is_err() {
            self.counts.write(Written::Dropped);
        }
    }

    /// Returns whether at least one server is up.
    pub fn is_up(&self) -> bool {
        self.state.up.load(Ordering::Relaxed) > 0
    }

    /// Returns reports about all known servers.
    pub fn servers(&self) -> Vec<ServerReport> {
        let servers = self.state.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().map(|server| server.report()).collect()
    }

    /// Returns whether no server is known, or whether any server is down or refuses writes.
    pub fn is_degraded(&self) -> bool {
        let servers = self.servers();
        // Before the worker has begun, no server is known, which counts as degraded.
        servers.is_empty()
            || servers.iter().any(|server| server.standing != ServerStanding::Up || server.reason.is_some())
    }
}
