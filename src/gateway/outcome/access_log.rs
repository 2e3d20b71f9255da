//! One structured line for each request, whatever becomes of it: a page, a forwarded answer, a refusal, a panic, a
//! client that went away.
//!
//! It names the path and never the query: cursors, filters and credentials stand there.

use std::{sync::Arc, time::Instant};

use super::{failure::unsorted, metrics::RouteMetrics};
use crate::{
    downstream::response::{level_word, unproven_word},
    gateway::runtime::clock,
    pagination::{page::Page, paging::FutileFilter, unsorted::Unsorted},
};

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
    /// Requests to the upstream.
    pub upstream_requests: u32,
    /// Bytes of the body that were written.
    pub bytes: usize,
    /// How sure the page was.
    pub level: Option<&'static str>,
    /// Why the page was served without a proof.
    pub unproven: Option<&'static str>,
    /// Why the declared order was of no use, so that the page was read by marks.
    pub lowered: Option<&'static str>,
    /// How the page fared with a filter that did not help.
    pub futile_filter: Option<&'static str>,
    /// Why the upstream's answers made no page.
    pub refusal: Option<&'static str>,
    /// How far from its hint the page was found.
    pub drift: Option<i64>,
    /// How many marked items were out of their order.
    pub stragglers: u32,
    /// Where the keys came from of an item that the cursor names by its id alone.
    pub pivot: Option<&'static str>,
    /// What was seen of an answer that passed on a route that observes: `servable`, or the first cause against it.
    pub observed: Option<&'static str>,
    /// Why an answer that passed there was not looked at.
    pub unobserved: Option<&'static str>,
    /// How a request for a list pages: by `cursor`, as `legacy` ones do, or `unmarked`.
    pub paging: Option<&'static str>,
    began: Instant,
    ended: Option<Instant>,
    /// The rest of what becomes of the request is told elsewhere.
    left: bool,
}

impl Outcome {
    /// The outcome of a request that just began; `metrics` are those of no route.
    #[must_use]
    pub fn begin(request_id: String, metrics: Arc<RouteMetrics>) -> Self {
        Self {
            request_id,
            method: None,
            path: String::new(),
            metrics,
            forwarded: false,
            status: 0,
            code: None,
            detail: None,
            upstream_requests: 0,
            bytes: 0,
            level: None,
            unproven: None,
            lowered: None,
            futile_filter: None,
            refusal: None,
            drift: None,
            stragglers: 0,
            pivot: None,
            observed: None,
            unobserved: None,
            paging: None,
            began: clock::instant(),
            ended: None,
            left: false,
        }
    }

    /// Remembers what was asked; the path is cut and freed of what would break a line.
    pub fn asked(&mut self, method: &http::Method, path: &[u8]) {
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
    pub fn served(&mut self, page: &Page) {
        self.level = Some(level_word(page.level));
        self.unproven = page.unproven.map(unproven_word);
        if let Some(Unsorted { cause, said }) = &page.lowered {
            self.lowered = Some(unsorted(*cause).0);
            self.detail.get_or_insert_with(|| said.clone());
        }
        self.drift = page.drift;
        self.stragglers = page.stragglers;
    }

    /// Remembers how the page fared with a filter that did not help.
    pub fn filtered(&mut self, futile: Option<FutileFilter>) {
        self.futile_filter = futile.map(|futile| match futile {
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
    pub fn word(&self) -> &'static str {
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
    pub fn began(&self) -> Instant {
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
        self.metrics.count(self);
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
            upstream_requests = self.upstream_requests,
            bytes = self.bytes,
            duration_ms,
            page_level = self.level,
            unproven = self.unproven,
            lowered = self.lowered,
            futile_filter = self.futile_filter,
            refusal = self.refusal,
            drift = self.drift,
            stragglers = (self.stragglers > 0).then_some(self.stragglers),
            pivot = self.pivot,
            observed = self.observed,
            unobserved = self.unobserved,
            paging = self.paging,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
