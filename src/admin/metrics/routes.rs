//! Metrics of routes: their requests, pages and refusals, and their legacy clients.

use std::collections::BTreeMap;

use super::exposition::{Exposition, MetricKind};
use crate::{
    downstream::response::legacy,
    gateway::{
        outcome::metrics::{FAMILIES, RouteMetrics},
        routes::route::Route,
    },
};

/// Adds the metrics of requests. Requests without a route have an empty one.
pub(super) fn requests(exposition: &mut Exposition, routes: &[&RouteMetrics]) {
    let help = "Time of requests, from the first byte of the head to the end of the response, by class of the status; none: \
                no response was sent.";
    let name = "cursorgate_request_duration_seconds";
    let mut times = exposition.family(MetricKind::Histogram, name, &["route", "status"], help);
    for metrics in routes {
        for (class, counts) in metrics.durations() {
            times.times(&[metrics.route(), class], &counts);
        }
    }
    let help = "Requests to the upstream for each page that was served.";
    let mut pages = exposition.family(MetricKind::Histogram, "cursorgate_page_upstream_requests", &["route"], help);
    for metrics in routes {
        let counts = metrics.page_requests();
        if counts.count > 0 {
            pages.histogram(&[metrics.route()], &counts);
        }
    }
    for (index, family) in FAMILIES.iter().enumerate() {
        let labels: Vec<&str> = std::iter::once("route").chain(family.labels.iter().map(|(label, _)| *label)).collect();
        let mut samples = exposition.family(MetricKind::Counter, family.name, &labels, family.help);
        for metrics in routes {
            for (values, count) in metrics.counts(index) {
                // Of label sets with many values only those that occurred are written. A counter for each route is always
                // written.
                if count > 0 || values.is_empty() {
                    samples.sample(&[&[metrics.route()], values.as_slice()].concat(), count);
                }
            }
        }
    }
}

/// Adds the counts of legacy clients and the end of their support. Clients' names come from outside; the configuration
/// limits their number.
pub(super) fn legacy_clients<'r>(
    exposition: &mut Exposition,
    routes: &(impl Iterator<Item = &'r Route> + Clone),
    now: u64,
) {
    let lists = || routes.clone().filter_map(|route| Some((route.name.as_str(), route.list.as_ref()?)));
    let help = "Requests by the upstream's own paging parameters, and by none where legacy.unmarked is \"legacy\", by client \
                where the route says how to identify it.";
    let mut requests =
        exposition.family(MetricKind::Counter, "cursorgate_legacy_requests_total", &["route", "client"], help);
    for (route, list) in lists() {
        let Some(clients) = list.usage.clients() else {
            requests.sample(&[route, ""], list.usage.total().requests);
            continue;
        };
        // A client may have the name that stands for unnamed clients.
        let mut counts: BTreeMap<&str, u64> =
            clients.named.iter().map(|(name, count)| (&**name, count.requests)).collect();
        for (rest, count) in [("other", clients.other), ("unidentified", clients.unidentified)] {
            *counts.entry(rest).or_default() += count.requests;
        }
        for (client, count) in counts {
            requests.sample(&[route, client], count);
        }
    }
    let help = "1 where the sunset of a route's legacy requests has passed.";
    let mut passed = exposition.family(MetricKind::Gauge, "cursorgate_legacy_sunset_passed", &["route"], help);
    for (route, list) in lists().filter(|(_, list)| list.legacy.sunset.is_some()) {
        passed.sample(&[route], u8::from(legacy::is_past_sunset(&list.legacy, now)));
    }
}
