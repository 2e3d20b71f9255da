//! cursorgate: signed cursor pagination in front of APIs that paginate by page or offset.
//!
//! Clients send `?limit=20&cursor=…` and get one envelope with links; the upstream goes on speaking `page=` or `offset=`.
//! A request flows downwards through the modules, which import only what stands above them in this list:
//!
//! 1. [`json`] slices a page: items, keys and facts as byte ranges of the body.
//! 2. [`pagination`] decides: where a client stands, what to ask for, what an answer proves. No input, no output.
//! 3. [`cursor`] makes a position a signed token, and a token a position.
//! 4. [`config`] reads what was written and says what it means, with every fault at its line.
//! 5. [`upstream`] asks and reads legacy APIs by their dialect; [`downstream`] reads clients and renders envelopes, links
//!    and problems. The two do not know each other.
//! 6. [`gateway`] is the shell on Pingora; one function in it serves a page, from top to bottom.
//! 7. [`admin`] is what operators ask, [`cli`] the command line.

mod admin;
pub mod cli;
pub mod config;
pub mod cursor;
pub mod downstream;
pub mod gateway;
pub mod upstream;

pub use cursorgate_core::{json, pagination};
