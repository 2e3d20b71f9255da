//! The relay between a client and an upstream: the request's body in one direction, the answer in the other, and after
//! a switch of protocols bytes in both. Every wait has a bound:
//!
//! - The head of an answer has `timeouts.forwarded`, counted from the end of the request.
//! - A client's body, and an answer of known length, have `timeouts.whole` plus the time that their rate earns
//!   ([`Patience`]).
//! - Any answer also ends after a silence of `timeouts.forwarded`. An answer of unknown length may be a stream, so it
//!   has no other limit.
//! - Event streams and upgraded connections may be silent for an hour.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version, header};
use pingora::{
    BError, ErrorType,
    http::{RequestHeader, ResponseHeader},
    protocols::http::ServerSession,
};

use super::{passing::PassedAnswer, patience::Patience};
use crate::{
    net::{
        connection::{AnswerPart, Connection, LOOK},
        error::FetchError,
    },
    runtime::clock,
};
use cursorgate_config::settings::Timeouts;

/// The longest silence of WebSockets and event streams. A stream that is silent for longer is closed.
pub const STREAM_SILENCE: Duration = Duration::from_secs(3_600);

/// The reasons for which a client doesn't get a whole answer.
#[derive(Debug)]
pub enum RelayFault {
    /// The upstream's answer is missing or incomplete.
    Upstream(FetchError),
    /// The request's body arrives too slowly or is malformed. The text explains the fault to the client.
    Body(&'static str),
    /// The upstream's answer is dropped, and the request is repeated after this pause. The client has got no part of
    /// the answer.
    Again(Duration),
    /// The head of a request or an answer can't be written, for example because of an invalid header.
    Head(BError),
    /// The client has closed its connection, or reset its stream.
    Gone,
    /// The client has read nothing for longer than the write timeout.
    Stalled,
}

/// The progress of the request.
#[derive(Debug)]
enum Upload {
    /// The body is arriving. The value is the time that the client has left.
    Sending(Patience),
    Sent,
    /// The upstream doesn't read the rest of the body. The value is the error of the failed write. The upstream's
    /// answer may have arrived already, or may still arrive.
    Refused(FetchError),
}

/// The progress of the answer.
#[derive(Debug)]
enum Download {
    /// The head hasn't arrived. The value is the time left for the head.
    Awaited(Duration),
    /// The body is arriving.
    Streaming {
        /// The longest silence that is allowed.
        silence: Duration,
        /// The time left of the current silence.
        left: Duration,
        /// The time left by the rate of the body; `None` if the body's length is unknown.
        pace: Option<Patience>,
    },
    /// The connection has switched to another protocol. The value is the time for which the connection may still be
    /// silent.
    Upgraded(Duration),
    Ended,
}

/// The largest length of an answer that is read as one part, in bytes. A longer answer is counted with [`STREAMING`].
const PART: u64 = 64 << 10;

/// The memory in bytes that is counted for an answer longer than [`PART`]: one part is written while the next one is
/// read. In a measurement, a slow reader of 20 MB held 190 KiB. A request with this addition can't use the last quarter
/// of `server.memory`. Test: `slow_readers_of_forwarded_answers_leave_room_for_others`.
const STREAMING: usize = 128 << 10;

/// The state of one exchange between a client and an upstream.
struct Relay {
    timeouts: Timeouts,
    upload: Upload,
    download: Download,
    /// `true` while the client's connection is read. Only a read notices the client's data and the end of the
    /// connection.
    watches: bool,
}

/// The next event of an exchange.
enum Heard {
    Client(Result<Option<Bytes>, BError>),
    Upstream(Result<AnswerPart, FetchError>),
    /// The time limit of the current wait has passed, or it is time to examine the connection.
    Nothing,
}

/// Relays the bodies of a request and of its answer until both have ended. `sent` is the part of the request's body
/// that the gateway has already read from the client. Returns whether the connection to the upstream can be reused.
///
/// # Errors
///
/// Returns a [`RelayFault`] if the client doesn't get the whole answer.
pub async fn relay(
    session: &mut ServerSession,
    connection: &mut Connection,
    timeouts: Timeouts,
    sent: Option<Bytes>,
    passing: &mut PassedAnswer<'_>,
) -> Result<bool, RelayFault> {
    let upload = Upload::Sending(Patience::new(timeouts.whole));
    let mut relay = Relay { timeouts, upload, download: Download::Awaited(timeouts.forwarded), watches: true };
    let ended = session.is_body_done();
    relay.send(connection, sent.unwrap_or_default(), ended).await;
    loop {
        let before = clock::instant();
        let heard = relay.hear(session, connection).await;
        relay.waited(clock::instant().saturating_duration_since(before));
        let goes_on = match heard {
            Heard::Client(body) => relay.client(session, connection, body).await?,
            Heard::Upstream(Ok(part)) => relay.upstream(session, connection, part, passing).await?,
            Heard::Upstream(Err(error)) => return Err(RelayFault::Upstream(relay.cause(error))),
            Heard::Nothing if !relay.patience().is_zero() => match connection.loss() {
                Some(loss) => return Err(RelayFault::Upstream(relay.cause(loss))),
                None => true,
            },
            Heard::Nothing => relay.late()?,
        };
        if !goes_on {
            return Ok(false);
        }
        if let (Upload::Sent | Upload::Refused(_), Download::Ended) = (&relay.upload, &relay.download) {
            // A connection on which the rest of a body is missing can't be used for another request.
            return Ok(matches!(relay.upload, Upload::Sent));
        }
    }
}

impl Relay {
    /// Waits for the next event, for at most [`Self::patience`]. On a kept connection, the wait for an answer is
    /// interrupted at intervals if the request can be sent again.
    async fn hear(&self, session: &mut ServerSession, connection: &mut Connection) -> Heard {
        let is_upgraded = matches!(self.download, Download::Upgraded(_));
        let sends = is_upgraded || matches!(self.upload, Upload::Sending(_));
        // Once the upstream has refused the body, the rest of the body stays unread.
        let watches = self.watches && (is_upgraded || !matches!(self.upload, Upload::Refused(_)));
        let examines = connection.is_reused
            && matches!((&self.upload, &self.download), (Upload::Sent, Download::Awaited(_)))
            && repeats(session);
        let wait = if examines { self.patience().min(LOOK) } else { self.patience() };
        tokio::select! {
            body = session.read_body_or_idle(!sends), if watches => Heard::Client(body),
            part = connection.next(), if !matches!(self.download, Download::Ended) => Heard::Upstream(part),
            () = tokio::time::sleep(wait) => Heard::Nothing,
        }
    }

    /// Returns the time for which the exchange may still be silent. While the client sends its body, only the client's
    /// time counts, because the upstream may be waiting for the body. Test: `a_client_may_pause_within_its_upload`.
    fn patience(&self) -> Duration {
        match (&self.upload, &self.download) {
            (_, Download::Upgraded(left)) => *left,
            (Upload::Sending(pace), _) => pace.left(),
            (_, Download::Awaited(left)) => *left,
            (_, Download::Streaming { left, pace, .. }) => pace.map_or(*left, |pace| pace.left().min(*left)),
            (_, Download::Ended) => Duration::ZERO,
        }
    }

    /// Subtracts a wait from the time left to the side that was waited for.
    fn waited(&mut self, time: Duration) {
        match (&mut self.upload, &mut self.download) {
            (_, Download::Upgraded(left)) => *left = left.saturating_sub(time),
            (Upload::Sending(pace), _) => pace.waited(time),
            (_, Download::Awaited(left)) => *left = left.saturating_sub(time),
            (_, Download::Streaming { left, pace, .. }) => {
                *left = left.saturating_sub(time);
                if let Some(pace) = pace {
                    pace.waited(time);
                }
            }
            (_, Download::Ended) => {}
        }
    }

    /// Returns the fault of an exchange that was silent for too long. A silent upgraded connection, and an exchange
    /// whose answer has ended, end without a fault, with `Ok(false)`.
    fn late(&self) -> Result<bool, RelayFault> {
        let Timeouts { forwarded, .. } = self.timeouts;
        let late = match (&self.upload, &self.download) {
            (_, Download::Upgraded(_) | Download::Ended) => return Ok(false),
            // The upstream may be waiting for the rest of the body. Test: `a_request_that_drips_is_refused_in_time`.
            (Upload::Sending(_), _) => return Err(RelayFault::Body("the request's body came too slowly")),
            (_, Download::Awaited(_)) => format!("no whole head within {forwarded:?}"),
            (_, Download::Streaming { .. }) => "the answer stopped, or came too slowly".to_owned(),
        };
        Err(RelayFault::Upstream(self.cause(FetchError::Timeout(late))))
    }

    /// Returns the error that came first. If the upstream refused the body, the refusal explains why the answer broke
    /// off.
    fn cause(&self, error: FetchError) -> FetchError {
        match &self.upload {
            Upload::Refused(first) => first.clone(),
            Upload::Sending(_) | Upload::Sent => error,
        }
    }

    /// Relays a part of the request's body, or bytes of an upgraded connection, to the upstream. Returns whether the
    /// exchange continues.
    async fn client(
        &mut self,
        session: &mut ServerSession,
        connection: &mut Connection,
        body: Result<Option<Bytes>, BError>,
    ) -> Result<bool, RelayFault> {
        let is_upgraded = matches!(self.download, Download::Upgraded(_));
        let error = match body {
            Ok(None) if is_upgraded => return Ok(false),
            Ok(Some(bytes)) if is_upgraded => {
                self.download = Download::Upgraded(STREAM_SILENCE);
                return connection.send_body(&bytes).await.map(|()| true).map_err(RelayFault::Upstream);
            }
            Ok(body) => {
                // HTTP/2 trailers follow the last part of a body, and are dropped. A read without a part means that the
                // body has ended.
                let ended = body.is_none() || session.is_body_done();
                self.send(connection, body.unwrap_or_default(), ended).await;
                return Ok(true);
            }
            Err(error) => error,
        };
        match error.root_etype() {
            // The client sent bytes after its request, and one of them was read. This request is complete, but no later
            // request can be read from the connection. Test:
            // `a_forwarded_request_is_answered_though_its_client_sends_on`.
            ErrorType::ConnectError if matches!(self.upload, Upload::Sent) => {
                self.watches = false;
                session.set_keepalive(None);
                Ok(true)
            }
            // `H2Error` is Pingora's error for a stream that the client has reset.
            ErrorType::ConnectionClosed | ErrorType::ReadError | ErrorType::H2Error => Err(RelayFault::Gone),
            ErrorType::ReadTimedout => Err(RelayFault::Body("the request's body came too slowly")),
            _ => Err(RelayFault::Body("the request's body can't be read")),
        }
    }

    /// Sends a part of the request's body to the upstream, and ends the body after the last part. A failed write makes
    /// the upload [`Upload::Refused`].
    async fn send(&mut self, connection: &mut Connection, bytes: Bytes, ended: bool) {
        let Upload::Sending(pace) = &mut self.upload else { return };
        pace.sent(bytes.len());
        let mut taken = if bytes.is_empty() { Ok(()) } else { connection.send_body(&bytes).await };
        if taken.is_ok() && ended {
            taken = connection.finish().await;
            self.upload = Upload::Sent;
        }
        if let Err(error) = taken {
            self.upload = Upload::Refused(error);
        }
    }

    /// Relays a part of the upstream's answer to the client. Returns whether the exchange continues.
    async fn upstream(
        &mut self,
        session: &mut ServerSession,
        connection: &Connection,
        part: AnswerPart,
        passing: &mut PassedAnswer<'_>,
    ) -> Result<bool, RelayFault> {
        match part {
            // HTTP/1.0 has no informational responses (RFC 9110 section 15.2), so the head is dropped.
            AnswerPart::Informational(head) if session.req_header().version < Version::HTTP_11 => drop(head),
            // The time limit of the head continues to run, because informational heads must not extend it. Test:
            // `informational_answers_that_drip_time_out`.
            AnswerPart::Informational(mut head) => {
                passing.early_head(&mut head);
                session.write_response_header(head).await.map_err(|error| unread(&error))?;
            }
            AnswerPart::Head(mut head, _) if head.status == StatusCode::SWITCHING_PROTOCOLS => {
                passing.early_head(&mut head);
                session.write_response_header(head).await.map_err(|error| unread(&error))?;
                self.download = Download::Upgraded(STREAM_SILENCE);
            }
            AnswerPart::Head(mut head, ends) => {
                if let Some(pause) = passing.retries.judge(&connection.peer, &head) {
                    return Err(RelayFault::Again(pause));
                }
                self.download =
                    if ends { Download::Ended } else { self.streaming(&head.headers, session.req_header()) };
                if !ends && !is_short(&head.headers) {
                    passing.held.take(STREAMING).map_err(|full| RelayFault::Upstream(full.into()))?;
                }
                // Cached pages are purged before the client learns that its write succeeded.
                passing.purge(session.req_header(), head.status).await;
                passing.emit(&mut head).await;
                passing.head(session.req_header(), &mut head, !ends).map_err(RelayFault::Head)?;
                let memory = passing.links.as_ref().map_or(0, |links| links.memory());
                passing.held.take(memory).map_err(|full| RelayFault::Upstream(full.into()))?;
                self.close_early(session, &head, passing);
                session.write_response_header(head).await.map_err(|error| unread(&error))?;
            }
            AnswerPart::Body(bytes, ends) => {
                let is_upgraded = matches!(self.download, Download::Upgraded(_));
                self.received(bytes.len());
                let bytes = passing
                    .body(bytes, ends)
                    .await
                    .map_err(|error| RelayFault::Upstream(FetchError::Malformed(format!("gzip: {error}"))))?;
                if !bytes.is_empty() {
                    session.write_response_body(bytes, false).await.map_err(|error| unread(&error))?;
                }
                // The body of an upgraded connection has no end that could be relayed, so the connection is closed
                // instead. Test: `bytes_after_a_switch_of_protocols_come_from_the_upstream_alone`.
                if ends && is_upgraded {
                    return Ok(false);
                }
                if ends {
                    self.download = Download::Ended;
                }
            }
        }
        if let Download::Ended = self.download {
            // The client gets the end of the answer now, although the client may still be sending its body.
            session.write_response_body(Bytes::new(), true).await.map_err(|error| unread(&error))?;
        }
        Ok(true)
    }

    /// Returns the time limits for the body of an answer with these headers. Test:
    /// `streams_live_as_long_as_bytes_arrive`.
    fn streaming(&self, answer: &HeaderMap, asked: &RequestHeader) -> Download {
        let is_events = |value: &[u8]| value.trim_ascii_start().to_ascii_lowercase().starts_with(b"text/event-stream");
        let streams = answer.get(header::CONTENT_TYPE).is_some_and(|value| is_events(value.as_bytes()));
        let silence = if streams || takes_events(&asked.headers) { STREAM_SILENCE } else { self.timeouts.forwarded };
        let pace = answer.contains_key(header::CONTENT_LENGTH).then(|| Patience::new(self.timeouts.whole));
        Download::Streaming { silence, left: silence, pace }
    }

    /// Restarts the limit of silence after `bytes` bytes from the upstream. In an answer of known length, the bytes
    /// also earn time.
    fn received(&mut self, bytes: usize) {
        match &mut self.download {
            Download::Streaming { silence, left, pace } => {
                *left = *silence;
                if let Some(pace) = pace {
                    pace.sent(bytes);
                }
            }
            Download::Upgraded(left) => *left = STREAM_SILENCE,
            Download::Awaited(_) | Download::Ended => {}
        }
    }

    /// Announces `Connection: close` in the answer if no other request can follow on the connection. There are four
    /// reasons: part of a body may still arrive, the client has sent bytes after its request, the end of the connection
    /// ends the answer, or the process is stopping.
    fn close_early(&self, session: &mut ServerSession, head: &ResponseHeader, passing: &PassedAnswer<'_>) {
        let asked = session.req_header();
        // A client that waits for `100 Continue` but gets a final answer may or may not send its body, so the next
        // bytes on the connection are ambiguous.
        let may_send = matches!(self.upload, Upload::Sending(_))
            && asked.headers.contains_key(header::EXPECT)
            && session.response_written().is_none();
        let ends = asked.version < Version::HTTP_11 && !head.headers.contains_key(header::CONTENT_LENGTH);
        // The head is the last moment at which `Connection: close` can be announced. The process may have begun to stop
        // while the upstream was working on the answer.
        if may_send || ends || passing.gateway.vitals.is_stopping() || passing.surplus.is_there() {
            session.set_keepalive(None);
        }
    }
}

/// Returns whether a request can be sent again: its method is idempotent, the client has got no part of an answer, and
/// the body is still in Pingora's buffer.
pub fn repeats(session: &ServerSession) -> bool {
    session.req_header().method.is_idempotent()
        && session.response_written().is_none()
        && !session.retry_buffer_truncated()
}

/// Returns whether a client accepts event streams. `Accept` lists media types with parameters, separated by commas (RFC
/// 9110 section 12.5.1).
pub fn takes_events(headers: &HeaderMap) -> bool {
    let accepted =
        headers.get_all(header::ACCEPT).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    let mut types = accepted.filter_map(|range| range.split(|byte| *byte == b';').next());
    types.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
}

/// Returns whether an answer is known to fit into one part of [`PART`] bytes.
fn is_short(answer: &HeaderMap) -> bool {
    let length = answer.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length <= PART)
}

/// Returns the fault of a failed write to a client.
fn unread(error: &BError) -> RelayFault {
    match error.root_etype() {
        ErrorType::WriteTimedout => RelayFault::Stalled,
        _ => RelayFault::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_streams_are_recognised_anywhere_in_accept() {
        let takes = |accept: &str| takes_events(&HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]));
        for accept in
            ["text/event-stream", "application/json, text/event-stream", "*/*;q=0.1,Text/Event-Stream ;charset=utf-8"]
        {
            assert!(takes(accept), "{accept}");
        }
        for accept in ["", "*/*", "text/html", "application/json;profile=\"text/event-stream\"", "text/event-streams"] {
            assert!(!takes(accept), "{accept}");
        }
    }
}
