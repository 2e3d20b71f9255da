//! Tests of traces, as a collector receives them by OTLP over HTTP.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;

use crate::harness::{
    eventually,
    gateway::Gateway,
    list::{Setup, serve, users},
    upstream::{After, Exchange, Request, Upstream},
};

const CANARY: &str = "c4n4ry";

const ROUTES: Setup = Setup {
    upstream: "",
    route: "",
    more: "[routes.rest]\npath = \"/rest/{*rest}\"\nupstream = \"legacy\"\naction = \"forward\"",
};

/// A collector of traces in the process of the test, and the requests that it has received.
struct Collector {
    upstream: Upstream,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    fn start() -> Self {
        let received: Arc<Mutex<Vec<ExportTraceServiceRequest>>> = Arc::default();
        let batches = Arc::clone(&received);
        let upstream = Upstream::start(move |exchange: &mut Exchange| {
            let body = exchange.body()?;
            let batch = ExportTraceServiceRequest::decode(body.as_slice()).expect("OTLP in protobuf");
            batches.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
            exchange.reply("200 OK", &[("Content-Type", "application/x-protobuf")], b"")
        });
        Self { upstream, received }
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        let resources = received.iter().flat_map(|batch| &batch.resource_spans);
        resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }

    /// Waits for the spans of a trace, and returns them. The span of the client's request is the last to arrive.
    fn trace(&self, id: &str) -> Vec<Span> {
        eventually("its spans", || {
            let spans: Vec<Span> = self.spans().into_iter().filter(|span| hex(&span.trace_id) == id).collect();
            spans.iter().any(|span| span.kind == 2).then_some(spans)
        })
    }

    fn configuration(&self, upstream: &Upstream, more: &str, proxies: &str) -> String {
        format!(
            "server = {{ trusted_proxies = [{proxies}] }}\ntraces = {{ upstream = \"collector\", {more} }}\n{}\n\
             [upstreams.collector]\npeers = [\"{}\"]\nbase_path = \"/otlp\"\ntimeouts = {{ whole = \"1s\" }}\n\
             headers = {{ X-Collector-Key = \"env:CURSORGATE_KEY_2\" }}\n",
            ROUTES.configuration(upstream.address),
            self.upstream.address
        )
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|known| known.key == key)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

/// Returns the id of the trace, the id of the span, and the flags in the `traceparent` of a request.
fn traceparent(request: &Request) -> (String, String, String) {
    let line = request.header("traceparent").unwrap_or_else(|| panic!("no traceparent: {request:?}"));
    let parts: Vec<&str> = line.split('-').collect();
    assert_eq!((parts.len(), parts[0]), (4, "00"), "{line}");
    (parts[1].to_owned(), parts[2].to_owned(), parts[3].to_owned())
}

const GIVEN: &str = "0af7651916cd43dd8448eb211c80319c";

/// A page is a trace with spans for its phases and its upstream requests, and no span contains a secret.
///
/// Row: A35
#[test]
fn a_page_is_a_trace_of_its_phases_and_upstream_requests() {
    let (upstream, collector) = (Upstream::start(serve(users(60))), Collector::start());
    let gateway = Gateway::start(&collector.configuration(&upstream, "every = 1", ""));
    let secrets =
        [("Authorization", CANARY), ("Cookie", CANARY), ("traceparent", &format!("00-{GIVEN}-b7ad6b7169203331-01"))];
    let first = gateway.send("GET", &format!("/users?limit=5&email={CANARY}"), &secrets, b"");
    let cursor = first.json()["pagination"]["nextCursor"].as_str().expect("a cursor").to_owned();
    let (id, span, flags) = traceparent(&upstream.requests()[0]);
    assert_ne!(id, GIVEN, "a stranger's trace is not continued");
    assert_eq!(flags, "01");
    let spans = collector.trace(&id);
    let named =
        |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}: {spans:#?}"));
    let request = named("GET users");
    assert!(request.parent_span_id.is_empty(), "{request:?}");
    for phase in ["plan", "page", "render"] {
        assert_eq!(named(phase).parent_span_id, request.span_id, "{phase}");
        assert!(request.start_time_unix_nano <= named(phase).start_time_unix_nano, "{phase}");
        assert!(named(phase).end_time_unix_nano <= request.end_time_unix_nano, "{phase}");
    }
    let call = named("upstream request");
    assert_eq!((&call.parent_span_id, hex(&call.span_id)), (&named("page").span_id, span));
    for (span, key, value) in [
        (request, "http.request.method", "GET"),
        (request, "url.path", "/users"),
        (request, "http.response.status_code", "200"),
        (request, "cursorgate.route", "users"),
        (request, "cursorgate.outcome", "page"),
        (request, "cursorgate.page_level", "exact"),
        (request, "client.address", "127.0.0.1"),
        (call, "cursorgate.upstream", "legacy"),
        (call, "cursorgate.kind", "slice"),
        (call, "server.port", &upstream.address.port().to_string()),
        (call, "http.response.status_code", "200"),
    ] {
        assert_eq!(attribute(&span.attributes, key).as_deref(), Some(value), "{key}: {span:?}");
    }
    let line = eventually("its line", || gateway.access_log().into_iter().find(|line| line["trace_id"] == id.as_str()));
    assert_eq!(attribute(&request.attributes, "cursorgate.request_id").as_deref(), line["request_id"].as_str());

    // A failure is an error of the span in which it occurs.
    upstream.answer(|_| Ok(After::Reset));
    assert_eq!(gateway.get(&format!("/users?limit=5&email={CANARY}&cursor={cursor}")).status, 502);
    let (id, ..) = traceparent(upstream.requests().last().expect("it was asked"));
    let failed = collector.trace(&id);
    for name in ["GET users", "upstream request"] {
        let span = failed.iter().find(|span| span.name == name).expect("a span");
        assert_eq!(span.status.as_ref().map(|status| status.code), Some(2), "{span:?}");
    }
    let sent = collector.upstream.requests();
    assert_eq!(sent[0].target, "/otlp/v1/traces", "{sent:?}");
    assert!(
        sent[0].header("x-collector-key").is_some() && sent[0].header("content-type") == Some("application/x-protobuf")
    );
    let page = include_str!("../../docs/observability.md");
    for name in collector.spans().iter().flat_map(|span| &span.attributes).map(|attribute| &attribute.key) {
        assert!(page.contains(&format!("`{name}`")), "docs/observability.md has no {name}");
    }
    let all = format!("{:?}", collector.received.lock().unwrap());
    assert!(!all.contains(CANARY) && !all.contains(&cursor), "{all}");
    let resource = collector.received.lock().unwrap()[0].resource_spans[0].resource.clone().expect("a resource");
    assert_eq!(attribute(&resource.attributes, "service.name").as_deref(), Some("cursorgate"));
}

#[test]
fn a_trace_of_a_trusted_proxy_goes_on_with_its_sampling() {
    let (upstream, collector) = (Upstream::start(serve(users(60))), Collector::start());
    let gateway = Gateway::start(&collector.configuration(&upstream, "every = 1000000", "\"127.0.0.0/8\""));
    for (target, flags, is_sampled) in [
        ("/users?limit=5", "01", true),
        ("/rest/a", "01", true),
        ("/rest/b", "00", false),
        ("/users?limit=6", "00", false),
    ] {
        let id = format!("{:032x}", upstream.count() + 1);
        let given = format!("00-{id}-b7ad6b7169203331-{flags}");
        let before = upstream.count();
        let headers = [("traceparent", given.as_str()), ("tracestate", "vendor=opaque")];
        assert_eq!(gateway.send("GET", target, &headers, b"").status, 200);
        let asked = &upstream.requests()[before];
        let (passed, span, kept) = traceparent(asked);
        assert_eq!((passed.as_str(), kept.as_str()), (id.as_str(), flags), "{target}");
        assert_ne!(span, "b7ad6b7169203331", "the gateway is between them");
        assert_eq!(asked.header("tracestate"), Some("vendor=opaque"));
        eventually("its line", || gateway.access_log().into_iter().find(|line| line["trace_id"] == id.as_str()));
        if is_sampled {
            let spans = collector.trace(&id);
            let server = spans.iter().find(|span| span.kind == 2).expect("a span");
            assert_eq!(hex(&server.parent_span_id), "b7ad6b7169203331");
            let call = spans.iter().find(|known| hex(&known.span_id) == span).expect("the upstream's parent");
            assert_eq!(call.kind, 3, "{call:?}");
        }
    }
    // If spans without sampling were sent, they would have arrived before the span of this request.
    assert_eq!(
        gateway.send("GET", "/rest/c", &[("traceparent", &format!("00-{GIVEN}-b7ad6b7169203331-01"))], b"").status,
        200
    );
    collector.trace(GIVEN);
    assert_eq!(collector.spans().iter().filter(|span| span.kind == 2).count(), 3);
}

#[test]
fn without_the_table_a_trace_passes_as_it_came() {
    let upstream = Upstream::start(serve(users(60)));
    let gateway = Gateway::start(&ROUTES.configuration(upstream.address));
    let given = format!("00-{GIVEN}-b7ad6b7169203331-01");
    for target in ["/users?limit=5", "/rest/a"] {
        let before = upstream.count();
        gateway.send("GET", target, &[("traceparent", &given)], b"");
        assert_eq!(upstream.requests()[before].header("traceparent"), Some(given.as_str()));
    }
    assert_eq!(gateway.metric("cursorgate_trace_spans_exported_total"), Some(0));
}

#[test]
fn a_sample_of_requests_begins_traces() {
    const REQUESTS: usize = 400;
    let (upstream, collector) = (Upstream::start(serve(users(60))), Collector::start());
    let gateway = Gateway::start(&collector.configuration(&upstream, "every = 4", ""));
    let mut connection = gateway.connect();
    for _ in 0..REQUESTS {
        assert_eq!(connection.request("GET", "/rest/a", &[], b"").expect("a response").status, 200);
    }
    let flags = upstream.requests().iter().map(traceparent).filter(|(.., flags)| flags == "01").count();
    // Of 400 requests that are sampled with a probability of a quarter, between 45 and 160 are sampled, except once in
    // 10^10 runs.
    assert!((45..160).contains(&flags), "{flags} of {REQUESTS}");
    eventually("all that were sampled", || {
        (collector.spans().iter().filter(|span| span.kind == 2).count() == flags).then_some(())
    });
}

/// While the collector hangs or has ended, requests are served, and lost spans are counted.
#[test]
fn no_request_waits_for_a_collector() {
    const CLIENTS: usize = 4;
    const REQUESTS: usize = 600;
    let (upstream, collector) = (Upstream::start(serve(users(60))), Collector::start());
    // The collector accepts connections and sends nothing until the other side closes.
    collector.upstream.answer(|exchange| exchange.wait_for_close().map(|()| After::Close));
    let gateway = Gateway::start(&collector.configuration(&upstream, "every = 1", ""));
    let load = || {
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    let mut connection = gateway.connect();
                    for _ in 0..REQUESTS {
                        assert_eq!(connection.request("GET", "/rest/a", &[], b"").expect("a response").status, 200);
                    }
                });
            }
        });
    };
    let lost = |reason: &str| {
        gateway.metric(&format!("cursorgate_trace_spans_dropped_total{{reason=\"{reason}\"}}")).expect("it is counted")
    };
    // A slow machine may need several rounds to fill the queue.
    let rounds = (1..=20).find(|_| {
        load();
        lost("queue_full") > 0
    });
    // Each request has two spans: the request's own span, and the span of its upstream request.
    let all = u64::try_from(2 * CLIENTS * REQUESTS * rounds.expect("the queue is bounded")).expect("a count");
    eventually("all are counted", || (lost("queue_full") + lost("export_failed") == all).then_some(()));
    assert!(lost("export_failed") > 0, "some were sent");
    let told = gateway.log().iter().filter(|line| line.contains("traces can't be exported")).count();
    assert_eq!(told, 1, "once, and not for each batch");
    assert_eq!(gateway.get("/rest/a").status, 200);
    let mut gateway = gateway;
    gateway.signal("TERM");
    assert!(gateway.ended().success(), "the end waits for no collector");
}
