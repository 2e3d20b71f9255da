//! Pages of small lists that don't change. Each test shows one statement of the module's documentation. The simulator
//! tests random changes.

mod ends;
mod runs;

use std::sync::Arc;

use crate::{
    json::Span,
    pagination::{
        answer::{Answer, Standing, Total},
        fetch::{Fetch, Token, TokenFetch},
        key::KeyValue,
        mark::{Mark, Marker},
        order::{Direction, Kind, Nulls, Order, SortKey, Ties},
        page::{Level, Page, Unproven},
        paging::{EndEvidence, Family, Paging, Sizes, Tokens},
        position::{Anchor, Hint, Item, Marks, Pivot, PlaceInPage, Position, Target},
        refusal::Refusal,
        resolver::{Limit, PageRequest, ShortPages, Step, WhenUnproven, resolve},
        window::Offset,
    },
};

/// A page of the upstream: its request and its answer. Items are raw JSON: a key and an id, or only an id.
#[derive(Clone, Default)]
struct Given {
    asked: (&'static str, bool),
    items: Vec<(&'static str, &'static str)>,
    next: Option<&'static str>,
    previous: Option<&'static str>,
    more: Option<bool>,
    total: Option<u64>,
    standing: Standing,
}

/// Returns a page that a forward token leads to; "" is the request for the first page.
fn given(token: &'static str, items: &[&'static str], next: Option<&'static str>) -> Given {
    let items = items.iter().map(|id| ("", *id)).collect();
    Given { asked: (token, false), items, next, ..Given::default() }
}

struct Upstream {
    pages: Vec<Given>,
    /// Pages that are given once, in place of others.
    once: Vec<Given>,
    paging: Paging,
    order: Order,
    request: PageRequest,
    asked: Vec<TokenFetch>,
}

fn key(name: &str) -> SortKey {
    SortKey {
        name: name.into(),
        direction: Direction::Ascending,
        kind: Kind::Inferred,
        nulls: Nulls::None,
        grain: None,
    }
}

fn start() -> Target {
    Target { position: Position::Start, hint: Hint::default() }
}

fn marker() -> Marker {
    Marker::new(|bytes| {
        Mark::of(bytes.iter().fold(7_u64, |hash, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte)))
    })
}

impl Upstream {
    /// Returns an upstream in pages of two, which is sorted only by the id.
    fn new(pages: Vec<Given>) -> Self {
        let order = Order { strong: vec![], id: key("id"), ties: Ties::Unordered, declared: true };
        let paging = Paging::new(Family::Token, Sizes::Fixed(2));
        let request = PageRequest::new(
            start(),
            Limit::at_least_one(2),
            Arc::new(order.clone()),
            Arc::new(paging.clone()),
            marker(),
        );
        Self { pages, once: Vec::new(), paging, order, request, asked: Vec::new() }
    }

    fn undeclared(mut self) -> Self {
        self.order.declared = false;
        self
    }

    fn sorted_by_rank(mut self) -> Self {
        self.order.strong = vec![key("rank")];
        self
    }

    fn tokens(mut self, change: impl FnOnce(&mut Tokens)) -> Self {
        change(&mut self.paging.tokens);
        self
    }

    fn page(&mut self, target: &Target, limit: u32) -> Result<Box<Page>, Refusal> {
        self.asked.clear();
        let mut step = resolve(PageRequest {
            target: target.clone(),
            limit,
            order: Arc::new(self.order.clone()),
            paging: Arc::new(self.paging.clone()),
            ..self.request.clone()
        });
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    pending.resume(fetches.iter().map(|fetch| self.answer(fetch)).collect())
                }
                Step::Serve(page) => return Ok(page),
                Step::Refuse(refusal) => return Err(refusal),
            }
        }
    }

    fn answer(&mut self, fetch: &Fetch) -> Answer {
        let Fetch::Token(fetch) = fetch else { panic!("{fetch:?} of a list by token") };
        self.asked.push(fetch.clone());
        let token = fetch.token.as_ref().map_or("", |token| &token.0);
        let is_it = |page: &Given| page.asked == (token, fetch.backward);
        let once = self.once.iter().position(is_it).map(|index| self.once.remove(index));
        let page = once.as_ref().or_else(|| self.pages.iter().find(|page| is_it(page)));
        let Some(page) = page else { return Answer { standing: Standing::Gone, ..Answer::default() } };
        let handed_out = |token: &Option<&str>| token.map(|token| Token(token.into()));
        let mut answer = Answer {
            next: handed_out(&page.next),
            previous: handed_out(&page.previous),
            more: page.more,
            total: page.total.map(|value| Total { value, exact: true }),
            standing: page.standing.clone(),
            ..Answer::default()
        };
        for (rank, id) in &page.items {
            let body = &mut answer.body;
            let mut push = |text: &str| {
                let start = u32::try_from(body.len()).unwrap();
                body.extend_from_slice(text.as_bytes());
                Span { start, end: u32::try_from(body.len()).unwrap() }
            };
            let (rank, id) = (push(rank), push(id));
            answer.items.push(Span { start: rank.start, end: id.end });
            let strong = if self.order.strong.is_empty() { None } else { Some(rank) };
            answer.keys.extend(strong.into_iter().chain([id]));
            if self.paging.tokens.by_item {
                answer.item_tokens.push(id);
            }
        }
        answer
    }

    /// Returns the tokens that were sent, with a `<` before backward ones.
    fn asked(&self) -> Vec<String> {
        let text = |token: &Option<Token>| token.as_ref().map_or(String::new(), |token| token.0.to_string());
        self.asked
            .iter()
            .map(|fetch| format!("{}{}", if fetch.backward { "<" } else { "" }, text(&fetch.token)))
            .collect()
    }

    /// Reads all pages to the end, and returns the items of each.
    fn walk(&mut self, limit: u32) -> Result<Vec<Vec<String>>, Refusal> {
        let (mut pages, mut target) = (Vec::new(), Some(start()));
        while let Some(at) = target {
            let page = self.page(&at, limit)?;
            pages.push(ids(&page));
            target = page.next.clone();
        }
        Ok(pages)
    }
}

fn ids(page: &Page) -> Vec<String> {
    (0..page.items.len()).map(|index| String::from_utf8(page.item(index).to_vec()).unwrap()).collect()
}

fn three_pages() -> Vec<Given> {
    vec![given("", &["1", "2"], Some("a")), given("a", &["3", "4"], Some("b")), given("b", &["5"], None)]
}

#[test]
fn sizes_that_align_take_one_request_a_page() {
    for declared in [true, false] {
        let mut list = Upstream::new(three_pages());
        list.order.declared = declared;
        let first = list.page(&start(), 2).unwrap();
        let second = list.page(&first.next.clone().unwrap(), 2).unwrap();
        assert_eq!(
            (ids(&second), list.asked()),
            (vec!["3".into(), "4".into()], vec!["a".into()]),
            "declared: {declared}"
        );
        assert_eq!(first.level(), if declared { Level::Checked } else { Level::Anchored });
        assert_eq!(list.walk(2).unwrap(), [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    }
}

#[test]
fn pages_span_upstream_pages_whose_sizes_do_not_align() {
    for declared in [true, false] {
        let mut list = Upstream::new(three_pages());
        list.order.declared = declared;
        assert_eq!(list.walk(3).unwrap(), [vec!["1", "2", "3"], vec!["4", "5"]]);
        assert_eq!(list.walk(1).unwrap().len(), 5);
        assert_eq!(list.walk(9).unwrap(), [["1", "2", "3", "4", "5"]]);
    }
}

#[test]
fn served_items_that_come_again_are_passed_over() {
    for declared in [true, false] {
        let mut list = Upstream::new(three_pages());
        list.order.declared = declared;
        let next = list.page(&start(), 2).unwrap().next.clone().unwrap();
        list.pages[1] = given("a", &["2", "3"], Some("b"));
        list.pages[2] = given("b", &["4", "5"], None);
        assert_eq!(ids(&list.page(&next, 2).unwrap()), ["3", "4"], "declared: {declared}");
    }
}

#[test]
fn items_served_long_ago_are_passed_over_if_later_pages_show_the_marks() {
    let mut list = Upstream::new(three_pages()).undeclared();
    let next = list.page(&start(), 4).unwrap().next.clone().unwrap();
    list.pages[2] = given("b", &["1"], Some("c"));
    list.pages.extend([given("c", &["2"], Some("d")), given("d", &["3", "4"], Some("e")), given("e", &["5"], None)]);
    assert_eq!(ids(&list.page(&next, 3).unwrap()), ["5"]);
    // A passed item that turns up alone was moved itself.
    list.pages[2..].clone_from_slice(&[
        given("b", &["5"], Some("c")),
        given("c", &["6"], Some("d")),
        given("d", &["4"], Some("e")),
        given("e", &["7"], None),
    ]);
    assert_eq!(ids(&list.page(&next, 3).unwrap()), ["5", "6", "7"]);
}

#[test]
fn the_neighbour_of_a_mark_that_ends_its_page_is_looked_for_in_the_next() {
    let mut list = Upstream::new(three_pages()).undeclared();
    let next = list.page(&start(), 4).unwrap().next.clone().unwrap();
    list.pages[2] = given("b", &["1", "2"], Some("c"));
    for (after, expected) in [(["3", "4", "5"], "5"), (["6", "7", "8"], "1")] {
        list.pages.splice(3.., [given("c", &after, None)]);
        assert_eq!(ids(&list.page(&next, 1).unwrap()), [expected], "{after:?}");
    }
}

#[test]
fn items_shown_late_before_the_page_are_on_the_page_before() {
    let mut list = Upstream::new(three_pages());
    let next = list.page(&start(), 1).unwrap().next.clone().unwrap();
    list.pages[0] = given("", &["0", "1"], Some("a"));
    list.pages[1] = given("a", &["5", "6"], Some("b"));
    // Item 4 was inserted meanwhile.
    list.pages[2] = given("b", &["4", "5", "6"], None);
    let page = list.page(&next, 3).unwrap();
    assert_eq!(ids(&page), ["5", "6"]);
    list.pages[1] = given("a", &["4", "5"], Some("b"));
    assert_eq!(ids(&list.page(&page.previous.clone().unwrap(), 3).unwrap()), ["0", "1", "4"]);
}

#[test]
fn an_item_that_moved_on_while_its_page_was_read_is_on_the_next_page_too() {
    let pages = [("", "1", Some("a")), ("a", "3", Some("b")), ("b", "4", None)];
    let ranked = |(token, rank, next)| Given { items: vec![(rank, "0")], ..given(token, &[], next) };
    let mut list = Upstream::new(pages.map(ranked).to_vec()).sorted_by_rank();
    list.pages[2].items = vec![("4", "1")];
    (list.request.budget.page, list.request.terms.short_pages) = (2, ShortPages::Serve);
    let first = list.page(&start(), 2).unwrap();
    assert_eq!((ids(&first), first.short), (vec!["10".to_owned()], true));
    assert_eq!(ids(&list.page(&first.next.clone().unwrap(), 2).unwrap()), ["30", "41"]);
}

#[test]
fn a_reader_that_deletes_what_it_read_goes_on() {
    for declared in [true, false] {
        let page = |items| given("a", items, None);
        let mut list = Upstream::new(vec![given("", &["1", "2"], Some("a")), page(&["3", "4", "5", "6"])]);
        list.order.declared = declared;
        let next = list.page(&start(), 4).unwrap().next.clone().unwrap();
        list.pages[1] = page(&["5", "6"]);
        assert_eq!(ids(&list.page(&next, 4).unwrap()), ["5", "6"], "declared: {declared}");
        // A page that begins beyond the item that was next may have lost the items before its first one.
        list.pages[1] = page(&["7"]);
        assert_eq!(list.page(&next, 4).unwrap_err(), Refusal::PositionLost { nearest: Offset(0) });
    }
}

#[test]
fn a_page_that_lost_its_place_is_looked_for_in_the_page_before() {
    for declared in [true, false] {
        let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.backward = true);
        list.order.declared = declared;
        list.pages[1].previous = Some("p");
        let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
        list.pages[1].items = vec![("", "6"), ("", "7")];
        list.pages[2] = given("b", &["8"], None);
        list.pages.push(Given { asked: ("p", true), ..given("", &["2", "3", "4", "5"], Some("a")) });
        assert_eq!(ids(&list.page(&next, 3).unwrap()), ["4", "5", "6"], "declared: {declared}");
        let expected: &[&str] = if declared { &["a", "<p"] } else { &["a", "b", "<p"] };
        assert_eq!(list.asked(), expected, "declared: {declared}");
    }
}

#[test]
fn a_page_back_from_the_first_upstream_page_leaves_its_seam_open() {
    let mut list = Upstream::new(vec![given("", &["2", "3", "4", "5"], Some("a")), given("a", &["6", "7"], None)]);
    let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
    let previous = list.page(&next, 3).unwrap().previous.clone().unwrap();
    // Before the first request 0 and 1 are inserted, so its answer lacks 4. Before the second request one of them is
    // deleted, so 4 is in the first upstream page again.
    list.pages[0] = given("", &["0", "1", "2", "3"], Some("a"));
    list.pages[1] = given("a", &["5", "6"], Some("b"));
    let page = list.page(&previous, 3).unwrap();
    assert_eq!((ids(&page), list.asked()), (["1", "2", "3"].map(str::to_owned).to_vec(), vec!["".into(), "a".into()]));
    assert_eq!(page.level(), Level::Anchored);
}

#[test]
fn items_inserted_before_the_next_item_are_served_where_it_is_seen() {
    let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.backward = true);
    let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
    // Item 3 is gone, and 3.5 was inserted before 4. The previous page, if it were requested, would only have items
    // after the place.
    list.pages[1] = Given { previous: Some("p"), ..given("a", &["3.5", "4"], Some("b")) };
    list.pages.push(Given { asked: ("p", true), ..given("", &["4", "5"], Some("a")) });
    let page = list.page(&next, 1).unwrap();
    assert_eq!((ids(&page), page.notes.requests), (vec!["3.5".to_owned()], 1));
}

#[test]
fn a_page_does_not_begin_with_the_next_item_if_another_page_shows_one_before_it() {
    let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.backward = true);
    let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
    list.pages[1] = Given { previous: Some("p"), ..given("a", &["3.5", "6"], Some("b")) };
    list.pages.push(Given { asked: ("p", true), previous: Some("q"), ..given("", &["4", "5"], Some("a")) });
    assert_eq!(list.page(&next, 2).unwrap_err(), Refusal::Stuck);
}

#[test]
fn a_list_that_goes_round_is_refused_before_anything_comes_twice() {
    let circle = || {
        let mut pages = three_pages();
        pages[2] = given("b", &["5"], Some("a"));
        pages
    };
    let mut list = Upstream::new(circle());
    assert_eq!(list.walk(2), Err(Refusal::Stuck));
    let last = list.page(&start(), 5).unwrap();
    assert_eq!(ids(&last), ["1", "2", "3", "4", "5"]);
    assert_eq!(list.page(&last.next.clone().unwrap(), 5).unwrap_err(), Refusal::Stuck);
    // Without a declared order, only repeated items show the circle.
    assert_eq!(Upstream::new(circle()).undeclared().walk(2), Err(Refusal::Stuck));
    let mut same = Upstream::new(vec![given("", &["1"], Some("a")), given("a", &["2"], Some("a"))]);
    assert_eq!(same.walk(2), Err(Refusal::Stuck));
}

#[test]
fn walks_back_and_forth_are_not_taken_for_a_loop_of_tokens() {
    let mut list = Upstream::new(three_pages()).undeclared().tokens(|tokens| tokens.backward = true);
    list.pages[1].previous = Some("p");
    list.pages.push(Given { asked: ("p", true), ..given("", &["1", "2"], Some("a")) });
    let mut at = list.page(&start(), 2).unwrap().next.clone().unwrap();
    for turn in 0..20 {
        let page = list.page(&at, 2).unwrap();
        assert_eq!(ids(&page), if turn % 2 == 0 { ["3", "4"] } else { ["1", "2"] }, "turn {turn}");
        at = if turn % 2 == 0 { page.previous.clone().unwrap() } else { page.next.clone().unwrap() };
    }
}

#[test]
fn a_list_by_token_ends_where_the_upstream_says_so() {
    let mut list = Upstream::new(three_pages());
    list.paging.end = EndEvidence::Flag;
    // The answer claims by a vouched flag that more items follow, but has no token for them.
    list.pages[2].more = Some(true);
    assert_eq!(list.walk(2), Err(Refusal::Stuck));
    // The answer claims that no item follows, although it has a token.
    list.pages[1].more = Some(false);
    assert_eq!(list.walk(2).unwrap(), [["1", "2"], ["3", "4"]]);
    // A token may lead to an empty page, which has no next page. If an empty page has a token, the page after it is
    // read.
    let pages = vec![given("", &["1", "2"], Some("a")), given("a", &[], Some("b")), given("b", &[], None)];
    assert_eq!(Upstream::new(pages.clone()).walk(2).unwrap(), [vec!["1", "2"], vec![]]);
    let more = [pages, vec![given("b", &["3"], None)]].concat();
    let mut list = Upstream::new(more);
    list.pages.remove(2);
    assert_eq!(list.walk(2).unwrap(), [vec!["1", "2"], vec!["3"]]);
    // With `ends_empty` only an empty page is the end, even if it has a token. A claim that no item follows isn't the
    // end.
    let mut list = Upstream::new(three_pages()).tokens(|tokens| tokens.ends_empty = true);
    list.pages[1].more = Some(false);
    list.pages[2] = given("b", &[], Some("c"));
    assert_eq!(list.walk(4).unwrap(), [vec!["1", "2", "3", "4"], vec![]]);
}

#[test]
fn a_spent_budget_ends_no_list() {
    let mut list = Upstream::new(vec![given("", &["1"], Some("a")), given("a", &["2"], None)]);
    list.paging.sizes = Sizes::Fixed(1);
    list.request.budget.page = 1;
    assert_eq!(list.page(&start(), 2).unwrap_err(), Refusal::BudgetExceeded);
    list.request.terms.short_pages = ShortPages::Serve;
    let page = list.page(&start(), 2).unwrap();
    assert_eq!((ids(&page), page.short), (vec!["1".into()], true));
    assert_eq!(ids(&list.page(&page.next.clone().unwrap(), 2).unwrap()), ["2"]);
}

#[test]
fn a_list_with_short_answers_is_read_by_short_pages() {
    let mut list = Upstream::new(vec![
        given("", &["1", "2"], Some("a")),
        given("a", &["3"], Some("b")),
        given("b", &["4", "5"], None),
    ]);
    list.paging.sizes = Sizes::Fixed(2);
    list.request.budget.page = 2;
    assert_eq!(list.walk(4).unwrap(), [vec!["1", "2", "3"], vec!["4", "5"]]);
}

#[test]
fn without_tokens_that_lead_back_pages_lead_back_only_to_the_start() {
    let pages = vec![given("", &["1", "2", "3"], Some("a")), given("a", &["4", "5", "6"], None)];
    let mut list = Upstream::new(pages);
    list.paging.sizes = Sizes::Fixed(3);
    let first = list.page(&start(), 2).unwrap();
    assert!(first.previous.is_none());
    let second = list.page(&first.next.clone().unwrap(), 2).unwrap();
    assert_eq!(ids(&second), ["3", "4"]);
    let back = list.page(&second.previous.clone().unwrap(), 2).unwrap();
    assert_eq!((ids(&back), back.previous.is_none()), (vec!["1".into(), "2".into()], true));
    assert_eq!(ids(&list.page(&back.next.clone().unwrap(), 2).unwrap()), ["3", "4"]);
    // The page before this one is part of the same upstream page, but a walk back would end there, and the list doesn't
    // begin there.
    let third = list.page(&second.next.clone().unwrap(), 2).unwrap();
    assert_eq!((ids(&third), third.previous.is_none()), (vec!["5".into(), "6".into()], true));
}

/// Returns an upstream of the ids "1" to "4". Each id is the token for the items after it, and for those before it.
fn by_item() -> Upstream {
    let by = |token, items, more| Given { more: Some(more), ..given(token, items, None) };
    let mut before = by("\"3\"", &["\"1\"", "\"2\""], false);
    before.asked.1 = true;
    let pages = vec![
        by("", &["\"1\"", "\"2\""], true),
        by("\"2\"", &["\"3\"", "\"4\""], false),
        by("\"3\"", &["\"4\""], false),
        before,
    ];
    Upstream::new(pages).tokens(|tokens| (tokens.by_item, tokens.backward) = (true, true))
}

/// The rows after the item are left out of answers of two items, and of a hundred.
#[test]
fn a_gap_after_an_item_is_crossed_by_a_larger_answer() {
    for (most, expected) in [(Some(500), [2, 100, 500]), (None, [2, 2, 2])] {
        let mut list = by_item();
        list.paging.sizes = Sizes::Free { least: 1, most };
        list.pages[1].more = None;
        let empty = Given { items: vec![], ..list.pages[1].clone() };
        list.once = vec![empty.clone(), empty];
        let first = list.page(&start(), 2).unwrap();
        let second = list.page(&first.next.clone().unwrap(), 2).unwrap();
        let sizes: Vec<u32> = list.asked.iter().map(|fetch| fetch.size.0).collect();
        assert_eq!((ids(&second), sizes), (vec!["\"3\"".into(), "\"4\"".into()], expected.to_vec()));
    }
}

#[test]
fn the_id_of_the_last_item_continues_a_list() {
    let mut list = by_item();
    list.paging.end = EndEvidence::Flag;
    let first = list.page(&start(), 2).unwrap();
    assert!(first.previous.is_none());
    let second = list.page(&first.next.clone().unwrap(), 2).unwrap();
    assert_eq!((ids(&second), list.asked()), (vec!["\"3\"".into(), "\"4\"".into()], vec!["\"2\"".into()]));
    assert!(second.next.is_none());
    let back = list.page(&second.previous.clone().unwrap(), 2).unwrap();
    assert_eq!((ids(&back), list.asked()), (vec!["\"1\"".into(), "\"2\"".into()], vec!["<\"3\"".into()]));
    assert!(back.previous.is_none());
    // Any item continues the list, as an item cursor or an id names it.
    let id = || KeyValue::Text(b"3".to_vec());
    let anchor = Anchor { keys: vec![], id: id() };
    let pivot = Pivot { id: id(), fingerprint: None };
    for position in [Position::After(anchor.clone()), Position::AfterPivot(pivot.clone())] {
        assert_eq!(ids(&list.page(&Target { position, ..start() }, 2).unwrap()), ["\"4\""]);
    }
    for position in [Position::Before(anchor), Position::BeforePivot(pivot)] {
        assert_eq!(ids(&list.page(&Target { position, ..start() }, 2).unwrap()), ["\"1\"", "\"2\""]);
    }
    // An item that is gone leads nowhere.
    list.pages.remove(1);
    let next = list.page(&start(), 2).unwrap().next.clone().unwrap();
    assert_eq!(list.page(&next, 2).unwrap_err(), Refusal::TokenGone);
}

#[test]
fn an_upstream_that_ignores_the_id_to_continue_after_is_refused_as_stuck() {
    for declared in [true, false] {
        let mut list = by_item();
        list.order.declared = declared;
        list.pages[1].items = list.pages[0].items.clone();
        list.pages[1].more = Some(true);
        assert_eq!(list.walk(2), Err(Refusal::Stuck), "declared: {declared}");
    }
}

#[test]
fn a_token_for_one_use_is_sent_once() {
    let pages = vec![given("", &["1", "2"], Some("a")), given("a", &["3", "4"], Some("b")), given("b", &["5"], None)];
    let mut list = Upstream::new(pages).tokens(|tokens| tokens.single_use = true);
    assert_eq!(list.walk(1).unwrap(), [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    assert_eq!(list.walk(3).unwrap(), [vec!["1", "2"], vec!["3", "4"], vec!["5"]]);
    assert_eq!(list.walk(5).unwrap(), [vec!["1", "2", "3", "4"], vec!["5"]]);
    list.paging.sizes = Sizes::Free { least: 1, most: None };
    list.page(&start(), 7).unwrap();
    assert_eq!(list.asked.iter().map(|fetch| fetch.size.0).collect::<Vec<_>>(), [7, 5, 3]);
}

#[test]
fn positions_that_tokens_cannot_express_are_unsupported() {
    let anchor = Anchor { keys: vec![], id: KeyValue::Number("3".into()) };
    for position in [
        Position::End,
        Position::At(Offset(2)),
        Position::After(anchor.clone()),
        Position::Before(anchor),
        Position::AfterMarks(Marks::default()),
        Position::BeforeMarks(Marks::default()),
    ] {
        let target = Target { position, ..start() };
        assert_eq!(Upstream::new(three_pages()).page(&target, 2).unwrap_err(), Refusal::Unsupported);
    }
    let target = Target { position: Position::At(Offset(0)), ..start() };
    assert_eq!(ids(&Upstream::new(three_pages()).page(&target, 2).unwrap()), ["1", "2"]);
}

#[test]
fn items_that_contradict_the_order_are_refused_or_served_by_their_marks() {
    let pages = vec![given("", &["2", "1"], Some("a")), given("a", &["4", "3"], None)];
    let mut list = Upstream::new(pages);
    assert!(matches!(list.page(&start(), 2), Err(Refusal::Unsorted(_))));
    list.request.terms.unproven = WhenUnproven::Flag;
    let page = list.page(&start(), 3).unwrap();
    assert_eq!((page.level(), page.unproven), (Level::Positional, Some(Unproven::Order)));
    assert_eq!(ids(&list.page(&page.next.clone().unwrap(), 3).unwrap()), ["3"]);
}

#[test]
fn ties_that_are_not_ordered_keep_the_upstreams_sequence() {
    let tied = |token: &'static str, items: &[(&'static str, &'static str)], next| Given {
        asked: (token, false),
        items: items.to_vec(),
        next,
        ..Given::default()
    };
    let pages = vec![
        tied("", &[("7", "31"), ("7", "35"), ("7", "32")], Some("a")),
        tied("a", &[("7", "33"), ("8", "34")], None),
    ];
    let mut list = Upstream::new(pages).sorted_by_rank();
    assert_eq!(list.walk(2).unwrap(), [vec!["731", "735"], vec!["732", "733"], vec!["834"]]);
    let first = list.page(&start(), 2).unwrap();
    let second = list.page(&first.next.clone().unwrap(), 2).unwrap();
    assert_eq!((first.level(), second.level()), (Level::Checked, Level::Anchored));
    assert_eq!(list.page(&second.next.clone().unwrap(), 2).unwrap().level(), Level::Checked);
    // The item served last is gone, so no answer shows which of its ties were served.
    list.pages[0].items.remove(1);
    list.pages[0].items[1].1 = "36";
    assert_eq!(list.page(&first.next.clone().unwrap(), 2).unwrap_err(), Refusal::TieRun { nearest: Offset(0) });
}

#[test]
fn the_last_item_of_a_run_is_looked_for_where_the_run_goes_on() {
    let run = |token, ids: [&'static str; 2], next| Given {
        items: ids.map(|id| ("6", id)).to_vec(),
        ..given(token, &[], next)
    };
    let mut list = Upstream::new(vec![run("", ["0", "1"], Some("a")), run("a", ["2", "3"], None)]).sorted_by_rank();
    let next = list.page(&start(), 3).unwrap().next.clone().unwrap();
    list.pages[1] = run("a", ["9", "1"], Some("b"));
    list.pages.push(run("b", ["2", "3"], None));
    assert_eq!(ids(&list.page(&next, 3).unwrap()), ["63"]);
}

#[test]
fn marks_made_with_an_older_key_are_compared_with_that_key() {
    let mut list = Upstream::new(three_pages()).undeclared();
    let next = list.page(&start(), 1).unwrap().next.clone().unwrap();
    list.request.marker = Marker::new(|bytes| Mark::of(bytes.len() as u64 + 900));
    assert!(list.page(&next, 1).is_err());
    list.request.target_marker = Some(marker());
    assert_eq!(ids(&list.page(&next, 1).unwrap()), ["2"]);
}

#[test]
fn edges_are_keyed_in_a_declared_order_and_marked_otherwise() {
    let page = Upstream::new(three_pages()).page(&start(), 3).unwrap();
    let keyed = |id: &str| Item::Keyed(Anchor { keys: vec![], id: KeyValue::Number(id.into()) });
    assert_eq!(page.edges, Some((keyed("1"), keyed("3"))));
    let page = Upstream::new(three_pages()).undeclared().page(&start(), 3).unwrap();
    let Some((Item::Marked(first), Item::Marked(last))) = page.edges.clone() else { panic!("not marked") };
    assert_eq!((first.around.before.len(), first.around.after.len()), (0, 2));
    assert_eq!((last.around.before.len(), last.around.after.len()), (2, 0));
    let Position::Token(place) = page.next.clone().unwrap().position else { panic!("not by token") };
    let PlaceInPage::Marks(marks) = place.within else { panic!("not among marks") };
    assert_eq!((marks.before.len(), marks.after.len()), (3, 1));
}
