//! TLS: certificates, keys and authorities from files, their faults, and their renewal while the process runs.
//!
//! A [`Renewable`] holds a value that is made from files: the [`Acceptor`] of a listener or the [`PeerCredentials`] of
//! an upstream. The files are read when the value is made, so a configuration with a file that can't be used is
//! refused. They are read again with each [`Credentials::refresh`]. If a file can't be used then, the earlier value
//! stays in use.

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
