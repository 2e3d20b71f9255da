//! What one answer proves: that it is sorted as declared, where a boundary stands in it, whether it ends the collection.
//!
//! Ties that the upstream does not order are used as whole runs only: an answer must reach past a run of equal strong
//! keys on both sides before any item of it counts, because the same items may come in another order in the next answer.
//! Within a run the items are ordered by id here.

use std::{borrow::Cow, cmp::Ordering, ops::Range};

use super::{
    answer::Answer,
    end::{Belief, End},
    key::{self, KeyValue},
    order::{Order, Ties},
    paging::Paging,
    plan,
    position::Anchor,
    rows::{self, Relation, Unsorted},
    window::{Fetch, Offset},
};

/// An answer, checked against the order and arranged by it.
///
/// Places in the arrangement are counted from 0; the item at place *p* is believed to stand at offset `begins + p`.
#[derive(Debug)]
pub(super) struct View {
    /// The answer.
    pub(super) answer: Answer,
    /// Where it is believed to begin.
    pub(super) begins: u64,
    /// One past the last offset that was asked for.
    pub(super) asked_to: u64,
    /// It was asked from the very start, so that nothing comes before it.
    pub(super) from_start: bool,
    /// It ends the collection, by its own evidence.
    pub(super) ends: bool,
    /// It has fewer items than were asked for, and that proves nothing: either a silent cap or the end.
    pub(super) short: bool,
    /// Its end, or its seam, was seen in two answers that agree, not in one.
    pub(super) checked: bool,
    /// The items by place, where that is not the upstream's own sequence.
    arrangement: Option<Vec<u32>>,
    /// The places that can be used: all of them, or those in runs that are seen closed.
    pub(super) usable: Range<usize>,
}

impl View {
    /// Checks and arranges an answer.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] where the items contradict the order, lack its keys, or hold an id twice.
    pub(super) fn new(
        answer: Answer,
        fetch: Fetch,
        order: &Order,
        paging: &Paging,
        belief: Belief,
    ) -> Result<Self, Unsorted> {
        let begins = believed_begin(&answer, fetch, belief);
        let from_start = fetch.begins().0 == 0 && begins == 0;
        let End { ends, short, checked } = End::judge(&answer, fetch, begins, from_start, paging, belief);
        let usable = 0..answer.items.len();
        let asked_to = begins.saturating_add(u64::from(fetch.size().0));
        let mut view = Self { answer, begins, asked_to, from_start, ends, short, checked, arrangement: None, usable };
        view.arrange(order)?;
        Ok(view)
    }

    /// Joins two neighbouring answers that no single answer could replace: the earlier was read again after the later
    /// one and was the same, so nothing moved across the seam in between. Nothing in the later answer, or the last page
    /// once more where the upstream `repeats` it, is the end.
    ///
    /// # Errors
    ///
    /// As [`View::new`].
    pub(super) fn join(earlier: Self, later: Self, order: &Order, repeats: bool) -> Result<Self, Unsorted> {
        let Self { mut answer, begins, asked_to, from_start, .. } = earlier;
        let counted = later.answer.total.or(answer.total).map_or(0, |total| total.value);
        // A count made by another statement may be off by what changed in between, never by more than was asked for.
        let all_counted = counted <= asked_to;
        let last = |answer: &Answer| answer.items.last().map(|span| span.of(&answer.body).to_vec());
        let nothing_behind = if repeats { last(&later.answer) == last(&answer) } else { later.is_empty() };
        let ends = later.ends || (nothing_behind && all_counted && (!answer.items.is_empty() || from_start));
        if !nothing_behind {
            answer.append(later.answer);
        }
        let usable = 0..answer.items.len();
        let short = later.short && !ends;
        let asked_to = later.asked_to.max(asked_to);
        let mut view =
            Self { answer, begins, asked_to, from_start, ends, short, checked: true, arrangement: None, usable };
        view.arrange(order)?;
        Ok(view)
    }

    /// Takes an answer as it came, by its offsets alone.
    #[must_use]
    pub(super) fn unchecked(answer: Answer, fetch: Fetch, paging: &Paging, belief: Belief) -> Self {
        let begins = fetch.begins().believed().0;
        let End { ends, short, checked } = End::judge(&answer, fetch, begins, begins == 0, paging, belief);
        let usable = 0..answer.items.len();
        let asked_to = begins.saturating_add(u64::from(fetch.size().0));
        Self { answer, begins, asked_to, from_start: begins == 0, ends, short, checked, arrangement: None, usable }
    }

    /// How many items there are.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.answer.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.answer.items.is_empty()
    }

    /// The answer's item at a place.
    #[must_use]
    pub(super) fn item(&self, place: usize) -> usize {
        self.arrangement.as_ref().map_or(place, |arrangement| arrangement[place] as usize)
    }

    /// The item at a place as an anchor; `None` only where its keys can't be kept, which [`View::new`] has ruled out.
    #[must_use]
    pub(super) fn anchor(&self, order: &Order, place: usize) -> Option<Anchor> {
        let row = rows::row(&self.answer, order, self.item(place));
        let (id, strong) = row.split_last()?;
        let kinds = order.strong.iter().map(|key| &key.kind);
        let keys = strong.iter().zip(kinds).map(|(span, kind)| KeyValue::of_strong(kind, span.of(&self.answer.body)));
        Some(Anchor { keys: keys.collect::<Option<_>>()?, id: KeyValue::of_id(id.of(&self.answer.body))? })
    }

    /// The id of the item at a place, in the spelling by which it is known again; empty where it has none.
    #[must_use]
    pub(super) fn id(&self, order: &Order, place: usize) -> Cow<'_, [u8]> {
        let span = rows::row(&self.answer, order, self.item(place)).last().copied().unwrap_or_default();
        match span.of(&self.answer.body) {
            b"null" | [b'{' | b'[', ..] => Cow::Borrowed(&[]),
            id => key::identity(&order.id, id),
        }
    }

    /// How many of the items come at or before an anchor. `None` where one can't be compared with it.
    #[must_use]
    pub(super) fn count_through(&self, order: &Order, anchor: &Anchor) -> Option<usize> {
        self.partition(order, anchor, |ordering| ordering != Ordering::Greater)
    }

    /// How many of the items come before an anchor. `None` where one can't be compared with it.
    #[must_use]
    pub(super) fn count_before(&self, order: &Order, anchor: &Anchor) -> Option<usize> {
        self.partition(order, anchor, |ordering| ordering == Ordering::Less)
    }

    /// Whether the answer begins at or before an anchor: nothing between the anchor and the answer's first item is
    /// missing. Unordered ties: before the anchor's whole run.
    #[must_use]
    pub(super) fn begins_at_or_before(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.from_start {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let first = self.relate(order, 0, anchor)?;
        Some(if loose_at(order, anchor) { first.strong == Ordering::Less } else { first.whole != Ordering::Greater })
    }

    /// The mirror image: whether the answer begins strictly before an anchor.
    #[must_use]
    pub(super) fn begins_before(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.from_start {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let first = self.relate(order, 0, anchor)?;
        Some(if loose_at(order, anchor) { first.strong == Ordering::Less } else { first.whole == Ordering::Less })
    }

    /// Whether the answer reaches beyond an anchor: an item comes after it, or the answer ends the collection. Unordered
    /// ties: beyond the anchor's whole run.
    #[must_use]
    pub(super) fn reaches_beyond(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.ends {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let last = self.relate(order, self.len() - 1, anchor)?;
        Some(if loose_at(order, anchor) { last.strong == Ordering::Greater } else { last.whole == Ordering::Greater })
    }

    /// The mirror image: whether the answer reaches an anchor or beyond.
    #[must_use]
    pub(super) fn reaches(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.ends {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let last = self.relate(order, self.len() - 1, anchor)?;
        Some(if loose_at(order, anchor) { last.strong == Ordering::Greater } else { last.whole != Ordering::Less })
    }

    /// Whether a run of unordered ties with an anchor is cut by an edge of the answer, so that the boundary is there but
    /// not to be seen.
    pub(super) fn cuts_run_of(&self, order: &Order, anchor: &Anchor) -> bool {
        let ties = |place| self.relate(order, place, anchor).is_some_and(|relation| relation.strong == Ordering::Equal);
        loose_at(order, anchor) && !self.is_empty() && (ties(0) || ties(self.len() - 1))
    }

    /// How many items up to a place, itself included, share its strong keys; 0 where ties are ordered.
    #[must_use]
    pub(super) fn run_through(&self, order: &Order, place: usize) -> u32 {
        if !self.ties_are_loose(order, place) {
            return 0;
        }
        let run = (0..=place).rev().take_while(|other| self.ties(order, *other, place)).count();
        u32::try_from(run).unwrap_or(u32::MAX)
    }

    /// How many items from a place on, itself included, share its strong keys; 0 where ties are ordered.
    #[must_use]
    pub(super) fn run_from(&self, order: &Order, place: usize) -> u32 {
        if !self.ties_are_loose(order, place) {
            return 0;
        }
        let run = (place..self.len()).take_while(|other| self.ties(order, *other, place)).count();
        u32::try_from(run).unwrap_or(u32::MAX)
    }

    /// Whether this answer has the very items of another, in the same order but for ties.
    #[must_use]
    pub(super) fn same_items(&self, other: &Self) -> bool {
        self.len() == other.len()
            && (0..self.len()).all(|place| self.answer.item(self.item(place)) == other.answer.item(other.item(place)))
    }

    /// Whether the upstream may give the ties of the item at a place in any order.
    fn ties_are_loose(&self, order: &Order, place: usize) -> bool {
        loose(order) || rows::is_cut(&self.answer, order, self.item(place))
    }

    fn ties(&self, order: &Order, left: usize, right: usize) -> bool {
        rows::compare_strong(&self.answer, order, self.item(left), self.item(right)) == Some(Ordering::Equal)
    }

    fn relate(&self, order: &Order, place: usize, anchor: &Anchor) -> Option<Relation> {
        rows::relate(&self.answer, order, self.item(place), anchor)
    }

    /// The first place whose item does not stand to the anchor as asked: the arrangement is sorted.
    fn partition(&self, order: &Order, anchor: &Anchor, before: impl Fn(Ordering) -> bool) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if before(self.relate(order, middle, anchor)?.whole) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// Checks that strong keys never fall back, puts each run of equal ones in id order, and finds what can be used.
    fn arrange(&mut self, order: &Order) -> Result<(), Unsorted> {
        let count = self.len();
        if count == 0 {
            return Ok(());
        }
        let mut run = 0;
        for place in 1..=count {
            if place < count {
                match rows::compare_strong(&self.answer, order, place - 1, place) {
                    Some(Ordering::Equal) => continue,
                    Some(Ordering::Less) => {}
                    Some(Ordering::Greater) => return Err(rows::contradiction(order, place)),
                    None => return Err(rows::incomparable(&self.answer, order, place)),
                }
            } else if count == 1 {
                rows::check_alone(&self.answer, order)?;
            }
            if place - run > 1 {
                self.arrange_run(order, run..place)?;
            }
            let (first, last) = (run == 0 && !self.from_start, place == count && !self.ends);
            if (first || last) && self.ties_are_loose(order, run) {
                if first {
                    self.usable.start = place;
                }
                if last {
                    self.usable.end = run.max(self.usable.start);
                }
            }
            run = place;
        }
        Ok(())
    }

    /// Puts one run of equal strong keys in id order, or checks that the upstream did.
    fn arrange_run(&mut self, order: &Order, run: Range<usize>) -> Result<(), Unsorted> {
        let sorted = |left: usize, right: usize| rows::compare_ids(&self.answer, order, left, right);
        let mut in_order = true;
        for place in run.start + 1..run.end {
            match sorted(place - 1, place) {
                Some(Ordering::Less) => {}
                Some(Ordering::Equal) => return Err(rows::twice(place)),
                Some(Ordering::Greater) => in_order = false,
                None => return Err(rows::incomparable(&self.answer, order, place)),
            }
        }
        if in_order {
            return Ok(());
        }
        if !self.ties_are_loose(order, run.start) {
            return Err(Unsorted(format!(
                "items {} to {} of an answer have equal keys and are not in the order of {}: say ties = \"unordered\"",
                run.start + 1,
                run.end,
                order.id.name
            )));
        }
        let count = self.answer.items.len();
        let mut places: Vec<u32> = (run.start..run.end).filter_map(|place| u32::try_from(place).ok()).collect();
        let mut comparable = true;
        places.sort_by(|left, right| {
            sorted(*left as usize, *right as usize).unwrap_or_else(|| {
                comparable = false;
                Ordering::Equal
            })
        });
        if !comparable {
            return Err(rows::incomparable(&self.answer, order, run.start + 1));
        }
        if let Some(pair) =
            places.windows(2).find(|pair| sorted(pair[0] as usize, pair[1] as usize) == Some(Ordering::Equal))
        {
            return Err(rows::twice(pair[1] as usize));
        }
        let arrangement =
            self.arrangement.get_or_insert_with(|| (0..count).filter_map(|place| u32::try_from(place).ok()).collect());
        arrangement[run].copy_from_slice(&places);
        Ok(())
    }
}

/// Whether ties are used as whole runs.
#[must_use]
pub(super) fn loose(order: &Order) -> bool {
    order.ties == Ties::Unordered && !order.strong.is_empty()
}

/// Whether ties with an anchor are used as whole runs: always, or because its text may have been cut.
pub(super) fn loose_at(order: &Order, anchor: &Anchor) -> bool {
    loose(order) || order.strong.iter().zip(&anchor.keys).any(|(key, value)| value.is_cut(&key.kind))
}

/// Where an answer is believed to begin: where it says so itself; else, of a page, by the size that was used. Where
/// fewer items came than were asked for, as many as were honoured in requests before, and the answer says that there is
/// more, that number is the size.
fn believed_begin(answer: &Answer, fetch: Fetch, belief: Belief) -> u64 {
    if let Some(offset) = answer.offset {
        return Offset(offset).believed().0;
    }
    let (begins, ends) = plan::reach(fetch);
    let asked = fetch.size().0;
    let more = answer.more == Some(true) || answer.total.is_some_and(|total| total.value >= ends);
    let capped = u32::try_from(answer.items.len())
        .ok()
        .filter(|count| more && (1..asked).contains(count) && *count == belief.honoured_before);
    let size = u64::from(answer.size.or(capped).unwrap_or(asked));
    let begins = match (answer.page, fetch) {
        (Some(page), _) => page.saturating_mul(size),
        (None, Fetch::Page { number, .. }) => number.0.saturating_mul(size),
        (None, Fetch::Slice { .. }) => begins,
    };
    Offset(begins).believed().0
}
