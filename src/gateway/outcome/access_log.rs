//! The access log: one structured line for each request, also for refusals, panics, and clients that went away.
//!
//! A line has the path without the query, because cursors, filters and credentials stand in the query.

use std::{sync::Arc, time::Instant};

use super::{
    failure::unsorted,
    metrics::{Counted, RouteMetrics},
};
use crate::{
    downstream::response::{level_word, unproven_word},
    gateway::runtime::clock,
    pagination::{page::Page, paging::FutileFilter, unsorted::Unsorted},
};

/// The longest path that is logged, in characters.
const PATH_LENGTH: usize = 1_024;

/// The outcome of a request. Dropping it writes the line, so that there is exactly one.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The id of the request, which problems have too.
    pub request_id: String,
    /// The method; none until the head has been read.
    pub method: Option<http::Method>,
    pub path: String,
    /// The metrics of the route; those of requests without a route until one is found.
    pub metrics: Arc<RouteMetrics>,
    /// The upstream answered.
    pub forwarded: bool,
    /// The status that was sent; 0 if none was.
    pub status: u16,
    /// The code of the problem, or the reason that the response broke off.
    pub code: Option<&'static str>,
    /// Details for the operator.
    pub detail: Option<String>,
    /// Bytes of the body that were sent.
    pub bytes: usize,
    /// The outcome as metrics count it.
    pub(crate) counted: Counted,
    began: Instant,
    ended: Option<Instant>,
    /// The rest of the outcome is logged elsewhere.
    left: bool,
}

impl Outcome {
    /// Starts an outcome; `metrics` are those of requests without a route.
    #[must_use]
    pub(crate) fn begin(request_id: String, metrics: Arc<RouteMetrics>) -> Self {
        Self {
            request_id,
            method: None,
            path: String::new(),
            metrics,
            forwarded: false,
            status: 0,
            code: None,
            detail: None,
            bytes: 0,
            counted: Counted::default(),
            began: clock::instant(),
            ended: None,
            left: false,
        }
    }

    /// Records the method and path. The path is cut, and control characters in it are replaced.
    pub(crate) fn asked(&mut self, method: &http::Method, path: &[u8]) {
        self.method = Some(method.clone());
        let text = String::from_utf8_lossy(path);
        if text.len() <= PATH_LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.path = text.into_owned();
            return;
        }
        let shown = |character: char| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
        self.path = String::with_capacity(text.len().min(PATH_LENGTH));
        self.path.extend(text.chars().take(PATH_LENGTH).map(shown));
    }

    /// Records the properties of a page.
    pub(crate) fn served(&mut self, page: &Page) {
        self.counted.level = Some(level_word(page.level()));
        self.counted.unproven = page.unproven.map(unproven_word);
        if let Some(Unsorted { cause, said }) = &page.notes.lowered {
            self.counted.lowered = Some(unsorted(*cause).0);
            self.detail.get_or_insert_with(|| said.clone());
        }
        self.counted.drift = page.notes.drift;
        self.counted.stragglers = page.notes.stragglers;
    }

    /// Records the use of a filter that did not help.
    pub(crate) fn filtered(&mut self, futile: Option<FutileFilter>) {
        self.counted.futile_filter = futile.map(|futile| match futile {
            FutileFilter::InVain => "in_vain",
            FutileFilter::GivenUp => "given_up",
            FutileFilter::Spared => "spared",
        });
        if futile == Some(FutileFilter::GivenUp) {
            tracing::warn!(
                route = self.metrics.route(),
                "the range filter did not help with three pages in a row and is not sent for 32 pages: the upstream ignores it, or \
                 compares by other rules than it sorts; correct [filter] of the dialect, or take the field out of it"
            );
        }
    }

    /// Returns the outcome as one word: the code if there is one.
    #[must_use]
    pub(crate) fn word(&self) -> &'static str {
        match (self.code, self.status) {
            (Some(code), _) => code,
            _ if self.forwarded => "forwarded",
            (None, 200) => "page",
            (None, 304) => "not_modified",
            (None, 307) => "redirected",
            (None, 204) => "preflight",
            (None, _) => "passed",
        }
    }

    /// Takes over the logging of a request that has ended. The line is written when the returned value is dropped, with
    /// the duration of the request alone.
    pub(crate) fn leave(&mut self) -> Self {
        let mut rest = Self::begin(String::new(), Arc::clone(&self.metrics));
        rest.left = true;
        let mut taken = std::mem::replace(self, rest);
        taken.ended = Some(clock::instant());
        taken
    }

    /// Returns the start of the request.
    #[must_use]
    pub(crate) fn began(&self) -> Instant {
        self.began
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        if std::thread::panicking() {
            self.code = Some("panicked");
        }
        self.counted.word = self.word();
        self.metrics.count(&self.counted);
        let route = self.metrics.route();
        let ended = self.ended.unwrap_or_else(clock::instant);
        let duration_ms =
            u64::try_from(ended.saturating_duration_since(self.began).as_micros()).map_or(f64::MAX, |micros| {
                #[expect(clippy::cast_precision_loss, reason = "a request takes less than 2^53 microseconds")]
                let millis = micros as f64 / 1_000.0;
                millis
            });
        tracing::info!(
            target: "cursorgate::access",
            request_id = self.request_id,
            route = (!route.is_empty()).then_some(route),
            method = self.method.as_ref().map(http::Method::as_str),
            path = self.path,
            status = self.status,
            code = self.code,
            detail = self.detail.as_deref(),
            upstream_requests = self.counted.upstream_requests,
            bytes = self.bytes,
            duration_ms,
            page_level = self.counted.level,
            unproven = self.counted.unproven,
            lowered = self.counted.lowered,
            futile_filter = self.counted.futile_filter,
            refusal = self.counted.refusal,
            drift = self.counted.drift,
            stragglers = (self.counted.stragglers > 0).then_some(self.counted.stragglers),
            pivot = self.counted.pivot,
            observed = self.counted.observed,
            unobserved = self.counted.unobserved,
            paging = self.counted.paging,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_one_word() {
        for (status, code, forwarded, word) in [
            (200, None, false, "page"),
            (409, Some("position_lost"), false, "position_lost"),
            (500, None, true, "forwarded"),
            (200, Some("upstream_truncated"), true, "upstream_truncated"),
            (304, None, false, "not_modified"),
        ] {
            let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
            (outcome.status, outcome.code, outcome.forwarded) = (status, code, forwarded);
            assert_eq!(outcome.word(), word, "{status} {code:?}");
        }
    }

    /// Row: A36
    #[test]
    fn a_path_is_cut_and_keeps_to_its_line() {
        let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
        outcome.asked(&http::Method::GET, b"/a\r\nb\x1b[31m\xff");
        assert_eq!(outcome.path, "/a\u{fffd}\u{fffd}b\u{fffd}[31m\u{fffd}");
        outcome.asked(&http::Method::GET, "/é".repeat(5_000).as_bytes());
        assert_eq!(outcome.path.chars().count(), PATH_LENGTH);
    }
}
