//! The comparison of this machine's clock with the `Date` of an upstream's answers. A process whose clock is wrong sees
//! nothing strange in its own requests, so without this only other processes and the monitoring would notice.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use http::{
    HeaderMap,
    header::{AGE, DATE},
};

/// The largest difference between clocks, in seconds: processes accept cursors that are a minute ahead.
const MOST: u64 = 60;

/// The number of answers in a row that show a difference, or that it has ended.
const ROW: u32 = 3;

/// The comparison of the clock with those of an upstream's peers.
#[derive(Debug, Default)]
pub struct ClockComparison {
    /// The second of the last comparison.
    last: AtomicU64,
    state: Mutex<ComparisonState>,
}

#[derive(Debug, Default)]
struct ComparisonState {
    found: ClockDifference,
    /// The number of answers in a row with this direction.
    row: u32,
    told: ClockDifference,
}

/// How this machine's clock differs from an upstream's, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClockDifference {
    /// Not by more than a minute.
    #[default]
    None,
    Ahead(u64),
    Behind(u64),
}

impl ClockComparison {
    /// Compares the clock with the `Date` of an answer, at most once a second. The request began at `began`, and the
    /// answer was complete at `now`, both in seconds since 1970. Returns a difference that several answers in a row have
    /// shown, and its end, once.
    pub fn compare(&self, headers: &HeaderMap, began: u64, now: impl FnOnce() -> u64) -> Option<ClockDifference> {
        if self.last.swap(began, Ordering::Relaxed) == began {
            return None;
        }
        // A cache answers with the `Date` of the stored answer, and says how old it is.
        let date = headers.get(DATE).filter(|_| !headers.contains_key(AGE))?;
        let date = httpdate::parse_http_date(date.to_str().ok()?.trim()).ok()?;
        let date = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
        self.note(difference(date, began, now()))
    }

    fn note(&self, found: ClockDifference) -> Option<ClockDifference> {
        let state = &mut *self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.row = if state.found.is_like(found) { state.row.saturating_add(1) } else { 1 };
        state.found = found;
        // One peer of several may have a wrong clock, so one answer shows nothing.
        if state.row < ROW || state.told.is_like(found) {
            return None;
        }
        state.told = found;
        Some(found)
    }

    /// Returns the difference that was told last.
    #[must_use]
    pub fn told(&self) -> ClockDifference {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).told
    }
}

impl ClockDifference {
    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// Returns the difference between the clock and the `Date` of an answer to a request between these times.
fn difference(date: u64, began: u64, now: u64) -> ClockDifference {
    if date.saturating_add(MOST) < began {
        ClockDifference::Ahead(began - date)
    } else if date > now.saturating_add(MOST) {
        ClockDifference::Behind(date - now)
    } else {
        ClockDifference::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ClockDifference::{Ahead, Behind, None as Same};

    #[test]
    fn a_difference_is_told_after_three_answers_in_a_row() {
        let comparison = ClockComparison::default();
        let told =
            [Same, Ahead(90), Ahead(91), Behind(90), Ahead(92), Ahead(92), Ahead(93), Ahead(93), Same, Same, Same]
                .map(|found| comparison.note(found));
        let mut expected = [None; 11];
        (expected[6], expected[10]) = (Some(Ahead(93)), Some(Same));
        assert_eq!(told, expected);
    }

    #[test]
    fn a_date_within_a_minute_of_the_exchange_is_no_difference() {
        for (date, expected) in [
            (939, Ahead(61)),
            (940, Same),
            (1_000, Same),
            (1_090, Same),
            (1_091, Behind(61)),
            (u64::MAX, Behind(u64::MAX - 1_030)),
        ] {
            assert_eq!(difference(date, 1_000, 1_030), expected, "{date}");
        }
    }

    #[test]
    fn only_fresh_answers_are_compared_and_one_a_second() {
        let headers = |date: &'static str, age: Option<&'static str>| {
            let age = age.map(|age| (AGE, http::HeaderValue::from_static(age)));
            [(DATE, http::HeaderValue::from_static(date))].into_iter().chain(age).collect::<HeaderMap>()
        };
        let old = "Thu, 01 Jan 2015 00:00:00 GMT";
        let now = 1_800_000_000;
        let told = |headers: &dyn Fn(u64) -> HeaderMap, step: u64| {
            let comparison = ClockComparison::default();
            (0..6).filter_map(|second| comparison.compare(&headers(second), now + second * step, || now)).count()
        };
        assert_eq!(told(&|_| headers(old, None), 1), 1);
        assert_eq!(told(&|_| headers(old, None), 0), 0, "all in one second");
        assert_eq!(told(&|_| headers(old, Some("400000000")), 1), 0, "from a cache");
        assert_eq!(told(&|_| headers("yesterday", None), 1), 0);
        assert_eq!(told(&|_| HeaderMap::new(), 1), 0);
    }
}
