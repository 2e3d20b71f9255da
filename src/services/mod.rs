//! Services above the gateway: more for a client than an answer to one request. Each is off until the configuration has its
//! table. They make their requests through the gateway, so that limits, logs and traces hold for them as for clients, and
//! nothing below imports them. The feature `services` leaves them out of a build.

mod bulk;
mod caller;
mod exports;
mod inner;
mod pipe;

use std::sync::Arc;

use pingora::services::background::background_service;

use self::{exports::ExportKeeper, inner::InnerGateway};
use crate::{
    config::settings::ServiceSettings,
    gateway::{Gateway, Server, session::service::Service},
};

/// The services of a process.
pub(crate) struct Services {
    /// The services that answer requests.
    pub(crate) answering: Vec<Arc<dyn Service>>,
    /// The work that goes on without requests.
    pub(crate) work: ServiceWork,
}

/// The work of services that goes on without requests.
pub(crate) struct ServiceWork {
    /// None without `[services.exports]`.
    exports: Option<ExportKeeper>,
}

impl ServiceWork {
    /// Adds the work to a server, which runs until the process leaves.
    pub(crate) fn begin(self, companion: &mut Server) {
        if let Some(exports) = self.exports {
            companion.add_service(background_service("exports", exports));
        }
    }
}

impl Services {
    /// Opens the services of a gateway that has none yet.
    ///
    /// # Errors
    ///
    /// Returns the reason that one can't be opened.
    pub(crate) fn open(gateway: &Gateway, settings: &ServiceSettings) -> Result<Self, String> {
        let inner = Arc::new(InnerGateway::new(gateway));
        let mut answering: Vec<Arc<dyn Service>> = vec![Arc::new(bulk::Bulk::new(Arc::clone(&inner)))];
        let mut keeper = None;
        if let Some(settings) = &settings.exports {
            let (exports, work) = exports::Exports::open(&inner, settings)?;
            answering.push(Arc::new(exports));
            keeper = Some(work);
        }
        Ok(Self { answering, work: ServiceWork { exports: keeper } })
    }
}
