//! Lists that the upstream pages by values that it hands out: tokens, next-links, or the ids of items.
//!
//! A client's page is put together from the pages of the upstream (*upstream pages*). Its cursor contains a token that
//! leads to an upstream page, and a place within that upstream page: an item's keys if the order is declared, and
//! otherwise marks. If the client's page ends where its upstream page ends, the cursor contains the token of the next
//! upstream page. With aligned sizes, each page then takes one request. The cursor contains the item or the marks in
//! that case too, because the tokens of many upstreams are encoded offsets: items that come again after they were
//! served are passed over.
//!
//! An answer doesn't show whether its token skipped items. Suppose that the answer begins after the last served item: a
//! token that means "after that item" gives this answer, but so does an encoded offset after an earlier item was
//! deleted. So a page is `checked` in two cases ([`super::judge::token_seams`]). First, the order is declared, and each
//! upstream page begins at or before the last served item, with the item that was seen directly after it, or at the
//! start of the list. Second, the list is sorted by its ids, and the token is the item's id. Any other page is
//! `anchored`. All other faults are visible:
//!
//! - **Keys** decide the place in a declared order. Each item must come after the one before it, so a list whose tokens
//!   go round is refused before an item repeats. Items that the upstream doesn't order among themselves keep the
//!   upstream's sequence; a page that begins in the middle of such a run is `anchored`.
//! - **Marks** decide the place without a declared order ([`chain`]), and [`circle`] detects tokens that go round.
//! - **Lost places**: if an upstream page no longer reaches back to the cursor's item, items after the cursor's item
//!   might be missing. If tokens lead back, the upstream page before it is read too. Otherwise the place is lost.
//! - **Ends** are statements of the upstream, which may contradict each other ([`end`]). A token is followed, whatever
//!   flags and counts say. A missing token that something contradicts is asked for again before it ends the list.
//!
//! The code is written in terms of the direction of reading ([`Way`]), so it serves both directions.
//!
//! If tokens work only once (`single_use`), no upstream page is requested again, and a client's page ends where an
//! upstream page ends. With upstream pages of a fixed size, the limit is rounded down to whole upstream pages, but a
//! page has at least one, which may exceed the limit. The previous page can be reached only by a token that leads back.

mod assembly;
mod chain;
mod circle;
mod end;
mod locate;
mod passage;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use chain::Around;
use end::{Continuation, EndFacts};
use locate::Seek;
use passage::Reached;

use super::{
    answer::{Answer, Standing, Total},
    direction::Way,
    fetch::{Fetch, Token, TokenFetch},
    judge::{
        token_seams::TakenItem,
        upstream_page::{Asked, UpstreamPage, relies_on_order},
    },
    key::KeyValue,
    limits::SIZE_IN_A_GAP,
    mark::Mark,
    page::{Page, Unproven},
    paging::{Sizes, Tokens},
    position::{Anchor, Loop, Marks, Pivot, PlaceInPage, Position},
    refusal::Refusal,
    request::PageRequest,
    unsorted::Unsorted,
    upstream::{Stop, UpstreamPort},
    window::{Offset, PageSize},
};
use crate::json::write;

/// The upstream pages that were read.
#[derive(Debug, Default)]
struct ReadPages {
    /// The upstream pages whose items the reader has passed, in the direction of reading.
    read: Vec<UpstreamPage>,
    /// The upstream pages after `read`, which were read during the search for the place; the nearest is last.
    ahead: Vec<UpstreamPage>,
    /// The number of items of the last page of `read` that the reader has passed.
    consumed: usize,
}

/// The place that the reader has reached.
#[derive(Debug)]
struct ReachedPlace {
    /// The last item that the reader passed; `None` before it passes an item with known keys.
    anchor: Option<Anchor>,
    /// The number of items up to and including the anchor that share the anchor's strong keys.
    run: u32,
    /// The marks of the last items that the reader passed.
    trail: Vec<Mark>,
    /// The marks of the cursor.
    around: Around,
}

/// The progress of a page through the list, by which tokens that lead nowhere are noticed.
#[derive(Debug, Default)]
struct Advance {
    /// The farthest place that the upstream pages have reached.
    farthest: Option<Reached>,
    /// The number of upstream pages in a row that reached no farther.
    idle: u32,
}

/// The items taken for a page, in the direction of reading.
#[derive(Debug, Default)]
struct TakenItems {
    items: Vec<TakenItem>,
    /// The ids of the items that come from upstream pages before the last one.
    earlier_ids: HashSet<Vec<u8>>,
}

/// The state that detects tokens that go round in a circle.
#[derive(Debug)]
struct CircleState {
    /// The state before the last upstream page.
    before: Loop,
    now: Loop,
}

/// The findings that a page reports in addition to its items.
#[derive(Debug, Default)]
struct TokenFindings {
    flagged: Option<Unproven>,
    stragglers: u32,
    total: Option<Total>,
}

/// A page that is being read by token.
#[derive(Debug)]
struct TokenPage<'p> {
    up: &'p mut UpstreamPort,
    request: Box<PageRequest>,
    way: Way,
    /// True if the keys of the declared order decide the place.
    is_keyed: bool,
    /// True if the first token is an item's id, which assumes that the upstream uses the ids of its items as tokens.
    by_id: bool,
    pages: ReadPages,
    place: ReachedPlace,
    advance: Advance,
    taken: TakenItems,
    circle: CircleState,
    /// True if the page may use the budget of a search, because its place has moved.
    searching: bool,
    findings: TokenFindings,
    end: EndFacts,
}

/// Reads a page by token.
///
/// # Errors
///
/// [`Stop`] if no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let Some(begin) = Begin::of(&request) else { return Err(Refusal::Unsupported.into()) };
    let depth = usize::try_from(request.target.hint.offset.0).unwrap_or(usize::MAX);
    let (mut walk, seek) = TokenPage::new(up, request, &begin);
    let Begin { token, token_way, .. } = begin;
    let first = walk.ask(token.clone(), token_way, depth).await?;
    debug_assert_eq!(walk.up.requests, 1, "the first page of the upstream is one request");
    // The upstream page had items before the place. That all are gone is less likely than an answer that failed. Test:
    // `an_empty_answer_in_the_middle_of_a_walk_is_asked_for_again`.
    let first = match first.is_empty() && depth > 0 && walk.may_ask_again() {
        true => walk.ask(token, token_way, depth).await?,
        false => first,
    };
    match seek {
        Some(seek) => walk.find_place(seek, first).await?,
        None => walk.go_through(first)?,
    }
    // The loop ends: each turn uses an upstream page that was already read, or spends budget.
    loop {
        let is_full = walk.is_full();
        if is_full && walk.is_amid() {
            break;
        }
        if let Some(next) = walk.pages.ahead.pop() {
            walk.go_through(next)?;
            continue;
        }
        match walk.continuation()? {
            Continuation::Edge => break,
            Continuation::Token(_) if is_full => break,
            Continuation::Token(_) if walk.may_begin_here() => {
                if walk.begins_here().await? {
                    break;
                }
            }
            // A spent budget doesn't end the list, so the short page has a link to the next page. Test:
            // `a_spent_budget_ends_no_list`.
            Continuation::Token(_) if walk.may_be_cut_off() => return Ok(Box::new(walk.page(true)?)),
            Continuation::Token(token) => {
                let next = walk.ask(Some(token), walk.way, 0).await?;
                walk.forget_confirmation();
                walk.go_through(next)?;
            }
            Continuation::Unconfirmed => walk.ask_again().await?,
        }
        if is_full && (walk.end.leads_on.is_some() || walk.end.rereads) {
            break;
        }
    }
    Ok(Box::new(walk.page(false)?))
}

/// The place at which a page begins, and the token that leads there.
struct Begin {
    token: Option<Token>,
    token_way: Way,
    way: Way,
    within: PlaceInPage,
    by_id: bool,
}

impl Begin {
    /// Returns the place at which a page begins; `None` if no token leads there.
    fn of(request: &PageRequest) -> Option<Self> {
        let tokens = request.paging.tokens;
        let by_item = |id: &KeyValue, way: Way, within: PlaceInPage| {
            let possible = tokens.by_item && (tokens.backward || way == Way::Forward);
            let token = spelt(id).filter(|_| possible).map(|text| Token(text.into()))?;
            Some(Self { token: Some(token), token_way: way, way, within, by_id: true })
        };
        match &request.target.position {
            Position::Start | Position::At(Offset(0)) => Some(Self {
                token: None,
                token_way: Way::Forward,
                way: Way::Forward,
                within: PlaceInPage::Whole,
                by_id: false,
            }),
            Position::Token(place) => Some(Self {
                token: place.token.clone(),
                token_way: Way::of(place.token_backward),
                way: Way::of(place.backward),
                within: place.within.clone(),
                by_id: false,
            }),
            Position::After(anchor) => by_item(&anchor.id, Way::Forward, PlaceInPage::Keys(anchor.clone())),
            Position::Before(anchor) => by_item(&anchor.id, Way::Backward, PlaceInPage::Keys(anchor.clone())),
            Position::AfterPivot(Pivot { id, .. }) => by_item(id, Way::Forward, PlaceInPage::Whole),
            Position::BeforePivot(Pivot { id, .. }) => by_item(id, Way::Backward, PlaceInPage::Whole),
            // No token leads to these places. Test: `positions_that_tokens_cannot_express_are_unsupported`.
            Position::End | Position::AfterMarks(_) | Position::BeforeMarks(_) | Position::At(_) => None,
        }
    }
}

/// Returns an id as a raw JSON value; `None` for null, a boolean, and a string that isn't Unicode.
fn spelt(id: &KeyValue) -> Option<String> {
    match id {
        KeyValue::Number(digits) => Some(digits.clone()),
        KeyValue::Text(text) => {
            let mut out = Vec::new();
            write::push_text(&mut out, std::str::from_utf8(text).ok()?);
            String::from_utf8(out).ok()
        }
        KeyValue::Null | KeyValue::Boolean(_) => None,
    }
}

impl<'p> TokenPage<'p> {
    fn new(up: &'p mut UpstreamPort, request: Box<PageRequest>, begin: &Begin) -> (Self, Option<Seek>) {
        let hint = request.target.hint;
        let depth = usize::try_from(hint.offset.0).unwrap_or(usize::MAX);
        // Marks that were made with another secret key can't be compared with new marks, so the marks and the state for
        // circles are not taken over. Test: `marks_made_with_an_older_key_are_compared_with_that_key`.
        let known_again = request.target_marker.is_none();
        let circle = match &request.target.position {
            Position::Token(place) if known_again => place.circle,
            _ => Loop::default(),
        };
        let anchor = match &begin.within {
            PlaceInPage::Keys(anchor) => Some(anchor.clone()),
            PlaceInPage::Whole | PlaceInPage::Marks(_) => None,
        };
        let around = match &begin.within {
            PlaceInPage::Marks(marks) => around(begin.way, marks),
            PlaceInPage::Whole | PlaceInPage::Keys(_) => Around::default(),
        };
        let trail = if known_again { around.passed.clone() } else { Vec::new() };
        let seek = match begin.within {
            PlaceInPage::Whole => None,
            PlaceInPage::Keys(_) => Some(Seek::new(None, depth, begin.way == begin.token_way)),
            PlaceInPage::Marks(_) => Some(Seek::new(Some(around.clone()), depth, begin.way == begin.token_way)),
        };
        let walk = Self {
            up,
            way: begin.way,
            is_keyed: relies_on_order(&request),
            by_id: begin.by_id,
            pages: ReadPages::default(),
            place: ReachedPlace { anchor, run: hint.run, trail, around },
            advance: Advance::default(),
            taken: TakenItems::default(),
            circle: CircleState { before: circle, now: circle },
            searching: false,
            findings: TokenFindings::default(),
            end: EndFacts::of(&request),
            request,
        };
        (walk, seek)
    }

    fn tokens(&self) -> Tokens {
        self.request.paging.tokens
    }

    fn limit(&self) -> usize {
        self.request.limit.max(1) as usize
    }

    /// Returns whether the budget is spent, but the items taken so far are served as a short page: because the route
    /// allows it, or because answers with fewer items than requested have spent the budget. These answers would refuse
    /// the same page each time (`a_list_with_short_answers_is_read_by_short_pages`), and in a gap of empty answers, the
    /// page may even be empty (`a_gap_is_crossed_by_empty_pages`).
    fn may_be_cut_off(&self) -> bool {
        let taken = self.taken.items.len();
        let fell_short = taken > 0 && self.end.fell_short;
        let leads_both_ways = || self.way == Way::Forward || taken > 0 || self.leads_back_from_a_gap();
        let in_a_gap = || self.leads_through_a_gap() && leads_both_ways();
        self.is_spent() && (fell_short || self.request.serves_short(taken) || in_a_gap())
    }

    /// Returns whether the page has met a gap and has come farther in the list. If it has no item, and items that were
    /// passed come after an empty answer, the tokens may lead round through the gap. Test:
    /// `tokens_that_go_round_through_a_gap_are_refused`.
    fn leads_through_a_gap(&self) -> bool {
        let mut from_gap = self.pages.read.iter().skip_while(|page| !page.is_empty());
        from_gap.next().is_some() && (!self.taken.items.is_empty() || from_gap.all(UpstreamPage::is_empty))
    }

    /// Returns whether the page after this one begins in an upstream page that was already read.
    fn is_amid(&self) -> bool {
        !self.pages.ahead.is_empty() || self.pages.read.last().is_some_and(|last| self.pages.consumed < last.len())
    }

    fn is_spent(&self) -> bool {
        let allowed = if self.searching { self.request.budget.search } else { self.request.budget.page };
        self.up.requests >= allowed.max(1)
    }

    /// Requests the upstream page that a token leads to. The place is expected after `depth` items of that page.
    async fn ask(&mut self, token: Option<Token>, way: Way, depth: usize) -> Result<UpstreamPage, Stop> {
        if self.is_spent() {
            return Err(Refusal::BudgetExceeded.into());
        }
        self.send(Asked { token, way, size: self.size(way, depth) }).await
    }

    /// Sends a request to the upstream.
    async fn send(&mut self, asked: Asked) -> Result<UpstreamPage, Stop> {
        let (token, backward) = (asked.token.clone(), asked.way.is_backward());
        let fetch = TokenFetch { token, backward, size: PageSize(asked.size) };
        let answer = self.up.fetch(vec![Fetch::Token(fetch)]).await?.pop();
        let Some(answer) = answer else { return Err(Refusal::PositionLost { nearest: Offset(0) }.into()) };
        if answer.standing != Standing::Listed {
            // The start of the list always exists. A token that leads to a past-the-end status is no longer valid.
            let refusal = if asked.token.is_none() { Refusal::NoList } else { Refusal::TokenGone };
            return Err(refusal.into());
        }
        Ok(self.received(answer, asked)?)
    }

    /// Makes the upstream page of an answer, and notes what the answer states.
    fn received(&mut self, answer: Answer, asked: Asked) -> Result<UpstreamPage, Refusal> {
        debug_assert!(
            answer.keys.len() == answer.items.len() * self.request.order.columns(),
            "each item has a row of keys"
        );
        self.findings.total = answer.total.or(self.findings.total);
        let upstream_page = UpstreamPage::new(&self.request, answer, asked);
        // The cursor's id was sent as a token, so the answer must show that the tokens of its items are their ids.
        if std::mem::take(&mut self.by_id) && !upstream_page.is_continued_by_ids(&self.request.order) {
            return Err(Refusal::Unsupported);
        }
        if let Some(unsorted) = upstream_page.unsorted().filter(|_| self.is_keyed) {
            self.contradicted(unsorted.clone())?;
        }
        self.note_statements(&upstream_page);
        Ok(upstream_page)
    }

    /// Returns the size to request: the number of items that the page needs, or more if the place, after `depth` items,
    /// would otherwise not be in the answer.
    fn size(&self, way: Way, depth: usize) -> u32 {
        let need = self.limit().saturating_sub(self.taken.items.len()).max(1);
        // All items of a page by a token for one use are served, so it must not have more than are needed.
        let in_a_gap = self.end.is_in_gap && !self.tokens().single_use;
        let need = if in_a_gap { need.max(SIZE_IN_A_GAP) } else { need };
        let usual = self.allowed(need);
        if depth < usual as usize {
            usual
        } else if way == self.way {
            self.allowed(depth.saturating_add(need))
        } else {
            self.allowed(depth.saturating_add(1))
        }
    }

    /// Returns the size that the upstream allows next to a number of items.
    fn allowed(&self, wanted: usize) -> u32 {
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        match &self.request.paging.sizes {
            Sizes::Free { least, most } => wanted.max(*least).min(most.unwrap_or(u32::MAX)).max(1),
            Sizes::Listed(sizes) => {
                sizes.iter().copied().find(|size| *size >= wanted).or_else(|| sizes.last().copied()).unwrap_or(1)
            }
            Sizes::Fixed(size) => *size,
        }
    }

    /// Returns the size with which an empty answer is asked for again. Rows may be left out, and an answer by an item's
    /// id has no token that leads on, so only a larger answer shows the items after them: first of [`SIZE_IN_A_GAP`]
    /// items, then the largest. An upstream whose largest size isn't declared might refuse a larger one. Test:
    /// `a_gap_after_an_item_is_crossed_by_a_larger_answer`.
    fn size_beyond(&self, empty: u32) -> u32 {
        let wanted = match &self.request.paging.sizes {
            Sizes::Free { most: None, .. } => return empty,
            Sizes::Free { most: Some(most), .. } if self.end.asked_again > 1 => *most as usize,
            _ => SIZE_IN_A_GAP,
        };
        self.allowed(wanted).max(empty)
    }

    /// Handles keys that contradict the order. The page is refused, or it is read by marks and flagged.
    fn contradicted(&mut self, unsorted: Unsorted) -> Result<(), Refusal> {
        if !self.may_flag() {
            return Err(Refusal::Unsorted(unsorted));
        }
        // Keys that contradict their order can't give a place, but marks can. Test:
        // `items_that_contradict_the_order_are_refused_or_served_by_their_marks`.
        self.is_keyed = false;
        self.findings.flagged = Some(Unproven::Order);
        Ok(())
    }

    /// Returns whether a page that can't be proven is served with a flag.
    fn may_flag(&self) -> bool {
        self.request.flags() || self.request.is_unverified()
    }
}

/// Converts a cursor's marks from the list's order into the direction of reading.
fn around(way: Way, marks: &Marks) -> Around {
    let reversed = |marks: &[Mark]| marks.iter().rev().copied().collect();
    match way {
        Way::Forward => Around { passed: marks.before.clone(), ahead: marks.after.clone() },
        Way::Backward => Around { passed: reversed(&marks.after), ahead: reversed(&marks.before) },
    }
}
