//! File descriptors: the limit of the process, and its share for clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The number of descriptors for the process itself: listeners, the log, files that a reload reads, and clients of the
/// admin listener.
const RESERVE: u64 = 64;

/// Raises the soft limit of descriptors to the hard limit, and returns the limit that is then in force; `u64::MAX` if
/// there is no limit. Service managers set a low soft limit, for programs that can't use more descriptors. Test:
/// `the_limit_of_descriptors_is_raised_to_the_hard_one`.
#[must_use]
pub fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let limit = if raised.is_ok() { limit.maximum } else { limit.current };
    limit.unwrap_or(u64::MAX)
}

/// Returns the maximum number of client connections for this limit of descriptors: half of the descriptors beyond the
/// reserve, but at least 1. The other half is for connections to upstreams, because each request may need one.
#[must_use]
pub fn clients(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_half_of_the_descriptors_beyond_the_reserve() {
        for (descriptors, most) in [(0, 1), (64, 1), (256, 96), (1_024, 480), (20_000, 9_968)] {
            assert_eq!(clients(descriptors), most, "{descriptors}");
            assert!(descriptors < 66 || 2 * most as u64 + RESERVE <= descriptors);
        }
    }
}
