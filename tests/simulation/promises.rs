//! What is promised of every page and every walk, asserted against what the upstream really held.
//!
//! A row *stayed* if it was there, with the same keys, in every state that the upstream showed. Two rows with the same
//! place are the same row, so places are what is compared.

use std::rc::Rc;

use cursorgate::pagination::{
    page::{Level, Page},
    paging::{Family, Learnt},
    position::Position,
};

use crate::{
    aim::{Aim, Bound},
    upstream::{Showing, Traits},
    world::{Place, Row, Shape, State},
};

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Which, in a word or two.
    pub(crate) promise: &'static str,
    pub(crate) what: String,
}

pub(crate) type Kept = Result<(), Violation>;

pub(crate) fn require(kept: bool, promise: &'static str, what: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(Violation { promise, what: what() }) }
}

/// What two neighbours of a page can be.
#[derive(Clone, Copy, Debug)]
enum Edge {
    Start,
    Row(Place),
    End,
}

impl Edge {
    /// Whether an answer shows all that there is between this and a later one.
    fn seen_with(self, later: Self, showing: &Showing) -> bool {
        let begins = match self {
            Self::Row(place) => showing.places.is_some_and(|(least, _)| least <= place),
            Self::Start | Self::End => false,
        };
        let reaches = match later {
            Self::Row(place) => showing.places.is_some_and(|(_, greatest)| greatest >= place),
            Self::Start | Self::End => false,
        };
        (begins || showing.from_start) && (reaches || showing.to_end)
    }
}

/// One client request that was served, and all that is known of it.
pub(crate) struct Exchange<'a> {
    pub(crate) aim: &'a Aim,
    pub(crate) limit: u32,
    pub(crate) budget: u32,
    pub(crate) before: Learnt,
    pub(crate) page: &'a Page,
    /// The rows of the page's items.
    pub(crate) rows: &'a [Rc<Row>],
    pub(crate) shown: &'a [Showing],
    pub(crate) passed: &'a [State],
    /// How many answers the core was given.
    pub(crate) answers: u32,
    /// Nothing has changed since the walk began, and hints are as they were when they were made.
    pub(crate) undisturbed: bool,
    pub(crate) traits: &'a Traits,
    pub(crate) shape: &'a Shape,
}

/// Finds the rows whose bytes the items of a page are.
pub(crate) fn rows_of(page: &Page, registry: &[Rc<Row>]) -> Result<Vec<Rc<Row>>, Violation> {
    let row = |index| {
        let item = page.item(index);
        let row = Row::serial_in(item).and_then(|serial| registry.get(serial as usize));
        row.filter(|row| row.bytes == item).cloned().ok_or_else(|| Violation {
            promise: "G5 verbatim",
            what: format!("item {index} is no row: {}", String::from_utf8_lossy(item)),
        })
    };
    (0..page.items.len()).map(row).collect()
}

impl Exchange<'_> {
    /// What holds of any page by itself.
    pub(crate) fn keeps_promises(&self) -> Kept {
        self.counts()?;
        if self.page.unproven.is_some() {
            return require(self.page.level == Level::Positional, "G6 level", || {
                format!("unproven ({:?}) but {:?}", self.page.unproven, self.page.level)
            });
        }
        self.fullness()?;
        self.order()?;
        self.proof()?;
        if self.is_certain() {
            self.ends()?;
            self.completeness()?;
        }
        self.total()?;
        self.neighbours()?;
        self.cost()
    }

    fn counts(&self) -> Kept {
        let Self { page, .. } = self;
        require(!self.shown.is_empty(), "G6 proof", || "a page without an answer".into())?;
        require(page.requests == self.answers, "requests", || {
            format!("says {} requests, made {}", page.requests, self.answers)
        })?;
        require(self.answers <= self.budget, "requests", || format!("{} of {}", self.answers, self.budget))?;
        require(page.items.len() <= self.limit as usize, "fullness", || format!("{} items", page.items.len()))?;
        let learnt = page.learnt;
        let filled = learnt.honoured == self.before.honoured
            || self.shown.iter().any(|showing| showing.items == learnt.honoured);
        require(filled && learnt.honoured >= self.before.honoured, "learnt", || {
            format!("honoured was {:?}, and no answer had as many as now: {learnt:?}", self.before)
        })?;
        // A cap is a suspicion: a false one costs requests until the next first page, and must never be larger.
        require(!self.undisturbed || learnt.cap.is_none_or(|cap| cap <= self.traits.cap), "learnt", || {
            format!("{learnt:?}, where the cap is {}", self.traits.cap)
        })
    }

    /// A page has as many items as were asked for, unless it touches the end in the direction it was read.
    fn fullness(&self) -> Kept {
        let Self { page, rows, .. } = self;
        let ahead = if self.aim.bound.is_forward() { &page.next } else { &page.previous };
        let full = rows.len() == self.limit as usize && !page.short;
        require(full || (ahead.is_none() && !page.short), "fullness", || {
            format!("{} of {} items, more is promised: {}", rows.len(), self.limit, ahead.is_some())
        })
    }

    fn order(&self) -> Kept {
        let rows = self.rows;
        for pair in rows.windows(2) {
            require(pair[0].place < pair[1].place, "G3 order", || format!("{} before {}", pair[0], pair[1]))?;
        }
        let mut ids: Vec<u32> = rows.iter().map(|row| row.plan.id).collect();
        ids.sort_unstable();
        require(ids.windows(2).all(|pair| pair[0] != pair[1]), "G2 once", || {
            format!("an id twice in a page: {ids:?}")
        })?;
        let beyond = match self.aim.bound {
            Bound::After(anchor) => rows.first().is_none_or(|row| row.place > anchor),
            Bound::Before(anchor) => rows.last().is_none_or(|row| row.place < anchor),
            Bound::Start | Bound::End | Bound::At(_) => true,
        };
        require(beyond, "G4 strictly on", || format!("{} .. of {:?}", rows[0], self.aim.bound))
    }

    /// The last place that the page answers for in the direction of the order; none where it is the end.
    fn upper(&self) -> Option<Place> {
        match (self.rows.last(), self.aim.bound) {
            (Some(row), _) => Some(row.place),
            (None, Bound::After(anchor)) => Some(anchor),
            (None, _) => None,
        }
    }

    fn lower(&self) -> Option<Place> {
        match (self.rows.first(), self.aim.bound) {
            (Some(row), _) => Some(row.place),
            (None, Bound::Before(anchor)) => Some(anchor),
            (None, _) => None,
        }
    }

    fn ends(&self) -> Kept {
        let Self { page, rows, .. } = self;
        let (forward, still) = (self.aim.bound.is_forward(), self.passed.len() == 1);
        let (ahead, behind) = if forward { (&page.next, &page.previous) } else { (&page.previous, &page.next) };
        require(!matches!(self.aim.bound, Bound::Start) || page.previous.is_none(), "ends", || {
            "before the first page".into()
        })?;
        require(!matches!(self.aim.bound, Bound::End) || page.next.is_none(), "ends", || "after the last page".into())?;
        let exists_after =
            |state: &State| state.last().is_some_and(|row| self.upper().is_none_or(|last| row.place > last));
        let exists_before =
            |state: &State| state.first().is_some_and(|row| self.lower().is_none_or(|first| row.place < first));
        let exists_ahead = |state: &State| {
            if forward { exists_after(state) } else { exists_before(state) }
        };
        let exists_behind = |state: &State| {
            if forward { exists_before(state) } else { exists_after(state) }
        };
        require(ahead.is_none() || self.passed.iter().any(exists_ahead), "ends", || {
            "more is promised where there never was any".into()
        })?;
        if still && !(rows.is_empty() && matches!(self.aim.bound, Bound::At(_))) {
            let state = &self.passed[0];
            require(ahead.is_some() == exists_ahead(state), "ends", || {
                format!("ahead {ahead:?}, in truth {}", exists_ahead(state))
            })?;
            require(behind.is_some() == exists_behind(state), "ends", || {
                format!("behind {behind:?}, in truth {}", exists_behind(state))
            })?;
        }
        Ok(())
    }

    /// Every row that stayed between the bound and the far end of the page is in it, and where the page says that it
    /// touches an end, none stayed beyond.
    fn completeness(&self) -> Kept {
        let (rows, page) = (self.rows, self.page);
        let forward = self.aim.bound.is_forward();
        // Exclusive limits of what the page answers for.
        let low = match self.aim.bound {
            Bound::After(anchor) => Some(anchor),
            Bound::At(_) if rows.is_empty() => return Ok(()),
            Bound::At(_) => rows.first().map(|row| row.place),
            Bound::Start => None,
            Bound::End | Bound::Before(_) if page.previous.is_none() => None,
            Bound::End | Bound::Before(_) => rows.first().map(|row| row.place),
        };
        let high = match self.aim.bound {
            Bound::Before(anchor) => Some(anchor),
            Bound::End => None,
            _ if page.next.is_none() => None,
            _ => rows.last().map(|row| row.place),
        };
        let delivered = |place: &Place| rows.binary_search_by(|row| row.place.cmp(place)).is_ok();
        let lost = self.stayed().find(|row| {
            low.is_none_or(|low| row.place > low) && high.is_none_or(|high| row.place < high) && !delivered(&row.place)
        });
        if let Some(row) = lost {
            let ended = if forward { page.next.is_none() } else { page.previous.is_none() };
            return Err(Violation {
                promise: "G1 none skipped",
                what: format!("{row} (the page says it ends the list: {ended})"),
            });
        }
        let behind = if forward { &page.previous } else { &page.next };
        if behind.is_none() && !matches!(self.aim.bound, Bound::At(_)) {
            let missed = self.stayed().find(|row| match forward {
                true => self.lower().or(low).is_some_and(|first| row.place < first),
                false => self.upper().or(high).is_some_and(|last| row.place > last),
            });
            if let Some(row) = missed {
                return Err(Violation { promise: "ends", what: format!("no way back to {row}") });
            }
        }
        Ok(())
    }

    fn stayed(&self) -> impl Iterator<Item = &Rc<Row>> {
        let (first, others) = (&self.shown[0].state, &self.shown[1..]);
        first.iter().filter(move |row| {
            others.iter().all(|other| Rc::ptr_eq(&other.state, first) || holds(&other.state, row.place))
        })
    }

    /// An exact page was proven piece by piece: any two neighbours in it, its anchor and the ends it claims among them,
    /// were seen side by side in one answer.
    fn proof(&self) -> Kept {
        if self.page.level != Level::Exact {
            return Ok(());
        }
        let mut edges: Vec<Edge> = self.rows.iter().map(|row| Edge::Row(row.place)).collect();
        match self.aim.bound {
            Bound::Start => edges.insert(0, Edge::Start),
            Bound::After(anchor) => edges.insert(0, Edge::Row(anchor)),
            Bound::Before(anchor) => edges.push(Edge::Row(anchor)),
            Bound::End => edges.push(Edge::End),
            Bound::At(_) => return Ok(()),
        }
        match self.aim.bound.is_forward() {
            true if self.page.next.is_none() => edges.push(Edge::End),
            false if self.page.previous.is_none() => edges.insert(0, Edge::Start),
            _ => {}
        }
        let unseen =
            edges.windows(2).find(|pair| !self.shown.iter().any(|showing| pair[0].seen_with(pair[1], showing)));
        require(unseen.is_none(), "G6 proof", || format!("exact, but no answer shows {unseen:?} side by side"))
    }

    /// Whether a page is held to all that it says. One that was checked in two readings may be wrong if the collection
    /// changed in between, or where a past-the-end status is not true.
    pub(crate) fn is_certain(&self) -> bool {
        let hoax = self.traits.outages > 0 || (self.traits.ceiling.is_some() && !self.traits.ceiling_declared);
        self.page.level == Level::Exact || (self.passed.len() == 1 && !hoax)
    }

    fn total(&self) -> Kept {
        let Some(total) = self.page.total else { return Ok(()) };
        let true_of = |state: &State| {
            if total.exact { state.len() as u64 == total.value } else { state.len() as u64 >= total.value }
        };
        require(self.passed.iter().any(true_of), "total", || {
            let sizes: Vec<usize> = self.passed.iter().map(|state| state.len()).collect();
            format!("{total:?}, where there were {sizes:?}")
        })
    }

    /// The neighbours and edges of a page are its own items, and `last` is the end.
    fn neighbours(&self) -> Kept {
        let Self { page, rows, .. } = self;
        let anchors = rows.first().zip(rows.last()).map(|(first, last)| (first.anchor.clone(), last.anchor.clone()));
        require(page.edges == anchors, "edges", || format!("{:?}, not {anchors:?}", page.edges))?;
        for target in [&page.next, &page.previous].into_iter().flatten() {
            self.aim_at(target)?;
        }
        let some = |state: &State| !state.is_empty();
        let last_known = page.total.is_some_and(|total| total.exact && total.value > 0);
        require(page.last.as_ref().is_none_or(|last| last.position == Position::End), "last", || {
            format!("{:?}", page.last)
        })?;
        require(page.last.is_some() == last_known, "last", || format!("{:?} with total {:?}", page.last, page.total))?;
        require(page.last.is_none() || self.passed.iter().any(some), "last", || "a last page of nothing".into())?;
        let counted = self.undisturbed && self.traits.family == Family::Offset && !self.traits.lags;
        if let (true, Some(first)) = (counted, rows.first()) {
            let truth = self.passed[0].partition_point(|row| row.place < first.place) as u64;
            require(page.offset == truth, "offset", || format!("{} instead of {truth}", page.offset))?;
            require(page.drift.unwrap_or(0) == 0, "drift", || format!("{:?} where nothing moved", page.drift))?;
        }
        Ok(())
    }
}

/// Whether a row with these keys and this id is there.
pub(crate) fn holds(state: &State, place: Place) -> bool {
    state.binary_search_by(|row| row.place.cmp(&place)).is_ok()
}
