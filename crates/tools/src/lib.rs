//! Tools for a configuration and its lists: [`walk`] reads a list to its end, as clients do, and [`sdk`] writes clients.

pub mod sdk;
pub mod walk;
