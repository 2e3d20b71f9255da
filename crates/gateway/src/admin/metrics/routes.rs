//! Metrics of routes: their requests, pages and refusals, and their legacy clients.

use std::collections::BTreeMap;

use super::exposition::{Exposition, MetricKind, Seconds};
use crate::{
    outcome::{
        histogram::{FEW_PAGE_REQUESTS, FEW_TIMES, HistogramCounts, SLOW},
        metrics::{FAMILIES, RouteMetrics},
        migration::Count,
    },
    routes::route::Route,
};
use cursorgate_config::settings::RouteHistograms;
use cursorgate_translate::downstream::response::legacy;

/// Adds the metrics of requests. Requests that no route answers have an empty label `route`.
pub(super) fn requests(exposition: &mut Exposition, routes: &[&RouteMetrics], histograms: RouteHistograms) {
    let help = "Time of requests, by class of the status; none: no response was sent.";
    let name = "cursorgate_request_duration_seconds";
    let mut times = exposition.family(MetricKind::Histogram, name, &["route", "status"], help);
    let mut all: BTreeMap<&str, HistogramCounts> = BTreeMap::new();
    for metrics in routes {
        for (class, counts) in metrics.durations() {
            match histograms {
                RouteHistograms::Routes => times.times(&[metrics.route(), class], counts.only(FEW_TIMES)),
                RouteHistograms::Fine => times.times(&[metrics.route(), class], counts),
                RouteHistograms::Total => all.entry(class).or_default().add(&counts),
            }
        }
    }
    for (class, counts) in all {
        times.times(&["", class], counts);
    }
    // These two say which route is slow where the histogram is of all routes together.
    let help = "Sum of the times of all requests.";
    let mut sums = exposition.family(MetricKind::Counter, "cursorgate_request_seconds_total", &["route"], help);
    for metrics in routes {
        let sum = metrics.durations().map(|(_, counts)| counts.sum).sum();
        if sum > 0 {
            sums.sample(&[metrics.route()], Seconds(sum));
        }
    }
    let help = "Requests that took more than 2.5 s.";
    let mut slow = exposition.family(MetricKind::Counter, "cursorgate_requests_slow_total", &["route"], help);
    for metrics in routes {
        let count: u64 = metrics.durations().map(|(_, counts)| counts.above(SLOW)).sum();
        if count > 0 {
            slow.sample(&[metrics.route()], count);
        }
    }
    let help = "Requests to the upstream for each page that was served.";
    let mut pages = exposition.family(MetricKind::Histogram, "cursorgate_page_upstream_requests", &["route"], help);
    let mut all = HistogramCounts::default();
    for metrics in routes {
        let counts = metrics.page_requests();
        match histograms {
            _ if counts.count == 0 => {}
            RouteHistograms::Routes => pages.histogram(&[metrics.route()], &counts.only(FEW_PAGE_REQUESTS)),
            RouteHistograms::Fine => pages.histogram(&[metrics.route()], &counts),
            RouteHistograms::Total => all.add(&counts),
        }
    }
    if all.count > 0 {
        pages.histogram(&[""], &all);
    }
    for (index, family) in FAMILIES.iter().enumerate() {
        let labels: Vec<&str> = std::iter::once("route").chain(family.labels.iter().map(|(label, _)| *label)).collect();
        let mut samples = exposition.family(MetricKind::Counter, family.name, &labels, family.help);
        for metrics in routes {
            for (values, count) in metrics.counts(index) {
                // A route has hundreds of counters, most of which stay 0 for ever, so these are left out.
                if count > 0 {
                    samples.sample(&[&[metrics.route()], values.as_slice()].concat(), count);
                }
            }
        }
    }
}

/// Adds the metrics of legacy clients: their requests, and whether the sunset has passed. Names of clients may come
/// from requests, and the configuration limits their number. Test: `clients_are_bounded_in_number`.
pub(super) fn legacy_clients<'r>(
    exposition: &mut Exposition,
    routes: &(impl Iterator<Item = &'r Route> + Clone),
    now: u64,
) {
    let lists = || routes.clone().filter_map(|route| Some((route.name.as_str(), route.described_list()?)));
    let help = "Requests that count as legacy, by client and by paging: legacy, with the upstream's own parameters; \
                unmarked, without any.";
    let labels = &["route", "client", "paging"];
    let mut requests = exposition.family(MetricKind::Counter, "cursorgate_legacy_requests_total", labels, help);
    let mut sample = |route: &str, client: &str, count: [u64; 2]| {
        let [marked, unmarked] = count;
        requests.sample(&[route, client, "legacy"], marked);
        if unmarked > 0 {
            requests.sample(&[route, client, "unmarked"], unmarked);
        }
    };
    let split = |count: &Count| [count.requests - count.unmarked, count.unmarked];
    for (route, list) in lists() {
        let Some(clients) = list.usage.clients(now) else {
            sample(route, "", split(&list.usage.total(now)));
            continue;
        };
        // A client may be named `other` or `unidentified`. Its counts are added to those of the rest, because each
        // series may be written only once.
        let mut counts: BTreeMap<&str, [u64; 2]> =
            clients.named.iter().map(|(name, count)| (&**name, split(count))).collect();
        for (rest, count) in [("other", clients.other), ("unidentified", clients.unidentified)] {
            let [marked, unmarked] = counts.entry(rest).or_default();
            *marked += count.requests - count.unmarked;
            *unmarked += count.unmarked;
        }
        for (client, count) in counts {
            sample(route, client, count);
        }
    }
    let help = "1 if the sunset of the route's legacy requests has passed.";
    let mut passed = exposition.family(MetricKind::Gauge, "cursorgate_legacy_sunset_passed", &["route"], help);
    for (route, list) in lists().filter(|(_, list)| list.legacy.sunset.is_some()) {
        passed.sample(&[route], u8::from(legacy::is_past_sunset(&list.legacy, now)));
    }
}
