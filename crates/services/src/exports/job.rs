//! A job, which is an export or a call of an upstream: its definition, its progress, its end, and the JSON document that its client reads.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::format::{Compression, ExportFormat, Formulas};
use crate::page::hex;
use cursorgate_config::settings::EventType;
use cursorgate_gateway::runtime::clock;

/// The levels of pages as the header `Cursorgate-Level` writes them, from the strongest to the weakest.
const LEVELS: [&str; 4] = ["exact", "checked", "anchored", "positional"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum JobState {
    /// The job waits for its turn, or for its next attempt.
    Queued,
    /// A process is working on the job, or ended while it worked on the job.
    Active,
    Completed,
    Failed,
    Cancelled,
}

impl JobState {
    /// Returns the word for the state in documents and in the store.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Active => "active",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns the state with this word; `None` if the word is unknown.
    pub(super) fn of(word: &str) -> Option<Self> {
        [Self::Queued, Self::Active, Self::Completed, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|state| state.word() == word)
    }

    /// Returns whether the job has ended: completed, failed or cancelled.
    pub(super) fn is_finished(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// The priority of a queued job. Among jobs whose clients have the same number of active jobs, the job with the highest
/// priority begins first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Priority {
    Low,
    #[default]
    Normal,
    High,
}

/// The properties of a job that never change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobDefinition {
    /// The path of the list as the client wrote it.
    pub(super) path: String,
    /// The path of the list, normalized.
    pub(super) normal_path: String,
    /// The host without its port, by which the route is found; `None` if the request didn't name a host.
    pub(super) host: Option<String>,
    /// The URL at which the client that began the job reaches the list's exports.
    pub(super) exports_url: String,
    /// The filters and the sort, without private parameters.
    pub(super) query: String,
    pub(super) format: ExportFormat,
    pub(super) compression: Compression,
    #[serde(default)]
    pub(super) priority: Priority,
    /// The columns of a table; `None` if the client didn't name them.
    #[serde(default)]
    pub(super) columns: Option<Vec<String>>,
    #[serde(default)]
    pub(super) formulas: Formulas,
    /// The name of the address of the client that began the job; `None` if it is unknown.
    #[serde(default)]
    pub(super) network: Option<String>,
    /// The name of the client's `Idempotency-Key` for the list; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// The name under which limits count the client; `None` if it is the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counted: Option<String>,
    /// The request of a job of a queue; `None` for an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) call: Option<JobCall>,
}

/// The request that a job of a queue sends to an upstream. Its body is sealed with the credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobCall {
    pub(super) queue: String,
    /// The SHA-256 of the body, in hexadecimal digits.
    pub(super) digest: String,
}

impl JobDefinition {
    /// Returns whether both definitions are of the same request.
    pub(super) fn is_same_request(&self, other: &Self) -> bool {
        (&self.query, self.format, self.compression) == (&other.query, other.format, other.compression)
            && (self.priority, &self.columns, self.formulas) == (other.priority, &other.columns, other.formulas)
            && self.call == other.call
    }
}

/// A list whose exports a client requests. A job is found only under its own list.
#[derive(Clone, Debug)]
pub(super) struct ExportedList {
    pub(super) normal_path: String,
    pub(super) host: Option<String>,
}

impl ExportedList {
    /// Returns the name under which an `Idempotency-Key` for this list is stored.
    pub(super) fn key_name(&self, key: &str) -> String {
        let mut hash = Sha256::new();
        for part in [self.normal_path.as_str(), self.host.as_deref().unwrap_or_default(), key] {
            hash.update(part);
            hash.update([0]);
        }
        hex(&hash.finalize())
    }

    /// Returns whether `job` exports this list.
    pub(super) fn is_of(&self, job: &ExportJob) -> bool {
        job.definition.normal_path == self.normal_path && job.definition.host == self.host
    }
}

/// The place from which a job continues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum JobPlace {
    #[default]
    First,
    /// The page that this query requests, or the target of a call's status.
    At(String),
    /// The places of the list's parts, which are read at the same time.
    Parts(Vec<JobPart>),
    /// All pages are in the result.
    End,
}

/// A part of a list. Its items have a part of the result, and all of these together are the result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobPart {
    /// The query of the part's first page, and so of the place where the part before it ends; `None` for the first part.
    pub(super) first: Option<String>,
    /// The query of the next page; `None` if all pages are in the result.
    pub(super) next: Option<String>,
    pub(super) items: u64,
    /// The length of the part of the result, in bytes.
    pub(super) bytes: u64,
    /// The number of members without a column.
    pub(super) omitted: u64,
}

/// A page that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DuePage {
    /// The index of the page's part.
    pub(super) part: usize,
    /// The query of the page; `None` for the first page of the list.
    pub(super) query: Option<String>,
    /// The query of the page with which the next part begins; `None` for the last part.
    pub(super) until: Option<String>,
}

/// A range of bytes of one part of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ResultStretch {
    /// The index of the part.
    pub(super) part: usize,
    /// The index of the first byte within the part.
    pub(super) first: u64,
    pub(super) count: u64,
}

/// The progress of a job, which is stored after each page. In PostgreSQL it is stored together with the page's bytes,
/// and in a directory after the page's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct JobProgress {
    pub(super) next: JobPlace,
    pub(super) pages: u64,
    pub(super) items: u64,
    /// The length of the result so far, in bytes.
    pub(super) bytes: u64,
    /// The columns of a table; `None` until they are known, and for other formats.
    pub(super) columns: Option<Vec<String>>,
    /// The number of item members, over all rows, that were left out because the table has no column for them.
    pub(super) omitted: u64,
    /// The weakest level of the pages so far, as an index into [`LEVELS`]; `None` before the first page.
    pub(super) level: Option<usize>,
    /// The number of pages so far that the gateway served without a proof.
    pub(super) unproven: u64,
    /// True if the gateway marked the end of the list as unproven.
    pub(super) end_unproven: bool,
    /// The list's total when the first page was read; `None` before that, and if the page has no total.
    pub(super) total_before: Option<u64>,
    /// The list's total after the last page was read; `None` before that, and if the total couldn't be read.
    pub(super) total_after: Option<u64>,
    /// A hash of the last item of the list's last part so far; `None` before the first item of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last_item: Option<String>,
    /// True if the last page by `total_after` showed no item after those of the last page.
    #[serde(default)]
    pub(super) end_seen: bool,
    /// The beginning of the list; `None` before the first page, and if that is the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) head: Option<ListHead>,
    /// True if as many items have come before the end of the first page as the result lacks by the totals.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) growth_seen: bool,
    /// The number of attempts at the whole job: 1, and 1 more for each page that failed.
    pub(super) attempts: u32,
    /// The number of failed attempts to read the next page.
    pub(super) failures: u32,
    /// The value of `spent` at the first of these failures; `None` without a failure.
    pub(super) failing_at: Option<u64>,
    /// The time that was spent on the job since it was begun or resumed, in milliseconds: the work, and the pauses before
    /// further attempts. It is measured by clocks that nobody sets, so a wrong date ends no job.
    pub(super) spent: u64,
    /// The number of processes that ended while they worked on the next page.
    pub(super) interruptions: u32,
    /// The time at which the work on the result began, in seconds since 1970; `None` while the job waits for its first
    /// turn.
    pub(super) started: Option<u64>,
    /// The part of a call that is done, in per cent, as the upstream's status says; `None` if it doesn't.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<u64>,
    /// The number of redirects since the last other answer to a call.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) redirects: u64,
    /// The media type of the result of a call; `None` if the upstream names none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) media_type: Option<String>,
}

/// The beginning of a list as the first page had it, by which a later look finds items that have come there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ListHead {
    /// The hash of the list's first item.
    pub(super) first: String,
    /// The number of items of the first page.
    pub(super) items: u64,
    /// The query of the page after it.
    pub(super) next: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl JobProgress {
    /// Returns the progress of a job before its first page.
    pub(super) fn begin(definition: &JobDefinition) -> Self {
        // If the client has named columns, they are known before the first page.
        Self { columns: definition.columns.clone(), ..Self::default() }
    }

    /// Returns the progress of a failed job that continues.
    pub(super) fn resume(&self) -> Self {
        let attempts = self.attempts.saturating_add(1);
        // A job that waits for its turn hasn't started, so it takes no place among those of its queue that are at work.
        Self { attempts, failures: 0, failing_at: None, interruptions: 0, spent: 0, started: None, ..self.clone() }
    }

    /// Returns the next page of each part that isn't complete. A list that isn't read in parts is one part.
    pub(super) fn due(&self) -> Vec<DuePage> {
        let page = |part, query, until| DuePage { part, query, until };
        match &self.next {
            JobPlace::First => vec![page(0, None, None)],
            JobPlace::At(query) => vec![page(0, Some(query.clone()), None)],
            JobPlace::Parts(parts) => {
                let until = |part: usize| parts.get(part + 1).and_then(|next| next.first.clone());
                let due = |(part, place): (usize, &JobPart)| Some(page(part, Some(place.next.clone()?), until(part)));
                parts.iter().enumerate().filter_map(due).collect()
            }
            JobPlace::End => Vec::new(),
        }
    }

    /// Returns whether this is the last part of the list.
    pub(super) fn is_last_part(&self, part: usize) -> bool {
        match &self.next {
            JobPlace::Parts(parts) => part + 1 == parts.len(),
            _ => true,
        }
    }

    /// Returns the hash of the last item of the list's last part, after a page of `part` with these items.
    pub(super) fn last_item_after(&self, part: usize, items: &[Bytes]) -> Option<String> {
        let last = items.last().filter(|_| self.is_last_part(part));
        last.map(|item| hash_of(item)).or_else(|| self.last_item.clone())
    }

    /// Returns whether `seen` is one of the items with which the list ends, after a page of `part` with these items. The
    /// items after it may have been deleted since.
    pub(super) fn ends_with(&self, part: usize, items: &[Bytes], seen: &Bytes) -> bool {
        let is_of_page = self.is_last_part(part) && items.contains(seen);
        is_of_page || self.last_item_after(part, items) == Some(hash_of(seen))
    }

    /// Returns whether all pages so far are proven and each is `exact` or `checked`.
    pub(super) fn is_proven(&self) -> bool {
        self.unproven == 0 && matches!(self.level(), Some("exact" | "checked"))
    }

    fn level(&self) -> Option<&'static str> {
        self.level.and_then(|level| LEVELS.get(level)).copied()
    }

    /// Returns the lengths of the parts of the result, in bytes.
    pub(super) fn lengths(&self) -> Vec<u64> {
        match &self.next {
            JobPlace::Parts(parts) => parts.iter().map(|part| part.bytes).collect(),
            _ => vec![self.bytes],
        }
    }

    /// Returns the stretches of which a range of the result consists.
    pub(super) fn stretches(&self, first: u64, count: u64) -> Vec<ResultStretch> {
        let (mut first, mut left, mut stretches) = (first, count, Vec::new());
        for (part, length) in self.lengths().into_iter().enumerate() {
            let count = length.saturating_sub(first).min(left);
            if count > 0 {
                stretches.push(ResultStretch { part, first, count });
            }
            (first, left) = (first.saturating_sub(length), left - count);
        }
        stretches
    }

    /// Divides the rest of the list: the next part begins with each of these pages. Only a list that has more pages is
    /// divided.
    pub(super) fn divide(&mut self, first_pages: Vec<String>) {
        let JobPlace::At(next) = &self.next else { return };
        let (items, bytes, omitted) = (self.items, self.bytes, self.omitted);
        let begun = JobPart { first: None, next: Some(next.clone()), items, bytes, omitted };
        let part = |first: String| JobPart { next: Some(first.clone()), first: Some(first), ..JobPart::default() };
        self.next = JobPlace::Parts(std::iter::once(begun).chain(first_pages.into_iter().map(part)).collect());
    }

    /// Joins all parts after this one to it, without what was read of them: no page shows where this part ends.
    pub(super) fn join_after(&mut self, part: usize) {
        let JobPlace::Parts(parts) = &mut self.next else { return };
        self.last_item = None;
        for dropped in parts.drain(part + 1..) {
            self.items = self.items.saturating_sub(dropped.items);
            self.bytes = self.bytes.saturating_sub(dropped.bytes);
            self.omitted = self.omitted.saturating_sub(dropped.omitted);
        }
    }

    /// Notes that a page was added to a part, with `next` after it. `before` is the progress without the page.
    pub(super) fn pass(&mut self, part: usize, next: Option<String>, before: &Self) {
        let (items, bytes) = (self.items - before.items, self.bytes - before.bytes);
        let omitted = self.omitted - before.omitted;
        match &mut self.next {
            JobPlace::Parts(parts) => {
                if let Some(part) = parts.get_mut(part) {
                    part.items += items;
                    part.bytes += bytes;
                    part.omitted += omitted;
                    part.next = next;
                }
            }
            place => *place = next.map_or(JobPlace::End, JobPlace::At),
        }
    }

    /// Adds a time that was spent on the job.
    pub(super) fn spend(&mut self, time: Duration) {
        self.spent = self.spent.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }

    /// Notes a failed attempt to read the next page. Returns whether there may be another one, up to `retry_for` after
    /// the first failure.
    pub(super) fn fail(&mut self, retry_for: Duration) -> bool {
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_at.get_or_insert(self.spent);
        let goes_on = Duration::from_millis(self.spent.saturating_sub(since)) < retry_for;
        self.attempts = self.attempts.saturating_add(u32::from(goes_on));
        goes_on
    }

    /// Returns whether the totals say that the list has more items than the result. A list that changes during its
    /// export can have one total before and another one after, so both must say it. A single total counts alone.
    ///
    /// In a list that has changed, items that came where the export had been look like lost ones. The last page by the
    /// total then tells whether the export has reached the end. It explains nothing in a list that isn't known to have
    /// changed: an upstream can leave items out of its pages, and count them.
    /// Test: `an_export_that_lacks_items_of_an_unchanged_list_is_not_complete`.
    fn lacks_items(&self) -> bool {
        let has_changed = self.total_changed() == Some(true) || self.growth_seen;
        self.lacking(self.items) > 0 && !(self.end_seen && has_changed)
    }

    /// Returns the number of items by which both totals exceed a result of `items`; a single total counts alone.
    pub(super) fn lacking(&self, items: u64) -> u64 {
        let totals = [self.total_before, self.total_after].into_iter().flatten();
        totals.min().map_or(0, |total| total.saturating_sub(items))
    }

    /// Returns whether the totals before and after differ; `None` if one of them is unknown.
    pub(super) fn total_changed(&self) -> Option<bool> {
        self.total_before.zip(self.total_after).map(|(before, after)| before != after)
    }

    /// Returns the part of a list with this many items that is in the result, in per cent; `None` for an empty list.
    /// A result that isn't complete has at most 99 per cent.
    fn part_of(&self, total: u64) -> Option<u64> {
        Some(self.items.saturating_mul(100).checked_div(total)?.min(99))
    }

    /// Adds the proof of a page: keeps the weaker of `level` and the level so far, and counts the page if it is
    /// unproven. `level` is the value of `Cursorgate-Level`.
    pub(super) fn add_standing(&mut self, level: &str, unproven: bool) {
        // An unknown level counts as the weakest, so an export never promises more than its pages.
        // Test: `an_export_has_the_level_of_its_weakest_page`.
        let level = LEVELS.iter().position(|known| *known == level).unwrap_or(LEVELS.len() - 1);
        self.level = self.level.max(Some(level));
        self.unproven += u64::from(unproven);
    }
}

/// The reason that a job, or its last attempt to read a page, has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobFault {
    /// A stable code: the code of the page's problem, or a code of the exports service.
    pub(super) code: String,
    pub(super) detail: String,
    /// The status of the page's answer; `None` if there was no answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) status: Option<u16>,
    /// The problem that the upstream has answered with; `None` if there was none.
    #[serde(flatten)]
    pub(super) told: Option<Box<ToldProblem>>,
}

/// The members of an upstream's problem (RFC 9457) that clients get beside those of the job's fault.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ToldProblem {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
}

impl JobFault {
    pub(super) fn new(code: &str, detail: impl Into<String>) -> Self {
        Self { code: code.to_owned(), detail: detail.into(), status: None, told: None }
    }
}

/// A job without its credentials.
#[derive(Clone, Debug)]
pub(super) struct ExportJob {
    pub(super) id: String,
    /// The name of the job's client: a hash under a key that signs cursors.
    pub(super) owner: String,
    pub(super) state: JobState,
    /// The number of times that a process has taken the job. A process that took the job at a lower number has lost it.
    pub(super) claim: i64,
    /// The time at which the job was created, in seconds since 1970.
    pub(super) created: u64,
    /// The time at which the job ended, in seconds since 1970; `None` while the job is unfinished.
    pub(super) finished: Option<u64>,
    pub(super) definition: JobDefinition,
    pub(super) progress: JobProgress,
    pub(super) fault: Option<JobFault>,
}

/// The JSON document that a client reads about its job.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobDocument<'a> {
    id: &'a str,
    state: &'static str,
    path: &'a str,
    query: &'a str,
    format: ExportFormat,
    compression: Compression,
    priority: Priority,
    items: u64,
    total: Option<u64>,
    /// The part of the list that is in the result, in per cent; `None` if the total isn't known.
    progress: Option<u64>,
    pages: u64,
    bytes: u64,
    level: Option<&'static str>,
    attempts: u32,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// The time from which the job may be removed; `None` while the job is unfinished.
    expires_at: Option<String>,
    status_url: String,
    result_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a JobFault>,
    #[serde(skip_serializing_if = "Option::is_none")]
    closing: Option<ClosingCheck<'a>>,
}

/// The JSON document that a client reads about a job of a queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallDocument<'a> {
    id: &'a str,
    queue: &'a str,
    state: &'static str,
    /// The part that is done, in per cent; `None` if the upstream doesn't say it.
    progress: Option<u64>,
    attempts: u32,
    /// The number of requests to the upstream.
    requests: u64,
    bytes: u64,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    expires_at: Option<String>,
    status_url: String,
    result_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a JobFault>,
}

/// The data of the event that announces the end of a job of a queue.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndedCall<'a> {
    id: &'a str,
    queue: &'a str,
    state: JobState,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    status_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a JobFault>,
}

/// The guarantee of a completed export, which follows from all of its pages.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClosingCheck<'a> {
    /// True if the result contains every item exactly once that was in the list during the whole export. For that, all
    /// pages must be proven, and each must be `exact` or `checked`. The end must be proven too, and the total must not
    /// be larger than the number of items.
    complete: bool,
    level: Option<&'static str>,
    unproven_pages: u64,
    /// True if the gateway marked the end of the list as unproven.
    end_unproven: bool,
    /// The number of items in the result.
    items: u64,
    total_before: Option<u64>,
    total_after: Option<u64>,
    /// True if the totals before and after differ; `None` if one of them is unknown. Equal totals don't prove that the
    /// list didn't change.
    total_changed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted_members: Option<u64>,
}

/// The data of the event that announces a job's end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndedJob<'a> {
    id: &'a str,
    state: JobState,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    path: &'a str,
    query: &'a str,
    format: ExportFormat,
    compression: Compression,
    items: u64,
    bytes: u64,
    status_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    worth: Option<ExportWorth>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a JobFault>,
}

/// The guarantee of a completed export, as it is written into an event.
#[derive(Serialize)]
struct ExportWorth {
    complete: bool,
    level: Option<&'static str>,
}

impl ExportJob {
    /// Returns the type and the data of the event that announces the job's end. The job is completed if
    /// `is_completed`, and has failed otherwise. A completed job's event doesn't contain `fault`.
    /// `route` is the name of the list's route, if it is known.
    pub(super) fn ended(
        &self,
        is_completed: bool,
        fault: Option<&JobFault>,
        route: Option<&str>,
    ) -> (EventType, serde_json::Value) {
        let kinds = match &self.definition.call {
            None => [EventType::ExportFailed, EventType::ExportCompleted],
            Some(_) => [EventType::JobFailed, EventType::JobCompleted],
        };
        let data = match &self.definition.call {
            None => serde_json::to_value(EndedJob { route, ..self.ended_export(is_completed, fault) }),
            Some(call) => serde_json::to_value(self.ended_call(call, is_completed, fault)),
        };
        // Serializing strings, numbers and booleans never fails.
        (kinds[usize::from(is_completed)], data.unwrap_or_default())
    }

    fn ended_call<'a>(&'a self, call: &'a JobCall, is_completed: bool, fault: Option<&'a JobFault>) -> EndedCall<'a> {
        let status_url = format!("{}/{}", self.definition.exports_url, self.id);
        EndedCall {
            id: &self.id,
            queue: &call.queue,
            state: if is_completed { JobState::Completed } else { JobState::Failed },
            bytes: is_completed.then_some(self.progress.bytes),
            result_url: is_completed.then(|| format!("{status_url}/result")),
            status_url,
            error: fault.filter(|_| !is_completed),
        }
    }

    fn ended_export<'a>(&'a self, is_completed: bool, fault: Option<&'a JobFault>) -> EndedJob<'a> {
        let JobDefinition { path, query, exports_url, format, compression, .. } = &self.definition;
        let status_url = format!("{exports_url}/{}", self.id);
        let worth = || ExportWorth { complete: self.closing().complete, level: self.progress.level() };
        EndedJob {
            id: &self.id,
            state: if is_completed { JobState::Completed } else { JobState::Failed },
            route: None,
            path,
            query,
            format: *format,
            compression: *compression,
            items: self.progress.items,
            bytes: self.progress.bytes,
            result_url: is_completed.then(|| format!("{status_url}/result")),
            status_url,
            // A failed export promises nothing about the pages that it contains.
            worth: is_completed.then(worth),
            // If the job is completed, the fault belongs to an earlier attempt.
            error: fault.filter(|_| !is_completed),
        }
    }

    /// Returns the document that the job's client reads. `base` is the URL of the list's exports. Finished jobs are
    /// kept for `keep` seconds.
    pub(super) fn document<'a>(&'a self, base: &str, keep: u64) -> JobDocument<'a> {
        let JobDefinition { path, query, format, compression, priority, .. } = &self.definition;
        let progress = &self.progress;
        let status_url = format!("{base}/{}", self.id);
        let is_completed = self.state == JobState::Completed;
        let total = progress.total_after.or(progress.total_before);
        JobDocument {
            id: &self.id,
            state: self.shown_state(),
            path,
            query,
            format: *format,
            compression: *compression,
            priority: *priority,
            items: progress.items,
            // The total after the last page is the more recent one.
            total,
            progress: if is_completed { Some(100) } else { total.and_then(|total| progress.part_of(total)) },
            pages: progress.pages,
            bytes: progress.bytes,
            level: progress.level(),
            attempts: progress.attempts,
            created_at: clock::rfc3339(self.created),
            started_at: progress.started.map(clock::rfc3339),
            finished_at: self.finished.map(clock::rfc3339),
            expires_at: self.finished.map(|finished| clock::rfc3339(finished.saturating_add(keep))),
            result_url: is_completed.then(|| format!("{status_url}/result")),
            status_url,
            error: self.fault.as_ref(),
            closing: is_completed.then(|| self.closing()),
        }
    }

    /// Returns the document of a job of a queue. `base` is the URL of the jobs.
    pub(super) fn call_document<'a>(&'a self, call: &'a JobCall, base: &str, keep: u64) -> CallDocument<'a> {
        let (progress, is_completed) = (&self.progress, self.state == JobState::Completed);
        let status_url = format!("{base}/{}", self.id);
        CallDocument {
            id: &self.id,
            queue: &call.queue,
            state: self.shown_state(),
            progress: if is_completed { Some(100) } else { progress.percent },
            attempts: progress.attempts,
            requests: progress.pages,
            bytes: progress.bytes,
            created_at: clock::rfc3339(self.created),
            started_at: progress.started.map(clock::rfc3339),
            finished_at: self.finished.map(clock::rfc3339),
            expires_at: self.finished.map(|finished| clock::rfc3339(finished.saturating_add(keep))),
            result_url: is_completed.then(|| format!("{status_url}/result")),
            status_url,
            error: self.fault.as_ref(),
        }
    }

    /// Returns the word for the state that clients and operators see. A queued job that has begun waits for its next
    /// attempt, but while its upstream works on it, it is active.
    pub(super) fn shown_state(&self) -> &'static str {
        let is_followed = self.definition.call.is_some() && self.progress.failures == 0;
        match self.state {
            JobState::Queued if self.progress.started.is_some() && is_followed => JobState::Active.word(),
            JobState::Queued if self.progress.started.is_some() => "waiting",
            state => state.word(),
        }
    }

    fn closing(&self) -> ClosingCheck<'_> {
        let progress = &self.progress;
        let is_table = self.definition.format == ExportFormat::Csv;
        ClosingCheck {
            // Unproven pages and pages of a weaker level might have missed or repeated items.
            // Test: `an_export_has_the_level_of_its_weakest_page`.
            complete: progress.is_proven() && !progress.end_unproven && !progress.lacks_items(),
            level: progress.level(),
            unproven_pages: progress.unproven,
            end_unproven: progress.end_unproven,
            items: progress.items,
            total_before: progress.total_before,
            total_after: progress.total_after,
            total_changed: progress.total_changed(),
            columns: progress.columns.as_deref(),
            // Other formats keep all members of an item.
            omitted_members: is_table.then_some(progress.omitted),
        }
    }

    /// Returns the media type of the result.
    pub(super) fn media_type(&self) -> &str {
        let JobDefinition { call, format, compression, .. } = &self.definition;
        match (call, &self.progress.media_type) {
            (None, _) => compression.content_type(*format),
            (Some(_), Some(media_type)) => media_type,
            (Some(_), None) => "application/octet-stream",
        }
    }

    /// Returns the file name for `Content-Disposition`: the last segment of the list's path, the beginning of the job's
    /// id, and the endings of the format and the compression. Example: `people-01234567.csv.gz`.
    pub(super) fn file_name(&self) -> String {
        let last = self.definition.normal_path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
        // Other characters, such as quotes, could end the value of the header, so they are left out.
        // Test: `a_file_has_the_name_of_its_list`.
        let is_plain = |character: &char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        let list: String = last.chars().filter(is_plain).take(64).collect();
        let list = if list.is_empty() { "export" } else { &list };
        // With the id, files of two exports of one list can be in the same folder.
        let id: String = self.id.chars().take(8).collect();
        let JobDefinition { call, format, compression, .. } = &self.definition;
        if let Some(JobCall { queue, .. }) = call {
            return format!("{queue}-{id}");
        }
        format!("{list}-{id}.{}{}", format.extension(), compression.extension())
    }
}

/// Returns the hash by which an item is compared.
pub(super) fn hash_of(item: &[u8]) -> String {
    hex(&Sha256::digest(item))
}

/// Returns whether a string can be the id of a job: 32 hexadecimal digits in lower case.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in crate::exports) fn job() -> ExportJob {
        ExportJob {
            id: "0123456789abcdef0123456789abcdef".to_owned(),
            owner: "owner".to_owned(),
            state: JobState::Completed,
            claim: 1,
            created: 0,
            finished: Some(60),
            definition: JobDefinition {
                network: None,
                key: None,
                counted: None,
                call: None,
                path: "/v1/people".to_owned(),
                normal_path: "/v1/people".to_owned(),
                host: None,
                exports_url: "https://api.test/users/exports".into(),
                query: String::new(),
                format: ExportFormat::Csv,
                compression: Compression::Gzip,
                priority: Priority::Normal,
                columns: None,
                formulas: Formulas::Kept,
            },
            progress: JobProgress::default(),
            fault: None,
        }
    }

    #[test]
    fn an_export_has_the_level_of_its_weakest_page() {
        for (pages, level, complete) in [
            (&[("exact", false), ("exact", false)][..], "exact", true),
            (&[("exact", false), ("checked", false), ("exact", false)], "checked", true),
            (&[("exact", false), ("anchored", false)], "anchored", false),
            (&[("exact", true)], "exact", false),
            (&[("unheard of", false)], "positional", false),
        ] {
            let mut job = job();
            for (level, unproven) in pages {
                job.progress.add_standing(level, *unproven);
            }
            let document = serde_json::to_value(job.document("/people/exports", 3_600)).unwrap();
            assert_eq!((&document["level"], &document["closing"]["complete"]), (&level.into(), &complete.into()));
        }
        let document = serde_json::to_value(job().document("/people/exports", 3_600)).unwrap();
        assert_eq!(document["resultUrl"], "/people/exports/0123456789abcdef0123456789abcdef/result");
        assert_eq!(document["expiresAt"], "1970-01-01T01:01:00Z");
        assert_eq!(document["closing"]["totalChanged"], serde_json::Value::Null);
    }

    #[test]
    fn a_page_is_tried_again_for_the_time_that_was_spent_on_it() {
        let (mut progress, hour) = (JobProgress::default(), Duration::from_secs(3_600));
        progress.spend(Duration::from_secs(86_400));
        assert!(progress.fail(hour), "the time before the first failure doesn't count");
        progress.spend(hour / 2);
        assert!(progress.fail(hour));
        progress.spend(hour / 2);
        assert!(!progress.fail(hour));
        assert_eq!((progress.failures, progress.attempts), (3, 2));
        let resumed = progress.resume();
        assert_eq!((resumed.failures, resumed.spent, resumed.failing_at), (0, 0, None));
    }

    #[test]
    fn an_export_whose_totals_or_end_contradict_its_items_is_not_complete() {
        for (items, before, after, end_unproven, end_seen, complete) in [
            (100, Some(100), Some(100), false, false, true),
            (100, Some(99), Some(99), false, false, true),
            (100, None, None, false, false, true),
            (100, Some(257), Some(257), false, false, false),
            (100, Some(257), None, false, false, false),
            (100, None, None, true, false, false),
            // Items came or left during the export.
            (100, Some(100), Some(103), false, false, true),
            (100, Some(103), Some(100), false, false, true),
            (100, Some(103), Some(105), false, false, false),
            (100, Some(103), Some(105), false, true, true),
            (100, Some(103), Some(105), true, true, false),
            (100, Some(103), Some(103), false, true, false),
            (100, None, Some(103), false, true, false),
        ] {
            let mut job = job();
            job.progress.end_seen = end_seen;
            job.progress.add_standing("checked", false);
            (job.progress.items, job.progress.end_unproven) = (items, end_unproven);
            (job.progress.total_before, job.progress.total_after) = (before, after);
            let document = serde_json::to_value(job.document("/people/exports", 3_600)).unwrap();
            let closing = &document["closing"];
            assert_eq!(closing["complete"], complete, "{items} {before:?} {after:?} {end_unproven}: {closing}");
            assert_eq!((&closing["items"], &closing["endUnproven"]), (&items.into(), &end_unproven.into()));
        }
        // As many items have come as have left.
        for (end_seen, growth_seen, complete) in [(true, true, true), (false, true, false), (true, false, false)] {
            let mut job = job();
            job.progress.add_standing("checked", false);
            (job.progress.items, job.progress.total_before, job.progress.total_after) = (100, Some(103), Some(103));
            (job.progress.end_seen, job.progress.growth_seen) = (end_seen, growth_seen);
            assert_eq!(job.closing().complete, complete, "{end_seen} {growth_seen}");
        }
    }

    #[test]
    fn a_result_consists_of_the_parts_of_its_list() {
        let pass = |progress: &mut JobProgress, part, (items, bytes): (u64, u64), next: Option<&str>| {
            let before = progress.clone();
            (progress.items, progress.bytes) = (progress.items + items, progress.bytes + bytes);
            progress.pass(part, next.map(str::to_owned), &before);
        };
        let mut progress = JobProgress::default();
        pass(&mut progress, 0, (10, 100), Some("a"));
        progress.divide(vec!["m".to_owned(), "t".to_owned()]);
        let due = |progress: &JobProgress| -> Vec<_> {
            let due =
                progress.due().into_iter().map(|due| (due.part, due.query.unwrap(), due.until.unwrap_or_default()));
            due.map(|(part, query, until)| format!("{part} {query} {until}")).collect()
        };
        assert_eq!(due(&progress), ["0 a m", "1 m t", "2 t "]);
        pass(&mut progress, 2, (3, 30), Some("u"));
        pass(&mut progress, 1, (5, 50), None);
        assert_eq!(due(&progress), ["0 a m", "2 u "]);
        assert_eq!((progress.lengths(), progress.bytes, progress.items), (vec![100, 50, 30], 180, 18));
        let stretches = |first, count| -> Vec<_> {
            let stretches = progress.stretches(first, count).into_iter();
            stretches.map(|stretch| (stretch.part, stretch.first, stretch.count)).collect()
        };
        assert_eq!(stretches(0, 180), [(0, 0, 100), (1, 0, 50), (2, 0, 30)]);
        assert_eq!(stretches(99, 2), [(0, 99, 1), (1, 0, 1)]);
        assert_eq!(stretches(100, 50), [(1, 0, 50)]);
        assert_eq!(stretches(160, 20), [(2, 10, 20)]);
        let stored: JobProgress = serde_json::from_str(&serde_json::to_string(&progress).unwrap()).unwrap();
        assert_eq!(stored, progress);
        progress.join_after(0);
        assert_eq!((due(&progress), progress.bytes, progress.items), (vec!["0 a ".to_owned()], 100, 10));
        pass(&mut progress, 0, (8, 80), None);
        assert_eq!((progress.due(), progress.lengths()), (Vec::new(), vec![180]));
    }

    #[test]
    fn a_file_has_the_name_of_its_list() {
        let mut job = job();
        assert_eq!(job.file_name(), "people-01234567.csv.gz");
        job.definition.normal_path = "/a\"b%0A;c/".to_owned();
        assert_eq!(job.file_name(), "ab0Ac-01234567.csv.gz");
    }
}
