//! The output of rendering: the bytes of a page, the ranges of its times, and a run of items that isn't copied. The page
//! is written around this run in the memory of its answer, or the run becomes a part of its own.

use std::ops::Range;

use bytes::Bytes;

use super::content::Content;
use cursorgate_core::pagination::{
    answer::Answer,
    page::{ByteRun, Page},
};

/// The length in bytes from which a run of items is sent as a part of its own. Shorter runs are copied, because each
/// part costs a write.
const PART_FROM: usize = 256 * 1024;

/// The length in bytes from which the page is written around a run of items. Shorter runs are copied for less.
const AROUND_FROM: usize = 1024;

/// The number of bytes behind an answer that are reserved for the part of a page after its items: the links of usual
/// envelopes.
pub const ROOM_AFTER_ITEMS: usize = 2048;

/// The number of bytes before the items in usual envelopes, `{"data":[`.
const USUAL_BEFORE_ITEMS: usize = 9;

/// Returns whether a run is left in its answer, after a beginning of the page of `before` bytes: it is a part of its own,
/// or the answer has room for the page around it. An answer that is much larger than the page has none, because it would
/// hold its memory until the client has received the page.
fn is_left(page: &Page, run: &ByteRun, before: usize) -> bool {
    let (length, capacity) = (run.range.len(), page.answers[run.answer].body_capacity());
    let has_room = before <= run.range.start
        && capacity - run.range.end >= ROOM_AFTER_ITEMS
        && capacity <= 2 * length + ROOM_AFTER_ITEMS;
    length >= PART_FROM || length >= AROUND_FROM && has_room
}

/// The output of rendering one page.
#[derive(Debug, Default)]
pub struct Output {
    /// All bytes except the run that is not copied.
    pub bytes: Vec<u8>,
    /// The ranges of the bytes for `{now}`, which change although the page doesn't.
    pub times: Vec<Range<usize>>,
    /// A long run of items that was not copied, and the number of bytes before it; `None` if all runs were copied.
    left: Option<(usize, ByteRun)>,
}

/// Creates an output that begins with these bytes.
impl From<Vec<u8>> for Output {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }
}

impl Output {
    /// Returns an estimate of the bytes of items that aren't copied: the length of the first run if it will be left in
    /// its answer, or else 0.
    pub fn left_of(page: &Page) -> usize {
        if page.items.is_empty() {
            return 0;
        }
        let first = page.run(0);
        if is_left(page, &first, USUAL_BEFORE_ITEMS) { first.range.len() } else { 0 }
    }

    /// Appends a run of items. The first run that is long enough is left in its answer instead.
    pub fn push_run(&mut self, page: &Page, run: ByteRun) {
        // A body has at most one inserted part, so only the first long run is left in its answer.
        if self.left.is_none() && is_left(page, &run, self.bytes.len()) {
            self.left = Some((self.bytes.len(), run));
        } else {
            self.bytes.extend_from_slice(&page.answers[run.answer].body()[run.range]);
        }
    }

    /// Returns the output in parts, without the ranges of `{now}`. The page's tag is computed from these bytes.
    #[must_use]
    pub fn lasting<'o>(&'o self, page: &'o Page) -> Vec<&'o [u8]> {
        let mut parts = Vec::with_capacity(self.times.len() + 3);
        let mut left = self.left.as_ref();
        let mut at = 0;
        let ends = self.times.iter().map(|time| (time.start, time.end));
        for (end, goes_on) in ends.chain([(self.bytes.len(), self.bytes.len())]) {
            // The run is added once, at its place among the times. Test:
            // `a_long_run_is_sent_at_its_place_without_a_copy`.
            if let Some((place, run)) = left.filter(|(place, _)| *place <= end) {
                parts.extend([&self.bytes[at..*place], &page.answers[run.answer].body()[run.range.clone()]]);
                (left, at) = (None, *place);
            }
            parts.push(&self.bytes[at..end]);
            at = goes_on;
        }
        parts
    }

    /// Converts the output to a body, which takes over the answer with the run that was not copied. The other answers
    /// are freed.
    #[must_use]
    pub fn into_content(self, mut answers: Vec<Answer>) -> Content {
        match self.left {
            None => Content::from(self.bytes),
            Some((place, run)) => {
                // The items of all other answers were copied, so these answers are freed here.
                let mut body = answers.swap_remove(run.answer).into_body();
                let (before, after) = self.bytes.split_at(place);
                let room = body.capacity() - run.range.end;
                match run.range.start.checked_sub(place) {
                    Some(start) if after.len() <= room => {
                        body.truncate(run.range.end);
                        body[start..run.range.start].copy_from_slice(before);
                        body.extend_from_slice(after);
                        Content::from(Bytes::from(body).slice(start..))
                    }
                    _ => Content::around(self.bytes, place, Bytes::from(body).slice(run.range)),
                }
            }
        }
    }

    /// Returns the index of the answer with the run that was not copied, if there is one.
    pub fn left_in(&self) -> Option<usize> {
        self.left.as_ref().map(|(_, run)| run.answer)
    }

    /// Returns the length of the whole output.
    #[must_use]
    pub fn length(&self) -> usize {
        self.bytes.len() + self.left.as_ref().map_or(0, |(_, run)| run.range.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downstream::{
        EnvelopeTemplate, Facts, LinkSet,
        fixture::{self, BARE},
    };
    use cursorgate_core::{json::Span, pagination::page::ItemPlace};

    const WITH_TIMES: &str = r#"{ "body": { "now": "{now}", "data": ["{item}"], "again": "at {now}." } }"#;

    fn rendered(text: &str, page: &Page, now: &str) -> Output {
        let mut diagnostics = Default::default();
        let settings = fixture::envelope(text, &mut diagnostics);
        let template = EnvelopeTemplate::compile(&settings, "users", &mut diagnostics).unwrap();
        let links = LinkSet::default();
        let mut output = Output::default();
        template.render(&Facts { now: Some(now), ..fixture::facts(&links) }, page, &mut output);
        output
    }

    fn whole(output: Output, page: Page) -> String {
        let length = output.length();
        let content = output.into_content(page.into_facts().answers);
        assert_eq!(content.len(), length);
        String::from_utf8(content.into_parts().concat()).unwrap()
    }

    #[test]
    fn a_long_run_is_sent_at_its_place_without_a_copy() {
        let long = format!("{{\"id\":1,\"text\":\"{}\"}}", "x".repeat(PART_FROM / 3));
        let items = [(long.as_str(), Some("1")); 7];
        for in_first in 0..=items.len() {
            let page = || fixture::page(&items, in_first);
            let output = rendered(WITH_TIMES, &page(), "noon");
            assert!(output.bytes.len() < 5 * long.len() && output.left.is_some(), "{in_first}");
            let lasting = output.lasting(&page()).concat();
            let data = [long.as_str(); 7].join(",");
            let expected = format!(r#"{{"now":,"data":[{data}],"again":"at ."}}"#);
            assert_eq!(String::from_utf8(lasting).unwrap(), expected, "{in_first}");
            let expected = format!(r#"{{"now":"noon","data":[{data}],"again":"at noon."}}"#);
            assert_eq!(whole(output, page()), expected, "{in_first}");
        }
    }

    #[test]
    fn a_page_is_written_around_a_run_that_has_room() {
        let items = format!("{{\"id\":1,\"text\":\"{}\"}}", "x".repeat(AROUND_FROM));
        for before in ["", "{\"data\":", "{\"total\":1,\"page\":1,\"data\":"] {
            for room in [0, 5, 16, ROOM_AFTER_ITEMS, 4 * items.len()] {
                let mut body = Vec::with_capacity(before.len() + items.len() + 2 + room);
                body.extend_from_slice(format!("{before}[{items}]").as_bytes());
                let memory = body.as_ptr_range().start..body.as_ptr().wrapping_add(body.capacity());
                let start = u32::try_from(before.len() + 1).unwrap();
                let item = Span { start, end: start + u32::try_from(items.len()).unwrap() };
                let answer = Answer::listed(body, vec![item], vec![Span::ABSENT; 2]);
                let page = Page::positional(vec![answer], vec![ItemPlace { answer: 0, item: 0 }]);
                let output = rendered(WITH_TIMES, &page, "noon");
                let parts = output.into_content(page.into_facts().answers).into_parts();
                let expected = format!(r#"{{"now":"noon","data":[{items}],"again":"at noon."}}"#);
                assert_eq!(String::from_utf8(parts.concat()).unwrap(), expected, "{before} {room}");
                let is_around = before.len() > 16 && room == ROOM_AFTER_ITEMS;
                assert_eq!(memory.contains(&parts[0].as_ptr()), is_around, "{before} {room}");
                assert!(parts[1].is_empty(), "one part: {before} {room}");
            }
        }
    }

    #[test]
    fn many_runs_take_no_more_memory_than_twice_the_page() {
        let body = format!("[{}]", ["7"; 500].join(", ")).into_bytes();
        let items = (0..500).map(|item| Span { start: 1 + item * 3, end: 2 + item * 3 }).collect();
        let answer = Answer::listed(body, items, vec![Span::ABSENT; 1_000]);
        let page = Page::positional(vec![answer], (0..500).map(|item| ItemPlace { answer: 0, item }).collect());
        let output = rendered(BARE, &page, "");
        assert_eq!(output.length(), 1_001);
        assert!(output.bytes.capacity() <= 2 * output.length(), "{}", output.bytes.capacity());
    }

    #[test]
    fn items_are_copied_as_one_run_only_if_separated_by_commas() {
        let texts = ["10", "20", "30", "40", "50"];
        let places = |items: [u32; 5]| items.map(|item| ItemPlace { answer: 0, item }).to_vec();
        for between in [",", " ,", ", ", ",,", "0"] {
            let body = format!("[{}]", texts.join(between)).into_bytes();
            let step = u32::try_from(2 + between.len()).unwrap();
            let items = (0..5).map(|item| Span { start: 1 + item * step, end: 3 + item * step }).collect();
            let answer = Answer::listed(body, items, vec![Span::ABSENT; 10]);
            let page = Page::positional(vec![answer], places([0, 1, 2, 3, 4]));
            assert_eq!(page.run(1).items, if between == "," { 4 } else { 1 }, "{between}");
            assert_eq!(whole(rendered(BARE, &page, ""), page), "[10,20,30,40,50]", "{between}");
        }
        let answers = fixture::page(&texts.map(|text| (text, None)), 5).into_facts().answers;
        let page = Page::positional(answers, places([4, 3, 1, 2, 0]));
        assert_eq!((0..5).map(|at| page.run(at).items).collect::<Vec<_>>(), [1, 1, 2, 1, 1]);
        assert_eq!(whole(rendered(BARE, &page, ""), page), "[50,40,20,30,10]");
    }
}
