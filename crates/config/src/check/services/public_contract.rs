//! The check of `[services.contract]`.

use super::{super::Context, offered::check_route};
use crate::{
    key::TableSettings as _,
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
    let (message, help) = ("services.contract has no document", "document = \"/openapi.json\"");
    let document = context.required(&PUBLIC_CONTRACT.document, written, message, help)?;
    let lists: Vec<&RouteSettings> = routes.iter().filter(|route| route.list.is_some()).collect();
    let except = PUBLIC_CONTRACT.except.read(written);
    for route in &except {
        check_route(route, &lists, context);
    }
    let (entry, reference) = (PUBLIC_CONTRACT.entry.located(written), PUBLIC_CONTRACT.reference.located(written));
    let mut taken = vec![document.clone(), CATALOG_PATH.to_owned()];
    for (key, path) in [("entry", entry), ("reference", reference)] {
        let Some(path) = path else { continue };
        if taken.contains(&path.value) {
            let message = format!("services.contract would answer {} with two documents", path.value);
            context.diagnostics.error(path.at, message, format!("give `{key}` another path"));
        }
        taken.push(path.value);
    }
    let contract = PublicContractSettings {
        document,
        except: except.into_iter().map(|route| route.value).collect(),
        ..PublicContractSettings::read(written)
    };
    for path in contract.paths() {
        context.warn_of_hidden(routes, path, "by GET ", "contract");
    }
    for path in contract.reference_paths() {
        context.warn_of_hidden(routes, &path, "by GET ", "contract");
    }
    Some(contract)
}
