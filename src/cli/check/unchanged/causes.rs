//! The causes of differences, as far as the gateway's answer shows them, with the line of the configuration to change.

use super::{ProvenRoute, reads::OldRead};
use cursorgate_config::{diagnostic::Location, settings::Settings};
use cursorgate_learn::unchanged::WholeAnswer;
use cursorgate_translate::downstream::Code;

/// The cause of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DifferenceCause {
    /// No route covers the path.
    NoRoute,
    /// The gateway took the request for one of a new client: it made a page, or refused a parameter.
    TakenAsNew,
    /// The gateway rewrites the service's links.
    Links,
    /// The path at the service is another one.
    Path,
    /// None of the others.
    Other,
}

impl DifferenceCause {
    /// Finds the cause of a difference by the gateway's answer.
    pub(super) fn of(of: ProvenRoute<'_>, read: &OldRead, through: &WholeAnswer) -> Self {
        let code = through.json().and_then(|body| code_of(&body));
        if code.as_deref() == Some("route_not_found") {
            return Self::NoRoute;
        }
        let is_page = through.headers.contains_key("cursorgate-level");
        if read.is_of_list(of) && (is_page || code.is_some() || is_problem(through)) {
            return Self::TakenAsNew;
        }
        if of.compiled.rewrites_links {
            return Self::Links;
        }
        match of.route.upstream_path {
            Some(_) => Self::Path,
            None => Self::Other,
        }
    }

    /// Returns the place of the configuration to change, and the change.
    pub(super) fn place(self, of: ProvenRoute<'_>, settings: &Settings) -> (Location, String) {
        let ProvenRoute { route, list, compiled, .. } = of;
        let upstream = &compiled.upstream.name;
        let peers = || settings.upstreams.get(route.upstream).and_then(|own| own.peers.first()).map(|peer| peer.at);
        match self {
            Self::NoRoute => (
                route.path.at,
                format!("write other_paths = {upstream:?} before all tables: then this path passes to the upstream"),
            ),
            Self::TakenAsNew => (
                crate::cli::check::old_clients::marks_at(list).unwrap_or(route.path.at),
                "leave the name out of new_clients.by: then only a cursor marks a request of a new client".to_owned(),
            ),
            Self::Links => {
                let own = route.legacy_links.as_ref().map(|links| links.at);
                let help = "links = \"keep\" in [routes.NAME.legacy] leaves the service's links as they are";
                (own.or_else(peers).unwrap_or(route.path.at), help.replace("NAME", &route.name.value))
            }
            Self::Path => {
                let at = route.upstream_path.as_ref().map_or(route.path.at, |path| path.at);
                (at, "requests of old clients have this path at the service too: is it right for them?".to_owned())
            }
            Self::Other => {
                let help = "send the request to the service and to the gateway with curl -i, and compare the answers";
                (route.path.at, help.to_owned())
            }
        }
    }
}

/// Returns whether an answer is a problem document of the gateway (RFC 9457).
fn is_problem(answer: &WholeAnswer) -> bool {
    let kind = answer.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/problem+json") && answer.json().is_some_and(|body| body.get("code").is_some())
}

/// Returns the code of the gateway's problem in any envelope; `None` for another body.
fn code_of(body: &serde_json::Value) -> Option<String> {
    let known = ["/code", "/error/code", "/error/details/0/reason", "/errors/0/code"];
    let mut found = known.iter().filter_map(|place| body.pointer(place)?.as_str());
    found.find(|code| Code::ALL.iter().any(|known| known.as_str() == *code)).map(str::to_owned)
}
