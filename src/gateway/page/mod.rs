//! Pages: a request for a list is turned into upstream requests, and their answers into a response.
//!
//! `serve` contains the path of a page from request to response; read it first. `context` reads the request. `cursors`
//! opens the client's cursor and seals new ones. `exchange` fetches from the upstream for the core. `render` writes the
//! response, with the help of `links` and `item_cursors`. `legacy_page` reads the paging parameters of legacy requests.

pub(crate) mod context;
pub(crate) mod cursors;
pub(crate) mod exchange;
pub(crate) mod item_cursors;
pub(crate) mod legacy_page;
pub(crate) mod links;
pub(crate) mod render;
pub(crate) mod serve;
