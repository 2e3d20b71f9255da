//! The check of `cors` of a route, and of `[services]`.

use super::Context;
use crate::{
    key::TableSettings as _,
    keys::{CORS, SERVICES},
    settings::{CorsSettings, RouteSettings, ServiceCors, ServiceSettings},
    spanned::{Spanned, Value},
};

/// Reads the `cors` of services without a list of their own. Without it, they have the `cors` of all lists, or for bulk
/// requests of all routes, if these are the same. The origins of one list must not be able to read another list.
pub(super) fn of_services(services: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> ServiceCors {
    if let Some(written) = SERVICES.cors.written(services) {
        let cors = cors(&written, context);
        return ServiceCors { of_lists: cors.clone(), of_routes: cors };
    }
    let shared = |is_counted: fn(&RouteSettings) -> bool| {
        let mut all = routes.iter().filter(|route| is_counted(route)).map(|route| &route.cors);
        let first = all.next()?.as_ref()?;
        all.all(|other| other.as_ref() == Some(first)).then(|| first.clone())
    };
    ServiceCors { of_lists: shared(|route| route.list.is_some()), of_routes: shared(|_| true) }
}

/// Warns if routes have `cors`, and a service without a list of its own has none because the routes differ.
pub(super) fn warn_of_services(
    written: &Spanned,
    services: &ServiceSettings,
    routes: &[RouteSettings],
    context: &mut Context<'_>,
) {
    let clients = services.webhooks.as_ref().is_some_and(|webhooks| webhooks.clients.is_some());
    let closed = [
        ("bulk", services.bulk.is_some() && services.cors.of_routes.is_none()),
        ("jobs", services.jobs.is_some() && services.cors.of_routes.is_none()),
        ("contract", services.contract.is_some() && services.cors.of_lists.is_none()),
        ("graphql", services.graphql.is_some() && services.cors.of_lists.is_none()),
        ("webhooks", clients && services.cors.of_lists.is_none()),
    ];
    let names: Vec<&str> = closed.into_iter().filter(|(_, is_closed)| *is_closed).map(|(name, _)| name).collect();
    if names.is_empty() || SERVICES.cors.find(written).is_some() || routes.iter().all(|route| route.cors.is_none()) {
        return;
    }
    let message = format!("scripts of other origins can't use {}: the `cors` of routes differ", names.join(", "));
    context.diagnostics.warning(written.at, message, "write `cors` in [services], with the origins for all of them");
}

/// Reads a table `cors`. Returns `None` if its `origins` are missing. Also returns `None` for an empty list of origins,
/// with which a route turns off the `cors` of its defaults.
pub(super) fn cors(written: &Spanned, context: &mut Context<'_>) -> Option<CorsSettings> {
    let Some(listed) = CORS.origins.find(written) else {
        let help = "origins = [\"https://app.example.com\"]; without `cors` the upstream answers itself";
        context.missing(written.at, "`cors` names no origins", help);
        return None;
    };
    let origins = CORS.origins.or_empty(written);
    let (any, credentials) = (origins.iter().find(|origin| origin.value == "*"), CORS.credentials.read(written));
    if let Some(any) = any {
        if credentials {
            let help = "browsers refuse \"*\" with credentials: name each origin";
            context.diagnostics.error(any.at, "`*` is not allowed with credentials", help);
        } else if origins.len() > 1 {
            context.diagnostics.error(
                any.at,
                "`*` is all origins, and others are listed beside it",
                "remove the others, or this",
            );
        }
    }
    // Browsers send the scheme and the host in lower case (RFC 6454, section 4), so origins are compared in lower case.
    let origins: Vec<String> = origins.into_iter().map(|origin| origin.value.to_ascii_lowercase()).collect();
    let is_list = matches!(&listed.value, Value::List(elements) if !elements.is_empty());
    is_list.then(|| CorsSettings { origins, ..CorsSettings::read(written) })
}
