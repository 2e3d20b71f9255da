//! Seams that no single answer shows: two neighbouring answers, of which the earlier is read again after the later one.
//!
//! Both count only if the earlier is the same the second time, so that nothing moved across the seam in between. Such a
//! page is `checked`, and no more.

use super::{Progress, Purpose, State, Step};
use crate::pagination::{
    answer::Answer,
    plan,
    proof::View,
    window::{Fetch, Offset, PageNumber},
};

/// Two neighbouring pages, and how far the reading of them has come.
#[derive(Debug)]
pub(super) struct Seam {
    earlier: Fetch,
    later: Fetch,
    read: SeamRead,
}

#[derive(Debug)]
enum SeamRead {
    Nothing,
    Earlier(Answer),
    Both(Answer, Answer),
}

impl Seam {
    /// Two pages, of which nothing is read yet.
    pub(super) fn new(earlier: Fetch, later: Fetch) -> Box<Self> {
        Box::new(Self { earlier, later, read: SeamRead::Nothing })
    }
}

impl State {
    /// Reads what lies behind an answer, and then that answer again.
    pub(super) fn read_on(self: Box<Self>, fetch: Fetch, last: u64) -> Step {
        let paging = &self.request.paging;
        let (earlier, later) = match fetch {
            // Where the last page comes again, only a full page tells whether there is another.
            Fetch::Page { .. } if paging.repeats_last_page => {
                let Some(seam) = plan::seam(paging, Some(self.learnt.honoured), last, 1) else { return self.lost() };
                seam
            }
            Fetch::Page { number, size } => (fetch, Fetch::Page { number: PageNumber(number.0 + 1), size }),
            Fetch::Slice { size, .. } => (fetch, Fetch::Slice { from: Offset(last + 1), size }),
        };
        self.ask(vec![earlier], Purpose::Seam(Seam::new(earlier, later)))
    }

    /// Goes on with a seam: after the later page the earlier is read again, and both count only if it is the same.
    pub(super) fn sew(mut self: Box<Self>, seam: Seam, answer: Answer) -> Step {
        let Seam { earlier, later, read } = seam;
        match read {
            SeamRead::Nothing => {
                self.ask(vec![later], Purpose::Seam(Box::new(Seam { earlier, later, read: SeamRead::Earlier(answer) })))
            }
            SeamRead::Earlier(first) => self.ask(
                vec![earlier],
                Purpose::Seam(Box::new(Seam { earlier, later, read: SeamRead::Both(first, answer) })),
            ),
            SeamRead::Both(first, second) => {
                let joined = self.join((earlier, first), (later, second), answer);
                let Some(view) = joined else { return self.again() };
                match self.collector.take(view) {
                    Ok(Progress::Done) => self.serve(false),
                    Ok(Progress::More) => {
                        self.misses = 0;
                        self.ask_window()
                    }
                    Ok(Progress::Cut) => self.tie_run(),
                    // What moved between the two pages can contradict the order without any of them doing so.
                    Ok(Progress::Missed(_)) | Err(_) => self.again(),
                }
            }
        }
    }

    /// The two pages of a seam as one view; `None` where they do not fit together.
    fn join(&self, earlier: (Fetch, Answer), later: (Fetch, Answer), again: Answer) -> Option<View> {
        let elsewhere = |(fetch, answer): &(Fetch, Answer)| answer.offset.is_some_and(|said| said != fetch.begins().0);
        if elsewhere(&earlier) || elsewhere(&later) {
            return None;
        }
        let again = self.view(again, earlier.0, false).ok()?;
        let first = self.view(earlier.1, earlier.0, false).ok()?;
        let second = self.view(later.1, later.0, false).ok()?;
        // Where the last page comes again, the same items once more are an end only at sizes that are known to be
        // honoured: under a silent cap another page number is the same page.
        let repeats = self.request.paging.repeats_last_page;
        let honoured = earlier.0.size().0.max(later.0.size().0) <= self.learnt.honoured;
        if !first.same_items(&again) || (repeats && (first.short || !honoured)) {
            return None;
        }
        View::join(first, second, &self.request.order, repeats).ok()
    }
}
