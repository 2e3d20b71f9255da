//! The parts of a list that an endpoint's filters can show, and the values that they are asked by. A part is a
//! question, and proves nothing.

pub(super) mod legs;
pub(super) mod look;
pub(super) mod range;
