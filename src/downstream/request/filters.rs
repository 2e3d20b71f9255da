//! Filters: the parameters other than the gateway's own, in the forms that the upstream, the cursor's context and links
//! need.

use super::query::{self, Pair, ReservedNames};

/// The filters of a request, in each form in which they are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilters {
    /// For the upstream: in order and byte for byte, except for a raw `;` (`%3B`) and bytes that are invalid in a
    /// query. Members of a body that become query parameters follow.
    pub forwarded: String,
    /// For the cursor's context: the decoded pairs of the query sorted by name (pairs of one name in their order,
    /// adjacent duplicates once), without private and ignored ones; each name and value after its length (8 bytes,
    /// little-endian). A body follows after eight bytes 0xff, in one spelling for all equal bodies.
    pub canonical: Vec<u8>,
    /// For the upstream, of a request by POST: the body without the client's own parameters.
    pub body: Option<Vec<u8>>,
    /// For links: without private parameters, with `,` and `;` as `%2C` and `%3B`.
    pub links: String,
}

impl RequestFilters {
    /// Writes the forms of the query; [`Self::body`] is left empty. `private` names are matched in every spelling that
    /// an upstream could read as one of them; `ignored` are decoded names.
    pub(crate) fn write(pairs: &[Pair<'_>], private: &ReservedNames, ignored: &[String]) -> Self {
        let mut filters = Self::default();
        let mut counted = Vec::with_capacity(pairs.len());
        for pair in pairs {
            query::push_forwarded(&mut filters.forwarded, pair.raw);
            let name = pair.name();
            // A private parameter reaches the upstream alone: it is in no link, and no cursor is bound to it.
            if private.find(&name).is_some() {
                continue;
            }
            query::push_linked(&mut filters.links, pair.raw);
            if !ignored.iter().any(|known| known.as_bytes() == &*name) {
                counted.push((name, pair.value()));
            }
        }
        // The sort is stable, because `a=1&a=2` and `a=2&a=1` may be two lists. Test:
        // `filters_of_one_meaning_have_one_context`.
        counted.sort_by(|(one, _), (other, _)| one.cmp(other));
        // To an upstream that reads the last value, `a=1&a=2` and `a=1&a=2&a=1` are two lists, so only adjacent
        // duplicates are removed. Test: `filters_of_one_meaning_have_one_context`.
        counted.dedup();
        for text in counted.into_iter().flat_map(|(name, value)| [name, value]) {
            // With its length before each text, `a=bc` and `ab=c` differ.
            filters.canonical.extend_from_slice(&(text.len() as u64).to_le_bytes());
            filters.canonical.extend_from_slice(&text);
        }
        filters
    }
}

/// Encodes a query for a link, without private parameters. Parameters of the gateway, whose decoded names are `own`,
/// are spelt as in all other links.
pub(crate) fn public_query(query: &str, private: &ReservedNames, own: impl Fn(&[u8]) -> bool) -> String {
    let mut link = String::with_capacity(query.len());
    for pair in query::pairs(query).filter(|pair| private.find(&pair.name()).is_none()) {
        let name = pair.name();
        match (std::str::from_utf8(&name), pair.text()) {
            // `self` and `first` can be compared as texts only if both spell the gateway's parameters alike. Filters
            // keep their spelling: to an upstream, two spellings may be two values.
            (Ok(text), Some(value)) if own(&name) => query::push_written(&mut link, text, &value),
            _ => query::push_linked(&mut link, pair.raw),
        }
    }
    link
}
