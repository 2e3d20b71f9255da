//! A receiver of webhooks, which records requests and sends the answers that a test sets.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use openssl::{hash::MessageDigest, pkey::PKey, sign::Signer};
use serde_json::Value;

use crate::harness::upstream::{After, Exchange, Request, Upstream};

/// The current secret of the operator's endpoints.
pub(crate) const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// The previous secret of the operator's endpoints, before a change.
pub(crate) const SECRET_BEFORE: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) request: Request,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// Returns the `webhook-id`, which is the same in each attempt of a delivery.
    pub(crate) fn id(&self) -> String {
        self.request.header("webhook-id").expect("an id").to_owned()
    }

    fn is_verification(&self) -> bool {
        self.json()["type"] == "webhook.verification"
    }
}

type Seen = Arc<Mutex<Vec<Received>>>;

/// A listening receiver, which stops at the end of the test. It answers challenges, and events with 200, until the test
/// sets another answer.
pub(crate) struct Receiver {
    upstream: Upstream,
    seen: Seen,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let seen = Seen::default();
        let upstream = Upstream::start(recording(&seen, echo));
        Self { upstream, seen }
    }

    pub(crate) fn port(&self) -> u16 {
        self.upstream.address.port()
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.upstream.address)
    }

    /// Sets the function that answers requests, from the next request on.
    pub(crate) fn answer(
        &self,
        answer: impl Fn(&Received, &mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    ) {
        self.upstream.answer(recording(&self.seen, answer));
    }

    /// Answers challenges again, and events with 200.
    pub(crate) fn echo(&self) {
        self.answer(echo);
    }

    /// Returns all requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the requests so far that are not challenges.
    pub(crate) fn events(&self) -> Vec<Received> {
        self.received().into_iter().filter(|received| !received.is_verification()).collect()
    }
}

fn recording(
    seen: &Seen,
    answer: impl Fn(&Received, &mut Exchange) -> io::Result<After> + Send + Sync + 'static,
) -> impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static {
    let seen = Arc::clone(seen);
    move |exchange| {
        let body = String::from_utf8(exchange.body()?).expect("UTF-8");
        let received = Received { request: exchange.request.clone(), body };
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(received.clone());
        answer(&received, exchange)
    }
}

fn echo(received: &Received, exchange: &mut Exchange) -> io::Result<After> {
    let challenge = received.json()["data"]["challenge"].clone();
    let body = serde_json::json!({ "challenge": challenge }).to_string();
    exchange.reply(
        "200 OK",
        &[("Content-Type", "application/json"), ("Set-Cookie", "s=receivers-cookie")],
        body.as_bytes(),
    )
}

/// Returns whether one of the signatures in a request was made with a secret.
pub(crate) fn signed_by(received: &Received, secret: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("its prefix")).expect("base64");
    let (id, at) = (received.id(), received.request.header("webhook-timestamp").expect("a time").to_owned());
    let key = PKey::hmac(&key).expect("a key");
    let mut signer = Signer::new(MessageDigest::sha256(), &key).expect("a signer");
    signer.update(format!("{id}.{at}.{}", received.body).as_bytes()).expect("bytes");
    let signature = format!("v1,{}", STANDARD.encode(signer.sign_to_vec().expect("a signature")));
    received.request.header("webhook-signature").expect("signatures").split(' ').any(|one| one == signature)
}

/// Returns the date `days` days after today.
#[expect(clippy::disallowed_methods, reason = "sunsets are dates")]
pub(crate) fn day_after(days: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970");
    let seconds = now.as_secs() + days * 86_400;
    let moment = chrono::DateTime::from_timestamp(i64::try_from(seconds).expect("a time"), 0).expect("a time");
    moment.date_naive().to_string()
}
