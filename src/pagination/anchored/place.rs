//! Where a page begins, by the marks that were seen again.
//!
//! The items that a cursor marks stood side by side when it was made, so whatever stands between two of them now was put
//! there since. Whoever of them has not moved still says where the boundary is: it lies anywhere between the first and
//! the last of them, before those that were not served yet, for those that were are known and not served again. Who has
//! moved can't be told; but as long as fewer have moved than stood still, every set of marks that could be the ones that
//! stood still, a majority in its order, must agree. The place is one with which all of them do. Two majorities have a
//! mark in common, so that there is one but where an item behind the boundary was carried past one ahead of it, and the
//! majority hangs on which of the two it was.

use super::super::rules::{self, Rule};

/// A mark that was seen again. Both numbers count in the direction of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Which of the cursor's marks: those already served come first.
    pub(super) rank: usize,
    /// Where it stands.
    pub(super) at: i64,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Right before what stands here.
    pub(super) cut: i64,
    /// How many marks the longest chain has that keeps its order.
    pub(super) chain: usize,
    /// Nothing stands between the marks that were seen. Else something was put there, or one of them has moved.
    pub(super) unbroken: bool,
}

/// What a set of marks says, taken to have stood still.
#[derive(Clone, Copy, Debug)]
struct Chain {
    size: usize,
    /// Right behind its last mark served, or right before its first one not served.
    cut: i64,
    /// The first and the last cut that do it no harm.
    least: i64,
    most: i64,
}

/// Decides by the marks that were seen, at most [`MOST`], of which those below `behind` were served already. `None`
/// where none was, or where no majority of them agrees.
pub(super) fn decide(seen: &[Seen], behind: usize) -> Option<Place> {
    let mut seen: Vec<Seen> = seen.iter().copied().take(MOST).collect();
    seen.sort_by_key(|seen| seen.at);
    let (first, last) = (seen.first()?.at, seen.last()?.at);
    if !rules::holds(Rule::MarksAreChained) {
        return newest(&seen, behind);
    }
    let chains: Vec<Chain> = (1..1_u32 << seen.len()).filter_map(|set| chain(&seen, set, behind)).collect();
    let longest = chains.iter().map(|chain| chain.size).max()?;
    let unbroken = last - first + 1 == i64::try_from(seen.len()).unwrap_or(i64::MAX);
    let place = |cut| Some(Place { cut, chain: longest, unbroken });
    // The last of the chains is all of them, where that is one.
    let majorities = || chains.iter().filter(|chain| chain.size * 2 > seen.len());
    let least = majorities().map(|chain| chain.least).max();
    let most = majorities().map(|chain| chain.most).min();
    match least.zip(most) {
        _ if unbroken && longest == seen.len() => place(chains.last()?.cut),
        Some((least, most)) if least <= most => {
            let cut = chains.iter().filter(|chain| chain.size == longest).map(|chain| chain.cut).min()?;
            place(cut.clamp(least, most))
        }
        // Nothing stands between them: whoever has moved, only the marks themselves are in question, and those that were
        // served are known.
        _ if unbroken => place(seen.iter().find(|seen| seen.rank >= behind).map_or(last + 1, |seen| seen.at)),
        _ => None,
    }
}

/// The most marks that are looked at: a cursor has five.
const MOST: usize = 8;

/// A set of the marks, sorted by place, as a chain; `None` where they are not in their order.
fn chain(seen: &[Seen], set: u32, behind: usize) -> Option<Chain> {
    let mut members = seen.iter().enumerate().filter(|(bit, _)| set & (1 << bit) != 0).map(|(_, seen)| *seen);
    let first = members.next()?;
    let (mut size, mut last) = (1, first);
    let mut served = (first.rank < behind).then_some(first.at);
    let mut ahead = (first.rank >= behind).then_some(first.at);
    for member in members {
        if member.rank <= last.rank || member.at == last.at {
            return None;
        }
        size += 1;
        if member.rank < behind {
            served = Some(member.at);
        } else {
            ahead = ahead.or(Some(member.at));
        }
        last = member;
    }
    let most = ahead.unwrap_or(last.at + 1);
    Some(Chain { size, cut: served.map_or(most, |at| at + 1), least: first.at, most })
}

/// The mistake that the majority guards against: the mark nearest to the boundary has the only say.
fn newest(seen: &[Seen], behind: usize) -> Option<Place> {
    let served = seen.iter().filter(|seen| seen.rank < behind).max_by_key(|seen| seen.rank);
    let ahead = seen.iter().min_by_key(|seen| seen.rank);
    let cut = served.map(|seen| seen.at + 1).or_else(|| ahead.map(|seen| seen.at))?;
    Some(Place { cut, chain: seen.len(), unbroken: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a list as letters: `abc` were served, `de` come next, anything else is another item. Gives the list with a
    /// bar where the page begins.
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
    fn the_page_begins_where_no_majority_is_harmed() {
        for (list, expected) in [
            ("xabcdex", "xabc|dex"),
            // What was put between the last one served and the first one not served is served.
            ("abcxxde", "abc|xxde"),
            ("axbycxde", "axbyc|xde"),
            ("cxd", "c|xd"),
            ("bcxd", "bc|xd"),
            // Read a page, delete it, ask for the next.
            ("xxdexx", "xx|dexx"),
            ("xexx", "x|exx"),
            ("xxc", "xxc|"),
            ("abc", "abc|"),
            // One that was served moves on past what was not.
            ("abdexxxc", "ab|dexxxc"),
            ("abdxecx", "ab|dxecx"),
            ("cabde", "cab|de"),
            ("cxxabde", "cxxab|de"),
            // Two of them.
            ("adexxbc", "a|dexxbc"),
            ("adxebxxc", "a|dxebxxc"),
            // One that was not served moves back.
            ("exxxabcd", "exxxabc|d"),
            ("dabce", "dabc|e"),
            // The rest of the marks is gone: the two that stood still outvote the third.
            ("abxxxc", "ab|xxxc"),
            ("cxxxde", "cxxx|de"),
            // Neighbours changed places: nothing stands between them that could be skipped or repeated.
            ("abdce", "ab|dce"),
            ("dc", "|dc"),
        ] {
            assert_eq!(page(list), expected, "{list}");
        }
    }

    #[test]
    fn without_a_majority_nothing_is_decided() {
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

    /// Every way in which any minority of the marks moves, or marks go, among other items: what stood still is neither
    /// skipped nor repeated.
    #[test]
    fn no_minority_of_moved_marks_does_harm() {
        // Served: S a b c, to come: d e T. The marks are a to e.
        let still = "SabcdeT";
        let mut decided = 0;
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
                each_insertion(&base, &movers, &mut |list| {
                    let text: String = list.iter().collect();
                    let page = page(&text);
                    if page == "lost" {
                        return;
                    }
                    decided += 1;
                    let (before, after) = page.split_once('|').unwrap();
                    assert!(!before.chars().any(|item| "deT".contains(item) && stays(item)), "skipped: {page}");
                    assert!(!after.contains('S'), "repeated: {page}");
                });
            }
        }
        assert!(decided > 100, "{decided}");
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
