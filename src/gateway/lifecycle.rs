//! The life of the process: which signals it heeds, what is in flight, and when it may leave.
//!
//! Pingora sleeps through its whole grace period after SIGTERM, even with nothing to do, and dies of SIGHUP. So the
//! server runs on a thread of its own, and this side owns the signals: SIGHUP reloads, SIGTERM and SIGQUIT stop when
//! the last request is done or the grace is over, SIGINT (or a second signal) stops at once.

use std::{
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

use super::{clock, reload::Reloader};

/// How often it is looked whether the last request is done.
const LOOK: Duration = Duration::from_millis(20);

/// How often the allocator is brought to give back what was freed.
const GIVE_BACK: Duration = Duration::from_secs(1);

/// More than mimalloc keeps in pages that it shares among allocations.
const LARGE: usize = 4 << 20;

/// What the process is doing, shared by all its parts.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    in_flight: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

/// One request in flight, for as long as this lives.
#[derive(Debug)]
pub struct InFlight(Arc<AtomicUsize>);

impl Vitals {
    /// Counts a request in.
    #[must_use]
    pub fn enter(&self) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(&self.in_flight))
    }

    /// Whether the process is on its way out: it finishes what it has and wants no more.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// How many requests have begun and not ended, with the readings of answers that go on behind them.
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

/// How the server is told to stop.
struct Told(watch::Receiver<bool>);

#[async_trait]
impl ShutdownSignalWatch for Told {
    async fn recv(&self) -> ShutdownSignal {
        let mut told = self.0.clone();
        // A sender that is gone means that the process is leaving.
        let _ = told.wait_for(|stop| *stop).await;
        ShutdownSignal::GracefulTerminate
    }
}

/// The signals of this process, caught from the moment this is made.
struct Signals {
    reload: Signal,
    terminate: Signal,
    quit: Signal,
    interrupt: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            quit: signal(SignalKind::quit())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// What is run.
pub struct Servers {
    /// Takes no new connections from the moment at which the process is told to stop.
    pub gateway: Server,
    /// Goes on until the process leaves: who asks for health while it stops, or is needed to finish a request, is
    /// answered.
    pub companion: Server,
}

/// Runs both servers until a signal ends them. `reloader` is asked at each SIGHUP.
///
/// # Errors
///
/// Where signals can't be caught, or a thread can't be started, or the server ends by itself.
pub fn run(servers: Servers, vitals: &Vitals, grace: Duration, reloader: Option<&Reloader>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::catch()?;
        let (tell, told) = watch::channel(false);
        let (_never, untold) = watch::channel(false);
        let (ended, mut has_ended) = tokio::sync::mpsc::channel::<()>(1);
        for (name, server, told) in [("gateway", servers.gateway, told), ("companion", servers.companion, untold)] {
            let ended = ended.clone();
            std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                server.run(RunArgs { shutdown_signal: Box::new(Told(told)) });
                // It does not matter if nobody listens any more.
                let _ = ended.blocking_send(());
            })?;
        }
        loop {
            tokio::select! {
                _ = signals.reload.recv() => if let Some(reloader) = reloader {
                    reloader.reload();
                },
                () = tokio::time::sleep(GIVE_BACK) => give_back(),
                _ = signals.terminate.recv() => break,
                _ = signals.quit.recv() => break,
                _ = signals.interrupt.recv() => {
                    tracing::info!("interrupted");
                    return Ok(());
                }
                _ = has_ended.recv() => return Err(std::io::Error::other("the server ended by itself")),
            }
        }
        tracing::info!(grace_seconds = grace.as_secs(), "stopping: no new connections, waiting for requests in flight");
        vitals.stopping.store(true, Ordering::Relaxed);
        let _ = tell.send(true);
        tokio::select! {
            () = wait_for_the_last(vitals, grace) => {}
            _ = signals.interrupt.recv() => tracing::warn!("interrupted, not waiting for requests in flight"),
            _ = signals.terminate.recv() => tracing::warn!("terminated again, not waiting for requests in flight"),
        }
        Ok(())
    })
}

/// Lets the allocator return memory to the system. mimalloc does so a second after it was freed at the earliest, and only
/// when a page of its own is freed: what a burst of connections took would stay for as long as little happens. Nothing is
/// written to this one.
fn give_back() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGE)));
}

/// Returns when nothing was in flight in two looks, so that a request which was just accepted is seen, or when the
/// grace is over.
async fn wait_for_the_last(vitals: &Vitals, grace: Duration) {
    let began = clock::instant();
    let mut idle_looks = 0;
    while idle_looks < 2 {
        tokio::time::sleep(LOOK).await;
        idle_looks = if vitals.in_flight() == 0 { idle_looks + 1 } else { 0 };
        if began.elapsed() >= grace {
            tracing::warn!(requests = vitals.in_flight(), "the grace is over");
            return;
        }
    }
    tracing::info!("nothing is in flight any more");
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
