//! The orders of a route in the sort parameters of its upstream, as plain data. `upstream` compiles them from the sort
//! of the dialect, and `downstream` reads legacy requests that sort by these parameters.

use super::settings::SortTerm;

/// The orders that a route allows, in the sort parameters of its upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortForm {
    /// The separator between the values of several keys; `None` if each key has its own parameters.
    pub join: Option<String>,
    /// Every key that may be requested. A key that can be written in several ways occurs several times.
    pub keys: Vec<SortWords>,
}

/// A key of an order, as it is written in a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortWords {
    /// The field and its direction.
    pub term: SortTerm,
    /// The names and values of the parameters that request this key, decoded; at least one.
    pub pairs: Vec<(String, String)>,
}
