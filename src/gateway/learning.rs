//! What was learnt of an upstream, beside the snapshot: it outlives a reload.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::pagination::paging::Learnt;

/// What was learnt of a route's upstream in this process.
#[derive(Debug, Default)]
pub struct Learning {
    /// The size that is honoured, and the cap.
    sizes: AtomicU64,
    /// How long runs of ties are.
    run: AtomicU32,
}

impl Learning {
    /// What is known.
    #[must_use]
    pub fn read(&self) -> Learnt {
        Learnt { run: self.run.load(Ordering::Relaxed), ..unpack(self.sizes.load(Ordering::Relaxed)) }
    }

    /// Adds what a page taught: the size that was honoured only grows; the newest cap counts, unless more came. Long runs
    /// of ties are forgotten step by step.
    pub fn add(&self, learnt: Learnt) {
        let merge = |known: u64| {
            let known = unpack(known);
            let cap = learnt.cap.or_else(|| known.cap.filter(|cap| learnt.honoured <= *cap));
            pack(known.honoured.max(learnt.honoured), cap)
        };
        let known = self.sizes.load(Ordering::Relaxed);
        if merge(known) != known {
            // Never fails: the closure always gives a value.
            let _ = self.sizes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(merge(known)));
        }
        let known = self.run.load(Ordering::Relaxed);
        let run = learnt.run.max(known - known / FORGOTTEN);
        if run != known {
            // Who is overtaken by another page loses nothing but a belief.
            self.run.store(run, Ordering::Relaxed);
        }
    }
}

/// This part of a run's length is forgotten with each page that shows none as long.
const FORGOTTEN: u32 = 8;

fn pack(honoured: u32, cap: Option<u32>) -> u64 {
    u64::from(honoured) << 32 | u64::from(cap.unwrap_or(0))
}

fn unpack(word: u64) -> Learnt {
    let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
    let cap = u32::from_be_bytes([e, f, g, h]);
    Learnt { honoured: u32::from_be_bytes([a, b, c, d]), cap: (cap > 0).then_some(cap), run: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learnt_only_grows_and_the_newest_cap_counts() {
        let learning = Learning::default();
        assert_eq!(learning.read(), Learnt::default());
        let sizes = |honoured, cap| Learnt { honoured, cap, run: 0 };
        for (honoured, cap) in [(20, None), (100, Some(100)), (7, None), (50, Some(50))] {
            learning.add(sizes(honoured, cap));
        }
        assert_eq!(learning.read(), sizes(100, Some(50)));
        learning.add(sizes(u32::MAX, Some(u32::MAX)));
        assert_eq!(learning.read(), sizes(u32::MAX, Some(u32::MAX)));
    }

    #[test]
    fn long_runs_are_forgotten_step_by_step() {
        let learning = Learning::default();
        let runs = [40, 40, 3, 3, 0, 400, u32::MAX, 0].map(|run| {
            learning.add(Learnt { run, ..Learnt::default() });
            learning.read().run
        });
        assert_eq!(runs, [40, 40, 35, 31, 28, 400, u32::MAX, u32::MAX - u32::MAX / 8]);
    }
}
