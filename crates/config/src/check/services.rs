//! The check of `[services]`.

mod exports;
mod graphql;
mod jobs;
mod mcp;
mod offered;
mod public_contract;

use super::{Context, cors, identity, webhooks};
use crate::{
    keys::{ADMIN, BULK, EXPORTS, FILE, IDEMPOTENCY, LIVE, LIVE_INTERVAL, PLAYGROUND, ROUTE, SERVICES},
    settings::{
        BulkSettings, CountedBy, ExportSettings, IdempotencySettings, LiveInterval, LiveSettings, OperationType,
        PlaygroundSettings, RouteSettings, ServiceSettings,
    },
    spanned::Spanned,
};

/// Returns whether a service is on that reads pages in the envelope of inner requests.
pub(super) fn reads_lists(root: &Spanned) -> bool {
    let services = FILE.services.table(root);
    SERVICES.graphql.find(&services).is_some() || SERVICES.mcp.find(&services).is_some()
}

pub(super) fn services(root: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> ServiceSettings {
    let services = FILE.services.table(root);
    let (bulk_table, exports_table) = (SERVICES.bulk.find(&services), SERVICES.exports.find(&services));
    let webhooks_table = SERVICES.webhooks.find(&services);
    let graphql_table = SERVICES.graphql.find(&services);
    let live_table = SERVICES.live.find(&services);
    let mcp_table = SERVICES.mcp.find(&services);
    let jobs_table = SERVICES.jobs.find(&services);
    let (playground_table, contract_table) = (SERVICES.playground.find(&services), SERVICES.contract.find(&services));
    let tables = [
        bulk_table,
        contract_table,
        exports_table,
        jobs_table,
        webhooks_table,
        graphql_table,
        live_table,
        mcp_table,
        playground_table,
    ];
    let any = tables.into_iter().flatten().next();
    if let (false, Some(written)) = (cfg!(feature = "services"), any) {
        let help = "build it with the feature `services`, which is on by default";
        context.diagnostics.error(written.at, "this cursorgate was built without services", help);
    }
    let settings = ServiceSettings {
        bulk: bulk_table.map(|written| bulk(written, root, routes, context)),
        contract: contract_table.and_then(|written| public_contract::read(written, routes, context)),
        exports: exports_table.and_then(|written| exports(written, context)),
        jobs: jobs_table.map(|written| jobs::read(written, root, exports_table.is_some(), context)),
        webhooks: webhooks_table.and_then(|written| webhooks::webhooks(written, root, routes, context)),
        graphql: graphql_table.map(|written| graphql::read(written, routes, context)),
        live: live_table.map(|written| live(written, root, routes, context)),
        mcp: mcp_table.map(|written| mcp::read(written, routes, context)),
        playground: playground_table.map(|written| playground(written, root, context)),
        cors: cors::of_services(&services, routes, context),
    };
    cors::warn_of_services(&services, &settings, routes, context);
    settings
}

fn bulk(written: &Spanned, root: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> BulkSettings {
    let idempotency = BULK.idempotency.table(written);
    let types = BULK.types.read(written).unwrap_or_default().into_iter().filter_map(|named| {
        let (method, path) = named.1.value.split_once(' ')?;
        Some(OperationType { name: named.0.value.clone(), method: method.to_owned(), path: path.to_owned() })
    });
    let bulk = BulkSettings {
        path: BULK.path.read(written),
        identity: identity::of_service(BULK.identity.read(written), root, context),
        impersonal: ROUTE.impersonal.read(&FILE.defaults.table(root)),
        key: CountedBy::read(&BULK.key.read(written)),
        operations: BULK.operations.read(written),
        types: types.collect(),
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
    Some(ExportSettings {
        store: exports::store(written, context)?,
        at_once: EXPORTS.at_once.read(written),
        per_client: EXPORTS.per_client.read(written),
        key: CountedBy::read(&EXPORTS.key.read(written)),
        queue: EXPORTS.queue.read(written),
        retry_for: EXPORTS.retry_for.read(written),
        page_timeout: EXPORTS.page_timeout.read(written),
        timeout: EXPORTS.timeout.read(written),
        size: EXPORTS.size.read(written),
        keep: EXPORTS.keep.read(written),
        keep_jobs: EXPORTS.keep_jobs.read(written),
        keep_size: EXPORTS.keep_size.read(written),
    })
}

/// Reads the playground. It requires `admin.token`, because it sends requests with credentials that operators enter.
fn playground(written: &Spanned, root: &Spanned, context: &mut Context<'_>) -> PlaygroundSettings {
    let admin = FILE.admin.read(root);
    if admin.is_none_or(|admin| ADMIN.token.find(&admin).is_none()) {
        let message = "services.playground needs admin.token: its requests are made for those with the token";
        let help = "[admin] with an address, and token = \"file:/etc/cursorgate/admin.token\"";
        context.missing(written.at, message, help);
    }
    PlaygroundSettings { timeout: PLAYGROUND.timeout.read(written), answer_size: PLAYGROUND.answer_size.read(written) }
}

fn live(written: &Spanned, root: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> LiveSettings {
    let names = LIVE.routes.located(written);
    if LIVE.routes.find(written).is_none() {
        context.missing(written.at, "services.live has no routes", "routes = [\"NAME\"], each with a list");
    }
    let mut known = Vec::new();
    let tables = FILE.routes.table(root);
    for name in names.into_iter().flat_map(|names| names.value) {
        let Some(route) = routes.iter().find(|route| route.name.value == name.value) else {
            // A route with faults is missing from the settings. Its faults have been reported, so only names that the
            // file doesn't have are reported here.
            if !tables.members().iter().any(|(known, _)| known.value == name.value) {
                let help = "write the NAME of [routes.NAME]";
                context.diagnostics.error(name.at, format!("there is no route {}", name.value), help);
            }
            continue;
        };
        if route.list.is_none() || !route.methods.take(&http::Method::GET) {
            let message = format!("the route {} serves no list by GET", name.value);
            context.diagnostics.error(name.at, message, "take it out of services.live.routes");
        }
        known.push(name.value);
    }
    let interval_table = LIVE.interval.table(written);
    LiveSettings {
        routes: known,
        interval: interval(&interval_table, context),
        timeout: LIVE.timeout.read(written),
        heartbeat: LIVE.heartbeat.read(written),
        lifetime: LIVE.lifetime.read(written),
        subscribers: LIVE.subscribers.read(written),
        per_route: LIVE.per_route.read(written),
        per_client: LIVE.per_client.read(written),
        key: CountedBy::read(&LIVE.key.read(written)),
    }
}

fn interval(written: &Spanned, context: &mut Context<'_>) -> LiveInterval {
    let min = LIVE_INTERVAL.min.read(written);
    let max = LIVE_INTERVAL.max.located(written);
    if let Some(max) = max.as_ref().filter(|max| max.value < min) {
        let message = format!("interval.max is {:?}, and interval.min {min:?}", max.value);
        context.diagnostics.error(max.at, message, "raise interval.max, or lower interval.min");
    }
    // A `min` above the default of `max` isn't a fault; it raises that default.
    let max = max.map_or_else(|| LIVE_INTERVAL.max.default(), |max| max.value).max(min);
    LiveInterval { min, max }
}
