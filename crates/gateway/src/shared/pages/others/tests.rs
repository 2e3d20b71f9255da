use super::*;

const KEY: u32 = 1;

fn news(series: u64, number: u64, places: &[(u16, u64)]) -> PurgeNews {
    PurgeNews { count: PurgeCount { series, number }, places: places.to_vec() }
}

/// Asks a question and learns from its reply. Returns the question and the result of [`OtherPurges::learn`].
fn told(purges: &OtherPurges, reply: Option<&PurgeNews>) -> (PurgeQuestion, Option<u64>) {
    let asked = purges.ask("purges", KEY);
    let series = purges.learn(&asked, reply);
    (asked, series)
}

/// Returns whether a page with place 7 may be used. `begun` is the series and the number at which its making began.
fn admits(purges: &OtherPurges, asked: &PurgeQuestion, series: u64, begun: (u64, u64)) -> bool {
    let begun = PurgeCount { series: begun.0, number: begun.1 };
    purges.admit(asked, series, begun, [7].into()).is_some()
}

#[test]
fn a_page_is_used_until_one_of_its_places_is_purged() {
    let purges = OtherPurges::default();
    assert_eq!(purges.count(), None, "nothing has been read");
    let (asked, series) = told(&purges, Some(&news(9, 3, &[(7, 2)])));
    assert_eq!((asked.from(), series, purges.count()), (0, Some(9), Some(PurgeCount { series: 9, number: 3 })));
    assert!(admits(&purges, &asked, 9, (9, 3)) && admits(&purges, &asked, 9, (9, 2)));
    assert!(!admits(&purges, &asked, 9, (9, 1)), "begun before a purge");
    assert!(!admits(&purges, &asked, 9, (8, 3)), "of another series");
    let (asked, _) = told(&purges, Some(&news(9, 5, &[(8, 4), (7, 5)])));
    assert_eq!(asked.from(), 3, "what is known is not read again");
    assert!(!admits(&purges, &asked, 9, (9, 4)) && admits(&purges, &asked, 9, (9, 5)));
}

/// If purges may be lost, no page is used until all purges have been read again.
#[test]
fn lost_purge_numbers_make_misses_until_all_are_read() {
    let purges = OtherPurges::default();
    told(&purges, Some(&news(9, 3, &[])));
    let (asked, series) = told(&purges, None);
    assert_eq!((series, purges.count(), admits(&purges, &asked, 9, (9, 3))), (None, None, false), "it is gone");
    let (asked, series) = told(&purges, Some(&news(10, 1, &[])));
    assert_eq!((asked.from(), series), (0, Some(10)), "a new series");
    assert!(!admits(&purges, &asked, 10, (9, 3)) && admits(&purges, &asked, 10, (10, 1)));
    let (asked, series) = told(&purges, Some(&news(11, 7, &[(7, 7)])));
    assert_eq!((asked.from(), series), (1, None), "another series in the reply to a part");
    assert!(!admits(&purges, &asked, 10, (10, 1)));
    assert_eq!(told(&purges, Some(&news(11, 7, &[(7, 7)]))).1, Some(11));
}

/// Row: A24
#[test]
fn an_older_state_of_purges_from_the_store_is_rejected() {
    let purges = OtherPurges::default();
    told(&purges, Some(&news(9, 5, &[(7, 5)])));
    assert_eq!(told(&purges, None).1, None, "no purge from the fifth on");
    for number in [4, 5, 6] {
        let (asked, series) = told(&purges, Some(&news(9, number, &[])));
        assert_eq!((series, admits(&purges, &asked, 9, (9, 4))), (None, false), "{number}");
    }
    assert_eq!(purges.went_back(), Some(9));
    assert_eq!(told(&purges, Some(&news(10, 1, &[]))).1, Some(10), "a series in its place");
    assert_eq!(purges.went_back(), None);
    // The number of only one place goes back.
    told(&purges, Some(&news(10, 2, &[(7, 2)])));
    let (asked, _) = told(&purges, Some(&news(10, 2, &[(7, 1)])));
    assert!(!admits(&purges, &asked, 10, (10, 1)));
}

/// A reply to an earlier question may arrive after the reply to a later question. The smaller number is then not taken
/// for a counter that went back, and the states of two series aren't mixed.
#[test]
fn a_late_reply_of_the_store_is_not_taken_for_a_counter_that_went_back() {
    let purges = OtherPurges::default();
    told(&purges, Some(&news(9, 3, &[])));
    let (first, second) = (purges.ask("purges", KEY), purges.ask("purges", KEY));
    assert_eq!(purges.learn(&second, Some(&news(9, 5, &[(7, 5)]))), Some(9));
    assert_eq!(purges.learn(&first, Some(&news(9, 4, &[]))), Some(9));
    assert_eq!(purges.went_back(), None);
    assert!(!admits(&purges, &first, 9, (9, 4)), "the later reply counts");
    let other = OtherPurges::default();
    let (first, second) = (other.ask("purges", KEY), other.ask("purges", KEY));
    other.learn(&second, Some(&news(10, 1, &[])));
    other.learn(&first, Some(&news(9, 1, &[])));
    assert!(!admits(&other, &second, 10, (9, 1)), "its own reply had another series");
    // The name differs after a reload with another key.
    assert_eq!(other.ask("others", KEY).from(), 0);
    assert_eq!(other.learn(&second, Some(&news(10, 1, &[]))), None);
}

/// A page in memory is dropped when the process learns of a purge after the page's making began, even if the series was
/// lost in between.
#[test]
fn pages_in_memory_are_dropped_when_a_purge_is_learnt() {
    let purges = OtherPurges::default();
    let (asked, _) = told(&purges, Some(&news(9, 3, &[(7, 3)])));
    let stamp = purges.admit(&asked, 9, PurgeCount { series: 9, number: 3 }, [7, 8].into()).unwrap();
    assert!(purges.is_valid(&stamp));
    told(&purges, None);
    told(&purges, Some(&news(10, 1, &[(9, 1)])));
    assert!(purges.is_valid(&stamp), "the series is lost, and another place purged");
    told(&purges, Some(&news(10, 2, &[(8, 2)])));
    assert!(!purges.is_valid(&stamp));
    assert!(purges.is_valid(&SharedStamp { learnt: purges.learnt(), places: [7, 8].into() }));
}

/// From the time at which a purge is recorded until the store is known to have it, no page of the purged place is used.
#[test]
fn a_purge_not_yet_in_the_store_already_applies() {
    let purges = OtherPurges::default();
    told(&purges, Some(&news(9, 3, &[])));
    let noted = purges.note_unwritten([(KEY, 7), (2, 7)].into_iter());
    let (asked, _) = told(&purges, Some(&news(9, 3, &[])));
    assert!(!admits(&purges, &asked, 9, (9, 3)));
    // The purge is written while the question is on its way, so the reply might not contain the purge.
    purges.written("purges", &noted, Some(PurgeCount { series: 9, number: 4 }));
    assert!(!admits(&purges, &asked, 9, (9, 4)), "it was asked before");
    let before = purges.learnt();
    let (asked, _) = told(&purges, Some(&news(9, 4, &[(7, 4)])));
    assert!(admits(&purges, &asked, 9, (9, 4)) && !admits(&purges, &asked, 9, (9, 3)));
    assert_eq!(purges.learnt(), before, "its own purge is no news");
    let (_, series) = told(&purges, Some(&news(9, 3, &[])));
    assert_eq!((series, purges.went_back()), (None, Some(9)), "the store had four of them");
    // A later purge of the same place stays unwritten.
    let [first, second] = [(); 2].map(|()| purges.note_unwritten([(KEY, 7)].into_iter()));
    purges.written("purges", &first, None);
    assert_eq!(purges.unwritten(KEY), second);
    purges.forget_others(&[2]);
    assert_eq!(purges.unwritten_count(), 0);
}
