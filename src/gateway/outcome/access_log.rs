//! One structured line for each request, whatever becomes of it: a page, a forwarded answer, a refusal, a panic, a
//! client that went away.
//!
//! It names the path and never the query: cursors, filters and credentials stand there.

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

/// The longest part of a path that is written, in characters.
const PATH_LENGTH: usize = 1_024;

/// What becomes of a request. Writes its line when it is dropped, so that there is exactly one.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The id of the request, in the log and in problems.
    pub request_id: String,
    /// The method, once the head was read.
    pub method: Option<http::Method>,
    /// The path without the query.
    pub path: String,
    /// The counters of the route that covers it; of no route, until one is found.
    pub metrics: Arc<RouteMetrics>,
    /// The upstream answers it itself.
    pub forwarded: bool,
    /// The status that was written; 0 where none was.
    pub status: u16,
    /// The code of the problem, where there is one; else what broke after the status was written.
    pub code: Option<&'static str>,
    /// What the code does not say, for the operator alone.
    pub detail: Option<String>,
    /// Bytes of the body that were written.
    pub bytes: usize,
    /// What is counted of the request.
    pub(crate) counted: Counted,
    began: Instant,
    ended: Option<Instant>,
    /// The rest of what becomes of the request is told elsewhere.
    left: bool,
}

impl Outcome {
    /// The outcome of a request that just began; `metrics` are those of no route.
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

    /// Remembers what was asked; the path is cut and freed of what would break a line.
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

    /// Remembers what a page was like that is served.
    pub(crate) fn served(&mut self, page: &Page) {
        self.counted.level = Some(level_word(page.level));
        self.counted.unproven = page.unproven.map(unproven_word);
        if let Some(Unsorted { cause, said }) = &page.lowered {
            self.counted.lowered = Some(unsorted(*cause).0);
            self.detail.get_or_insert_with(|| said.clone());
        }
        self.counted.drift = page.drift;
        self.counted.stragglers = page.stragglers;
    }

    /// Remembers how the page fared with a filter that did not help.
    pub(crate) fn filtered(&mut self, futile: Option<FutileFilter>) {
        self.counted.futile_filter = futile.map(|futile| match futile {
            FutileFilter::InVain => "in_vain",
            FutileFilter::GivenUp => "given_up",
            FutileFilter::Spared => "spared",
        });
        if futile == Some(FutileFilter::GivenUp) {
            tracing::warn!(
                route = self.metrics.route(),
                "the range filter did not help three pages in a row and is spared for 32: it is ignored, or compares otherwise \
                 than the list is sorted; correct [filter] of the dialect, or take the field out of it"
            );
        }
    }

    /// What became of the request, in one word: the code, where there is one.
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

    /// Takes the telling over from a request that has ended: its line is written when this is dropped, and says how long
    /// the request took, not how long it took to tell.
    pub(crate) fn leave(&mut self) -> Self {
        let mut rest = Self::begin(String::new(), Arc::clone(&self.metrics));
        rest.left = true;
        let mut taken = std::mem::replace(self, rest);
        taken.ended = Some(clock::instant());
        taken
    }

    /// When it began.
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
