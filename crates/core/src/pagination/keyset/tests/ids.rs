//! Lists that are sorted only by the id.

use super::*;

#[test]
fn an_id_that_comes_twice_is_refused() {
    for direction in [Ascending, Descending] {
        let mut list = List::new(Vec::new(), (0..20).map(|_| Vec::new()));
        list.order.id.direction = direction;
        assert_eq!(list.page(start(), 10).unwrap().items.len(), 10);
        list.rows[5] = list.rows[4].clone();
        let page = list.page(start(), 10);
        assert!(matches!(page, Err(Refusal::Unsorted(_))), "{direction:?}: {page:?}");
    }
}
