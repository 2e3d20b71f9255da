//! Pages: a request for a list is turned into upstream requests, and their answers into a response.
//!
//! `serve` contains the path of a page from request to response; read it first. `context` reads the request. `cursors`
//! opens the client's cursor and seals new ones. `exchange` fetches from the upstream for the core. `render` writes the
//! response, with the help of `links` and `item_cursors`. `legacy_page` reads the paging parameters of legacy requests.

pub mod context;
pub mod cursors;
pub mod exchange;
pub mod item_cursors;
pub mod legacy_page;
pub mod links;
pub mod render;
pub mod serve;
