//! `[services.graphql]`.

use super::super::Context;
use crate::config::{
    diagnostic::{Located, nearest},
    keys::GRAPHQL,
    settings::{GraphqlFieldSettings, GraphqlSettings, RouteSettings},
    spanned::Spanned,
    syntax,
};

pub(super) fn read(written: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> GraphqlSettings {
    let path = GRAPHQL.path.read(written);
    for route in routes.iter().filter(|route| route.path.value.trim_end_matches('/') == path) {
        let message = format!("requests by GET and POST for {path} go to services.graphql, and not to this route");
        context.diagnostics.warning(route.path.at, message, "give services.graphql another path");
    }
    GraphqlSettings {
        path,
        introspection: GRAPHQL.introspection.read(written),
        page: GRAPHQL.page.read(written),
        fields: fields(written, routes, context),
        size: GRAPHQL.size.read(written),
        tokens: GRAPHQL.tokens.read(written),
        depth: GRAPHQL.depth.read(written),
        aliases: GRAPHQL.aliases.read(written),
        lists: GRAPHQL.lists.read(written),
        complexity: GRAPHQL.complexity.read(written),
        at_once: GRAPHQL.at_once.read(written),
        timeout: GRAPHQL.timeout.read(written),
        answer_size: GRAPHQL.answer_size.read(written),
        persisted_size: GRAPHQL.persisted_size.read(written),
    }
}

/// Names a field for each list that has one. Reports names that two fields would have.
fn fields(written: &Spanned, routes: &[RouteSettings], context: &mut Context<'_>) -> Vec<GraphqlFieldSettings> {
    let names = GRAPHQL.names.read(written).unwrap_or_default();
    let except = GRAPHQL.except.read(written);
    let lists: Vec<&RouteSettings> =
        routes.iter().filter(|route| route.list.is_some() && route.observe.is_none()).collect();
    for route in names.iter().map(|(route, _)| route).chain(&except) {
        check_route(route, &lists, context);
    }
    let mut fields: Vec<GraphqlFieldSettings> = Vec::new();
    for route in lists {
        let name = &route.name;
        if except.iter().any(|other| other.value == name.value) {
            continue;
        }
        if !route.methods.get {
            let message = format!("the list of routes.{} is asked for by POST alone, and has no field", name.value);
            let help = format!("except = [{:?}] in services.graphql says that this is meant", name.value);
            context.diagnostics.warning(name.at, message, help);
            continue;
        }
        let given = names.iter().find(|(known, _)| known.value == name.value).map(|(_, field)| field);
        let field = given.map_or_else(|| camel(&name.value), |field| field.value.clone());
        let at = given.map_or(name.at, |field| field.at);
        if let Some(other) = fields.iter().find(|other| other.name == field) {
            let message = format!(
                "the lists of routes.{} and routes.{} would both be `{field}` in GraphQL",
                other.route, name.value
            );
            let help = format!(
                "write names = {{ {:?} = \"anotherName\" }} in services.graphql, or leave one out by `except`",
                name.value
            );
            context.diagnostics.error(at, message, help);
        } else if given.is_some() || syntax::graphql_name(&field).is_ok() {
            // A name that was given has been checked.
            fields.push(GraphqlFieldSettings { name: field, route: name.value.clone() });
        } else {
            let message = format!("no name in GraphQL can be made of routes.{}", name.value);
            let help = format!(
                "write names = {{ {:?} = \"aName\" }} in services.graphql, or leave it out by `except`",
                name.value
            );
            context.diagnostics.error(at, message, help);
        }
    }
    if fields.is_empty() && context.whole && !context.diagnostics.has_errors() {
        let help = "GraphQL has fields for lists that are asked for by GET: add one, or remove the table";
        context.diagnostics.error(written.at, "services.graphql has no list", help);
    }
    fields
}

fn check_route(name: &Located<String>, lists: &[&RouteSettings], context: &mut Context<'_>) {
    if lists.iter().any(|route| route.name.value == name.value) {
        return;
    }
    let known: Vec<&str> = lists.iter().map(|route| route.name.value.as_str()).collect();
    let meant = nearest(&name.value, known.iter().copied());
    let meant = meant.map(|meant| format!("did you mean {meant:?}? ")).unwrap_or_default();
    let help = format!("{meant}lists: {}", known.join(", "));
    context.diagnostics.error(name.at, format!("there is no list of a route {:?}", name.value), help);
}

/// Converts `team-users` to `teamUsers`. A name that begins with a digit gets an underscore in front.
fn camel(name: &str) -> String {
    let words = name.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut out = String::with_capacity(name.len());
    for word in words {
        let (first, rest) = word.split_at(1);
        match out.as_str() {
            "" if first.starts_with(|first: char| first.is_ascii_digit()) => out.extend(["_", first]),
            "" => out.push_str(&first.to_ascii_lowercase()),
            _ => out.push_str(&first.to_ascii_uppercase()),
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_give_fields_their_names() {
        for (route, field) in [
            ("users", "users"),
            ("team-users", "teamUsers"),
            ("v2.user_orders", "v2UserOrders"),
            ("Users", "users"),
            ("2fa", "_2fa"),
            ("--", ""),
        ] {
            assert_eq!(camel(route), field);
        }
    }
}
