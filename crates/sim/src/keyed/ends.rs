//! The promise that nothing is lost on a page, and that its ends are the list's.

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
    /// Checks that more items follow exactly where a page says so.
    pub(crate) fn ends(&self) -> Kept {
        let Self { page, rows, .. } = self;
        let forward = self.bound.is_forward();
        let (ahead, back) = if forward { (&page.next, &page.previous) } else { (&page.previous, &page.next) };
        require(!matches!(self.bound, Bound::Start) || page.previous.is_none(), "ends", || {
            "before the first page".into()
        })?;
        require(!matches!(self.bound, Bound::End) || page.next.is_none(), "ends", || "after the last page".into())?;
        let (upper, lower) = (self.upper(), self.lower());
        // A row whose id is there twice is delivered once: the upstream's fault, not ours. `any`: it counts all the same.
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
        // Nor does one whose answers say that they begin elsewhere than they do, or whose rows may all be hidden.
        let spent = self.is_spent() || self.traits.echoes == Echoes::Nonsense || self.traits.hidden > 0;
        // A count that is taken by another statement may know of what no answer shows.
        // So may a count that always says too much: what is no proof may say that there is more (DESIGN 7.1).
        let spoken = (!self.still && self.traits.counts != Counts::Together) || self.traits.off > 0;
        // Where the last page comes again and nothing is counted, nothing shows where it begins: a full page promises more.
        // Where nobody even says that it comes again, and no total of one state where it ends, a page that was asked for at a
        // later offset seems to have others before it: what is no proof may say that there is more (DESIGN 7.1).
        let counted = self.traits.total == Says::Exactly && self.still;
        let unsaid = self.traits.past == Past::Repeat && !counted && !forward;
        let told = self.traits.off > 0 && ahead.is_some();
        let again = told || ((self.traits.repeats && self.traits.total == Says::Nothing) || unsaid) && ahead.is_some();
        let excused = spent || spoken || again;
        require(
            ahead.is_none() || excused || self.passed.iter().any(|state| exists_ahead(state, true)),
            "ends",
            || "more is promised where there never was any".into(),
        )?;
        // An empty page leads back to what there is, or to where a row was while it was looked for.
        if self.still && !spent && !(rows.is_empty() && matches!(self.bound, Bound::At(_))) {
            let state = &self.passed[0];
            let (least, most) = (exists_ahead(state, false), exists_ahead(state, true));
            require(ahead.is_some() == least || ahead.is_some() == most || again, "ends", || {
                format!("ahead {ahead:?}, in truth {most}")
            })?;
            // A filtered list shows nothing before its beginning: there was an item once.
            let seen = self.shown.iter().all(|showing| showing.plain);
            let exists = exists_back(state, true);
            let right = back.is_some() == exists || back.is_some() == exists_back(state, false);
            require(right || (back.is_some() && !seen), "ends", || format!("back {back:?}, in truth {exists}"))?;
        }
        Ok(())
    }

    /// Returns a page that is served because its requests are spent does not know whether there is more. One request
    /// may be kept for the count.
    pub(crate) fn is_spent(&self) -> bool {
        let counts = u32::from(self.client.totals == Totals::Count);
        self.client.short_pages == ShortPages::Serve && self.answers + counts >= self.client.budget
    }

    /// Every row that stayed between the bound and the far end of the page is in it, and where the page says that it
    /// touches an end, none stayed beyond.
    pub(crate) fn completeness(&self) -> Kept {
        let (rows, page) = (self.rows, self.page);
        let forward = self.bound.is_forward();
        // Exclusive limits of what the page answers for.
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
        if let Some(row) = self.stayed(low, high).find(|row| !delivered(row)) {
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
