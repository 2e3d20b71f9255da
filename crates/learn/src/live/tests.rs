//! Tests of the checks of a live list: each mistake of a configuration that loads is reported with the key to change.

use serde_json::{Value, json};

use super::{ConfiguredList, LiveReport, begin};
use crate::{
    ProbeLimits,
    testing::{Answered, SimulatedRequest, answer_to, drive, list_of, rows, slice, sorted, target},
};
use cursorgate_config::diagnostic::Diagnostics;
use cursorgate_translate::upstream::Dialect;

/// A legacy list by page. Pages are counted from `first` and have at most 50 items; the parameter `sort` takes one key.
fn legacy(asked: &SimulatedRequest, all: &[Value], first: usize) -> Answered {
    if asked.path != "/api/items/" {
        return Answered::refused(301, json!({})).with("location", "/api/items/");
    }
    let mut rows = all.to_vec();
    if let Some(sort) = asked.text("sort") {
        let (field, descending) = sort.strip_prefix('-').map_or((sort, false), |field| (field, true));
        if !["id", "kind", "created_at"].contains(&field) {
            return Answered::refused(400, json!({ "error": "sort" }));
        }
        rows = sorted(rows, field, descending);
    }
    let size = asked.number("per_page").unwrap_or(25).clamp(1, 50);
    // Like many upstreams, this one answers a page number before the first one with the first page.
    let page = asked.number("page").unwrap_or(first).max(first);
    let from = (page - first) * size;
    if from >= rows.len() {
        return Answered::refused(404, json!({ "error": "no such page" }));
    }
    Answered::new(
        json!({ "data": slice(&rows, from, size), "meta": { "total": rows.len(), "more": from + size < rows.len() } }),
    )
}

const RIGHT: &str = r#"
[routes.items]
old_clients = "none"
path = "/api/items"
upstream = "service"
upstream_path = "{path}/"
dialect = "own"
order = ["id"]
sortable = ["id", "created_at"]
fields = { created_at = { type = "datetime", nulls = "none" } }
page_size = { default = 20, max = 30 }
[dialects.own]
request = { query = "page={page}&per_page={size}", first_page = 1 }
size = { max = 50 }
response = { items = "/data", total = "/meta/total", has_more = "/meta/more", past_end = [{ status = 404 }] }
sort = { query = "sort={direction}{field}", ascending = "", descending = "-", max_keys = 1 }
"#;

fn review(configuration: &str, answer: impl Fn(&SimulatedRequest) -> Answered) -> LiveReport {
    let (settings, path) = list_of(configuration);
    let dialect = Dialect::compile(&settings, &mut Diagnostics::default()).unwrap();
    let at = settings.dialect.at;
    let target = crate::ProbeTarget { path: path.clone(), ..target() };
    let step = begin(ConfiguredList { settings, dialect, path, at }, target, ProbeLimits::default());
    drive(step, |request| Ok(answer_to(request, &answer)))
}

fn said(report: &LiveReport) -> String {
    report.faults.iter().map(|fault| format!("{}: {}\n", fault.message, fault.help)).collect()
}

#[test]
fn a_list_that_looks_as_configured_has_no_fault() {
    let all = rows(400);
    let report = review(RIGHT, |asked| legacy(asked, &all, 1));
    assert_eq!((said(&report).as_str(), report.ended), ("", None));
    let from_zero = review(&RIGHT.replace("first_page = 1", "first_page = 0"), |asked| legacy(asked, &all, 0));
    assert_eq!(said(&from_zero), "");
}

#[test]
fn a_first_page_past_the_end_is_reported() {
    let report = review(RIGHT, |asked| match asked.path.as_str() {
        "/api/items/" => Answered::refused(404, json!({ "error": "no such item" })),
        _ => Answered::refused(301, json!({})).with("location", "/api/items/"),
    });
    assert!(said(&report).contains("answers 404 to the first page, which `past_end` takes"), "{}", said(&report));
}

#[test]
fn mistakes_in_valid_configurations_are_reported_with_the_key_to_change() {
    let all = rows(400);
    let mut faults = Vec::new();
    for (mistake, right, wrong, key) in [
        ("a size parameter misspelt", "per_page={size}", "page_size={size}", "\"per_page\" for \"page_size\""),
        ("the first page is 1", "first_page = 1", "first_page = 0", "request.first_page = 1"),
        ("a page parameter misspelt", "page={page}&", "p={page}&", "\"page={page}\" for \"p\""),
        ("an offset on a page API", "page={page}&", "offset={offset}&", "\"page={page}\" for \"offset\""),
        ("a total that is nowhere", "/meta/total", "/meta/count", "response.total = \"/meta/total\""),
        ("a flag that is nowhere", "/meta/more", "/more", "there is a flag at \"/meta/more\""),
        ("items that are nowhere", "items = \"/data\"", "items = \"/items\"", "response.items = \"/data\""),
        ("an id that is nowhere", "items = \"/data\",", "items = \"/data\", id = \"/uuid\",", "response.id = \"/id\""),
        ("a field that is nowhere", "order = [\"id\"]", "order = [\"-createdat\", \"id\"]", "\"created_at\""),
        (
            "another order",
            "order = [\"id\"]\nsortable = [\"id\", \"created_at\"]",
            "order = [\"score\", \"id\"]",
            "they run by order = [\"id\"]",
        ),
        ("two keys where one is read", ", max_keys = 1", "", "sort.max_keys = 1"),
        ("a field with three values", "\"created_at\"]\n", "\"created_at\", \"kind\"]\n", "422 tie_run"),
        ("a field that is no sort", "\"created_at\"]\n", "\"created_at\", \"score\"]\n", "remove it from `sortable`"),
        ("a cap that is too high", "size = { max = 50 }", "size = { max = 200 }", "size.max = 50"),
        ("a redirect", "upstream_path = \"{path}/\"\n", "", "set upstream_path = \"/api/items/\""),
        (
            "an end that is not explained",
            ", past_end = [{ status = 404 }]",
            "",
            "response.past_end = [{ status = 404 }]",
        ),
        (
            "a filter that is none",
            "[dialects.own]\n",
            "filterable = [\"id\"]\n[dialects.own]\nfilter = { gte = \"{field}__gte={value}\", lte = \"{field}__lte={value}\" }\n",
            "remove it from `filterable`",
        ),
    ] {
        assert!(RIGHT.contains(right), "{mistake}");
        let report = review(&RIGHT.replace(right, wrong), |asked| legacy(asked, &all, 1));
        let said = said(&report);
        // A mistake must be reported with its key, and with at most one other fault.
        if !said.contains(key) || report.faults.len() > 2 {
            faults.push(format!("{mistake}: {said:?}, ended {:?} after {}", report.ended, report.requests));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    let from_zero = review(RIGHT, |asked| legacy(asked, &all, 0));
    assert!(said(&from_zero).contains("request.first_page = 0"), "{}", said(&from_zero));
}

#[test]
fn an_order_by_language_or_without_case_is_reported_as_the_cause() {
    let mut all = rows(300);
    all.sort_by_key(|row| (row["name"].as_str().unwrap().to_lowercase(), row["id"].as_u64()));
    let wrong = RIGHT.replace("order = [\"id\"]\nsortable = [\"id\", \"created_at\"]", "order = [\"name\", \"id\"]");
    let said = said(&review(&wrong, |asked| legacy(asked, &all, 1)));
    assert!(said.contains("by a language or without regard to case"), "{said}");
}

/// A list by offset whose items have numbers as ids.
const BY_OFFSET: &str = r#"
[routes.items]
old_clients = "none"
path = "/api/items"
upstream = "service"
dialect = "own"
order = ["id"]
fields = { id = { type = "number" } }
page_size = { default = 20, max = 30 }
[dialects.own]
request = { query = "_offset={offset}&_count={size}" }
size = { max = 50 }
response = { items = "/data" }
"#;

fn by_offset(asked: &SimulatedRequest, all: &[Value]) -> Vec<Value> {
    slice(all, asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50))
}

/// A join has several rows for an item, and repeated items are dropped within an answer. So pages overlap, although the
/// parameter for the place is right.
#[test]
fn a_right_parameter_is_not_proposed_in_its_own_place() {
    let joined: Vec<Value> =
        rows(200).into_iter().enumerate().flat_map(|(index, row)| vec![row; 1 + usize::from(index % 5 == 4)]).collect();
    let report = review(BY_OFFSET, |asked| {
        let mut items = by_offset(asked, &joined);
        items.dedup();
        Answered::new(json!({ "data": items }))
    });
    let said = said(&report);
    assert!(said.contains("\"_offset\" is right, and pages overlap"), "{said}");
    assert!(!said.contains("write \"_offset"), "{said}");
}

/// Three pinned items are at the top of every page.
#[test]
fn items_in_addition_to_those_asked_for_are_no_ignored_size() {
    let all = rows(300);
    let report = review(BY_OFFSET, |asked| {
        let pinned = all[290..293].iter().cloned();
        Answered::new(json!({ "data": pinned.chain(by_offset(asked, &all[..290])).collect::<Vec<_>>() }))
    });
    let said = said(&report);
    assert!(said.contains("gave 8 and 10") && said.contains("it reads _count, and adds items"), "{said}");
    assert!(!said.contains("size.default"), "{said}");
}

#[test]
fn a_part_is_reported_with_the_fact_that_places_it() {
    for (header, value, key) in [
        ("content-range", "items 0-4/300", "response.total = \"content-range:total\""),
        ("content-range", "items 0-4/*", "response.offset = \"content-range:start\""),
        ("next-range", "id ]5..", "response.next_token = \"header:next-range\""),
        ("x-other", "1", "it has no Content-Range"),
    ] {
        let all = rows(300);
        let report = review(BY_OFFSET, |asked| Answered {
            status: 206,
            ..Answered::new(json!({ "data": by_offset(asked, &all) })).with(header, value)
        });
        let said = said(&report);
        assert!(said.contains(key) && !said.contains("there is one at"), "{said}");
    }
}

#[test]
fn an_object_in_place_of_an_array_is_reported_with_its_word() {
    let all = rows(203);
    let singles = review(BY_OFFSET, |asked| {
        let rows = by_offset(asked, &all);
        Answered::new(json!({ "data": if rows.len() == 1 { rows[0].clone() } else { json!(rows) } }))
    });
    let gaps = review(BY_OFFSET, |asked| {
        let shown = by_offset(asked, &all).into_iter().enumerate().filter(|(_, row)| row["id"] != 3);
        Answered::new(
            json!({ "data": shown.map(|(index, row)| (index.to_string(), row)).collect::<serde_json::Map<_, _>>() }),
        )
    });
    // Only the pages after the first one have gaps.
    let later = review(BY_OFFSET, |asked| {
        let rows = by_offset(asked, &all);
        let numbered = || rows.iter().enumerate().map(|(index, row)| (index.to_string(), row.clone()));
        let is_whole = rows.is_empty() || asked.number("_offset") == Some(0);
        let data = if is_whole { json!(rows) } else { numbered().collect::<serde_json::Map<_, _>>().into() };
        Answered::new(json!({ "data": data }))
    });
    for (report, word) in [(singles, "single"), (gaps, "values"), (later, "values")] {
        assert_eq!(report.faults.len(), 1, "{}", said(&report));
        assert!(said(&report).contains(&format!("response.items_object = \"{word}\"")), "{}", said(&report));
    }
}

/// A batch service names its total after its own records.
#[test]
fn a_total_with_a_word_of_the_service_is_proposed() {
    let all = rows(300);
    let wrong = BY_OFFSET.replace("items = \"/data\"", "items = \"/data\", total = \"/total_records\"");
    let report = review(&wrong, |asked| {
        Answered::new(json!({ "data": by_offset(asked, &all), "total_courses": all.len(), "total_pages": 15 }))
    });
    let said = said(&report);
    assert!(said.contains("response.total = \"/total_courses\""), "{said}");
}

/// Answers with a total, by offset.
fn counted(rows: &[Value], total: usize) -> Answered {
    Answered::new(json!({ "data": rows, "total": total }))
}

/// Beyond the first 100 items, the upstream answers with no items and a total of 0, as from `count(*) over ()`.
#[test]
fn a_window_whose_total_is_0_beyond_it_is_reported() {
    let all = rows(257);
    let configuration = BY_OFFSET.replace("items = \"/data\"", "items = \"/data\", total = \"/total\"");
    let report = review(&configuration, |asked| {
        let shown = by_offset(asked, &all[..100]);
        counted(&shown, if shown.is_empty() { 0 } else { all.len() })
    });
    let said = said(&report);
    assert!(said.contains("says 257, and the items end after 100") && said.contains("request.max_depth"), "{said}");
    // A larger size doesn't show the items behind the window either, but leaves out none of those before it.
    let wide = configuration.replace("max = 50", "max = 1000");
    assert!(wide != configuration);
    let report = review(&wide, |asked| {
        let (from, size) = (asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20));
        counted(&slice(&all[..100], from, size), all.len())
    });
    let said = self::said(&report);
    assert!(
        said.contains("gave 100") && said.contains("request.max_depth = 100 if the upstream shows no more"),
        "{said}"
    );
    // A right total that is 0 beyond the end is no fault.
    let report = review(&configuration, |asked| {
        let shown = by_offset(asked, &all);
        counted(&shown, if shown.is_empty() { 0 } else { all.len() })
    });
    assert_eq!(self::said(&report), "");
}

/// After its end the list begins again, and it is longer than the cap, which isn't declared.
#[test]
fn a_list_that_begins_again_is_neither_shorter_than_its_total_nor_repeats_its_last_page() {
    let all = rows(57);
    let configuration = BY_OFFSET.replace("items = \"/data\"", "items = \"/data\", total = \"/total\"");
    let report = review(&configuration, |asked| {
        let (from, size) = (asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50));
        counted(&slice(&all, if from < all.len() { from } else { 0 }, size), all.len())
    });
    assert_eq!(said(&report), "");
}

#[test]
fn a_total_that_counts_from_the_offset_on_is_reported() {
    let all = rows(257);
    let configuration = BY_OFFSET.replace("items = \"/data\"", "items = \"/data\", total = \"/total\"");
    let report = review(&configuration, |asked| {
        counted(&by_offset(asked, &all), all.len().saturating_sub(asked.number("_offset").unwrap_or(0)))
    });
    let said = said(&report);
    assert!(said.contains("it counts the items from there on: remove response.total"), "{said}");
}

#[test]
fn offsets_that_must_be_multiples_of_the_size_are_reported() {
    let all = rows(257);
    let place = |asked: &SimulatedRequest| {
        (asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50))
    };
    let lowered = |asked: &SimulatedRequest| {
        let (from, size) = place(asked);
        Answered::new(json!({ "data": slice(&all, from - from % size, size) }))
    };
    let refused = |asked: &SimulatedRequest| {
        let (from, size) = place(asked);
        match from % size {
            0 => Answered::new(json!({ "data": slice(&all, from, size) })),
            _ => Answered::refused(400, json!({ "error": "offset" })),
        }
    };
    let aligned = BY_OFFSET.replace("_count={size}\" }", "_count={size}\", aligned = true }");
    let wrong = said(&review(BY_OFFSET, lowered));
    assert!(wrong.contains("begins at 5: request.aligned = true"), "{wrong}");
    let wrong = said(&review(BY_OFFSET, refused));
    assert!(wrong.contains("answers 400: request.aligned = true"), "{wrong}");
    assert_eq!((said(&review(&aligned, lowered)), said(&review(&aligned, refused))), (String::new(), String::new()));
}

#[test]
fn offsets_that_are_lowered_are_no_repeated_last_page() {
    let all = rows(257);
    let configuration = BY_OFFSET.replace("items = \"/data\"", "items = \"/data\", total = \"/total\"");
    let lowered = |asked: &SimulatedRequest| {
        let from = asked.number("_offset").unwrap_or(0).min(100);
        counted(&slice(&all, from, asked.number("_count").unwrap_or(20).clamp(1, 50)), all.len())
    };
    let said = said(&review(&configuration, lowered));
    assert!(said.contains("takes no offset this large") && said.contains("request.max_offset = 100"), "{said}");
    assert!(!said.contains("repeats_last_page"), "{said}");
    // With the word for it, nothing is requested beyond.
    let declared = configuration.replace("{size}\" }", "{size}\", max_offset = 100 }");
    assert_eq!(self::said(&review(&declared, lowered)), "");
}

/// Without a total, nothing else shows that the beginning of the list is never requested.
#[test]
fn a_first_number_that_is_too_large_is_reported() {
    let all = rows(257);
    let by_offset = BY_OFFSET.replace("{size}\" }", "{size}\", first_item = 1 }");
    let said = said(&review(&by_offset, |asked| Answered::new(json!({ "data": self::by_offset(asked, &all) }))));
    assert!(said.contains("request.first_item = 0"), "{said}");
    let by_page =
        BY_OFFSET.replace("_offset={offset}&_count={size}\" }", "page={page}&size={size}\", first_page = 2 }");
    let paged = |asked: &SimulatedRequest| {
        let size = asked.number("size").unwrap_or(20).clamp(1, 50);
        let from = (asked.number("page").unwrap_or(1).max(1) - 1) * size;
        Answered::new(json!({ "data": slice(&all, from, size) }))
    };
    let said = self::said(&review(&by_page, paged));
    assert!(said.contains("request.first_page = 1"), "{said}");
}

/// All items are in one answer, whose flag says that more follow, as in every answer.
#[test]
fn a_flag_that_is_always_true_makes_no_cap() {
    let all = rows(37);
    let answer = |asked: &SimulatedRequest| {
        let (from, size) = (asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50));
        Answered::new(json!({ "data": slice(&all, from, size), "more": true, "total": all.len() }))
    };
    let facts = "items = \"/data\", has_more = \"/more\", total = \"/total\"";
    let said = said(&review(&BY_OFFSET.replace("items = \"/data\"", facts), answer));
    assert!(!said.contains("size.max"), "{said}");
}

#[test]
fn rows_left_out_after_the_limit_are_no_cap() {
    let all = rows(257);
    let left_out = |asked: &SimulatedRequest| {
        let (from, size) = (asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50));
        let shown = slice(&all, from, size).into_iter().filter(|row| row["id"].as_u64().is_some_and(|id| id % 7 != 3));
        Answered::new(json!({ "data": shown.collect::<Vec<_>>(), "more": from + size < all.len() }))
    };
    let configuration = BY_OFFSET.replace("items = \"/data\"", "items = \"/data\", has_more = \"/more\"");
    let said = said(&review(&configuration, left_out));
    assert!(said.contains("response.hidden = true") && !said.contains("size.max ="), "{said}");
    let declared = configuration.replace("items = \"/data\"", "items = \"/data\", hidden = true");
    assert!(!self::said(&review(&declared, left_out)).contains("size.max"));
    // Answers without any fact show more items only by those of the next page.
    let silent = |asked: &SimulatedRequest| {
        let (from, size) = (asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50));
        let shown = slice(&all, from, size).into_iter().filter(|row| row["id"].as_u64().is_some_and(|id| id % 7 != 3));
        Answered::new(json!({ "data": shown.collect::<Vec<_>>() }))
    };
    let without_cap = BY_OFFSET.replace("size = { max = 50 }\n", "");
    for configuration in [BY_OFFSET, &without_cap] {
        assert!(self::said(&review(configuration, silent)).contains("response.hidden = true"));
    }
    let capped = |asked: &SimulatedRequest| {
        let (from, size) = (asked.number("_offset").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50));
        Answered::new(json!({ "data": slice(&all, from, size) }))
    };
    assert_eq!(self::said(&review(&without_cap, capped)), "");
}

/// Lists that are continued by something of the last answer: by the id of the last item, which comes again, and by a
/// link that is always there.
#[test]
fn the_end_of_a_list_that_is_continued_is_read_as_the_dialect_says() {
    let all = rows(90);
    let inclusive =
        BY_OFFSET.replace("_offset={offset}&_count={size}\"", "from={after}&_count={size}\", after_inclusive = true");
    let inclusive = inclusive.replace("items = \"/data\"", "items = \"/data\", end = \"empty-page\"");
    let including = |asked: &SimulatedRequest| {
        let from = asked.number("from").and_then(|id| all.iter().position(|row| row["id"] == id)).unwrap_or(0);
        Answered::new(json!({ "data": slice(&all, from, asked.number("_count").unwrap_or(20).clamp(1, 50)) }))
    };
    assert_eq!(said(&review(&inclusive, including)), "");
    let undeclared = said(&review(&inclusive.replace(", after_inclusive = true", ""), including));
    assert!(undeclared.contains("begins with this item: request.after_inclusive = true"), "{undeclared}");
    let linked = BY_OFFSET.replace("_offset={offset}", "token={token}");
    let linked = linked.replace(
        "items = \"/data\"",
        "items = \"/data\", next_token = \"link:next;results=true\", token_param = \"token\"",
    );
    let report = review(&linked, |asked| {
        let (from, size) = (asked.number("token").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50));
        let next = from + size;
        let link = format!("</api/items?token={next}>; rel=\"next\"; results=\"{}\"", next < all.len());
        Answered::new(json!({ "data": slice(&all, from, size) })).with("link", &link)
    });
    assert_eq!(said(&report), "");
}

/// The last short page of a list without a total. What the upstream answers after it is not in the dialect.
#[test]
fn an_end_that_no_total_states_is_looked_at() {
    let all = rows(257);
    let by_page = BY_OFFSET.replace("_offset={offset}", "page={page}");
    let place = |asked: &SimulatedRequest| {
        let size = asked.number("_count").unwrap_or(20).clamp(1, 50);
        (asked.number("_offset").unwrap_or_else(|| (asked.number("page").unwrap_or(1).max(1) - 1) * size), size)
    };
    let without_cap = BY_OFFSET.replace("size = { max = 50 }\n", "");
    for (status, length) in [(204, 257), (404, 257), (400, 257), (500, 257), (404, 250), (404, 30)] {
        for configuration in [BY_OFFSET, &by_page, &without_cap] {
            let report = review(configuration, |asked| {
                let (from, size) = place(asked);
                match from > 0 && from >= length {
                    true => Answered::refused(status, Value::Null),
                    false => Answered::new(json!({ "data": slice(&all[..length], from, size) })),
                }
            });
            let key = format!("response.past_end = [{{ status = {status} }}]");
            assert!(said(&report).contains(&key), "{status} {length}: {}\n{configuration}", said(&report));
            assert_eq!((report.faults.len(), report.ended), (1, None));
            let declared = configuration.replace("\"/data\"", &format!("\"/data\", {}", &key["response.".len()..]));
            let report = review(&declared, |asked| {
                let (from, size) = place(asked);
                match from > 0 && from >= length {
                    true => Answered::refused(status, Value::Null),
                    false => Answered::new(json!({ "data": slice(&all[..length], from, size) })),
                }
            });
            assert_eq!(said(&report), "", "{declared}");
        }
    }
    // A place that is refused may be the end, or too deep.
    let report = review(BY_OFFSET, |asked| match place(asked) {
        (from, size) if from + size > 200 => Answered::refused(400, json!({ "error": "too deep" })),
        (from, size) => Answered::new(json!({ "data": slice(&all, from, size) })),
    });
    assert!(said(&report).contains("request.max_depth = 200 if it goes on"), "{}", said(&report));
    // After the end there is no array.
    let report = review(BY_OFFSET, |asked| match place(asked) {
        (from, size) if from < 257 => Answered::new(json!({ "data": slice(&all, from, size) })),
        _ => Answered::new(json!({ "message": "nothing" })),
    });
    assert!(said(&report).contains("response.items_optional = true"), "{}", said(&report));
    // After the end the list begins again, which only a declared order tells from further items.
    for (configuration, is_told) in [(BY_OFFSET.to_owned(), false), (BY_OFFSET.replace("order = [\"id\"]\n", ""), true)]
    {
        let report = review(&configuration, |asked| match place(asked) {
            (from, size) if from < 257 => Answered::new(json!({ "data": slice(&all, from, size) })),
            (_, size) => Answered::new(json!({ "data": slice(&all, 0, size) })),
        });
        assert_eq!(said(&report).contains("the list begins again"), is_told, "{}", said(&report));
    }
    // An end that is an empty list, and a list that is longer than requests may go.
    for length in [257, 250, 3, 0, 400] {
        for configuration in [BY_OFFSET, &by_page, &without_cap] {
            let report = review(configuration, |asked| {
                let (from, size) = place(asked);
                Answered::new(json!({ "data": slice(&rows(length), from, size) }))
            });
            assert_eq!((said(&report), report.ended), (String::new(), None), "{length}");
        }
    }
}

#[test]
fn a_last_page_that_comes_again_is_told_from_an_offset_that_is_lowered_without_a_total() {
    for length in [257, 250, 50, 30] {
        let all = rows(length);
        let again = |asked: &SimulatedRequest| {
            let size = asked.number("_count").unwrap_or(20).clamp(1, 50);
            let from = asked.number("_offset").unwrap_or(0).min((all.len() - 1) / size * size);
            Answered::new(json!({ "data": slice(&all, from, size) }))
        };
        let report = review(BY_OFFSET, again);
        assert!(said(&report).contains("response.repeats_last_page = true"), "{length}: {}", said(&report));
        assert_eq!(report.faults.len(), 1, "{}", said(&report));
        let declared = BY_OFFSET.replace("items = \"/data\"", "items = \"/data\", repeats_last_page = true");
        assert_eq!(said(&review(&declared, again)), "");
    }
    let all = rows(257);
    for largest in [1, 60, 100, 203] {
        let report = review(BY_OFFSET, |asked| {
            let from = asked.number("_offset").unwrap_or(0).min(largest);
            Answered::new(json!({ "data": slice(&all, from, asked.number("_count").unwrap_or(20).clamp(1, 50)) }))
        });
        let said = said(&report);
        assert!(largest == 1 || said.contains(&format!("request.max_offset = {largest}")), "{largest}: {said}");
        assert!(!said.is_empty() && !said.contains("repeats_last_page"), "{largest}: {said}");
    }
}

/// A list by token whose answers also lead back. `back` is the token of the page before the first one.
fn by_token(asked: &SimulatedRequest, all: &[Value], back: Option<&str>) -> Answered {
    let size = asked.number("_count").unwrap_or(20).clamp(1, 50);
    let Some(from) = asked.text("token").map_or(Some(0), |token| token.parse::<usize>().ok()) else {
        return Answered::refused(400, json!({ "error": "token" }));
    };
    let previous = (from > 0).then(|| from.saturating_sub(size).to_string());
    let next = (from + size < all.len()).then(|| (from + size).to_string());
    Answered::new(
        json!({ "data": slice(all, from, size), "next": next, "previous": previous.or_else(|| back.map(str::to_owned)) }),
    )
}

#[test]
fn tokens_before_the_first_page_are_reported() {
    let all = rows(120);
    let both = BY_OFFSET.replace("_offset={offset}", "token={token}");
    let both =
        both.replace("items = \"/data\"", "items = \"/data\", next_token = \"/next\", prev_token = \"/previous\"");
    // After the end there are no items.
    for right in [None, Some("120")] {
        assert_eq!(said(&review(&both, |asked| by_token(asked, &all, right))), "", "{right:?}");
    }
    let again = said(&review(&both, |asked| by_token(asked, &all, Some("0"))));
    assert!(again.contains("a page before it, which leads to the first page again: leave out"), "{again}");
    let refused = said(&review(&both, |asked| by_token(asked, &all, Some("-50"))));
    assert!(refused.contains("a page before it, which is answered with 400"), "{refused}");
    let misplaced = both.replace("/previous", "/next");
    let misplaced = said(&review(&misplaced, |asked| by_token(asked, &all, None)));
    assert!(misplaced.contains("leads to other items than those of the first page"), "{misplaced}");
    let links = both.replace("\"/next\"", "\"link:next;results=true\", token_param = \"token\"");
    let linked = |asked: &SimulatedRequest| {
        let size = asked.number("_count").unwrap_or(20).clamp(1, 50);
        let from = asked.number("token").unwrap_or(0);
        let link = |to: usize, relation: &str, leads: bool| {
            format!("</api/items?token={to}>; rel=\"{relation}\"; results=\"{leads}\"")
        };
        let back = link(from.saturating_sub(size), "prev", from > 0);
        let links = format!("{back}, {}", link(from + size, "next", from + size < all.len()));
        Answered::new(json!({ "data": slice(&all, from, size) })).with("link", &links)
    };
    let wrong = said(&review(&links.replace("\"/previous\"", "\"link:prev\""), linked));
    assert!(wrong.contains("\"link:prev;results=true\""), "{wrong}");
    assert_eq!(said(&review(&links.replace("\"/previous\"", "\"link:prev;results=true\""), linked)), "");
}

#[test]
fn facts_that_are_missing_from_some_item_on_are_reported() {
    let all = rows(303);
    let by_token = BY_OFFSET.replace("_offset={offset}", "token={token}");
    let facts = "items = \"/data\", next_token = \"/paging/next\", has_more = \"/paging/more\"";
    let flagged = by_token.replace("items = \"/data\"", facts);
    let counted = by_token.replace("items = \"/data\"", &format!("{facts}, total = \"/paging/total\""));
    let answer = |asked: &SimulatedRequest, until: usize, total: Option<usize>| {
        let (from, size) = (asked.number("token").unwrap_or(0), asked.number("_count").unwrap_or(20).clamp(1, 50));
        let mut body = json!({ "data": slice(&all, from, size) });
        if from < until {
            let next = (from + size < all.len()).then(|| (from + size).to_string());
            body["paging"] = json!({ "more": next.is_some(), "next": next });
            if let Some(total) = total {
                body["paging"]["total"] = json!(total);
            }
        }
        Answered::new(body)
    };
    let missing = said(&review(&counted, |asked| answer(asked, 200, Some(all.len()))));
    assert!(missing.contains("items 201 to 250 has nothing at the places of response.total"), "{missing}");
    assert!(missing.contains("says that there are 303"), "{missing}");
    let missing = said(&review(&flagged, |asked| answer(asked, 200, None)));
    assert!(missing.contains("items 201 to 250 has nothing") && missing.contains("it is full"), "{missing}");
    // The last page of a right list may lack all facts.
    let short = said(&review(&flagged, |asked| answer(asked, 300, None)));
    assert_eq!(short, "");
    assert_eq!(said(&review(&counted, |asked| answer(asked, 303, Some(all.len())))), "");
}

/// Answers get shorter further down: by a cap that falls from item 100 or 200 on. The dialect may take that for rows that
/// are left out.
#[test]
fn answers_that_get_shorter_further_down_are_reported() {
    let by_page = BY_OFFSET.replace("_offset={offset}", "page={page}");
    for (count, from, low, has_total) in
        [(310, 100, 5, false), (310, 100, 5, true), (310, 200, 10, true), (2_000, 700, 10, false)]
    {
        let all = rows(count);
        for configuration in [BY_OFFSET, &by_page] {
            for hidden in ["", "hidden = true, "] {
                let facts = if has_total { "total = \"/total\", " } else { "" };
                let configuration =
                    configuration.replace("items = \"/data\"", &format!("{hidden}{facts}items = \"/data\""));
                let shrinking = |asked: &SimulatedRequest| {
                    let size = asked.number("_count").unwrap_or(20).clamp(1, 50);
                    let page = asked.number("page").unwrap_or(1).max(1) - 1;
                    let begins = asked.number("_offset").unwrap_or(page * size);
                    counted(&slice(&all, begins, if begins < from { size } else { size.min(low) }), count)
                };
                let said = said(&review(&configuration, shrinking));
                let name = format!("{count} {from} {low} {configuration}: {said}");
                assert!(said.contains("shorter further down") && said.contains(&format!("size.max = {low}")), "{name}");
                let small = configuration.replace("max = 50", &format!("max = {low}"));
                let small = small.replace("max = 30", &format!("max = {low}")).replace("default = 20", "default = 5");
                let said = self::said(&review(&small, shrinking));
                assert!(!said.contains("shorter"), "{small}: {said}");
            }
        }
    }
}

/// An advertisement with an id of its own is the last item of every page, in addition or within the number asked for.
#[test]
fn an_item_on_every_page_is_reported() {
    let all = rows(257);
    for (configuration, within) in [(BY_OFFSET.replace("_count={size}", "x=1"), 0), (BY_OFFSET.to_owned(), 1)] {
        let configuration = configuration.replace("_offset={offset}", "page={page}").replace("order = [\"id\"]\n", "");
        let configuration = match within {
            0 => configuration.replace("size = { max = 50 }", "size = { default = 21 }"),
            _ => configuration,
        };
        let report = review(&configuration, |asked| {
            let size = asked.number("_count").unwrap_or(20).clamp(1, 50);
            let mut items = slice(&all, (asked.number("page").unwrap_or(1).max(1) - 1) * size, size - within);
            items.push(json!({ "id": 9_000_000 }));
            Answered::new(json!({ "data": items }))
        });
        let said = said(&report);
        assert!(said.contains("9000000 is on pages 1, ") && said.contains("adds items"), "{configuration}: {said}");
    }
}

#[test]
fn pages_of_a_fixed_size_are_as_full_as_the_dialect_says() {
    let all = rows(257);
    for (size, dropped, declared, expected) in [
        (20, &[][..], "", ""),
        (20, &[5, 6], "", "page 1 has 18 of 20 items, and others follow it"),
        (20, &[5, 6], "hidden = true, ", ""),
        (25, &[5, 6, 7, 8, 9], "hidden = true, ", "a page has 25 items, and the dialect says 20"),
    ] {
        let configuration = BY_OFFSET
            .replace("_offset={offset}&_count={size}", "page={page}")
            .replace("size = { max = 50 }", "size = { default = 20 }")
            .replace("items = \"/data\"", &format!("{declared}items = \"/data\""));
        let said = said(&review(&configuration, |asked| {
            let mut items = slice(&all, (asked.number("page").unwrap_or(1).max(1) - 1) * size, size);
            items.retain(|item| !dropped.contains(&item["id"].as_u64().unwrap()));
            Answered::new(json!({ "data": items }))
        }));
        assert!(
            if expected.is_empty() { said.is_empty() } else { said.contains(expected) },
            "{size} {dropped:?}: {said}"
        );
    }
}

/// Sticky posts come on the first page in addition to its own, whose size no parameter sets by the dialect.
#[test]
fn a_refused_page_behind_a_total_that_ends_too_early_is_reported() {
    let all = rows(100);
    let configuration = BY_OFFSET
        .replace("_offset={offset}&_count={size}", "page={page}")
        .replace("size = { max = 50 }", "size = { default = 13 }")
        .replace("items = \"/data\"", "hidden = true, items = \"/data\", total = \"/total\"")
        .replace("order = [\"id\"]\n", "");
    let report = review(&configuration, |asked| {
        let page = asked.number("page").unwrap_or(1).max(1);
        let mut items = slice(&all, (page - 1) * 10, 10);
        if page == 1 {
            items.splice(0..0, [40, 60, 80].map(|index: usize| all[index].clone()));
        }
        match items.is_empty() {
            true => Answered::refused(400, json!({ "code": "rest_post_invalid_page_number" })),
            false => counted(&items, 100),
        }
    });
    assert!(said(&report).contains("the upstream answers 400"), "{}", said(&report));
}

#[test]
fn a_list_that_is_called_whole_although_a_parameter_changes_its_items_is_reported() {
    let whole = BY_OFFSET
        .replace("request = { query = \"_offset={offset}&_count={size}\" }\nsize = { max = 50 }\n", "")
        .replace("items = \"/data\"", "items = \"/data\", end = \"whole-list\"")
        .replace("order = [\"id\"]\n", "");
    let all = rows(300);
    let dropped = |asked: &SimulatedRequest| {
        let (from, size) = (asked.number("offset").unwrap_or(0), asked.number("limit").unwrap_or(20).clamp(1, 50));
        let shown = slice(&all, from, size);
        Answered::new(json!({ "data": shown.iter().filter(|row| row["id"].as_u64() > Some(15)).collect::<Vec<_>>() }))
    };
    let said = said(&review(&whole, dropped));
    assert!(said.contains("whole-list") && said.contains("a parameter changes its items"), "{said}");
    for count in [1, 3, 20, 37] {
        let report = review(&whole, |_| Answered::new(json!({ "data": rows(count) })));
        assert_eq!(self::said(&report), "", "{count}");
    }
    // The facts of the only answer say that there are more.
    let said = self::said(&review(&whole, |_| counted(&rows(20), 300)));
    assert!(said.contains("300 is at \"/total\""), "{said}");
    let full = json!({ "data": rows(20), "limit": 20 });
    let said = self::said(&review(&whole, |_| Answered::new(full.clone())));
    assert!(said.contains("20 is at \"/limit\""), "{said}");
}

/// Offsets that begin with 1 are declared to begin with 0, where the upstream gives the first item too.
#[test]
fn the_first_number_of_an_offset_is_proposed() {
    let all = rows(257);
    let report = review(BY_OFFSET, |asked| {
        let from = asked.number("_offset").unwrap_or(1).max(1) - 1;
        Answered::new(json!({ "data": slice(&all, from, asked.number("_count").unwrap_or(20).clamp(1, 50)) }))
    });
    let said = said(&report);
    assert!(said.contains("request.first_item = 1") && !said.contains("write \"_offset={offset}\""), "{said}");
}
