//! The compiled `[traces]`: where traces go, and which requests begin one.

use std::sync::Arc;

use opentelemetry_sdk::trace::Sampler;

use super::upstream::Upstream;
use crate::config::settings::TraceSettings;

/// The collector of traces.
#[derive(Debug)]
pub(crate) struct Collector {
    /// The decision about requests that begin a trace. Those that continue one follow its decision.
    pub sampler: Sampler,
    /// The upstream that takes the traces.
    pub upstream: Arc<Upstream>,
    pub service_name: String,
}

impl Collector {
    /// Compiles the settings.
    pub(crate) fn compile(settings: &TraceSettings, upstream: Arc<Upstream>) -> Self {
        let ratio = 1.0 / f64::from(settings.every);
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)));
        Self { sampler, upstream, service_name: settings.service_name.clone() }
    }
}
