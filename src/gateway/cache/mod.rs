//! The page cache on the way of a request: a page that is kept is served before the request is read further; else the page
//! is made (`page::serve`), shared with the requests that wait for it, and stored.
//!
//! `serve` decides; `call` has the key of a request's page, `making` makes it once for all that wait; `status` writes the
//! headers about it; `others` finds and stores pages in the store that processes share; `background` makes pages that no
//! request waits for; `purge` drops pages, those of other processes too.

pub(crate) mod background;
pub(crate) mod call;
pub(crate) mod making;
pub(crate) mod others;
pub(crate) mod purge;
pub(crate) mod serve;
pub(crate) mod status;
