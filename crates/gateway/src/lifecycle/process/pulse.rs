//! The watchdog of the threads that serve clients. A task on these threads counts a beat each second, and the main
//! thread checks that the count still grows.
//!
//! Work that never yields blocks a thread, and the other threads take over its tasks. If all threads are blocked, no
//! client is served, although the admin listener still answers from its own threads. Such a stall is logged and
//! counted, and the checks of the admin listener fail: first that of readiness, and later that of liveness. A service
//! manager that has a watchdog is notified of beats alone, so it restarts a process that stalls.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU8, AtomicU64, Ordering},
    time::Duration,
};

use crate::runtime::service_manager;

/// The interval between beats.
const INTERVAL: Duration = Duration::from_secs(1);

/// The number of checks without a beat after which the threads count as stalled. Upkeep checks every 100 ms, so this is
/// 5 seconds. Checks are counted instead of time, because a suspended process makes no checks.
const MOST_LOOKS: u32 = 50;

/// The number of checks without a beat after which the process counts as dead: 30 seconds after it began to count as
/// stalled.
const LAST_LOOKS: u32 = MOST_LOOKS + 300;

/// The state of the threads that serve clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PulseState {
    Beating,
    /// No client is served. The threads might go on by themselves.
    Stalled,
    /// No client has been served for so long that the process should be restarted.
    Dead,
}

/// The beats of the threads that serve clients, and their stalls so far.
#[derive(Debug, Default)]
pub struct Pulse {
    beats: AtomicU64,
    stalls: AtomicU64,
    /// The state as a number: the index of its variant.
    state: AtomicU8,
}

impl Pulse {
    /// Counts a beat every second, for as long as a thread runs this task.
    pub async fn beat(&self) -> Infallible {
        self.beat_every(INTERVAL).await
    }

    async fn beat_every(&self, interval: Duration) -> Infallible {
        loop {
            self.beats.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(interval).await;
        }
    }

    /// Returns the number of stalls so far.
    #[must_use]
    pub fn stalls(&self) -> u64 {
        self.stalls.load(Ordering::Relaxed)
    }

    /// Returns the state that the last check has found.
    pub fn state(&self) -> PulseState {
        match self.state.load(Ordering::Relaxed) {
            0 => PulseState::Beating,
            1 => PulseState::Stalled,
            _ => PulseState::Dead,
        }
    }
}

/// The state of the watchdog between two checks.
#[derive(Debug, Default)]
pub(super) struct PulseWatch {
    /// The number of beats at the last check.
    seen: u64,
    /// The number of checks since the last beat, at most [`LAST_LOOKS`].
    looks: u32,
}

/// A change that a check finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PulseChange {
    Stalled,
    Died,
    Recovered,
}

impl PulseWatch {
    /// Checks for a new beat, and notifies the service manager of it. Logs and counts the beginning of a stall, and
    /// logs its end.
    pub(super) fn look(&mut self, pulse: &Pulse) {
        let beats = pulse.beats.load(Ordering::Relaxed);
        if beats != self.seen {
            service_manager::alive();
        }
        match self.notice(beats) {
            Some(PulseChange::Stalled) => {
                pulse.stalls.fetch_add(1, Ordering::Relaxed);
                tracing::error!("the threads that serve clients are blocked: no client is served, and /readyz fails");
            }
            Some(PulseChange::Died) => {
                tracing::error!("the threads that serve clients are still blocked: /livez fails, restart the process");
            }
            Some(PulseChange::Recovered) => tracing::warn!("the threads that serve clients go on"),
            None => {}
        }
        pulse.state.store(self.state() as u8, Ordering::Relaxed);
    }

    fn state(&self) -> PulseState {
        match self.looks {
            LAST_LOOKS.. => PulseState::Dead,
            MOST_LOOKS.. => PulseState::Stalled,
            _ => PulseState::Beating,
        }
    }

    fn notice(&mut self, beats: u64) -> Option<PulseChange> {
        if beats != self.seen {
            let has_stalled = self.looks >= MOST_LOOKS;
            *self = Self { seen: beats, looks: 0 };
            return has_stalled.then_some(PulseChange::Recovered);
        }
        // Before the first beat, the threads haven't started. After `LAST_LOOKS` checks, all has been reported.
        if self.seen == 0 || self.looks >= LAST_LOOKS {
            return None;
        }
        self.looks += 1;
        match self.looks {
            MOST_LOOKS => Some(PulseChange::Stalled),
            LAST_LOOKS => Some(PulseChange::Died),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    #[test]
    fn a_stall_and_its_end_are_reported_once() {
        let mut watch = PulseWatch::default();
        let mut told = Vec::new();
        for beats in [0; 200].into_iter().chain([1; 49]).chain([2]).chain([2; 200]).chain([3]).chain([3; 49]) {
            told.extend(watch.notice(beats));
        }
        assert_eq!(told, [PulseChange::Stalled, PulseChange::Recovered]);
    }

    #[test]
    fn a_process_that_stays_stalled_counts_as_dead_until_a_beat() {
        let (mut watch, mut states) = (PulseWatch::default(), Vec::new());
        for beats in [1].into_iter().chain([1; 1_000]).chain([2]) {
            watch.notice(beats);
            if states.last().is_none_or(|(_, state)| *state != watch.state()) {
                states.push((watch.looks, watch.state()));
            }
        }
        let (stalled, dead) = ((50, PulseState::Stalled), (350, PulseState::Dead));
        assert_eq!(states, [(0, PulseState::Beating), stalled, dead, (0, PulseState::Beating)]);
    }

    /// The threads are blocked one after the other. Tasks continue while one thread is left. Once all are blocked, the
    /// watchdog notices.
    ///
    /// Row: F58
    #[test]
    fn threads_that_are_all_blocked_are_noticed() {
        const THREADS: usize = 2;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build().unwrap();
        let pulse = Arc::new(Pulse::default());
        let beating = Arc::clone(&pulse);
        runtime.spawn(async move { beating.beat_every(Duration::from_millis(1)).await });
        let block = || {
            let (blocked, is_blocked) = mpsc::channel();
            let (release, is_released) = mpsc::channel::<()>();
            runtime.spawn(async move {
                blocked.send(()).unwrap();
                // An error, from a dropped sender, also releases the thread.
                let _ = is_released.recv();
            });
            is_blocked.recv().unwrap();
            release
        };
        let beats = || pulse.beats.load(Ordering::Relaxed);
        let beats_on = || {
            let before = beats();
            while beats() < before + 3 {
                std::thread::yield_now();
            }
        };
        beats_on();
        let first = block();
        beats_on();
        let second = block();
        let mut watch = PulseWatch::default();
        // No beat can occur between these checks, except a beat that was in progress before the first check.
        for _ in 0..=2 * MOST_LOOKS {
            watch.look(&pulse);
        }
        assert_eq!((pulse.stalls(), pulse.state()), (1, PulseState::Stalled));
        drop((first, second));
        beats_on();
        watch.look(&pulse);
        assert_eq!((watch.looks, pulse.stalls(), pulse.state()), (0, 1, PulseState::Beating));
    }
}
