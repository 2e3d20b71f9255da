//! The parts of a list that an endpoint's filters can select, and the values of these filters. Parts only aim; `judge`
//! proves the answers.

pub(super) mod legs;
pub(super) mod look;
pub(super) mod range;
