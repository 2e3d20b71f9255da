//! The promises of every page, and of the walk that the page is part of. Messages begin with the number of the
//! guarantee of `cursorgate_core::pagination` that is broken, or with "ends".

use std::collections::HashSet;

use cursorgate_core::pagination::{fetch::Token, page::Level, paging::Sizes, position::Position, refusal::Refusal};

use super::{
    scenario::Scenario,
    upstream::{Counts, Flag, Place, Shown},
    walk::{Node, Visited},
    world::{Row, Seen, Shape, World},
};

/// A walk in one direction: pages that follow one another.
#[derive(Debug, Default)]
pub(crate) struct Leg {
    backward: bool,
    /// The time of the first answer to the walk's first page.
    since: u64,
    /// True if the walk began at the start of the list.
    from_start: bool,
    /// The number of the walk's last page so far.
    page: u64,
    /// The items that the walk has delivered.
    had: HashSet<Seen>,
    /// The number of the world's losses when the walk began.
    losses: u64,
    /// True if the walk continued in the middle of unordered ties, and one of them came twice. G2 is then no longer
    /// checked.
    amid_ties: bool,
}

/// A page with its request and the truth about both.
pub(crate) struct Visit<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) world: &'a World,
    /// The requested place.
    pub(crate) at: &'a Node,
    pub(crate) limit: u32,
    /// The number of the page in the walk, from 1 on.
    pub(crate) number: u64,
    pub(crate) visited: &'a Visited,
}

/// Checks all promises of a page, and adds it to its leg.
pub(crate) fn check(visit: &Visit<'_>, leg: &mut Leg) -> Result<(), String> {
    visit.check_items()?;
    visit.check_fullness()?;
    visit.check_ends()?;
    visit.check_shown()?;
    visit.check_pending()?;
    visit.check_level()?;
    leg.go_on(visit);
    visit.check_marks(leg)?;
    visit.check_leg(leg)
}

/// Checks G3 mirror: the page before the next page has the same items as the page itself. A page cut short is excused.
pub(crate) fn check_back(items: &[Seen], visited: &Visited) -> Result<(), String> {
    if visited.items == items || visited.page.short {
        Ok(())
    } else {
        Err(format!("G3: back from the next page is {:?}", visited.items))
    }
}

/// Checks that a refusal has a cause in this world. Returns the name of the cause, and whether the refusal was without
/// need, because the upstream's tokens led to the page.
///
/// # Errors
///
/// Returns a violation if the cause that the refusal names can't be true.
pub(crate) fn check_refusal(
    scenario: &Scenario,
    at: &Node,
    refusal: &Refusal,
    shown: &[Shown],
    limit: u32,
    changes: u64,
) -> Result<(&'static str, bool), String> {
    let traits = &scenario.traits;
    let changed = changes != if at.changes == u64::MAX { 0 } else { at.changes };
    let drifts = match traits.place {
        Place::Offset => scenario.is_changing(),
        Place::Item => scenario.has_moves(),
        Place::Keys | Place::Snapshot => false,
    };
    let gone = shown.last().is_some_and(|shown| shown.gone);
    // Only a client that wanders returns to an earlier place, and so may send a token for one use twice.
    let forgets = traits.lasts.is_some() || traits.place == Place::Item || (traits.single_use && scenario.wanders());
    // An upstream page with hidden items may have too few items before the place to fill a page back.
    let no_way_back = traits.single_use || (!traits.backward && (changed || limit > at.limit || traits.hidden > 0));
    let (cause, allowed, unneeded) = match refusal {
        Refusal::TokenGone => ("token gone", gone && forgets, false),
        // In a list that grows with each answer, tokens that are offsets may show one item again and again, as a circle
        // does.
        // A token for one use can't be asked for again if it is missing beside a flag that the dialect vouches for.
        Refusal::Stuck => {
            let lacks_token =
                traits.vouched && traits.missing.is_some() && (traits.single_use || traits.blank.is_some());
            // A list that changes with each answer, and whose flag is always true, is asked for again and again.
            let lies = traits.lies() && changes > 0;
            let allowed = traits.circle.is_some() || (drifts && changes > 0) || lacks_token || lies;
            ("stuck", allowed, traits.circle.is_none() && !lacks_token)
        }
        // In a circle, served items also come before the place, so an upstream page may contain too few other items.
        Refusal::Unsupported => ("no way back", at.backward && (no_way_back || traits.circle.is_some()), false),
        // An answer that is empty for once may be the one that is asked to find the place again.
        Refusal::PositionLost { .. } => {
            let allowed = changed || traits.circle.is_some() || traits.blank.is_some();
            ("position lost", allowed, traits.circle.is_none() && traits.blank.is_none())
        }
        Refusal::TieRun { .. } => {
            let allowed = changed || traits.circle.is_some() || traits.blank.is_some();
            ("tie run", allowed && scenario.shape == Shape::Loose, true)
        }
        Refusal::BudgetExceeded => (
            "budget exceeded",
            // Where the place is searched for in a gap, small upstream pages spend the budget.
            changed
                || changes > 0
                || traits.hidden > 0
                || traits.circle.is_some()
                || traits.gap.div_ceil(traits.step().max(1)) >= 8,
            traits.hidden == 0 && traits.gap == 0,
        ),
        // The answers contradict themselves for good: a total, and the token that is missing once. In a list that has
        // changed, an item that came before the place and one that left between the same two answers leave the total as
        // it was, so a true total promises an item that the walk doesn't pass.
        Refusal::EndContradicted { .. } => ("end contradicted", scenario.lies() || changes > 0, false),
        Refusal::TooDeep | Refusal::Unsorted(_) | Refusal::NoList | Refusal::PivotGone { .. } => {
            ("other", false, false)
        }
    };
    if !allowed {
        return Err(format!("refused without cause: {refusal:?}"));
    }
    Ok((cause, unneeded))
}

impl Leg {
    /// Adds a page. Begins another leg if the page does not continue from the last one.
    fn go_on(&mut self, visit: &Visit<'_>) {
        let at = visit.at;
        let goes_on = self.backward == at.backward && self.page == at.by;
        self.page = visit.number;
        if !goes_on || at.target.position == Position::Start {
            let (page, had) = (visit.number, HashSet::new());
            let from_start = at.target.position == Position::Start;
            let losses = visit.visited.losses;
            let since = visit.visited.since;
            *self = Self { backward: at.backward, since, from_start, page, had, losses, amid_ties: false };
        }
    }
}

impl Visit<'_> {
    fn shape(&self) -> Shape {
        self.scenario.shape
    }

    /// Returns the page's items in the direction of reading.
    fn read(&self) -> Vec<Seen> {
        self.way(&self.visited.items)
    }

    /// Returns items in the direction of reading.
    fn way(&self, items: &[Seen]) -> Vec<Seen> {
        if self.at.backward { items.iter().rev().copied().collect() } else { items.to_vec() }
    }

    /// Returns whether the page links to another page in the direction of reading.
    fn goes_on(&self) -> bool {
        let page = &self.visited.page;
        if self.at.backward { page.previous.is_some() } else { page.next.is_some() }
    }

    /// Returns whether the page claims the end of the list. If tokens lead only forward, a full page back without a
    /// link doesn't claim it: such tokens can't show more.
    fn is_over(&self) -> bool {
        let full = self.visited.items.len() >= self.limit as usize;
        let no_way_back = self.at.backward && !self.scenario.traits.backward && full;
        let is_false = !self.at.backward && !self.visited.shown.iter().any(|shown| shown.at_end);
        !self.goes_on() && !no_way_back && !is_false
    }

    /// Returns whether an item comes after another in the direction of reading, by the declared order.
    fn after(&self, one: Seen, other: Seen) -> bool {
        let (one, other) = (self.place(one), self.place(other));
        if self.at.backward { one < other } else { one > other }
    }

    fn place(&self, item: Seen) -> (u32, u32) {
        match self.shape() {
            Shape::Ordered => (item.key, item.id),
            Shape::Loose => (item.key, 0),
            Shape::Ids | Shape::Undeclared | Shape::Anonymous => (0, item.id),
        }
    }

    /// Returns the items that answers showed beyond the page: before it if `backward` is true, otherwise after it.
    pub(crate) fn pending(&self, backward: bool) -> Vec<Seen> {
        let items = &self.visited.items;
        let Some(edge) = (if backward { items.first() } else { items.last() }) else { return Vec::new() };
        let shown = self.visited.shown.iter().flat_map(|shown| &shown.items).copied();
        let (beyond, edge) = (|item| self.place(item), self.place(*edge));
        shown.filter(|item| if backward { beyond(*item) < edge } else { beyond(*item) > edge }).collect()
    }

    /// Checks G2, G3 and G5 within the page, its level, and the numbers that it reports.
    fn check_items(&self) -> Result<(), String> {
        let (items, page, traits) = (self.read(), &self.visited.page, &self.scenario.traits);
        let ids: HashSet<u32> = items.iter().map(|item| item.id).collect();
        // Without ids, an item that is shown again after changes can't be distinguished from two items that look alike.
        let can_be_told = self.shape() != Shape::Anonymous || (self.world.changes == 0 && traits.circle.is_none());
        if ids.len() < items.len() && can_be_told {
            return Err("G2: an id twice in one page".to_owned());
        }
        if let Some(item) = items.iter().find(|item| !self.visited.shown.iter().any(|shown| shown.items.contains(item)))
        {
            return Err(format!("G5: {item:?} was never shown"));
        }
        let declared = self.shape().is_declared();
        if declared {
            let anchor = self.at.anchor.into_iter();
            let all: Vec<Seen> = anchor.chain(items.iter().copied()).collect();
            let backward = |pair: &&[Seen]| match self.shape() {
                Shape::Loose => self.after(pair[0], pair[1]),
                _ => !self.after(pair[1], pair[0]),
            };
            if let Some(pair) = all.windows(2).find(backward) {
                return Err(format!("G3: {:?} does not come after {:?}", pair[1], pair[0]));
            }
        }
        // Pages by token are never exact: no answer shows the items before a token.
        let level = match page.level() {
            Level::Checked => declared,
            Level::Anchored => true,
            Level::Exact | Level::Positional => false,
        };
        if !level || page.unproven.is_some() {
            return Err(format!("G6: claims {:?}", page.level()));
        }
        let asked = self.visited.shown.len();
        if page.notes.requests as usize != asked || asked > 40 {
            return Err(format!("{asked} requests, {} said", page.notes.requests));
        }
        let said = self.visited.shown.iter().rev().find_map(|shown| shown.total);
        if page.total.map(|total| total.value) != said {
            return Err(format!("total {:?}, said was {said:?}", page.total));
        }
        Ok(())
    }

    /// Checks that a page has as many items as were requested, unless it ends the list or is marked as cut short.
    fn check_fullness(&self) -> Result<(), String> {
        let (count, limit, page) = (self.visited.items.len(), self.limit as usize, &self.visited.page);
        let traits = &self.scenario.traits;
        let most = self.visited.shown.iter().map(|shown| shown.items.len()).max().unwrap_or(0);
        // A token for one use can't be sent again, so upstream pages that were read to find the place are also served.
        // Regression: `a-page-read-ahead-by-a-token-for-one-use`.
        let may_be_longer = traits.single_use && (count < limit + most || !self.shape().is_declared());
        if count > limit && !may_be_longer {
            return Err(format!("{count} items of {limit}"));
        }
        let whole = match traits.sizes {
            Sizes::Fixed(size) if traits.single_use => count > 0 && count + size as usize > limit,
            _ => false,
        };
        // Empty answers may spend the budget of a page, which is then cut short, and may even be empty.
        let in_a_gap = self.visited.shown.iter().any(|shown| shown.items.is_empty());
        if count < limit && self.goes_on() && !whole && !(page.short && (count > 0 || in_a_gap)) {
            return Err(format!("a page of {count} of {limit} goes on"));
        }
        if page.short && count >= limit {
            return Err("a full page is said to be short".to_owned());
        }
        if count == 0 && page.next.is_some() && !self.at.backward && !in_a_gap {
            return Err("an empty page has a next".to_owned());
        }
        Ok(())
    }

    /// Checks that a page ends the list only if an answer showed the end.
    fn check_ends(&self) -> Result<(), String> {
        let (page, traits, shown) = (&self.visited.page, &self.scenario.traits, &self.visited.shown);
        let (starts, ends) = (shown.iter().any(|shown| shown.at_start), shown.iter().any(|shown| shown.at_end));
        let empty = self.visited.items.is_empty();
        if page.next.is_none() && !ends {
            self.check_false_end()?;
        }
        // If tokens lead only forward, a page back can be offered only within the first upstream page.
        let can_lead_back = traits.backward && !traits.single_use && (!empty || self.at.backward);
        // A gap may be longer than the run of empty answers that ends a walk.
        let in_a_wide_gap = self.at.backward && self.empty_answers() >= 16;
        // A flag that always denies that more items follow agrees with an answer that is empty for once, so it isn't
        // asked for again.
        let denied = traits.blank.is_some() && traits.flag == Some(Flag::False);
        if page.previous.is_none() && !starts && can_lead_back && !in_a_wide_gap && !denied {
            return Err("ends: no previous, and there was more".to_owned());
        }
        Ok(())
    }

    /// Checks a page that ends the list before its end. Only in a world whose facts lie, or that drops more rows in a
    /// row than empty answers are followed, may a page do so: if no answer of the page contradicts it, or if the end is
    /// marked.
    fn check_false_end(&self) -> Result<(), String> {
        let (page, traits) = (&self.visited.page, &self.scenario.traits);
        let forward = || self.visited.shown.iter().filter(|shown| !shown.backward);
        let flagged = forward().next_back().is_some_and(|last| last.flag == Some(true));
        let passed = self.at.passed.map(|passed| passed + self.visited.items.len() as u64);
        // Of a list that changes, the total may have grown with items that came before the place.
        let counted = self.world.changes == 0
            && passed.is_some_and(|passed| forward().any(|shown| shown.total.is_some_and(|total| total > passed)));
        let vouched = traits.vouched && forward().any(|shown| shown.flag == Some(false));
        if (flagged || counted) && page.doubted_end.is_none() && !vouched {
            return Err("ends: an answer says that there is more, and the end is not marked".to_owned());
        }
        // If only items that are dropped follow, the end isn't false.
        let last = self.visited.items.last().copied().or_else(|| self.at.anchor.filter(|_| !self.at.backward));
        let at = last.and_then(|last| self.world.rows.iter().position(|row| row.seen == last));
        if at.is_some_and(|at| self.world.rows[at + 1..].iter().all(|row| row.hidden)) {
            return Ok(());
        }
        // Of a list that changes, a total that is right may be the number of items passed, although others follow: an
        // item that was served has left, and another has come, between the same two answers. If the client has turned
        // back, the number isn't counted here.
        let at_total = |shown: &Shown| {
            let total = shown.total.filter(|total| *total > 0 && shown.items.is_empty());
            total.is_some() && (passed.is_none() || passed == total)
        };
        if self.world.changes > 0 && traits.counts == Counts::Items && forward().any(at_total) {
            return Ok(());
        }
        // The token of an answer that is empty for once may work no longer when it is asked for again.
        if page.doubted_end.is_some() && traits.blank.is_some() && forward().next_back().is_some_and(|last| last.gone) {
            return Ok(());
        }
        let led = forward().next_back().is_some_and(|last| last.next.is_some());
        // Of rows that are left out, an empty page that leads to itself may be the end, so it is marked.
        let repeats = |last: &Shown| last.items.is_empty() && last.next.is_some() && last.next == last.token;
        if page.doubted_end.is_some() && traits.circle.is_some() && forward().next_back().is_some_and(repeats) {
            return Ok(());
        }
        let is_blank = forward().any(|shown| shown.blank_start);
        let lies = traits.lies() && (is_blank || traits.blank.is_none() || traits.lies_otherwise());
        let is_wide = self.empty_answers() >= 16;
        let after_a_gap = led && (is_wide || (traits.lies() && traits.gap + traits.hidden > 0));
        if after_a_gap || (!led && lies) { Ok(()) } else { Err("ends: no next, and there was more".to_owned()) }
    }

    /// Returns the number of empty answers in a row up to the page's last answer in its direction. An answer that was
    /// requested again counts once. Answers in the other direction show items before those of the answers in this one,
    /// whenever they came, so they interrupt no row: had they been requested first, the same answers would come from
    /// the same list. Regression: `a-gap-after-a-place-that-was-found-behind-it`.
    pub(crate) fn empty_answers(&self) -> u32 {
        let shown = &self.visited.shown;
        let mut onward: Vec<&Shown> = shown.iter().rev().filter(|shown| shown.backward == self.at.backward).collect();
        let is_all = onward.len() == shown.len();
        onward.dedup_by(|earlier, later| earlier.token == later.token);
        let empty = onward.iter().take_while(|shown| shown.items.is_empty()).count();
        empty as u32 + if is_all && empty == onward.len() { self.at.empty } else { 0 }
    }

    /// Checks G1 in a declared order: the items that answers showed beyond the place, up to the page's last item, are
    /// on the page. An item that came among items that an earlier answer had already shown is not due.
    ///
    /// Nor is an item before the first items of the list: an answer that begins the list shows its state without the
    /// item, and G1 speaks of items in every state that answers show. The answers fit a list that the item joined
    /// between the two. Regression: `an-item-at-the-start-of-an-answer-asked-for-again`.
    ///
    /// Nor is an item that came beside the item of the place, if that item's token led to the answer before. Regression:
    /// `an-item-that-comes-beside-the-item-of-a-place`.
    fn check_shown(&self) -> Result<(), String> {
        if !self.shape().is_declared() {
            return Ok(());
        }
        let (items, mut bounds, mut shows_edge) = (self.read(), None::<(Seen, Seen)>, false);
        for shown in &self.visited.shown {
            for item in self.way(&shown.items) {
                let ahead = self.at.anchor.is_none_or(|anchor| self.after(item, anchor));
                let new = match bounds {
                    None => true,
                    Some((_, last)) if shown.backward == self.at.backward => self.after(item, last),
                    Some((first, _)) => !shows_edge && self.after(first, item),
                };
                let reached = self.is_over() || items.last().is_some_and(|last| self.after(*last, item));
                if ahead
                    && new
                    && reached
                    && self.world.had(item, shown.when)
                    && !items.iter().any(|other| other.id == item.id)
                {
                    return Err(format!("G1: {item:?} was shown at {} and is not served", shown.when));
                }
            }
            shows_edge |= if self.at.backward { shown.at_end } else { shown.at_start };
            shows_edge |= shown.backward == self.at.backward && self.is_by_anchor(shown);
            for item in &shown.items {
                let (first, last) = bounds.get_or_insert((*item, *item));
                if self.after(*item, *last) {
                    *last = *item;
                }
                if self.after(*first, *item) {
                    *first = *item;
                }
            }
        }
        Ok(())
    }

    /// Returns whether the token of an answer is the item of the place. In a descending list the upstream counts down.
    fn is_by_anchor(&self, shown: &Shown) -> bool {
        let ids = self.at.anchor.map(|anchor| [anchor.id, 1_000_000 - anchor.id].map(|id| id.to_string()));
        let is_id = |token: &Token| ids.iter().flatten().any(|id| *id == *token.0);
        self.scenario.traits.place == Place::Item && shown.token.as_ref().is_some_and(is_id)
    }

    /// Checks G6: a page of level `checked` has every item, shown or not, that has been between its place and its last
    /// item since before the place was handed out. This holds for tokens of any kind.
    fn check_level(&self) -> Result<(), String> {
        let (items, Visited { page, since, .. }) = (self.read(), self.visited);
        if page.level() != Level::Checked {
            return Ok(());
        }
        // A snapshot shows the list as it was when the walk began, so later items are not due.
        let since = if self.scenario.traits.place == Place::Snapshot { 1 } else { (*since).min(self.at.when) };
        let from = self.at.anchor;
        let is_due = |item: Seen| {
            from.is_none_or(|anchor| self.after(item, anchor))
                && (self.is_over() || items.last().is_some_and(|last| self.after(*last, item)))
        };
        // An item that exists and has not changed since that time was there throughout.
        let throughout = |row: &&Row| !row.hidden && row.since < since && is_due(row.seen);
        match self.world.rows.iter().filter(throughout).find(|row| !items.contains(&row.seen)) {
            Some(row) => Err(format!("G6: the page says that it is checked, and {:?} is not served", row.seen)),
            None => Ok(()),
        }
    }

    /// Checks G1 of a place in the middle of an upstream page. The items that were shown beyond the place when it was
    /// handed out, and still exist, are on the page, although the upstream page that is read again may have moved.
    fn check_pending(&self) -> Result<(), String> {
        let (items, traits) = (self.read(), &self.scenario.traits);
        // An answer that is empty for once hides the upstream page in which the place is searched for.
        let astray = (traits.place == Place::Item && self.scenario.has_moves()) || traits.blank.is_some();
        let changed = self.visited.shown.first().is_some_and(|shown| shown.changes != self.world.changes);
        // An item that a token skips looks like a deleted one. So do the items that a circle skips.
        let astray = astray || traits.circle.is_some_and(|(to, from)| to > from);
        if !self.shape().is_declared() || self.at.target.hint.offset.0 == 0 || astray || changed {
            return Ok(());
        }
        let reached = |item: Seen| self.is_over() || items.last().is_some_and(|last| self.after(*last, item));
        let missed = |item: &&Seen| reached(**item) && self.world.had(**item, self.at.when) && !items.contains(item);
        match self.at.pending.iter().find(missed) {
            Some(item) => Err(format!("G1: {item:?} was shown beyond the place and is not served")),
            None => Ok(()),
        }
    }

    /// Returns the items of all answers as one sequence in the direction of reading, each once.
    fn shown_in_a_row(&self) -> Vec<Seen> {
        let mut flat: Vec<Seen> = Vec::new();
        for shown in &self.visited.shown {
            // An answer overlaps earlier ones: its items up to the last common item were passed.
            let items = self.way(&shown.items);
            let onward = shown.backward == self.at.backward || flat.is_empty();
            if onward {
                let from = items.iter().rposition(|item| flat.contains(item)).map_or(0, |place| place + 1);
                flat.extend(&items[from..]);
            } else {
                let to = items.iter().position(|item| flat.contains(item)).unwrap_or(items.len());
                flat.splice(0..0, items[..to].iter().copied());
            }
        }
        flat
    }

    /// Checks G1 and G2 without a declared order: items that were shown beyond the marks are on the page, and items
    /// before the marks are not. The function returns without a check if the marks don't show where the page begins.
    fn check_marks(&self, leg: &Leg) -> Result<(), String> {
        if self.shape().is_declared() || self.scenario.traits.circle.is_some() {
            return Ok(());
        }
        let flat = self.shown_in_a_row();
        let passed = flat.iter().rposition(|item| self.at.trail.contains(item)).map_or(0, |place| place + 1);
        let ahead = flat.iter().position(|item| self.at.ahead.contains(item));
        // Marks that are in another sequence than they were served name no single place.
        let places = self.at.trail.iter().filter_map(|item| flat.iter().position(|other| other == item));
        if !places.is_sorted() {
            return Ok(());
        }
        // The majority of marks decides. An earlier item that appears without the items that were beside it is
        // outvoted.
        let upstream_pages = self.visited.shown.iter().map(|shown| self.way(&shown.items));
        let marked = |items: &[Seen]| items.iter().filter(|item| self.at.trail.contains(item)).count();
        let outvoted = upstream_pages.filter(|items| marked(items) > 0).take(1).any(|items| {
            let passed = items.iter().rposition(|item| self.at.trail.contains(item)).map_or(0, |place| place + 1);
            marked(&items) * 2 <= passed.min(self.at.trail.len())
        });
        // A single marked item after an answer without marked items is also outvoted: it may have been moved there.
        let mut upstream_pages =
            self.visited.shown.iter().filter(|shown| !shown.items.is_empty()).map(|shown| marked(&shown.items));
        let outvoted = outvoted || (upstream_pages.next() == Some(0) && upstream_pages.sum::<usize>() == 1);
        let place = match ahead {
            Some(ahead) if passed == 0 || outvoted => ahead,
            // No mark is left, or the place was found by the end of the upstream page before it.
            None if outvoted || (passed == 0 && self.at.backward && !self.scenario.traits.backward) => return Ok(()),
            _ => passed,
        };
        let items = self.read();
        // Items without ids are recognised by their bytes. G2 is checked for them only if no mark occurs twice and no
        // item changed.
        let marks: HashSet<&Seen> = self.at.trail.iter().collect();
        let told_apart = self.shape() != Shape::Anonymous
            || (marks.len() == self.at.trail.len()
                && flat[..place].iter().all(|item| self.world.had(*item, self.at.when)));
        if let Some(item) =
            items.iter().filter(|_| told_apart).find(|item| flat[..place].contains(item) && leg.had.contains(item))
        {
            return Err(format!("G2: {item:?} is before the marks and is served again"));
        }
        let end =
            items.last().and_then(|last| flat.iter().position(|item| item == last)).map_or(place, |place| place + 1);
        let end = if self.is_over() { flat.len() } else { end };
        // An item that came since the place was handed out may be on either side of the place.
        let since = |item: &Seen| !self.world.had(*item, self.at.when);
        let had = |item: &Seen| leg.had.contains(item) || self.at.trail.contains(item) || since(item);
        match flat[place..end.max(place)].iter().find(|item| !items.contains(item) && !had(item)) {
            Some(item) => Err(format!("G1: {item:?} was shown beyond the marks and is not served")),
            None => Ok(()),
        }
    }

    /// Checks the whole leg. G2: no item comes twice. G1, at the end of a walk from the start whose tokens kept their
    /// place: each item that was there throughout was delivered.
    fn check_leg(&self, leg: &mut Leg) -> Result<(), String> {
        let traits = &self.scenario.traits;
        let known = self.shape().is_declared() || self.world.changes == 0;
        // A circle of tokens through a list whose order proves nothing is detected after some rounds, which repeat
        // items.
        let round =
            traits.circle.is_some() && matches!(self.shape(), Shape::Undeclared | Shape::Anonymous | Shape::Loose);
        let anchored = self.visited.page.level() == Level::Anchored;
        for item in self.read() {
            // In the middle of unordered ties, only the anchor's place among them shows which ties were served. A token
            // that drifts may skip the anchor. The page is then `anchored`, which promises less.
            let tied = self.at.anchor.is_some_and(|anchor| anchor.key == item.key);
            let amid = anchored && tied && !traits.keeps_places() && self.shape() == Shape::Loose;
            let twice = !leg.had.insert(item);
            leg.amid_ties |= twice && amid;
            if twice && known && !round && !leg.amid_ties {
                return Err(format!("G2: {item:?} comes twice"));
            }
        }
        let stays = match traits.place {
            Place::Keys => true,
            // A client that wanders may continue in the snapshot of another request.
            Place::Snapshot => !self.scenario.wanders(),
            Place::Item => !self.scenario.has_moves(),
            Place::Offset => traits.circle.is_none() && self.world.losses == leg.losses,
        };
        let over = leg.from_start && !leg.backward && self.is_over() && !self.visited.page.short;
        if over && stays {
            let missed = self.world.rows.iter().find(|row| {
                !row.hidden
                    && self.world.had(row.seen, leg.since)
                    && row.since < leg.since
                    && !leg.had.contains(&row.seen)
            });
            if let Some(row) = missed {
                return Err(format!("G1: {:?} was there throughout and is not delivered", row.seen));
            }
        }
        Ok(())
    }
}
