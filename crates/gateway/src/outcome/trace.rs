//! Traces of requests (<https://www.w3.org/TR/trace-context/>, <https://opentelemetry.io/docs/specs/otel/trace/>). A
//! trace has a span for the request, a span for each phase of it, and a span for each upstream request.
//!
//! The spans of a request are collected and handed over together when the request has ended, so no request waits for an
//! export. The attributes of the spans have the same facts as the access log: no query values, cursors or credentials.

use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, InstrumentationScope, KeyValue,
    propagation::TextMapPropagator as _,
    trace::{SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState},
};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{
        IdGenerator as _, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample as _, SpanData, SpanEvents,
        SpanLinks,
    },
};
use tokio::sync::mpsc;

use crate::runtime::clock;

/// The header that names the trace and the caller's span.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header with vendors' data about the trace.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The largest number of spans that are kept for a request, without the request's own span. Additional spans are lost,
/// as [`Loss::TooMany`].
const MOST_SPANS: usize = 128;

/// The largest number of requests whose spans wait for their export. The spans of additional requests are lost, as
/// [`Loss::QueueFull`].
const MOST_WAITING: usize = 1_024;

/// The trace of a request, which collects the spans of its phases and of its upstream requests.
#[derive(Debug)]
pub struct RequestTrace {
    /// The request's own span.
    own: SpanContext,
    /// The client's span; `None` if the client isn't trusted or names no span.
    parent: Option<SpanContext>,
    /// The start of the request, as a time of day and on the monotonic clock.
    began: (SystemTime, Instant),
    spans: Mutex<Vec<SpanData>>,
    queue: Arc<SpanQueue>,
}

/// A part of a request. Its span ends when this value is dropped.
#[derive(Debug)]
pub struct Phase<'t> {
    trace: Option<&'t RequestTrace>,
    id: SpanId,
    parent: SpanId,
    name: &'static str,
    kind: SpanKind,
    began: Instant,
    pub attributes: Vec<KeyValue>,
    /// The reason that the part failed; `None` if it succeeded.
    pub fault: Option<Cow<'static, str>>,
}

/// Returns the span that the headers of a trusted client name; `None` if `traceparent` is missing, repeated or
/// malformed.
pub fn named_by(headers: &HeaderMap) -> Option<SpanContext> {
    if headers.get_all(&TRACEPARENT).iter().count() != 1 {
        return None;
    }
    let extracted = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let context = extracted.span().span_context().clone();
    context.is_valid().then_some(context)
}

impl RequestTrace {
    /// Begins the trace of a request, or continues the client's trace if there is a `parent`.
    pub fn begin(parent: Option<SpanContext>, sampler: &Sampler, queue: &Arc<SpanQueue>, began: Instant) -> Self {
        let ids = RandomIdGenerator::default();
        let trace_id = parent.as_ref().map_or_else(|| ids.new_trace_id(), SpanContext::trace_id);
        let context = parent.clone().map(|parent| Context::new().with_remote_span_context(parent));
        // A continued trace keeps the decision about its sampling. Test: `a_trace_is_continued_with_its_own_decision`.
        let sampled = sampler.should_sample(context.as_ref(), trace_id, "request", &SpanKind::Server, &[], &[]);
        let flags = match sampled.decision {
            SamplingDecision::RecordAndSample => TraceFlags::SAMPLED,
            _ => TraceFlags::NOT_SAMPLED,
        };
        let state = parent.as_ref().map_or(TraceState::NONE, |parent| parent.trace_state().clone());
        let own = SpanContext::new(trace_id, ids.new_span_id(), flags, false, state);
        // Spans have times of day, but `began` is a time of the monotonic clock, so its time of day is computed from
        // the elapsed time.
        let elapsed = clock::instant().saturating_duration_since(began);
        let now = clock::system();
        let began = (now.checked_sub(elapsed).unwrap_or(now), began);
        Self { own, parent, began, spans: Mutex::default(), queue: Arc::clone(queue) }
    }

    pub fn id(&self) -> TraceId {
        self.own.trace_id()
    }

    /// Begins a phase of the request. Without a trace, the phase does nothing.
    pub fn phase<'t>(trace: Option<&'t Self>, name: &'static str) -> Phase<'t> {
        let parent = trace.map_or(SpanId::INVALID, |trace| trace.own.span_id());
        Phase::begin(trace, parent, name, SpanKind::Internal)
    }

    /// Returns the time of day of a moment on the monotonic clock.
    fn at(&self, moment: Instant) -> SystemTime {
        let (time, began) = self.began;
        time + moment.saturating_duration_since(began)
    }

    fn is_sampled(&self) -> bool {
        self.own.is_sampled()
    }

    fn push(&self, span: SpanData) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        // The limit doesn't include the request's own span, which comes last and is always kept. Test:
        // `spans_without_room_are_counted`.
        if spans.len() < MOST_SPANS {
            spans.push(span);
        } else {
            self.queue.drop_spans(Loss::TooMany, 1);
        }
    }

    /// Ends the trace, and hands its spans over for export if the trace is sampled. `fault` is the reason that the
    /// request failed; `None` if it succeeded.
    pub fn end(&self, name: String, attributes: Vec<KeyValue>, fault: Option<&'static str>, ended: Instant) {
        if !self.is_sampled() {
            return;
        }
        let mut spans = std::mem::take(&mut *self.spans.lock().unwrap_or_else(PoisonError::into_inner));
        spans.push(SpanData {
            span_context: self.own.clone(),
            parent_span_id: self.parent.as_ref().map_or(SpanId::INVALID, SpanContext::span_id),
            parent_span_is_remote: self.parent.is_some(),
            span_kind: SpanKind::Server,
            name: name.into(),
            start_time: self.began.0,
            end_time: self.at(ended),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: status(fault.map(Cow::Borrowed)),
            instrumentation_scope: scope(),
        });
        self.queue.push(spans);
    }
}

impl<'t> Phase<'t> {
    fn begin(trace: Option<&'t RequestTrace>, parent: SpanId, name: &'static str, kind: SpanKind) -> Self {
        let id = if trace.is_some() { RandomIdGenerator::default().new_span_id() } else { SpanId::INVALID };
        Self { trace, id, parent, name, kind, began: clock::instant(), attributes: Vec::new(), fault: None }
    }

    /// Begins the span of an upstream request within this phase.
    pub fn call(&self) -> Self {
        Self::begin(self.trace, self.id, "upstream request", SpanKind::Client)
    }

    /// Begins the span of an upstream request directly within the request, without a phase.
    pub fn only_call(trace: Option<&'t RequestTrace>) -> Self {
        let parent = trace.map_or(SpanId::INVALID, |trace| trace.own.span_id());
        Self::begin(trace, parent, "upstream request", SpanKind::Client)
    }

    /// Returns whether the span belongs to a sampled trace. Other spans aren't exported.
    pub fn is_sampled(&self) -> bool {
        self.trace.is_some_and(RequestTrace::is_sampled)
    }

    /// Returns the value of the header `traceparent` for this span's upstream request; `None` without a trace.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let own = &self.trace?.own;
        // The header is also sent for a trace that isn't sampled, so the upstream follows the decision.
        let text = format!("00-{}-{}-{:02x}", own.trace_id(), self.id, own.trace_flags().to_u8());
        HeaderValue::from_str(&text).ok()
    }
}

impl Drop for Phase<'_> {
    fn drop(&mut self) {
        let Some(trace) = self.trace.filter(|trace| trace.is_sampled()) else { return };
        let own = &trace.own;
        let ended = clock::instant();
        trace.push(SpanData {
            span_context: SpanContext::new(
                own.trace_id(),
                self.id,
                own.trace_flags(),
                false,
                own.trace_state().clone(),
            ),
            parent_span_id: self.parent,
            parent_span_is_remote: false,
            span_kind: self.kind.clone(),
            name: Cow::Borrowed(self.name),
            start_time: trace.at(self.began),
            end_time: trace.at(ended),
            attributes: std::mem::take(&mut self.attributes),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: status(self.fault.take()),
            instrumentation_scope: scope(),
        });
    }
}

fn status(fault: Option<Cow<'static, str>>) -> Status {
    fault.map_or(Status::Unset, |description| Status::Error { description })
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("cursorgate").with_version(env!("CARGO_PKG_VERSION")).build()
}

/// The spans that wait for their export, and the counts of exported and lost spans. Senders never wait: if there is no
/// room, their spans are dropped and counted.
#[derive(Debug)]
pub struct SpanQueue {
    sender: mpsc::Sender<Vec<SpanData>>,
    receiver: Mutex<Option<mpsc::Receiver<Vec<SpanData>>>>,
    exported: AtomicU64,
    dropped: [AtomicU64; Loss::ALL.len()],
}

/// The reasons for which spans aren't exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The queue is full because the collector is slower than the requests, or the exporter has ended.
    QueueFull,
    /// The collector is unreachable or refuses the spans.
    ExportFailed,
    /// The request has more spans than may be kept.
    TooMany,
}

impl Loss {
    const ALL: [Self; 3] = [Self::QueueFull, Self::ExportFailed, Self::TooMany];

    fn word(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::ExportFailed => "export_failed",
            Self::TooMany => "too_many",
        }
    }
}

impl Default for SpanQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(MOST_WAITING);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            exported: AtomicU64::new(0),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

impl SpanQueue {
    /// Returns the receiver on the first call, and `None` on later calls, because there is only one exporter.
    pub fn receiver(&self) -> Option<mpsc::Receiver<Vec<SpanData>>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn push(&self, spans: Vec<SpanData>) {
        // Spans are lost rather than letting a request wait for their export. Test: `no_request_waits_for_a_collector`.
        if let Err(full) = self.sender.try_send(spans) {
            let (mpsc::error::TrySendError::Full(spans) | mpsc::error::TrySendError::Closed(spans)) = full;
            self.drop_spans(Loss::QueueFull, spans.len());
        }
    }

    /// Adds `count` to the number of exported spans.
    pub fn export_spans(&self, count: usize) {
        self.exported.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Adds `count` to the number of lost spans.
    pub fn drop_spans(&self, loss: Loss, count: usize) {
        let known = Loss::ALL.iter().position(|known| *known == loss).unwrap_or_default();
        self.dropped[known].fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns the number of exported spans.
    #[must_use]
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// Returns the number of lost spans by reason.
    pub fn dropped(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = Loss::ALL.iter().zip(&self.dropped);
        counts.map(|(loss, count)| (loss.word(), count.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";

    fn given(lines: &[&str]) -> Option<SpanContext> {
        let headers = lines.iter().map(|line| (TRACEPARENT, HeaderValue::from_str(line).unwrap()));
        named_by(&headers.collect())
    }

    #[test]
    fn a_trace_is_continued_with_its_own_decision() {
        let queue = Arc::default();
        for (flags, every, is_sampled) in [("01", 0.0, true), ("00", 1.0, false)] {
            let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(every)));
            let parent = given(&[&format!("{GIVEN}-{flags}")]);
            let trace = RequestTrace::begin(parent, &sampler, &queue, clock::instant());
            assert_eq!(trace.id().to_string(), "0af7651916cd43dd8448eb211c80319c");
            let call = RequestTrace::phase(Some(&trace), "page").call();
            let line = call.traceparent().unwrap();
            let line = line.to_str().unwrap();
            assert!(line.starts_with("00-0af7651916cd43dd8448eb211c80319c-") && line.ends_with(flags), "{line}");
            assert!(!line.contains("b7ad6b7169203331"), "the parent is the gateway: {line}");
            assert_eq!(call.is_sampled(), is_sampled);
        }
        for lines in [&[][..], &["00-0-0-01"], &["00-00000000000000000000000000000000-b7ad6b7169203331-01"]] {
            assert!(given(lines).is_none(), "{lines:?}");
        }
        let line = format!("{GIVEN}-01");
        assert!(given(&[&line, &line]).is_none());
    }

    /// Row: A37
    #[test]
    fn spans_without_room_are_counted() {
        let queue = Arc::new(SpanQueue::default());
        for _ in 0..=MOST_WAITING {
            let trace = RequestTrace::begin(None, &Sampler::AlwaysOn, &queue, clock::instant());
            drop(RequestTrace::phase(Some(&trace), "page"));
            trace.end("GET users".to_owned(), Vec::new(), None, clock::instant());
        }
        let trace = RequestTrace::begin(None, &Sampler::AlwaysOn, &queue, clock::instant());
        (0..=MOST_SPANS).for_each(|_| drop(RequestTrace::phase(Some(&trace), "page")));
        let lost: Vec<_> = queue.dropped().collect();
        assert_eq!(lost, [("queue_full", 2), ("export_failed", 0), ("too_many", 1)]);
        let waiting = queue.receiver().unwrap().try_recv().unwrap();
        assert_eq!(waiting.iter().map(|span| span.name.as_ref()).collect::<Vec<_>>(), ["page", "GET users"]);
        assert_eq!(waiting[0].parent_span_id, waiting[1].span_context.span_id());
    }
}
