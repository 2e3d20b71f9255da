//! Requests of clients: query strings, bodies, preferences, sorts and filters.

pub mod body;
pub mod filters;
pub mod params;
pub mod preference;
pub mod public_address;
pub mod query;
pub mod sort;
