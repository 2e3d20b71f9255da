//! The settings that say who a client is: `identity` of routes and services, `server.tokens` and
//! `server.identity_answer`.

use std::time::Duration;

use http::{
    HeaderName,
    header::{AUTHORIZATION, COOKIE},
};

use super::UpstreamSettings;

/// One part of a request that identifies its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityWord {
    /// `header:NAME`: the value of a header.
    Header(HeaderName),
    /// `cookie:NAME`: the value of one cookie.
    Cookie(String),
    /// `certificate`: the subject of the client's verified certificate.
    Certificate,
    /// `parameter:NAME`: the value of a parameter of the query.
    Parameter(String),
    /// `jwt:CLAIM`: a claim of the bearer token, whose signature `server.tokens` verifies.
    Claim(String),
    /// `answer:PLACE`: a part of the upstream's answer to `server.identity_answer`.
    Answer(AnswerPlace),
}

/// The place of a client's name in an answer of the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerPlace {
    /// `/user/id`: a member of the body, as a JSON Pointer.
    Member(String),
    /// `X-User-Id`: a header.
    Header(HeaderName),
}

impl IdentityWord {
    /// Reads a word that `syntax::identity` accepts.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        match text.split_once(':') {
            None => (text == "certificate").then_some(Self::Certificate),
            Some((_, "")) => None,
            Some(("header", name)) => HeaderName::from_bytes(name.as_bytes()).ok().map(Self::Header),
            Some(("cookie", name)) => Some(Self::Cookie(name.to_owned())),
            Some(("parameter", name)) => Some(Self::Parameter(name.to_owned())),
            Some(("jwt", claim)) => Some(Self::Claim(claim.to_owned())),
            Some(("answer", pointer)) if pointer.starts_with('/') => {
                Some(Self::Answer(AnswerPlace::Member(pointer.to_owned())))
            }
            Some(("answer", name)) => {
                HeaderName::from_bytes(name.as_bytes()).ok().map(|name| Self::Answer(AnswerPlace::Header(name)))
            }
            Some(_) => None,
        }
    }

    /// Returns the header of the request of which the word reads a part; `None` if it reads no header. An answer depends
    /// on all headers of `server.identity_answer`.
    #[must_use]
    pub fn header(&self) -> Option<HeaderName> {
        match self {
            Self::Header(name) => Some(name.clone()),
            Self::Cookie(_) => Some(COOKIE),
            Self::Claim(_) => Some(AUTHORIZATION),
            Self::Certificate | Self::Parameter(_) | Self::Answer(_) => None,
        }
    }

    /// Returns whether the gateway itself or the upstream proves the value, and doesn't only repeat what the client
    /// wrote.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self, Self::Certificate | Self::Claim(_) | Self::Answer(_))
    }
}

impl std::fmt::Display for IdentityWord {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(formatter, "header:{name}"),
            Self::Cookie(name) => write!(formatter, "cookie:{name}"),
            Self::Certificate => formatter.write_str("certificate"),
            Self::Parameter(name) => write!(formatter, "parameter:{name}"),
            Self::Claim(name) => write!(formatter, "jwt:{name}"),
            Self::Answer(AnswerPlace::Member(pointer)) => write!(formatter, "answer:{pointer}"),
            Self::Answer(AnswerPlace::Header(name)) => write!(formatter, "answer:{name}"),
        }
    }
}

/// The place of a JSON Web Key Set (RFC 7517).
#[derive(Clone, Debug)]
pub enum TokenKeySource {
    /// The content of a file.
    File(Vec<u8>),
    Url(Box<TokenKeyUrl>),
}

/// The URL of a JSON Web Key Set.
#[derive(Clone, Debug)]
pub struct TokenKeyUrl {
    /// The server, as an upstream that no route has.
    pub upstream: UpstreamSettings,
    /// The path and query.
    pub target: String,
    pub refresh: Duration,
    pub keep: Duration,
}

super::words! {
    /// The algorithms of signatures that `server.tokens` accepts. All of them have a public key: with a shared secret,
    /// whoever can verify a token could also make one.
    pub enum TokenAlgorithm {
        /// RSA with SHA-256 (PKCS #1 v1.5).
        Rs256 = "RS256",
        /// RSA with SHA-384 (PKCS #1 v1.5).
        Rs384 = "RS384",
        /// RSA with SHA-512 (PKCS #1 v1.5).
        Rs512 = "RS512",
        /// RSA with SHA-256 (PSS).
        Ps256 = "PS256",
        /// RSA with SHA-384 (PSS).
        Ps384 = "PS384",
        /// RSA with SHA-512 (PSS).
        Ps512 = "PS512",
        /// ECDSA with the curve P-256 and SHA-256.
        Es256 = "ES256",
        /// ECDSA with the curve P-384 and SHA-384.
        Es384 = "ES384",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}
