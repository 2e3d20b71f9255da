//! The check of `[services.graphql]`.

use super::{super::Context, offered::Offering};
use crate::{
    key::TableSettings as _,
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
    context.warn_of_hidden(routes, &GRAPHQL.path.read(written), "by GET and POST ", "graphql");
    GraphqlSettings {
        fields: OFFERING.read(
            written,
            routes,
            &GRAPHQL.names.or_empty(written),
            &GRAPHQL.except.read(written),
            &Vec::new(),
            context,
        ),
        ..GraphqlSettings::read(written)
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
