//! The check of `[openapi]`.

use super::Context;
use crate::{
    diagnostic::Located,
    key::{Key, TableSettings as _, Word as _},
    keys::{API, FILE, FLOW, FLOWS, SECURITY_SCHEME, SecurityKind},
    settings::{ApiSettings, OAuthFlow, SchemeCredentials, SecurityScheme},
    spanned::Spanned,
};

/// Reads the title, the servers, the security schemes and so on of the OpenAPI description that the gateway serves.
pub(super) fn api(root: &Spanned, context: &mut Context<'_>) -> ApiSettings {
    let table = FILE.openapi.table(root);
    let schemes = API.security_schemes.table(&table);
    ApiSettings {
        security_schemes: schemes
            .tables()
            .filter_map(|(name, table)| Some((name.value.clone(), scheme(name, table, context)?)))
            .collect(),
        ..ApiSettings::read(&table)
    }
}

fn scheme(name: &Located<String>, table: &Spanned, context: &mut Context<'_>) -> Option<SecurityScheme> {
    let kind = required(&SECURITY_SCHEME.kind, table, name, "type = \"http\"", context)?;
    check_foreign(kind, table, name, context);
    let flows = SECURITY_SCHEME.flows.read(table).map(|table| flows(&table, name, context));
    let credentials = match kind {
        SecurityKind::ApiKey => {
            let key = required(&SECURITY_SCHEME.name, table, name, "name = \"X-Api-Key\"", context);
            let place = required(&SECURITY_SCHEME.place, table, name, "in = \"header\"", context);
            SchemeCredentials::Key { name: key?, place: place? }
        }
        SecurityKind::Http => SchemeCredentials::Http {
            scheme: required(&SECURITY_SCHEME.scheme, table, name, "scheme = \"bearer\"", context)?,
            bearer_format: SECURITY_SCHEME.bearer_format.read(table),
        },
        SecurityKind::MutualTls => SchemeCredentials::MutualTls,
        SecurityKind::OAuth2 => {
            let help = "flows = { client_credentials = { token_url = \"https://id.example.com/token\" } }";
            required(&SECURITY_SCHEME.flows, table, name, help, context);
            SchemeCredentials::OAuth2(flows?)
        }
        SecurityKind::OpenIdConnect => {
            let help = "open_id_connect_url = \"https://id.example.com/.well-known/openid-configuration\"";
            let url = required(&SECURITY_SCHEME.open_id_connect_url, table, name, help, context)?;
            SchemeCredentials::OpenIdConnect { url }
        }
    };
    Some(SecurityScheme { description: SECURITY_SCHEME.description.read(table), credentials })
}

/// Reports keys that belong to a security scheme of another type.
fn check_foreign(kind: SecurityKind, table: &Spanned, name: &Located<String>, context: &mut Context<'_>) {
    let keys = [
        (SECURITY_SCHEME.name.find(table), "name", SecurityKind::ApiKey),
        (SECURITY_SCHEME.place.find(table), "in", SecurityKind::ApiKey),
        (SECURITY_SCHEME.scheme.find(table), "scheme", SecurityKind::Http),
        (SECURITY_SCHEME.bearer_format.find(table), "bearer_format", SecurityKind::Http),
        (SECURITY_SCHEME.flows.find(table), "flows", SecurityKind::OAuth2),
        (SECURITY_SCHEME.open_id_connect_url.find(table), "open_id_connect_url", SecurityKind::OpenIdConnect),
    ];
    for (value, key, owner) in keys {
        if let Some(value) = value.filter(|_| owner != kind) {
            let (name, kind, owner) = (&name.value, kind.word(), owner.word());
            let message =
                format!("openapi.security_schemes.{name} is of type {kind:?}, and {key} belongs to {owner:?}");
            context.diagnostics.error(value.at, message, "remove the key, or write the other type");
        }
    }
}

/// Returns the flows of a scheme by their names in OpenAPI. Reports flows without a URL that they need.
fn flows(table: &Spanned, name: &Located<String>, context: &mut Context<'_>) -> Vec<(&'static str, OAuthFlow)> {
    // The key of the flow, its name in OpenAPI, and whether it needs an authorization URL and a token URL.
    let known = [
        (&FLOWS.implicit, "implicit", true, false),
        (&FLOWS.password, "password", false, true),
        (&FLOWS.client_credentials, "clientCredentials", false, true),
        (&FLOWS.authorization_code, "authorizationCode", true, true),
    ];
    let mut found = Vec::new();
    for (key, flow_name, authorizes, gives_tokens) in known {
        let Some(table) = key.read(table) else { continue };
        if authorizes {
            let help = "authorization_url = \"https://id.example.com/authorize\"";
            required(&FLOW.authorization_url, &table, name, help, context);
        }
        if gives_tokens {
            required(&FLOW.token_url, &table, name, "token_url = \"https://id.example.com/token\"", context);
        }
        let flow = OAuthFlow {
            // A description only has the URLs that its flow uses (OpenAPI 3.1, section 4.8.30), so others are left out.
            authorization_url: FLOW.authorization_url.read(&table).filter(|_| authorizes),
            token_url: FLOW.token_url.read(&table).filter(|_| gives_tokens),
            ..OAuthFlow::read(&table)
        };
        found.push((flow_name, flow));
    }
    if found.is_empty() && context.whole {
        let message = format!("openapi.security_schemes.{} has no flow", name.value);
        let help = "name one of implicit, password, client_credentials and authorization_code";
        context.diagnostics.error(table.at, message, help);
    }
    found
}

/// Returns the value of a key that a scheme or a flow needs. Reports a missing key.
fn required<T>(
    key: &Key<T>,
    table: &Spanned,
    name: &Located<String>,
    help: &str,
    context: &mut Context<'_>,
) -> Option<T> {
    let message = format!("openapi.security_schemes.{} has no {}", name.value, key.definition.name);
    context.required(key, table, message, help)
}
