//! What one answer proves: that it is sorted as declared, where a boundary stands in it, whether it ends the collection.
//!
//! Ties that the upstream does not order are used as whole runs only: an answer must reach past a run of equal strong
//! keys on both sides before any item of it counts, because the same items may come in another order in the next answer.
//! Within a run the items are ordered by id here.

use std::{borrow::Cow, cmp::Ordering, ops::Range};

use super::{
    answer::{Answer, Standing},
    key::{self, Extent, Key, KeyValue},
    order::{Order, Ties},
    paging::{EndEvidence, Learnt, Paging},
    position::Anchor,
    window::Fetch,
};
use crate::json::Span;

/// Two items are taken to be asked for honestly by any upstream: a size of 2 counts as honoured without having been seen.
const HONOURED_UNSEEN: usize = 2;

/// An answer, checked against the order and arranged by it.
///
/// Places in the arrangement are counted from 0; the item at place *p* is believed to stand at offset `begins + p`.
#[derive(Debug)]
pub struct View {
    /// The answer.
    pub answer: Answer,
    /// Where it is believed to begin.
    pub begins: u64,
    /// It was asked from the very start, so that nothing comes before it.
    pub from_start: bool,
    /// It ends the collection, by its own evidence.
    pub ends: bool,
    /// It has fewer items than were asked for, and that proves nothing: either a silent cap or the end.
    pub short: bool,
    /// Its end, or its seam, was seen in two answers that agree, not in one.
    pub checked: bool,
    /// The items by place, where that is not the upstream's own sequence.
    arrangement: Option<Vec<u32>>,
    /// The places that can be used: all of them, or those in runs that are seen closed.
    pub usable: Range<usize>,
}

/// Why an answer can't be used at all; says what contradicts what, for the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsorted(pub String);

/// What is believed of sizes when an answer is judged.
#[derive(Clone, Copy, Debug)]
pub struct Belief {
    /// What was learnt so far.
    pub learnt: Learnt,
    /// A short answer at this place was asked about before, so that what counts say no longer weighs against it.
    pub confirming: bool,
}

impl View {
    /// Checks and arranges an answer.
    ///
    /// # Errors
    ///
    /// [`Unsorted`] where the items contradict the order, lack its keys, or hold an id twice.
    pub fn new(answer: Answer, fetch: Fetch, order: &Order, paging: &Paging, belief: Belief) -> Result<Self, Unsorted> {
        let begins = match (answer.offset, answer.page) {
            (Some(offset), _) => offset,
            (None, Some(page)) => page.saturating_mul(u64::from(answer.size.unwrap_or_else(|| fetch.size().0))),
            (None, None) => fetch.begins().0,
        };
        let from_start = fetch.begins().0 == 0 && begins == 0;
        let EndJudgement { ends, short, checked } = judge_end(&answer, fetch, begins, from_start, paging, belief);
        let usable = 0..answer.items.len();
        let mut view = Self {
            answer,
            begins,
            from_start,
            ends,
            short,
            checked,
            arrangement: None,
            usable,
        };
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
    pub fn join(earlier: Self, later: Self, order: &Order, repeats: bool) -> Result<Self, Unsorted> {
        let Self {
            mut answer,
            begins,
            from_start,
            ..
        } = earlier;
        let counted = later.answer.total.or(answer.total).map_or(0, |total| total.value);
        let all_counted = counted <= begins.saturating_add(answer.items.len() as u64);
        let last = |answer: &Answer| answer.items.last().map(|span| span.of(&answer.body).to_vec());
        let nothing_behind = if repeats {
            last(&later.answer) == last(&answer)
        } else {
            later.is_empty()
        };
        let ends = later.ends || (nothing_behind && all_counted);
        if !nothing_behind {
            answer.append(later.answer);
        }
        let usable = 0..answer.items.len();
        let short = later.short && !ends;
        let mut view = Self {
            answer,
            begins,
            from_start,
            ends,
            short,
            checked: true,
            arrangement: None,
            usable,
        };
        view.arrange(order)?;
        Ok(view)
    }

    /// Takes an answer as it came, by its offsets alone.
    #[must_use]
    pub fn unchecked(answer: Answer, fetch: Fetch, paging: &Paging, belief: Belief) -> Self {
        let begins = fetch.begins().0;
        let EndJudgement { ends, short, checked } = judge_end(&answer, fetch, begins, begins == 0, paging, belief);
        let usable = 0..answer.items.len();
        Self {
            answer,
            begins,
            from_start: begins == 0,
            ends,
            short,
            checked,
            arrangement: None,
            usable,
        }
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.answer.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answer.items.is_empty()
    }

    /// The answer's item at a place.
    #[must_use]
    pub fn item(&self, place: usize) -> usize {
        self.arrangement
            .as_ref()
            .map_or(place, |arrangement| arrangement[place] as usize)
    }

    /// The item at a place as an anchor; `None` only where its keys can't be kept, which [`View::new`] has ruled out.
    #[must_use]
    pub fn anchor(&self, order: &Order, place: usize) -> Option<Anchor> {
        let row = row(&self.answer, order, self.item(place));
        let (id, strong) = row.split_last()?;
        let keys = strong
            .iter()
            .map(|span| KeyValue::of_strong(span.of(&self.answer.body)));
        Some(Anchor {
            keys: keys.collect::<Option<_>>()?,
            id: KeyValue::of_id(id.of(&self.answer.body))?,
        })
    }

    /// The id of the item at a place, in the spelling by which it is known again; empty where it has none.
    #[must_use]
    pub fn id(&self, order: &Order, place: usize) -> Cow<'_, [u8]> {
        let span = row(&self.answer, order, self.item(place))
            .last()
            .copied()
            .unwrap_or_default();
        key::identity(&order.id, span.of(&self.answer.body))
    }

    /// How many of the items come at or before an anchor. `None` where one can't be compared with it.
    #[must_use]
    pub fn count_through(&self, order: &Order, anchor: &Anchor) -> Option<usize> {
        self.partition(order, anchor, |ordering| ordering != Ordering::Greater)
    }

    /// How many of the items come before an anchor. `None` where one can't be compared with it.
    #[must_use]
    pub fn count_before(&self, order: &Order, anchor: &Anchor) -> Option<usize> {
        self.partition(order, anchor, |ordering| ordering == Ordering::Less)
    }

    /// Whether the answer begins at or before an anchor: nothing between the anchor and the answer's first item is
    /// missing. Unordered ties: before the anchor's whole run.
    #[must_use]
    pub fn begins_at_or_before(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.from_start {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let first = self.relate(order, 0, anchor)?;
        Some(if loose(order) {
            first.strong == Ordering::Less
        } else {
            first.whole != Ordering::Greater
        })
    }

    /// The mirror image: whether the answer begins strictly before an anchor.
    #[must_use]
    pub fn begins_before(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.from_start {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let first = self.relate(order, 0, anchor)?;
        Some(if loose(order) {
            first.strong == Ordering::Less
        } else {
            first.whole == Ordering::Less
        })
    }

    /// Whether the answer reaches beyond an anchor: an item comes after it, or the answer ends the collection. Unordered
    /// ties: beyond the anchor's whole run.
    #[must_use]
    pub fn reaches_beyond(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.ends {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let last = self.relate(order, self.len() - 1, anchor)?;
        Some(if loose(order) {
            last.strong == Ordering::Greater
        } else {
            last.whole == Ordering::Greater
        })
    }

    /// The mirror image: whether the answer reaches an anchor or beyond.
    #[must_use]
    pub fn reaches(&self, order: &Order, anchor: &Anchor) -> Option<bool> {
        if self.ends {
            return Some(true);
        }
        if self.is_empty() {
            return Some(false);
        }
        let last = self.relate(order, self.len() - 1, anchor)?;
        Some(if loose(order) {
            last.strong == Ordering::Greater
        } else {
            last.whole != Ordering::Less
        })
    }

    /// How many items up to a place, itself included, share its strong keys; 0 where ties are ordered.
    #[must_use]
    pub fn run_through(&self, order: &Order, place: usize) -> u32 {
        if !loose(order) {
            return 0;
        }
        let run = (0..=place)
            .rev()
            .take_while(|other| self.ties(order, *other, place))
            .count();
        u32::try_from(run).unwrap_or(u32::MAX)
    }

    /// How many items from a place on, itself included, share its strong keys; 0 where ties are ordered.
    #[must_use]
    pub fn run_from(&self, order: &Order, place: usize) -> u32 {
        if !loose(order) {
            return 0;
        }
        let run = (place..self.len())
            .take_while(|other| self.ties(order, *other, place))
            .count();
        u32::try_from(run).unwrap_or(u32::MAX)
    }

    /// Whether this answer has the very items of another.
    #[must_use]
    pub fn same_items(&self, other: &Answer) -> bool {
        self.len() == other.items.len() && (0..self.len()).all(|at| self.answer.item(at) == other.item(at))
    }

    fn ties(&self, order: &Order, left: usize, right: usize) -> bool {
        compare_strong(&self.answer, order, self.item(left), self.item(right)) == Some(Ordering::Equal)
    }

    fn relate(&self, order: &Order, place: usize, anchor: &Anchor) -> Option<Relation> {
        relate(&self.answer, order, self.item(place), anchor)
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
                match compare_strong(&self.answer, order, place - 1, place) {
                    Some(Ordering::Equal) => continue,
                    Some(Ordering::Less) => {}
                    Some(Ordering::Greater) => return Err(contradiction(order, place)),
                    None => return Err(incomparable(&self.answer, order, place)),
                }
            } else if count == 1 {
                check_alone(&self.answer, order)?;
            }
            if place - run > 1 {
                self.arrange_run(order, run..place)?;
            }
            if loose(order) {
                if run == 0 && !self.from_start {
                    self.usable.start = place;
                }
                if place == count && !self.ends {
                    self.usable.end = run.max(self.usable.start);
                }
            }
            run = place;
        }
        Ok(())
    }

    /// Puts one run of equal strong keys in id order, or checks that the upstream did.
    fn arrange_run(&mut self, order: &Order, run: Range<usize>) -> Result<(), Unsorted> {
        let sorted = |left: usize, right: usize| compare_ids(&self.answer, order, left, right);
        let mut in_order = true;
        for place in run.start + 1..run.end {
            match sorted(place - 1, place) {
                Some(Ordering::Less) => {}
                Some(Ordering::Equal) => return Err(twice(place)),
                Some(Ordering::Greater) => in_order = false,
                None => return Err(incomparable(&self.answer, order, place)),
            }
        }
        if in_order {
            return Ok(());
        }
        if !loose(order) {
            return Err(Unsorted(format!(
                "items {} to {} of an answer have equal keys and are not in the order of {}: say ties = \"unordered\"",
                run.start + 1,
                run.end,
                order.id.name
            )));
        }
        let count = self.answer.items.len();
        let mut places: Vec<u32> = (run.start..run.end)
            .filter_map(|place| u32::try_from(place).ok())
            .collect();
        let mut comparable = true;
        places.sort_by(|left, right| {
            sorted(*left as usize, *right as usize).unwrap_or_else(|| {
                comparable = false;
                Ordering::Equal
            })
        });
        if !comparable {
            return Err(incomparable(&self.answer, order, run.start + 1));
        }
        if let Some(pair) = places
            .windows(2)
            .find(|pair| sorted(pair[0] as usize, pair[1] as usize) == Some(Ordering::Equal))
        {
            return Err(twice(pair[1] as usize));
        }
        let arrangement = self
            .arrangement
            .get_or_insert_with(|| (0..count).filter_map(|place| u32::try_from(place).ok()).collect());
        arrangement[run].copy_from_slice(&places);
        Ok(())
    }
}

/// Whether ties are used as whole runs.
#[must_use]
pub fn loose(order: &Order) -> bool {
    order.ties == Ties::Unordered && !order.strong.is_empty()
}

/// What an answer says about the end.
struct EndJudgement {
    ends: bool,
    short: bool,
    checked: bool,
}

/// Whether an answer ends the collection.
///
/// An end is proven only by evidence of the statement that made the answer: fewer items than a size that this upstream
/// has been seen to honour or that its dialect vouches for, or a flag that the dialect marks as coming from the slice
/// itself. Totals, a `next` computed from a count, a past-the-end status, and an empty answer that was not asked from
/// the start only say where to look; they may say that there is more, never that there is no more.
fn judge_end(
    answer: &Answer,
    fetch: Fetch,
    begins: u64,
    from_start: bool,
    paging: &Paging,
    belief: Belief,
) -> EndJudgement {
    let count = answer.items.len();
    if answer.standing == Standing::PastEnd || (count == 0 && !from_start) {
        return EndJudgement {
            ends: false,
            short: false,
            checked: false,
        };
    }
    if paging.end == EndEvidence::Flag && answer.more == Some(false) {
        return EndJudgement {
            ends: true,
            short: false,
            checked: false,
        };
    }
    let used = answer.size.unwrap_or(u32::MAX).min(fetch.size().0) as usize;
    let honoured = match paging.end {
        EndEvidence::ShortPage => usize::MAX,
        EndEvidence::Unvouched | EndEvidence::Flag => HONOURED_UNSEEN.max(belief.learnt.largest as usize),
    };
    let more_is_said = answer.more == Some(true)
        || answer
            .total
            .is_some_and(|total| total.value > begins.saturating_add(count as u64));
    let overruled = belief.confirming && paging.end == EndEvidence::Unvouched;
    let ends = count < used.min(honoured) && (!more_is_said || overruled);
    EndJudgement {
        ends,
        short: count < used && !ends,
        checked: ends && more_is_said,
    }
}

/// How an item stands to an anchor.
#[derive(Clone, Copy, Debug)]
struct Relation {
    strong: Ordering,
    whole: Ordering,
}

fn relate(answer: &Answer, order: &Order, item: usize, anchor: &Anchor) -> Option<Relation> {
    let row = row(answer, order, item);
    if anchor.keys.len() != order.strong.len() {
        return None;
    }
    let mut strong = Ordering::Equal;
    for ((key, span), kept) in order.strong.iter().zip(row).zip(&anchor.keys) {
        strong = key::compare(key, Extent::Kept, Key::Raw(span.of(&answer.body)), Key::Kept(kept))?;
        if strong != Ordering::Equal {
            return Some(Relation { strong, whole: strong });
        }
    }
    let id = row.last()?.of(&answer.body);
    let whole = key::compare(&order.id, Extent::Whole, Key::Raw(id), Key::Kept(&anchor.id))?;
    Some(Relation { strong, whole })
}

fn row<'a>(answer: &'a Answer, order: &Order, item: usize) -> &'a [Span] {
    let columns = order.columns();
    &answer.keys[item * columns..(item + 1) * columns]
}

/// Compares the strong keys of two items; without strong keys the id is the whole order.
fn compare_strong(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<Ordering> {
    if order.strong.is_empty() {
        return match compare_ids(answer, order, left, right)? {
            Ordering::Equal => None,
            ordering => Some(ordering),
        };
    }
    let columns = order
        .strong
        .iter()
        .zip(row(answer, order, left))
        .zip(row(answer, order, right));
    for ((key, left), right) in columns {
        let ordering = key::compare(
            key,
            Extent::Kept,
            Key::Raw(left.of(&answer.body)),
            Key::Raw(right.of(&answer.body)),
        )?;
        if ordering != Ordering::Equal {
            return Some(ordering);
        }
    }
    Some(Ordering::Equal)
}

fn compare_ids(answer: &Answer, order: &Order, left: usize, right: usize) -> Option<Ordering> {
    let id = |item| {
        row(answer, order, item)
            .last()
            .copied()
            .unwrap_or_default()
            .of(&answer.body)
    };
    key::compare(&order.id, Extent::Whole, Key::Raw(id(left)), Key::Raw(id(right)))
}

/// A single item has no neighbour to be compared with: its keys must be readable all the same.
fn check_alone(answer: &Answer, order: &Order) -> Result<(), Unsorted> {
    let row = row(answer, order, 0);
    let readable = |key: &super::order::SortKey, span: &Span| {
        let raw = span.of(&answer.body);
        key::compare(key, Extent::Kept, Key::Raw(raw), Key::Raw(raw)).is_some()
    };
    if order
        .strong
        .iter()
        .chain([&order.id])
        .zip(row)
        .all(|(key, span)| readable(key, span))
    {
        Ok(())
    } else {
        Err(incomparable(answer, order, 0))
    }
}

fn contradiction(order: &Order, place: usize) -> Unsorted {
    let names: Vec<&str> = order
        .strong
        .iter()
        .chain([&order.id])
        .map(|key| key.name.as_str())
        .collect();
    Unsorted(format!(
        "item {} of an answer comes before the one it follows, by {}",
        place + 1,
        names.join(", ")
    ))
}

fn twice(place: usize) -> Unsorted {
    Unsorted(format!("the id of item {} stands twice in one answer", place + 1))
}

/// Names the first key at a place (or right before it) that can't be compared, and why.
fn incomparable(answer: &Answer, order: &Order, place: usize) -> Unsorted {
    for item in [place.saturating_sub(1), place] {
        for (key, span) in order.strong.iter().chain([&order.id]).zip(row(answer, order, item)) {
            let name = &key.name;
            let raw = span.of(&answer.body);
            let number = item + 1;
            if span.is_absent() {
                return Unsorted(format!(
                    "item {number} of an answer has no {name}, which the order names"
                ));
            }
            if raw == b"null" {
                return Unsorted(format!(
                    "{name} is null in item {number} of an answer, and where nulls stand is not declared: \
                     say fields.{name}.nulls"
                ));
            }
        }
    }
    Unsorted(format!(
        "items {} and {} of an answer have keys that can't be compared, or the same id: declare the type by \
         fields.NAME.type",
        place.max(1),
        place.max(1) + 1
    ))
}
