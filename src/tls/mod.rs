//! TLS: certificates, keys and authorities from files, their faults, and their renewal while the process runs.
//!
//! A [`Renewable`] holds what is made from files: the [`Acceptor`] of a listener or the [`PeerCredentials`] of an
//! upstream. It reads the files when it is made, so that a configuration with a file that can't be used is refused, and
//! again whenever it is asked to. A file that can't be used then leaves the one before in use.

pub mod acceptor;
pub mod material;
pub mod pem;
pub mod renewable;
pub mod report;
pub mod subject;

pub use acceptor::{Acceptor, listener};
pub use material::{PeerCredentials, upstream};
pub use renewable::{Credentials, Renewable};

#[cfg(test)]
mod tests;
