//! Pages: a request for a list becomes upstream requests, and their answers become a response.

pub(crate) mod context;
pub(crate) mod cursors;
pub(crate) mod exchange;
pub(crate) mod item_cursors;
pub(crate) mod legacy_page;
pub(crate) mod links;
pub(crate) mod render;
pub(crate) mod serve;
