//! The memory budget for all bodies in the process: upstream answers, request bodies, and pages on their way to
//! clients. A request holds its share from the moment when it buffers bytes until they have been sent.
//!
//! No request waits for memory. A page that held part of its answers and waited for the rest would block memory that
//! other pages wait for. Therefore such a page is refused, and its share is freed.

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

/// The size of the steps in which requests take from the budget. A plain page takes one step.
const STEP: usize = 32 << 10;

/// The size up to which every request may grow while any memory is left. Larger shares can't use the last quarter of
/// the budget, so large pages for slow readers leave room for small pages.
const SMALL: usize = 128 << 10;

/// The memory budget of the process, and the number of bytes that requests hold of it.
#[derive(Debug)]
pub struct Memory {
    most: usize,
    held: AtomicUsize,
    refused: AtomicU64,
}

/// The memory share of one request. Dropping the value frees the share.
#[derive(Debug)]
pub struct MemoryShare {
    memory: Arc<Memory>,
    /// The bytes that the request holds.
    bytes: AtomicUsize,
    /// The bytes that were taken from the budget for `bytes`, a multiple of [`STEP`].
    taken: AtomicUsize,
}

/// The error if the budget has no room for this many more bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no room for {0} bytes more: server.memory")]
pub struct MemoryExhausted(usize);

impl Memory {
    /// Creates a budget of this many bytes.
    #[must_use]
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, held: AtomicUsize::new(0), refused: AtomicU64::new(0) })
    }

    /// Returns the size of the budget in bytes.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// Returns the number of bytes that all requests hold.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns the number of times that a request was refused bytes.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Returns whether more than half of the budget is held. In that case slow readers lose their pages sooner.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.held() > self.most / 2
    }

    /// Creates an empty share.
    #[must_use]
    pub fn share(self: &Arc<Self>) -> MemoryShare {
        MemoryShare { memory: Arc::clone(self), bytes: AtomicUsize::new(0), taken: AtomicUsize::new(0) }
    }
}

impl MemoryShare {
    /// Adds bytes to the share.
    ///
    /// # Errors
    ///
    /// Returns [`MemoryExhausted`] and leaves the share unchanged.
    pub fn take(&self, bytes: usize) -> Result<(), MemoryExhausted> {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let Memory { most, held, refused } = &*self.memory;
        // Large shares leave the last quarter to small ones. Test: `large_pages_leave_a_quarter_to_small_ones`.
        let most = if all <= SMALL { *most } else { most - most / 4 };
        let steps = all.div_ceil(STEP).saturating_mul(STEP).saturating_sub(self.taken.load(Ordering::Relaxed));
        if steps == 0 {
            return Ok(());
        }
        // The comparison and the addition are one atomic step. Otherwise two concurrent requests could both take the
        // last bytes. Test: `concurrent_requests_hold_at_most_the_budget`.
        let fits = |held: usize| held.checked_add(steps).filter(|held| *held <= most);
        if held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_err() {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            refused.fetch_add(1, Ordering::Relaxed);
            return Err(MemoryExhausted(bytes));
        }
        self.taken.fetch_add(steps, Ordering::Relaxed);
        Ok(())
    }

    /// Returns the bytes of the share.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Removes bytes from the share. They stay reserved for the same request.
    pub fn give(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Frees the share except for `bytes`. A smaller share is unchanged.
    pub fn keep(&self, bytes: usize) {
        let bytes = bytes.min(self.bytes.load(Ordering::Relaxed));
        self.bytes.store(bytes, Ordering::Relaxed);
        let steps = bytes.next_multiple_of(STEP);
        let before = self.taken.swap(steps, Ordering::Relaxed);
        self.memory.held.fetch_sub(before - steps, Ordering::Relaxed);
    }

    /// Makes room for `more` bytes in a buffer and takes memory for them. The capacity doubles up to `most`, or grows
    /// to the needed size if that is larger.
    ///
    /// # Errors
    ///
    /// Returns [`MemoryExhausted`] and leaves the buffer unchanged.
    pub fn reserve(&self, buffer: &mut Vec<u8>, more: usize, most: usize) -> Result<(), MemoryExhausted> {
        let needed = buffer.len().saturating_add(more);
        let before = buffer.capacity();
        if needed <= before {
            return Ok(());
        }
        let wanted = before.saturating_mul(2).min(most).max(needed);
        self.take(wanted - before)?;
        // The new capacity is exact: the buffer must not have room for more bytes than were taken. Test:
        // `a_buffer_grows_by_the_bytes_that_are_taken_for_it`.
        buffer.reserve_exact(wanted - buffer.len());
        Ok(())
    }

    /// Returns whether more than half of the process's budget is held.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.memory.is_short()
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.memory.held.fetch_sub(*self.taken.get_mut(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn a_share_is_freed_by_keep_and_by_drop() {
        let memory = Memory::new(MIB);
        let share = memory.share();
        assert_eq!(memory.held(), 0);
        share.take(1).unwrap();
        assert_eq!(memory.held(), STEP, "in steps");
        share.take(STEP - 1).unwrap();
        assert_eq!(memory.held(), STEP);
        share.give(STEP);
        share.take(2 * STEP).unwrap();
        assert_eq!(memory.held(), 2 * STEP, "what was given is used again");
        share.keep(1);
        assert_eq!(memory.held(), STEP);
        share.keep(MIB);
        assert_eq!(memory.held(), STEP, "nothing is kept that was not held");
        share.keep(0);
        assert_eq!(memory.held(), 0);
        share.take(100).unwrap();
        drop(share);
        assert_eq!((memory.held(), memory.refused()), (0, 0));
    }

    #[test]
    fn a_refused_allocation_leaves_the_share_unchanged() {
        let memory = Memory::new(MIB);
        let (share, other) = (memory.share(), memory.share());
        share.take(3 * STEP).unwrap();
        assert_eq!(share.take(MIB), Err(MemoryExhausted(MIB)));
        assert_eq!(share.take(usize::MAX - STEP), Err(MemoryExhausted(usize::MAX - STEP)));
        assert_eq!((memory.held(), memory.refused()), (3 * STEP, 2));
        other.take(STEP).unwrap();
        drop((share, other));
        assert_eq!(memory.held(), 0);
    }

    /// Without the last quarter, slow readers of large pages would shut out all other clients.
    #[test]
    fn large_pages_leave_a_quarter_to_small_ones() {
        let memory = Memory::new(MIB);
        let large: Vec<MemoryShare> = (0..4).map(|_| memory.share()).collect();
        let served = large.iter().filter(|share| share.take(256 << 10).is_ok()).count();
        assert_eq!(served, 3);
        assert!(memory.is_short());
        let small: Vec<MemoryShare> = (0..9).map(|_| memory.share()).collect();
        let served = small.iter().filter(|share| share.take(STEP).is_ok()).count();
        assert_eq!(served, 8, "to the last byte");
        drop((large, small));
        assert!(!memory.is_short());
    }

    #[test]
    fn a_buffer_grows_by_the_bytes_that_are_taken_for_it() {
        let memory = Memory::new(MIB);
        let share = memory.share();
        let mut buffer = Vec::new();
        share.reserve(&mut buffer, 1_000, MIB).unwrap();
        assert_eq!(buffer.capacity(), 1_000);
        buffer.resize(1_000, 0);
        share.reserve(&mut buffer, 1, MIB).unwrap();
        assert_eq!(buffer.capacity(), 2_000);
        share.reserve(&mut buffer, 1_500, 2_500).unwrap();
        assert_eq!(buffer.capacity(), 2_500);
        assert!(share.reserve(&mut buffer, MIB, 2 * MIB).is_err());
        assert_eq!((buffer.capacity(), share.bytes.load(Ordering::Relaxed)), (2_500, 2_500));
    }

    #[test]
    fn concurrent_requests_hold_at_most_the_budget() {
        let memory = Memory::new(MIB);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let memory = &memory;
                scope.spawn(move || {
                    for round in 0..2_000 {
                        let share = memory.share();
                        for part in 0..4 {
                            let _ = share.take((thread * 7_919 + round * 104_729 + part * 1_299_709) % 400_000);
                            assert!(memory.held() <= memory.most());
                        }
                        share.keep(1_000);
                    }
                });
            }
        });
        assert_eq!(memory.held(), 0);
        assert!(memory.refused() > 0);
    }
}
