//! The settings of the API's OpenAPI description: `[openapi]`.

use super::OAuthFlow;
use crate::key::words;

/// A security scheme (OpenAPI 3.1, section 4.8.27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityScheme {
    pub description: Option<String>,
    pub credentials: SchemeCredentials,
}

/// The credentials of a security scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemeCredentials {
    Key {
        name: String,
        place: CredentialPlace,
    },
    Http {
        scheme: String,
        bearer_format: Option<String>,
    },
    MutualTls,
    /// The flows with their names in OpenAPI, such as `clientCredentials`.
    OAuth2(Vec<(&'static str, OAuthFlow)>),
    OpenIdConnect {
        url: String,
    },
}

words! {
    /// The place of a key in a request.
    pub enum CredentialPlace {
        /// A header.
        Header = "header",
        /// A query parameter.
        Query = "query",
        /// A cookie.
        Cookie = "cookie",
    }
}
