//! Finds the places of a query at which a field is selected. There can be several places, also in fragments, but in the
//! answer they are one field.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{Field, FragmentDefinition, Selection, SelectionSet},
};

/// The fragments of a query, by name.
type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Returns whether the field `name` is selected at any place of the root field with the response key `key`. The
/// executor has removed the fields that are skipped. The recursion ends, because `guard` has refused fragments that
/// contain themselves.
pub(super) fn selects(root: &SelectionSet, fragments: &Fragments, key: &str, name: &str) -> bool {
    let mut same = Vec::new();
    collect(root, fragments, &|field| field.response_key().node == key, &mut same);
    same.into_iter().any(|field| {
        let mut found = Vec::new();
        collect(&field.selection_set.node, fragments, &|field| field.name.node == name, &mut found);
        !found.is_empty()
    })
}

/// Adds the wanted fields of a selection and of its fragments to `into`. Doesn't search the selections of fields.
fn collect<'s>(
    set: &'s SelectionSet,
    fragments: &'s Fragments,
    wanted: &dyn Fn(&Field) -> bool,
    into: &mut Vec<&'s Field>,
) {
    for selection in &set.items {
        match &selection.node {
            Selection::Field(field) => into.extend(Some(&field.node).filter(|field| wanted(field))),
            Selection::InlineFragment(inline) => collect(&inline.node.selection_set.node, fragments, wanted, into),
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    collect(&fragment.node.selection_set.node, fragments, wanted, into);
                }
            }
        }
    }
}
