//! Seams that no single answer shows: neighbouring slices, one of which is read again after the others.
//!
//! They count only if that one is the same the second time, so that nothing moved across the seams in between. Such a
//! page is `checked`, and no more.

use super::{AskedSlice, KeyNext, KeyReader, KeyTurn, Witness, confirm::Short, look_at};
use crate::pagination::{
    direction::{Side, Way},
    judge::draft::Progress,
    judge::evidence::Evidence,
    judge::seam::Unjoined,
    limits::KEY_SEAM_READINGS,
    plan,
    slices::{SliceReader as _, Unasked},
    window::Slice,
};

/// A slice that is read twice, and the neighbours of it that are read in between.
#[derive(Debug)]
pub(super) struct KeySeam {
    twice: Slice,
    /// The first answer to the slice, if it was read already.
    held: Option<Held>,
    between: Vec<Slice>,
}

/// An answer as it was read first.
#[derive(Debug)]
pub(super) enum Held {
    /// The answer is the last that the page took items from.
    Taken,
    /// The answer is here.
    Here(Box<Evidence>),
}

impl KeySeam {
    /// Returns the seam of a slice, its neighbours, and the slice again.
    pub(super) fn new(twice: Slice, between: Vec<Slice>) -> Self {
        Self { twice, held: None, between }
    }

    /// Returns the seam of a slice whose answer is there already: its neighbours, and the slice again.
    pub(super) fn beside(twice: Slice, held: Held, between: Vec<Slice>) -> Self {
        Self { twice, held: Some(held), between }
    }
}

impl KeyReader<'_> {
    /// Reads a seam. A slice is judged by the size asked for in the end: a declared depth may have cut it.
    pub(super) async fn read_seam(&mut self, seam: KeySeam) -> KeyNext {
        let KeySeam { mut twice, held, mut between } = seam;
        let held = match held {
            Some(held) => held,
            None => {
                let Some((asked, first)) = self.ask(vec![twice.into()]).await?.pop() else {
                    return Err(self.lost());
                };
                twice = asked.slice;
                match self.view(first, twice.into()) {
                    Ok(view) => Held::Here(Box::new(view)),
                    Err(unsorted) => return Err(self.contradicted(unsorted)),
                }
            }
        };
        if between.iter().any(|slice| plan::within(&self.request.paging, *slice).is_none()) {
            return Err(self.unasked(Unasked::TooDeep));
        }
        between.truncate(self.asker.left().saturating_sub(1).max(1));
        let middle = self.ask(between.iter().copied().map(AskedSlice::from).collect()).await?;
        if middle.len() < between.len() {
            // The budget did not allow for all of them.
            return self.again();
        }
        let Some((asked, again)) = self.ask(vec![twice.into()]).await?.pop() else { return self.again() };
        let twice = asked.slice;
        let Ok(again) = self.view(again, twice.into()) else { return self.again() };
        self.note(&again);
        let nothing_from = Some(again.begins()).filter(|_| again.is_empty() && !again.is_from_start());
        let middle: Result<Vec<Evidence>, _> =
            middle.into_iter().map(|(asked, answer)| self.view(answer, asked)).collect();
        let views = between.iter().copied().zip(middle.iter().flatten()).chain([(twice, &again)]);
        let short = views.max_by_key(|(slice, _)| slice.begins()).and_then(|(slice, view)| Short::of(view, slice));
        let first = match &held {
            Held::Taken => self.draft.last_view(),
            Held::Here(first) => Some(&**first),
        };
        let Some(first) = first else { return self.torn(twice, again) };
        match Evidence::joined(first, middle.ok(), again, &self.request.order, &self.asker.ledger) {
            // Two answers agree on an end that a third one has disproved.
            Ok(joined) if self.ends_before_more(&joined) => Ok(self.go_on_among_hidden()),
            Ok(joined) => self.take_joined(joined, twice, short).await,
            Err(Unjoined::Changed(again)) => self.torn(twice, *again),
            Err(Unjoined::Apart) => {
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

    /// Looks at the second reading by itself: the list changed between the two.
    fn torn(&mut self, twice: Slice, again: Evidence) -> KeyNext {
        self.asker.searching = true;
        self.seams.torn += 1;
        if self.seams.torn > KEY_SEAM_READINGS {
            return Err(self.lost());
        }
        Ok(look_at(twice.into(), again, Witness::None))
    }

    /// Takes what joined answers prove. `short` is the last of them, if it may be the end: that is confirmed at once.
    async fn take_joined(&mut self, joined: Evidence, twice: Slice, short: Option<Short>) -> KeyNext {
        if self.is_another_place(&joined) {
            return self.again();
        }
        self.note(&joined);
        let way = self.draft.way();
        match self.draft.take(joined) {
            Ok(Progress::Done) => Ok(KeyTurn::Serve { cut_off: false }),
            Ok(Progress::More) => {
                self.progressed();
                self.seams.taken_from = None;
                self.go_on(Some(short.filter(|_| way == Way::Forward)), false).await
            }
            Ok(Progress::Cut(cut, _)) if cut.right && self.request.paging.hidden => self.cut_among_hidden(&cut, twice),
            Ok(Progress::Cut(cut, _)) => self.widen(cut),
            Ok(Progress::Missed(view, _)) if !self.draft.can_be_searched_for() => self.missed_by_offset(&view),
            Ok(Progress::Missed(view, side)) => {
                self.asker.searching = true;
                self.seams.torn += 1;
                if self.seams.torn > KEY_SEAM_READINGS {
                    return Err(self.lost());
                }
                let first = !self.search.bracket.has_begun();
                self.search.bracket.missed(side, view.begins(), view.reaches());
                if first { self.shifted() } else { Ok(KeyTurn::Window) }
            }
            // What moved between two slices can contradict the order without any of them doing so.
            Ok(Progress::Apart(..)) | Err(_) => self.again(),
        }
    }

    /// Asks once more: changes between two answers may have settled.
    fn again(&mut self) -> KeyNext {
        self.asker.searching = true;
        self.seams.torn += 1;
        if self.seams.torn <= KEY_SEAM_READINGS { Ok(KeyTurn::Window) } else { Err(self.lost()) }
    }
}
