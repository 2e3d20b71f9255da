//! Attempts to deliver: the look-up of the name, the check of its addresses, and a request to one of these on a new
//! connection of the gateway's own. No redirect is followed, no proxy of the environment is asked, and little of the answer
//! is read.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, header};
use pingora::{http::RequestHeader, upstreams::peer::HttpPeer};
use serde::{Deserialize, Serialize};

use super::{endpoint::Receiver, signature::sign};
use crate::{
    config::{
        outgoing::{EndpointHost, EndpointUrl},
        settings::WebhookSettings,
    },
    gateway::{Snapshot, outcome::metrics::webhooks::AttemptEnd, runtime::clock},
    upstream::{
        net::{
            connection::{Connection, Connections},
            error::FetchError,
            peers::{peer::Peer, resolver},
        },
        request::headers::retry_after_seconds,
    },
};

/// The bytes of an answer's body that are read and kept.
const EXCERPT: usize = 2 << 10;

/// The headers of an answer that are kept, and the longest value of one.
const MOST_HEADERS: usize = 40;
const LONGEST_VALUE: usize = 256;

/// The addresses of a name that are tried, one after the other.
const MOST_ADDRESSES: usize = 3;

const LATE: &str = "there was no whole answer in time";

/// Headers of answers whose values are credentials.
const HIDDEN: [&str; 4] = ["authorization", "cookie", "set-cookie", "x-api-key"];

/// An attempt as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptRecord {
    at: String,
    duration_ms: u64,
    request: RequestRecord,
    /// `None` without an answer.
    response: Option<AnswerRecord>,
    /// The word of the end, unless it is a success.
    #[serde(rename = "error")]
    pub(super) fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) detail: Option<String>,
}

/// The head of a request, without its signatures and its path, which may be credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RequestRecord {
    method: String,
    headers: Vec<(String, String)>,
}

/// The head of an answer and the beginning of its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AnswerRecord {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// An attempt that was made.
#[derive(Debug)]
pub(super) struct SentAttempt {
    pub(super) end: AttemptEnd,
    pub(super) record: AttemptRecord,
    /// The `Retry-After` of the answer.
    pub(super) retry_after: Option<Duration>,
    /// The beginning of the answer's body.
    pub(super) body: Vec<u8>,
    /// The reason that there is no answer, for the log alone.
    pub(super) cause: Option<String>,
}

impl SentAttempt {
    /// Returns the reason that the answer does not verify the endpoint: it has to repeat the challenge.
    pub(super) fn unverified(&self, challenge: &str) -> Option<String> {
        if self.end != AttemptEnd::Delivered {
            let status =
                self.record.response.as_ref().map(|answer| format!("the endpoint answered with {}", answer.status));
            let said = status.or_else(|| self.record.detail.clone());
            return Some(said.unwrap_or_else(|| "the endpoint did not answer".to_owned()));
        }
        let answer: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let is_repeated = answer.is_some_and(|answer| answer["challenge"] == challenge);
        (!is_repeated)
            .then(|| r#"the endpoint did not answer {"challenge":"…"} with the challenge of the request"#.to_owned())
    }
}

/// The body of a request, with its id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'m> {
    pub(super) id: &'m str,
    pub(super) payload: &'m str,
}

/// The parts of the gateway that attempts need.
#[derive(Clone, Copy)]
pub(super) struct Sender<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) settings: &'s WebhookSettings,
    pub(super) connections: &'s Connections,
}

/// The head of an answer, and as much of its body as came in time.
struct ReceivedAnswer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// The reason that an attempt has no answer.
struct Unsent {
    end: AttemptEnd,
    /// The words for the owner of the endpoint.
    detail: String,
    /// The words for the log.
    cause: String,
}

impl Unsent {
    fn new(end: AttemptEnd, detail: &str) -> Self {
        Self { end, detail: detail.to_owned(), cause: detail.to_owned() }
    }
}

impl From<FetchError> for Unsent {
    fn from(error: FetchError) -> Self {
        let (end, detail) = match &error {
            FetchError::Timeout(_) => (AttemptEnd::Late, LATE),
            FetchError::Malformed(_) => (AttemptEnd::Unreached, "the answer is not HTTP/1.1"),
            FetchError::Unavailable(text) if text.contains("certificate") => {
                (AttemptEnd::Unreached, "the certificate of the host is not accepted")
            }
            // Other texts may have an address.
            _ => (AttemptEnd::Unreached, "there was no connection to the host, or it broke"),
        };
        Self { cause: error.to_string(), ..Self::new(end, detail) }
    }
}

impl Sender<'_> {
    /// Makes an attempt within the time of the configuration.
    pub(super) async fn send(&self, receiver: &Receiver, message: Message<'_>) -> SentAttempt {
        let (begun, at) = (clock::instant(), clock::unix_seconds());
        let (answered, request) = match head(receiver, message, at) {
            None => {
                let detail = "the endpoint has no secret that opens, or a URL that can't be sent";
                (Err(Unsent::new(AttemptEnd::Unsigned, detail)), RequestRecord::default())
            }
            Some(head) => {
                let request = recorded_request(&head);
                (self.exchange(&receiver.url, (head, message.payload), begun).await, request)
            }
        };
        let (end, unsent, answer) = match answered {
            Ok(answer) => (end_of(answer.status), None, Some(answer)),
            Err(Unsent { end, detail, cause }) => (end, Some((detail, cause)), None),
        };
        let (detail, cause) = unsent.unzip();
        let wait = answer.as_ref().and_then(|answer| retry_after_seconds(&answer.headers, at)).map(Duration::from_secs);
        let took = clock::instant().saturating_duration_since(begun).as_millis();
        let record = AttemptRecord {
            at: clock::rfc3339(at),
            duration_ms: u64::try_from(took).unwrap_or(u64::MAX),
            request,
            response: answer.as_ref().map(recorded_answer),
            fault: (end != AttemptEnd::Delivered).then(|| end.word().to_owned()),
            detail,
        };
        let body = answer.map(|answer| answer.body).unwrap_or_default();
        SentAttempt { end, record, retry_after: wait, body, cause }
    }

    async fn exchange(
        &self,
        url: &EndpointUrl,
        (head, body): (RequestHeader, &str),
        begun: Instant,
    ) -> Result<ReceivedAnswer, Unsent> {
        let until = begun + self.settings.timeout;
        let asked = async {
            let mut connection = self.connect(url).await?;
            connection.send(Box::new(head)).await?;
            connection.send_body(body.as_bytes()).await?;
            connection.finish().await?;
            let answer = connection.final_head().await?;
            Ok::<_, Unsent>((connection, answer))
        };
        let (mut connection, answer) = in_time(until, asked).await??;
        let mut body = Vec::new();
        let read = async {
            // Each iteration reads some bytes, of few.
            while body.len() < EXCERPT {
                match connection.body().await {
                    Ok(Some(part)) => body.extend_from_slice(&part[..part.len().min(EXCERPT - body.len())]),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // The status says what became of the event, whether the body ends or not.
        let _ = in_time(until, read).await;
        Ok(ReceivedAnswer { status: answer.status.as_u16(), headers: answer.headers.clone(), body })
    }

    /// Connects to an address of the host that is permitted.
    async fn connect(&self, url: &EndpointUrl) -> Result<Connection, Unsent> {
        let mut unreached = FetchError::Unavailable("the name has no address".to_owned());
        for address in self.addresses(url).await?.into_iter().take(MOST_ADDRESSES) {
            let address = SocketAddr::new(address, url.port);
            let peer = Peer::new(address, clock::instant()).request();
            match self.connections.open_apart(Box::new(self.peer(url, address)), peer).await {
                Ok(connection) => return Ok(connection),
                Err(error) => unreached = error,
            }
        }
        Err(unreached.into())
    }

    /// Returns the addresses of a host, all of which are permitted.
    async fn addresses(&self, url: &EndpointUrl) -> Result<Vec<IpAddr>, Unsent> {
        let forbidden = |detail: &str| Unsent::new(AttemptEnd::Forbidden, detail);
        // The rules may have changed since the endpoint was registered.
        if let Some(reason) = self.settings.rules.refusal(url) {
            return Err(forbidden(&reason));
        }
        let addresses = match &url.host {
            EndpointHost::Address(address) => vec![*address],
            EndpointHost::Name(name) => match resolver::look_up(name, &self.settings.resolvers).await {
                Ok((addresses, _)) => addresses,
                Err(cause) => {
                    let detail = "the name of the host can't be resolved";
                    return Err(Unsent { cause, ..Unsent::new(AttemptEnd::Unreached, detail) });
                }
            },
        };
        // One address within is reason enough: which one a connection takes is not left to the owner of the name.
        match addresses.iter().find(|address| !self.settings.rules.permits(**address)) {
            None => Ok(addresses),
            Some(address) => {
                tracing::warn!(host = %url.host, %address, "a webhook is not sent to an address that is not permitted");
                Err(forbidden("the name of the host has an address that is not permitted"))
            }
        }
    }

    /// Returns the peer as Pingora connects to it: this address, and the name that its certificate must have.
    fn peer(&self, url: &EndpointUrl, address: SocketAddr) -> HttpPeer {
        let mut peer = HttpPeer::new(address, url.is_secure, url.host.to_string());
        let timeout = self.settings.timeout;
        // One address that does not answer leaves time for another.
        peer.options.connection_timeout = Some(timeout / 3);
        peer.options.total_connection_timeout = Some(timeout / 2);
        peer.options.read_timeout = Some(timeout);
        peer.options.write_timeout = Some(timeout);
        if let Some(authorities) = &self.snapshot.webhook_authorities {
            peer.options.ca.clone_from(&authorities.current().authorities);
        }
        peer
    }
}

/// Awaits a future until a time.
async fn in_time<T>(until: Instant, future: impl Future<Output = T>) -> Result<T, Unsent> {
    tokio::time::timeout_at(until.into(), future).await.map_err(|_| Unsent::new(AttemptEnd::Late, LATE))
}

fn end_of(status: u16) -> AttemptEnd {
    match status {
        200..=299 => AttemptEnd::Delivered,
        300..=399 => AttemptEnd::Redirected,
        410 => AttemptEnd::Gone,
        _ => AttemptEnd::Refused,
    }
}

/// Returns the head of a request; `None` if nothing can sign it.
fn head(receiver: &Receiver, message: Message<'_>, now: u64) -> Option<RequestHeader> {
    if receiver.keys.is_empty() {
        return None;
    }
    let Message { id, payload } = message;
    let mut head = RequestHeader::build(Method::POST, receiver.url.target.as_bytes(), None).ok()?;
    let signature = sign(&receiver.keys, id, now, payload);
    for (name, value) in [
        ("host", receiver.url.authority()),
        ("user-agent", concat!("cursorgate/", env!("CARGO_PKG_VERSION")).to_owned()),
        ("content-type", "application/json".to_owned()),
        ("content-length", payload.len().to_string()),
        ("accept-encoding", "identity".to_owned()),
        ("connection", "close".to_owned()),
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now.to_string()),
        ("webhook-signature", signature),
    ] {
        head.insert_header(name, value).ok()?;
    }
    Some(head)
}

fn recorded_request(head: &RequestHeader) -> RequestRecord {
    let shown = head.headers.iter().filter(|(name, _)| *name != "webhook-signature");
    let headers = shown.map(|(name, value)| (name.to_string(), cut(&String::from_utf8_lossy(value.as_bytes()))));
    RequestRecord { method: head.method.to_string(), headers: headers.collect() }
}

fn recorded_answer(answer: &ReceivedAnswer) -> AnswerRecord {
    let headers = answer.headers.iter().take(MOST_HEADERS).map(|(name, value)| {
        let is_hidden = HIDDEN.contains(&name.as_str()) || *name == header::PROXY_AUTHORIZATION;
        let value = if is_hidden { "…".to_owned() } else { cut(&String::from_utf8_lossy(value.as_bytes())) };
        (name.to_string(), value)
    });
    AnswerRecord {
        status: answer.status,
        headers: headers.collect(),
        body: String::from_utf8_lossy(&answer.body).into_owned(),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_VALUE).collect()
}
