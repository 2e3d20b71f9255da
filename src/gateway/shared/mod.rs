//! State that requests share: keys of items, limits of upstreams, slots, places of routes, and look-ups in flight.

pub(crate) mod concurrency;
pub(crate) mod learning;
pub(crate) mod pivots;
pub(crate) mod single_flight;
pub(crate) mod slots;
