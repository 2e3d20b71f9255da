//! `methods` of a route, and what they must be for its parameters.

use super::Context;
use crate::config::{
    settings::{ListSettings, Methods},
    written::{Value, Written},
};

/// Reads `methods` of a merged route: GET and HEAD where they are not said.
pub(super) fn methods(route: &Written, context: &mut Context<'_>) -> Methods {
    let said = route.strings("methods");
    let has = |method: &str| said.iter().any(|known| known == method);
    let Some(written) = route.find("methods") else {
        return Methods { get: true, post: false };
    };
    let Value::List(elements) = &written.value else {
        return Methods { get: true, post: false };
    };
    let known = |element: &Written| element.as_text().is_some_and(|text| WORDS.contains(&text.value.as_str()));
    if elements.is_empty() {
        let help = "write [\"GET\", \"HEAD\"], or [\"POST\"]; or remove `methods`";
        context.diagnostics.error(written.at, "a list is asked for by no method at all", help);
    } else if has("GET") != has("HEAD") && elements.iter().all(known) {
        let both = if has("POST") { "[\"GET\", \"HEAD\", \"POST\"]" } else { "[\"GET\", \"HEAD\"]" };
        context.diagnostics.error(written.at, "a list that takes GET takes HEAD too", format!("write {both}"));
    }
    Methods { get: has("GET"), post: has("POST") }
}

/// Reports a route whose answers are to be read before it is served, where they come by POST: those are not.
pub(super) fn check_observed(methods: Methods, route: &Written, context: &mut Context<'_>) {
    let Some(written) = route.find("methods").filter(|_| methods.post) else { return };
    let message = "answers to POST are not read";
    if methods.get {
        context.diagnostics.warning(written.at, message, "those to GET are; remove POST to say so");
    } else {
        context.diagnostics.error(written.at, message, "write action = \"paginate\" or \"forward\"");
    }
}

const WORDS: [&str; 3] = ["GET", "HEAD", "POST"];

/// Reports parameters whose place no request of these methods has.
pub(super) fn check(list: &ListSettings, methods: Methods, route: &Written, context: &mut Context<'_>) {
    let renamed = &list.parameters.renamed;
    let kept = list.envelope.parameters.iter().filter(|(role, _)| renamed.iter().all(|(other, _)| other != role));
    let own = kept.map(|(_, name)| (name, list.envelope.at));
    let own = own.chain(renamed.iter().map(|(_, name)| (name, name.at)));
    let others = list.envelopes.iter();
    let others = others.flat_map(|other| other.parameters.iter().map(|(_, name)| (name, other.at)));
    let in_body = own.chain(others).find(|(name, _)| name.value.starts_with('/'));
    if let Some((name, at)) = in_body.filter(|_| methods.get) {
        let at = route.find("methods").map_or(at, |written| written.at);
        let message = format!("a request by GET has no body, and `{}` is a place in one", name.value);
        let help =
            "methods = [\"POST\"]; or take an envelope whose parameters are names, or name them under `parameters`";
        context.diagnostics.error(at, message, help);
    }
    if let Some((name, _)) = list.parameters.query.first().filter(|_| !methods.post) {
        let message = format!("`{}` is taken from the body, and the route has none", name.value);
        context.diagnostics.error(name.at, message, "methods = [\"POST\"]; or remove `parameters.query`");
    }
    if methods.post && list.dialect.request.method != http::Method::POST && list.parameters.query.is_empty() {
        let at = route.find("methods").map_or(list.dialect.at, |written| written.at);
        let message = format!("{} asks by GET, so that nothing of a body reaches the upstream", list.dialect.name);
        let help = "name what filters: parameters = { query = { team = \"/payload/team\" } }; else the body's members make \
                    another list for cursors, and no other answer";
        context.diagnostics.warning(at, message, help);
    }
}
