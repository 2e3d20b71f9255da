//! State that requests share: keys of items, pages, limits of upstreams, slots, places of routes, limits of clients,
//! look-ups in flight, and explanations.

pub(crate) mod clients;
pub(crate) mod concurrency;
pub(crate) mod explanations;
pub(crate) mod learning;
pub(crate) mod pages;
pub(crate) mod pivots;
pub(crate) mod single_flight;
pub(crate) mod slots;
