//! The refutation of statements that more items follow, each in its own way.

use std::cmp::Ordering;

use super::{
    KeyReader, SupposedEnd,
    facts::{self, MoreClaims, MoreSaid},
    looks::LookResult,
};
use crate::pagination::{
    answer::{Answer, Standing},
    judge::draft::Ground,
    limits::{END_FAR_OFFSET, END_FLIPPED_LOOKS, END_LOOKS, END_LOOKS_AMONG_HIDDEN, NAMED_PLACE_WINDOWS},
    page::DoubtedEnd,
    paging::{CountedThings, Family, Sizes},
    plan, rows,
    slices::AskedSlice,
    windows::KeyHalt,
};

/// The result of the attempt to refute the statements that more items follow.
#[derive(Debug)]
pub(super) enum Refuted {
    /// No statement is left.
    Over,
    /// This answer, which follows the rows that were looked at, shows an item beyond.
    Item(AskedSlice, Box<Answer>),
    /// More items are known, or named, up to this offset.
    Towards(u64),
    /// A statement is left.
    Doubted(DoubtedEnd),
}

/// The result of the comparison with an answer from far beyond.
#[derive(Debug)]
enum Far {
    /// An item beyond is before this offset.
    Item(u64),
    /// The statements of the upstream change at this offset.
    Edge(u64),
    /// The upstream says the same everywhere.
    Same,
    /// The upstream doesn't answer so far away.
    Unknown,
}

impl KeyReader<'_> {
    /// Refutes, one after the other, the statements that more items follow.
    pub(super) async fn refute(&mut self, end: &mut SupposedEnd) -> Result<Refuted, KeyHalt> {
        if let Some(known) = self.look_from_the_other_end(end).await? {
            return Ok(known);
        }
        let claims = self.claims(end);
        let named = self.seen.newest_total().map_or(0, |total| total.value);
        if claims.place && named > end.covered {
            // One empty place says nothing about the rows before it, so all of them are looked at if they are few.
            let window = u64::from(end.size);
            if let LookResult::Item(asked, _) = self.sight_apart(end, named.saturating_sub(window)).await? {
                return Ok(Refuted::Towards(asked.slice.begins().0.saturating_add(window)));
            }
            if let Some((asked, answer)) = self.look_wide(end).await? {
                return Ok(Refuted::Item(asked, Box::new(answer)));
            }
            if self.is_place_in_reach(end) {
                return Ok(Refuted::Towards(named));
            }
        }
        let mut is_silent = false;
        if claims.more {
            match self.compare_with_far(end, named).await? {
                Far::Item(place) | Far::Edge(place) => return Ok(Refuted::Towards(place)),
                Far::Same => is_silent = true,
                Far::Unknown => {}
            }
        }
        if let Some(known) = self.look_at_the_largest_page(end).await? {
            return Ok(known);
        }
        if let Some(item) = self.look_on(end, claims, is_silent).await? {
            return Ok(item);
        }
        let claims = self.claims(end);
        let left = MoreClaims { more: claims.more && !is_silent, ..claims };
        match left.any() {
            true => Ok(Refuted::Doubted(self.doubted(end, left))),
            false if self.is_silent_among_hidden(is_silent) => self.look_beyond_gaps(end).await,
            false => Ok(Refuted::Over),
        }
    }

    /// Returns whether a total names a place beyond the rows that were looked at, and all rows up to it are few enough to
    /// be looked at.
    fn is_place_in_reach(&self, end: &SupposedEnd) -> bool {
        let named = self.seen.newest_total().map_or(0, |total| total.value);
        // An answer to an offset covers as many rows as the largest answer of the walk has items.
        let step = match self.request.paging.family {
            Family::Offset => u64::from(self.rows_of_a_look().clamp(1, end.size)),
            _ => u64::from(end.size),
        };
        self.claims(end).place && named.saturating_sub(end.covered) <= NAMED_PLACE_WINDOWS * step
    }

    /// Returns whether a list is declared to leave out rows, and no answer of the walk says anything about its end.
    fn is_silent_among_hidden(&self, is_flag_silent: bool) -> bool {
        let facts = self.walk_facts();
        let is_counted = facts.counts_beyond_answer
            && self.counted() != CountedThings::Estimate
            && self.seen.newest_total().is_some();
        self.request.paging.hidden && !is_counted && (is_flag_silent || !facts.more_said_when_short)
    }

    /// Looks on at growing distances, until a look is as far beyond the end as the end is from the start. Test:
    /// `a_silent_list_that_hides_rows_goes_on_after_a_gap_of_several_windows`.
    async fn look_beyond_gaps(&mut self, end: &mut SupposedEnd) -> Result<Refuted, KeyHalt> {
        for distance in END_LOOKS[1].1..END_LOOKS_AMONG_HIDDEN {
            let place = self.distant(end, distance, true);
            match self.sight_apart(end, place).await? {
                LookResult::Item(asked, _) => {
                    return Ok(Refuted::Towards(asked.slice.begins().0.saturating_add(u64::from(end.size))));
                }
                LookResult::Nothing(answer) if self.gives_the_beginning(&answer) => break,
                LookResult::Nothing(_) | LookResult::Unseen => {}
            }
            if end.comes_again || place.saturating_sub(end.came) > end.came {
                break;
            }
        }
        Ok(Refuted::Over)
    }

    /// Returns the place of a look at one of the growing distances.
    fn distant(&self, end: &SupposedEnd, distance: u32, is_after_others: bool) -> u64 {
        // The first of these looks follows those without a hole. Pages of a fixed size reach less far, so theirs don't.
        let is_fixed = matches!(self.request.paging.sizes(), Sizes::Fixed(_));
        let strides = (1_u64 << distance) - u64::from(is_after_others && !is_fixed);
        end.covered.saturating_add(u64::from(end.size).saturating_mul(strides))
    }

    /// Looks at the first items of the flipped list. The last item of the list is the first of these.
    async fn look_from_the_other_end(&mut self, end: &mut SupposedEnd) -> Result<Option<Refuted>, KeyHalt> {
        if !self.request.abilities.flips || self.ground != Ground::Whole {
            return Ok(None);
        }
        let Some(last) = end.last.clone() else { return Ok(None) };
        for place in 0..END_FLIPPED_LOOKS {
            let slice = self.window_at(place * u64::from(end.size), end.size);
            let asked = AskedSlice { flipped: Some(end.came), ..slice.into() };
            let Some((_, answer)) = self.look_asked(asked).await? else { return Ok(None) };
            if answer.items.is_empty() {
                continue;
            }
            let relation = rows::relate(&answer, &self.request.order, 0, &last);
            end.is_refuted = relation.is_some_and(|relation| relation.whole.is_gt());
            return Ok(relation.and_then(|relation| match relation.whole {
                Ordering::Equal => Some(Refuted::Over),
                // The flipped list goes on beyond: the gap is crossed as far as a count or a bound reaches.
                Ordering::Greater => {
                    let named = self.seen.newest_total().map_or(0, |total| total.value);
                    let bound = end.covered.saturating_add(NAMED_PLACE_WINDOWS * u64::from(end.size));
                    Some(Refuted::Towards(bound.max(named)))
                }
                // The order wasn't flipped.
                Ordering::Less => None,
            }));
        }
        Ok(None)
    }

    /// Compares what the upstream says far beyond every end with what it says right after this one.
    async fn compare_with_far(&mut self, end: &mut SupposedEnd, named: u64) -> Result<Far, KeyHalt> {
        let Some(near) = self.said_after(end) else { return Ok(Far::Unknown) };
        let size = u64::from(end.size);
        let far = named.saturating_mul(2).max(END_FAR_OFFSET) / size * size;
        let reach = plan::reach_of(&self.request.paging);
        let far = reach.map_or(far, |reach| far.min(reach.saturating_sub(size) / size * size));
        if far <= end.covered {
            return Ok(Far::Unknown);
        }
        let said = match self.sight_apart(end, far).await? {
            LookResult::Item(..) => return Ok(Far::Item(end.covered.saturating_add(size))),
            LookResult::Nothing(answer) if !answer.items.is_empty() => return Ok(Far::Same),
            LookResult::Nothing(answer) => MoreSaid::of(&answer),
            LookResult::Unseen => return Ok(Far::Unknown),
        };
        if self.asker.begins_again() {
            return Ok(Far::Unknown);
        }
        if said == near {
            return Ok(Far::Same);
        }
        // An edge is between: it is searched by growing strides, and then by halves.
        let step = match self.request.paging.family {
            Family::Offset => u64::from(self.rows_of_a_look().clamp(1, end.size)),
            _ => size,
        };
        let (mut low, mut high, mut stride) = (end.covered, None, step);
        // The bound: each turn doubles the stride or halves the distance.
        while high.is_none_or(|high: u64| high.saturating_sub(low) > step) {
            let middle = match high {
                None => low.saturating_add(stride).min(far),
                Some(high) => low + (high - low) / 2,
            };
            let middle = if self.request.paging.family == Family::Offset { middle } else { middle / size * size };
            if high.is_some_and(|high| middle >= high) || (middle <= low && high.is_some()) {
                break;
            }
            match self.sight_apart(end, middle).await? {
                LookResult::Item(asked, _) => return Ok(Far::Item(asked.slice.begins().0.saturating_add(size))),
                LookResult::Nothing(answer) if MoreSaid::of(&answer) != said && middle < far => {
                    (low, stride) = (middle.saturating_add(step), stride.saturating_mul(2));
                }
                _ => high = Some(middle),
            }
        }
        if let LookResult::Item(asked, _) = self.sight_apart(end, low).await? {
            return Ok(Far::Item(asked.slice.begins().0.saturating_add(size)));
        }
        Ok(if low > end.covered { Far::Edge(low) } else { Far::Same })
    }

    /// Looks at the page of the largest size that holds the last item, if only smaller pages were looked at: no size of
    /// the walk was honoured, and looks of an unfilled size see little. Test:
    /// `a_short_list_is_read_whole_over_its_gap`.
    async fn look_at_the_largest_page(&mut self, end: &mut SupposedEnd) -> Result<Option<Refuted>, KeyHalt> {
        let size = self.look_size();
        if self.request.paging.family != Family::Page || end.size >= size || end.is_wide {
            return Ok(None);
        }
        end.is_wide = true;
        let slice = self.window_at(end.came.saturating_sub(1), size);
        let LookResult::Item(asked, answer) = self.sight_of(end, slice).await? else { return Ok(None) };
        let order = &self.request.order;
        let is_beside = end.last.as_ref().is_none_or(|last| facts::begins_at_or_before(&answer, order, last));
        Ok(Some(match is_beside || slice.begins().0 == 0 {
            true => Refuted::Item(asked, Box::new(answer)),
            false => Refuted::Towards(facts::end_of(slice)),
        }))
    }

    /// Looks on without a hole, and then at growing distances. A list of which nothing says more is looked at less.
    async fn look_on(
        &mut self,
        end: &mut SupposedEnd,
        claims: MoreClaims,
        is_silent: bool,
    ) -> Result<Option<Refuted>, KeyHalt> {
        let is_quiet =
            !self.walk_facts().rows_left_out && !claims.place && !claims.count && (is_silent || !claims.more);
        // Where the dialect says that rows are left out, any end may be a gap.
        let is_quiet = is_quiet && !self.is_silent_among_hidden(is_silent);
        let (near, growing) = if is_quiet { END_LOOKS[0] } else { END_LOOKS[1] };
        for _ in 0..near {
            match self.sight(end, end.covered, end.size).await? {
                LookResult::Item(asked, answer) => return Ok(Some(Refuted::Item(asked, Box::new(answer)))),
                LookResult::Nothing(answer) if self.gives_the_beginning(&answer) => return Ok(None),
                LookResult::Nothing(_) | LookResult::Unseen => {}
            }
        }
        for distance in 0..growing {
            let place = self.distant(end, distance, near > 0);
            match self.sight_apart(end, place).await? {
                LookResult::Item(asked, _) => {
                    return Ok(Some(Refuted::Towards(asked.slice.begins().0.saturating_add(u64::from(end.size)))));
                }
                LookResult::Nothing(answer) if self.gives_the_beginning(&answer) => return Ok(None),
                LookResult::Nothing(_) | LookResult::Unseen => {}
            }
        }
        Ok(None)
    }

    /// Returns whether an answer gave the beginning of the list again. Answers from farther places give it too.
    fn gives_the_beginning(&self, answer: &Answer) -> bool {
        answer.standing == Standing::PastEnd && self.asker.begins_again()
    }
}
