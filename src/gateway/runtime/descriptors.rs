//! File descriptors: how many the process may have, and how they are shared out among clients and everything else.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What is kept for the process itself: listeners, the log, files that a reload reads, and the admin listener's clients.
const RESERVE: u64 = 64;

/// Raises the limit as far as the system lets the process, and says what it is then. A service manager sets the soft limit
/// for programs that can't do with more.
#[must_use]
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let limit = if raised.is_ok() { limit.maximum } else { limit.current };
    limit.unwrap_or(u64::MAX)
}

/// How many clients may be connected where the process may have so many descriptors: half of what is left beside the
/// reserve, since each request may need a connection to an upstream too.
#[must_use]
pub(crate) fn clients(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_enough_for_all_else() {
        for (descriptors, most) in [(0, 1), (64, 1), (256, 96), (1_024, 480), (20_000, 9_968)] {
            assert_eq!(clients(descriptors), most, "{descriptors}");
            assert!(descriptors < 66 || 2 * most as u64 + RESERVE <= descriptors);
        }
    }
}
