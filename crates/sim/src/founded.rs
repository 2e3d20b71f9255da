//! The promise "founded": the claim of each page follows from the upstream requests and answers that it was made of, as
//! judged by the core's own checker (`cursorgate_core::pagination::checker`). The checker knows fewer arguments than
//! the core, so it may find no argument for a correct page.

use cursorgate_core::pagination::{
    answer::Answer,
    checker::{ClaimFault, check},
    fetch::Fetch,
    page::Page,
    resolver::PageRequest,
};

/// The name of the promise.
pub(crate) const FOUNDED: &str = "founded";

/// The upstream requests of one page, and their answers.
pub(crate) struct Record {
    request: PageRequest,
    exchanges: Vec<(Fetch, Answer)>,
}

/// The checker's verdict on a page.
pub(crate) enum Verdict {
    /// The claim of the page follows from its answers.
    Founded,
    /// The checker finds no argument for the page. In `keyed` such pages are counted, and `Bounds::unclear` bounds
    /// them.
    Unclear(String),
    /// An item of the page is in no answer, an id occurs twice on the page, or the page is too long. No argument could
    /// justify such a page.
    Unfounded(String),
}

impl Record {
    pub(crate) fn begin(request: &PageRequest) -> Self {
        Self { request: request.clone(), exchanges: Vec::new() }
    }

    pub(crate) fn take(&mut self, fetches: &[Fetch], answers: &[Answer]) {
        self.exchanges.extend(fetches.iter().cloned().zip(answers.iter().cloned()));
    }

    pub(crate) fn verdict(&self, page: &Page) -> Verdict {
        let Err(unfounded) = check(&self.request, &self.exchanges, page) else {
            #[cfg(test)]
            tests::plant(self, page);
            return Verdict::Founded;
        };
        let said = format!("{:?}, but {unfounded}", page.level());
        match unfounded {
            ClaimFault::Verbatim(_) | ClaimFault::Once(_) => Verdict::Unfounded(said),
            ClaimFault::Order(_) | ClaimFault::Whole(_) | ClaimFault::Ends(_) => Verdict::Unclear(said),
        }
    }

    /// Returns the reason that a page's claim doesn't follow from its answers; `None` if it does. For families in which
    /// the checker must find an argument for every page.
    pub(crate) fn unfounded(&self, page: &Page) -> Option<String> {
        match self.verdict(page) {
            Verdict::Founded => None,
            Verdict::Unclear(said) | Verdict::Unfounded(said) => Some(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use cursorgate_core::pagination::{
        checker::check,
        page::{Level, Page},
    };

    use super::Record;
    use crate::keyed;

    /// The faults that are planted in true pages, each with the least percentage of these pages that the checker must
    /// reject. A page that loses its link to the next page is false only if no answer shows the end of the list, so the
    /// checker can't reject all of these.
    const KINDS: [(&str, u64); 4] =
        [("an item dropped", 95), ("two items swapped", 100), ("an item twice", 100), ("no next page", 95)];

    thread_local! {
        static PLANTED: RefCell<Option<[(u64, u64); KINDS.len()]>> = const { RefCell::new(None) };
    }

    pub(super) fn plant(record: &Record, page: &Page) {
        let Some(mut counts) = PLANTED.take() else { return };
        let count = page.items.len();
        if page.level() >= Level::Checked && page.unproven.is_none() {
            for (kind, (planted, rejected)) in counts.iter_mut().enumerate() {
                let mut faulty = page.clone();
                match kind {
                    0 if count > 2 => drop(faulty.spoil().items.remove(count / 2)),
                    1 if count > 1 => faulty.spoil().items.swap(0, 1),
                    2 if count > 0 => faulty.spoil().items.insert(0, page.items[0]),
                    3 if page.next.is_some() && !record.request.target().position.is_backward() => {
                        faulty.spoil().next = None;
                    }
                    _ => continue,
                }
                *planted += 1;
                *rejected += u64::from(check(&record.request, &record.exchanges, &faulty).is_err());
            }
        }
        PLANTED.set(Some(counts));
    }

    #[test]
    fn faults_planted_in_proven_pages_are_rejected_by_the_checker() {
        PLANTED.set(Some([(0, 0); KINDS.len()]));
        for seed in 0..1_500 {
            let _ = keyed::walk::walk(&keyed::scenario::Scenario::from_seed(seed), false);
        }
        for ((kind, least), (planted, rejected)) in KINDS.iter().zip(PLANTED.take().unwrap_or_default()) {
            println!("{kind}: {rejected} of {planted} rejected");
            assert!(planted > 100 && rejected * 100 >= least * planted, "{kind}: {rejected} of {planted} rejected");
        }
    }
}
