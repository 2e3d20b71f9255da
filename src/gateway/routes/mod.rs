//! Routes, compiled from settings: their lists and upstreams, the table that matches requests, and its guard.

pub(crate) mod collector;
pub(crate) mod cross_origin;
pub(crate) mod guard;
pub(crate) mod identity_source;
pub(crate) mod list;
pub(crate) mod observed;
pub(crate) mod route;
pub(crate) mod table;
pub(crate) mod token_keys;
pub(crate) mod unpaged;
pub(crate) mod upstream;
