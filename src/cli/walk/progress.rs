//! The progress of walks on standard error: on a terminal a line that is redrawn, and otherwise a new line every 10
//! seconds.

use std::{
    collections::HashMap,
    fmt::Write as _,
    io::{self, IsTerminal as _},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::super::report;
use cursorgate_gateway::runtime::clock;
use cursorgate_tools::walk::{WalkedPage, comparison::WalkCost, ending::grouped, report::sized};

/// The shortest time between two updates of the line on a terminal.
const DRAWN: Duration = Duration::from_millis(100);
/// The shortest time between two lines if standard error isn't a terminal.
const SAID: Duration = Duration::from_secs(10);

/// The width of the bar, in characters.
const BAR: u64 = 24;

/// The progress of all walks of a command.
pub(super) struct WalkProgress {
    is_terminal: bool,
    walks: usize,
    began: Instant,
    state: Mutex<ProgressState>,
}

#[derive(Default)]
struct ProgressState {
    /// For each URL, the total of the list (`None` if it isn't known) and the number of items so far.
    lists: HashMap<String, (Option<u64>, u64)>,
    pages: u64,
    ended: usize,
    shown: Option<Instant>,
}

impl WalkProgress {
    pub(super) fn new(walks: usize) -> Self {
        let is_terminal = io::stderr().is_terminal();
        Self { is_terminal, walks, began: clock::instant(), state: Mutex::default() }
    }

    /// Counts a page, and shows the progress if the last update is at least [`DRAWN`] ago on a terminal, or [`SAID`]
    /// elsewhere.
    pub(super) fn page(&self, name: &str, page: &WalkedPage) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let list = state.lists.entry(name.to_owned()).or_default();
        // If a page has no total, the last known one is kept.
        list.0 = page.answer.total.map(|total| total.value).or(list.0);
        list.1 += page.answer.items().len() as u64;
        state.pages += 1;
        let now = clock::instant();
        let since = if self.is_terminal { DRAWN } else { SAID };
        if state.shown.unwrap_or(self.began) + since <= now {
            state.shown = Some(now);
            let line = line(&state, now.saturating_duration_since(self.began), self.walks);
            report::note(&if self.is_terminal { format!("\r\x1b[2K{line}") } else { line + "\n" });
        }
    }

    /// Reports the end of a walk with its counts.
    pub(super) fn end(&self, name: &str, items: u64, pages: u64, cost: &WalkCost) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended += 1;
        let WalkCost { requests, bytes, elapsed } = cost;
        let start = if self.is_terminal { "\r\x1b[2K" } else { "" };
        let (items, pages, requests) = (grouped(items), grouped(pages), grouped(*requests));
        let took = elapsed.as_secs_f64();
        let bytes = sized(*bytes);
        report::note(&format!(
            "{start}{name}: {items} items, {pages} pages, {requests} requests, {bytes}, {took:.1} s\n"
        ));
    }

    /// Removes the line of progress from a terminal.
    pub(super) fn clear(&self) {
        if self.is_terminal {
            report::note("\r\x1b[2K");
        }
    }
}

/// Returns the line of progress. It contains the numbers of items and pages, and the rate. If the totals of all lists
/// are known, a bar precedes these, and the remaining items and time follow.
fn line(state: &ProgressState, elapsed: Duration, walks: usize) -> String {
    let items: u64 = state.lists.values().map(|(_, items)| items).sum();
    let totals: Option<u64> = state.lists.values().map(|(total, _)| *total).sum();
    // A list may have more items than its total. The total is then raised, so the subtraction below doesn't overflow.
    let total = totals.filter(|total| state.lists.len() == walks && *total > 0).map(|total| total.max(items));
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = items.saturating_mul(1000) / milliseconds;
    let mut line = String::new();
    if let Some(total) = total {
        let filled = BAR.saturating_mul(items) / total;
        let part = |length: u64, letter: &str| letter.repeat(usize::try_from(length).unwrap_or_default());
        let _ = write!(line, "[{}{}] ", part(filled, "#"), part(BAR - filled, "."));
    }
    let _ = write!(line, "{} items, {} pages, {} items/s", grouped(items), grouped(state.pages), grouped(rate));
    if let Some(left) = total.map(|total| total - items) {
        let _ = write!(line, ", {} left", grouped(left));
        // The rate may be 0, for example before the first item. No time is then shown.
        if let Some(seconds) = left.checked_div(rate) {
            let _ = write!(line, " ({seconds} s)");
        }
    }
    if walks > 1 {
        let _ = write!(line, ", {} of {walks} lists", state.ended);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_shows_the_known_totals() {
        let mut state = ProgressState { pages: 5, ..ProgressState::default() };
        state.lists.insert("a".to_owned(), (Some(2_000), 500));
        let second = Duration::from_secs(1);
        assert_eq!(
            line(&state, second, 1),
            "[######..................] 500 items, 5 pages, 500 items/s, 1,500 left (3 s)"
        );
        assert_eq!(line(&state, second, 2), "500 items, 5 pages, 500 items/s, 0 of 2 lists");
        // The list has more items than its total, and then it has no total.
        state.lists.insert("a".to_owned(), (Some(400), 500));
        assert!(line(&state, second, 1).contains(" 0 left"));
        state.lists.insert("a".to_owned(), (None, 500));
        assert_eq!(line(&state, second, 1), "500 items, 5 pages, 500 items/s");
    }
}
