//! A request to an upstream, as a dialect writes it.

use http::{HeaderName, HeaderValue, Method};
use thiserror::Error;

use crate::{
    json::{Edits, JsonError, edited},
    pagination::fetch::Fetch,
};

/// The parts of a request that a dialect decides: method, path, query, headers and edits of the body; and the fetch for
/// which the answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// GET or POST by the dialect; HEAD for a count that uses it.
    pub method: Method,
    /// The path as it is sent.
    pub path: String,
    /// The query without its `?`: the client's filters as they came, the filter on keys, paging, and the sort. May be
    /// empty.
    pub query: String,
    /// The headers of the dialect, which replace those of the client.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The edits of the body, in order; `None` without a body.
    pub(crate) edits: Option<Vec<Edits>>,
    /// The fetch, by which the answer is read.
    pub(crate) fetch: Fetch,
    /// The common part of the queries for this list, without the size, if links are followed; otherwise empty. Links
    /// add their parameters to it.
    pub(crate) common: String,
}

impl UpstreamRequest {
    /// Builds the body: the client's body without its own parameters, or an empty object, with the dialect's edits.
    /// Returns `None` for a request without a body.
    ///
    /// # Errors
    /// Returns [`JsonError`] if `client` is no JSON object.
    pub fn body(&self, client: Option<&[u8]>) -> Result<Option<Vec<u8>>, JsonError> {
        let Some(edits) = &self.edits else { return Ok(None) };
        let begun = client.unwrap_or(b"{}").to_vec();
        edits.iter().try_fold(begun, |body, edits| edited(&body, edits)).map(Some)
    }
}

/// The reasons that a fetch can't be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unaskable {
    /// The upstream can't have handed out such a token or have an item with such an id: it counts as gone.
    #[error("no upstream has such a token or id")]
    Gone,
    /// A value can't be written safely in a filter, or the client's own filter can't be combined with it: the page must
    /// be found without filters.
    #[error("a key can't be filtered by")]
    Filter,
    /// The slice is not the first, and the upstream always answers from the first item on.
    #[error("no place but the first can be asked for")]
    Beyond,
}
