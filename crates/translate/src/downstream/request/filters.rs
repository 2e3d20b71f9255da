//! Filters: the parameters other than the gateway's own, in the forms that the upstream, the cursor's context and links
//! need.

use super::query::{self, Pair, ReservedNames};

/// The filters of a request, in each form in which they are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilters {
    /// The query for the upstream: all filters in their order, byte for byte, except that a raw `;` and bytes that are
    /// invalid in a query are encoded. Members of a body that become query parameters follow.
    pub forwarded: String,
    /// The bytes for a cursor's context: the decoded pairs of the query, sorted by name, without private and ignored
    /// ones. Pairs of one name keep their order, and adjacent duplicates count once. Each name and each value follows
    /// its length (8 bytes, little-endian). A body follows after eight bytes 0xff, in one spelling for all equal
    /// bodies.
    pub canonical: Vec<u8>,
    /// The body for the upstream, without the client's own parameters; `None` for a request without a body.
    pub body: Option<Vec<u8>>,
    /// The query for links: without private parameters, and with `,` and `;` as `%2C` and `%3B`.
    pub links: String,
}

impl RequestFilters {
    /// Writes the forms of the query; [`Self::body`] is `None`. `private` names are matched in every spelling that an
    /// upstream could read as one of them; `ignored` names are decoded, and matched exactly.
    pub fn write(pairs: &[Pair<'_>], private: &ReservedNames, ignored: &[String]) -> Self {
        let mut filters = Self::default();
        let mut counted = Vec::with_capacity(pairs.len());
        for pair in pairs {
            query::push_forwarded(&mut filters.forwarded, pair.raw);
            let name = pair.name();
            // Only the upstream gets a private parameter: it isn't in links or in the context of cursors.
            if private.find(&name).is_some() {
                continue;
            }
            query::push_linked(&mut filters.links, pair.raw);
            if !ignored.iter().any(|known| known.as_bytes() == &*name) {
                counted.push((name, pair.value()));
            }
        }
        // The sort is stable, because `a=1&a=2` and `a=2&a=1` may be two lists. Test:
        // `equivalent_filters_have_the_same_context`.
        counted.sort_by(|(one, _), (other, _)| one.cmp(other));
        // To an upstream that reads the last value, `a=1&a=2` and `a=1&a=2&a=1` are two lists, so only adjacent
        // duplicates are removed. Test: `equivalent_filters_have_the_same_context`.
        counted.dedup();
        for text in counted.into_iter().flat_map(|(name, value)| [name, value]) {
            // The length before each part makes `a=bc` and `ab=c` differ.
            filters.canonical.extend_from_slice(&(text.len() as u64).to_le_bytes());
            filters.canonical.extend_from_slice(&text);
        }
        filters
    }
}

/// Encodes a query for a link, without private parameters. `own` returns whether a decoded name is the gateway's; such
/// a parameter is spelled as in all other links.
pub fn public_query(query: &str, private: &ReservedNames, own: impl Fn(&[u8]) -> bool) -> String {
    let mut link = String::with_capacity(query.len());
    for pair in query::pairs(query).filter(|pair| private.find(&pair.name()).is_none()) {
        let name = pair.name();
        match (std::str::from_utf8(&name), pair.text()) {
            // Clients can compare `self` and `first` as strings only if both links spell the gateway's parameters
            // alike. Filters keep their spelling: to an upstream, two spellings may be two values.
            (Ok(text), Some(value)) if own(&name) => query::push_written(&mut link, text, &value),
            _ => query::push_linked(&mut link, pair.raw),
        }
    }
    link
}
