//! A list that doesn't change, at an upstream that behaves as its dialect declares. Item *n* has the id *n*. The items
//! of a run share their strong keys. If ties are unordered, the upstream returns a run in another sequence with every
//! answer.

use std::{cell::Cell, ops::Range, sync::Arc};

use super::{CostShape, Said};
use crate::{
    json::{Span, write::push_number},
    pagination::{
        answer::{Answer, Standing, Total},
        fetch::{Fetch, Listing, Token, TokenFetch},
        filter::{Comparison, Filter, Filters},
        key::KeyValue,
        mark::Mark,
        order::{Order, Ties},
        paging::{Paging, Sizes},
        position::{Anchor, Hint, Marks, Position, Target},
        window::{Offset, Slice},
    },
};

/// The list and its upstream.
#[derive(Debug)]
pub(super) struct Still {
    pub(super) items: u64,
    pub(super) order: Arc<Order>,
    pub(super) paging: Arc<Paging>,
    pub(super) filters: Option<Arc<Filters>>,
    says: Vec<Said>,
    /// The number of items in each run, which share their strong keys.
    run: u64,
    answers: Cell<u64>,
    /// The number of items in all answers so far.
    rows: Cell<u64>,
}

impl Still {
    pub(super) fn new(shape: &CostShape, items: u64, run: u64) -> Self {
        Self {
            items,
            order: Arc::new(shape.order.clone()),
            paging: Arc::new(shape.paging.clone()),
            filters: shape.filters.clone().map(Arc::new),
            says: shape.says.clone(),
            run: run.max(1),
            answers: Cell::new(0),
            rows: Cell::new(0),
        }
    }

    /// Returns the largest size that the upstream honours.
    pub(super) fn honours(&self) -> u32 {
        match &self.paging.sizes {
            Sizes::Free { most, .. } => most.unwrap_or(u32::MAX),
            Sizes::Listed(sizes) => sizes.last().copied().unwrap_or(1),
            Sizes::Fixed(size) => *size,
        }
    }

    /// Returns whether answers state the length of the list.
    pub(super) fn tells_total(&self) -> bool {
        self.says.contains(&Said::Total)
    }

    /// Returns the target right after an item that is the last of its run, as in the cursor of a page that ends with
    /// the item; `None` if a cursor can't hold the item's keys.
    pub(super) fn after(&self, item: u64) -> Option<Target> {
        let position = match self.order.declared {
            true => Position::After(self.anchor(item)?),
            false => Position::AfterMarks(self.marks(item + 1)),
        };
        Some(Target { position, hint: self.hint(item + 1) })
    }

    /// Returns the target right before an item that is the first of its run, as in the cursor of a page that begins
    /// with the item; `None` if a cursor can't hold the item's keys.
    pub(super) fn before(&self, item: u64) -> Option<Target> {
        let position = match self.order.declared {
            true => Position::Before(self.anchor(item)?),
            false => Position::BeforeMarks(self.marks(item)),
        };
        Some(Target { position, hint: self.hint(item) })
    }

    fn anchor(&self, item: u64) -> Option<Anchor> {
        self.show(item..item + 1, &Listing { by_id: true, ..Listing::default() }).anchor(&self.order, 0)
    }

    fn marks(&self, place: u64) -> Marks {
        let mark = |item: u64| mark(item.to_string().as_bytes());
        let (passed, ahead) = (Marks::PASSED as u64, Marks::AHEAD as u64);
        Marks {
            before: (place.saturating_sub(passed)..place).map(mark).collect(),
            after: (place..self.items.min(place + ahead)).map(mark).collect(),
        }
    }

    fn hint(&self, place: u64) -> Hint {
        let run = u32::try_from(self.run).unwrap_or(Hint::LONG_RUN);
        let loose = self.order.ties == Ties::Unordered && !self.order.strong.is_empty();
        let total = self.tells_total().then_some(self.items);
        Hint { offset: Offset(place), run: if loose { run } else { 0 }, within: run, total, ..Hint::default() }
    }

    pub(super) fn answer(&self, fetch: &Fetch) -> Answer {
        self.answers.set(self.answers.get() + 1);
        let total = Some(Total { value: self.items, exact: true });
        let answer = match fetch {
            Fetch::Slice(slice, listing) => self.slice(*slice, listing),
            Fetch::Token(fetch) => self.by_token(fetch),
            Fetch::Item(id) => match number(id).map(at_least) {
                Some(item) if item < self.items => {
                    self.show(item..item + 1, &Listing { by_id: true, ..Listing::default() })
                }
                _ => Answer { standing: Standing::Gone, ..Answer::default() },
            },
            Fetch::Count => Answer { total, ..Answer::default() },
        };
        self.rows.set(self.rows.get() + answer.items.len() as u64);
        answer
    }

    /// Returns the number of items in all answers so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows.get()
    }

    fn slice(&self, slice: Slice, listing: &Listing) -> Answer {
        let size = slice.size().0.min(self.honours()).max(1);
        let listed = listing.filter.as_deref().map_or(0..self.items, |filter| self.passing(filter));
        let count = listed.end.saturating_sub(listed.start);
        let mut from = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0.saturating_mul(u64::from(size)),
        };
        if self.paging.repeats_last_page && from >= count {
            from = count.saturating_sub(1) / u64::from(size) * u64::from(size);
        }
        // The offset and the page number that the answer states may be after the end, as those of the request may, so
        // they are kept before the range is limited.
        let begins = from;
        let (from, to) = (from.min(count), from.saturating_add(u64::from(size)).min(count));
        let shown = match listing.flipped {
            false => listed.start + from..listed.start + to,
            true => listed.end - to..listed.end - from,
        };
        let says = |said| self.says.contains(&said);
        let past_end = says(Said::PastEnd) && from == count && from > 0;
        Answer {
            standing: if past_end { Standing::PastEnd } else { Standing::Listed },
            total: self.tells_total().then_some(Total { value: count, exact: true }),
            more: says(Said::More).then_some(to < count),
            offset: says(Said::Offset).then_some(begins),
            page: says(Said::Page).then_some(begins / u64::from(size)),
            size: says(Said::Size).then_some(size),
            ..self.show(shown, listing)
        }
    }

    /// Returns the answer to a token. A token is the number of the first item that it leads to. If the dialect pages by
    /// item, a token is the number of the item before the answer. A token for reading backward is the number of the
    /// item after the answer.
    fn by_token(&self, fetch: &TokenFetch) -> Answer {
        let size = u64::from(fetch.size.0.min(self.honours()));
        let tokens = self.paging.tokens;
        let said = fetch.token.as_ref().and_then(|token| token.0.parse::<u64>().ok());
        let shown = match (said, fetch.backward) {
            (Some(before), true) => before.saturating_sub(size)..before,
            (Some(item), false) if tokens.by_item => item + 1..(item + 1 + size),
            (place, _) => place.unwrap_or(0)..(place.unwrap_or(0) + size),
        };
        let shown = shown.start.min(self.items)..shown.end.min(self.items);
        let token = |place: u64| Some(Token(place.to_string().into()));
        let (goes_on, goes_back) = (shown.end < self.items, shown.start > 0);
        let is_empty = shown.is_empty();
        let mut answer = self.show(shown.clone(), &Listing::default());
        if tokens.by_item {
            answer.item_tokens =
                answer.keys.iter().copied().skip(self.order.strong.len()).step_by(self.order.columns()).collect();
            answer.next = token(shown.end.saturating_sub(1)).filter(|_| goes_on && !is_empty);
            answer.previous = token(shown.start).filter(|_| goes_back && tokens.backward && !is_empty);
        } else {
            answer.next = token(shown.end).filter(|_| goes_on || (tokens.ends_empty && !is_empty));
            answer.previous = token(shown.start).filter(|_| goes_back && tokens.backward);
        }
        answer.total = self.tells_total().then_some(Total { value: self.items, exact: true });
        answer.more = self.says.contains(&Said::More).then_some(if fetch.backward { goes_back } else { goes_on });
        answer
    }

    /// Returns the items that pass a filter. These are consecutive, because all keys ascend with the item's number.
    fn passing(&self, filter: &Filter) -> Range<u64> {
        let all = 0..self.items;
        match filter {
            Filter::And(filters) => filters.iter().fold(all, |passed, filter| {
                let further = self.passing(filter);
                let from = passed.start.max(further.start);
                from..passed.end.min(further.end).max(from)
            }),
            Filter::Or(filters) => {
                let passed = filters.iter().map(|filter| self.passing(filter)).filter(|passed| !passed.is_empty());
                passed.reduce(|one, other| one.start.min(other.start)..one.end.max(other.end)).unwrap_or(0..0)
            }
            Filter::Compare { comparison: Comparison::NotNull, .. } => all,
            Filter::Compare { column, comparison, value } => {
                let Some(value) = value.as_ref().and_then(number) else { return 0..0 };
                let run = if *column < self.order.strong.len() { self.run } else { 1 };
                let from = at_least(value);
                let beyond = if value.fract() == 0.0 { from.saturating_add(1) } else { from };
                let (at, past) = (from.saturating_mul(run), beyond.saturating_mul(run));
                let range = match comparison {
                    Comparison::Less => 0..at,
                    Comparison::LessOrEqual => 0..past,
                    Comparison::Greater => past..self.items,
                    Comparison::GreaterOrEqual => at..self.items,
                    Comparison::Equal => at..past,
                    Comparison::Null | Comparison::NotNull => 0..0,
                };
                let start = range.start.min(self.items);
                start..range.end.min(self.items).max(start)
            }
        }
    }

    /// Returns an answer with these items, flipped or in the order of their ids as `listing` asks.
    fn show(&self, range: Range<u64>, listing: &Listing) -> Answer {
        let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
        let (strong, columns) = (self.order.strong.len(), self.order.columns());
        let mut shown =
            Answer { items: Vec::with_capacity(count), keys: Vec::with_capacity(count * columns), ..Answer::default() };
        let mut body = Vec::with_capacity(count * 12);
        let at = |body: &Vec<u8>| u32::try_from(body.len()).unwrap_or(u32::MAX);
        for place in range.clone() {
            let place = if listing.flipped { range.start + range.end - 1 - place } else { place };
            let start = at(&body);
            push_number(&mut body, place / self.run);
            let key = Span { start, end: at(&body) };
            let id = match self.run {
                1 => key,
                _ => {
                    body.push(b':');
                    let start = at(&body);
                    push_number(&mut body, if listing.by_id { place } else { self.shuffled(place) });
                    Span { start, end: at(&body) }
                }
            };
            shown.items.push(Span { start, end: id.end });
            shown.keys.extend(std::iter::repeat_n(key, strong).chain([id]));
            body.push(b',');
        }
        shown.body = body;
        shown
    }

    /// Returns the number of the item at a place in this answer. In a run of unordered ties, it differs from answer to
    /// answer.
    fn shuffled(&self, place: u64) -> u64 {
        if self.order.ties == Ties::Ordered {
            return place;
        }
        let begins = place / self.run * self.run;
        let length = self.run.min(self.items - begins);
        begins + (place - begins + self.answers.get()) % length
    }
}

/// Returns the mark of an item: a hash of its id.
pub(super) fn mark(bytes: &[u8]) -> Mark {
    Mark::of(bytes.iter().fold(0, |number: u64, byte| number.wrapping_mul(31).wrapping_add(u64::from(*byte))))
}

/// Returns a numeric key's value; `None` for a key of another type.
fn number(value: &KeyValue) -> Option<f64> {
    match value {
        KeyValue::Number(digits) => digits.parse().ok(),
        KeyValue::Null | KeyValue::Boolean(_) | KeyValue::Text(_) => None,
    }
}

/// Returns the smallest whole number that isn't less than a value, and not less than 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "items are counted from 0, and are few")]
fn at_least(value: f64) -> u64 {
    value.ceil().max(0.0) as u64
}
