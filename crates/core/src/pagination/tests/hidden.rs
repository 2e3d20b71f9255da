//! Rows that are hidden after the limit: few of them, or none, are no end.

use super::*;

/// What is left of an answer where rows are hidden after the limit: those of which the last digit is divisible by 3.
fn visible(list: &List, fetch: Slice) -> Answer {
    let mut answer = list.answer(fetch);
    let rows: Vec<[Span; 3]> = answer.items.iter().zip(answer.keys.chunks(2)).map(|(i, k)| [*i, k[0], k[1]]).collect();
    let kept = rows.iter().filter(|row| row[1].of(&answer.body)[3] % 3 == 0).collect::<Vec<_>>();
    let (items, keys) =
        (kept.iter().map(|row| row[0]).collect(), kept.iter().flat_map(|row| [row[1], row[2]]).collect());
    (answer.items, answer.keys) = (items, keys);
    answer
}

#[test]
fn hidden_rows_are_no_end_while_a_total_says_more() {
    let mut list = List::new(Family::Offset, (1_000..1_100).map(|rank| (rank.to_string(), rank.to_string())));
    (list.cap, list.total) = (100, Some(100));
    if let Ok((items, _)) = list.walk_of(20, visible) {
        assert_eq!(items.len(), 40, "a shorter list than there is");
    }
}

#[test]
fn a_count_of_fewer_than_come_is_no_end_of_what_is_hidden() {
    let mut list = List::new(Family::Offset, (1_000..1_062).map(|rank| (rank.to_string(), rank.to_string())));
    (list.paging.hidden, list.cap, list.ties) = (true, 33, Ties::Ordered);
    let last = list.page_of(start(), 22, visible).unwrap();
    let Some((_, Item::Keyed(last))) = last.edges.clone() else { panic!("{:?}", last.edges) };
    for total in [0, 1, 20] {
        list.total = Some(total);
        let hint = Hint { offset: Offset(1), ..Hint::default() };
        let before = Target { position: Position::Before(last.clone()), hint };
        let after = Target { position: Position::After(last.clone()), hint };
        for target in [before, after] {
            let page = list.page_of(target, 1, visible);
            assert!(page.as_ref().map_or(true, |page| !page.items.is_empty()), "{total}: {page:?}");
        }
    }
}

#[test]
fn a_count_of_another_time_moves_no_page_among_hidden_rows() {
    let rows = (1_000..1_041).map(|rank| (rank.to_string(), rank.to_string()));
    let mut list = List { ties: Ties::Ordered, cap: 33, ..List::new(Family::Page, rows) };
    list.paging = Paging { hidden: true, ..Paging::new(Family::Page, Sizes::Free { least: 1, most: Some(33) }) };
    list.honoured = 15;
    for total in 20..40 {
        list.total = Some(total);
        for rank in (1_000..1_041).filter(|rank| rank % 10 % 3 == 0) {
            let key = || KeyValue::Number(rank.to_string());
            let hint = Hint { offset: Offset(total - 1), total: Some(total), ..Hint::default() };
            let after = Position::After(Anchor { keys: vec![key()], id: key() });
            let ends =
                list.page_of(Target { position: after, hint }, 1, visible).is_ok_and(|page| page.items.is_empty());
            assert!(!ends || rank == 1_040, "{total}: nothing behind {rank}");
        }
    }
}
