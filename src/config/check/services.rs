//! `[services]`.

use super::Context;
use crate::config::{
    keys::{BULK, FILE, IDEMPOTENCY, SERVICES},
    settings::{BulkSettings, IdempotencySettings, RouteSettings, ServiceSettings},
    spanned::Spanned,
};

pub(super) fn services(root: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> ServiceSettings {
    let services = FILE.services.table(root);
    let Some(written) = SERVICES.bulk.find(&services) else { return ServiceSettings::default() };
    if !cfg!(feature = "services") {
        let help = "build it with the feature `services`, which is on by default";
        context.diagnostics.error(written.at, "this cursorgate was built without services", help);
    }
    let bulk = bulk(written);
    for route in routes.iter().filter(|route| route.path.value.trim_end_matches('/') == bulk.path) {
        let message = format!("requests by POST for {} go to services.bulk, and not to this route", bulk.path);
        context.diagnostics.warning(route.path.at, message, "give services.bulk another path");
    }
    ServiceSettings { bulk: Some(bulk) }
}

fn bulk(written: &Spanned) -> BulkSettings {
    let idempotency = BULK.idempotency.table(written);
    BulkSettings {
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
    }
}
