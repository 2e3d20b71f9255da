//! The `identity` of a route or of a service, and the search for it in a request.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION},
};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{
    KnownClient,
    answers::{self, IdentityAnswer, IdentityAnswers, SentCredentials},
    exact::is_exact,
    tokens::TokenVerifier,
};
use cursorgate_config::settings::{AnswerPlace, IdentityWord};

/// What identifies the clients of a route or of a service. There is at least one word.
#[derive(Debug)]
pub struct IdentityRules {
    words: Vec<IdentityWord>,
    sources: IdentitySources,
    /// The headers of the words.
    headers: Vec<HeaderName>,
    /// A hash of the words, by which names under the same rules are found again.
    mark: [u8; 32],
}

/// What verifies the names of clients.
#[derive(Clone, Debug, Default)]
pub struct IdentitySources {
    /// The keys of tokens; `None` if no token is verified.
    pub tokens: Option<Arc<TokenVerifier>>,
    /// The answers of the upstream; `None` if none is asked.
    pub answers: Option<Arc<IdentityAnswers>>,
}

/// The parts of a request that can identify its client.
#[derive(Clone, Copy, Debug)]
pub struct RequestParts<'r> {
    pub headers: &'r HeaderMap,
    /// The query, percent-encoded.
    pub query: Option<&'r str>,
    /// The subject of the client's verified certificate.
    pub certificate: Option<&'r str>,
    /// What the upstream says about the credentials; `None` if it wasn't asked.
    pub answer: Option<&'r IdentityAnswer>,
}

/// What a request says about one word.
enum WordFinding {
    /// Nothing.
    Nothing,
    /// This value, which isn't empty.
    Value(Vec<u8>),
    /// Something that can't be trusted, or more than one thing.
    Doubtful,
}

impl IdentityRules {
    /// Compiles an `identity`; `None` if it has no words.
    pub fn compile(words: &[IdentityWord], sources: &IdentitySources) -> Option<Arc<Self>> {
        if words.is_empty() {
            return None;
        }
        let mut headers: Vec<HeaderName> = words.iter().filter_map(IdentityWord::header).collect();
        if words.iter().any(|word| matches!(word, IdentityWord::Answer(_))) {
            headers.extend(sources.answers.iter().flat_map(|answers| answers.credentials()).cloned());
        }
        headers.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        headers.dedup();
        let text: Vec<String> = words.iter().map(ToString::to_string).collect();
        let mark = Sha256::digest(text.join("\n")).into();
        Some(Arc::new(Self { words: words.to_vec(), sources: sources.clone(), headers, mark }))
    }

    /// Returns a hash of the rules. Rules with the same hash give a client the same name.
    pub fn mark(&self) -> [u8; 32] {
        self.mark
    }

    /// Returns whether the upstream must be asked who a client is.
    pub fn need_answer(&self) -> bool {
        self.words.iter().any(|word| matches!(word, IdentityWord::Answer(_)))
    }

    /// Returns whether the token of a request names a key that isn't known.
    pub fn lack_key(&self, headers: &HeaderMap) -> bool {
        let reads_tokens = self.words.iter().any(|word| matches!(word, IdentityWord::Claim(_)));
        let tokens = self.sources.tokens.as_ref().filter(|_| reads_tokens);
        tokens.zip(headers.get(AUTHORIZATION)).is_some_and(|(tokens, value)| tokens.lacks_key(value.as_bytes()))
    }

    /// Finds the client of a request. Returns `None` if the request says nothing of what identifies clients, or
    /// something that can't be trusted: the client is then told apart by its headers.
    pub fn find(&self, request: RequestParts<'_>) -> Option<KnownClient> {
        // A certificate may be that of a program that acts for many users, each with a token of its own.
        // Test: `a_certificate_names_its_client`.
        let is_by_certificate = self.words.contains(&IdentityWord::Certificate);
        let is_beside = |name| request.headers.contains_key(&name) && !self.headers.contains(&name);
        if is_by_certificate && [AUTHORIZATION, PROXY_AUTHORIZATION].into_iter().any(is_beside) {
            return None;
        }
        let mut hash = Sha256::new_with_prefix(self.mark);
        let (mut is_named, mut is_verified) = (false, false);
        for word in &self.words {
            match self.said(word, request) {
                // One doubtful part makes all of them doubtful. Otherwise a client with a certificate of its own and a
                // forged token would be the client with that certificate and no token.
                // Test: `a_client_is_not_named_by_what_can_not_be_trusted`.
                WordFinding::Doubtful => return None,
                WordFinding::Nothing => hash.update([0]),
                WordFinding::Value(value) => {
                    hash.update([1]);
                    hash.update((value.len() as u64).to_le_bytes());
                    hash.update(value);
                    is_named = true;
                    is_verified |= word.is_verified();
                }
            }
        }
        is_named.then(|| KnownClient { name: hash.finalize().into(), is_verified, covered: self.headers.clone() })
    }

    /// Returns a hash of what the first word says about the client of a request. A service behind the gateway names the
    /// client of an event by that value, see [`Self::subject_of`]. `None` if nobody vouches for the word, or if it says
    /// nothing, or nothing that can be trusted.
    pub fn subject(&self, request: RequestParts<'_>) -> Option<[u8; 32]> {
        let word = self.words.first().filter(|word| word.is_verified())?;
        let said = match word {
            IdentityWord::Claim(claim) => {
                let tokens = self.sources.tokens.as_ref()?;
                tokens.bare_claim(request.headers.get(AUTHORIZATION)?.as_bytes(), claim)?
            }
            word => {
                let WordFinding::Value(value) = self.said(word, request) else { return None };
                value
            }
        };
        Some(self.named(&said))
    }

    /// Returns the subject of the client for whom the first word says `value`; `None` if it never says this.
    pub fn subject_of(&self, value: &Value) -> Option<[u8; 32]> {
        let text = value.as_str().filter(|text| !text.is_empty());
        let is_name = text.is_some() || value.is_number() && is_exact(value);
        match self.words.first()? {
            IdentityWord::Certificate => Some(self.named(text?.as_bytes())),
            IdentityWord::Claim(_) => is_name.then(|| self.named(value.to_string().as_bytes())),
            IdentityWord::Answer(AnswerPlace::Header(_)) => Some(self.named(&answers::hash_of(text?))),
            IdentityWord::Answer(AnswerPlace::Member(_)) => {
                is_name.then(|| self.named(&answers::hash_of(value.to_string())))
            }
            IdentityWord::Cookie(_) | IdentityWord::Header(_) | IdentityWord::Parameter(_) => None,
        }
    }

    /// Returns whether services can name clients by the first word. A claim names nobody without a configured issuer,
    /// because two issuers can give the same name to two clients.
    pub fn have_subjects(&self) -> bool {
        match self.words.first() {
            Some(IdentityWord::Claim(_)) => self.sources.tokens.as_ref().is_some_and(|tokens| tokens.names_issuer()),
            word => word.is_some_and(IdentityWord::is_verified),
        }
    }

    fn named(&self, said: &[u8]) -> [u8; 32] {
        Sha256::new_with_prefix(self.mark).chain_update(said).finalize().into()
    }

    fn said(&self, word: &IdentityWord, request: RequestParts<'_>) -> WordFinding {
        match word {
            IdentityWord::Header(name) => {
                one(request.headers.get_all(name).iter().map(|value| value.as_bytes().to_vec()))
            }
            IdentityWord::Cookie(name) => one(cookies(request.headers, name)),
            IdentityWord::Parameter(name) => one(parameters(request.query.unwrap_or_default(), name)),
            IdentityWord::Certificate => match request.certificate {
                None | Some("") => WordFinding::Nothing,
                Some(subject) => WordFinding::Value(subject.as_bytes().to_vec()),
            },
            IdentityWord::Claim(claim) => {
                let mut values = request.headers.get_all(AUTHORIZATION).iter();
                match (values.next(), values.next()) {
                    (None, _) => WordFinding::Nothing,
                    (Some(value), None) => {
                        let verified =
                            self.sources.tokens.as_ref().and_then(|tokens| tokens.claim(value.as_bytes(), claim));
                        verified.map_or(WordFinding::Doubtful, WordFinding::Value)
                    }
                    (Some(_), Some(_)) => WordFinding::Doubtful,
                }
            }
            IdentityWord::Answer(place) => {
                let Some(answers) = &self.sources.answers else { return WordFinding::Doubtful };
                if answers.credentials_of(request.headers) == SentCredentials::None {
                    return WordFinding::Nothing;
                }
                let said = request.answer.and_then(|answer| answers.said(answer, place));
                said.map_or(WordFinding::Doubtful, |said| WordFinding::Value(said.to_vec()))
            }
        }
    }
}

/// Returns the only value. Servers differ in which of two values they read, so two are doubtful.
fn one(mut values: impl Iterator<Item = Vec<u8>>) -> WordFinding {
    match (values.next(), values.next()) {
        (None, _) => WordFinding::Nothing,
        // An empty value is what a client without one sends, such as after a logout.
        (Some(value), None) if value.is_empty() => WordFinding::Doubtful,
        (Some(value), None) => WordFinding::Value(value),
        (Some(_), Some(_)) => WordFinding::Doubtful,
    }
}

/// Returns the values of the cookies with this name. Names are case-sensitive (RFC 6265).
fn cookies(headers: &HeaderMap, name: &str) -> impl Iterator<Item = Vec<u8>> {
    let lines = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let pairs = lines.filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        Some((pair[..at].trim_ascii(), pair[at + 1..].trim_ascii()))
    });
    pairs.filter(move |(known, _)| *known == name.as_bytes()).map(|(_, value)| value.to_vec())
}

/// Returns the decoded values of the parameters with this name.
fn parameters(query: &str, name: &str) -> impl Iterator<Item = Vec<u8>> {
    let decoded = |text: &str| percent_decode_str(&text.replace('+', " ")).collect::<Vec<u8>>();
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.filter(move |(known, _)| decoded(known) == name.as_bytes()).map(move |(_, value)| decoded(value))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn find(words: &[&str], fields: &[(&'static str, &'static str)], query: &str) -> Option<KnownClient> {
        let words: Vec<IdentityWord> = words.iter().filter_map(|word| IdentityWord::read(word)).collect();
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let rules = IdentityRules::compile(&words, &IdentitySources::default()).unwrap();
        rules.find(RequestParts { headers: &headers, query: Some(query), certificate: None, answer: None })
    }

    fn name(words: &[&str], fields: &[(&'static str, &'static str)]) -> Option<[u8; 32]> {
        find(words, fields, "").map(|known| known.name)
    }

    #[test]
    fn a_cookie_names_its_client_whatever_the_others_are() {
        let words = ["cookie:session"];
        let alice = name(&words, &[("cookie", "session=a")]);
        assert!(alice.is_some());
        assert_eq!(alice, name(&words, &[("cookie", "_ga=1; session=a; theme=dark")]));
        assert_ne!(alice, name(&words, &[("cookie", "session=b")]));
        for cookie in ["_ga=1", "Session=a", "session=", "session=a; session=b", "xsession=a", "session"] {
            assert_eq!(name(&words, &[("cookie", cookie)]), None, "{cookie}");
        }
        assert_eq!(name(&words, &[("cookie", "session=a"), ("cookie", "session=b")]), None);
        assert_eq!(name(&words, &[]), None);
    }

    #[test]
    fn headers_and_parameters_name_clients_together() {
        let words = ["header:x-user", "parameter:api_key"];
        let of = |fields: &[_], query: &str| find(&words, fields, query).map(|known| known.name);
        let both = of(&[("x-user", "a")], "limit=1&api_key=k");
        assert!(both.is_some());
        assert_eq!(both, of(&[("x-user", "a"), ("cookie", "_ga=1")], "api%5Fkey=%6b"));
        let others = [
            of(&[("x-user", "a")], ""),
            of(&[("x-user", "b")], "api_key=k"),
            of(&[("x-user", "a")], "api_key=l"),
            of(&[], "api_key=k"),
            of(&[("x-user", "k")], "api_key=a"),
        ];
        for (at, other) in others.iter().enumerate() {
            assert_ne!(both, *other, "{at}");
            assert!(others[..at].iter().all(|earlier| earlier != other), "{at}");
        }
        assert_eq!(of(&[("x-user", "a"), ("x-user", "b")], "api_key=k"), None);
        assert_eq!(of(&[("x-user", "a")], "api_key=k&api_key=l"), None);
        assert!(!find(&words, &[("x-user", "a")], "").unwrap().is_verified, "nobody verified it");
    }

    #[test]
    fn a_certificate_names_its_client() {
        let rules = IdentityRules::compile(&[IdentityWord::Certificate], &IdentitySources::default()).unwrap();
        let headers = HeaderMap::new();
        let of = |certificate| rules.find(RequestParts { headers: &headers, query: None, certificate, answer: None });
        let alice = of(Some("CN=alice")).unwrap();
        assert!(alice.is_verified);
        assert_ne!(alice.name, of(Some("CN=bob")).unwrap().name);
        assert_eq!(of(None), None);
        assert_eq!(of(Some("")), None);
        let token = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer of-a-user"))]);
        let beside = RequestParts { headers: &token, query: None, certificate: Some("CN=alice"), answer: None };
        assert_eq!(rules.find(beside), None, "the token may be that of one of many users");
        let both = [IdentityWord::Certificate, IdentityWord::Header(AUTHORIZATION)];
        assert!(IdentityRules::compile(&both, &IdentitySources::default()).unwrap().find(beside).is_some());
    }

    #[test]
    fn a_client_is_not_named_by_what_can_not_be_trusted() {
        let words = [IdentityWord::Certificate, IdentityWord::Claim("sub".to_owned())];
        let rules = IdentityRules::compile(&words, &IdentitySources::default()).unwrap();
        let token = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer forged"))]);
        let of =
            |headers| rules.find(RequestParts { headers, query: None, certificate: Some("CN=alice"), answer: None });
        assert_eq!(of(&token), None);
        assert!(of(&HeaderMap::new()).is_some(), "a request without a token");
    }
}
