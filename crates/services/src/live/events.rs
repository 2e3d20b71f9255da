//! Sends a live page as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, header};
use pingora::{ErrorType, protocols::http::ServerSession};

use super::{
    group::{LiveEvent, Subscription},
    history::LivePageEnd,
    message::Farewell,
    request::EVENTS,
    stay::LiveStay,
};
use cursorgate_gateway::{
    lifecycle::process::Stage,
    net::memory::MemoryShare,
    outcome::access_log::Outcome,
    session::{respond::write_part, service::Conversation},
};
use cursorgate_translate::downstream::Response;

/// A comment of an event stream, which keeps the connection alive. Clients ignore it.
const HEARTBEAT: &[u8] = b":\n\n";

/// The longest time for the write of the last event, and for a write that is under way when the process closes. After
/// that, the write is given up.
const LAST: Duration = Duration::from_secs(1);

/// The event stream of one subscriber.
pub(super) struct EventStream {
    pub(super) subscription: Subscription,
    pub(super) stay: LiveStay,
}

/// The reason that a stream ends.
enum StreamEnd {
    Gone,
    Stalled,
    /// The page was refused, and the final error has been sent.
    Refused,
    Farewell(Farewell),
}

impl StreamEnd {
    const fn word(&self) -> &'static str {
        match self {
            Self::Gone => "client",
            Self::Stalled => "stall",
            Self::Refused => "refusal",
            Self::Farewell(farewell) => farewell.word(),
        }
    }
}

/// Returns the head of the response with an event stream.
pub(super) fn head() -> Response {
    let mut response = Response::new(200, Vec::new());
    let headers = &mut response.headers;
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENTS));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Without this header nginx buffers the events,
    // <https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering>.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[async_trait]
impl Conversation for EventStream {
    async fn hold(mut self: Box<Self>, session: &mut ServerSession, held: &MemoryShare, outcome: &mut Outcome) {
        let end = self.stream(session, held).await;
        if let StreamEnd::Farewell(farewell) = &end {
            let event = farewell.event(self.stay.again);
            // The last event is given up if the client doesn't read it in time.
            let _ = tokio::time::timeout(LAST, write_part(session, event, held)).await;
        }
        if matches!(end, StreamEnd::Stalled) {
            outcome.code = Some("client_stalled");
        } else if !matches!(end, StreamEnd::Gone) {
            let _ = tokio::time::timeout(LAST, session.write_response_body(Bytes::new(), true)).await;
        }
        outcome.detail = Some(self.stay.summary(end.word()));
    }
}

impl EventStream {
    /// Sends events until the client or the gateway ends the stream. Returns the reason for the end.
    async fn stream(&mut self, session: &mut ServerSession, held: &MemoryShare) -> StreamEnd {
        let Self { subscription, stay } = self;
        let mut lifetime = std::pin::pin!(tokio::time::sleep(stay.lifetime));
        // The time to reconnect is sent first, because a client whose connection breaks off doesn't get a last event.
        // Test: `a_page_comes_first_and_then_its_changes`.
        let retry = format!("retry: {}\n\n", stay.again.as_millis());
        let mut parts = vec![Bytes::from(retry)];
        // Each iteration writes the parts that are ready, and waits for the next event.
        loop {
            for part in parts.drain(..) {
                if let Some(end) = write(session, part, held, stay).await {
                    return end;
                }
            }
            tokio::select! {
                biased;
                // A process that stops doesn't wait for streams.
                // Test: `streams_end_with_the_process_and_do_not_hold_it`.
                () = stay.vitals.reached(Stage::Closing) => return StreamEnd::Farewell(Farewell::Stopping),
                () = &mut lifetime => return StreamEnd::Farewell(Farewell::Lifetime),
                _ = session.read_body_or_idle(true) => return StreamEnd::Gone,
                event = subscription.next() => match event {
                    LiveEvent::Messages(messages) => parts.extend(messages.into_iter().map(|message| stay.count(&message).event.clone())),
                    LiveEvent::End(LivePageEnd::Closing(farewell)) => return StreamEnd::Farewell(farewell),
                    LiveEvent::End(LivePageEnd::Refused(refusal)) => {
                        let event = stay.count(&refusal.message).event.clone();
                        return write(session, event, held, stay).await.unwrap_or(StreamEnd::Refused);
                    }
                },
                () = tokio::time::sleep(stay.heartbeat) => parts.push(Bytes::from_static(HEARTBEAT)),
            }
        }
    }
}

/// Writes a part of the stream. Returns the reason for the stream's end if the client doesn't read or has gone, and
/// `None` otherwise. Once the process closes, the write has [`LAST`] more time.
async fn write(session: &mut ServerSession, part: Bytes, held: &MemoryShare, stay: &LiveStay) -> Option<StreamEnd> {
    let mut writing = std::pin::pin!(write_part(session, part, held));
    let written = tokio::select! {
        biased;
        written = &mut writing => written,
        () = stay.vitals.reached(Stage::Closing) => match tokio::time::timeout(LAST, writing).await {
            Ok(written) => written,
            Err(_) => return Some(StreamEnd::Stalled),
        },
    };
    match written {
        Ok(()) => None,
        Err(error) if *error.root_etype() == ErrorType::WriteTimedout => Some(StreamEnd::Stalled),
        Err(_) => Some(StreamEnd::Gone),
    }
}
