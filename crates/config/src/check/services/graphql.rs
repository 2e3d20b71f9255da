//! The check of `[services.graphql]`.

use super::{super::Context, offered::Offering};
use crate::{
    keys::GRAPHQL,
    settings::{GraphqlSettings, RouteSettings},
    spanned::Spanned,
    syntax,
};

const OFFERING: Offering = Offering {
    table: "services.graphql",
    place: "GraphQL",
    part: "field",
    sample: "aName",
    name: camel,
    syntax: syntax::graphql_name,
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
        fields: OFFERING.read(
            written,
            routes,
            &GRAPHQL.names.read(written).unwrap_or_default(),
            &GRAPHQL.except.read(written),
            &Vec::new(),
            context,
        ),
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

/// Converts the name of a route to camel case: `team-users` becomes `teamUsers`. A name that begins with a digit gets
/// an underscore in front.
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
    fn names_of_routes_become_names_of_fields() {
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
