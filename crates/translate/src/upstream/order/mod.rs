//! Orders of lists: fields, sort parameters, range filters, and the guarantee that an order can be given.

pub mod fields;
pub mod filter;
pub mod guarantee;
pub mod mode;
pub mod orders;
pub mod sort;
pub mod warnings;
