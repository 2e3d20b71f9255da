//! The messages of clients over a WebSocket, and the query of the page that a client watches.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::page::{PLACES, without};
use cursorgate_config::settings::Role;
use cursorgate_translate::downstream::Parameters;

/// The characters that are percent-encoded: all but the unreserved characters (RFC 3986 section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A message that a client sends over a WebSocket, as JSON.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub(super) enum WatchRequest {
    /// Watches a page, instead of the current page. A parameter that is left out has its value from the WebSocket's
    /// URL.
    WatchCollection {
        /// The path of the list, which must be the WebSocket's path without `/live`.
        path: Option<String>,
        /// The last segment of that path.
        collection: Option<String>,
        cursor: Option<String>,
        limit: Option<u32>,
        sort: Option<String>,
        filters: Option<BTreeMap<String, FilterValues>>,
        /// The id of the page that the client has, to get only the changes since that page.
        last_event_id: Option<String>,
    },
    /// Watches another page of the same list. Null means the first page.
    UpdateCursor { cursor: Option<String> },
}

/// The values of a filter: a string, or an array of strings.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum FilterValues {
    One(String),
    Several(Vec<String>),
}

impl WatchRequest {
    /// Parses a message of a client.
    ///
    /// # Errors
    ///
    /// Returns a sentence for the client that explains the fault.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| {
            // The message is cut, because it can repeat a long name that the client sent.
            let said: String = error.to_string().chars().take(200).collect();
            format!("write {{\"type\":\"watchCollection\"}} or {{\"type\":\"updateCursor\"}}: {said}")
        })
    }
}

/// The query of the page that a client watches.
#[derive(Debug)]
pub(super) struct WindowQuery {
    /// The query of the WebSocket's URL, with which each `watchCollection` begins.
    of_url: String,
    /// The query of the watched page.
    now: String,
}

impl WindowQuery {
    /// Creates the state of a WebSocket whose URL has this query.
    pub(super) fn new(of_url: &str) -> Self {
        Self { of_url: of_url.to_owned(), now: of_url.to_owned() }
    }

    /// Returns the query of the page that the client watches now.
    pub(super) fn as_str(&self) -> &str {
        &self.now
    }

    /// Applies a message to the query. Returns the id of the page that the client has; `None` if the message doesn't
    /// name it.
    ///
    /// # Errors
    ///
    /// Returns a sentence for the client that explains the fault. The query doesn't change then.
    pub(super) fn apply(
        &mut self,
        request: WatchRequest,
        path: &str,
        parameters: Option<&Parameters>,
    ) -> Result<Option<String>, String> {
        let name = |role: Role| parameters.and_then(|parameters| parameters.query_name(role));
        let named = |role: Role, said: &str| name(role).ok_or_else(|| format!("this list takes no {said}"));
        let place = || named(Role::Cursor, "cursor").or_else(|_| named(Role::After, "cursor"));
        let places: Vec<&str> = PLACES.into_iter().filter_map(name).collect();
        let mut next;
        let mut has = None;
        match request {
            WatchRequest::UpdateCursor { cursor } => {
                // A request can have only one place, so the current one is removed.
                // Test: `a_web_socket_client_chooses_the_page_to_watch`.
                next = without(&self.now, |name| places.contains(&name));
                if let Some(cursor) = cursor {
                    push(&mut next, place()?, &cursor);
                }
            }
            WatchRequest::WatchCollection { path: said, collection, cursor, limit, sort, filters, last_event_id } => {
                // Another list is refused, because the origin, the limits and the principal were checked only for this
                // list.
                let is_collection = |said: String| path.rsplit('/').find(|part| !part.is_empty()) == Some(&*said);
                if said.is_some_and(|said| said != path) || !collection.is_none_or(is_collection) {
                    return Err(format!("this WebSocket is for {path}: open one for another list"));
                }
                // The message begins with the URL's query, not with the current one, because the filters of several
                // messages would otherwise add up. Test: `a_web_socket_client_chooses_the_page_to_watch`.
                next = self.of_url.clone();
                if let Some(cursor) = cursor {
                    next = without(&next, |name| places.contains(&name));
                    push(&mut next, place()?, &cursor);
                }
                if let Some(limit) = limit {
                    replace(&mut next, named(Role::Limit, "limit")?, [limit.to_string()]);
                }
                if let Some(sort) = sort {
                    replace(&mut next, named(Role::Sort, "sort")?, [sort]);
                }
                for (filter, values) in filters.into_iter().flatten() {
                    // A filter with the name of another member's parameter would override that member. Test:
                    // `a_web_socket_client_chooses_the_page_to_watch`.
                    if parameters.is_some_and(|parameters| parameters.is_own(filter.as_bytes())) {
                        return Err(format!("`{filter}` is not a filter: write cursor, limit and sort beside filters"));
                    }
                    match values {
                        FilterValues::One(value) => replace(&mut next, &filter, [value]),
                        FilterValues::Several(values) => replace(&mut next, &filter, values),
                    }
                }
                has = last_event_id;
            }
        }
        self.now = next;
        Ok(has)
    }
}

fn replace(query: &mut String, name: &str, values: impl IntoIterator<Item = String>) {
    *query = without(query, |known| known == name);
    for value in values {
        push(query, name, &value);
    }
}

fn push(query: &mut String, name: &str, value: &str) {
    if !query.is_empty() {
        query.push('&');
    }
    query.extend(utf8_percent_encode(name, ENCODED));
    query.push('=');
    query.extend(utf8_percent_encode(value, ENCODED));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_replaced() {
        let mut query = "status=open&x=1&status=new".to_owned();
        replace(&mut query, "status", ["a&b".to_owned(), "c".to_owned()]);
        assert_eq!(query, "x=1&status=a%26b&status=c");
        replace(&mut query, "x", []);
        assert_eq!(query, "status=a%26b&status=c");
    }

    #[test]
    fn messages_of_other_types_or_with_unknown_members_are_refused() {
        let watch = r#"{"type":"watchCollection","limit":5,"filters":{"a":"1","b":["2","3"]},"lastEventId":"x"}"#;
        assert!(matches!(WatchRequest::read(watch), Ok(WatchRequest::WatchCollection { limit: Some(5), .. })));
        let update = WatchRequest::read(r#"{"type":"updateCursor","cursor":null}"#);
        assert!(matches!(update, Ok(WatchRequest::UpdateCursor { cursor: None })));
        for text in [
            "",
            "[]",
            r#"{"type":"other"}"#,
            r#"{"type":"watchCollection","limit":"5"}"#,
            r#"{"type":"watchCollection","credentials":"x"}"#,
            r#"{"type":"updateCursor","limit":5}"#,
        ] {
            assert!(WatchRequest::read(text).is_err(), "{text}");
        }
    }
}
