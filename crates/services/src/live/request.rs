//! Requests for live pages: the path, the client, and the page that a request names.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::{http::RequestHeader, protocols::http::ServerSession};
use sha2::{Digest as _, Sha256};

use super::{
    handshake,
    places::{ClientName, Subscriber},
    window::LiveWindow,
};
use crate::{
    caller::{Caller, ClientRules},
    list::BelowList,
    page::{has_private, list_query},
};
use cursorgate_config::settings::CountedBy;
use cursorgate_gateway::{
    Snapshot,
    identity::headers::negotiating,
    routes::route::Route,
    session::{client_request::Client, identity::IdentityCall, service::intended_method},
};
use cursorgate_translate::downstream::{Code, CorsPolicy, Problem, response::cors};

/// The path segment of live pages, which follows the path of a list.
const SEGMENT: &str = "/live";

/// The media type of event streams.
pub(super) const EVENTS: &str = "text/event-stream";

/// Headers of the subscription that polls don't inherit. A page is polled many times and for several clients, so a poll
/// isn't part of a client's trace. `Cache-Control` concerns only the subscription, because browsers send `no-cache`
/// with every request for an event stream.
const OF_SUBSCRIPTION: [HeaderName; 5] = [
    header::CACHE_CONTROL,
    HeaderName::from_static("last-event-id"),
    header::PRAGMA,
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// The prefix of the headers of a WebSocket's handshake.
const OF_HANDSHAKE: &str = "sec-websocket-";

/// Options of `Connection` that concern only the subscription's own connection.
const OF_CONNECTION: [&str; 3] = ["upgrade", "keep-alive", "close"];

/// A request for a live page.
#[derive(Debug)]
pub(super) struct LiveCall {
    pub(super) route: Arc<Route>,
    pub(super) caller: Arc<Caller>,
    pub(super) client: ClientName,
    below: BelowList,
    /// The public address of the gateway, with which links begin.
    base: String,
}

/// Reads the target of a request. Returns `None` if the request isn't for a live page; a route answers it then.
pub(super) fn read(snapshot: &Snapshot, head: &RequestHeader) -> Option<BelowList> {
    let settings = snapshot.services.live.as_ref()?;
    let below = BelowList::read(snapshot, head, SEGMENT)?;
    // When a script reconnects with `Last-Event-ID`, the browser sends a preflight first. Test:
    // `a_script_of_an_allowed_origin_follows_a_live_page`.
    let is_live = below.rest.is_empty() && settings.routes.contains(&below.route.name);
    (is_live && intended_method(head) == Some(Method::GET)).then_some(below)
}

impl LiveCall {
    /// Returns the call with its client, which keeps only the headers that polls inherit.
    ///
    /// # Errors
    ///
    /// Returns 403 `origin_refused` if a script isn't permitted to open a WebSocket.
    pub(super) async fn new(
        below: BelowList,
        session: &ServerSession,
        client: &Client,
        call: IdentityCall<'_>,
    ) -> Result<Self, Box<Problem>> {
        let IdentityCall { snapshot, outcome, .. } = call;
        let route = Arc::clone(&below.route);
        let headers = &session.req_header().headers;
        let base = client.public_address(&below.list, headers, &route, snapshot).as_str().to_owned();
        let mut caller = Caller::of(session, outcome.client);
        sift(&mut caller.headers);
        if handshake::is_asked_for(session) {
            let reached = client.reached_address(&below.list, headers, snapshot);
            let own = [reached.as_str(), base.as_str()];
            admit_script(&mut caller, route.cors.as_deref(), &own)?;
        }
        if let Some(Ok(host)) = below.list.authority.as_deref().map(HeaderValue::from_str) {
            caller.headers.insert(header::HOST, host);
        }
        let rules = [route.identity.as_ref(), snapshot.service_identities.webhooks.as_ref()];
        caller.identify(&rules, below.list.query.as_deref(), client, call).await;
        let client = caller.viewer_at(ClientRules::of_route(&route));
        Ok(Self { route, caller: Arc::new(caller), client, below, base })
    }

    /// Returns the client as limits count it: by `key`, and by its address.
    pub(super) fn subscriber(&self, key: &CountedBy) -> Subscriber {
        Subscriber { client: self.caller.counted_by(key, self.client), network: self.caller.network() }
    }

    /// Returns the path of the list, without the segment of live pages.
    pub(super) fn path(&self) -> &str {
        &self.below.list.path
    }

    /// Returns the query of the request; empty if there is none.
    pub(super) fn query(&self) -> &str {
        self.below.list.query.as_deref().unwrap_or_default()
    }

    /// Returns the page of the list that this query requests, for this client.
    pub(super) fn window(&self, query: &str) -> LiveWindow {
        let list = &self.below.list;
        let target = if query.is_empty() { list.path.clone() } else { format!("{}?{query}", list.path) };
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(bytes);
        };
        for bytes in [&self.client[..], self.base.as_bytes(), target.as_bytes()] {
            part(bytes);
        }
        for (name, value) in negotiating(&self.caller.headers) {
            part(name.as_bytes());
            part(value);
        }
        let served = self.route.list.as_ref();
        let parameters = served.map(|served| &served.conventions.choose(&self.caller.headers).convention.parameters);
        LiveWindow {
            host: list.host.clone(),
            normal_path: list.normal_path.clone(),
            path: list.path.clone(),
            target,
            list_query: parameters.map_or_else(String::new, |parameters| list_query(parameters, query)),
            has_private: parameters.is_some_and(|parameters| has_private(parameters, query)),
            covered: self.caller.covered(self.route.identity.as_deref()),
            key: hash.finalize().into(),
        }
    }
}

/// Returns whether a script is permitted to open a WebSocket. Scripts of the same host are permitted, and scripts of an
/// origin that the route's CORS policy admits. The gateway must check this itself, because browsers send cookies with a
/// WebSocket's handshake without checking a policy. If the policy admits the origin only without credentials,
/// `Authorization` and `Cookie` are removed, and a client with a certificate is refused.
///
/// # Errors
///
/// Returns 403 `origin_refused` if the script isn't permitted to open the WebSocket.
fn admit_script(caller: &mut Caller, policy: Option<&CorsPolicy>, own: &[&str]) -> Result<(), Box<Problem>> {
    if !caller.headers.contains_key(header::ORIGIN) {
        // Browsers always send `Origin` in a handshake, so a client without it isn't a script in a browser.
        // Test: `a_script_of_another_origin_needs_a_cors_policy`.
        return Ok(());
    }
    let refused = || {
        let detail = "scripts of this origin may not open a WebSocket here: add the origin to `cors` of the route";
        Box::new(Problem::new(Code::OriginRefused, detail))
    };
    let origin = cors::origin(&caller.headers).ok_or_else(refused)?;
    let text = origin.to_str().unwrap_or_default();
    if own.iter().any(|own| is_own(text, own)) {
        return Ok(());
    }
    let with_credentials = policy.and_then(|policy| policy.admits(origin)).ok_or_else(refused)?;
    if !with_credentials {
        // A certificate is also a credential, but it can't be removed from the connection. So the client is refused.
        if caller.tls.as_ref().is_some_and(|tls| !tls.cert_digest.is_empty()) {
            return Err(refused());
        }
        caller.headers.remove(header::AUTHORIZATION);
        caller.headers.remove(header::COOKIE);
    }
    Ok(())
}

/// Returns whether an origin is that of a page of the gateway at `own`, which is a URL, or a path if the gateway doesn't
/// know its address. A page that was loaded without TLS isn't one of a gateway with TLS. The opposite is: a proxy that
/// isn't known to the gateway might end TLS.
fn is_own(origin: &str, own: &str) -> bool {
    // The origin `null` has no host, and neither has a path. The two aren't equal. Test:
    // `only_an_origin_of_the_same_host_is_the_own_one`.
    let (Some((scheme, host)), Some((own_scheme, own))) = (origin.split_once("://"), own.split_once("://")) else {
        return false;
    };
    let own = own.split('/').next().unwrap_or_default();
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_sound = matches!(scheme, "http" | "https") && !host.is_empty() && host.bytes().all(is_host);
    is_sound && host.eq_ignore_ascii_case(own) && (scheme == "https" || own_scheme == "http")
}

/// Removes the headers, and the parts of headers, that concern only the subscription.
fn sift(headers: &mut HeaderMap) {
    for name in OF_SUBSCRIPTION {
        headers.remove(name);
    }
    let of_handshake: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with(OF_HANDSHAKE)).cloned().collect();
    for name in of_handshake {
        headers.remove(name);
    }
    let is_event_stream =
        |range: &str| range.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(EVENTS));
    keep(headers, &header::ACCEPT, |range| !is_event_stream(range));
    let is_own = |word: &str| OF_CONNECTION.iter().any(|own| word.eq_ignore_ascii_case(own));
    keep(headers, &header::CONNECTION, |word| !is_own(word));
}

/// Keeps only the wanted elements of a header whose values are lists. A value without wanted elements is removed. A
/// value with only wanted elements stays byte for byte.
fn keep(headers: &mut HeaderMap, name: &HeaderName, is_wanted: impl Fn(&str) -> bool) {
    let mut lines = Vec::new();
    for line in headers.get_all(name) {
        let Ok(text) = line.to_str() else {
            lines.push(line.clone());
            continue;
        };
        let elements: Vec<&str> = text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect();
        let kept: Vec<&str> = elements.iter().copied().filter(|element| is_wanted(element)).collect();
        if kept.len() == elements.len() {
            lines.push(line.clone());
        } else if let (false, Ok(line)) = (kept.is_empty(), HeaderValue::from_str(&kept.join(", "))) {
            lines.push(line);
        }
    }
    headers.remove(name);
    for line in lines {
        headers.append(name.clone(), line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_config::settings::CorsSettings;

    #[test]
    fn headers_of_the_subscription_are_removed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "text/event-stream;q=1, application/hal+json"),
            ("accept", "Text/Event-Stream"),
            ("cache-control", "no-cache"),
            ("connection", "keep-alive, Upgrade, X-A"),
            ("last-event-id", "x"),
            ("sec-websocket-key", "x"),
            ("sec-fetch-mode", "cors"),
            ("traceparent", "00-x"),
            ("authorization", "Bearer one"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        sift(&mut headers);
        let mut left: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        left.sort();
        let expected =
            ["accept: application/hal+json", "authorization: Bearer one", "connection: X-A", "sec-fetch-mode: cors"];
        assert_eq!(left, expected);
        let mut plain = HeaderMap::new();
        plain.insert(header::ACCEPT, HeaderValue::from_static("a/b ,c/d"));
        plain.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        sift(&mut plain);
        assert_eq!((plain.len(), plain[header::ACCEPT].as_bytes()), (1, &b"a/b ,c/d"[..]));
    }

    #[test]
    fn a_script_of_another_origin_needs_a_cors_policy() {
        let policy = |origins: &[&str], credentials| {
            let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
            CorsPolicy::new(&CorsSettings { origins, credentials, max_age: std::time::Duration::ZERO })
        };
        let listed = policy(&["https://app.example"], true);
        let anyone = policy(&["*"], false);
        let own = ["https://api.example:8443", "https://public.example/base"];
        for (origin, policy, outcome) in [
            (None, None, Some(2)),
            (Some("https://api.example:8443"), None, Some(2)),
            (Some("https://API.example:8443"), None, Some(2)),
            // A page without TLS isn't one of this gateway.
            (Some("http://api.example:8443"), None, None),
            (Some("https://public.example"), None, Some(2)),
            (Some("https://api.example"), None, None),
            (Some("https://api.example:8443.evil.example"), None, None),
            (Some("null"), None, None),
            (Some("https://app.example"), None, None),
            (Some("https://app.example"), Some(&listed), Some(2)),
            (Some("https://evil.example"), Some(&listed), None),
            // A policy for every origin admits a script, but removes the credentials.
            (Some("https://evil.example"), Some(&anyone), Some(0)),
            (Some("null"), Some(&anyone), Some(0)),
        ] {
            let mut caller = Caller::of_bytes(br#"{"address":null,"client":null,"tls":null,"headers":[]}"#).unwrap();
            caller.headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer one"));
            caller.headers.insert(header::COOKIE, HeaderValue::from_static("session=one"));
            if let Some(origin) = origin {
                caller.headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            let admitted = admit_script(&mut caller, policy, &own);
            let credentials =
                [header::AUTHORIZATION, header::COOKIE].iter().filter(|name| caller.headers.contains_key(*name));
            assert_eq!(admitted.ok().map(|()| credentials.count()), outcome, "{origin:?}");
        }
    }

    #[test]
    fn only_an_origin_of_the_same_host_is_the_own_one() {
        for (origin, own, expected) in [
            ("https://api.test", "https://api.test/base", true),
            ("https://API.test:8443", "https://api.test:8443", true),
            ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://api.test", "http://api.test", true),
            ("https://api.test", "http://api.test", true),
            ("http://api.test", "https://api.test", false),
            ("://api.test", "https://api.test", false),
            ("ftp://api.test", "http://api.test", false),
            ("http://api.test/ http://evil.test", "http://api.test", false),
            ("http://api.test/", "http://api.test", false),
            ("http://user@api.test", "http://api.test", false),
            ("http://evil.test", "http://api.test", false),
            ("http://api.test:80", "http://api.test:81", false),
            ("null", "/users", false),
            ("null", "null", false),
            ("http://", "http://", false),
        ] {
            assert_eq!(is_own(origin, own), expected, "{origin} {own}");
        }
    }
}
