//! The gateway's pure code, as far as it is fuzzed.

pub use cursorgate_core::{json, pagination};

#[path = "../src/cursor/mod.rs"]
pub mod cursor;
#[path = "../src/upstream/place/link_header.rs"]
pub mod link_header;
