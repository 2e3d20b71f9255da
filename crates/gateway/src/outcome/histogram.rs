//! Histograms with fixed bounds. Relaxed atomic additions update them without a lock.
//!
//! The bounds of times range from 1 ms, for answers from memory, to 30 s, the longest default timeout. The operator's
//! page computes its figures from all of them; `/metrics` has a selection, because each bucket there is a series.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The bounds of times in microseconds. Each is a quarter above the one before it, so a quantile is at most a quarter
/// off.
pub const TIMES: &BucketBounds = &[
    1_000, 1_250, 1_600, 2_000, 2_500, 3_200, 4_000, 5_000, 6_400, 8_000, 10_000, 12_500, 16_000, 20_000, 25_000,
    32_000, 40_000, 50_000, 64_000, 80_000, 100_000, 125_000, 160_000, 200_000, 250_000, 320_000, 400_000, 500_000,
    640_000, 800_000, 1_000_000, 1_250_000, 1_600_000, 2_000_000, 2_500_000, 3_200_000, 4_000_000, 5_000_000,
    6_400_000, 8_000_000, 10_000_000, 12_500_000, 16_000_000, 20_000_000, 25_000_000, 30_000_000,
];

/// The bounds of [`TIMES`] in `/metrics`.
pub const SHOWN_TIMES: &BucketBounds = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, SLOW, 5_000_000, 10_000_000,
    30_000_000,
];

/// The bounds of [`TIMES`] that a histogram of a route has by default.
pub const FEW_TIMES: &BucketBounds = &[10_000, 50_000, 250_000, 1_000_000, SLOW, 10_000_000];

/// The bound of [`TIMES`] above which a request counts as slow.
pub const SLOW: u64 = 2_500_000;

/// The bounds for the number of upstream requests for a page.
pub const PAGE_REQUESTS: &BucketBounds = &[1, 2, 3, 4, 6, 8, 12, 20, 40];

/// The bounds of [`PAGE_REQUESTS`] that a histogram of a route has by default.
pub const FEW_PAGE_REQUESTS: &BucketBounds = &[1, 2, 4, 12];

/// The largest value of each bucket except the last one, in ascending order.
pub type BucketBounds = [u64];

/// The number of values in each bucket, and the sum of all values.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static BucketBounds,
    /// The number of values in each bucket. A bucket's values are above the previous bound, and at most its own bound.
    /// The last bucket has the values above all bounds.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// The counts of a histogram at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramCounts {
    /// Each bound, with the number of values up to it.
    pub up_to: Vec<(u64, u64)>,
    /// The number of all values.
    pub count: u64,
    /// The sum of all values, in the unit of the bounds.
    pub sum: u64,
}

impl HistogramCounts {
    /// Returns the histogram with only these of its bounds. It is exact, because a bucket has all values up to its bound.
    #[must_use]
    pub fn only(mut self, bounds: &BucketBounds) -> Self {
        self.up_to.retain(|(bound, _)| bounds.contains(bound));
        self
    }

    /// Returns the number of values above one of the bounds.
    #[must_use]
    pub fn above(&self, bound: u64) -> u64 {
        self.count - self.up_to.iter().find(|(known, _)| *known == bound).map_or(self.count, |(_, count)| *count)
    }

    /// Adds the counts of a histogram with the same bounds.
    pub fn add(&mut self, other: &Self) {
        if self.up_to.is_empty() {
            self.up_to.clone_from(&other.up_to);
        } else {
            for (sum, more) in self.up_to.iter_mut().zip(&other.up_to) {
                sum.1 += more.1;
            }
        }
        (self.count, self.sum) = (self.count + other.count, self.sum + other.sum);
    }
}

impl Histogram {
    /// Creates an empty histogram.
    pub fn new(bounds: &'static BucketBounds) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Counts a value in the unit of the bounds.
    pub fn add(&self, value: u64) {
        // A value that equals a bound belongs to that bound's bucket, like `le` in Prometheus. Test:
        // `a_value_is_in_the_bucket_whose_bound_it_does_not_exceed`.
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time, in a histogram whose bounds are in microseconds.
    pub fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// Returns the number of values in each bucket, without the values of lower buckets.
    pub fn buckets(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// Returns the sum of the values, in the unit of the bounds.
    pub fn sum(&self) -> u64 {
        self.sum.load(Ordering::Relaxed)
    }

    /// Returns the counts at this moment. `count` is computed from the buckets, so it agrees with `up_to` even while
    /// other threads add values.
    pub fn counts(&self) -> HistogramCounts {
        let mut count = 0;
        let mut up_to = Vec::with_capacity(self.bounds.len());
        for (bucket, bound) in self.buckets.iter().zip(self.bounds) {
            count += bucket.load(Ordering::Relaxed);
            up_to.push((*bound, count));
        }
        count += self.buckets.last().map_or(0, |rest| rest.load(Ordering::Relaxed));
        HistogramCounts { up_to, count, sum: self.sum.load(Ordering::Relaxed) }
    }
}

/// Returns the estimated value that a `share` of the values doesn't exceed, in the unit of the bounds; `None` without
/// values. The estimate assumes an even spread of the values within a bucket, like `histogram_quantile` in Prometheus.
/// For values beyond the last bound, the result is the last bound.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "an estimate between two bounds, which are positive and small"
)]
pub fn quantile(bounds: &BucketBounds, buckets: &[u64], share: f64) -> Option<u64> {
    let rank = share * buckets.iter().sum::<u64>() as f64;
    let (mut below, mut lower) = (0, 0);
    for (count, bound) in buckets.iter().zip(bounds) {
        // Without the first condition, an empty bucket would reach a rank of 0, and the division by its count would
        // fail.
        if *count > 0 && (below + count) as f64 >= rank {
            let part = (rank - below as f64) / *count as f64;
            return Some(lower + ((bound - lower) as f64 * part) as u64);
        }
        (below, lower) = (below + count, *bound);
    }
    buckets.iter().any(|count| *count > 0).then_some(lower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(TIMES);
        for micros in [0, 999, 1_000, 1_001, 30_000_000, 30_000_001] {
            histogram.add_time(Duration::from_micros(micros));
        }
        let HistogramCounts { up_to, count, sum } = histogram.counts();
        let at = |bound| up_to.iter().find(|(known, _)| *known == bound).unwrap().1;
        assert_eq!((at(1_000), at(2_500), at(10_000_000), at(30_000_000), count), (3, 4, 4, 5, 6));
        assert_eq!(sum, 60_000_000 + 3_001);
        for (all, some) in [(TIMES, SHOWN_TIMES), (SHOWN_TIMES, FEW_TIMES), (PAGE_REQUESTS, FEW_PAGE_REQUESTS)] {
            assert!(all.is_sorted() && some.iter().all(|bound| all.contains(bound)), "{some:?}");
        }
        assert!(TIMES.windows(2).all(|pair| pair[1] * 4 <= pair[0] * 5 + pair[0] / 8), "{TIMES:?}");
    }

    #[test]
    fn quantiles_are_estimated_within_a_bucket() {
        let bounds: &BucketBounds = &[10, 20, 40];
        for (buckets, share, expected) in [
            ([0, 0, 0, 0], 0.5, None),
            ([4, 0, 0, 0], 0.5, Some(5)),
            ([2, 2, 0, 0], 0.5, Some(10)),
            ([2, 2, 0, 0], 0.75, Some(15)),
            ([0, 0, 10, 0], 0.99, Some(39)),
            ([9, 0, 0, 1], 0.5, Some(5)),
            ([9, 0, 0, 1], 0.99, Some(40)),
            ([0, 0, 0, 3], 0.1, Some(40)),
        ] {
            assert_eq!(quantile(bounds, &buckets, share), expected, "{buckets:?} {share}");
        }
        let histogram = Histogram::new(TIMES);
        for _ in 0..10 {
            histogram.add_time(Duration::from_millis(1_500));
        }
        let half = quantile(TIMES, &histogram.buckets().collect::<Vec<_>>(), 0.5).unwrap();
        assert!((1_250_000..=1_600_000).contains(&half), "{half}");
    }
}
