//! A client of event streams, which reads every field of every event, and applies patches with a public library.

use std::collections::VecDeque;

use serde_json::Value;

use crate::harness::{PATIENCE, gateway::Gateway, http, now};

/// An event of a stream, with the fields that it was sent with.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Event {
    pub(super) name: String,
    pub(super) id: Option<String>,
    pub(super) retry: Option<u64>,
    /// The data of the event, as received.
    pub(super) text: String,
}

impl Event {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|fault| panic!("{fault}: {self:?}"))
    }
}

/// A client that follows a live page: its stream of events, and its current page.
pub(super) struct LiveStream {
    connection: http::Connection,
    pub(super) headers: Vec<(String, String)>,
    unread: String,
    events: VecDeque<Event>,
    /// The number of comments received so far.
    pub(super) comments: usize,
    /// The time in milliseconds after which the client should connect again; `None` until the gateway sends it.
    pub(super) retry: Option<u64>,
    pub(super) page: Value,
    pub(super) id: Option<String>,
}

impl LiveStream {
    /// Subscribes to a live page. Panics if the answer is not a stream.
    pub(super) fn open(gateway: &Gateway, target: &str, headers: &[(&str, &str)]) -> Self {
        Self::try_open(gateway, target, headers).unwrap_or_else(|refused| panic!("{target}: {refused:?}"))
    }

    /// Subscribes to a live page. Returns the answer as an error if it is not a stream.
    pub(super) fn try_open(
        gateway: &Gateway,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Box<http::Response>> {
        let mut connection = gateway.connect();
        let mut message = format!("GET {target} HTTP/1.1\r\nAccept: text/event-stream\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            message.push_str("Host: gateway.test\r\n");
        }
        for (name, value) in headers {
            message.push_str(&format!("{name}: {value}\r\n"));
        }
        connection.send(format!("{message}\r\n").as_bytes()).expect("the gateway listens");
        let (status, headers) = connection.head().expect("a head");
        if status != 200 {
            let mut body = Vec::new();
            let read = connection.body("GET", status, &headers, &mut |part| body.extend_from_slice(part));
            read.expect("a body");
            return Err(Box::new(http::Response { status, headers, body }));
        }
        assert_eq!(http::find(&headers, "content-type"), Some("text/event-stream"));
        assert_eq!(http::find(&headers, "transfer-encoding"), Some("chunked"));
        Ok(Self {
            connection,
            headers,
            unread: String::new(),
            events: VecDeque::new(),
            comments: 0,
            retry: None,
            page: Value::Null,
            id: None,
        })
    }

    /// Limits the bytes that the socket buffers for a client that doesn't read.
    pub(super) fn take_little(&self) {
        let stream = self.connection.stream();
        rustix::net::sockopt::set_socket_recv_buffer_size(stream, 256 << 10).expect("a socket");
    }

    /// Returns the next event with data; `None` at the end of the stream.
    pub(super) fn next(&mut self) -> Option<Event> {
        let deadline = now() + PATIENCE;
        loop {
            assert!(now() < deadline, "no event: {:?}", self.page);
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let part = self.connection.chunk().expect("a chunk of the stream");
            if part.is_empty() {
                assert_eq!(self.unread, "", "the stream ends with an event");
                return None;
            }
            self.unread.push_str(&String::from_utf8(part).expect("chunks end with events, and these are text"));
            while let Some(end) = self.unread.find("\n\n") {
                let block = self.unread[..end].to_owned();
                self.unread.drain(..end + 2);
                self.take(&block);
            }
        }
    }

    fn take(&mut self, block: &str) {
        let mut event = Event::default();
        for line in block.split('\n') {
            match line.split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = Some(id.to_owned()),
                Some(("retry", time)) => event.retry = Some(time.parse().expect("milliseconds")),
                Some(("data", text)) => event.text = text.to_owned(),
                _ if line == ":" => self.comments += 1,
                _ => panic!("no line of an event: {line:?} in {block:?}"),
            }
        }
        self.retry = event.retry.or(self.retry);
        if !event.text.is_empty() {
            assert_eq!(event.json()["type"], event.name.as_str());
            self.events.push_back(event);
        }
    }

    /// Reads the next page or patch and applies it. Returns the event.
    pub(super) fn follow(&mut self) -> Event {
        let event = self.next().expect("a further event");
        let message = event.json();
        match event.name.as_str() {
            "paginatedData" => self.page = message["page"].clone(),
            "patch" => {
                assert_eq!(message["from"].as_str(), self.id.as_deref(), "the patch leads on from the page: {event:?}");
                let patch: json_patch::Patch = serde_json::from_value(message["patch"].clone()).expect("a patch");
                json_patch::patch(&mut self.page, &patch).unwrap_or_else(|fault| panic!("{fault}: {event:?}"));
            }
            _ => panic!("{event:?}"),
        }
        assert_eq!(message["id"].as_str(), event.id.as_deref());
        self.id.clone_from(&event.id);
        event
    }

    /// Follows until the client's page equals `page`, which a GET has returned. Returns the number of events.
    pub(super) fn follow_to(&mut self, page: &Value) -> usize {
        let mut events = 0;
        let deadline = now() + PATIENCE;
        while self.page != *page {
            assert!(now() < deadline, "{events} events did not lead from\n{}\nto\n{page}", self.page);
            self.follow();
            events += 1;
        }
        events
    }
}
