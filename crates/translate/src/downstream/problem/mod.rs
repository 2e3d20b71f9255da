//! Problems: the reasons that a request gets no page (RFC 9457).

pub mod code;

use http::HeaderValue;

pub use self::code::Code;
use cursorgate_core::json::write::{push_number, push_text};

/// A refusal as clients get it: in the error form of their envelope, or as `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status: the code's own, or the upstream's 503 or 403 ([`Code::has_status`]).
    pub status: u16,
    /// The stable code, on which clients branch.
    pub code: Code,
    /// The fault of this request, its place, and the remedy.
    pub detail: String,
    /// The decoded name of the parameter at fault, or its place in the body; `None` if no parameter is at fault.
    pub parameter: Option<String>,
    /// A link to the first page; `None` if the problem has no such link. A problem has it if its code
    /// [restarts](Code::restarts), except in the answer to a POST request.
    pub restart: Option<String>,
    /// A link to the page at the estimated position, where items may be skipped or repeated; `None` if the problem has
    /// no such link.
    pub nearest: Option<String>,
    /// The largest limit that the route accepts; `None` unless the request's limit is at fault.
    pub max_limit: Option<u32>,
    /// The parts of the request that differ from the cursor's context, for `cursor_mismatch`; otherwise empty.
    pub differs: Vec<&'static str>,
    /// The reason that a cursor is refused, for metrics and the log; `None` for other problems. Clients don't get it.
    pub cursor: Option<&'static str>,
    /// The values that are allowed instead: fields of a sort, or names of envelopes; empty for other problems.
    pub allowed: Vec<String>,
    /// The value of `Retry-After`: the gateway's own, or the upstream's; `None` if the response has no such header.
    pub retry_after: Option<HeaderValue>,
    /// `Content-Range` of a 416, with the length of the result: `bytes */LENGTH`; `None` for other statuses.
    pub content_range: Option<HeaderValue>,
    /// The upstream's `WWW-Authenticate`, for `credentials_refused`; `None` if it sent none.
    pub challenge: Option<HeaderValue>,
}

impl From<Box<Self>> for Problem {
    fn from(problem: Box<Self>) -> Self {
        *problem
    }
}

impl Problem {
    /// Creates a problem with this code and detail, the code's status, and no links.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            status: code.status(),
            code,
            detail: detail.into(),
            parameter: None,
            restart: None,
            nearest: None,
            max_limit: None,
            differs: Vec::new(),
            cursor: None,
            allowed: Vec::new(),
            retry_after: None,
            content_range: None,
            challenge: None,
        }
    }

    /// Adds the parameter at fault: its decoded name, or its place in the body.
    #[must_use]
    pub fn with_parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = Some(name.into());
        self
    }

    /// Adds the link to the first page.
    #[must_use]
    pub fn with_restart(mut self, url: impl Into<String>) -> Self {
        self.restart = Some(url.into());
        self
    }

    /// Returns the reason phrase of the status, such as `Not Found`; the code's title for a status without a phrase.
    #[must_use]
    pub fn phrase(&self) -> &'static str {
        let phrase = http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason());
        phrase.unwrap_or_else(|| self.code.title())
    }

    /// Removes the links, which responses to POST don't have, and rewrites the detail to say what to send instead.
    /// `cursor` is the name of the client's cursor parameter, if it has one, with the first cursor. A problem that names no parameter then names
    /// the one to send.
    pub fn leave_out_links(&mut self, cursor: Option<(&str, &str)>) {
        (self.restart, self.nearest) = (None, None);
        // Without the first cursor, the request would be an old client's where the list has some.
        let (again, at_all) = match cursor {
            Some((name, first)) => (
                format!("start again with `{first}` in `{name}`"),
                format!("ask for the first page with `{first}` in `{name}`, and for each further one with its cursor"),
            ),
            None => ("start again at the first page".to_owned(), "start at the first page".to_owned()),
        };
        let detail = self
            .detail
            .replace(", or continue at `nearest`, where items may be skipped or repeated", "")
            .replace("start again at `restart`", &again)
            .replace("start at `restart` and follow its links", &at_all);
        if detail != self.detail && self.parameter.is_none() {
            self.parameter = cursor.map(|(name, _)| name.to_owned());
        }
        self.detail = detail;
    }

    /// Appends the `application/problem+json` document (RFC 9457).
    pub fn render_document(&self, problem_type: Option<&str>, request_id: &str, out: &mut Vec<u8>) {
        // The title of `about:blank` is the reason phrase of the status (RFC 9457, section 4.2.1). Test:
        // `the_title_of_a_blank_type_is_the_statuss_phrase`.
        let title = match problem_type {
            None => self.phrase(),
            Some(_) => self.code.title(),
        };
        out.extend_from_slice(b"{\"type\":");
        push_text(out, problem_type.unwrap_or("about:blank"));
        push_member(out, "title", title);
        out.extend_from_slice(b",\"status\":");
        push_number(out, self.status.into());
        push_member(out, "code", self.code.as_str());
        push_member(out, "detail", &self.detail);
        for (name, value) in [("parameter", &self.parameter), ("restart", &self.restart), ("nearest", &self.nearest)] {
            if let Some(value) = value {
                push_member(out, name, value);
            }
        }
        if let Some(limit) = self.max_limit {
            out.extend_from_slice(b",\"maxLimit\":");
            push_number(out, limit.into());
        }
        push_list(out, "differs", self.differs.iter().copied());
        push_list(out, "allowed", self.allowed.iter().map(String::as_str));
        push_member(out, "requestId", request_id);
        out.extend_from_slice(b",\"retryable\":");
        out.extend_from_slice(if self.code.retryable() { b"true" } else { b"false" });
        out.push(b'}');
    }
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.push(b',');
    push_text(out, name);
    out.push(b':');
    push_text(out, value);
}

fn push_list<'a>(out: &mut Vec<u8>, name: &str, values: impl Iterator<Item = &'a str>) {
    let mut values = values.peekable();
    if values.peek().is_none() {
        return;
    }
    out.push(b',');
    push_text(out, name);
    out.extend_from_slice(b":[");
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_text(out, value);
    }
    out.push(b']');
}

/// Returns a client's string as problems repeat it: its first 64 characters, and `…` if it has more.
pub fn shown(text: &str) -> std::borrow::Cow<'_, str> {
    // Characters are counted, not bytes, so the cut is between two characters. Test:
    // `a_repeated_text_is_cut_between_characters`.
    match text.char_indices().nth(64) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_without_links_names_the_parameter_to_leave_out() {
        let mut problem = Problem::new(
            Code::PositionLost,
            "lost: start again at `restart`, or continue at `nearest`, where items may be skipped or repeated",
        )
        .with_restart("/a");
        problem.nearest = Some("/b".to_owned());
        problem.leave_out_links(Some(("/cursor", "start")));
        assert_eq!((problem.restart, problem.nearest), (None, None));
        assert_eq!(problem.detail, "lost: start again with `start` in `/cursor`");
        assert_eq!(problem.parameter.as_deref(), Some("/cursor"), "the parameter to send");
        let mut other = Problem::new(Code::Overloaded, "too much to do").with_restart("/a");
        other.leave_out_links(Some(("/cursor", "start")));
        assert_eq!((other.restart, other.parameter), (None, None));
    }

    #[test]
    fn a_repeated_text_is_cut_between_characters() {
        assert_eq!(shown("abc"), "abc");
        assert_eq!(shown(&"é".repeat(64)), "é".repeat(64));
        assert_eq!(shown(&"é".repeat(65)), "é".repeat(64) + "…");
    }
}
