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
}

impl Traits {
    /// Returns whether tokens keep their place, whatever changes in the list.
    pub(crate) fn keeps_places(&self) -> bool {
        matches!(self.place, Place::Keys | Place::Snapshot)
    }
}

/// The true content of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
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
}

#[derive(Debug)]
pub(crate) struct Upstream<'a> {
    traits: &'a Traits,
    shape: Shape,
    descending: bool,
    used: HashSet<String>,
    snapshots: Vec<Vec<Row>>,
    minted: u64,
}

/// A token as the upstream reads it.
struct Parsed {
    number: u64,
    snapshot: usize,
    minted: u64,
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(traits: &'a Traits, shape: Shape, descending: bool) -> Self {
        Self { traits, shape, descending, used: HashSet::new(), snapshots: Vec::new(), minted: 0 }
    }

    pub(crate) fn answer(&mut self, world: &World, fetch: &TokenFetch) -> (Answer, Shown) {
        let parsed = fetch.token.as_ref().map(|token| self.parse(&token.0));
        let mut shown = Shown {
            items: Vec::new(),
            backward: fetch.backward,
            when: world.now,
            changes: world.changes,
            at_start: false,
            at_end: false,
            gone: false,
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
        let full = range.len() == size;
        let (ahead, back) = (range.end < rows.len(), range.start > 0);
        let says = |more: bool, asked: bool| match self.traits.ends {
            Ends::Exact | Ends::Flag => more,
            Ends::Promise if asked => full,
            Ends::Promise => true,
            Ends::Empty => !range.is_empty(),
        };
        let (next, previous) = (says(ahead, !fetch.backward), says(back, fetch.backward));
        if self.traits.ends == Ends::Flag {
            answer.more = Some(if fetch.backward { back } else { ahead });
        }
        if self.traits.place == Place::Item {
            return (answer, shown);
        }
        // A token of keys names the last row of the page, which an empty page does not have.
        if next && !(range.is_empty() && self.traits.place == Place::Keys) {
            let circled = self.traits.circle.filter(|(_, end)| range.end >= *end as usize && ahead);
            let goes_on = circled.map_or(range.end, |(start, _)| start as usize);
            let rank = rows[range.clone()].last().map_or(0, |row| row.rank);
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
        answer.total = self.traits.total.then_some(Total { value: rows.len() as u64, exact: true });
        answer.item_tokens = item_tokens;
        answer
    }

    /// Returns a number as answers show it. Internal numbers ascend in the order of the list; in a descending order,
    /// the shown numbers descend.
    fn shown(&self, value: u32) -> u32 {
        if self.descending && self.shape.is_declared() { 1_000_000 - value } else { value }
    }
}
