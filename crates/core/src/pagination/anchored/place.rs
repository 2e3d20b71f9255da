//! The place at which a page begins, by the marks that were seen again.
//!
//! The items that a cursor marks were side by side when it was made, so any item that is now between two of them was
//! put there later. The boundary is between the first and the last of the marked items that haven't moved. It is before
//! the unserved ones among these; served ones are recognised and not served again.
//!
//! Which marked items moved is unknown. But as long as fewer moved than stood still, those that stood still form a
//! majority that keeps its order. The place is therefore one that no such majority contradicts. Two majorities always
//! share a mark, so such a place exists, with one exception: a served and an unserved item have changed their order,
//! and the majority depends on which of the two has moved.
//!
//! Example: `abc` were served, `de` come next. If the list shows `abdexxxc`, then `c` has moved on, and the page begins
//! before `d`.

use crate::pagination::{
    limits::MARKS_COMPARED,
    rules::{self, Rule},
};

/// A mark that was seen again. Both numbers count in the direction of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// The index of the mark in the cursor; marks of served items come first.
    pub(super) rank: usize,
    /// The place of the marked item.
    pub(super) at: i64,
}

/// The place at which a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The place of the item right before which the page begins.
    pub(super) cut: i64,
    /// The size of the largest set of marks that keep their order.
    pub(super) chain: usize,
}

/// A set of marks that kept its order, and the places at which a page may begin if exactly these marks stood still.
#[derive(Clone, Copy, Debug)]
struct Chain {
    size: usize,
    /// The place right after the last served mark of the set; if it has none, the place of its first unserved mark.
    cut: i64,
    /// The first place at which a page can begin without skipping or repeating an item that the set marks.
    least: i64,
    /// The last place at which a page can begin without skipping or repeating an item that the set marks.
    most: i64,
}

/// Returns the place at which the page begins, by at most [`MARKS_COMPARED`] of the marks seen. Marks with a rank below
/// `passed` are of served items. `None` if no mark was seen, or if the majorities of the marks don't agree on a place.
pub(super) fn decide(seen: &[Seen], passed: usize) -> Option<Place> {
    let mut seen: Vec<Seen> = seen.iter().copied().take(MARKS_COMPARED).collect();
    seen.sort_by_key(|seen| seen.at);
    let (first, last) = (seen.first()?.at, seen.last()?.at);
    if !rules::holds(Rule::MarksAreChained) {
        return newest(&seen, passed);
    }
    let chains: Vec<Chain> = (1..1_u32 << seen.len()).filter_map(|set| chain(&seen, set, passed)).collect();
    let longest = chains.iter().map(|chain| chain.size).max()?;
    // If no other item is between the marks seen, no item can be skipped between them.
    let unbroken = last - first + 1 == i64::try_from(seen.len()).unwrap_or(i64::MAX);
    let place = |cut| Some(Place { cut, chain: longest });
    // If all marks keep their order, the last of `chains` contains all of them.
    let majorities = || chains.iter().filter(|chain| chain.size * 2 > seen.len());
    let least = majorities().map(|chain| chain.least).max();
    let most = majorities().map(|chain| chain.most).min();
    match least.zip(most) {
        _ if unbroken && longest == seen.len() => place(chains.last()?.cut),
        Some((least, most)) if least <= most => {
            let cut = chains.iter().filter(|chain| chain.size == longest).map(|chain| chain.cut).min()?;
            // The place contradicts no majority of the marks. Test:
            // `a_page_begins_where_most_of_the_marks_place_the_boundary`.
            place(cut.clamp(least, most))
        }
        // No other item is between the marks. Whichever mark has moved, only marked items could be skipped or repeated,
        // and the served ones are recognised.
        _ if unbroken => place(seen.iter().find(|seen| seen.rank >= passed).map_or(last + 1, |seen| seen.at)),
        // Any place here could skip items that stood still, so the place is lost. Test:
        // `a_place_without_a_majority_of_marks_is_lost`.
        _ => None,
    }
}

/// The possible places of marks that an answer doesn't show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unseen {
    /// True if unseen marks may be before the part that the answer shows, in the direction of reading.
    pub(super) before: bool,
    /// True if unseen marks may be after the part that the answer shows.
    pub(super) after: bool,
    /// True if only the unseen marks may have stood still, while all marks seen have moved.
    pub(super) alone: bool,
}

/// Returns whether a page that begins at `cut` certainly neither skips nor repeats an item that stood still. The unseen
/// ones of the cursor's `marks` marks may be anywhere: gone, or, as `unseen` allows, beyond the part that was looked
/// at. Any majority that they form with some of the marks seen may be the one that stood still.
pub(super) fn is_certain(seen: &[Seen], passed: usize, marks: usize, cut: i64, unseen: Unseen) -> bool {
    let mut seen: Vec<Seen> = seen.iter().copied().take(MARKS_COMPARED).collect();
    seen.sort_by_key(|seen| seen.at);
    let missing: Vec<usize> =
        (0..marks.min(MARKS_COMPARED)).filter(|rank| seen.iter().all(|seen| seen.rank != *rank)).collect();
    // Each unseen mark is gone, before the part that was looked at, or after it.
    let ways = 3_u32.pow(u32::try_from(missing.len()).unwrap_or(0));
    let ranks = |way: u32, side: u32| -> Vec<usize> {
        let places = (0..).zip(&missing);
        places.filter(|(place, _)| way / 3_u32.pow(*place) % 3 == side).map(|(_, rank)| *rank).collect()
    };
    (0..1_u32 << seen.len()).all(|set| {
        let still: Vec<Seen> = members(&seen, set).collect();
        // If the caller knows that not all marks in view have moved, this empty set is impossible. Test:
        // `three_marks_in_their_order_are_certain_and_fewer_are_not`.
        if !unseen.alone && still.is_empty() {
            return true;
        }
        (0..ways).all(|way| {
            let (before, after) = (ranks(way, 1), ranks(way, 2));
            let in_view = || still.iter().map(|seen| seen.rank);
            let line: Vec<usize> = before.iter().copied().chain(in_view()).chain(after.iter().copied()).collect();
            // Marks that stood still decide only if they outnumber those that moved. Test:
            // `a_certain_place_in_a_part_of_the_list_agrees_with_every_other_mark`.
            let possible = (unseen.before || before.is_empty())
                && (unseen.after || after.is_empty())
                && line.is_sorted_by(|one, other| one < other)
                && still.is_sorted_by(|one, other| one.at < other.at)
                && line.len() + still.len() > seen.len();
            !possible || !harms(&seen, &still, (before.last().copied(), after.first().copied()), passed, cut)
        })
    })
}

/// Returns whether a page that begins at `cut` skips or repeats an item that stood still, if exactly these marks stood
/// still: `still` among those seen. `beyond` contains the rank of the last such mark before the part that was looked
/// at, and of the first such mark after it; each is `None` if there is no such mark.
fn harms(seen: &[Seen], still: &[Seen], beyond: (Option<usize>, Option<usize>), passed: usize, cut: i64) -> bool {
    let (before, after) = beyond;
    // A stretch of only marked items does no harm: served ones are recognised, and moved ones have no guarantee.
    let only_marks = |from: i64, to: i64| (from..to).all(|at| seen.iter().any(|seen| seen.at == at));
    let repeats = before.is_none() && still.first().is_none_or(|first| cut < first.at && !only_marks(cut, first.at));
    let next = still.iter().find(|seen| seen.rank >= passed);
    let skips = match (next, still.last()) {
        _ if before >= Some(passed) => true,
        (Some(next), _) => next.at < cut,
        _ if after.is_some() => false,
        (None, Some(last)) => last.at + 1 < cut && !only_marks(last.at + 1, cut),
        (None, None) => true,
    };
    repeats || skips
}

/// Returns the marks whose bits are in `set`, by index.
fn members(seen: &[Seen], set: u32) -> impl Iterator<Item = Seen> {
    seen.iter().enumerate().filter(move |(bit, _)| set & (1 << bit) != 0).map(|(_, seen)| *seen)
}

/// Returns the marks in `set` as a chain; `None` if their ranks and places aren't in the same order. `seen` is sorted
/// by place.
fn chain(seen: &[Seen], set: u32, passed: usize) -> Option<Chain> {
    let mut members = members(seen, set);
    let first = members.next()?;
    let (mut size, mut last) = (1, first);
    let mut served = (first.rank < passed).then_some(first.at);
    let mut ahead = (first.rank >= passed).then_some(first.at);
    for member in members {
        if member.rank <= last.rank || member.at == last.at {
            return None;
        }
        size += 1;
        if member.rank < passed {
            served = Some(member.at);
        } else {
            ahead = ahead.or(Some(member.at));
        }
        last = member;
    }
    let most = ahead.unwrap_or(last.at + 1);
    Some(Chain { size, cut: served.map_or(most, |at| at + 1), least: first.at, most })
}

/// Returns the place by the one mark nearest to the boundary, which may have moved; `None` if no mark was seen. Only
/// used when a simulation has switched off [`Rule::MarksAreChained`] (`regressions/without-marks-are-chained.txt`).
fn newest(seen: &[Seen], passed: usize) -> Option<Place> {
    let served = seen.iter().filter(|seen| seen.rank < passed).max_by_key(|seen| seen.rank);
    let ahead = seen.iter().min_by_key(|seen| seen.rank);
    let cut = served.map(|seen| seen.at + 1).or_else(|| ahead.map(|seen| seen.at))?;
    Some(Place { cut, chain: seen.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decides for a list of letters: `abc` were served, `de` come next, any other letter is another item. Returns the
    /// list with a bar where the page begins, or "lost".
    fn page(list: &str) -> String {
        let seen: Vec<Seen> =
            list.chars().zip(0..).filter_map(|(item, at)| Some(Seen { rank: "abcde".find(item)?, at })).collect();
        let Some(place) = decide(&seen, 3) else {
            return "lost".to_owned();
        };
        let (before, after) = list.split_at(usize::try_from(place.cut).unwrap());
        format!("{before}|{after}")
    }

    #[test]
    fn a_page_begins_where_most_of_the_marks_place_the_boundary() {
        for (list, expected) in [
            ("xabcdex", "xabc|dex"),
            // Items that were put between the last served and the first unserved item are served.
            ("abcxxde", "abc|xxde"),
            ("axbycxde", "axbyc|xde"),
            ("cxd", "c|xd"),
            ("bcxd", "bc|xd"),
            // A client reads a page, deletes its items, and requests the next page.
            ("xxdexx", "xx|dexx"),
            ("xexx", "x|exx"),
            ("xxc", "xxc|"),
            ("abc", "abc|"),
            // A served item moves past unserved ones.
            ("abdexxxc", "ab|dexxxc"),
            ("abdxecx", "ab|dxecx"),
            ("cabde", "cab|de"),
            ("cxxabde", "cxxab|de"),
            // Two served items move past unserved ones.
            ("adexxbc", "a|dexxbc"),
            ("adxebxxc", "a|dxebxxc"),
            // An unserved item moves back.
            ("exxxabcd", "exxxabc|d"),
            ("dabce", "dabc|e"),
            // The rest of the marks are gone: the two that stood still outvote the third.
            ("abxxxc", "ab|xxxc"),
            ("cxxxde", "cxxx|de"),
            // Two neighbours changed places. No other item is between them, so the page skips and repeats none.
            ("abdce", "ab|dce"),
            ("dc", "|dc"),
        ] {
            assert_eq!(page(list), expected, "{list}");
        }
    }

    #[test]
    fn a_place_without_a_majority_of_marks_is_lost() {
        for list in ["", "xyz", "dxc", "dxxcxa", "exdxcxb"] {
            assert_eq!(page(list), "lost", "{list}");
        }
    }

    #[test]
    fn the_longest_chain_is_counted() {
        let at = |ranks: [usize; 5]| -> Vec<Seen> {
            ranks.iter().zip((0..).step_by(2)).map(|(&rank, at)| Seen { rank, at }).collect()
        };
        for (ranks, chain) in [([0, 1, 2, 3, 4], 5), ([0, 1, 3, 4, 2], 4), ([0, 3, 4, 1, 2], 3)] {
            assert_eq!(decide(&at(ranks), 3).map(|place| place.chain), Some(chain), "{ranks:?}");
        }
    }

    /// Calls `check` for every list in which a minority of the marked items moved and some are gone, with a predicate
    /// for the items that stood still.
    fn each_minority(mut check: impl FnMut(&[char], &dyn Fn(char) -> bool)) {
        // `S`, `a`, `b` and `c` were served; `d`, `e` and `T` come next. The marks are of `a` to `e`.
        let still = "SabcdeT";
        for gone in 0..1_u32 << 5 {
            for moved in 0..1_u32 << 5 {
                let stays = |item: char| match "abcde".find(item) {
                    Some(rank) => (gone | moved) & (1 << rank) == 0,
                    None => true,
                };
                let movers: Vec<char> = "abcde"
                    .chars()
                    .enumerate()
                    .filter(|(rank, _)| (moved & !gone) & (1 << rank) != 0)
                    .map(|(_, item)| item)
                    .collect();
                let stayed = "abcde".chars().filter(|&item| stays(item)).count();
                if movers.len() >= stayed || gone & moved != 0 {
                    continue;
                }
                let base: Vec<char> = still.chars().filter(|&item| stays(item)).collect();
                each_insertion(&base, &movers, &mut |list| check(list, &stays));
            }
        }
    }

    /// Asserts that items that stood still are neither skipped nor repeated.
    fn check_harmless(before: &[char], after: &[char], stays: &dyn Fn(char) -> bool) {
        assert!(!before.iter().any(|&item| "deT".contains(item) && stays(item)), "skipped: {before:?}|{after:?}");
        assert!(!after.contains(&'S'), "repeated: {before:?}|{after:?}");
    }

    #[test]
    fn a_minority_of_moved_marks_causes_no_loss_or_repetition() {
        let mut decided = 0;
        each_minority(|list, stays| {
            let text: String = list.iter().collect();
            let page = page(&text);
            if let Some((before, _)) = page.split_once('|') {
                decided += 1;
                let (before, after) = list.split_at(before.len());
                check_harmless(before, after, stays);
            }
        });
        assert!(decided > 100, "{decided}");
    }

    #[test]
    fn a_certain_place_in_a_part_of_the_list_agrees_with_every_other_mark() {
        let (mut certain, mut uncertain) = (0, 0);
        each_minority(|list, stays| {
            for from in 0..list.len() {
                for to in from + 1..=list.len() {
                    let part = (0..).zip(&list[from..to]);
                    let seen = part.filter_map(|(at, item)| Some(Seen { rank: "abcde".find(*item)?, at }));
                    let seen: Vec<Seen> = seen.collect();
                    let Some(place) = decide(&seen, 3) else { continue };
                    let unseen = Unseen { before: from > 0, after: to < list.len(), alone: true };
                    if is_certain(&seen, 3, 5, place.cut, unseen) {
                        certain += 1;
                        let (before, after) = list.split_at(from + usize::try_from(place.cut).unwrap());
                        check_harmless(before, after, stays);
                    } else {
                        uncertain += 1;
                    }
                }
            }
        });
        assert!(certain > 1_000 && uncertain > 1_000, "{certain} {uncertain}");
    }

    /// Decides as [`page`] does for a part of a list that goes on at both sides. Returns whether the decision is
    /// certain, first if not all visible marks can have moved, then if they can.
    fn certain(list: &str) -> (bool, bool) {
        let seen: Vec<Seen> =
            list.chars().zip(0..).filter_map(|(item, at)| Some(Seen { rank: "abcde".find(item)?, at })).collect();
        let cut = decide(&seen, 3).unwrap().cut;
        let is_certain = |alone| is_certain(&seen, 3, 5, cut, Unseen { before: true, after: true, alone });
        (is_certain(false), is_certain(true))
    }

    #[test]
    fn three_marks_in_their_order_are_certain_and_fewer_are_not() {
        for list in ["xabcdex", "xabcx", "bcd", "cde", "axbxcxde", "abxdxe", "bcxdxe", "abcxxe"] {
            assert_eq!(certain(list), (true, true), "{list}");
        }
        for list in ["de", "xdex", "xcdx", "xbcx"] {
            assert_eq!(certain(list), (true, false), "{list}");
        }
        // The unseen marks may form a majority with one of the visible marks, so no decision is certain.
        for list in ["ebc", "becd", "exbcx", "xcxdex"] {
            assert_eq!(certain(list), (false, false), "{list}");
        }
    }

    fn each_insertion(list: &[char], movers: &[char], check: &mut dyn FnMut(&[char])) {
        let Some((mover, rest)) = movers.split_first() else {
            return check(list);
        };
        for at in 0..=list.len() {
            let mut longer = list.to_vec();
            longer.insert(at, *mover);
            each_insertion(&longer, rest, check);
        }
    }
}
