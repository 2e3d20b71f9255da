//! cursorgate: signed cursor pagination in front of APIs that paginate by page or offset.

pub mod cursor;
pub mod json;
pub mod pagination;
