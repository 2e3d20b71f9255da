//! Raw query strings as pairs, which can be read and replaced without changing the bytes of other pairs.

use super::text::{append_pair, decode};

/// Returns the pairs of a query, still encoded. Empty pairs are skipped.
pub fn raw(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|pair| !pair.is_empty())
}

/// Returns the decoded name of a pair.
pub fn name(pair: &str) -> String {
    decode(pair.split_once('=').map_or(pair, |(name, _)| name))
}

/// Returns the decoded value of a pair; empty if the pair has no `=`.
pub fn value(pair: &str) -> String {
    pair.split_once('=').map_or_else(String::new, |(_, value)| decode(value))
}

/// Replaces the pairs of a query whose names also occur in `by`: removes them, and appends all pairs of `by`.
pub fn replaced(query: &str, by: &str) -> String {
    let names: Vec<String> = raw(by).map(name).collect();
    let mut out = String::new();
    for pair in raw(query).filter(|pair| !names.contains(&name(pair))) {
        append_pair(&mut out, pair);
    }
    append_pair(&mut out, by);
    out
}

/// Returns whether an upstream that ignores letter case reads two names as the same parameter.
pub fn same_name(one: &str, other: &str) -> bool {
    // ASP.NET doesn't distinguish `Status` and `status`, so a key filter of either name would collide with the client's
    // own.
    one.to_lowercase() == other.to_lowercase()
}
