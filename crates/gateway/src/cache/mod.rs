//! The page cache, for requests to routes with `page_cache`. A kept page is served before the parameters of the request
//! are parsed. Any other page is made (`page::serve`), stored, and shared with the requests that wait for it.
//!
//! - `serve`: the decision between a kept page and a new one. Read this first.
//! - `call`: a request and the key of its page.
//! - `making`: the making of a page, once for all requests that wait for it.
//! - `others`: pages in the shared store.
//! - `background`: pages that are made while no request waits for them.
//! - `purge`: the removal of pages, also from the shared store and from the memory of other processes.
//! - `status`: the headers `Age` and `Cache-Status`.

pub mod background;
pub mod call;
pub mod making;
pub mod others;
pub mod purge;
pub mod serve;
pub mod status;
