//! The forms of bulk requests and of their answers.

use http::{HeaderMap, HeaderName};

/// The media type of JSON objects on lines.
const LINES: &str = "application/x-ndjson";

/// The form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BulkForm {
    /// A JSON object.
    Json,
    /// JSON objects, each on a line.
    Lines,
}

impl BulkForm {
    /// Returns the form that a header of a request names: `Content-Type`, or `Accept`, in which others may stand beside.
    pub(super) fn of(headers: &HeaderMap, name: HeaderName) -> Self {
        let types = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        let mut types =
            types.flat_map(|line| line.split(',')).map(|each| each.split(';').next().unwrap_or(each).trim());
        if types.any(|each| each.eq_ignore_ascii_case(LINES)) { Self::Lines } else { Self::Json }
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => LINES,
        }
    }
}
