//! The process: its signals, its requests in flight, and its end.
//!
//! After SIGTERM, Pingora waits for its whole grace period, even without a request in flight; SIGHUP would end the
//! process. The server therefore runs on a separate thread, and the main thread handles the signals:
//!
//! - SIGHUP reloads the configuration.
//! - SIGUSR2 starts a successor, which takes over the listening sockets.
//! - SIGTERM and SIGQUIT stop the process. It drains for `server.drain_delay` and then finishes its requests. Each
//!   additional signal ends a phase early: first the draining, then the wait for requests.
//! - SIGINT ends the process at once.
//! - SIGUSR1 and SIGALRM are logged and have no effect.

mod board;
pub mod live_counts;
mod pulse;
mod purges;
mod upkeep;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

pub use self::pulse::PulseState;
use self::{live_counts::LiveCounts, pulse::Pulse};
use super::{
    handover::Successor,
    live::Live,
    reload::{LastReload, ReloadCause, Reloads},
    renewal::RenewalCounts,
};
use crate::{
    net::connection::Connections,
    outcome::{
        metrics::{exports::ExportCounts, webhooks::WebhookCounts},
        trace::SpanQueue,
    },
    runtime::{clock, log_queue::LogCounts, service_manager, sockets::Sockets},
    shared::writes::ListWrites,
};

/// The interval between checks for the last request or connection.
const LOOK: Duration = Duration::from_millis(20);

/// The interval at which the allocator is made to return freed memory to the system.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// A size in bytes that exceeds mimalloc's shared pages.
const LARGE: usize = 4 << 20;

/// The state of the process, shared by all its parts.
#[derive(Clone, Debug)]
pub struct Vitals {
    commit: &'static str,
    /// The start of the process, in seconds since 1970.
    started: u64,
    /// The name of this process among those that share a store. The name is random, so two processes are very unlikely
    /// to have the same name.
    identity: Arc<str>,
    in_flight: Arc<AtomicUsize>,
    /// The number of clients that have connected but haven't sent a request, plus the number of listener queues that
    /// are being emptied.
    expected: Arc<AtomicUsize>,
    stage: Arc<watch::Sender<Stage>>,
    log: Arc<LogCounts>,
    last_reload: Arc<LastReload>,
    renewals: Arc<RenewalCounts>,
    spans: Arc<SpanQueue>,
    pulse: Arc<Pulse>,
    webhooks: Arc<WebhookCounts>,
    exports: Arc<ExportCounts>,
    live_counts: Arc<LiveCounts>,
    list_writes: Arc<ListWrites>,
}

impl Default for Vitals {
    fn default() -> Self {
        Self {
            commit: "unknown",
            started: clock::unix_seconds(),
            identity: identity(),
            in_flight: Arc::default(),
            expected: Arc::default(),
            stage: Arc::default(),
            log: Arc::default(),
            last_reload: Arc::default(),
            renewals: Arc::default(),
            spans: Arc::default(),
            pulse: Arc::default(),
            webhooks: Arc::default(),
            exports: Arc::default(),
            live_counts: Arc::default(),
            list_writes: Arc::default(),
        }
    }
}

/// Returns a name that other processes are very unlikely to have: 128 random bits in hexadecimal digits. If the system
/// provides no random bytes, the name consists of the time and the process id.
fn identity() -> Arc<str> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => format!("{:032x}", u128::from_le_bytes(bytes)).into(),
        Err(_) => format!("{}-{}", clock::unix_seconds(), std::process::id()).into(),
    }
}

/// The stages of the process, in their order. A process never returns to an earlier stage, but may skip stages: a
/// hand-over leads from `Serving` directly to `Succeeded`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connections are accepted and kept open between requests.
    #[default]
    Serving,
    /// Connections are accepted, and each closes with its next response.
    Draining,
    /// Connections of clients are no longer accepted.
    Closing,
    /// A successor has the listeners, including the admin listener.
    Succeeded,
}

/// The guard of a counted request, or of a client whose first request is expected. Dropping the guard reduces the
/// count.
#[derive(Debug)]
pub struct InFlight(Arc<AtomicUsize>);

impl Vitals {
    /// Returns the state of a process that is built from a commit.
    #[must_use]
    pub fn built_from(commit: &'static str) -> Self {
        Self { commit, ..Self::default() }
    }

    /// Returns the commit that the program was built from; `unknown` if the build did not set it.
    pub fn commit(&self) -> &'static str {
        self.commit
    }

    /// Adds a request in flight to the count, until the returned guard is dropped.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// Counts a client that has connected and whose first request may be on its way. The client can't know that the
    /// process is stopping, so the process waits for this request.
    #[must_use]
    pub fn expect(&self) -> InFlight {
        self.expected.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.expected))
    }

    /// Returns whether the process is stopping. A stopping process still serves requests that arrive, but closes their
    /// connections.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stage.borrow() > Stage::Serving
    }

    /// Waits until the process has reached this stage or a later one.
    pub async fn reached(&self, stage: Stage) {
        // This value owns the sender, so the wait can't fail. A stage may have passed before it is noticed, so later
        // stages count too. Test: `a_later_stage_ends_the_wait_for_an_earlier_one`.
        let _ = self.stage.subscribe().wait_for(|now| *now >= stage).await;
    }

    /// Enters a stage, unless the process is already in a later one.
    fn enter_stage(&self, stage: Stage) {
        self.stage.send_modify(|now| *now = stage.max(*now));
    }

    /// Returns the start time of the process, in seconds since 1970.
    #[must_use]
    pub fn started(&self) -> u64 {
        self.started
    }

    /// Returns the name of this process among those that share a store.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    #[must_use]
    pub fn webhooks(&self) -> &WebhookCounts {
        &self.webhooks
    }

    #[must_use]
    pub fn exports(&self) -> &ExportCounts {
        &self.exports
    }

    /// Returns the counts of live pages and their subscribers.
    #[must_use]
    pub fn live_counts(&self) -> &Arc<LiveCounts> {
        &self.live_counts
    }

    /// Returns the writes to lists that pass through this process.
    #[must_use]
    pub fn list_writes(&self) -> &Arc<ListWrites> {
        &self.list_writes
    }

    /// Returns the counts of waiting and dropped log lines.
    #[must_use]
    pub fn log(&self) -> &Arc<LogCounts> {
        &self.log
    }

    /// Returns the results of the last reloads, and the counts of all reloads.
    #[must_use]
    pub fn last_reload(&self) -> &Arc<LastReload> {
        &self.last_reload
    }

    /// Returns the queue of spans that wait for their export.
    #[must_use]
    pub fn spans(&self) -> &Arc<SpanQueue> {
        &self.spans
    }

    /// Returns the watchdog of the threads that serve clients.
    #[must_use]
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Returns the counts of certificate renewals.
    #[must_use]
    pub fn renewals(&self) -> &Arc<RenewalCounts> {
        &self.renewals
    }

    /// Returns the number of requests in flight, including observations that continue after their requests.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// The signal that stops a Pingora server. The signal comes from this module, not from the system.
struct StopSignal(watch::Receiver<bool>);

#[async_trait]
impl ShutdownSignalWatch for StopSignal {
    async fn recv(&self) -> ShutdownSignal {
        let mut told = self.0.clone();
        // A dropped sender means that the process is ending, so an error stops the server too.
        let _ = told.wait_for(|stop| *stop).await;
        ShutdownSignal::GracefulTerminate
    }
}

/// The signals that end the process. They are caught as soon as this value exists.
struct Ends {
    terminate: Signal,
    quit: Signal,
    interrupt: Signal,
}

/// The way in which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    InOrder,
    AtOnce,
    /// The process with this id has taken over.
    Succeeded(u32),
}

impl Ends {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal that ends the process.
    async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending::InOrder,
            _ = self.quit.recv() => Ending::InOrder,
            // The signal of Ctrl+C. Test: `ctrl_c_ends_the_process`.
            _ = self.interrupt.recv() => Ending::AtOnce,
        }
    }
}

/// The runtime of the main thread, which handles signals. SIGHUP is caught as soon as this value exists, because an
/// uncaught SIGHUP during the start would end the process. The caught signal waits until there is a configuration to
/// reload. The signals that end the process still end it at once during the start.
pub struct SignalRuntime {
    runtime: tokio::runtime::Runtime,
    reload: Signal,
}

impl SignalRuntime {
    /// Creates the runtime and catches SIGHUP.
    ///
    /// # Errors
    ///
    /// Returns an error if the runtime can't be created, or if the signal can't be caught.
    pub fn begin() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let reload = {
            let _entered = runtime.enter();
            signal(SignalKind::hangup())?
        };
        Ok(Self { runtime, reload })
    }
}

/// The main thread's work apart from the signals that end the process: reloads on SIGHUP, and the return of memory.
struct Housekeeping {
    reloads: Option<Reloads>,
    reload: Signal,
    user_1: Signal,
    alarm: Signal,
}

impl Housekeeping {
    /// Catches SIGUSR1 and SIGALRM, which are logged and have no other effect.
    fn begin(reload: Signal, reloads: Option<Reloads>) -> std::io::Result<Self> {
        // By default each of these signals ends a process. Test: `signals_without_a_meaning_do_nothing`.
        Ok(Self { reloads, reload, user_1: signal(SignalKind::user_defined1())?, alarm: signal(SignalKind::alarm())? })
    }

    /// Does the work for as long as the future is polled. Each iteration follows a signal or an interval.
    async fn keep(mut self) -> Infallible {
        loop {
            let name = tokio::select! {
                _ = self.reload.recv() => {
                    if let Some(reloads) = &self.reloads {
                        reloads.request(ReloadCause::Signal);
                    }
                    continue;
                }
                () = tokio::time::sleep(GIVE_BACK) => {
                    // Without this, an idle process would keep the memory of a burst. Test:
                    // `memory_of_closed_connections_is_given_back`.
                    give_back();
                    continue;
                }
                _ = self.user_1.recv() => "SIGUSR1",
                _ = self.alarm.recv() => "SIGALRM",
            };
            let meanings = "SIGHUP reloads, SIGUSR2 starts a successor, SIGTERM stops";
            tracing::info!(signal = name, "this signal does nothing: {meanings}");
        }
    }
}

/// The start of a successor on SIGUSR2.
struct Succession {
    wanted: Signal,
    sockets: Arc<Sockets>,
}

impl Succession {
    /// Waits until a successor has taken over, and returns its process id. If a successor fails, the failure is logged
    /// and this process continues. Test: `a_successor_that_fails_changes_nothing`.
    async fn next(&mut self) -> u32 {
        // Each iteration follows a signal.
        loop {
            self.wanted.recv().await;
            if std::process::id() == 1 {
                // When the first process of a container ends, all other processes end too. The first process therefore
                // starts no successor.
                tracing::error!("no successor: the container would end with this process. Replace the container");
                continue;
            }
            tracing::info!("a successor starts");
            // Another thread starts the successor, because this thread handles the signals.
            let sockets = Arc::clone(&self.sockets);
            match tokio::task::spawn_blocking(move || Successor::start(&sockets)?.release()).await {
                Ok(Ok(successor)) => return successor,
                Ok(Err(error)) => tracing::error!(%error, "no successor: this process goes on"),
                // The panic has already been logged.
                Err(_) => {}
            }
        }
    }
}

/// The servers of the process, and the state that its end needs.
pub struct Servers {
    /// The server of clients. After the stage `Draining`, this server accepts no connections.
    pub gateway: Server,
    /// The server that runs until the process ends, while `gateway` finishes its requests. It contains the admin
    /// listener, which still answers health checks, and the work for which requests may wait.
    pub companion: Server,
    /// The sockets of both servers.
    pub sockets: Sockets,
    /// The function that returns the number of open client connections.
    pub clients: Box<dyn Fn() -> usize + Send>,
    /// The connections to upstreams, over which health checks are made.
    pub connections: Arc<Connections>,
}

/// Runs both servers until a signal ends them. SIGHUP triggers `reloads`.
///
/// # Errors
///
/// Returns an error if signals can't be caught, a thread can't be started, the predecessor doesn't answer, or a server
/// ends without a signal.
pub fn run(
    servers: Servers,
    SignalRuntime { runtime, reload }: SignalRuntime,
    vitals: &Vitals,
    live: &Live,
    reloads: Option<Reloads>,
) -> std::io::Result<()> {
    let Servers { gateway, companion, mut sockets, clients, connections } = servers;
    let run = runtime.block_on(async {
        // Signals are caught before the first client is accepted.
        let (ends, housekeeping) = (Ends::catch()?, Housekeeping::begin(reload, reloads)?);
        let wanted = signal(SignalKind::user_defined2())?;
        take_over(&mut sockets)?;
        let (tell, told) = watch::channel(false);
        // A dropped sender stops its server, but the companion must answer health checks to the end, so its sender is
        // kept.
        let (_never, untold) = watch::channel(false);
        let (ended, mut has_ended) = tokio::sync::mpsc::channel::<()>(1);
        for (name, server, told) in [("gateway", gateway, told), ("companion", companion, untold)] {
            let ended = ended.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                server.run(RunArgs { shutdown_signal: Box::new(StopSignal(told)) });
                // The receiver may already have been dropped, so a failure is ignored.
                let _ = ended.blocking_send(());
            })?;
        }
        service_manager::ready();
        let close = move || {
            // A failure means that the server has ended, and its listeners with it.
            let _ = tell.send(true);
        };
        let succession = Succession { wanted, sockets: Arc::new(sockets) };
        tokio::select! {
            biased;
            () = until_the_end(ends, succession, vitals, live, close, clients) => Ok(()),
            never = housekeeping.keep() => match never {},
            never = upkeep::keep(live, connections, vitals) => match never {},
            _ = has_ended.recv() => Err(std::io::Error::other("the server ended by itself")),
        }
    });
    if run.is_ok() {
        let snapshot = live.pin();
        runtime.block_on(board::publish_last(&snapshot, vitals.identity(), clock::unix_seconds()));
    }
    // A successor that is still starting isn't waited for. Without an answer from this process, the successor ends.
    runtime.shutdown_background();
    run
}

/// Reports to the predecessor, if there is one, that this process can serve. The predecessor then stops. The
/// configuration has already been compiled and all sockets are open, so connections wait in the sockets' queues
/// meanwhile.
fn take_over(sockets: &mut Sockets) -> std::io::Result<()> {
    if !sockets.has_predecessor() {
        return Ok(());
    }
    sockets.report().map_err(|error| {
        std::io::Error::new(error.kind(), format!("the process before this one does not answer: {error}"))
    })?;
    tracing::info!("this process has taken over from the one before");
    Ok(())
}

/// Waits until the process may end, through the stages that the signal calls for. `close` ends idle connections and the
/// server of clients. `clients` returns the number of open connections.
async fn until_the_end(
    mut ends: Ends,
    mut succession: Succession,
    vitals: &Vitals,
    live: &Live,
    close: impl FnOnce(),
    clients: impl Fn() -> usize,
) {
    let ending = tokio::select! {
        ending = ends.next() => ending,
        successor = succession.next() => Ending::Succeeded(successor),
    };
    // `succession` owns duplicates of the sockets, which would keep the sockets listening after their listeners have
    // closed.
    drop(succession);
    let (delay, grace) = {
        let server = &live.pin().server;
        (server.drain_delay, server.shutdown_timeout)
    };
    let goes_on = match ending {
        Ending::AtOnce => {
            tracing::info!("interrupted");
            return;
        }
        Ending::InOrder => {
            service_manager::stopping();
            drain(&mut ends, vitals, delay).await
        }
        Ending::Succeeded(process) => {
            vitals.enter_stage(Stage::Succeeded);
            tracing::info!(process, "handed over: each connection that is left ends with its next request");
            tokio::select! {
                // A client may send one more request on an open connection, so the connections get time to end. Test:
                // `the_old_process_finishes_its_requests_after_a_handover`.
                _ = wait_for(grace, || clients() == 0) => true,
                end = ends.next() => end != Ending::AtOnce,
            }
        }
    };
    if !goes_on {
        return;
    }
    tracing::info!(grace_seconds = grace.as_secs(), "stopping: no new connections, waiting for requests in flight");
    vitals.enter_stage(Stage::Closing);
    close();
    tokio::select! {
        () = wait_for_the_last(vitals, grace) => {}
        _ = ends.next() => tracing::warn!("second signal: not waiting for requests in flight"),
    }
}

/// Waits for `server.drain_delay` or a second signal, while load balancers notice that the process is stopping. Returns
/// `false` if the process must end at once. Test: `a_drain_delay_loses_no_request`.
async fn drain(ends: &mut Ends, vitals: &Vitals, delay: Duration) -> bool {
    // From now on, `/readyz` answers 503, and each response closes its connection.
    vitals.enter_stage(Stage::Draining);
    if delay.is_zero() {
        return true;
    }
    let seconds = delay.as_secs_f64();
    tracing::info!(seconds, "draining: connections are accepted and closed after each request");
    tokio::select! {
        () = tokio::time::sleep(delay) => true,
        end = ends.next() => {
            tracing::warn!("second signal: the drain delay ends");
            end != Ending::AtOnce
        }
    }
}

/// Makes the allocator return freed memory to the system. mimalloc returns memory at least a second after it was freed,
/// and only when it frees a page of its own. Without this call, the memory of a burst would stay while the process is
/// idle. The page that is allocated here is never written.
fn give_back() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}

/// Waits until no request is in flight or expected, for at most `grace`.
async fn wait_for_the_last(vitals: &Vitals, grace: Duration) {
    let is_idle = || vitals.in_flight() + vitals.expected.load(Ordering::Acquire) == 0;
    // Pingora would wait for the whole grace period. Test: `an_idle_gateway_leaves_at_once`.
    if wait_for(grace, is_idle).await {
        tracing::info!("no request is in flight");
    } else {
        tracing::warn!(requests = vitals.in_flight(), "the grace period is over");
    }
}

/// Waits until a condition holds, for at most `grace`, and returns whether it holds. The condition must hold at two
/// checks in a row: a request that is accepted at the moment of the first check is noticed at the second.
async fn wait_for(grace: Duration, holds: impl Fn() -> bool) -> bool {
    let began = clock::instant();
    let mut looks = 0;
    while looks < 2 {
        tokio::time::sleep(LOOK).await;
        looks = if holds() { looks + 1 } else { 0 };
        if began.elapsed() >= grace {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_later_stage_ends_the_wait_for_an_earlier_one() {
        let vitals = Vitals::default();
        assert!(!vitals.is_stopping());
        vitals.clone().enter_stage(Stage::Succeeded);
        vitals.enter_stage(Stage::Closing);
        assert!(vitals.is_stopping());
        for stage in [Stage::Draining, Stage::Closing, Stage::Succeeded] {
            vitals.reached(stage).await;
        }
    }

    #[test]
    fn a_request_is_in_flight_until_it_is_dropped() {
        let vitals = Vitals::default();
        let first = vitals.enter();
        let second = vitals.clone().enter();
        drop(first);
        assert_eq!(vitals.in_flight(), 1);
        drop(second);
        assert_eq!(vitals.in_flight(), 0);
    }
}
