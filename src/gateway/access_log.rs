//! One structured line for each request, whatever becomes of it: a page, a forwarded answer, a refusal, a panic, a
//! client that went away.
//!
//! It names the path and never the query: cursors, filters and credentials stand there.

use std::time::Instant;

use super::clock;

/// The longest part of a path that is written, in characters.
const PATH_LENGTH: usize = 1_024;

/// What becomes of a request. Writes its line when it is dropped, so that there is exactly one.
#[derive(Debug)]
pub struct Outcome {
    /// The id of the request, in the log and in problems.
    pub request_id: String,
    /// The method, once the head was read.
    pub method: Option<http::Method>,
    /// The path without the query.
    pub path: String,
    /// The route that covers it.
    pub route: Option<String>,
    /// The status that was written; 0 where none was.
    pub status: u16,
    /// The code of the problem, where there is one; else what broke after the status was written.
    pub code: Option<&'static str>,
    /// What the code does not say, for the operator alone.
    pub detail: Option<String>,
    /// Requests to the upstream.
    pub upstream_requests: u32,
    /// Bytes of the body that were written.
    pub bytes: usize,
    /// How sure the page was.
    pub level: Option<&'static str>,
    /// How far from its hint the page was found.
    pub drift: Option<i64>,
    began: Instant,
}

impl Outcome {
    /// The outcome of a request that just began.
    #[must_use]
    pub fn begin(request_id: String) -> Self {
        Self {
            request_id,
            method: None,
            path: String::new(),
            route: None,
            status: 0,
            code: None,
            detail: None,
            upstream_requests: 0,
            bytes: 0,
            level: None,
            drift: None,
            began: clock::instant(),
        }
    }

    /// Remembers what was asked; the path is cut and freed of what would break a line.
    pub fn asked(&mut self, method: &http::Method, path: &[u8]) {
        self.method = Some(method.clone());
        let text = String::from_utf8_lossy(path);
        self.path = text
            .chars()
            .take(PATH_LENGTH)
            .map(|character| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character })
            .collect();
    }

    /// When it began.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.code = Some("panicked");
        }
        let duration_ms = u64::try_from(self.began.elapsed().as_micros()).map_or(f64::MAX, |micros| {
            #[expect(clippy::cast_precision_loss, reason = "a request takes less than 2^53 microseconds")]
            let millis = micros as f64 / 1_000.0;
            millis
        });
        tracing::info!(
            target: "cursorgate::access",
            request_id = self.request_id,
            route = self.route.as_deref(),
            method = self.method.as_ref().map(http::Method::as_str),
            path = self.path,
            status = self.status,
            code = self.code,
            detail = self.detail.as_deref(),
            upstream_requests = self.upstream_requests,
            bytes = self.bytes,
            duration_ms,
            page_level = self.level,
            drift = self.drift,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_and_keeps_to_its_line() {
        let mut outcome = Outcome::begin(String::new());
        outcome.asked(&http::Method::GET, b"/a\r\nb\x1b[31m\xff");
        assert_eq!(outcome.path, "/a\u{fffd}\u{fffd}b\u{fffd}[31m\u{fffd}");
        outcome.asked(&http::Method::GET, "/é".repeat(5_000).as_bytes());
        assert_eq!(outcome.path.chars().count(), PATH_LENGTH);
    }
}
