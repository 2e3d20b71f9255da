//! The list to which a command sends requests: its URL, the headers of the requests, and the upstream at that URL.

use std::{path::Path, sync::Arc};

use http::{HeaderName, HeaderValue};

use super::Failure;
use cursorgate_config::{self as config, Diagnostics, Environment, ProcessEnvironment};
use cursorgate_gateway::{Snapshot, routes::upstream::Upstream};
use cursorgate_learn as learn;

/// The URL of a list, split into its parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListUrl {
    pub(super) tls: bool,
    /// The authority as it is written in the URL, with or without a port.
    pub(super) authority: String,
    /// The peer as `host:port`, with the default port of the scheme if the URL has none.
    pub(super) peer: String,
    pub(super) path: String,
    pub(super) pairs: Vec<(String, String)>,
    /// The query as it is written in the URL, encoded.
    pub(super) query: String,
}

impl ListUrl {
    /// Splits a URL into its parts. Without a scheme it is an `http` one. Fails if the URL has another scheme, or no host,
    /// or a user or a password.
    pub(super) fn parse(url: &str) -> Result<Self, Failure> {
        // A query can have a URL too, whose scheme isn't that of the list.
        let scheme = url.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?', '#']));
        let (tls, rest) = match scheme {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            None => (false, url),
            Some(_) => return Err(Failure::mistaken("the URL must begin with http:// or https://")),
        };
        // A fragment isn't sent (RFC 3986, section 3.5), so it is dropped.
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        // The message must not repeat a password, so it doesn't contain the URL. Test: `a_url_is_split_into_its_parts`.
        if authority.is_empty() || authority.contains('@') {
            let message = "the URL names a host, without a password: credentials go into --header 'Authorization: …'";
            return Err(Failure::mistaken(message));
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // The part after the last colon of `[::1]` isn't a port, because it can't be parsed as a number.
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let port = match (has_port, tls) {
            (true, _) => "",
            (false, true) => ":443",
            (false, false) => ":80",
        };
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            tls,
            authority: authority.to_owned(),
            peer: format!("{authority}{port}"),
            path: path.to_owned(),
            pairs: learn::query_of(&format!("?{query}")),
            query: query.to_owned(),
        })
    }

    /// Returns the path and the query.
    pub(super) fn target(&self) -> String {
        if self.query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, self.query) }
    }

    /// Compiles the upstream at the URL, as from a configuration. Its requests have the host of the URL.
    pub(super) fn upstream(&self) -> Result<Arc<Upstream>, Failure> {
        let host = self.peer.rsplit_once(':').map_or("", |(host, _)| host);
        if self.tls && host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok() {
            let message = "https needs the name in the service's certificate: give the URL with that name";
            return Err(Failure::mistaken(message));
        }
        let tls = if self.tls { "tls = {}\n" } else { "" };
        let text = format!(
            "version = 1\n{NO_LISTENER}[upstreams.service]\npeers = [{:?}]\nhost_header = {:?}\n{tls}[routes.all]\n\
             path = \"/{{*rest}}\"\nupstream = \"service\"\naction = \"forward\"\n",
            self.peer, self.authority
        );
        let (snapshot, _) = load(&text).map_err(Failure::mistaken)?;
        snapshot.upstreams.first().cloned().ok_or_else(|| Failure::mistaken("the URL names no host"))
    }
}

/// The listener of a configuration that is only compiled. Its port is 0, because a listener at the upstream's own
/// address would be a fault.
pub(super) const NO_LISTENER: &str = "listeners.public = { address = \"127.0.0.1:0\" }\n";

/// Loads and compiles a configuration without secrets, as `check --without-secrets` does, and returns the warnings too.
/// Returns the report if the configuration has errors.
pub(super) fn load(text: &str) -> Result<(Snapshot, Diagnostics), String> {
    let (settings, mut diagnostics) = config::load_text("cursorgate.toml", text, &config::WithoutSecrets(&NoFiles));
    let built = settings.and_then(|settings| Snapshot::build(&settings, None, &mut diagnostics));
    match built {
        Some(snapshot) if !diagnostics.has_errors() => Ok((snapshot, diagnostics)),
        _ => Err(diagnostics.render(false)),
    }
}

/// Parses the body for requests by POST; returns `None` without a body.
pub(super) fn body(text: Option<&str>) -> Result<Option<serde_json::Value>, Failure> {
    let read =
        |text| serde_json::from_str(text).map_err(|error| Failure::mistaken(format!("--body is not JSON: {error}")));
    text.map(read).transpose()
}

/// Reads headers such as `X-Api-Key: abc`. Values may contain references such as `Bearer {env:TOKEN}` and
/// `file:/run/secrets/key`, which keep secrets out of the list of processes.
pub(super) fn headers(texts: &[String]) -> Result<Vec<(HeaderName, HeaderValue)>, Failure> {
    // The value may be a secret, so the error must not repeat it. Test: `headers_are_read_and_never_repeated`.
    let fault = || Failure::mistaken("--header takes a name and a value, such as 'X-Api-Key: env:KEY'");
    let read = |text: &String| {
        let (name, value) = text.split_once(':').ok_or_else(fault)?;
        let name: HeaderName = name.trim().parse().map_err(|_| fault())?;
        let opened = config::open_argument(value.trim(), &ProcessEnvironment::default());
        let opened = opened.map_err(|why| Failure::mistaken(format!("--header {name}: {why}")))?;
        let mut value = HeaderValue::from_bytes(opened.reveal()).map_err(|_| fault())?;
        // `Debug` doesn't show sensitive values, so the value can't get into a log.
        value.set_sensitive(true);
        Ok((name, value))
    };
    texts.iter().map(read).collect()
}

/// An environment without variables and files, for configurations that need none.
pub(super) struct NoFiles;

impl Environment for NoFiles {
    fn variable(&self, _name: &str) -> Option<String> {
        None
    }

    fn read(&self, _path: &Path) -> std::io::Result<Vec<u8>> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_split_into_its_parts() {
        let url = ListUrl::parse("https://api.internal/v1/users?team=a%20b&limit=5#x").unwrap();
        assert!(url.tls);
        assert_eq!((url.peer.as_str(), url.path.as_str()), ("api.internal:443", "/v1/users"));
        let pairs = [("team", "a b"), ("limit", "5")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(url.pairs, pairs);
        assert_eq!(ListUrl::parse("http://[::1]:8000").unwrap().path, "/");
        let bare = ListUrl::parse("localhost:8000/users?next=http://x").unwrap();
        assert_eq!((bare.tls, bare.peer.as_str(), bare.path.as_str()), (false, "localhost:8000", "/users"));
        for wrong in ["ftp://x/y", "/users", "user:secret@host/", "http://user:secret@host/", "https:///x"] {
            let message = ListUrl::parse(wrong).unwrap_err().message;
            assert!(!message.contains("secret"), "{wrong}: {message}");
        }
    }

    #[test]
    fn https_needs_the_name_of_the_certificate() {
        for url in ["https://192.0.2.1/users", "https://[2001:db8::1]:8443/users"] {
            let message = ListUrl::parse(url).unwrap().upstream().unwrap_err().message;
            assert!(message.contains("certificate"), "{url}: {message}");
        }
    }

    #[test]
    fn an_upstream_may_be_at_the_address_where_a_gateway_listens_by_default() {
        for url in ["http://127.0.0.1:8080/users", "http://localhost:8080/users", "http://[::1]:8080/users"] {
            assert!(ListUrl::parse(url).unwrap().upstream().is_ok(), "{url}");
        }
    }

    #[test]
    fn headers_are_read_and_never_repeated() {
        let read = headers(&["X-Api-Key: a:b".to_owned()]).unwrap();
        assert_eq!((read[0].0.as_str(), read[0].1.to_str().unwrap()), ("x-api-key", "a:b"));
        assert!(!headers(&["my secret".to_owned()]).unwrap_err().message.contains("secret"));
    }
}
