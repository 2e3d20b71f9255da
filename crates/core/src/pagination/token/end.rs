//! The end of a list by token: which statements of the upstream are followed, asked again, or believed.
//!
//! A token is followed, whatever flags and counts say, because it can be tried. Only the dialect's word ends a list
//! beside a token ([`EndEvidence::Flag`]), or a long run of empty answers: a filter that is applied after the limit
//! leaves empty answers in the middle of a list, and tokens that are always there leave them after its end.
//!
//! A missing token is the end if nothing contradicts it. It is asked for once more if the answer's flag or a total says
//! that more items follow, if the answer is full, or if the answer is empty although a token led to it, then even several times. If
//! no answer has a token, and a total promises at least another full answer, the two statements of the upstream
//! exclude each other, and the page is refused. Otherwise the end is served, and marked if it is still contradicted. It
//! is also marked if a token led to an empty answer and works no longer.

use std::cmp::Ordering;

use super::TokenPage;
use crate::pagination::{
    answer::Standing,
    direction::Way,
    fetch::{Fetch, Token, TokenFetch},
    judge::{
        page::DoubtedEnd,
        token_end::{self, TokenCounts},
        upstream_page::{Asked, Lead, UpstreamPage},
    },
    limits::STRANGE_ANSWERS_ASKED_AGAIN,
    paging::{EndEvidence, Sizes},
    position::{PlaceInPage, Position, WalkFacts},
    refusal::Refusal,
    request::PageRequest,
    upstream::Stop,
    window::{Offset, PageSize},
};

/// The facts that the walk has met about the end of the list, up to the answers of this page.
#[derive(Debug)]
pub(super) struct EndFacts {
    /// The facts of the walk. The number of passed items is that of the page's start.
    pub(super) walk: WalkFacts,
    /// The newest total that the answers of this page state and that can be compared with items, in either direction.
    pub(super) total: Option<u64>,
    /// True if the last answer, in either direction, was empty.
    pub(super) is_in_gap: bool,
    /// True if the last answer had fewer items than requested.
    was_short: bool,
    /// True if any answer of this page, in its direction, had fewer items than requested.
    pub(super) fell_short: bool,
    /// The number of times that the answer without a token was asked for again.
    pub(super) asked_again: u32,
    /// The token of the last item, if a request by it has shown that the list goes on although a flag denies that.
    pub(super) leads_on: Option<Token>,
    /// True if the second answer differs, so the next page reads it again.
    pub(super) rereads: bool,
    /// True if an answer was empty although a token led to it, and the token works no longer.
    is_lost: bool,
    /// True if the start of the list was asked for, because a token that leads back brought no item.
    is_start_asked: bool,
    /// True if the page ends the list in its direction.
    pub(super) is_over: bool,
    /// The statement that contradicts the end; `None` if there is none.
    pub(super) doubt: Option<DoubtedEnd>,
}

/// The way in which a page continues after the upstream pages read so far.
pub(super) enum Continuation {
    /// By a token of the upstream.
    Token(Token),
    /// The last answer has no token, and must be asked for again before that ends the list.
    Unconfirmed,
    /// The list ends here.
    Edge,
}

impl EndFacts {
    pub(super) fn of(request: &PageRequest) -> Self {
        let hint = request.target.hint;
        let is_start = match &request.target.position {
            Position::Start | Position::At(Offset(0)) => true,
            Position::Token(place) => {
                place.token.is_none() && !place.backward && place.within == PlaceInPage::Whole && hint.offset.0 == 0
            }
            _ => false,
        };
        let passed = if is_start { Some(0) } else { hint.walk.passed };
        Self {
            walk: WalkFacts { passed, ..hint.walk },
            total: None,
            // Where rows are left out, an upstream page that is read again must be large enough to show the place
            // after them. `walks_by_token_keep_the_promises` in the simulator finds pages that are refused otherwise.
            is_in_gap: hint.walk.empty > 0 || (hint.walk.rows_left_out && hint.offset.0 > 0),
            was_short: false,
            fell_short: false,
            asked_again: 0,
            leads_on: None,
            rereads: false,
            is_lost: false,
            is_start_asked: false,
            is_over: false,
            doubt: None,
        }
    }
}

impl TokenPage<'_> {
    /// Notes the statements of an answer. Only those of an answer that was read in the page's direction speak of the
    /// end, except for totals.
    pub(super) fn note_statements(&mut self, upstream_page: &UpstreamPage) {
        let (answer, asked) = (upstream_page.answer(), upstream_page.asked());
        self.end.is_in_gap = upstream_page.is_empty();
        let count = narrow(upstream_page.len());
        // Totals don't depend on the direction. Tests: `a_total_beside_an_answer_read_backward_contradicts_an_end`,
        // `a_total_that_grew_while_a_client_went_back_does_not_contradict_an_end`.
        if let Some(total) = token_end::counted(answer, &self.request.paging) {
            let known = self.end.total.or(self.request.target.hint.total);
            let facts = &mut self.end.walk;
            // Among the passed items are those that were deleted since, so a total that has fallen shows no end. Test:
            // `a_total_that_has_changed_does_not_show_that_all_items_are_passed`.
            facts.grown = facts.grown.saturating_add(known.map_or(0, |known| total.abs_diff(known)));
            facts.counts_beyond_answer |= total != u64::from(count);
            self.end.total = Some(total);
        }
        if asked.way != self.way {
            return;
        }
        let (is_short, facts) = (count < asked.size, &mut self.end);
        facts.walk.rows_left_out |= facts.was_short && count > 0;
        facts.was_short = is_short;
        facts.fell_short |= is_short;
        facts.walk.more_said |= answer.more == Some(true);
        facts.walk.more_said_when_short |= is_short && answer.more == Some(true);
    }

    /// Returns how the page continues after the upstream pages read so far.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the upstream contradicts itself about the end, if its token leads back to the page that it came
    /// with, or if no token leads in this direction.
    pub(super) fn continuation(&mut self) -> Result<Continuation, Refusal> {
        let Some(last) = self.pages.read.last() else {
            return Err(Refusal::PositionLost { nearest: Offset(0) });
        };
        match last.lead(self.way, self.tokens(), self.request.paging.end) {
            // More items would come behind the token of the last page, and an empty page that leads to itself has none.
            // But rows that are left out may be such a page too, so the end is doubted unless all items are counted. A
            // single empty answer may be a lapse. Test: `a_token_that_an_empty_page_repeats_is_the_last_one`.
            Lead::Token(token) if self.repeats_nothing(last, &token) => {
                if self.end.asked_again == 0 && self.may_ask_again() {
                    return Ok(Continuation::Unconfirmed);
                }
                let reached = self.counts().passed.unwrap_or(self.taken.items.len() as u64);
                let all_counted = self.says_all_passed(last);
                let doubt = self.contradiction().unwrap_or(DoubtedEnd { reached, said: None });
                self.end.doubt = Some(doubt).filter(|_| !all_counted);
                Ok(self.edge())
            }
            // A token that leads to its own page would be followed for ever, so the list is refused. Test:
            // `an_upstream_that_ignores_the_id_to_continue_after_is_refused_as_stuck`.
            Lead::Token(token) if self.was_sent(&token) && !self.may_begin_here() => Err(Refusal::Stuck),
            Lead::Token(_) if self.is_emptied() => {
                self.end.doubt = self.contradiction();
                Ok(self.edge())
            }
            Lead::Token(token) => Ok(Continuation::Token(token)),
            Lead::Edge => self.edge_or_fault(),
            // The token may be missing only once. Test: `a_token_that_is_missing_once_is_asked_for_again`.
            Lead::Broken if self.end.asked_again == 0 && self.may_ask_again() => Ok(Continuation::Unconfirmed),
            Lead::Broken => Err(Refusal::Stuck),
            Lead::Unknown if self.tokens().backward => Err(Refusal::PositionLost { nearest: Offset(0) }),
            Lead::Unknown => Err(Refusal::Unsupported),
        }
    }

    /// Returns whether a token leads back to its own upstream page, or from one empty page to another that this page
    /// has read already.
    fn was_sent(&self, token: &Token) -> bool {
        let is_it = |page: &UpstreamPage| page.asked().is_for(self.way, token);
        let is_empty = self.pages.read.last().is_some_and(UpstreamPage::is_empty);
        self.pages.read.iter().rev().take_while(|page| is_empty && page.is_empty()).any(is_it)
            || self.pages.read.last().is_some_and(is_it)
    }

    /// Returns whether an upstream page has no items, and a token that leads on to it again. A dialect may say that only
    /// a missing token is the end.
    fn repeats_nothing(&self, last: &UpstreamPage, token: &Token) -> bool {
        let forward = self.way == Way::Forward && self.request.paging.end != EndEvidence::Token;
        forward && last.is_empty() && last.asked().is_for(self.way, token)
    }

    /// Returns whether the list may begin at the last item that the page has passed: a token that leads back has brought
    /// none before it, as the links before a first page do that are always there.
    pub(super) fn may_begin_here(&self) -> bool {
        let Some(last) = self.pages.read.last().filter(|_| self.way.is_backward()) else { return false };
        let brings_nothing =
            self.taken.items.last().is_none_or(|taken| taken.upstream_page + 1 < self.pages.read.len());
        let leads_to_itself = match last.lead(self.way, self.tokens(), self.request.paging.end) {
            Lead::Token(token) => self.was_sent(&token),
            Lead::Edge | Lead::Unknown | Lead::Broken => false,
        };
        let is_idle = self.advance.idle > 0 && !last.is_empty();
        brings_nothing && (leads_to_itself || is_idle) && !self.end.is_start_asked && self.may_ask_again()
    }

    /// Asks for the start of the list. Returns whether it begins with the last item that the page has passed, or after
    /// it: no item comes before it then, although the upstream's tokens lead on. Test:
    /// `a_list_whose_tokens_lead_before_its_start_begins_there`.
    ///
    /// # Errors
    ///
    /// [`Stop`] if the start can't be read.
    pub(super) async fn begins_here(&mut self) -> Result<bool, Stop> {
        self.end.is_start_asked = true;
        let first = self.send(Asked { token: None, way: Way::Forward, size: self.size(Way::Forward, 0) }).await?;
        let (order, marker) = (&self.request.order, &self.request.marker);
        let is_start = !first.is_empty()
            && match &self.place.anchor {
                Some(anchor) if self.is_keyed => {
                    let stands = first.stands(Way::Forward, order, 0, anchor);
                    first.is_anchor(order, 0, anchor) || stands == Some(Ordering::Greater)
                }
                _ => self.place.trail.last() == Some(&first.mark(order, marker, 0)),
            };
        if is_start {
            self.edge();
        }
        Ok(is_start)
    }

    /// Returns the number of empty answers in a row up to the last one, with those that the cursor names.
    pub(super) fn empty_answers(&self) -> u32 {
        token_end::empty_answers(&self.pages.read, self.way, &self.request)
    }

    /// Returns whether empty answers end the list, although the last one has a token.
    fn is_emptied(&self) -> bool {
        self.pages.read.last().is_some_and(|last| {
            let (at_total, said_when_short) = (self.says_all_passed(last), self.end.walk.more_said_when_short);
            token_end::is_emptied(last.answer(), self.empty_answers(), at_total, said_when_short)
        }) && self.request.paging.end != EndEvidence::Token
    }

    /// Returns the number of items passed, and the total to compare it with.
    fn counts(&self) -> TokenCounts {
        let taken = self.taken.items.len() as u64;
        let passed = self.end.walk.passed.map(|passed| passed.saturating_add(taken));
        TokenCounts { passed, grown: self.end.walk.grown, total: self.end.total }
    }

    /// Returns whether an empty answer states a total that is the number of items passed. A total of an answer with
    /// items may count only these.
    fn says_all_passed(&self, upstream_page: &UpstreamPage) -> bool {
        let total = token_end::counted(upstream_page.answer(), &self.request.paging);
        let counts = TokenCounts { total, ..self.counts() };
        self.way == Way::Forward && upstream_page.is_empty() && counts.is_at_total()
    }

    /// Returns the statement that the list goes on after the last answer; `None` if there is none. Backward there is
    /// none: many flags speak of the other direction, and counts are those of items passed.
    fn contradiction(&self) -> Option<DoubtedEnd> {
        let last = self.pages.read.last().filter(|_| self.way == Way::Forward)?;
        let mut counts = self.counts();
        let lost = token_end::states_nothing(last.answer()) && self.is_full_answer(last);
        // Nor does a total of 0 beside no items say that the list has ended where a token leads on. Test:
        // `an_empty_answer_in_the_middle_of_a_walk_is_asked_for_again`.
        let is_nothing = last.is_empty() && last.asked().token.is_some() && last.answer().total.is_some();
        if (lost || is_nothing) && self.request.paging.counts_items() {
            counts.total = counts.total.or(self.request.target.hint.total);
        }
        let promised = counts.promised();
        // A dialect that reads a total from answers expects it in each of them. Test:
        // `a_full_first_answer_without_any_of_its_facts_is_a_doubted_end`.
        // Nor does a list end where its flag is gone, beside a full answer. Test:
        // `a_full_answer_without_the_flag_of_earlier_ones_is_a_doubted_end`.
        let untold = lost && counts.total.is_none() && (self.request.abilities.tells_total || self.end.walk.more_said);
        // The token promised items, and can't be asked again for them. Test:
        // `an_empty_answer_whose_token_works_no_longer_is_a_doubted_end`.
        let says_more = last.answer().more == Some(true) || untold || self.end.is_lost;
        (says_more || promised.is_some())
            .then(|| DoubtedEnd { reached: counts.passed.unwrap_or(self.taken.items.len() as u64), said: promised })
    }

    /// Returns whether an answer has as many items as were requested.
    fn is_full_answer(&self, upstream_page: &UpstreamPage) -> bool {
        upstream_page.asked().way == self.way && upstream_page.len() >= upstream_page.asked().size as usize
    }

    /// Returns whether an answer may have been cut off: it is full, or has as many items as any earlier answer.
    fn may_be_cut(&self, upstream_page: &UpstreamPage) -> bool {
        let earlier = self.pages.read.iter().rev().skip(1).map(UpstreamPage::len);
        let most = earlier.fold(self.request.target.hint.walk.most as usize, usize::max);
        self.is_full_answer(upstream_page) || (most > 0 && upstream_page.len() >= most)
    }

    /// Returns whether an empty answer came where a token promised items, and nothing else says that the list is over.
    /// Test: `an_empty_answer_in_the_middle_of_a_walk_is_asked_for_again`.
    fn is_strange(&self, upstream_page: &UpstreamPage) -> bool {
        let before = self.pages.read.iter().rev().nth(1);
        // The flag of an answer speaks of the direction of its request. Test:
        // `an_empty_answer_on_the_way_back_is_asked_for_again_whatever_flags_say_of_the_end`.
        let denied = before.is_some_and(|before| before.asked().way == self.way && before.answer().more == Some(false));
        let is_over = denied || self.says_all_passed(upstream_page);
        upstream_page.is_empty() && upstream_page.asked().token.is_some() && !is_over
    }

    /// Decides on the last answer, which has no token.
    fn edge_or_fault(&mut self) -> Result<Continuation, Refusal> {
        let Some(last) = self.pages.read.last() else { return Ok(Continuation::Edge) };
        if last.is_vouched_end(self.way, self.tokens(), self.request.paging.end) {
            return Ok(self.edge());
        }
        let (doubt, forward) = (self.contradiction(), self.way == Way::Forward);
        // A total that has differed from the number of items beside it, and that is reached, confirms a full answer.
        let confirmed = self.end.walk.counts_beyond_answer && self.counts().is_at_total();
        let is_cut = forward && !confirmed && self.may_be_cut(last) && !self.request.leaves_out_costly_proofs();
        // An upstream in trouble may give several empty answers in a row. Test:
        // `empty_answers_in_a_row_in_the_middle_of_a_walk_end_no_list`.
        let (is_strange, times) = (self.is_strange(last), self.end.asked_again);
        let is_asked = is_strange && times < STRANGE_ANSWERS_ASKED_AGAIN;
        // A single empty answer at the start may be a lapse of the upstream. Test:
        // `an_empty_answer_at_the_start_of_a_list_is_asked_for_again`.
        let is_first = forward && last.is_empty() && last.asked().token.is_none();
        let is_doubtful = doubt.is_some() || is_cut || is_first;
        if ((is_doubtful && times == 0) || is_asked) && self.may_ask_again() {
            return Ok(Continuation::Unconfirmed);
        }
        match doubt {
            None => {}
            Some(doubt) => {
                let more = doubt.said.unwrap_or(0).saturating_sub(doubt.reached.saturating_add(self.end.walk.grown));
                // Where rows are left out, a total may count them, so it promises nothing. Test:
                // `a_total_of_rows_refuses_no_list`.
                let is_whole = more >= u64::from(last.asked().size) && !self.may_leave_out_rows();
                if self.is_full_answer(last) && is_whole {
                    // Tokens may be bound to a size, so the same request comes first. Test:
                    // `a_total_that_is_too_high_refuses_no_list_by_token_whose_size_can_be_chosen`.
                    if times == 1 && self.size_of_one_more(last).is_some() && self.may_ask_again() {
                        return Ok(Continuation::Unconfirmed);
                    }
                    return Err(Refusal::EndContradicted { passed: doubt.reached, total: doubt.said.unwrap_or(0) });
                }
                self.end.doubt = Some(doubt);
            }
        }
        Ok(self.edge())
    }

    fn may_leave_out_rows(&self) -> bool {
        self.request.paging.hidden || self.end.walk.rows_left_out
    }

    fn edge(&mut self) -> Continuation {
        // A page that isn't full has no next page, so all items of the last upstream page count as read. Test:
        // `a_list_by_token_ends_where_the_upstream_says_so`.
        self.pages.consumed = self.pages.read.last().map_or(0, UpstreamPage::len);
        self.end.is_over = true;
        Continuation::Edge
    }

    pub(super) fn may_ask_again(&self) -> bool {
        !self.tokens().single_use && !self.request.is_unverified() && self.up.requests < self.request.budget.search
    }

    /// Returns the size of a request for one more item than a full answer has, which shows whether anything follows;
    /// `None` if the size can't be chosen, or a larger one may be refused.
    fn size_of_one_more(&self, last: &UpstreamPage) -> Option<u32> {
        let size = last.asked().size;
        match self.request.paging.sizes {
            Sizes::Free { most: Some(most), .. } if size < most => Some(size + 1),
            _ => None,
        }
    }

    /// Asks once more for the last answer, which has no token. If its items have tokens, the token of the last one is
    /// tried instead.
    ///
    /// # Errors
    ///
    /// [`Stop`] if the second answer can't be used.
    pub(super) async fn ask_again(&mut self) -> Result<(), Stop> {
        self.end.asked_again += 1;
        self.end.is_lost = false;
        // The items come again, which doesn't show that rows were left out before them.
        self.end.was_short = false;
        let Some(last) = self.pages.read.last() else { return Ok(()) };
        let of_last = last.len().checked_sub(1).filter(|_| self.tokens().by_item);
        let tried = of_last.and_then(|index| last.item_token(self.way.index(index, last.len())));
        let asked = match &tried {
            Some(token) => Asked { token: Some(token.clone()), way: self.way, size: last.asked().size },
            None if last.is_empty() => Asked { size: self.size_beyond(last.asked().size), ..last.asked().clone() },
            None => {
                let larger = self.size_of_one_more(last).filter(|_| self.end.asked_again > 1);
                Asked { size: larger.unwrap_or_else(|| last.asked().size), ..last.asked().clone() }
            }
        };
        let fetch =
            TokenFetch { token: asked.token.clone(), backward: asked.way.is_backward(), size: PageSize(asked.size) };
        let answer = self.up.fetch(vec![Fetch::Token(fetch)]).await?.pop();
        let Some(answer) = answer.filter(|answer| answer.standing == Standing::Listed) else {
            // A token that works no longer says nothing about the end. If only an empty answer says that the list ends
            // there, nothing confirms it.
            self.end.is_lost = self.is_strange(last);
            // A start of the list can't be marked as doubted. Test:
            // `an_empty_answer_whose_token_works_no_longer_is_a_doubted_end`.
            return if self.end.is_lost && self.way.is_backward() { Err(Refusal::TokenGone.into()) } else { Ok(()) };
        };
        let again = self.received(answer, asked)?;
        if tried.is_some() {
            if again.is_empty() {
                return Ok(());
            }
            if self.is_full() {
                self.end.leads_on = tried;
                return Ok(());
            }
            self.end.asked_again = 0;
        } else if self.pages.read.last().is_some_and(|last| last.has_same_items(&again)) {
            self.pages.read.pop();
            self.pages.read.push(again);
            return Ok(());
        } else if again.is_empty() {
            return Ok(());
        } else if self.is_full() {
            // The list has changed. The next page reads the answer once more, and begins after this page's last item.
            self.end.rereads = true;
            return Ok(());
        }
        // Items that came before those of the first answer are passed, which isn't a circle. Test:
        // `items_that_came_before_those_of_an_answer_asked_for_again_are_passed`.
        if self.is_asked_again(&again) {
            self.advance.farthest = None;
        }
        // A list that changes with each answer isn't asked for again and again.
        Ok(self.go_through(again)?)
    }

    /// Begins to read a page to which a token leads, whose own token wasn't asked for again.
    pub(super) fn forget_confirmation(&mut self) {
        self.end.asked_again = 0;
    }

    /// Returns the facts of the walk for the cursor at the page's boundary in this direction of the list.
    pub(super) fn walk_facts(&self, way: Way) -> WalkFacts {
        let (taken, facts) = (self.taken.items.len() as u64, &self.end.walk);
        // In the list's order, the number of items before the page's start, in its direction of reading, is known.
        let passed = match (self.way, way) {
            (Way::Forward, Way::Forward) => facts.passed.and_then(|passed| passed.checked_add(taken)),
            (Way::Backward, Way::Backward) => facts.passed.and_then(|passed| passed.checked_sub(taken)),
            _ => facts.passed,
        };
        let onward = way == self.way;
        let is_read_through =
            self.pages.read.last().is_some_and(|last| self.pages.consumed >= last.len()) && self.pages.ahead.is_empty();
        let empty = if onward && is_read_through { self.empty_answers() } else { 0 };
        let most = self.pages.read.iter().map(|page| narrow(page.len())).fold(facts.most, u32::max);
        let rows_left_out = facts.rows_left_out || (onward && is_read_through && self.end.was_short);
        WalkFacts { passed, most, empty, rows_left_out, ..*facts }
    }

    /// Returns the collection's total for the cursor: the newest that the walk has met.
    pub(super) fn walk_total(&self) -> Option<u64> {
        self.end.total.or(self.request.target.hint.total)
    }
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
