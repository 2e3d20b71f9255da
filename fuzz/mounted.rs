//! The gateway's pure code, as far as it is fuzzed.

#[path = "../src/cursor/mod.rs"]
pub mod cursor;
#[path = "../src/json/mod.rs"]
pub mod json;
#[path = "../src/upstream/link_header.rs"]
pub mod link_header;
#[path = "../src/pagination/mod.rs"]
pub mod pagination;
