//! All ways of writing an order have one meaning, and contradictions are refused.

use super::*;
use crate::downstream::request::query::pairs;
use cursorgate_config::{settings::SortTerm, sort_form::SortWords};
use cursorgate_core::pagination::order::Direction;

/// Returns a sorting with the client's parameter `sort`, for a dialect that writes these words for `created_at`,
/// `email` and the id.
fn sorting(join: Option<&str>, names: &[&str], words: impl Fn(&str, &str) -> Vec<(String, String)>) -> Sorting {
    let mut keys = Vec::new();
    for field in ["created_at", "email", "id"] {
        for (direction, word) in [(Direction::Ascending, "asc"), (Direction::Descending, "desc")] {
            let term = SortTerm { field: field.to_owned(), direction };
            keys.push(SortWords { term, pairs: words(field, word) });
        }
    }
    let strings = |names: &[&str]| -> Vec<String> { names.iter().map(|&name| name.to_owned()).collect() };
    let form = SortForm { join: join.map(str::to_owned), keys };
    let sortable = strings(&["created_at", "email", "id"]);
    Sorting::new(Some("sort".to_owned()), sortable, ReservedNames::new(&strings(names)), form, &["limit", "cursor"])
}

/// Returns a sorting for a dialect that sorts by `ordering=-email`.
fn django() -> Sorting {
    sorting(Some(","), &["ordering"], |field, word| {
        let sign = if word == "desc" { "-" } else { "" };
        vec![("ordering".to_owned(), format!("{sign}{field}"))]
    })
}

/// Returns a sorting for a dialect that sorts by `sort=email,desc`, where `sort` is also the client's own parameter.
fn spring() -> Sorting {
    sorting(None, &["sort"], |field, word| vec![("sort".to_owned(), format!("{field},{word}"))])
}

/// Returns a sorting for a dialect that sorts by `order_by=email&sort=desc`, where `sort` is also the client's own
/// parameter.
fn gitlab() -> Sorting {
    sorting(None, &["order_by", "sort"], |field, word| {
        vec![("order_by".to_owned(), field.to_owned()), ("sort".to_owned(), word.to_owned())]
    })
}

/// Returns the order of a query, such as `-email -id`, or the code and the parameter of the problem.
fn read(sorting: &Sorting, query: &str) -> String {
    let said: Vec<Pair<'_>> = pairs(query).filter(|pair| sorting.covers(&pair.name())).collect();
    match sorting.read(&said) {
        Ok(None) => "none".to_owned(),
        Ok(Some((_, sort))) => {
            let sign = |direction| if direction == Direction::Ascending { '+' } else { '-' };
            let strong = sort.strong.iter().map(|term| format!("{}{} ", sign(term.direction), term.field));
            format!("{}{}id", strong.collect::<String>(), sign(sort.id_direction))
        }
        Err(problem) => format!("{} {}", problem.code.as_str(), problem.parameter.unwrap_or_default()),
    }
}

#[test]
fn sorts_in_all_grammars_parse_to_the_same_order() {
    const MEANT: &str = "-created_at +email +id";
    for query in [
        "sort=-created_at,%2Bemail",
        "sort=-created_at,+email",
        "sort=desc(created_at),asc(email)",
        "sort=created_at.desc,email.asc",
        "sort=created_at%20desc,email",
        "sort_by=created_at,email&order_by=desc,asc",
        "order_by=desc,asc&sort_by=created_at,email",
        "sortField=created_at,email&sortOrder=desc,asc",
        "sort_by=-created_at,email",
        "ordering=-created_at,email",
        "sort=-created_at,email&sort=-created_at,email",
        "ordering=-created_at,email&x=1&ordering=-created_at,email",
    ] {
        assert_eq!(read(&django(), query), MEANT, "{query}");
    }
    for (sorting, query) in [
        (spring(), "sort=created_at,desc&sort=email,asc"),
        (spring(), "sort=-created_at,email"),
        (gitlab(), "order_by=created_at&sort=desc&order_by=email&sort=asc"),
        (gitlab(), "sort_by=created_at,email&order_by=desc,asc"),
        (gitlab(), "sort=-created_at,email"),
    ] {
        assert_eq!(read(&sorting, query), MEANT, "{query}");
    }
    assert_eq!(read(&spring(), "sort=email,desc"), "-email -id");
    assert_eq!(read(&gitlab(), "sort=desc&order_by=email"), "-email -id");
    assert_eq!(read(&django(), "q=1"), "none");
}

#[test]
fn contradicting_and_unreadable_orders_are_refused() {
    for (sorting, query, expected) in [
        (django(), "sort=email&sort_by=email", "parameter_conflict sort_by"),
        (django(), "sort=email&order_by=desc", "parameter_conflict order_by"),
        (django(), "sort=email&ordering=email", "parameter_conflict ordering"),
        (django(), "sort_by=email&ordering=email", "parameter_conflict ordering"),
        (django(), "sort=email&sort=-email", "parameter_conflict sort"),
        (django(), "sort_by=email&sort_by=id", "parameter_conflict sort_by"),
        (django(), "sort_by=email&order_by=asc&order_by=desc", "parameter_conflict order_by"),
        (django(), "ordering=email&ordering=-email", "parameter_conflict ordering"),
        (spring(), "sort=email,desc&sort=-id", "parameter_conflict sort"),
        (django(), "order_by=desc", "sort_invalid order_by"),
        (django(), "sort_by=email&order_by=up", "sort_invalid order_by"),
        (django(), "sortField=email&sortOrder=up", "sort_invalid sortOrder"),
        (django(), "sortOrder=desc", "sort_invalid sortOrder"),
        (django(), "sortField=email&order_by=desc", "parameter_conflict order_by"),
        (django(), "sort_by=name&order_by=desc", "sort_invalid sort_by"),
        (django(), "sort=name", "sort_invalid sort"),
        (django(), "sort=%zz", "sort_invalid sort"),
        (django(), "ordering=name", "sort_invalid ordering"),
        (django(), "Ordering=email", "sort_invalid Ordering"),
        (django(), "ordering[]=email", "sort_invalid ordering[]"),
        (gitlab(), "order_by=email", "sort_invalid order_by"),
        (gitlab(), "order_by=email&sort=up", "sort_invalid order_by"),
        (spring(), "sort=email,down", "sort_invalid sort"),
    ] {
        assert_eq!(read(&sorting, query), expected, "{query}");
    }
}

/// `sort_by` and `order_by` don't set an order if the list can't be sorted, or if these names have another role.
#[test]
fn sort_by_and_order_by_set_an_order_unless_the_names_have_another_role() {
    let fixed = Sorting { sortable: Vec::new(), pairs: Vec::new(), ..django() };
    assert!(!fixed.covers(b"sort_by") && !fixed.covers(b"order_by"));
    assert_eq!(read(&fixed, "sort=email"), "sort_invalid sort");
    let sortable = || vec!["email".to_owned()];
    let named = |own: &str, taken: &[&str]| {
        Sorting::new(Some(own.to_owned()), sortable(), ReservedNames::default(), SortForm::default(), taken)
    };
    assert!(!named("order_by", &[]).covers(b"sort_by"), "AIP's parameter holds fields");
    assert_eq!(read(&named("order_by", &[]), "order_by=email desc"), "-email -id");
    assert_eq!(read(&named("sort_by", &[]), "sort_by=email&order_by=desc"), "-email -id");
    assert_eq!(read(&named("sort_by", &[]), "sort_by=-email"), "-email -id");
    assert!(!named("sort", &["order_by"]).covers(b"sort_by"));
}

#[test]
fn an_order_is_kept_as_it_was_written() {
    let written = |sorting: &Sorting, query: &str| {
        let said: Vec<Pair<'_>> = pairs(query).collect();
        let (written, _) = sorting.read(&said).unwrap().unwrap();
        written.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    };
    assert_eq!(written(&django(), "sort=desc(email)&sort=desc(email)"), "sort=desc(email)");
    assert_eq!(written(&django(), "order_by=desc&sort_by=email"), "order_by=desc&sort_by=email");
    let gitlab = "order_by=email&sort=asc&order_by=id&sort=asc";
    assert_eq!(
        written(
            &sorting(None, &[], |field, word| {
                vec![("order_by".to_owned(), field.to_owned()), ("sort".to_owned(), word.to_owned())]
            }),
            gitlab
        ),
        gitlab
    );
    let many = vec!["sort=email"; 40].join("&");
    assert_eq!(read(&django(), &many), "sort_invalid sort");
}

/// An order that is read from any query reads back from a link as the same order in the same words. No query causes a
/// panic.
#[test]
fn a_written_order_reads_back_as_the_same_order() {
    const PIECES: [&str; 22] = [
        "sort=",
        "&sort_by=",
        "&order_by=",
        "&ordering=",
        "&",
        "email",
        "created_at",
        "id",
        "-",
        "+",
        ",",
        "desc",
        "asc",
        "(",
        ")",
        ".",
        "%20",
        "%",
        "=",
        "desc(email)",
        "email,desc",
        "sort=email.desc,-id",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).unwrap() % end
    };
    let mut orders = 0;
    for round in 0..30_000 {
        let sorting = match round % 3 {
            0 => django(),
            1 => spring(),
            _ => gitlab(),
        };
        let query: String = (0..below(9)).map(|_| PIECES[below(PIECES.len())]).collect();
        let said: Vec<Pair<'_>> = pairs(&query).filter(|pair| sorting.covers(&pair.name())).collect();
        let Ok(Some((written, sort))) = sorting.read(&said) else { continue };
        let mut link = String::new();
        for (name, value) in &written {
            crate::downstream::request::query::push_written(&mut link, name, value);
        }
        let again: Vec<Pair<'_>> = pairs(&link).collect();
        assert_eq!(sorting.read(&again), Ok(Some((written, sort))), "{query:?} → {link}");
        orders += 1;
    }
    assert!(orders > 300, "{orders}");
}
