//! The confirmation of ends. A short answer is the end of the list, or was made short by a cap, by hidden items, or by
//! a limit of bytes or time.
//!
//! Shortness alone ends nothing. Two requests, sent at once, decide. The first is for the *edge*: it begins at the last
//! item of the short answer, and has a size that this page's answers have just shown, which a cap or a cut lets
//! through. The second begins after all that was requested, and shows the items after hidden ones. If neither finds
//! more, the list ends there, `checked`, whatever a count states.
//!
//! If no answer of the page had two items yet, a third request shows that the size is honoured. If no page shows the
//! place after the last item, the next page is read, and the short one again.

use std::sync::Arc;

use super::{
    AskedSlice, Bracket, KeyNext, KeyReader, KeyTurn, Look, Witness,
    key_seam::{Held, KeySeam},
};
use crate::pagination::{
    direction::{Side, Way},
    judge::confirmation::{self, Came, Confirmed},
    judge::draft::Boundary,
    judge::evidence::{Evidence, loose},
    limits::{END_CHECKS, END_CHECKS_AT_ONE_PLACE},
    order::Ties,
    paging::Sizes,
    plan::{self, Confirmation},
    position::Anchor,
    rows,
    window::{Offset, Slice},
};

/// An answer with fewer items than were requested, for no stated reason.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    pub(super) slice: Slice,
    pub(super) count: usize,
    /// The expected offset of the answer's last item.
    pub(super) last: u64,
}

impl Short {
    /// Returns `view` as a short answer; `None` if it isn't short, or if it ends the list.
    pub(super) fn of(view: &Evidence, slice: Slice) -> Option<Self> {
        let last = view.reaches().checked_sub(1)?;
        view.short().then_some(Self { slice, count: view.len(), last })
    }
}

/// A short answer whose confirmation is in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doubt {
    pub(super) short: Short,
    /// The number of confirmations of short answers for this page.
    pub(super) times: u32,
}

/// The knowledge of the end of the list.
#[derive(Debug, Default)]
pub(super) struct EndChecks {
    /// The short answer that was last checked for being the end; `None` before such a check. If more items follow it,
    /// its number of items may be a silent cap.
    pub(super) doubted: Option<Doubt>,
    /// An item from beyond what seemed to be the end: even two answers that agree don't end the list before this item.
    /// `None` if no such item was seen.
    pub(super) beyond: Option<Anchor>,
    /// The offset at which the last short, final or empty answer seemed to end the list; `None` before such an answer.
    pub(super) seen: Option<u64>,
    /// The offset up to which items were seen.
    pub(super) seen_to: u64,
}

impl KeyReader<'_> {
    /// Returns whether the end that a short answer shows may be confirmed once more.
    pub(super) fn may_doubt(&self, short: &Short) -> bool {
        let most = |doubt: Doubt| if doubt.short.last == short.last { END_CHECKS_AT_ONE_PLACE } else { END_CHECKS };
        self.ending.doubted.is_none_or(|doubt| doubt.times < most(doubt))
    }

    /// Returns the offset at which the answer that confirms a short one should begin: at its last item or, where ties come
    /// in any order, at the item before its last run. Otherwise another item of the run may come in its place. A page
    /// back takes no run of which it doesn't see the item before. Tests:
    /// `a_page_before_removed_last_items_is_read_wherever_its_list_ends`,
    /// `a_page_after_removed_last_items_ends_the_list`.
    pub(super) fn before_the_last_run(&self, view: &Evidence) -> u64 {
        let order = &self.request.order;
        let Some(last) = view.len().checked_sub(1) else { return view.begins() };
        let run = view.run_through(order, last) as usize;
        let is_single = run == 1 && last > 0 && !self.draft.way().is_backward();
        if !loose(order) || is_single {
            return view.offset(last);
        }
        view.offset((last + 1).saturating_sub(run)).saturating_sub(1)
    }

    /// Requests proof that a short answer was the end. The answer that confirms it must begin at or before offset
    /// `from`, to show the boundary and all of the last run of ties. `held` is the short answer itself.
    pub(super) async fn doubt(&mut self, short: Short, from: u64, held: Held) -> KeyNext {
        // The budget of a page may be spent by then, although only its end is left to show. Test:
        // `lists_that_begin_again_past_their_end_are_read_among_left_out_rows`.
        self.asker.searching = true;
        let Short { slice, last, .. } = short;
        let times = self.ending.doubted.map_or(0, |doubt| doubt.times);
        self.ending.doubted = Some(Doubt { short, times: times + 1 });
        let confirmation = plan::confirmation(
            &self.request.paging,
            self.asker.sizes.assumed_cap,
            self.asker.ledger.honoured().size_now(),
            from.min(last),
            last,
        );
        // If the list changes meanwhile, one method may leave the end undecided, so every second attempt uses the other
        // method.
        match confirmation.filter(|_| times.is_multiple_of(2)) {
            Some(confirmation) => {
                let view = match &held {
                    Held::Taken => self.draft.last_view(),
                    Held::Here(view) => Some(&**view),
                };
                let came = view.map_or_else(
                    || Came::nothing(slice),
                    |view| Came::of(view, confirmation.edge, &self.request.order),
                );
                self.confirm(confirmation, slice, came).await
            }
            None => {
                // A run that two neighbours showed together is read again as a whole, with the slice after it. Test:
                // `a_run_over_the_last_two_pages_is_read_with_the_one_after_them`.
                let was_joined = matches!(held, Held::Taken) && self.seams.taken_from != Some(slice);
                let may_be_cut = was_joined && self.request.order.ties == Ties::Unordered;
                let around = may_be_cut.then(|| KeySeam::around(slice)).flatten();
                Ok(KeyTurn::Seam(around.unwrap_or_else(|| read_on(slice, held, last))))
            }
        }
    }

    /// Requests the start of the list once more, because its answer was empty without proof that the list is empty.
    pub(super) async fn doubt_nothing(&mut self, slice: Slice) -> KeyNext {
        let short = Short { slice, count: 0, last: 0 };
        if !self.may_doubt(&short) {
            return Err(self.lost());
        }
        let times = self.ending.doubted.map_or(0, |doubt| doubt.times);
        self.ending.doubted = Some(Doubt { short, times: times + 1 });
        self.confirm(Confirmation { edge: slice, filled: None }, slice, Came::nothing(slice)).await
    }

    /// Requests the slices that confirm that a short slice ends the list: at its edge, beyond it, and where a size
    /// should be filled.
    async fn confirm(&mut self, confirmation: Confirmation, short: Slice, came: Came) -> KeyNext {
        // Beyond the upstream's depth limit no items can be requested or read later, so the edge decides alone.
        // Otherwise an answer from beyond shows the items after hidden ones, even if the dialect declares no hidden
        // items. Test: `silently_hidden_rows_do_not_end_a_list`.
        let beyond = plan::within(&self.request.paging, plan::next(short)).filter(|_| self.asker.left() > 1);
        let fetches = [Some(confirmation.edge), beyond, confirmation.filled];
        let fetches = fetches.into_iter().flatten().map(AskedSlice::from).collect();
        // The upstream may refuse a request after the end, which then only shows nothing.
        self.asker.probe(true);
        let answers = self.ask(fetches).await;
        self.asker.probe(false);
        let mut answers = answers?.into_iter();
        let Some((asked, edge)) = answers.next() else { return Err(self.lost()) };
        let beyond = answers.next().filter(|_| beyond.is_some());
        let from_beyond = beyond.as_ref().map(|(asked, answer)| (asked.slice, answer));
        match confirmation::confirm(asked.slice, edge, from_beyond, &came, self.terms(), &self.asker.ledger) {
            // Two answers agree on an end that a third one has disproved, so the list is read on as one with hidden
            // items. Test: `a_silently_hidden_stretch_of_rows_does_not_end_a_list`.
            Confirmed::Edge(Ok(view)) if self.ends_before_more(&view) => Ok(self.go_on_among_hidden()),
            Confirmed::Edge(view) => {
                Ok(KeyTurn::Look(Look { answers: vec![(asked, view.map(|view| *view))], witness: Witness::Same }))
            }
            Confirmed::MoreBeyond(first) => {
                let from = beyond.map_or(asked, |(asked, _)| asked).slice;
                if self.may_suppose_end() && !self.may_be_capped() {
                    return Ok(self.suppose_end());
                }
                Ok(self.goes_on_beyond(from, first))
            }
            // Offsets count rows that are left out, or the list has changed: the end is judged by all answers. Test:
            // `a_silently_hidden_stretch_of_rows_does_not_end_a_list`. A page that a silent cap may have cut shows no
            // place from which an end can be judged. Regression:
            // `crates/sim/regressions/a-place-in-pages-of-another-size.txt`.
            Confirmed::Before
                if self.may_suppose_end()
                    && !self.shows_more(short)
                    && (!self.may_be_capped() || came.places(asked.slice)) =>
            {
                Ok(self.suppose_end())
            }
            // A page back has no end to judge, but a sweep reads over the rows that are left out. Test:
            // `a_page_back_over_left_out_rows_is_read_at_every_limit`.
            Confirmed::Before if self.draft.way().is_backward() && self.may_sweep() => Ok(KeyTurn::End),
            Confirmed::Before => Ok(self.goes_on_elsewhere()),
        }
    }

    /// Returns whether the page has taken items, after which the list may end.
    pub(super) fn may_suppose_end(&self) -> bool {
        let has_near_side = match self.draft.boundary() {
            _ if self.draft.len() > 0 => true,
            // A page of a size that nothing shows to be honoured has no place from which an end could be supposed.
            // Regression: `crates/sim/regressions/a-place-beyond-capped-pages.txt`.
            Boundary::After { anchor, .. } => {
                let near = self.seen.near_side(&self.request.order, Some(anchor));
                near.is_some_and(|near| self.is_in_place(near.slice))
                    || self.seen.shows(&self.request.order, Some(anchor))
            }
            _ => false,
        };
        self.judges_ends()
            && has_near_side
            && self.draft.way() == Way::Forward
            && !self.draft.seeks_the_end()
            && self.claimed.may_be_refuted()
    }

    /// Returns whether a slice begins where its number says: its size is no larger than an answer of the walk.
    fn is_in_place(&self, slice: Slice) -> bool {
        match slice {
            Slice::Offset { .. } => true,
            Slice::Page { size, .. } => size.0 <= self.walk_facts().most,
        }
    }

    /// Returns whether an answer to a slice shows items after those taken: the page must read them.
    fn shows_more(&self, slice: Slice) -> bool {
        let last = self.draft.last_before_the_end();
        self.seen.is_past_in(slice, &self.request.order, last.as_ref())
    }

    /// Returns whether an answer ends with the item after which the page begins. A page by number must have been
    /// doubted before, because a silent cap may have cut it there.
    pub(super) fn ends_with_the_anchor(&self, view: &Evidence) -> bool {
        let Boundary::After { anchor, .. } = self.draft.boundary() else { return false };
        let was_doubted = self.ending.doubted.is_some() && !self.may_be_capped();
        self.ends_with(view, anchor) && (matches!(view.slice(), Slice::Offset { .. }) || was_doubted)
    }

    /// Returns whether an answer ends with the item after which the page goes on.
    pub(super) fn ends_with_the_last(&self, view: &Evidence) -> bool {
        self.draft.last_before_the_end().is_some_and(|last| self.ends_with(view, &last))
    }

    /// Returns whether an item is the last one of an answer.
    fn ends_with(&self, view: &Evidence, item: &Anchor) -> bool {
        let last = view.len().checked_sub(1).map(|place| view.item(place));
        let relation = last.and_then(|last| rows::relate(view.answer(), &self.request.order, last, item));
        relation.is_some_and(|relation| relation.whole.is_eq())
    }

    /// Returns whether a silent cap may have shortened the doubted page: it has as many items as any answer of the
    /// walk.
    fn may_be_capped(&self) -> bool {
        let most = self.walk_facts().most as usize;
        let may_be_capped = |short: Short| matches!(short.slice, Slice::Page { .. }) && short.count >= most;
        // Pages of one fixed size have no other cap. Test: `a_short_list_of_fixed_pages_is_read_whatever_it_counts`.
        let is_free = !matches!(self.request.paging.sizes(), Sizes::Fixed(_));
        is_free && self.ending.doubted.is_some_and(|doubt| may_be_capped(doubt.short))
    }

    /// Supposes that the list ends after the items taken, so the end is judged.
    pub(super) fn suppose_end(&mut self) -> KeyTurn {
        self.claimed.is_supposed = true;
        self.draft.end_after_the_last();
        KeyTurn::End
    }

    /// Continues after the edge of a short answer turned out to lack that answer's last item: the list has changed. If
    /// this isn't the page's first confirmation, the upstream's offsets are taken to count hidden items, which its
    /// dialect doesn't declare.
    fn goes_on_elsewhere(&mut self) -> KeyTurn {
        self.refute_cap();
        if self.ending.doubted.is_some_and(|doubt| doubt.times > 1) {
            return self.go_on_among_hidden();
        }
        (self.cut, self.asker.searching) = (None, true);
        KeyTurn::Window
    }

    /// Returns whether an answer ends the list before an item that came from beyond. Items are then hidden in between.
    pub(super) fn ends_before_more(&self, view: &Evidence) -> bool {
        let Some(more) = self.ending.beyond.as_ref().filter(|_| view.ends()) else { return false };
        let order = &self.request.order;
        let stands = |last: usize| rows::relate(view.answer(), order, view.item(last), more);
        view.len().checked_sub(1).is_none_or(|last| stands(last).is_none_or(|relation| relation.strong.is_lt()))
    }

    /// Continues to read on the assumption that items are hidden, although the upstream's dialect doesn't declare it.
    pub(super) fn go_on_among_hidden(&mut self) -> KeyTurn {
        if self.may_suppose_end() {
            return self.suppose_end();
        }
        if self.may_sweep() {
            return KeyTurn::End;
        }
        (self.cut, self.asker.searching) = (None, true);
        Arc::make_mut(&mut self.request.paging).hidden = true;
        self.search.bracket = Bracket::default();
        KeyTurn::Window
    }

    /// Drops the known cap if the short answer was requested with a size up to the cap: the cap didn't shorten it, and
    /// yet more items follow.
    pub(super) fn refute_cap(&mut self) {
        let Some(Doubt { short, .. }) = self.ending.doubted else { return };
        if self.asker.sizes.profile.cap.is_some_and(|cap| short.slice.size().0 <= cap) {
            (self.asker.sizes.assumed_cap, self.asker.sizes.profile.cap) = (None, None);
        }
    }

    /// Assumes that `count` items are a silent cap, if the number is at least 2 and no smaller or equal cap is known.
    /// Returns whether the cap was assumed.
    pub(super) fn suspect_cap(&mut self, count: usize) -> bool {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let is_smaller = count >= 2 && self.asker.sizes.assumed_cap.is_none_or(|cap| cap > count);
        if is_smaller {
            self.asker.sizes.assumed_cap = Some(count);
        }
        is_smaller
    }

    /// Continues after a request beyond a short answer has shown more items, though none follows the last item at its
    /// expected place. Items are hidden in between, the list has changed, or under a silent cap a page number means a
    /// page of another size.
    fn goes_on_beyond(&mut self, beyond: Slice, first: Option<Anchor>) -> KeyTurn {
        let Some(Doubt { short, .. }) = self.ending.doubted else { return KeyTurn::Window };
        self.ending.beyond = first;
        let count = u32::try_from(short.count).unwrap_or(u32::MAX);
        // More items follow, so larger sizes are no longer honoured. Test:
        // `a_walk_forgets_sizes_that_are_honoured_no_more`.
        self.asker.fell_to(count);
        (self.cut, self.asker.searching) = (None, true);
        self.refute_cap();
        if matches!(short.slice, Slice::Page { .. }) && self.suspect_cap(short.count) {
            return KeyTurn::Window;
        }
        let (after, before) = (short.last + 1, beyond.begins().0);
        self.search.bracket.bound(Side::After, short.slice.begins().0, after);
        self.search.bracket.missed(Side::Before, before.max(after), before.max(after));
        KeyTurn::Window
    }
}

/// Returns the seam after an answer whose last item is at offset `last`: the slice after the answer, and then the
/// answer again.
fn read_on(slice: Slice, held: Held, last: u64) -> KeySeam {
    let later = match slice {
        Slice::Page { .. } => plan::next(slice),
        // The number of items received, not the requested size, determines where the next item is.
        Slice::Offset { size, .. } => Slice::Offset { from: Offset(last + 1), size },
    };
    KeySeam::beside(slice, held, vec![later])
}
