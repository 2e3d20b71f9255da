//! Tests of lists whose paging parameters have unusual names: no answer that may be a part is called the whole list.

use serde_json::{Value, json};

use super::{query, size_of};
use crate::{
    Certainty, LearntOutcome, ProbeLimits, ProbeTarget,
    findings::PlaceForm,
    testing::{Answered, SimulatedRequest, attempt, learn, learn_as, rows, scatter, slice, target},
};

/// Returns the evidence for the finding on the next page, and whether a way to it was found.
fn next_page(result: &LearntOutcome) -> (bool, String) {
    let learnt = result.as_ref().unwrap();
    let finding = learnt.findings.iter().find(|finding| finding.about == "next page").unwrap();
    assert_eq!(finding.certainty == Certainty::Open, learnt.place.is_none(), "{finding:?}");
    (learnt.place.is_some(), finding.evidence.clone())
}

/// Answers with part of 257 rows, chosen by parameters that no step knows.
fn unknown(asked: &SimulatedRequest, count: usize, beside: impl Fn(&Value) -> Answered) -> Answered {
    let all = rows(257);
    let (from, size) = (asked.number("zz_from").unwrap_or(0), asked.number("zz_many").unwrap_or(count).min(count));
    beside(&json!(slice(&all, from, size)))
}

#[test]
fn an_answer_that_may_be_a_part_is_not_called_the_whole_list() {
    type Beside = fn(&Value) -> Answered;
    let shapes: [(&str, usize, Beside); 17] = [
        ("a usual size of a page", 100, |items| Answered::new(items.clone())),
        ("/moreItemsInServer is true", 83, |items| Answered::new(json!({ "items": items, "moreItemsInServer": true }))),
        ("/hasMore is true", 83, |items| Answered::new(json!({ "items": items, "hasMore": "true" }))),
        ("/isLast is false", 83, |items| Answered::new(json!({ "items": items, "isLast": false }))),
        ("/eof is false", 83, |items| Answered::new(json!({ "items": items, "eof": false }))),
        ("/LastEvaluatedKey/id", 83, |items| {
            Answered::new(json!({ "items": items, "LastEvaluatedKey": { "id": 83 } }))
        }),
        ("/total is 2570", 83, |items| Answered::new(json!({ "items": items, "total": "2,570" }))),
        ("/available is 257", 83, |items| Answered::new(json!({ "items": items, "available": 257 }))),
        ("/page/totalPages is 3", 83, |items| {
            Answered::new(json!({ "items": items, "page": { "number": 1, "totalPages": 3 } }))
        }),
        ("/limit is 83", 83, |items| Answered::new(json!({ "items": items, "count": 83, "limit": 83 }))),
        ("/exceededTransferLimit is true", 83, |items| {
            Answered::new(json!({ "items": items, "exceededTransferLimit": true }))
        }),
        ("206", 83, |items| Answered { status: 206, ..Answered::new(items.clone()) }),
        ("header:Next-Range", 83, |items| Answered::new(items.clone()).with("next-range", "id 83..; max=83")),
        ("header:X-Total-Records is 257", 83, |items| Answered::new(items.clone()).with("x-total-records", "257")),
        ("header:X-Page is 1", 83, |items| Answered::new(items.clone()).with("x-page", "1")),
        ("/nextCursor/lastId", 83, |items| Answered::new(json!({ "items": items, "nextCursor": { "lastId": 83 } }))),
        ("its Content-Range is items 0-82/*", 83, |items| {
            Answered::new(items.clone()).with("content-range", "items 0-82/*")
        }),
    ];
    for (reason, count, beside) in shapes {
        let (result, _) = attempt(target(), ProbeLimits::default(), |asked| unknown(asked, count, beside));
        let (is_found, evidence) = next_page(&result);
        assert!(!is_found && evidence.contains(reason), "{reason}: {evidence}");
    }
}

#[test]
fn a_whole_list_is_still_learnt_beside_other_facts() {
    let shapes = [
        json!({ "success": true, "status": 200, "took": 91, "generated": 1_700_000_000 }),
        json!({ "total": 37, "page": 1 }),
        json!({ "total": 37, "page": 1, "pages": 1, "limit": 50, "offset": 0, "hasMore": false, "isLast": true }),
        json!({ "next": null, "nextCursor": "", "version": 412, "requestId": 9_999 }),
    ];
    for beside in shapes {
        let outcome = learn(|_| {
            let mut body = beside.clone();
            body["items"] = json!(rows(37));
            Answered::new(body).with("x-ratelimit-limit", "5000").with("access-control-allow-credentials", "true")
        });
        assert_eq!(outcome.learnt.place, Some(PlaceForm::Whole), "{beside}: {}", outcome.text);
    }
}

fn given(pairs: &[(&str, &str)]) -> ProbeTarget {
    let fixed = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    ProbeTarget { fixed, ..target() }
}

#[test]
fn numbers_of_the_url_are_hints_under_any_name() {
    let offset = |first| PlaceForm::Offset { slot: query("zz_from"), first };
    for pairs in [
        &[("zz_many", "50"), ("zz_from", "50")][..],
        &[("zz_from", "100"), ("zz_many", "7"), ("score", "9")],
        &[("zz_many", "20"), ("zz_from", "0")],
    ] {
        let outcome = learn_as(given(pairs), ProbeLimits::default(), |asked| {
            unknown(asked, 100, |items| Answered::new(items.clone()))
        });
        assert_eq!(outcome.learnt.place, Some(offset(0)), "{pairs:?}: {}", outcome.text);
        assert_eq!(size_of(&outcome), ("zz_many", Some(100)), "{pairs:?}");
        let filters: Vec<&str> = outcome.learnt.fixed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(filters, pairs.iter().map(|(name, _)| *name).filter(|name| *name == "score").collect::<Vec<_>>());
    }
}

#[test]
fn a_page_of_the_url_is_a_hint_under_any_name() {
    let sized =
        [(1, "1"), (1, "2"), (1, "3"), (0, "0"), (0, "1"), (0, "2")].map(|(first, number)| (first, number, true));
    for (first, number, has_size) in sized.into_iter().chain([(1, "3", false), (0, "0", false)]) {
        let all = rows(257);
        let pairs = if has_size { vec![("blatt", number), ("je", "30")] } else { vec![("blatt", number)] };
        let outcome = learn_as(given(&pairs), ProbeLimits::default(), |asked| {
            let size = asked.number("je").filter(|_| has_size).unwrap_or(30).clamp(1, 100);
            let page = asked.number("blatt").unwrap_or(first).max(first) - first;
            Answered::new(json!({ "items": slice(&all, page * size, size), "total": all.len() }))
        });
        let expected = PlaceForm::Page { slot: query("blatt"), first: first as u64 };
        assert_eq!(outcome.learnt.place, Some(expected), "{first} {number} {has_size}: {}", outcome.text);
        assert!(outcome.learnt.fixed.is_empty());
    }
}

#[test]
fn a_filter_by_a_number_stays_a_filter() {
    let all = rows(400);
    let outcome = learn_as(given(&[("team", "3")]), ProbeLimits::default(), |asked| {
        let team = asked.number("team");
        let rows: Vec<Value> = all
            .iter()
            .filter(|row| {
                team.is_none_or(|team| row["id"].as_u64() == Some(0) || row["id"].as_u64().unwrap() % 7 == team as u64)
            })
            .cloned()
            .collect();
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).min(100));
        Answered::new(json!({ "items": slice(&rows, from, size), "total": rows.len() }))
    });
    assert_eq!(outcome.learnt.fixed, [("team".to_owned(), "3".to_owned())], "{}", outcome.text);
    assert!(outcome.text.contains("query = \"team=3&offset={offset}&limit={size}\""), "{}", outcome.text);
}

/// The numbers page, and no step can use them: the offset counts only in steps that the answers don't show.
#[test]
fn numbers_of_the_url_that_change_the_items_are_a_doubt() {
    let all = rows(400);
    let (result, _) = attempt(given(&[("zz_part", "4")]), ProbeLimits::default(), |asked| {
        let part = asked.number("zz_part").unwrap_or(9);
        Answered::new(json!({ "items": slice(&all, part * 31, 31) }))
    });
    let (is_found, evidence) = next_page(&result);
    assert!(!is_found && evidence.contains("without zz_part=4 it has other items"), "{evidence}");
}

#[test]
fn names_that_answers_show_are_tried() {
    let all = rows(257);
    let echo = learn(|asked| {
        let (size, page) = (asked.number("proSeite").unwrap_or(20).min(100), asked.number("page").unwrap_or(0));
        Answered::new(json!({ "hits": slice(&all, page * size, size), "proSeite": size, "page": page, "nbHits": 257 }))
    });
    assert_eq!(size_of(&echo), ("proSeite", Some(100)), "{}", echo.text);
    let link = learn(|asked| {
        let (size, from) = (asked.number("_getcount").unwrap_or(20).min(100), asked.number("_getfrom").unwrap_or(0));
        let link = |from: usize| format!("http://legacy.test/api/items?_getcount={size}&_getfrom={from}");
        let mut links = vec![json!({ "rel": "self", "url": link(from) })];
        if from + size < all.len() {
            links.push(json!({ "rel": "next", "url": link(from + size) }));
        }
        Answered::new(json!({ "entry": slice(&all, from, size), "link": links }))
    });
    assert_eq!(size_of(&link), ("_getcount", Some(100)), "{}", link.text);
    assert_eq!(link.learnt.place, Some(PlaceForm::Offset { slot: query("_getfrom"), first: 0 }), "{}", link.text);
    let nested = learn(|asked| {
        let size = asked.number("searchCriteria[pageSize]").unwrap_or(20).min(100);
        let page = asked.number("searchCriteria[currentPage]").unwrap_or(1).max(1);
        Answered::new(json!({
            "items": slice(&all, (page - 1) * size, size),
            "search_criteria": { "page_size": size, "current_page": page },
            "total_count": 257,
        }))
    });
    assert_eq!(size_of(&nested), ("searchCriteria[pageSize]", Some(100)), "{}", nested.text);
    let expected = PlaceForm::Page { slot: query("searchCriteria[currentPage]"), first: 1 };
    assert_eq!(nested.learnt.place, Some(expected), "{}", nested.text);
}

/// A body is POSTed whose number is the size, under a name that no list of names has.
#[test]
fn the_size_in_a_body_may_have_any_name() {
    let all = rows(257);
    let given =
        ProbeTarget { body: Some(json!({ "query": { "lang": "de" }, "zz": { "many": 30, "from": 0 } })), ..target() };
    let outcome = learn_as(given, ProbeLimits::default(), |asked| {
        let number = |name: &str| asked.body["zz"][name].as_u64().and_then(|own| usize::try_from(own).ok());
        let (from, size) = (number("from").unwrap_or(0), number("many").unwrap_or(30).min(100));
        Answered::new(json!({ "hits": slice(&all, from, size) }))
    });
    assert_eq!(size_of(&outcome), ("/zz/many", Some(100)), "{}", outcome.text);
}

/// A list can have clients whatever its pages are. On a list without pages, a client that sends `limit` would otherwise
/// get a part of what it gets today.
#[test]
fn a_learnt_route_leaves_old_clients_alone() {
    const OLD_CLIENTS: &str = "old_clients = \"pass\"";
    let all = rows(44);
    let whole = learn(|_| Answered::new(json!({ "items": all })));
    assert_eq!(whole.learnt.place, Some(PlaceForm::Whole), "{}", whole.text);
    let tokens = learn(|asked| {
        let from = asked.text("cursor").and_then(|token| token.strip_prefix('x')?.parse().ok()).unwrap_or(0);
        let next = (from + 10 < 44).then(|| format!("x{}", from + 10));
        Answered::new(json!({ "items": slice(&all, from, 10), "nextCursor": next }))
    });
    for outcome in [whole, tokens] {
        assert!(outcome.text.contains(OLD_CLIENTS), "{}", outcome.text);
    }
}

/// Three pinned items are on top of every page, so no answer has the number of items that was asked for.
#[test]
fn a_size_with_an_unclear_effect_is_a_doubt() {
    let all = rows(300);
    let (learnt, _) = attempt(target(), ProbeLimits::default(), |asked| {
        let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
        let items = slice(&all[3..], (asked.number("page").unwrap_or(1).max(1) - 1) * size, size);
        Answered::new(json!(all[..3].iter().cloned().chain(items).collect::<Vec<_>>()))
    });
    let learnt = learnt.unwrap();
    assert_eq!(learnt.place, None, "{:?}", learnt.findings);
    let finding = learnt.findings.iter().find(|finding| finding.about == "next page").unwrap();
    assert!(
        finding.evidence.contains("per_page") && finding.evidence.contains("another number of items"),
        "{}",
        finding.evidence
    );
}

/// The first rows are dropped after the limit, so a small limit gives no item and an offset gives more than none does.
#[test]
fn a_parameter_that_changes_the_items_is_evidence_against_a_whole_list() {
    for (count, dropped) in [(300, 1..=15), (300, 1..=19), (21, 1..=11), (21, 1..=12), (60, 2..=18)] {
        for fact in [json!({}), json!({ "more": false })] {
            let all = rows(count);
            let (result, _) = attempt(target(), ProbeLimits::default(), |asked| {
                let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20));
                let shown = slice(&all, from, size.clamp(1, 50));
                let is_visible = |row: &&Value| !dropped.contains(&row["id"].as_u64().unwrap());
                let mut body = fact.clone();
                body["data"] = json!(shown.iter().filter(is_visible).collect::<Vec<_>>());
                Answered::new(body)
            });
            let learnt = result.unwrap();
            assert_ne!(learnt.place, Some(PlaceForm::Whole), "{count} {dropped:?}: {:?}", learnt.findings);
        }
    }
}

/// A list by page or by offset has few items today, and would get more. What has no pages has all of its items.
#[test]
fn a_list_of_few_items_is_whole_only_if_no_name_asks_for_fewer() {
    for (count, by_page, has_total) in [1, 2, 3, 5]
        .into_iter()
        .flat_map(|count| [(count, true, true), (count, true, false), (count, false, true), (count, false, false)])
    {
        let all = rows(count);
        let (result, _) = attempt(target(), ProbeLimits::default(), |asked| {
            let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
            let from = match by_page {
                true => (asked.number("page").unwrap_or(1).max(1) - 1) * size,
                false => asked.number("offset").unwrap_or(0),
            };
            let mut body = json!({ "items": slice(&all, from, size) });
            if has_total {
                body["total"] = json!(count);
            }
            Answered::new(body)
        });
        let learnt = result.unwrap();
        assert_ne!(learnt.place, Some(PlaceForm::Whole), "{count} {by_page} {has_total}: {:?}", learnt.findings);
        assert!(count < 3 || learnt.place.is_some(), "{count} {by_page} {has_total}: {:?}", learnt.findings);
        let place = learnt.findings.iter().find(|finding| finding.about == "next page");
        assert!(
            count > 1 || place.is_some_and(|own| own.evidence.contains("too few to see how it pages")),
            "{place:?}"
        );
    }
    for (count, is_whole) in [(1, false), (2, true), (3, true), (7, true)] {
        let (result, _) = attempt(target(), ProbeLimits::default(), |_| Answered::new(json!({ "items": rows(count) })));
        assert_eq!(result.unwrap().place == Some(PlaceForm::Whole), is_whole, "{count}");
        let fact = json!({ "items": rows(count), "nextPageToken": null });
        let (result, _) = attempt(target(), ProbeLimits::default(), |_| Answered::new(fact.clone()));
        assert_eq!(result.unwrap().place, None, "{count}, with a place for a token");
    }
}

#[test]
fn numbers_are_flags_too() {
    for (name, value) in
        [("more", json!(1)), ("has_more", json!("1")), ("isLast", json!(0)), ("moreItems", json!("yes"))]
    {
        let (result, _) = attempt(target(), ProbeLimits::default(), |_| {
            Answered::new(json!({ "items": rows(37), name: value.clone() }))
        });
        let (is_found, evidence) = next_page(&result);
        assert!(!is_found && evidence.contains(name), "{name}: {evidence}");
    }
    let outcome = learn(|_| Answered::new(json!({ "items": rows(37), "more": 0, "isLast": 1 })));
    assert_eq!(outcome.learnt.place, Some(PlaceForm::Whole), "{}", outcome.text);
}

/// Three sticky posts come on the first page, in addition to its own, and again in their places.
#[test]
fn pinned_items_on_the_first_page_are_no_page_of_the_list() {
    for default in [10, 20] {
        let all = rows(100);
        let (result, _) = attempt(target(), ProbeLimits::default(), |asked| {
            let size = asked.number("per_page").unwrap_or(default).clamp(1, 100);
            let page = asked.number("page").unwrap_or(1).max(1);
            let mut items = slice(&all, (page - 1) * size, size);
            if page == 1 {
                let pinned = [40, 60, 80].map(|index: usize| all[index].clone());
                items.retain(|item| !pinned.contains(item));
                items.splice(0..0, pinned);
            }
            if items.is_empty() {
                return Answered::refused(400, json!({ "code": "rest_post_invalid_page_number" }));
            }
            Answered::new(json!(items))
                .with("x-wp-total", "100")
                .with("x-wp-totalpages", 100_usize.div_ceil(size).to_string())
        });
        let learnt = result.unwrap();
        assert_eq!(learnt.place, None, "{:?}", learnt.findings);
        let finding = learnt.findings.iter().find(|finding| finding.about == "next page").unwrap();
        assert!(finding.evidence.contains("more items than were asked for"), "{}", finding.evidence);
    }
}

#[test]
fn a_further_item_on_every_page_is_no_page_of_the_list() {
    for (default, own_id) in [(10, true), (20, false), (20, true), (25, true)] {
        for (is_first, by_page) in [(true, true), (false, true), (false, false)] {
            let all = rows(257);
            let (result, _) = attempt(target(), ProbeLimits::default(), |asked| {
                let size = asked.number("limit").unwrap_or(default).clamp(1, 100);
                let page = asked.number("page").unwrap_or(1).max(1);
                let from = if by_page { (page - 1) * size } else { asked.number("offset").unwrap_or(0) };
                let mut items = slice(&all, from, size);
                let id = 9_000_000 + if own_id { from } else { 0 };
                items.insert(if is_first { 0 } else { items.len() }, json!({ "id": id, "name": "advertisement" }));
                Answered::new(json!({ "data": items, "total": all.len() }))
            });
            let learnt = result.unwrap();
            assert_eq!(learnt.place, None, "{default} {own_id} {is_first} {by_page}: {:?}", learnt.findings);
        }
    }
}

/// Answers with rows whose ids have a bound in each of these parameters, by `page` if the list has pages.
fn bounded(asked: &SimulatedRequest, ids: &[u64], names: &[&str], has_total: bool, has_pages: bool) -> Answered {
    let bound = |name: &str| asked.number(name).filter(|_| names.contains(&name)).map(|bound| bound as u64);
    let rows = ids.iter().filter(|id| {
        bound("id_lt").is_none_or(|most| **id < most)
            && bound("id_lte").is_none_or(|most| **id <= most)
            && bound("id_gte").is_none_or(|least| **id >= least)
            && ["id_gt", "since_id", "id_after"].iter().all(|name| bound(name).is_none_or(|least| **id > least))
    });
    let rows: Vec<Value> = rows.map(|id| json!({ "id": id, "name": format!("n{}", scatter(*id)) })).collect();
    let size = asked.number("per_page").unwrap_or(20).clamp(1, 100);
    let from = if has_pages { (asked.number("page").unwrap_or(1).max(1) - 1) * size } else { 0 };
    let mut body = json!({ "items": slice(&rows, from, size) });
    if has_total {
        body["total"] = json!(rows.len());
    }
    Answered::new(body)
}

/// Ids in a row, from 1 on, count the items as an offset does.
#[test]
fn a_bound_of_the_ids_stays_a_filter() {
    let numbered: [Vec<u64>; 3] =
        [(1..=1_003).collect(), (0..1_003).map(|at| 3 * at + 7).collect(), (1..=1_003).rev().collect()];
    let names = ["id_lt", "id_lte", "id_gt", "id_gte", "since_id", "id_after"];
    let pairs =
        [("id_gt", "500"), ("id_gt", "999"), ("id_gt", "3"), ("id_gte", "500"), ("since_id", "500"), ("id_after", "3")];
    for (pair, ids) in pairs.iter().flat_map(|pair| numbered.iter().map(move |ids| (*pair, ids))) {
        for has_total in [true, false] {
            let outcome =
                learn_as(given(&[pair]), ProbeLimits::default(), |asked| bounded(asked, ids, &names, has_total, true));
            let name = format!("{pair:?} {:?} {has_total}: {}", &ids[..2], outcome.text);
            let expected = Some(PlaceForm::Page { slot: query("page"), first: 1 });
            assert_eq!(outcome.learnt.place, expected, "{name}");
            let (own, value) = pair;
            let written = format!("query = \"{own}={value}&page={{page}}&per_page={{size}}\"");
            assert!(outcome.text.contains(&written), "{name}");
            // A filter by the same parameter would send it twice.
            let terms = outcome.learnt.ranges.iter().flat_map(|ranges| &ranges.terms);
            let mut terms = terms.map(|(_, template)| template.replace("{field}", "id"));
            assert!(terms.all(|term| term != format!("{own}={{value}}")), "{name}");
        }
    }
}

/// Without pages, the bound of the URL is the place of a page.
#[test]
fn a_bound_of_the_ids_pages_if_nothing_else_does() {
    let numbered: [Vec<u64>; 2] = [(1..=1_003).collect(), (0..1_003).map(|at| 3 * at + 7).collect()];
    for (pair, is_inclusive) in [(("id_gt", "500"), false), (("id_gte", "500"), true), (("since_id", "3"), false)] {
        for (ids, has_total) in numbered.iter().flat_map(|ids| [(ids, true), (ids, false)]) {
            let outcome = learn_as(given(&[pair]), ProbeLimits::default(), |asked| {
                bounded(asked, ids, &[pair.0], has_total, false)
            });
            let name = format!("{pair:?} {:?} {has_total}: {}", &ids[..2], outcome.text);
            let expected = Some(PlaceForm::After { slot: query(pair.0), is_inclusive });
            assert_eq!(outcome.learnt.place, expected, "{name}");
            let written = format!("query = \"{}={{after}}&per_page={{size}}\"", pair.0);
            assert!(outcome.text.contains(&written), "{name}");
        }
    }
}

/// Answers as json-server does: an array without `_page`, and an object with it. Pages before the first one are that
/// one.
fn reshaped(asked: &SimulatedRequest, all: &[Value], first: usize) -> Answered {
    let Some(page) = asked.number("_page") else { return Answered::new(json!(all)) };
    let size = asked.number("_per_page").unwrap_or(10);
    let pages = all.len().div_ceil(size);
    let page = page.clamp(first, first + pages - 1);
    let next = (page + 1 < first + pages).then_some(page + 1);
    Answered::new(json!({
        "first": first, "next": next, "pages": pages, "items": all.len(),
        "data": slice(all, (page - first) * size, size),
    }))
}

#[test]
fn answers_that_have_another_shape_with_a_page_are_learnt_from_the_url_of_a_page() {
    let all = rows(1_003);
    for (pairs, first) in [
        (&[("_page", "2"), ("_per_page", "20")][..], 1),
        (&[("_page", "2"), ("_per_page", "20")], 0),
        (&[("_per_page", "20"), ("_page", "1")], 1),
        (&[("_page", "3")], 1),
        (&[("_page", "1")], 0),
    ] {
        let outcome = learn_as(given(pairs), ProbeLimits::default(), |asked| reshaped(asked, &all, first));
        let name = format!("{pairs:?} {first}: {}", outcome.text);
        let expected = PlaceForm::Page { slot: query("_page"), first: first as u64 };
        assert_eq!(outcome.learnt.place, Some(expected), "{name}");
        assert_eq!((outcome.learnt.shape.items.as_str(), size_of(&outcome).0), ("/data", "_per_page"), "{name}");
        assert!(outcome.learnt.repeats_last_page, "{name}");
        assert!(outcome.text.contains("query = \"_page={page}&_per_page={size}\""), "{name}");
    }
    let (result, _) = attempt(target(), ProbeLimits::default(), |asked| reshaped(asked, &all, 1));
    let (is_found, evidence) = next_page(&result);
    assert!(!is_found && evidence.contains("the answer has another shape, with 10 items at /data"), "{evidence}");
}
