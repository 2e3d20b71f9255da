//! The places of a query in which a field is selected: there may be several, also in fragments, and all are one field
//! of the answer.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{Field, FragmentDefinition, Selection, SelectionSet},
};

/// The fragments of a query by their names.
type Fragments = HashMap<Name, Positioned<FragmentDefinition>>;

/// Returns whether `name` is selected in the root field with the response key `key`, in any of its places. Fields that
/// are skipped have been removed by the executor, and `guard` has bounded the fragments, so that the recursion ends.
pub(super) fn selects(root: &SelectionSet, fragments: &Fragments, key: &str, name: &str) -> bool {
    let mut same = Vec::new();
    collect(root, fragments, &|field| field.response_key().node == key, &mut same);
    same.into_iter().any(|field| {
        let mut found = Vec::new();
        collect(&field.selection_set.node, fragments, &|field| field.name.node == name, &mut found);
        !found.is_empty()
    })
}

/// Adds the wanted fields of a selection and of its fragments, without those of nested fields.
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
