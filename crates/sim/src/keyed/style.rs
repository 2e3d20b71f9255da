//! The ways of clients through a list, and the promise G3 mirror: the page before the next page is the page itself.

use std::rc::Rc;

use cursorgate_core::pagination::{
    page::Level,
    position::{Hint, Pivot, Position},
};

use crate::{
    dice::mix,
    keyed::{
        aim::Aim,
        client::Style,
        leg::Leg,
        promises::Violation,
        row::{Place, Row},
        traits::{Echoes, Past},
        walk::{Served, Stop, Walk},
    },
};

impl Walk<'_> {
    /// Walks as the client's style says, to the end of the walk or to the first page that stops it.
    pub(crate) fn go(&mut self) -> Result<(), Stop> {
        match &self.scenario.client.style {
            &Style::Forward { looks_back } => self.straight(Aim::start(), u32::MAX, looks_back, 0).map(|_| ()),
            &Style::Worker { share } => self.straight(Aim::start(), u32::MAX, false, share).map(|_| ()),
            Style::Backward => self.straight(Aim::end(), u32::MAX, false, 0).map(|_| ()),
            &Style::ThereAndBack { turn } => {
                let back = self.straight(Aim::start(), turn, false, 0)?;
                back.map_or(Ok(()), |aim| self.straight(aim, u32::MAX, false, 0).map(|_| ()))
            }
            Style::Wander { choices } => self.wander(choices),
        }
    }

    /// Walks in one direction to the end, or for `most` pages. Returns the position that the last page links to in the
    /// opposite direction.
    fn straight(&mut self, from: Aim, most: u32, looks_back: bool, share: u32) -> Result<Option<Aim>, Stop> {
        let forward = from.bound.is_forward();
        let mut leg = Leg::new(from.bound);
        let mut aim = from;
        let mut before: Option<Served> = None;
        for _ in 0..most {
            let served = self.page(&aim, Some(&mut leg))?;
            if let Some(before) =
                before.as_ref().filter(|before| looks_back && before.rows.len() == before.limit as usize)
            {
                self.look_back(before, &served)?;
            }
            self.delete(&served.rows, share);
            let (ahead, back_from) =
                if forward { (&served.next, &served.previous) } else { (&served.previous, &served.next) };
            let Some(next) = ahead.clone() else {
                let back = back_from.clone();
                return leg.finish().map(|()| back).map_err(Stop::from);
            };
            if self.outcome.pages > self.scenario.most_pages() {
                // A walk that is served only by offset (`verify = "never"`) proves nothing, and may never end. The last
                // page may be repeated past the end. Offsets may shift under a changing cap, or if answers have more
                // items than were requested. The core believes statuses, offsets and the ends of a replica that lags.
                // No other walk is excused.
                let traits = &self.scenario.traits;
                let misled = traits.misleads() || traits.lags() || traits.echoes == Echoes::Nonsense;
                let unsteady = traits.past == Past::Repeat
                    || !traits.has_one_cap()
                    || traits.surplus > 0
                    || misled
                    || traits.deceives();
                if self.scenario.is_unverified() && unsteady {
                    return Err(Stop::Unproven);
                }
                let what = format!("{} pages and no end", self.outcome.pages);
                return Err(Violation { promise: "G4 ends", what }.into());
            }
            aim = next;
            before = Some(served);
        }
        Ok(before.and_then(|served| if forward { served.previous } else { served.next }))
    }

    /// Checks G3 mirror: while the list doesn't change, the page before the next page of a full page is the full page
    /// again. Checked only if all three pages are certain, none is positional, and neither reading of the full page is
    /// cut short.
    fn look_back(&mut self, page: &Served, next: &Served) -> Result<(), Stop> {
        let Some(aim) = next.previous.clone() else {
            return Ok(());
        };
        let again = self.limited_page(&aim, None, page.limit)?;
        let places = |rows: &[Rc<Row>]| rows.iter().map(|row| row.place).collect::<Vec<Place>>();
        let short = again.made.page.short || page.made.page.short;
        let certain =
            [page, next, &again].iter().all(|served| served.certain && served.made.page.level() != Level::Positional);
        if self.is_undisturbed() && certain && !short && places(&again.rows) != places(&page.rows) {
            let what = format!("prev of next is {:?}, not {:?}", places(&again.rows), places(&page.rows));
            return Err(Violation { promise: "G3 mirror", what }.into());
        }
        Ok(())
    }

    /// Deletes `share` percent of the rows, as a worker does after it has processed them.
    fn delete(&mut self, rows: &[Rc<Row>], share: u32) {
        if share == 0 {
            return;
        }
        let salt = self.scenario.traits.salt;
        let chosen = |row: &&Rc<Row>| mix(salt, u64::from(row.serial)) % 100 < u64::from(share);
        let places: Vec<Place> = rows.iter().filter(chosen).map(|row| row.place).collect();
        self.upstream.tell(|| format!("  the client deletes {} of them", places.len()));
        self.upstream.world.delete(places.into_iter());
    }

    /// Follows one link for each choice. A missing link leads to the start.
    fn wander(&mut self, choices: &[u32]) -> Result<(), Stop> {
        let mut seen = vec![Aim::start()];
        let mut items: Vec<Rc<Row>> = Vec::new();
        let (mut next, mut previous, mut last): (Option<Aim>, Option<Aim>, Option<Aim>) = (None, None, None);
        for &choice in choices {
            let detail = choice >> 8;
            let aim = match choice % 20 {
                0..=5 => next.clone(),
                6..=10 => previous.clone(),
                11 | 12 => Some(seen[detail as usize % seen.len()].clone()),
                13 => last.clone().or_else(|| Some(Aim::end())),
                // Some of these offsets lie after the end of the list.
                14 => Some(Aim::at(u64::from(detail) % (self.first_rows + 4))),
                15 | 16 => self.beside_any(&items, detail),
                17 => self.beside_counted_from_the_end(detail),
                18 if self.scenario.client.seeks => self.beside_id(detail),
                _ => Some(Aim::start()),
            };
            let served = self.page(&aim.unwrap_or_else(Aim::start), None)?;
            (next, previous, last) = (served.next, served.previous, served.last);
            seen.extend(next.iter().chain(&previous).cloned());
            items.extend(served.rows.iter().cloned());
        }
        Ok(())
    }

    /// Returns the position beside an item that was served before, as the item's own cursor names it: without a hint.
    fn beside_any(&self, items: &[Rc<Row>], detail: u32) -> Option<Aim> {
        let row = (!items.is_empty()).then(|| &items[detail as usize % items.len()])?;
        Some(Aim::beside(row, row.anchor(&self.shape), detail & (1 << 20) == 0))
    }

    /// Returns the position beside a row, with a hint that counts from the end of the list. Only lists that can be
    /// flipped make such hints.
    fn beside_counted_from_the_end(&self, detail: u32) -> Option<Aim> {
        let rows = self.upstream.world.state.raw();
        let index = (!rows.is_empty()).then(|| detail as usize % rows.len())?;
        let (row, forward) = (&rows[index], detail & (1 << 20) == 0);
        if self.upstream.world.state.rows().len() != rows.len() || !self.scenario.traits.flips {
            return None;
        }
        let mut aim = Aim::beside(row, row.anchor(&self.shape), forward);
        let from_end = (rows.len() - 1 - index) as u64 + u64::from(!forward);
        aim.target.hint =
            Hint { offset: cursorgate_core::pagination::window::Offset(from_end), from_end: true, ..Hint::default() };
        Some(aim)
    }

    /// Returns the position beside an id that the client has from elsewhere. The keys that the id's item has now decide
    /// its place.
    fn beside_id(&self, detail: u32) -> Option<Aim> {
        let rows = self.upstream.world.state.rows();
        let row = (!rows.is_empty()).then(|| &rows[detail as usize % rows.len()])?;
        let pivot = Pivot { id: row.anchor(&self.shape).id, fingerprint: None };
        let mut aim = Aim::beside(row, row.anchor(&self.shape), detail & (1 << 20) == 0);
        aim.target.position = match aim.bound.is_forward() {
            true => Position::AfterPivot(pivot),
            false => Position::BeforePivot(pivot),
        };
        Some(aim)
    }
}
