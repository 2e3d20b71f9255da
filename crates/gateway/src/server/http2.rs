//! Connections of HTTP/2: many requests at a time, under the rules of HTTP/1.1.
//!
//! Pingora and `h2` read frames and heads, and this module adds limits. Each stream takes a place among the
//! connections, and memory for bytes that wait to be sent. A head must arrive within `server.head_timeout`, and a
//! client that floods is disconnected. The fields of a head are checked before its route is found
//! (`request::head::check_parsed`).

mod traffic;
mod wire;

use std::{future::poll_fn, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use h2::Reason;
use http::{HeaderValue, header};
use pingora::{
    BError,
    protocols::{
        Digest, Stream,
        http::{
            ServerSession,
            v2::server::{self, H2Accept, H2Options, HttpSession},
        },
    },
    server::ShutdownWatch,
};

use super::{
    admission::{AdmittedConnection, Dropped},
    application::Application,
};
use crate::{
    lifecycle::{
        live::Live,
        process::{InFlight, Stage, Vitals},
    },
    net::memory::MemoryShare,
    outcome::access_log::Outcome,
    runtime::{clock, futures::boxed},
    session::{context::RequestIds, respond},
};
use cursorgate_translate::downstream::{Code, Problem};
use wire::{Watched, Wire};

/// The largest number of requests on one connection. The connection then gets GOAWAY, and its memory is freed.
const REQUESTS_PER_CONNECTION: u32 = 10_000;

/// The largest number of requests on one connection that `h2` or Pingora may reject as malformed. One more malformed
/// request ends the connection.
const MALFORMED_REQUESTS: u32 = 32;

/// The largest number of bytes that wait to be sent on a stream. Further writes wait. Each stream holds this much of
/// `server.memory` until its last frame has been sent or it has been reset.
const SEND_BUFFER: usize = 32 << 10;

/// The largest number of bytes of a request's body that a client may send on one stream before they are read (RFC 9113
/// section 5.2).
const RECEIVE_WINDOW: u32 = 64 << 10;
/// The largest number of bytes of request bodies that a client may send on all streams of a connection before they are
/// read.
const RECEIVE_WINDOW_OF_ALL: u32 = 256 << 10;

/// The number of bytes by which the limit of `h2` exceeds `server.head_size`. Heads between the two limits are refused
/// with a problem and logged; `h2` refuses larger heads without a problem and without a log line.
const HEAD_MARGIN: usize = 16 << 10;

/// The longest time for sending the last frames of a connection, which then closes in any case. An idle connection also
/// stays open for this time after GOAWAY.
const CLOSING: Duration = Duration::from_secs(2);

type ServerConnection = h2::server::Connection<Stream, Bytes>;

/// The place and the memory of an open stream.
struct StreamHold {
    /// `None` for the first of the open streams, which uses the place of its connection.
    _place: Option<AdmittedConnection>,
    _held: MemoryShare,
}

/// A client's connection of HTTP/2: the shared state that its requests need, and its place.
pub(super) struct Multiplexed<'a> {
    pub live: &'a Live,
    pub vitals: &'a Vitals,
    pub ids: &'a RequestIds,
    pub place: &'a AdmittedConnection,
}

/// The reason that a connection ends.
enum ConnectionEnd {
    /// The client or the network closed the connection, or another client displaced it.
    Over,
    /// The connection had no request for `server.idle_timeout`, or for [`CLOSING`] after GOAWAY.
    Idle,
    /// The client broke a limit.
    Abused(Dropped),
}

impl Multiplexed<'_> {
    /// Serves requests until the connection ends. `prefix` contains the bytes that have already been read from the
    /// stream. `expected` makes the process wait for the client until its first request has been answered.
    pub(super) async fn serve<A: Application>(
        &self,
        app: &Arc<A>,
        stream: Stream,
        prefix: BytesMut,
        expected: Option<InFlight>,
        shutdown: &mut ShutdownWatch,
    ) {
        let digest = Arc::new(Digest {
            ssl_digest: stream.get_ssl_digest(),
            timing_digest: stream.get_timing_digest(),
            proxy_digest: stream.get_proxy_digest(),
            socket_digest: stream.get_socket_digest(),
        });
        let watched = Watched::new();
        let wire = Box::new(Wire::new(prefix, stream, Arc::clone(&watched)));
        let (options, patience) = {
            let server = &self.live.pin().server;
            (options(server.streams_per_connection, server.head_size), server.head_timeout)
        };
        let greeted = tokio::select! {
            greeted = tokio::time::timeout(patience, server::handshake(wire, Some(options))) => greeted,
            _ = self.place.displaced() => return,
        };
        let mut connection = match greeted {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => return self.place.admission().count(Dropped::HeadCut),
            Err(_) => return self.place.admission().count(Dropped::HeadTimeout),
        };
        let ending = self.accept(app, &mut connection, &digest, &watched, expected, shutdown).await;
        match ending {
            ConnectionEnd::Over => return,
            ConnectionEnd::Idle => connection.graceful_shutdown(),
            ConnectionEnd::Abused(reason) => {
                self.place.admission().count(reason);
                connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
        }
        // A client that does not read the last frames in time loses them.
        let _ = tokio::time::timeout(CLOSING, poll_fn(|context| connection.poll_closed(context))).await;
    }

    /// Accepts requests until there is a reason to end. Each iteration of the loop follows a request, the beginning of
    /// a drain, or a change in the traffic, which [`traffic`] bounds.
    async fn accept<A: Application>(
        &self,
        app: &Arc<A>,
        connection: &mut ServerConnection,
        digest: &Arc<Digest>,
        watched: &Watched,
        mut expected: Option<InFlight>,
        shutdown: &mut ShutdownWatch,
    ) -> ConnectionEnd {
        let mut streams: Vec<StreamHold> = Vec::new();
        let (mut accepted, mut malformed) = (0_u32, 0_u32);
        let (mut is_busy, mut is_stopping) = (false, false);
        // From this stage on each answer of HTTP/1.1 closes its connection, and clients of HTTP/2 get GOAWAY.
        let mut drains = std::pin::pin!(self.vitals.reached(Stage::Draining));
        self.place.rest();
        loop {
            let (open, is_flooded) = {
                let traffic = watched.traffic();
                (traffic.open(), traffic.is_flooded())
            };
            if is_flooded {
                return ConnectionEnd::Abused(Dropped::Flood);
            }
            // Streams that have ended free their places and memory. The holds after the first are alike, so it doesn't
            // matter which of them are dropped. The first uses the place of the connection, and is dropped last.
            streams.truncate(open);
            if is_busy && open == 0 {
                is_busy = false;
                self.place.rest();
            }
            let session = tokio::select! {
                biased;
                () = &mut drains, if !is_stopping => {
                    // `h2` still accepts requests that are on their way (RFC 9113 section 6.8), so the loop continues.
                    is_stopping = true;
                    connection.graceful_shutdown();
                    continue;
                }
                // The traffic is polled before the next request, so a flood ends the connection even if the client also
                // sends requests. Test: `a_client_that_floods_is_disconnected`.
                () = watched.changed() => continue,
                stream = HttpSession::from_h2_conn(connection, Arc::clone(digest)) => match stream {
                    Ok(Some(H2Accept::Session(session))) => session,
                    // The request is logged and counted here, like a refused head of HTTP/1.1. Test:
                    // `heads_are_refused_as_by_http1`.
                    Ok(Some(H2Accept::Rejected)) if malformed < MALFORMED_REQUESTS => {
                        malformed += 1;
                        self.log_malformed();
                        continue;
                    }
                    Ok(Some(H2Accept::Rejected)) => return ConnectionEnd::Abused(Dropped::Flood),
                    // Only `h2` counts the streams that are reset before they are accepted, so its error shows this
                    // kind of flood. Test: `a_client_that_resets_its_requests_is_disconnected`.
                    Err(error) if is_calmed(&error) => return ConnectionEnd::Abused(Dropped::Flood),
                    Ok(None) | Err(_) => return ConnectionEnd::Over,
                },
                end = self.late(watched, is_stopping) => return end,
            };
            is_busy = true;
            // Another client may have taken the place when the request arrived. The connection then ends.
            if !self.place.begin() {
                return ConnectionEnd::Over;
            }
            accepted += 1;
            if accepted == REQUESTS_PER_CONNECTION {
                is_stopping = true;
                connection.graceful_shutdown();
            }
            streams.extend(self.begin(app, session, streams.is_empty(), expected.take(), shutdown));
        }
    }

    /// Waits until another client has taken the place, a head is late, or the connection has been idle for too long.
    async fn late(&self, watched: &Watched, is_stopping: bool) -> ConnectionEnd {
        let (open, incomplete_since) = {
            let traffic = watched.traffic();
            (traffic.open(), traffic.incomplete_since())
        };
        let (idle, patience) = {
            let server = &self.live.pin().server;
            (if is_stopping { CLOSING } else { server.idle_timeout }, server.head_timeout)
        };
        // The deadline counts from the first byte of the head. Test: `a_head_that_drips_is_cut_by_http2_too`.
        let left = incomplete_since.map(|since| (since + patience).saturating_duration_since(clock::instant()));
        tokio::select! {
            _ = self.place.displaced() => ConnectionEnd::Over,
            () = tokio::time::sleep(left.unwrap_or_default()), if left.is_some() => {
                ConnectionEnd::Abused(Dropped::HeadTimeout)
            }
            () = tokio::time::sleep(idle), if open == 0 => ConnectionEnd::Idle,
        }
    }

    /// Serves a request in a task of its own. If there is no place or no memory for the request, refuses it with
    /// `REFUSED_STREAM` and returns `None`. The client may then try again (RFC 9113 section 8.7).
    fn begin<A: Application>(
        &self,
        app: &Arc<A>,
        mut session: HttpSession,
        is_first: bool,
        expected: Option<InFlight>,
        shutdown: &ShutdownWatch,
    ) -> Option<StreamHold> {
        // A client may leave a whole buffer of each stream unread, so the memory of a buffer is taken in advance. Test:
        // `slow_readers_by_http2_take_bounded_memory`.
        let held = self.live.pin().memory.share();
        // Each request takes a place, as a connection of its own would. Test: `streams_take_the_places_of_connections`.
        let place = if is_first { Ok(None) } else { self.place.further().map(Some) };
        let (Ok(place), Ok(())) = (place, held.take(SEND_BUFFER)) else {
            session.shutdown_with_reason(Reason::REFUSED_STREAM);
            return None;
        };
        as_http1(&mut session);
        let (app, shutdown) = (Arc::clone(app), shutdown.clone());
        tokio::spawn(async move {
            boxed(|| app.serve(Box::new(ServerSession::new_http2(session)), &shutdown)).await;
            drop(expected);
        });
        Some(StreamHold { _place: place, _held: held })
    }

    /// Logs and counts a request that `h2` or Pingora has rejected because its head is malformed.
    fn log_malformed(&self) {
        let snapshot = self.live.pin();
        let mut outcome = Outcome::begin(self.ids.next(), Arc::clone(&snapshot.metrics));
        outcome.client = Some(self.place.address());
        let problem = Problem::new(Code::RequestInvalid, "the head of the request is malformed");
        let response = respond::refuse(&problem, None, &snapshot, &mut outcome);
        (outcome.status, outcome.detail) = (response.status, Some(problem.detail));
    }
}

/// Returns whether `h2` has ended a connection with `ENHANCE_YOUR_CALM`: too many streams were reset before they were
/// accepted, a head had too many frames, or there were too many errors.
fn is_calmed(error: &BError) -> bool {
    let root: &(dyn std::error::Error + 'static) = error.root_cause();
    let error = root.downcast_ref::<h2::Error>();
    error.is_some_and(|error| error.is_library() && error.reason() == Some(Reason::ENHANCE_YOUR_CALM))
}

fn options(streams: u32, head_size: usize) -> H2Options {
    let mut options = server::default_h2_options();
    options
        .max_concurrent_streams(streams)
        // A small compressed head may decode to a large head, so the limit is on the decoded size. Test:
        // `an_endless_head_takes_bounded_memory`.
        .max_header_list_size(u32::try_from(head_size.saturating_add(HEAD_MARGIN)).unwrap_or(u32::MAX))
        .max_send_buffer_size(SEND_BUFFER)
        .initial_window_size(RECEIVE_WINDOW)
        .initial_connection_window_size(RECEIVE_WINDOW_OF_ALL);
    options
}

/// Changes a head to the form of HTTP/1.1: the authority becomes `Host` (RFC 9113 section 8.3.1), and the lines of
/// cookies become one (section 8.2.3), because upstreams may read only the first line. Test:
/// `forwarded_requests_are_of_http1`.
fn as_http1(session: &mut HttpSession) {
    let head = session.req_header_mut();
    let host = head.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        // Pingora has already refused a `Host` that differs from the authority. Insertion fails only for invalid names,
        // so the error is ignored.
        let _ = head.insert_header(header::HOST, host);
    }
    let cookies: Vec<&[u8]> = head.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1
        && let Ok(all) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
    {
        let _ = head.insert_header(header::COOKIE, all);
    }
}
