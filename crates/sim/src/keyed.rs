//! Lists whose order is declared: the real core against a model collection of rows with keys.
//!
//! `world` is the collection, made of `row`s whose keys have `values`; `upstream` the API in front of it, as its `traits`
//! say; `gateway` what gateways remember; `client`, `style` and `walk` who goes through it. `promises` and the files
//! beside it (`ends`, `proof`, `leg`, `cost`) are what is asserted, `need` which refusals there was a reason for. A
//! `scenario` is a walk as data, which `draw` makes of a seed; `small` goes through all small ones, `broken` and the
//! core's own rules show that the simulator can fail, `drift` and `table` measure what pages cost.

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
