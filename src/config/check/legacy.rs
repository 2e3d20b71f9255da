//! `legacy` of a route: what becomes of requests by page or offset.

use super::Context;
use crate::config::{
    diagnostic::Located,
    settings::{DialectSettings, EnvelopeSettings, LegacyPolicy, LegacySettings, ParameterSettings, Role, Unmarked},
    written::Written,
};

/// Reads `legacy` of a merged route. `paging` are the parameters by which its clients page.
pub(super) fn legacy(route: &Written, paging: &[String], context: &mut Context<'_>) -> LegacySettings {
    let Some(written) = route.find("legacy") else {
        return LegacySettings::default();
    };
    let policy = written.string("policy");
    let unmarked = written.find("unmarked");
    match (policy.as_deref(), unmarked) {
        (Some("passthrough"), None) => {
            let none = if paging.len() > 1 {
                format!("neither {}", paging.join(" nor "))
            } else {
                "no paging parameter".into()
            };
            let message = format!("say what a request is that has {none}");
            let help = "unmarked = \"legacy\" keeps old clients as they are; \"new\" gives them the envelope";
            context.missing(written.at, message, help);
        }
        (None, Some(unmarked)) if written.find("policy").is_none() => {
            let help = "policy = \"passthrough\", \"translate\" or \"reject\"; or remove `unmarked`";
            context.missing(unmarked.at, "`unmarked` needs a policy", help);
        }
        _ => {}
    }
    let (deprecation, sunset) = (written.day("deprecation"), written.day("sunset"));
    if let (Some(deprecation), Some(sunset)) = (&deprecation, &sunset)
        && sunset.value < deprecation.value
    {
        let help = "what is deprecated works until its sunset: the sunset is the later day";
        context.diagnostics.error(sunset.at, "the sunset is before the deprecation", help);
    }
    LegacySettings {
        policy: match policy.as_deref() {
            Some("passthrough") => Some(LegacyPolicy::Passthrough),
            Some("translate") => Some(LegacyPolicy::Translate),
            Some("reject") => Some(LegacyPolicy::Reject),
            _ => None,
        },
        unmarked: match unmarked.and_then(Written::as_text) {
            Some(word) if word.value == "legacy" => Unmarked::Legacy,
            _ => Unmarked::New,
        },
        deprecation: deprecation.map(|day| day.value),
        sunset: sunset.map(|day| day.value),
        documentation: written.string("documentation"),
    }
}

/// The parameters by which a client pages: the dialect's, and the one that takes a cursor.
pub(super) fn paging_names(
    dialect: Option<&DialectSettings>,
    envelope: Option<&EnvelopeSettings>,
    parameters: &ParameterSettings,
) -> Vec<String> {
    let query = dialect.map_or("", |dialect| dialect.request.query.value.as_str());
    let variable = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(_, value)| value.contains('{'));
    let mut names: Vec<String> = variable.map(|(name, _)| name.to_owned()).collect();
    let of = |parameters: &[(Role, Located<String>)]| {
        parameters.iter().find(|(role, _)| *role == Role::Cursor).map(|(_, name)| name.value.clone())
    };
    let cursor = of(&parameters.renamed).or_else(|| envelope.and_then(|envelope| of(&envelope.parameters)));
    names.push(cursor.unwrap_or_else(|| "cursor".into()));
    names
}
