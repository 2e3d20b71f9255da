//! Requests for endpoints: their paths, queries and bodies.

use http::Method;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;

use super::store::{DeliveryState, TimeRange};
use cursorgate_config::{
    outgoing::EndpointUrl,
    settings::{EndpointFilter, FilterFault, WebhookClientSettings, WebhookSettings},
};
use cursorgate_gateway::runtime::clock;
use cursorgate_translate::downstream::{Code, Problem};

/// The resource that the path of a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WebhookResource {
    /// All endpoints of the client.
    Endpoints,
    /// The types of events, with their schemas.
    Events,
    /// An endpoint, by its id.
    Endpoint(String),
    /// The replacement of an endpoint's secret with a new one, by the endpoint's id.
    Rotation(String),
    /// The verification of an endpoint, by the endpoint's id.
    Verification(String),
    /// The deliveries to an endpoint, by the endpoint's id.
    Deliveries(String),
    /// A delivery, by its endpoint's id and its own id.
    Delivery(String, String),
    /// An event by which the client tries an endpoint, by the endpoint's id.
    Trial(String),
    /// The repetition of the dead letters of a range of time, by their endpoint's id.
    Recovery(String),
    /// The repetition of a delivery, by its endpoint's id and its own id.
    Redelivery(String, String),
}

impl WebhookResource {
    /// Parses the part of the path that follows the service's path, such as `/ID/deliveries`. Returns `None` if there
    /// is no such resource, or if the resource doesn't support the method.
    pub(super) fn read(rest: &str, method: &Method) -> Option<Self> {
        let (reads, posts) = (matches!(*method, Method::GET | Method::HEAD), *method == Method::POST);
        let changes = matches!(*method, Method::PATCH | Method::DELETE);
        // Five parts are kept, one more than the longest resource has, so a path that is too long matches nothing.
        // Test: `a_path_names_endpoints_and_deliveries`.
        let parts: Vec<&str> = rest.split('/').skip(1).take(5).collect();
        let own = |id: &&str| id.to_string();
        // The ids of the operator's endpoints have another form, so clients can't name these endpoints.
        // Test: `a_path_names_endpoints_and_deliveries`.
        match parts.as_slice() {
            [] if reads || posts => Some(Self::Endpoints),
            ["events"] if reads => Some(Self::Events),
            [id] if is_id(id) && (reads || changes) => Some(Self::Endpoint(own(id))),
            [id, "rotate"] if is_id(id) && posts => Some(Self::Rotation(own(id))),
            [id, "verify"] if is_id(id) && posts => Some(Self::Verification(own(id))),
            [id, "test"] if is_id(id) && posts => Some(Self::Trial(own(id))),
            [id, "recover"] if is_id(id) && posts => Some(Self::Recovery(own(id))),
            [id, "deliveries"] if is_id(id) && reads => Some(Self::Deliveries(own(id))),
            [id, "deliveries", delivery] if is_id(id) && is_id(delivery) && reads => {
                Some(Self::Delivery(own(id), own(delivery)))
            }
            [id, "deliveries", delivery, "redeliver"] if is_id(id) && is_id(delivery) && posts => {
                Some(Self::Redelivery(own(id), own(delivery)))
            }
            _ => None,
        }
    }
}

/// Returns whether a string can be the id of an endpoint or a delivery: 32 hexadecimal digits in lower case.
pub(super) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The body of a request that registers an endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    url: String,
    events: Vec<String>,
    #[serde(default)]
    filter: Value,
}

/// A registration, after its check.
#[derive(Debug)]
pub(super) struct CheckedRegistration {
    pub(super) url: String,
    pub(super) events: Vec<String>,
    pub(super) filter: EndpointFilter,
}

/// The body of a request to send the dead letters of a range of time again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoveryOrder {
    /// The beginning, as RFC 3339 writes it.
    since: String,
    /// The end; `None` for now.
    until: Option<String>,
}

impl RecoveryOrder {
    /// Returns the range of time.
    ///
    /// # Errors
    ///
    /// Returns 400 `body_invalid` if a time isn't one, or if the range ends before it begins.
    pub(super) fn checked(&self) -> Result<TimeRange, Box<Problem>> {
        let invalid =
            |place: &str, detail: &str| Box::new(Problem::new(Code::BodyInvalid, detail).with_parameter(place));
        let said = "write a time of RFC 3339, such as \"2026-11-23T15:00:00Z\"";
        let since = clock::read_rfc3339(&self.since).ok_or_else(|| invalid("/since", said))?;
        let until =
            self.until.as_deref().map(|until| clock::read_rfc3339(until).ok_or_else(|| invalid("/until", said)));
        let until = until.transpose()?.unwrap_or(u64::MAX);
        if until < since {
            return Err(invalid("/until", "the range ends before it begins"));
        }
        Ok(TimeRange { since, until })
    }
}

/// The body of a request that changes an endpoint.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndpointChange {
    url: Option<String>,
    events: Option<Vec<String>>,
    /// The filter, of which `null` removes all conditions; `None` if it isn't named.
    #[serde(default, deserialize_with = "named")]
    filter: Option<Value>,
    enabled: Option<bool>,
}

/// Reads a member that is in the body, also if it is `null`.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The change of an endpoint, after its check. Where a field is `None`, the endpoint doesn't change.
#[derive(Debug)]
pub(super) struct CheckedChange {
    pub(super) url: Option<String>,
    pub(super) events: Option<Vec<String>>,
    pub(super) filter: Option<EndpointFilter>,
    pub(super) enabled: Option<bool>,
}

/// Reads a body. The caller has checked that it is JSON without duplicate members. If the body is refused, the problem
/// shows `example`.
///
/// # Errors
///
/// Returns 400 `body_invalid` if the body doesn't have the form of `T`.
pub(super) fn read<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Box<Problem>> {
    serde_json::from_slice(body).map_err(|error| {
        let said = error.to_string();
        let said: String = said.split(" at line ").next().unwrap_or_default().chars().take(200).collect();
        Box::new(Problem::new(Code::BodyInvalid, format!("write {example}: {said}")))
    })
}

impl Registration {
    /// Returns the registration, after a check by the rules of the configuration.
    ///
    /// # Errors
    ///
    /// Returns 400 `body_invalid` if the types of events aren't permitted or the filter isn't one, or 422 `webhook_url_refused` if the URL
    /// isn't.
    pub(super) fn checked(
        self,
        settings: &WebhookSettings,
        clients: &WebhookClientSettings,
    ) -> Result<CheckedRegistration, Box<Problem>> {
        check_url(&self.url, settings)?;
        let events = read_events(&self.events, clients)?;
        Ok(CheckedRegistration { url: self.url, events, filter: read_filter(&self.filter)? })
    }
}

impl EndpointChange {
    /// Returns the change, after a check by the rules of the configuration.
    ///
    /// # Errors
    ///
    /// Returns 400 `body_invalid` if the types of events aren't permitted or the filter isn't one, or 422
    /// `webhook_url_refused` if the URL isn't permitted.
    pub(super) fn checked(
        self,
        settings: &WebhookSettings,
        clients: &WebhookClientSettings,
    ) -> Result<CheckedChange, Box<Problem>> {
        if let Some(url) = &self.url {
            check_url(url, settings)?;
        }
        let events = self.events.as_ref().map(|events| read_events(events, clients)).transpose()?;
        let filter = self.filter.as_ref().map(read_filter).transpose()?;
        Ok(CheckedChange { url: self.url, events, filter, enabled: self.enabled })
    }
}

fn read_filter(value: &Value) -> Result<EndpointFilter, Box<Problem>> {
    let invalid = |FilterFault { place, detail }| Problem::new(Code::BodyInvalid, detail).with_parameter(&place);
    EndpointFilter::read(value).map_err(|fault| Box::new(invalid(fault)))
}

fn check_url(text: &str, settings: &WebhookSettings) -> Result<(), Box<Problem>> {
    let refused = |detail: String| Box::new(Problem::new(Code::WebhookUrlRefused, detail).with_parameter("/url"));
    let url =
        EndpointUrl::parse(text).map_err(|help| refused(format!("this is not the URL of an endpoint: {help}")))?;
    settings.rules.refusal(&url).map_or(Ok(()), |reason| Err(refused(reason)))
}

fn read_events(words: &[String], clients: &WebhookClientSettings) -> Result<Vec<String>, Box<Problem>> {
    let allowed = &clients.events;
    let invalid = |detail: &str| {
        let mut problem = Problem::new(Code::BodyInvalid, detail).with_parameter("/events");
        problem.allowed.clone_from(allowed);
        Box::new(problem)
    };
    if words.is_empty() {
        return Err(invalid("name one type of events at least"));
    }
    let mut events: Vec<String> = Vec::new();
    for word in words {
        if !allowed.contains(word) {
            return Err(invalid("there is no such type of events here"));
        }
        if events.contains(word) {
            return Err(invalid("a type is named twice"));
        }
        events.push(word.clone());
    }
    Ok(events)
}

/// Reads the query of a request for deliveries: `state`, and `before`, the id of a delivery. Only deliveries that are
/// older than `before` are listed.
///
/// # Errors
///
/// Returns 400 `parameter_invalid` for an unknown parameter or value.
pub(super) fn read_query(query: Option<&str>) -> Result<(Option<DeliveryState>, Option<String>), Box<Problem>> {
    let (mut state, mut before) = (None, None);
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        // States and ids don't need percent-encoding, so values aren't decoded.
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let invalid = |detail: &str| Box::new(Problem::new(Code::ParameterInvalid, detail).with_parameter(name));
        match name {
            "state" => {
                let known = DeliveryState::of(value);
                state = Some(known.ok_or_else(|| invalid("the states are queued, delivered and dead"))?);
            }
            "before" if is_id(value) => before = Some(value.to_owned()),
            "before" => return Err(invalid("write the id of a delivery")),
            _ => return Err(invalid("the parameters are state and before")),
        }
    }
    Ok((state, before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_endpoints_and_deliveries() {
        let (id, other) = ("0123456789abcdef0123456789abcdef", "f123456789abcdef0123456789abcdef");
        let of = |rest: &str, method| WebhookResource::read(rest, &method);
        assert_eq!(of("", Method::POST), Some(WebhookResource::Endpoints));
        assert_eq!(of("/events", Method::GET), Some(WebhookResource::Events));
        assert_eq!(of(&format!("/{id}"), Method::PATCH), Some(WebhookResource::Endpoint(id.to_owned())));
        assert_eq!(of(&format!("/{id}/rotate"), Method::POST), Some(WebhookResource::Rotation(id.to_owned())));
        assert_eq!(of(&format!("/{id}/verify"), Method::POST), Some(WebhookResource::Verification(id.to_owned())));
        assert_eq!(of(&format!("/{id}/test"), Method::POST), Some(WebhookResource::Trial(id.to_owned())));
        assert_eq!(of(&format!("/{id}/recover"), Method::POST), Some(WebhookResource::Recovery(id.to_owned())));
        let redelivery = Some(WebhookResource::Redelivery(id.to_owned(), other.to_owned()));
        assert_eq!(of(&format!("/{id}/deliveries/{other}/redeliver"), Method::POST), redelivery);
        for (rest, method) in [
            ("", Method::DELETE),
            ("/", Method::GET),
            ("/config:audit", Method::GET),
            ("/events", Method::POST),
            (&format!("/{id}/"), Method::GET),
            (&format!("/{id}"), Method::POST),
            (&format!("/{id}/rotate"), Method::GET),
            (&format!("/{id}/deliveries/{other}/redeliver/x"), Method::POST),
            (&format!("/{}", id.to_uppercase()), Method::GET),
        ] {
            assert_eq!(of(rest, method.clone()), None, "{method} {rest}");
        }
    }

    #[test]
    fn a_query_filters_by_state_and_goes_on_before_a_delivery() {
        let id = "0123456789abcdef0123456789abcdef";
        let read = read_query(Some(&format!("state=dead&before={id}"))).unwrap();
        assert_eq!(read, (Some(DeliveryState::Dead), Some(id.to_owned())));
        for query in ["state=open", "before=1", "limit=3"] {
            assert_eq!(read_query(Some(query)).unwrap_err().code, Code::ParameterInvalid, "{query}");
        }
    }
}
