//! Walks whose cursors contain an id and a fingerprint, with caches that have the keys, lack them, or are outdated.

use crate::pagination::{
    answer::{Answer, Standing},
    checker,
    fetch::Fetch,
    fingerprint::fingerprint,
    key::KeyValue,
    model::{self, List, ids, start},
    order::{Direction, Kind},
    page::{Level, Page, Unproven},
    position::{Anchor, Hint, Pivot, Position, Target},
    refusal::Refusal,
    resolver::{Step, WhenUnproven, resolve},
    rules::{Rule, without},
    window::Offset,
};

fn list() -> List {
    let keys = vec![model::key("score", Kind::Number, Direction::Ascending)];
    List::new(keys, (0..60).map(|row| vec![model::whole(row * 10)]))
}

/// Returns a target as in a cursor that contains only an id, and the keys that this cursor omits.
fn sought(list: &List, target: Target) -> (Target, Vec<KeyValue>) {
    let pivot = |Anchor { keys, id }: Anchor| {
        let marker = list.request(start(), 1).marker;
        (Pivot { fingerprint: Some(fingerprint(&marker, &keys)), id }, keys)
    };
    let (position, keys) = match target.position {
        Position::After(anchor) => {
            let (pivot, keys) = pivot(anchor);
            (Position::AfterPivot(pivot), keys)
        }
        Position::Before(anchor) => {
            let (pivot, keys) = pivot(anchor);
            (Position::BeforePivot(pivot), keys)
        }
        position => (position, Vec::new()),
    };
    (Target { position, ..target }, keys)
}

/// Reads the page at a target, with the keys that a cache contains.
fn page(list: &mut List, target: Target, cached: Option<Vec<KeyValue>>) -> Result<Page, Refusal> {
    let mut request = list.request(target, 7);
    request.pivot = cached;
    list.resolve(request)
}

fn second(list: &mut List) -> (Target, Vec<KeyValue>) {
    let first = list.page(start(), 7).unwrap();
    sought(list, first.next.clone().unwrap())
}

#[test]
fn a_cached_pivot_takes_one_request_and_another_two() {
    for filtered in [true, false] {
        for backward in [true, false] {
            let mut list = list();
            if !filtered {
                list.filters = None;
            }
            let third = list.walk(start(), 7).remove(2);
            let target = if backward { third.previous.clone() } else { third.next.clone() };
            let (target, keys) = sought(&list, target.unwrap());
            let expected = if backward { list.expected()[7..14].to_vec() } else { list.expected()[21..28].to_vec() };
            let warm = page(&mut list, target.clone(), Some(keys)).unwrap();
            assert_eq!((ids(&warm), warm.notes.requests, warm.level()), (expected.clone(), 1, Level::Exact));
            assert_eq!(warm.notes.looked_up, None);
            let cold = page(&mut list, target, None).unwrap();
            assert_eq!((ids(&cold), cold.notes.requests, cold.level()), (expected, 2, Level::Exact));
            assert!(matches!(list.asked[0], Fetch::Item(_)));
            assert!(cold.notes.looked_up.is_some());
        }
    }
}

#[test]
fn a_changed_pivot_is_refused_with_and_without_a_cache() {
    for cached in [true, false] {
        let mut list = list();
        let (target, keys) = second(&mut list);
        let moved = vec![KeyValue::Number("595".into())];
        list.rows[6].cells[0] = model::whole(595);
        let cache = cached.then(|| moved.clone());
        let refused = page(&mut list, target.clone(), cache.clone());
        assert_eq!(refused.unwrap_err(), Refusal::PivotGone { nearest: Offset(7) });
        // With the keys that were served, the walk continues from its place.
        let right = page(&mut list, target.clone(), Some(keys)).unwrap();
        assert_eq!(ids(&right)[0], list.rows[7].id());
        let believed = without(Rule::PivotsAreKnownAgain, || page(&mut list, target.clone(), cache.clone())).unwrap();
        assert!(believed.items.is_empty(), "skips everything");
        let mut request = list.request(target, 7);
        (request.pivot, request.terms.unproven) = (cache, WhenUnproven::Flag);
        let flagged = list.resolve(request).unwrap();
        assert_eq!((flagged.unproven, flagged.level()), (Some(Unproven::Pivot), Level::Positional));
        assert_eq!(flagged.items.len(), 7);
        assert_eq!(flagged.notes.looked_up.map(|now| now.keys), Some(moved));
    }
}

#[test]
fn a_deleted_pivot_is_found_by_what_a_cache_remembers_alone() {
    let mut list = list();
    let (target, keys) = second(&mut list);
    list.rows.remove(6);
    assert_eq!(page(&mut list, target.clone(), None).unwrap_err(), Refusal::PivotGone { nearest: Offset(7) });
    let remembered = page(&mut list, target, Some(keys)).unwrap();
    assert_eq!(ids(&remembered)[0], list.rows[6].id());
}

#[test]
fn a_pivot_without_a_fingerprint_is_at_the_present_place_of_its_item() {
    let mut list = list();
    let id = KeyValue::Number(list.rows[30].id().to_owned());
    let pivot = Pivot { id: id.clone(), fingerprint: None };
    let after = |pivot: &Pivot| Target { position: Position::AfterPivot(pivot.clone()), hint: Hint::default() };
    let stale = vec![KeyValue::Number("0".into())];
    let found = page(&mut list, after(&pivot), Some(stale)).unwrap();
    assert_eq!((ids(&found), found.notes.requests), (list.expected()[31..38].to_vec(), 2));
    let before = Target { position: Position::BeforePivot(pivot.clone()), hint: Hint::default() };
    let found = page(&mut list, before, None).unwrap();
    assert_eq!(ids(&found), list.expected()[23..30]);
    list.rows.remove(30);
    let mut request = list.request(after(&pivot), 7);
    request.terms.unproven = WhenUnproven::Flag;
    assert!(matches!(list.resolve(request), Err(Refusal::PivotGone { .. })));
}

#[test]
fn an_order_by_the_id_alone_needs_no_look_up() {
    let mut list = List::new(Vec::new(), (0..60).map(|_| Vec::new()));
    let (target, _) = second(&mut list);
    let expected = list.expected()[7..14].to_vec();
    list.rows.retain(|row| expected.contains(&row.id().to_owned()));
    let next = page(&mut list, target, None).unwrap();
    assert_eq!(ids(&next), expected);
    assert!(!list.asked.iter().any(|fetch| matches!(fetch, Fetch::Item(_))));
}

#[test]
fn an_id_alone_is_looked_up_where_it_is_the_whole_order_too() {
    let mut list = List::new(Vec::new(), (0..60).map(|_| Vec::new()));
    let written = list.rows[30].id().trim_matches('"').to_owned();
    let after = |id: KeyValue| Target {
        position: Position::AfterPivot(Pivot { id, fingerprint: None }),
        hint: Hint::default(),
    };
    // An id that a client writes has no type.
    for id in [KeyValue::Number(written.clone()), KeyValue::Text(written.clone().into_bytes())] {
        let found = page(&mut list, after(id), None).unwrap();
        assert_eq!(ids(&found), list.expected()[31..38]);
    }
    let nobody = KeyValue::Number("999999".into());
    assert!(matches!(page(&mut list, after(nobody), None), Err(Refusal::PivotGone { .. })));
}

#[test]
fn an_id_in_lower_case_finds_the_item_that_spells_it_in_upper_case() {
    let spelt = |row: usize| format!("0000000A-AB70-4CDE-8F01-{row:012X}");
    let mut list = list();
    list.order.id.kind = Kind::Uuid;
    for (number, row) in list.rows.iter_mut().enumerate() {
        row.cells[1] = model::text(&spelt(number));
    }
    let after = |id: String| Target {
        position: Position::AfterPivot(Pivot { id: KeyValue::Text(id.into_bytes()), fingerprint: None }),
        hint: Hint::default(),
    };
    for written in [spelt(30), spelt(30).to_lowercase()] {
        let found = page(&mut list, after(written), None).unwrap();
        assert_eq!(ids(&found), list.expected()[31..38]);
    }
    assert!(matches!(page(&mut list, after(spelt(99)), None), Err(Refusal::PivotGone { .. })));
}

#[test]
fn keys_looked_up_for_another_item_of_the_tie_run_are_refused() {
    // Ten rows form a run, so each of them has the pivot's keys.
    let mut list = list();
    for row in &mut list.rows[..10] {
        row.cells[0] = model::whole(0);
    }
    let expected = list.expected();
    let all = list.page(start(), 40).unwrap();
    let answer = &all.answers[0];
    for (asked, given) in [(2, 5), (5, 2), (3, 20), (20, 3)] {
        let id = |place: usize| KeyValue::Number(expected[place].clone());
        let keys = |place: usize| vec![KeyValue::Number(if place < 10 { "0" } else { "200" }.into())];
        let marker = list.request(start(), 1).marker;
        for fingerprint in [Some(fingerprint(&marker, &keys(asked))), None] {
            let pivot = Pivot { id: id(asked), fingerprint };
            for position in [Position::AfterPivot(pivot.clone()), Position::BeforePivot(pivot.clone())] {
                let request = list.request(Target { position, hint: Hint::default() }, 7);
                let Step::Fetch(fetches, pending) = resolve(request) else { panic!("nothing is looked up") };
                assert!(matches!(&fetches[..], [Fetch::Item(_)]));
                let shows = |item: usize| answer.item(item).ends_with(expected[given].as_bytes());
                let item = (0..answer.items.len()).find(|item| shows(*item)).unwrap();
                let other = Answer {
                    items: vec![answer.items[item]],
                    keys: answer.keys[item * 2..item * 2 + 2].to_vec(),
                    ..answer.clone()
                };
                let step = pending.resume(vec![other]);
                assert!(matches!(step, Step::Refuse(Refusal::PivotGone { .. })), "{given} for {asked}: {step:?}");
            }
        }
    }
}

#[test]
fn keys_that_are_known_by_now_cost_no_request() {
    let mut list = list();
    let (target, keys) = second(&mut list);
    for (known, expected) in
        [(keys, Some(list.expected()[7..14].to_vec())), (vec![KeyValue::Number("595".into())], None)]
    {
        let request = list.request(target.clone(), 7);
        let Step::Fetch(fetches, pending) = resolve(request.clone()) else { panic!("the pivot is asked") };
        let [item @ Fetch::Item(_)] = &fetches[..] else { panic!("{fetches:?}") };
        let known = Answer { standing: Standing::Known(known), ..Answer::default() };
        let mut exchanges = vec![(item.clone(), known.clone())];
        let mut step = pending.resume(vec![known]);
        let mut requests = 0;
        while let Step::Fetch(fetches, pending) = step {
            requests += 1;
            let answers: Vec<Answer> = fetches.iter().map(|fetch| list.answer(fetch)).collect();
            exchanges.extend(fetches.into_iter().zip(answers.iter().cloned()));
            step = pending.resume(answers);
        }
        match (step, expected) {
            (Step::Serve(page), Some(expected)) => {
                assert_eq!((ids(&page), page.notes.requests), (expected, requests));
                assert!(checker::check(&request, &exchanges, &page).is_ok());
            }
            (Step::Refuse(Refusal::PivotGone { .. }), None) => {}
            (step, _) => panic!("{step:?}"),
        }
    }
}

#[test]
fn a_first_page_served_for_a_changed_pivot_is_flagged_as_unproven() {
    let mut list = list();
    let second = list.walk(start(), 7).remove(1);
    let (target, _) = sought(&list, second.previous.clone().unwrap());
    list.rows[7].cells[0] = model::whole(595);
    let mut request = list.request(target, 7);
    request.terms.unproven = WhenUnproven::Flag;
    let flagged = list.resolve(request).unwrap();
    assert_eq!((ids(&flagged), flagged.unproven), (list.expected()[..7].to_vec(), Some(Unproven::Pivot)));
    assert_eq!(flagged.level(), Level::Positional);
}
