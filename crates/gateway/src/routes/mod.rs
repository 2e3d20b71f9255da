//! Routes, compiled from settings: their lists and upstreams, the table that matches requests, and its guard.

pub mod collector;
pub mod cross_origin;
pub mod guard;
pub mod identity_source;
pub mod list;
pub mod observed;
pub mod route;
pub mod table;
pub mod token_keys;
pub mod unpaged;
pub mod upstream;
