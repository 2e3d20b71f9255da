//! An independent checker of pages. It checks whether the claims of a page follow from its requests and answers.
//!
//! The checker is written only from the rules. It shares no code with the strategies or the judge, which must not
//! import it (`tests/tidy/layers.rs`). It compares single values with `key::compare` and relies on the core's public
//! types. It stays below 300 lines of code, so it can be read in one sitting.
//!
//! **The rule.** Each answer shows every item between two places of the list, a *low* place and a *high* place. The low
//! place is the answer's first item, or the start of the list if the request began there. The high place is the
//! answer's last item, or the end of the list if there is evidence of the end. If the upstream doesn't order items
//! among themselves (a *run*), the answer's first and last run may be incomplete. A page after an item *A* is proven if
//! a chain of answers leads from *A* to the page's last item, or to the end if the page claims to be the last. Each
//! answer of the chain begins at or before the place that the chain has reached, and reaches beyond it. All its items
//! between are on the page. A page that is read backward is the mirror image.
//!
//! - Every page: each item is in an answer, and no id comes twice. The page keeps its limit unless the upstream's
//!   tokens work only once.
//! - A page of level `exact`: its items ascend strictly after the requested place, and follow the rule. A filtered
//!   answer begins at the values of its own first item, because that item shows that the filter lets these values
//!   through. An alternative of a filter counts only if the answer shows an item of its range. An end needs evidence of
//!   the answer itself: evidence that the dialect vouches for, or fewer items than an honoured size together with a
//!   statement that no item follows. The links to neighbouring pages must agree with the answers: a page must not link
//!   to a next page if an answer ends the list, no answer shows another item, and no total counts more.
//! - A page of level `checked`: the same rule with weaker evidence. Filters are believed. Two answers meet by their
//!   offsets if one of the two was read both before and after the other, with the same items. An answer ends its list
//!   if it reaches its total, if the list is empty, or if another answer, whose slice extends beyond its end, shows
//!   nothing new.
//! - Pages of level `anchored` or `positional`, pages flagged as unproven, and pages by token that aren't `exact`: only
//!   the checks of every page.
//!
//! A page with a [`ClaimFault`] other than [`ClaimFault::Verbatim`] or [`ClaimFault::Once`] may still be right: the
//! core accepts more arguments for `checked` pages, and believes an answer that states that more items follow. The
//! simulator counts such pages, about two in ten thousand, and bounds their number. If the checker accepts a page that
//! is wrong, the answers of the page were wrong.

use std::{borrow::Cow, cmp::Ordering, collections::HashSet, fmt, rc::Rc};

use super::{
    answer::{Answer, Standing},
    fetch::{Fetch, Listing},
    filter::{Comparison, Filter},
    fingerprint::fingerprint,
    key::{self, Extent, KeyValue, Operand},
    order::{Direction, Kind, Order, SortKey, Ties},
    page::{Level, Page},
    paging::{EndEvidence, Family, Sizes},
    position::{Anchor, Position},
    request::PageRequest,
    window::Offset,
};

/// A claim of a page that doesn't follow from the answers. The text is the reason: it names items and answers by their
/// numbers, counted from 1, and contains no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimFault {
    /// The claim that each item is an item of an answer.
    Verbatim(String),
    /// The claim that no id comes twice on the page, and that the page keeps its limit.
    Once(String),
    /// The claim that the items are in the declared order, after the requested place.
    Order(String),
    /// The claim that no item between two items of the page is left out, and that the neighbouring pages begin where
    /// this page ends.
    Whole(String),
    /// The claim that the page is the first or the last page, or that more items follow.
    Ends(String),
}

impl fmt::Display for ClaimFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Verbatim(why) | Self::Once(why) | Self::Order(why) | Self::Whole(why) | Self::Ends(why)) = self;
        out.write_str(why)
    }
}

/// Checks the claims of a page against the requests and answers of its transcript, which are in the order of sending.
/// Returns the argument for the page, one sentence per element.
///
/// # Errors
///
/// The first claim that doesn't follow.
pub fn check(request: &PageRequest, exchanges: &[(Fetch, Answer)], page: &Page) -> Result<Vec<String>, ClaimFault> {
    let PageRequest { order, paging, limit, .. } = request;
    let proven = page.level() >= Level::Checked && page.unproven.is_none();
    let shown: HashSet<_> = exchanges.iter().flat_map(|(_, answer)| items_of(answer, order)).collect();
    let mut ids = HashSet::new();
    for (at, place) in page.items.iter().enumerate() {
        let item = item_of(&page.answers[place.answer as usize], order, place.item as usize);
        require(shown.contains(&item), || ClaimFault::Verbatim(format!("item {} is in none of the answers", at + 1)))?;
        // Items without ids may be identical, so an unproven page may repeat them.
        let is_first = (item.1.is_none() && !proven) || ids.insert(item.1);
        require(is_first, || ClaimFault::Once(format!("the id of item {} is repeated on the page", at + 1)))?;
    }
    let fits = page.items.len() <= *limit as usize || paging.tokens.single_use;
    require(fits, || ClaimFault::Once(format!("{} items are on a page of {limit}", page.items.len())))?;
    // The upstream makes the seams of pages by token, and no answer shows both sides of a seam, so only the checks
    // above apply to such pages.
    if !proven || (paging.family == Family::Token && page.level() < Level::Exact) {
        return Ok(vec!["Each item is one that an answer shows, and no id is repeated.".to_owned()]);
    }
    let read = |answer: &Answer, item| answer.anchor(order, item).map(Bound::after);
    let items = page.items.iter().map(|place| read(&page.answers[place.answer as usize], place.item as usize));
    let backward = request.target.position.is_backward();
    let items: Option<Vec<Bound>> = if backward { items.rev().collect() } else { items.collect() };
    let (Some(items), Some(anchor)) = (items, anchor_of(request, exchanges)) else {
        return Err(ClaimFault::Order("the keys of an item, or of the requested place, are unknown".into()));
    };
    let mut slices = Vec::new();
    for (number, (fetch, answer)) in exchanges.iter().enumerate() {
        let Fetch::Slice(slice, listing) = fetch else { continue };
        let (begins, size, reversed) = (slice.begins().0, slice.size().0 as usize, listing.flipped != backward);
        let rows = (0..answer.items.len()).map(|item| read(answer, item));
        let rows: Option<Vec<Bound>> = if reversed { rows.rev().collect() } else { rows.collect() };
        slices.extend(rows.map(|rows| ShownSlice { number, begins, size, listing, answer, rows, reversed }));
    }
    let order = if backward { order.flipped() } else { Order::clone(order) };
    PageChecker { request, order, slices, items, anchor }.check(page)
}

fn require(holds: bool, fault: impl FnOnce() -> ClaimFault) -> Result<(), ClaimFault> {
    if holds { Ok(()) } else { Err(fault()) }
}

/// An item's bytes and its id in the canonical spelling; together they identify an item of an answer.
type ItemCopy<'a> = (&'a [u8], Option<Cow<'a, [u8]>>);

fn item_of<'a>(answer: &'a Answer, order: &Order, item: usize) -> ItemCopy<'a> {
    (answer.item(item), answer.identity(order, item))
}

fn items_of<'a>(answer: &'a Answer, order: &Order) -> HashSet<ItemCopy<'a>> {
    (0..answer.items.len()).map(|item| item_of(answer, order, item)).collect()
}

/// Returns the requested place; `None` if keys can't express it, or if the keys of its item aren't known.
fn anchor_of(request: &PageRequest, exchanges: &[(Fetch, Answer)]) -> Option<Bound> {
    match &request.target.position {
        Position::Start | Position::End | Position::At(Offset(0)) => Some(Bound::new(&[], true)),
        Position::After(anchor) | Position::Before(anchor) => Some(Bound::after(anchor.clone())),
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => {
            let found = exchanges.iter().rev().filter(|(fetch, _)| *fetch == Fetch::Item(pivot.id.clone()));
            let keys = |answer: &Answer| answer.known().or_else(|| Some(answer.anchor(&request.order, 0)?.keys));
            let mark = |keys: &[KeyValue]| fingerprint(request.marker_of_target(), keys);
            let is_served = |keys: &Vec<KeyValue>| pivot.fingerprint.is_none_or(|served| served == mark(keys));
            let mut known = found.filter_map(|(_, answer)| keys(answer)).chain(request.pivot.clone()).filter(is_served);
            let keys = if request.order.strong.is_empty() { Vec::new() } else { known.next()? };
            Some(Bound::after(Anchor { keys, id: pivot.id.clone() }))
        }
        _ => None,
    }
}

/// A place between items, in the direction of reading: directly before or directly after all items with these leading
/// keys. Without keys, the place is the start or the end of the list.
#[derive(Clone, Debug)]
struct Bound {
    keys: Rc<[KeyValue]>,
    /// -1 for the place before the items, 1 for the place after them.
    side: i8,
}

impl Bound {
    fn new(keys: &[KeyValue], before: bool) -> Self {
        Self { keys: keys.into(), side: if before { -1 } else { 1 } }
    }

    fn after(anchor: Anchor) -> Self {
        Self { keys: anchor.keys.into_iter().chain([anchor.id]).collect(), side: 1 }
    }
}

/// A requested slice and its answer.
struct ShownSlice<'a> {
    /// The index of the answer among the exchanges.
    number: usize,
    begins: u64,
    size: usize,
    listing: &'a Listing,
    answer: &'a Answer,
    /// The place after each item, in the direction of reading.
    rows: Vec<Bound>,
    /// True if the answer's order is opposite to the direction of reading.
    reversed: bool,
}

/// The filter that every item passes.
static EVERYTHING: Filter = Filter::And(Vec::new());

struct PageChecker<'a> {
    request: &'a PageRequest,
    /// The order of the list, in the direction of reading.
    order: Order,
    slices: Vec<ShownSlice<'a>>,
    /// The place after each item of the page, in the direction of reading.
    items: Vec<Bound>,
    anchor: Bound,
}

impl PageChecker<'_> {
    fn check(&self, page: &Page) -> Result<Vec<String>, ClaimFault> {
        let PageRequest { paging, limit, .. } = self.request;
        let places: Vec<&Bound> = [&self.anchor].into_iter().chain(&self.items).collect();
        let is_sorted = places.is_sorted_by(|left, right| self.is_before(left, right));
        require(is_sorted, || ClaimFault::Order("an item does not come after the place before it".into()))?;
        let backward = self.request.target.position.is_backward();
        let (ahead, back) = if backward { (&page.previous, &page.next) } else { (&page.next, &page.previous) };
        for (target, item) in [(ahead, self.items.last()), (back, self.items.first())] {
            let id = match target.as_ref().map(|target| &target.position) {
                Some(Position::After(anchor) | Position::Before(anchor)) => &anchor.id,
                Some(Position::AfterPivot(pivot) | Position::BeforePivot(pivot)) => &pivot.id,
                _ => continue,
            };
            let is_same = item.is_none_or(|item| self.is_same(item, &Bound::new(std::slice::from_ref(id), false)));
            require(is_same, || ClaimFault::Whole("the page before or after begins elsewhere".into()))?;
        }
        let more = ahead.is_some() && !page.short;
        let is_full = page.items.len() >= *limit as usize || paging.tokens.single_use;
        require(is_full || !more, || ClaimFault::Ends("the page claims more items, and is not full".into()))?;
        let may_lead_back = back.is_none() || !self.anchor.keys.is_empty() || self.items.is_empty();
        require(may_lead_back, || ClaimFault::Ends("the page begins where the list does, and leads back".into()))?;
        let (start, end, last) = (Bound::new(&[], true), Bound::new(&[], false), places[places.len() - 1]);
        let from = if back.is_none() && !self.items.is_empty() { &start } else { &self.anchor };
        let lines = self.chain(page.level(), from, if ahead.is_some() { last } else { &end })?;
        let shows_more = self.slices.iter().flat_map(|slice| &slice.rows).any(|row| self.is_before(last, row));
        let says_more = self.slices.iter().any(|one| one.answer.total.is_some_and(|all| all.value > u64::from(*limit)));
        // Opaque values of the same bytes may be apart: an upstream may take other values between them for equal, and sort
        // all by the id. Regression: `crates/sim/regressions/equal-opaque-values-on-two-pages.txt`.
        let is_opaque = self.order.strong.iter().any(|key| key.kind == Kind::Opaque);
        let is_end = more && !(shows_more || says_more || is_opaque) && self.chain(Level::Exact, last, &end).is_ok();
        require(!is_end, || ClaimFault::Ends("the page claims more items after the end".into())).map(|()| lines)
    }

    /// Returns the argument that leads from `from` to `goal`: a line for each answer of a chain in which each answer
    /// begins at or before the place reached and extends beyond it.
    fn chain(&self, least: Level, from: &Bound, goal: &Bound) -> Result<Vec<String>, ClaimFault> {
        let (mut at, mut lines) = (from.clone(), Vec::new());
        while !self.is_within(goal, &at) {
            let step = |slice, part| Some((slice, self.step(slice, part, least, &at)?));
            let steps = self.slices.iter().filter(|one| one.answer.standing == Standing::Listed).flat_map(|slice| {
                let filter = slice.listing.filter.as_deref().unwrap_or(&EVERYTHING);
                let parts = if let Filter::Or(parts) = filter { parts } else { std::slice::from_ref(filter) };
                parts.iter().filter_map(move |part| step(slice, part))
            });
            let leads = |best: &Bound, to: &Bound| self.is_before(best, to) || self.is_within(goal, to);
            let step = steps.reduce(|best, step| if leads(&best.1, &step.1) { step } else { best });
            let passed = self.items.iter().filter(|item| self.is_within(item, &at)).count();
            // Values that only answers can order may form a circle if answers contradict each other, so the length of a
            // chain is bounded: `regressions/answers-that-order-in-a-circle.txt`.
            let Some((slice, to)) = step.filter(|_| lines.len() <= self.slices.len() + self.items.len()) else {
                let why = format!("no answer leads on after {passed} items of the page");
                return Err(if passed < self.items.len() { ClaimFault::Whole(why) } else { ClaimFault::Ends(why) });
            };
            let end = if to.keys.is_empty() { " and to the end of the list" } else { "" };
            lines.push(format!("Answer {} leads on after {passed} items of the page{end}.", slice.number + 1));
            at = to;
        }
        Ok(lines)
    }

    /// Returns the place up to which an answer proves the page from `at` on, by one alternative of its filter (`part`).
    /// It is the first of these: the answer's own end, the end of the alternative's range, and the place before a shown
    /// item that isn't on the page. `None` if the answer proves nothing beyond `at`.
    fn step(&self, slice: &ShownSlice<'_>, part: &Filter, least: Level, at: &Bound) -> Option<Bound> {
        let (from, to) = self.range(part)?;
        let edge = |row, before| self.edge(row, slice.listing.by_id, before);
        // Only an item in the range of an alternative shows that the upstream understands that alternative of the
        // filter. Without such an item, an answer proves nothing at the level `exact`.
        let is_inside = |row: &Bound| self.is_within(&from, row) && self.is_within(row, &to);
        let is_known = least < Level::Exact || slice.rows.is_empty() || slice.rows.iter().any(is_inside);
        let is_usable = is_known && slice.rows.is_sorted_by(|left, right| self.is_before(&edge(left, true), right));
        let (first, last) = ((slice.begins == 0).then_some(Level::Exact), self.ends(slice));
        let [begins, ends] = if slice.reversed { [last, first] } else { [first, last] }.map(|edge| edge >= Some(least));
        let adjoins = |one: &&ShownSlice<'_>| self.adjoin(if slice.reversed { [slice, one] } else { [one, slice] });
        let seam = self.slices.iter().filter(|_| least < Level::Exact).find(adjoins);
        let low = match (slice.rows.first(), seam.and_then(|seam| seam.rows.last())) {
            _ if begins && (from.keys.is_empty() || least < Level::Exact) => from.clone(),
            (first, _) if begins => Bound::new(&first?.keys[..from.keys.len()], true),
            // An answer that shows the place itself needs no neighbouring answer:
            // `regressions/a-seam-before-an-opaque-anchor.txt`.
            (Some(first), _) if self.is_within(&edge(first, false), at) => edge(first, false),
            (_, last) => edge(last?, true),
        };
        let high = if ends { to.clone() } else { edge(slice.rows.last()?, true) };
        let rows = slice.rows.iter().chain(seam.iter().flat_map(|seam| &seam.rows));
        let missing = rows.filter(|row| !self.items.iter().any(|item| self.is_same(item, row)));
        let places = missing.map(|row| Bound::new(&row.keys, true)).filter(|row| self.is_within(at, row)).chain([to]);
        let to = places.fold(high, |to, place| if self.is_before(&place, &to) { place } else { to });
        (is_usable && self.is_within(&low, at) && self.is_within(&from, at) && self.is_before(at, &to)).then_some(to)
    }

    /// Returns whether `next` begins where `one` ends, and one of the two slices was read both before and after the
    /// other, with the same items.
    fn adjoin(&self, [one, next]: [&ShownSlice<'_>; 2]) -> bool {
        let is_same = |one: &ShownSlice<'_>, again: &ShownSlice<'_>| {
            (one.begins, one.size) == (again.begins, again.size)
                && one.listing.is_same_list(again.listing)
                && items_of(one.answer, &self.order) == items_of(again.answer, &self.order)
        };
        let is_around = |one: &ShownSlice<'_>, other: &ShownSlice<'_>| {
            let mut numbers = self.slices.iter().filter(|again| is_same(one, again)).map(|again| again.number);
            numbers.next() < Some(other.number) && numbers.next_back() > Some(other.number)
        };
        let ends = [one.begins + one.rows.len() as u64, one.begins + one.size as u64];
        ends.contains(&next.begins)
            && one.listing.is_same_list(next.listing)
            && (is_around(one, next) || is_around(next, one))
    }

    /// Returns the level at which an answer proves the end of its list, in the direction of its request; `None` if it
    /// doesn't.
    fn ends(&self, one: &ShownSlice<'_>) -> Option<Level> {
        let PageRequest { paging, target, filters, .. } = self.request;
        let others = || self.slices.iter().filter(|other| other.number != one.number);
        // The whole list and a filtered list may have different caps, so a size counts only if an answer to the same
        // kind of list filled it.
        let is_filtered = one.listing.filter.is_some();
        let alike = others().filter(|other| other.listing.filter.is_some() == is_filtered).map(|its| its.rows.len());
        let before = if filters.is_some() == is_filtered { target.hint.honoured as usize } else { 0 };
        let cap = if let Sizes::Free { most: Some(most), .. } = paging.sizes { most as usize } else { usize::MAX };
        let (count, end) = (one.rows.len(), one.begins + one.rows.len() as u64);
        let is_below = |size: usize| count < size.min(one.size) && !paging.hidden;
        let says_end = one.answer.more == Some(false);
        let counted = one.answer.total.is_some_and(|total| total.exact && total.value == end);
        let vouched =
            (paging.end == EndEvidence::Flag && says_end) || (paging.end == EndEvidence::ShortPage && is_below(cap));
        let is_exact = vouched || ((says_end || counted) && (end == 0 || is_below(alike.chain([2, before]).max()?)));
        let shows_no_more = |other: &ShownSlice<'_>| {
            let last = other.answer.items.len().checked_sub(1).map(|last| item_of(other.answer, &self.order, last));
            let is_beyond = other.begins + other.size as u64 > end && other.listing.is_same_list(one.listing);
            is_beyond && last.is_none_or(|last| items_of(one.answer, &self.order).contains(&last))
        };
        let is_checked = end == 0 || counted || others().any(shows_no_more);
        if is_exact { Some(Level::Exact) } else { is_checked.then_some(Level::Checked) }
    }

    /// Returns the two places between which a filter lets items through; `None` if the filter isn't a range.
    fn range(&self, filter: &Filter) -> Option<(Bound, Bound)> {
        let parts = if let Filter::And(parts) = filter { parts } else { std::slice::from_ref(filter) };
        let (mut low, mut high, mut keys) = (Bound::new(&[], true), Bound::new(&[], false), Vec::new());
        for part in parts {
            let Filter::Compare { column, comparison, value } = part else { return None };
            let value = value.as_ref().unwrap_or(&KeyValue::Null);
            let at = |value: &KeyValue, before| Bound::new(&[&keys[..], std::slice::from_ref(value)].concat(), before);
            // Nulls come before or after all values, and a comparison with a value lets no null through, so the range
            // ends where the nulls begin.
            let nulls = self.compare(*column, &KeyValue::Null, &KeyValue::Boolean(true));
            if *column != keys.len() || (nulls.is_none() && *comparison == Comparison::Null) {
                return None;
            }
            if let Some(side) = nulls {
                let bound = if side.is_lt() == (*comparison == Comparison::Null) { &mut high } else { &mut low };
                *bound = at(&KeyValue::Null, side.is_gt());
            }
            let key = self.order.keys().nth(*column)?;
            let is_greater = matches!(comparison, Comparison::Greater | Comparison::GreaterOrEqual);
            let is_exclusive = matches!(comparison, Comparison::Greater | Comparison::Less);
            match comparison {
                Comparison::Null | Comparison::NotNull => {}
                // Stored values that are shown with the same coarse spelling may differ, so equality doesn't select all
                // of them.
                Comparison::Equal if key.grain.is_some() => return None,
                Comparison::Equal => (low, high) = (at(value, true), at(value, false)),
                _ if is_greater == (key.direction == Direction::Ascending) => low = at(value, !is_exclusive),
                _ => high = at(value, is_exclusive),
            }
            keys.push(value.clone());
        }
        Some((low, high))
    }

    /// Returns the place before or after the run of an item. If the upstream orders ties or sorts only by the id, there
    /// is no run, and the place is after the item itself.
    fn edge(&self, item: &Bound, by_id: bool, before: bool) -> Bound {
        let Order { strong, ties, .. } = &self.order;
        let is_coarse = |(key, value): (&SortKey, &KeyValue)| key.grain.is_some() || value.is_cut(&key.kind);
        let coarse = strong.iter().zip(&*item.keys).position(is_coarse).map(|column| column + 1);
        let loose = (*ties == Ties::Unordered && !strong.is_empty()).then_some(strong.len());
        coarse.or(loose).filter(|_| !by_id).map_or_else(|| item.clone(), |run| Bound::new(&item.keys[..run], before))
    }

    fn is_same(&self, left: &Bound, right: &Bound) -> bool {
        let (Some(left), Some(right)) = (left.keys.last(), right.keys.last()) else { return false };
        self.compare(self.order.strong.len(), left, right) == Some(Ordering::Equal)
    }

    fn is_before(&self, left: &Bound, right: &Bound) -> bool {
        self.order_of(left, right) == Some(Ordering::Less)
    }

    fn is_within(&self, left: &Bound, right: &Bound) -> bool {
        self.order_of(left, right).is_some_and(Ordering::is_le)
    }

    /// Compares two places by the leading keys that both have. Opaque values take their order from an answer that shows
    /// both; `None` if no answer does, or if other values can't be compared.
    fn order_of(&self, left: &Bound, right: &Bound) -> Option<Ordering> {
        for (column, (one, other)) in left.keys.iter().zip(&*right.keys).enumerate() {
            let (key, before) = (self.order.keys().nth(column)?, &self.order.strong[..column]);
            match self.compare(column, one, other) {
                Some(Ordering::Equal) => {}
                // The upstream sorts by the hidden rest of a coarse key first, so opaque values after such a key decide
                // nothing.
                None if key.kind == Kind::Opaque && before.iter().any(|key| key.grain.is_some()) => {}
                None if key.kind == Kind::Opaque => return self.shown_order(left, right, column + 1),
                known => return known,
            }
        }
        let side = |place: &Bound, other: &Bound| i8::from(place.keys.len() <= other.keys.len()) * place.side;
        Some(side(left, right).cmp(&side(right, left)))
    }

    fn compare(&self, column: usize, left: &KeyValue, right: &KeyValue) -> Option<Ordering> {
        let extent = if column < self.order.strong.len() { Extent::Kept } else { Extent::Whole };
        key::compare(self.order.keys().nth(column)?, extent, Operand::Kept(left), Operand::Kept(right))
    }

    fn shown_order(&self, left: &Bound, right: &Bound, depth: usize) -> Option<Ordering> {
        let find = |slice: &ShownSlice<'_>, place: &Bound, depth| {
            let is_equal = |row: &Bound, at| self.compare(at, &row.keys[at], &place.keys[at]) == Some(Ordering::Equal);
            let columns = |row: &Bound| 0..row.keys.len().min(place.keys.len()).min(depth);
            slice.rows.iter().position(|row| columns(row).all(|at| is_equal(row, at)))
        };
        // An opaque order may treat values with different bytes as equal, and sort those items by the id. So an answer
        // that shows both items themselves is tried first.
        [usize::MAX, depth].into_iter().find_map(|depth| {
            self.slices.iter().find_map(|slice| Some(find(slice, left, depth)?.cmp(&find(slice, right, depth)?)))
        })
    }
}
