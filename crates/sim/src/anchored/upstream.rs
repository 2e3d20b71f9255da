//! A model of a legacy API over a list without a declared order.

use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Standing, Total},
        paging::{EndEvidence, Family, Paging, Sizes},
        window::Slice,
    },
};

use super::world::{Change, Row, State, World};
use crate::dice::mix;

/// The total that answers state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    Nothing,
    /// The number of rows at the moment of the slice.
    Total,
    /// The number of rows at an earlier moment than the slice.
    RacedTotal,
}

/// The answer to a request past the end of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Empty,
    Status,
    /// The last page once more; only for upstreams that page by number.
    Repeat,
    /// The first page once more.
    First,
}

/// The behaviour of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Traits {
    pub(crate) family: Family,
    pub(crate) sizes: Sizes,
    /// The true cap, declared or not.
    pub(crate) cap: u32,
    pub(crate) says: Says,
    pub(crate) end: EndEvidence,
    pub(crate) past: Past,
    /// True if answers state the offset or page number and the size that were used.
    pub(crate) echoes: bool,
    /// The percentage of rows that are left out after the limit has been applied.
    pub(crate) hides: u32,
    /// True if no answer can show a page with the items around it. A boundary is then seen in two answers, between
    /// which two changes could cancel out. So the list changes at most once while such a page is read.
    pub(crate) tight: bool,
    /// True if an answer may show the state of the answer before it instead of the current one.
    pub(crate) lags: bool,
}

impl Traits {
    pub(crate) fn paging(&self) -> Paging {
        let mut paging = Paging::new(self.family, self.sizes.clone());
        (paging.end, paging.hidden) = (self.end, self.hides > 0);
        paging.repeats_last_page = self.past == Past::Repeat;
        paging
    }
}

/// The true content of an answer: the state that it was cut from, and its rows without the hidden ones.
#[derive(Clone, Debug)]
pub(crate) struct Showing {
    pub(crate) state: State,
    pub(crate) rows: Vec<Row>,
}

/// An upstream, with a record of the answers to one request of the client.
pub(crate) struct Upstream {
    pub(crate) traits: Traits,
    pub(crate) world: World,
    /// The true content of the answers to the current request.
    pub(crate) shown: Vec<Showing>,
    /// The changes before the coming answers, the next one last.
    pub(crate) during: Vec<Change>,
    /// The number of changes to the list so far.
    pub(crate) changes: u64,
    /// The number of requests that were answered.
    answers: u64,
    /// The seed that decides which answers lag.
    salt: u64,
    pub(crate) story: Option<Vec<String>>,
}

impl Upstream {
    pub(crate) fn new(traits: Traits, world: World, salt: u64, tells: bool) -> Self {
        let story = tells.then(Vec::new);
        Self { traits, world, shown: Vec::new(), during: Vec::new(), changes: 0, answers: 0, salt, story }
    }

    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
        if let Some(story) = &mut self.story {
            story.push(line());
        }
    }

    /// Makes a change. `MoveNear` is made here, because it needs the rows that were shown last.
    pub(crate) fn happen(&mut self, change: Change) {
        self.tell(|| format!("{change:?}"));
        self.changes += 1;
        if let Change::MoveNear(near, far) = change {
            let rows = self.shown.last().map_or(&[][..], |showing| &showing.rows);
            let near = rows.len().saturating_sub(1 + near as usize);
            if let Some(row) = rows.get(near) {
                self.world.move_row(row.number, far);
            }
            return;
        }
        self.world.change(change);
    }

    /// Returns the offset at which a slice begins. If the last page repeats, a page number past the end gives the last
    /// page.
    fn begins(&self, slice: Slice, size: u32, length: u64) -> u64 {
        match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => {
                let last = length.saturating_sub(1) / u64::from(size);
                let number = if self.traits.past == Past::Repeat { number.0.min(last) } else { number.0 };
                number.saturating_mul(u64::from(size))
            }
        }
    }

    /// Answers a request. The body begins with the answer's number, by which the rows of a page are found again.
    pub(crate) fn answer(&mut self, slice: Slice) -> Answer {
        // The rows are counted before the change: a `RacedTotal` is of an earlier moment than the slice.
        let counted_before = self.world.state.len();
        if !self.shown.is_empty()
            && let Some(change) = self.during.pop()
        {
            self.happen(change);
        }
        self.answers += 1;
        // Three answers in ten of an upstream that lags show the state of the answer before.
        let lagging = self.traits.lags && mix(self.salt, self.answers) % 100 < 30;
        let state = match self.shown.last() {
            Some(last) if lagging => State::clone(&last.state),
            _ => State::clone(&self.world.state),
        };
        let size = slice.size().0.min(self.traits.cap);
        let length = state.len() as u64;
        let from = match self.begins(slice, size, length) {
            from if self.traits.past == Past::First && from >= length => 0,
            from => from,
        };
        let begin = from.min(length) as usize;
        let end = (begin + size as usize).min(state.len());
        let rows: Vec<Row> =
            state[begin..end].iter().copied().filter(|row| !row.is_hidden(self.traits.hides)).collect();
        let serial = self.shown.len();
        let mut body = format!("{serial};").into_bytes();
        let (mut items, mut keys) = (Vec::new(), Vec::new());
        for row in &rows {
            let start = body.len() as u32;
            let (id_start, id_end) = row.write(self.world.look, &mut body);
            items.push(Span { start, end: body.len() as u32 });
            keys.push(if id_start == id_end { Span::ABSENT } else { Span { start: id_start, end: id_end } });
        }
        let standing = match self.traits.past {
            Past::Status if begin >= state.len() && from > 0 => Standing::PastEnd,
            _ => Standing::Listed,
        };
        let total = match self.traits.says {
            Says::Nothing => None,
            Says::Total => Some(length),
            Says::RacedTotal => Some(counted_before as u64),
        };
        let more = (self.traits.end == EndEvidence::Flag).then_some(end < state.len());
        let echoes = self.traits.echoes && standing == Standing::Listed;
        self.tell(|| {
            let numbers: Vec<u32> = rows.iter().map(|row| row.number).collect();
            format!("  {slice:?} of {length}: {standing:?} {numbers:?}")
        });
        self.shown.push(Showing { state, rows });
        let mut answer = Answer::listed(body, items, keys);
        answer.standing = standing;
        answer.total = total.map(|value| Total { value, exact: true });
        answer.more = more;
        answer.offset = (echoes && self.traits.family == Family::Offset).then_some(from);
        answer.page = (echoes && self.traits.family == Family::Page).then_some(from / u64::from(size));
        answer.size = echoes.then_some(size);
        answer
    }
}
