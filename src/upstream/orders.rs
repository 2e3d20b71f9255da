//! The orders of a route: the declared one, and those that clients choose.

use std::sync::Arc;

use super::{
    fields::Fields,
    reading::Reading,
    sort::{SortTemplate, Sorted, UpstreamKey},
};
use crate::{
    config::settings::SortTerm,
    json::Shape,
    pagination::order::{Direction, Order, Ties},
};

/// Everything that an order is compiled with.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    /// How the upstream is asked for an order; none where it can't be.
    pub(super) sort: Option<SortTemplate>,
    /// What orders may name.
    pub(super) fields: Fields,
    /// What answers are read for, without the columns.
    shape: Shape,
}

impl Orders {
    /// Takes the parts together.
    pub(super) fn new(sort: Option<SortTemplate>, fields: Fields, reading: &Reading) -> Self {
        let shape = Shape {
            items: reading.items.clone(),
            item: reading.item.clone(),
            columns: Vec::new(),
            facts: reading.facts.clone(),
        };
        Self { sort, fields, shape }
    }

    /// The declared order. It is asked for where every field of it, the id included, can be sorted by. `ties` is what
    /// the route says of them.
    pub(super) fn declared(&self, terms: &[SortTerm], id_direction: Direction, ties: Option<Ties>) -> Sorted {
        let order = self.fields.order(terms, id_direction);
        let can_sort = self.fields.can_sort_by_id() && terms.iter().all(|term| self.fields.can_sort_by(&term.field));
        let keys = if can_sort { order.columns() } else { 0 };
        let ties = ties.filter(|_| !order.strong.is_empty());
        self.compile(order, keys, ties)
    }

    /// An order that a client chose, unless it is the declared one. The id is asked for where it can be sorted by.
    pub(super) fn chosen(&self, declared: &Sorted, terms: &[SortTerm], id_direction: Direction) -> Sorted {
        let order = self.fields.order(terms, id_direction);
        if order.strong == declared.order.strong && order.id == declared.order.id {
            return declared.clone();
        }
        let keys = order.strong.len() + usize::from(self.fields.can_sort_by_id());
        self.compile(order, keys, None)
    }

    /// Compiles an order of which the first `keys` keys are to be asked for.
    fn compile(&self, mut order: Order, keys: usize, ties: Option<Ties>) -> Sorted {
        let mut query = String::new();
        let mut asked = 0;
        if let Some(sort) = self.sort.as_ref().filter(|_| keys > 0) {
            let wanted: Vec<UpstreamKey<'_>> = order
                .strong
                .iter()
                .chain([&order.id])
                .take(keys)
                .map(|key| UpstreamKey {
                    field: self.fields.upstream_name(&key.name),
                    direction: key.direction,
                    nulls: key.nulls,
                })
                .collect();
            asked = sort.asked(wanted.len());
            query = sort.render(&wanted);
        }
        // Ties are in order only where the id was asked for too; an order by the id alone has none.
        let id_decides = order.strong.is_empty() || asked == order.columns();
        order.ties = ties.unwrap_or(if id_decides { Ties::Ordered } else { Ties::Unordered });
        let mut shape = self.shape.clone();
        shape.columns = order.strong.iter().chain([&order.id]).map(|key| self.fields.pointer(&key.name)).collect();
        Sorted { order: Arc::new(order), query, asked, shape }
    }
}
