//! The check of `other_paths`: the route of requests whose path no other route covers.

use super::Context;
use crate::{
    diagnostic::{Located, Location},
    keys::{EXPORTS, FILE, OBJECTS, ROUTE, SERVICES, UPSTREAM, UPSTREAM_TLS},
    settings::RouteSettings,
    spanned::{Spanned, Value},
};

/// The name of the route that `other_paths` adds.
pub(super) const NAME: &str = "other_paths";
/// The word for 404.
const REFUSE: &str = "refuse";
const EVERYTHING: &str = "/{*rest}";

/// Returns the table of the route for paths that no other route covers, and the place that asks for it; `None` if they
/// are refused, or if a route covers them already. Reports a configuration that must say where they go.
pub(super) fn route(
    root: &Spanned,
    routes: &[RouteSettings],
    context: &mut Context<'_>,
) -> Option<(Spanned, Location)> {
    let upstreams = FILE.upstreams.table(root);
    let named = FILE.other_paths.located(root);
    if let Some(named) = named {
        if named.value == REFUSE {
            return None;
        }
        if upstreams.find(&named.value).is_none() {
            super::route::unknown_upstream(&named, &upstreams, context);
            return None;
        }
        return (!covered(routes)).then(|| (table(&named.value, named.at), named.at));
    }
    let is_routed = |index: usize| routes.iter().any(|route| route.upstream == index);
    let storage = storage(root).filter(|storage| {
        let index = upstreams.tables().position(|known| known.0.value == *storage);
        !index.is_some_and(is_routed)
    });
    let mut known = upstreams.tables().filter(|known| Some(&known.0.value) != storage.as_ref());
    let (name, only) = known.next().filter(|_| !covered(routes) && !routes.is_empty())?;
    let others = known.count();
    let why = if others > 0 {
        format!("paths that no route covers could go to {} upstreams", others + 1)
    } else if let Some(credential) = credential(only) {
        format!(
            "paths that no route covers would get the {credential} of upstreams.{}, which may be credentials",
            name.value
        )
    } else {
        return Some((table(&name.value, only.at), only.at));
    };
    let help = format!(
        "write one of these before all tables:\n\
         other_paths = \"{REFUSE}\"   they get 404\n\
         other_paths = {:?}   they pass to this upstream",
        name.value
    );
    context.missing(only.at, why, help);
    None
}

/// Returns the name of the upstream that stores the results of exports; `None` if none does.
fn storage(root: &Spanned) -> Option<String> {
    let exports = SERVICES.exports.find(FILE.services.find(root)?)?;
    OBJECTS.upstream.read(EXPORTS.objects.find(exports)?).map(|name| name.value)
}

/// Returns the name of what the gateway itself shows the upstream, and what may open paths to everybody; `None` if it
/// shows nothing.
fn credential(upstream: &Spanned) -> Option<&'static str> {
    if UPSTREAM.headers.find(upstream).is_some() {
        return Some("headers");
    }
    let tls = UPSTREAM.tls.find(upstream)?;
    UPSTREAM_TLS.certificate.find(tls).map(|_| "client certificate")
}

fn covered(routes: &[RouteSettings]) -> bool {
    routes.iter().any(RouteSettings::takes_all_paths)
}

fn table(upstream: &str, at: Location) -> Spanned {
    let text = |value: &str| Spanned { value: Value::Text(value.to_owned()), at };
    let name = |name: &str| Located { value: name.to_owned(), at };
    let members = [
        (ROUTE.path.definition.name, EVERYTHING),
        (ROUTE.upstream.definition.name, upstream),
        (ROUTE.action.definition.name, "forward"),
    ];
    let members = members.into_iter().map(|(key, value)| (name(key), text(value))).collect();
    Spanned { value: Value::Table(members), at }
}

#[cfg(test)]
mod tests {
    use crate::{ProcessEnvironment, WithoutSecrets, load_text};

    #[test]
    fn only_an_upstream_without_credentials_gets_other_paths_unasked() {
        const LIST: &str = "[routes.a]\npath = \"/a\"\nupstream = \"one\"\naction = \"forward\"\n";
        const ONE: &str = "[upstreams.one]\npeers = [\"127.0.0.1:1\"]\n";
        let headers = format!("{ONE}headers = {{ X-Api-Key = \"env:KEY\" }}\n{LIST}");
        let certificate = format!("{ONE}tls = {{ certificate = \"/a.crt\", key = \"file:/a.key\" }}\n{LIST}");
        let two = format!("{ONE}[upstreams.two]\npeers = [\"127.0.0.1:2\"]\n{LIST}");
        let everything = format!("{two}[routes.b]\npath = \"/{{*all}}\"\nupstream = \"two\"\naction = \"forward\"\n");
        // The bucket of results is no upstream of paths, unless a route says so.
        let storage = format!(
            "{two}[services.exports]\n[services.exports.postgres]\naddresses = [\"127.0.0.1:3\"]\n\
             [services.exports.objects]\nupstream = \"two\"\nbucket = \"s3://results\"\nregion = \"b\"\n\
             access_key_id = \"env:KEY\"\nsecret_access_key = \"env:KEY\"\n"
        );
        let routed = format!("{storage}[routes.b]\npath = \"/b\"\nupstream = \"two\"\naction = \"forward\"\n");
        for (text, routes, said) in [
            (format!("{ONE}{LIST}"), 2, ""),
            (format!("other_paths = \"refuse\"\n{ONE}{LIST}"), 1, ""),
            (format!("other_paths = \"one\"\n{headers}"), 2, ""),
            (format!("other_paths = \"three\"\n{ONE}{LIST}"), 1, "three"),
            (headers, 1, "would get the headers of upstreams.one"),
            (certificate, 1, "would get the client certificate of upstreams.one"),
            (two, 1, "could go to 2 upstreams"),
            (storage, 2, ""),
            (routed, 2, "could go to 2 upstreams"),
            (everything, 2, ""),
        ] {
            let environment = ProcessEnvironment::default();
            let text = format!("version = 1\n{text}");
            let (settings, diagnostics) = load_text("a.toml", &text, &WithoutSecrets(&environment));
            let report = diagnostics.render(false);
            assert_eq!(diagnostics.has_errors(), !said.is_empty(), "{text}\n{report}");
            assert!(report.contains(said), "{text}\n{report}");
            if said.is_empty() {
                assert_eq!(settings.map(|settings| settings.routes.len()), Some(routes), "{text}\n{report}");
            }
        }
    }
}
