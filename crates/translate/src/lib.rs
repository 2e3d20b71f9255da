//! The translation between clients and legacy APIs, without I/O.
//!
//! [`upstream`] writes requests to legacy APIs and reads their answers, by their dialect. [`downstream`] reads clients'
//! requests and renders envelopes, links and problems. The two don't import each other.

pub mod downstream;
pub mod upstream;
