//! The forms in which frameworks answer, as the files in tests/dialects have recorded them: names of parameters, the
//! largest sizes, the shape of the answer, and what happens after the end of the list.

use serde_json::{Value, json};

use super::replay::{FASTAPI, Names};

/// Headers of an answer.
type Headers = Vec<(&'static str, String)>;

/// A framework whose answers are imitated.
pub(super) struct Form {
    pub(super) names: Names,
    /// The number of the first page; `None` for lists by offset.
    pub(super) first_page: Option<usize>,
    pub(super) default: usize,
    pub(super) max: usize,
    /// True if larger sizes are refused, not lowered.
    pub(super) refuses: bool,
    pub(super) sorts: Sorts,
    pub(super) filters: Filters,
    /// The member with the key of the order.
    pub(super) key: &'static str,
    /// Writes the key of rows that share this number.
    pub(super) write_key: fn(u64) -> Value,
    /// Returns headers and the body of an answer.
    pub(super) body: fn(&Slice) -> (Headers, String),
    /// True if the list is sorted by the id, ascending or as the route of the page says.
    pub(super) by_id: bool,
}

/// How requests name the order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sorts {
    /// The service chooses the order.
    Never,
    /// `sort=-created_at,id`
    Signs,
    /// `sort=createdAt,desc&sort=id,asc`
    Pairs,
    /// `orderBy=createdAt desc,id asc`, by this name.
    Words(&'static str),
    /// `orderby=date&order=desc`; ties are in the direction of the sort.
    One,
    /// `order=age.desc.nullslast,id.asc`
    Dots,
}

/// How requests filter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Filters {
    Never,
    /// `filter=(age>21|vip=true),created<=2025-01-05`
    Gridify,
    /// `$filter=age gt 21 or vip eq true`
    OData,
    /// `and=(or(age.lte.80,age.is.null))`
    Dots,
    /// `before=…&after=…`
    Dates,
}

/// The items of one answer, and their place in the list.
pub(super) struct Slice {
    pub(super) items: Vec<Value>,
    pub(super) total: usize,
    pub(super) offset: usize,
    pub(super) size: usize,
    pub(super) page: usize,
    /// The address of the list.
    pub(super) url: String,
}

impl Slice {
    fn pages(&self) -> usize {
        self.total.div_ceil(self.size)
    }

    fn items(&self) -> String {
        Value::from(self.items.clone()).to_string()
    }

    fn has_more(&self) -> bool {
        self.offset + self.items.len() < self.total && !self.items.is_empty()
    }

    fn link(&self, name: &str, page: usize) -> Value {
        if page == 0 || page > self.pages() { Value::Null } else { format!("{}?{name}={page}", self.url).into() }
    }
}

fn plain(body: &Value) -> (Vec<(&'static str, String)>, String) {
    (Vec::new(), body.to_string())
}

fn micros(minute: u64) -> Value {
    format!("2025-01-01T{:02}:{:02}:00.123456Z", minute / 60, minute % 60).into()
}

fn millis(minute: u64) -> Value {
    format!("2025-01-01T{:02}:{:02}:00.123Z", minute / 60, minute % 60).into()
}

fn ticks(minute: u64) -> Value {
    format!("2025-01-01T{:02}:{:02}:00.1234567Z", minute / 60, minute % 60).into()
}

fn local(minute: u64) -> Value {
    format!("2025-01-01T{:02}:{:02}:00", minute / 60, minute % 60).into()
}

const USERS: Names = Names { sort: "sort=created_at", filter: "role=admin", ..FASTAPI };

const BASE: Form = Form {
    names: USERS,
    first_page: Some(1),
    default: 20,
    max: 100,
    refuses: false,
    sorts: Sorts::Never,
    filters: Filters::Never,
    key: "created_at",
    write_key: micros,
    body: |slice| plain(&json!({ "data": slice.items, "total": slice.total, "page": slice.page })),
    by_id: false,
};

/// The form that the first lines of `cursorgate init` expect.
pub(super) static BY_ID: Form = Form { names: Names { size: "limit", ..USERS }, by_id: true, ..BASE };

/// Writes JSON as PHP does, which escapes slashes.
fn php(body: &Value) -> (Vec<(&'static str, String)>, String) {
    (vec![("Cache-Control", "no-cache, private".into())], body.to_string().replace('/', "\\/"))
}

pub(super) static LARAVEL: Form = Form {
    names: Names { size: "per_page", ..USERS },
    default: 15,
    body: |slice| {
        php(&json!({
            "current_page": slice.page, "data": slice.items, "first_page_url": slice.link("page", 1),
            "last_page": slice.pages(), "last_page_url": slice.link("page", slice.pages()),
            "next_page_url": slice.link("page", slice.page + 1), "path": slice.url, "per_page": slice.size,
            "prev_page_url": slice.link("page", slice.page - 1), "total": slice.total,
        }))
    },
    ..BASE
};

pub(super) static LARAVEL_RESOURCES: Form = Form {
    names: Names { size: "per_page", ..USERS },
    default: 15,
    // The controller reads no size.
    max: 15,
    body: |slice| {
        php(&json!({
            "data": slice.items,
            "links": { "first": slice.link("page", 1), "next": slice.link("page", slice.page + 1),
                       "prev": slice.link("page", slice.page - 1) },
            "meta": { "current_page": slice.page, "last_page": slice.pages(), "path": slice.url,
                      "per_page": slice.size, "total": slice.total },
        }))
    },
    ..BASE
};

pub(super) static API_PAGINATION: Form = Form {
    names: Names { size: "per_page", ..USERS },
    default: 25,
    sorts: Sorts::Signs,
    write_key: millis,
    body: |slice| {
        let mut headers = vec![("Total", slice.total.to_string()), ("Per-Page", slice.size.to_string())];
        let links = [("prev", slice.page.wrapping_sub(1)), ("next", slice.page + 1), ("last", slice.pages())];
        let links = links.iter().filter_map(|(relation, page)| {
            slice.link("page", *page).as_str().map(|url| format!("<{url}>; rel=\"{relation}\""))
        });
        headers.push(("Link", links.collect::<Vec<_>>().join(", ")));
        (headers, slice.items())
    },
    ..BASE
};

pub(super) static WILL_PAGINATE: Form = Form {
    names: Names { size: "per_page", ..USERS },
    default: 30,
    write_key: millis,
    body: |slice| {
        plain(&json!({ "users": slice.items, "current_page": slice.page, "per_page": slice.size,
                       "total_entries": slice.total }))
    },
    ..BASE
};

const SPRINGS: Form = Form {
    names: Names { sort: "sort=createdAt,asc", ..USERS },
    first_page: Some(0),
    max: 2000,
    sorts: Sorts::Pairs,
    key: "createdAt",
    ..BASE
};

pub(super) static SPRING: Form = Form {
    body: |slice| {
        plain(&json!({
            "content": slice.items,
            "pageable": { "pageNumber": slice.page, "pageSize": slice.size, "offset": slice.offset, "paged": true,
                          "unpaged": false },
            "last": !slice.has_more(), "totalPages": slice.pages(), "totalElements": slice.total,
            "size": slice.size, "number": slice.page, "first": slice.page == 0,
            "numberOfElements": slice.items.len(), "empty": slice.items.is_empty(),
        }))
    },
    ..SPRINGS
};

pub(super) static SPRING_DTO: Form = Form {
    body: |slice| {
        plain(&json!({
            "content": slice.items,
            "page": { "size": slice.size, "number": slice.page, "totalElements": slice.total,
                      "totalPages": slice.pages() },
        }))
    },
    ..SPRINGS
};

pub(super) static SPRING_SLICE: Form = Form {
    body: |slice| {
        plain(&json!({
            "content": slice.items, "last": !slice.has_more(), "size": slice.size, "number": slice.page,
            "first": slice.page == 0, "numberOfElements": slice.items.len(), "empty": slice.items.is_empty(),
        }))
    },
    ..SPRINGS
};

const ASPNETS: Form = Form { names: Names { size: "pageSize", ..USERS }, key: "createdAt", write_key: ticks, ..BASE };

pub(super) static ASPNET: Form = Form {
    body: |slice| {
        plain(&json!({ "items": slice.items, "totalCount": slice.total, "page": slice.page, "pageSize": slice.size }))
    },
    ..ASPNETS
};

pub(super) static GRIDIFY: Form = Form {
    names: Names {
        size: "pageSize",
        sort: "orderBy=createdAt%20asc",
        filter: "filter=createdAt%3E2025-01-01T00:20:00Z",
        ..USERS
    },
    max: usize::MAX,
    sorts: Sorts::Words("orderBy"),
    filters: Filters::Gridify,
    body: |slice| plain(&json!({ "count": slice.total, "data": slice.items })),
    ..ASPNETS
};

pub(super) static ODATA: Form = Form {
    names: Names {
        list: "/odata/Users",
        other_slash: "/odata/Users/",
        details: ["/odata/Users(7)", "/odata/Users(7000)"],
        page: "$skip",
        size: "$top",
        sort: "$orderby=createdAt%20asc",
        filter: "$filter=createdAt%20gt%202025-01-01T00:20:00Z",
        by_post: false,
    },
    first_page: None,
    default: usize::MAX,
    max: usize::MAX,
    sorts: Sorts::Words("$orderby"),
    filters: Filters::OData,
    body: |slice| {
        let context = slice.url.replace("Users", "$metadata#Users");
        let body = json!({ "@odata.context": context, "@odata.count": slice.total, "value": slice.items });
        (vec![("OData-Version", "4.0".into())], body.to_string())
    },
    ..ASPNETS
};

const WORDPRESS_FORM: Form = Form {
    names: Names {
        list: "/wp-json/wp/v2/posts",
        other_slash: "/wp-json/wp/v2/posts/",
        details: ["/wp-json/wp/v2/posts/7", "/wp-json/wp/v2/posts/7000"],
        page: "offset",
        size: "per_page",
        sort: "orderby=date&order=asc",
        filter: "after=2025-01-01T00:20:00",
        by_post: false,
    },
    first_page: None,
    default: 10,
    refuses: true,
    sorts: Sorts::One,
    filters: Filters::Dates,
    key: "date",
    write_key: local,
    body: |slice| {
        let total = if slice.items.is_empty() { 0 } else { slice.total };
        let headers = vec![
            ("X-WP-Total", total.to_string()),
            ("X-WP-TotalPages", total.div_ceil(slice.size).to_string()),
            ("Link", format!("<{}?page=2>; rel=\"next\"", slice.url)),
            ("Allow", "GET".into()),
            ("Access-Control-Expose-Headers", "X-WP-Total, X-WP-TotalPages, Link".into()),
        ];
        (headers, slice.items())
    },
    ..BASE
};

pub(super) static WORDPRESS: Form = WORDPRESS_FORM;
pub(super) static WORDPRESS_BY_ID: Form = Form { by_id: true, ..WORDPRESS_FORM };

const POSTGREST_NAMES: Names = Names {
    list: "/people",
    other_slash: "/people/",
    details: ["/people?id=eq.7", "/people?id=eq.7000"],
    page: "offset",
    size: "limit",
    sort: "order=age.asc",
    filter: "age=gte.20",
    by_post: false,
};

const POSTGREST_FORM: Form = Form {
    names: POSTGREST_NAMES,
    first_page: None,
    default: usize::MAX,
    max: usize::MAX,
    sorts: Sorts::Dots,
    filters: Filters::Dots,
    key: "age",
    write_key: Value::from,
    body: |slice| {
        let range = if slice.items.is_empty() {
            "*/*".to_owned()
        } else {
            format!("{}-{}/*", slice.offset, slice.offset + slice.items.len() - 1)
        };
        (vec![("Content-Range", range), ("Range-Unit", "items".into())], slice.items())
    },
    ..BASE
};

pub(super) static POSTGREST: Form = POSTGREST_FORM;

pub(super) static SUPABASE: Form = Form {
    max: 1000,
    key: "created_at",
    write_key: micros,
    names: Names {
        list: "/rest/v1/people",
        other_slash: "/rest/v1/people/",
        details: ["/rest/v1/people?id=eq.7", "/rest/v1/people?id=eq.7000"],
        sort: "order=created_at.asc",
        filter: "created_at=gte.2025-01-01",
        ..POSTGREST_NAMES
    },
    ..POSTGREST_FORM
};

/// Elasticsearch has an answer of its own, because requests are in bodies.
pub(super) static ELASTICSEARCH: Form = Form {
    names: Names {
        list: "/books/_search",
        other_slash: "/books/_search/",
        details: ["/books/_doc/7", "/books/_doc/7000"],
        page: "from",
        size: "size",
        sort: "sort=published:asc",
        filter: "q=title:sea",
        by_post: true,
    },
    first_page: None,
    default: 10,
    max: 10_000,
    key: "published",
    ..BASE
};
