//! The compiled `[traces]`: the collector of traces, and the sampling of requests.

use std::sync::Arc;

use opentelemetry_sdk::trace::Sampler;

use super::upstream::Upstream;
use cursorgate_config::settings::TraceSettings;

/// The collector to which traces are exported, with its sampler.
#[derive(Debug)]
pub struct Collector {
    /// The sampler, which decides for requests that begin a trace. A request that continues a trace follows that
    /// trace's decision.
    pub sampler: Sampler,
    /// The upstream to which traces are exported.
    pub upstream: Arc<Upstream>,
    pub service_name: String,
}

impl Collector {
    pub fn compile(settings: &TraceSettings, upstream: Arc<Upstream>) -> Self {
        // `every = 100` samples one trace in a hundred.
        let ratio = 1.0 / f64::from(settings.every);
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        Self { sampler, upstream, service_name: settings.service_name.clone() }
    }
}
