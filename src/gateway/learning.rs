//! What was learnt of an upstream, beside the snapshot: it outlives a reload.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::pagination::paging::Learnt;

/// What was learnt of a route's upstream in this process: two numbers in one atomic word.
#[derive(Debug, Default)]
pub struct Learning(AtomicU64);

impl Learning {
    /// What is known.
    #[must_use]
    pub fn read(&self) -> Learnt {
        unpack(self.0.load(Ordering::Relaxed))
    }

    /// Adds what a page taught: the size that was honoured only grows; the newest cap counts, unless more came.
    pub fn add(&self, learnt: Learnt) {
        let merge = |known: u64| {
            let known = unpack(known);
            let cap = learnt.cap.or_else(|| known.cap.filter(|cap| learnt.honoured <= *cap));
            pack(Learnt { honoured: known.honoured.max(learnt.honoured), cap })
        };
        let known = self.0.load(Ordering::Relaxed);
        if merge(known) != known {
            // Never fails: the closure always gives a value.
            let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |known| Some(merge(known)));
        }
    }
}

fn pack(learnt: Learnt) -> u64 {
    u64::from(learnt.honoured) << 32 | u64::from(learnt.cap.unwrap_or(0))
}

fn unpack(word: u64) -> Learnt {
    let [a, b, c, d, e, f, g, h] = word.to_be_bytes();
    let cap = u32::from_be_bytes([e, f, g, h]);
    Learnt { honoured: u32::from_be_bytes([a, b, c, d]), cap: (cap > 0).then_some(cap) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_learnt_only_grows_and_the_newest_cap_counts() {
        let learning = Learning::default();
        assert_eq!(learning.read(), Learnt::default());
        for (honoured, cap) in [(20, None), (100, Some(100)), (7, None), (50, Some(50))] {
            learning.add(Learnt { honoured, cap });
        }
        assert_eq!(learning.read(), Learnt { honoured: 100, cap: Some(50) });
        learning.add(Learnt { honoured: u32::MAX, cap: Some(u32::MAX) });
        assert_eq!(learning.read(), Learnt { honoured: u32::MAX, cap: Some(u32::MAX) });
    }
}
