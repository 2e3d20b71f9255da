//! The check of `cors` of a route.

use super::Context;
use crate::{
    keys::{CORS, ROUTE},
    settings::CorsSettings,
    spanned::{Spanned, Value},
};

/// Reads `cors` of a merged route. Returns `None` if `cors` or its `origins` are missing. Also returns `None` for an
/// empty list of origins, with which a route turns off the `cors` of its defaults.
pub(super) fn cors(route: &Spanned, context: &mut Context<'_>) -> Option<CorsSettings> {
    let written = ROUTE.cors.written(route)?;
    let Some(listed) = CORS.origins.find(&written) else {
        let help = "origins = [\"https://app.example.com\"]; without `cors` the upstream answers itself";
        context.missing(written.at, "`cors` names no origins", help);
        return None;
    };
    let origins = CORS.origins.read(&written).unwrap_or_default();
    let (any, credentials) = (origins.iter().find(|origin| origin.value == "*"), CORS.credentials.read(&written));
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
    let max_age = CORS.max_age.read(&written);
    // Browsers send the scheme and the host in lower case (RFC 6454, section 4), so origins are compared in lower case.
    let origins: Vec<String> = origins.into_iter().map(|origin| origin.value.to_ascii_lowercase()).collect();
    let is_list = matches!(&listed.value, Value::List(elements) if !elements.is_empty());
    is_list.then_some(CorsSettings { origins, credentials, max_age })
}
