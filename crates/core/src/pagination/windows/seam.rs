//! Seams that no single answer shows: neighbouring slices, one of which is read again after the others.
//!
//! They count only if that one is the same the second time, so that nothing moved across the seams in between. Such a
//! page is `checked`, and no more.

use super::{Asked, Look, Next, Reader, Turn};
use crate::pagination::{
    answer::Answer, direction::Side, judge::draft::Progress, judge::end::Witness, judge::evidence::Evidence,
    upstream::Upstream, window::Slice,
};

/// A seam is read so often before its place is given up.
const TRIES: u32 = 6;

/// A slice that is read twice, and the neighbours of it that are read in between.
#[derive(Debug)]
pub(super) struct Seam {
    twice: Slice,
    /// What the slice showed, where it was read already.
    held: Option<Held>,
    between: Vec<Slice>,
}

/// An answer as it was read first.
#[derive(Debug)]
pub(super) enum Held {
    /// It is the last that the page took items from.
    Taken,
    /// It is here.
    Here(Box<Evidence>),
}

impl Seam {
    /// A slice, its neighbours, and the slice again.
    pub(super) fn new(twice: Slice, between: Vec<Slice>) -> Self {
        Self { twice, held: None, between }
    }

    /// The neighbours of a slice whose answer is there already, and the slice again.
    pub(super) fn beside(twice: Slice, held: Held, between: Vec<Slice>) -> Self {
        Self { twice, held: Some(held), between }
    }
}

impl Reader {
    /// Reads a seam. A slice is judged by what was asked for in the end: a declared depth may have cut it.
    pub(super) async fn read_seam(&mut self, up: &mut Upstream, seam: Seam) -> Next {
        let Seam { mut twice, held, mut between } = seam;
        let held = match held {
            Some(held) => held,
            None => {
                let Some((asked, first)) = self.ask(up, vec![twice.into()]).await?.pop() else {
                    return Err(self.lost());
                };
                twice = asked.slice;
                match self.view(first, twice.into(), Witness::None) {
                    Ok(view) => Held::Here(Box::new(view)),
                    Err(unsorted) => return Err(self.contradicted(unsorted)),
                }
            }
        };
        between.truncate(self.requests_left().saturating_sub(1).max(1));
        let middle = self.ask(up, between.iter().copied().map(Asked::from).collect()).await?;
        if middle.len() < between.len() {
            // The budget did not allow for all of them.
            return self.again();
        }
        let middle = middle.into_iter().map(|(asked, answer)| (asked.slice, answer)).collect();
        let Some((asked, again)) = self.ask(up, vec![twice.into()]).await?.pop() else { return self.again() };
        let twice = asked.slice;
        let Ok(again) = self.view(again, twice.into(), Witness::None) else { return self.again() };
        self.note(&again);
        if !self.is_the_same(&held, &again) {
            return self.torn(twice, again);
        }
        let nothing_from = Some(again.begins()).filter(|_| again.is_empty() && !again.from_start());
        match self.join(twice, again, middle) {
            // Two answers agree on an end that a third one has disproved.
            Some(joined) if self.ends_before_more(&joined) => Ok(self.go_on_among_hidden()),
            Some(joined) => self.take_joined(joined, twice),
            None => {
                // Only of pages of one size is it sure that nothing is between them.
                self.seams.one_size = true;
                if let Some(end) = nothing_from.filter(|_| !self.request.paging.hidden) {
                    // What comes before it does not reach so far either: the list ends somewhere before.
                    self.search.bracket.missed(Side::Before, end, end);
                }
                self.again()
            }
        }
    }

    /// Something moved between the two readings: the second is looked at by itself.
    fn torn(&mut self, twice: Slice, again: Evidence) -> Next {
        self.effort.searching = true;
        self.seams.torn += 1;
        if self.seams.torn > TRIES {
            return Err(self.lost());
        }
        Ok(Look::at(twice.into(), again))
    }

    fn take_joined(&mut self, joined: Evidence, twice: Slice) -> Next {
        if self.is_another_place(&joined) {
            return self.again();
        }
        self.note(&joined);
        match self.draft.take(joined) {
            Ok(Progress::Done) => Ok(Turn::Serve { cut_off: false }),
            Ok(Progress::More) => {
                self.progressed();
                self.seams.taken_from = None;
                Ok(Turn::Window)
            }
            Ok(Progress::Cut(cut, _)) if cut.right && self.request.paging.hidden => self.cut_among_hidden(&cut, twice),
            Ok(Progress::Cut(cut, _)) => self.widen(cut),
            Ok(Progress::Missed(view, _)) if !self.draft.can_be_searched_for() => self.missed_by_offset(&view),
            Ok(Progress::Missed(view, side)) => {
                self.effort.searching = true;
                self.seams.torn += 1;
                if self.seams.torn > TRIES {
                    return Err(self.lost());
                }
                let first = !self.search.bracket.has_begun();
                self.search.bracket.missed(side, view.begins(), view.behind());
                if first { self.shifted() } else { Ok(Turn::Window) }
            }
            // What moved between two slices can contradict the order without any of them doing so.
            Ok(Progress::Apart(..)) | Err(_) => self.again(),
        }
    }

    /// Asks once more: what moved between two answers may have settled.
    fn again(&mut self) -> Next {
        self.effort.searching = true;
        self.seams.torn += 1;
        if self.seams.torn <= TRIES { Ok(Turn::Window) } else { Err(self.lost()) }
    }

    /// Whether a slice is the same as it was read first.
    fn is_the_same(&self, first: &Held, again: &Evidence) -> bool {
        match first {
            Held::Taken => self.draft.last_view().is_some_and(|first| first.same_items(again)),
            Held::Here(first) => first.same_items(again),
        }
    }

    /// All slices of a seam as one view; `None` where they do not fit together.
    fn join(&self, twice: Slice, again: Evidence, middle: Vec<(Slice, Answer)>) -> Option<Evidence> {
        let mut parts = vec![(twice, again)];
        for (slice, answer) in middle {
            parts.push((slice, self.view(answer, slice.into(), Witness::None).ok()?));
        }
        parts.sort_by_key(|(slice, _)| slice.begins());
        if let Some(end) = parts.iter().position(|(_, view)| view.ends())
            && parts[end + 1..].iter().all(|(_, view)| view.is_empty())
        {
            // Behind the end nothing was to be expected, wherever it was asked for.
            parts.truncate(end + 1);
        }
        let totals = parts.iter().filter_map(|(_, view)| view.answer().total).filter(|total| total.exact);
        if totals.clone().zip(totals.skip(1)).any(|(one, other)| one.value != other.value) {
            // The list changed between the answers, or they come from replicas of which one lags: two readings of one slice
            // that agree say nothing of what stood between.
            return None;
        }
        let order = &self.request.order;
        let mut steps = Vec::with_capacity(parts.len());
        for pair in parts.windows(2) {
            let [(earlier, before), (later, behind)] = pair else { continue };
            // Only of pages of one size does the same once more say that there is no other. Of one place it says nothing:
            // an answer that says falsely where it begins leads back to itself.
            let elsewhere = earlier.begins() < later.begins();
            let same_size = earlier.size() == later.size();
            let comes_again = self.ending.repeats && elsewhere && same_size && before.comes_again(order, behind);
            if !comes_again && !self.are_neighbours((*earlier, before), (*later, behind)) {
                return None;
            }
            steps.push(comes_again);
        }
        let mut parts = parts.into_iter().map(|(_, view)| view);
        let first = parts.next()?;
        let join =
            |joined, (view, comes_again)| Evidence::join(joined, view, order, comes_again, self.counts.recounted).ok();
        parts.zip(steps).try_fold(first, join)
    }

    /// Whether nothing is between two slices.
    ///
    /// Under a silent cap pages of one size are neighbours, and only they; but an answer that a limit of bytes or time has
    /// cut leaves a gap before the next page. So the earlier one has all that was asked for, or as many as the later one,
    /// or says which size it used.
    fn are_neighbours(&self, earlier: (Slice, &Evidence), later: (Slice, &Evidence)) -> bool {
        let elsewhere =
            |slice: Slice, view: &Evidence| view.answer().offset.is_some_and(|said| said != slice.begins().0);
        let filled = |(slice, view): (Slice, &Evidence)| view.len() == slice.size().0 as usize;
        let (slice, view) = later;
        let size = slice.size().0;
        let in_place = filled(later) || (size <= self.sizes.honoured.size() && !view.capped());
        let hidden = self.request.paging.hidden;
        let is_whole = |(slice, view): (Slice, &Evidence)| {
            let said = view.answer().size.is_some_and(|size| size as usize == view.len());
            hidden || said || filled((slice, view)) || view.ends()
        };
        let adjoining = match slice {
            Slice::Offset { from, .. } => from.0 == earlier.1.behind(),
            Slice::Page { .. } if earlier.0.size() == slice.size() => {
                // Of an empty page there is nothing to be neighbour to: that a list ends there, two readings say.
                is_whole(earlier) || earlier.1.len() == view.len() || view.is_empty()
            }
            Slice::Page { .. } => filled(earlier) && in_place,
        };
        adjoining && !elsewhere(slice, view)
    }
}
