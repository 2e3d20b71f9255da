//! An order in the words of a dialect, as plain data: `upstream` compiles it from the dialect's sort, `downstream` reads
//! back what clients write who know the upstream's own parameters.

use super::settings::SortTerm;

/// How a dialect says the orders that a route allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortForm {
    /// What stands between the values of several keys; none where each key has parameters of its own.
    pub join: Option<String>,
    /// Every key that may be asked for. Where one can be said in several ways there are several of it.
    pub keys: Vec<SortWords>,
}

/// One key, as it stands in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortWords {
    /// What it means.
    pub term: SortTerm,
    /// Decoded names and values; at least one.
    pub pairs: Vec<(String, String)>,
}
