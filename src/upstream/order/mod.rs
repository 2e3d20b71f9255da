//! Orders of lists: fields, sort parameters, range filters, and the guarantee that an order can be given.

pub mod doubts;
pub mod fields;
pub mod filter;
pub mod orders;
pub mod promise;
pub mod sort;
