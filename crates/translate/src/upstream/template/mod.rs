//! Templates of requests: texts with variables, query strings as pairs, and JSON bodies.

pub mod ask;
pub mod body;
pub mod pairs;
pub mod places;
pub mod text;
