//! Facts about pages in answers to inner requests: whether an answer is a page, the version of the page's items, and
//! the part of the page's query that names the list.

use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

use super::answer::InnerAnswer;
use cursorgate_config::settings::Role;
use cursorgate_core::json::{Pointer, canonical};
use cursorgate_translate::downstream::Parameters;

/// The header that every page of the gateway has. An answer of the upstream that was only forwarded lacks this header.
const LEVEL: &str = "cursorgate-level";

/// The roles of parameters that name a place in the list. A request has at most one of them.
pub(super) const PLACES: [Role; 5] = [Role::Cursor, Role::After, Role::Before, Role::AfterId, Role::BeforeId];

/// The largest nesting depth at which the order of an object's members is ignored. Items that nest deeper are hashed
/// byte for byte.
const DEPTH: u16 = 64;

/// Returns whether an answer is a page of the gateway, and not an upstream's answer that was only forwarded.
pub(super) fn is_page(answer: &InnerAnswer) -> bool {
    answer.headers.contains_key(LEVEL)
}

/// Returns the version of a page: the first 16 bytes of the SHA-256 of its items, in hexadecimal digits. The order of
/// members and the whitespace in the items don't matter. Cursors, links and totals don't count, because they aren't
/// part of the items. If `items` doesn't lead to the items, the whole page is hashed.
pub(super) fn version(body: &[u8], items: Option<&Pointer>) -> String {
    let items = items.and_then(|place| place.find(body)).map_or(body, |place| place.of(body));
    let spelt = canonical(items, DEPTH);
    hex(&Sha256::digest(spelt.as_deref().unwrap_or(items))[..16])
}

/// Returns bytes as lowercase hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the part of a page's query that names the list: the filters and the sort, without the place, the limit and
/// private parameters. Returns an empty string if the list refuses the query.
pub(super) fn list_query(parameters: &Parameters, query: &str) -> String {
    let Ok(request) = parameters.read_with(Some(query), None, true) else { return String::new() };
    let of_page = PLACES.into_iter().chain([Role::Limit]);
    let of_page: Vec<&str> = of_page.filter_map(|role| parameters.query_name(role)).collect();
    without(&request.self_query, |name| of_page.contains(&name))
}

/// Returns whether a query has private parameters. These can be credentials, so requests with equal headers can still
/// come from different clients.
pub(super) fn has_private(parameters: &Parameters, query: &str) -> bool {
    without(query, |name| parameters.is_private(name.as_bytes())) != without(query, |_| false)
}

/// Returns the private parameters of a query in a form in which equal parameters are equal: decoded, and sorted by
/// their names. Returns an empty string if there are none.
pub(super) fn private_name(parameters: &Parameters, query: &str) -> String {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs = pairs.map(|(name, value)| (decoded(name), decoded(value)));
    let mut private: Vec<(Vec<u8>, Vec<u8>)> = pairs.filter(|(name, _)| parameters.is_private(name)).collect();
    // The sort is stable: the values of a repeated parameter keep their order, which can matter.
    private.sort_by(|one, other| one.0.cmp(&other.0));
    private.iter().map(|(name, value)| format!("{}={}&", hex(name), hex(value))).collect()
}

/// Returns a query without the parameters whose decoded names `is_dropped` accepts.
pub(super) fn without(query: &str, is_dropped: impl Fn(&str) -> bool) -> String {
    let is_kept = |pair: &&str| {
        // The list also takes a parameter whose name is percent-encoded, such as `%61` for `a`. So names are compared
        // in their decoded form. Test: `parameters_are_left_out_by_their_decoded_names`.
        let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        !pair.is_empty() && !is_dropped(&percent_decode_str(&name).decode_utf8_lossy())
    };
    query.split('&').filter(is_kept).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_page_depends_on_its_items_alone() {
        let items = Pointer::parse("/data").unwrap();
        let of = |body: &str| version(body.as_bytes(), Some(&items));
        let one = of(r#"{"data":[{"id":1,"n":1.0}],"next":"a"}"#);
        assert_eq!(
            of(r#"{"next":"b", "data": [ {"n":1.0, "id":1} ]}"#),
            one,
            "cursors, blanks and the order of members"
        );
        for other in [r#"{"data":[{"id":1,"n":1.00}]}"#, r#"{"data":[{"id":1,"n":1.0},{"id":1}]}"#, r#"{"data":[]}"#] {
            assert_ne!(of(other), one, "{other}");
        }
        assert_eq!(version(b"[1,2]", Some(&Pointer::parse("").unwrap())), version(b"[1, 2]", None));
        assert_eq!(one.len(), 32);
    }

    #[test]
    fn parameters_are_left_out_by_their_decoded_names() {
        assert_eq!(without("a=1&&b=2&%61=3&c+d=4", |name| name == "a"), "b=2&c+d=4");
        assert_eq!(without("a=1&c+d=4&c%20d=5", |name| name == "c d"), "a=1");
    }
}
