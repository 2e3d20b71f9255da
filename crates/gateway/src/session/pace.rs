//! The pace of a client. A large page stays in memory until its last byte is written, so clients that read more slowly
//! than a minimum pace are dropped.
//!
//! The pace is the number of acknowledged bytes over the time with data to send (`tcpi_bytes_acked` and
//! `tcpi_busy_time` of Linux's `TCP_INFO`). The number of written bytes does not show the pace: the kernel accepts some
//! megabytes at once, and then nothing until a third of them has left.

use std::{sync::Arc, time::Duration};

use pingora::protocols::{SocketDigest, http::ServerSession};

/// The time between two checks of the pace while a write waits.
pub const LOOK: Duration = Duration::from_millis(500);

/// A minimum pace, measured in intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Least {
    /// The minimum rate, in bytes per second.
    rate: u64,
    /// The length of the intervals over which the rate is measured.
    patience: Duration,
}

/// The minimum pace while there is memory for other requests.
const AT_EASE: Least = Least { rate: 4 << 10, patience: Duration::from_secs(10) };

/// The minimum pace while more than half of the memory is held: slow clients make room for others.
const IN_NEED: Least = Least { rate: 64 << 10, patience: Duration::from_secs(2) };

/// The progress of a transfer at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct TransferProgress {
    /// The bytes that the client has acknowledged.
    acknowledged: u64,
    /// The time during which the system had data to send.
    busy: Duration,
}

/// The pace of one client during one answer.
pub struct Pace {
    socket: Arc<SocketDigest>,
    /// The progress at the start of the current interval.
    from: TransferProgress,
}

impl Pace {
    /// Begins the first interval; returns `None` if the system does not report progress.
    pub fn begin(session: &ServerSession) -> Option<Self> {
        let socket = Arc::clone(session.digest()?.socket_digest.as_ref()?);
        let from = progress(&socket)?;
        Some(Self { socket, from })
    }

    /// Returns whether an interval has ended in which the client was too slow. `in_need` is true if other requests lack
    /// memory.
    pub fn is_too_slow(&mut self, in_need: bool) -> bool {
        let Some(now) = progress(&self.socket) else { return false };
        judge(&mut self.from, now, if in_need { IN_NEED } else { AT_EASE })
    }
}

/// Returns whether the interval that began at `from` is over and the client acknowledged too few bytes in it. If the
/// interval is over, begins the next one, so a fast start doesn't excuse a later pause.
fn judge(from: &mut TransferProgress, now: TransferProgress, least: Least) -> bool {
    let busy = now.busy.saturating_sub(from.busy);
    // Time without data to send is not in `busy`. Test: `time_without_data_to_send_does_not_count`.
    if busy < least.patience {
        return false;
    }
    let taken = now.acknowledged.saturating_sub(from.acknowledged);
    let wanted = u128::from(least.rate) * busy.as_millis() / 1_000;
    // The next interval begins, whatever the verdict on this one. Test: `a_fast_start_excuses_no_later_pause`.
    *from = now;
    u128::from(taken) < wanted
}

fn progress(socket: &SocketDigest) -> Option<TransferProgress> {
    let info = socket.tcp_info()?;
    Some(TransferProgress { acknowledged: info.tcpi_bytes_acked, busy: Duration::from_micros(info.tcpi_busy_time) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(acknowledged: u64, seconds: u64) -> TransferProgress {
        TransferProgress { acknowledged, busy: Duration::from_secs(seconds) }
    }

    #[test]
    fn the_pace_of_an_interval_is_judged_at_its_end() {
        let mut from = at(0, 0);
        assert!(!judge(&mut from, at(0, 9), AT_EASE), "not yet");
        assert!(!judge(&mut from, at(40 << 10, 10), AT_EASE), "just enough");
        assert_eq!(from, at(40 << 10, 10));
        assert!(!judge(&mut from, at(40 << 10, 19), AT_EASE), "what was good enough is over, and the next one begins");
        assert!(judge(&mut from, at((80 << 10) - 1, 20), AT_EASE));
    }

    #[test]
    fn a_fast_start_excuses_no_later_pause() {
        let mut from = at(0, 0);
        assert!(!judge(&mut from, at(10 << 20, 10), AT_EASE));
        assert!(judge(&mut from, at(10 << 20, 20), AT_EASE));
    }

    #[test]
    fn the_minimum_pace_is_higher_while_memory_is_short() {
        for (least, slow) in [(AT_EASE, false), (IN_NEED, true)] {
            assert_eq!(judge(&mut at(0, 0), at(100 << 10, 10), least), slow, "{least:?}");
        }
        assert!(!judge(&mut at(0, 0), at(0, 1), IN_NEED));
        assert!(!judge(&mut at(0, 0), at(128 << 10, 2), IN_NEED));
    }

    #[test]
    fn time_without_data_to_send_does_not_count() {
        assert!(!judge(&mut at(5, 0), at(5, 0), IN_NEED));
    }
}
