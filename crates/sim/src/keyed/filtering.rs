//! Range filters as the model upstream applies them: to stored values, which are finer than the shown ones, and with
//! nulls as in SQL, where no comparison with null is true.

use std::cmp::Ordering;

use cursorgate_core::pagination::{
    fetch::Listing,
    filter::{Comparison, Comparisons, Filter, Filters},
    key::KeyValue,
};

use crate::keyed::{
    row::{Place, Shape},
    stored::Stored,
    traits::{Reads, Traits},
    values::Column,
};

/// A filter whose values are parsed into stored values.
#[derive(Debug)]
pub(crate) enum Wanted {
    Compare { column: usize, comparison: Comparison, value: Stored },
    All(Vec<Self>),
    Any(Vec<Self>),
}

impl Wanted {
    /// Parses a filter. With `as_text`, the upstream compares numbers as strings.
    ///
    /// # Errors
    ///
    /// Returns a message that names the comparison whose value doesn't belong to its column.
    pub(crate) fn read(filter: &Filter, shape: &Shape, as_text: bool, reads: Reads) -> Result<Self, String> {
        let each = |parts: &[Filter]| {
            parts.iter().map(|part| Self::read(part, shape, as_text, reads)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match filter {
            Filter::And(parts) => Self::All(each(parts)?),
            Filter::Or(parts) => Self::Any(each(parts)?),
            Filter::Compare { column, comparison, value } => {
                let read = shape.column(*column).zip(Some(value.as_ref().unwrap_or(&KeyValue::Null)));
                let value = read.and_then(|(column, value)| Some(column.misread(column.read(value)?, reads)));
                let value = value.ok_or_else(|| format!("not a value of its column: {filter:?}"))?;
                let value = if as_text { value.into_text() } else { value };
                Self::Compare { column: *column, comparison: *comparison, value }
            }
        })
    }

    /// Returns whether a row with these stored values passes the filter.
    pub(crate) fn passes(&self, stored: &[Stored; 3]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.passes(stored)),
            Self::Any(parts) => parts.iter().any(|part| part.passes(stored)),
            Self::Compare { column, comparison, value } => {
                let own = &stored[*column];
                let ordering = match (own, value) {
                    // With `Lie::FiltersCompareText` the value is a string, so the stored number is also compared as a
                    // string.
                    (Stored::Number(_), Stored::Bytes(_)) => own.clone().into_text().compare(value),
                    _ => own.compare(value),
                };
                match comparison {
                    Comparison::Null => *own == Stored::Null,
                    Comparison::NotNull => *own != Stored::Null,
                    Comparison::Less => ordering == Some(Ordering::Less),
                    Comparison::LessOrEqual => ordering.is_some_and(Ordering::is_le),
                    Comparison::Greater => ordering == Some(Ordering::Greater),
                    Comparison::GreaterOrEqual => ordering.is_some_and(Ordering::is_ge),
                    Comparison::Equal => ordering == Some(Ordering::Equal),
                }
            }
        }
    }

    /// Returns whether the filter, or one of its alternatives, compares the first key.
    pub(crate) fn compares_the_first_key(&self, shape: &Shape) -> bool {
        match self {
            Self::Any(any) => any.iter().any(|filter| filter.compares_the_first_key(shape)),
            Self::Compare { column: 0, .. } => !shape.strong.is_empty(),
            _ => false,
        }
    }

    /// Returns whether every row that could follow the last row shown would pass the filter; with `before`, every row
    /// that could precede the first row shown. The filtered list then ends where the whole list ends.
    pub(crate) fn lets_the_last_through(&self, shape: &Shape, before: bool, shown: Option<Place>) -> bool {
        let mut farthest = [Stored::Null, Stored::Null, Stored::Null];
        let mut place: Place = [0; 3];
        for (index, column) in shape.strong.iter().chain([&shape.id]).enumerate() {
            let ordinal = if column.descending == before { i64::from(Column::most(column.look)) - 1 } else { 0 };
            farthest[index] = column.stored(Some(ordinal), 0);
            place[if index == shape.strong.len() { 2 } else { index }] = column.rank(Some(ordinal));
        }
        let is_beyond = |place: Place| shown.is_none_or(|shown| if before { place < shown } else { place > shown });
        let mut all = !is_beyond(place) || self.passes(&farthest);
        // Rows with nulls may be at the end of the list, and a range lets no null through, as in SQL.
        for (index, column) in shape.strong.iter().enumerate().filter(|(_, column)| column.has_nulls()) {
            let (mut null, mut stands) = (farthest.clone(), place);
            null[index] = Stored::Null;
            stands[index] = column.rank(None);
            all &= !is_beyond(stands) || self.passes(&null);
        }
        all
    }
}

/// Returns the fault of a listing that the core requests although the route doesn't declare it; `None` if it is
/// declared.
pub(crate) fn forbids(listing: &Listing, traits: &Traits, shape: &Shape) -> Option<String> {
    if listing.flipped && !traits.flips {
        return Some("asked for the flipped order, which the upstream does not have".to_owned());
    }
    let filters = traits.filtering.as_ref().map(|filtering| &*filtering.filters);
    if listing.by_id {
        let mut fixed = Vec::new();
        if let Some(filter) = &listing.filter {
            fixed_columns(filter, &mut fixed);
        }
        let one_run = (0..shape.strong.len()).all(|column| fixed.contains(&column));
        if !(one_run && filters.is_some_and(|filters| filters.sorts_by_id)) {
            return Some(format!("asked for the list by id only: {listing:?}"));
        }
    }
    match (listing.filter.as_deref(), filters) {
        (None, _) => None,
        (Some(filter), None) => Some(format!("filtered, although the upstream has no filters: {filter:?}")),
        (Some(filter), Some(filters)) => refuses(filter, filters),
    }
}

/// Collects the columns in which all rows that pass the filter are equal.
fn fixed_columns(filter: &Filter, fixed: &mut Vec<usize>) {
    match filter {
        Filter::Compare { column, comparison: Comparison::Equal | Comparison::Null, .. } => fixed.push(*column),
        Filter::And(parts) => parts.iter().for_each(|part| fixed_columns(part, fixed)),
        Filter::Compare { .. } | Filter::Or(_) => {}
    }
}

fn refuses(filter: &Filter, filters: &Filters) -> Option<String> {
    match filter {
        Filter::And(_) if !filters.both => Some("several comparisons at once".to_owned()),
        Filter::Or(_) if !filters.either => Some("alternatives".to_owned()),
        Filter::And(parts) | Filter::Or(parts) => {
            let empty = parts.is_empty().then(|| "nothing to compare".to_owned());
            empty.or_else(|| parts.iter().find_map(|part| refuses(part, filters)))
        }
        Filter::Compare { column, comparison, value } => {
            let allowed = filters.columns.get(*column).is_some_and(|known| can(known, *comparison));
            let is_null_test = matches!(comparison, Comparison::Null | Comparison::NotNull);
            let valued = value.as_ref().is_some_and(|value| *value != KeyValue::Null) != is_null_test;
            (!(allowed && valued)).then(|| format!("asked to compare what can't be: {filter:?}"))
        }
    }
}

fn can(known: &Comparisons, comparison: Comparison) -> bool {
    match comparison {
        Comparison::Less => known.less,
        Comparison::LessOrEqual => known.less_or_equal,
        Comparison::Greater => known.greater,
        Comparison::GreaterOrEqual => known.greater_or_equal,
        Comparison::Equal => known.equal,
        Comparison::Null | Comparison::NotNull => known.nulls,
    }
}
