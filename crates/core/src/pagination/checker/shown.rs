//! The stretches of the list that the answers of a transcript show, and the evidence for their two ends.

use std::{cmp::Ordering, rc::Rc};

use super::{
    super::{
        answer::{Answer, Standing},
        fetch::{Fetch, Listing},
        filter::{Comparison, Filter},
        key::{KeyValue, Operand},
        order::{Direction, Nulls},
        page::Level,
        paging::{EndEvidence, Sizes},
        window::Slice,
    },
    AnswerSpan, ListPlace, PageChecker, Row, after,
};

/// A place that an answer shows up to, at which level, and why.
type Reach<'a> = (ListPlace<'a>, Level, &'static str);

impl<'a> PageChecker<'a> {
    /// Returns the stretches that each answer shows, and those that neighbours show together.
    pub(super) fn shown(&self) -> Vec<AnswerSpan<'a>> {
        let mut shown = Vec::new();
        for (number, (fetch, answer)) in self.transcript.exchanges.iter().enumerate() {
            if answer.standing != Standing::Listed {
                continue;
            }
            match fetch {
                Fetch::Slice(slice, listing) => {
                    self.show(&[number], listing, slice.begins().0 == 0, Level::Exact, &mut shown);
                    let mut joined = vec![number];
                    while let Some(next) = self.neighbour(joined[joined.len() - 1]) {
                        if joined.contains(&next) {
                            break;
                        }
                        joined.push(next);
                        self.show(&joined, listing, slice.begins().0 == 0, Level::Checked, &mut shown);
                    }
                }
                Fetch::Token(_) | Fetch::Item(_) | Fetch::Count => {}
            }
        }
        shown
    }

    /// Adds the stretches that neighbouring slices show together.
    fn show(
        &self,
        numbers: &[usize],
        listing: &'a Listing,
        from_start: bool,
        level: Level,
        shown: &mut Vec<AnswerSpan<'a>>,
    ) {
        let reversed = listing.flipped != self.backward;
        let in_reading = numbers.iter().copied();
        let parts: Vec<usize> = if reversed { in_reading.rev().collect() } else { in_reading.collect() };
        let rows: Rc<[Row<'a>]> = parts.iter().flat_map(|part| self.answers[*part].iter().cloned()).collect();
        let (limit_low, limit_high) = match listing.filter.as_deref().map(|filter| self.limits(filter)) {
            None => (ListPlace::start(), ListPlace::end()),
            Some(Some(limits)) => limits,
            Some(None) => return,
        };
        let name = match &parts[..] {
            [only] => format!("Answer {}", only + 1),
            parts => {
                let numbers: Vec<String> = parts.iter().map(|part| (part + 1).to_string()).collect();
                format!("The neighbouring answers {}, one of each two read again and the same,", numbers.join(" and "))
            }
        };
        let start = from_start.then_some((Level::Exact, ""));
        let end = self.end_of(numbers[numbers.len() - 1], numbers.len() > 1 && from_start);
        let (first, last) = if reversed { (end, start) } else { (start, end) };
        let lows = first.map(|(own, because)| (limit_low.clone(), own, because));
        let highs = last.map(|(own, because)| (limit_high, own, because));
        let Some(Filter::Or(parts)) = listing.filter.as_deref() else {
            return self.push(
                &name,
                &rows,
                (lows, highs),
                (ListPlace::start(), ListPlace::end()),
                level,
                listing.by_id,
                shown,
            );
        };
        // Of alternatives, each shows what is within its own range; that the others are understood is trusted.
        for (low, high) in parts.iter().filter_map(|part| self.limits(part).filter(|_| !is_equality(part))) {
            let start = from_start.then(|| (low.clone(), Level::Exact, ""));
            // An alternative that shows an item of its range is understood, and ends where the answer ends the list.
            let end = highs.as_ref().filter(|_| rows.iter().any(|row| self.is_within(row, &low, &high)));
            let end = end.map(|(_, own, because)| (high.clone(), *own, *because));
            self.push(&name, &rows, (start, end), (low, high), level, listing.by_id, shown);
        }
        // One that lets through the anchor's own value apart from what follows leads on from the anchor, by trust.
        let apart = parts.iter().any(is_equality) && self.order_of(&limit_low, &self.anchor) != Some(Ordering::Greater);
        let lows = if apart { lows.map(|(_, own, because)| (self.anchor.clone(), own, because)) } else { lows };
        self.push(
            &name,
            &rows,
            (lows, highs),
            (ListPlace::start(), ListPlace::end()),
            level.min(Level::Checked),
            listing.by_id,
            shown,
        );
    }

    fn is_within(&self, row: &Row<'a>, low: &ListPlace<'a>, high: &ListPlace<'a>) -> bool {
        let place = after(row);
        self.order_of(low, &place).is_some_and(Ordering::is_lt)
            && self.order_of(&place, high).is_some_and(Ordering::is_le)
    }

    /// Adds what an answer shows within a range: by its own items, and with the ends that it has.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of its own")]
    fn push(
        &self,
        name: &str,
        rows: &Rc<[Row<'a>]>,
        (low, high): (Option<Reach<'a>>, Option<Reach<'a>>),
        (least, most): (ListPlace<'a>, ListPlace<'a>),
        level: Level,
        by_id: bool,
        shown: &mut Vec<AnswerSpan<'a>>,
    ) {
        let run = |row: &Row<'a>| if by_id { self.order.columns() } else { self.run(row) };
        if !self.is_sorted(rows) {
            return;
        }
        let own_low = rows.first().map(|row| (ListPlace::new(&row.keys[..run(row)], false), Level::Exact, ""));
        let own_high = rows.last().map(|row| {
            let run = run(row);
            (ListPlace::new(&row.keys[..run], run < self.order.columns()), Level::Exact, "")
        });
        let low = low.and_then(|low| self.trusted(low, rows.first()));
        for (low, low_level, why_low) in own_low.into_iter().chain(low) {
            for (high, high_level, why_high) in own_high.iter().chain(&high) {
                let because = if why_high.is_empty() { why_low } else { why_high };
                let level = level.min(low_level).min(*high_level);
                let low = if self.order_of(&low, &least) == Some(Ordering::Less) { &least } else { &low };
                let high = if self.order_of(&most, high) == Some(Ordering::Less) { &most } else { high };
                let (name, rows) = (name.to_owned(), Rc::clone(rows));
                shown.push(AnswerSpan { name, rows, low: low.clone(), high: high.clone(), level, because });
            }
        }
    }

    /// Returns the place at which a filtered list begins. It is believed at `exact` only where the first item shows that the
    /// filter's own value passes: the item does not come after the anchor by the keys of the filter. A filter that leaves
    /// its value out never shows that.
    fn trusted(
        &self,
        (low, level, because): (ListPlace<'a>, Level, &'static str),
        first: Option<&Row<'a>>,
    ) -> Option<(ListPlace<'a>, Level, &'static str)> {
        if low.keys.is_empty() {
            return Some((low, level, because));
        }
        let depth = low.keys.len();
        let shows = first.filter(|first| {
            depth <= self.anchor.keys.len()
                && self.compare(&first.keys, &self.anchor.keys, depth).is_some_and(Ordering::is_le)
        });
        match shows {
            Some(first) => Some((ListPlace::new(&first.keys[..depth], true), level, because)),
            // It lets the anchor's value through, and does not show it.
            None if low.before && self.order_of(&low, &self.anchor) != Some(Ordering::Greater) => None,
            None => Some((low, level.min(Level::Checked), ", by a filter that leaves its own value out")),
        }
    }

    fn is_sorted(&self, rows: &[Row<'a>]) -> bool {
        rows.windows(2).all(|pair| {
            let run = self.run(&pair[0]);
            let strict = run == self.order.columns();
            self.compare(&pair[0].keys, &pair[1].keys, run)
                .is_some_and(|known| known.is_lt() || (!strict && known.is_eq()))
        })
    }

    fn slice(&self, number: usize) -> Option<(Slice, &'a Listing, &'a Answer)> {
        match self.transcript.exchanges.get(number)? {
            (Fetch::Slice(slice, listing), answer) => Some((*slice, listing, answer)),
            _ => None,
        }
    }

    fn slices(&self) -> impl Iterator<Item = (usize, Slice, &'a Listing, &'a Answer)> {
        (0..self.transcript.exchanges.len())
            .filter_map(|number| self.slice(number).map(|(slice, listing, answer)| (number, slice, listing, answer)))
    }

    /// Returns whether two answers to the same question show the same items, in whatever sequence ties come.
    fn is_same(&self, one: usize, other: usize) -> bool {
        let exchanges = &self.transcript.exchanges;
        let within = |rows: &[Row<'a>], others: &[Row<'a>]| {
            rows.iter().all(|row| others.iter().any(|other| other.is_verbatim(row)))
        };
        let (rows, others) = (&self.answers[one], &self.answers[other]);
        one == other || (exchanges[one].0 == exchanges[other].0 && within(rows, others) && within(others, rows))
    }

    /// Returns whether two answers do not tell different exact totals.
    fn agree(&self, one: usize, other: usize) -> bool {
        let exact = |number: usize| self.transcript.exchanges[number].1.total.filter(|total| total.exact);
        exact(one).is_none_or(|total| exact(other).is_none_or(|other| total == other))
    }

    /// Returns the slice right after this one, where one of them was read before and after the other, and was the same.
    fn neighbour(&self, number: usize) -> Option<usize> {
        let (slice, listing, answer) = self.slice(number)?;
        let end = slice.begins().0 + answer.items.len() as u64;
        let size = u64::from(slice.size().0);
        let enclosed = |one: usize, other: usize| {
            (0..other).any(|before| self.is_same(before, one))
                && (other + 1..self.answers.len()).any(|again| self.is_same(again, one) && self.agree(again, other))
        };
        self.slices().find_map(|(other, next, its, later)| {
            let follows = next.begins().0 == end
                || (next.size() == slice.size()
                    && next.begins().0 == slice.begins().0 + size
                    && (answer.items.len() == later.items.len() || answer.size == Some(slice.size().0)))
                || (self.transcript.request.paging.hidden && next.begins().0 == slice.begins().0 + size);
            let fits = follows && its == listing && !answer.items.is_empty() && !later.items.is_empty();
            (fits && (enclosed(number, other) || enclosed(other, number))).then_some(other)
        })
    }

    /// Returns whether an answer does not begin with an item from before its place, as another answer shows that. A page
    /// that does is not where it was asked for, and neither is another of its size.
    fn is_in_place(&self, other: usize, number: usize) -> bool {
        let begins = |number: usize| self.slice(number).map(|(slice, ..)| slice.begins().0);
        let place = begins(other).zip(begins(number)).and_then(|(from, begins)| from.checked_sub(begins));
        let place = place.and_then(|place| self.answers[number].get(usize::try_from(place).ok()?));
        place.zip(self.answers[other].first()).is_none_or(|(place, first)| {
            self.compare(&first.keys, &place.keys, self.run(place)).is_none_or(Ordering::is_ge)
        })
    }

    /// Returns the evidence by which an answer ends its list, in the direction in which it was asked for.
    fn end_of(&self, number: usize, joined_from_start: bool) -> Option<(Level, &'static str)> {
        let (slice, listing, answer) = self.slice(number)?;
        let (count, asked, begins) = (answer.items.len(), slice.size().0 as usize, slice.begins().0);
        // The whole list and a filtered one may be capped otherwise.
        let is_filtered = listing.filter.is_some();
        let alike = self.slices().filter(|(other, _, its, _)| *other != number && its.filter.is_some() == is_filtered);
        let most = alike.map(|(.., answer)| answer.items.len()).max().unwrap_or(0).max(2);
        let request = &self.transcript.request;
        let before = if request.filters.is_some() == is_filtered { request.target.hint.honoured as usize } else { 0 };
        let honoured = most.max(before);
        let own = self.end_by_itself(number, honoured);
        if own.is_some() {
            return own;
        }
        // The last item, or the whole run that it belongs to, as far as it is seen.
        let reversed = listing.flipped != self.backward;
        let rows = &self.answers[number];
        let last = if reversed { rows.first()? } else { rows.last()? };
        let run = self.run(last);
        let last = ListPlace::new(&last.keys[..run], reversed && run < self.order.columns());
        let nothing_after = |other: usize| {
            let beyond = |row: &Row<'a>| match reversed {
                true => self.order_of(&after(row), &last) == Some(Ordering::Less),
                false => self.is_after(row, &last),
            };
            !self.answers[other].iter().any(beyond)
        };
        let later = || self.slices().filter(move |(other, _, its, _)| *other != number && *its == listing);
        let further_on =
            later().any(|(other, slice, ..)| slice.begins().0 >= begins + asked as u64 && nothing_after(other));
        // The smallest page that holds the last item may begin before this answer does.
        let beside = later().any(|(other, slice, _, answer)| {
            let is_short = answer.items.len() < slice.size().0 as usize;
            let ends_alike = slice.begins().0 >= begins || (is_short && count < honoured);
            !answer.items.is_empty()
                && ends_alike
                && (reversed || self.is_in_place(other, number))
                && nothing_after(other)
        });
        if further_on && beside && count < asked {
            return Some((Level::Checked, ", for two further answers find nothing after it"));
        }
        if (further_on || beside) && count < asked && count < honoured {
            return Some((
                Level::Checked,
                ", for it is shorter than what was honoured, and another finds nothing after it",
            ));
        }
        let reached = begins + count as u64;
        let counted = answer.total.filter(|total| total.exact).map(|total| total.value);
        if (begins == 0 || joined_from_start) && counted == Some(reached) {
            return Some((Level::Checked, ", as many from the start as are counted"));
        }
        let empty = later().find(|(other, slice, ..)| slice.begins().0 >= reached && nothing_after(*other));
        let again = empty.is_some_and(|(other, ..)| {
            (other + 1..self.answers.len()).any(|again| self.is_same(again, number) && self.agree(again, number))
        });
        if again || (further_on && beside) {
            return Some((Level::Checked, ", for nothing comes after it, and it was read again and the same"));
        }
        None
    }

    /// Returns the evidence of one answer that it ends its list, if sizes up to `honoured` count as honoured.
    fn end_by_itself(&self, number: usize, honoured: usize) -> Option<(Level, &'static str)> {
        let (slice, _, answer) = self.slice(number)?;
        let paging = &self.transcript.request.paging;
        let (count, asked, begins) = (answer.items.len(), slice.size().0 as usize, slice.begins().0);
        let cap = match paging.sizes {
            Sizes::Free { most: Some(most), .. } => asked.min(most as usize),
            Sizes::Fixed(size) => size as usize,
            _ => asked,
        };
        if paging.end == EndEvidence::Flag && answer.more == Some(false) {
            return Some((Level::Exact, ", which it says of its own slice"));
        }
        let counted = answer.total.filter(|total| total.exact).map(|total| total.value);
        let nothing_follows = answer.more == Some(false) || counted == Some(begins + count as u64);
        if count == 0 {
            let vouched = nothing_follows || paging.end == EndEvidence::ShortPage;
            let level = if vouched { Level::Exact } else { Level::Checked };
            return (begins == 0).then_some((level, ", which is empty"));
        }
        if paging.end == EndEvidence::ShortPage && count < cap && !paging.hidden {
            return Some((Level::Exact, ", for it is shorter than what was asked for"));
        }
        if count < asked && count < honoured && nothing_follows && !paging.hidden {
            return Some((Level::Exact, ", for it is shorter than what was honoured, and says so"));
        }
        None
    }

    /// Returns the places between which a filter lets items through; `None` where the filter is no range.
    fn limits(&self, filter: &'a Filter) -> Option<(ListPlace<'a>, ListPlace<'a>)> {
        if let Filter::Or(parts) = filter {
            let mut ranges = parts.iter().map(|part| self.limits(part)).collect::<Option<Vec<_>>>()?;
            ranges.sort_by(|left, right| self.order_of(&left.0, &right.0).unwrap_or(Ordering::Equal));
            return ranges.into_iter().map(Some).reduce(|all, next| {
                let ((low, high), (from, to)) = (all?, next?);
                let touches = self.order_of(&from, &high)?.is_le();
                touches.then(|| (low, if self.order_of(&high, &to) == Some(Ordering::Less) { to } else { high }))
            })?;
        }
        let parts = if let Filter::And(parts) = filter { &parts[..] } else { std::slice::from_ref(filter) };
        let compared = |part: &'a Filter| match part {
            Filter::Compare { column, comparison, value } => {
                Some((*column, *comparison, value.as_ref().unwrap_or(&NULL)))
            }
            _ => None,
        };
        let parts = parts.iter().map(compared).collect::<Option<Vec<_>>>()?;
        let mut prefix = Vec::new();
        let is_equal = |comparison| matches!(comparison, Comparison::Equal | Comparison::Null);
        while let Some((_, _, value)) = parts.iter().find(|(column, how, _)| *column == prefix.len() && is_equal(*how))
        {
            prefix.push(Operand::Kept(value));
        }
        let with =
            |value: &'a KeyValue, before| ListPlace::new(&[&prefix[..], &[Operand::Kept(value)]].concat(), before);
        let (mut low, mut high) = (ListPlace::new(&prefix, true), ListPlace::new(&prefix, false));
        for (column, how, value) in parts.into_iter().filter(|(_, how, _)| !is_equal(*how)) {
            let key = self.order.strong.get(column).unwrap_or(&self.order.id);
            if column != prefix.len() {
                return None;
            }
            if let Some(first) = self.nulls_first(column) {
                // A comparison lets no null through.
                *(if first { &mut low } else { &mut high }) = with(&NULL, !first);
            }
            let upward = key.direction == Direction::Ascending;
            match how {
                Comparison::NotNull => {}
                Comparison::Greater | Comparison::GreaterOrEqual if upward => {
                    low = with(value, how == Comparison::GreaterOrEqual);
                }
                Comparison::Less | Comparison::LessOrEqual if !upward => {
                    low = with(value, how == Comparison::LessOrEqual);
                }
                _ => high = with(value, matches!(how, Comparison::Less | Comparison::Greater)),
            }
        }
        // A block of nulls begins or ends where the list does.
        while low.before && self.is_null(&low) && self.nulls_first(low.keys.len() - 1) == Some(true) {
            low = ListPlace::new(&low.keys[..low.keys.len() - 1], low.before);
        }
        while !high.before && self.is_null(&high) && self.nulls_first(high.keys.len() - 1) == Some(false) {
            high = ListPlace::new(&high.keys[..high.keys.len() - 1], high.before);
        }
        Some((low, high))
    }

    fn is_null(&self, place: &ListPlace<'a>) -> bool {
        matches!(place.keys.last(), Some(Operand::Kept(KeyValue::Null)))
    }

    /// Returns whether nulls of a strong key stand before its other values, in the direction of reading; `None` where there
    /// are none.
    fn nulls_first(&self, column: usize) -> Option<bool> {
        let key = self.order.strong.get(column)?;
        let ascending = key.direction == Direction::Ascending;
        match key.nulls {
            Nulls::First => Some(true),
            Nulls::Last => Some(false),
            Nulls::Smallest => Some(ascending),
            Nulls::Largest => Some(!ascending),
            Nulls::None | Nulls::Unsaid => None,
        }
    }
}

/// Returns whether an alternative of a filter lets one value through, and not what follows that.
fn is_equality(filter: &Filter) -> bool {
    matches!(filter, Filter::Compare { comparison: Comparison::Equal, .. })
}

static NULL: KeyValue = KeyValue::Null;
