//! Lists that the upstream pages by values that it hands out: tokens, next-links, or the ids of last items.
//!
//! A client's page is put together from the pages of the upstream (*upstream pages*). Its cursor carries the token that
//! leads to the upstream page which holds the place, and the place within it: beyond an item, by its keys if the order
//! is declared, else amid marks. If a page ends with its upstream page, its cursor carries the token that leads to the
//! next one, so that sizes which align take one request a page. The item or the marks go along all the same, because
//! the tokens of many upstreams are encoded offsets: items that were served already and come again are passed over.
//!
//! An answer does not show the items that its token skipped: one that begins after the last item served looks the same
//! whether the token says "after that item" or is an offset, and an item before it is gone. So a page is `checked` if
//! the order is declared and each of its upstream pages begins at or before the item that it goes on from, with the
//! item that was seen right after that, or at the start of the list; or if the list is sorted by its ids, and the token
//! is the item's ([`super::judge::token_seams`]). Any other page is `anchored`. All other faults can be seen:
//!
//! - **keys** decide the place, and each item must come after the one before it, so that a list that goes round is
//!   refused before it repeats anything. Items that the upstream does not order among themselves keep its own sequence;
//!   a page that begins amid such a run is `anchored` too.
//! - **marks** decide where no order is declared ([`chain`]), and [`circle`] detects tokens that go round.
//! - An upstream page that no longer reaches back to the item of the cursor may have lost what came after it: the
//!   upstream page before it is read too, where tokens lead back; else the place is lost.
//! - **Ends** are the upstream's statements: no token, "there is no more", or for some only an empty page. An answer
//!   that states that more items follow and has no token is a fault.
//!
//! The code is written once, in the direction of reading: a page backward is the mirror image ([`Way`]).
//!
//! Upstreams that take a token once (`single_use`) are never asked for an upstream page again: a client's page then
//! ends where an upstream page ends. It has the limit rounded down to whole upstream pages of a fixed size, but at
//! least one upstream page, which may be more than the limit. The page before it can only be reached by a token that
//! leads back.

mod assembly;
mod chain;
mod circle;
mod locate;
mod passage;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use chain::Around;
use locate::Seek;
use passage::Reached;

use super::{
    answer::{Standing, Total},
    direction::Way,
    fetch::{Fetch, Token, TokenFetch},
    judge::{
        token_seams::TakenItem,
        upstream_page::{Asked, UpstreamPage, relies_on_order},
    },
    key::KeyValue,
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
    /// The pages that were gone through, in the direction of reading.
    read: Vec<UpstreamPage>,
    /// The pages after these that were read while the place was looked for; the nearest last.
    ahead: Vec<UpstreamPage>,
    /// The number of items of the last page that were gone through.
    consumed: usize,
}

/// The place that the reading has reached.
#[derive(Debug)]
struct ReachedPlace {
    /// The last item gone by.
    anchor: Option<Anchor>,
    /// The number of items before the anchor, itself included, that share its strong keys.
    run: u32,
    /// The marks of the last items gone by.
    trail: Vec<Mark>,
    /// The marks of the cursor.
    around: Around,
}

/// The advance of a page through the list.
#[derive(Debug, Default)]
struct Advance {
    /// The farthest place that the pages reached.
    farthest: Option<Reached>,
    /// The number of pages in a row that reached no farther.
    idle: u32,
}

/// The items taken for a page, in the direction of reading.
#[derive(Debug, Default)]
struct TakenItems {
    items: Vec<TakenItem>,
    /// The ids of those that come from upstream pages before the last one.
    earlier_ids: HashSet<Vec<u8>>,
}

/// The state that detects a circle.
#[derive(Debug)]
struct CircleState {
    /// The state before the last page.
    before: Loop,
    now: Loop,
}

/// The findings that a page reports beside its items.
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
    /// True if the declared order is relied on.
    is_keyed: bool,
    /// True if the first token is an item's id, on the assumption that such upstreams continue their lists by ids.
    by_id: bool,
    pages: ReadPages,
    place: ReachedPlace,
    advance: Advance,
    taken: TakenItems,
    circle: CircleState,
    /// True if the page has the budget of a search, because the list moved.
    searching: bool,
    findings: TokenFindings,
}

/// Reads a page by token.
///
/// # Errors
///
/// [`Stop`] where no page can be served.
pub(super) async fn read(up: &mut UpstreamPort, request: Box<PageRequest>) -> Result<Box<Page>, Stop> {
    let Some(begin) = Begin::of(&request) else { return Err(Refusal::Unsupported.into()) };
    let depth = usize::try_from(request.target.hint.offset.0).unwrap_or(usize::MAX);
    let (mut walk, seek) = TokenPage::new(up, request, &begin);
    let Begin { token, token_way, .. } = begin;
    let first = walk.ask(token, token_way, depth).await?;
    debug_assert_eq!(walk.up.requests, 1, "the first page of the upstream is one request");
    match seek {
        Some(seek) => walk.find_place(seek, first).await?,
        None => walk.go_through(first)?,
    }
    // The loop ends: each turn takes an upstream page that was read already, or spends budget.
    while !walk.is_full() {
        let next = match walk.pages.ahead.pop() {
            Some(next) => next,
            None => match walk.lead()? {
                None => break,
                // A spent budget does not end the list. Test: `a_spent_budget_ends_no_list`.
                Some(_) if walk.may_be_cut_off() => return Ok(Box::new(walk.page(true)?)),
                Some(token) => walk.ask(Some(token), walk.way, 0).await?,
            },
        };
        walk.go_through(next)?;
    }
    Ok(Box::new(walk.page(false)?))
}

/// The place at which a page begins.
struct Begin {
    token: Option<Token>,
    token_way: Way,
    way: Way,
    within: PlaceInPage,
    by_id: bool,
}

impl Begin {
    /// Returns the place at which a page begins; `None` if the upstream can't be asked for it.
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

/// Returns an id as a raw JSON value; `None` for a null, a boolean, and a text that is not Unicode.
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
        // Marks made with another key can't be compared with those made with this one. Test:
        // `marks_made_with_an_older_key_are_compared_with_that_key`.
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

    /// Returns whether the budget is spent and the items so far may be served all the same.
    fn may_be_cut_off(&self) -> bool {
        self.is_spent() && self.request.serves_short(self.taken.items.len())
    }

    fn is_spent(&self) -> bool {
        let allowed = if self.searching { self.request.budget.search } else { self.request.budget.page };
        self.up.requests >= allowed.max(1)
    }

    /// Asks for the upstream page that a token leads to; the place is expected after `depth` of its items.
    async fn ask(&mut self, token: Option<Token>, way: Way, depth: usize) -> Result<UpstreamPage, Stop> {
        if self.is_spent() {
            return Err(Refusal::BudgetExceeded.into());
        }
        let asked = Asked { token: token.clone(), way, size: self.size(way, depth) };
        let fetch = TokenFetch { token, backward: way.is_backward(), size: PageSize(asked.size) };
        let answer = self.up.fetch(vec![Fetch::Token(fetch)]).await?.pop();
        let Some(answer) = answer else { return Err(Refusal::PositionLost { nearest: Offset(0) }.into()) };
        if answer.standing != Standing::Listed {
            // The very start can't be gone. A token that leads to a past-the-end status is no longer known.
            let refusal = if asked.token.is_none() { Refusal::NoList } else { Refusal::TokenGone };
            return Err(refusal.into());
        }
        debug_assert!(
            answer.keys.len() == answer.items.len() * self.request.order.columns(),
            "each item has a row of keys"
        );
        self.findings.total = answer.total.or(self.findings.total);
        let upstream_page = UpstreamPage::new(&self.request, answer, asked);
        // The id that a cursor names was sent as a token: the answer must show that its items' tokens are their ids.
        if std::mem::take(&mut self.by_id) && !upstream_page.is_continued_by_ids(&self.request.order) {
            return Err(Refusal::Unsupported.into());
        }
        if let Some(unsorted) = upstream_page.unsorted().filter(|_| self.is_keyed) {
            self.contradicted(unsorted.clone())?;
        }
        Ok(upstream_page)
    }

    /// Returns the size to ask for: the number of items needed, or more if the place would not be within that.
    fn size(&self, way: Way, depth: usize) -> u32 {
        let need = self.limit().saturating_sub(self.taken.items.len()).max(1);
        let fit = |wanted: usize| {
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
            match &self.request.paging.sizes {
                Sizes::Free { least, most } => wanted.max(*least).min(most.unwrap_or(u32::MAX)).max(1),
                Sizes::Listed(sizes) => {
                    sizes.iter().copied().find(|size| *size >= wanted).or_else(|| sizes.last().copied()).unwrap_or(1)
                }
                Sizes::Fixed(size) => *size,
            }
        };
        let usual = fit(need);
        if depth < usual as usize {
            usual
        } else if way == self.way {
            fit(depth.saturating_add(need))
        } else {
            fit(depth.saturating_add(1))
        }
    }

    /// Goes on where the order can't be relied on: the page is refused, or served by its marks, flagged.
    fn contradicted(&mut self, unsorted: Unsorted) -> Result<(), Refusal> {
        if !self.may_flag() {
            return Err(Refusal::Unsorted(unsorted));
        }
        // Keys that contradict their order give no place; marks still do. Test:
        // `items_that_contradict_the_order_are_refused_or_served_by_their_marks`.
        self.is_keyed = false;
        self.findings.flagged = Some(Unproven::Order);
        Ok(())
    }

    /// Returns whether a page that can't be proven is served, flagged.
    fn may_flag(&self) -> bool {
        self.request.flags() || self.request.is_unverified()
    }
}

/// Marks of a cursor, in the direction of reading.
fn around(way: Way, marks: &Marks) -> Around {
    let reversed = |marks: &[Mark]| marks.iter().rev().copied().collect();
    match way {
        Way::Forward => Around { passed: marks.before.clone(), ahead: marks.after.clone() },
        Way::Backward => Around { passed: reversed(&marks.after), ahead: reversed(&marks.before) },
    }
}
