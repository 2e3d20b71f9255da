//! The answer to a bulk request: the result of each operation, and the counts of all operations.

use std::{collections::BTreeMap, fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header};
use serde_json::value::RawValue;

use super::{
    answer_headers::is_shown,
    form::BulkForm,
    operation::OperationAnswer,
    request::{Operation, is_json},
};
use cursorgate_core::json::write::{push_number, push_text};

/// The body of the answer while it is written: the results in the order of the operations, then the counts.
#[derive(Debug)]
pub(super) struct BulkReport {
    form: BulkForm,
    /// The part of the body that was written and not taken.
    out: Vec<u8>,
    all: KindCounts,
    /// The counts for each type, by its name.
    by_kind: BTreeMap<String, KindCounts>,
    /// Whether an operation may have changed something.
    pub(super) may_have_changed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct KindCounts {
    successful: u64,
    failed: u64,
    skipped: u64,
}

impl KindCounts {
    fn add(&mut self, answer: Option<&OperationAnswer>) {
        let count = match answer {
            // A skipped operation hasn't failed, because its request wasn't sent.
            // Test: `stop_on_error_skips_the_operations_after_a_failure`.
            None => &mut self.skipped,
            Some(answer) if answer.has_failed() => &mut self.failed,
            Some(_) => &mut self.successful,
        };
        *count += 1;
    }

    fn total(self) -> u64 {
        self.successful + self.failed + self.skipped
    }

    /// Appends the counts as JSON members, without braces.
    fn write(self, out: &mut Vec<u8>) {
        let members = [
            ("total", self.total()),
            ("successful", self.successful),
            ("failed", self.failed),
            ("skipped", self.skipped),
        ];
        for (index, (name, count)) in members.into_iter().enumerate() {
            push_name(out, name, index > 0);
            push_number(out, count);
        }
    }
}

impl fmt::Display for BulkReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KindCounts { successful, failed, skipped } = self.all;
        write!(formatter, "operations: {successful} succeeded, {failed} failed, {skipped} skipped")
    }
}

impl BulkReport {
    pub(super) fn begin(form: BulkForm) -> Self {
        let out = if form == BulkForm::Json { b"{\"results\":[".to_vec() } else { Vec::new() };
        Self { form, out, all: KindCounts::default(), by_kind: BTreeMap::new(), may_have_changed: false }
    }

    /// Adds the result of the next operation; `None` if it was skipped.
    pub(super) fn add(&mut self, operation: &Operation, answer: Option<OperationAnswer>) {
        if self.form == BulkForm::Json && self.all.total() > 0 {
            self.out.push(b',');
        }
        self.all.add(answer.as_ref());
        self.by_kind.entry(operation.kind.clone()).or_default().add(answer.as_ref());
        let is_refused = answer.as_ref().is_none_or(OperationAnswer::is_refused);
        self.may_have_changed |= !operation.method.is_safe() && !is_refused;
        let begin = self.out.len();
        write_result(operation, answer, &mut self.out);
        self.end_line(begin);
    }

    /// Adds the counts, after the last result.
    pub(super) fn end(&mut self, took: Duration) {
        let out = &mut self.out;
        let begin = out.len();
        let is_success = self.all.successful == self.all.total();
        out.extend_from_slice(if self.form == BulkForm::Json { b"]," } else { b"{" });
        push_name(out, "success", false);
        out.extend_from_slice(if is_success { b"true" } else { b"false" });
        out.extend_from_slice(b",\"summary\":{");
        self.all.write(out);
        out.extend_from_slice(b",\"byType\":{");
        for (index, (kind, counts)) in self.by_kind.iter().enumerate() {
            push_name(out, kind, index > 0);
            out.push(b'{');
            counts.write(out);
            out.push(b'}');
        }
        out.extend_from_slice(b"},\"durationMs\":");
        push_number(out, millis(took));
        out.extend_from_slice(b"}}");
        self.end_line(begin);
    }

    /// Makes what was written from `begin` on one line, if the form has lines. Valid JSON has line ends only between
    /// tokens, where a space has the same meaning.
    fn end_line(&mut self, begin: usize) {
        if self.form == BulkForm::Lines {
            self.out[begin..].iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
            self.out.push(b'\n');
        }
    }

    /// Takes the part of the body that was written since the last call.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }
}

fn write_result(operation: &Operation, answer: Option<OperationAnswer>, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some(id) = &operation.id {
        push_name(out, "id", false);
        push_text(out, id);
        out.push(b',');
    }
    push_name(out, "type", false);
    push_text(out, &operation.kind);
    let is_success = answer.as_ref().is_some_and(|answer| !answer.has_failed());
    push_name(out, "success", true);
    out.extend_from_slice(if is_success { b"true" } else { b"false" });
    let Some(OperationAnswer { status, headers, body, took, .. }) = answer else {
        out.extend_from_slice(b",\"skipped\":true}");
        return;
    };
    push_name(out, "status", true);
    push_number(out, status.into());
    push_name(out, "headers", true);
    write_headers(&headers, out);
    match body {
        None => out.extend_from_slice(b",\"bodyOmitted\":true"),
        Some(body) if body.is_empty() => {}
        Some(body) => write_body(&body, &headers, out),
    }
    if !is_success {
        push_name(out, "operation", true);
        out.extend_from_slice(&operation.written);
    }
    push_name(out, "durationMs", true);
    push_number(out, millis(took));
    out.push(b'}');
}

/// Writes the headers of a result. The values of a repeated header are joined by commas.
fn write_headers(headers: &HeaderMap, out: &mut Vec<u8>) {
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    names.retain(|name| is_shown(name));
    // Sorted, because the order of a header map is arbitrary.
    names.sort_unstable();
    out.push(b'{');
    for (index, name) in names.into_iter().enumerate() {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        push_name(out, name, index > 0);
        // The values of every repeated header except `Set-Cookie`, which is left out, can be joined (RFC 9110 section
        // 5.3).
        push_text(out, &values.join(", "));
    }
    out.push(b'}');
}

/// Writes the body of a result: valid JSON as `body`, byte for byte, other text as `bodyText`, and anything else as
/// `bodyBase64`.
fn write_body(body: &[u8], headers: &HeaderMap, out: &mut Vec<u8>) {
    // A body with a content coding, such as gzip, is neither JSON nor text, whatever its media type is.
    // Test: `a_body_is_written_as_its_kind_allows`.
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING);
    let content_type = headers.get(header::CONTENT_TYPE);
    // The gateway doesn't parse pages completely, so a page can contain invalid JSON, such as `NaN`. As `body` this
    // page would break the whole answer, so the JSON is checked here. Test: `a_body_is_written_as_its_kind_allows`.
    let is_json = is_plain && is_json(content_type) && serde_json::from_slice::<&RawValue>(body).is_ok();
    if is_json {
        push_name(out, "body", true);
        out.extend_from_slice(body);
        return;
    }
    match std::str::from_utf8(body) {
        Ok(text) if is_plain => {
            push_name(out, "bodyText", true);
            push_text(out, text);
        }
        _ => {
            push_name(out, "bodyBase64", true);
            push_text(out, &STANDARD.encode(body));
        }
    }
}

fn push_name(out: &mut Vec<u8>, name: &str, follows: bool) {
    if follows {
        out.push(b',');
    }
    push_text(out, name);
    out.push(b':');
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_body_is_written_as_its_kind_allows() {
        for (fields, body, member) in [
            (&[("content-type", "application/json")][..], &b"{\"a\": 1.0}"[..], json!({"body": {"a": 1.0}})),
            (&[("content-type", "application/problem+json")], b"[]", json!({"body": []})),
            (&[], b"true", json!({"body": true})),
            (&[("content-type", "application/json")], b"{\"a\":NaN}", json!({"bodyText": "{\"a\":NaN}"})),
            (&[("content-type", "text/plain")], b"1\"<", json!({"bodyText": "1\"<"})),
            (&[("content-type", "image/png")], b"\x89P", json!({"bodyBase64": "iVA="})),
            (&[("content-type", "application/json"), ("content-encoding", "x")], b"1", json!({"bodyBase64": "MQ=="})),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(*name, http::HeaderValue::from_static(value));
            }
            let mut out = b"{\"x\":0".to_vec();
            write_body(body, &headers, &mut out);
            out.push(b'}');
            let mut written: Value = serde_json::from_slice(&out).unwrap();
            written.as_object_mut().unwrap().remove("x");
            assert_eq!(written, member);
        }
    }
}
