//! Writes the results of tools as JSON: pages with as many items as fit, and problems.

use bytes::Bytes;

use crate::list_page::{ConnectionEdge, ConnectionPage, ListFault};
use cursorgate_core::json::{Document, write};
use cursorgate_translate::downstream::Code;

const NULL: &[u8] = b"null";

/// The text for a model about an end that the upstream contradicts.
const END_UNPROVEN: &str = "No further items were found, but the upstream says that more follow: don't report these items \
                            as the whole list.";

/// The reason that a tool doesn't have a result.
#[derive(Debug)]
pub(super) struct ToolFault {
    fault: ListFault,
    /// The cursor after an item that can't be shown, as a JSON string; `None` if there is no such cursor.
    past: Option<Bytes>,
}

/// A page as the result of a tool.
#[derive(Debug)]
pub(super) struct BoundedPage {
    pub(super) json: Vec<u8>,
    /// The number of items in the result.
    pub(super) items: usize,
}

impl From<ListFault> for ToolFault {
    fn from(fault: ListFault) -> Self {
        Self { fault, past: None }
    }
}

impl ToolFault {
    /// Returns the code of the problem, such as `rate_limited`.
    pub(super) fn code(&self) -> &str {
        &self.fault.code
    }

    /// Returns the problem as JSON, with advice for a model, and with the cursor after an item that can't be shown.
    pub(super) fn json(&self) -> Vec<u8> {
        let ListFault { code, detail, status, retry_after } = &self.fault;
        let known = Code::ALL.iter().find(|known| known.as_str() == code);
        // A code that isn't a problem's code, such as `page_refused`, can mean a permanent fault, so a retry isn't
        // advised.
        let retryable = known.is_some_and(|code| code.retryable());
        let number = |number: u64| Document::Number(number.to_string());
        let mut members: Vec<(&str, Document)> =
            vec![("code", code.as_str().into()), ("detail", detail.as_str().into())];
        members.extend(status.map(|status| ("status", number(status.into()))));
        members.push(("retryable", Document::Boolean(retryable)));
        members.extend(retry_after.map(|seconds| ("retryAfterSeconds", number(seconds))));
        if let Some(past) = self.past.as_ref().and_then(|past| super::message::text(past)) {
            members.push(("nextCursor", Document::Text(past)));
        }
        let advice = match (known, code.as_str()) {
            // If there is a cursor, it decides: other advice would lead to the same item again.
            _ if self.past.is_some() => Some("call again with `nextCursor` as `cursor`, to go on after the item"),
            (Some(code), _) if code.restarts() => Some("call again without `cursor`, to begin anew"),
            (_, "rate_limited") => Some("wait, and call again with the same arguments"),
            (Some(_), _) if retryable => Some("call again with the same arguments in a moment"),
            (_, "credentials_refused") => Some("ask for other credentials: further calls will be refused too"),
            _ => None,
        };
        members.extend(advice.map(|advice| ("advice", advice.into())));
        Document::object(members).render().into_bytes()
    }
}

/// Writes a page with as many of its first items as fit into `most` bytes. `nextCursor` leads to the first item that is
/// left out, so no item is lost between two results.
///
/// # Errors
///
/// Returns 422 `result_too_large` or 502 `upstream_malformed` in two cases. If not even the first item can be shown,
/// the fault has the cursor after that item, unless the item has no cursor. If items must be left out but the items
/// before them have no cursors, the detail advises a `limit` with the number of items that fit.
pub(super) fn of_page(page: &ConnectionPage, most: usize) -> Result<BoundedPage, ToolFault> {
    let mut json = b"{\"items\":[".to_vec();
    let begin = json.len();
    let (mut items, mut stopped) = (0_usize, None);
    for edge in &page.edges {
        let separator = usize::from(items > 0);
        match &edge.node {
            Some(node) if json.len() - begin + separator + node.len() <= most => {
                json.extend_from_slice(&b","[..separator]);
                json.extend_from_slice(node);
                items += 1;
            }
            node => {
                stopped = Some((edge, node.as_ref().map(Bytes::len)));
                break;
            }
        }
    }
    let next = match stopped {
        None if page.has_next => &page.end[..],
        None => NULL,
        Some((edge, size)) => {
            // Items of a list that the upstream pages by tokens have no cursors, so the result can't end at one of
            // them. Test: `items_without_cursors_are_given_whole_or_not_at_all`.
            let last = items.checked_sub(1).map(|last| &page.edges[last].cursor[..]);
            match last.filter(|cursor| *cursor != NULL) {
                Some(cursor) => cursor,
                None => return Err(unshown(edge, size, items, most)),
            }
        }
    };
    json.extend_from_slice(b"],\"nextCursor\":");
    json.extend_from_slice(next);
    json.extend_from_slice(b",\"total\":");
    match page.total {
        Some(total) => write::push_number(&mut json, total),
        None => json.extend_from_slice(NULL),
    }
    json.extend_from_slice(b",\"level\":");
    write::push_text(&mut json, &page.level);
    if let Some(reason) = &page.unproven {
        json.extend_from_slice(b",\"unproven\":");
        write::push_text(&mut json, reason);
    }
    // Items that were left out follow, so such a result doesn't end the list.
    if page.is_end_unproven && stopped.is_none() {
        json.extend_from_slice(b",\"endUnproven\":");
        write::push_text(&mut json, END_UNPROVEN);
    }
    let left_out = page.edges.len() - items;
    if left_out > 0 {
        json.extend_from_slice(b",\"leftOut\":");
        write::push_number(&mut json, u64::try_from(left_out).unwrap_or(u64::MAX));
    }
    json.push(b'}');
    Ok(BoundedPage { json, items })
}

/// Returns the fault of a page whose item `edge` can't be shown. Either the item is the first one, or the item before
/// it has no cursor. `size` is the item's length in bytes; `None` if it isn't valid JSON. `items` is the number of
/// items before it.
fn unshown(edge: &ConnectionEdge, size: Option<usize>, items: usize, most: usize) -> ToolFault {
    let (code, what) = match size {
        Some(size) if items == 0 => {
            (Code::ResultTooLarge, format!("the next item has {size} bytes, and a result at most {most}"))
        }
        Some(_) => (Code::ResultTooLarge, format!("with the next item, a result has more than {most} bytes")),
        None => (Code::UpstreamMalformed, "an item of the upstream is not valid JSON".to_owned()),
    };
    // The item's own cursor leads to the items after it.
    // Test: `an_item_that_is_too_large_is_refused_with_a_cursor_past_it`.
    let past = Some(&edge.cursor).filter(|cursor| items == 0 && ***cursor != *NULL).cloned();
    let detail = match (&past, items) {
        (Some(_), _) => what,
        (None, 0) => format!("{what}; it has no cursor that leads past it"),
        (None, items) => {
            format!("{what}; the items before it have no cursors of their own: call again with \"limit\": {items}")
        }
    };
    ToolFault { fault: ListFault::new(code, detail), past }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn page(nodes: &[Option<&'static str>], by_token: bool, has_next: bool) -> ConnectionPage {
        let cursor = |place: usize| if by_token { "null".to_owned() } else { format!("\"c{place}\"") };
        let edges = nodes.iter().enumerate().map(|(place, node)| ConnectionEdge {
            cursor: cursor(place).into(),
            node: node.map(|node| Bytes::from_static(node.as_bytes())),
        });
        ConnectionPage {
            edges: edges.collect(),
            has_next,
            has_previous: false,
            start: Bytes::from_static(b"\"start\""),
            end: Bytes::from_static(b"\"end\""),
            total: Some(9),
            level: "exact".to_owned(),
            unproven: None,
            is_end_unproven: false,
        }
    }

    fn read(json: &[u8]) -> Value {
        serde_json::from_slice(json).unwrap()
    }

    #[test]
    fn a_result_ends_at_an_item_that_its_cursor_leads_to() {
        let nodes = [Some("11111"), Some("22222"), Some("33333")];
        for (most, has_next, items, next, left_out) in [
            (17, false, json!([11111, 22222, 33333]), Value::Null, Value::Null),
            (17, true, json!([11111, 22222, 33333]), json!("end"), Value::Null),
            (16, true, json!([11111, 22222]), json!("c1"), json!(1)),
            (10, false, json!([11111]), json!("c0"), json!(2)),
            (5, false, json!([11111]), json!("c0"), json!(2)),
        ] {
            let result = read(&of_page(&page(&nodes, false, has_next), most).unwrap().json);
            assert_eq!((&result["items"], &result["nextCursor"]), (&items, &next), "{most}");
            assert_eq!((&result["leftOut"], &result["total"]), (&left_out, &json!(9)), "{most}");
        }
        let empty = read(&of_page(&page(&[], false, false), 4).unwrap().json);
        assert_eq!((&empty["items"], &empty["nextCursor"]), (&json!([]), &Value::Null));
    }

    #[test]
    fn an_end_that_is_not_proven_is_said_where_the_list_ends() {
        let marked = ConnectionPage { is_end_unproven: true, ..page(&[Some("11111"), Some("22222")], false, false) };
        for (most, has_mark) in [(11, true), (5, false)] {
            let result = read(&of_page(&marked, most).unwrap().json);
            assert_eq!(result["nextCursor"].is_null(), has_mark, "{result}");
            let said = result.get("endUnproven").and_then(Value::as_str);
            assert_eq!(said.is_some_and(|said| said.contains("more follow")), has_mark, "{result}");
        }
        let proven = read(&of_page(&page(&[Some("11111")], false, false), 5).unwrap().json);
        assert_eq!(proven.get("endUnproven"), None);
    }

    #[test]
    fn an_item_that_can_not_be_shown_is_a_fault_with_the_cursor_past_it() {
        for (nodes, most, code) in
            [(&[Some("11111"), Some("2")][..], 4, "result_too_large"), (&[None, Some("2")], 4, "upstream_malformed")]
        {
            let fault = read(&of_page(&page(nodes, false, false), most).unwrap_err().json());
            assert_eq!((&fault["code"], &fault["nextCursor"]), (&json!(code), &json!("c0")), "{fault}");
        }
        // If a later item can't be shown, the result ends before that item.
        let result = read(&of_page(&page(&[Some("1"), None], false, false), 4).unwrap().json);
        assert_eq!((&result["items"], &result["nextCursor"]), (&json!([1]), &json!("c0")));
    }

    #[test]
    fn items_without_cursors_are_given_whole_or_not_at_all() {
        let nodes = [Some("11111"), Some("22222"), Some("33333")];
        let result = read(&of_page(&page(&nodes, true, true), 17).unwrap().json);
        assert_eq!(result["nextCursor"], "end");
        let fault = read(&of_page(&page(&nodes, true, true), 16).unwrap_err().json());
        assert_eq!((&fault["code"], fault.get("nextCursor")), (&json!("result_too_large"), None));
        assert!(fault["detail"].as_str().unwrap().contains("\"limit\": 2"), "{fault}");
        let fault = read(&of_page(&page(&nodes, true, true), 4).unwrap_err().json());
        assert!(fault["detail"].as_str().unwrap().contains("no cursor that leads past"), "{fault}");
    }
}
