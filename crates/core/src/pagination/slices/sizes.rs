//! The sizes that an upstream is expected to honour, learnt from the answers of a page. Pages by marks choose the cap
//! that they pass on in `anchored::MarkReader::profile`. A cap is dropped in `learn` and in
//! `windows::confirm::refute_cap`.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::pagination::{
    answer::Answer,
    judge::ledger::Ledger,
    paging::{Paging, UpstreamProfile},
    window::Slice,
};

/// The sizes that the upstream is expected to honour, and its profile, while one page is read.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct KnownSizes {
    pub(in crate::pagination) profile: UpstreamProfile,
    /// The cap that this page assumes, which may be a guess; `profile.cap` is the cap that later pages get. `None` if
    /// no cap is assumed.
    pub(in crate::pagination) assumed_cap: Option<u32>,
    /// True once items came after an answer of this page that was short.
    pub(in crate::pagination) are_answers_cut: bool,
    /// The last short answer that may have been cut by a cap; `None` before one.
    last_short: Option<ShortAnswer>,
    /// The last requested size, and the number of items received; `None` before an answer was compared.
    last: Option<(u32, u32)>,
}

/// A short answer that a cap may have cut.
#[derive(Clone, Copy, Debug)]
struct ShortAnswer {
    begins: u64,
    count: u32,
    /// The hash of the bytes of its last item.
    last: u64,
}

impl KnownSizes {
    /// Begins with the profile that earlier pages have learnt. A first page ignores the known cap. If one of its
    /// answers is larger, because the cap was misread or has been lifted, `learn` drops the cap.
    pub(super) fn new(profile: UpstreamProfile, is_first_page: bool) -> Self {
        Self {
            profile,
            assumed_cap: profile.cap.filter(|_| !is_first_page),
            are_answers_cut: false,
            last_short: None,
            last: None,
        }
    }

    /// Learns from an answer. If the answer has more items than the known cap, the cap is dropped. If it states a
    /// smaller size than requested, that size is a cap.
    pub(super) fn learn(&mut self, slice: Slice, answer: &Answer) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let asked = slice.size().0;
        if self.profile.cap.is_some_and(|cap| cap < count) {
            self.profile.cap = None;
        }
        if let Some(size) = answer.size
            && (1..asked).contains(&size)
        {
            self.assumed_cap = Some(size);
            self.profile.cap = Some(size);
        }
    }

    /// Learns a cap from two short answers. A single answer may be short because the list ends, or because it was cut
    /// by bytes or by time, but a cap gives the same number twice, at different offsets. Only a reader that confirms
    /// ends may call this: hidden rows can give the same number twice as well, and a confirmation then refutes the cap
    /// (`windows::confirm`).
    pub(super) fn compare_short(&mut self, slice: Slice, answer: &Answer, ledger: &Ledger, paging: &Paging) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        // If the upstream repeats its last page past the end, a short answer may be that page, so it shows no cap.
        let is_most = count >= ledger.honoured().by_page() && answer.size.is_none() && !ledger.repeats();
        if !is_most || !(2..slice.size().0).contains(&count) || paging.hidden || paging.leaves_out {
            return;
        }
        let mut hasher = DefaultHasher::new();
        answer.items.last().map(|span| span.of(&answer.body)).hash(&mut hasher);
        let short = ShortAnswer { begins: slice.begins().0, count, last: hasher.finish() };
        // The same items at another offset are the last page once more. Test:
        // `a_last_page_that_comes_again_undeclared_is_served_wherever_it_is_asked_for`.
        let is_like =
            |other: ShortAnswer| other.begins != short.begins && other.count == count && other.last != short.last;
        if self.last_short.is_some_and(is_like) {
            self.profile.cap = Some(count);
        }
        self.last_short = Some(short);
    }

    /// Returns whether this answer and the previous one show that the upstream ignores sizes: two different sizes were
    /// requested, both answers have the same number of items, and one of the sizes is smaller than that number. Test:
    /// `a_size_parameter_that_is_ignored_costs_no_search`.
    pub(super) fn are_ignored(&mut self, slice: Slice, answer: &Answer) -> bool {
        let (asked, count) = (slice.size().0, u32::try_from(answer.items.len()).unwrap_or(u32::MAX));
        let before = self.last.replace((asked, count));
        before.is_some_and(|(other, same)| same == count && other != asked && count > asked.min(other))
    }
}
