//! The largest number of requests that a page may take, and the budgets that can't suffice.
//!
//! Two bounds hold while the list doesn't change. A page takes one request if its place is known and one answer can
//! hold the page with its neighbours. If its place has moved by *d* items, at most 2·⌈log₂(max(1, d / cap))⌉ + 4 more
//! requests are needed. `Exchange::cost` checks these bounds only for upstreams that are plain enough.

use cursorgate_core::pagination::{
    paging::{EndEvidence, Family, Sizes},
    resolver::Totals,
};

use crate::keyed::{
    aim::{Aim, Bound},
    client::Client,
    promises::{Exchange, Kept, require},
    row::Shape,
    scenario::Scenario,
    traits::{Counts, Echoes, More, Past, Says, Traits},
    values::Look,
    world::Moment,
};

impl Exchange<'_> {
    /// Checks the number of requests: one for a page where one is enough, and a bound for searches and for pages of a
    /// fixed size. No bound is checked for lists that change meanwhile, for ties in any order, for unknown or changing
    /// caps, for filters and look-ups, or for upstreams whose answers misstate their places.
    pub(crate) fn cost(&self) -> Kept {
        let plain = self.still && self.shape.is_orderly() && !self.traits.is_strange();
        let known = self.traits.declared_cap() == Some(self.traits.least_cap()) && self.traits.has_one_cap();
        let listed = self.traits.filtering.is_none() && !self.client.seeks && !self.shape.is_coarse();
        let counts = self.client.totals == Totals::Count;
        // If an upstream repeats its last page past the end, and doesn't declare that or states no exact total, no
        // answer shows where the end is. Hints then stay wrong, and each page costs more requests.
        let placed = self.traits.past != Past::Repeat || (self.traits.repeats && self.traits.total == Says::Exactly);
        if !plain || !known || !listed || counts || !placed || self.answers == 1 {
            return Ok(());
        }
        self.search()?;
        if self.undisturbed { self.one_request() } else { Ok(()) }
    }

    /// Checks the bound of a search by galloping and halving, which depends on the distance from the hint to the
    /// boundary.
    fn search(&self) -> Kept {
        // A learnt cap that is too low costs requests until the next first page corrects it, so no bound is checked
        // until then.
        let misread = self.before.cap.is_some_and(|cap| cap < self.traits.least_cap());
        // Where rows seem to be left out, a search that fails is followed by a sweep. Opaque values give an item no
        // place, so the sweep reads the list from its start, and only the budget bounds it.
        let swept = self.is_opaque() && self.aim.target.hint.walk.rows_left_out;
        if self.bound.place().is_none() || misread || swept {
            return Ok(());
        }
        let drift = drift(self.traits, self.aim, self.bound, &self.passed[0]);
        // The requests around the wrong place count too, so the cover is taken twice.
        let cover = cover(self.traits, self.shape, self.limit);
        // An end of the list that a search reaches is confirmed by answers from up to four places. Where a short answer
        // proves no end, two more requests confirm the end, and another two if the list has just become shorter.
        let at_the_end = self.page.next.is_none() || self.shown.iter().any(|showing| showing.to_end);
        let at_the_start = self.page.previous.is_none();
        let confirms = match (at_the_end, self.traits.end) {
            (false, _) => {
                if at_the_start {
                    4
                } else {
                    0
                }
            }
            // A full last page that is repeated past the end is never short. A flipped list shows the end once more.
            (true, EndEvidence::ShortPage) if self.traits.past != Past::Repeat => 4 + u64::from(self.traits.flips),
            // By number, the last page comes again for each number past the end: its place is doubted several times.
            (true, _) if self.traits.past == Past::Repeat && self.traits.family == Family::Page => 4 + 2 * 8,
            (true, _) if self.traits.past == Past::Repeat => 4 + 2 * 3,
            (true, _) => 4 + 2 * 2,
        };
        // With a few listed sizes, the place may lie at an edge of every page: the neighbouring pages are read too.
        let beside = if matches!(self.traits.sizes, Sizes::Listed(_)) { 2 } else { 0 };
        // A change can look like rows that are left out. The walk then looks farther beyond ends.
        let farther = if self.aim.target.hint.walk.rows_left_out || drift > 0 { 4 } else { 0 };
        let most = 2 * cover + further(drift, self.traits.least_cap()) + confirms + beside + farther;
        require(u64::from(self.answers) <= most, "search bound", || {
            let Self { answers, limit, traits, .. } = self;
            format!("{answers} requests at a drift of {drift}, at most {most}: limit {limit}, sizes {:?}", traits.sizes)
        })
    }

    /// Checks that a page takes one request if one answer can hold the page with its neighbours.
    fn one_request(&self) -> Kept {
        // A page that its budget cut short may be the last page with its end unconfirmed, so it counts as a page at the
        // end.
        let spent = self.is_spent();
        let ends = spent || (self.bound.is_forward() && self.page.next.is_none());
        let vouched = match self.traits.end {
            EndEvidence::ShortPage => true,
            EndEvidence::Flag => self.traits.more == More::Slice,
            // A vouched token ends lists by token only.
            EndEvidence::Unvouched | EndEvidence::Token => false,
        };
        let (hint, limit) = (self.aim.target.hint.offset.0, u64::from(self.limit));
        let window = match self.bound {
            Bound::Start => 0..limit + 1,
            Bound::After(_) if !self.aim.target.hint.from_end => hint.saturating_sub(1)..hint + limit + 1,
            Bound::Before(_) if !self.aim.target.hint.from_end => hint.saturating_sub(limit + 1)..hint + 1,
            _ => return Ok(()),
        };
        if matches!(self.traits.sizes, Sizes::Fixed(_)) {
            return self.fixed_pages(ends);
        }
        let one_can_do = self.one_request_holds(window.start, window.end - window.start);
        require(!one_can_do || (ends && !vouched), "cost", || {
            let Self { answers, limit, traits, before, .. } = self;
            format!(
                "{answers} requests for limit {limit}, {window:?}, cap {:?}, sizes {:?}, {before:?}",
                traits.caps, traits.sizes
            )
        })
    }

    /// Checks the cost of pages of a fixed size that touch at most one seam. Three requests prove a seam: two
    /// neighbouring pages and one of them again, or pages of the flipped list. More requests are allowed:
    ///
    /// - without a reliable total: one;
    /// - at the end of the list, which is looked for on the pages after it: six. The family `ends` bounds more of them;
    /// - with opaque keys, which can't be compared to find the place of an answer: two;
    /// - beside a row without keys, where the seam is first read in vain and then from its other side: three.
    fn fixed_pages(&self, ends: bool) -> Kept {
        let told = self.traits.total == Says::Exactly && self.traits.counts == Counts::Together;
        let (opaque, spoilt) = (u32::from(self.is_opaque()), u32::from(self.shows_spoilt()));
        let most = 3 + u32::from(!told) + 6 * u32::from(ends) + 2 * opaque + 3 * spoilt;
        let one_seam = self.limit <= self.traits.least_cap();
        require(!one_seam || self.answers <= most, "cost", || {
            let Self { answers, limit, traits, .. } = self;
            format!("{answers} requests for limit {limit} of pages of {:?}, flips: {}", traits.sizes, traits.flips)
        })
    }

    fn is_opaque(&self) -> bool {
        self.shape.strong.iter().any(|column| column.look == Look::Opaque)
    }

    /// Returns whether some allowed size gives an answer that holds `need` items from the offset `from` on.
    fn one_request_holds(&self, from: u64, need: u64) -> bool {
        let holds = |size: u64| match self.traits.family {
            Family::Offset => need <= size,
            Family::Page | Family::Token => from % size + need <= size,
        };
        match &self.traits.sizes {
            Sizes::Free { least, .. } => (u64::from(*least)..=u64::from(self.traits.least_cap())).any(holds),
            Sizes::Listed(sizes) => sizes.iter().any(|&size| holds(u64::from(size))),
            Sizes::Fixed(_) => false,
        }
    }
}

impl Traits {
    /// Returns whether the upstream behaves in a way for which no bound on requests is checked.
    pub(crate) fn is_strange(&self) -> bool {
        let odd_sizes = self.surplus > 0 || self.echoes == Echoes::Nonsense || self.hidden > 0;
        self.lags() || self.misleads() || self.lie.is_some() || odd_sizes || self.deceives()
    }
}

/// Returns the distance in items between the boundary's true offset in a state and its hint.
pub(crate) fn drift(traits: &Traits, aim: &Aim, bound: Bound, state: &Moment) -> u64 {
    let Some(place) = bound.place() else { return 0 };
    let rows = state.raw();
    let before = rows.partition_point(|row| row.place < place);
    let through = rows.partition_point(|row| row.place <= place);
    let hint = aim.target.hint;
    let truth = if bound.is_forward() { through } else { before } as u64;
    match hint.from_end {
        // An offset from the end needs the flipped list or an exact total. If the upstream has neither, the search
        // begins at the start.
        true if !traits.flips && traits.total != Says::Exactly => truth,
        true => (rows.len() as u64).saturating_sub(truth + 1).abs_diff(hint.offset.0),
        false => truth.abs_diff(hint.offset.0),
    }
}

/// Returns the largest number of additional requests that a search over a distance of `drift` items takes, while the
/// list doesn't change: 2·⌈log₂(max(1, drift / cap))⌉ + 4.
pub(crate) fn further(drift: u64, cap: u32) -> u64 {
    let ratio = (drift as f64 / f64::from(cap.max(1))).max(1.0);
    2 * ratio.log2().ceil() as u64 + 4
}

/// Returns the largest number of requests of a page whose place is known, while the list does not change.
pub(crate) fn cover(traits: &Traits, shape: &Shape, limit: u32) -> u64 {
    let cap = u64::from(traits.least_cap().min(traits.declared_cap().unwrap_or(u32::MAX))).max(1);
    let hidden = if traits.hidden > 0 { 3 } else { 1 };
    let need = (u64::from(limit) + 2) * hidden;
    let base = match (&traits.sizes, traits.family) {
        (Sizes::Fixed(_), _) => {
            let pages = need.div_ceil(cap) + 1;
            // A seam of two pages of one size takes three requests (`fixed_pages`).
            if pages <= 2 { 3 } else { 3 * pages }
        }
        (_, Family::Offset) if need <= cap => 1,
        (_, Family::Offset) => {
            // The overlap of `plan::plan`. If answers overlapped in only one item, a single deletion would break a
            // seam.
            let step = cap - (cap / 4).clamp(1, 10).min(cap - 1);
            1 + (need - cap).div_ceil(step.max(1))
        }
        (_, _) if 2 * cap >= 5 * need => 1,
        (_, _) => 2 * need.div_ceil(cap.div_ceil(2)) + 1,
    };
    // One request learns an undeclared cap, which may make each answer half as useful. A run that the edge of an answer
    // cuts is requested again.
    let silent = traits.declared_cap() != Some(traits.least_cap()) || !traits.has_one_cap();
    base * if silent { 2 } else { 1 } + u64::from(silent) + if shape.is_orderly() { 0 } else { 3 }
}

/// Returns whether the budget can't be expected to suffice for a page. A refusal of the page is then needed.
pub(crate) fn is_beyond_budget(scenario: &Scenario, aim: &Aim, bound: Bound, state: &Moment, limit: u32) -> bool {
    let Client { budget, search_budget, .. } = scenario.client;
    let drift = drift(&scenario.traits, aim, bound, state);
    let cover = cover(&scenario.traits, &scenario.shape, limit);
    // Two more requests confirm an end.
    let page = cover + 2;
    let seeks = u64::from(scenario.client.seeks);
    let near = drift <= u64::from(scenario.traits.least_cap()) / 4;
    let (needed, given) = match bound {
        Bound::End => (page + further(state.raw().len() as u64, scenario.traits.least_cap()), search_budget),
        _ if near => (page, budget),
        _ => (page + further(drift, scenario.traits.least_cap()), search_budget),
    };
    needed + seeks > u64::from(given)
}
