//! The cross-origin policy of a route (Fetch standard, section 3.3, <https://fetch.spec.whatwg.org/>), which replaces
//! the upstream's policy.

use http::{
    HeaderMap, HeaderValue, Method,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, HeaderName, ORIGIN, VARY,
    },
};

use super::Response;
use crate::downstream::response;
use cursorgate_config::settings::CorsSettings;

/// The methods that a preflight allows to a listed origin. The upstream decides which of them it serves.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";

/// The response headers that a cross-origin policy sets, and `Vary`.
pub const SAID: [HeaderName; 7] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_EXPOSE_HEADERS,
    VARY,
];

/// The request headers that the answer to a preflight varies by.
const PREFLIGHT_VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

/// The cross-origin policy of a route, compiled from its `cors` settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsPolicy {
    /// The origins as browsers send them; `None` allows all.
    origins: Option<Vec<String>>,
    credentials: bool,
    max_age: HeaderValue,
}

/// Returns whether a request is a preflight (Fetch standard, section 3.3.2).
#[must_use]
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    // The upstream answers any other OPTIONS request. Test: `a_preflight_is_options_with_an_origin_and_a_method`.
    method == Method::OPTIONS && headers.contains_key(ORIGIN) && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl CorsPolicy {
    /// Compiles the settings of a route.
    #[must_use]
    pub fn new(settings: &CorsSettings) -> Self {
        let any = settings.origins.iter().any(|origin| origin == "*");
        Self {
            origins: (!any).then(|| settings.origins.clone()),
            // Browsers refuse `*` with credentials, so `*` switches credentials off.
            credentials: settings.credentials && !any,
            max_age: HeaderValue::from(settings.max_age.as_secs()),
        }
    }

    /// Answers a preflight. If the origin isn't listed, the answer has no headers that allow it, so the browser refuses
    /// the request.
    #[must_use]
    pub fn preflight(&self, request: &HeaderMap) -> Response {
        let mut response = Response::new(204, Vec::new());
        // A 204 has no `Content-Length` (RFC 9110, section 8.6), so the header is removed.
        response.headers.remove(CONTENT_LENGTH);
        let headers = &mut response.headers;
        headers.insert(VARY, HeaderValue::from_static(PREFLIGHT_VARY));
        let Some(origin) = self.allowed(origin(request)) else { return response };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        // With credentials `*` is the name of a header, and it never covers `Authorization`, so the requested headers
        // are listed. Test: `a_preflight_is_answered_for_listed_origins`.
        if let Some(names) = requested_headers(request) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        response
    }

    /// Replaces the upstream's cross-origin headers in an answer. `origin` is the origin of the request, and
    /// `of_envelope` are the headers that the envelope adds. `Vary` is set even if the origin isn't allowed.
    pub fn apply<'n>(
        &self,
        origin: Option<&HeaderValue>,
        headers: &mut HeaderMap,
        of_envelope: impl Iterator<Item = &'n str>,
    ) {
        for name in [
            ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            ACCESS_CONTROL_ALLOW_METHODS,
            ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_MAX_AGE,
        ] {
            headers.remove(name);
        }
        // Without this `Vary`, a shared cache would serve the answer for a refused origin to an allowed one.
        vary_by_origin(headers);
        let Some(allowed) = self.allowed(origin) else {
            headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
            return;
        };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        response::expose(headers, of_envelope);
    }

    /// Returns whether scripts of an allowed origin may send credentials; `None` if the origin is not allowed.
    #[must_use]
    pub fn admits(&self, origin: &HeaderValue) -> Option<bool> {
        self.allowed(Some(origin)).map(|_| self.credentials)
    }

    /// Returns `Access-Control-Allow-Origin` for an origin; `None` if the origin isn't allowed.
    fn allowed(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let Some(origins) = &self.origins else { return Some(HeaderValue::from_static("*")) };
        let origin = origin?;
        // The whole origin is compared, because `https://app.example.com.evil.example` begins with a listed origin.
        // Test: `a_preflight_is_answered_for_listed_origins`.
        origins.iter().any(|known| known.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

/// Returns the origin of a request; `None` if it has no origin, or several, which no browser sends.
#[must_use]
pub fn origin(request: &HeaderMap) -> Option<&HeaderValue> {
    let mut origins = request.get_all(ORIGIN).iter();
    origins.next().filter(|_| origins.next().is_none())
}

/// Returns the headers that a script wants to send, each once; `None` if there are none or one is invalid.
fn requested_headers(request: &HeaderMap) -> Option<HeaderValue> {
    let lines = request.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|line| line.to_str().ok());
    let mut names: Vec<HeaderName> = Vec::new();
    for name in lines.flat_map(|line| line.split(',')).map(str::trim).filter(|name| !name.is_empty()) {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let names: Vec<&str> = names.iter().map(HeaderName::as_str).collect();
    (!names.is_empty()).then(|| HeaderValue::from_str(&names.join(", ")).ok()).flatten()
}

fn vary_by_origin(headers: &mut HeaderMap) {
    let said = headers.get_all(VARY).iter().filter_map(|value| value.to_str().ok());
    let names: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    if names.iter().any(|name| *name == "*" || name.eq_ignore_ascii_case("origin")) {
        return;
    }
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).chain(["Origin"]).collect();
    if let Ok(value) = HeaderValue::from_str(&names.join(", ")) {
        headers.insert(VARY, value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn policy(origins: &[&str], credentials: bool) -> CorsPolicy {
        let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        CorsPolicy::new(&CorsSettings { origins, credentials, max_age: Duration::from_secs(600) })
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    /// Returns the cross-origin headers and `Vary` as text, sorted by name.
    fn said(headers: &HeaderMap) -> String {
        let mut said: Vec<String> = Vec::new();
        for (name, value) in headers {
            let short = name.as_str().strip_prefix("access-control-").unwrap_or(name.as_str());
            if short != "x-content-type-options" {
                said.push(format!("{short}: {}", value.to_str().unwrap()));
            }
        }
        said.sort();
        said.join("; ")
    }

    const APP: &str = "https://app.example.com";
    const OTHER: &str = "https://other.example.com";

    /// Row: A25
    #[test]
    fn a_preflight_is_answered_for_listed_origins() {
        let varies = format!("vary: {PREFLIGHT_VARY}");
        let methods = format!("allow-methods: {METHODS}");
        let ask = |origin, wanted| headers(&[("origin", origin), ("access-control-request-headers", wanted)]);
        let listed = policy(&[APP, "capacitor://localhost"], true);
        assert_eq!(
            said(&listed.preflight(&ask(APP, "authorization,x-a, X-A")).headers),
            format!(
                "allow-credentials: true; allow-headers: authorization, x-a; {methods}; allow-origin: {APP}; \
                 max-age: 600; {varies}"
            )
        );
        for unlisted in [OTHER, "https://app.example.com.evil.example", "https://app.example.com:8443", "null", "*"] {
            assert_eq!(said(&listed.preflight(&ask(unlisted, "x-a")).headers), varies, "{unlisted}");
        }
        let twice = headers(&[("origin", APP), ("origin", OTHER)]);
        assert_eq!(said(&listed.preflight(&twice).headers), varies);
        assert_eq!(
            said(&policy(&["*"], false).preflight(&ask(OTHER, "")).headers),
            format!("{methods}; allow-origin: *; max-age: 600; {varies}")
        );
        let odd = listed.preflight(&ask(APP, "x-a, b c"));
        assert!(!odd.headers.contains_key(ACCESS_CONTROL_ALLOW_HEADERS), "{:?}", odd.headers);
        assert_eq!((odd.status, odd.headers.get(CONTENT_LENGTH)), (204, None));
    }

    #[test]
    fn a_preflight_is_options_with_an_origin_and_a_method() {
        let method = ("access-control-request-method", "GET");
        let whole = headers(&[("origin", APP), method]);
        assert!(is_preflight(&Method::OPTIONS, &whole));
        assert!(!is_preflight(&Method::GET, &whole));
        assert!(!is_preflight(&Method::OPTIONS, &headers(&[("origin", APP)])));
        assert!(!is_preflight(&Method::OPTIONS, &headers(&[method])));
    }

    /// Row: A25
    #[test]
    fn the_policy_of_the_route_replaces_the_upstreams() {
        let upstream = [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET"),
            ("access-control-expose-headers", "X-Total-Count, link"),
            ("vary", "Accept"),
        ];
        let answer = |policy: &CorsPolicy, origin: Option<&'static str>| {
            let mut headers = headers(&upstream);
            let origin = origin.map(HeaderValue::from_static);
            policy.apply(origin.as_ref(), &mut headers, ["X-Page"].into_iter());
            said(&headers)
        };
        let ours = "expose-headers: X-Total-Count, link, ETag, Retry-After, Deprecation, Sunset, Cursorgate-Level, \
                    Cursorgate-Drift, Cursorgate-Unproven, Cursorgate-End, Cursorgate-Short, X-Request-Id, X-Page";
        let listed = policy(&[APP], true);
        assert_eq!(
            answer(&listed, Some(APP)),
            format!("allow-credentials: true; allow-origin: {APP}; {ours}; vary: Accept, Origin")
        );
        for origin in [Some(OTHER), None] {
            assert_eq!(answer(&listed, origin), "vary: Accept, Origin", "{origin:?}");
        }
        assert_eq!(
            answer(&policy(&["*"], false), Some(OTHER)),
            format!("allow-origin: *; {ours}; vary: Accept, Origin")
        );
        let mut varied = headers(&[("vary", "Accept, ORIGIN")]);
        listed.apply(None, &mut varied, std::iter::empty());
        assert_eq!(said(&varied), "vary: Accept, ORIGIN");
    }
}
