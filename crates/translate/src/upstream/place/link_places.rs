//! The places where a dialect's answers contain links.

use http::HeaderName;

use super::{PlaceCompiler, ResponsePlace};
use cursorgate_config::settings::DialectResponse;
use cursorgate_core::json::Pointer;

/// The places of links, except for the headers `Link` and `Location`, which every answer may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkPlaces {
    /// The places in the body.
    pub pointers: Vec<Pointer>,
    /// The headers whose whole value is a link.
    pub headers: Vec<HeaderName>,
}

impl LinkPlaces {
    /// Compiles the places of links to other pages: `next_url`, `prev_url`, and tokens that are read from a URL.
    pub fn compile(response: &DialectResponse, mut places: PlaceCompiler<'_>) -> Self {
        let tokens = [&response.next_token, &response.prev_token];
        // With `token_param`, the values at these places are links that contain the token as a parameter. Otherwise
        // they are tokens, and left out here.
        let tokens = tokens.into_iter().filter(|_| response.token_param.is_some());
        let mut headers = Vec::new();
        for source in [&response.next_url, &response.prev_url].into_iter().chain(tokens).flatten() {
            if let Some(ResponsePlace::Header(name)) = places.place(source) {
                headers.push(name);
            }
        }
        Self { pointers: places.facts, headers }
    }
}
