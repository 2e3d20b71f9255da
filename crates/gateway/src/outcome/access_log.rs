//! The access log: one structured line for each request, including refusals, panics, and requests whose client has
//! left.
//!
//! A line has the path without the query, because the query contains cursors, filters and credentials. The level is
//! ERROR for a fault of the gateway itself. It is WARN if the client got a 5xx, or an answer that the upstream broke
//! off. Otherwise it is INFO.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, Version};
use opentelemetry::{KeyValue, trace::TraceId};
use serde_json::{Value, json};
use tracing::Level;

use super::{
    evidence::{cursor_finding, hint},
    failure::{doubted_text, unsorted},
    metrics::{Counted, CountedResponse, OTHER_PEER, RouteMetrics, SMALL_PAGES},
    trace::RequestTrace,
};
use crate::{identity::KnownClient, runtime::clock, shared::clients::route_limits::LimitedRequest};
use cursorgate_core::pagination::{
    page::{DoubtedEnd, Page},
    paging::FutileFilter,
    unsorted::Unsorted,
};
use cursorgate_translate::downstream::response::{level_word, unproven_word};

/// The largest number of characters of a path in the log. A longer path is truncated.
const PATH_LENGTH: usize = 1_024;

/// The largest number of characters of a host in the log, which is the length of the longest DNS name with a port. A
/// longer host is truncated.
const HOST_LENGTH: usize = 260;

/// The outcome of a request. Dropping this value counts the request and writes its log line, so each request has
/// exactly one line.
#[derive(Debug)]
pub struct Outcome {
    /// The id of the request, which is also in its answer, its problem and its upstream requests.
    pub request_id: String,
    /// The client's address: the address of the connection, or the address that trusted proxies name; `None` until the
    /// address is known.
    pub client: Option<IpAddr>,
    host: Option<String>,
    protocol: Option<Version>,
    /// The method; `None` until the request's head has been read.
    pub method: Option<http::Method>,
    pub path: String,
    /// The id of [`Self::trace`], or without a trace the id that a trusted client names; `None` if there is neither.
    pub trace_id: Option<TraceId>,
    /// The trace of the request; `None` without `[traces]`.
    pub trace: Option<Arc<RequestTrace>>,
    /// The upstream's part in the request; `None` if the upstream got no request.
    pub upstream: Option<UpstreamPart>,
    /// The metrics of the request's route; those of requests without a route until a route is found.
    pub metrics: Arc<RouteMetrics>,
    /// The service that answered; `None` if the request wasn't for a service.
    pub service: Option<&'static str>,
    /// `true` if the request was forwarded. Its answer is then the upstream's own.
    pub forwarded: bool,
    /// The status that was sent; 0 if no status was sent.
    pub status: u16,
    /// The problem code, or the reason that the response broke off; `None` if there is neither.
    pub code: Option<&'static str>,
    /// Details for the operator, for example the cause of a failure; `None` if there are none.
    pub detail: Option<String>,
    /// The number of peers that gave no page.
    pub tried: usize,
    /// The number of bytes of the response's body that were sent.
    pub bytes: usize,
    /// The labels and numbers under which the metrics count the request.
    pub counted: Counted,
    /// The client as `identity` of the route names it; `None` if headers tell the client apart.
    pub known: Option<Arc<KnownClient>>,
    /// The limits to which the request is charged; `None` without limits.
    pub limited: Option<Box<LimitedRequest>>,
    began: Instant,
    ended: Option<Instant>,
    /// `true` if dropping this value writes and counts nothing: the outcome has moved to another value, or had no
    /// client.
    left: bool,
}

/// The upstream's part in a request: the peer that was used, and the time for which the gateway waited.
#[derive(Debug)]
pub struct UpstreamPart {
    pub name: String,
    /// The peer that was used last; `None` if no connection was opened.
    pub peer: Option<SocketAddr>,
    /// The total time for which the gateway waited for answers, connections and slots.
    pub time: Duration,
}

impl Outcome {
    /// Begins an outcome. `metrics` are those of requests without a route, until a route is found.
    #[must_use]
    pub fn begin(request_id: String, metrics: Arc<RouteMetrics>) -> Self {
        Self {
            request_id,
            client: None,
            known: None,
            host: None,
            protocol: None,
            method: None,
            path: String::new(),
            trace_id: None,
            trace: None,
            upstream: None,
            metrics,
            service: None,
            forwarded: false,
            status: 0,
            code: None,
            detail: None,
            tried: 0,
            bytes: 0,
            counted: Counted::default(),
            limited: None,
            began: clock::instant(),
            ended: None,
            left: false,
        }
    }

    /// Creates the outcome of work without a client. Such an outcome writes no line and isn't counted as a request.
    #[must_use]
    pub fn unlogged(request_id: String, metrics: Arc<RouteMetrics>) -> Self {
        let mut outcome = Self::begin(request_id, metrics);
        outcome.left = true;
        outcome
    }

    /// Records the method and the path. A long path is shortened, and control characters are replaced.
    pub fn asked(&mut self, method: &http::Method, path: &[u8]) {
        self.method = Some(method.clone());
        self.path = shown(path, PATH_LENGTH);
    }

    /// Records the host and the protocol of a request. A long host is shortened, and control characters are replaced.
    pub fn addressed(&mut self, host: Option<&[u8]>, protocol: Version) {
        self.host = host.map(|host| shown(host, HOST_LENGTH));
        self.protocol = Some(protocol);
    }

    /// Adds `time` for which the gateway waited for an upstream. Without a `peer`, the recorded peer stays.
    pub fn waited(&mut self, upstream: &str, peer: Option<SocketAddr>, time: Duration) {
        let part = self.upstream.get_or_insert_with(|| UpstreamPart {
            name: upstream.to_owned(),
            peer: None,
            time: Duration::ZERO,
        });
        part.peer = peer.or(part.peer);
        part.time += time;
    }

    /// Returns the level of the log line.
    fn level(&self) -> Level {
        match (self.code, self.status) {
            // A panic may follow a status of 200, so the code has precedence over the status. Test:
            // `own_faults_are_errors_and_other_failed_answers_are_warnings`.
            (Some("internal" | "panicked"), _) => Level::ERROR,
            // Either code may accompany a 200, if the answer broke off after its head had been sent.
            (_, 500..) | (Some("upstream_timeout" | "upstream_truncated"), _) => Level::WARN,
            _ => Level::INFO,
        }
    }

    /// Records the level of a page, and the facts about it that the metrics count.
    pub fn served(&mut self, page: &Page) {
        self.counted.level = Some(level_word(page.level()));
        self.counted.unproven = page.unproven.map(unproven_word);
        self.doubted(page.doubted_end);
        if let Some(Unsorted { cause, said }) = &page.notes.lowered {
            self.counted.lowered = Some(unsorted(*cause).0);
            self.detail.get_or_insert_with(|| said.clone());
        }
        self.counted.drift = page.notes.drift;
        self.counted.stragglers = page.notes.stragglers;
    }

    /// Records an end of the list that the upstream contradicts, and logs the first one of a route since the
    /// configuration was loaded. `None` if the upstream doesn't contradict it.
    fn doubted(&mut self, doubt: Option<DoubtedEnd>) {
        self.counted.doubted_end = doubt;
        let Some(doubt) = doubt else { return };
        let said = doubted_text(doubt);
        let hint = hint("end_unproven").unwrap_or_default();
        // Every walk of such a list ends like this, so only the first end is logged. Test:
        // `an_end_that_is_contradicted_is_in_the_log_and_the_metrics`.
        if self.metrics.findings().note("end", Some(&said), hint, clock::unix_seconds()) {
            tracing::warn!(
                target: "cursorgate::refusals",
                request_id = self.request_id,
                route = self.metrics.route(),
                end_reached = doubt.reached,
                end_said = doubt.said,
                hint,
                "{said}"
            );
        }
    }

    /// Records that another peer gave the page in place of this one, because of what `said` says of the answers of this
    /// one, and logs the first time on a route since the configuration was loaded.
    pub fn tell_peer(&mut self, peer: SocketAddr, said: &str) {
        let detail = format!("another peer gave the page that {peer} did not, because {said}");
        self.tell_of_peer(OTHER_PEER, peer, &detail);
        self.detail = Some(detail);
    }

    /// Logs, once for each route and configuration, that a peer gives fewer items than a request asks for. Such a list
    /// is served as ever, by more requests for each page.
    pub fn tell_cap(&self, peer: SocketAddr, cap: u32) {
        self.tell_of_peer(
            SMALL_PAGES,
            peer,
            &format!("{peer} gives at most {cap} items for a request that asks for more"),
        );
    }

    /// Notes a finding about a peer, and logs it the first time on a route since the configuration was loaded.
    fn tell_of_peer(&self, kind: &'static str, peer: SocketAddr, said: &str) {
        let hint = hint(kind).unwrap_or_default();
        if self.metrics.findings().note(kind, Some(said), hint, clock::unix_seconds()) {
            tracing::warn!(
                target: "cursorgate::refusals",
                request_id = self.request_id,
                route = self.metrics.route(),
                upstream = self.upstream.as_ref().map(|part| part.name.as_str()),
                %peer,
                hint,
                "{said}"
            );
        }
    }

    /// Explains a page that failed by `detail`, or else by what was recorded before, and by the number of peers that gave
    /// no page if there are several.
    pub fn explain(&mut self, detail: Option<String>) {
        self.detail = detail.or_else(|| self.detail.take());
        if self.tried > 1 {
            let detail = self.detail.take().unwrap_or_default();
            self.detail = Some(format!("{detail} ({} peers gave no page)", self.tried).trim_start().to_owned());
        }
    }

    /// Records the use of a range filter that didn't help; `None` if the filter helped, or if there was no filter.
    pub fn filtered(&mut self, futile: Option<FutileFilter>) {
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

    /// Logs the first refusal of a kind on a route since the configuration was loaded, with advice on what
    /// to check. Refusals that clients cause aren't logged.
    pub fn tell_refusal(&self, code: &'static str) {
        let word = self.counted.refusal.or_else(|| self.counted.cursor.and_then(cursor_finding)).unwrap_or(code);
        let Some(hint) = hint(word) else { return };
        // An upstream that is down fails every request, so only the first failure is logged. Test:
        // `failures_of_the_upstream_are_warned_of_once_for_each_configuration`.
        if self.metrics.findings().note(word, self.detail.as_deref(), hint, clock::unix_seconds()) {
            tracing::warn!(
                target: "cursorgate::refusals",
                request_id = self.request_id,
                route = self.metrics.route(),
                code,
                refusal = self.counted.refusal,
                detail = self.detail.as_deref(),
                hint,
                "a request was refused, the first one for this reason on this route since the configuration was loaded"
            );
        }
    }

    /// Logs, once for each route and configuration, that an answer lacks a fact. If answers lack several facts, only
    /// the first is logged. `key` is the dialect's key with the place of the fact.
    pub fn tell_missing(&self, key: &'static str) {
        let (said, hint) = (format!("there is nothing at the place that {key} names"), format!("{key} of the dialect"));
        // Every answer of such an upstream may lack the fact, so only the first one is logged. Test:
        // `a_missing_total_is_logged_once`.
        if self.metrics.findings().note("facts", Some(&said), &hint, clock::unix_seconds()) {
            tracing::warn!(
                target: "cursorgate::refusals",
                request_id = self.request_id,
                route = self.metrics.route(),
                hint,
                "{said}"
            );
        }
    }

    /// Charges the upstream requests so far, and adds headers with the client's remaining limits to its answer.
    pub fn tell_limits(&mut self, headers: &mut HeaderMap) {
        if let Some(limited) = &mut self.limited {
            let now = clock::instant();
            limited.settle(self.counted.upstream_requests, now);
            limited.write(headers, now);
        }
    }

    /// Returns whether the answer has headers with the client's remaining limits.
    pub fn tells_limits(&self) -> bool {
        self.limited.as_ref().is_some_and(|limited| limited.is_told())
    }

    /// Returns the outcome as a label value of `cursorgate_requests_total`: the code, if there is one, or a word for
    /// the kind of answer.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.code, self.status) {
            (Some(code), _) => code,
            // The status of a forwarded answer is the upstream's own, so it doesn't select a word. Test:
            // `the_outcome_in_the_log_is_a_single_word`.
            _ if self.forwarded => "forwarded",
            (None, 101 | 200..300) if let Some(service) = self.service => service,
            (None, 200) => "page",
            (None, 304) => "not_modified",
            (None, 307) => "redirected",
            (None, 204) => "preflight",
            (None, _) => "passed",
        }
    }

    /// Returns the facts of the log line that show how a request ended, for its explanation.
    pub fn facts(&self) -> Value {
        let upstream = self.upstream.as_ref();
        json!({
            "request_id": self.request_id,
            "at": clock::rfc3339(clock::unix_seconds()),
            "status": self.status,
            "outcome": self.word(),
            "detail": self.detail,
            "upstream": upstream.map(|part| &part.name),
            "peer": upstream.and_then(|part| part.peer).map(|peer| peer.to_string()),
            "upstream_ms": upstream.map(|part| millis(part.time)),
            "upstream_requests": self.counted.upstream_requests,
            "bytes": self.bytes,
            "duration_ms": millis(clock::instant().saturating_duration_since(self.began)),
            "limit": self.counted.limit,
            "refusal": self.counted.refusal,
            "drift": self.counted.drift,
            "pivot": self.counted.pivot,
            "cache": self.counted.cache,
            "paging": self.counted.paging,
        })
    }

    /// Ends the trace with the request's own span. The span has the facts of the log line, under the names that
    /// OpenTelemetry defines (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>).
    fn end_trace(&self, trace: &RequestTrace, ended: Instant) {
        let route = self.metrics.route();
        let method = self.method.as_ref().map_or("HTTP", http::Method::as_str);
        let name = if route.is_empty() { method.to_owned() } else { format!("{method} {route}") };
        let text = |key: &'static str, value: Option<String>| value.map(|value| KeyValue::new(key, value));
        let number = |key: &'static str, value: i64| Some(KeyValue::new(key, value));
        let bytes = i64::try_from(self.bytes).unwrap_or(i64::MAX);
        let attributes = [
            text("http.request.method", Some(method.to_owned())),
            text("url.path", Some(self.path.clone())),
            text("server.address", self.host.clone()),
            text("client.address", self.client.map(|client| client.to_string())),
            // The attribute contains only the version, such as `1.1`, so `HTTP/` is removed.
            text("network.protocol.version", self.protocol.map(|version| protocol(version)[5..].to_owned())),
            number("http.response.status_code", self.status.into()).filter(|_| self.status > 0),
            number("http.response.body.size", bytes),
            text("error.type", self.code.map(str::to_owned)),
            text("cursorgate.route", (!route.is_empty()).then(|| route.to_owned())),
            text("cursorgate.outcome", Some(self.counted.word.to_owned())),
            text("cursorgate.request_id", Some(self.request_id.clone())),
            text("cursorgate.page_level", self.counted.level.map(str::to_owned)),
            number("cursorgate.upstream_requests", self.counted.upstream_requests.into()),
        ];
        // Faults of clients aren't errors of a server's span, so a span with the level INFO has no fault.
        let fault = (self.level() != Level::INFO).then_some(self.counted.word);
        trace.end(name, attributes.into_iter().flatten().collect(), fault, ended);
    }

    /// Charges the client for all upstream requests, and returns the time at which the request ended.
    fn settle(&mut self) -> Instant {
        let ended = self.ended.unwrap_or_else(clock::instant);
        if let Some(limited) = &mut self.limited {
            limited.settle(self.counted.upstream_requests, ended);
        }
        ended
    }

    /// Takes over the logging of a request that has ended. Dropping the returned value writes the line, with the
    /// duration of the request until now. An observed answer is read after the client has received it, and its verdict
    /// is in the same line.
    pub fn leave(&mut self) -> Self {
        let mut rest = Self::begin(String::new(), Arc::clone(&self.metrics));
        rest.left = true;
        let mut taken = std::mem::replace(self, rest);
        taken.ended = Some(clock::instant());
        taken
    }

    #[must_use]
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Writes the line of the access log. `took` is the duration of the request.
    fn write(&self, took: Duration) {
        let route = self.metrics.route();
        let duration_ms = millis(took);
        let upstream = self.upstream.as_ref();
        // `tracing` needs the level of an event as a constant, so each level has a separate event.
        macro_rules! line {
            ($level:expr) => {
                tracing::event!(
                    target: "cursorgate::access",
                    $level,
                    request_id = self.request_id,
                    trace_id = self.trace_id.map(tracing::field::display),
                    client = self.client.map(tracing::field::display),
                    host = self.host.as_deref(),
                    protocol = self.protocol.map(protocol),
                    route = (!route.is_empty()).then_some(route),
                    method = self.method.as_ref().map(http::Method::as_str),
                    path = self.path,
                    status = self.status,
                    code = self.code,
                    detail = self.detail.as_deref(),
                    upstream = upstream.map(|part| part.name.as_str()),
                    peer = upstream.and_then(|part| part.peer).map(tracing::field::display),
                    upstream_ms = upstream.map(|part| millis(part.time)),
                    upstream_requests = self.counted.upstream_requests,
                    limit = self.counted.limit,
                    bytes = self.bytes,
                    duration_ms,
                    page_level = self.counted.level,
                    unproven = self.counted.unproven,
                    end_reached = self.counted.doubted_end.map(|end| end.reached),
                    end_said = self.counted.doubted_end.and_then(|end| end.said),
                    lowered = self.counted.lowered,
                    futile_filter = self.counted.futile_filter,
                    refusal = self.counted.refusal,
                    drift = self.counted.drift,
                    stragglers = (self.counted.stragglers > 0).then_some(self.counted.stragglers),
                    pivot = self.counted.pivot,
                    cache = self.counted.cache,
                    observed = self.counted.observed,
                    unobserved = self.counted.unobserved,
                    paging = self.counted.paging,
                )
            };
        }
        match self.level() {
            Level::ERROR => line!(Level::ERROR),
            Level::WARN => line!(Level::WARN),
            _ => line!(Level::INFO),
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        if std::thread::panicking() {
            // A panic unwinds through this value. The request still gets its line.
            self.code = Some("panicked");
        }
        // The client is charged even if it has left, because the upstream requests were made.
        let ended = self.settle();
        let took = ended.saturating_duration_since(self.began);
        self.counted.word = self.word();
        self.metrics.count(&self.counted, CountedResponse { status: self.status, bytes: self.bytes, took });
        if let Some(trace) = self.trace.take() {
            self.end_trace(&trace, ended);
        }
        self.write(took);
    }
}

/// Returns text from outside in a form for the log: at most `most` characters, with control characters replaced.
fn shown(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    if text.len() <= most && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return text.into_owned();
    }
    // A line break in a path would let a client write forged lines. Test:
    // `a_logged_path_is_truncated_and_has_no_line_breaks`.
    let visible = |character: char| if character.is_control() { char::REPLACEMENT_CHARACTER } else { character };
    text.chars().take(most).map(visible).collect()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// Returns a duration in milliseconds, with microsecond precision.
pub fn millis(duration: Duration) -> f64 {
    u64::try_from(duration.as_micros()).map_or(f64::MAX, |micros| {
        #[expect(clippy::cast_precision_loss, reason = "a request takes less than 2^53 microseconds")]
        let millis = micros as f64 / 1_000.0;
        millis
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_in_the_log_is_a_single_word() {
        for (status, code, forwarded, word) in [
            (200, None, false, "page"),
            (503, Some("position_lost"), false, "position_lost"),
            (500, None, true, "forwarded"),
            (200, Some("upstream_truncated"), true, "upstream_truncated"),
            (304, None, false, "not_modified"),
        ] {
            let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
            (outcome.status, outcome.code, outcome.forwarded) = (status, code, forwarded);
            assert_eq!(outcome.word(), word, "{status} {code:?}");
        }
    }

    #[test]
    fn own_faults_are_errors_and_other_failed_answers_are_warnings() {
        for (status, code, forwarded, level) in [
            (200, None, false, Level::INFO),
            (404, None, true, Level::INFO),
            (400, Some("limit_invalid"), false, Level::INFO),
            (200, Some("client_gone"), true, Level::INFO),
            (500, None, true, Level::WARN),
            (502, Some("upstream_unavailable"), false, Level::WARN),
            (503, Some("overloaded"), false, Level::WARN),
            (200, Some("upstream_truncated"), true, Level::WARN),
            (500, Some("internal"), false, Level::ERROR),
            (200, Some("panicked"), false, Level::ERROR),
        ] {
            let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
            (outcome.status, outcome.code, outcome.forwarded) = (status, code, forwarded);
            assert_eq!(outcome.level(), level, "{status} {code:?}");
        }
    }

    /// A subscriber that collects the names of all fields of log lines.
    #[derive(Default)]
    struct FieldNames(std::sync::Mutex<Vec<&'static str>>);

    impl tracing::Subscriber for FieldNames {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            self.0.lock().unwrap().extend(event.metadata().fields().iter().map(|field| field.name()));
        }

        fn enter(&self, _: &tracing::span::Id) {}

        fn exit(&self, _: &tracing::span::Id) {}
    }

    #[test]
    fn all_fields_are_documented() {
        let names = Arc::new(FieldNames::default());
        tracing::subscriber::with_default(Arc::clone(&names), || {
            // Another test may write such a line without a subscriber just now, and then none is recorded.
            for _ in 0..100 {
                names.0.lock().unwrap().clear();
                tracing::callsite::rebuild_interest_cache();
                for status in [200, 502] {
                    let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
                    outcome.status = status;
                }
                if names.0.lock().unwrap().len() > 40 {
                    break;
                }
            }
        });
        let page = include_str!("../../../../docs/observability.md");
        let names = names.0.lock().unwrap();
        assert!(names.len() > 40, "two lines: {names:?}");
        for name in &*names {
            assert!(page.contains(&format!("`{name}`")), "docs/observability.md has no {name}");
        }
    }

    #[test]
    fn an_end_that_is_contradicted_is_in_the_log_and_the_metrics() {
        let metrics = RouteMetrics::new("users");
        for (said, expected) in [(Some(257), "the upstream says that it has 257"), (None, "says that more follow")] {
            metrics.findings().forget();
            let mut outcome = Outcome::begin(String::new(), Arc::clone(&metrics));
            outcome.doubted(Some(DoubtedEnd { reached: 100, said }));
            let found = metrics.findings().all();
            let detail = found[0].detail.clone().unwrap_or_default();
            assert!(detail.contains("after 100 items") && detail.contains(expected), "{detail}");
            assert!(
                found[0].key.contains("request.max_depth") && found[0].key.contains("response.hidden"),
                "{found:?}"
            );
            outcome.doubted(Some(DoubtedEnd { reached: 100, said }));
            assert_eq!((metrics.findings().all().len(), metrics.findings().all()[0].count), (1, 2), "logged once");
        }
        let counts = |metrics: &RouteMetrics| {
            let index = crate::outcome::metrics::FAMILIES
                .iter()
                .position(|family| family.name == "cursorgate_ends_unproven_total");
            metrics.counts(index.unwrap()).map(|(_, count)| count).sum::<u64>()
        };
        assert_eq!(counts(&metrics), 2, "each request with such an end counts once");
        let mut outcome = Outcome::begin(String::new(), Arc::clone(&metrics));
        outcome.doubted(None);
        drop(outcome);
        assert_eq!(counts(&metrics), 2);
    }

    /// Row: A36
    #[test]
    fn a_logged_path_is_truncated_and_has_no_line_breaks() {
        let mut outcome = Outcome::begin(String::new(), RouteMetrics::new(""));
        outcome.asked(&http::Method::GET, b"/a\r\nb\x1b[31m\xff");
        assert_eq!(outcome.path, "/a\u{fffd}\u{fffd}b\u{fffd}[31m\u{fffd}");
        outcome.asked(&http::Method::GET, "/é".repeat(5_000).as_bytes());
        assert_eq!(outcome.path.chars().count(), PATH_LENGTH);
    }
}
