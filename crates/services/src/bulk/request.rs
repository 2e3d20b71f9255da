//! Reads the operations of a bulk request, and checks all of them before the first one runs.

use std::collections::{BTreeMap, HashSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use pingora::http::RequestHeader;
use serde::{
    Deserialize,
    de::{Deserializer, Error as _, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::form::BulkForm;
use crate::list_page::encoded;
use cursorgate_config::settings::{BulkSettings, OperationType};
use cursorgate_gateway::{
    Snapshot,
    request::{head, target},
};
use cursorgate_translate::downstream::{Code, Problem, RequestBody};

/// The largest nesting depth of a bulk request's JSON. A deeper body is refused.
pub(super) const DEPTH: u16 = 64;

/// The largest number of operations that a configuration can allow. A request with more is refused.
const MOST_OPERATIONS: usize = 100_000;

/// The largest length of an operation's id, in bytes. A longer id is refused.
const LONGEST_ID: usize = 256;

/// The bytes of an answer without its headers and its body.
const ANSWER: usize = 256;

/// The methods that an operation can have.
const METHODS: [Method; 6] = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// The headers that an operation can set for itself. No header in this list is a credential or names an origin.
const OWN_HEADERS: [&str; 10] = [
    "accept",
    "accept-language",
    "cache-control",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-unmodified-since",
    "prefer",
];

/// A bulk request whose operations have all been checked.
#[derive(Debug)]
pub(super) struct BulkPlan {
    pub(super) operations: Vec<Operation>,
    /// True if no more operations begin after an operation has failed.
    pub(super) stop_on_error: bool,
}

/// An operation after its check.
#[derive(Debug)]
pub(super) struct Operation {
    /// The client's own name for the operation, which its result repeats; `None` if the client didn't name it.
    pub(super) id: Option<String>,
    /// The type that the client wrote, or else the method and the name of the route, such as `GET users`.
    pub(super) kind: String,
    /// The operation as the client wrote it, which the result of a failed operation repeats.
    pub(super) written: Bytes,
    pub(super) method: Method,
    target: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Bytes,
}

impl BulkPlan {
    /// Returns the bytes that the plan and the answers to its operations occupy, without the bodies of the answers.
    pub(super) fn size(&self) -> usize {
        let of = |operation: &Operation| {
            let headers: usize = operation.headers.iter().map(|(_, value)| value.len() + 128).sum();
            operation.target.len() + operation.kind.len() + headers
        };
        let each = size_of::<Operation>() + ANSWER;
        self.operations.len() * each + self.operations.iter().map(of).sum::<usize>()
    }
}

impl Operation {
    /// Returns the head of the operation's inner request, with the headers of `inherited` and of the operation.
    ///
    /// # Errors
    ///
    /// Returns an error if Pingora refuses the head, which doesn't happen once the operation has been checked.
    pub(super) fn head(&self, inherited: &HeaderMap) -> pingora::Result<RequestHeader> {
        let mut head = RequestHeader::build(self.method.clone(), self.target.as_bytes(), None)?;
        for (name, value) in inherited {
            head.append_header(name.clone(), value.clone())?;
        }
        // Inserted, not appended: the operation's own header replaces an inherited header of that name.
        for (name, value) in &self.headers {
            head.insert_header(name.clone(), value.clone())?;
        }
        // With a method that usually has a body, a request states the length even if it is 0 (RFC 9110 section 8.6).
        if !self.body.is_empty() || matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            head.insert_header(header::CONTENT_LENGTH, self.body.len().to_string())?;
        }
        Ok(head)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WrittenBulk<'a> {
    #[serde(borrow)]
    operations: WrittenOperations<'a>,
    #[serde(default)]
    stop_on_error: bool,
}

/// The operations as unparsed JSON. A list of more than [`MOST_OPERATIONS`] is refused without reading the rest.
struct WrittenOperations<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for WrittenOperations<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = WrittenOperations<'de>;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of operations")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut operations = Vec::new();
                while let Some(operation) = list.next_element()? {
                    if operations.len() == MOST_OPERATIONS {
                        return Err(A::Error::custom(format!("there are more than {MOST_OPERATIONS} operations")));
                    }
                    operations.push(operation);
                }
                Ok(WrittenOperations(operations))
            }
        }
        deserializer.deserialize_seq(Reading)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenOperation<'a> {
    id: Option<String>,
    r#type: Option<String>,
    #[serde(borrow, default)]
    parameters: BTreeMap<String, &'a RawValue>,
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

/// Reads and checks the operations of a request. `body` is a JSON object without duplicate members or, in the form of
/// lines, has an operation on each line.
///
/// # Errors
///
/// Returns 400 `body_invalid` for a fault of the body or of the list of operations, and 400 `operation_invalid` for a
/// fault of one operation. The latter names the place of the fault, such as `/operations/2/path`.
pub(super) fn read(
    body: &Bytes,
    form: BulkForm,
    inherited: &HeaderMap,
    snapshot: &Snapshot,
    settings: &BulkSettings,
) -> Result<BulkPlan, Box<Problem>> {
    let of_list = |detail: String| Box::new(Problem::new(Code::BodyInvalid, detail).with_parameter("/operations"));
    let WrittenBulk { operations: WrittenOperations(written), stop_on_error } = match form {
        BulkForm::Lines => WrittenBulk { operations: read_lines(body)?, stop_on_error: false },
        BulkForm::Json => serde_json::from_slice(body).map_err(|error| {
            Box::new(Problem::new(Code::BodyInvalid, format!("write {{\"operations\":[…]}}: {}", said(&error))))
        })?,
    };
    if written.is_empty() {
        return Err(of_list("there are no operations".to_owned()));
    }
    if written.len() > settings.operations {
        let detail =
            format!("there are {} operations, and {} at most in a request", written.len(), settings.operations);
        return Err(of_list(detail));
    }
    let mut operations: Vec<Operation> = Vec::with_capacity(written.len());
    let mut ids = HashSet::new();
    for (place, raw) in written.into_iter().enumerate() {
        let operation = read_operation(place, raw, body, inherited, snapshot, &settings.types)?;
        // The client couldn't distinguish two results with the same id, so a repeated id is refused.
        if let Some(id) = &operation.id
            && !ids.insert(id.clone())
        {
            return Err(fault(Code::OperationInvalid, place, "/id", "another operation has this id"));
        }
        operations.push(operation);
    }
    Ok(BulkPlan { operations, stop_on_error })
}

/// Reads the operations of a body with one on each line. Lines without content are skipped.
fn read_lines(body: &Bytes) -> Result<WrittenOperations<'_>, Box<Problem>> {
    let lines = body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let read = |(place, line): (usize, _)| {
        let invalid = |detail: String| fault(Code::BodyInvalid, place, "", detail);
        // The same check as that of a whole body: no member comes twice, and the nesting is bounded.
        RequestBody::read(<[u8]>::to_vec(line), DEPTH).map_err(|problem| invalid(problem.detail))?;
        serde_json::from_slice(line).map_err(|error| invalid(said(&error)))
    };
    Ok(WrittenOperations(lines.take(MOST_OPERATIONS + 1).enumerate().map(read).collect::<Result<_, _>>()?))
}

fn read_operation(
    place: usize,
    raw: &RawValue,
    whole: &Bytes,
    inherited: &HeaderMap,
    snapshot: &Snapshot,
    types: &[OperationType],
) -> Result<Operation, Box<Problem>> {
    let invalid = |member: &str, detail: &str| fault(Code::OperationInvalid, place, member, detail);
    let written: WrittenOperation<'_> = serde_json::from_str(raw.get()).map_err(|error| invalid("", &said(&error)))?;
    let WrittenOperation { id, r#type: name, parameters, method, path, headers, body } = written;
    let (method, target) = match (&name, method, path) {
        (None, Some(method), Some(path)) if parameters.is_empty() => (method, path),
        (Some(name), None, None) => typed(name, &parameters, types)
            .map_err(|(member, detail)| fault(Code::OperationInvalid, place, member, detail))?,
        _ => return Err(invalid("", "write a method and a path, or a type and its parameters")),
    };
    if id.as_ref().is_some_and(|id| id.len() > LONGEST_ID) {
        return Err(invalid("/id", &format!("an id has at most {LONGEST_ID} bytes")));
    }
    let Some(method) = METHODS.into_iter().find(|known| known.as_str() == method) else {
        return Err(invalid("/method", "the methods are GET, HEAD, POST, PUT, PATCH and DELETE"));
    };
    // A space or a control byte could end the request line early, and so smuggle in a second request. A path with such
    // a byte or with a fragment is refused. Test: `a_malformed_request_runs_no_operation`.
    let is_foreign = |byte: u8| byte <= b' ' || byte == 0x7f || byte == b'#';
    if !target.starts_with('/') || target.bytes().any(is_foreign) {
        return Err(invalid("/path", "a path begins with a slash and contains no space and no fragment"));
    }
    let mut own = Vec::with_capacity(headers.len() + 1);
    for (name, value) in &headers {
        own.push(read_header(place, name, value)?);
    }
    let is_json = is_json(own.iter().find(|(name, _)| *name == header::CONTENT_TYPE).map(|(_, value)| value));
    let body = match body {
        None => Bytes::new(),
        // A body has no meaning in GET and HEAD requests, and servers may refuse it (RFC 9110 sections 9.3.1 and
        // 9.3.2), so the operation is refused here.
        Some(_) if matches!(method, Method::GET | Method::HEAD) => {
            return Err(invalid("/body", "GET and HEAD have no body"));
        }
        // A slice of the bulk request: the upstream gets exactly the bytes that the client wrote.
        // Test: `each_operation_is_answered_as_if_it_had_come_alone`.
        Some(value) if is_json => whole.slice_ref(value.get().as_bytes()),
        Some(value) => match serde_json::from_str::<String>(value.get()) {
            Ok(text) => text.into(),
            Err(_) => return Err(invalid("/body", "a body that is not JSON by its Content-Type is a string")),
        },
    };
    if is_json && !body.is_empty() && own.iter().all(|(name, _)| *name != header::CONTENT_TYPE) {
        own.push((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    }
    let written = whole.slice_ref(raw.get().as_bytes());
    let mut operation = Operation { id, kind: String::new(), written, method, target, headers: own, body };
    let of_path = kind(&operation, inherited, snapshot).map_err(|detail| invalid("/path", &detail))?;
    operation.kind = name.unwrap_or(of_path);
    Ok(operation)
}

/// Returns the method and the path of an operation that is named by its type. Otherwise returns the member that is
/// invalid, and the reason.
fn typed(
    name: &str,
    parameters: &BTreeMap<String, &RawValue>,
    types: &[OperationType],
) -> Result<(String, String), (&'static str, String)> {
    let Some(OperationType { method, path, .. }) = types.iter().find(|known| known.name == name) else {
        let known: Vec<&str> = types.iter().map(|known| known.name.as_str()).collect();
        return Err(("/type", format!("there is no such type here: there are {}", known.join(", "))));
    };
    let mut parts = path.split('{');
    let mut target = parts.next().unwrap_or_default().to_owned();
    let mut used = 0;
    for (parameter, rest) in parts.filter_map(|part| part.split_once('}')) {
        // An empty value would name another resource, such as the whole list.
        let value = parameters.get(parameter).and_then(|value| scalar_text(value)).filter(|text| !text.is_empty());
        let value = value.ok_or_else(|| {
            ("/parameters", format!("`{parameter}` is missing, or not a number or a text that isn't empty"))
        })?;
        // Encoded, a value is one segment of the path. Test: `an_operation_is_named_by_its_type`.
        target.push_str(&encoded(&value));
        target.push_str(rest);
        used += 1;
    }
    if used < parameters.len() {
        return Err(("/parameters", format!("the parameters are those of the path {path}, each once")));
    }
    Ok((method.clone(), target))
}

/// Returns the text of a string, or the digits of a number as they were written.
fn scalar_text(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'-' | b'0'..=b'9' => Some(value.get().to_owned()),
        _ => None,
    }
}

/// Checks the head of an operation like the head of any request. Returns the method and the name of the route for the
/// path, such as `GET users`; only the method if there is no route. The error is the reason that the head is refused.
fn kind(operation: &Operation, inherited: &HeaderMap, snapshot: &Snapshot) -> Result<String, String> {
    let head = operation.head(inherited).map_err(|_| "the path can't be sent".to_owned())?;
    head::check_parsed(&head, snapshot.server.head_size).map_err(|problem| problem.detail)?;
    let target = target::read(&head).map_err(|problem| problem.detail)?;
    let found = snapshot.table.find(target.host.as_deref(), &target.normal_path);
    Ok(match found {
        Some(found) => format!("{} {}", operation.method, found.route.name),
        None => operation.method.to_string(),
    })
}

fn read_header(place: usize, name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Box<Problem>> {
    let invalid = |detail: String| fault(Code::OperationInvalid, place, "/headers", detail);
    let Some(known) = OWN_HEADERS.into_iter().find(|known| *known == name.to_ascii_lowercase()) else {
        let detail = "an operation has the credentials and the other headers of the bulk request, and of its own only";
        return Err(invalid(format!("{detail} {}", OWN_HEADERS.join(", "))));
    };
    if name != known {
        // Two spellings of a name would be two keys of the map, and so two values for one header. So a name must be in
        // lower case.
        return Err(invalid(format!("write the header `{known}` in lower case")));
    }
    let value = HeaderValue::from_str(value)
        .map_err(|_| invalid(format!("the value of `{known}` has characters that no header can have")))?;
    Ok((HeaderName::from_static(known), value))
}

/// Returns whether a body of this media type is JSON. A body without a type counts as JSON.
pub(super) fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let Some(text) = content_type else { return true };
    let text = text.to_str().unwrap_or_default().to_ascii_lowercase();
    let essence = text.split(';').next().unwrap_or_default().trim();
    essence == "application/json" || (essence.contains('/') && essence.ends_with("+json"))
}

/// Returns at most 200 characters of a parser's message, without the line and column. These would mislead, because in
/// an operation they count from the operation's beginning.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    text.chars().take(200).collect()
}

/// Creates a problem that names the operation at this place, and its member, such as `/path`.
pub(super) fn fault(code: Code, place: usize, member: &str, detail: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::new(code, detail).with_parameter(format!("/operations/{place}{member}")))
}
