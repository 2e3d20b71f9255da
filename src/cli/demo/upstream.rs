//! The legacy API of the demo: `GET /users?page=1&limit=20&sort=-created_at,id`, like many home-made APIs. `POST
//! /users` adds three people at the front of the list, `DELETE /users/7` deletes a person, and `POST /users/7/touch`
//! moves a person to the newest ones. `/playground` is a page for browsers that reads the list.

use std::{
    cmp::Ordering,
    net::SocketAddr,
    sync::{PoisonError, RwLock},
};

use async_trait::async_trait;
use http::{Method, Response, StatusCode, header};
use pingora::{apps::http_app::ServeHttp, protocols::http::ServerSession, services::listening::Service};

use super::{
    people::{Field, Person, compare, everyone, newcomer},
    playground::{self, Requests, pairs},
};

/// The default number of people in an answer.
const DEFAULT_LIMIT: usize = 20;

/// The largest number of people in an answer. Larger limits in requests are lowered to it.
const LARGEST_LIMIT: usize = 100;

/// The number of people that a POST adds.
const NEWCOMERS: usize = 3;

/// The largest number of people in the list. If it would be exceeded, a POST is refused.
const MOST: usize = 100_000;

/// The legacy API with its data.
#[derive(Debug)]
pub(super) struct LegacyApi {
    people: RwLock<Vec<Person>>,
    requests: Requests,
}

/// Returns the API as a service that listens at an address.
pub(super) fn service(address: SocketAddr) -> Service<LegacyApi> {
    let mut service = Service::new("legacy API".to_owned(), LegacyApi::new());
    service.threads = Some(1);
    service.add_tcp(&address.to_string());
    service
}

#[async_trait]
impl ServeHttp for LegacyApi {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let head = session.req_header();
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        if head.method == Method::GET
            && let Some(file) = playground::file(path)
        {
            return file;
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let id = parts.get(1).and_then(|id| id.parse::<u64>().ok());
        let (status, body) = match (&head.method, &parts[..], id) {
            (_, ["users"], _) if is_read => {
                self.requests.note(&format!("GET {}", head.uri));
                self.users(query)
            }
            (_, ["users", _], Some(id)) if is_read => self.user(id),
            (_, ["playground", "ids"], _) if is_read => self.ids(),
            (_, ["playground", "requests"], _) if is_read => (StatusCode::OK, self.requests.since(query)),
            (_, _, _) if is_read => missing(),
            (&Method::POST, ["users"], _) => self.add(),
            (&Method::DELETE, ["users", _], Some(id)) => self.delete(id),
            (&Method::POST, ["users", _, "touch"], Some(id)) => self.touch(id),
            _ => (StatusCode::METHOD_NOT_ALLOWED, "{\"error\":\"this is a demo\"}".to_owned()),
        };
        let length = body.len();
        let body = if head.method == Method::HEAD { String::new() } else { body };
        let mut response = Response::new(body.into_bytes());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, http::HeaderValue::from(length));
        response
    }
}

impl LegacyApi {
    fn new() -> Self {
        Self { people: RwLock::new(everyone()), requests: Requests::default() }
    }

    fn add(&self) -> (StatusCode, String) {
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        if people.len() + NEWCOMERS > MOST {
            return (StatusCode::CONFLICT, "{\"error\":\"there are enough users\"}".to_owned());
        }
        let before = people.len();
        let greatest = people.iter().map(|person| person.id).max().unwrap_or(0);
        people.extend((1..=NEWCOMERS as u64).map(|more| newcomer(greatest + more)));
        let added: Vec<&str> = people[before..].iter().map(|person| person.json.as_str()).collect();
        (StatusCode::CREATED, format!("{{\"added\":[{}]}}\n", added.join(",")))
    }

    fn delete(&self, id: u64) -> (StatusCode, String) {
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = people.iter().position(|person| person.id == id) else { return missing() };
        (StatusCode::OK, people.remove(place).json)
    }

    /// Sets a person's time of creation to the newest person's time of creation.
    fn touch(&self, id: u64) -> (StatusCode, String) {
        let mut people = self.people.write().unwrap_or_else(PoisonError::into_inner);
        let newest = people.iter().map(|person| person.created_at.clone()).max().unwrap_or_default();
        let Some(person) = people.iter_mut().find(|person| person.id == id) else { return missing() };
        person.recreate(newest);
        (StatusCode::OK, person.json.clone())
    }

    fn ids(&self) -> (StatusCode, String) {
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        let ids: Vec<u64> = people.iter().map(|person| person.id).collect();
        (StatusCode::OK, format!("{{\"ids\":{ids:?}}}"))
    }

    fn users(&self, query: &str) -> (StatusCode, String) {
        // The newest people are first, unless the request has a sort.
        let (mut page, mut limit, mut sort) =
            (1_usize, DEFAULT_LIMIT, vec![(Field::CreatedAt, true), (Field::Id, false)]);
        for (name, value) in pairs(query) {
            match name.as_str() {
                "page" => page = value.parse().unwrap_or(1).max(1),
                "limit" => limit = value.parse().unwrap_or(DEFAULT_LIMIT).clamp(1, LARGEST_LIMIT),
                "sort" => {
                    let Some(terms) = read_sort(&value) else {
                        return (StatusCode::BAD_REQUEST, "{\"error\":\"unknown sort\"}".to_owned());
                    };
                    sort = terms;
                }
                _ => {}
            }
        }
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        let mut people: Vec<&Person> = people.iter().collect();
        people.sort_by(|left, right| {
            let by_term = |ordering: Ordering, &(field, descending): &(Field, bool)| {
                ordering.then_with(|| compare(left, right, field, descending))
            };
            sort.iter().fold(Ordering::Equal, by_term)
        });
        // A request may have any page number, so the product could overflow. It is limited instead. Test:
        // `a_page_follows_its_number_and_its_limit`.
        let from = page.saturating_sub(1).saturating_mul(limit);
        let items: Vec<&str> = people.iter().skip(from).take(limit).map(|person| person.json.as_str()).collect();
        let (items, total) = (items.join(","), people.len());
        (StatusCode::OK, format!("{{\"data\":[{items}],\"total\":{total},\"page\":{page},\"limit\":{limit}}}"))
    }

    fn user(&self, id: u64) -> (StatusCode, String) {
        let people = self.people.read().unwrap_or_else(PoisonError::into_inner);
        let person = people.iter().find(|person| person.id == id);
        person.map_or_else(missing, |person| (StatusCode::OK, person.json.clone()))
    }
}

fn missing() -> (StatusCode, String) {
    (StatusCode::NOT_FOUND, "{\"error\":\"not found\"}".to_owned())
}

/// Reads a sort such as `-created_at,id`. Returns the fields, each with `true` if it is descending; `None` for an
/// unknown field.
fn read_sort(text: &str) -> Option<Vec<(Field, bool)>> {
    text.split(',')
        .map(|term| match term.strip_prefix('-') {
            Some(field) => Some((Field::named(field)?, true)),
            None => Some((Field::named(term)?, false)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(query: &str) -> (usize, Vec<u64>) {
        let api = LegacyApi::new();
        let (status, body) = api.users(query);
        assert_eq!(status, StatusCode::OK);
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["total"], 1_003);
        let ids: Vec<u64> = value["data"].as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect();
        (usize::try_from(value["limit"].as_u64().unwrap()).unwrap(), ids)
    }

    #[test]
    fn a_page_follows_its_number_and_its_limit() {
        assert_eq!(ids("sort=id"), (20, (1..=20).collect()));
        assert_eq!(ids("page=2&limit=3&sort=id"), (3, vec![4, 5, 6]));
        assert_eq!(ids("page=335&limit=3&sort=id"), (3, vec![1_003]));
        assert_eq!(ids("page=336&limit=3"), (3, vec![]));
        assert_eq!(ids(""), ids("sort=-created_at,id"));
        assert_eq!(ids("limit=9999").0, 100);
        assert_eq!(ids("page=18446744073709551615"), (20, vec![]));
    }

    #[test]
    fn people_are_sorted_by_the_fields_of_the_request() {
        assert_eq!(ids("limit=2&sort=-id"), (2, vec![1_003, 1_002]));
        let newest = ids("limit=100&sort=-created_at%2Cid").1;
        let people = everyone();
        let created: Vec<&str> =
            newest.iter().map(|id| people[usize::try_from(*id).unwrap() - 1].created_at.as_str()).collect();
        assert!(created.is_sorted_by(|left, right| left >= right));
        assert_eq!(LegacyApi::new().users("sort=secret").0, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn people_are_added_at_the_front() {
        let api = LegacyApi::new();
        let newest = |count: usize| {
            let value: serde_json::Value =
                serde_json::from_str(&api.users(&format!("limit={count}&sort=-created_at%2Cid")).1).unwrap();
            value["data"].as_array().unwrap().iter().map(|item| item["id"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        let before = newest(5);
        for added in 1..20 {
            assert_eq!(api.add().0, StatusCode::CREATED);
            let now = newest(5 + added * NEWCOMERS);
            assert_eq!(now[added * NEWCOMERS..], before, "after {added}");
        }
    }

    #[test]
    fn people_are_deleted_and_moved() {
        let api = LegacyApi::new();
        assert_eq!(api.delete(1_003).0, StatusCode::OK);
        assert_eq!(api.delete(1_003).0, StatusCode::NOT_FOUND);
        assert_eq!(api.touch(5).0, StatusCode::OK);
        let body = api.users("limit=20").1;
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(value["total"], 1_002);
        let five = value["data"].as_array().unwrap().iter().find(|item| item["id"] == 5).unwrap();
        assert_eq!(five["created_at"], value["data"][0]["created_at"], "among the newest");
        // New ids follow the greatest id in the list, so the deleted id 1003 is used again.
        assert!(api.add().1.contains("\"id\": 1003") && api.add().1.contains("\"id\": 1006"));
    }
}
