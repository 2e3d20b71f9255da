//! The evidence for a refusal: a sentence for the operator about the requests and answers that led to it. The sentence
//! names the configuration key to check.
//!
//! The core takes ownership of the answers. The facts for an explanation are therefore recorded as each answer arrives:
//! its number of items, hashes of its first and last id, and the runs of equal sort keys at its edges. No value of an
//! item is kept.

mod tokens;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use self::tokens::TokenAnswer;
use super::{
    failure::Failure,
    metrics::{OTHER_PEER, SMALL_PAGES},
};
use cursorgate_core::pagination::{
    answer::Answer,
    fetch::{Fetch, Listing},
    order::Order,
    refusal::Refusal,
    window::{Offset, Slice},
};
use cursorgate_translate::{
    downstream::Code,
    upstream::{Dialect, Places},
};

/// The largest number of answers that are recorded. A search may read more answers. The later answers aren't recorded,
/// because the first ones are enough for an explanation.
const MOST: usize = 16;

/// The facts about the answers for one page.
#[derive(Debug, Default)]
pub struct RefusalEvidence {
    shown: Vec<ShownAnswer>,
    by_token: Vec<TokenAnswer>,
}

/// The facts about the answer to a request for a slice of the list in its declared order.
#[derive(Clone, Copy, Debug)]
struct ShownAnswer {
    slice: Slice,
    items: usize,
    /// Hashes of the first and the last id; `None` if the answer is empty.
    ends: Option<(u64, u64)>,
    /// The number of items in the longer of two runs of equal sort keys: the run at the beginning and the run at the
    /// end.
    run: usize,
}

impl ShownAnswer {
    /// Returns the offset after the last requested row.
    fn end(&self) -> u64 {
        self.slice.begins().0.saturating_add(self.slice.size().0.into())
    }
}

impl RefusalEvidence {
    /// Records an answer by token, or one of the list in its declared order. Answers of filtered lists, flipped lists
    /// and lists by id are ignored.
    pub fn note(&mut self, fetch: &Fetch, answer: &Answer) {
        if let Fetch::Token(fetch) = fetch
            && self.by_token.len() < MOST
        {
            self.by_token.push(TokenAnswer::new(fetch, answer));
        }
        // Offsets in other forms of the list count other items, so these answers can't be compared.
        let Fetch::Slice(slice, Listing { filter: None, flipped: false, by_id: false, .. }) = fetch else { return };
        if self.shown.len() == MOST {
            return;
        }
        let items = answer.items().len();
        let ends = (items > 0).then(|| (fingerprint(answer.id(0)), fingerprint(answer.id(items - 1))));
        self.shown.push(ShownAnswer { slice: *slice, items, ends, run: edge_run(answer, items) });
    }

    /// Returns an explanation of a refusal; `None` if the answers don't explain it.
    pub fn explain(&self, refusal: &Refusal, dialect: &Dialect, order: &Order) -> Option<String> {
        match refusal {
            Refusal::TieRun { .. } => self.tie_run(order),
            Refusal::Stuck => self
                .ignored_size(dialect)
                .or_else(|| self.same_items(dialect))
                .or_else(|| tokens::explain(&self.by_token, dialect)),
            Refusal::PositionLost { .. } | Refusal::BudgetExceeded | Refusal::NoList => {
                let first_page = || self.wrong_first_page(dialect);
                self.ignored_size(dialect)
                    .or_else(first_page)
                    .or_else(|| self.same_items(dialect))
                    .or_else(|| self.same_end(dialect.name()))
                    .or_else(|| self.capped(dialect.name()))
                    .or_else(|| self.gap(dialect.name()))
                    .or_else(|| self.sum())
            }
            Refusal::TooDeep if dialect.places() == Places::Ranges => Some(
                "requests name only ranges, and the answer to one has not all items of the page: more items have the same \
                 keys than an answer holds, or answers have become smaller"
                    .to_owned(),
            ),
            Refusal::TooDeep => self.deepest(),
            Refusal::Unsorted(_)
            | Refusal::PivotGone { .. }
            | Refusal::TokenGone
            | Refusal::Unsupported
            | Refusal::EndContradicted { .. } => None,
        }
    }

    /// Returns the evidence that the answers of one peer make no page. It has no values of items, because the list of peers
    /// shows it too.
    pub fn of_peer(&self, refusal: &Refusal) -> String {
        let has_size =
            matches!(refusal, Refusal::BudgetExceeded | Refusal::PositionLost { .. } | Refusal::TieRun { .. });
        let capped = self
            .smallest_full()
            .filter(|_| has_size)
            .map(|(count, most, asked)| format!("{count} have {most} items, where up to {asked} were asked for"));
        capped.or_else(|| self.sum()).unwrap_or_else(|| "no answer".to_owned())
    }

    /// Adds a summary of the answers to a `budget_exceeded` without a detail, which means that the page's time is over.
    /// Other failures are returned unchanged.
    pub fn add_to(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Refused { problem, detail: None } if problem.code == Code::BudgetExceeded => {
                Failure::Refused { problem, detail: self.sum() }
            }
            failure => failure,
        }
    }

    /// Adds the key for ends to a failure after a page that wasn't full: some upstreams fail where others give an empty
    /// page. Other failures are returned unchanged.
    pub fn at_end(&self, fetch: &Fetch, failure: Failure) -> Failure {
        let Fetch::Slice(slice, Listing { filter: None, flipped: false, .. }) = fetch else { return failure };
        let is_after = |shown: &ShownAnswer| {
            let (size, items) = (shown.slice.size().0 as usize, shown.items);
            (1..size).contains(&items) && shown.slice.begins().0.saturating_add(items as u64) <= slice.begins().0
        };
        match failure {
            Failure::Refused { problem, detail }
                if matches!(problem.code, Code::UpstreamUnavailable | Code::UpstreamMalformed | Code::TooDeep)
                    && self.shown.iter().any(is_after) =>
            {
                let said = "the page before it was not full: if that is the upstream's answer after the last item, list \
                            it in response.past_end";
                let detail = match detail {
                    Some(detail) if detail.contains("response.past_end") => detail,
                    Some(detail) => format!("{detail}; {said}"),
                    None => said.to_owned(),
                };
                Failure::Refused { problem, detail: Some(detail) }
            }
            failure => failure,
        }
    }

    /// Returns whether the upstream ignores the requested size: for two sizes it returned the same number of items, and
    /// more than the smaller size. For example, it returned 25 items both for 10 and for 40.
    pub fn shows_ignored_size(&self) -> bool {
        self.ignored_sizes().is_some()
    }

    /// Returns two requested sizes, and the number of items that the upstream returned for both; `None` if no two
    /// answers show that the size is ignored.
    fn ignored_sizes(&self) -> Option<(u32, u32, usize)> {
        let size = |shown: &ShownAnswer| shown.slice.size().0;
        self.shown.iter().enumerate().find_map(|(index, one)| {
            let differs = |other: &&ShownAnswer| {
                // With a cap, the number of items is also the same for two sizes, but it never exceeds the requested
                // size.
                let smaller = size(one).min(size(other)) as usize;
                size(one) != size(other) && one.items == other.items && one.items > smaller
            };
            let other = self.shown[index + 1..].iter().find(differs)?;
            Some((size(one), size(other), one.items))
        })
    }

    fn ignored_size(&self, dialect: &Dialect) -> Option<String> {
        let (one, other, items) = self.ignored_sizes()?;
        let name = dialect.size_name();
        let asks = match &name {
            Some(name) => {
                format!("does the upstream take `{name}`? request.query of the dialect {:?} names it", dialect.name())
            }
            None => {
                format!("request.query of the dialect {:?} does not name the size: set size.default", dialect.name())
            }
        };
        Some(format!("asked for {one} and for {other} items and got {items} both times: {asks}"))
    }

    /// Explains an empty first page if a later page has items; `None` otherwise.
    fn wrong_first_page(&self, dialect: &Dialect) -> Option<String> {
        let has_later = self.shown.iter().any(|shown| shown.items > 0 && shown.slice.begins() > Offset(0));
        let is_empty = |shown: &&ShownAnswer| shown.items == 0 && shown.slice.begins() == Offset(0);
        let empty = self.shown.iter().find(is_empty).filter(|_| has_later)?;
        let first = dialect.first_page();
        Some(match empty.slice {
            Slice::Page { .. } => format!(
                "page {first} was empty and a later one has items: is request.first_page of the dialect {:?} {}?",
                dialect.name(),
                first + 1
            ),
            Slice::Offset { .. } => format!(
                "offset 0 was empty and a later one has items: does the upstream count from 0, as the dialect {:?} says?",
                dialect.name()
            ),
        })
    }

    /// Explains two requests for different places whose answers begin with the same item; `None` if there are no two
    /// such requests.
    fn same_items(&self, dialect: &Dialect) -> Option<String> {
        let (one, other) = self.shown.iter().enumerate().find_map(|(index, one)| {
            let (first, _) = one.ends?;
            let begins = one.slice.begins();
            let is_same =
                |other: &&ShownAnswer| other.slice.begins() != begins && other.ends.is_some_and(|ends| ends.0 == first);
            Some((one, self.shown[index + 1..].iter().find(is_same)?))
        })?;
        let (is_by_page, named) = match (one.slice, other.slice) {
            (Slice::Page { number: one, .. }, Slice::Page { number: other, .. }) => {
                let first = dialect.first_page();
                (true, format!("pages {} and {}", one.0.saturating_add(first), other.0.saturating_add(first)))
            }
            (one, other) => (false, format!("offsets {} and {}", one.begins().0, other.begins().0)),
        };
        // If other answers begin with other items, the upstream reads the parameter. Test:
        // `a_refusal_names_what_the_answers_have_in_common`.
        if self.shown.iter().any(|shown| shown.ends.is_some_and(|ends| Some(ends.0) != one.ends.map(|ends| ends.0))) {
            return Some(format!(
                "the answers for the {named} begin with the same item, and others with other items: the list has changed \
                 between them, or the upstream begins at multiples of the size (request.aligned), no later than at some \
                 offset (request.max_offset), or with the last page again (response.repeats_last_page)"
            ));
        }
        let of_dialect = format!("request.query of the dialect {:?}", dialect.name());
        let name = dialect.place_name().unwrap_or_default();
        Some(if is_by_page {
            format!("the {named} gave the same items: is `{name}` the name of the page parameter? {of_dialect} says so")
        } else {
            format!(
                "the {named} gave the same items: is `{name}` the name of the parameter, and does the upstream count items \
                 and not pages? {of_dialect} says so"
            )
        })
    }

    /// Explains two requests for different places whose answers end with the same item, though one of them is for rows
    /// after it; `None` if there are no two such requests.
    fn same_end(&self, dialect: &str) -> Option<String> {
        let (one, other) = self.shown.iter().find_map(|one| {
            let ((_, last), end) = (one.ends?, one.end());
            let is_same =
                |other: &&ShownAnswer| other.slice.begins().0 >= end && other.ends.is_some_and(|ends| ends.1 == last);
            Some((one, self.shown.iter().find(is_same)?))
        })?;
        Some(format!(
            "the answers from offset {} and from offset {} end with the same item: if the upstream gives its last items \
             again, write repeats_last_page = true in the dialect {:?}; if it takes no larger offset, max_offset",
            one.slice.begins().0,
            other.slice.begins().0,
            dialect
        ))
    }

    /// Explains answers that all end at the same number of items, which is less than was asked for.
    fn capped(&self, dialect: &str) -> Option<String> {
        let (count, most, asked) = self.smallest_full()?;
        Some(format!(
            "{count} answers have {most} items, where up to {asked} were asked for: the service's largest page is smaller \
             than the configuration says. Lower page_size.max of the route, or write size.max = {most} in the dialect \
             {dialect:?}"
        ))
    }

    /// Returns the number of answers that all end at the same number of items, which is less than was asked for, that
    /// number, and the largest number that was asked for; `None` for fewer than three such answers, which removed rows
    /// explain as well.
    fn smallest_full(&self) -> Option<(usize, usize, u32)> {
        let most = self.shown.iter().map(|shown| shown.items).max().filter(|most| *most > 0)?;
        let full = || self.shown.iter().filter(|shown| shown.items == most);
        // Once it has seen such an answer, the core asks for no more.
        let asked = full().map(|shown| shown.slice.size().0).max().filter(|asked| most < *asked as usize)?;
        Some((full().count(), most, asked)).filter(|(count, ..)| *count >= 3)
    }

    /// Explains a short answer after whose rows another answer has items; `None` if there are no such answers.
    fn gap(&self, dialect: &str) -> Option<String> {
        let (short, beyond) = self.shown.iter().find_map(|short| {
            let (size, end) = (short.slice.size().0 as usize, short.end());
            let is_beyond = |other: &&ShownAnswer| other.items > 0 && other.slice.begins().0 >= end;
            let is_short = short.items < size;
            is_short.then(|| self.shown.iter().find(is_beyond)).flatten().map(|beyond| (short, beyond))
        })?;
        Some(format!(
            "the answer from offset {} has {} of {} items, though the one from offset {} has items too: if the upstream \
             removes rows after it has applied the limit, write hidden = true in the dialect {:?}; if it gives no more at \
             once, size.max",
            short.slice.begins().0,
            short.items,
            short.slice.size().0,
            beyond.slice.begins().0,
            dialect
        ))
    }

    fn tie_run(&self, order: &Order) -> Option<String> {
        let longest = self.shown.iter().map(|shown| shown.run).max().filter(|run| *run > 1)?;
        let keys: Vec<&str> = order.strong().iter().map(|key| key.name.as_str()).collect();
        let keys = keys.join(", ");
        Some(format!(
            "at least {longest} items have the same `{keys}`, and one answer holds no more: if the upstream sorts such items by \
             the id, write ties = \"ordered\" in the route; else add a key with more values to the order, take `{keys}` out of \
             sortable, or raise size.max of the dialect"
        ))
    }

    fn deepest(&self) -> Option<String> {
        let deepest = self.shown.iter().map(|shown| shown.slice.begins().0).max()?;
        Some(format!(
            "the deepest request was for offset {deepest}: request.max_depth of the dialect says how deep it answers"
        ))
    }

    /// Summarizes the answers, for a refusal without one visible cause; `None` without answers.
    fn sum(&self) -> Option<String> {
        let least = self.shown.iter().map(|shown| shown.slice.begins().0).min()?;
        let most = self.shown.iter().map(|shown| shown.slice.begins().0).max()?;
        let items: usize = self.shown.iter().map(|shown| shown.items).sum();
        let longest = self.shown.iter().map(|shown| shown.items).max()?;
        let count = self.shown.len();
        let at_least = if count == MOST { "at least " } else { "" };
        Some(format!(
            "looked at {at_least}{count} answers with {items} items, at most {longest} in one, from offset {least} to {most}"
        ))
    }
}

fn fingerprint(id: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

/// Returns the length of the longer of the two runs of equal sort keys at the edges of an answer: 1 without sort keys,
/// 0 without items.
fn edge_run(answer: &Answer, items: usize) -> usize {
    let is_tie = |one: usize, other: usize| {
        let (Some(one), Some(other)) = (answer.row(one), answer.row(other)) else { return false };
        let strong = one.len().saturating_sub(1);
        let body = answer.body();
        let is_same =
            |(one, other): (&cursorgate_core::json::Span, &cursorgate_core::json::Span)| one.of(body) == other.of(body);
        strong > 0 && one[..strong].iter().zip(&other[..strong]).all(is_same)
    };
    let first = (1..items).take_while(|at| is_tie(at - 1, *at)).count();
    let last = (1..items).rev().take_while(|at| is_tie(at - 1, *at)).count();
    if items == 0 { 0 } else { first.max(last) + 1 }
}

/// Returns the kind of finding for a refused cursor; `None` for reasons that clients cause, such as an old cursor.
pub fn cursor_finding(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "key_unknown" => "cursor_key_unknown",
        "signature" => "cursor_signature",
        "future" => "cursor_future",
        "undated" => "cursor_undated",
        "mode" => "cursor_mode",
        "context" => "cursor_context",
        "parameter" => "cursor_parameter",
        _ => return None,
    })
}

/// Returns advice on the first thing that an operator should check after a refusal, usually configuration keys, such as
/// `timeouts of the upstream`; `None` for refusals that clients cause. `word` is a problem code or a cause of
/// `cursorgate_refusals_total`.
pub fn hint(word: &str) -> Option<&'static str> {
    Some(match word {
        "upstream_unavailable" => "peers of the upstream, and its log",
        "upstream_timeout" => "timeouts of the upstream",
        "upstream_truncated" => "the upstream's log: it ends answers early",
        "upstream_malformed" | "no_list" => "response.items of the dialect, and upstream_path of the route",
        "upstream_too_large" => "budgets.answer_size and page_size.max of the route",
        "upstream_redirected" => "upstream_path of the route",
        "overloaded" => {
            "the limit that the detail names; else connections of the upstream, concurrency of the route, \
             server.connections, and server.memory"
        }
        "position_lost" => "order of the route, and budgets.search_requests",
        "tie_run" => "order and sortable of the route",
        "too_deep" => "mode and budgets.offset of the route, and request.max_depth and max_offset of the dialect",
        "budget_exceeded" => {
            "page_size.max of the route, if it is more than the detail's \"at most\": the pages of the service are \
             smaller; else budgets.upstream_requests and budgets.time"
        }
        "stuck" => "request.query of the dialect",
        "end_unproven" => {
            "response.next_token or next_url of the dialect, if pages are continued by one; request.max_depth, if the \
             upstream shows only the beginning of the list; response.total_counts or response.hidden, if its total counts \
             items that it doesn't show"
        }
        "pivot_gone" => "caches.pivots.ttl, or mode of the route",
        "unsorted_no_object" => "response.items and response.item of the dialect",
        "unsorted_no_id" => "response.id of the dialect",
        "unsorted_no_key" | "unsorted_null" | "unsorted_kind" => "order and fields of the route",
        "unsorted_digits" | "unsorted_text" => "fields of the route: type and collation of the sort keys",
        "unsorted_order" => "order of the route, and [sort] of the dialect",
        "unsorted_ties" => "fields of the route, and [sort] of the dialect: does the upstream sort ties by the id?",
        "unsorted_twice" => "response.id of the dialect: is it unique?",
        "cursor_key_unknown" => "cursor.keys: every process needs the key with which any other one signs",
        "cursor_signature" => "cursor.keys: a number must name the same key in all processes",
        "cursor_future" => "the clocks of all processes: the one that made the cursor is ahead, or this one is behind",
        "cursor_undated" => {
            "cursor.ttl of the route: it must be the same in all processes, or cursor.accept must list \"undated\""
        }
        "cursor_mode" => {
            "cursor.sealed of the route: it must be the same in all processes, or cursor.accept must list both"
        }
        "cursor_context" => {
            "name, order and cursor.bind of the route: they must be the same in all processes; `was` accepts another name"
        }
        "cursor_parameter" => "envelope and parameters of the route: they must be the same in all processes",
        "internal" => "this is a fault of cursorgate: report it with this line",
        SMALL_PAGES => {
            "size.max of the dialect, if all peers give so few: it spares requests; else version and settings of the peer"
        }
        OTHER_PEER => "version, settings and data of the peer: the answers of another one make the page",
        "loop_detected" => "peers of the upstream: it leads back to this gateway",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_core::pagination::window::PageSize;

    fn evidence(answers: [(u64, u32, std::ops::Range<u64>); 2]) -> RefusalEvidence {
        let shown = answers.map(|(from, size, ids)| ShownAnswer {
            slice: Slice::Offset { from: Offset(from), size: PageSize(size) },
            items: usize::try_from(ids.end - ids.start).unwrap(),
            ends: Some((ids.start, ids.end - 1)),
            run: 1,
        });
        RefusalEvidence { shown: shown.to_vec(), ..RefusalEvidence::default() }
    }

    #[test]
    fn a_lost_position_names_the_two_answers_that_disagree() {
        let gap = evidence([(40, 20, 40..57), (60, 20, 60..80)]);
        assert_eq!(
            gap.same_end("d").or_else(|| gap.gap("d")).unwrap(),
            "the answer from offset 40 has 17 of 20 items, though the one from offset 60 has items too: if the upstream \
             removes rows after it has applied the limit, write hidden = true in the dialect \"d\"; if it gives no more at \
             once, size.max"
        );
        let capped = RefusalEvidence {
            shown: (0..4)
                .flat_map(|page| evidence([(page * 10, 59, page * 10..page * 10 + 10), (0, 5, 0..5)]).shown)
                .collect(),
            ..RefusalEvidence::default()
        };
        assert_eq!(
            capped.capped("d").unwrap(),
            "4 answers have 10 items, where up to 59 were asked for: the service's largest page is smaller than the \
             configuration says. Lower page_size.max of the route, or write size.max = 10 in the dialect \"d\""
        );
        assert_eq!(gap.capped("d"), None, "one short answer may have removed rows");
        let learnt = [evidence([(0, 59, 0..10), (10, 10, 10..20)]), evidence([(20, 10, 20..30), (30, 10, 30..40)])];
        let learnt = RefusalEvidence { shown: learnt.into_iter().flat_map(|two| two.shown).collect(), ..gap };
        assert!(learnt.capped("d").unwrap().starts_with("4 answers have 10 items, where up to 59 were asked for: "));
        assert_eq!(learnt.sum().unwrap(), "looked at 4 answers with 40 items, at most 10 in one, from offset 0 to 30");
        let again = evidence([(190, 20, 190..200), (1_000, 30, 170..200)]);
        assert_eq!(
            again.same_end("d").unwrap(),
            "the answers from offset 190 and from offset 1000 end with the same item: if the upstream gives its last items \
             again, write repeats_last_page = true in the dialect \"d\"; if it takes no larger offset, max_offset"
        );
    }

    #[test]
    fn a_failure_after_a_short_page_names_the_key_for_ends() {
        let short = evidence([(0, 20, 0..20), (20, 20, 20..33)]);
        let fetch = |from| {
            let slice = Slice::Offset { from: Offset(from), size: PageSize(20) };
            Fetch::Slice(slice, Listing::default())
        };
        let failed = |from| {
            let failure =
                Failure::logged(Code::UpstreamUnavailable, "it failed", "the upstream answered 500".to_owned());
            match short.at_end(&fetch(from), failure) {
                Failure::Refused { detail, .. } => detail.unwrap(),
                other => panic!("{other:?}"),
            }
        };
        assert!(failed(33).contains("response.past_end"), "{}", failed(33));
        assert_eq!(failed(20), "the upstream answered 500");
    }
}
