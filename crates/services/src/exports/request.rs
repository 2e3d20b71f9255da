//! Requests for exports: their paths and queries, and the body of the request that begins a job.

use std::sync::Arc;

use http::Method;
use pingora::http::RequestHeader;
use serde::Deserialize;

use super::{
    format::{Compression, ExportFormat, Formulas},
    job::{Priority, is_id},
};
use crate::{list::BelowList, page};
use cursorgate_gateway::{
    Snapshot, request::target::RequestTarget, routes::route::Route, session::service::intended_method,
};
use cursorgate_translate::downstream::{Code, Problem, request::params::RequestedPosition};

/// The path segment of exports, which follows the path of a list.
const SEGMENT: &str = "/exports";

/// The largest number of columns that a request can name. A request with more is refused.
const MOST_COLUMNS: usize = 1_000;
/// The largest length of a column's name, in bytes. A longer name is refused.
const LONGEST_COLUMN: usize = 256;

/// The resource that the path of a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExportResource {
    /// All exports of the client for a list.
    Collection,
    /// A job, by its id.
    Job(String),
    /// The result of a job, by its id.
    Result(String),
    /// The request to continue a failed job, by its id.
    Resumption(String),
}

/// A request for exports of a list, by its path and method.
#[derive(Debug)]
pub(super) struct ExportTarget {
    pub(super) resource: ExportResource,
    /// The target of the list, with the query of the request.
    pub(super) list: RequestTarget,
    pub(super) route: Arc<Route>,
}

impl ExportTarget {
    /// Reads a request. Returns `None` if the request isn't for exports of a list; a route answers it then.
    pub(super) fn read(snapshot: &Snapshot, head: &RequestHeader) -> Option<Self> {
        let BelowList { list, route, rest } = BelowList::read(snapshot, head, SEGMENT)?;
        let resource = resource(&rest, &intended_method(head)?)?;
        Some(Self { resource, list, route })
    }
}

/// Returns the resource that the path after `/exports` names; `None` if there is no such resource or it doesn't support
/// the method. Examples: an empty string (all exports), `/ID`, `/ID/result`.
fn resource(rest: &str, method: &Method) -> Option<ExportResource> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let Some(rest) = rest.strip_prefix('/') else {
        // A longer segment, such as `/exportsx`, isn't the segment of exports.
        // Test: `paths_beside_those_of_exports_belong_to_routes`.
        return (rest.is_empty() && (reads || *method == Method::POST)).then_some(ExportResource::Collection);
    };
    match rest.split_once('/') {
        None if is_id(rest) && (reads || *method == Method::DELETE) => Some(ExportResource::Job(rest.to_owned())),
        // A result can only be read. It is removed together with its job.
        // Test: `a_path_names_the_exports_a_job_or_a_result`.
        Some((id, "result")) if is_id(id) && reads => Some(ExportResource::Result(id.to_owned())),
        Some((id, "resume")) if is_id(id) && *method == Method::POST => Some(ExportResource::Resumption(id.to_owned())),
        _ => None,
    }
}

/// The body of a request that begins a job. Members that are left out have their defaults.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ExportOrder {
    pub(super) format: ExportFormat,
    pub(super) compression: Compression,
    pub(super) priority: Priority,
    /// The members of items that become the columns of a table; `None` if the client leaves the choice to the gateway.
    pub(super) columns: Option<Vec<String>>,
    pub(super) formulas: Formulas,
}

impl ExportOrder {
    /// Reads a body. The caller has checked that it is JSON without duplicate members.
    ///
    /// # Errors
    ///
    /// Returns 400 `body_invalid` if the body isn't an order, or has columns that are unsuitable.
    pub(super) fn read(body: &[u8]) -> Result<Self, Box<Problem>> {
        let invalid = |detail: String| Box::new(Problem::new(Code::BodyInvalid, detail));
        let order: Self = serde_json::from_slice(body).map_err(|error| {
            let said = error.to_string();
            // The line and the column are left out, because the message names the fault without them.
            let said: String = said.split(" at line ").next().unwrap_or_default().chars().take(200).collect();
            invalid(format!("write {{\"format\":\"ndjson\"}}: {said}"))
        })?;
        if order.formulas != Formulas::Kept && order.format != ExportFormat::Csv {
            return Err(Box::new(invalid("formulas are those of csv".to_owned()).with_parameter("/formulas")));
        }
        if let Some(columns) = &order.columns {
            let of_columns = |detail: String| Err(Box::new(invalid(detail).with_parameter("/columns")));
            // Other formats would ignore the columns, and the client wouldn't notice. So columns are refused with other
            // formats. Test: `an_order_names_format_compression_and_columns`.
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
            // A program that reads cells by column name would see only one of two columns with the same name, so a
            // repeated name is refused.
            names.sort_unstable();
            if names.windows(2).any(|pair| pair[0] == pair[1]) {
                return of_columns("a column is named twice".to_owned());
            }
        }
        Ok(order)
    }
}

/// Splits a request's query into its public part, which is stored as plain text, and its private parameters, which are
/// sealed. The second string of the result contains the private parameters.
///
/// # Errors
///
/// Returns the problem with which the list would refuse the query. Returns 400 `parameter_invalid` for a place, a limit
/// or a legacy request, because an export contains the whole list.
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
    let request = parameters.read_with(query, None, true)?;
    let is_legacy = matches!(request.kind, cursorgate_translate::downstream::RequestKind::Legacy { .. });
    // With a place or a limit, the result would be a part of the list but seem to be the whole list. So these requests
    // are refused. Test: `an_export_has_the_query_parameters_of_its_list`.
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

/// Returns the private parameters of a query in a form in which equal parameters are equal; empty if there are none.
pub(super) fn private_name(route: &Route, headers: &http::HeaderMap, query: Option<&str>) -> String {
    let list = route.list.as_ref();
    let parameters = list.map(|list| &list.conventions.choose(headers).convention.parameters);
    parameters.map(|parameters| page::private_name(parameters, query.unwrap_or_default())).unwrap_or_default()
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
        assert_eq!(of(&format!("/{id}/resume"), Method::POST), Some(ExportResource::Resumption(id.to_owned())));
        for (rest, method) in [
            ("", Method::DELETE),
            ("/", Method::GET),
            ("2", Method::GET),
            ("/7", Method::GET),
            (&format!("/{id}"), Method::POST),
            (&format!("/{id}/result"), Method::DELETE),
            (&format!("/{id}/resume"), Method::GET),
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
            r#"{"formulas":"escaped"}"#,
            r#"{"format":"csv","formulas":"yes"}"#,
            r#"{"format":"csv","columns":[]}"#,
            r#"{"format":"csv","columns":["a","b","a"]}"#,
            r#"{"format":"csv","columns":[""]}"#,
        ] {
            assert_eq!(ExportOrder::read(body.as_bytes()).unwrap_err().code, Code::BodyInvalid, "{body}");
        }
    }
}
