//! The promises of every page, asserted against the true contents of the upstream.
//!
//! A row *stayed* if it was there, with the same keys, in every state that the upstream showed. Two rows with the same
//! place are the same row, so places are compared.
//!
//! The name of a promise begins with the number of the guarantee of `cursorgate_core::pagination` that it checks:
//!
//! - G1, none skipped: `completeness` for a page, [`Leg::finish`](crate::keyed::leg::Leg::finish) for a walk;
//! - G2, none repeated: `no_id_twice` in a page, [`Leg::take`](crate::keyed::leg::Leg::take) between pages;
//! - G3, in order: `order`, and "G3 mirror", that the page before the next page is the page itself (`style`);
//! - G4, progress: "G4 strictly on", that a page begins after its anchor, and "G4 ends", that a walk ends;
//! - G5, verbatim: [`rows_of`];
//! - G6, honest: `flagged` and `proof`, that a page has the level that it claims.
//!
//! The other promises follow from these or belong to the contract with clients: "ends" (a page links to more pages
//! exactly if there are more items: part of G1 and G6), "fullness", "total", "edges", "last", "offset" and "drift",
//! "nearest" (the place that a refusal names), "requests", "cost" and "search bound", "profile", "dialect" (the core
//! sends only requests that the dialect allows), and "founded" (the core's own checker derives the claim).
//!
//! A page of level `checked` may be wrong if its own answers contradict one another without a sign. In worlds whose
//! single answers deceive, an `exact` page may be wrong too (docs/guarantees.md, "Limits" and "Levels").
//! [`Exchange::is_certain`] and `is_beyond_knowing` define these two exceptions. Such pages are counted, and `bounds`
//! bounds their number.

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
    cost,
    row::{Place, Row, Shape, TieOrder},
    traits::{Counts, Echoes, Past, Says, Sticky, Traits},
    upstream::{Showing, differ},
    values::Look,
    world::State,
};

/// A broken promise.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// The name of the promise, as in the documentation of this module.
    pub(crate) promise: &'static str,
    /// The evidence, for a person who reads the story of the walk.
    pub(crate) what: String,
}

pub(crate) type Kept = Result<(), Violation>;

pub(crate) fn require(kept: bool, promise: &'static str, what: impl FnOnce() -> String) -> Kept {
    if kept { Ok(()) } else { Err(Violation { promise, what: what() }) }
}

/// A page that was served, with its request, its answers and the truth about both.
pub(crate) struct Exchange<'a> {
    pub(crate) aim: &'a Aim,
    /// The true place at which the page begins.
    pub(crate) bound: Bound,
    pub(crate) limit: u32,
    pub(crate) client: &'a Client,
    /// The gateway's upstream profile when the page was requested.
    pub(crate) before: UpstreamProfile,
    pub(crate) page: &'a Page,
    /// The rows of the page's items.
    pub(crate) rows: &'a [Rc<Row>],
    /// The true content of each answer that the page was made of.
    pub(crate) shown: &'a [Showing],
    /// The states of the list from the request to the page, the first state first, and older states that answers
    /// showed.
    pub(crate) passed: &'a [State],
    /// The number of answers that the core was given.
    pub(crate) answers: u32,
    /// True if the list did not change while the page was made.
    pub(crate) still: bool,
    /// True if the list has not changed since the walk began, and the hint is reliable (`Aim::hinted`).
    pub(crate) undisturbed: bool,
    /// True if the core's checker derives the page's claim from its answers.
    pub(crate) founded: bool,
    pub(crate) traits: &'a Traits,
    pub(crate) shape: &'a Shape,
}

/// Returns the rows that the items of a page were written from.
///
/// # Errors
///
/// Returns a violation of G5 if an item's bytes are not those of a row that the upstream sent.
pub(crate) fn rows_of(page: &Page, registry: &[Rc<Row>]) -> Result<Vec<Rc<Row>>, Violation> {
    let row = |index| {
        let item = page.item(index);
        let row = Row::serial_in(item).and_then(|serial| registry.get(serial as usize));
        row.filter(|row| row.bytes == item).cloned().ok_or_else(|| Violation {
            promise: "G5 verbatim",
            what: format!("item {index} is not a row: {}", String::from_utf8_lossy(item)),
        })
    };
    (0..page.items.len()).map(row).collect()
}

impl Exchange<'_> {
    /// Checks the promises that hold for each page by itself. `Leg` checks the promises of a whole walk.
    pub(crate) fn keeps_promises(&self) -> Kept {
        // These two promises hold for flagged pages too.
        self.counts()?;
        self.no_id_twice()?;
        if self.page.unproven.is_some() || self.page.level() == Level::Positional {
            return self.flagged();
        }
        if self.page.level() == Level::Anchored {
            // Answers contradicted an order whose type was left to the core, so the list is read by marks. The families
            // `misdeclared` and `anchored` check the promises of such pages.
            let by_marks = matches!(self.aim.target.position, Position::AfterMarks(_) | Position::BeforeMarks(_));
            // If one of two replicas lags, their answers contradict each other, like the answers of a list that is out
            // of order.
            let replicas = self.traits.lags() && (by_marks || differ(self.shown));
            let caused = (by_marks || self.page.notes.lowered.is_some()) && (replicas || self.is_contradicted());
            return require(caused, "G6 level", || "read by marks without a cause".into());
        }
        self.fullness()?;
        if !self.is_beyond_knowing() {
            self.shows_what_it_says()?;
        }
        self.totals()?;
        self.neighbours()?;
        self.cost()
    }

    /// Checks the claims that a proven page makes: its order, its level, its ends, and that no row was skipped.
    fn shows_what_it_says(&self) -> Kept {
        self.order()?;
        self.proof()?;
        if self.is_certain() {
            self.ends()?;
            self.completeness()?;
        }
        Ok(())
    }

    /// Returns whether a false claim of the page is excused. It is excused if the upstream can leave out or misplace
    /// rows without a sign in its answers (`Traits::answers_deceive`), and the core's checker derives the claim from
    /// these answers. No core could have noticed the fault. A wrong page whose claim the checker can't derive is still
    /// a violation. Excused pages at `exact` end their walk and are counted; `Bounds::deceived_at_exact` bounds them.
    ///
    /// The guarantees exclude such upstreams: single answers must be honest (docs/guarantees.md, "Limits"). Examples:
    ///
    /// - an upstream that cuts answers by bytes or time also cuts the two answers that confirm an end, like the short
    ///   answer before them;
    /// - a gap between two answers contains only hidden rows;
    /// - a filter that reads values in its own way leaves out rows that look like rows that it lets through;
    /// - a row that is pinned to the head is out of order by an opaque key, which can't be compared.
    fn is_beyond_knowing(&self) -> bool {
        self.founded && self.traits.answers_deceive()
    }

    /// Returns whether the page claims `exact`, is excused, and is wrong.
    pub(crate) fn is_deceived_at_exact(&self) -> bool {
        let proven = self.page.level() == Level::Exact && self.page.unproven.is_none();
        proven && self.is_beyond_knowing() && self.shows_what_it_says().is_err()
    }

    /// Checks the numbers that a page reports, and the upstream profile that it hands on.
    fn counts(&self) -> Kept {
        let Self { page, .. } = self;
        require(!self.shown.is_empty(), "G6 proof", || "a page without an answer".into())?;
        require(page.notes.requests == self.answers, "requests", || {
            format!("says {} requests, made {}", page.notes.requests, self.answers)
        })?;
        require(page.items.len() <= self.limit as usize, "fullness", || format!("{} items", page.items.len()))?;
        let profile = page.notes.profile;
        let (before, now) = (self.aim.target.hint.honoured, page.notes.honoured);
        // An honoured size is evidence of ends (`proof`, "Ends"), so it may grow only to a size that an answer
        // has filled, from which it may fall again.
        let filled = now <= before || self.shown.iter().any(|showing| showing.items >= now);
        require(filled, "profile", || format!("honoured was {before}, and no answer had as many as now: {now}"))?;
        // A learnt cap may be too small, which costs requests until the next first page. It must not be larger than any
        // answer, because each page would then request too much.
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

    /// Checks a page that isn't proven (level `positional`). Only three promises apply: the route or the client allows
    /// such pages, the page's flag names a true cause, and items of one answer keep their sequence or are sorted.
    fn flagged(&self) -> Kept {
        let Self { page, rows, client, .. } = self;
        let positional = page.level() == Level::Positional;
        require(positional, "G6 level", || format!("unproven ({:?}) but {:?}", page.unproven, page.level()))?;
        let chosen = client.verify != Verify::Always || client.unproven == WhenUnproven::Flag;
        // A client that requests an offset gets that offset on every route.
        let by_offset = matches!(self.aim.target.position, Position::At(offset) if offset.0 > 0);
        require(chosen || by_offset, "G6 level", || "not proven, though the route refuses that".into())?;
        let honest = match page.unproven {
            None | Some(Unproven::Position) => true,
            Some(Unproven::Order) => self.is_contradicted() || (self.traits.lags() && differ(self.shown)),
            Some(Unproven::TieRun) => !self.shape.is_orderly(),
            Some(Unproven::Pivot) => client.seeks,
            // With `when-cheap`, a short answer is taken for the end without a request that confirms it.
            Some(Unproven::Seam) => client.verify == Verify::WhenCheap,
        };
        require(honest, "G6 level", || format!("{:?}, where there is no cause", page.unproven))?;
        let one_by_one = page.items.windows(2).zip(rows.windows(2)).all(|(places, rows)| {
            let (left, right) = (places[0], places[1]);
            left.answer != right.answer || left.item < right.item || rows[0].place < rows[1].place
        });
        require(one_by_one, "G3 order", || format!("neither as shown nor in order: {:?}", page.items))
    }

    /// Returns whether answers may contradict the declared order or the uniqueness of ids, or lack a key: the dialect
    /// lies, rows are pinned to the head or lack keys, or two rows have one id.
    pub(crate) fn is_contradicted(&self) -> bool {
        let twins = |state: &State| {
            let mut ids: Vec<u32> = state.raw().iter().map(|row| row.plan.id).collect();
            ids.sort_unstable();
            ids.windows(2).any(|pair| pair[0] == pair[1])
        };
        let pinned = matches!(self.traits.sticky, Sticky::Pinned(_) | Sticky::OnTop(_));
        self.traits.lie.is_some()
            || pinned
            || self.shows_spoilt()
            || self.shown.iter().any(|showing| twins(&showing.state))
    }

    /// Returns whether a state shown has a row whose first key is missing or can't be compared.
    pub(crate) fn shows_spoilt(&self) -> bool {
        let is_spoilt = |state: &State| state.raw().iter().any(|row| row.plan.spoilt.is_some());
        self.shown.iter().any(|showing| is_spoilt(&showing.state))
    }

    /// Checks that a page has as many items as were requested, unless it touches the end in the direction of reading,
    /// or is marked as cut short on a route that serves short pages.
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

    /// Checks that the page's items ascend strictly in the declared order, and lie beyond the anchor.
    fn order(&self) -> Kept {
        let rows = self.rows;
        for pair in rows.windows(2) {
            let in_order = pair[0].place < pair[1].place || self.met_by_cancelling(pair[0].place, pair[1].place);
            require(in_order, "G3 order", || format!("{} before {}", pair[0], pair[1]))?;
        }
        // If each answer showed at most one row, no order is contradicted, whatever the type of its key, unless one is
        // declared.
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

    /// Returns whether two rows in the wrong sequence are excused. All of these conditions must hold:
    ///
    /// - the page is not certain: it is `checked`, and its answers saw different states or may deceive;
    /// - no answer showed both rows, so no answer shows their sequence;
    /// - their keys before the opaque one are equal, so only a comparison that the core can't make distinguishes them.
    ///
    /// A row may then have moved between two answers, and back before one of them was read again. `checked` allows such
    /// changes, which cancel out (docs/guarantees.md, "Levels"). Keys that can be compared must be in order.
    pub(crate) fn met_by_cancelling(&self, left: Place, right: Place) -> bool {
        let together = |showing: &Showing| {
            let spans = |(least, greatest)| [left, right].iter().all(|place| (least..=greatest).contains(place));
            showing.places.is_some_and(spans) && showing.state.holds(left) && showing.state.holds(right)
        };
        // An opaque key is always the last strong one (`draw::shape`).
        let opaque = self.shape.strong.iter().position(|column| column.look == Look::Opaque);
        let alone = opaque.is_some_and(|keys| left[..keys] == right[..keys]);
        alone && !self.is_certain() && !self.shown.iter().any(together)
    }

    /// Returns whether a page that is not certain loses a row, or makes a false claim about its ends. The level
    /// `checked` allows that; `Bounds::mistaken` and `Bounds::deceived` bound the number of such pages.
    pub(crate) fn is_mistaken(&self) -> bool {
        !self.is_certain() && (self.ends().is_err() || self.completeness().is_err())
    }

    /// Returns whether the page must keep G1 and must state its ends correctly, without exception. An `exact` page
    /// always must. A page of level `checked` rests on two readings that agree. It must too, unless the readings can
    /// agree by chance:
    ///
    /// - its answers saw different states that differ by more than one row that came or went: two changes can cancel
    ///   out, one can't;
    /// - an answer claimed falsely to be past the end (`hoax`);
    /// - one of the readings is a count of another moment than the slice;
    /// - ties are shuffled between answers that hide rows, so one item may be hidden in both;
    /// - the upstream does not behave as its dialect declares, and its answers don't show that (`Traits::deceives`).
    pub(crate) fn is_certain(&self) -> bool {
        let first = &self.shown[0].state;
        let one_state = self.shown.iter().all(|showing| Rc::ptr_eq(&showing.state, first));
        let hoax = self.shown.iter().any(|showing| showing.hoax);
        // Shuffled ties change the list with each query: the hidden places of a run may hide the same item in every
        // answer.
        let reshuffled = self.traits.hidden > 0
            && !self.shape.is_orderly()
            && (self.traits.reorders || self.shape.ties == TieOrder::Shuffled);
        // The comparison of rows takes quadratic time, so the lengths are compared first.
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

    /// Checks that the total was true in some state during the request, and is reported as the route's setting
    /// requires.
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
        // Upstreams may count hidden rows or not, and a wrong count of the upstream is passed on unchanged.
        let off = |length: usize| length.saturating_add_signed(self.traits.off as isize);
        let held = |state: &State| {
            [state.rows().len(), state.raw().len()].into_iter().any(|length| true_of(length) || true_of(off(length)))
        };
        require(self.passed.iter().any(held), "total", || {
            let sizes: Vec<usize> = self.passed.iter().map(|state| state.raw().len()).collect();
            format!("{total:?}, where there were {sizes:?}")
        })
    }

    /// Checks the targets beside the page: the edges and neighbours are its own items, `last` is the end, and the
    /// offset and the drift are true where answers show them.
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
        // If the dialect declares a depth, the core may be unable to reach the end, so no link to it is required.
        let reached = self.traits.ceiling.is_none_or(|ceiling| !ceiling.declared);
        require(page.last.is_some() || rows.is_empty() || !(known && counts && reached), "last", || {
            format!("none with total {:?}", page.total)
        })?;
        require(page.last.is_none() || self.passed.iter().any(some), "last", || "a last page of nothing".into())?;
        // A filtered answer does not show its offset in the whole list, and offsets also count hidden rows.
        let plain = self.shown.iter().all(|showing| showing.plain) && self.traits.hidden == 0;
        let counted = self.undisturbed && self.traits.family == Family::Offset && !self.traits.lags() && plain;
        // If the upstream repeats its last page past the end, the offset at which an answer begins is unknown.
        let counted = counted && self.traits.past != Past::Repeat && !self.traits.deceives();
        // A false status may have hidden rows of a run that come before the rows shown.
        let counted = counted && !self.shown.iter().any(|showing| showing.hoax);
        let honest = !matches!(self.traits.echoes, Echoes::Nonsense | Echoes::Asked);
        if let (true, true, Some(first)) = (counted, honest || self.answers == 1, rows.first()) {
            let truth = self.passed[0].count_before(first.place) as u64;
            let echoed = self.traits.echoes == Echoes::Nonsense;
            require(echoed || page.offset == truth, "offset", || format!("{} instead of {truth}", page.offset))?;
            // A cursor without its hint leads to pages whose hints name another place, and so do later pages by
            // filters. Such a page reports its distance from that hint. See
            // `regressions/a-page-after-a-cursor-without-its-hint.txt`.
            let distance = cost::drift(self.traits, self.aim, self.bound, &self.passed[0]);
            let is_true = page.notes.drift.is_none_or(|drift| drift == 0 || drift.unsigned_abs() == distance);
            require(echoed || is_true, "drift", || {
                format!("{:?} where nothing moved, and the hint is {distance} off", page.notes.drift)
            })?;
        }
        Ok(())
    }

    /// Returns the last place of the page in the order. An empty page after an anchor has the anchor's place; other
    /// empty pages have `None`.
    pub(crate) fn upper(&self) -> Option<Place> {
        match (self.rows.last(), self.bound) {
            (Some(row), _) => Some(row.place),
            (None, Bound::After(anchor)) => Some(anchor),
            (None, _) => None,
        }
    }

    /// Returns the first place of the page in the order. An empty page before an anchor has the anchor's place; other
    /// empty pages have `None`.
    pub(crate) fn lower(&self) -> Option<Place> {
        match (self.rows.first(), self.bound) {
            (Some(row), _) => Some(row.place),
            (None, Bound::Before(anchor)) => Some(anchor),
            (None, _) => None,
        }
    }

    /// Returns the rows strictly between two places that stayed: every state that an answer of this request showed has
    /// them.
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
