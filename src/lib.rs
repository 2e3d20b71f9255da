//! cursorgate: signed cursor pagination in front of APIs that paginate by page or offset.
//!
//! Clients send `?limit=20&cursor=…` and get one envelope with links; the upstream still gets `page=` or `offset=`.
//! Each module imports only modules that are above it in this list:
//!
//! 1. [`json`] slices a page: items, keys and facts as byte ranges of the body.
//! 2. [`pagination`] decides: positions, requests, and the proofs that answers give. It does no I/O.
//! 3. [`cursor`] turns positions into signed or sealed cursors, and cursors into positions.
//! 4. [`permit`] signs permissions to have single requests explained.
//! 5. [`config`] reads the configuration and reports all its faults with their lines.
//! 6. [`tls`] reads certificates and keys from files, and renews them.
//! 7. [`upstream`] writes requests to legacy APIs and reads their answers, by their dialect; [`downstream`] reads
//!    clients' requests and renders envelopes, links and problems. The two don't import each other.
//! 8. [`learn`] finds out how an upstream pages; [`walk`] reads a list to its end, as clients do.
//! 9. [`gateway`] serves clients, on Pingora; `gateway::page::serve` serves a page, from top to bottom.
//! 10. [`sdk`] writes clients for the lists of a configuration; `admin` answers operators; `services` has exports,
//!     webhooks and others, which use the gateway as clients do; [`cli`] is the command line.

mod admin;
pub mod cli;
pub mod config;
pub mod downstream;
pub mod gateway;
pub mod learn;
pub mod sdk;
#[cfg(feature = "services")]
mod services;
pub mod tls;
pub mod upstream;
pub mod walk;

pub use cursorgate_core::{json, pagination};
pub use cursorgate_cursor::{cursor, permit};
