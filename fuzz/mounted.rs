//! The one file of the gateway that is fuzzed and stands in no package without Pingora.

#[path = "../src/upstream/place/link_header.rs"]
pub mod link_header;
