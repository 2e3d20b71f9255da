//! Metrics of the store that processes share, which are 0 without a store.

use super::exposition::{Exposition, MetricKind};
use crate::{
    lifecycle::snapshot::Snapshot,
    store::{counts::StoreCounts, node::ServerStanding},
};

/// Adds the metrics of reads from the store, of writes to it, and of its servers.
pub(super) fn write(exposition: &mut Exposition, snapshot: &Snapshot) {
    let (none, store) = (StoreCounts::default(), snapshot.store.as_ref());
    let counts = store.map_or(&none, |store| store.counts());
    let help = "Queries of the shared store, by answer. Forged values, which can't be decrypted, should not occur: \
                another program writes to the store.";
    let mut questions =
        exposition.family(MetricKind::Counter, "cursorgate_shared_store_questions_total", &["answer"], help);
    for (answer, count) in counts.answers() {
        questions.sample(&[answer], count);
    }
    let help = "Queries of the shared store for pages, by answer.";
    let mut pages = exposition.family(MetricKind::Counter, "cursorgate_shared_store_pages_total", &["answer"], help);
    for (answer, count) in counts.page_answers() {
        pages.sample(&[answer], count);
    }
    let unwritten = snapshot.pages.as_ref().map_or(0, |pages| pages.others.unwritten_count());
    let help = "Purges of pages that the shared store may lack.";
    exposition.gauge("cursorgate_shared_store_unwritten_purges", help, unwritten);
    let help = "Writes to the shared store, by result.";
    let mut writes = exposition.family(MetricKind::Counter, "cursorgate_shared_store_writes_total", &["result"], help);
    for (result, count) in counts.writes() {
        writes.sample(&[result], count);
    }
    let help = "Time that queries of the shared store took.";
    exposition
        .family(MetricKind::Histogram, "cursorgate_shared_store_question_duration_seconds", &[], help)
        .times(&[], counts.times());
    let servers = store.map_or_else(Vec::new, |store| store.link.servers());
    let help = "Servers of the shared store, by standing.";
    let mut by_standing = exposition.family(MetricKind::Gauge, "cursorgate_shared_store_servers", &["standing"], help);
    for standing in [ServerStanding::Up, ServerStanding::Down] {
        let count =
            servers.iter().filter(|server| (server.standing == ServerStanding::Up) == (standing == ServerStanding::Up));
        by_standing.sample(&[standing.word()], count.count());
    }
}
