//! State that requests share: keys of items, limits of upstreams, slots, and look-ups in flight.

pub(crate) mod learning;
pub(crate) mod pivots;
pub(crate) mod single_flight;
pub(crate) mod slots;
