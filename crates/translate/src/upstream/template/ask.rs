//! A request to an upstream, as a dialect writes it.

use http::{HeaderName, HeaderValue, Method};
use thiserror::Error;

use cursorgate_core::{
    json::{Edits, JsonError, edited},
    pagination::fetch::Fetch,
};

/// The parts of a request that a dialect decides: method, path, query, headers and edits of the body; and the fetch for
/// which the answer is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// GET or POST, as the dialect states; HEAD for a count that uses it.
    pub method: Method,
    /// The path as it is sent.
    pub path: String,
    /// The query without its `?`; it may be empty. It consists of the client's filters as received, the filter on keys,
    /// the paging, and the sort.
    pub query: String,
    /// The headers of the dialect, which replace those of the client.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The edits of the body, in the order in which they are applied; `None` if the request has no body.
    pub edits: Option<Vec<Edits>>,
    /// The fetch that the request was made for. The answer is read accordingly.
    pub fetch: Fetch,
    /// The query part that all requests for this list share, without the size. Links add their parameters to it. Empty
    /// unless the dialect follows links.
    pub common: String,
}

impl UpstreamRequest {
    /// Builds the body: the client's body without the gateway's parameters, or an empty object, with the dialect's
    /// edits applied. Returns `None` for a request without a body.
    ///
    /// # Errors
    /// Returns [`JsonError`] if `client` isn't a JSON object.
    pub fn body(&self, client: Option<&[u8]>) -> Result<Option<Vec<u8>>, JsonError> {
        let Some(edits) = &self.edits else { return Ok(None) };
        let begun = client.unwrap_or(b"{}").to_vec();
        edits.iter().try_fold(begun, |body, edits| edited(&body, edits)).map(Some)
    }
}

/// The reasons why a fetch can't be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unaskable {
    /// No upstream can have this token or an item with this id, so the token or item counts as gone.
    #[error("no upstream has such a token or id")]
    Gone,
    /// A value can't be written safely in a filter, or the client's own filter can't be combined with the filter on
    /// keys. The page must be found without filters on keys.
    #[error("a key can't be filtered by")]
    Filter,
    /// The slice isn't the first one, but the upstream always answers from the first item on.
    #[error("no place but the first can be asked for")]
    Beyond,
}
