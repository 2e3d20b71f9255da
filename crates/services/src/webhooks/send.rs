//! Attempts at deliveries. An attempt resolves the host's name, checks all of its addresses, and sends a request to one
//! of these over a new connection. It doesn't follow redirects or use a proxy from the environment, and it keeps at
//! most 2 KiB of the answer's body.

use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, header};
use pingora::{http::RequestHeader, upstreams::peer::HttpPeer};
use serde::{Deserialize, Serialize};

use super::{endpoint::Receiver, signature::sign};
use cursorgate_config::{
    outgoing::{EndpointHost, EndpointUrl},
    settings::WebhookSettings,
};
use cursorgate_gateway::{
    Snapshot,
    net::{
        connection::{Connection, Connections},
        error::FetchError,
        peers::{peer::Peer, resolver},
    },
    outcome::metrics::webhooks::AttemptEnd,
    runtime::clock,
};
use cursorgate_translate::upstream::request::headers::retry_after_seconds;

/// The largest number of bytes of an answer's body that are kept. The rest isn't read.
const EXCERPT: usize = 2 << 10;

/// The largest number of headers of an answer that are recorded. Further headers are left out.
const MOST_HEADERS: usize = 40;
/// The largest number of characters of a header's value that are recorded. The rest is cut off.
const LONGEST_VALUE: usize = 256;

/// The largest number of addresses of a host that are tried, one after the other. After that, the attempt fails.
const MOST_ADDRESSES: usize = 3;

const LATE: &str = "there was no whole answer in time";

/// Headers of answers whose values are credentials, so they aren't recorded.
const HIDDEN: [&str; 4] = ["authorization", "cookie", "set-cookie", "x-api-key"];

/// The record of an attempt, which is stored, and which clients can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttemptRecord {
    at: String,
    duration_ms: u64,
    request: RequestRecord,
    /// The answer of the endpoint; `None` if there was no answer.
    response: Option<AnswerRecord>,
    /// The word for the reason of the failure; `None` if the attempt succeeded.
    #[serde(rename = "error")]
    pub(super) fault: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) detail: Option<String>,
}

/// The head of a request, without its signatures and its path, which can be credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct RequestRecord {
    method: String,
    headers: Vec<(String, String)>,
}

/// The head of an answer, and the beginning of the answer's body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AnswerRecord {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// The result of an attempt at a delivery.
#[derive(Debug)]
pub(super) struct SentAttempt {
    pub(super) end: AttemptEnd,
    pub(super) record: AttemptRecord,
    /// The wait that the answer's `Retry-After` asks for; `None` if there is no such header.
    pub(super) retry_after: Option<Duration>,
    /// The beginning of the answer's body, at most [`EXCERPT`] bytes; empty without an answer.
    pub(super) body: Vec<u8>,
    /// The reason that there is no answer; `None` if there is an answer. It is only for the log, because it can contain
    /// addresses of internal hosts.
    pub(super) cause: Option<String>,
}

impl SentAttempt {
    /// Returns the status of the answer; `None` if there is no answer.
    pub(super) fn status(&self) -> Option<u16> {
        self.record.response.as_ref().map(|answer| answer.status)
    }

    /// Returns the reason that the answer doesn't verify the endpoint; `None` if it does, which means that its status
    /// is 2xx and its body is a JSON object with the challenge.
    pub(super) fn unverified(&self, challenge: &str) -> Option<String> {
        if self.end != AttemptEnd::Delivered {
            let status = self.status().map(|status| format!("the endpoint answered with {status}"));
            let said = status.or_else(|| self.record.detail.clone());
            return Some(said.unwrap_or_else(|| "the endpoint did not answer".to_owned()));
        }
        let answer: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let is_repeated = answer.is_some_and(|answer| answer["challenge"] == challenge);
        (!is_repeated)
            .then(|| r#"the endpoint did not answer {"challenge":"…"} with the challenge of the request"#.to_owned())
    }
}

/// The body of a request, and the request's `webhook-id`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'m> {
    pub(super) id: &'m str,
    pub(super) payload: &'m str,
}

/// The parts of the gateway that an attempt needs.
#[derive(Clone, Copy)]
pub(super) struct Sender<'s> {
    pub(super) snapshot: &'s Snapshot,
    pub(super) settings: &'s WebhookSettings,
    pub(super) connections: &'s Connections,
}

/// The head of an answer, and the part of its body that arrived in time, at most [`EXCERPT`] bytes.
struct ReceivedAnswer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// The reason that an attempt has no answer.
struct Unsent {
    end: AttemptEnd,
    /// The reason for the owner of the endpoint, without addresses of internal hosts.
    detail: String,
    /// The reason for the log, which can contain addresses of internal hosts.
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
            FetchError::NotHttp(_) | FetchError::Malformed(_) => (AttemptEnd::Unreached, "the answer is not HTTP/1.1"),
            FetchError::Unavailable(text) if text.contains("certificate") => {
                (AttemptEnd::Unreached, "the certificate of the host is not accepted")
            }
            // Other texts can contain an address, which must not reach the owner of an endpoint.
            _ => (AttemptEnd::Unreached, "there was no connection to the host, or it broke"),
        };
        Self { cause: error.to_string(), ..Self::new(end, detail) }
    }
}

impl Sender<'_> {
    /// Makes one attempt, which takes at most the configured `timeout`.
    pub(super) async fn send(&self, receiver: &Receiver, message: Message<'_>) -> SentAttempt {
        let (begun, at) = (clock::instant(), clock::unix_seconds());
        let (answered, request) = match head(receiver, message, at) {
            None => {
                let detail = "the endpoint has no secret that opens, or a URL that can't be sent";
                (Err(Unsent::new(AttemptEnd::Unsigned, detail)), RequestRecord::default())
            }
            Some(head) => {
                let request = recorded_request(&head);
                (self.exchange(&receiver.url, head, message.payload, begun).await, request)
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
        head: RequestHeader,
        body: &str,
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
        // The time limit applies to the whole attempt, because a head can arrive byte by byte without ever ending.
        // Test: `receivers_that_stall_redirect_or_break_get_dead_letters`.
        let (mut connection, (status, headers)) = in_time(until, asked).await??;
        let mut body = Vec::new();
        let read = async {
            // Each iteration reads a part of the body, until `EXCERPT` bytes have been kept.
            // Test: `an_endless_answer_is_cut`.
            while body.len() < EXCERPT {
                match connection.body().await {
                    Ok(Some(part)) => body.extend_from_slice(&part[..part.len().min(EXCERPT - body.len())]),
                    Ok(None) | Err(_) => break,
                }
            }
        };
        // The status decides whether the delivery succeeded, even if the body doesn't end in time.
        let _ = in_time(until, read).await;
        Ok(ReceivedAnswer { status: status.as_u16(), headers, body })
    }

    /// Checks that all addresses of the host are permitted, and connects to the first one that accepts a connection.
    /// Tries at most [`MOST_ADDRESSES`]. The connection is opened to exactly the checked address, so it doesn't matter
    /// if the name resolves to another address later. Test: `a_name_that_changes_is_checked_again`.
    async fn connect(&self, url: &EndpointUrl) -> Result<Connection, Unsent> {
        let mut unreached = FetchError::Unavailable("the name has no address".to_owned());
        for address in self.addresses(url).await?.into_iter().take(MOST_ADDRESSES) {
            let address = SocketAddr::new(address, url.port);
            let peer = Peer::new(address, clock::instant()).request(clock::instant());
            match self.connections.open_apart(Box::new(self.peer(url, address)), peer).await {
                Ok(connection) => return Ok(connection),
                Err(error) => unreached = error,
            }
        }
        Err(unreached.into())
    }

    /// Returns the addresses of the URL's host, after all of them have been checked.
    ///
    /// # Errors
    ///
    /// Returns [`AttemptEnd::Forbidden`] if the rules forbid the URL or one of the addresses, and
    /// [`AttemptEnd::Unreached`] if the name can't be resolved.
    async fn addresses(&self, url: &EndpointUrl) -> Result<Vec<IpAddr>, Unsent> {
        let forbidden = |detail: &str| Unsent::new(AttemptEnd::Forbidden, detail);
        // The rules might have changed since the endpoint was registered, so the URL is checked again.
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
        // A single forbidden address refuses the attempt. Otherwise the owner of the name could choose when a
        // connection is opened to that address. Test: `a_name_with_an_address_that_is_not_permitted_is_refused`.
        match addresses.iter().find(|address| !self.settings.rules.permits(**address)) {
            None => Ok(addresses),
            Some(address) => {
                tracing::warn!(host = %url.host, %address, "a webhook is not sent to an address that is not permitted");
                Err(forbidden("the name of the host has an address that is not permitted"))
            }
        }
    }

    /// Returns the peer for Pingora. It has this address, and its certificate must be valid for the host of the URL.
    fn peer(&self, url: &EndpointUrl, address: SocketAddr) -> HttpPeer {
        let mut peer = HttpPeer::new(address, url.is_secure, url.host.to_string());
        let timeout = self.settings.timeout;
        // The time limit for one address is shorter than the attempt's, so another address can still be tried.
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

/// Awaits a future. If it isn't ready at the time `until`, returns an error with [`AttemptEnd::Late`].
async fn in_time<T>(until: Instant, future: impl Future<Output = T>) -> Result<T, Unsent> {
    tokio::time::timeout_at(until.into(), future).await.map_err(|_| Unsent::new(AttemptEnd::Late, LATE))
}

fn end_of(status: u16) -> AttemptEnd {
    match status {
        200..=299 => AttemptEnd::Delivered,
        // A redirect isn't followed, because its target could be an address that isn't permitted.
        // Test: `receivers_that_stall_redirect_or_break_get_dead_letters`.
        300..=399 => AttemptEnd::Redirected,
        410 => AttemptEnd::Gone,
        _ => AttemptEnd::Refused,
    }
}

/// Returns the signed head of a request; `None` if the receiver has no keys, or if its URL isn't a valid target. `now`
/// is in seconds since 1970.
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
        // The sender doesn't decode content codings, so it asks for a plain body.
        ("accept-encoding", "identity".to_owned()),
        // The address was checked only for this attempt, so the connection is used only once.
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
    // Records are stored and shown to clients, so they must not contain a signature, which would be valid.
    // Test: `an_event_arrives_signed_and_conforms_to_its_schema`.
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
