//! A page in the form that subscribers get: the envelope's body in one line, and the headers about the page.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::patch::ItemPlaces;
use crate::{answer::InnerAnswer, page};
use cursorgate_core::json::Pointer;
use cursorgate_gateway::List;
use cursorgate_translate::downstream::Convention;

/// The prefix of the gateway's own headers, which are passed on to subscribers.
const OWN: &str = "cursorgate-";

/// A page of a list in the form that subscribers get.
#[derive(Debug)]
pub(super) struct LivePage {
    /// A hash of the body and the headers, in hexadecimal digits. The same page has the same id in every process.
    pub(super) id: String,
    /// The body as JSON in one line.
    pub(super) body: Bytes,
    /// The headers about the page, as a JSON object.
    pub(super) headers: String,
    pub(super) places: ItemPlaces,
    /// The `ETag` of the page; `None` if the answer has none.
    pub(super) tag: Option<HeaderValue>,
    pub(super) varies: PageVaries,
}

/// The request headers on which a page depends, according to its `Vary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PageVaries {
    By(Vec<HeaderName>),
    /// The page depends on more than headers (`*`), or `Vary` can't be parsed.
    Beyond,
}

impl LivePage {
    /// Reads a page. Returns `None` if the answer isn't a page of the gateway, or isn't UTF-8.
    pub(super) fn read(answer: &InnerAnswer, list: &List, convention: &Convention) -> Option<Self> {
        if !page::is_page(answer) || std::str::from_utf8(&answer.body).is_err() {
            return None;
        }
        // An event's data must be one line. JSON has line ends only between tokens, where a space has the same meaning.
        // Test: `values_in_live_pages_keep_their_bytes`.
        let line = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
        let body: Vec<u8> = answer.body.iter().map(line).collect();
        let headers = described(&answer.headers, convention);
        let mut hash = Sha256::new();
        hash.update(&body);
        // A body never contains a byte 0, so this byte separates the body from the headers.
        hash.update([0]);
        hash.update(headers.as_bytes());
        let id = page::hex(&hash.finalize()[..16]);
        let places = convention.envelope.places();
        let in_item = list.dialect.id_place();
        let item = |item: &Pointer| in_item.as_ref().map(|id| item.then(id));
        // An envelope that writes only parts of items has no place for a whole item. The elements of its array mostly
        // have the id in their member `id`, so this member is used.
        let id_place = places.item.as_ref().map_or_else(|| Pointer::parse("/id").ok(), item);
        Some(Self {
            id,
            body: body.into(),
            headers,
            places: ItemPlaces { items: places.items.as_ref().map(Pointer::to_string), id: id_place },
            tag: answer.headers.get(header::ETAG).cloned(),
            varies: PageVaries::of(&answer.headers),
        })
    }
}

impl PageVaries {
    fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::VARY).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let mut names = Vec::new();
        for line in lines {
            for name in line.split(',').map(str::trim).filter(|name| !name.is_empty()) {
                match HeaderName::from_bytes(name.as_bytes()) {
                    Ok(name) if name != "*" => names.push(name),
                    _ => return Self::Beyond,
                }
            }
        }
        Self::By(names)
    }

    /// Returns whether two requests with these headers get the same page.
    pub(super) fn agree(&self, one: &HeaderMap, other: &HeaderMap, covered: &[HeaderName]) -> bool {
        let is_equal = |name: &HeaderName| one.get_all(name).iter().eq(other.get_all(name).iter());
        match self {
            Self::By(names) => names.iter().all(|name| covered.contains(name) || is_equal(name)),
            Self::Beyond => false,
        }
    }
}

/// Returns the headers about a page as a JSON object: `Link`, the gateway's own headers, and the headers of the
/// envelope.
fn described(headers: &HeaderMap, convention: &Convention) -> String {
    let mut object = Map::new();
    for name in headers.keys() {
        let is_told = name == header::LINK
            || name.as_str().starts_with(OWN)
            || convention.envelope.header_names().any(|own| own == name);
        let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        if is_told && !values.is_empty() {
            object.insert(name.to_string(), Value::String(values.join(", ")));
        }
    }
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn requests_share_a_page_unless_they_differ_by_a_header_of_vary() {
        let french = headers(&[("accept-language", "fr"), ("x-a", "1"), ("x-a", "2")]);
        let german = headers(&[("accept-language", "de"), ("x-a", "1"), ("x-a", "2")]);
        for (vary, agree) in [
            (None, true),
            (Some("X-A"), true),
            (Some("x-a, Accept-Language"), false),
            (Some("*"), false),
            (Some("a b"), false),
        ] {
            let varies = PageVaries::of(&headers(&vary.map(|vary| ("vary", vary)).into_iter().collect::<Vec<_>>()));
            assert_eq!(varies.agree(&french, &german, &[]), agree, "{vary:?}");
        }
        let varies = PageVaries::By(vec![HeaderName::from_static("x-a")]);
        assert!(!varies.agree(&french, &headers(&[("x-a", "1")]), &[]), "a line less");
    }
}
