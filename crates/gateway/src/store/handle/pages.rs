//! Pages in the store, and the purges that all processes share.
//!
//! A page and the purges since the last question are asked for at the same time, within one time limit. Two questions
//! are needed, because the page and the purges may be on different servers of a cluster. The page is used only if none
//! of the purges concerns it (`shared::pages::others`).
//!
//! The numbers of purges are not sealed, because the server counts them. Anyone who can write to the store can
//! therefore drop pages. A process that has seen later numbers notices if the numbers go back, and then uses no page.
//! Test: `missing_or_restored_purge_numbers_cause_misses`.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName};
use redis::{Cmd, Value};

use super::{SharedStore, StoredKind, VALUE};
use crate::{
    runtime::{clock, futures::join_all},
    shared::pages::{
        KeptPages, PagePlace, StoredPlace,
        form::{self, SharedEntry, SharedPage},
        generations::PurgeSubject,
        key::KeptKey,
        others::{MOST_PURGES, OtherPurges, PurgeCount, PurgeNews, SHARED_PLACES, UnwrittenPurge},
        stored::{PageLife, StoredPage},
    },
    store::{
        counts::{Answered, PageAnswered, Written},
        link::StoreFault,
    },
};

/// The script that counts purges. End-to-end tests run it on real servers.
const PURGE: &str = include_str!("purge.lua");

/// The kind of the set of purges in names, with the version of its form.
const PURGES: &str = "purge1";

/// The time for which the numbers of purges are kept after the last purge. Without the numbers, pages from the store
/// aren't used.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// The largest number of places that one run of the script purges. More places take several runs.
const MOST_AT_ONCE: usize = 256;

/// The largest number of bytes of a place and its number in a reply.
const ENTRY: usize = 48;

/// The version of the program, a part of the names of pages: another version may render the same page differently, so
/// versions that run side by side don't share pages. They do share purges.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// A page, and the request headers by which pages of its place differ; `None` if these headers weren't read from the
/// store.
type FoundPage = (Box<SharedPage>, Option<Vec<HeaderName>>);

impl SharedStore {
    /// Returns the places of subjects, which are computed with the signing key.
    pub fn places<'s>(&self, subjects: impl Iterator<Item = PurgeSubject<'s>>) -> Box<[u16]> {
        let key = self.keys.signing_number();
        subjects.filter_map(|subject| self.place(key, subject)).collect()
    }

    /// Returns the place of a subject, which is computed with the key of this number.
    fn place(&self, key: u32, subject: PurgeSubject<'_>) -> Option<u16> {
        self.keys.stored_place(key, PURGES, &subject.bytes(), SHARED_PLACES)
    }

    /// Returns the page of a place that another process has made, and the place at which it is to be stored in memory.
    /// `subjects` are the subjects of the request, to which the tags of the page are added. `before` is the number of
    /// purges by this process before the look-up began. Returns `None` if the store doesn't return the page within the
    /// time limit, or if the page was or may have been purged.
    pub async fn find_page(
        &self,
        pages: &KeptPages,
        place: &PagePlace,
        headers: &HeaderMap,
        subjects: &[PurgeSubject<'_>],
        before: u64,
    ) -> Option<(StoredPage, PagePlace)> {
        if !self.link.is_up() {
            self.counts().answer(Answered::Down, Duration::ZERO);
            return None;
        }
        let (others, key) = (&pages.others, self.keys.signing_number());
        let name = self.purges(key)?;
        let asked = others.ask(&name, key);
        // The time is taken before the question, so the duration of the question makes the page older and never
        // younger.
        let now = clock::instant();
        let (entry, purges) =
            tokio::join!(self.entry_of(place, headers, key, now), self.ask_purges(&name, asked.from()));
        // The purges are learnt whether there is a page or not, because they also drop pages from memory.
        let series = match purges {
            Ok(news) => others.learn(&asked, news.as_ref()),
            // While the purges are unknown, no page is used. Test: `a_store_that_fails_costs_no_page`.
            Err(_) => None,
        };
        let Some((page, names)) = entry else {
            self.counts().page(PageAnswered::Miss);
            return None;
        };
        let subjects = || subjects.iter().copied().chain(page.tags.iter().map(|tag| PurgeSubject::Tag(tag)));
        let places = self.places(subjects());
        let admitted = series.and_then(|series| others.admit(&asked, series, page.begun, places));
        let stamp = pages.generations.stamp(before, subjects());
        let used = admitted.and_then(|shared| page.into_page(stamp, shared, clock::unix_milliseconds()));
        self.counts().page(if used.is_some() { PageAnswered::Hit } else { PageAnswered::Purged });
        let names = names.as_deref().unwrap_or_else(|| place.names());
        Some((used?, place.varied(names, headers)))
    }

    /// Returns the page of a place. Two questions are needed if the store has the headers by which pages differ under
    /// the first key, and the page under another key. Both share one time limit, which counts from `now`.
    async fn entry_of(&self, place: &PagePlace, headers: &HeaderMap, key: u32, now: Instant) -> Option<FoundPage> {
        match self.entry(place.key(), key, now).await? {
            SharedEntry::Page(page) => Some((page, None)),
            SharedEntry::Varies(names) if place.names().is_empty() => {
                let key_of_page = place.first().varied(&names, headers);
                match self.entry(key_of_page, key, now).await? {
                    SharedEntry::Page(page) => Some((page, Some(names))),
                    // Headers are stored only under first keys, so a page takes two questions at most.
                    SharedEntry::Varies(_) => None,
                }
            }
            // The place already includes the headers, so its key must be the key of a page.
            SharedEntry::Varies(_) => None,
        }
    }

    /// Returns the entry of a key, within the rest of the time limit, which counts from `now`.
    async fn entry(&self, page: KeptKey, key: u32, now: Instant) -> Option<SharedEntry> {
        let left = self.link.settings.timeout.saturating_sub(clock::instant().saturating_duration_since(now));
        let found = self.get_within(left, StoredKind::Page, key, &name_of(page), clock::unix_seconds()).await?;
        form::read_entry(found.bytes, now)
    }

    /// Stores a page for other processes, after it was stored in memory at `at`. `begun` is the state of the counter of
    /// purges when the making of the page began. No request waits for the write. Pages of more than [`VALUE`] bytes are
    /// not stored.
    pub fn put_page(&self, place: &PagePlace, at: &StoredPlace, page: &StoredPage, begun: PurgeCount, tags: &[String]) {
        if !self.link.is_up() || page.body.len() > VALUE {
            return;
        }
        let (now, milliseconds) = (clock::instant(), clock::unix_milliseconds());
        let PageLife { made, fresh, while_revalidate, if_error, .. } = page.life;
        let whole = fresh.saturating_add(while_revalidate.max(if_error));
        let left = whole.saturating_sub(now.saturating_duration_since(made));
        let key = self.keys.signing_number();
        // The time to live is rounded up to a whole second.
        let (ttl, seconds) = (Duration::from_secs(left.as_secs() + 1), milliseconds / 1_000);
        if !at.names.is_empty()
            && let Some(names) = form::write_varies(&at.names)
        {
            self.put(StoredKind::Page, key, &name_of(place.first()), &names, ttl, seconds);
        }
        if let Some(bytes) = form::write_page(page, begun, tags, now, milliseconds) {
            self.put(StoredKind::Page, key, &name_of(at.key), &bytes, ttl, seconds);
        }
    }

    /// Records that these subjects are to be purged for all processes. Must be called before the memory of this process
    /// is purged ([`OtherPurges::note_unwritten`]).
    pub fn note_purge(&self, others: &OtherPurges, subjects: &[PurgeSubject<'_>]) -> Vec<UnwrittenPurge> {
        let by = |key: u32| subjects.iter().filter_map(move |subject| Some((key, self.place(key, *subject)?)));
        // Purges are recorded under each key of the ring, because during a change of keys some processes sign with one
        // key and some with another. Test: `purges_cross_a_change_of_keys`.
        others.note_unwritten(self.keys.numbers().flat_map(by))
    }

    /// Writes purges to the store, within the time limit. Purges that can't be written now stay recorded, and
    /// [`Self::follow_purges`] writes them later.
    pub async fn write_purges(&self, others: &OtherPurges, purges: Vec<UnwrittenPurge>) {
        if !self.link.is_up() {
            return;
        }
        let by_key = |key| purges.iter().filter(move |purge| purge.key == key).copied().collect::<Vec<_>>();
        let all = self.keys.numbers().map(|key| (key, by_key(key))).filter(|(_, own)| !own.is_empty());
        let writes = join_all(all.map(|(key, own)| async move { self.write_of_key(others, key, &own).await }));
        let _ = tokio::time::timeout(self.link.settings.timeout, writes).await;
    }

    /// Writes purges whose places were computed with the key of this number.
    async fn write_of_key(&self, others: &OtherPurges, key: u32, purges: &[UnwrittenPurge]) {
        let Some(name) = self.purges(key) else { return };
        for part in purges.chunks(MOST_AT_ONCE) {
            let mut places: Vec<u16> = part.iter().map(|purge| purge.place).collect();
            places.sort_unstable();
            places.dedup();
            let written = match self.count_purge(&name, None, &places).await {
                Ok(count) => Ok(Some(count)),
                // A full store refuses the numbers of these purges, but not the deletion of all numbers. Without
                // numbers, no process uses a page. Test: `a_purge_that_the_store_could_not_take_is_not_lost`.
                Err(StoreFault::Refused) => {
                    let mut command = redis::cmd("DEL");
                    command.arg(&name);
                    self.link.ask(&name, command, 0).await.map(|_| None)
                }
                Err(fault) => Err(fault),
            };
            self.counts().write(if written.is_ok() { Written::Stored } else { Written::Failed });
            if let Ok(count) = written {
                others.written(&name, part, count);
            }
        }
    }

    /// Writes the purges by this process that the store may lack, and reads the purges by other processes. Begins a new
    /// series if the store has no series, or if the numbers went back. Called at intervals.
    pub async fn follow_purges(&self, others: &OtherPurges) {
        let keys: Vec<u32> = self.keys.numbers().collect();
        others.forget_others(&keys);
        if !self.link.is_up() {
            return;
        }
        for key in keys {
            let unwritten = others.unwritten(key);
            if !unwritten.is_empty() {
                self.write_of_key(others, key, &unwritten).await;
            }
        }
        let key = self.keys.signing_number();
        let Some(name) = self.purges(key) else { return };
        // A lost series takes two more questions: one for all numbers, and one for the numbers of a new series.
        for _ in 0..3 {
            let asked = others.ask(&name, key);
            let Ok(news) = self.ask_purges(&name, asked.from()).await else { return };
            if others.learn(&asked, news.as_ref()).is_some() {
                return;
            }
            let went_back = others.went_back();
            if (asked.from() == 0 || went_back.is_some()) && self.count_purge(&name, went_back, &[]).await.is_err() {
                return;
            }
        }
    }

    /// Asks for the purges from the number `from` on; returns `None` if the reply has no valid counter.
    async fn ask_purges(&self, name: &str, from: u64) -> Result<Option<PurgeNews>, StoreFault> {
        let mut command = redis::cmd("ZRANGEBYSCORE");
        command.arg(name).arg(from).arg("+inf").arg("WITHSCORES");
        let reply = self.link.ask(name, command, usize::from(SHARED_PLACES) * ENTRY).await?;
        Ok(read_purges(&reply))
    }

    /// Counts a purge of these places, and returns the counter after it. Begins a new series if the store has no
    /// series, or if the store still has the series `went_back`.
    async fn count_purge(&self, name: &str, went_back: Option<u64>, places: &[u16]) -> Result<PurgeCount, StoreFault> {
        // A random number names the series, because nothing else distinguishes it from other series.
        let series = getrandom::u64().map_err(|_| StoreFault::Down)?;
        let reply = self.link.ask(name, purge_command(name, series, went_back, places), 0).await?;
        let Value::Array(parts) = &reply else { return Err(StoreFault::Refused) };
        let [name, number] = parts.as_slice() else { return Err(StoreFault::Refused) };
        let count = |name, number| Some(PurgeCount { series: read_counter(name)?, number: read_score(number)? });
        count(name, number).ok_or(StoreFault::Refused)
    }

    /// Returns the name of the set of purges under the key with this number.
    fn purges(&self, key: u32) -> Option<String> {
        self.keys.stored_name(key, &self.prefix, PURGES, b"")
    }
}

/// Returns the bytes from which the name of a page in the store is made.
fn name_of(page: KeptKey) -> Vec<u8> {
    [&page.bytes()[..], PROGRAM.as_bytes()].concat()
}

/// Returns the command that runs the script. `series` is the number for a new series, if the script has to begin one.
/// `went_back` is the number of a series that has to be replaced.
fn purge_command(name: &str, series: u64, went_back: Option<u64>, places: &[u16]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(PURGE).arg(1).arg(name).arg(KEPT.as_secs());
    command.arg(counter(series)).arg(went_back.map(counter).unwrap_or_default()).arg(places);
    command
}

/// Returns the name of the counter of a series, `~` and its number. This name sorts after all places, which are decimal
/// numbers.
fn counter(series: u64) -> String {
    format!("~{series:x}")
}

/// Reads the purges in a reply. Returns `None` unless the reply has exactly one counter, with the largest of the
/// numbers. Members that are neither a counter nor a place are left out, because they don't hide other entries.
fn read_purges(reply: &Value) -> Option<PurgeNews> {
    let Value::Array(parts) = reply else { return None };
    let (mut count, mut places, mut largest) = (None, Vec::new(), 0);
    for pair in parts.chunks_exact(2) {
        let [member, score] = pair else { continue };
        let number = read_score(score)?;
        largest = number.max(largest);
        if let Some(series) = read_counter(member) {
            // If there are two counters, neither can be trusted, so the reply is refused.
            if count.replace(PurgeCount { series, number }).is_some() {
                return None;
            }
        } else if let Some(place) = read_text(member).and_then(|text| text.parse().ok()) {
            places.push((place, number));
        }
    }
    // A place with a larger number shows that the counter went back. Test: `replies_are_read_or_refused`.
    count.filter(|count| count.number == largest).map(|count| PurgeNews { count, places })
}

fn read_counter(member: &Value) -> Option<u64> {
    u64::from_str_radix(read_text(member)?.strip_prefix('~')?, 16).ok()
}

fn read_score(score: &Value) -> Option<u64> {
    read_text(score)?.parse().ok().filter(|number| *number < MOST_PURGES)
}

fn read_text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Option<PurgeNews> {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        read_purges(&Value::Array(pairs.iter().flat_map(|(member, score)| [text(member), text(score)]).collect()))
    }

    #[test]
    fn replies_are_read_or_refused() {
        let news = |series, number, places: &[(u16, u64)]| {
            Some(PurgeNews { count: PurgeCount { series, number }, places: places.to_vec() })
        };
        assert_eq!(read(&[("~ff", "1")]), news(255, 1, &[]));
        assert_eq!(read(&[("7", "3"), ("8191", "5"), ("~ff", "5")]), news(255, 5, &[(7, 3), (8_191, 5)]));
        assert_eq!(read(&[("x", "3"), ("70000", "3"), ("~ff", "5")]), news(255, 5, &[]), "no places");
        for refused in [
            &[][..],
            &[("7", "3")],
            &[("~ff", "1"), ("7", "3")],
            &[("~fe", "1"), ("~ff", "3")],
            &[("~", "3")],
            &[("~x", "3")],
            &[("~ff", "-1")],
            &[("~ff", "1.5")],
            &[("~ff", "4503599627370496")],
            &[("~ff", "inf")],
            &[("7", "nan"), ("~ff", "3")],
        ] {
            assert_eq!(read(refused), None, "{refused:?}");
        }
        assert_eq!(read_purges(&Value::Nil), None);
        assert_eq!(read_purges(&Value::Array(vec![Value::Int(1), Value::Int(2)])), None);
    }
}
