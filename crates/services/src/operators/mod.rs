//! The page of services at the admin listener: exports, webhooks and live pages, with the changes that operators can
//! make. The page reads the reports of each service; this report only says which services are on.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::json;

use super::inner::InnerGateway;
use cursorgate_gateway::session::service::{OperatorFile, ReportRefusal, ServiceReport};

const SERVICES: &str = "/services";

/// The files of the page. The page uses the style, the icons and the modules of the admin listener's own page.
const FILES: [OperatorFile; 3] = [
    ("/services/", "text/html; charset=utf-8", include_str!("index.html")),
    ("/services/services.css", "text/css; charset=utf-8", include_str!("services.css")),
    ("/services/services.js", "text/javascript; charset=utf-8", include_str!("services.js")),
];

pub(super) struct ServicesPage {
    inner: Arc<InnerGateway>,
}

impl ServicesPage {
    pub(super) fn new(inner: Arc<InnerGateway>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl ServiceReport for ServicesPage {
    fn files(&self) -> &'static [OperatorFile] {
        if self.inner.gateway().live.pin().services.has_reports() { &FILES } else { &[] }
    }

    fn reads(&self) -> &'static [&'static str] {
        &[SERVICES]
    }

    fn changes(&self) -> &'static [&'static str] {
        &[]
    }

    async fn read(&self, _path: &str, _query: Option<&str>) -> Result<String, ReportRefusal> {
        let snapshot = self.inner.gateway().live.pin();
        let services = &snapshot.services;
        let on = json!({
            "exports": services.exports.is_some(),
            "webhooks": services.webhooks.is_some(),
            "live": services.live.is_some(),
        });
        Ok(format!("{on}\n"))
    }

    async fn change(&self, _path: &str, _body: &[u8]) -> Result<String, ReportRefusal> {
        Err((StatusCode::NOT_FOUND, "nothing can be changed here\n"))
    }
}
