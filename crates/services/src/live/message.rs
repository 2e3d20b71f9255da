//! Messages to subscribers. A message is written once for all subscribers, as an event of `text/event-stream`. The
//! event's data is also the text of the message over a WebSocket. docs/live.md and docs/live.asyncapi.json describe the
//! messages.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use super::page::LivePage;
use crate::answer::InnerAnswer;
use cursorgate_gateway::lifecycle::process::live_counts::LiveMessageKind;

/// A message, which is a JSON object in one line.
#[derive(Clone, Debug)]
pub(super) struct LiveMessage {
    pub(super) kind: LiveMessageKind,
    /// The message as an event of a stream, with the event's name, its id, and the message as data.
    pub(super) event: Bytes,
    /// The text of the message, which is a slice of `event`.
    pub(super) text: Bytes,
}

impl LiveMessage {
    fn new(kind: LiveMessageKind, name: &str, id: Option<&str>, text: &[u8]) -> Self {
        let mut event = Vec::with_capacity(text.len() + 96);
        event.extend_from_slice(format!("event: {name}\n").as_bytes());
        if let Some(id) = id {
            event.extend_from_slice(format!("id: {id}\n").as_bytes());
        }
        // The text must not contain a line end, because a line end would end the data.
        // Test: `an_event_has_the_message_as_its_data`.
        event.extend_from_slice(b"data: ");
        let start = event.len();
        event.extend_from_slice(text);
        let end = event.len();
        event.extend_from_slice(b"\n\n");
        let event = Bytes::from(event);
        Self { kind, text: event.slice(start..end), event }
    }

    /// Returns the message with a whole page. `headers` and `page` are JSON in one line.
    pub(super) fn of_page(id: &str, headers: &str, page: &[u8]) -> Self {
        let mut text =
            format!("{{\"type\":\"paginatedData\",\"id\":\"{id}\",\"headers\":{headers},\"page\":").into_bytes();
        text.extend_from_slice(page);
        text.push(b'}');
        Self::new(LiveMessageKind::Page, "paginatedData", Some(id), &text)
    }

    /// Returns the message with the changes from one page to the next. `patch` is a JSON Patch in one line.
    pub(super) fn of_patch(from: &LivePage, to: &LivePage, patch: &[u8]) -> Self {
        let mut text = format!("{{\"type\":\"patch\",\"from\":\"{}\",\"id\":\"{}\",", from.id, to.id).into_bytes();
        // Headers seldom change, and are often longer than a patch, so unchanged headers are left out.
        if from.headers != to.headers {
            text.extend_from_slice(format!("\"headers\":{},", to.headers).as_bytes());
        }
        text.extend_from_slice(b"\"patch\":");
        text.extend_from_slice(patch);
        text.push(b'}');
        Self::new(LiveMessageKind::Patch, "patch", Some(&to.id), &text)
    }

    /// Returns the message that requests succeed again although the page hasn't changed. It is an empty patch.
    pub(super) fn of_recovery(page: &LivePage) -> Self {
        Self::of_patch(page, page, b"[]")
    }

    /// Returns the error message for a failed request. If `is_final`, it is the last message about the page.
    pub(super) fn of_fault(fault: &LivePageFault, is_final: bool) -> Self {
        let LivePageFault { status, code, detail } = fault;
        let document = json!({ "type": "error", "status": status, "code": code, "detail": detail, "final": is_final });
        Self::new(LiveMessageKind::Error, "error", None, document.to_string().as_bytes())
    }
}

/// The reason that a request for a page failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LivePageFault {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) detail: String,
}

impl LivePageFault {
    /// Returns the fault of an answer that isn't a page.
    pub(super) fn of_answer(answer: &InnerAnswer) -> Self {
        let status = answer.status;
        let (code, detail) = match status {
            // An answer with these statuses often comes from the upstream itself, so it doesn't contain a problem of
            // the gateway.
            401 | 403 => {
                let detail = "the upstream does not accept the credentials of this client, or no longer accepts them";
                ("credentials_refused".to_owned(), Some(detail.to_owned()))
            }
            _ => answer.problem().unwrap_or_else(|| ("page_refused".to_owned(), None)),
        };
        Self { status, code, detail: detail.unwrap_or_else(|| format!("the page was answered with {status}")) }
    }
}

/// The reason that the gateway ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// The process is stopping.
    Stopping,
    /// The stream has reached the configured `lifetime`.
    Lifetime,
    /// The configuration no longer permits live pages of this list.
    Unconfigured,
    /// The subscribers no longer get the same page, because it now varies by a header in which they differ.
    Divided,
}

impl Farewell {
    /// Returns the word for the reason in messages and logs.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Stopping => "stopping",
            Self::Lifetime => "lifetime",
            Self::Unconfigured => "unconfigured",
            Self::Divided => "divided",
        }
    }

    /// Returns the text of the last message. `again` is the time after which the client should reconnect.
    pub(super) fn text(self, again: Duration) -> String {
        let (word, milliseconds) = (self.word(), again.as_millis());
        format!("{{\"type\":\"closing\",\"reason\":\"{word}\",\"retryAfter\":{milliseconds}}}")
    }

    /// Returns the last event of a stream, whose `retry` is also `again`.
    pub(super) fn event(self, again: Duration) -> Bytes {
        format!("event: closing\nretry: {}\ndata: {}\n\n", again.as_millis(), self.text(again)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_the_message_as_its_data() {
        let message = LiveMessage::of_page("ab", "{}", b"{\"data\":[1.0]}");
        let text = r#"{"type":"paginatedData","id":"ab","headers":{},"page":{"data":[1.0]}}"#;
        assert_eq!(message.text, text);
        assert_eq!(message.event, format!("event: paginatedData\nid: ab\ndata: {text}\n\n"));
        let fault = LivePageFault { status: 502, code: "upstream_unavailable".to_owned(), detail: "a\nb".to_owned() };
        let message = LiveMessage::of_fault(&fault, false);
        assert_eq!(message.event.iter().filter(|byte| **byte == b'\n').count(), 3, "no line of its own");
    }
}
