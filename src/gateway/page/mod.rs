//! Pages: a request for a list becomes upstream requests, and their answers become a response.
//!
//! `serve` has the path of a page; read it first. `context` reads the request, `cursors` opens and seals its cursors,
//! `exchange` asks the upstream for the core, `render` writes the response, with `links` and `item_cursors`.
//! `legacy_page` reads the paging parameters of legacy requests.

pub(crate) mod context;
pub(crate) mod cursors;
pub(crate) mod exchange;
pub(crate) mod item_cursors;
pub(crate) mod legacy_page;
pub(crate) mod links;
pub(crate) mod render;
pub(crate) mod serve;
