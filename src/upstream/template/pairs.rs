//! Raw query strings as pairs: read, compared and replaced without writing anew what stays.

use super::text::{append_pair, decode};

/// The pairs of a query, as they are written.
pub(crate) fn raw(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|pair| !pair.is_empty())
}

/// The decoded name of a pair.
pub(crate) fn name(pair: &str) -> String {
    decode(pair.split_once('=').map_or(pair, |(name, _)| name))
}

/// The decoded value of a pair; empty where it has none.
pub(crate) fn value(pair: &str) -> String {
    pair.split_once('=').map_or_else(String::new, |(_, value)| decode(value))
}

/// A query with pairs of another in place of its own of the same names, and behind the rest.
pub(crate) fn replaced(query: &str, by: &str) -> String {
    let names: Vec<String> = raw(by).map(name).collect();
    let mut out = String::new();
    for pair in raw(query).filter(|pair| !names.contains(&name(pair))) {
        append_pair(&mut out, pair);
    }
    append_pair(&mut out, by);
    out
}

/// Whether two names are one parameter to an upstream that is lenient: without regard to case.
pub(crate) fn same_name(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
