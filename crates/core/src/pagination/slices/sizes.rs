//! The sizes that an upstream is believed to give, as the answers of a page teach them.

use crate::pagination::{answer::Answer, paging::UpstreamProfile, window::Slice};

/// The sizes that are believed in, and the knowledge of the upstream at large, in the course of one page.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct KnownSizes {
    pub(in crate::pagination) profile: UpstreamProfile,
    /// The cap that this page believes in, which may be a guess; `profile.cap` is what later pages get.
    pub(in crate::pagination) cap: Option<u32>,
}

impl KnownSizes {
    /// Begins with what was learnt before. The first page is asked for in full every time: a cap that was misread, or has
    /// been lifted, is forgotten.
    pub(super) fn new(profile: UpstreamProfile, is_first_page: bool) -> Self {
        Self { profile, cap: profile.cap.filter(|_| !is_first_page) }
    }

    /// Takes in an answer, whatever becomes of it.
    pub(super) fn learn(&mut self, slice: Slice, answer: &Answer) {
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
    }
}
