//! Contradictions between answers that are far apart: each answer is sorted, but together they aren't.
//!
//! A list may be sorted otherwise than its keys compare: an enum by rank, nulls on the other side, strings by a
//! language. Each single answer of it may look sorted. A search, which compares the anchor with answers far apart,
//! would be led to a place where the boundary isn't. So the answers of a search are compared with one another, up to the
//! one that shows the boundary. And if a search takes an end of the list for the boundary, with no item on its other
//! side, answers from all over the list must confirm the order.
//!
//! A list that changes fast contradicts itself in the same way. So the earlier of two contradictory answers is read
//! again. If it has changed, the contradiction shows nothing. If not, the page can't be proven, and the search begins
//! anew; after another such contradiction, the list counts as sorted in another order. `upstream::shown` notices
//! contradictions that the places of answers don't show.

use std::cmp::Ordering;

use super::{AskedSlice, Bracket, KeyHalt, KeyNext, KeyReader, KeyTurn, Witness, look_at};
use crate::pagination::{
    direction::Side,
    judge::{draft::Ground, evidence::Evidence},
    limits::{ORDER_SAMPLE_MARGIN, ORDER_SAMPLE_PLACES, REPEATED_CONTRADICTIONS},
    paging::Family,
    plan::{self, Window},
    position::Anchor,
    rows,
};

/// The evidence that a page's answers give about the order between them.
#[derive(Debug, Default)]
pub(super) struct Contradictions {
    /// The answers of a search. The request budget limits their number.
    sightings: Vec<Sighting>,
    /// The number of contradictions of which the earlier answer was the same when it was read again.
    repeated: u32,
    /// True if answers from all over the list have confirmed an end of the list as the boundary.
    confirmed: bool,
}

impl Contradictions {
    /// Returns whether a contradiction was repeated. The page can't be proven then.
    pub(super) fn are_repeated(&self) -> bool {
        self.repeated > 0
    }
}

/// The expected offsets of an answer, and its first and last item.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    asked: AskedSlice,
    begins: u64,
    reaches: u64,
    first: Anchor,
    last: Anchor,
    /// True if the answer begins the list.
    is_from_start: bool,
    /// True if the answer certainly is where it was requested. Pages of another size than requested may be elsewhere,
    /// and so may a last page that comes again.
    is_placed: bool,
}

/// An earlier answer that a later one contradicts, and that is read again.
#[derive(Debug)]
pub(super) struct Contradicted {
    earlier: Sighting,
    later: Sighting,
}

/// Returns whether an answer shows an item before the first item of another answer that begins the list. `stands` says
/// how the first item of the one compares with the first item of the other. Where sizes move pages, as they do if pages
/// are counted from another number than declared, the answer that seems to begin the list is from its middle. Test:
/// `pages_that_are_counted_from_another_number_join_no_distant_items`.
fn contradicts_start(stands: Option<Ordering>, is_from_start: bool, other_is_from_start: bool) -> bool {
    match stands {
        Some(Ordering::Greater) => is_from_start && !other_is_from_start,
        Some(Ordering::Less) => other_is_from_start && !is_from_start,
        _ => false,
    }
}

impl KeyReader<'_> {
    /// Returns how an item of an answer compares with an item of another one; `None` if they can't be compared. Only
    /// strong keys count, because ties may come in any order, but an order without strong keys is that of the ids.
    fn stands(&self, view: &Evidence, place: usize, other: &Anchor) -> Option<Ordering> {
        let order = &self.request.order;
        let relation = rows::relate(view.answer(), order, view.item(place), other)?;
        Some(if order.strong.is_empty() { relation.whole } else { relation.strong })
    }

    /// Notes an answer of a search, and returns the earlier answer that it contradicts, or `None` if it contradicts
    /// none. Tests:
    /// `an_order_that_is_wrong_at_its_seams_alone_is_noticed_by_a_search`,
    /// `an_order_that_is_another_one_is_noticed_by_a_search_towards_the_start`.
    pub(super) fn contradicts(&mut self, asked: AskedSlice, view: &Evidence) -> Option<Contradicted> {
        let sighting = self.sighting(asked, view)?;
        let stands = |place: usize, other: &Anchor| self.stands(view, place, other);
        // Only the places of pages depend on their size.
        let by_page = self.request.paging.family == Family::Page && self.ground == Ground::Whole;
        let contradicted = self.contradictions.sightings.iter().position(|other| {
            (other.reaches <= view.begins() && stands(0, &other.last) == Some(Ordering::Less))
                || (view.reaches() <= other.begins && stands(view.len() - 1, &other.first) == Some(Ordering::Greater))
                || (by_page && contradicts_start(stands(0, &other.first), sighting.is_from_start, other.is_from_start))
        });
        let contradicted = contradicted.map(|place| {
            let earlier = self.contradictions.sightings.swap_remove(place);
            Contradicted { earlier, later: sighting.clone() }
        });
        self.contradictions.sightings.push(sighting);
        contradicted
    }

    /// Notes the answer from which the page last took items, which come before its next item even if that answer begins
    /// the list too.
    pub(super) fn sight_taken(&mut self) {
        let taken = self.seams.taken_from.zip(self.draft.last_view());
        let taken = taken.and_then(|(slice, view)| self.sighting(slice.into(), view));
        self.contradictions.sightings.extend(taken.map(|taken| Sighting { is_from_start: false, ..taken }));
    }

    fn sighting(&self, asked: AskedSlice, view: &Evidence) -> Option<Sighting> {
        if view.is_empty() {
            return None;
        }
        let anchor = |place: Option<usize>| view.anchor(&self.request.order, place?);
        let (first, last) = anchor(Some(0)).zip(anchor(view.len().checked_sub(1)))?;
        let is_full = view.ends() || view.len() == asked.slice.size().0 as usize;
        let is_placed = !self.asker.ledger.repeats() && (self.request.paging.family == Family::Offset || is_full);
        Some(Sighting {
            asked,
            begins: view.begins(),
            reaches: view.reaches(),
            first,
            last,
            is_from_start: view.is_from_start(),
            is_placed,
        })
    }

    /// Reads the earlier of two contradictory answers again. Returns whether it is the same before and after the later
    /// one: the list doesn't seem to be in its declared order then. Otherwise the list has changed in between.
    ///
    /// # Errors
    ///
    /// [`KeyHalt`] if that has happened more than [`REPEATED_CONTRADICTIONS`] times, or if the budget is spent.
    pub(super) async fn read_again(&mut self, contradicted: &Contradicted) -> Result<bool, KeyHalt> {
        if self.asker.left() == 0 {
            return Err(self.lost());
        }
        let pairs = self.ask(vec![contradicted.earlier.asked]).await?;
        let again = self.views(pairs).pop();
        let again =
            again.and_then(|(asked, view)| view.ok().and_then(|view| Some((self.sighting(asked, &view)?, view))));
        let Contradicted { earlier, later } = contradicted;
        let unchanged = again.filter(|(again, _)| again.first == earlier.first && again.last == earlier.last);
        let is_unplaced = unchanged.is_some() && !(earlier.is_placed && later.is_placed);
        if !unchanged.is_some_and(|(again, view)| self.is_reversed(contradicted, &again, &view)) {
            let sightings = &mut self.contradictions.sightings;
            if is_unplaced {
                // One of the two is elsewhere than it was requested. The other answers are where they were.
                sightings.retain(|sighting| sighting.is_placed);
            } else {
                // The earlier answers show another state of the list.
                sightings.drain(..sightings.len().saturating_sub(1));
            }
            return Ok(false);
        }
        self.contradictions.repeated += 1;
        if self.contradictions.repeated <= REPEATED_CONTRADICTIONS {
            return Ok(true);
        }
        let anchors = [&earlier.first, &earlier.last, &later.first, &later.last];
        let said = format!(
            "the items at the offsets {} and {} are not in the order of their keys, or replicas differ",
            earlier.begins, later.begins
        );
        Err(self.contradicted(rows::contradictory_answers(&self.request.order, anchors, said)))
    }

    /// Returns whether a slice contradicts an earlier answer still, and that answer is the same still. One change that was
    /// undone explains all contradictions of answers from one moment, so after one of them, the slice of the next one is
    /// read again, too. Regression: `crates/sim/regressions/a-change-undone-between-two-readings.txt`.
    async fn is_contradicted_anew(&mut self, place: AskedSlice, earlier: Sighting) -> Result<bool, KeyHalt> {
        self.contradictions.sightings.push(earlier);
        let pairs = self.ask(vec![place]).await?;
        let Some((place, Ok(again))) = self.views(pairs).pop() else { return Ok(false) };
        match self.contradicts(place, &again) {
            Some(contradicted) => self.read_again(&contradicted).await,
            None => Ok(false),
        }
    }

    /// Returns the turn that searches for the boundary anew, after a contradiction.
    pub(super) fn search_anew(&mut self) -> KeyTurn {
        self.contradictions.confirmed = false;
        (self.search.bracket, self.asker.searching) = (Bracket::default(), true);
        KeyTurn::Window
    }

    /// Returns whether the keys of the earlier answer, which was read again, place it on the other side of the later
    /// answer than its request does. Only requested places count, and only of answers that certainly are there. The
    /// offsets that answers name may be wrong, and an upstream that repeats its last page, or always returns its first,
    /// shows the same items at two places.
    fn is_reversed(&self, contradicted: &Contradicted, again: &Sighting, view: &Evidence) -> bool {
        let Contradicted { earlier, later } = contradicted;
        let stands = |place: usize, other: &Anchor| self.stands(view, place, other);
        if contradicts_start(stands(0, &later.first), earlier.is_from_start, later.is_from_start) {
            return true;
        }
        if !(again.is_placed && earlier.is_placed && later.is_placed) {
            return false;
        }
        let (again, later_at) = (plan::reach(again.asked.slice), plan::reach(later.asked.slice));
        if again.1 <= later_at.0 {
            stands(0, &later.last) == Some(Ordering::Greater)
        } else if later_at.1 <= again.0 {
            stands(view.len() - 1, &later.first) == Some(Ordering::Less)
        } else {
            false
        }
    }

    /// Returns the end of the list that an answer would make the boundary; `None` if it makes none, or if the boundary
    /// was found at its hint. In that case an earlier page has shown its place. Also `None` if the order was confirmed
    /// already, if the answer has the whole list or no item, or if items are hidden.
    pub(super) fn unwitnessed_edge(&self, view: &Evidence) -> Option<Side> {
        let aimless = self.search.bracket.has_begun() || self.draft.hint().offset.0 == 0;
        // An answer with the whole list leaves no other part that could contradict it. Offsets that count hidden items
        // don't show places. In both cases the edge needs no other answers.
        let is_all = view.is_from_start() && view.ends();
        if !aimless || self.contradictions.confirmed || view.is_empty() || is_all || self.request.paging.hidden {
            return None;
        }
        self.draft.leans_on_an_edge(view)
    }

    /// Requests items from all over the list, at once, before an end of the list is taken for the boundary's place. The
    /// answer that shows the end stays confirmed: `regressions/an-end-confirmed-before-its-order.txt`.
    pub(super) async fn confirm_order(
        &mut self,
        asked: AskedSlice,
        view: Evidence,
        witness: Witness,
        side: Side,
    ) -> KeyNext {
        self.contradictions.confirmed = true;
        let reaches = view.reaches();
        let places: [u64; ORDER_SAMPLE_PLACES] =
            match (side, self.asker.ledger.total().filter(|total| *total > reaches)) {
                (Side::After, _) => [1, 2, 3, 0].map(|quarter| view.begins() / 4 * quarter),
                (Side::Before, Some(total)) => {
                    [1, 2, 3, 4].map(|quarter| reaches + (total - reaches - 1) / 4 * quarter)
                }
                (Side::Before, None) => [2, 16, 128, 1_024].map(|times| reaches.saturating_mul(times)),
            };
        let around = |from: u64| Window { from, to: from + 1, before: ORDER_SAMPLE_MARGIN, after: ORDER_SAMPLE_MARGIN };
        let mut slices: Vec<AskedSlice> = Vec::with_capacity(ORDER_SAMPLE_PLACES);
        for place in places {
            // One answer of a short list covers several of these places, and each place is requested only once. Test:
            // `the_end_of_a_short_list_is_confirmed_by_one_answer`.
            let is_held = slices.iter().any(|held| plan::holds(held.slice, &(place..place + 1)));
            let slice =
                plan::holding(&self.request.paging, self.asker.sizes.assumed_cap, around(place)).filter(|_| !is_held);
            slices.extend(slice.and_then(|slice| plan::within(&self.request.paging, slice)).map(AskedSlice::from));
        }
        slices.truncate(self.asker.left());
        if slices.is_empty() {
            return Ok(look_at(asked, view, witness));
        }
        let pairs = self.ask(slices).await?;
        // All of these items must be on the expected side of the boundary, and in order among themselves and with the
        // answer at the end of the list.
        if let Some(contradicted) = self.contradicts(asked, &view)
            && self.read_again(&contradicted).await?
        {
            return Ok(self.search_anew());
        }
        let (mut elsewhere, mut is_repeated) = (None, false);
        for (place, other) in self.views(pairs) {
            let other = match other {
                Ok(other) => other,
                Err(unsorted) if unsorted.cause.is_disorder() => return Err(self.contradicted(unsorted)),
                Err(_) => continue,
            };
            let is_beyond = self.draft.stands_beyond(&other, side);
            let is_contradictory = match self.contradicts(place, &other) {
                Some(contradicted) if is_repeated => self.is_contradicted_anew(place, contradicted.earlier).await?,
                Some(contradicted) => self.read_again(&contradicted).await?,
                None => false,
            };
            is_repeated |= is_contradictory;
            if !is_beyond || is_contradictory {
                elsewhere = elsewhere.or(Some(other));
            }
        }
        let Some(elsewhere) = elsewhere else {
            return Ok(look_at(asked, view, witness));
        };
        self.draft.believe(elsewhere.begins());
        Ok(self.search_anew())
    }
}
