//! Seams that no single answer shows. The items beyond an answer count only if the answer is unchanged when it is read
//! again after them. Then no item moved across the seam in between.

use std::sync::Arc;

use super::{Landmark, MarkNext, MarkProgress, MarkReader, MarkTurn, line::MarkLine, passed::Recognised, view::View};
use crate::pagination::{
    direction::Way,
    judge::end::Witness,
    limits::{EMPTY_ANSWERS, MARK_SEAM_READINGS, NAMED_PLACE_WINDOWS},
    mark::Mark,
    page::Unproven,
    paging::Family,
    plan,
    refusal::Refusal,
    request::PageRequest,
    rows,
    upstream::Stop,
    window::{Offset, PageNumber, PageSize, Slice},
};

/// A seam: an earlier answer, and the slice to read beyond it.
#[derive(Debug)]
pub(super) struct MarkSeam {
    toward: Way,
    earlier: Slice,
    /// The marks of all items of the earlier answer.
    marks: Vec<Mark>,
    total: Option<u64>,
    /// The slice to request beyond the earlier answer.
    beyond: Slice,
    empty: u32,
}

impl MarkSeam {
    /// Returns the seam at one edge of an answer; `None` if no slice can lie beyond that edge.
    pub(super) fn new(view: &View, toward: Way, request: &PageRequest) -> Option<Box<Self>> {
        Some(Box::new(Self {
            toward,
            earlier: view.slice,
            marks: view.marks(&request.order, request.marker_of_target()).to_vec(),
            total: view.answer.total.map(|total| total.value),
            beyond: beyond(view.slice, view.begins, view.reaches(), toward)?,
            empty: 0,
        }))
    }

    /// Returns the offset after the slice beyond the answer.
    pub(super) fn ends_at(&self) -> u64 {
        plan::reach(self.beyond).1
    }

    /// Returns whether the two slices have no offset in common.
    fn is_apart(&self) -> bool {
        let ((first, first_end), (second, second_end)) = (plan::reach(self.earlier), plan::reach(self.beyond));
        first_end <= second || second_end <= first
    }

    /// Returns this seam with another slice beyond the answer: no item is in between.
    pub(super) fn towards(mut self: Box<Self>, beyond: Slice) -> Box<Self> {
        self.beyond = beyond;
        self
    }
}

/// Returns the slice right beyond an answer; `None` before the start of the list.
fn beyond(slice: Slice, begins: u64, reaches: u64, toward: Way) -> Option<Slice> {
    Some(match (slice, toward) {
        (Slice::Page { number, size }, Way::Forward) => Slice::Page { number: PageNumber(number.0 + 1), size },
        (Slice::Page { number, size }, Way::Backward) => {
            Slice::Page { number: PageNumber(number.0.checked_sub(1)?), size }
        }
        (Slice::Offset { size, .. }, Way::Forward) => Slice::Offset { from: Offset(reaches), size },
        (Slice::Offset { size, .. }, Way::Backward) => {
            let size = u32::try_from(begins).unwrap_or(u32::MAX).min(size.0);
            (size > 0).then_some(Slice::Offset { from: Offset(begins - u64::from(size)), size: PageSize(size) })?
        }
    })
}

impl MarkReader<'_> {
    /// Reads a seam: first the slice beyond it, then the earlier answer again. Both count only if the earlier answer
    /// hasn't changed. If the request leaves out costly proofs, the second reading is left out and the page is flagged.
    pub(super) async fn read_seam(&mut self, mut seam: MarkSeam) -> MarkNext {
        // The loop continues only past empty answers of an upstream that hides items. It is bounded by the start of the
        // list (backward), by the total or `EMPTY_ANSWERS` (forward), and by the budget.
        let found = loop {
            let Some((slice, answer)) = self.send(vec![seam.beyond]).await?.pop() else { return Err(self.lost()) };
            let mut view = self.view(slice, answer, Witness::None);
            let (order, marker) = (&self.request.order, self.request.marker_of_target());
            let marks = view.marks(order, marker);
            if seam.toward == Way::Forward && self.begins_again(slice, marks).await? {
                continue;
            }
            if seam.toward == Way::Forward && self.caps.suspected.is_some() && !view.is_empty() {
                let (order, marker) = (&self.request.order, self.request.marker_of_target());
                if view.marks(order, marker) != seam.marks {
                    // A cap cut the earlier answer, so this page begins elsewhere than its number and size say. Its
                    // place is computed again under the cap.
                    self.caps.confirm(&mut self.asker.sizes);
                    view = self.view(slice, view.answer, Witness::None);
                }
            }
            if view.is_empty()
                && self.request.paging.hidden
                && self.may_go_on(&seam, &view)
                && let Some(next) = beyond(view.slice, view.begins, view.reaches(), seam.toward)
            {
                (seam.beyond, seam.empty) = (next, seam.empty + 1);
                continue;
            }
            break (!view.is_empty()).then_some(view);
        };
        if self.request.leaves_out_costly_proofs() {
            self.findings.flagged = Some(Unproven::Seam);
            return self.sewn(&seam, found, None).await;
        }
        let Some((slice, again)) = self.send(vec![seam.earlier]).await?.pop() else { return Err(self.lost()) };
        let view = self.view(slice, again, Witness::None);
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        let total = view.answer.total.map(|total| total.value);
        // Answers with different totals come from two states of the list, so they make no seam. Test:
        // `answers_that_count_otherwise_make_no_seam`.
        let counts_agree = total.is_none() || seam.total.is_none() || total == seam.total;
        // If the second reading has other items, an item may have crossed the seam, so neither answer counts. Test:
        // `an_answer_whose_second_reading_differs_does_not_prove_a_seam`.
        if view.marks(order, marker) == seam.marks && counts_agree {
            return self.sewn(&seam, found, Some(view)).await;
        }
        self.effort.misses += 1;
        if self.effort.misses >= MARK_SEAM_READINGS {
            return Err(self.lost());
        }
        match self.read(view) {
            MarkProgress::Used(_) if self.page.is_done() => Ok(MarkTurn::Serve { cut_off: false }),
            MarkProgress::Used(passed) => self.read_on(passed, false).await,
            MarkProgress::Missed(view) => self.missed(*view, false).await,
            MarkProgress::Unsettled => self.unsettled().await,
        }
    }

    /// Returns whether items may lie beyond an empty answer, where the upstream hides items.
    fn may_go_on(&self, seam: &MarkSeam, view: &View) -> bool {
        match seam.toward {
            Way::Backward => view.begins > 0,
            Way::Forward => match self.asker.ledger.place_by_total() {
                Some(total) => total > view.reaches() && u64::from(seam.empty) < NAMED_PLACE_WINDOWS,
                None => seam.empty + 1 < EMPTY_ANSWERS,
            },
        }
    }

    /// Returns the next turn after a seam was read. `found` is the answer from beyond the seam; `None` if it has no
    /// items. `again` is the second reading of the earlier answer; `None` if that reading was left out.
    async fn sewn(&mut self, seam: &MarkSeam, found: Option<View>, again: Option<View>) -> MarkNext {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        // Answers that overlap may have the same items because their other rows are left out.
        let is_apart = !self.request.paging.hidden || seam.is_apart();
        let repeated = found.as_ref().is_some_and(|view| is_apart && view.marks(order, marker) == seam.marks);
        let mut found = found;
        if repeated {
            if !self.request.paging.repeats_last_page && !self.repeats_its_last_page(&seam.marks, seam.beyond).await? {
                return Err(Refusal::Stuck.into());
            }
            // If the upstream repeats its last page past the end, the same items once more mean the end of the list.
            // Backward, these items are the last page under another number, so the page before it is requested.
            if seam.toward == Way::Backward {
                let seam = found.and_then(|view| MarkSeam::new(&view, seam.toward, &self.request));
                return match seam {
                    Some(seam) => Ok(MarkTurn::Seam(seam)),
                    None => Err(self.lost()),
                };
            }
            found = None;
        }
        if again.is_some() && found.as_ref().is_some_and(|view| self.is_at_both_edges(seam, view)) {
            return Err(Refusal::Unsorted(rows::at_two_places()).into());
        }
        let passed = match (found, again, &self.boundary) {
            (Some(view), _, Landmark::Tail(_)) if !view.ends => return self.missed_tail(view, false).await,
            (Some(view), _, Landmark::Tail(_)) => {
                let cut = view.len();
                self.take(view, cut, Recognised::default())
            }
            (Some(view), ..) => {
                let line = match &self.boundary {
                    Landmark::Marks(sightings) => sightings.line().clone(),
                    _ => MarkLine::default(),
                };
                let Some(cut) = self.cut_beyond(seam, &view, &line) else { return Err(self.lost()) };
                // Only items from before the seam: the upstream gives its last items again, as many as were requested.
                let is_over = seam.toward == Way::Forward && cut == view.len() && is_apart;
                let is_placed = self.request.paging.family == Family::Offset;
                if is_over && is_placed && self.asker.gives_other_items_than(&view.answer) {
                    self.page.end();
                    return Ok(MarkTurn::Serve { cut_off: false });
                }
                self.take(view, cut, Recognised { line, ..Recognised::default() })
            }
            (None, Some(mut view), Landmark::Tail(_)) => {
                view.ends = true;
                let cut = view.len();
                self.take(view, cut, Recognised::default())
            }
            (None, _, Landmark::Tail(_)) => return Err(self.lost()),
            (None, ..) => {
                self.page.end();
                return Ok(MarkTurn::Serve { cut_off: false });
            }
        };
        if self.page.is_done() { Ok(MarkTurn::Serve { cut_off: false }) } else { self.read_on(passed, false).await }
    }

    /// Returns whether items that came for two offsets are the last ones. An upstream that ignores the requested place,
    /// or begins again, gives the first ones everywhere. A page by number may be the largest that the upstream takes, in
    /// the middle of the list. Test: `a_place_that_is_lowered_is_no_end`.
    async fn repeats_its_last_page(&mut self, marks: &[Mark], slice: Slice) -> Result<bool, Stop> {
        if self.request.paging.family != Family::Offset {
            return Ok(false);
        }
        let order = Arc::clone(&self.request.order);
        let beginning = self.asker.read_beginning(slice).await?;
        let Some(beginning) = beginning.filter(|beginning| !beginning.items.is_empty()) else { return Ok(false) };
        let first = beginning.mark(&order, self.request.marker_of_target(), 0);
        Ok(marks.first().is_some_and(|mark| *mark != first))
    }

    /// Returns whether the outermost item of an answer from beyond a seam is the outermost one of the earlier answer,
    /// too, although others are between: the earlier answer was read before and after, so the item is at two places, such
    /// as an advertisement at the bottom of every page. Answers that overlap have the items between in common, and the
    /// last items that come again have the first item of the earlier answer. Items without ids may look the same. Test:
    /// `an_item_in_every_answer_ends_no_list`.
    fn is_at_both_edges(&self, seam: &MarkSeam, view: &View) -> bool {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        let marks = view.marks(order, marker);
        let edges = |marks: &[Mark]| match seam.toward {
            Way::Forward => marks.first().copied().zip(marks.last().copied()),
            Way::Backward => marks.last().copied().zip(marks.first().copied()),
        };
        let (Some((near, outer)), Some((first, last))) = (edges(marks), edges(&seam.marks)) else { return false };
        let has_id = view.id(order, view.len().saturating_sub(1)).is_some();
        has_id && outer == last && !seam.marks.contains(&near) && !marks.contains(&first)
    }

    /// Returns the place in an answer from beyond a seam at which the unread items begin; `None` if a silent cap may
    /// have left a gap.
    fn cut_beyond(&self, seam: &MarkSeam, view: &View, line: &MarkLine) -> Option<usize> {
        let (order, marker) = (&self.request.order, self.request.marker_of_target());
        // If items are hidden, the two answers may overlap. Read backward, they must overlap if the later answer
        // doesn't cover its whole slice, because a silent cap may have left a gap.
        let marks = view.marks(order, marker);
        let covers_all = view.reaches() >= view.begins.saturating_add(u64::from(seam.beyond.size().0));
        let mut known = (0..marks.len()).filter(|place| seam.marks.contains(&marks[*place]));
        let cut = match seam.toward {
            Way::Forward => known.next_back().map_or(0, |last| last + 1),
            Way::Backward => match known.next() {
                None if self.request.paging.hidden && !covers_all => return None,
                first => first.unwrap_or(view.len()),
            },
        };
        // Items that the page took from an even earlier answer may come next, so they are skipped.
        let is_served = |mark: &&Mark| line.served().contains(*mark);
        Some(match seam.toward {
            Way::Forward => cut + marks[cut..].iter().take_while(is_served).count(),
            Way::Backward => cut - marks[..cut].iter().rev().take_while(is_served).count(),
        })
    }
}
