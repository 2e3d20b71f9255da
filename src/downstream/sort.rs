//! The order that a client wants: `-created_at,+email,id`.

use super::problem::{Code, Problem, shown};
use crate::{config::settings::SortTerm, pagination::order::Direction};

/// What a client's sort says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientSort {
    /// The strong keys.
    pub(super) strong: Vec<SortTerm>,
    /// Which way the id runs behind them.
    pub(super) id_direction: Direction,
}

/// Reads a decoded sort: fields of `sortable`, separated by commas, each with `-` for descending or `+` for ascending
/// before it or nothing. A leading blank counts as `+`, because that is what a raw `+` of a query decodes to. Where the
/// id is not named, it follows in the direction of the last field; nothing may follow the id, because it leaves no ties.
///
/// # Errors
///
/// `sort_invalid`, which lists what is allowed.
pub(super) fn parse(written: &str, parameter: &str, sortable: &[String]) -> Result<ClientSort, Box<Problem>> {
    let refuse = |detail: String| Err(invalid(&detail, parameter, sortable));
    let mut strong: Vec<SortTerm> = Vec::new();
    let mut terms = written.split(',');
    while let Some(term) = terms.next() {
        let (direction, field) = match term.as_bytes().first() {
            Some(b'-') => (Direction::Descending, &term[1..]),
            Some(b'+' | b' ') => (Direction::Ascending, &term[1..]),
            _ => (Direction::Ascending, term),
        };
        if field.is_empty() {
            return refuse(format!("`{parameter}` has an empty field: write fields separated by commas"));
        }
        if !sortable.iter().any(|allowed| allowed == field) {
            return refuse(format!("this list can't be sorted by `{}`", shown(field)));
        }
        if field == "id" {
            return match terms.next() {
                None => Ok(ClientSort { strong, id_direction: direction }),
                Some(_) => refuse("no two items share an id: nothing can be sorted behind `id`".to_owned()),
            };
        }
        if strong.iter().any(|known| known.field == field) {
            return refuse(format!("`{parameter}` names `{field}` twice"));
        }
        strong.push(SortTerm { field: field.to_owned(), direction });
    }
    let id_direction = strong.last().map_or(Direction::Ascending, |term| term.direction);
    Ok(ClientSort { strong, id_direction })
}

/// `sort_invalid` with what is allowed at the end of its detail, and as a list of its own.
pub(super) fn invalid(detail: &str, parameter: &str, sortable: &[String]) -> Box<Problem> {
    let detail = if sortable.is_empty() {
        format!("{detail}; the list has one order only")
    } else {
        format!("{detail}; fields are {}, with `-` before a field for descending", sortable.join(", "))
    };
    let mut problem = Problem::new(Code::SortInvalid, detail).with_parameter(parameter);
    problem.allowed = sortable.to_vec();
    Box::new(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sort_is_read_or_refused_with_what_is_allowed() {
        let sortable: Vec<String> = ["created_at", "email", "id"].map(String::from).to_vec();
        let cases: [(&str, Option<&str>); 17] = [
            ("created_at", Some("+created_at | +id")),
            ("-created_at", Some("-created_at | -id")),
            ("-created_at,+email", Some("-created_at +email | +id")),
            ("-created_at, email", Some("-created_at +email | +id")),
            (" created_at,-email", Some("+created_at -email | -id")),
            ("-created_at,id", Some("-created_at | +id")),
            ("-created_at,-id", Some("-created_at | -id")),
            ("id", Some("| +id")),
            ("-id", Some("| -id")),
            ("id,email", None),
            ("email,-email", None),
            ("", None),
            ("email,", None),
            ("--email", None),
            ("name", None),
            ("Email", None),
            ("email ", None),
        ];
        for (written, meant) in cases {
            let read = parse(written, "sort", &sortable);
            let said = read.as_ref().ok().map(|sort| {
                let sign = |direction| if direction == Direction::Ascending { '+' } else { '-' };
                let strong = sort.strong.iter().map(|term| format!("{}{} ", sign(term.direction), term.field));
                format!("{}| {}id", strong.collect::<String>(), sign(sort.id_direction))
            });
            assert_eq!(said.as_deref(), meant, "{written:?}");
            if let Err(problem) = read {
                assert_eq!(problem.code, Code::SortInvalid);
                assert_eq!(problem.allowed, sortable);
                assert_eq!(problem.parameter.as_deref(), Some("sort"));
                assert!(problem.detail.contains("created_at, email, id"), "{}", problem.detail);
            }
        }
    }
}
