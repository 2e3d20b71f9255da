//! The text form of scenarios with a cache. Its words never change, because files in `regressions/` contain them.

use super::{
    cache::{Fault, Settings},
    scenario::{Event, Scenario, Walker},
};
use crate::{
    keyed,
    text::{record, words},
};

words!(Fault {
    PlaceLeftOut = "place-left-out",
    LimitLeftOut = "limit-left-out",
    FilterLeftOut = "filter-left-out",
    DirectionLeftOut = "direction-left-out",
    WritesForgotten = "writes-forgotten",
    KeptAmidAWrite = "kept-amid-a-write",
    AgeRenewed = "age-renewed",
});
words!(Event {
    Onward(walker) = "onward",
    Turn(walker) = "turn",
    Begin(walker) = "begin",
    Earlier(walker, choice) = "earlier",
    Delete(walker, choice) = "delete",
    Rest(ticks) = "rest",
});
record!(Settings, Self::plain(), {
    ttl, while_revalidate, if_error, prefetch, loses, processes, writes, fails, fault,
});
record!(Walker, Self { limit: 20, backward: false, filtered: false, by_items: false }, {
    limit, backward, filtered, by_items,
});
record!(
    Scenario,
    Self {
        list: keyed::scenario::Scenario::plain(),
        settings: Settings::plain(),
        walkers: Vec::new(),
        events: Vec::new(),
    },
    { list, settings, walkers, events }
);
