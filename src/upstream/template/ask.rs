//! What is asked of an upstream in one request.

use http::{HeaderName, HeaderValue, Method};
use thiserror::Error;

use crate::{
    json::{Edits, JsonError, edited},
    pagination::fetch::Fetch,
};

/// What is asked of an upstream in one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRequest {
    /// GET or POST, as the dialect says; HEAD where a count is asked for that way.
    pub method: Method,
    /// The path, as it goes on the wire.
    pub path: String,
    /// The query without its `?`: the client's filters as they came, then the filter on keys, then what pages, then the
    /// sort. May be empty.
    pub query: String,
    /// Headers of the dialect; they replace those of the client.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What is set in the body, and what is left out of it, one after the other; none where there is no body.
    pub(crate) edits: Option<Vec<Edits>>,
    /// What it is asked for: the answer is read for that.
    pub(crate) fetch: Fetch,
    /// Where links are followed: what every request for this list has, without its size and what links add to it.
    pub(crate) common: String,
}

impl UpstreamRequest {
    /// The body: what the client sent without its own parameters, or an empty object, with what the dialect sets in it.
    /// None where there is no body to send.
    ///
    /// # Errors
    /// Where `client` is no JSON object.
    pub fn body(&self, client: Option<&[u8]>) -> Result<Option<Vec<u8>>, JsonError> {
        let Some(edits) = &self.edits else { return Ok(None) };
        let begun = client.unwrap_or(b"{}").to_vec();
        edits.iter().try_fold(begun, |body, edits| edited(&body, edits)).map(Some)
    }
}

/// Why a fetch can't be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unaskable {
    /// No upstream can have handed out such a token, or have an item of such an id: it counts as gone.
    #[error("no upstream has such a token or id")]
    Gone,
    /// A value that can't be written so that nothing in it changes the query, or a filter beside which the client's own
    /// can't stay in force: the page is to be found without filters.
    #[error("a key can't be filtered by")]
    Filter,
    /// A place that is not the first, of an upstream that gives what it is asked for from the first on: nothing is known
    /// of what stands there.
    #[error("no place but the first can be asked for")]
    Beyond,
}
