//! The people of the demo: 1,003 of them, the same in each run, with the difficulties of real lists. Many were created
//! at the same instant, and some never logged in. Names have letters of many alphabets, and some values have unusual
//! spellings in JSON.

use std::cmp::Ordering;

/// The number of people.
pub(super) const COUNT: usize = 1_003;

/// The beginning of 2024-01-01, in seconds since 1970.
const FIRST_DAY: u64 = 1_704_067_200;

const NAMES: [&str; 12] = [
    "Ada Lovelace",
    "Zo\\u00eb Br\\u00fcckner",
    "王小明",
    "Søren Kierkegaard",
    "Ольга Ладыженская",
    "José Ñandú",
    "محمد الخوارزمي",
    "AC\\/DC Fan",
    "İpek Çelik",
    "Γεωργία 😀",
    "O'Brien \\\"Bo\\\"",
    "नीलम शर्मा",
];

/// A person in the list of the API.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// The id, from 1.
    pub(super) id: u64,
    /// The name without JSON escapes, for sorting.
    pub(super) name: String,
    /// The time of creation (RFC 3339). Up to 13 people are created at the same time.
    pub(super) created_at: String,
    /// The time of the last login (RFC 3339); `None` for a person who never logged in.
    pub(super) last_login: Option<String>,
    /// The item as JSON, exactly as the API sends it.
    pub(super) json: String,
}

impl Person {
    /// Sets the time of creation, also in the JSON.
    pub(super) fn recreate(&mut self, at: String) {
        let field = |at: &str| format!("\"created_at\": \"{at}\"");
        self.json = self.json.replace(&field(&self.created_at), &field(&at));
        self.created_at = at;
    }
}

/// A field by which the API sorts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Name,
    CreatedAt,
    LastLogin,
}

impl Field {
    /// Returns the field with a name; `None` if the API doesn't sort by this field.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "name" => Self::Name,
            "created_at" => Self::CreatedAt,
            "last_login" => Self::LastLogin,
            _ => return None,
        })
    }
}

/// Returns all people, sorted by id.
pub(super) fn everyone() -> Vec<Person> {
    (1..=COUNT as u64).map(person).collect()
}

/// Returns a new person with this id. If the id is greater than all other ids, the person is at least as new as all
/// people that weren't moved.
pub(super) fn newcomer(id: u64) -> Person {
    person(id)
}

/// Compares two people by a field, in a direction. Nulls are last in both directions.
pub(super) fn compare(left: &Person, right: &Person, field: Field, descending: bool) -> Ordering {
    let directed = |ordering: Ordering| if descending { ordering.reverse() } else { ordering };
    match field {
        Field::Id => directed(left.id.cmp(&right.id)),
        Field::Name => directed(left.name.cmp(&right.name)),
        Field::CreatedAt => directed(left.created_at.cmp(&right.created_at)),
        Field::LastLogin => match (&left.last_login, &right.last_login) {
            (Some(left), Some(right)) => directed(left.cmp(right)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        },
    }
}

fn person(id: u64) -> Person {
    let spelling = NAMES[(scatter(id) % 12) as usize];
    // People are in groups of 13. All people of an even group have the same time of creation. The people of an odd
    // group have different times.
    let group = id / 13;
    let created = FIRST_DAY + group * 86_400 + if group.is_multiple_of(2) { 0 } else { id % 13 * 3_600 };
    let created_at = cursorgate_gateway::runtime::clock::rfc3339(created);
    let last_login = (!scatter(id).is_multiple_of(5))
        .then(|| cursorgate_gateway::runtime::clock::rfc3339(created + 86_400 * (scatter(id) % 300 / 7 * 7)));
    // Parsers that use 64-bit floats change this number, so the demo shows that the gateway keeps it. Test:
    // `people_of_the_demo_have_shared_times_and_nulls`.
    let serial = if id == 7 { 9_007_199_254_740_993 } else { id * 1_000_003 };
    let balance = match id % 4 {
        0 => "25.0".to_owned(),
        1 => format!("{}.50", scatter(id) % 1_000),
        2 => "-0.0".to_owned(),
        _ => format!("{}e2", id % 90),
    };
    let login = last_login.as_ref().map_or_else(|| "null".to_owned(), |login| format!("\"{login}\""));
    let json = format!(
        "{{\"id\": {id}, \"name\": \"{spelling}\", \"created_at\": \"{created_at}\", \"last_login\": {login}, \
         \"serial\": {serial}, \"balance\": {balance}, \"avatar\": \"https:\\/\\/example.com\\/a\\/{id}.png\"}}"
    );
    let name = serde_json::from_str(&format!("\"{spelling}\"")).unwrap_or_default();
    Person { id, name, created_at, last_login, json }
}

/// Returns a pseudo-random number, which is always the same for the same id.
fn scatter(id: u64) -> u64 {
    id.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % 1_000_000_007
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_of_the_demo_have_shared_times_and_nulls() {
        let everyone = everyone();
        assert_eq!(everyone.len(), COUNT);
        for person in &everyone {
            let value: serde_json::Value = serde_json::from_str(&person.json).unwrap();
            assert_eq!(value["name"], person.name.as_str());
            assert_eq!(value["created_at"], person.created_at.as_str());
        }
        let of_first = everyone.iter().filter(|person| person.created_at == everyone[0].created_at).count();
        assert!(of_first > 5, "{of_first} share the first instant");
        assert!(everyone.iter().filter(|person| person.last_login.is_none()).count() > 100);
        for spelling in ["9007199254740993", "25.0", "\\/", "\\u00eb", "😀"] {
            assert!(everyone.iter().any(|person| person.json.contains(spelling)), "{spelling}");
        }
    }

    #[test]
    fn nulls_come_last_in_both_directions() {
        let everyone = everyone();
        let never = everyone.iter().find(|person| person.last_login.is_none()).unwrap();
        let once = everyone.iter().find(|person| person.last_login.is_some()).unwrap();
        for descending in [false, true] {
            assert_eq!(compare(once, never, Field::LastLogin, descending), Ordering::Less);
        }
    }
}
