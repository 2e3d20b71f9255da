//! Cursors and permits: positions in lists and permissions of operators, as signed or sealed texts.
//!
//! [`cursor`] makes cursors of positions and opens them again. [`permit`] makes and checks permits. This crate does no
//! I/O, reads no clock and draws no random numbers: times and keys are arguments.

#![warn(missing_docs)]

pub mod cursor;
pub mod permit;

use cursorgate_core::pagination;
