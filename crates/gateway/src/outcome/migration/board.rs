//! The counts of lists as one board: of one process, or the sum over several processes.
//!
//! A process publishes all of its counts at once, under its own name. If one publication is lost, the next one replaces
//! it. A publication that arrives twice counts once, and the counts of a process that has ended stay unchanged until
//! they expire.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Clients, Count, HourlyCounts, Usage};
use crate::outcome::metrics::{RouteFigures, RouteMetrics};

/// The longest time between two publications of a running process, in seconds.
pub const BEAT: u64 = 20;

/// The time for which the counts of a process are kept after its last publication, in seconds. It is longer than the
/// day that the hourly counts cover.
pub const KEPT: u64 = 2 * 86_400;

/// The largest size of a publication, in bytes. A process shortens its own counts to this size, and ignores larger
/// counts of other processes.
const MOST: usize = 256 << 10;

const HOUR: u64 = 3_600;

/// The counts of the requests for one list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListCounts {
    /// The time at which counting started, in seconds since 1970.
    pub since: u64,
    /// The number of requests for each kind of paging.
    pub paging: BTreeMap<String, u64>,
    /// The number of requests in each hour for each kind of paging, the current hour last.
    pub hours: BTreeMap<String, HourlyCounts>,
    /// The number of observed answers for each verdict.
    pub verdicts: BTreeMap<String, u64>,
    pub legacy: Count,
    /// The legacy clients; `None` if the route doesn't identify its clients.
    pub clients: Option<Clients>,
}

/// The counts of a process, in the form that it publishes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessCounts {
    /// The time of the publication, in seconds since 1970.
    pub at: u64,
    /// `true` if this is the last publication of the process, made at its end.
    #[serde(default)]
    pub ended: bool,
    /// The counts of each list, by the name of its route.
    pub routes: BTreeMap<String, ListCounts>,
}

impl ListCounts {
    /// Reads the current counts of a list. `now` is in seconds since 1970.
    pub fn of(usage: &Usage, metrics: &RouteMetrics, now: u64) -> Self {
        let counts = metrics.totals();
        let figures = RouteFigures::of(&counts);
        let words = |(word, count): (&'static str, u64)| (word.to_owned(), count);
        Self {
            since: usage.since(),
            paging: figures.paging().map(words).collect(),
            hours: usage.paging(now).map(|(word, hours)| (word.to_owned(), hours)).collect(),
            verdicts: figures.verdicts().map(words).collect(),
            legacy: usage.total(now),
            clients: usage.clients(now),
        }
    }

    /// Adds the counts of another process. Clients are matched by name: a client's name is the same in all processes
    /// with the same signing key.
    pub fn add(&mut self, other: &Self) {
        self.since = self.since.min(other.since);
        for (sums, counts) in [(&mut self.paging, &other.paging), (&mut self.verdicts, &other.verdicts)] {
            for (word, count) in counts {
                let sum = sums.entry(word.clone()).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
        for (word, hours) in &other.hours {
            let sums = self.hours.entry(word.clone()).or_default();
            sums.iter_mut().zip(hours).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
        }
        self.legacy.add(&other.legacy);
        if let (Some(clients), Some(others)) = (&mut self.clients, &other.clients) {
            clients.add(others);
        }
    }

    /// Moves the hourly counts from the time `from` to the time `to`, both in seconds since 1970: their last hour
    /// becomes that of `to`.
    fn move_hours(&mut self, from: u64, to: u64) {
        let (from, to) = (from / HOUR, to / HOUR);
        let counts = self.clients.iter_mut().flat_map(Clients::counts);
        let hours = counts.chain([&mut self.legacy]).map(|count| &mut count.hours).chain(self.hours.values_mut());
        hours.for_each(|hours| *hours = moved(hours, from, to));
    }
}

/// Converts counts whose last hour is `from` into counts whose last hour is `to`.
fn moved(hours: &HourlyCounts, from: u64, to: u64) -> HourlyCounts {
    let mut moved = HourlyCounts::default();
    for (place, count) in (0_u64..).zip(&mut moved) {
        // `from` comes from another process's clock, so it may be later than `to`. Test:
        // `counts_of_hours_move_with_the_present_hour`.
        let before = to.saturating_add(place).checked_sub(from).and_then(|before| usize::try_from(before).ok());
        *count = before.and_then(|before| hours.get(before).copied()).unwrap_or_default();
    }
    moved
}

impl Clients {
    fn counts(&mut self) -> impl Iterator<Item = &mut Count> {
        let named = self.named.iter_mut().map(|(_, count)| count);
        named.chain([&mut self.other, &mut self.unidentified])
    }

    fn add(&mut self, other: &Self) {
        let mut sums: BTreeMap<String, Count> = std::mem::take(&mut self.named).into_iter().collect();
        for (name, count) in &other.named {
            sums.entry(name.clone()).or_default().add(count);
        }
        self.named = Self::in_order(sums);
        self.other.add(&other.other);
        self.unidentified.add(&other.unidentified);
    }

    /// Moves the counts of the less frequent half of the clients to `other`.
    fn shorten(&mut self) {
        for (_, count) in self.named.split_off(self.named.len() / 2) {
            self.other.add(&count);
        }
    }
}

impl ProcessCounts {
    /// Returns the counts as JSON; `None` if the JSON exceeds [`MOST`] bytes even without named clients. If the JSON is
    /// too long, the less frequent clients are moved to `other`.
    pub fn write(mut self) -> Option<Vec<u8>> {
        // Each iteration halves the tables, which have at most 2^32 clients.
        for _ in 0..u32::BITS {
            let bytes = serde_json::to_vec(&self).ok()?;
            if bytes.len() <= MOST {
                return Some(bytes);
            }
            self.routes.values_mut().filter_map(|list| list.clients.as_mut()).for_each(Clients::shorten);
        }
        None
    }

    /// Reads the counts of another process; `None` if they have another form or are too long. The hourly counts are
    /// moved: their last hour becomes that of `now`, in seconds since 1970.
    pub fn read(bytes: &[u8], now: u64) -> Option<Self> {
        let mut counts: Self = serde_json::from_slice(bytes).ok().filter(|_| bytes.len() <= MOST)?;
        counts.routes.values_mut().for_each(|list| list.move_hours(counts.at, now));
        Some(counts)
    }

    /// Marks the counts as the last ones of their process.
    pub fn ended(self) -> Self {
        Self { ended: true, ..self }
    }

    /// Returns whether the process was running at `now`, in seconds since 1970: its last publication isn't marked as
    /// final, and is at most three times [`BEAT`] old.
    pub fn runs(&self, now: u64) -> bool {
        // `at` comes from another clock, which may be ahead, so the subtraction saturates. Test:
        // `published_counts_are_bounded_and_read_back`.
        !self.ended && now.saturating_sub(self.at) <= 3 * BEAT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(last: &[u64]) -> HourlyCounts {
        let mut hours = HourlyCounts::default();
        let start = hours.len() - last.len();
        hours[start..].copy_from_slice(last);
        hours
    }

    fn list(requests: u64, names: &[(&str, u64)]) -> ListCounts {
        let count = |requests| Count { requests, unmarked: 1, hours: hours(&[1, requests]), last_seen: requests };
        ListCounts {
            since: 100 - requests,
            paging: [("legacy".to_owned(), requests)].into(),
            hours: [("legacy".to_owned(), hours(&[1, requests]))].into(),
            verdicts: BTreeMap::new(),
            legacy: count(requests),
            clients: Some(Clients {
                named: names.iter().map(|(name, requests)| ((*name).to_owned(), count(*requests))).collect(),
                other: count(0),
                unidentified: count(1),
            }),
        }
    }

    #[test]
    fn counts_of_hours_move_with_the_present_hour() {
        for (from, to, expected) in [
            (7, 7, &[1, 2, 3][..]),
            (7, 8, &[1, 2, 3, 0]),
            (7, 30, &[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (7, 31, &[]),
            (7, 6, &[0, 1, 2]),
            (0, u64::MAX, &[]),
            (u64::MAX, 0, &[]),
        ] {
            assert_eq!(moved(&hours(&[1, 2, 3]), from, to), hours(expected), "{from} {to}");
        }
    }

    #[test]
    fn counts_of_processes_are_added() {
        let mut sum = list(10, &[("a", 7), ("b", 3)]);
        sum.add(&list(20, &[("b", 15), ("c", 5)]));
        assert_eq!((sum.since, sum.paging["legacy"], sum.legacy.requests), (80, 30, 30));
        assert_eq!(sum.hours["legacy"], hours(&[2, 30]));
        let clients = sum.clients.unwrap();
        let named: Vec<(&str, u64)> =
            clients.named.iter().map(|(name, count)| (name.as_str(), count.requests)).collect();
        assert_eq!(named, [("b", 18), ("a", 7), ("c", 5)]);
        assert_eq!((clients.unidentified.requests, clients.unidentified.last_seen), (2, 1));
    }

    #[test]
    fn published_counts_are_bounded_and_read_back() {
        let many: Vec<(String, u64)> =
            (0..10_000).map(|number| (format!("client-{number:05}"), 20_000 - number)).collect();
        let many: Vec<(&str, u64)> = many.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        let counts = ProcessCounts { at: 7_200, ended: false, routes: [("users".to_owned(), list(5, &many))].into() };
        let bytes = counts.clone().write().unwrap();
        assert!(bytes.len() <= MOST);
        let read = ProcessCounts::read(&bytes, 7_300).unwrap();
        let clients = read.routes["users"].clients.as_ref().unwrap();
        assert_eq!(clients.named[0].0, "client-00000", "the most frequent ones stay");
        let all: u64 = clients.named.iter().map(|(_, count)| count.requests).sum::<u64>() + clients.other.requests;
        assert_eq!(all, many.iter().map(|(_, count)| count).sum::<u64>(), "and none is lost");
        assert!(read.runs(7_260) && !read.runs(7_261) && !read.clone().ended().runs(7_260));
        let later = ProcessCounts::read(&bytes, 10_800).unwrap();
        assert_eq!(later.routes["users"].hours["legacy"], hours(&[1, 5, 0]));
        for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
            assert_eq!(ProcessCounts::read(&bytes[..end], 0), None);
        }
        let future = String::from_utf8(bytes).unwrap().replacen("\"at\":7200", "\"at\":18446744073709551615", 1);
        assert!(ProcessCounts::read(future.as_bytes(), 0).is_some_and(|counts| counts.runs(0)));
    }
}
