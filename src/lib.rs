//! cursorgate: signed cursor pagination in front of APIs that paginate by page or offset.
//!
//! Clients send `?limit=20&cursor=…` and get one envelope with links; the upstream still gets `page=` or `offset=`.
//! This package is the program, with its command line. ARCHITECTURE.md describes the crates that it consists of.

pub mod cli;
