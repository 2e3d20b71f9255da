//! The promises of every page, asserted against the true contents of the upstream.
//!
//! A row *stayed* if it was there, with the same keys, in every state that the upstream showed. Two rows with the same
//! place are the same row, so places are compared.

use std::rc::Rc;

use cursorgate_core::pagination::{
    page::{Level, Page, Unproven},
    paging::{Family, UpstreamProfile},
    position::{Item, Position},
    resolver::{Totals, Verify, WhenUnproven},
};

use crate::keyed::{
    aim::{Aim, Bound},
    client::Client,
    row::{Place, Row, Shape, TieOrder},
    traits::{Counts, Echoes, Past, Says, Sticky, Traits},
    upstream::{Showing, differ},
    values::Look,
    world::State,
};

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// The promise, in a word or two.
    pub(crate) promise: &'static str,
    pub(crate) what: String,
}

pub(crate) type Kept = Result<(), Violation>;

pub(crate) fn require(kept: bool, promise: &'static str, what: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(Violation { promise, what: what() }) }
}

/// A client request that was served, with all that is known of it.
pub(crate) struct Exchange<'a> {
    pub(crate) aim: &'a Aim,
    /// The place at which the page begins.
    pub(crate) bound: Bound,
    pub(crate) limit: u32,
    pub(crate) client: &'a Client,
    pub(crate) before: UpstreamProfile,
    pub(crate) page: &'a Page,
    /// The rows of the page's items.
    pub(crate) rows: &'a [Rc<Row>],
    pub(crate) shown: &'a [Showing],
    pub(crate) passed: &'a [State],
    /// The number of answers that the core was given.
    pub(crate) answers: u32,
    /// The list did not change while it was asked for.
    pub(crate) still: bool,
    /// The list has not changed since the walk began, and the hint came with the page before.
    pub(crate) undisturbed: bool,
    /// The checker follows the page's claim from its answers.
    pub(crate) founded: bool,
    pub(crate) traits: &'a Traits,
    pub(crate) shape: &'a Shape,
}

/// Finds the rows that the items of a page were written from.
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
    /// Checks the promises that hold for any page by itself.
    pub(crate) fn keeps_promises(&self) -> Kept {
        self.counts()?;
        self.no_id_twice()?;
        if self.page.unproven.is_some() || self.page.level() == Level::Positional {
            return self.flagged();
        }
        if self.page.level() == Level::Anchored {
            // Answers contradict the order, which was not even declared to be one of texts: the list is read by marks,
            // which `misdeclared` and `anchored` walk through.
            let lowered =
                self.page.notes.lowered.is_some() || matches!(self.aim.target.position, Position::AfterMarks(_));
            return require(lowered && self.is_contradicted(), "G6 level", || "read by marks without a cause".into());
        }
        self.fullness()?;
        if !self.is_beyond_knowing() {
            self.shows_what_it_says()?;
        }
        self.totals()?;
        self.neighbours()?;
        self.cost()
    }

    /// Checks that proven claims are true, in order, and that no row was skipped.
    fn shows_what_it_says(&self) -> Kept {
        self.order()?;
        self.proof()?;
        if self.is_certain() {
            self.ends()?;
            self.completeness()?;
        }
        Ok(())
    }

    /// Returns whether no answer of the page can show that its claim is false: single answers deceive in this world,
    /// and the checker follows the page's claim from them. Such pages are counted, and their number has a bound.
    ///
    /// The two answers that confirm an end can be cut like the short one before them; a gap between them may hold only
    /// hidden rows; a filter that reads values in its own way leaves out rows that look like those it shows; and a row
    /// that is pinned to the head is out of order by an opaque key, which can't be compared.
    fn is_beyond_knowing(&self) -> bool {
        self.founded && self.traits.answers_deceive()
    }

    /// Returns whether such a page claims `exact` and is not.
    pub(crate) fn is_deceived_at_exact(&self) -> bool {
        let proven = self.page.level() == Level::Exact && self.page.unproven.is_none();
        proven && self.is_beyond_knowing() && self.shows_what_it_says().is_err()
    }

    fn counts(&self) -> Kept {
        let Self { page, .. } = self;
        require(!self.shown.is_empty(), "G6 proof", || "a page without an answer".into())?;
        require(page.notes.requests == self.answers, "requests", || {
            format!("says {} requests, made {}", page.notes.requests, self.answers)
        })?;
        require(page.items.len() <= self.limit as usize, "fullness", || format!("{} items", page.items.len()))?;
        let profile = page.notes.profile;
        let (before, now) = (self.aim.target.hint.honoured, page.notes.honoured);
        let filled = now <= before || self.shown.iter().any(|showing| showing.items == now);
        require(filled, "profile", || format!("honoured was {before}, and no answer had as many as now: {now}"))?;
        // A cap is a suspicion: a false one costs requests until the next first page, and must never be larger.
        let most = self.traits.greatest_cap() + self.traits.surplus + self.traits.sticky.count();
        let told = self.traits.echoes != Echoes::Nonsense;
        require(!(self.undisturbed && told) || profile.cap.is_none_or(|cap| cap <= most), "profile", || {
            format!("{profile:?}, where the cap is {most}")
        })
    }

    fn no_id_twice(&self) -> Kept {
        let mut ids: Vec<u32> = self.rows.iter().map(|row| row.plan.id).collect();
        ids.sort_unstable();
        require(ids.windows(2).all(|pair| pair[0] != pair[1]), "G2 once", || format!("an id twice in a page: {ids:?}"))
    }

    /// Checks a page that is not proven: it has its reason, and its items are those of one list, as the list shows
    /// them.
    fn flagged(&self) -> Kept {
        let Self { page, rows, client, .. } = self;
        let positional = page.level() == Level::Positional;
        require(positional, "G6 level", || format!("unproven ({:?}) but {:?}", page.unproven, page.level()))?;
        let chosen = client.verify != Verify::Always || client.unproven == WhenUnproven::Flag;
        let by_offset = matches!(self.aim.target.position, Position::At(offset) if offset.0 > 0);
        require(chosen || by_offset, "G6 level", || "not proven, though the route refuses that".into())?;
        let honest = match page.unproven {
            None | Some(Unproven::Position) => true,
            Some(Unproven::Order) => self.is_contradicted() || (self.traits.lags() && differ(self.shown)),
            Some(Unproven::TieRun) => !self.shape.is_orderly(),
            Some(Unproven::Pivot) => client.seeks,
            Some(Unproven::Seam) => client.verify == Verify::WhenCheap,
        };
        require(honest, "G6 level", || format!("{:?}, where there is no cause", page.unproven))?;
        let one_by_one = page.items.windows(2).zip(rows.windows(2)).all(|(places, rows)| {
            let (left, right) = (places[0], places[1]);
            left.answer != right.answer || left.item < right.item || rows[0].place < rows[1].place
        });
        require(one_by_one, "G3 order", || format!("neither as shown nor in order: {:?}", page.items))
    }

    /// Returns whether the answers contradict the declared order, or lack its keys.
    pub(crate) fn is_contradicted(&self) -> bool {
        let twins = |state: &State| {
            let mut ids: Vec<u32> = state.raw().iter().map(|row| row.plan.id).collect();
            ids.sort_unstable();
            ids.windows(2).any(|pair| pair[0] == pair[1])
        };
        let pinned = matches!(self.traits.sticky, Sticky::Pinned(_));
        self.traits.lie.is_some()
            || pinned
            || self.shows_spoilt()
            || self.shown.iter().any(|showing| twins(&showing.state))
    }

    /// Returns whether the list has a row that lacks a key, or has one of another kind.
    pub(crate) fn shows_spoilt(&self) -> bool {
        let is_spoilt = |state: &State| state.raw().iter().any(|row| row.plan.spoilt.is_some());
        self.shown.iter().any(|showing| is_spoilt(&showing.state))
    }

    /// Checks that a page has as many items as were asked for, unless it touches the end in the direction it was read.
    fn fullness(&self) -> Kept {
        let Self { page, rows, .. } = self;
        let ahead = if self.bound.is_forward() { &page.next } else { &page.previous };
        let served_short = self.client.short_pages == cursorgate_core::pagination::resolver::ShortPages::Serve;
        if page.short {
            let fair = served_short && !rows.is_empty() && rows.len() < self.limit as usize && ahead.is_some();
            return require(fair, "fullness", || format!("cut short to {} items", rows.len()));
        }
        require(rows.len() == self.limit as usize || ahead.is_none(), "fullness", || {
            format!("{} of {} items, more is promised: {}", rows.len(), self.limit, ahead.is_some())
        })
    }

    fn order(&self) -> Kept {
        let rows = self.rows;
        for pair in rows.windows(2) {
            let in_order = pair[0].place < pair[1].place || self.met_by_cancelling(pair[0].place, pair[1].place);
            require(in_order, "G3 order", || format!("{} before {}", pair[0], pair[1]))?;
        }
        // A row that is alone in all that was seen contradicts no order, unless its type is declared.
        let alone = self.bound.place().is_none() && self.shown.iter().all(|showing| showing.items <= 1);
        let sound = |row: &Row| row.plan.spoilt.is_none() || (alone && row.is_sound_alone(self.shape));
        let spoilt = rows.iter().find(|row| !sound(row));
        require(spoilt.is_none(), "G6 proof", || format!("proven with an item that can't be compared: {spoilt:?}"))?;
        let beyond = match self.bound {
            Bound::After(anchor) => {
                rows.first().is_none_or(|row| row.place > anchor || self.met_by_cancelling(anchor, row.place))
            }
            Bound::Before(anchor) => {
                rows.last().is_none_or(|row| row.place < anchor || self.met_by_cancelling(row.place, anchor))
            }
            Bound::Start | Bound::End | Bound::At(_) => true,
        };
        require(beyond, "G4 strictly on", || format!("{} .. of {:?}", rows[0], self.bound))
    }

    /// Returns whether two places whose rows no answer showed together are side by side by their opaque keys alone, for
    /// a page that is `checked`: a row that moved between two answers moved back before one was read again, which that
    /// level leaves open (DESIGN 7), and the order of opaque keys is unknown. Keys that can be compared are held to
    /// their order all the same.
    pub(crate) fn met_by_cancelling(&self, left: Place, right: Place) -> bool {
        let together = |showing: &Showing| {
            let spans = |(least, greatest)| [left, right].iter().all(|place| (least..=greatest).contains(place));
            showing.places.is_some_and(spans) && showing.state.holds(left) && showing.state.holds(right)
        };
        // An opaque key is the last strong one.
        let opaque = self.shape.strong.iter().position(|column| column.look == Look::Opaque);
        let alone = opaque.is_some_and(|keys| left[..keys] == right[..keys]);
        alone && !self.is_certain() && !self.shown.iter().any(together)
    }

    /// Returns whether a page that is not certain loses a row, or makes a false claim of its ends, against which
    /// `checked` gives no promise.
    pub(crate) fn is_mistaken(&self) -> bool {
        !self.is_certain() && (self.ends().is_err() || self.completeness().is_err())
    }

    /// Returns whether a page is held to all its claims. A page that was checked in two readings may be wrong if its
    /// own answers saw different states, and a single row that came or went is not enough to deceive both; or if one
    /// reading is a count of another time; or after a past-the-end status that was not true.
    pub(crate) fn is_certain(&self) -> bool {
        let first = &self.shown[0].state;
        let one_state = self.shown.iter().all(|showing| Rc::ptr_eq(&showing.state, first));
        let hoax = self.shown.iter().any(|showing| showing.hoax);
        // Ties that come in another order with each query are a change to the list: hidden places of a run may hide the
        // same item in every answer.
        let reshuffled = self.traits.hidden > 0
            && !self.shape.is_orderly()
            && (self.traits.reorders || self.shape.ties == TieOrder::Shuffled);
        let one_change = self.passed.len() == 2
            && !self.traits.lags()
            && self.passed[0].raw().len().abs_diff(self.passed[1].raw().len()) == 1
            && {
                let (one, other) = (&self.passed[0], &self.passed[1]);
                let moved = |from: &State, to: &State| {
                    from.raw().iter().filter(|row| !to.raw().iter().any(|same| Rc::ptr_eq(row, same))).count()
                };
                moved(one, other) + moved(other, one) == 1
            };
        let counts_now = self.traits.counts == Counts::Together || self.traits.total == Says::Nothing;
        let overtaken = !counts_now && self.passed.len() > 1;
        let vouched = !hoax && !reshuffled && !overtaken && !self.traits.deceives();
        self.page.level() == Level::Exact || ((one_state || one_change) && vouched)
    }

    /// Checks that the total was true, and is the one that the route wants told.
    fn totals(&self) -> Kept {
        let Self { page, client, .. } = self;
        if client.totals == Totals::Omit {
            return require(page.total.is_none(), "total", || format!("{:?}, which the route omits", page.total));
        }
        if client.totals == Totals::FirstPage
            && let told @ Some(_) = self.aim.first_total
        {
            return require(page.total == told, "total", || format!("{:?}, on the first page {told:?}", page.total));
        }
        let counted = client.totals != Totals::Count || page.total.is_some_and(|total| total.exact);
        require(counted, "total", || format!("{:?}, where it was to be counted", page.total))?;
        let Some(total) = page.total else { return Ok(()) };
        let true_of = |length: usize| {
            let length = length as u64;
            if total.exact { length == total.value } else { length >= total.value }
        };
        // Most upstreams count hidden rows too; and a wrong count is told as it comes.
        let off = |length: usize| length.saturating_add_signed(self.traits.off as isize);
        let held = |state: &State| {
            [state.rows().len(), state.raw().len()].into_iter().any(|length| true_of(length) || true_of(off(length)))
        };
        require(self.passed.iter().any(held), "total", || {
            let sizes: Vec<usize> = self.passed.iter().map(|state| state.raw().len()).collect();
            format!("{total:?}, where there were {sizes:?}")
        })
    }

    /// Checks that the neighbours and edges of a page are its own items, and `last` is the end.
    fn neighbours(&self) -> Kept {
        let Self { page, rows, .. } = self;
        let anchors = rows
            .first()
            .zip(rows.last())
            .map(|(first, last)| (Item::Keyed(first.anchor(self.shape)), Item::Keyed(last.anchor(self.shape))));
        require(page.edges == anchors, "edges", || format!("{:?}, not {anchors:?}", page.edges))?;
        for target in [&page.next, &page.previous].into_iter().flatten() {
            self.aim_at(target)?;
        }
        let some = |state: &State| !state.raw().is_empty();
        let known = page.total.is_some_and(|total| total.exact && total.value > 0);
        let from_end = page.last.as_ref().is_none_or(|last| last.position == Position::End);
        require(from_end, "last", || format!("{:?}", page.last))?;
        let counts = matches!(self.client.totals, Totals::Upstream) && self.traits.total == Says::Exactly;
        // If the end is deeper than the upstream is declared to answer, no link leads there.
        let reached = self.traits.ceiling.is_none_or(|ceiling| !ceiling.declared);
        require(page.last.is_some() || rows.is_empty() || !(known && counts && reached), "last", || {
            format!("none with total {:?}", page.total)
        })?;
        require(page.last.is_none() || self.passed.iter().any(some), "last", || "a last page of nothing".into())?;
        let plain = self.shown.iter().all(|showing| showing.plain) && self.traits.hidden == 0;
        let counted = self.undisturbed && self.traits.family == Family::Offset && !self.traits.lags() && plain;
        // If the end comes again without a sign, the beginning of an answer is unknown.
        let counted = counted && self.traits.past != Past::Repeat && !self.traits.deceives();
        // Rows of a run that a false status hides may come before those that are shown.
        let counted = counted && !self.shown.iter().any(|showing| showing.hoax);
        let honest = !matches!(self.traits.echoes, Echoes::Nonsense | Echoes::Asked);
        if let (true, true, Some(first)) = (counted, honest || self.answers == 1, rows.first()) {
            let truth = self.passed[0].count_before(first.place) as u64;
            let echoed = self.traits.echoes == Echoes::Nonsense;
            require(echoed || page.offset == truth, "offset", || format!("{} instead of {truth}", page.offset))?;
            require(echoed || page.notes.drift.unwrap_or(0) == 0, "drift", || {
                format!("{:?} where nothing moved", page.notes.drift)
            })?;
        }
        Ok(())
    }

    /// Returns the last place that the page answers for in the direction of the order; `None` at the end.
    pub(crate) fn upper(&self) -> Option<Place> {
        match (self.rows.last(), self.bound) {
            (Some(row), _) => Some(row.place),
            (None, Bound::After(anchor)) => Some(anchor),
            (None, _) => None,
        }
    }

    pub(crate) fn lower(&self) -> Option<Place> {
        match (self.rows.first(), self.bound) {
            (Some(row), _) => Some(row.place),
            (None, Bound::Before(anchor)) => Some(anchor),
            (None, _) => None,
        }
    }

    /// Returns the rows between two places that were in every state that an answer of this request showed.
    pub(crate) fn stayed(&self, after: Option<Place>, before: Option<Place>) -> impl Iterator<Item = &Rc<Row>> {
        let first = &self.shown[0].state;
        let from = after.map_or(0, |place| first.rows().partition_point(|row| row.place <= place));
        let to = before.map_or_else(|| first.rows().len(), |place| first.count_before(place)).max(from);
        let mut others: Vec<&State> = self.shown[1..].iter().map(|showing| &showing.state).collect();
        others.retain(|other| !Rc::ptr_eq(other, first));
        others.dedup_by(|left, right| Rc::ptr_eq(left, right));
        first.rows()[from..to].iter().filter(move |row| others.iter().all(|other| other.holds(row.place)))
    }
}
