//! The check of `[services.contract]`.

use super::{super::Context, offered::check_route};
use crate::{
    keys::PUBLIC_CONTRACT,
    settings::{CATALOG_PATH, PublicContractSettings, RouteSettings},
    spanned::Spanned,
};

/// Reads the table. Returns `None` without `document`, which is reported.
pub(super) fn read(
    written: &Spanned,
    routes: &[RouteSettings],
    context: &mut Context<'_>,
) -> Option<PublicContractSettings> {
    let Some(document) = PUBLIC_CONTRACT.document.read(written) else {
        // A faulty path has been reported, so it isn't reported as missing.
        if PUBLIC_CONTRACT.document.find(written).is_none() {
            context.missing(written.at, "services.contract has no document", "document = \"/openapi.json\"");
        }
        return None;
    };
    let lists: Vec<&RouteSettings> = routes.iter().filter(|route| route.list.is_some()).collect();
    let except = PUBLIC_CONTRACT.except.read(written);
    for route in &except {
        check_route(route, &lists, context);
    }
    let entry = PUBLIC_CONTRACT.entry.located(written);
    if let Some(entry) = entry.as_ref().filter(|entry| entry.value == document || entry.value == CATALOG_PATH) {
        let message = format!("services.contract would answer {} with two documents", entry.value);
        context.diagnostics.error(entry.at, message, "give `entry` another path");
    }
    let contract = PublicContractSettings {
        document,
        catalog: PUBLIC_CONTRACT.catalog.read(written),
        entry: entry.map(|entry| entry.value),
        documentation: PUBLIC_CONTRACT.documentation.read(written),
        except: except.into_iter().map(|route| route.value).collect(),
    };
    for path in contract.paths() {
        for route in routes
            .iter()
            .filter(|route| [path, path.trim_end_matches('/')].contains(&route.path.value.trim_end_matches('/')))
        {
            let message = format!("requests by GET for {path} go to services.contract, and not to this route");
            context.diagnostics.warning(route.path.at, message, "give services.contract another path");
        }
    }
    Some(contract)
}
