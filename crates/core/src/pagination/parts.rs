//! The parts of a list that an endpoint's filters can show, and the values that they are asked by. Parts only aim: the
//! answers to them are proven by `judge`.

pub(super) mod legs;
pub(super) mod look;
pub(super) mod range;
