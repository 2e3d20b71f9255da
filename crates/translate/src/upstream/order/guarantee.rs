//! The guarantee of a route: the mode by which the pages of an order are found, and the best level of these pages.

use super::{
    mode::{Obstacle, keyset_obstacle, shows_its_end},
    sort::CompiledOrder,
};
use crate::upstream::template::places::Places;
use cursorgate_config::settings::{ListSettings, Mode, SortTerm};
use cursorgate_core::pagination::{
    order::{Direction, Order, SortKey},
    page::Level,
    paging::{Family, Paging, Sizes},
    resolver::Verify,
};

/// The guarantee for the pages of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guarantee {
    /// The mode; never [`Mode::Auto`].
    pub mode: Mode,
    /// The reason for the mode, as a clause: `created_at can be filtered by, and the order asked for from its end`.
    pub why: String,
    /// The best level that a page can have.
    pub level: Level,
    /// The obstacle to the next level, as a clause; `None` at the highest level.
    pub keeps_from_next: Option<String>,
}

/// The modes of a route's orders.
#[derive(Clone, Debug)]
pub struct Modes {
    wanted: Mode,
    by_token: bool,
    /// `true` if pages can be found only by ranges.
    by_range: bool,
    /// `true` if items can be looked up by id.
    looks_up: bool,
    first_keys: Vec<FirstKey>,
}

/// A key by which pages can be found if an order begins with it.
#[derive(Clone, Debug)]
struct FirstKey {
    term: SortTerm,
    /// `true` if filters on the key include the anchor.
    shows_anchor: bool,
}

/// Returns the first key of an order.
fn first_term(order: &Order) -> SortTerm {
    let SortKey { name, direction, .. } = order.strong().first().unwrap_or_else(|| order.id());
    SortTerm { field: name.clone(), direction: *direction }
}

impl Modes {
    /// Examines all fields that can be the first key of an order of this route.
    pub fn new(list: &ListSettings, places: Places) -> Self {
        let ordered = list.order.iter().map(|term| term.value.field.as_str());
        let sortable = list.sortable.iter().map(|field| field.value.as_str());
        let names = ordered.chain(sortable).chain(["id"]);
        let terms = names.flat_map(|name| {
            let in_direction = |direction| SortTerm { field: name.to_owned(), direction };
            [Direction::Ascending, Direction::Descending].map(in_direction)
        });
        let usable = terms.filter(|term| keyset_obstacle(list, places, Some(term)).is_none());
        Self {
            wanted: list.mode.value,
            by_token: places == Places::Tokens,
            by_range: places == Places::Ranges,
            looks_up: list.dialect.item.is_some(),
            first_keys: usable.map(|term| FirstKey { shows_anchor: shows_its_end(list, &term), term }).collect(),
        }
    }

    /// Returns the mode of this order. If the route's mode needs filters and this order's first key has no filters,
    /// pages are found by offset.
    pub fn of(&self, order: &Order, flips: bool) -> Mode {
        if self.by_token {
            return Mode::Token;
        }
        match (self.wanted, self.filter_shows(order)) {
            // An order by only the id has no keys to look up, so it needs no look-ups by id.
            (Mode::Seek, _) if order.places_items() && (self.looks_up || order.strong().is_empty()) => Mode::Seek,
            (Mode::Keyset, Some(_)) => Mode::Keyset,
            // Pages before an item are read from the flipped list, so the list must flip. Test:
            // `the_strongest_mode_is_chosen_and_reported_with_its_reason`.
            (Mode::Auto, Some(true)) if flips => Mode::Keyset,
            // Without offsets a range is the only way to a page, so the list needn't flip. Test:
            // `a_feed_without_offsets_is_read_by_ranges_of_ids`.
            (Mode::Auto, Some(_)) if self.by_range => Mode::Keyset,
            _ => Mode::Offset,
        }
    }

    /// Returns whether pages of this order can be found at all. Without offsets, they can be found only by filters.
    pub fn finds(&self, order: &Order) -> bool {
        !self.by_range || self.filter_shows(order).is_some()
    }

    /// Returns whether filters on the first key include the anchor; `None` if pages of this order can't be found by
    /// filters.
    pub fn filter_shows(&self, order: &Order) -> Option<bool> {
        let first = first_term(order);
        let usable = self.first_keys.iter().find(|key| key.term == first).filter(|_| order.places_items());
        usable.map(|key| key.shows_anchor)
    }
}

/// Returns the guarantee for the pages of an order.
pub fn guarantee(list: &ListSettings, paging: &Paging, places: Places, sorted: &CompiledOrder) -> Guarantee {
    let (level, keeps_from_next) = level(list, paging, sorted);
    Guarantee { mode: sorted.mode, why: why(list, places, sorted), level, keeps_from_next }
}

fn why(list: &ListSettings, places: Places, sorted: &CompiledOrder) -> String {
    let order = &sorted.order;
    let term = first_term(order);
    let first = &term.field;
    let dialect = &list.dialect.name;
    let obstacle = keyset_obstacle(list, places, order.is_declared().then_some(&term));
    let missing = |Obstacle { needs, help }: Obstacle| {
        format!("keyset, whose pages cost the same at any depth, needs {needs}: {help}")
    };
    let word = list.mode.value.word();
    match sorted.mode {
        Mode::Token => format!("{dialect} pages by the values that it hands out"),
        Mode::Keyset if list.mode.value == Mode::Keyset => format!("mode = {word:?}; {first} can be filtered by"),
        Mode::Keyset if !sorted.flips => format!("{dialect} takes no place, and {first} can be filtered by"),
        Mode::Keyset => format!("{first} can be filtered by, and the order asked for from its end"),
        Mode::Seek => match obstacle {
            None => format!("mode = {word:?}; {first} can be filtered by"),
            Some(obstacle) => format!("mode = {word:?}; places are searched for, since {}", missing(obstacle)),
        },
        Mode::Offset | Mode::Auto if list.mode.value == Mode::Offset => format!("mode = {word:?}"),
        Mode::Offset | Mode::Auto => match obstacle {
            Some(obstacle) => missing(obstacle),
            None if !sorted.flips => {
                format!("{first} can be filtered by, and {dialect} can't be asked for the order from its end")
            }
            None => format!("{dialect} has no ranges of {first} that include their own end: lte and gte, or eq and or"),
        },
    }
}

/// Returns the best level of a page, and the obstacle to the next level; `None` if there is no higher level.
fn level(list: &ListSettings, paging: &Paging, sorted: &CompiledOrder) -> (Level, Option<String>) {
    let order = &sorted.order;
    let name = &list.dialect.name;
    if list.verify == Verify::Never {
        return (Level::Positional, Some("verify = \"never\": nothing is proven".to_owned()));
    }
    if !order.is_declared() {
        let help = "the route declares no order: order = [\"-created_at\", \"id\"] says how its list is sorted";
        return (Level::Anchored, Some(help.to_owned()));
    }
    // The upstream may take two spellings for equal. If it sorts ties by id, the ids show where a run of such spellings
    // ends. Test: `a_level_comes_with_the_obstacle_to_the_next`.
    let by_token = paging.family == Family::Token;
    let opaque = order.strong().last().filter(|_| order.ends_opaque() && (by_token || !order.places_items()));
    if let Some(key) = opaque {
        let collation =
            list.fields.iter().find(|field| field.name == key.name).and_then(|field| field.collation.as_ref());
        let rules =
            collation.map_or_else(|| "rules of its own".to_owned(), |collation| format!("its collation {collation:?}"));
        let but = if by_token { "tokens lead to no place in it" } else { "equal ones in any order" };
        let why =
            format!("the upstream sorts {} by {rules}, and {but}: nothing shows which spellings are equal", key.name);
        return (Level::Anchored, Some(why));
    }
    let checked = |why: String| (Level::Checked, Some(why));
    if paging.family == Family::Token {
        // In a list that is sorted by id, the id of an item continues the list like an exclusive filter.
        let response = &list.dialect.response;
        let by_id = paging.tokens.by_item
            && order.strong().is_empty()
            && response
                .item_token
                .as_ref()
                .is_none_or(|token| Some(&token.value) == response.id.as_ref().map(|id| &id.value));
        // Any other token might be an offset. The removal of an earlier item would then go unnoticed, so the level is
        // `anchored`.
        return match by_id {
            true => checked(format!("{name} lists the items after an item, and no answer shows that item again")),
            false => {
                let why = format!("{name} hands out tokens, and no answer shows the items before the place of a token");
                (Level::Anchored, Some(why))
            }
        };
    }
    if paging.hidden {
        return checked(format!("{name} hides items after the limit, so an end is only seen by asking twice"));
    }
    let by_filter = sorted.filters.is_some();
    let first = first_term(order);
    if by_filter && !shows_its_end(list, &first) {
        let first = first.field;
        return checked(format!("{name} filters {first} without its own value, so no answer shows where it begins"));
    }
    // A page of the flipped list shows both sides of the boundary between two pages, so only lists that don't flip are
    // limited here.
    let aligned = paging.family == Family::Page && !by_filter && !sorted.flips;
    match paging.sizes() {
        Sizes::Fixed(size) if aligned => checked(format!(
            "pages of {size} never show both sides of where they meet, and the order can't be asked for from its end"
        )),
        Sizes::Listed(_) if aligned => {
            checked("where pages of all its sizes meet, no page shows both sides".to_owned())
        }
        _ => (Level::Exact, None),
    }
}

#[cfg(test)]
mod tests;
