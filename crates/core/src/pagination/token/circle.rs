//! The detection of tokens that lead round in a circle. The gateway keeps no state for it.
//!
//! Brent's algorithm ("An improved Monte Carlo factorization algorithm", 1980) stores one page to compare with, and
//! replaces it after 1, 2, 4, 8… pages. The algorithm detects every circle. The cursor contains the algorithm's three
//! numbers. The items at the ends of the upstream's pages are compared, not the tokens, which may be new every time.

use crate::pagination::position::Loop;

/// Returns the state after a page; `None` if the page is the stored one, because the tokens lead round in a circle.
#[must_use]
pub(super) fn count(circle: Loop, hash: u64) -> Option<Loop> {
    if circle.power == 0 {
        return Some(Loop { power: 1, steps: 0, hash });
    }
    if circle.hash == hash {
        return None;
    }
    debug_assert!(circle.power.is_power_of_two() || circle.power == u32::MAX, "powers double, from 1");
    let steps = circle.steps.saturating_add(1);
    Some(if steps >= circle.power {
        Loop { power: circle.power.saturating_mul(2), steps: 0, hash }
    } else {
        Loop { steps, ..circle }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of pages that are read until a list is refused that leads from page `end` back to page
    /// `back`.
    fn met_after(back: u64, end: u64) -> u64 {
        let (mut circle, mut page) = (Loop::default(), 0);
        for read in 1.. {
            match count(circle, page) {
                Some(next) => circle = next,
                None => return read,
            }
            page = if page == end { back } else { page + 1 };
        }
        unreachable!("every circle is met");
    }

    #[test]
    fn every_loop_of_tokens_is_found_within_the_bound() {
        for end in 0..40 {
            for back in 0..=end {
                let around = end - back + 1;
                let read = met_after(back, end);
                assert!(
                    read > end + 1,
                    "pages 0 to {end}, back to {back}: refused at page {read}, before any came twice"
                );
                assert!(read <= 3 * (back + around) + around + 1, "pages 0 to {end}, back to {back}: {read} pages");
            }
        }
    }

    #[test]
    fn a_list_that_ends_is_never_a_circle() {
        let circle = (0..100_000).try_fold(Loop::default(), count);
        assert!(circle.is_some());
    }
}
