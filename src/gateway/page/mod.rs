//! Pages: a request for a list becomes upstream requests, and their answers become a response.

pub mod context;
pub mod cursors;
pub mod exchange;
pub mod item_cursors;
pub mod legacy_page;
pub mod links;
pub mod render;
pub mod serve;
