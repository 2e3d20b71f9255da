//! Lists as an endpoint gives them: filtered, flipped, with ties in the upstream's order, and written as JSON.

use std::{ops::Range, rc::Rc};

use cursorgate_core::{
    json::Span,
    pagination::{answer::Answer, fetch::Listing, filter::Filter, window::Slice as Asked},
};

use crate::{
    dice::mix,
    keyed::{
        broken::Lie,
        filtering::Wanted,
        row::{Place, Row, TieOrder},
        upstream::Upstream,
        world::State,
    },
};

impl Upstream<'_> {
    /// Parses a filter; returns `None` if the upstream ignores filters. A value that can't be parsed is recorded as a
    /// fault of the core.
    pub(crate) fn read(&mut self, filter: &Filter) -> Option<Wanted> {
        let as_text = self.traits.lie == Some(Lie::FiltersCompareText);
        let ignored = self.traits.filtering.as_ref().is_some_and(|filtering| filtering.ignored);
        match Wanted::read(filter, &self.shape, as_text, self.traits.reads()) {
            Ok(wanted) => (!ignored).then_some(wanted),
            Err(fault) => {
                self.fault.get_or_insert(fault);
                None
            }
        }
    }

    /// Returns the number of rows that pass a filter in `state`, or in the current state if `state` is `None`.
    pub(crate) fn count_of(&self, wanted: Option<&Wanted>, state: Option<&State>) -> usize {
        let rows = state.unwrap_or(&self.world.state).raw();
        wanted.map_or(rows.len(), |wanted| rows.iter().filter(|row| wanted.passes(row.stored(&self.shape))).count())
    }

    /// Returns whether a filtered list cuts no run of the first key at its two edges, `places`: the filter lets every
    /// row through whose first key equals the first key of one of these places. Filter values count as the upstream
    /// reads them.
    pub(crate) fn is_cut_between_runs(&self, state: &State, wanted: &Wanted, places: Option<(Place, Place)>) -> bool {
        let cut = |row: &&Rc<Row>| {
            let beside = places.is_some_and(|(least, most)| row.place[0] == least[0] || row.place[0] == most[0]);
            beside && !wanted.passes(row.stored(&self.shape))
        };
        wanted.compares_the_first_key(&self.shape) && !state.raw().iter().any(|row| cut(&row))
    }

    /// Returns whether an answer shows the start of the whole list, and whether it shows its end. `begins` and `ends`
    /// state the same for the listing that was requested, which may be flipped or filtered.
    pub(crate) fn ends(
        &self,
        listing: &Listing,
        wanted: Option<&Wanted>,
        begins: bool,
        ends: bool,
        places: Option<(Place, Place)>,
    ) -> (bool, bool) {
        let (starts, stops) = if listing.flipped { (ends, begins) } else { (begins, ends) };
        let Some(wanted) = wanted else {
            return (starts && !listing.by_id, stops && !listing.by_id);
        };
        let (first, last) = places.unzip();
        let through = |before: bool, shown| !listing.by_id && wanted.lets_the_last_through(&self.shape, before, shown);
        (starts && through(true, first), stops && through(false, last))
    }

    /// Returns the rows of a state in the order in which they are listed, as indices into `Moment::raw`; `None` if
    /// that is the order of the state.
    pub(crate) fn sequence(&self, state: &State, listing: &Listing, wanted: Option<&Wanted>) -> Option<Vec<u32>> {
        let (shape, rows) = (&*self.shape, state.raw());
        let turn = match shape.ties {
            _ if shape.strong.is_empty() => None,
            TieOrder::ById => None,
            // Within ties, a flipped list need not be the mirror of the list.
            TieOrder::Fixed => Some(mix(self.traits.salt, u64::from(listing.flipped))),
            TieOrder::Shuffled => Some(mix(self.traits.salt, self.queries)),
        };
        let stands = turn.is_none() && !shape.is_coarse();
        if *listing == Listing::default() && stands {
            return None;
        }
        let mut order: Vec<u32> = match wanted {
            None => (0..rows.len() as u32).collect(),
            Some(wanted) => {
                let passes = |index: &u32| wanted.passes(rows[*index as usize].stored(shape));
                (0..rows.len() as u32).filter(passes).collect()
            }
        };
        if shape.is_coarse() {
            // The upstream sorts by the stored values, which are finer than the shown ones.
            order.sort_by_key(|&index| rows[index as usize].fine);
        }
        if let Some(turn) = turn {
            let same = |left: &u32, right: &u32| rows[*left as usize].fine == rows[*right as usize].fine;
            for run in order.chunk_by_mut(same).filter(|run| run.len() > 1) {
                run.sort_unstable_by_key(|&index| mix(turn, u64::from(rows[index as usize].serial)));
            }
        }
        // A listing by id has only rows with equal strong keys, so it is sorted only by id.
        if listing.by_id {
            order.sort_by_key(|&index| rows[index as usize].place[2]);
        }
        if listing.flipped {
            order.reverse();
        }
        Some(order)
    }
}

/// Returns a request and its answer as a line of the story.
pub(crate) fn told(
    asked: Asked,
    listing: &Listing,
    answer: &Answer,
    range: &Range<usize>,
    length: usize,
    serials: &[u32],
) -> String {
    let Answer { standing, total, more, offset, page, size, .. } = answer;
    let form = if *listing == Listing::default() { String::new() } else { format!(" of {listing:?}") };
    format!(
        "    asks {asked:?}{form}: {standing:?}, {range:?} of {length} (versions {serials:?}), total {total:?}, \
         more {more:?}, says offset {offset:?}, page {page:?}, size {size:?}"
    )
}

/// Writes rows as a JSON array. `roll` decides between which items white space is written.
pub(crate) fn render<'r>(rows: impl Iterator<Item = &'r Rc<Row>>, most: usize, roll: u64) -> Answer {
    let mut body = Vec::with_capacity(most * 64 + 2);
    let (mut items, mut keys) = (Vec::with_capacity(most), Vec::with_capacity(most * 3));
    body.push(b'[');
    for (index, row) in rows.enumerate() {
        if index > 0 {
            body.push(b',');
        }
        if (roll >> (index % 64)) & 7 == 0 {
            body.extend_from_slice(b"\n ");
        }
        let start = body.len() as u32;
        body.extend_from_slice(&row.bytes);
        items.push(Span { start, end: body.len() as u32 });
        let moved = |span: &Span| match span.is_absent() {
            true => Span::ABSENT,
            false => Span { start: start + span.start, end: start + span.end },
        };
        keys.extend(row.spans().iter().map(moved));
    }
    body.push(b']');
    Answer::listed(body, items, keys)
}
