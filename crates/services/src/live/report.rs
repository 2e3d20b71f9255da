//! The report of live pages at the admin listener. Every client of the admin listener can read it. So it doesn't contain
//! queries, which can be credentials, or clients.

use std::sync::Arc;

use async_trait::async_trait;
use http::StatusCode;
use serde::Serialize;

use super::group::LiveGroups;
use crate::page::hex;
use cursorgate_gateway::session::service::{ReportRefusal, ServiceReport};

const PAGES: &str = "/live";

/// The largest number of pages that the report lists. The pages with fewest clients are left out.
const MOST_PAGES: usize = 1_000;

pub(crate) struct LivePageReport(pub(super) Arc<LiveGroups>);

#[derive(Serialize)]
struct ReportedPages {
    subscribers: usize,
    detectors: Vec<ReportedDetector>,
    pages: Vec<ReportedPage>,
    /// The number of pages that aren't listed.
    left_out: usize,
}

#[derive(Serialize)]
struct ReportedDetector {
    route: String,
    /// `live`, or `failing` before the first answer and since a failed request.
    state: &'static str,
}

#[derive(Serialize)]
struct ReportedPage {
    /// A name of the page that tells pages apart.
    id: String,
    /// The name of the route; `None` if a reload has removed it.
    route: Option<String>,
    host: Option<String>,
    path: String,
    subscribers: usize,
    /// `beginning` before the first answer, `failing` since a failed request, or `live`.
    state: &'static str,
}

#[async_trait]
impl ServiceReport for LivePageReport {
    fn reads(&self) -> &'static [&'static str] {
        if self.0.inner.gateway().live.pin().services.live.is_some() { &[PAGES] } else { &[] }
    }

    fn changes(&self) -> &'static [&'static str] {
        &[]
    }

    async fn read(&self, _path: &str, _query: Option<&str>) -> Result<String, ReportRefusal> {
        let snapshot = self.0.inner.gateway().live.pin();
        let groups = self.0.all();
        let mut pages: Vec<ReportedPage> = groups
            .iter()
            .map(|group| {
                let (window, state) = (&group.window, group.state.borrow());
                ReportedPage {
                    id: hex(&window.key)[..12].to_owned(),
                    route: window.list(&snapshot).map(|list| list.route),
                    host: window.host.clone(),
                    path: window.path.clone(),
                    subscribers: group.callers().len(),
                    state: match (&state.shown, &state.trouble) {
                        (None, _) => "beginning",
                        (Some(_), Some(_)) => "failing",
                        (Some(_), None) => "live",
                    },
                }
            })
            .collect();
        pages.sort_by(|one, other| other.subscribers.cmp(&one.subscribers).then_with(|| one.path.cmp(&other.path)));
        let left_out = pages.len().saturating_sub(MOST_PAGES);
        pages.truncate(MOST_PAGES);
        let detectors = self.0.detectors.all().into_iter();
        let detectors = detectors
            .map(|(route, is_working)| ReportedDetector { route, state: if is_working { "live" } else { "failing" } });
        let mut detectors: Vec<_> = detectors.collect();
        detectors.sort_by(|one, other| one.route.cmp(&other.route));
        let subscribers = groups.iter().map(|group| group.callers().len()).sum();
        let report = ReportedPages { subscribers, detectors, pages, left_out };
        // Serializing strings and numbers as JSON never fails.
        Ok(serde_json::to_string(&report).unwrap_or_default() + "\n")
    }

    async fn change(&self, _path: &str, _body: &[u8]) -> Result<String, ReportRefusal> {
        Err((StatusCode::NOT_FOUND, "live pages can't be changed: their clients would reconnect\n"))
    }
}
