//! What answers teach of the sizes that the upstream honours.

use crate::pagination::{
    answer::Answer,
    judge::ledger::Ledger,
    paging::{Paging, UpstreamProfile},
    window::Slice,
};

/// What is known of sizes, and of the upstream at large, in the course of one page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) profile: UpstreamProfile,
    /// The cap that is believed in.
    pub(super) cap: Option<u32>,
    /// The last answer with fewer items than were asked for: where it began, and how many it had.
    last_short: Option<(u64, u32)>,
    /// A cap that was only suspected made a run of ties seem too long, and was doubted.
    pub(super) uncapped: bool,
}

impl Sizes {
    /// What was learnt before. The first page is asked for in full every
    /// time: a cap that was misread, or has been lifted, is forgotten.
    pub(super) fn new(profile: UpstreamProfile, is_first_page: bool) -> Self {
        Self {
            profile: UpstreamProfile { run: 0, ..profile },
            cap: profile.cap.filter(|_| !is_first_page),
            last_short: None,
            uncapped: false,
        }
    }

    /// Takes in an answer that was entered in the ledger, whatever becomes of it.
    pub(super) fn learn(&mut self, slice: Slice, answer: &Answer, paging: &Paging, ledger: &Ledger) {
        let count = u32::try_from(answer.items.len()).unwrap_or(u32::MAX);
        let asked = slice.size().0;
        if self.profile.cap.is_some_and(|cap| cap < count) {
            self.profile.cap = None;
        }
        if let Some(size) = answer.size
            && (1..asked).contains(&size)
        {
            self.cap = Some(size);
            self.profile.cap = Some(size);
        }
        // Where the last page comes again past the end, what is short says nothing of a cap.
        let is_most = count >= ledger.honoured().by_page();
        let may_be_capped = is_most && answer.size.is_none() && (2..asked).contains(&count) && !ledger.repeats();
        if may_be_capped && !paging.hidden {
            let begins = slice.begins().0;
            // One answer may be short because the list ends, or because it was cut by bytes or by time. A cap gives the same
            // number twice, at different places.
            if self.last_short.is_some_and(|(other, same)| other != begins && same == count) {
                self.profile.cap = Some(count);
            }
            self.last_short = Some((begins, count));
        }
    }
}
