//! Modes, flipped orders, and guarantees.

use crate::upstream::{
    Dialect, Guarantee, Unsortable,
    testing::{AT, at, changed, compile, sort, term},
};
use cursorgate_config::settings::{DialectFilter, DialectItem, DialectTerms, FieldSettings, ListSettings, Mode};
use cursorgate_core::pagination::{
    fetch::{Fetch, Listing},
    order::{Direction, Kind, Nulls, Ties},
    page::Level,
    resolver::Verify,
    window::{Offset, PageSize, Slice},
};

fn field(name: &str, kind: Kind, nulls: Nulls) -> FieldSettings {
    FieldSettings { name: name.to_owned(), kind, collation: None, grain: None, nulls, at: None, upstream: None }
}

fn filter(inclusive: bool) -> DialectFilter {
    let some = |text: &str| Some(at(text));
    let terms = match inclusive {
        true => DialectTerms {
            lte: some("{field}_to={value}"),
            gte: some("{field}_from={value}"),
            ..DialectTerms::default()
        },
        false => {
            DialectTerms { lt: some("{field}_lt={value}"), gt: some("{field}_gt={value}"), ..DialectTerms::default() }
        }
    };
    DialectFilter {
        at: AT,
        terms,
        query: None,
        and: None,
        or: None,
        merge: None,
        repeatable: false,
        quote: Vec::new(),
        fields: Vec::new(),
    }
}

/// Gives a route a range filter on the date that it is sorted by.
fn ranged(list: &mut ListSettings) {
    list.dialect.request.query = at("offset={offset}&limit={size}");
    list.dialect.filter = Some(filter(true));
    list.filterable = vec![at("created_at")];
    list.fields = vec![field("created_at", Kind::Datetime, Nulls::None)];
}

fn promised(change: impl Fn(&mut ListSettings)) -> Guarantee {
    let (dialect, list) = (compile(&change), changed(&change));
    dialect.guarantee(dialect.default_sorted(), &list)
}

#[test]
fn the_strongest_mode_is_chosen_and_reported_with_its_reason() {
    let chosen = |change: &dyn Fn(&mut ListSettings)| {
        let guarantee = promised(change);
        (guarantee.mode, guarantee.why)
    };
    let told = |mode, why: &str| (mode, why.to_owned());
    assert_eq!(
        chosen(&ranged),
        told(Mode::Keyset, "created_at can be filtered by, and the order asked for from its end")
    );
    let and = |also: fn(&mut ListSettings)| {
        chosen(&move |list: &mut ListSettings| {
            ranged(list);
            also(list);
        })
    };
    assert_eq!(
        and(|list| list.filterable.clear()),
        told(
            Mode::Offset,
            "keyset, whose pages cost the same at any depth, needs range filters on created_at: if the endpoint can filter by created_at, write filterable = \
             [\"created_at\"]"
        )
    );
    assert_eq!(
        and(|list| list.dialect.sort = None),
        told(Mode::Offset, "created_at can be filtered by, and test can't be asked for the order from its end")
    );
    assert_eq!(and(|list| list.dialect.filter = Some(filter(false))).0, Mode::Keyset, "dates have neighbours");
    assert_eq!(
        and(|list| {
            list.dialect.filter = Some(filter(false));
            list.fields[0].kind = Kind::Text;
        }),
        told(Mode::Offset, "test has no ranges of created_at that include their own end: lte and gte, or eq and or")
    );
    assert_eq!(and(|list| list.mode = at(Mode::Offset)), told(Mode::Offset, "mode = \"offset\""));
    assert_eq!(
        and(|list| list.mode = at(Mode::Keyset)),
        told(Mode::Keyset, "mode = \"keyset\"; created_at can be filtered by")
    );
    assert_eq!(
        and(|list| {
            list.mode = at(Mode::Seek);
            list.dialect.item = Some(item());
        }),
        told(Mode::Seek, "mode = \"seek\"; created_at can be filtered by")
    );
    let (mode, why) = and(|list| {
        list.mode = at(Mode::Seek);
        list.dialect.item = Some(item());
        list.dialect.filter = None;
    });
    assert_eq!(mode, Mode::Seek);
    assert!(why.starts_with("mode = \"seek\"; places are searched for, since keyset, whose"), "{why}");
    assert_eq!(and(|list| list.declared = false).0, Mode::Offset);
    let (mode, why) = chosen(&|list| {
        list.dialect.request.query = at("limit={size}&cursor={token}");
        list.dialect.response.next_token = Some(at("/next"));
    });
    assert_eq!((mode, why.as_str()), (Mode::Token, "test pages by the values that it hands out"));
}

#[test]
fn an_id_is_filtered_by_under_its_unescaped_name() {
    for (place, name) in [("/a~1b", "a/b"), ("/keys/a~01b", "a~1b"), ("/id", "id")] {
        let list = changed(|list| {
            ranged(list);
            list.id = Some(at(place));
            list.filterable = vec![at("id")];
            if let Some(filter) = &mut list.dialect.filter {
                filter.fields = vec![(at(name), std::mem::take(&mut filter.terms))];
            }
        });
        assert_eq!(super::keyset_obstacle(&list, super::Places::Offsets, Some(&term("id"))), None, "{place}");
        assert!(super::shows_its_end(&list, &term("id")), "{place}");
    }
}

fn item() -> DialectItem {
    let path = at("{path}/{id}");
    DialectItem { at: AT, path, query: None, headers: Vec::new(), value: None, gone: Vec::new() }
}

#[test]
fn an_order_that_a_client_chose_has_a_mode_of_its_own() {
    let dialect = compile(|list| {
        ranged(list);
        list.sortable = vec![at("created_at"), at("name"), at("id")];
        list.fields.push(field("name", Kind::Opaque, Nulls::None));
    });
    let sorted = |terms: &[&str]| {
        let terms: Vec<_> = terms.iter().map(|text| term(text)).collect();
        dialect.sorted(&terms, Direction::Ascending)
    };
    let mode = |terms: &[&str]| sorted(terms).map(|sorted| (sorted.mode, sorted.filters.is_some()));
    assert_eq!(mode(&["created_at"]), Ok((Mode::Keyset, true)));
    assert_eq!(mode(&["created_at", "name"]), Ok((Mode::Keyset, true)));
    assert_eq!(mode(&["name"]), Ok((Mode::Offset, false)));
    let unprovable = Unsortable::Opaque("name".to_owned());
    assert_eq!(mode(&["name", "created_at"]), Err(unprovable), "no page of it could be proven");
}

/// Returns the sort of the flipped order; `None` if the declared order can't be flipped.
fn flipped(change: impl FnOnce(&mut ListSettings)) -> Option<String> {
    let dialect = compile(change);
    let sorted = dialect.default_sorted();
    let listing = Listing { flipped: true, ..Listing::default() };
    let asked = asked(&dialect, listing);
    assert_eq!(sorted.flips, !asked.is_empty());
    sorted.flips.then_some(asked)
}

fn asked(dialect: &Dialect, listing: Listing) -> String {
    let fetch = Fetch::Slice(Slice::Offset { from: Offset(0), size: PageSize(5) }, listing);
    let query = dialect.ask(dialect.default_sorted(), &fetch, "", "/items").unwrap().query;
    query.split_once("sort=").map(|(_, sort)| sort.to_owned()).unwrap_or_default()
}

#[test]
fn an_order_can_be_flipped_only_if_all_its_keys_are_requested() {
    assert_eq!(flipped(|_| ()).as_deref(), Some("created_at,-id"));
    assert_eq!(flipped(|list| list.id_direction = Direction::Descending).as_deref(), Some("created_at,id"));
    assert_eq!(flipped(|list| list.dialect.sort = None), None);
    assert_eq!(flipped(|list| list.sortable.clear()), None, "believed, and not asked for");
    assert_eq!(flipped(|list| list.declared = false), None);
    let max_keys = |keys, ties| {
        move |list: &mut ListSettings| {
            list.order.push(at(term("name")));
            list.sortable.push(at("name"));
            list.dialect.sort.as_mut().unwrap().max_keys = Some(keys);
            list.ties = ties;
        }
    };
    assert_eq!(flipped(max_keys(3, None)).as_deref(), Some("created_at,-name,-id"));
    assert_eq!(flipped(max_keys(2, None)).as_deref(), Some("created_at,-name"));
    assert_eq!(flipped(max_keys(1, None)), None, "the second key would be flipped by nobody");
    assert_eq!(flipped(max_keys(2, Some(Ties::Ordered))), None, "nor would the id that ties are said to be ordered by");
    let by_id = |list: &mut ListSettings| list.order.clear();
    assert_eq!(flipped(by_id).as_deref(), Some("-id"));
}

#[test]
fn an_order_flips_only_if_its_nulls_move_with_it() {
    let nulls = |nulls, words: bool| {
        flipped(move |list| {
            if words {
                let mut sort = sort("sort={direction}{field}{nulls}", Some(","));
                (sort.nulls_first, sort.nulls_last) = (Some(".first".to_owned()), Some(".last".to_owned()));
                list.dialect.sort = Some(sort);
            }
            list.fields = vec![field("created_at", Kind::Inferred, nulls)];
        })
    };
    for (placed, without_words, with_words) in [
        (Nulls::Unsaid, Some("created_at,-id"), "created_at,-id"),
        (Nulls::None, Some("created_at,-id"), "created_at,-id"),
        (Nulls::Smallest, Some("created_at,-id"), "created_at.first,-id"),
        (Nulls::Largest, Some("created_at,-id"), "created_at.last,-id"),
        (Nulls::First, None, "created_at.last,-id"),
        (Nulls::Last, None, "created_at.first,-id"),
    ] {
        assert_eq!(nulls(placed, false).as_deref(), without_words, "{placed:?}");
        assert_eq!(nulls(placed, true).as_deref(), Some(with_words), "{placed:?}");
    }
}

#[test]
fn a_tie_run_is_requested_sorted_by_the_id_alone() {
    let dialect = compile(|_| ());
    let by_id = |flipped| asked(&dialect, Listing { by_id: true, flipped, ..Listing::default() });
    assert_eq!((by_id(false).as_str(), by_id(true).as_str()), ("id", "-id"));
}

#[test]
fn a_level_comes_with_the_obstacle_to_the_next() {
    let of = |change: fn(&mut ListSettings)| {
        let guarantee = promised(change);
        (guarantee.level, guarantee.keeps_from_next.unwrap_or_default())
    };
    assert_eq!(of(|_| ()), (Level::Exact, String::new()));
    assert_eq!(
        of(|list| list.verify = Verify::Never),
        (Level::Positional, "verify = \"never\": nothing is proven".to_owned())
    );
    for (change, level, why) in [
        ((|list| list.declared = false) as fn(&mut ListSettings), Level::Anchored, "the route declares no order"),
        (|list| list.dialect.response.hidden = true, Level::Checked, "test hides items after the limit"),
        (
            |list| {
                list.dialect.request.query = at("page={page}");
                list.dialect.size.default = Some(at(15_u32));
                list.dialect.sort = None;
            },
            Level::Checked,
            "pages of 15 never show both sides of where they meet",
        ),
        (
            |list| {
                list.dialect.size.choices = vec![10, 20];
                list.dialect.sort = None;
            },
            Level::Checked,
            "where pages of all its sizes meet",
        ),
        (
            |list| {
                list.dialect.request.query = at("limit={size}&cursor={token}");
                list.dialect.response.next_token = Some(at("/next"));
            },
            Level::Anchored,
            "test hands out tokens, and no answer shows the items before the place of a token",
        ),
        (
            |list| {
                list.dialect.request.query = at("limit={size}&starting_after={after}");
                list.dialect.response.has_more = Some(at("/more"));
                list.order = vec![at(term("id"))];
            },
            Level::Checked,
            "test lists the items after an item, and no answer shows that item again",
        ),
        (
            |list| {
                list.dialect.request.query = at("limit={size}&search_after={after}");
                list.dialect.response.has_more = Some(at("/more"));
                list.dialect.response.item_token = Some(at("/sort"));
                list.order = vec![at(term("id"))];
            },
            Level::Anchored,
            "test hands out tokens",
        ),
        (
            |list| {
                list.order = vec![at(term("name"))];
                let mut name = field("name", Kind::Opaque, Nulls::None);
                name.collation = Some("en".to_owned());
                list.fields = vec![name];
            },
            Level::Anchored,
            "the upstream sorts name by its collation \"en\", and equal ones in any order",
        ),
    ] {
        let (found, told) = of(change);
        assert_eq!(found, level, "{told}");
        assert!(told.starts_with(why), "{told}");
    }
    let by_language = |list: &mut ListSettings| {
        list.order = vec![at(term("name"))];
        list.sortable = vec![at("name"), at("id")];
        list.fields = vec![field("name", Kind::Opaque, Nulls::None)];
    };
    assert_eq!(of(by_language), (Level::Exact, String::new()), "ids tell where equal spellings end");
    let fixed_and_flipped = of(|list| {
        list.dialect.request.query = at("page={page}");
        list.dialect.size.default = Some(at(15_u32));
    });
    assert_eq!(fixed_and_flipped.0, Level::Exact);
}
