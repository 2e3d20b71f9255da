//! The check of `[services]`.

mod durable;
mod graphql;
mod jobs;
mod mcp;
mod offered;
mod public_contract;

pub(super) use self::durable::DurableService;
use super::{Context, cors, identity, upstream, webhooks};
use crate::{
    diagnostic::Located,
    key::TableSettings as _,
    keys::{ADMIN, BULK, DETECTOR, EXPORTS, FILE, LIVE, LIVE_INTERVAL, ROUTE, SERVICES},
    settings::{
        BulkSettings, DetectorSettings, ExportSettings, LiveInterval, LiveSettings, OperationType, RouteSettings,
        ServiceSettings,
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
    let tables = [
        &SERVICES.bulk,
        &SERVICES.contract,
        &SERVICES.exports,
        &SERVICES.jobs,
        &SERVICES.webhooks,
        &SERVICES.graphql,
        &SERVICES.live,
        &SERVICES.mcp,
        &SERVICES.playground,
    ]
    .map(|key| key.find(&services));
    let any = tables.into_iter().flatten().next();
    if let (false, Some(written)) = (cfg!(feature = "services"), any) {
        let help = "build it with the feature `services`, which is on by default";
        context.diagnostics.error(written.at, "this cursorgate was built without services", help);
    }
    let [bulk_table, contract, exports_table, jobs, webhooks, graphql, live_table, mcp, playground] = tables;
    let mut settings = ServiceSettings {
        bulk: bulk_table.map(|written| bulk(written, root, routes, context)),
        contract: contract.and_then(|written| public_contract::read(written, routes, context)),
        exports: exports_table.and_then(|written| exports(written, root, context)),
        jobs: jobs.map(|written| jobs::read(written, root, exports_table.is_some(), context)),
        webhooks: webhooks.and_then(|written| webhooks::webhooks(written, root, routes, context)),
        graphql: graphql.map(|written| graphql::read(written, routes, context)),
        live: live_table.map(|written| live(written, root, routes, context)),
        mcp: mcp.map(|written| mcp::read(written, routes, context)),
        ..ServiceSettings::read(&services)
    };
    if let Some(written) = playground {
        check_playground(written, root, context);
    }
    settings.cors = cors::of_services(&services, routes, context);
    cors::warn_of_services(&services, &settings, routes, context);
    settings
}

fn bulk(written: &Spanned, root: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> BulkSettings {
    let types = BULK.types.or_empty(written).into_iter().filter_map(|named| {
        let (method, path) = named.1.value.split_once(' ')?;
        Some(OperationType { name: named.0.value.clone(), method: method.to_owned(), path: path.to_owned() })
    });
    let bulk = BulkSettings {
        identity: identity::of_service(BULK.identity.read(written), root, context),
        impersonal: ROUTE.impersonal.read(&FILE.defaults.table(root)),
        types: types.collect(),
        ..BulkSettings::read(written)
    };
    context.warn_of_hidden(routes, &bulk.path, "by POST ", "bulk");
    bulk
}

fn exports(written: &Spanned, root: &Spanned, context: &mut Context<'_>) -> Option<ExportSettings> {
    let service = DurableService {
        name: "services.exports",
        content: "jobs",
        directory: &EXPORTS.directory,
        postgres: &EXPORTS.postgres,
    };
    let objects = EXPORTS.objects.find(written);
    if let (Some(objects), None) = (objects, EXPORTS.postgres.find(written)) {
        let message = "services.exports.objects takes the results of a database";
        let help = "write [services.exports.postgres] in place of the directory, which has its results itself";
        context.diagnostics.error(objects.at, message, help);
    }
    let objects = objects.and_then(|objects| durable::objects(objects, root, context));
    Some(ExportSettings { store: service.store(written, context)?, objects, ..ExportSettings::read(written) })
}

/// Reports a playground without `admin.token`, because it sends requests with credentials that operators enter.
fn check_playground(written: &Spanned, root: &Spanned, context: &mut Context<'_>) {
    let admin = FILE.admin.read(root);
    if admin.is_none_or(|admin| ADMIN.token.find(&admin).is_none()) {
        let message = "services.playground needs admin.token: its requests are made for those with the token";
        let help = "[admin] with an address, and token = \"file:/etc/cursorgate/admin.token\"";
        context.missing(written.at, message, help);
    }
}

fn live(written: &Spanned, root: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> LiveSettings {
    let help = "routes = [\"NAME\"], each with a list";
    let names = context.required(&LIVE.routes, written, "services.live has no routes", help);
    let mut known = Vec::new();
    let tables = FILE.routes.table(root);
    for name in names.unwrap_or_default() {
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
    let detectors = LIVE.detectors.table(written);
    let detectors = detectors.tables().filter_map(|(route, written)| detector(route, written, &known, context));
    let detectors = detectors.collect();
    LiveSettings {
        interval: interval(&interval_table, context),
        routes: known,
        detectors,
        ..LiveSettings::read(written)
    }
}

/// Reads the detector for the live pages of `route`. `live` are the routes with live pages.
fn detector(
    route: &Located<String>,
    written: &Spanned,
    live: &[String],
    context: &mut Context<'_>,
) -> Option<DetectorSettings> {
    if !live.contains(&route.value) {
        let message = format!("the route {} has no live pages", route.value);
        context.diagnostics.error(route.at, message, "name a route of services.live.routes");
    }
    let message = format!("services.live.detectors.{} has no path", route.value);
    let help = "path = \"/users/version\", whose answer changes with every change of the list";
    let path = context.required(&DETECTOR.path, written, message, help);
    let headers = upstream::headers(DETECTOR.headers.read(written), "host", context);
    Some(DetectorSettings { route: route.value.clone(), path: path?, headers, ..DetectorSettings::read(written) })
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
