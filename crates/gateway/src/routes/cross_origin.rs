//! Cross-origin requests on routes with `cors`. The route's policy applies to all answers, including the upstream's.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::route::Route;
use cursorgate_translate::downstream::{CorsPolicy, PREFERENCE_APPLIED, Response, response::cors};

/// A request on a route with `cors`, with its origin.
#[derive(Debug)]
pub struct CrossOrigin {
    route: Arc<Route>,
    origin: Option<HeaderValue>,
}

impl CrossOrigin {
    /// Reads the origin of a request; `None` if the route leaves the policy to the upstream.
    pub fn of(route: &Arc<Route>, request: &HeaderMap) -> Option<Self> {
        route.cors.as_ref()?;
        Some(Self { route: Arc::clone(route), origin: cors::origin(request).cloned() })
    }

    /// Returns the answer to a preflight; `None` for other requests.
    pub fn preflight(&self, method: &Method, request: &HeaderMap) -> Option<Response> {
        let policy = self.policy().filter(|_| cors::is_preflight(method, request))?;
        Some(policy.preflight(request))
    }

    /// Adds the headers of the policy to an answer.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let Some(policy) = self.policy() else { return };
        let conventions = self.route.list.iter().flat_map(|list| list.conventions.all());
        let of_envelopes = conventions.flat_map(|convention| convention.envelope.header_names());
        let applied = headers.contains_key(PREFERENCE_APPLIED).then_some(PREFERENCE_APPLIED);
        let added = of_envelopes.chain(&applied).map(HeaderName::as_str);
        policy.apply(self.origin.as_ref(), headers, added);
    }

    fn policy(&self) -> Option<&CorsPolicy> {
        self.route.cors.as_ref()
    }
}
