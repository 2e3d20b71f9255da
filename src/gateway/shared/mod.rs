//! State that requests share: keys of items, limits of upstreams, slots, and look-ups in flight.

pub mod learning;
pub mod pivots;
pub mod single_flight;
pub mod slots;
