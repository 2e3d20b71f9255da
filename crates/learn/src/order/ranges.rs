//! Range filters, found by their effect. Several spellings are sent in one request, each with the value of a different
//! row. The first item of the answer then shows which spelling the upstream reads.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, PlaceForm, RangeForm},
    order::{ValueOrder, upstream_name},
    paging::ends::Sample,
    prober::Base,
    prober::answer::step_into,
    prober::session::{ProbeHalt, ProbeSlot, Session, Setting},
};

/// The spellings of a comparison, each with the words for `{op}`: less, greater, less or equal, greater or equal. An
/// empty word means that the spelling lacks this comparison.
const WAYS: [(&str, [&str; 4]); 13] = [
    ("{field}__{op}={value}", ["lt", "gt", "lte", "gte"]),
    ("{field}[{op}]={value}", ["lt", "gt", "lte", "gte"]),
    ("{field}_{op}={value}", ["lt", "gt", "lte", "gte"]),
    ("{field}[${op}]={value}", ["lt", "gt", "lte", "gte"]),
    ("filter[{field}][{op}]={value}", ["lt", "gt", "lte", "gte"]),
    ("filters[{field}][${op}]={value}", ["lt", "gt", "lte", "gte"]),
    ("{field}.{op}={value}", ["lt", "gt", "lte", "gte"]),
    ("{field}:{op}={value}", ["lt", "gt", "lte", "gte"]),
    ("{op}_{field}={value}", ["", "", "max", "min"]),
    ("{field}_{op}={value}", ["before", "after", "max", "min"]),
    ("{field}_{op}={value}", ["", "", "to", "from"]),
    ("{field}={op}.{value}", ["lt", "gt", "lte", "gte"]),
    ("{field}={op}:{value}", ["lt", "gt", "lte", "gte"]),
];

/// The number of spellings, from the first one, that can be in the same request. The last two are left out, since both
/// use the bare name of the field as their parameter.
const TOGETHER: usize = 11;

/// The index of greater-or-equal among the words of [`WAYS`]. The index of less-or-equal follows.
const GTE: usize = 3;
const LTE: usize = 2;
/// The keys of `filter` in a dialect, in the order of the words of [`WAYS`].
const OPERATIONS: [&str; 4] = ["lt", "gt", "lte", "gte"];

/// The largest number of items that is requested with a filter.
const LARGEST: u32 = 200;

/// The number of requests that are left for later steps.
const KEPT: usize = 4;

/// Finds the range filters on the first key of the order, or on the id if the list is sorted only by it.
pub(crate) async fn find(session: &Session, learnt: &mut Learnt, _: &Base, sample: &Sample) -> Result<(), ProbeHalt> {
    // A list by token is read by its tokens alone, and a filter could be the parameter that leads on. Test:
    // `a_feed_that_includes_the_item_asked_for_is_learnt`.
    let is_numbered = matches!(learnt.place, Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }));
    let may_try = is_numbered && session.target.body.is_none() && session.left() > KEPT;
    let Some(column) = Column::of(learnt, sample).filter(|_| may_try) else { return Ok(()) };
    let onward = if column.descending { LTE } else { GTE };
    // Each spelling gets a different value. The first value is not used, because a filter by it has no effect.
    let places: Vec<usize> = (1..column.starts.len()).take(TOGETHER).collect();
    if places.len() < 2 {
        return Ok(());
    }
    let ways: Vec<usize> = (0..TOGETHER).filter(|way| !WAYS[*way].1[onward].is_empty()).collect();
    let mut way = None;
    let last = places[places.len() - 1];
    for described in column.described(session, onward) {
        let setting = column.setting(described, onward, last);
        // A spelling of the document is only tried first, and needs an effect like any other. Test:
        // `parameters_of_a_document_are_tried_first_and_verified_by_answers`.
        if way.is_none() && column.begins(learnt, session, &[setting]).await? == Some(last) {
            way = Some((described, last));
        }
    }
    for chunk in ways.chunks(places.len()) {
        if way.is_some() {
            break;
        }
        let settings: Vec<Setting> =
            chunk.iter().zip(&places).map(|(way, place)| column.setting(*way, onward, *place)).collect();
        let begins = column.begins(learnt, session, &settings).await?;
        if let Some(found) = begins.and_then(|begins| chunk.iter().zip(&places).find(|(_, place)| begins == **place)) {
            way = Some((*found.0, *found.1));
        }
    }
    // Some upstreams refuse unknown parameters, so the most usual spellings are also tried one by one.
    let single = [0, TOGETHER, TOGETHER + 1, 2];
    for other in single.into_iter().filter(|_| way.is_none()) {
        if session.left() <= KEPT {
            break;
        }
        let setting = column.setting(other, onward, last);
        if column.begins(learnt, session, &[setting]).await? == Some(last) {
            way = Some((other, last));
            break;
        }
    }
    let Some((way, place)) = way else {
        let evidence =
            format!("none of {} ways to write a range of {} changed where the list begins", WAYS.len(), column.name);
        learnt.note(Certainty::Open, "range filters", "none found", evidence);
        return Ok(());
    };
    confirm(session, learnt, &column, way, place).await
}

/// Confirms each comparison of a spelling by its own effect.
async fn confirm(
    session: &Session,
    learnt: &mut Learnt,
    column: &Column,
    way: usize,
    place: usize,
) -> Result<(), ProbeHalt> {
    let mut form = RangeForm::default();
    let mut shown = Vec::new();
    for operation in [GTE, LTE, 1, 0] {
        let word = WAYS[way].1[operation];
        if word.is_empty() || session.left() <= 2 {
            continue;
        }
        let is_onward = matches!(operation, 1 | GTE) != column.descending;
        let is_inclusive = operation >= LTE;
        let setting = column.setting(way, operation, place);
        // Every request has the parameters of the URL already, and of two with one name the upstream could read either.
        // Test: `a_bound_of_the_ids_stays_a_filter`.
        if session.target.fixed.iter().any(|(name, _)| name == setting.0.name()) {
            continue;
        }
        let answer = column.answer(learnt, session, &[setting]).await?;
        let rows = &answer.places;
        // An upstream that returns seconds but compares milliseconds omits some items that are equal to an inclusive
        // bound. Such a filter is not used. Test: `a_filter_that_leaves_out_equal_items_is_not_used`.
        let is_complete = !is_inclusive || column.holds_all(&answer, place);
        let holds = is_complete
            && match (is_onward, rows.first(), rows.last()) {
                (true, Some(first), _) => *first == if is_inclusive { place } else { place + 1 },
                (false, Some(0), Some(last)) => *last == if is_inclusive { place } else { place - 1 },
                _ => false,
            };
        if holds {
            let template = WAYS[way].0.replace("{op}", word);
            shown.push(template.clone());
            form.terms.push((OPERATIONS[operation], template));
        }
    }
    // Pages after an item need a filter in the direction of the list. Without one in the other direction, pages before
    // an item are found by offset. Test: `a_filter_in_one_direction_is_written_if_it_leads_on`.
    let onward = if column.descending { ["lte", "lt"] } else { ["gte", "gt"] };
    if !form.terms.iter().any(|(own, _)| onward.contains(own)) {
        let evidence = format!("{} leads only to the items before a value", shown.join(", "));
        learnt.note(Certainty::Open, "range filters", "not usable", evidence);
        return Ok(());
    }
    form.fields.push(column.known_as.clone());
    let evidence = format!("each began or ended where item {} of the list is", column.starts[place] + 1);
    let used: Vec<&str> = form.terms.iter().map(|(_, template)| template.as_str()).collect();
    learnt.note(Certainty::Shown, "range filters", used.join(", "), evidence);
    learnt.ranges = Some(form);
    Ok(())
}

/// The first key of the order, or the id if the order has no other key, with its values in the sample.
struct Column {
    /// The name of the field in requests.
    name: String,
    /// The name of the field in the order.
    known_as: String,
    pointer: String,
    descending: bool,
    /// The distinct values, in the order of the list.
    values: Vec<String>,
    /// For each value, the index of its first row.
    starts: Vec<usize>,
    /// For each value, the identities of its items.
    items: Vec<BTreeSet<String>>,
}

/// The answer to a filter. `places` are the indices of its values in [`Column::values`], up to the first unknown value.
/// `items` are the identities of its items.
struct Filtered {
    places: Vec<usize>,
    items: BTreeSet<String>,
}

impl Column {
    fn of(learnt: &Learnt, sample: &Sample) -> Option<Self> {
        let order = learnt.order.as_ref()?;
        let (pointer, known_as, name, descending) = match order.keys.first() {
            Some((field, descending)) => {
                let is_ordered =
                    !matches!(field.comparison, ValueOrder::Language | ValueOrder::Rank(_) | ValueOrder::Boolean);
                // The effect of a filter can only be seen if the values can be compared, and no range contains nulls,
                // so other columns are not tried.
                if !is_ordered || field.nulls.is_some() {
                    return None;
                }
                (
                    format!("{}{}", learnt.shape.item, field.pointer),
                    field.name.clone(),
                    field.upstream.clone(),
                    *descending,
                )
            }
            None => {
                let pointer = learnt.shape.id.clone().filter(|id| !id.is_empty())?;
                let asked = learnt.sort.as_ref().and_then(|form| form.id.clone());
                let name = asked.unwrap_or_else(|| upstream_name(&pointer));
                (pointer, "id".to_owned(), name, order.id_descending)
            }
        };
        let (mut values, mut starts) = (Vec::new(), Vec::new());
        let mut items: Vec<BTreeSet<String>> = Vec::new();
        for (at, row) in sample.rows[..sample.first_stretch.min(sample.rows.len())].iter().enumerate() {
            let value = match step_into(row, &pointer)? {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                // Objects, arrays and nulls can't be written in a query, so a column with them is not tried.
                _ => return None,
            };
            if values.last() != Some(&value) {
                starts.push(at);
                values.push(value);
                items.push(BTreeSet::new());
            }
            if let Some(last) = items.last_mut() {
                last.insert(learnt.shape.identity(row));
            }
        }
        // The last value is dropped, because items after the sample may have it too.
        starts.pop();
        values.pop();
        items.pop();
        Some(Self { name, known_as, pointer, descending, values, starts, items })
    }

    /// Returns the indices in [`WAYS`] of the spellings whose parameters the document describes.
    fn described(&self, session: &Session, operation: usize) -> Vec<usize> {
        let is_described = |way: &usize| {
            let (template, words) = WAYS[*way];
            let name = template.split_once('=').map_or(template, |(name, _)| name);
            let name = name.replace("{field}", &self.name).replace("{op}", words[operation]);
            !words[operation].is_empty() && session.documented().parameter(&name).is_some()
        };
        (0..WAYS.len()).filter(is_described).collect()
    }

    fn setting(&self, way: usize, operation: usize, place: usize) -> Setting {
        let (template, words) = WAYS[way];
        let written = |text: &str| {
            text.replace("{field}", &self.name)
                .replace("{op}", words[operation])
                .replace("{value}", &self.values[place])
        };
        let (name, value) = template.split_once('=').unwrap_or((template, ""));
        (ProbeSlot::Query(written(name)), written(value))
    }

    /// Requests an answer, and returns the index of the value with which it begins; `None` if the value is unknown.
    async fn begins(
        &self,
        learnt: &Learnt,
        session: &Session,
        settings: &[Setting],
    ) -> Result<Option<usize>, ProbeHalt> {
        Ok(self.answer(learnt, session, settings).await?.places.first().copied())
    }

    /// Returns whether an answer contains all items of the sample that have the value with the index `place`.
    fn holds_all(&self, answer: &Filtered, place: usize) -> bool {
        self.items[place].is_subset(&answer.items)
    }

    async fn answer(&self, learnt: &Learnt, session: &Session, settings: &[Setting]) -> Result<Filtered, ProbeHalt> {
        // If the upstream can sort by the column, the answer is sorted by it and begins or ends at the bound.
        let sort = learnt.sort.as_ref().filter(|form| form.fields.contains(&self.known_as));
        let sort = sort
            .map(|form| crate::order::sorting::settings(form, &[(&self.name, self.descending)]))
            .unwrap_or_default();
        let size = learnt.size.as_ref().map(|form| {
            let most = form.choices.last().copied().or(form.max).unwrap_or(LARGEST);
            (form.slot.clone(), most.min(LARGEST).to_string())
        });
        let size: Vec<Setting> = size.into_iter().collect();
        let seen = session.ask(&[&size, &sort, settings].concat()).await?;
        let rows = learnt.shape.elements(&seen).unwrap_or_default();
        let texts = rows.iter().map(|row| match step_into(row, &self.pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        });
        let places = texts.map_while(|text| self.values.iter().position(|value| *value == text)).collect();
        let items = learnt.shape.identities(&seen).unwrap_or_default().into_iter().collect();
        Ok(Filtered { places, items })
    }
}
