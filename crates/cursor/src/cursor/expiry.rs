//! The age of page cursors, in time buckets.
//!
//! A cursor contains the time bucket in which it was made, instead of the exact time. Pages that are made from the same
//! answers within a bucket therefore have the same bytes. Buckets of different contexts begin at different times;
//! otherwise the cursors of many lists would change at once.

/// The largest number of seconds by which the start of a bucket may be in the future, because the clocks of replicas
/// differ. A cursor from a later bucket is invalid.
const SKEW: u64 = 60;

/// The time at which a cursor is made, and the lifetime of the route's cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The time in seconds since 1970.
    pub now: u64,
    /// The lifetime in seconds. A cursor is valid for at least this long, and for at most a quarter longer (or 1
    /// second, if a quarter is less).
    pub ttl: u64,
}

impl Expiry {
    /// Returns the start of the current bucket, in seconds since 1970. `phase` shifts the buckets, so contexts with
    /// different phases change buckets at different times.
    pub(super) fn bucket(self, phase: u64) -> u64 {
        let width = width(self.ttl);
        // Both terms are below the width, which is at most a quarter of the range of `u64`, so the sum can't overflow.
        let into = (self.now % width + phase % width) % width;
        self.now.saturating_sub(into)
    }
}

/// The age of a cursor, by the bucket in which it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Live,
    Expired,
    /// The bucket begins more than [`SKEW`] seconds in the future, so no honest process made the cursor.
    Future,
}

/// Returns the age at `now` of the bucket that began at `begin`. The route's current lifetime `ttl` decides, so a
/// shortened lifetime also ends old cursors sooner.
pub(super) fn age(begin: u64, now: u64, ttl: u64) -> Age {
    if begin > now.saturating_add(SKEW) {
        return Age::Future;
    }
    // An expiry that overflows is never reached.
    let expires = begin.checked_add(width(ttl)).and_then(|end| end.checked_add(ttl));
    if expires.is_some_and(|expires| now >= expires) { Age::Expired } else { Age::Live }
}

/// Returns the length of a bucket in seconds: a quarter of the lifetime, but at least 1.
fn width(ttl: u64) -> u64 {
    (ttl / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::Age;
    use super::Expiry;
    use super::SKEW;
    use super::age;

    /// Row: F52
    #[test]
    fn a_bucket_contains_now_and_lasts_a_quarter_of_the_ttl() {
        for ttl in [0, 1, 3, 4, 5, 400, 86_400, u64::MAX] {
            for phase in [0, 1, 99, 12_345, u64::MAX] {
                for now in [0, 1, 1_000, 1_700_000_000, u64::MAX - 1, u64::MAX] {
                    let begin = Expiry { now, ttl }.bucket(phase);
                    assert!(begin <= now && now - begin < (ttl / 4).max(1), "{ttl} {phase} {now}: {begin}");
                    assert_eq!(Expiry { now: begin, ttl }.bucket(phase), begin, "{ttl} {phase} {now}");
                }
            }
        }
    }

    #[test]
    fn a_bucket_changes_once_in_each_quarter_of_the_ttl() {
        let bucket = |now| Expiry { now, ttl: 400 }.bucket(7);
        let ticks: Vec<u64> = (1_000..2_000).filter(|&now| bucket(now) != bucket(now - 1)).collect();
        assert_eq!(ticks.len(), 10);
        assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == 100));
        assert!(ticks.iter().all(|tick| (tick + 7) % 100 == 0));
    }

    /// Row: A03
    #[test]
    fn cursors_expire_a_ttl_after_their_bucket_ends() {
        let cases = [
            (1_000, 1_000, 400, Age::Live),
            (1_000, 1_499, 400, Age::Live),
            (1_000, 1_500, 400, Age::Expired),
            (1_000, u64::MAX, 400, Age::Expired),
            (1_000, 1_000 - SKEW, 400, Age::Live),
            (1_000, 999 - SKEW, 400, Age::Future),
            (1_000, 0, 400, Age::Future),
            (0, 0, 0, Age::Live),
            (0, 1, 0, Age::Expired),
            (u64::MAX, 0, 400, Age::Future),
            (u64::MAX, u64::MAX, 400, Age::Live),
            (0, u64::MAX, u64::MAX, Age::Live),
            (0, 1 << 63, 400, Age::Expired),
        ];
        for (begin, now, ttl, expected) in cases {
            assert_eq!(age(begin, now, ttl), expected, "bucket {begin}, now {now}, ttl {ttl}");
        }
    }
}
