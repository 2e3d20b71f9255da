//! A page that is put together from parts of the list: the pages of several filters, one after the other.
//!
//! Parts follow the rule for answers: each begins at or before the place that the page has reached. A part with a next
//! page shows the list up to its last item. A part without one shows the list up to the end of the stretch that its
//! filter lets through. A filter is trusted by its answers: if one of them contains the item that the filter started
//! from, the filter compares values as the list is sorted. A page that continues in a part without such an item is
//! `checked`.

use std::{cmp::Ordering, collections::HashSet, sync::Arc};

use super::{
    page::{ItemPlace, Level, ListHeldTo, Page},
    stretch::{FilterStretch, PlaceByKeys},
};
use crate::pagination::{
    answer::Answer,
    direction::Side,
    filter::Filter,
    order::{Order, Ties},
    position::{Anchor, Hint, Item, Position, Target},
    rows,
    rules::{self, Rule},
    window::{Offset, Slice},
};

/// The request that a part answers.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct PartQuestion<'a> {
    /// The filter of the part; `None` for the whole list.
    pub(in crate::pagination) filter: Option<&'a Filter>,
    /// True if the part is sorted only by the id.
    pub(in crate::pagination) by_id: bool,
    /// The place in the part from which the page continues.
    pub(in crate::pagination) position: &'a Position,
}

/// A slice of the list, or of a part of it, with the upstream's answer.
#[derive(Debug)]
pub(in crate::pagination) struct SliceOfPart {
    pub(in crate::pagination) slice: Slice,
    /// The filter of the part; `None` for the whole list.
    pub(in crate::pagination) filter: Option<Arc<Filter>>,
    pub(in crate::pagination) answer: Answer,
}

/// The error that the page of a part doesn't prove to continue from the place that the page has reached.
#[derive(Clone, Copy, Debug)]
pub(in crate::pagination) struct NotShown;

/// A page that is being put together from parts.
#[derive(Debug)]
pub(in crate::pagination) struct PartsPage {
    order: Arc<Order>,
    limit: usize,
    /// The item after which the page begins; `None` if the page begins at the start of the list.
    asked: Option<Anchor>,
    page: Option<Box<Page>>,
    /// True if the page's first part is the whole list, where answers show whether an item comes before the page.
    shows_before: bool,
    /// The place up to which the page contains every item.
    reached: PlaceByKeys,
    /// A slice that may show the item right after the page; `None` if no such slice was kept.
    shown: Option<Box<SliceOfPart>>,
}

impl PartsPage {
    /// Begins a page of `limit` items at a position.
    pub(in crate::pagination) fn new(order: Arc<Order>, position: &Position, limit: u32) -> Self {
        let asked = match position {
            Position::After(anchor) => Some(anchor.clone()),
            _ => None,
        };
        let reached = asked
            .as_ref()
            .map_or_else(|| PlaceByKeys::edge(Side::Before), |anchor| PlaceByKeys::beside(anchor, Side::After));
        Self { order, limit: limit as usize, asked, page: None, shows_before: true, reached, shown: None }
    }

    /// Returns the page made of the parts so far; `None` before the first part.
    pub(in crate::pagination) fn page(&self) -> Option<&Page> {
        self.page.as_deref()
    }

    /// Returns the number of items on the page so far.
    pub(in crate::pagination) fn count(&self) -> usize {
        self.page().map_or(0, |page| page.items.len())
    }

    /// Returns whether the page has reached its limit.
    pub(in crate::pagination) fn is_full(&self) -> bool {
        self.count() >= self.limit
    }

    /// Returns the last item of the page as an anchor; `None` if there is no item, or if its keys can't be read.
    pub(in crate::pagination) fn last(&self) -> Option<&Anchor> {
        last_of(self.page()?)
    }

    /// Keeps a slice whose answer may show the item right after the page.
    pub(in crate::pagination) fn show(&mut self, shown: Option<Box<SliceOfPart>>) {
        self.shown = shown;
    }

    /// Returns the place before the item right after the page. `None` unless the kept slice shows that item: the slice
    /// begins at or before the end of the page, and extends beyond it.
    fn shown_after(&self) -> Option<PlaceByKeys> {
        let SliceOfPart { slice, filter, answer } = self.shown.as_deref()?;
        // A part begins where its filter does. If that is beyond the end of the page, the part doesn't show the items
        // in between.
        let begins = match filter {
            Some(filter) => {
                FilterStretch::of(filter, &self.order)?.iter().any(|one| one.begins_by(&self.reached, &self.order))
            }
            None => true,
        };
        let item = |item| answer.anchor(&self.order, item);
        let is_after = |item: &Anchor| self.reached.is_within(&PlaceByKeys::beside(item, Side::Before), &self.order);
        let place = (0..answer.items.len()).find(|place| item(*place).is_some_and(|item| is_after(&item)))?;
        let is_shown = (place > 0 || (answer.begins_list(*slice) && begins)) && !rows::contradicts(answer, &self.order);
        item(place).filter(|_| is_shown).map(|item| PlaceByKeys::before_run_of(&item))
    }

    /// Adds the page of a part. If this page is full already, none of the part's items is added; the part only shows
    /// whether an item follows.
    ///
    /// # Errors
    ///
    /// [`NotShown`] if items might be missing between the two pages, or if the filter might compare values otherwise
    /// than the list is sorted.
    pub(in crate::pagination) fn take(&mut self, asked: PartQuestion<'_>, mut part: Box<Page>) -> Result<(), NotShown> {
        let (level, to) = self.follow(asked, &part)?;
        part.lower(level);
        if asked.filter.is_some() {
            // The total, the last page and the offsets of a filtered list don't apply to the whole list, so they are
            // removed.
            part.tell(None);
            part.lead_to_the_end(None);
            part.notes.drift = None;
        }
        let ends = part.next.is_none();
        let reached = match last_of(&part) {
            _ if ends => to,
            Some(last) => PlaceByKeys::beside(last, Side::After),
            None => self.reached.clone(),
        };
        let is_first = self.page.is_none();
        let is_full = self.is_full();
        let page = match &mut self.page {
            Some(page) if is_full => {
                page.lower(part.level());
                if !ends || !part.items.is_empty() {
                    // The full page needs from this part only the fact that an item follows.
                    return Ok(());
                }
                page
            }
            Some(page) => {
                append(page, *part, &self.order);
                page
            }
            page => page.insert(part),
        };
        self.reached = reached;
        if is_first {
            self.shows_before = asked.filter.is_none();
        }
        if ends {
            // The part has ended, but the list goes on: other parts contain the rest.
            page.facts_mut().next = last_of(page).filter(|_| !self.reached.is_end()).map(after);
            if self.reached.is_end() && asked.by_id {
                // That nothing comes after a run is known of its keys alone, not seen.
                page.lower(Level::Checked);
            }
        }
        Ok(())
    }

    /// Returns the highest level that a part's filter allows, and the place up to which the part shows the list if it
    /// ends there.
    ///
    /// # Errors
    ///
    /// [`NotShown`] if the part doesn't begin at or before the place that the page has reached, or doesn't extend
    /// beyond it. Also if its page was checked against another list than `asked` names, or if its filter proves
    /// nothing.
    fn follow(&mut self, asked: PartQuestion<'_>, part: &Page) -> Result<(Level, PlaceByKeys), NotShown> {
        let ties = if asked.by_id { Ties::Ordered } else { self.order.ties };
        // If a filtered list were taken for the whole list, or loose ties for ordered ones, an unproven page would
        // become exact. Such a part is therefore rejected.
        if part.held_to != Some(ListHeldTo { is_filtered: asked.filter.is_some(), ties }) {
            return Err(NotShown);
        }
        let stretches =
            asked.filter.map(|filter| FilterStretch::of(filter, &self.order).ok_or(NotShown)).transpose()?;
        let level = match &stretches {
            Some(stretches) => self.shown_by(asked, stretches, part).ok_or(NotShown)?,
            None => part.level(),
        };
        let from = match asked.position {
            Position::After(anchor) => PlaceByKeys::beside(anchor, Side::After),
            Position::Start | Position::At(Offset(0)) if asked.filter.is_none() => PlaceByKeys::edge(Side::Before),
            // A part that is read from its start must begin at the place that the page has reached, or at the item that
            // comes next. The check of the stretches below starts there.
            Position::Start | Position::At(Offset(0)) => {
                if let Some(next) = self.shown_after() {
                    self.reached = next;
                }
                self.reached.clone()
            }
            _ => return Err(NotShown),
        };
        let to = match &stretches {
            Some(stretches) => FilterStretch::lead(stretches, &from, &self.order),
            None => PlaceByKeys::edge(Side::After),
        };
        // If a part was left out, the next part begins after the place that the page has reached.
        let begins = from.is_within(&self.reached, &self.order) && !to.is_within(&self.reached, &self.order);
        if begins || !rules::holds(Rule::FiltersAreProven) { Ok((level, to)) } else { Err(NotShown) }
    }

    /// Returns the finished page; `None` if the page has no item and hasn't reached the end of the list.
    pub(in crate::pagination) fn into_page(self) -> Option<Box<Page>> {
        let mut page = self.page.filter(|page| !page.items.is_empty() || self.reached.is_end())?;
        if !self.shows_before {
            let previous = self.asked.map(|_| before(&page));
            page.facts_mut().previous = previous;
        }
        // The parts join into the whole list without gaps, so the page counts as checked against the whole list.
        page.held_to = Some(ListHeldTo { is_filtered: false, ties: self.order.ties });
        Some(page)
    }

    /// Returns the highest level that a page read by this filter can have; the page's own level may be lower. The level
    /// depends on how well the answers prove that the filter lets every item after the position through. `None` if the
    /// filter might compare values in another order than the list is sorted.
    fn shown_by(&self, asked: PartQuestion<'_>, stretches: &[FilterStretch], part: &Page) -> Option<Level> {
        let within = |answer: &Answer, item: usize| {
            let is_of = |stretch: &FilterStretch| rows::has_keys(answer, &self.order, item, &stretch.shared);
            stretches.iter().any(is_of)
        };
        // A list that is sorted by the id has the order of the run only if all its items belong to the run. Test:
        // `an_answer_to_a_filter_for_a_run_is_checked_against_its_keys`.
        let mut answers = part.answers.iter();
        if asked.by_id && !answers.all(|answer| (0..answer.items.len()).all(|item| within(answer, item))) {
            return None;
        }
        let Position::After(anchor) = asked.position else {
            // An upstream that ignores the filter returns items from before the page's last one. Such a part isn't
            // used. Test: `a_filter_for_nulls_that_shows_other_items_adds_none_of_them`.
            return self.is_past_the_last(part).then_some(Level::Checked);
        };
        // An item that an equality lets through doesn't show how the filter compares greater values, so only stretches
        // with another comparison count. Test: `a_shown_anchor_proves_a_range_filter_and_no_equality_filter`.
        let holding = stretches.iter().find(|stretch| stretch.compares && stretch.holds(anchor, &self.order));
        let has_equals = holding.is_some() && !asked.by_id;
        if shows(part, &self.order, has_equals, anchor)? {
            let is_of = |stretch: &FilterStretch| last_of(part).is_some_and(|last| stretch.holds(last, &self.order));
            return Some(match (stretches, holding) {
                // With a single filter, no other alternative can lack items, so the page may be exact. Test:
                // `a_run_that_alternatives_show_without_its_anchor_is_checked`.
                ([_], _) if asked.by_id || holding.is_some() => Level::Exact,
                // The page is exact only if the answers show the anchor or an item before it. If a run's anchor is
                // missing, the alternatives may let through only some of the run's items:
                // `regressions/a-run-without-its-anchor.txt`.
                (_, Some(stretch))
                    if part.next.is_some() && is_of(stretch) && shows(part, &self.order, false, anchor)? =>
                {
                    Level::Exact
                }
                // No answer has shown that the upstream understands the filters of the other alternatives, so the page
                // is at most `checked`. Test: `an_alternative_that_shows_the_anchor_proves_nothing_of_the_others`.
                _ => Level::Checked,
            });
        }
        // If the answer has neither the anchor nor an item after it, the list may have ended, or the filter may let no
        // item through. Such an answer proves nothing. Test: `an_empty_filtered_answer_does_not_end_a_list`.
        let shows_nothing = part.items.is_empty();
        // A filter that should let the anchor's own value through, but shows no item with that value, may compare only
        // the date, or in another time zone. Only the whole list distinguishes this from a deleted anchor
        // (`a_filter_of_alternatives_that_shows_no_anchor_is_not_trusted`).
        let may_compare_otherwise = has_equals && rules::holds(Rule::FiltersAreProven);
        // A filter that doesn't show its anchor is only trusted. Test:
        // `a_page_of_an_exclusive_filter_without_its_anchor_is_checked`.
        (!shows_nothing && !may_compare_otherwise).then_some(Level::Checked)
    }

    /// Returns whether each answer of a part begins after the last item of the page or, if the page has none, after the
    /// item that the page was requested from. Empty answers don't count. True if there is neither item.
    fn is_past_the_last(&self, part: &Page) -> bool {
        let Some(last) = self.last().or(self.asked.as_ref()) else { return true };
        part.answers.iter().filter(|answer| !answer.items.is_empty()).all(|answer| {
            rows::relate(answer, &self.order, 0, last).is_some_and(|relation| relation.whole == Ordering::Greater)
        })
    }
}

/// Returns whether the answers of a filtered list show the anchor or an item before it, so no item after the anchor can
/// be missing. If `equals_too`, an item with the anchor's strong keys suffices. `None` if an item can't be compared.
fn shows(page: &Page, order: &Order, equals_too: bool, anchor: &Anchor) -> Option<bool> {
    let equals_too = equals_too && !order.strong.is_empty();
    for answer in page.answers.iter().filter(|answer| !answer.items.is_empty()) {
        for item in 0..answer.items.len() {
            let relation = rows::relate(answer, order, item, anchor)?;
            // If the anchor was deleted, another item of its run shows as much, if `equals_too`. Test:
            // `deletes_between_pages_neither_skip_nor_repeat`.
            if relation.whole != Ordering::Greater || (equals_too && relation.strong == Ordering::Equal) {
                return Some(true);
            }
            if relation.strong == Ordering::Greater || order.strong.is_empty() {
                break;
            }
        }
    }
    Some(false)
}

/// Returns the last item of a page as an anchor; `None` if the page is empty, or if its edges don't name items by keys.
pub(in crate::pagination) fn last_of(page: &Page) -> Option<&Anchor> {
    match &page.edges {
        Some((_, Item::Keyed(last))) => Some(last),
        _ => None,
    }
}

fn after(anchor: &Anchor) -> Target {
    Target { position: Position::After(anchor.clone()), hint: Hint::default() }
}

/// Returns the target of the page before this one. At least one item precedes the page, but the filter hides it.
fn before(page: &Page) -> Target {
    match (&page.previous, &page.edges) {
        (Some(previous @ Target { position: Position::Before(_), .. }), _) => previous.clone(),
        (_, Some((Item::Keyed(first), _))) => {
            Target { position: Position::Before(first.clone()), hint: Hint { run: 1, ..Hint::default() } }
        }
        _ => Target { position: Position::End, hint: Hint::default() },
    }
}

/// Appends a page to another. An item that the first page already has was moved between two parts, and is skipped.
/// Test: `a_row_that_moves_from_one_part_to_the_next_is_on_the_page_once`.
fn append(page: &mut Page, later: Page, order: &Order) {
    page.lower(later.level());
    (page.notes.profile, page.notes.honoured) = (later.notes.profile, later.notes.honoured);
    let (page, later) = (page.facts_mut(), later.into_facts());
    let mut had: HashSet<Vec<u8>> = page.items.iter().map(|place| id(&page.answers, order, *place)).collect();
    let shift = u32::try_from(page.answers.len()).unwrap_or(u32::MAX);
    for place in later.items {
        if had.insert(id(&later.answers, order, place)) {
            page.items.push(ItemPlace { answer: place.answer.saturating_add(shift), ..place });
        }
    }
    page.answers.extend(later.answers);
    let last = page
        .items
        .last()
        .and_then(|place| page.answers.get(place.answer as usize)?.anchor(order, place.item as usize).map(Item::Keyed));
    page.edges = match (page.edges.take(), last) {
        (Some((first, _)), Some(last)) => Some((first, last)),
        (first, _) => first.or(later.edges),
    };
    page.next = later.next;
    page.short |= later.short;
    debug_assert!(page.items.iter().all(|place| (place.answer as usize) < page.answers.len()), "items are in answers");
    debug_assert_eq!(had.len(), page.items.len(), "no item comes twice");
}

/// Returns the id of an item in the form by which ids are compared; empty if the item has none.
fn id(answers: &[Answer], order: &Order, place: ItemPlace) -> Vec<u8> {
    let answer = answers.get(place.answer as usize);
    answer.and_then(|answer| answer.identity(order, place.item as usize)).unwrap_or_default().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Span,
        pagination::{
            filter::Comparison,
            judge::page::PageFacts,
            key::KeyValue,
            order::{Kind, SortKey},
        },
    };

    /// Returns an answer whose items have a four-byte rank and a one-byte id.
    fn answer(rows: &str) -> Answer {
        let starts = || (0..).step_by(5).take(rows.len() / 5);
        let items = starts().map(|start| Span { start, end: start + 5 }).collect();
        let key = |start| [Span { start, end: start + 4 }, Span { start: start + 4, end: start + 5 }];
        Answer::listed(rows.as_bytes().to_vec(), items, starts().flat_map(key).collect())
    }

    #[test]
    fn a_shown_anchor_proves_a_range_filter_and_no_equality_filter() {
        let key = |name: &str| SortKey { kind: Kind::Number, ..SortKey::ascending(name) };
        let order = Arc::new(Order { strong: vec![key("rank")], id: key("id"), ties: Ties::Ordered, declared: true });
        let number = |digits: &str| KeyValue::Number(digits.into());
        for (comparison, level) in [(Comparison::GreaterOrEqual, Level::Exact), (Comparison::Equal, Level::Checked)] {
            let anchor = Anchor { keys: vec![number("1000")], id: number("2") };
            let filter = Filter::Compare { column: 0, comparison, value: Some(number("1000")) };
            let position = Position::After(anchor);
            let answer = answer("10001100021000310004");
            let edge = |item| Item::Keyed(answer.anchor(&order, item).unwrap());
            let facts = PageFacts {
                edges: Some((edge(2), edge(3))),
                items: (2..4).map(|item| ItemPlace { answer: 0, item }).collect(),
                answers: vec![answer.clone()],
                ..PageFacts::default()
            };
            let mut part = Page::new(Level::Exact, facts);
            part.held_to = Some(ListHeldTo { is_filtered: true, ties: order.ties });
            let mut page = PartsPage::new(Arc::clone(&order), &position, 5);
            let asked = PartQuestion { filter: Some(&filter), by_id: false, position: &position };
            page.take(asked, Box::new(part)).unwrap();
            assert_eq!(page.page().map(Page::level), Some(level), "{filter:?}");
        }
    }
}
