//! Requests to upstreams: their heads, queries, resources of single items, and counts.

pub mod header_templates;
pub mod headers;
pub mod query;
pub mod resource;
