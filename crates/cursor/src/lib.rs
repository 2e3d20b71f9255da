//! Positions as signed or sealed tokens, and tokens as positions.
//!
//! [`cursor`] has all of it. Nothing here does input or output, reads a clock or draws random numbers: time and keys are
//! arguments.

pub mod cursor;

use cursorgate_core::pagination;
