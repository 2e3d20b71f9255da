//! The check of `old_clients` and `legacy` of a route.

use super::{Context, principal::is_credential, rate_limit};
use crate::{
    diagnostic::Located,
    key::TableSettings as _,
    keys::{ClientShown, LEGACY, LEGACY_CLIENT, ROUTE, ROUTE_PARAMETERS},
    settings::{KnownBy, LegacyClient, LegacySettings, OldClients},
    spanned::Spanned,
};

/// Reads `old_clients` and `legacy` of a merged route. `takes_cursors` is true if clients have a parameter for the
/// cursor of a page.
pub(super) fn legacy(route: &Spanned, takes_cursors: bool, context: &mut Context<'_>) -> LegacySettings {
    let old_clients = ROUTE.old_clients.located(route);
    if let Some(Located { value: OldClients::Redirect, at }) = old_clients
        && !takes_cursors
    {
        let help = "old_clients = \"translate\" answers at once; or name a parameter for `cursor`";
        let message = "a redirect leads to a cursor, and the envelope has no parameter for one";
        context.diagnostics.error(at, message, help);
    }
    let settings = LegacySettings {
        old_clients_at: old_clients.as_ref().map(|written| written.at),
        // A route that must say which clients it has, and doesn't, has been reported. All others pass requests on.
        old_clients: old_clients.map_or(OldClients::Pass, |written| written.value),
        ..LegacySettings::default()
    };
    // The board counts the clients that the route tells apart.
    let by_identity = || LegacyClient {
        known_by: KnownBy::Identity,
        shows_value: false,
        names: Vec::new(),
        max: LEGACY_CLIENT.max.default(),
    };
    let has_identity = !ROUTE.identity.read(route).is_empty();
    let settings = LegacySettings { client: has_identity.then(by_identity), ..settings };
    let Some(written) = ROUTE.legacy.find(route) else { return settings };
    let (deprecation, sunset) = (LEGACY.deprecation.located(written), LEGACY.sunset.located(written));
    if let (Some(deprecation), Some(sunset)) = (&deprecation, &sunset)
        && sunset.value < deprecation.value
    {
        let help = "the sunset must not be earlier than the deprecation";
        context.diagnostics.error(sunset.at, "the sunset is before the deprecation", help);
    }
    if let Some(after) = LEGACY.after_sunset.find(written).filter(|_| LEGACY.sunset.find(written).is_none()) {
        context.missing(after.at, "`after_sunset` needs a sunset", "sunset = 2026-12-31, or remove `after_sunset`");
    }
    LegacySettings {
        old_clients: settings.old_clients,
        old_clients_at: settings.old_clients_at,
        sunset_at: sunset.map(|day| day.at),
        rate_limit: rate_limit::of_legacy(written, context),
        brownouts: rate_limit::brownouts(written, settings.old_clients, context),
        client: match LEGACY.client.find(written) {
            Some(written) => client(written, route, context),
            None => settings.client.clone(),
        },
        ..LegacySettings::read(written)
    }
}

/// Reads `legacy.client` of a merged route.
fn client(written: &Spanned, route: &Spanned, context: &mut Context<'_>) -> Option<LegacyClient> {
    let (header, parameter) = (LEGACY_CLIENT.header.located(written), LEGACY_CLIENT.parameter.located(written));
    let shown = LEGACY_CLIENT.shown.located(written).filter(|shown| shown.value == ClientShown::Value);
    let private = ROUTE_PARAMETERS.private.read(&ROUTE.parameters.table(route));
    // A parameter that the route lists as private contains a secret, even if its name doesn't show it. Test:
    // `the_report_on_each_case_matches_its_snapshot` (tests/config/legacy.toml).
    let is_private = |name: &str| is_credential(name) || private.iter().any(|known| known == name);
    if let (Some(shown), Some(name)) = (&shown, header.as_ref().or(parameter.as_ref()))
        && is_private(&name.value)
    {
        let message = format!("{} holds secrets, and would be shown", name.value);
        context.diagnostics.error(shown.at, message, "\"hash\" tells clients apart; `names` says who they are");
    }
    let known_by = match (&header, &parameter) {
        (Some(header), None) => KnownBy::Header(http::HeaderName::from_bytes(header.value.as_bytes()).ok()?),
        (None, Some(parameter)) => KnownBy::Parameter(parameter.value.clone()),
        (Some(_), Some(parameter)) => {
            let message = "a client is identified by a header or by a parameter";
            context.diagnostics.error(parameter.at, message, "remove one of them");
            return None;
        }
        (None, None) => {
            if LEGACY_CLIENT.header.find(written).is_none() && LEGACY_CLIENT.parameter.find(written).is_none() {
                let help = "header = \"X-Api-Key\", or parameter = \"api_key\"";
                context.missing(written.at, "`client` names neither a header nor a parameter", help);
            }
            return None;
        }
    };
    let named = LEGACY_CLIENT.names.or_empty(written);
    let names = named.into_iter().filter_map(|(name, reference)| Some((name.value, context.secret(&reference, "")?)));
    let names = names.collect();
    let max = LEGACY_CLIENT.max.read(written);
    Some(LegacyClient { known_by, shows_value: shown.is_some(), names, max })
}
