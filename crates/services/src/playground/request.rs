//! A request of the playground: reads and checks the body that the page sends.

use std::{collections::BTreeMap, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::RequestHeader;
use serde::Deserialize;

use crate::{caller::Caller, list::find_list};
use cursorgate_cursor::permit::PermitScope;
use cursorgate_gateway::{
    List, Route, Snapshot,
    request::target,
    session::service::{FORM, ReportRefusal},
};
use cursorgate_translate::upstream::request::headers::EXPLAIN;

/// The largest length of a path with its query, in bytes. A longer path is refused.
const LONGEST_PATH: usize = 16 << 10;

/// The largest length of a header's value, in bytes. A longer value is refused.
const LONGEST_VALUE: usize = 8 << 10;

/// The `Host` of a request if the page doesn't name a host.
const HOST: &str = "localhost";

/// The headers that every request of the page can have, in addition to those of the list.
const ALLOWED: [&str; 5] = ["accept", "accept-language", "authorization", "prefer", "x-api-key"];

/// Headers that the page can't set, because the gateway sets them itself, or because they change how a request is
/// framed.
const OWN: [&str; 6] = ["connection", "content-length", "expect", "host", "transfer-encoding", "upgrade"];

const UNREADABLE: ReportRefusal = (
    StatusCode::BAD_REQUEST,
    "send {\"path\": \"/users?limit=20\", \"host\": \"api.example.com\", \"headers\": {\"Authorization\": \"…\"}}; \
     host and headers can be left out\n",
);
const WRONG_PATH: ReportRefusal = (
    StatusCode::BAD_REQUEST,
    "the path begins with /, is encoded, has nothing ambiguous such as // or .., and at most 16 KiB\n",
);
const WRONG_HOST: ReportRefusal = (StatusCode::BAD_REQUEST, "the host is not a name such as api.example.com\n");
const NO_LIST: ReportRefusal =
    (StatusCode::NOT_FOUND, "no list that is asked for by GET is at this path: /playground/lists has all of them\n");
const WRONG_HEADER: ReportRefusal =
    (StatusCode::BAD_REQUEST, "a header is not among those that /playground/lists allows for the list\n");
const WRONG_VALUE: ReportRefusal =
    (StatusCode::BAD_REQUEST, "the value of a header has other bytes than visible ones, or more than 8 KiB\n");

/// The JSON body of a request of the page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlayOrder {
    path: String,
    host: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

/// A request for a list after all checks.
pub(super) struct PlayedRequest {
    pub(super) route: Arc<Route>,
    pub(super) caller: Caller,
    path: String,
    normal_path: String,
}

impl PlayedRequest {
    /// Reads and checks a request. Its path must lead to a list that answers GET.
    ///
    /// # Errors
    ///
    /// Returns the reason that the request is refused.
    pub(super) fn read(snapshot: &Snapshot, body: &[u8]) -> Result<Self, ReportRefusal> {
        let PlayOrder { path, host, headers: sent } = serde_json::from_slice(body).map_err(|_| UNREADABLE)?;
        // A whole URL could name another host than `host`, so it is refused.
        // Test: `playground_requests_are_limited_to_lists_and_certain_headers`.
        if !path.starts_with('/') || path.len() > LONGEST_PATH {
            return Err(WRONG_PATH);
        }
        // A route can be for one host only, so the page names a host. The `Host` of the page's own request is the admin
        // listener's host.
        let host = HeaderValue::try_from(host.as_deref().unwrap_or(HOST)).map_err(|_| WRONG_HOST)?;
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host);
        let read = target::read(&head(&path, &headers)?).map_err(|_| WRONG_PATH)?;
        // The upstream could read an ambiguous path as the path of another list, so the path is refused.
        if read.doubt.is_some() {
            return Err(WRONG_PATH);
        }
        let route = find_list(snapshot, read.host.as_deref(), &read.normal_path).ok_or(NO_LIST)?;
        let allowed = route.list.as_ref().map(allowed).unwrap_or_default();
        for (name, value) in sent {
            // A header about framing, or from a proxy, could turn the request into another one, so only listed headers
            // are allowed.
            let name = HeaderName::try_from(name).ok().filter(|name| allowed.contains(name)).ok_or(WRONG_HEADER)?;
            let value = HeaderValue::try_from(value).ok().filter(|value| value.len() <= LONGEST_VALUE);
            headers.insert(name, value.ok_or(WRONG_VALUE)?);
        }
        Ok(Self { route, caller: Caller::of_headers(headers), path, normal_path: read.normal_path })
    }

    /// Returns the scope of the permit: the list's route and the path of this request.
    pub(super) fn scope(&self) -> PermitScope<'_> {
        PermitScope { route: &self.route.name, path: &self.normal_path }
    }

    /// Returns the head of the request, with the permit to explain it.
    ///
    /// # Errors
    ///
    /// Returns the reason that the head can't be written.
    pub(super) fn head(&self, permit: &str) -> Result<RequestHeader, ReportRefusal> {
        let mut head = head(&self.path, &self.caller.headers)?;
        head.insert_header(EXPLAIN, permit).map_err(|_| WRONG_HEADER)?;
        Ok(head)
    }
}

/// Returns the headers that the page can set for a list: the ones that every list allows, and the ones that identify
/// the list's clients.
pub(super) fn allowed(list: &List) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = ALLOWED.into_iter().map(HeaderName::from_static).collect();
    let own = list.protected.iter().filter(|name| !OWN.contains(&name.as_str()) && ![EXPLAIN, FORM].contains(name));
    for name in own {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn head(path: &str, headers: &HeaderMap) -> Result<RequestHeader, ReportRefusal> {
    let mut head = RequestHeader::build(Method::GET, path.as_bytes(), None).map_err(|_| WRONG_PATH)?;
    for (name, value) in headers {
        head.append_header(name.clone(), value.clone()).map_err(|_| WRONG_HEADER)?;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use std::{io, path::Path};

    use super::*;
    use cursorgate_config::{Environment, load_text};

    struct Secrets;

    impl Environment for Secrets {
        fn variable(&self, _: &str) -> Option<String> {
            Some("nXwGm3k9Zp0sVb2Qe7LrTyUa5HdJf8Cx1oWiKvN4MgE".to_owned())
        }

        fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn snapshot() -> Snapshot {
        let text = "version = 1\nlisteners.public = { address = \"127.0.0.1:0\" }\n\
                    cursor = { signing_key = 1, keys = { 1 = \"env:KEY\" } }\nupstreams.people = { peers = [\"127.0.0.1:1\"] }\n\
                    [routes.users]\nold_clients = \"none\"\npath = \"/teams/{team}/users\"\nhosts = [\"api.test\"]\nupstream = \"people\"\n\
                    dialect = \"page-limit\"\norder = [\"id\"]\nprincipal = [\"X-Tenant\", \"Cookie\"]\n\
                    [routes.rest]\npath = \"/{*rest}\"\nupstream = \"people\"\naction = \"forward\"\n";
        let (settings, mut diagnostics) = load_text("a.toml", text, &Secrets);
        Snapshot::build(&settings.unwrap(), None, &mut diagnostics).unwrap()
    }

    #[test]
    fn playground_requests_are_limited_to_lists_and_certain_headers() {
        let snapshot = snapshot();
        let long = "x".repeat(LONGEST_VALUE + 1);
        for (body, refused) in [
            (r#"{"path": "/teams/7/users?limit=5", "host": "API.test:443"}"#.to_owned(), None),
            (
                r#"{"path": "/teams/7/users", "host": "api.test", "headers": {"X-TENANT": "a", "Cookie": "b=c"}}"#
                    .into(),
                None,
            ),
            (r#"{"path": "/teams/7/users"}"#.into(), Some(NO_LIST)),
            (r#"{"path": "/other", "host": "api.test"}"#.into(), Some(NO_LIST)),
            (r#"{"path": "/teams/7/../7/users", "host": "api.test"}"#.into(), Some(WRONG_PATH)),
            (r#"{"path": "http://api.test/teams/7/users"}"#.into(), Some(WRONG_PATH)),
            ("{\"path\": \"/teams/7/users x\\r\\nHost: a\", \"host\": \"api.test\"}".into(), Some(WRONG_PATH)),
            (r#"{"path": "/teams/7/users", "host": "a\nb"}"#.into(), Some(WRONG_HOST)),
            (r#"{"path": "/teams/7/users", "host": "api.test", "headers": {"Host": "b"}}"#.into(), Some(WRONG_HEADER)),
            (
                r#"{"path": "/teams/7/users", "host": "api.test", "headers": {"Cursorgate-Form": "connection"}}"#
                    .into(),
                Some(WRONG_HEADER),
            ),
            (
                r#"{"path": "/teams/7/users", "host": "api.test", "headers": {"Accept": "a\r\nb"}}"#.into(),
                Some(WRONG_VALUE),
            ),
            (
                format!(r#"{{"path": "/teams/7/users", "host": "api.test", "headers": {{"Accept": "{long}"}}}}"#),
                Some(WRONG_VALUE),
            ),
            (r#"{"path": "/teams/7/users", "method": "POST"}"#.into(), Some(UNREADABLE)),
            ("nonsense".into(), Some(UNREADABLE)),
        ] {
            assert_eq!(PlayedRequest::read(&snapshot, body.as_bytes()).err(), refused, "{body}");
        }
    }

    #[test]
    fn a_playground_request_has_only_its_own_headers_and_the_permit() {
        let body =
            r#"{"path": "/teams/7/users?page=2", "host": "api.test", "headers": {"authorization": "Bearer one"}}"#;
        let read = PlayedRequest::read(&snapshot(), body.as_bytes()).unwrap();
        let head = read.head("permit").unwrap();
        let names: Vec<&str> = head.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["host", "authorization", "accept-encoding", "cursorgate-explain"]);
        assert_eq!((head.method.as_str(), head.raw_path()), ("GET", &b"/teams/7/users?page=2"[..]));
        assert_eq!((read.scope().route, read.scope().path), ("users", "/teams/7/users"));
    }
}
