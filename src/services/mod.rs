//! Services above the gateway, each of which does more for a client than answer one request for a page. A service is
//! off until the configuration has its table. Services make their requests through the gateway (`inner`), so that
//! limits, logs and traces hold for them as for clients; no lower module imports them. A build without the feature
//! `services` leaves them out.

mod answer;
mod backoff;
mod bulk;
mod caller;
mod database;
mod exports;
mod graphql;
mod id;
mod inner;
mod item_types;
mod list;
mod list_page;
mod live;
mod mcp;
mod page;
mod per_snapshot;
mod pipe;
mod playground;
mod postgres;
mod webhooks;

use std::sync::Arc;

use pingora::services::background::background_service;

use self::{
    exports::ExportKeeper,
    inner::InnerGateway,
    webhooks::{WatchKeeper, WebhookKeeper},
};
use crate::{
    config::settings::ServiceSettings,
    gateway::{
        Gateway, Server,
        session::service::{Service, ServiceReport},
    },
};

/// The services of a process.
pub(crate) struct Services {
    /// The services that answer requests. Dispatch asks each in turn whether it takes a request.
    pub(crate) answering: Vec<Arc<dyn Service>>,
    /// The reports of the admin listener.
    pub(crate) reports: Vec<Arc<dyn ServiceReport>>,
    pub(crate) work: ServiceWork,
}

/// The background work of services: that of exports and that of webhooks.
pub(crate) struct ServiceWork {
    /// `None` without `[services.exports]`.
    exports: Option<ExportKeeper>,
    /// `None` without `[services.webhooks]`.
    webhooks: Option<(WebhookKeeper, WatchKeeper)>,
}

impl ServiceWork {
    /// Adds the work to the server `companion`, which runs it until the process ends.
    pub(crate) fn begin(self, companion: &mut Server) {
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
    /// Opens all services of a gateway that has none yet. Those whose table is missing answer no request.
    ///
    /// # Errors
    ///
    /// Returns the reason that a service can't be opened.
    pub(crate) fn open(gateway: &Gateway, settings: &ServiceSettings) -> Result<Self, String> {
        let inner = Arc::new(InnerGateway::new(gateway));
        let mut answering: Vec<Arc<dyn Service>> =
            vec![Arc::new(bulk::Bulk::new(Arc::clone(&inner))), Arc::new(graphql::Graphql::new(Arc::clone(&inner)))];
        let (mut webhooks, mut events) = (None, None);
        let mut reports: Vec<Arc<dyn ServiceReport>> = vec![Arc::new(playground::Playground::open(gateway)?)];
        if let Some(settings) = &settings.webhooks {
            let opened = webhooks::open(&inner, settings)?;
            answering.push(Arc::new(opened.service));
            reports.push(Arc::new(opened.report));
            (webhooks, events) = (Some((opened.deliveries, opened.watches)), Some(opened.events));
        }
        answering.push(Arc::new(live::LivePages::new(Arc::clone(&inner), events.clone())));
        // The inner requests of tools can reach the exports service, so that an agent's export is begun, limited and
        // owned by the same code as any other. Test: `a_tool_begins_an_export_and_follows_it`.
        let (mut exports, mut of_tools) = (None, Arc::clone(&inner));
        if let Some(settings) = &settings.exports {
            let (service, work) = exports::Exports::open(&inner, settings, events)?;
            let service: Arc<dyn Service> = Arc::new(service);
            of_tools = Arc::new(InnerGateway::with(gateway, Arc::clone(&service)));
            answering.push(service);
            exports = Some(work);
        }
        answering.push(Arc::new(mcp::Mcp::new(of_tools, exports.is_some())));
        Ok(Self { answering, reports, work: ServiceWork { exports, webhooks } })
    }
}
