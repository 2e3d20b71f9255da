//! Warnings about a route's order that follow from its settings, without an answer of the upstream.

use super::{fields::DialectFields, sort::CompiledOrder};
use cursorgate_config::{
    Diagnostics,
    settings::{ListSettings, SortTerm},
};
use cursorgate_core::pagination::order::{Direction, Kind, Ties};

/// Warns in three cases: requests don't ask for the order although the dialect has a sort and the route has `sortable`;
/// ties might not be in the declared order; or rows move within the order when they change.
pub fn warn(
    list: &ListSettings,
    fields: &DialectFields,
    has_sort: bool,
    sorted: &CompiledOrder,
    diagnostics: &mut Diagnostics,
) {
    // Without a declared order, no order can be missing from requests, so there is nothing to report.
    if !list.declared {
        return;
    }
    if has_sort && sorted.asked == 0 {
        warn_of_silence(list, fields, diagnostics);
    }
    warn_of_grain(list, sorted, diagnostics);
    warn_of_change_times(list, diagnostics);
}

/// Warns of an order with a field that is missing from `sortable`. Requests then ask for no order at all.
fn warn_of_silence(list: &ListSettings, fields: &DialectFields, diagnostics: &mut Diagnostics) {
    let Some(sortable) = list.sortable.first() else { return };
    // Rows with equal keys are distinguished by the id, which is the last key of each order.
    let names = list.order.iter().map(|term| term.value.field.as_str()).filter(|name| *name != "id").chain(["id"]);
    let missing: Vec<&str> = names.filter(|name| !fields.can_sort_by(name)).collect();
    let lacks = missing.join(" and ");
    let message = format!("the order is not asked for: `sortable` lacks {lacks}");
    let help = format!(
        "add {lacks} if the endpoint can sort by it; else the upstream's own order is believed, and a list that comes in \
         another one is refused (upstream_unsorted)"
    );
    diagnostics.warning(sortable.at, message, help);
}

/// Warns of a date-time key whose grain isn't stated. Date-times are often shown in milliseconds and sorted in
/// microseconds. Two rows of the same shown millisecond might then not be in the order of their ids.
fn warn_of_grain(list: &ListSettings, sorted: &CompiledOrder, diagnostics: &mut Diagnostics) {
    let order = &sorted.order;
    if order.ties() == Ties::Unordered || list.ties.is_some() {
        return;
    }
    for (term, key) in list.order.iter().zip(order.strong()) {
        // Values of other kinds are seldom shown with less precision than they are sorted by, so only date-times are
        // reported.
        if key.kind == Kind::Datetime && key.grain.is_none() {
            let name = &key.name;
            let message = format!("{name} may be shown more coarsely than it is sorted, and its grain is not set");
            let help = format!(
                "if the service sorts by microseconds but shows milliseconds, set fields.{name}.grain = \"ms\"; if it \
                 shows every digit that it sorts by, set ties = \"ordered\""
            );
            diagnostics.warning(term.at, message, help);
        }
    }
}

/// Warns of a list that is sorted by the time of the last change: a changed row jumps to one end of the list.
fn warn_of_change_times(list: &ListSettings, diagnostics: &mut Diagnostics) {
    let Some(first) = list.order.first() else { return };
    let SortTerm { field, direction } = &first.value;
    if !is_change_time(field) {
        return;
    }
    let jumps = match direction {
        Direction::Descending => "to the head of the list, and a walk that has passed the head never sees it",
        Direction::Ascending => "to the end of the list: a walk on meets it twice, and a walk back never",
    };
    let help = "where every row must be seen, order by what never changes, such as a time of creation or the id";
    diagnostics.warning(first.at, format!("a row whose {field} changes during a walk jumps {jumps}"), help);
}

/// Returns whether a field's name is typical of change times, such as `updated_at`, `lastModified` or
/// `modification_date`.
fn is_change_time(name: &str) -> bool {
    let mut words: Vec<String> = Vec::new();
    let mut before = '_';
    for letter in name.chars() {
        // A run of capitals is one word, so `LAST_CHANGED` is also recognized.
        let begins = letter.is_uppercase() && !before.is_uppercase();
        if letter.is_alphanumeric() {
            match words.last_mut().filter(|_| before.is_alphanumeric() && !begins) {
                Some(word) => word.extend(letter.to_lowercase()),
                None => words.push(letter.to_lowercase().collect()),
            }
        }
        before = letter;
    }
    let changes = ["updated", "modified", "changed", "edited", "touched", "mtime", "modification"];
    // `last` by itself may be a person's last name, so it counts only with another word. Test:
    // `times_of_change_are_known_by_their_names`.
    words.first().is_some_and(|first| first == "last" && words.len() > 1)
        || words.iter().any(|word| changes.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_change_are_known_by_their_names() {
        for name in [
            "updated_at",
            "updatedAt",
            "UpdatedAt",
            "updated",
            "modified",
            "date_modified",
            "lastModified",
            "last_seen",
            "last-login",
            "LAST_CHANGED",
            "modification_date",
            "mtime",
        ] {
            assert!(is_change_time(name), "{name}");
        }
        for name in ["created_at", "last", "lastname", "id", "updates", "elastic_at", "", "blast_radius"] {
            assert!(!is_change_time(name), "{name}");
        }
    }
}
