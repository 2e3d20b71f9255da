//! The lists that a service offers under its own names: as fields (GraphQL) or tools (MCP).

use super::super::Context;
use crate::{
    diagnostic::{Located, nearest},
    key::NamedTexts,
    settings::{OfferedListSettings, RouteSettings},
    spanned::Spanned,
    syntax::Checked,
};

/// The way in which a service names lists.
pub(super) struct Offering {
    /// The table of the service, such as `services.mcp`.
    pub(super) table: &'static str,
    /// The name of the service, for messages.
    pub(super) place: &'static str,
    /// The service's word for an offered list, such as `field`.
    pub(super) part: &'static str,
    /// An example of a name, for help texts.
    pub(super) sample: &'static str,
    /// Converts the name of a route to a name that the service uses.
    pub(super) name: fn(&str) -> String,
    pub(super) syntax: fn(&str) -> Checked,
}

impl Offering {
    /// Returns the lists that the service offers: those of routes that answer GET, without the routes in `except`. Each
    /// list has its name in `names`, or else the converted name of its route. Reports two lists with the same name.
    pub(super) fn read(
        &self,
        written: &Spanned,
        routes: &[RouteSettings],
        names: &NamedTexts,
        except: &[Located<String>],
        descriptions: &NamedTexts,
        context: &mut Context<'_>,
    ) -> Vec<OfferedListSettings> {
        let Self { table, place, part, sample, .. } = self;
        let lists: Vec<&RouteSettings> =
            // A route that observes passes the upstream's own answers on, so it has no pages.
            routes.iter().filter(|route| route.list.is_some() && route.observe.is_none()).collect();
        for route in names.iter().chain(descriptions).map(|(route, _)| route).chain(except) {
            check_route(route, &lists, context);
        }
        let mut offered: Vec<OfferedListSettings> = Vec::new();
        for route in lists {
            let route_name = &route.name;
            if except.iter().any(|other| other.value == route_name.value) {
                continue;
            }
            if !route.methods.get {
                let message =
                    format!("the list of routes.{} is asked for only by POST, and has no {part}", route_name.value);
                let help = format!("except = [{:?}] in {table} accepts this", route_name.value);
                context.diagnostics.warning(route_name.at, message, help);
                continue;
            }
            let of = |texts: &NamedTexts| texts.iter().find(|(known, _)| known.value == route_name.value).cloned();
            let given = of(names).map(|(_, name)| name);
            let name = given.as_ref().map_or_else(|| (self.name)(&route_name.value), |name| name.value.clone());
            let at = given.as_ref().map_or(route_name.at, |name| name.at);
            if let Some(other) = offered.iter().find(|other| other.name == name) {
                let message = format!(
                    "the lists of routes.{} and routes.{} would both be `{name}` in {place}",
                    other.route, route_name.value
                );
                let help = format!(
                    "write names = {{ {:?} = \"anotherName\" }} in {table}, or leave one out by `except`",
                    route_name.value
                );
                context.diagnostics.error(at, message, help);
            } else if given.is_some() || (self.syntax)(&name).is_ok() {
                // A name in `names` has been checked by the schema, so only a converted name is checked here.
                let description = of(descriptions).map(|(_, text)| text.value);
                offered.push(OfferedListSettings { name, route: route_name.value.clone(), description });
            } else {
                let message = format!("no name in {place} can be made of routes.{}", route_name.value);
                let help = format!(
                    "write names = {{ {:?} = {sample:?} }} in {table}, or leave it out by `except`",
                    route_name.value
                );
                context.diagnostics.error(at, message, help);
            }
        }
        // A route with errors is missing from `routes` and might have a list, so this error is only reported without
        // others.
        if offered.is_empty() && context.whole && !context.diagnostics.has_errors() {
            let help = format!("{place} has {part}s for lists that are asked for by GET: add one, or remove the table");
            context.diagnostics.error(written.at, format!("{table} has no list"), help);
        }
        offered
    }
}

/// Reports a name that no list has.
pub(super) fn check_route(name: &Located<String>, lists: &[&RouteSettings], context: &mut Context<'_>) {
    if lists.iter().any(|route| route.name.value == name.value) {
        return;
    }
    let known: Vec<&str> = lists.iter().map(|route| route.name.value.as_str()).collect();
    let meant = nearest(&name.value, known.iter().copied());
    let meant = meant.map(|meant| format!("did you mean {meant:?}? ")).unwrap_or_default();
    let help = format!("{meant}lists: {}", known.join(", "));
    context.diagnostics.error(name.at, format!("there is no list of a route {:?}", name.value), help);
}
