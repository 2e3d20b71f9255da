//! Services on top of the gateway, such as exports, GraphQL and webhooks. A service is off until the configuration has
//! its table. Services send their requests through the gateway (`inner`), so limits, logs and traces apply to services
//! as to clients. No lower module imports a service. A build without the feature `services` leaves the services out.

// The future of a request contains those of all its steps, deeper than the compiler's usual limit.
#![recursion_limit = "256"]

mod answer;
mod backoff;
mod bulk;
mod caller;
mod contract;
mod database;
mod document;
mod exports;
mod graphql;
mod id;
mod idempotency_key;
mod inner;
mod item_types;
mod list;
mod list_page;
mod live;
mod mcp;
mod operators;
mod page;
mod per_snapshot;
mod pipe;
mod playground;
mod postgres;
mod sql;
mod webhooks;

use std::sync::Arc;

use pingora::services::background::background_service;

use self::{
    exports::ExportKeeper,
    inner::InnerGateway,
    webhooks::{WatchKeeper, WebhookKeeper},
};
use cursorgate_config::settings::ServiceSettings;
use cursorgate_gateway::{
    Gateway, Server,
    session::service::{Service, ServiceReport},
};

/// The services of a process, by the way in which the process uses them.
pub struct Services {
    /// The services that answer requests. Dispatch offers a request to each of them in turn, until a service takes it.
    pub answering: Vec<Arc<dyn Service>>,
    /// The reports that the admin listener serves.
    pub reports: Vec<Arc<dyn ServiceReport>>,
    pub work: ServiceWork,
}

/// The background work of the services: exports and webhooks.
pub struct ServiceWork {
    /// The work on exports; `None` without `[services.exports]`.
    exports: Option<ExportKeeper>,
    /// The work on deliveries and on watched lists; `None` without `[services.webhooks]`.
    webhooks: Option<(WebhookKeeper, WatchKeeper)>,
}

impl ServiceWork {
    /// Adds the work to the server `companion`, which runs the work until the process ends.
    pub fn begin(self, companion: &mut Server) {
        if let Some(exports) = self.exports {
            companion.add_service(background_service("exports", exports));
        }
        if let Some((deliveries, watches)) = self.webhooks {
            companion.add_service(background_service("webhooks", deliveries));
            companion.add_service(background_service("watches", watches));
        }
    }
}

impl Services {
    /// Opens all services for a gateway that has no services yet. Services whose table is missing from the
    /// configuration answer no requests.
    ///
    /// # Errors
    ///
    /// Returns the reason if a service can't be opened.
    pub fn open(gateway: &Gateway, settings: &ServiceSettings) -> Result<Self, String> {
        let inner = Arc::new(InnerGateway::new(gateway));
        let mut answering: Vec<Arc<dyn Service>> =
            vec![Arc::new(contract::PublicContract::default()), Arc::new(graphql::Graphql::new(Arc::clone(&inner)))];
        let (mut webhooks, mut events) = (None, None);
        let mut reports: Vec<Arc<dyn ServiceReport>> = vec![
            Arc::new(playground::Playground::open(gateway)?),
            Arc::new(operators::ServicesPage::new(Arc::clone(&inner))),
        ];
        if let Some(settings) = &settings.webhooks {
            let opened = webhooks::open(&inner, settings)?;
            answering.push(Arc::new(opened.service));
            reports.push(Arc::new(opened.report));
            // The cell is empty, because the services of a gateway are opened once.
            let _ = gateway.event_sink.set(Arc::new(opened.events.clone()));
            (webhooks, events) = (Some((opened.deliveries, opened.watches)), Some(opened.events));
        }
        let live = live::LivePages::new(Arc::clone(&inner), events.clone());
        reports.push(Arc::new(live.report()));
        answering.push(Arc::new(live));
        // The inner requests of MCP tools can reach the exports service. So an agent's export is begun, limited and
        // owned by the same code as any other export. Test: `a_tool_begins_an_export_and_follows_it`.
        let (mut exports, mut of_tools, mut keys) = (None, Arc::clone(&inner), None);
        if let Some(settings) = &settings.exports {
            let (service, work, report) = exports::Exports::open(&inner, settings, events)?;
            reports.push(Arc::new(report));
            keys = Some(service.keys());
            answering.push(Arc::new(service.queues()));
            let service: Arc<dyn Service> = Arc::new(service);
            of_tools = Arc::new(InnerGateway::with(gateway, Arc::clone(&service)));
            answering.push(service);
            exports = Some(work);
        }
        answering.push(Arc::new(mcp::Mcp::new(of_tools, exports.is_some())));
        answering.insert(0, Arc::new(bulk::Bulk::new(inner, keys, answering.clone())));
        Ok(Self { answering, reports, work: ServiceWork { exports, webhooks } })
    }
}
