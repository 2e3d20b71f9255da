//! Checks of the order of a configured list, and of the sorts and filters that requests may use.

use std::sync::Arc;

use serde_json::Value;

use super::{ReadPage, Review};
use crate::{
    Learnt, ListShape, order,
    paging::ends::Sample,
    prober::{answer::step_into, session::ProbeHalt},
};
use cursorgate_config::{diagnostic::Located, settings::SortTerm};
use cursorgate_core::pagination::{
    answer::Answer,
    fetch::Fetch,
    filter::{Comparison, Filter},
    key::KeyValue,
    observed::{AnswerFault, AskedFor, judge},
    order::{Direction, Kind, Ties},
    paging::Family,
    window::Offset,
};
use cursorgate_translate::upstream::{CompiledOrder, ReadingError};

/// The size of the pages with which the fields of `sortable` are checked.
const SORTED: u32 = 100;
/// The size of a page that is requested with a range filter.
const FILTERED: u32 = 5;

/// The largest number of fields of `sortable` that are tried. Further fields aren't checked.
const FIELDS: usize = 4;

/// Returns the help for a wrong order: the order that the rows show, or the advice to remove `order` if they show
/// none.
pub(crate) fn found_order(shape: ListShape, rows: Vec<Value>) -> String {
    let mut learnt = Learnt::new(shape, rows.len());
    order::find(&mut learnt, &Sample::of(rows));
    let Some(found) = learnt.order else { return "remove `order`: no field runs one way".to_owned() };
    let signed = |name: &str, down: bool| format!("{:?}", format!("{}{name}", if down { "-" } else { "" }));
    let mut terms: Vec<String> = found.keys.iter().map(|(field, down)| signed(&field.name, *down)).collect();
    terms.push(signed("id", found.id_descending));
    let by: Vec<String> =
        found.keys.iter().map(|(field, _)| format!("{} {}", field.name, field.comparison.name())).collect();
    let by = if by.is_empty() { String::new() } else { format!(", {}", by.join(", ")) };
    format!("they run by order = [{}]{by}", terms.join(", "))
}

impl Review {
    /// Reports items that are not in the declared order, that can't be compared as the configuration declares, or
    /// whose ids are at fault.
    pub(super) fn check_order(&mut self, wide: &ReadPage) {
        let sorted = Arc::clone(self.list.dialect.default_sorted());
        let Some(fault) = self.judged(wide, &sorted) else { return self.check_opaque(wide) };
        let (at, dialect) =
            (self.list.settings.order.first().map_or(self.list.at, |term| term.at), &self.list.settings.dialect);
        let sort = dialect.sort.as_ref().filter(|_| sorted.asked > 1);
        let repeats = sort.is_some_and(|sort| sort.join.is_none() && sort.max_keys.is_none() && sort.body.is_none());
        match fault {
            // An upstream that reads only one of several sort parameters returns items that are not in the declared
            // order, so the help names the keys for several parameters. Test:
            // `mistakes_in_valid_configurations_are_reported_with_the_key_to_change`.
            AnswerFault::Order(_) if repeats => {
                let message =
                    "the items are not in their declared order, which is asked for by a parameter for each key";
                let help = "write sort.join if the endpoint takes them in one parameter, or sort.max_keys = 1 if it takes one key";
                self.fault(at, message, help);
            }
            AnswerFault::Order(said) => {
                let rows = self.shape().elements(&wide.seen).unwrap_or_default().to_vec();
                let found = found_order(self.shape(), rows);
                self.fault(at, format!("the items are not in their declared order: {said}"), found);
            }
            AnswerFault::Kinds(said) => {
                self.fault(
                    at,
                    format!("the items can't be compared as declared: {said}"),
                    "write the type in fields.NAME.type",
                );
            }
            AnswerFault::Ids(said) => {
                let at =
                    self.place_of(self.list.settings.id.as_ref().or(self.list.settings.dialect.response.id.as_ref()));
                self.fault(at, said, "response.id is the member that tells items apart");
            }
            // `check_size` and `check_cap` report sizes, with the key to change, so they are ignored here.
            AnswerFault::Size(_) => {}
        }
    }

    fn judged(&self, page: &ReadPage, sorted: &CompiledOrder) -> Option<AnswerFault> {
        let answer = page.answer()?.clone();
        let asked = AskedFor { begins: Offset(0), size: None, in_order: true };
        judge(answer, asked, &sorted.order, self.list.dialect.paging()).err()
    }

    /// Reports an opaque first key if no known comparison sorts the list by its values, in either direction. Pages
    /// with fewer than 20 items are not checked.
    fn check_opaque(&mut self, wide: &ReadPage) {
        let order = Arc::clone(&self.list.dialect.default_sorted().order);
        let Some(key) = order.strong().first().filter(|key| key.kind == Kind::Opaque) else { return };
        let shape = self.shape();
        let own = self.list.settings.fields.iter().find(|field| field.name == key.name);
        let pointer =
            own.and_then(|field| field.at.as_ref()).map_or_else(|| format!("/{}", key.name), |at| at.value.clone());
        let rows = shape.elements(&wide.seen).unwrap_or_default();
        let groups = order::whole(rows);
        if rows.len() >= 20 && order::run(rows, &format!("{}{pointer}", shape.item), &groups).is_none() {
            let at = self.list.settings.order.first().map_or(self.list.at, |term| term.at);
            let (message, help) = (
                format!("the items do not run by {} in any order that is known", key.name),
                found_order(shape, rows.to_vec()),
            );
            self.fault(at, message, help);
        }
    }

    /// Reports fields of `sortable` by which the upstream doesn't sort, and fields with the same value in every item
    /// of the first page, unless that page may be the whole list.
    pub(super) async fn check_sorts(&mut self) -> Result<(), ProbeHalt> {
        let fields = self.list.settings.sortable.clone();
        for field in fields.iter().filter(|field| field.value != "id").take(FIELDS) {
            let mut answers = Vec::new();
            // The id gets the opposite direction. Among items with equal values, that reveals an upstream that reads
            // only the first key.
            for (direction, of_id) in
                [(Direction::Ascending, Direction::Descending), (Direction::Descending, Direction::Ascending)]
            {
                let term = SortTerm { field: field.value.clone(), direction };
                let Ok(sorted) = self.list.dialect.sorted(&[term], of_id) else { continue };
                let size = self.size(SORTED);
                let fetch = self.fetch(0, size);
                let page = self.ask(&sorted, &fetch).await?;
                answers.push((page, sorted));
            }
            self.check_sort(field, &answers);
        }
        Ok(())
    }

    fn check_sort(&mut self, field: &Located<String>, answers: &[(ReadPage, CompiledOrder)]) {
        let name = &field.value;
        for (page, sorted) in answers {
            if let Err(ReadingError::Failed { status, .. }) = &page.read {
                self.fault(
                    field.at,
                    format!("the upstream answers {status} to a sort by {name}"),
                    "remove it from `sortable`",
                );
                return;
            }
            if let Some(AnswerFault::Order(said)) = self.judged(page, sorted) {
                let several = sorted.asked > 1
                    && self.list.settings.dialect.sort.as_ref().is_some_and(|sort| sort.join.is_none());
                let help = if several {
                    "the sort is sent once for each key: write sort.join, or sort.max_keys = 1 if the endpoint takes one"
                } else {
                    "remove it from `sortable`, or write how its values compare in `fields`"
                };
                self.fault(field.at, format!("the upstream does not sort by {name}: {said}"), help);
                return;
            }
        }
        let [(up, sorted), (down, _)] = answers else { return };
        // If the sort is ignored, both answers are in the list's own order. Two items may have equal values, so at
        // least three are compared.
        if up.ids.len() > 2 && up.ids == down.ids {
            self.fault(field.at, format!("both directions of {name} gave the same items"), "remove it from `sortable`");
            return;
        }
        let shape = self.shape();
        let own = self.list.settings.fields.iter().find(|own| own.name == *name);
        let pointer = own.and_then(|own| own.at.as_ref()).map_or_else(|| format!("/{name}"), |at| at.value.clone());
        let rows = shape.elements(&up.seen).unwrap_or_default();
        let values: Vec<Option<&Value>> =
            rows.iter().map(|row| step_into(row, &format!("{}{pointer}", shape.item))).collect();
        let equal = values.iter().filter(|value| **value == values[0]).count();
        // If the page is the whole list, its tie run can be read as a whole, so clients get no 409 and nothing is
        // reported.
        let by_token = self.list.dialect.paging().family == Family::Token;
        let goes_on = |answer: &Answer| answer.more.unwrap_or_else(|| !by_token || answer.next.is_some());
        let has_more = up.answer().is_some_and(goes_on);
        if sorted.order.ties() == Ties::Unordered && equal >= 20 && equal == values.len() && has_more {
            let message = format!(
                "the first {equal} items of a sort by {name} have the same value, and the upstream orders them in no way"
            );
            let help = "remove it from `sortable`: clients get 422 tie_run, because equal items are used as a whole";
            self.fault(field.at, message, help);
        }
    }

    /// Reports a range filter on the first key of the order that the upstream refuses, or that has no effect.
    pub(super) async fn check_filter(&mut self, wide: &ReadPage) -> Result<(), ProbeHalt> {
        let sorted = Arc::clone(self.list.dialect.default_sorted());
        let Some(filterable) = self.list.settings.filterable.first().cloned() else { return Ok(()) };
        let (Some(filters), Some(_)) = (&sorted.filters, wide.answer()) else { return Ok(()) };
        let (Some(column), Some(key)) = (filters.columns.first(), sorted.order.keys().next()) else { return Ok(()) };
        let onward =
            if key.direction == Direction::Ascending { Comparison::GreaterOrEqual } else { Comparison::LessOrEqual };
        let has = if key.direction == Direction::Ascending { column.greater_or_equal } else { column.less_or_equal };
        let name = sorted.order.strong().first().map_or("id", |key| key.name.as_str());
        let shape = self.shape();
        let rows = shape.elements(&wide.seen).unwrap_or_default();
        let middle = rows.len() / 2;
        let pointer = if sorted.order.strong().is_empty() {
            shape.id.clone().unwrap_or_default()
        } else {
            let own = self.list.settings.fields.iter().find(|own| own.name == name);
            let inner = own.and_then(|own| own.at.as_ref()).map_or_else(|| format!("/{name}"), |at| at.value.clone());
            format!("{}{inner}", shape.item)
        };
        let value = rows.get(middle).and_then(|row| step_into(row, &pointer)).cloned();
        let value = value.as_ref().map(Value::to_string).and_then(|raw| KeyValue::of_strong(&key.kind, raw.as_bytes()));
        let is_first = rows.first().and_then(|row| step_into(row, &pointer))
            == rows.get(middle).and_then(|row| step_into(row, &pointer));
        // A filter by the value of the first item would not change the first item of the answer, so no filter is
        // tried.
        let (true, Some(value), false) = (has, value, is_first) else { return Ok(()) };
        let filter = Some(Arc::new(Filter::Compare { column: 0, comparison: onward, value: Some(value) }));
        let size = self.size(FILTERED);
        let mut fetch = self.fetch(0, size);
        if let Fetch::Slice(_, listing) = &mut fetch {
            listing.filter = filter;
        } else {
            return Ok(());
        }
        let page = self.ask(&sorted, &fetch).await?;
        let name = name.to_owned();
        if let Err(ReadingError::Failed { status, .. }) = &page.read {
            let message = format!("the upstream answers {status} to a range filter on {name}");
            self.fault(filterable.at, message, "remove it from `filterable`, or correct [filter] of the dialect");
        } else if page.ids.first() == wide.ids.first() {
            let message =
                format!("a range filter on {name} has no effect: the answer begins with the first item of the list");
            self.fault(filterable.at, message, "remove it from `filterable`, or correct [filter] of the dialect");
        }
        Ok(())
    }
}
