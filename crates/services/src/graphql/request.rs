//! GraphQL requests over HTTP (<https://graphql.github.io/graphql-over-http/draft/>): a POST with a JSON object, or a
//! GET with the same members as parameters.

use std::borrow::Cow;

use async_graphql::Variables;
use http::{HeaderMap, HeaderValue, header};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use cursorgate_translate::downstream::{Code, Problem};

/// Headers that a web page of another origin can't send without a CORS preflight. A GET request needs one of these
/// headers or `Content-Type: application/json`. Otherwise any web page could make a browser send the request with its
/// user's credentials.
const PREFLIGHTED: [&str; 3] = ["apollo-require-preflight", "graphql-require-preflight", "x-apollo-operation-name"];

#[derive(Debug, Default, Deserialize)]
pub(super) struct GraphqlRequest {
    /// The text of the query; `None` if the request has only the query's hash, or no query.
    pub(super) query: Option<String>,
    #[serde(rename = "operationName")]
    pub(super) operation: Option<String>,
    variables: Option<serde_json::Map<String, serde_json::Value>>,
    extensions: Option<RequestExtensions>,
}

#[derive(Debug, Deserialize)]
struct RequestExtensions {
    #[serde(rename = "persistedQuery")]
    persisted: Option<PersistedQuery>,
}

/// The hash that names a query (<https://www.apollographql.com/docs/apollo-server/performance/apq>).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PersistedQuery {
    pub(super) version: u32,
    #[serde(rename = "sha256Hash")]
    pub(super) hash: String,
}

impl GraphqlRequest {
    /// Parses the body of a POST request, which is a JSON object.
    ///
    /// # Errors
    ///
    /// Returns 400 `body_invalid` if a member has the wrong type.
    pub(super) fn of_body(body: &[u8]) -> Result<Self, Box<Problem>> {
        serde_json::from_slice(body).map_err(|error| {
            let said = error.to_string();
            let said: String = said.split(" at line ").next().unwrap_or_default().chars().take(200).collect();
            let detail = format!("write {{\"query\":\"{{ … }}\",\"variables\":{{}}}}: {said}");
            Box::new(Problem::new(Code::BodyInvalid, detail))
        })
    }

    /// Parses the query string of a GET request, which has at most `most` bytes.
    ///
    /// # Errors
    ///
    /// Returns 400 `parameter_invalid` for a parameter that can't be read, 400 `request_invalid` for a request that a
    /// web page of another origin could send, or 414 `target_too_long`.
    pub(super) fn of_query(query: &str, headers: &HeaderMap, most: usize) -> Result<Self, Box<Problem>> {
        let is_json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
        let asks_first = PREFLIGHTED.iter().any(|name| headers.get(*name).is_some_and(|value| !value.is_empty()));
        if !asks_first && !headers.get(header::CONTENT_TYPE).is_some_and(is_json) {
            let detail = "a request by GET needs the header GraphQL-Require-Preflight: 1, or Content-Type: \
                          application/json, which pages of other origins can't send unasked";
            return Err(Box::new(Problem::new(Code::RequestInvalid, detail)));
        }
        // `most` is the limit of bodies, because a query in the target costs the same as a query in a body.
        if query.len() > most {
            let detail = format!("the query is longer than {most} bytes");
            return Err(Box::new(Problem::new(Code::TargetTooLong, detail)));
        }
        let mut request = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value).ok_or_else(|| invalid(name, "it is not UTF-8"))?;
            match name {
                "query" => request.query = Some(value),
                "operationName" => request.operation = Some(value).filter(|name| !name.is_empty()),
                "variables" => request.variables = json(name, &value)?,
                "extensions" => request.extensions = json(name, &value)?,
                // Other parameters are ignored, because clients add their own ones.
                _ => {}
            }
        }
        Ok(request)
    }

    /// Returns the hash by which the request names its query; `None` if the request doesn't have one.
    pub(super) fn persisted(&self) -> Option<&PersistedQuery> {
        self.extensions.as_ref()?.persisted.as_ref()
    }

    /// Takes the variables out of the request. Without variables, returns an empty set.
    pub(super) fn take_variables(&mut self) -> Variables {
        let variables = self.variables.take().unwrap_or_default();
        Variables::from_json(serde_json::Value::Object(variables))
    }
}

fn decoded(value: &str) -> Option<String> {
    // A `+` is replaced before the decoding, because an encoded `+` must stay.
    let spaced = value.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

fn json<'t, T: Deserialize<'t>>(name: &str, value: &'t str) -> Result<Option<T>, Box<Problem>> {
    if value.is_empty() {
        return Ok(None);
    }
    serde_json::from_str(value).map(Some).map_err(|_| invalid(name, "it is not a JSON object"))
}

fn invalid(name: &str, why: &str) -> Box<Problem> {
    Box::new(Problem::new(Code::ParameterInvalid, format!("`{name}` can't be read: {why}")).with_parameter(name))
}
