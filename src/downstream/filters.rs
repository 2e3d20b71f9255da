//! The parameters that are not the gateway's own: as the upstream, the cursor's context and links need them.

use std::collections::HashSet;

use super::query::{self, Pair};

/// The parameters that are not the gateway's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// For the upstream: in order and byte for byte, but for a raw `;` (`%3B`) and bytes that no query may hold.
    pub forwarded: String,
    /// For the cursor's context: the decoded pairs, sorted by name, those of one name in their order, exact duplicates
    /// once, without private and ignored ones; each name and value behind its length (8 bytes, little-endian).
    pub canonical: Vec<u8>,
    /// For links: without private ones; `,` and `;` as `%2C` and `%3B`.
    pub links: String,
}

impl Filters {
    /// Writes the three forms. `private` and `ignored` are decoded names.
    pub(super) fn write(pairs: &[Pair<'_>], private: &[String], ignored: &[String]) -> Self {
        let mut filters = Self::default();
        let mut counted = Vec::with_capacity(pairs.len());
        for pair in pairs {
            query::push_forwarded(&mut filters.forwarded, pair.raw);
            let name = pair.name();
            if is_among(private, &name) {
                continue;
            }
            query::push_linked(&mut filters.links, pair.raw);
            if !is_among(ignored, &name) {
                counted.push((name, pair.value()));
            }
        }
        let mut seen = HashSet::with_capacity(counted.len());
        let mut distinct: Vec<_> = counted.iter().filter(|pair| seen.insert(*pair)).collect();
        distinct.sort_by(|(one, _), (other, _)| one.cmp(other));
        for text in distinct.into_iter().flat_map(|(name, value)| [name, value]) {
            filters.canonical.extend_from_slice(&(text.len() as u64).to_le_bytes());
            filters.canonical.extend_from_slice(text);
        }
        filters
    }
}

/// A whole query for a link, without private parameters.
pub(super) fn public_query(query: &str, private: &[String]) -> String {
    let mut link = String::with_capacity(query.len());
    for pair in query::pairs(query).filter(|pair| !is_among(private, &pair.name())) {
        query::push_linked(&mut link, pair.raw);
    }
    link
}

fn is_among(names: &[String], name: &[u8]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}
