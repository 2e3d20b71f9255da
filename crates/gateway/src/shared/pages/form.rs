//! The form of entries in the shared store: pages, and the request headers by which pages differ.
//!
//! Values in the store are sealed, so only a gateway with the same keys can have written them. The name of their kind
//! (`gateway::store::handle::StoredKind`) contains the version of this form. Reading is bounded and doesn't panic,
//! whatever the bytes are.
//!
//! A page consists of the byte [`PAGE`], the counter of purges, its times, one byte each for level, paging and the
//! presence of a next page, the query of the next page, its tags, its headers, and its body up to the end. Numbers are
//! little-endian. Each string is preceded by its length.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{
    generations::Stamp,
    others::{PurgeCount, SharedStamp},
    stored::{PageLife, StoredPage},
};
use cursorgate_core::pagination::page::Level;
use cursorgate_translate::downstream::response::level_word;

/// The largest number of request headers by which pages differ. An entry with more of them isn't stored, and is refused
/// when it is read.
const MOST_NAMES: u16 = 64;
/// The largest number of headers of a page. A page with more headers isn't stored, and is refused when it is read.
const MOST_HEADERS: u16 = 512;
/// The largest number of tags of a page. A page with more tags isn't stored, and is refused when it is read.
const MOST_TAGS: u16 = 256;

/// The first byte of an entry that is a page.
const PAGE: u8 = 1;
/// The first byte of an entry with the request headers by which pages differ.
const VARIES: u8 = 2;

/// The words for levels. An entry contains the index of a word, so the order must not change.
const LEVELS: [&str; 4] =
    [level_word(Level::Exact), level_word(Level::Checked), level_word(Level::Anchored), level_word(Level::Positional)];
/// The words for the pagings whose pages are kept. An entry contains the index of a word, so the order must not change.
const PAGINGS: [&str; 3] = ["cursor", "legacy", "unmarked"];

/// An entry that was read from the store.
#[derive(Debug)]
pub enum SharedEntry {
    /// The pages of this key differ by these request headers.
    Varies(Vec<HeaderName>),
    Page(Box<SharedPage>),
}

/// A page that was read from the store. It is used only if no purge concerns the page.
#[derive(Debug)]
pub struct SharedPage {
    /// The state of the store's counter of purges when the making of the page began.
    pub begun: PurgeCount,
    pub tags: Vec<String>,
    /// The time at which the making of the page began, in milliseconds since 1970, by the clock of the process that
    /// made it.
    made: u64,
    /// The times of the page. Until [`Self::into_page`], `life.made` is the time at which the page was read.
    life: PageLife,
    level: &'static str,
    paging: &'static str,
    next: Option<Box<str>>,
    headers: HeaderMap,
    body: Bytes,
}

impl SharedPage {
    /// Converts the page for the memory of this process, with the stamps of its purges. `now` is the time at which the
    /// page was read, in milliseconds since 1970.
    ///
    /// If the clock of this machine is ahead of the clock of the machine that made the page, the page counts as older
    /// than it is. If this clock is slow, the page may count as younger, but never as younger than when it was made.
    /// Returns `None` if the page is older than the clock of this process can express.
    pub fn into_page(self, stamp: Stamp, shared: SharedStamp, now: u64) -> Option<StoredPage> {
        let Self { made, life, level, paging, next, headers, body, .. } = self;
        // The difference is never negative, so with a slow clock the page is as old as when it was made, and not
        // younger. Test: `a_page_ages_by_the_clocks_of_two_machines`.
        let past = Duration::from_millis(now.saturating_sub(made));
        let life = PageLife { made: life.made.checked_sub(past)?, ..life };
        let is_refreshing = AtomicBool::new(false);
        Some(StoredPage { headers, body, level, paging, next, life, stamp, shared: Some(shared), is_refreshing })
    }
}

/// Returns the bytes of a page with its tags. `begun` is the state of the counter of purges when the making of the page
/// began. `now` and `milliseconds` are the same time by both clocks: monotonic, and in milliseconds since 1970. Returns
/// `None` if the page has an unknown level or paging, or more headers or tags than the bounds.
pub fn write_page(
    page: &StoredPage,
    begun: PurgeCount,
    tags: &[String],
    now: Instant,
    milliseconds: u64,
) -> Option<Vec<u8>> {
    let PageLife { made, age, fresh, while_revalidate, if_error } = page.life;
    // The monotonic clock of one process means nothing to another process, so the time since 1970 is written.
    let made = milliseconds.saturating_sub(millis(now.saturating_duration_since(made)));
    let mut out = Vec::with_capacity(page.body.len() + 1_024);
    out.push(PAGE);
    for number in [begun.series, begun.number, made, age, millis(fresh), millis(while_revalidate), millis(if_error)] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.push(place(&LEVELS, page.level)?);
    out.push(place(&PAGINGS, page.paging)?);
    out.push(u8::from(page.next.is_some()));
    write_bytes(page.next.as_deref().unwrap_or_default().as_bytes(), &mut out)?;
    write_count(tags.len(), MOST_TAGS, &mut out)?;
    for tag in tags {
        write_bytes(tag.as_bytes(), &mut out)?;
    }
    write_count(page.headers.len(), MOST_HEADERS, &mut out)?;
    for (name, value) in &page.headers {
        write_bytes(name.as_str().as_bytes(), &mut out)?;
        write_bytes(value.as_bytes(), &mut out)?;
    }
    out.extend_from_slice(&page.body);
    Some(out)
}

/// Returns the bytes of the headers by which pages differ; `None` if there are more than [`MOST_NAMES`].
pub fn write_varies(names: &[HeaderName]) -> Option<Vec<u8>> {
    let mut out = vec![VARIES];
    write_count(names.len(), MOST_NAMES, &mut out)?;
    for name in names {
        write_bytes(name.as_str().as_bytes(), &mut out)?;
    }
    Some(out)
}

/// Reads an entry; `None` if the bytes are malformed. `now` is the time of the reading.
pub fn read_entry(bytes: Vec<u8>, now: Instant) -> Option<SharedEntry> {
    let mut rest = bytes.as_slice();
    match *rest.split_off_first()? {
        PAGE => {
            let mut page = read_page(&mut rest, now)?;
            // The body is the rest of the bytes, and is not copied.
            let start = bytes.len() - rest.len();
            page.body = Bytes::from(bytes).slice(start..);
            Some(SharedEntry::Page(Box::new(page)))
        }
        VARIES => {
            let count = read_count(MOST_NAMES, &mut rest)?;
            let mut names = Vec::new();
            for _ in 0..count {
                names.push(HeaderName::from_bytes(read_bytes(&mut rest)?).ok()?);
            }
            // Bytes after the last name show that the entry is malformed.
            rest.is_empty().then_some(SharedEntry::Varies(names))
        }
        _ => None,
    }
}

/// Reads a page up to its body, which is left in `rest`.
fn read_page(rest: &mut &[u8], now: Instant) -> Option<SharedPage> {
    let begun = PurgeCount { series: read_number(rest)?, number: read_number(rest)? };
    let (made, age) = (read_number(rest)?, read_number(rest)?);
    let [fresh, while_revalidate, if_error] = [read_duration(rest)?, read_duration(rest)?, read_duration(rest)?];
    let life = PageLife { made: now, age, fresh, while_revalidate, if_error };
    // An entry with a level or paging that this version doesn't have is malformed.
    let level = LEVELS.get(usize::from(*rest.split_off_first()?))?;
    let paging = PAGINGS.get(usize::from(*rest.split_off_first()?))?;
    let (leads_on, next) = (*rest.split_off_first()?, std::str::from_utf8(read_bytes(rest)?).ok()?);
    let next = match (leads_on, next.is_empty()) {
        (1, _) => Some(next.into()),
        (0, true) => None,
        _ => return None,
    };
    let mut tags = Vec::new();
    for _ in 0..read_count(MOST_TAGS, rest)? {
        tags.push(std::str::from_utf8(read_bytes(rest)?).ok()?.to_owned());
    }
    let mut headers = HeaderMap::new();
    for _ in 0..read_count(MOST_HEADERS, rest)? {
        let name = HeaderName::from_bytes(read_bytes(rest)?).ok()?;
        headers.try_append(name, HeaderValue::from_bytes(read_bytes(rest)?).ok()?).ok()?;
    }
    Some(SharedPage { begun, tags, made, life, level, paging, next, headers, body: Bytes::new() })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn place(words: &[&str], word: &str) -> Option<u8> {
    words.iter().position(|known| *known == word).and_then(|place| u8::try_from(place).ok())
}

fn write_count(count: usize, most: u16, out: &mut Vec<u8>) -> Option<()> {
    let count = u16::try_from(count).ok().filter(|count| *count <= most)?;
    out.extend_from_slice(&count.to_le_bytes());
    Some(())
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend_from_slice(bytes);
    Some(())
}

fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn read_duration(rest: &mut &[u8]) -> Option<Duration> {
    read_number(rest).map(Duration::from_millis)
}

fn read_count(most: u16, rest: &mut &[u8]) -> Option<u16> {
    let (count, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u16::from_le_bytes(*count)).filter(|count| *count <= most)
}

fn read_bytes<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    *rest = after;
    rest.split_off(..usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::pages::generations::Generations;

    const NOW: u64 = 1_800_000_000_000;

    const BEGUN: PurgeCount = PurgeCount { series: u64::MAX, number: 7 };

    fn instant() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn page(now: Instant) -> StoredPage {
        let mut headers = HeaderMap::new();
        headers.append("vary", HeaderValue::from_static("accept-language"));
        headers.append("link", HeaderValue::from_static("</users>; rel=\"first\""));
        headers.append("link", HeaderValue::from_bytes("</\u{e9}>".as_bytes()).unwrap());
        let second = Duration::from_secs(1);
        let life =
            PageLife { made: now, age: 3, fresh: 60 * second, while_revalidate: 5 * second, if_error: 7 * second };
        StoredPage {
            headers,
            body: Bytes::from_static(b"{\"data\":[]}"),
            level: "checked",
            paging: "unmarked",
            next: Some("cursor=x".into()),
            life,
            stamp: stamp(),
            shared: None,
            is_refreshing: AtomicBool::new(false),
        }
    }

    fn read(bytes: &[u8], now: Instant) -> Option<SharedPage> {
        match read_entry(bytes.to_vec(), now)? {
            SharedEntry::Page(page) => Some(*page),
            SharedEntry::Varies(_) => None,
        }
    }

    fn stamp() -> Stamp {
        Generations::default().stamp(0, std::iter::empty())
    }

    fn shared() -> SharedStamp {
        SharedStamp { learnt: 1, places: [7].into() }
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let now = instant();
        for next in [None, Some("".into()), Some("cursor=x".into())] {
            let page = StoredPage { next, ..page(now) };
            let tags = ["red".to_owned(), String::new()];
            let bytes = write_page(&page, BEGUN, &tags, now + Duration::from_secs(2), NOW + 2_000).unwrap();
            let read = read(&bytes, now).unwrap();
            assert_eq!((read.begun, read.tags.as_slice(), read.made), (BEGUN, &tags[..], NOW));
            let read = read.into_page(stamp(), shared(), NOW).unwrap();
            assert_eq!((&read.headers, &read.body, &read.next), (&page.headers, &page.body, &page.next));
            assert_eq!((read.level, read.paging, read.life), (page.level, page.paging, page.life));
        }
        let names = [http::header::ACCEPT_LANGUAGE, http::header::ORIGIN];
        let Some(SharedEntry::Varies(read)) = read_entry(write_varies(&names).unwrap(), now) else { panic!() };
        assert_eq!(read, names);
        let no_form = StoredPage { level: "none", ..page(now) };
        assert_eq!(write_page(&no_form, BEGUN, &[], now, NOW), None);
    }

    /// The age of a page follows from the clocks of two machines, which may differ.
    #[test]
    fn a_page_ages_by_the_clocks_of_two_machines() {
        let now = instant();
        let bytes = write_page(&page(now), BEGUN, &[], now, NOW).unwrap();
        for (later, age) in [(0, 3), (900, 3), (1_000, 4), (61_000, 64)] {
            let page = read(&bytes, now).unwrap().into_page(stamp(), shared(), NOW + later).unwrap();
            assert_eq!((page.life.age_at(now), page.life.fresh), (age, Duration::from_secs(60)));
        }
        let page = read(&bytes, now).unwrap().into_page(stamp(), shared(), NOW - 5_000).unwrap();
        assert_eq!(page.life.age_at(now), 3, "a clock that is slow");
        // The monotonic clock might not reach back that far. The page is then a miss. Otherwise the page has its full
        // age.
        let old = read(&bytes, now).unwrap().into_page(stamp(), shared(), u64::MAX);
        assert!(old.is_none_or(|page| page.life.age_at(now) > 1 << 40));
    }

    /// Bytes that are cut, changed, or shorter than the lengths in them are read or refused, and a result is never
    /// longer than the bytes.
    #[test]
    fn hostile_bytes_are_read_or_refused() {
        let now = instant();
        let page = write_page(&page(now), BEGUN, &["red".to_owned()], now, NOW).unwrap();
        let varies = write_varies(&[http::header::ACCEPT_LANGUAGE, http::header::ORIGIN]).unwrap();
        for (bytes, body) in [(&page, b"{\"data\":[]}".len()), (&varies, 0)] {
            for end in 0..bytes.len() - body {
                assert!(read_entry(bytes[..end].to_vec(), now).is_none(), "{end} bytes of {}", bytes.len());
            }
            for at in 0..bytes.len() {
                for value in 0..=255 {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    match read_entry(changed, now) {
                        Some(SharedEntry::Page(read)) => {
                            assert!(read.body.len() <= bytes.len() && read.headers.len() <= bytes.len());
                            if let Some(read) = read.into_page(stamp(), shared(), NOW) {
                                read.life.at(now);
                                read.life.serves_on_error(now);
                            }
                        }
                        Some(SharedEntry::Varies(names)) => assert!(names.len() <= usize::from(MOST_NAMES)),
                        None => {}
                    }
                }
            }
        }
        assert!(read_entry([&varies[..], &[0]].concat(), now).is_none(), "a byte too many");
        for bytes in [&[][..], &[0], &[3], &[VARIES, 65, 0], &[VARIES, 1, 0, 0xff, 0xff, 0xff, 0xff]] {
            assert!(read_entry(bytes.to_vec(), now).is_none());
        }
    }
}
