//! Exact pages over APIs that page by offset, without input and output.
//!
//! - [`json`] slices an upstream's page: items, keys and facts as byte ranges of the body.
//! - [`pagination`] decides: where a client stands, which requests to send, what the answers prove.

pub mod json;
pub mod pagination;
