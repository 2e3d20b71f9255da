//! What an upstream says about the credentials of a client: the answers to `server.identity_answer`. They are kept for a
//! short time under these very credentials. The request itself is made in `session::identity`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::{
    HeaderMap, HeaderName,
    header::{HeaderValue, WWW_AUTHENTICATE},
};
use quick_cache::sync::Cache;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::exact::is_exact;
use cursorgate_config::settings::AnswerPlace;

/// The largest number of answers that are kept. Each takes about 200 bytes.
const MOST: usize = 4_096;

/// The time for which a refusal is used: a client that tries again and again costs the upstream a request each 5 s.
const REFUSAL: Duration = Duration::from_secs(5);

/// The largest length of a `WWW-Authenticate` that is kept, in bytes.
const LONGEST_CHALLENGE: usize = 256;

/// An answer of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub enum IdentityAnswer {
    /// The upstream knows the client. For each place, the SHA-256 of the text or whole number there; `None` if there is
    /// neither.
    Said(Box<[Option<[u8; 32]>]>),
    /// The upstream refuses the credentials, with this status, 401 or 403, and this `WWW-Authenticate`.
    Refused(u16, Option<HeaderValue>),
    /// Another status, an answer that can't be read, or credentials that can't be sent.
    Unknown,
    /// There is no answer.
    Unanswered,
}

/// The credentials of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentCredentials {
    None,
    /// A SHA-256 of all of them.
    Some([u8; 32]),
    /// Two values of one header. Servers differ in which of them they read.
    Doubtful,
}

/// The answers that are kept, and how they are read.
pub struct IdentityAnswers {
    /// The headers of clients that the request has.
    credentials: Vec<HeaderName>,
    /// The places that some `identity` names.
    places: Vec<AnswerPlace>,
    ttl: Duration,
    kept: Cache<[u8; 32], KeptAnswer>,
}

#[derive(Clone)]
struct KeptAnswer {
    answer: Arc<IdentityAnswer>,
    until: Instant,
}

impl std::fmt::Debug for IdentityAnswers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "IdentityAnswers({:?} by {:?})", self.places, self.credentials)
    }
}

impl IdentityAnswers {
    pub fn new(credentials: Vec<HeaderName>, places: Vec<AnswerPlace>, ttl: Duration) -> Arc<Self> {
        Arc::new(Self { credentials, places, ttl, kept: Cache::new(MOST) })
    }

    /// Returns the headers of clients that the request has.
    pub fn credentials(&self) -> &[HeaderName] {
        &self.credentials
    }

    /// Returns the credentials among the headers of a request.
    pub fn credentials_of(&self, headers: &HeaderMap) -> SentCredentials {
        let mut hash = Sha256::new();
        let mut has_one = false;
        for name in &self.credentials {
            let mut values = headers.get_all(name).iter();
            let Some(value) = values.next() else {
                hash.update([0]);
                continue;
            };
            if values.next().is_some() {
                return SentCredentials::Doubtful;
            }
            hash.update([1]);
            hash.update((value.len() as u64).to_le_bytes());
            hash.update(value);
            has_one = true;
        }
        if has_one { SentCredentials::Some(hash.finalize().into()) } else { SentCredentials::None }
    }

    /// Returns the answer that is kept for these credentials; `None` if there is none, or if it is too old.
    pub fn find(&self, credentials: &[u8; 32], now: Instant) -> Option<Arc<IdentityAnswer>> {
        let kept = self.kept.get(credentials).filter(|kept| now < kept.until)?;
        Some(kept.answer)
    }

    /// Keeps an answer for these credentials. Only what the upstream has said is kept: a failure is asked again.
    pub fn keep(&self, credentials: [u8; 32], answer: &Arc<IdentityAnswer>, now: Instant) {
        let time = match **answer {
            IdentityAnswer::Said(_) => self.ttl,
            IdentityAnswer::Refused(..) => REFUSAL.min(self.ttl),
            IdentityAnswer::Unknown | IdentityAnswer::Unanswered => return,
        };
        let Some(until) = now.checked_add(time) else { return };
        self.kept.insert(credentials, KeptAnswer { answer: Arc::clone(answer), until });
    }

    /// Reads an answer of the upstream.
    pub fn read(&self, status: u16, headers: &HeaderMap, body: &[u8]) -> IdentityAnswer {
        if matches!(status, 401 | 403) {
            let challenge = headers.get(WWW_AUTHENTICATE).filter(|challenge| challenge.len() <= LONGEST_CHALLENGE);
            return IdentityAnswer::Refused(status, challenge.cloned());
        }
        if !(200..300).contains(&status) {
            return IdentityAnswer::Unknown;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = |place: &AnswerPlace| match place {
            AnswerPlace::Header(name) => {
                let mut values = headers.get_all(name).iter();
                let only = values.next().filter(|value| !value.is_empty() && values.next().is_none())?;
                Some(hash_of(only))
            }
            AnswerPlace::Member(pointer) => {
                let value = body.pointer(pointer)?;
                let is_name = value.is_number() || value.as_str().is_some_and(|text| !text.is_empty());
                // As JSON, the number 1 and the text "1" differ.
                (is_name && is_exact(value)).then(|| hash_of(value.to_string()))
            }
        };
        IdentityAnswer::Said(self.places.iter().map(said).collect())
    }

    /// Returns what an answer says at a place; `None` if it says nothing there.
    pub fn said(&self, answer: &IdentityAnswer, place: &AnswerPlace) -> Option<[u8; 32]> {
        let IdentityAnswer::Said(said) = answer else { return None };
        let at = self.places.iter().position(|known| known == place)?;
        said.get(at).copied().flatten()
    }
}

/// Returns the hash of a value in an answer: of the value of a header, or of a member as JSON.
pub(super) fn hash_of(value: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(value).into()
}

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    fn answers() -> Arc<IdentityAnswers> {
        let places =
            vec![AnswerPlace::Member("/user/id".to_owned()), AnswerPlace::Header(HeaderName::from_static("x-user"))];
        let credentials = vec![header::AUTHORIZATION, header::COOKIE];
        IdentityAnswers::new(credentials, places, Duration::from_secs(30))
    }

    fn of(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_a_text_or_a_number_is_a_name() {
        let answers = answers();
        let place = AnswerPlace::Member("/user/id".to_owned());
        let said = |body: &str| {
            let answer = answers.read(200, &HeaderMap::new(), body.as_bytes());
            answers.said(&answer, &place)
        };
        assert!(said(r#"{"user":{"id":"alice"}}"#).is_some());
        assert_ne!(said(r#"{"user":{"id":"alice"}}"#), said(r#"{"user":{"id":"bob"}}"#));
        assert_ne!(said(r#"{"user":{"id":1}}"#), said(r#"{"user":{"id":"1"}}"#));
        for body in ["", "{", "[]", r#"{"id":1}"#, r#"{"user":{"id":""}}"#, r#"{"user":{"id":null}}"#] {
            assert_eq!(said(body), None, "{body}");
        }
        for id in ["true", "[1]", "{}", "36893488147419103233", "1.5"] {
            assert_eq!(said(&format!(r#"{{"user":{{"id":{id}}}}}"#)), None, "{id}");
        }
        let header = AnswerPlace::Header(HeaderName::from_static("x-user"));
        let said = |headers: &HeaderMap| answers.said(&answers.read(204, headers, b""), &header);
        assert!(said(&of(&[("x-user", "alice")])).is_some());
        assert_eq!(said(&of(&[("x-user", "alice"), ("x-user", "bob")])), None);
        assert_eq!(said(&of(&[("x-user", "")])), None);
    }

    #[test]
    fn only_what_the_upstream_says_is_kept_and_not_for_long() {
        let answers = answers();
        let now = crate::runtime::clock::instant();
        let body = br#"{"user":{"id":"alice"}}"#;
        for (status, seconds) in [(200, 30), (401, 5), (403, 5), (302, 0), (404, 0), (429, 0), (503, 0)] {
            let answer = Arc::new(answers.read(status, &HeaderMap::new(), body));
            let credentials = [u8::try_from(status % 251).unwrap(); 32];
            answers.keep(credentials, &answer, now);
            let at = |seconds| answers.find(&credentials, now + Duration::from_secs(seconds));
            assert_eq!(at(seconds), None, "{status}");
            if let Some(before) = seconds.checked_sub(1) {
                assert_eq!(at(before), Some(answer), "{status}");
            }
        }
    }

    #[test]
    fn the_credentials_are_all_headers_that_are_sent() {
        let answers = answers();
        let of = |pairs: &[_]| answers.credentials_of(&of(pairs));
        let alice = of(&[("authorization", "Bearer a"), ("user-agent", "x")]);
        assert!(matches!(alice, SentCredentials::Some(_)));
        assert_eq!(alice, of(&[("authorization", "Bearer a"), ("x-other", "y")]));
        assert_ne!(alice, of(&[("authorization", "Bearer a"), ("cookie", "session=b")]));
        assert_ne!(alice, of(&[("cookie", "Bearer a")]));
        assert_eq!(of(&[("x-other", "y")]), SentCredentials::None);
        assert_eq!(of(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]), SentCredentials::Doubtful);
    }
}
