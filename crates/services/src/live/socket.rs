//! Sends a live page over a WebSocket (RFC 6455). Messages of the client choose the page, and can choose another page
//! later.
//!
//! `tungstenite` reads and writes the frames in memory (`WireBytes`), and Pingora's session owns the connection. No
//! extensions are offered, so messages aren't compressed.

use std::{
    future::Future,
    io::{self, Read, Write},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::{Buf as _, Bytes, BytesMut};
use pingora::{ErrorType, protocols::http::ServerSession};
use tungstenite::{
    Error as WireError, Message, Utf8Bytes, WebSocket,
    protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
};

use super::{
    group::{LiveEvent, LiveGroups, Subscription},
    history::LivePageEnd,
    message::{Farewell, LiveMessage, LivePageFault},
    poller,
    request::LiveCall,
    stay::LiveStay,
    watch::{WatchRequest, WindowQuery},
};
use cursorgate_gateway::{
    Gateway,
    lifecycle::process::Stage,
    net::memory::MemoryShare,
    outcome::access_log::Outcome,
    session::{respond::write_part, service::Conversation},
};
use cursorgate_translate::downstream::Code;

/// The largest size of a client's message, in bytes. After a larger message, the gateway closes the WebSocket.
const MESSAGE_SIZE: usize = 16 << 10;
/// The largest number of bytes that a client may send between two pings without a whole message. Empty frames and pings
/// of the client cost time, although they ask for nothing. After more, the gateway closes the WebSocket.
const MOST_WITHOUT_MESSAGE: usize = 4 * MESSAGE_SIZE;
/// The size of the buffer for reading frames, in bytes.
const READ_BUFFER: usize = 2 << 10;

/// The longest time for which a client may watch no page, after the handshake or after a page was refused. After that,
/// the gateway closes the WebSocket.
const UNDECIDED: Duration = Duration::from_secs(10);

/// The longest time that the last messages and the client's close frame may take. After that, the connection ends
/// without them.
const LAST: Duration = Duration::from_secs(1);

/// The largest number of pings in a row that a client may leave unanswered. When the next ping is due, the WebSocket
/// ends.
const MOST_UNANSWERED: u32 = 2;

/// The bytes that pass between the connection and `tungstenite`.
#[derive(Debug, Default)]
struct WireBytes {
    /// The bytes that have been received but not decoded.
    came: BytesMut,
    /// The encoded frames that have not been sent.
    goes: Vec<u8>,
}

impl Read for WireBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.came.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = buffer.len().min(self.came.len());
        self.came.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Write for WireBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.goes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The WebSocket of one subscriber, before it is opened.
pub(super) struct LiveSocket {
    pub(super) groups: Arc<LiveGroups>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) call: LiveCall,
    pub(super) stay: LiveStay,
}

/// The reason that a WebSocket ends.
enum SocketEnd {
    /// The client has closed the WebSocket, or left.
    Gone,
    Stalled,
    /// The gateway closes the WebSocket with this code and reason, for example because the client broke the protocol.
    Closed(CloseCode, &'static str),
    Farewell(Farewell),
}

impl SocketEnd {
    const fn word(&self) -> &'static str {
        match self {
            Self::Gone => "client",
            Self::Stalled => "stall",
            Self::Closed(_, reason) => reason,
            Self::Farewell(farewell) => farewell.word(),
        }
    }
}

/// The page that a WebSocket watches.
enum SocketPage {
    Nothing,
    /// The page has been chosen, and its first answer is awaited.
    Entering(Pin<Box<dyn Future<Output = Result<Subscription, LivePageEnd>> + Send>>),
    Page(Subscription),
}

enum SocketEvent {
    /// Bytes from the client, or the end of the connection.
    Came(pingora::Result<Option<Bytes>>),
    Entered(Result<Subscription, LivePageEnd>),
    OfPage(LiveEvent),
    /// A ping is due.
    Beat,
    Ends(SocketEnd),
}

/// An open WebSocket, with the state of its conversation.
struct OpenSocket {
    groups: Arc<LiveGroups>,
    gateway: Arc<Gateway>,
    call: LiveCall,
    stay: LiveStay,
    frames: WebSocket<WireBytes>,
    query: WindowQuery,
    watched: SocketPage,
    /// The number of pings that were sent since the client last sent bytes.
    unanswered: u32,
    /// The number of bytes that the client has sent since its last whole message, or since the last ping.
    without_message: usize,
}

#[async_trait]
impl Conversation for LiveSocket {
    async fn hold(self: Box<Self>, session: &mut ServerSession, held: &MemoryShare, outcome: &mut Outcome) {
        let Self { groups, gateway, call, stay } = *self;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MESSAGE_SIZE))
            .max_frame_size(Some(MESSAGE_SIZE));
        let frames = WebSocket::from_raw_socket(WireBytes::default(), Role::Server, Some(config));
        let query = WindowQuery::new(call.query());
        let mut socket = OpenSocket {
            groups,
            gateway,
            call,
            stay,
            frames,
            query,
            watched: SocketPage::Nothing,
            unanswered: 0,
            without_message: 0,
        };
        let end = socket.talk(session, held).await;
        if matches!(end, SocketEnd::Stalled) {
            outcome.code = Some("client_stalled");
        } else {
            // A client that doesn't answer the close frame must not delay the end of the process.
            // Test: `a_web_socket_ends_with_the_process`.
            let _ = tokio::time::timeout(LAST, socket.close(session, &end, held)).await;
        }
        outcome.detail = Some(socket.stay.summary(end.word()));
    }
}

impl OpenSocket {
    /// Exchanges messages until the client or the gateway ends the WebSocket.
    async fn talk(&mut self, session: &mut ServerSession, held: &MemoryShare) -> SocketEnd {
        let mut lifetime = std::pin::pin!(tokio::time::sleep(self.stay.lifetime));
        let mut beat = Box::pin(tokio::time::sleep(self.stay.heartbeat));
        let mut undecided = Box::pin(tokio::time::sleep(UNDECIDED));
        // Each iteration handles an event, and sends the frames that result from it.
        loop {
            let event = tokio::select! {
                biased;
                () = self.stay.vitals.reached(Stage::Closing) => SocketEvent::Ends(SocketEnd::Farewell(Farewell::Stopping)),
                () = &mut lifetime => SocketEvent::Ends(SocketEnd::Farewell(Farewell::Lifetime)),
                came = session.read_request_body() => SocketEvent::Came(came),
                () = &mut beat => SocketEvent::Beat,
                event = self.watched.next(), if !matches!(self.watched, SocketPage::Nothing) => event,
                () = &mut undecided, if matches!(self.watched, SocketPage::Nothing) => {
                    SocketEvent::Ends(SocketEnd::Closed(CloseCode::Policy, "no watchCollection came"))
                }
            };
            if matches!(event, SocketEvent::Beat) {
                beat = Box::pin(tokio::time::sleep(self.stay.heartbeat));
            }
            let was_watching = !matches!(self.watched, SocketPage::Nothing);
            if let Some(end) = self.take(event) {
                return end;
            }
            if was_watching && matches!(self.watched, SocketPage::Nothing) {
                undecided = Box::pin(tokio::time::sleep(UNDECIDED));
            }
            if let Some(end) = self.send(session, held).await {
                return end;
            }
        }
    }

    /// Handles an event. Returns the reason for the end if the event ends the WebSocket.
    fn take(&mut self, event: SocketEvent) -> Option<SocketEnd> {
        match event {
            SocketEvent::Came(Ok(Some(bytes))) => {
                // Any bytes, not only pongs, show that the client is still there.
                self.unanswered = 0;
                self.without_message = self.without_message.saturating_add(bytes.len());
                self.frames.get_mut().came.extend_from_slice(&bytes);
                let end = self.read();
                // Test: `frames_without_a_message_end_a_socket`.
                let is_flood = self.without_message > MOST_WITHOUT_MESSAGE;
                end.or_else(|| {
                    is_flood.then_some(SocketEnd::Closed(CloseCode::Policy, "too many frames without a message"))
                })
            }
            SocketEvent::Came(_) => Some(SocketEnd::Gone),
            SocketEvent::Entered(Ok(subscription)) => {
                self.watched = SocketPage::Page(subscription);
                None
            }
            SocketEvent::Entered(Err(end)) | SocketEvent::OfPage(LiveEvent::End(end)) => self.lose(end),
            SocketEvent::OfPage(LiveEvent::Messages(messages)) => messages.iter().find_map(|message| self.put(message)),
            SocketEvent::Beat => {
                self.unanswered += 1;
                self.without_message = 0;
                if self.unanswered > MOST_UNANSWERED {
                    return Some(SocketEnd::Stalled);
                }
                self.write(Message::Ping(Bytes::new()))
            }
            SocketEvent::Ends(end) => Some(end),
        }
    }

    /// Decodes and handles the messages in the received bytes. Returns the reason for the end if a message ends the
    /// WebSocket.
    fn read(&mut self) -> Option<SocketEnd> {
        // Each iteration decodes one message, until the received bytes contain no whole message.
        // Test: `violations_of_the_protocol_and_refused_credentials_end_a_socket`.
        loop {
            match self.frames.read() {
                Ok(Message::Text(text)) => {
                    self.without_message = 0;
                    if let Some(end) = self.watch(&text) {
                        return Some(end);
                    }
                }
                Ok(Message::Binary(_)) => {
                    return Some(SocketEnd::Closed(CloseCode::Unsupported, "a message is not text"));
                }
                Ok(Message::Close(_)) | Err(WireError::ConnectionClosed | WireError::AlreadyClosed) => {
                    return Some(SocketEnd::Gone);
                }
                Ok(_) => {}
                Err(WireError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(WireError::Capacity(_)) => {
                    return Some(SocketEnd::Closed(CloseCode::Size, "a message is too large"));
                }
                Err(WireError::Utf8(_)) => {
                    return Some(SocketEnd::Closed(CloseCode::Invalid, "a message is not UTF-8"));
                }
                Err(_) => return Some(SocketEnd::Closed(CloseCode::Protocol, "the protocol is broken")),
            }
        }
    }

    /// Begins to watch the page that a message names, instead of the current page. An invalid message is answered with
    /// an error, and changes nothing.
    fn watch(&mut self, text: &str) -> Option<SocketEnd> {
        let asked = WatchRequest::read(text).and_then(|request| {
            let list = self.call.route.list.as_ref();
            let convention = list.map(|list| list.conventions.choose(&self.call.caller.headers).convention);
            self.query.apply(request, self.call.path(), convention.map(|convention| &convention.parameters))
        });
        match asked {
            Err(detail) => {
                let (status, code) = (Code::BodyInvalid.status(), Code::BodyInvalid.as_str().to_owned());
                let fault = LivePageFault { status, code, detail };
                // The error isn't final, because the client still watches its current page.
                self.put(&LiveMessage::of_fault(&fault, false))
            }
            Ok(has) => {
                let window = self.call.window(self.query.as_str());
                let (groups, gateway) = (Arc::clone(&self.groups), Arc::clone(&self.gateway));
                let caller = Arc::clone(&self.call.caller);
                self.watched = SocketPage::Entering(Box::pin(async move {
                    poller::enter(&groups, &gateway, &window, &caller, has).await
                }));
                None
            }
        }
    }

    /// Handles the end of the watched page. If the page was refused, sends the reason; the WebSocket stays open for
    /// another page unless the credentials were refused. If the gateway closes the page, the WebSocket also ends.
    fn lose(&mut self, end: LivePageEnd) -> Option<SocketEnd> {
        self.watched = SocketPage::Nothing;
        match end {
            LivePageEnd::Closing(farewell) => Some(SocketEnd::Farewell(farewell)),
            LivePageEnd::Refused(refusal) => {
                let is_final = matches!(refusal.fault.status, 401 | 403);
                let end = is_final.then_some(SocketEnd::Closed(CloseCode::Policy, "the credentials are refused"));
                self.put(&refusal.message).or(end)
            }
        }
    }

    fn put(&mut self, message: &LiveMessage) -> Option<SocketEnd> {
        // The message is always UTF-8, so this never fails.
        let text = Utf8Bytes::try_from(self.stay.count(message).text.clone()).ok()?;
        self.write(Message::Text(text))
    }

    fn write(&mut self, message: Message) -> Option<SocketEnd> {
        self.frames.write(message).err().map(|_| SocketEnd::Gone)
    }

    /// Sends the encoded frames to the client. Returns the reason for the end if that fails.
    async fn send(&mut self, session: &mut ServerSession, held: &MemoryShare) -> Option<SocketEnd> {
        // Flushing also encodes the pongs that `tungstenite` has queued.
        if self.frames.flush().is_err() {
            return Some(SocketEnd::Gone);
        }
        let goes = std::mem::take(&mut self.frames.get_mut().goes);
        if goes.is_empty() {
            return None;
        }
        // All clients share the bytes of events. Frames, however, are copied for each client, so they count in
        // `server.memory`.
        if held.take(goes.len()).is_err() {
            return Some(SocketEnd::Closed(CloseCode::Again, "the gateway has no memory"));
        }
        let mut writing = std::pin::pin!(write_part(session, goes.into(), held));
        let written = tokio::select! {
            biased;
            written = &mut writing => written,
            () = self.stay.vitals.reached(Stage::Closing) => match tokio::time::timeout(LAST, writing).await {
                Ok(written) => written,
                Err(_) => return Some(SocketEnd::Stalled),
            },
        };
        held.keep(0);
        match written {
            Ok(()) => None,
            Err(error) if *error.root_etype() == ErrorType::WriteTimedout => Some(SocketEnd::Stalled),
            Err(_) => Some(SocketEnd::Gone),
        }
    }

    /// Closes the WebSocket: sends the last messages, and reads until the client closes the connection.
    async fn close(&mut self, session: &mut ServerSession, end: &SocketEnd, held: &MemoryShare) {
        let (code, reason) = match end {
            SocketEnd::Gone | SocketEnd::Stalled => (CloseCode::Normal, ""),
            SocketEnd::Closed(code, reason) => (*code, *reason),
            SocketEnd::Farewell(farewell) => {
                let text = farewell.text(self.stay.again);
                let _ = self.write(Message::text(text));
                (CloseCode::Restart, farewell.word())
            }
        };
        // If the client has sent a close frame, this does nothing, because `tungstenite` has queued the answer already.
        let _ = self.frames.close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }));
        let _ = self.frames.flush();
        let goes = std::mem::take(&mut self.frames.get_mut().goes);
        if write_part(session, goes.into(), held).await.is_err() || matches!(end, SocketEnd::Gone) {
            return;
        }
        // Closing a socket that has unread bytes resets the connection, and the client would lose the last messages. So
        // all bytes are read first.
        while let Ok(Some(_)) = session.read_request_body().await {}
    }
}

impl SocketPage {
    /// Waits for the next event of the page. This method is cancel-safe: no event is lost if the future is dropped.
    async fn next(&mut self) -> SocketEvent {
        match self {
            Self::Nothing => std::future::pending().await,
            Self::Entering(entering) => SocketEvent::Entered(entering.await),
            Self::Page(subscription) => SocketEvent::OfPage(subscription.next().await),
        }
    }
}
