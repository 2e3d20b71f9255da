//! An independent checker of pages: whether the claim of a page follows from its questions and answers.
//!
//! The checker is written from the rules alone and shares no code with the strategies or the judge, which may not
//! import it (`tests/tidy/layers.rs`). It compares single values by `key::compare` and believes the types of the
//! contract.
//!
//! The checker knows fewer arguments than the core: a page that it calls [`ClaimFault`] for another reason than
//! [`PageClaim::Verbatim`] or [`PageClaim::Once`] may be right. The simulator counts these pages, about three in ten
//! thousand, and bounds their number. A page that the checker follows, and that is wrong all the same, was deceived by
//! its answers.
//!
//! **The rule.** Each answer shows every item between two places of the list: from a *low* place to a *high* one. It
//! begins at its first item, or at the start of the list where it was asked from there; it reaches to its last item, or
//! to the end where it ends the list by evidence. Of items that the upstream does not order among themselves (a *run*)
//! it shows the first and the last run only in part. A page after an item *A* is founded where a chain of answers leads
//! from *A* to the page's last item, or to the end where the page says that it is the last: each answer of the chain
//! begins at or before the place that the chain has reached, reaches beyond it, and all its items on the way are on the
//! page. A page that is read backward is the mirror image.
//!
//! Of a page by token only its items and their order are checked, not the seams of its answers. Pages of level
//! `anchored` and `positional` claim no more than that their items were shown, and that none comes twice.
//!
//! A page of level `checked` may also rest on two answers: neighbouring slices of which the earlier was read again
//! after the later and came back the same, or an end that two answers show; on a filter that leaves its own value out;
//! and on alternatives of a filter that no answer shows to be understood.

use std::{borrow::Cow, cmp::Ordering, collections::HashSet, fmt, rc::Rc};

mod shown;

use super::{
    answer::Answer,
    fetch::Fetch,
    fingerprint::fingerprint,
    key::{self, Extent, KeyValue, Operand},
    order::{Kind, Order, SortKey, Ties},
    page::{Level, Page},
    paging::Family,
    position::{Anchor, PlaceInPage, Position},
    request::PageRequest,
};

/// The questions and answers of one page, in their sequence.
#[derive(Clone, Debug)]
pub struct Transcript {
    /// The page that was wanted.
    pub request: PageRequest,
    /// The questions with their answers.
    pub exchanges: Vec<(Fetch, Answer)>,
}

impl Transcript {
    /// Begins the transcript of a page.
    #[must_use]
    pub fn new(request: PageRequest) -> Self {
        Self { request, exchanges: Vec::new() }
    }

    /// Appends questions and their answers.
    pub fn record(&mut self, fetches: &[Fetch], answers: &[Answer]) {
        self.exchanges.extend(fetches.iter().cloned().zip(answers.iter().cloned()));
    }
}

/// A part of the claim of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PageClaim {
    /// Each item is an item of an answer.
    Verbatim,
    /// No id stands twice on the page, and the page is not too long.
    Once,
    /// The items are in the declared order, after the place that was asked for.
    Order,
    /// No item that was shown in between is left out.
    Whole,
    /// The page touches the ends of the list, and there is more, as it says.
    Ends,
    /// The page is as sure as it says.
    Level,
}

/// A claim that does not follow from the transcript, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimFault {
    /// The claim.
    pub claim: PageClaim,
    /// A sentence. It names answers by their numbers, counted from 1, and no values.
    pub reason: String,
}

impl fmt::Display for ClaimFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}: {}", self.claim, self.reason)
    }
}

/// The argument for a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The level that the transcript bears out, at least that of the page.
    pub level: Level,
    /// The argument, a sentence in each line: the chain of answers, the ends, the level.
    pub lines: Vec<String>,
}

impl fmt::Display for Argument {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(out, "{line}"))
    }
}

/// Checks what a page claims against the transcript of its requests.
///
/// # Errors
///
/// The first claim that does not follow.
pub fn check(transcript: &Transcript, page: &Page) -> Result<Argument, ClaimFault> {
    let backward = transcript.request.target.position.is_backward();
    let order = &transcript.request.order;
    let order = if backward { order.flipped() } else { Order::clone(order) };
    let exchanges = transcript.exchanges.iter();
    let mut answers: Vec<Vec<Row<'_>>> = exchanges
        .map(|(_, answer)| (0..answer.items.len()).map(|item| Row::of(answer, &order, item)).collect())
        .collect();
    let mut items: Vec<Row<'_>> = page
        .items
        .iter()
        .map(|place| Row::of(&page.answers[place.answer as usize], &order, place.item as usize))
        .collect();
    let proven = page.level() >= Level::Checked && page.unproven.is_none();
    let is_shown = |item: &Row<'_>| answers.iter().flatten().any(|row| row.is_verbatim(item));
    if let Some(at) = items.iter().position(|item| !is_shown(item)) {
        return fault(PageClaim::Verbatim, format!("item {} of the page is in none of the answers", at + 1));
    }
    let mut ids = HashSet::new();
    let mut told_apart = items.iter().filter(|item| proven || !item.has_no_id());
    if let Some(item) = told_apart.find(|item| !ids.insert(item.id.clone())) {
        let at = items.iter().position(|other| std::ptr::eq(other, item)).unwrap_or_default();
        return fault(PageClaim::Once, format!("the id of item {} stands twice on the page", at + 1));
    }
    if items.len() > transcript.request.limit as usize && !transcript.request.paging.tokens.single_use {
        let said = format!("{} items are on a page of {}", items.len(), transcript.request.limit);
        return fault(PageClaim::Once, said);
    }
    if !proven {
        let lines =
            vec![format!("Each of the {} items is one that an answer shows, and no id is there twice.", ids.len())];
        return Ok(Argument { level: page.level(), lines });
    }
    if backward {
        items.reverse();
    }
    let (onward, back) = if backward { (&page.previous, &page.next) } else { (&page.next, &page.previous) };
    let Some(anchor) = anchor_of(&transcript.request, &transcript.exchanges) else {
        return fault(PageClaim::Level, "the keys of the place that was asked for are not known");
    };
    for ((fetch, _), rows) in transcript.exchanges.iter().zip(&mut answers) {
        match fetch {
            Fetch::Slice(_, listing) if listing.flipped != backward => rows.reverse(),
            Fetch::Token(_) if backward => rows.reverse(),
            Fetch::Slice(..) | Fetch::Token(_) => {}
            Fetch::Item(_) | Fetch::Count => rows.clear(),
        }
    }
    let checker = PageChecker { transcript, order: &order, backward, items: &items, anchor, answers };
    checker.check(page, onward.is_some(), back.is_some())
}

fn fault<T>(claim: PageClaim, reason: impl Into<String>) -> Result<T, ClaimFault> {
    Err(ClaimFault { claim, reason: reason.into() })
}

/// The values by which an item is ordered, shared by the places beside it.
type Keys<'a> = Rc<[Operand<'a>]>;

/// An item of an answer: its keys, its id as it is known again, its bytes.
#[derive(Clone, Debug)]
struct Row<'a> {
    keys: Keys<'a>,
    id: Cow<'a, [u8]>,
    bytes: &'a [u8],
}

impl<'a> Row<'a> {
    fn of(answer: &'a Answer, order: &Order, item: usize) -> Self {
        let raw = answer.keys.chunks(order.columns()).nth(item).unwrap_or_default();
        let keys: Keys<'a> = raw.iter().map(|span| Operand::Raw(span.of(&answer.body))).collect();
        let id = match keys.last() {
            Some(Operand::Raw(raw)) => key::identity(&order.id, raw),
            _ => Cow::Borrowed(&[][..]),
        };
        Self { keys, id, bytes: answer.item(item) }
    }

    fn has_no_id(&self) -> bool {
        matches!(&*self.id, b"" | b"null")
    }

    /// Returns whether two items have the same bytes, and those of their keys.
    fn is_verbatim(&self, other: &Row<'_>) -> bool {
        let raw = |key: &Operand<'_>, same: &Operand<'_>| match (key, same) {
            (Operand::Raw(key), Operand::Raw(same)) => key == same,
            _ => false,
        };
        self.id == other.id
            && self.bytes == other.bytes
            && self.keys.len() == other.keys.len()
            && self.keys.iter().zip(&*other.keys).all(|(key, same)| raw(key, same))
    }
}

/// A place between items, in the direction of reading: right before, or right after, all items with these leading keys.
/// Without keys: the start, or the end, of the list.
#[derive(Clone, Debug)]
struct ListPlace<'a> {
    keys: Keys<'a>,
    before: bool,
}

impl<'a> ListPlace<'a> {
    fn new(keys: &[Operand<'a>], before: bool) -> Self {
        Self { keys: keys.into(), before }
    }

    fn start() -> Self {
        Self::new(&[], true)
    }

    fn end() -> Self {
        Self::new(&[], false)
    }
}

/// The stretch of the list that an answer, or joined neighbours, show: all items between two places.
#[derive(Clone, Debug)]
struct AnswerSpan<'a> {
    name: String,
    rows: Rc<[Row<'a>]>,
    low: ListPlace<'a>,
    high: ListPlace<'a>,
    level: Level,
    /// The reason why the level is not higher, or the evidence of the end of the list.
    because: &'static str,
}

struct PageChecker<'a> {
    transcript: &'a Transcript,
    /// In the direction of reading.
    order: &'a Order,
    backward: bool,
    /// In the direction of reading.
    items: &'a [Row<'a>],
    anchor: ListPlace<'a>,
    /// The items of each answer, in the direction of reading.
    answers: Vec<Vec<Row<'a>>>,
}

impl<'a> PageChecker<'a> {
    fn check(&self, page: &Page, more: bool, back: bool) -> Result<Argument, ClaimFault> {
        self.check_order()?;
        self.check_neighbours(page, more, back)?;
        if self.is_by_token() {
            let said = "By token: the items are in order. The seams of its answers are not checked.";
            return match page.level() {
                Level::Exact => fault(PageClaim::Level, "pages by token are checked at most"),
                level => Ok(Argument { level, lines: vec![said.to_owned()] }),
            };
        }
        let goal = match self.items.last() {
            _ if !more => ListPlace::end(),
            Some(last) => after(last),
            None => self.anchor.clone(),
        };
        let shown = self.shown();
        let mut legs = vec![(self.anchor.clone(), goal)];
        if let (false, false, Some(first)) = (back, is_start(&self.anchor), self.items.first()) {
            legs.push((ListPlace::start(), after(first)));
        }
        let (mut level, mut lines) = (Level::Exact, Vec::new());
        for (from, goal) in &legs {
            let chain = match self.chain(&shown, from, goal, Level::Exact) {
                Err(_) if page.level() == Level::Exact => match self.chain(&shown, from, goal, Level::Checked) {
                    Ok(chain) => {
                        return fault(PageClaim::Level, format!("it is checked, not exact: {}", chain.join(" ")));
                    }
                    Err(unfounded) => Err(unfounded),
                },
                Err(_) => {
                    level = Level::Checked;
                    self.chain(&shown, from, goal, Level::Checked)
                }
                chain => chain,
            };
            lines.extend(chain?);
        }
        if more && !page.short && !self.says_more() {
            let last = self.items.last().map_or_else(|| self.anchor.clone(), after);
            if self.chain(&shown, &last, &ListPlace::end(), Level::Exact).is_ok() {
                return fault(
                    PageClaim::Ends,
                    "there is more, it says, where an answer ends the list and none says so",
                );
            }
        }
        lines.push(format!("The page is {}.", format!("{level:?}").to_lowercase()));
        Ok(Argument { level, lines })
    }

    fn is_by_token(&self) -> bool {
        self.transcript.request.paging.family == Family::Token
    }

    /// Checks that the items ascend strictly in the direction of reading, all after the anchor.
    fn check_order(&self) -> Result<(), ClaimFault> {
        for (at, pair) in self.items.windows(2).enumerate() {
            // By token, ties come as the upstream gives them.
            let depth = if self.is_by_token() { self.run(&pair[0]) } else { self.order.columns() };
            let known = self.compare(&pair[0].keys, &pair[1].keys, depth);
            if !known.is_some_and(|known| known.is_lt() || (known.is_eq() && depth < self.order.columns())) {
                return fault(PageClaim::Order, format!("items {} and {} in reading are not in order", at + 1, at + 2));
            }
        }
        match self.items.first() {
            Some(first) if !self.is_after(first, &self.anchor) => {
                fault(PageClaim::Order, "the first item that is read does not come after the place that was asked for")
            }
            _ => Ok(()),
        }
    }

    /// Checks the claims about the pages before and after, as far as this page has to bear them out.
    fn check_neighbours(&self, page: &Page, more: bool, back: bool) -> Result<(), ClaimFault> {
        let request = &self.transcript.request;
        if back && is_start(&self.anchor) && !self.items.is_empty() && !self.is_by_token() {
            return fault(PageClaim::Ends, "the page begins where the list does, and leads to a page before");
        }
        if more && self.items.len() < request.limit as usize && !page.short && !request.paging.tokens.single_use {
            return fault(
                PageClaim::Ends,
                format!("there is more, and {} of {} items", self.items.len(), request.limit),
            );
        }
        let listed = self.listed();
        let ends = [page.next.as_ref().zip(listed.last()), page.previous.as_ref().zip(listed.first())];
        for (target, item) in ends.into_iter().flatten() {
            let id = match &target.position {
                Position::After(anchor) | Position::Before(anchor) => &anchor.id,
                Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => &pivot.id,
                _ => continue,
            };
            if key::identity_of(&self.order.id, id).as_ref() != Some(&item.id) {
                return fault(PageClaim::Whole, "a page beside it begins at another item than this one ends with");
            }
        }
        Ok(())
    }

    /// Returns whether an answer shows, or says, that the list goes on after the page.
    fn says_more(&self) -> bool {
        let last = self.items.last().map_or_else(|| self.anchor.clone(), after);
        let says = |(fetch, answer): &(Fetch, Answer)| {
            // A slice that does not begin at the start has something before it, as far as anybody knows.
            let begins_later = matches!(fetch, Fetch::Slice(slice, listing)
                if listing.flipped != self.backward && slice.begins().0 > 0);
            begins_later
                || answer.more == Some(true)
                || answer.next.is_some()
                || answer.previous.is_some()
                || answer.total.is_some_and(|total| total.value > self.items.len() as u64)
        };
        // An item that no answer orders against the last one may come after it.
        let may_follow = |row: &Row<'a>| self.order_of(&last, &after(row)).is_none_or(Ordering::is_lt);
        self.answers.iter().flatten().any(may_follow) || self.transcript.exchanges.iter().any(says)
    }

    /// Returns the items in the list's own direction.
    fn listed(&self) -> Vec<&Row<'a>> {
        if self.backward { self.items.iter().rev().collect() } else { self.items.iter().collect() }
    }

    /// Leads from one place to another by answers each of which begins at or before the place reached and goes beyond
    /// it.
    fn chain(
        &self,
        shown: &[AnswerSpan<'a>],
        from: &ListPlace<'a>,
        goal: &ListPlace<'a>,
        least: Level,
    ) -> Result<Vec<String>, ClaimFault> {
        let (mut at, mut lines) = (from.clone(), Vec::new());
        // Each step ends where an answer does. Values that only answers can order may go round where the answers
        // contradict each other: `regressions/answers-that-order-in-a-circle.txt`.
        for _ in 0..=shown.len() {
            if self.order_of(&at, goal).is_some_and(Ordering::is_ge) {
                return Ok(lines);
            }
            let usable = shown.iter().filter(|shown| shown.level >= least);
            let steps = usable.filter_map(|shown| self.step(shown, &at).map(|(to, missing)| (shown, to, missing)));
            let farther = |to: &ListPlace<'a>, than: &ListPlace<'a>| self.order_of(than, to) == Some(Ordering::Less);
            let arrives = |to: &ListPlace<'a>| self.order_of(goal, to).is_some_and(Ordering::is_le);
            // Of places that no answer orders, neither is farther than the other: a step that leads on comes first.
            let (onward, vain): (Vec<_>, Vec<_>) = steps.partition(|(_, to, _)| farther(to, &at));
            // The farthest step may end at a place that no answer orders against the goal: one that arrives is enough.
            let better =
                |best: &ListPlace<'a>, step: &ListPlace<'a>| !arrives(best) && (arrives(step) || farther(step, best));
            let onward = onward.into_iter().reduce(|best, step| if better(&best.1, &step.1) { step } else { best });
            let best = onward.or_else(|| vain.into_iter().next());
            let place = match self.items.iter().rposition(|item| !self.is_after(item, &at)) {
                _ if is_start(&at) => "the start of the list".to_owned(),
                Some(item) => format!("item {} in reading", item + 1),
                None => "the place that was asked for".to_owned(),
            };
            match best {
                Some((shown, to, _)) if farther(&to, &at) => {
                    let end = if is_end(&to) { " and to the end of the list" } else { "" };
                    lines.push(format!("{} leads on from {place}{end}{}.", shown.name, shown.because));
                    if arrives(&to) {
                        return Ok(lines);
                    }
                    at = to;
                }
                Some((shown, ..)) => {
                    let claim = if self.items.last().is_none_or(|last| !self.is_after(last, &at)) {
                        PageClaim::Ends
                    } else {
                        PageClaim::Whole
                    };
                    return fault(claim, format!("{} shows an item after {place} that is not on the page", shown.name));
                }
                None if is_end(goal) && self.items.last().is_none_or(|last| !self.is_after(last, &at)) => {
                    return fault(PageClaim::Ends, format!("no answer ends the list after {place}"));
                }
                None => {
                    let said = format!("no answer begins at or before {place} and reaches beyond it");
                    return fault(PageClaim::Whole, said);
                }
            }
        }
        fault(PageClaim::Order, "the answers order their items in a circle")
    }

    /// Returns how far an answer leads on from a place, and whether it stops there at an item that is not on the page;
    /// else it leads on to the end of its stretch.
    fn step(&self, shown: &AnswerSpan<'a>, at: &ListPlace<'a>) -> Option<(ListPlace<'a>, bool)> {
        if self.order_of(&shown.low, at)?.is_gt() || self.order_of(at, &shown.high)?.is_ge() {
            return None;
        }
        let within = |row: &&Row<'a>| {
            self.is_after(row, at) && self.order_of(&after(row), &shown.high).is_some_and(Ordering::is_le)
        };
        let missing = shown.rows.iter().filter(within).filter(|row| self.items.iter().all(|item| item.id != row.id));
        let first = missing.reduce(|first, row| if self.is_after(first, &after(row)) { row } else { first });
        Some(match first {
            Some(row) => (ListPlace { keys: row.keys.clone(), before: true }, true),
            None => (shown.high.clone(), false),
        })
    }

    fn is_after(&self, row: &Row<'a>, place: &ListPlace<'a>) -> bool {
        self.order_of(place, &after(row)) == Some(Ordering::Less)
    }

    fn order_of(&self, left: &ListPlace<'a>, right: &ListPlace<'a>) -> Option<Ordering> {
        let depth = left.keys.len().min(right.keys.len());
        let known = self.compare(&left.keys, &right.keys, depth)?;
        Some(known.then_with(|| match left.keys.len().cmp(&right.keys.len()) {
            Ordering::Equal => right.before.cmp(&left.before),
            Ordering::Less if left.before => Ordering::Less,
            Ordering::Less => Ordering::Greater,
            Ordering::Greater if right.before => Ordering::Greater,
            Ordering::Greater => Ordering::Less,
        }))
    }

    /// Compares the first keys of two items. Values that can only be told apart stand as an answer shows them.
    fn compare(&self, left: &[Operand<'a>], right: &[Operand<'a>], depth: usize) -> Option<Ordering> {
        let strong = &self.order.strong;
        for column in 0..depth {
            let (key, extent) = self.column(column);
            match key::compare(key, extent, left[column], right[column]) {
                Some(Ordering::Equal) => {}
                None if strong[..column.min(strong.len())].iter().any(|key| key.grain.is_some()) => {}
                None if key.kind == Kind::Opaque => return self.shown_order(left, right, column + 1),
                known => return known,
            }
        }
        Some(Ordering::Equal)
    }

    fn shown_order(&self, left: &[Operand<'a>], right: &[Operand<'a>], depth: usize) -> Option<Ordering> {
        let same = |row: &Row<'a>, keys: &[Operand<'a>], depth: usize| {
            (0..depth).all(|column| {
                let (key, extent) = self.column(column);
                key::compare(key, extent, row.keys[column], keys[column]) == Some(Ordering::Equal)
            })
        };
        let places =
            |keys: &[Operand<'a>], depth: usize, rows: &[Row<'a>]| rows.iter().position(|row| same(row, keys, depth));
        // An opaque order may hold values for equal that differ in their bytes, and order them by the id: an answer that
        // shows both items themselves is asked first.
        let shown = |left_depth, right_depth| {
            self.answers
                .iter()
                .find_map(|rows| Some(places(left, left_depth, rows)?.cmp(&places(right, right_depth, rows)?)))
        };
        shown(left.len(), right.len()).or_else(|| shown(depth, depth))
    }

    fn column(&self, column: usize) -> (&SortKey, Extent) {
        match self.order.strong.get(column) {
            Some(key) => (key, Extent::Kept),
            None => (&self.order.id, Extent::Whole),
        }
    }

    /// Returns the number of leading keys by which a run is told; all keys where the upstream orders ties.
    fn run(&self, row: &Row<'a>) -> usize {
        let Order { strong, ties, .. } = self.order;
        let is_coarse = |(key, value): (&SortKey, &Operand<'a>)| {
            let Operand::Raw(raw) = value else { return false };
            key.grain.is_some() || KeyValue::of_strong(&key.kind, raw).is_some_and(|value| value.is_cut(&key.kind))
        };
        let coarse = strong.iter().zip(&*row.keys).position(is_coarse).map(|column| column + 1);
        let loose = *ties == Ties::Unordered && !strong.is_empty();
        coarse.unwrap_or_else(|| if loose { strong.len() } else { self.order.columns() })
    }
}

fn after<'a>(row: &Row<'a>) -> ListPlace<'a> {
    ListPlace { keys: row.keys.clone(), before: false }
}

fn is_start(place: &ListPlace<'_>) -> bool {
    place.keys.is_empty() && place.before
}

fn is_end(place: &ListPlace<'_>) -> bool {
    place.keys.is_empty() && !place.before
}

/// Returns the place that was asked for.
fn anchor_of<'a>(request: &'a PageRequest, exchanges: &'a [(Fetch, Answer)]) -> Option<ListPlace<'a>> {
    let place = |keys: &'a [KeyValue], id: &'a KeyValue| ListPlace {
        keys: keys.iter().chain([id]).map(Operand::Kept).collect(),
        before: false,
    };
    let of = |anchor: &'a Anchor| place(&anchor.keys, &anchor.id);
    match &request.target.position {
        Position::Start | Position::End => Some(ListPlace::start()),
        Position::At(offset) if offset.0 == 0 => Some(ListPlace::start()),
        Position::After(anchor) | Position::Before(anchor) => Some(of(anchor)),
        Position::AfterPivot(pivot) | Position::BeforePivot(pivot) => {
            let served = |keys: &[KeyValue]| {
                pivot.fingerprint.is_none_or(|mark| mark == fingerprint(request.marker_of_target(), keys))
            };
            if request.order.strong.is_empty() {
                return Some(place(&[], &pivot.id));
            }
            let looked_up = exchanges.iter().rev().find_map(|(fetch, answer)| {
                let is_item = matches!(fetch, Fetch::Item(id) if *id == pivot.id) && !answer.items.is_empty();
                let row = is_item.then(|| Row::of(answer, &request.order, 0))?;
                let raw = row.keys.iter().zip(&request.order.strong);
                let keys =
                    raw.map(
                        |(key, sort)| {
                            if let Operand::Raw(raw) = key { KeyValue::of_strong(&sort.kind, raw) } else { None }
                        },
                    );
                served(&keys.collect::<Option<Vec<_>>>()?).then(|| after(&row))
            });
            let kept = || request.pivot.as_deref().filter(|keys| served(keys)).map(|keys| place(keys, &pivot.id));
            looked_up.or_else(kept)
        }
        Position::Token(token) => match &token.within {
            PlaceInPage::Keys(anchor) => Some(of(anchor)),
            PlaceInPage::Whole if token.token.is_none() => Some(ListPlace::start()),
            PlaceInPage::Whole | PlaceInPage::Marks(_) => None,
        },
        Position::AfterMarks(_) | Position::BeforeMarks(_) | Position::At(_) => None,
    }
}
