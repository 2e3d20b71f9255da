//! The check of `methods` of a route, and of the parameters that these methods can have.

use super::Context;
use crate::{
    keys::{ListMethod, ROUTE},
    settings::{ListSettings, Methods},
    spanned::{Spanned, Value},
};

/// Reads `methods` of a merged route.
pub(super) fn methods(route: &Spanned, context: &mut Context<'_>) -> Methods {
    let listed = ROUTE.methods.read(route);
    let has = |method: ListMethod| listed.contains(&method);
    let (get, head, post) = (has(ListMethod::Get), has(ListMethod::Head), has(ListMethod::Post));
    if let Some(written) = ROUTE.methods.find(route)
        && let Value::List(elements) = &written.value
    {
        if elements.is_empty() {
            let help = "write [\"GET\", \"HEAD\"], or [\"POST\"]; or remove `methods`";
            context.diagnostics.error(written.at, "`methods` is empty", help);
        // If a word is faulty, fewer methods than elements were read. The word has been reported, and may be the
        // missing method.
        } else if get != head && listed.len() == elements.len() {
            let both = if post { "[\"GET\", \"HEAD\", \"POST\"]" } else { "[\"GET\", \"HEAD\"]" };
            context.diagnostics.error(
                written.at,
                "`methods` has one of GET and HEAD without the other",
                format!("write {both}"),
            );
        }
    }
    Methods { get, post }
}

/// Reports a route that observes answers to POST, because only answers to GET can be observed.
pub(super) fn check_observed(methods: Methods, route: &Spanned, context: &mut Context<'_>) {
    let Some(written) = ROUTE.methods.find(route).filter(|_| methods.post) else { return };
    let message = "answers to POST are not observed";
    if methods.get {
        context.diagnostics.warning(written.at, message, "answers to GET are; remove POST");
    } else {
        context.diagnostics.error(written.at, message, "write action = \"paginate\" or \"forward\"");
    }
}

/// Reports parameters that the methods of the route can't have: places in a body for GET, and members of a body that
/// become parameters of the query (`parameters.query`) without POST. Warns if clients send bodies of which no part
/// reaches the upstream.
pub(super) fn check(list: &ListSettings, methods: Methods, route: &Spanned, context: &mut Context<'_>) {
    let renamed = &list.parameters.renamed;
    let kept = list.envelope.parameters.iter().filter(|(role, _)| renamed.iter().all(|(other, _)| other != role));
    let own = kept.map(|(_, name)| (name, list.envelope.at));
    let own = own.chain(renamed.iter().map(|(_, name)| (name, name.at)));
    let others = list.envelopes.iter();
    let others = others.flat_map(|other| other.parameters.iter().map(|(_, name)| (name, other.at)));
    let in_body = own.chain(others).find(|(name, _)| name.value.starts_with('/'));
    if let Some((name, at)) = in_body.filter(|_| methods.get) {
        let at = ROUTE.methods.find(route).map_or(at, |written| written.at);
        let message = format!("a GET request has no body, and `{}` is a place in one", name.value);
        let help = "write methods = [\"POST\"], or choose an envelope whose parameters are names, or rename them under `parameters`";
        context.diagnostics.error(at, message, help);
    }
    if let Some((name, _)) = list.parameters.query.first().filter(|_| !methods.post) {
        let message = format!("`{}` is taken from the body, and GET requests have none", name.value);
        context.diagnostics.error(name.at, message, "write methods = [\"POST\"], or remove `parameters.query`");
    }
    if methods.post && list.dialect.request.method != http::Method::POST && list.parameters.query.is_empty() {
        let at = ROUTE.methods.find(route).map_or(list.dialect.at, |written| written.at);
        let message = format!("{} sends GET requests, so no part of a body reaches the upstream", list.dialect.name);
        let help = "name the members that filter: parameters = { query = { team = \"/payload/team\" } }. Other members \
                    separate cursors and do not change the answer";
        context.diagnostics.warning(at, message, help);
    }
}
