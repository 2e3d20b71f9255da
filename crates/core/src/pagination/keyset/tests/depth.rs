//! Lists of which the upstream shows only the part within a depth or up to an offset.

use super::*;

#[test]
fn a_request_within_a_tie_run_respects_the_greatest_depth() {
    let mut list = List::new(vec![model::key("rank", Kind::Number, Ascending)], (0..40).map(|_| vec![model::whole(1)]));
    list.paging.sizes = Sizes::Listed(vec![3, 7, 11, 15]);
    list.paging.max_depth = Some(9);
    (list.cap, list.filters) = (15, runs_by_id(2));
    let more = list.rows.split_off(3);
    let first = list.page(start(), 1).unwrap();
    list.rows.extend(more);
    let _ = list.page(first.next.clone().unwrap(), 1);
    assert!(list.asked.len() > 1);
    for fetch in &list.asked {
        let Fetch::Slice(slice, _) = fetch else { panic!("{fetch:?}") };
        assert!(slice.begins().0 + u64::from(slice.size().0) <= 9, "{:?}", list.asked);
    }
}

#[test]
fn an_item_beyond_either_bound_is_read_from_the_other_end() {
    // Twenty items come at a time, so both bounds show fifty items from either end.
    let bounds: [fn(&mut List); 2] =
        [|list| list.paging.max_depth = Some(50), |list| list.paging.max_offset = Some(30)];
    for bound in bounds {
        let keys = vec![model::key("rank", Kind::Number, Ascending)];
        let mut list = List::new(keys, (0..90).map(|row| vec![model::whole(row)]));
        (list.cap, list.filters) = (20, None);
        list.paging.sizes = Sizes::Free { least: 1, most: Some(20) };
        bound(&mut list);
        let anchor =
            Anchor { keys: vec![KeyValue::Number("69".into())], id: KeyValue::Number(list.rows[69].id().into()) };
        let hint = Hint { offset: Offset(70), total: Some(90), ..Hint::default() };
        let page = list.page(Target { position: Position::After(anchor), hint }, 5).unwrap();
        assert_eq!((ids(&page), page.notes.requests), (list.expected()[70..75].to_vec(), 1), "{:?}", list.asked);
    }
}
