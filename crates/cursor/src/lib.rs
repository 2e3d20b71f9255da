//! Positions as signed or sealed tokens, and tokens as positions; permits of operators.
//!
//! [`cursor`] has all of the former, [`permit`] of the latter. Nothing here does input or output, reads a clock or draws
//! random numbers: time and keys are arguments.

pub mod cursor;
pub mod permit;

use cursorgate_core::pagination;
