//! A model of an upstream that sorts in another order than the declared one.

use std::sync::Arc;

use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Total},
        fetch::Fetch,
        mark::{Mark, Marker},
        page::Page,
        paging::{Paging, Sizes, UpstreamProfile},
        position::Target,
        refusal::Refusal,
        resolver::{Limit, PageRequest, Step, resolve},
        window::Slice,
    },
};

use super::scenario::{Change, Row, Said, Scenario, Tied};
use crate::{
    dice::mix,
    founded::{Record, Verdict},
};

/// An upstream, with a record of the states that the answers to one request showed.
pub(crate) struct Upstream<'a> {
    pub(crate) scenario: &'a Scenario,
    rows: Vec<Row>,
    queries: usize,
    pub(crate) changes: u64,
    pub(crate) shown: Vec<Vec<Row>>,
    /// The rows of the answers to one request, each with its offset in the list when it was shown.
    placed: Vec<(usize, Row)>,
    pub(crate) story: Vec<String>,
    /// The checker's verdict on the last page; `None` before the first page.
    pub(crate) verdict: Option<Verdict>,
}

impl<'a> Upstream<'a> {
    pub(crate) fn new(scenario: &'a Scenario) -> Self {
        let mut upstream = Self {
            scenario,
            rows: Vec::new(),
            queries: 0,
            changes: 0,
            shown: Vec::new(),
            placed: Vec::new(),
            story: Vec::new(),
            verdict: None,
        };
        scenario.rows.iter().for_each(|row| upstream.insert(row));
        upstream
    }

    fn insert(&mut self, row: &Row) {
        let at = self.rows.partition_point(|other| (other.class, other.id) < (row.class, row.id));
        self.rows.insert(at, row.clone());
    }

    /// Makes the change that is due before the next answer.
    fn change(&mut self) {
        let due = self.scenario.plan.get(self.queries).and_then(Option::as_ref);
        self.changes += u64::from(due.is_some());
        match due {
            Some(Change::Insert(row)) => self.insert(row),
            Some(Change::Delete(choice)) if !self.rows.is_empty() => {
                self.rows.remove(*choice as usize % self.rows.len());
            }
            _ => {}
        }
    }

    fn answer(&mut self, fetch: &Fetch) -> Answer {
        self.change();
        self.queries += 1;
        let Fetch::Slice(slice, listing) = fetch else { panic!("{fetch:?}") };
        let mut rows = self.rows.clone();
        if self.scenario.traits.tied == Tied::Shuffled {
            let turn = self.queries as u64;
            rows.sort_by_key(|row| (row.class, mix(row.id, turn)));
        }
        // A flipped list has its nulls last, where the flipped order declares them first. Regression:
        // `nulls-on-the-other-side-of-a-flipped-list`.
        if listing.flipped {
            rows.reverse();
        }
        let size = slice.size().0.min(self.scenario.traits.cap);
        let begins = match slice {
            Slice::Offset { from, .. } => from.0,
            Slice::Page { number, .. } => number.0.saturating_mul(u64::from(size)),
        };
        let (mut body, mut items, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for (place, row) in rows.iter().enumerate().skip(begins as usize).take(size as usize) {
            self.placed.push((if listing.flipped { rows.len() - 1 - place } else { place }, row.clone()));
            let mut push = |text: &str| {
                let start = body.len() as u32;
                body.extend_from_slice(text.as_bytes());
                Span { start, end: body.len() as u32 }
            };
            let spans = [push(&row.key), push(&row.id.to_string())];
            items.push(Span { start: spans[0].start, end: spans[1].end });
            keys.extend(spans);
        }
        let mut answer = Answer::listed(body, items, keys);
        answer.total = self.scenario.traits.totals.then_some(Total { value: rows.len() as u64, exact: true });
        self.story.push(format!("    {fetch:?}: {:?}", String::from_utf8_lossy(answer.body())));
        // States are recorded in the order of ids within ties, whatever sequence the answer had.
        self.shown.push(self.rows.clone());
        answer
    }

    /// Returns whether the answers to the last request contradict the declared order, in a list at rest: by their
    /// offsets, a row comes after another one that it should precede.
    pub(crate) fn contradicts_order(&self) -> bool {
        let mut placed: Vec<_> = self.placed.iter().collect();
        placed.sort();
        let is_opaque = self.scenario.traits.said == Said::Opaque;
        // All nulls come last. Opaque values have no order but the list's.
        let key = |row: &Row| (row.key == "null", if is_opaque { String::new() } else { row.key.clone() });
        !placed.into_iter().map(|(_, row)| key(row)).is_sorted()
    }

    /// Drives the core for one page.
    pub(crate) fn page(&mut self, target: &Target, limit: u32, profile: UpstreamProfile) -> Result<Page, Refusal> {
        self.shown.clear();
        self.placed.clear();
        self.story.push(format!("  {limit} at {target:?}"));
        let paging =
            Paging::new(self.scenario.traits.family, Sizes::Free { least: 1, most: Some(self.scenario.traits.cap) });
        let marker = Marker::new(|bytes| Mark::of(bytes.iter().fold(7, |sum, byte| mix(sum, u64::from(*byte)))));
        let (order, limit) = (Arc::new(self.scenario.traits.order()), Limit::at_least_one(limit));
        let request = PageRequest::new(target.clone(), limit, order, Arc::new(paging), marker)
            .flips(self.scenario.traits.flips)
            .profile(profile);
        let mut record = Record::begin(&request);
        let mut step = resolve(request);
        loop {
            step = match step {
                Step::Fetch(fetches, pending) => {
                    let answers: Vec<Answer> = fetches.iter().map(|fetch| self.answer(fetch)).collect();
                    record.take(&fetches, &answers);
                    pending.resume(answers)
                }
                Step::Serve(page) => {
                    self.verdict = Some(record.verdict(&page));
                    return Ok(*page);
                }
                Step::Refuse(refusal) => return Err(refusal),
            };
        }
    }
}
