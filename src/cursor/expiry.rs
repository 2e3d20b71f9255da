//! The age of page cursors.
//!
//! A cursor says in which bucket of time it was made, not when: so all pages made from the same answers within one
//! bucket have the same bytes. Buckets tick at different times for different contexts, lest all cursors of a list of
//! lists change at once.

/// How far, in seconds, a bucket may begin in the future: clocks of replicas differ.
const SKEW: u64 = 60;

/// When a cursor is made, and how long the cursors of its route live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// Seconds since 1970.
    pub now: u64,
    /// How long, in seconds. A cursor lives at least so long, and at most a quarter longer.
    pub ttl: u64,
}

impl Expiry {
    /// When the bucket began that now is in. `phase` says when the buckets of this context tick.
    pub(super) fn bucket(self, phase: u64) -> u64 {
        let width = width(self.ttl);
        // Both terms are less than a quarter of the numbers there are, or 1: the sum can't overflow.
        let into = (self.now % width + phase % width) % width;
        self.now.saturating_sub(into)
    }
}

/// What the clock says of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    /// Its cursors count.
    Live,
    /// Its cursors have expired.
    Expired,
    /// It has not begun.
    Future,
}

/// What the clock says at `now` of the bucket that began at `begin`, where cursors live for `ttl` from its end. The
/// ttl is that of now: a shorter one ends old cursors sooner.
pub(super) fn age(begin: u64, now: u64, ttl: u64) -> Age {
    if begin > now.saturating_add(SKEW) {
        return Age::Future;
    }
    // What would expire after the end of time never does.
    let expires = begin.checked_add(width(ttl)).and_then(|end| end.checked_add(ttl));
    if expires.is_some_and(|expires| now >= expires) { Age::Expired } else { Age::Live }
}

/// How long a bucket lasts: a quarter of the ttl, and a second where that is less.
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
    fn buckets_hold_now_and_are_a_quarter_of_the_ttl() {
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
    fn a_bucket_ticks_once_in_its_width() {
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
