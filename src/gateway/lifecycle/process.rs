//! The life of the process: its signals, its requests in flight, and its end.
//!
//! Pingora sleeps through its whole grace period after SIGTERM, even with nothing in flight, and dies of SIGHUP. The
//! server therefore runs on a thread of its own, and the main thread owns the signals. SIGHUP reloads. SIGTERM and
//! SIGQUIT stop: the process drains for the configured time and then finishes its requests; a second signal ends the
//! draining, and a third one ends the process. SIGINT ends the process at once. SIGUSR1, SIGUSR2 and SIGALRM are
//! ignored.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use pingora::server::{RunArgs, Server, ShutdownSignal, ShutdownSignalWatch};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

use super::{
    reload::{LastReload, Reloads},
    renewal::RenewalCounts,
};
use crate::{
    config::settings::ServerSettings,
    gateway::runtime::{clock, log_queue::LogCounts},
};

/// Interval of the checks for the last request.
const LOOK: Duration = Duration::from_millis(20);

/// Interval at which the allocator is made to return freed memory.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// A size beyond the pages that mimalloc shares among allocations.
const LARGE: usize = 4 << 20;

/// The state of the process, shared by all its parts.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    in_flight: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
    log: Arc<LogCounts>,
    last_reload: Arc<LastReload>,
    renewals: Arc<RenewalCounts>,
}

/// A request in flight, counted until this is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<AtomicUsize>);

impl Vitals {
    /// Counts a request.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// Returns whether the process is stopping: it serves requests that still come and closes their connections.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Returns the counters of the log.
    #[must_use]
    pub fn log(&self) -> &Arc<LogCounts> {
        &self.log
    }

    /// Returns the result of the last reload.
    #[must_use]
    pub fn last_reload(&self) -> &Arc<LastReload> {
        &self.last_reload
    }

    /// Returns the counts of renewed certificates.
    #[must_use]
    pub fn renewals(&self) -> &Arc<RenewalCounts> {
        &self.renewals
    }

    /// Returns the number of requests in flight, with the observations that go on after their requests.
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

/// The signal that stops a server.
struct StopSignal(watch::Receiver<bool>);

#[async_trait]
impl ShutdownSignalWatch for StopSignal {
    async fn recv(&self) -> ShutdownSignal {
        let mut told = self.0.clone();
        // A dropped sender means that the process is leaving.
        let _ = told.wait_for(|stop| *stop).await;
        ShutdownSignal::GracefulTerminate
    }
}

/// The signals that end the process, caught from the creation of this value on.
struct Ends {
    terminate: Signal,
    quit: Signal,
    interrupt: Signal,
}

/// The ways in which the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    InOrder,
    AtOnce,
}

impl Ends {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Ending {
        tokio::select! {
            _ = self.terminate.recv() => Ending::InOrder,
            _ = self.quit.recv() => Ending::InOrder,
            _ = self.interrupt.recv() => Ending::AtOnce,
        }
    }
}

/// The background work of the process.
struct Housekeeping {
    reloads: Option<Reloads>,
    reload: Signal,
    user_1: Signal,
    user_2: Signal,
    alarm: Signal,
}

impl Housekeeping {
    /// Catches the signals that don't end the process and starts the background work.
    fn begin(reloads: Option<Reloads>) -> std::io::Result<Self> {
        Ok(Self {
            reloads,
            reload: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
            alarm: signal(SignalKind::alarm())?,
        })
    }

    async fn keep(mut self) -> Infallible {
        loop {
            let name = tokio::select! {
                _ = self.reload.recv() => {
                    if let Some(reloads) = &self.reloads {
                        reloads.request();
                    }
                    continue;
                }
                () = tokio::time::sleep(GIVE_BACK) => {
                    give_back();
                    continue;
                }
                _ = self.user_1.recv() => "SIGUSR1",
                _ = self.user_2.recv() => "SIGUSR2",
                _ = self.alarm.recv() => "SIGALRM",
            };
            tracing::info!(signal = name, "this signal does nothing: SIGHUP reloads, SIGTERM stops");
        }
    }
}

/// The servers of the process.
pub(crate) struct Servers {
    /// Accepts no connections once the process has drained.
    pub gateway: Server,
    /// Runs until the process leaves: health checks are answered while it stops, and so are requests that others wait
    /// for.
    pub companion: Server,
}

/// Runs both servers until a signal ends them. SIGHUP triggers `reloads`.
///
/// # Errors
///
/// Returns an error if signals can't be caught, a thread can't be started, or the server ends by itself.
pub(crate) fn run(
    servers: Servers,
    vitals: &Vitals,
    settings: &ServerSettings,
    reloads: Option<Reloads>,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (ends, housekeeping) = (Ends::catch()?, Housekeeping::begin(reloads)?);
        let (tell, told) = watch::channel(false);
        let (_never, untold) = watch::channel(false);
        let (ended, mut has_ended) = tokio::sync::mpsc::channel::<()>(1);
        for (name, server, told) in [("gateway", servers.gateway, told), ("companion", servers.companion, untold)] {
            let ended = ended.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                server.run(RunArgs { shutdown_signal: Box::new(StopSignal(told)) });
                // The receiver may be gone already.
                let _ = ended.blocking_send(());
            })?;
        }
        let close = move || {
            // A server that is gone has closed its listeners.
            let _ = tell.send(true);
        };
        tokio::select! {
            biased;
            () = until_the_end(ends, vitals, settings, close) => Ok(()),
            never = housekeeping.keep() => match never {},
            _ = has_ended.recv() => Err(std::io::Error::other("the server ended by itself")),
        }
    })
}

/// Returns when the process may leave. `close` closes the listeners.
async fn until_the_end(mut ends: Ends, vitals: &Vitals, settings: &ServerSettings, close: impl FnOnce()) {
    if ends.next().await == Ending::AtOnce {
        tracing::info!("interrupted");
        return;
    }
    // From here on `/healthz` reports it, and each answer closes its connection.
    vitals.stopping.store(true, Ordering::Relaxed);
    let delay = settings.drain_delay;
    if !delay.is_zero() {
        tracing::info!(
            seconds = delay.as_secs_f64(),
            "draining: connections are accepted and closed after each request"
        );
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            end = ends.next() => {
                tracing::warn!("second signal: the drain delay ends");
                if end == Ending::AtOnce {
                    return;
                }
            }
        }
    }
    let grace = settings.shutdown_timeout;
    tracing::info!(grace_seconds = grace.as_secs(), "stopping: no new connections, waiting for requests in flight");
    close();
    tokio::select! {
        () = wait_for_the_last(vitals, grace) => {}
        _ = ends.next() => tracing::warn!("second signal: not waiting for requests in flight"),
    }
}

/// Makes the allocator return memory to the system. mimalloc returns memory a second after it was freed at the
/// earliest, and only when it frees a page of its own, so the memory of a burst would stay while the process is idle.
/// The page allocated here is never written.
fn give_back() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}

/// Returns after two consecutive checks without a request in flight, so that a request which was just accepted is seen;
/// or when the grace period is over.
async fn wait_for_the_last(vitals: &Vitals, grace: Duration) {
    let began = clock::instant();
    let mut idle_looks = 0;
    while idle_looks < 2 {
        tokio::time::sleep(LOOK).await;
        idle_looks = if vitals.in_flight() == 0 { idle_looks + 1 } else { 0 };
        if began.elapsed() >= grace {
            tracing::warn!(requests = vitals.in_flight(), "the grace period is over");
            return;
        }
    }
    tracing::info!("no request is in flight");
}

#[cfg(test)]
mod tests {
    use super::*;

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
