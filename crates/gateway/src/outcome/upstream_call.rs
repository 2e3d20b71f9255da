//! Calls of upstreams, from start to end. Each call adds its time to the access log's line, writes a line to the log at
//! `debug`, and has a span in the trace.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use http::HeaderValue;
use opentelemetry::KeyValue;

use super::{access_log::millis, metrics::UpstreamMetrics, trace::Phase};
use crate::{net::fetch::AskedPeer, runtime::clock};

/// The largest number of parameter names in a log line. The remaining names are left out.
const MOST_NAMES: usize = 32;

/// A request to an upstream. Dropping this value writes the log line, even if the client has left and the request is
/// abandoned.
#[derive(Debug)]
pub struct UpstreamCall<'a> {
    pub asked: CallTarget<'a>,
    /// The peer that gets the request. Its address is known once a connection is open.
    pub peer: &'a AskedPeer,
    /// The status of the answer; `None` before the answer, and if the upstream failed.
    pub status: Option<u16>,
    /// The number of bytes of the answer's body.
    pub bytes: usize,
    /// The reason that there is no complete answer; `None` if there is one.
    pub fault: Option<String>,
    began: Instant,
    span: Phase<'a>,
}

/// The facts about an upstream request that are known before it is sent.
#[derive(Clone, Copy, Debug)]
pub struct CallTarget<'a> {
    pub request_id: &'a str,
    pub upstream: &'a str,
    pub metrics: &'a UpstreamMetrics,
    pub kind: CallKind,
    pub method: &'a http::Method,
    /// The path of the list, or of a forwarded request the client's path. Neither contains ids or tokens from cursors.
    pub path: &'a str,
    pub query: &'a str,
}

/// The purpose of a request to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Neighbouring items of a list.
    Slice,
    /// The items to which a token leads.
    Token,
    /// A single item, for its keys.
    Item,
    Count,
    /// The client of credentials.
    Identity,
    /// A forwarded client request.
    Forward,
}

impl CallKind {
    fn word(self) -> &'static str {
        match self {
            Self::Slice => "slice",
            Self::Token => "token",
            Self::Item => "item",
            Self::Count => "count",
            Self::Identity => "identity",
            Self::Forward => "forward",
        }
    }
}

impl<'a> UpstreamCall<'a> {
    /// Begins to measure the duration of a call. `span` is the call's span in the trace.
    pub fn begin(asked: CallTarget<'a>, peer: &'a AskedPeer, span: Phase<'a>) -> Self {
        Self { asked, peer, status: None, bytes: 0, fault: None, began: clock::instant(), span }
    }

    /// Returns the value of the header `traceparent` for this call; `None` without a trace.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        self.span.traceparent()
    }

    /// Sets the status of the span and its attributes, which are the facts of the log line.
    fn describe(&mut self, peer: Option<SocketAddr>) {
        if !self.span.is_sampled() {
            return;
        }
        let asked = self.asked;
        self.span.attributes = vec![
            KeyValue::new("http.request.method", asked.method.as_str().to_owned()),
            KeyValue::new("url.path", asked.path.to_owned()),
            KeyValue::new("cursorgate.upstream", asked.upstream.to_owned()),
            KeyValue::new("cursorgate.kind", asked.kind.word()),
            KeyValue::new("http.response.body.size", i64::try_from(self.bytes).unwrap_or(i64::MAX)),
        ];
        if let Some(peer) = peer {
            let port = KeyValue::new("server.port", i64::from(peer.port()));
            self.span.attributes.extend([KeyValue::new("server.address", peer.ip().to_string()), port]);
        }
        if let Some(status) = self.status {
            self.span.attributes.push(KeyValue::new("http.response.status_code", i64::from(status)));
        }
        // In OpenTelemetry, a 4xx is an error of a client's span, but not of a server's span. A call with a 4xx has
        // therefore failed.
        let failed = self.status.is_none_or(|status| status >= 400);
        let word = || self.status.map_or_else(|| "no answer".into(), |status| status.to_string().into());
        self.span.fault = failed.then(word);
    }

    /// Returns the address of the peer, and the time since the start of the call. The address is `None` before a
    /// connection is open.
    pub fn so_far(&self) -> (Option<SocketAddr>, Duration) {
        (self.peer.address(), clock::instant().saturating_duration_since(self.began))
    }
}

impl Drop for UpstreamCall<'_> {
    fn drop(&mut self) {
        let (peer, took) = self.so_far();
        self.describe(peer);
        let CallTarget { request_id, upstream, metrics, kind, method, path, query } = self.asked;
        metrics.count(self.status, took);
        tracing::debug!(
            target: "cursorgate::upstream",
            request_id,
            upstream,
            peer = peer.map(tracing::field::display),
            kind = kind.word(),
            method = method.as_str(),
            path,
            // Values may be secrets, so the line has only names. Test:
            // `debug_shows_each_upstream_request_and_no_value`.
            parameters = names(query),
            status = self.status,
            fault = self.fault.as_deref().or_else(|| self.status.is_none().then_some("given up: the client has left")),
            bytes = self.bytes,
            duration_ms = millis(took),
            "asked the upstream"
        );
    }
}

/// Returns the names of a query's first [`MOST_NAMES`] parameters without their values, separated by spaces. A pair
/// without a name or without `=` is written as `?`, because it may be a value.
fn names(query: &str) -> String {
    let mut names = String::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()).take(MOST_NAMES) {
        if !names.is_empty() {
            names.push(' ');
        }
        match pair.split_once('=') {
            Some((name, _)) if !name.is_empty() => names.push_str(name),
            _ => names.push('?'),
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_names_of_parameters_and_no_values() {
        for (query, told) in [
            ("", ""),
            ("page=2&per_page=27", "page per_page"),
            ("filter%5Bname%5D=secret&sort=-id", "filter%5Bname%5D sort"),
            ("secret", "?"),
            ("=secret&&q=", "? q"),
        ] {
            assert_eq!(names(query), told, "{query}");
        }
    }
}
