//! Facts of an answer that say that its list goes on, although the dialect takes every answer for the whole list. No
//! other answer could refute such a dialect, so the facts are looked for by their usual names.

use serde_json::Value;

use crate::{
    ListShape, ProbeAnswer,
    paging::doubt,
    prober::answer::{SeenAnswer, whole},
    shape::{Fact, names},
};

/// The status of an answer that is a part of something.
const PART: u16 = 206;

/// Returns the first fact of an answer that says that its list has more than `count` items, in words. `items` is the
/// place of the items.
#[must_use]
pub fn undeclared_rest(answer: ProbeAnswer, items: &str, count: u64) -> Option<String> {
    let shape = ListShape { items: items.to_owned(), item: String::new(), id: None };
    of_seen(&SeenAnswer::read(answer), &shape, count)
}

pub(super) fn of_seen(seen: &SeenAnswer, shape: &ListShape, count: u64) -> Option<String> {
    if seen.status == PART {
        return Some(format!("the status is {PART}, which means a part"));
    }
    let leads_on = |name: &http::HeaderName| name.as_str().starts_with("next-");
    if let Some(name) = seen.headers.keys().find(|name| leads_on(name)) {
        return Some(format!("the answer has the header {name}"));
    }
    shape.facts(seen).into_iter().find_map(|fact| {
        let name = names::last_step(&fact.place);
        let text = match &fact.value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let number = whole(&fact.value).or_else(|| text.replace(',', "").parse().ok());
        let is_named = |known: &[&str]| known.contains(&name.as_str());
        let is_total = is_named(&names::TOTALS) || name.starts_with("total") || name.starts_with("xtotal");
        let promises = is_named(&names::MORE) || name.contains("more") || name.contains("exceeded");
        let truth = doubt::truth_by_name(&name, &fact.value);
        // The cursors of the first item and of the page before don't lead on.
        let leads_back = ["prev", "before", "start", "first"].iter().any(|word| name.starts_with(word));
        let says_more = promises && (text == "true" || truth == Some(true))
            || is_named(&names::LAST) && (text == "false" || truth == Some(false))
            || is_named(&names::PAGE_COUNTS) && number.is_some_and(|pages| pages > 1)
            || is_total && number.is_some_and(|total| total > count)
            || doubt::counts_a_rest(&fact)
            || !leads_back && doubt::names_a_way_on(&fact) && !matches!(text.as_str(), "" | "null" | "false" | "0");
        says_more.then(|| format!("{text} is at {:?}", fact.place))
    })
}

/// Returns the size of pages that an answer with `count` items states, if it has as many items, in words. A list by token
/// may have exactly as many, but only an answer with fewer shows that a list has no pages.
pub(super) fn full_size(seen: &SeenAnswer, shape: &ListShape, count: u64) -> Option<String> {
    let is_full = |fact: &Fact| doubt::is_size(&names::last_step(&fact.place)) && whole(&fact.value) == Some(count);
    shape.facts(seen).into_iter().find(is_full).map(|fact| format!("{count} is at {:?}", fact.place))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn facts_that_say_more_are_found_by_their_usual_names() {
        let rest = |body: &str, headers: &[(&'static str, &str)]| {
            let headers =
                headers.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            let (headers, body) = (headers.collect(), body.as_bytes().to_vec());
            undeclared_rest(ProbeAnswer { status: 200, headers, body, elapsed: Duration::ZERO }, "/data", 2)
        };
        let items = r#""data":[{"id":1},{"id":2}]"#;
        for (beside, expected) in [
            (r#""moreItemsInServer":true"#, "true is at \"/moreItemsInServer\""),
            (r#""hasMore":"true""#, "true is at \"/hasMore\""),
            (r#""exceededTransferLimit":true"#, "/exceededTransferLimit"),
            (r#""total":"2,570""#, "2,570 is at \"/total\""),
            (r#""page":{"number":1,"totalPages":2}"#, "2 is at \"/page/totalPages\""),
            (r#""last":false"#, "false is at \"/last\""),
            (r#""more":1"#, "1 is at \"/more\""),
            (r#""next":"/items/page/2""#, "/items/page/2 is at \"/next\""),
            (r#""eof":false"#, "false is at \"/eof\""),
            (r#""remaining":155"#, "155 is at \"/remaining\""),
            (r#""LastEvaluatedKey":{"id":2}"#, "2 is at \"/LastEvaluatedKey/id\""),
        ] {
            let said = rest(&format!("{{{items},{beside}}}"), &[]).unwrap_or_default();
            assert!(said.contains(expected), "{beside}: {said}");
        }
        for (name, value) in [
            ("x-total-records", "257"),
            ("next-range", "id 3.."),
            ("link", "</a?page=2>; rel=\"next\""),
            ("x-ms-continuationtoken", "abc"),
        ] {
            assert!(rest(&format!("{{{items}}}"), &[(name, value)]).is_some(), "{name}");
        }
        for beside in [
            r#""total":2"#,
            r#""hasMore":false"#,
            r#""pages":1"#,
            r#""name":"more""#,
            r#""last":true"#,
            r#""limit":3"#,
            r#""next":null"#,
            r#""remaining":0"#,
            r#""prevCursor":"a""#,
            r#""rateLimit":{"remaining":4999}"#,
        ] {
            assert_eq!(rest(&format!("{{{items},{beside}}}"), &[]), None, "{beside}");
        }
    }
}
