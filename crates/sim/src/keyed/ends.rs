//! G1 of a page, "none skipped", and the promise "ends": a page links to another page exactly if there are items in
//! that direction.
//!
//! A false end loses all items after it (G1). A link to a page without items does less harm: it costs one request. A
//! claim that proves no end suffices for a link (`proof`, "Ends"). So all exceptions here concern superfluous
//! links.

use std::rc::Rc;

use cursorgate_core::pagination::resolver::{ShortPages, Totals};

use crate::keyed::{
    aim::Bound,
    promises::{Exchange, Kept, Violation, require},
    row::Row,
    traits::{Counts, Echoes, Past, Says},
    world::State,
};

impl Exchange<'_> {
    /// Checks that the page links to a page in each direction exactly if there are items in that direction.
    pub(crate) fn ends(&self) -> Kept {
        let Self { page, rows, .. } = self;
        let forward = self.bound.is_forward();
        let (ahead, back) = if forward { (&page.next, &page.previous) } else { (&page.previous, &page.next) };
        require(!matches!(self.bound, Bound::Start) || page.previous.is_none(), "ends", || {
            "before the first page".into()
        })?;
        require(!matches!(self.bound, Bound::End) || page.next.is_none(), "ends", || "after the last page".into())?;
        let (upper, lower) = (self.upper(), self.lower());
        // If two rows have one id, a page delivers only one of them: such an upstream breaks the contract
        // (docs/guarantees.md, "Limits"). The other row may count as an item in that direction (`any`) or not.
        let counts = |row: &Rc<Row>, any: bool| any || rows.iter().all(|own| own.plan.id != row.plan.id);
        let exists_after = |state: &State, any: bool| {
            let past = upper.map_or(0, |last| state.rows().partition_point(|row| row.place <= last));
            state.rows()[past..].iter().any(|row| counts(row, any))
        };
        let exists_before = |state: &State, any: bool| {
            let before = lower.map_or_else(|| state.rows().len(), |first| state.count_before(first));
            state.rows()[..before].iter().any(|row| counts(row, any))
        };
        let exists_ahead =
            |state: &State, any: bool| if forward { exists_after(state, any) } else { exists_before(state, any) };
        let exists_back =
            |state: &State, any: bool| if forward { exists_before(state, any) } else { exists_after(state, any) };
        // Three kinds of pages can't know what follows: pages that spent their budget, pages whose answers misstate
        // where they begin, and pages of lists with hidden rows, whose answers may end with nothing but hidden rows.
        let spent = self.is_spent() || self.traits.echoes == Echoes::Nonsense || self.traits.hidden > 0;
        // A count may promise more than any answer shows, if it is made at another moment than the slice or is always
        // too high. Counts never end a list, but they suffice for a link to another page.
        let spoken = (!self.still && self.traits.counts != Counts::Together) || self.traits.off > 0;
        // An upstream may repeat its last page past the end. Without a total no answer shows where the repeated page
        // begins, so more items seem to follow a full page. If the repetition is also undeclared, a walk back from the
        // repeated page seems to have pages before it.
        let counted = self.traits.total == Says::Exactly && self.still && self.traits.repeats;
        let unsaid = self.traits.past == Past::Repeat && !counted && !forward;
        let told = self.traits.off > 0 && ahead.is_some();
        let again = told || ((self.traits.repeats && self.traits.total == Says::Nothing) || unsaid) && ahead.is_some();
        let excused = spent || spoken || again;
        require(
            ahead.is_none() || excused || self.passed.iter().any(|state| exists_ahead(state, true)),
            "ends",
            || "more is promised where there never was any".into(),
        )?;
        // An empty page at an offset past the end links back to the list, even if a row was there for a moment.
        if self.still && !spent && !(rows.is_empty() && matches!(self.bound, Bound::At(_))) {
            let state = &self.passed[0];
            let (least, most) = (exists_ahead(state, false), exists_ahead(state, true));
            require(ahead.is_some() == least || ahead.is_some() == most || again, "ends", || {
                format!("ahead {ahead:?}, in truth {most}")
            })?;
            // A filtered answer shows no item before its beginning. The page still links back, because the item of the
            // cursor was there once.
            let seen = self.shown.iter().all(|showing| showing.plain);
            let exists = exists_back(state, true);
            let right = back.is_some() == exists || back.is_some() == exists_back(state, false);
            require(right || (back.is_some() && !seen), "ends", || format!("back {back:?}, in truth {exists}"))?;
        }
        Ok(())
    }

    /// Returns whether the budget may have cut the page short. Such a page can't know what follows. One request of the
    /// budget may be reserved for the count.
    pub(crate) fn is_spent(&self) -> bool {
        let counts = u32::from(self.client.totals == Totals::Count);
        self.client.short_pages == ShortPages::Serve && self.answers + counts >= self.client.budget
    }

    /// Checks that the page has every row that stayed between the bound and the far end of the page. Also checks that
    /// no row stayed beyond an end of the list that the page claims to touch.
    pub(crate) fn completeness(&self) -> Kept {
        let (rows, page) = (self.rows, self.page);
        let forward = self.bound.is_forward();
        // The page must have all rows between the places `low` and `high`, both exclusive. `None` is the end of the
        // list.
        let low = match self.bound {
            Bound::After(anchor) => Some(anchor),
            Bound::At(_) if rows.is_empty() => return Ok(()),
            Bound::At(_) => rows.first().map(|row| row.place),
            Bound::Start => None,
            Bound::End | Bound::Before(_) if page.previous.is_none() => None,
            Bound::End | Bound::Before(_) => rows.first().map(|row| row.place),
        };
        let high = match self.bound {
            Bound::Before(anchor) => Some(anchor),
            Bound::End => None,
            _ if page.next.is_none() => None,
            _ => rows.last().map(|row| row.place),
        };
        let delivered = |row: &Rc<Row>| {
            rows.binary_search_by(|own| own.place.cmp(&row.place)).is_ok()
                || rows.iter().any(|own| own.plan.id == row.plan.id)
        };
        // Where rows are left out, and a silent cap moves pages by number, items may follow a marked end. Regression:
        // `an-item-beyond-pages-that-a-cap-moves`.
        let is_given_up = page.doubted_end.is_some() && self.traits.hidden > 0 && self.traits.caps_pages_in_silence();
        let reached = rows.last().map(|row| row.place).filter(|_| is_given_up && forward);
        let is_excused = |row: &Rc<Row>| reached.is_some_and(|reached| row.place > reached);
        if let Some(row) = self.stayed(low, high).find(|row| !delivered(row) && !is_excused(row)) {
            let ended = if forward { page.next.is_none() } else { page.previous.is_none() };
            return Err(Violation {
                promise: "G1 none skipped",
                what: format!("{row} (the page says it ends the list: {ended})"),
            });
        }
        let back = if forward { &page.previous } else { &page.next };
        if back.is_none() && !matches!(self.bound, Bound::At(_)) {
            let edge = if forward { self.lower().or(low) } else { self.upper().or(high) };
            let (after, before) = if forward { (None, edge) } else { (edge, None) };
            if let Some(row) = edge.and_then(|_| self.stayed(after, before).find(|row| !delivered(row))) {
                return Err(Violation { promise: "ends", what: format!("no way back to {row}") });
            }
        }
        Ok(())
    }
}
