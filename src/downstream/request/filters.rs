//! The parameters that are not the gateway's own: as the upstream, the cursor's context and links need them.

use super::query::{self, Pair, ReservedNames};

/// The parameters that are not the gateway's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilters {
    /// For the upstream: in order and byte for byte, but for a raw `;` (`%3B`) and bytes that no query may hold.
    pub forwarded: String,
    /// For the cursor's context: of the query the decoded pairs, sorted by name, those of one name in their order, exact duplicates
    /// behind each other once, without private and ignored ones; each name and value behind its length (8 bytes,
    /// little-endian). Of a body, behind eight bytes 0xff, one spelling for all bodies that say the same.
    pub canonical: Vec<u8>,
    /// For the upstream, of a request by POST: its body without the client's own parameters.
    pub body: Option<Vec<u8>>,
    /// For links: without private ones; `,` and `;` as `%2C` and `%3B`.
    pub links: String,
}

impl RequestFilters {
    /// Writes the three forms. `private` names are found in every spelling that an upstream could read as one of them;
    /// `ignored` are decoded names.
    pub(crate) fn write(pairs: &[Pair<'_>], private: &ReservedNames, ignored: &[String]) -> Self {
        let mut filters = Self::default();
        let mut counted = Vec::with_capacity(pairs.len());
        for pair in pairs {
            query::push_forwarded(&mut filters.forwarded, pair.raw);
            let name = pair.name();
            if private.find(&name).is_some() {
                continue;
            }
            query::push_linked(&mut filters.links, pair.raw);
            if !ignored.iter().any(|known| known.as_bytes() == &*name) {
                counted.push((name, pair.value()));
            }
        }
        counted.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Where the last value counts, `a=1&a=2` and `a=1&a=2&a=1` are two lists: only neighbours are the same again.
        counted.dedup();
        for text in counted.into_iter().flat_map(|(name, value)| [name, value]) {
            filters.canonical.extend_from_slice(&(text.len() as u64).to_le_bytes());
            filters.canonical.extend_from_slice(&text);
        }
        filters
    }
}

/// A whole query for a link, without private parameters.
pub(crate) fn public_query(query: &str, private: &ReservedNames) -> String {
    let mut link = String::with_capacity(query.len());
    for pair in query::pairs(query).filter(|pair| private.find(&pair.name()).is_none()) {
        query::push_linked(&mut link, pair.raw);
    }
    link
}
