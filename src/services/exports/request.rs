//! Requests for exports: their paths, and the body of the one that begins a job.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;
use serde::Deserialize;

use super::{
    format::{Compression, ExportFormat},
    job::{Priority, is_id},
};
use crate::{
    downstream::{Code, Problem, request::params::RequestedPosition},
    gateway::{Snapshot, request::target::RequestTarget, routes::route::Route},
    services::list::BelowList,
};

/// The segment after the path of a list.
const SEGMENT: &str = "/exports";

/// The most columns in a request, and the longest name of one, in bytes.
const MOST_COLUMNS: usize = 1_000;
const LONGEST_COLUMN: usize = 256;

/// The resource that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExportResource {
    /// All exports of the client for a list.
    Collection,
    /// A job, by its id.
    Job(String),
    /// The result of a job, by its id.
    Result(String),
}

/// A request for exports of a list.
#[derive(Debug)]
pub(super) struct ExportTarget {
    pub(super) resource: ExportResource,
    /// The target of the list, with the query of the request.
    pub(super) list: RequestTarget,
    pub(super) route: Arc<Route>,
}

impl ExportTarget {
    /// Reads a request. Returns `None` if it is not for exports of a list: then it is for a route.
    pub(super) fn read(snapshot: &Snapshot, head: &RequestHeader) -> Option<Self> {
        let BelowList { list, route, rest } = BelowList::read(snapshot, head, SEGMENT)?;
        let resource = resource(&rest, &head.method)?;
        Some(Self { resource, list, route })
    }
}

/// Returns the resource of the path after `/exports`, if it supports the method. Examples: an empty text (all exports),
/// `/ID`, `/ID/result`.
fn resource(rest: &str, method: &Method) -> Option<ExportResource> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let Some(rest) = rest.strip_prefix('/') else {
        // A longer segment, such as `/exportsx`, is another path.
        // Test: `paths_beside_those_of_exports_belong_to_routes`.
        return (rest.is_empty() && (reads || *method == Method::POST)).then_some(ExportResource::Collection);
    };
    match rest.split_once('/') {
        None if is_id(rest) && (reads || *method == Method::DELETE) => Some(ExportResource::Job(rest.to_owned())),
        // A result can only be read: it is removed with its job. Test: `a_path_names_the_exports_a_job_or_a_result`.
        Some((id, "result")) if is_id(id) && reads => Some(ExportResource::Result(id.to_owned())),
        _ => None,
    }
}

/// The body of a request that begins a job.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExportOrder {
    pub(super) format: ExportFormat,
    pub(super) compression: Compression,
    pub(super) priority: Priority,
    /// The columns of a table.
    pub(super) columns: Option<Vec<String>>,
}

impl ExportOrder {
    /// Reads a body, which has been found to be JSON whose objects have no duplicate members.
    ///
    /// # Errors
    ///
    /// Returns 400 `body_invalid`.
    pub(super) fn read(body: &[u8]) -> Result<Self, Box<Problem>> {
        let invalid = |detail: String| Box::new(Problem::new(Code::BodyInvalid, detail));
        let order: Self = serde_json::from_slice(body).map_err(|error| {
            let said = error.to_string();
            // The line and the column are left out: the message names the fault without them.
            let said: String = said.split(" at line ").next().unwrap_or_default().chars().take(200).collect();
            invalid(format!("write {{\"format\":\"ndjson\"}}: {said}"))
        })?;
        if let Some(columns) = &order.columns {
            let of_columns = |detail: String| Err(Box::new(invalid(detail).with_parameter("/columns")));
            // Other formats would ignore the columns, and the client would not notice.
            // Test: `an_order_names_format_compression_and_columns`.
            if order.format != ExportFormat::Csv {
                return of_columns("columns are those of csv".to_owned());
            }
            if columns.is_empty() || columns.len() > MOST_COLUMNS {
                return of_columns(format!("write 1 to {MOST_COLUMNS} columns"));
            }
            let is_wrong = |column: &String| column.is_empty() || column.len() > LONGEST_COLUMN;
            if columns.iter().any(is_wrong) {
                return of_columns(format!("a column is the name of a member, with at most {LONGEST_COLUMN} bytes"));
            }
            let mut names: Vec<&String> = columns.iter().collect();
            // A program that reads cells by their column's name would see only one of two equal columns.
            names.sort_unstable();
            if names.windows(2).any(|pair| pair[0] == pair[1]) {
                return of_columns("a column is named twice".to_owned());
            }
        }
        Ok(order)
    }
}

/// Splits the query of a request for a list into its public part, which is stored as it is, and its private parameters,
/// which are sealed.
///
/// # Errors
///
/// Returns the problem that the list would answer with, or 400 `parameter_invalid` for a place, a limit or a legacy
/// request: an export has all pages.
pub(super) fn read_query(
    route: &Route,
    headers: &http::HeaderMap,
    query: Option<&str>,
) -> Result<(String, String), Box<Problem>> {
    let Some(list) = &route.list else { return Ok((String::new(), String::new())) };
    let chosen = list.conventions.choose(headers);
    if let Some(problem) = chosen.refused {
        return Err(problem);
    }
    let parameters = &chosen.convention.parameters;
    let request = parameters.read(query)?;
    let is_legacy = matches!(request.kind, crate::downstream::RequestKind::Legacy { .. });
    // The result of a part would pass for the whole list. Test: `the_query_is_that_of_the_list`.
    if is_legacy || request.place != RequestedPosition::First || request.limit_written.is_some() {
        let detail = "an export has all pages: leave out the place and the limit";
        return Err(Box::new(Problem::new(Code::ParameterInvalid, detail)));
    }
    let is_private = |pair: &str| {
        let name = pair.split('=').next().unwrap_or_default().replace('+', " ");
        let name: Vec<u8> = percent_encoding::percent_decode_str(&name).collect();
        parameters.is_private(&name)
    };
    let private: Vec<&str> = query.unwrap_or_default().split('&').filter(|pair| is_private(pair)).collect();
    Ok((request.self_query, private.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_exports_a_job_or_a_result() {
        let id = "0123456789abcdef0123456789abcdef";
        let of = |rest: &str, method| resource(rest, &method);
        assert_eq!(of("", Method::POST), Some(ExportResource::Collection));
        assert_eq!(of("", Method::GET), Some(ExportResource::Collection));
        assert_eq!(of(&format!("/{id}"), Method::DELETE), Some(ExportResource::Job(id.to_owned())));
        assert_eq!(of(&format!("/{id}/result"), Method::HEAD), Some(ExportResource::Result(id.to_owned())));
        for (rest, method) in [
            ("", Method::DELETE),
            ("/", Method::GET),
            ("2", Method::GET),
            ("/7", Method::GET),
            (&format!("/{id}"), Method::POST),
            (&format!("/{id}/result"), Method::DELETE),
            (&format!("/{id}/result/"), Method::GET),
            (&format!("/{}", id.to_uppercase()), Method::GET),
        ] {
            assert_eq!(of(rest, method.clone()), None, "{method} {rest}");
        }
    }

    #[test]
    fn an_order_names_format_compression_and_columns() {
        let order = ExportOrder::read(br#"{"format":"csv","compression":"zstd","columns":["a","b"]}"#).unwrap();
        assert_eq!((order.format, order.compression), (ExportFormat::Csv, Compression::Zstd));
        assert_eq!(ExportOrder::read(b"{}").unwrap().format, ExportFormat::Ndjson);
        for body in [
            r#"{"format":"xml"}"#,
            r#"{"formats":"csv"}"#,
            r#"{"columns":["a"]}"#,
            r#"{"format":"csv","columns":[]}"#,
            r#"{"format":"csv","columns":["a","b","a"]}"#,
            r#"{"format":"csv","columns":[""]}"#,
        ] {
            assert_eq!(ExportOrder::read(body.as_bytes()).unwrap_err().code, Code::BodyInvalid, "{body}");
        }
    }
}
