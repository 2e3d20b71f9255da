//! Recorded exchanges with an upstream, which answer the requests of a prober. Nothing is sent to the upstream.
//!
//! A request is looked up by its method, path, parameters in any order, and body. Each exchange answers once: if it
//! answered a repeated request, the upstream's answers would seem to be stable.

pub mod har;
#[cfg(test)]
mod tests;

use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, header};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::{
    paging::token::query_of,
    prober::{
        looks_like_paging,
        port::{ProbeAnswer, ProbeFault, ProbeOutcome, ProbeRequest},
    },
    shape::names::{OFFSETS, PAGES, plain},
    surroundings::CREDENTIALS,
};
use cursorgate_config::settings::{ContractExchange, ContractValue};

/// The largest number of names that an error lists.
const LISTED: usize = 12;

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct RecordedExchange {
    /// The method of the request.
    pub method: Method,
    /// The path of the request, as it was sent.
    pub path: String,
    /// The parameters of the query, decoded.
    pub pairs: Vec<(String, String)>,
    /// The body of the request; `None` if the request has none, or if it isn't JSON.
    pub body: Option<Value>,
    /// The names of the request's headers with credentials. The values are not kept.
    pub credentials: Vec<HeaderName>,
    /// The answer, with its body decoded.
    pub answer: ProbeAnswer,
}

impl RecordedExchange {
    /// Converts an exchange of a dialect's contract.
    #[must_use]
    pub fn of_contract(exchange: &ContractExchange) -> Self {
        let text = |key: &str| match exchange.request.find(key).map(|fact| &fact.value) {
            Some(ContractValue::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let names = exchange.headers.iter().filter_map(|(name, _)| name.value.parse().ok());
        Self {
            method: text("method").and_then(|method| method.parse().ok()).unwrap_or(Method::GET),
            path: text("path").unwrap_or(&exchange.list).to_owned(),
            pairs: query_of(&format!("?{}", text("query").unwrap_or_default())),
            body: text("body").and_then(|body| serde_json::from_str(body).ok()),
            credentials: names.filter(is_credential).collect(),
            answer: ProbeAnswer {
                status: exchange.answer.status,
                headers: decoded_headers(exchange.answer.headers.clone()),
                body: exchange.answer.body.clone().into_bytes(),
                elapsed: Duration::ZERO,
            },
        }
    }

    fn is_at(&self, method: &Method, path: &str) -> bool {
        let decoded = |path: &'_ str| percent_decode_str(path).collect::<Vec<u8>>();
        self.method == *method && decoded(&self.path) == decoded(path)
    }
}

fn is_credential(name: &HeaderName) -> bool {
    CREDENTIALS.contains(&name.as_str())
}

/// Recorded exchanges, in the order in which they took place.
#[derive(Debug, Default)]
pub struct Recording {
    /// Each exchange, and whether it has answered a request.
    exchanges: Vec<(RecordedExchange, bool)>,
}

impl Recording {
    /// Creates a recording in which no exchange has answered yet.
    #[must_use]
    pub fn new(exchanges: Vec<RecordedExchange>) -> Self {
        Self { exchanges: exchanges.into_iter().map(|exchange| (exchange, false)).collect() }
    }

    /// Returns the parameters of the recorded request for the first page. That request has the given parameters, and
    /// otherwise only paging parameters. Of several such requests, the one with the fewest parameters is chosen, then
    /// the one with the smallest page or offset.
    ///
    /// # Errors
    ///
    /// Returns a message with the reason if no such request is recorded.
    pub fn first(
        &self,
        method: &Method,
        path: &str,
        given: &[(String, String)],
    ) -> Result<Vec<(String, String)>, String> {
        let recorded = || self.of(method, path);
        // Paging parameters of the URL are only hints, as with a live list, so a recorded request may lack them.
        let given: Vec<&(String, String)> = given.iter().filter(|(name, _)| !looks_like_paging(name)).collect();
        // The pages may be recorded in any order, so the first page is found by its numbers. Test:
        // `pages_of_a_browser_are_enough_for_a_route`.
        let rank = |pairs: &&[(String, String)]| {
            let places = pairs.iter().filter(|(name, _)| names_a_place(name));
            let numbers = places.filter_map(|(_, value)| value.parse::<u64>().ok());
            (pairs.len(), numbers.fold(0, u64::saturating_add))
        };
        let fits = |pairs: &&[(String, String)]| {
            let has_all = given.iter().all(|pair| pairs.contains(pair));
            has_all && pairs.iter().all(|pair| given.contains(&pair) || looks_like_paging(&pair.0))
        };
        if let Some(pairs) = recorded().filter(fits).min_by_key(rank) {
            return Ok(pairs.to_vec());
        }
        if recorded().next().is_none() {
            let mut paths: Vec<&str> = self.exchanges.iter().map(|(own, _)| own.path.as_str()).collect();
            paths.sort_unstable();
            paths.dedup();
            paths.truncate(LISTED);
            let what = format!("no {method} of {path} at this host is recorded");
            return Err(match paths.is_empty() {
                true => format!("{what}: give the URL as it was recorded, or record requests for the list"),
                false => format!("{what}: give the URL of a recorded list; recorded paths are {}", paths.join(", ")),
            });
        }
        // The error contains only the names of parameters, since their values may be secrets. Test:
        // `a_list_that_is_not_recorded_is_an_error_without_values`.
        let mut names: Vec<&str> = recorded().flatten().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.truncate(LISTED);
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        Err(format!(
            "no {method} of {path} with these parameters is recorded: give a recorded URL; recorded parameters are {names}"
        ))
    }

    /// Returns the parameters of each recorded request for a list.
    #[must_use]
    pub fn parameters(&self, method: &Method, path: &str) -> Vec<Vec<(String, String)>> {
        self.of(method, path).map(<[_]>::to_vec).collect()
    }

    /// Returns the headers with credentials of recorded requests for a list.
    #[must_use]
    pub fn credentials(&self, method: &Method, path: &str) -> Vec<HeaderName> {
        let own = self.exchanges.iter().filter(|(own, _)| own.is_at(method, path));
        let mut names: Vec<HeaderName> = Vec::new();
        for name in own.flat_map(|(own, _)| &own.credentials) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Answers a request with its last recorded exchange.
    ///
    /// # Errors
    ///
    /// Returns [`ProbeFault::NotRecorded`] if there is no such exchange, or if it has answered before.
    pub fn answer(&mut self, request: &ProbeRequest) -> ProbeOutcome {
        let pairs = sorted(&query_of(&format!("?{}", request.query)));
        let body: Option<Value> = request.body.as_deref().and_then(|body| serde_json::from_str(body).ok());
        // A recording does not show whether a request lacks a header on purpose, so requests without a header of the
        // target are not answered. Test: `a_recorded_answer_is_found_by_method_query_and_body_and_used_once`.
        let asked = self.exchanges.iter_mut().rev().filter(|_| request.without.is_none());
        let found = asked.into_iter().find(|(own, _)| {
            own.is_at(&request.method, &request.path) && sorted(&own.pairs) == pairs && own.body == body
        });
        let (exchange, has_answered) =
            found.filter(|(_, has_answered)| !has_answered).ok_or(ProbeFault::NotRecorded)?;
        *has_answered = true;
        Ok(exchange.answer.clone())
    }

    fn of(&self, method: &Method, path: &str) -> impl Iterator<Item = &[(String, String)]> {
        let own = self.exchanges.iter().filter(move |(own, _)| own.is_at(method, path));
        own.map(|(own, _)| own.pairs.as_slice())
    }
}

/// Returns whether a parameter has the usual name of a page or an offset.
fn names_a_place(name: &str) -> bool {
    PAGES.iter().chain(&OFFSETS).any(|known| plain(known) == plain(name))
}

fn sorted(pairs: &[(String, String)]) -> Vec<(String, String)> {
    let mut pairs = pairs.to_vec();
    pairs.sort();
    pairs
}

/// Removes `Content-Encoding` and `Content-Length`, which describe the encoded body.
fn decoded_headers(mut headers: HeaderMap) -> HeaderMap {
    headers.remove(header::CONTENT_ENCODING);
    headers.remove(header::CONTENT_LENGTH);
    headers
}
