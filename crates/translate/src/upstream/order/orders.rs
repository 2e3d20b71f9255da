//! The orders of a route: the declared order, and the orders that clients choose.

use std::sync::Arc;

use super::{
    fields::DialectFields,
    filter::FilterTemplate,
    guarantee::Modes,
    sort::{CompiledOrder, SortTemplate, Unsortable, UpstreamKey},
};
use crate::upstream::response::reading::ResponseReader;
use cursorgate_config::{
    settings::{ListSettings, Mode, SortTerm},
    sort_form::SortForm,
};
use cursorgate_core::{
    json::{Edits, Pointer, Shape},
    pagination::{
        filter::Filters,
        order::{Direction, Kind, Nulls, Order, Ties},
    },
};

/// The parts of a dialect and its route from which orders are compiled.
#[derive(Clone, Debug)]
pub struct Orders {
    /// The sort of the dialect; `None` if the upstream can't be asked for an order.
    pub sort: Option<SortTemplate>,
    pub fields: DialectFields,
    /// The filters of the dialect; `None` if the dialect has no filters.
    pub filter: Option<FilterTemplate>,
    modes: Modes,
    /// The places that are read from answers, without the columns of an order.
    shape: Shape,
    /// The place of an item's token; `None` if the id is the token, or if items have no token.
    item_token: Option<Pointer>,
}

impl Orders {
    pub fn new(
        sort: Option<SortTemplate>,
        fields: DialectFields,
        filter: Option<FilterTemplate>,
        modes: Modes,
        reading: &ResponseReader,
    ) -> Self {
        let shape = Shape {
            items: reading.items.clone(),
            item: reading.item.clone(),
            columns: Vec::new(),
            facts: reading.facts.clone(),
            object: reading.object,
        };
        let item_token = reading.tokens.as_ref().and_then(|tokens| tokens.of_item.clone());
        Self { sort, fields, filter, modes, shape, item_token }
    }

    /// Compiles the declared order. Requests ask for this order if the endpoint can sort by all its fields, and then
    /// also for the id if the endpoint can sort by the id. Without the id, the order of ties is unknown, unless the
    /// route states it.
    pub fn declared(&self, list: &ListSettings) -> CompiledOrder {
        if !list.declared {
            return self.compile(self.fields.no_order(), 0, None);
        }
        let terms: Vec<SortTerm> = list.order.iter().map(|term| term.value.clone()).collect();
        let order = self.fields.order(&terms, list.id_direction);
        let can_sort = terms.iter().all(|term| self.fields.can_sort_by(&term.field));
        let is_whole = self.sort.as_ref().is_some_and(SortTemplate::is_whole);
        let keys = match (can_sort, self.fields.can_sort_by_id()) {
            // A sort without fields asks for the upstream's only order, in one direction for all keys.
            _ if is_whole => {
                if runs_one_way(&order) {
                    order.columns()
                } else {
                    0
                }
            }
            (false, _) => 0,
            (true, true) => order.columns(),
            // Ties then come in any order, so they are used as whole runs. Test:
            // `an_order_is_requested_without_the_id_if_the_id_is_not_sortable`.
            (true, false) => order.strong().len(),
        };
        // An order by only the id has no ties, so the route's `ties` doesn't apply to it. Test:
        // `the_order_is_requested_up_to_the_sortable_keys`.
        let ties = list.ties.filter(|_| !order.strong().is_empty());
        self.compile(order, keys, ties)
    }

    /// Compiles an order that a client chose, or returns the declared order if the two are the same. Requests ask for
    /// the id if the endpoint can sort by it.
    ///
    /// # Errors
    ///
    /// Returns [`Unsortable`] if no page of the order could be found or proven, or if the upstream can't be asked for
    /// all strong keys. A key that the upstream didn't sort by would contradict the order on every page.
    pub fn chosen(
        &self,
        declared: &CompiledOrder,
        terms: &[SortTerm],
        id_direction: Direction,
    ) -> Result<CompiledOrder, Unsortable> {
        let order = self.fields.order(terms, id_direction);
        if declared.order.is_declared()
            && order.strong() == declared.order.strong()
            && order.id() == declared.order.id()
        {
            // The declared order keeps the properties that the route states for it, such as `ties`. Test:
            // `clients_choose_an_order`.
            return Ok(declared.clone());
        }
        if !self.modes.finds(&order) {
            let first = order.strong().first().unwrap_or_else(|| order.id());
            return Err(Unsortable::Unplaced(first.name.clone()));
        }
        if self.sort.as_ref().is_some_and(SortTemplate::is_whole) {
            return self.turned(declared, order);
        }
        // If another key follows values that compare only for equality, no page could be proven, so the order is
        // refused. Test: `an_order_that_a_client_chose_has_a_mode_of_its_own`.
        if let Some(key) = order.strong().iter().rev().skip(1).find(|key| key.kind == Kind::Opaque) {
            return Err(Unsortable::Opaque(key.name.clone()));
        }
        let most = self.sort.as_ref().map_or(0, |sort| sort.asked(order.strong().len()));
        // The gateway itself sorts ties by the id, but by no other key, so each strong key must be requested. Test:
        // `a_sort_by_more_keys_than_max_keys_is_refused`.
        if most < order.strong().len() {
            return Err(Unsortable::TooManyKeys(most));
        }
        let keys = order.strong().len() + usize::from(self.fields.can_sort_by_id());
        // The route's `ties` applies only to its declared order. Test: `clients_choose_an_order`.
        Ok(self.compile(order, keys, None))
    }

    /// Returns the declared order or its reverse, for an upstream whose sort names no field. The id is reversed with
    /// the other keys.
    fn turned(&self, declared: &CompiledOrder, order: Order) -> Result<CompiledOrder, Unsortable> {
        let direction = order.strong().first().map_or_else(|| order.id().direction, |key| key.direction);
        let order = order.with_id_direction(direction);
        let names = |order: &Order| order.strong().iter().map(|key| key.name.clone()).collect::<Vec<_>>();
        let is_declared = declared.asked > 0 && names(&order) == names(&declared.order) && runs_one_way(&order);
        if !is_declared {
            return Err(Unsortable::OneOrder);
        }
        let columns = order.columns();
        Ok(self.compile(order, columns, None))
    }

    /// Returns the decoded names of the parameters that filter by the route's fields.
    pub fn filter_names(&self, list: &ListSettings) -> Vec<String> {
        let fields = list.filterable.iter().map(|field| self.fields.upstream_name(&field.value));
        self.filter.as_ref().map(|filter| filter.all_names(fields)).unwrap_or_default()
    }

    /// Returns the form for reading the upstream's own sort parameters in a client's query; `None` if the dialect has
    /// no sort.
    pub fn form(&self) -> Option<SortForm> {
        let sort = self.sort.as_ref()?;
        let keys: Vec<(&str, UpstreamKey<'_>)> = self
            .fields
            .sortable()
            .map(|(name, nulls)| {
                let field = self.fields.upstream_name(name);
                (name, UpstreamKey { field, direction: Direction::Ascending, nulls })
            })
            .collect();
        Some(sort.form(&keys))
    }

    /// Compiles an order. Requests ask for its first `keys` keys, up to the number that the upstream accepts. `ties` is
    /// the order of ties that the route states; `None` if it follows from the keys.
    fn compile(&self, order: Order, keys: usize, ties: Option<Ties>) -> CompiledOrder {
        let (query, asked) = self.sort_by(&order, 0..keys);
        // Ties are ordered only if requests also ask for the id. An order by only the id has no ties.
        let id_decides = order.strong().is_empty() || asked == order.columns();
        let ordered = if id_decides && order.is_declared() { Ties::Ordered } else { Ties::Unordered };
        let order = order.with_ties(ties.unwrap_or(ordered));
        let mut shape = self.shape.clone();
        shape.columns = order.keys().map(|key| self.fields.pointer(&key.name)).collect();
        shape.columns.extend(self.item_token.clone());
        let flips = self.flips(&order, asked);
        let id_at = order.strong().len();
        let by_names = self.sort.as_ref().is_some_and(|sort| !sort.is_whole());
        // A long tie run is read in the order of only the id. Test: `a_tie_run_is_requested_sorted_by_the_id_alone`.
        let sorts_by_id = order.is_declared() && by_names && self.fields.can_sort_by_id();
        let [mut flipped, mut by_id, mut by_id_flipped] = [(); 3].map(|()| String::new());
        let mut edits = [self.edits_by(&order, 0..asked), Edits::new(), Edits::new(), Edits::new()];
        if flips {
            flipped = self.sort_by(&order.flipped(), 0..keys).0;
            edits[1] = self.edits_by(&order.flipped(), 0..asked);
        }
        if sorts_by_id {
            by_id = self.sort_by(&order, id_at..id_at + 1).0;
            by_id_flipped = self.sort_by(&order.flipped(), id_at..id_at + 1).0;
            edits[2] = self.edits_by(&order, id_at..id_at + 1);
            edits[3] = self.edits_by(&order.flipped(), id_at..id_at + 1);
        }
        let mode = self.modes.of(&order, flips);
        let by_keys = matches!(mode, Mode::Keyset | Mode::Seek) && self.modes.filter_shows(&order).is_some();
        let filters = self.filter.as_ref().filter(|_| by_keys);
        let filters = filters.map(|filter| filter.filters(&order, &self.fields, sorts_by_id)).map(Arc::new);
        // Pages before an item are read by filters in the flipped list.
        let filters_back = by_keys && flips && self.modes.filter_shows(&order.flipped()).is_some();
        let order = Arc::new(order);
        CompiledOrder {
            order,
            query,
            asked,
            flips,
            filters_back,
            filters,
            mode,
            flipped,
            by_id,
            by_id_flipped,
            edits,
            shape,
        }
    }

    /// Writes the query that asks for these keys of an order, up to the number that the upstream accepts. Also returns
    /// the number of keys in the query.
    fn sort_by(&self, order: &Order, keys: std::ops::Range<usize>) -> (String, usize) {
        let Some(sort) = self.sort.as_ref().filter(|_| !keys.is_empty()) else {
            return (String::new(), 0);
        };
        let wanted = &self.upstream_keys(order)[keys];
        (sort.render(wanted), sort.asked(wanted.len()))
    }

    /// Returns the body edits that ask for these keys of an order, up to the number that the upstream accepts.
    fn edits_by(&self, order: &Order, keys: std::ops::Range<usize>) -> Edits {
        match self.sort.as_ref().filter(|_| !keys.is_empty()) {
            Some(sort) => sort.edits(&self.upstream_keys(order)[keys]),
            None => Edits::new(),
        }
    }

    /// Returns the keys of an order under their upstream names, the id last.
    fn upstream_keys<'a>(&'a self, order: &'a Order) -> Vec<UpstreamKey<'a>> {
        let keys = order.keys();
        keys.map(|key| UpstreamKey {
            field: self.fields.upstream_name(&key.name),
            direction: key.direction,
            nulls: key.nulls,
        })
        .collect()
    }

    /// Returns whether the list can be requested in reverse. Requests must ask for all keys that the order promises:
    /// the strong keys, and the id if ties are ordered. Nulls that stay at one end in either direction must be movable
    /// to the other end.
    fn flips(&self, order: &Order, asked: usize) -> bool {
        let Some(sort) = &self.sort else {
            return false;
        };
        // A promised key that requests leave out wouldn't be reversed, so requests must ask for each. Test:
        // `an_order_can_be_flipped_only_if_all_its_keys_are_requested`.
        let promised = match order.ties() {
            Ties::Ordered => order.columns(),
            Ties::Unordered => order.strong().len(),
        };
        // Nulls that stay at one end would be at the wrong end of the flipped list, so the sort must be able to move
        // them. Test: `an_order_flips_only_if_its_nulls_move_with_it`.
        let nulls_turn = |nulls: Nulls| !matches!(nulls, Nulls::First | Nulls::Last) || sort.places_nulls();
        order.is_declared() && asked > 0 && asked >= promised && order.strong().iter().all(|key| nulls_turn(key.nulls))
    }

    /// Returns the filters of an order; `None` if the order has no filters, or if they can't be combined with the
    /// client's.
    pub fn filters_beside(&self, sorted: &CompiledOrder, client: &str) -> Option<Arc<Filters>> {
        let filters = sorted.filters.as_ref()?;
        let agrees = || {
            let filter = self.filter.as_ref()?;
            filter.agrees_with(filters, &sorted.order, &self.fields, client).then_some(())
        };
        (client.is_empty() || agrees().is_some()).then(|| Arc::clone(filters))
    }
}

/// Returns whether all keys of an order have the same direction.
fn runs_one_way(order: &Order) -> bool {
    order.strong().iter().all(|key| key.direction == order.id().direction)
}
