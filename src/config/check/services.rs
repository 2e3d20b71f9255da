//! `[services]`.

mod graphql;

use super::{Context, webhooks};
use crate::config::{
    keys::{BULK, EXPORTS, FILE, IDEMPOTENCY, SERVICES},
    settings::{BulkSettings, ExportSettings, IdempotencySettings, RouteSettings, ServiceSettings},
    spanned::Spanned,
};

/// Returns whether a service reads lists in a form of its own.
pub(super) fn reads_lists(root: &Spanned) -> bool {
    SERVICES.graphql.find(&FILE.services.table(root)).is_some()
}

pub(super) fn services(root: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> ServiceSettings {
    let services = FILE.services.table(root);
    let (bulk_table, exports_table) = (SERVICES.bulk.find(&services), SERVICES.exports.find(&services));
    let webhooks_table = SERVICES.webhooks.find(&services);
    let graphql_table = SERVICES.graphql.find(&services);
    let any = bulk_table.or(exports_table).or(webhooks_table).or(graphql_table);
    if let (false, Some(written)) = (cfg!(feature = "services"), any) {
        let help = "build it with the feature `services`, which is on by default";
        context.diagnostics.error(written.at, "this cursorgate was built without services", help);
    }
    ServiceSettings {
        bulk: bulk_table.map(|written| bulk(written, routes, context)),
        exports: exports_table.and_then(|written| exports(written, context)),
        webhooks: webhooks_table.and_then(|written| webhooks::webhooks(written, root, routes, context)),
        graphql: graphql_table.map(|written| graphql::read(written, routes, context)),
    }
}

fn bulk(written: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> BulkSettings {
    let idempotency = BULK.idempotency.table(written);
    let bulk = BulkSettings {
        path: BULK.path.read(written),
        operations: BULK.operations.read(written),
        at_once: BULK.at_once.read(written),
        timeout: BULK.timeout.read(written),
        size: BULK.size.read(written),
        answer_size: BULK.answer_size.read(written),
        idempotency: IdempotencySettings {
            ttl: IDEMPOTENCY.ttl.read(&idempotency),
            entries: IDEMPOTENCY.entries.read(&idempotency),
            size: IDEMPOTENCY.size.read(&idempotency),
        },
    };
    for route in routes.iter().filter(|route| route.path.value.trim_end_matches('/') == bulk.path) {
        let message = format!("requests by POST for {} go to services.bulk, and not to this route", bulk.path);
        context.diagnostics.warning(route.path.at, message, "give services.bulk another path");
    }
    bulk
}

fn exports(written: &Spanned, context: &mut Context<'_>) -> Option<ExportSettings> {
    let Some(directory) = EXPORTS.directory.located(written) else {
        if EXPORTS.directory.find(written).is_none() {
            let help = "directory = \"/var/lib/cursorgate/exports\"";
            context.missing(written.at, "services.exports has no directory", help);
        }
        return None;
    };
    Some(ExportSettings {
        directory: context.path(&directory.value, directory.at).into(),
        at_once: EXPORTS.at_once.read(written),
        per_client: EXPORTS.per_client.read(written),
        queue: EXPORTS.queue.read(written),
        attempts: EXPORTS.attempts.read(written),
        page_timeout: EXPORTS.page_timeout.read(written),
        timeout: EXPORTS.timeout.read(written),
        size: EXPORTS.size.read(written),
        keep: EXPORTS.keep.read(written),
        keep_jobs: EXPORTS.keep_jobs.read(written),
        keep_size: EXPORTS.keep_size.read(written),
    })
}
