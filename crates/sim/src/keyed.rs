//! Lists whose order is declared: the real core against a model list of rows with keys.
//!
//! - The model: `world` is the list, made of `row`s whose keys have `values`; `upstream` is the API in front of it,
//!   with the behaviour that `traits` describe; `gateway` is the memory of the gateways.
//! - The walks: `client` and `style` describe a client, and `walk` drives the core for it. A `scenario` is a walk as
//!   data, which `draw` makes from a seed and `shrink` makes smaller; `small` enumerates all small scenarios.
//! - The assertions: `promises` checks each page against the guarantees, with the help of `ends`, `proof`, `leg` and
//!   `cost`. `need` finds the reason for a refusal. `tally` counts levels and refusals, `bounds` bounds them, and `met`
//!   asserts that walks meet every kind of world.
//! - The tests of the simulator itself: `broken` has lies that the simulator must notice. `drift` and `table` measure
//!   the cost of pages.

pub(crate) mod aim;
pub(crate) mod bounds;
pub(crate) mod broken;
pub(crate) mod calendar;
pub(crate) mod client;
pub(crate) mod cost;
pub(crate) mod draw;
#[cfg(test)]
mod drift;
pub(crate) mod ends;
pub(crate) mod filtering;
pub(crate) mod gateway;
pub(crate) mod leg;
pub(crate) mod listing;
pub(crate) mod met;
pub(crate) mod need;
pub(crate) mod promises;
pub(crate) mod proof;
pub(crate) mod row;
pub(crate) mod scenario;
pub(crate) mod shrink;
pub(crate) mod small;
pub(crate) mod stored;
pub(crate) mod style;
#[cfg(test)]
mod table;
pub(crate) mod tally;
mod text;
pub(crate) mod traits;
pub(crate) mod upstream;
pub(crate) mod values;
pub(crate) mod walk;
pub(crate) mod world;
