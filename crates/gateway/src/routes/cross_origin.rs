//! Cross-origin requests on routes with `cors`, and to services. The policy applies to all answers, including the
//! upstream's.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::route::Route;
use cursorgate_translate::downstream::{CorsPolicy, PREFERENCE_APPLIED, Response, response::cors};

/// A request to which a cross-origin policy applies, with its origin.
#[derive(Debug)]
pub struct CrossOrigin {
    policy: Arc<CorsPolicy>,
    /// The route whose list adds headers; `None` for a service.
    route: Option<Arc<Route>>,
    origin: Option<HeaderValue>,
}

impl CrossOrigin {
    /// Reads the origin of a request on a route; `None` if the route leaves the policy to the upstream.
    pub fn on_route(route: &Arc<Route>, request: &HeaderMap) -> Option<Self> {
        let policy = Arc::clone(route.cors.as_ref()?);
        Some(Self { route: Some(Arc::clone(route)), ..Self::new(policy, request) })
    }

    /// Reads the origin of a request to which this policy applies.
    pub fn new(policy: Arc<CorsPolicy>, request: &HeaderMap) -> Self {
        Self { policy, route: None, origin: cors::origin(request).cloned() }
    }

    /// Returns the answer to a preflight; `None` for other requests.
    pub fn preflight(&self, method: &Method, request: &HeaderMap) -> Option<Response> {
        cors::is_preflight(method, request).then(|| self.policy.preflight(request))
    }

    /// Adds the headers of the policy to an answer.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let lists = self.route.iter().filter_map(|route| route.list.as_ref());
        let conventions = lists.flat_map(|list| list.conventions.all());
        let of_envelopes = conventions.flat_map(|convention| convention.envelope.header_names());
        let applied = headers.contains_key(PREFERENCE_APPLIED).then_some(PREFERENCE_APPLIED);
        let added = of_envelopes.chain(&applied).map(HeaderName::as_str);
        self.policy.apply(self.origin.as_ref(), headers, added);
    }
}
