//! A model of an upstream that hands out tokens.

use std::{collections::HashSet, sync::Arc};

use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Standing, Total},
        fetch::{Token, TokenFetch},
        paging::Sizes,
    },
};

use super::world::{Row, Seen, Shape, World};

/// The meaning of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An offset in disguise: after changes before it, the token leads to another place.
    Offset,
    /// The place of an item in the order. The item itself need not exist any more.
    Keys,
    /// An offset in the list as it was when the walk's first page was requested.
    Snapshot,
    /// The id of an item, which must exist. The client makes the token from the last item.
    Item,
}

/// The sign by which the upstream ends the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// A missing token: the upstream gives none if no item follows.
    Exact,
    /// A missing token on a page that is not full. A full last page has a token, which leads to an empty page.
    Promise,
    /// A flag for the requested direction.
    Flag,
    /// Only an empty page.
    Empty,
}

/// The things that a total counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// The items of its own answer.
    Answer,
    /// The items of the list that are shown.
    Items,
    /// The items of the list, with those that are dropped after the limit has been applied.
    Rows,
    /// Five more than the items that are shown.
    TooHigh,
    /// Five fewer.
    TooLow,
    /// Neither: it is always a million.
    Million,
}

/// A flag beside the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// True if more items follow.
    Right,
    True,
    False,
}

/// The behaviour of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traits {
    pub(crate) place: Place,
    pub(crate) sizes: Sizes,
    /// The number of items that the upstream gives whatever size is requested; `None` if it uses the requested size.
    pub(crate) ignores_size: Option<u32>,
    pub(crate) ends: Ends,
    /// True if there are tokens that lead backward.
    pub(crate) backward: bool,
    /// True if a page has a token that leads backward even if no item is before it.
    pub(crate) previous_always: bool,
    /// True if a token works only once.
    pub(crate) single_use: bool,
    /// True if equal places get a new token each time.
    pub(crate) fresh: bool,
    /// The number of requests after which tokens expire; `None` if they don't.
    pub(crate) lasts: Option<u64>,
    /// The percentage of items that are dropped after the limit has been applied.
    pub(crate) hidden: u32,
    /// A circle `(to, from)`: a token that should lead to the offset `from` or beyond leads to the offset `to`.
    pub(crate) circle: Option<(u32, u32)>,
    pub(crate) total: bool,
    pub(crate) counts: Counts,
    /// A flag in addition to `ends`; `None` if there is none.
    pub(crate) flag: Option<Flag>,
    /// True if the dialect vouches for the flag that ends the list ([`Ends::Flag`]).
    pub(crate) vouched: bool,
    /// True if every answer has a token that leads on, at the end too.
    pub(crate) always: bool,
    /// The number of the answer whose token is missing; `None` if there is none.
    pub(crate) missing: Option<u32>,
    /// The number of an answer that is empty, with a total of 0; `None` if there is none.
    pub(crate) blank: Option<u32>,
    /// The number of neighbouring items that are dropped after the limit has been applied.
    pub(crate) gap: u32,
}

impl Traits {
    /// Returns whether tokens keep their place, whatever changes in the list.
    pub(crate) fn keeps_places(&self) -> bool {
        matches!(self.place, Place::Keys | Place::Snapshot)
    }

    /// Returns whether a fact of the answers may be false.
    pub(crate) fn lies(&self) -> bool {
        let counts = self.total && !matches!(self.counts, Counts::Answer | Counts::Items | Counts::Rows);
        counts || matches!(self.flag, Some(Flag::True | Flag::False)) || self.always || self.is_faulty()
    }

    /// Returns whether one of the answers lacks something.
    pub(crate) fn is_faulty(&self) -> bool {
        self.missing.is_some() || self.blank.is_some()
    }

    /// Returns whether more may be false than one answer that is empty, or that answer can't be asked for again.
    pub(crate) fn lies_otherwise(&self) -> bool {
        self.single_use || Self { blank: None, ..self.clone() }.lies()
    }

    /// Returns the least number of items that an answer in a gap covers.
    pub(crate) fn step(&self) -> u32 {
        let most = match &self.sizes {
            Sizes::Free { least, .. } if self.single_use => *least,
            Sizes::Free { most, .. } => most.unwrap_or(u32::MAX).min(9),
            Sizes::Listed(sizes) if self.single_use => sizes[0],
            Sizes::Listed(sizes) => sizes[sizes.len() - 1],
            Sizes::Fixed(size) => *size,
        };
        self.ignores_size.unwrap_or(most)
    }
}

/// The true content of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    /// The token that led to the answer; `None` for the first page.
    pub(crate) token: Option<Token>,
    pub(crate) items: Vec<Seen>,
    pub(crate) backward: bool,
    /// The time at which the answer was given.
    pub(crate) when: u64,
    /// The number of changes to the list by that time.
    pub(crate) changes: u64,
    /// True if the answer began at the start of the list; `at_end` is true if it ended at the list's end.
    pub(crate) at_start: bool,
    pub(crate) at_end: bool,
    /// True if the token had no meaning any more.
    pub(crate) gone: bool,
    /// The flag, the total, and the token that leads on.
    pub(crate) flag: Option<bool>,
    pub(crate) total: Option<u64>,
    pub(crate) next: Option<Token>,
    /// True if the answer to the request for the first page was empty for once. Nothing shows that this isn't the list.
    pub(crate) blank_start: bool,
}

#[derive(Debug)]
pub(crate) struct Upstream<'a> {
    traits: &'a Traits,
    shape: Shape,
    descending: bool,
    used: HashSet<String>,
    snapshots: Vec<Vec<Row>>,
    minted: u64,
    answered: u32,
}

/// A token as the upstream reads it.
struct Parsed {
    number: u64,
    snapshot: usize,
    minted: u64,
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(traits: &'a Traits, shape: Shape, descending: bool) -> Self {
        Self { traits, shape, descending, used: HashSet::new(), snapshots: Vec::new(), minted: 0, answered: 0 }
    }

    pub(crate) fn answer(&mut self, world: &World, fetch: &TokenFetch) -> (Answer, Shown) {
        let (mut answer, mut shown) = self.honest(world, fetch);
        let number = Some(self.answered);
        self.answered += 1;
        if shown.gone {
            return (answer, shown);
        }
        if number == self.traits.missing {
            answer.next = None;
        }
        if number == self.traits.blank {
            answer = Answer::listed(Vec::new(), Vec::new(), Vec::new());
            answer.total = self.traits.total.then_some(Total { value: 0, exact: true });
            (shown.items, shown.at_start, shown.at_end) = (Vec::new(), false, false);
            shown.blank_start = fetch.token.is_none();
        }
        (shown.flag, shown.total) = (answer.more, answer.total.map(|total| total.value));
        shown.next.clone_from(&answer.next);
        (answer, shown)
    }

    /// Returns the answer before one of its facts goes missing.
    fn honest(&mut self, world: &World, fetch: &TokenFetch) -> (Answer, Shown) {
        let parsed = fetch.token.as_ref().map(|token| self.parse(&token.0));
        let mut shown = Shown {
            token: fetch.token.clone(),
            items: Vec::new(),
            backward: fetch.backward,
            when: world.now,
            changes: world.changes,
            at_start: false,
            at_end: false,
            gone: false,
            flag: None,
            total: None,
            next: None,
            blank_start: false,
        };
        let used = fetch.token.as_ref().is_some_and(|token| !self.used.insert(token.0.to_string()));
        let gone = parsed.as_ref().is_some_and(|parsed| self.is_gone(parsed, world));
        if gone || (used && self.traits.single_use) {
            shown.gone = true;
            return (Answer::without_items(Standing::Gone), shown);
        }
        let (snapshot, rows) = self.rows(parsed.as_ref(), world);
        let size = self.size(fetch.size.0);
        let range = self.range(&rows, parsed.as_ref(), fetch.backward, size);
        (shown.at_start, shown.at_end) = (range.start == 0, range.end == rows.len());
        // An answer with only hidden items is empty and has a token, as pages of Slack and DynamoDB may. That isn't the
        // end.
        let visible: Vec<&Row> = rows[range.clone()].iter().filter(|row| !row.hidden).collect();
        shown.items = visible.iter().map(|row| row.seen).collect();
        let mut answer = self.write(&visible);
        answer.total = self.traits.total.then(|| Total { value: self.total(&rows, visible.len()), exact: true });
        let full = range.len() == size;
        let (ahead, back) = (range.end < rows.len(), range.start > 0);
        let says = |more: bool, asked: bool| match self.traits.ends {
            Ends::Exact | Ends::Flag => more,
            Ends::Promise if asked => full,
            Ends::Promise => true,
            Ends::Empty => !range.is_empty(),
        };
        let (next, previous) = (says(ahead, !fetch.backward), says(back, fetch.backward));
        let more = if fetch.backward { back } else { ahead };
        answer.more = match self.traits.flag {
            None if self.traits.ends == Ends::Flag => Some(more),
            flag => flag.map(|flag| if flag == Flag::Right { more } else { flag == Flag::True }),
        };
        if self.traits.place == Place::Item {
            return (answer, shown);
        }
        // A token of keys names the last row of the page, which an empty page does not have.
        if self.traits.always || (next && !(range.is_empty() && self.traits.place == Place::Keys)) {
            let circled = self.traits.circle.filter(|(_, end)| range.end >= *end as usize && ahead);
            let goes_on = circled.map_or(range.end, |(start, _)| start as usize);
            let before = parsed.as_ref().map_or(0, |parsed| parsed.number);
            let rank = rows[range.clone()].last().map_or(before, |row| row.rank);
            answer.next = Some(self.mint(goes_on, rank, snapshot, world.now));
            // An answer whose token leads back into the circle does not end the list.
            shown.at_end &= circled.is_none();
        }
        let always = self.traits.previous_always && !(fetch.backward && self.traits.ends == Ends::Flag);
        let first = rows[range.clone()].first().map(|row| row.rank);
        if self.traits.backward && (previous || (always && !fetch.backward)) && first.is_some() {
            answer.previous = Some(self.mint(range.start, first.unwrap_or(0), snapshot, world.now));
        }
        (answer, shown)
    }

    /// Returns the total of an answer with `count` items.
    fn total(&self, rows: &[Row], count: usize) -> u64 {
        let items = rows.iter().filter(|row| !row.hidden).count() as u64;
        match self.traits.counts {
            Counts::Answer => count as u64,
            Counts::Items => items,
            Counts::Rows => rows.len() as u64,
            Counts::TooHigh => items + 5,
            Counts::TooLow => items.saturating_sub(5),
            Counts::Million => 1_000_000,
        }
    }

    /// Returns the rows of the list that a token leads into, with the number of their snapshot.
    fn rows(&mut self, token: Option<&Parsed>, world: &World) -> (usize, Vec<Row>) {
        let snapshot = match (self.traits.place, token) {
            (Place::Snapshot, Some(token)) => token.snapshot,
            (Place::Snapshot, None) => {
                self.snapshots.push(world.rows.clone());
                self.snapshots.len() - 1
            }
            _ => return (0, world.rows.clone()),
        };
        (snapshot, self.snapshots[snapshot].clone())
    }

    /// Returns whether a token has no meaning any more: it has expired, or its item does not exist.
    fn is_gone(&self, token: &Parsed, world: &World) -> bool {
        let stale = self.traits.lasts.is_some_and(|lasts| token.minted + lasts < world.now);
        let named = |row: &Row| u64::from(row.seen.id) == token.number;
        stale || (self.traits.place == Place::Item && !world.rows.iter().any(named))
    }

    fn size(&self, asked: u32) -> usize {
        if let Some(size) = self.traits.ignores_size {
            return size as usize;
        }
        (match &self.traits.sizes {
            Sizes::Free { least, most } => {
                assert!(asked >= *least && most.is_none_or(|most| asked <= most), "asked for {asked}");
                // The upstream has a cap of 9, which no dialect declares.
                asked.min(9)
            }
            Sizes::Listed(sizes) => {
                assert!(sizes.contains(&asked), "asked for {asked}");
                asked
            }
            Sizes::Fixed(size) => *size,
        }) as usize
    }

    fn range(&self, rows: &[Row], at: Option<&Parsed>, backward: bool, size: usize) -> std::ops::Range<usize> {
        let count = rows.len();
        let Some(at) = at else { return 0..size.min(count) };
        let (before, after) = match self.traits.place {
            Place::Offset | Place::Snapshot => {
                let offset = (at.number as usize).min(count);
                (offset, offset)
            }
            Place::Keys => {
                let place = |through: bool| {
                    rows.partition_point(|row| row.rank < at.number || (through && row.rank == at.number))
                };
                (place(false), place(true))
            }
            Place::Item => {
                let place = rows.iter().position(|row| u64::from(row.seen.id) == at.number).unwrap_or(0);
                (place, place + 1)
            }
        };
        if backward { before.saturating_sub(size)..before } else { after..(after + size).min(count) }
    }

    fn mint(&mut self, offset: usize, rank: u64, snapshot: usize, now: u64) -> Token {
        self.minted += 1;
        let number = if self.traits.place == Place::Keys { rank } else { offset as u64 };
        // If tokens are never repeated, only the items show that the list goes in a circle.
        let nonce = if self.traits.fresh { self.minted } else { 0 };
        let when = if self.traits.lasts.is_some() { now } else { 0 };
        Token(Arc::from(format!("{number}:{snapshot}:{when}:{nonce}")))
    }

    fn parse(&self, text: &str) -> Parsed {
        let mut numbers = text.split(':').map(|part| part.parse::<u64>().unwrap());
        let mut next = || numbers.next().unwrap_or(0);
        let (number, snapshot) = (next(), next() as usize);
        let down = self.traits.place == Place::Item && self.descending && self.shape.is_declared();
        let number = if down { 1_000_000 - number } else { number };
        // An item's id never expires.
        let minted = if self.traits.place == Place::Item { u64::MAX / 2 } else { next() };
        Parsed { number, snapshot, minted }
    }

    fn write(&self, rows: &[&Row]) -> Answer {
        let (mut body, mut items, mut keys, mut item_tokens) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let start = body.len() as u32;
            let mut number = |name: &str, value: u32| {
                body.extend_from_slice(format!("\"{name}\":").as_bytes());
                let start = body.len() as u32;
                body.extend_from_slice(value.to_string().as_bytes());
                Span { start, end: body.len() as u32 }
            };
            let key = number("key", self.shown(row.seen.key));
            let id = number("id", self.shown(row.seen.id));
            let end = body.len() as u32;
            items.push(Span { start, end });
            match self.shape {
                Shape::Ordered | Shape::Loose => keys.extend([key, id]),
                Shape::Ids | Shape::Undeclared => keys.push(id),
                Shape::Anonymous => keys.push(Span::ABSENT),
            }
            if self.traits.place == Place::Item {
                item_tokens.push(id);
            }
        }
        let mut answer = Answer::listed(body, items, keys);
        answer.item_tokens = item_tokens;
        answer
    }

    /// Returns a number as answers show it. Internal numbers ascend in the order of the list; in a descending order,
    /// the shown numbers descend.
    fn shown(&self, value: u32) -> u32 {
        if self.descending && self.shape.is_declared() { 1_000_000 - value } else { value }
    }
}
