//! The export of traces: OTLP over HTTP, in batches, by a separate thread. The connections are those of an upstream
//! that the configuration names. A collector can therefore have the TLS, headers, timeouts and peers of any upstream.

use std::{sync::Arc, thread::JoinHandle, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{
    Request, Response,
    header::{CONTENT_LENGTH, HOST},
};
use opentelemetry::KeyValue;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use pingora::http::RequestHeader;
use tokio::sync::{mpsc, watch};

use super::live::Live;
use crate::{
    net::fetch::{AskedPeer, Bounds, Fetcher},
    outcome::trace::{Loss, SpanQueue},
    runtime::clock,
};

/// The number of spans at which a batch is exported. A batch can have more spans, because the spans of one request stay
/// together.
const BATCH: usize = 512;

/// The longest time for which spans are gathered after the first span of a batch. A batch of [`BATCH`] spans is
/// exported earlier.
const GATHERING: Duration = Duration::from_secs(1);

/// The largest size of a collector's answer, in bytes. An export with a larger answer counts as failed.
const ANSWER: usize = 64 << 10;

/// The longest time for which the end of the process waits for the last spans. Spans that aren't exported by then are
/// lost.
const LAST_BATCH: Duration = Duration::from_secs(2);

/// The path to which traces are sent (<https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>).
const PATH: &str = "/v1/traces";

/// The thread that exports spans. Dropping this value exports the spans that are still waiting, for at most
/// [`LAST_BATCH`].
#[derive(Debug)]
pub struct Exporting {
    ends: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a thread that exports the spans of a queue.
///
/// # Errors
///
/// Returns an error if the thread can't be started.
pub fn begin(live: Arc<Live>, queue: Arc<SpanQueue>) -> std::io::Result<Exporting> {
    let (ends, ended) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("traces".to_owned()).spawn(move || {
        let Some(waiting) = queue.receiver() else { return };
        let mut last = ended.clone();
        let exporter = Exporter { live, fetcher: Arc::default(), queue, waiting, ended, fails: false };
        runtime.block_on(async {
            // A collector that doesn't answer must not prevent the process from ending.
            let too_late = async {
                let _ = last.wait_for(|ended| *ended).await;
                tokio::time::sleep(LAST_BATCH).await;
            };
            tokio::select! {
                () = exporter.run() => {}
                () = too_late => {}
            }
        });
    })?;
    Ok(Exporting { ends, thread: Some(thread) })
}

impl Drop for Exporting {
    fn drop(&mut self) {
        let _ = self.ends.send(true);
        // The thread ends within `LAST_BATCH`. If it panicked, the panic has been logged.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The state of the exporting thread.
struct Exporter {
    live: Arc<Live>,
    fetcher: Arc<Fetcher>,
    queue: Arc<SpanQueue>,
    waiting: mpsc::Receiver<Vec<SpanData>>,
    ended: watch::Receiver<bool>,
    /// `true` if the export of the last batch failed. The log has only the first failure of a series, and the success
    /// after it.
    fails: bool,
}

impl Exporter {
    /// Exports batches until the process is ending and no span is waiting.
    async fn run(mut self) {
        // Each iteration waits for a batch.
        loop {
            let batch = self.gather().await;
            if batch.is_empty() {
                return;
            }
            self.export(batch).await;
        }
    }

    /// Waits for a span, and gathers the spans that follow within [`GATHERING`], until there are [`BATCH`]. Once the
    /// process is ending, gathers only the spans that are already waiting. The batch is then empty if there are none.
    async fn gather(&mut self) -> Vec<SpanData> {
        let mut batch = Vec::new();
        let mut until = None;
        while batch.len() < BATCH {
            let late = tokio::time::sleep_until(until.unwrap_or_else(|| clock::instant().into()));
            tokio::select! {
                // Waiting spans are taken before the end of the process is noticed.
                biased;
                Some(spans) = self.waiting.recv() => batch.extend(spans),
                _ = self.ended.wait_for(|ended| *ended) => break,
                () = late, if until.is_some() => break,
            }
            until = until.or_else(|| Some((clock::instant() + GATHERING).into()));
        }
        batch
    }

    async fn export(&mut self, batch: Vec<SpanData>) {
        let count = batch.len();
        let exported = match self.exporter() {
            Some(Ok(exporter)) => exporter.export(batch).await.map_err(|error| error.to_string()),
            Some(Err(error)) => Err(error),
            None => Err("traces are no longer exported".to_owned()),
        };
        match exported {
            Ok(()) => {
                self.queue.export_spans(count);
                if std::mem::take(&mut self.fails) {
                    tracing::info!("traces are exported again");
                }
            }
            Err(error) => {
                self.queue.drop_spans(Loss::ExportFailed, count);
                if !std::mem::replace(&mut self.fails, true) {
                    let hint = "cursorgate_trace_spans_dropped_total counts what is lost until it succeeds";
                    tracing::warn!(error, "traces can't be exported: {hint}");
                }
            }
        }
    }

    /// Returns an exporter to the collector of the configuration in force, or the reason that the exporter can't be
    /// built; `None` if this configuration has no collector.
    fn exporter(&self) -> Option<Result<SpanExporter, String>> {
        let snapshot = self.live.pin();
        let traces = snapshot.traces.as_ref()?;
        let client = CollectorClient { live: Arc::clone(&self.live), fetcher: Arc::clone(&self.fetcher) };
        let built = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            // `CollectorClient` replaces this authority with the upstream's.
            .with_endpoint(format!("http://collector{PATH}"))
            .with_timeout(traces.upstream.timeouts.whole)
            .build();
        Some(built.map_err(|error| error.to_string()).map(|mut exporter| {
            let resource = Resource::builder_empty().with_attributes([
                KeyValue::new("service.name", traces.service_name.clone()),
                KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            ]);
            exporter.set_resource(&resource.build());
            exporter
        }))
    }
}

/// The HTTP client of the exporter. Each request goes to the upstream of the collector that is in force at that moment.
#[derive(Debug)]
struct CollectorClient {
    live: Arc<Live>,
    fetcher: Arc<Fetcher>,
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let snapshot = self.live.pin();
        let Some(traces) = &snapshot.traces else { return Err("there is no collector".into()) };
        let upstream = &traces.upstream;
        let (head, body) = request.into_parts();
        let path = format!("{}{PATH}", upstream.base_path);
        let mut sent = RequestHeader::build(head.method, path.as_bytes(), None)?;
        sent.insert_header(HOST, upstream.host_for(None))?;
        sent.insert_header(CONTENT_LENGTH, body.len().to_string())?;
        for (name, value) in head.headers.iter().chain(upstream.headers.iter().map(|(name, value)| (name, value))) {
            sent.insert_header(name.clone(), value.clone())?;
        }
        let (held, asked) = (snapshot.memory.share(), AskedPeer::default());
        let bounds = Bounds::from_now(upstream.timeouts, ANSWER, &held, &asked);
        // The request isn't retried, because a collector may have accepted the spans although its answer failed.
        let visit = upstream.visit(&head.headers, &path, false);
        let fetched = self.fetcher.fetch(&visit, &sent, &body, bounds).await?;
        let mut response = Response::new(Bytes::from(fetched.body));
        (*response.status_mut(), *response.headers_mut()) = (fetched.status, fetched.headers);
        Ok(response)
    }
}
