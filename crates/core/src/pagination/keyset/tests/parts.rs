//! Pages that are put together from several parts of a list, and filters that are moved to suit how values are shown.

use super::*;
use crate::pagination::{
    answer::{Answer, Standing, Total},
    fetch::Listing,
    model::Row,
    paging::EndEvidence,
    resolver::{ShortPages, Step, resolve},
    window::Slice,
};

#[test]
fn a_row_that_moves_from_one_part_to_the_next_is_on_the_page_once() {
    // Values come first and nulls after them, each in a separate part. While the page is read, a row loses its value.
    for moved in 0..30 {
        let mut list = by(Kind::Number, Ascending, |row| if row < 20 { model::whole(row) } else { model::null() });
        list.order.strong[0].nulls = Nulls::Last;
        list.filters.as_mut().unwrap().columns[0].nulls = true;
        list.rows.truncate(30);
        let first = list.page(start(), 12).unwrap();
        list.touched = [list.rows[moved].id().to_owned()].into();
        list.change = Some(|list, _| {
            let touched = list.touched.clone();
            for row in list.rows.iter_mut().filter(|row| touched.contains(row.id())) {
                row.cells[0] = model::null();
            }
        });
        let page = list.page(first.next.clone().unwrap(), 16).unwrap();
        let mut shown = ids(&page);
        let count = shown.len();
        shown.sort();
        shown.dedup();
        assert_eq!(shown.len(), count, "row {moved} comes twice: {:?}", ids(&page));
    }
}

#[test]
fn a_page_goes_on_from_nulls_to_the_values_after_them() {
    // The first twelve rows are null: a page of nine after five nulls has the other seven, and two values.
    let mut list = by(Kind::Number, Ascending, |row| if row < 12 { model::null() } else { model::whole(row) });
    list.order.strong[0].nulls = Nulls::First;
    list.filters = Some(Filters { columns: vec![ALL; 2], ..Filters::default() });
    let expected = list.expected();
    let next = list.page(start(), 5).unwrap().next.clone().unwrap();
    let page = list.page(next, 9).unwrap();
    assert_eq!(ids(&page), expected[5..14]);
    let filter = |comparison| Some(Filter::Compare { column: 0, comparison, value: None });
    assert_eq!(list.filters_asked(), [filter(Comparison::Null), filter(Comparison::NotNull)]);
}

/// The budget ends after the items of one part are taken, and before any item of the next part is taken. The page is
/// short, unless it is full already.
#[test]
fn a_budget_that_ends_between_two_parts_leaves_a_short_page() {
    let mut list = by(Kind::Number, Ascending, |row| if row < 12 { model::null() } else { model::whole(row) });
    list.order.strong[0].nulls = Nulls::First;
    list.filters = Some(Filters { columns: vec![ALL; 2], ..Filters::default() });
    let (expected, next) = (list.expected(), list.page(start(), 5).unwrap().next.clone().unwrap());
    let page = |list: &mut List, limit, short_pages| {
        let mut request = list.request(next.clone(), limit);
        request.terms.short_pages = short_pages;
        (request.budget.page, request.budget.search) = (1, 1);
        list.resolve(request)
    };
    assert_eq!(page(&mut list, 9, ShortPages::Refuse).unwrap_err(), Refusal::BudgetExceeded);
    for (limit, is_short) in [(9, true), (7, false)] {
        let page = page(&mut list, limit, ShortPages::Serve).unwrap();
        assert_eq!((ids(&page).as_slice(), page.short), (&expected[5..12], is_short), "limit {limit}");
        assert_eq!(page.level(), Level::Exact, "limit {limit}");
        let after = list.page(page.next.clone().unwrap(), 5).unwrap();
        assert_eq!(ids(&after), expected[12..17], "limit {limit}");
    }
}

#[test]
fn a_part_is_read_on_where_items_of_the_page_come_again() {
    // Every third row has a value. The eight rows at the beginning of the page lose their values, and come again among
    // the nulls.
    let cell = |row: i64| if row % 3 == 0 { model::whole(-row) } else { model::null() };
    let mut list = by(Kind::Number, Ascending, cell);
    list.order.strong[0].nulls = Nulls::Last;
    list.filters.as_mut().unwrap().columns[0].nulls = true;
    let expected = list.expected();
    let first = list.page(start(), 12).unwrap();
    list.touched = expected[12..20].iter().cloned().collect();
    list.change = Some(|list, _| {
        let touched = list.touched.clone();
        for row in list.rows.iter_mut().filter(|row| touched.contains(row.id())) {
            row.cells[0] = model::null();
        }
    });
    let page = list.page(first.next.clone().unwrap(), 24).unwrap();
    assert_eq!(ids(&page), expected[12..36]);
}

#[test]
fn nulls_after_a_long_run_are_requested_only_if_filters_for_nulls_exist() {
    for nulls in [Nulls::Last, Nulls::Largest] {
        for knows in [true, false] {
            let cell = |row: i64| if row < 150 { model::whole(row / 100) } else { model::null() };
            let keys = vec![model::key("rank", Kind::Number, Ascending)];
            let mut list = List::new(keys, (0..160).map(|row| vec![cell(row)]));
            list.order.strong[0].nulls = nulls;
            list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
            (list.cap, list.filters) = (20, runs_by_id(2));
            for column in &mut list.filters.as_mut().unwrap().columns {
                column.nulls = knows;
            }
            // The list panics at a request for a comparison that it lacks.
            let (mut shown, mut target) = (Vec::new(), Some(start()));
            while let Some(Ok(page)) = target.map(|at| list.page(at, 9)) {
                shown.extend(ids(&page));
                target = page.next.clone();
                if target.is_none() {
                    assert_eq!(shown, list.expected(), "{nulls:?}: nothing after the run");
                }
            }
            assert!(list.expected().starts_with(&shown), "{nulls:?}: {shown:?}");
            assert_eq!(shown.len() == 160, knows, "{nulls:?}");
        }
    }
}

#[test]
fn a_filter_is_widened_by_a_grain_coarser_than_the_digits_shown() {
    // Values are stored to the microsecond, and shown as whole seconds with three zeros after the point.
    for direction in [Ascending, Descending] {
        for limit in [1, 4] {
            let cell = |row: i64| {
                let (stored, _) = model::instant(row * 270_000, false);
                let seconds = row * 270 / 1_000;
                (stored, format!("\"2026-01-15T10:00:{seconds:02}.000Z\""))
            };
            let mut list = by(Kind::Datetime, direction, cell);
            list.order.strong[0].grain = Some(Grain::Digits(0));
            walks_both_ways(&mut list, limit, &format!("{direction:?}"));
            assert!(list.filters_asked().iter().any(Option::is_some));
        }
    }
}

#[test]
fn a_filter_of_alternatives_that_shows_no_anchor_is_not_trusted() {
    // Nulls come last, so they are an alternative of the filter. The filter adds 3 to its value, as one that takes
    // times to be in another zone does.
    let mut list = by(Kind::Number, Ascending, |row| if row < 50 { model::whole(row) } else { model::null() });
    list.order.strong[0].nulls = Nulls::Last;
    (list.filters, list.shift) = (Some(Filters { columns: vec![ALL; 2], either: true, ..Filters::default() }), 3);
    walks_both_ways(&mut list, 7, "three more");
}

#[test]
fn an_alternative_that_shows_the_anchor_proves_nothing_of_the_others() {
    let mut list = by(Kind::Uuid, Ascending, uuid);
    let can = filter_of_equal(EXCLUSIVE);
    list.filters = Some(Filters { columns: vec![can; 2], either: true, ..Filters::default() });
    let page = list.page(start(), 7).unwrap();
    let page = list.page(page.next.clone().unwrap(), 7).unwrap();
    assert_eq!((page.level(), page.notes.requests), (Level::Checked, 1));
    // The filter requests nulls and the values after the anchor. An answer without a null doesn't show that the
    // upstream understands both.
    let mut list = by(Kind::Number, Ascending, model::whole);
    list.order.strong[0].nulls = Nulls::Last;
    list.filters = Some(Filters { columns: vec![ALL; 2], either: true, ..Filters::default() });
    let levels: Vec<Level> = list.walk(start(), 25).iter().map(Page::level).collect();
    assert_eq!(levels, [Level::Exact, Level::Exact, Level::Checked]);
}

#[test]
fn a_page_of_an_exclusive_filter_without_its_anchor_is_checked() {
    let mut list = by(Kind::Uuid, Ascending, uuid);
    list.filters = Some(Filters { columns: vec![EXCLUSIVE; 2], either: true, ..Filters::default() });
    for can in [EXCLUSIVE, Comparisons { equal: true, ..EXCLUSIVE }] {
        list.filters.as_mut().unwrap().columns = vec![can; 2];
        let first = list.page(start(), 7).unwrap();
        let last = list.expected()[6].clone();
        let gone = list.rows.iter().position(|row| row.id() == last).unwrap();
        let row = list.rows.remove(gone);
        let page = list.page(first.next.clone().unwrap(), 7).unwrap();
        assert_eq!(ids(&page), list.expected()[6..13], "{can:?}");
        let filtered = list.filters_asked().iter().all(Option::is_some);
        assert_eq!(page.level(), if filtered { Level::Checked } else { Level::Exact }, "{can:?}");
        list.rows.insert(gone, row);
    }
}

#[test]
fn a_filter_that_cannot_be_asked_for_leaves_the_rest_of_the_budget_to_the_whole_list() {
    let mut list = by(Kind::Number, Ascending, |row| model::whole(row / 4));
    let target = list.walk(start(), 7).remove(2).next.clone().unwrap();
    let expected = list.expected()[21..28].to_vec();
    for budget in [1, 8] {
        let mut request = list.request(target.clone(), 7);
        (request.budget.page, request.budget.search) = (budget, budget);
        let (mut step, mut requests) = (resolve(request), 0);
        let page = loop {
            step = match step {
                Step::Fetch(fetches, pending) => pending.resume(
                    fetches
                        .iter()
                        .map(|fetch| match fetch {
                            Fetch::Slice(_, Listing { filter: Some(_), .. }) => {
                                Answer { standing: Standing::Unaskable, ..Answer::default() }
                            }
                            whole => {
                                requests += 1;
                                list.answer(whole)
                            }
                        })
                        .collect(),
                ),
                Step::Serve(page) => break page,
                Step::Refuse(refusal) => panic!("{refusal:?}"),
            };
        };
        assert_eq!((ids(&page), page.level(), page.notes.requests), (expected.clone(), Level::Exact, requests));
        assert!(requests <= budget, "{requests} of {budget}");
    }
}

#[test]
fn a_size_honoured_in_the_whole_list_does_not_end_a_filtered_list() {
    let mut list = by(Kind::Number, Ascending, model::whole);
    (list.paging.end, list.order.ties) = (EndEvidence::Unvouched, Ties::Ordered);
    let next = list.page(start(), 10).unwrap().next.clone().unwrap();
    assert_eq!(next.hint.honoured, 0, "the whole list was read");
    // Filtered answers have five items at most, and an outdated count is no larger.
    list.cap = 5;
    let second = with_a_low_count(&mut list, next);
    assert_eq!(second.level(), Level::Checked, "{:?}", ids(&second));
}

/// Reads a page of ten. The first filtered answer counts no more items than it has.
fn with_a_low_count(list: &mut List, target: Target) -> Page {
    let mut is_first = true;
    let page = page_of(list, target, 10, |list, fetch| {
        let mut answer = list.answer(fetch);
        if let Fetch::Slice(slice, Listing { filter: Some(_), .. }) = fetch {
            answer.total = std::mem::take(&mut is_first).then(|| no_more(*slice, &answer));
        }
        answer
    });
    page.unwrap()
}

/// Returns the total of a list that ends with this answer.
fn no_more(slice: Slice, answer: &Answer) -> Total {
    Total { value: slice.begins().0 + answer.items.len() as u64, exact: true }
}

/// Reads a page from answers other than those of the list.
fn page_of(
    list: &mut List,
    target: Target,
    limit: u32,
    mut answer: impl FnMut(&mut List, &Fetch) -> Answer,
) -> Result<Page, Refusal> {
    let mut step = resolve(list.request(target, limit));
    loop {
        step = match step {
            Step::Fetch(fetches, pending) => pending.resume(fetches.iter().map(|fetch| answer(list, fetch)).collect()),
            Step::Serve(page) => return Ok(*page),
            Step::Refuse(refusal) => return Err(refusal),
        };
    }
}

#[test]
fn a_size_honoured_in_a_filtered_list_does_not_end_the_whole_list() {
    let mut list = by(Kind::Number, Ascending, model::whole);
    (list.paging.end, list.order.ties) = (EndEvidence::Unvouched, Ties::Ordered);
    let next = list.page(start(), 10).unwrap().next.clone().unwrap();
    let next = list.page(next, 10).unwrap().next.clone().unwrap();
    assert!(next.hint.honoured > 5, "a filtered list was read: {next:?}");
    // The anchor is deleted, so the filter isn't trusted. The whole list gives five items at most, and an outdated
    // count.
    let expected = list.expected();
    list.rows.retain(|row| row.id() != expected[19]);
    let mut is_first = true;
    let page = page_of(&mut list, next, 10, |list, fetch| {
        let Fetch::Slice(slice, listing) = fetch else { panic!("{fetch:?}") };
        list.cap = if listing.filter.is_some() { 100 } else { 5 };
        let mut answer = list.answer(fetch);
        if listing.filter.is_none() {
            answer.total = std::mem::take(&mut is_first).then(|| no_more(*slice, &answer));
        }
        answer
    });
    let page = page.unwrap();
    assert!(!is_first, "the whole list was read");
    assert_eq!((ids(&page), page.next.is_some()), (expected[20..30].to_vec(), true));
}

#[test]
fn a_filter_for_nulls_that_shows_other_items_adds_none_of_them() {
    // The upstream only understands the filter for values, and returns the whole list for the filter for nulls.
    let mut list = by(Kind::Number, Ascending, |row| if row < 50 { model::whole(row) } else { model::null() });
    list.order.strong[0].nulls = Nulls::Last;
    list.filters.as_mut().unwrap().columns[0].nulls = true;
    let (mut target, mut served, mut asks_for_nulls) = (Some(start()), Vec::new(), 0);
    while let Some(at) = target {
        let page = page_of(&mut list, at, 7, |list, fetch| ignoring_nulls(list, fetch, &mut asks_for_nulls));
        let page = page.unwrap();
        served.extend(ids(&page));
        assert!(list.expected().starts_with(&served), "{served:?}");
        target = page.next.clone();
    }
    assert_eq!((served.len(), asks_for_nulls > 0), (60, true));
}

/// Returns a list of ten items with different ranks, followed by a run that is longer than an answer.
fn ten_before_a_long_run() -> List {
    let cell = |row: i64| vec![model::whole(row.min(10))];
    let mut list = List::new(vec![model::key("rank", Kind::Number, Ascending)], (0..60).map(cell));
    list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
    (list.cap, list.filters) = (20, runs_by_id(2));
    list
}

#[test]
fn an_item_that_comes_before_a_run_meanwhile_hides_none() {
    for until in 0..8 {
        let mut list = ten_before_a_long_run();
        let expected = list.expected();
        let inserted = Row { cells: vec![model::whole(3), model::whole(99)] };
        let mut asked = 0;
        let page = page_of(&mut list, start(), 15, |list, fetch| {
            let answer = list.answer(fetch);
            asked += 1;
            if asked == until {
                list.rows.push(inserted.clone());
            }
            answer
        });
        // If the list changes, a page may be refused.
        let Ok(page) = page else { continue };
        let shown: Vec<String> = ids(&page).into_iter().filter(|id| id != inserted.id()).collect();
        assert!(expected.starts_with(&shown), "after {until} answers: {shown:?}");
    }
}

#[test]
fn a_run_that_a_filter_for_nulls_repeats_is_not_a_next_page() {
    // Ten items in a run that is longer than any answer, ten others, and no null. The filter for nulls returns the
    // whole list.
    let mut list = by(Kind::Number, Ascending, |row| model::whole(row.max(9)));
    list.rows.truncate(20);
    list.order.strong[0].nulls = Nulls::Last;
    list.filters.as_mut().unwrap().columns[0].nulls = true;
    (list.cap, list.paging.sizes) = (8, Sizes::Free { least: 1, most: Some(8) });
    let expected = list.expected();
    for limit in 1..4 {
        let at = 19 - i64::from(limit);
        let row = &list.rows[usize::try_from(at).unwrap()];
        let id = KeyValue::Number(row.id().into());
        let anchor = Anchor { keys: vec![KeyValue::Number(at.to_string())], id };
        let hint = Hint { offset: Offset(20 - u64::from(limit)), run: 1, within: 1, ..Hint::default() };
        let target = Target { position: Position::After(anchor), hint };
        let mut asks_for_nulls = 0;
        let page = page_of(&mut list, target, limit, |list, fetch| ignoring_nulls(list, fetch, &mut asks_for_nulls));
        let page = page.unwrap();
        assert_eq!((ids(&page), page.next.clone()), (expected[20 - limit as usize..].to_vec(), None), "{limit}");
        assert!(asks_for_nulls > 0, "{limit}");
    }
}

/// Returns the answer of an upstream that ignores a filter for only nulls.
fn ignoring_nulls(list: &mut List, fetch: &Fetch, asks_for_nulls: &mut u32) -> Answer {
    let Fetch::Slice(slice, listing) = fetch else { panic!("{fetch:?}") };
    let nulls = Filter::Compare { column: 0, comparison: Comparison::Null, value: None };
    let is_for_nulls = listing.filter.as_deref() == Some(&nulls);
    *asks_for_nulls += u32::from(is_for_nulls);
    let filter = listing.filter.clone().filter(|_| !is_for_nulls);
    list.answer(&Fetch::Slice(*slice, Listing { filter, ..listing.clone() }))
}

#[test]
fn a_run_that_alternatives_show_without_its_anchor_is_checked() {
    let keys = ["a", "b"].map(|name| model::key(name, Kind::Number, Ascending)).to_vec();
    let mut list = List::new(keys, (0..600).map(|row| vec![model::whole(row % 2), model::whole(row / 8)]));
    list.filters = Some(Filters { columns: vec![ALL; 3], either: true, both: true, sorts_by_id: false });
    // Runs have four items, and the anchor is the first item of its run.
    let target = list.walk(start(), 23).remove(6).next.clone().unwrap();
    let expected = list.expected()[161..184].to_vec();
    for (gone, level) in [(false, Level::Exact), (true, Level::Checked)] {
        let anchor = list.expected()[160].clone();
        list.rows.retain(|row| !gone || row.id() != anchor);
        let page = list.page(target.clone(), 23).unwrap();
        assert!(matches!(list.filters_asked()[..], [Some(Filter::Or(_))]), "{:?}", list.asked);
        assert_eq!((ids(&page), page.level()), (expected.clone(), level), "gone: {gone}");
    }
}

#[test]
fn a_filter_by_the_beginning_of_a_text_leaves_out_longer_ones_where_texts_descend() {
    // One of the strings is exactly the part that a cursor keeps of the longer ones, which begin with it.
    let text = |row: i64| match row {
        0..20 => model::text(&format!("{}{row:03}", "x".repeat(64))),
        20 => model::text(&"x".repeat(64)),
        _ => model::text(&format!("w{row:03}")),
    };
    for direction in [Ascending, Descending] {
        let mut list = by(Kind::Text, direction, text);
        list.filters = Some(Filters { columns: vec![ALL; 2], either: true, ..Filters::default() });
        walks_both_ways(&mut list, 7, &format!("{direction:?}"));
    }
}
