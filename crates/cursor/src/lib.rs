//! Cursors and permits: positions and permissions as signed or sealed texts.
//!
//! [`cursor`] turns positions into cursors and back, [`permit`] makes permits of operators. This crate does no I/O,
//! reads no clock and draws no random numbers: time and keys are arguments.

pub mod cursor;
pub mod permit;

use cursorgate_core::pagination;
