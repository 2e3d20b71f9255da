//! The end of a listing: what the last answers said about it, compared with what was read.

use cursorgate_translate::upstream::EndWitnesses;

/// An answer, as a witness of the end.
#[derive(Clone, Debug, Default)]
pub(super) struct WitnessAnswer {
    /// The index of its first item; 0 for an answer by token.
    pub(super) begins: u64,
    /// The number of its items.
    pub(super) items: u64,
    /// False if the upstream refused the place, or said that it is after the end.
    pub(super) is_listed: bool,
    pub(super) said: EndWitnesses,
}

/// The end of a listing: its last answers with what they said about the end, and the number of items.
#[derive(Clone, Debug, Default)]
pub struct ListingEnd {
    /// The number of different items that were read.
    pub items: u64,
    /// The number of items of a page that isn't the last, as numbers of pages count them.
    pub(super) page_size: u64,
    /// The last answer with new items, or the first answer of an empty list.
    pub(super) last: Option<WitnessAnswer>,
    /// The newest answer after it; `None` if nothing after it was requested.
    pub(super) behind: Option<WitnessAnswer>,
    /// The answer far beyond; `None` if there was none.
    pub(super) far: Option<WitnessAnswer>,
    /// The key of a fact that the dialect declares and that the last answer with items lacks; `None` if there is none.
    pub(super) untold: Option<&'static str>,
    /// The total, if it counts rows that are left out, too, and its last row is the last item that was read.
    pub(super) rows: Option<u64>,
    /// True if empty answers went on having tokens.
    pub(super) open_token: bool,
    /// A fact that the dialect doesn't declare, by which the only answer says that the list goes on.
    pub(super) undeclared: Option<String>,
    /// The flags and links that said "no more" although more items came, each with the number of items until then.
    refuted: Vec<(&'static str, u64)>,
}

/// The contradictions between what answers said about an end and what was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndReview {
    /// Facts that say that more items follow than were read. With one of them, nothing can be said about lost items.
    pub doubts: Vec<String>,
    /// Facts that were wrong, but don't say that more follow.
    pub notes: Vec<String>,
    /// The total, if it counts rows that are left out, too, and agrees with what was read.
    pub rows: Option<u64>,
}

impl EndReview {
    /// Returns the doubt about listings that lack this many items of the walk.
    #[must_use]
    pub fn of_unlisted(count: Option<u64>) -> Self {
        let doubt = |count| format!("{} of the walk are in neither reading, which ended too early", items(count));
        Self { doubts: count.map(doubt).into_iter().collect(), ..Self::default() }
    }
}

/// Writes a number of items.
pub(super) fn items(count: u64) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{} items", grouped(count)) }
}

impl ListingEnd {
    /// Returns the index of the item at which the window without new items begins; the end of the last window if
    /// nothing after it was requested.
    pub(super) fn reached(&self) -> u64 {
        let last = self.last.as_ref().map_or(0, |last| last.begins.saturating_add(last.items));
        self.behind.as_ref().map_or(last, |behind| behind.begins.max(last))
    }

    /// Returns the exact total of the newest answer that has one. A total of 0 beside no items says nothing, because
    /// some upstreams count the rows of the answer.
    pub(super) fn total(&self) -> Option<u64> {
        let total = |answer: &WitnessAnswer| answer.said.total.filter(|total| total.exact).map(|total| total.value);
        let behind = self.behind.as_ref().and_then(total).filter(|total| *total > 0);
        behind.or_else(|| self.last.as_ref().and_then(total))
    }

    /// Returns the number of pages by the newest answer that has it.
    pub(super) fn pages(&self) -> Option<u64> {
        let behind = self.behind.as_ref().and_then(|answer| answer.said.pages).filter(|pages| *pages > 0);
        behind.or_else(|| self.last.as_ref()?.said.pages)
    }

    /// Adds an answer to the witnesses. `is_new` is true if it has new items.
    pub(super) fn note(&mut self, answer: WitnessAnswer, is_new: bool) {
        if !is_new && self.last.is_some() {
            self.behind = Some(answer);
            return;
        }
        // New items came, so what the answer before denied is refuted.
        if let Some(before) = &self.last {
            let until = before.begins.saturating_add(before.items);
            for claim in before.said.claims.iter().filter(|claim| !claim.says_more) {
                if !self.refuted.iter().any(|(key, _)| *key == claim.key) {
                    self.refuted.push((claim.key, until));
                }
            }
        }
        (self.last, self.behind) = (Some(answer), None);
    }

    /// Compares what the answers said with what was read. `changes` is the number of items that came or left meanwhile:
    /// they explain a total that differs from the number of items by as many.
    #[must_use]
    pub fn review(&self, changes: u64) -> EndReview {
        let mut review = EndReview::default();
        self.review_total(changes, &mut review);
        self.review_pages(changes, &mut review);
        self.review_claims(&mut review);
        let read = items(self.items);
        if self.open_token {
            review.doubts.push(format!("after {read} the answers are empty, and each has a token for another page"));
        }
        if let Some(rest) = &self.undeclared {
            review.doubts.push(format!("the only answer has {read}, and {rest}"));
        }
        for (key, until) in &self.refuted {
            let until = items(*until);
            review.notes.push(format!("{key} said after {until} that no more follow, and {read} were read"));
        }
        review
    }

    fn review_total(&self, changes: u64, review: &mut EndReview) {
        let read = items(self.items);
        if let Some(total) = self.total() {
            // A listing of a list that changes meanwhile misses items that were pushed past it. The place that it
            // reached doesn't, so the smaller difference counts.
            let passed = if changes == 0 { self.items } else { self.items.max(self.reached()) };
            // If the last row isn't an item, the list may show only its beginning.
            review.rows = self.rows;
            if review.rows.is_none() && total > passed.saturating_add(changes) {
                review.doubts.push(format!("response.total says {}, and {read} were read", grouped(total)));
            } else if total.saturating_add(changes) < self.items {
                review.notes.push(format!("response.total said {}, and {read} were read", grouped(total)));
            }
        }
        let last = self.last.as_ref();
        // By page and offset, the answers after the last item show the end. By token, a fact that has vanished may be
        // the one that would have shown that more follow.
        if self.behind.is_none()
            && let Some(key) = self.untold
        {
            let vanished = last.is_some_and(|last| last.said.are_silent());
            if key == "response.total" || vanished {
                review.doubts.push(format!("the last answer, after {read}, has nothing at the place that {key} names"));
            }
        }
    }

    /// The last of a number of pages begins within what was read, or the number says that more follow.
    fn review_pages(&self, changes: u64, review: &mut EndReview) {
        let Some(pages) = self.pages().filter(|_| review.rows.is_none()) else { return };
        let last_begins = pages.saturating_sub(1).saturating_mul(self.page_size);
        if last_begins > self.reached().saturating_add(changes) {
            let (pages, read) = (grouped(pages), items(self.items));
            review
                .doubts
                .push(format!("response.last_page says that the list has {pages} pages, and {read} were read"));
        }
    }

    fn review_claims(&self, review: &mut EndReview) {
        let Some(last) = &self.last else { return };
        let read = items(self.items);
        let says = |answer: &WitnessAnswer, key: &str| {
            answer.said.claims.iter().find(|claim| claim.key == key).map(|claim| claim.says_more)
        };
        let newest = self.behind.as_ref().unwrap_or(last);
        for claim in last.said.claims.iter().chain(&newest.said.claims).filter(|claim| claim.says_more) {
            let key = claim.key;
            // An answer after the end that denies it, or a status that means it, refutes what the answer before said.
            if says(newest, key) == Some(false) || !newest.is_listed {
                continue;
            }
            let text = format!("{key} says after {read} that more follow");
            // A flag that says the same far beyond every end says nothing.
            let is_constant = self.far.as_ref().is_some_and(|far| says(far, key) == Some(true));
            let to = if is_constant { &mut review.notes } else { &mut review.doubts };
            let text = if is_constant { format!("{text}, and says so far beyond the end too") } else { text };
            if !to.contains(&text) {
                to.push(text);
            }
        }
    }
}
/// Writes a number with commas between thousands. Example: `1,003`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
