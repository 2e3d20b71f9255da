//! Responses of upstreams: lists, failures, documents of other kinds, and continuation tokens.

pub mod document;
pub mod error;
pub mod failed;
pub mod link;
pub mod reading;
pub mod rewriting;
pub mod token;
