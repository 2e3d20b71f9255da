//! An exchange with an upstream: on a connection of HTTP/1.1, or on a stream of HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Uri, Version, header, uri::Scheme};
use pingora::{
    BError,
    http::{RequestHeader, ResponseHeader},
    protocols::{
        Digest,
        http::{client::HttpSession, v1, v2},
    },
};

/// Pingora's session of an exchange, by protocol.
pub(super) enum PeerSession {
    /// A connection of HTTP/1.1.
    Http1(Box<v1::client::HttpSession>),
    /// A stream of HTTP/2 (RFC 9113), and the bytes of its body that were read last.
    Http2(Box<v2::client::Http2Session>, Bytes),
}

/// Headers about a connection of HTTP/1.1, which a request of HTTP/2 can't have (RFC 9113 section 8.2.2), and `Host`,
/// which `:authority` replaces.
const OF_HTTP1: [HeaderName; 6] = [
    header::CONNECTION,
    header::HOST,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

impl PeerSession {
    /// Wraps a session of Pingora; returns `None` for a protocol other than HTTP/1.1 and HTTP/2.
    pub(super) fn of(session: HttpSession) -> Option<Self> {
        match session {
            HttpSession::H1(session) => Some(Self::Http1(Box::new(session))),
            HttpSession::H2(session) => Some(Self::Http2(Box::new(session), Bytes::new())),
            HttpSession::Custom(()) => None,
        }
    }

    /// Returns Pingora's session, to put it back into the pool.
    pub(super) fn into_inner(self) -> HttpSession {
        match self {
            Self::Http1(session) => HttpSession::H1(*session),
            Self::Http2(session, _) => HttpSession::H2(*session),
        }
    }

    /// Sets the maximum time of each read, where `None` is unlimited, and of each write.
    pub(super) fn limit(&mut self, read: Option<Duration>, write: Duration) {
        match self {
            Self::Http1(session) => (session.read_timeout, session.write_timeout) = (read, Some(write)),
            Self::Http2(session, _) => (session.read_timeout, session.write_timeout) = (read, Some(write)),
        }
    }

    pub(super) fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Http1(session) => Some(session.digest()),
            Self::Http2(session, _) => session.digest(),
        }
    }

    /// Sends the head of a request. In HTTP/2 the head also ends the stream if no body follows.
    pub(super) async fn send(&mut self, head: Box<RequestHeader>) -> Result<(), BError> {
        match self {
            Self::Http1(session) => session.write_request_header(head).await.map(drop),
            Self::Http2(session, _) => {
                let is_secret = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
                // Without a body the stream ends with its head, so the upstream doesn't wait for more.
                let has_body = announces_body(&head);
                session.write_request_header(as_http2(head, is_secret)?, !has_body)
            }
        }
    }

    /// Sends a part of a request's body.
    pub(super) async fn send_body(&mut self, body: &[u8]) -> Result<(), BError> {
        match self {
            Self::Http1(session) => {
                session.maybe_upgrade_body_writer();
                session.write_body(body).await.map(drop)
            }
            // An empty part would be a useless frame, so it isn't sent.
            Self::Http2(..) if body.is_empty() => Ok(()),
            Self::Http2(session, _) => session.write_request_body(Bytes::copy_from_slice(body), false).await,
        }
    }

    /// Ends the body of a request.
    pub(super) async fn finish(&mut self) -> Result<(), BError> {
        match self {
            Self::Http1(session) => session.finish_body().await.map(drop),
            Self::Http2(session, _) => session.finish_request_body(),
        }
    }

    /// Reads the next head of an answer. HTTP/2 skips informational heads.
    pub(super) async fn read_head(&mut self) -> Result<(), BError> {
        match self {
            Self::Http1(session) => session.read_response().await.map(drop),
            Self::Http2(session, _) => session.read_response_header().await,
        }
    }

    /// Returns the head that was read last; `None` before the first one.
    pub(super) fn head(&self) -> Option<&ResponseHeader> {
        match self {
            Self::Http1(session) => session.resp_header(),
            Self::Http2(session, _) => session.response_header(),
        }
    }

    /// Returns the raw bytes of the HTTP/1.1 head that was read last; `None` for HTTP/2.
    pub(super) fn raw_head(&self) -> Option<Bytes> {
        match self {
            Self::Http1(session) => Some(session.get_headers_raw_bytes()),
            Self::Http2(..) => None,
        }
    }

    /// Returns the next bytes of the body; `None` at its end.
    pub(super) async fn body(&mut self) -> Result<Option<&[u8]>, BError> {
        match self {
            Self::Http1(session) => session.read_body_ref().await,
            Self::Http2(session, last) => match session.read_response_body().await? {
                Some(bytes) => {
                    *last = bytes;
                    Ok(Some(last))
                }
                None => Ok(None),
            },
        }
    }

    /// Returns the next bytes of the body and whether they are the last.
    pub(super) async fn body_part(&mut self) -> Result<(Bytes, bool), BError> {
        match self {
            Self::Http1(session) => {
                let read = session.read_body_bytes().await?;
                Ok((read.unwrap_or_default(), session.is_body_done()))
            }
            Self::Http2(session, _) => {
                let read = session.read_response_body().await?;
                // A stream that was reset also looks finished, and only the next read returns the error. Test:
                // `a_stream_that_is_reset_fails_one_request`.
                let ends = read.is_none() || (session.response_finished() && session.check_response_end_or_error()?);
                Ok((read.unwrap_or_default(), ends))
            }
        }
    }

    /// Returns whether the body has ended.
    pub(super) fn is_body_done(&mut self) -> bool {
        match self {
            Self::Http1(session) => session.is_body_done(),
            Self::Http2(session, _) => {
                // As in `body_part`, a stream that was reset also looks finished, so the kind of its end is checked.
                session.response_finished() && session.check_response_end_or_error().unwrap_or(false)
            }
        }
    }

    /// Returns whether bytes arrived after the end of an HTTP/1.1 answer. Pingora shows only that it wouldn't use the
    /// connection again. Surplus bytes are the cause if the answer gives no other reason: its version is HTTP/1.1, and
    /// it has a length or chunks, but no `Connection` header.
    pub(super) fn has_surplus(&mut self) -> bool {
        let Self::Http1(session) = self else { return false };
        session.respect_keepalive();
        if session.will_keepalive() || !session.is_body_done() || session.was_upgraded() {
            return false;
        }
        session.resp_header().is_some_and(|head| {
            let is_framed =
                [header::CONTENT_LENGTH, header::TRANSFER_ENCODING].iter().any(|name| head.headers.contains_key(name));
            let says_otherwise = head.headers.contains_key(header::CONNECTION);
            head.version == Version::HTTP_11 && is_framed && !says_otherwise
        })
    }

    pub(super) fn is_http1(&self) -> bool {
        matches!(self, Self::Http1(_))
    }

    /// Returns whether the upstream accepted an upgrade. HTTP/2 has no upgrades.
    pub(super) fn was_upgraded(&self) -> bool {
        match self {
            Self::Http1(session) => session.was_upgraded(),
            Self::Http2(..) => false,
        }
    }
}

/// Returns whether a request has a body: its head states a length other than 0, or a transfer coding.
fn announces_body(head: &RequestHeader) -> bool {
    let length = head.headers.get(header::CONTENT_LENGTH);
    length.is_some_and(|length| length != "0") || head.headers.contains_key(header::TRANSFER_ENCODING)
}

/// Converts the head of a request to HTTP/2: the target contains the scheme and the authority, and headers about the
/// connection are removed. `is_secret` selects the scheme `https`.
fn as_http2(mut head: Box<RequestHeader>, is_secret: bool) -> Result<Box<RequestHeader>, BError> {
    let fault = |reason: String| pingora::Error::explain(pingora::ErrorType::InvalidHTTPHeader, reason);
    let host = head.headers.get(header::HOST).map(|host| host.as_bytes().to_vec()).unwrap_or_default();
    let path = String::from_utf8_lossy(head.raw_path()).into_owned();
    let scheme = if is_secret { Scheme::HTTPS } else { Scheme::HTTP };
    let target = Uri::builder().scheme(scheme).authority(host.as_slice()).path_and_query(path.as_str()).build();
    head.set_uri(target.map_err(|error| fault(format!("the request can't be sent by HTTP/2: {error}")))?);
    for name in &OF_HTTP1 {
        head.remove_header(name);
    }
    Ok(head)
}
