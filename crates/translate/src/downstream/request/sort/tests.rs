//! Sorts in every grammar, and strings that no grammar accepts.

use super::*;

fn sortable() -> Vec<String> {
    ["created_at", "email", "id"].map(String::from).to_vec()
}

/// Writes an order as `-created_at +email | +id`.
fn meant(sort: &ClientSort) -> String {
    let sign = |direction| if direction == Direction::Ascending { '+' } else { '-' };
    let strong = sort.strong.iter().map(|term| format!("{}{} ", sign(term.direction), term.field));
    format!("{}| {}id", strong.collect::<String>(), sign(sort.id_direction))
}

#[test]
fn a_sort_is_read_or_refused_with_the_allowed_fields() {
    let cases: [(&str, Option<&str>); 43] = [
        ("created_at", Some("+created_at | +id")),
        ("-created_at", Some("-created_at | -id")),
        ("-created_at,+email", Some("-created_at +email | +id")),
        ("-created_at, email", Some("-created_at +email | +id")),
        ("-created_at, -email", Some("-created_at -email | -id")),
        (" created_at,-email", Some("+created_at -email | -id")),
        ("-created_at,id", Some("-created_at | +id")),
        ("-created_at,-id", Some("-created_at | -id")),
        ("id", Some("| +id")),
        ("-id", Some("| -id")),
        ("desc(created_at)", Some("-created_at | -id")),
        ("desc(created_at),asc(email)", Some("-created_at +email | +id")),
        ("desc(created_at), asc(email)", Some("-created_at +email | +id")),
        ("asc(created_at),desc(id)", Some("+created_at | -id")),
        ("DESC(created_at)", Some("-created_at | -id")),
        ("created_at.desc", Some("-created_at | -id")),
        ("created_at.desc,email.asc", Some("-created_at +email | +id")),
        ("created_at.desc,email", Some("-created_at +email | +id")),
        ("created_at.Desc,id.desc", Some("-created_at | -id")),
        ("created_at desc", Some("-created_at | -id")),
        ("created_at desc, email", Some("-created_at +email | +id")),
        ("created_at  asc,email DESC", Some("+created_at -email | -id")),
        ("id,email", None),
        ("id.desc,email", None),
        ("email,-email", None),
        ("email.asc,desc(email)", None),
        ("", None),
        ("email,", None),
        ("--email", None),
        ("-email.desc", None),
        ("-desc(email)", None),
        ("desc(email", None),
        ("desc email)", None),
        ("descending(email)", None),
        ("desc()", None),
        ("desc(email,created_at)", None),
        (".desc", None),
        ("email.", None),
        ("email.down", None),
        ("email desc asc", None),
        ("name", None),
        ("Email", None),
        ("email ", None),
    ];
    for (written, expected) in cases {
        let read = parse(written, "sort", &sortable());
        assert_eq!(read.as_ref().ok().map(meant).as_deref(), expected, "{written:?}");
        if let Err(problem) = read {
            assert_eq!(problem.code, Code::SortInvalid);
            assert_eq!(problem.allowed, sortable());
            assert_eq!(problem.parameter.as_deref(), Some("sort"));
            assert!(problem.detail.contains("created_at, email, id"), "{}", problem.detail);
        }
    }
}

/// A term that equals the name of a field is read as the field, even if it looks like a field with a direction.
#[test]
fn a_name_that_equals_a_field_is_read_as_the_field() {
    let odd = ["user.name".to_owned(), "a(b)".to_owned(), "x y".to_owned()];
    for (written, expected) in [
        ("user.name", "+user.name | +id"),
        ("user.name.desc", "-user.name | -id"),
        ("a(b)", "+a(b) | +id"),
        ("desc(a(b))", "-a(b) | -id"),
        ("x y", "+x y | +id"),
        ("x y desc", "-x y | -id"),
    ] {
        assert_eq!(parse(written, "sort", &odd).as_ref().map(meant).unwrap(), expected, "{written}");
    }
}

#[test]
fn fields_and_directions_may_come_in_two_parameters() {
    let cases: [(&str, &str, Option<&str>); 11] = [
        ("created_at", "desc", Some("-created_at | -id")),
        ("created_at", "ASC", Some("+created_at | +id")),
        ("created_at,email", "desc,asc", Some("-created_at +email | +id")),
        ("created_at, email", "desc, asc", Some("-created_at +email | +id")),
        ("created_at,email", "desc", Some("-created_at -email | -id")),
        ("created_at,email,id", "desc,asc", None),
        ("created_at", "desc,asc", None),
        ("created_at", "", None),
        ("created_at", "down", None),
        ("-created_at", "desc", None),
        ("name", "desc", None),
    ];
    for (fields, directions, expected) in cases {
        let pair = SortPair { fields: "sort_by", directions: "order_by" };
        let read = parse_pair(pair, fields, directions, &sortable());
        assert_eq!(read.as_ref().ok().map(meant).as_deref(), expected, "{fields} {directions}");
    }
}

fn form(join: Option<&str>, words: impl Fn(&str, bool) -> Vec<(String, String)>) -> SortForm {
    let mut keys = Vec::new();
    for field in ["created_at", "email", "id"] {
        for (direction, ascending) in [(Direction::Ascending, true), (Direction::Descending, false)] {
            keys.push(SortWords {
                term: SortTerm { field: field.to_owned(), direction },
                pairs: words(field, ascending),
            });
        }
    }
    SortForm { join: join.map(str::to_owned), keys }
}

fn said(form: &SortForm, pairs: &[(&str, &str)]) -> Option<String> {
    let terms = read_back(form, pairs)?;
    let sign = |term: &SortTerm| if term.direction == Direction::Ascending { '+' } else { '-' };
    Some(terms.iter().map(|term| format!("{}{}", sign(term), term.field)).collect::<Vec<_>>().join(" "))
}

#[test]
fn joined_values_are_read_back() {
    let word = |ascending| if ascending { "asc" } else { "desc" }.to_owned();
    let two = form(Some(","), |field, ascending| {
        vec![("_sort".to_owned(), field.to_owned()), ("_order".to_owned(), word(ascending))]
    });
    for (pairs, expected) in [
        (&[("_sort", "email"), ("_order", "desc")][..], Some("-email")),
        (&[("_order", "desc,asc"), ("_sort", "email,id")], Some("-email +id")),
        (&[("_sort", "email"), ("_sort", "email"), ("_order", "asc")], Some("+email")),
        (&[("_sort", "email"), ("_sort", "id"), ("_order", "asc")], None),
        (&[("_sort", "email,id"), ("_order", "asc")], None),
        (&[("_sort", "email"), ("_order", "asc,asc")], None),
        (&[("_sort", "email")], None),
        (&[("_order", "asc")], None),
        (&[("_sort", ""), ("_order", "")], None),
    ] {
        assert_eq!(said(&two, pairs).as_deref(), expected, "{pairs:?}");
    }
}

#[test]
fn repeated_parameters_are_read_back_in_their_order() {
    let word = |ascending| if ascending { "asc" } else { "desc" }.to_owned();
    let one = form(None, |field, ascending| vec![("sort".to_owned(), format!("{field},{}", word(ascending)))]);
    let named = form(None, |field, ascending| vec![(format!("$sort[{field}]"), word(ascending))]);
    let two = form(None, |field, ascending| {
        vec![("order_by".to_owned(), field.to_owned()), ("sort".to_owned(), word(ascending))]
    });
    for (form, pairs, expected) in [
        (&one, &[("sort", "email,desc"), ("sort", "id,asc")][..], Some("-email +id")),
        (&one, &[("sort", "email,desc"), ("sort", "email,desc")], Some("-email")),
        (&one, &[("sort", "email")], None),
        (&named, &[("$sort[email]", "desc"), ("$sort[created_at]", "asc")], Some("-email +created_at")),
        (&named, &[("$sort[name]", "desc")], None),
        (&two, &[("order_by", "email"), ("sort", "desc")], Some("-email")),
        (&two, &[("sort", "desc"), ("order_by", "email")], Some("-email")),
        (&two, &[("order_by", "email"), ("sort", "desc"), ("order_by", "id"), ("sort", "desc")], Some("-email -id")),
        (&two, &[("order_by", "email"), ("order_by", "id"), ("sort", "asc"), ("sort", "desc")], Some("+email -id")),
        (&two, &[("order_by", "email")], None),
        (&two, &[("sort", "desc")], None),
        (&two, &[("order_by", "email"), ("sort", "desc"), ("sort", "asc")], None),
    ] {
        assert_eq!(said(form, pairs).as_deref(), expected, "{pairs:?}");
    }
}
