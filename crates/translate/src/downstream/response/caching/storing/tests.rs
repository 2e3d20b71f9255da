use super::*;

const OPEN: StoringPolicy = StoringPolicy { is_authorized: false, keeps_private: false };
const AUTHORIZED: StoringPolicy = StoringPolicy { is_authorized: true, keeps_private: false };
const PRIVATE: StoringPolicy = StoringPolicy { is_authorized: true, keeps_private: true };

type Said = &'static [(&'static str, &'static str)];

fn headers(pairs: Said) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(HeaderName::from_static(name), http::HeaderValue::from_static(value));
    }
    headers
}

/// The time 1994-11-06 08:49:37 UTC, in seconds since 1970.
const NOW: u64 = 784_111_777;

fn storage(answers: &[Said], policy: StoringPolicy) -> Result<PageStorage, Unstorable> {
    let owned: Vec<HeaderMap> = answers.iter().map(|pairs| headers(pairs)).collect();
    page_storage(&owned.iter().collect::<Vec<_>>(), policy, NOW)
}

/// Row: A22
#[test]
fn the_strictest_answer_decides_whether_a_page_is_stored() {
    const CC: &str = "cache-control";
    let cases: [(&[Said], StoringPolicy, Option<Unstorable>); 25] = [
        (&[], OPEN, None),
        (&[&[]], OPEN, None),
        (&[&[(CC, "max-age=60")]], OPEN, None),
        (&[&[(CC, "no-store")]], OPEN, Some(Unstorable::NoStore)),
        (&[&[(CC, "no-store")]], PRIVATE, Some(Unstorable::NoStore)),
        (&[&[(CC, "max-age=60")], &[(CC, "max-age=60, No-Store")]], OPEN, Some(Unstorable::NoStore)),
        (&[&[(CC, "private")]], OPEN, Some(Unstorable::Private)),
        (&[&[(CC, "private=\"x-name\"")]], OPEN, Some(Unstorable::Private)),
        (&[&[(CC, "private")]], PRIVATE, None),
        (&[&[("set-cookie", "a=b")]], PRIVATE, Some(Unstorable::Cookie)),
        (&[&[]], AUTHORIZED, Some(Unstorable::Authorized)),
        (&[&[(CC, "max-age=60")]], AUTHORIZED, Some(Unstorable::Authorized)),
        (&[&[(CC, "public")]], AUTHORIZED, None),
        (&[&[(CC, "s-maxage=60")]], AUTHORIZED, None),
        (&[&[(CC, "must-revalidate")]], AUTHORIZED, None),
        (&[&[(CC, "public")], &[]], AUTHORIZED, Some(Unstorable::Authorized)),
        (&[&[]], PRIVATE, None),
        (&[&[("vary", "*")]], PRIVATE, Some(Unstorable::Varies)),
        (&[&[("vary", "accept-language, *")]], OPEN, Some(Unstorable::Varies)),
        (&[&[(CC, "no-cache")]], OPEN, Some(Unstorable::NotFresh)),
        (&[&[(CC, "max-age=0")]], OPEN, Some(Unstorable::NotFresh)),
        (&[&[(CC, "max-age=60"), ("age", "60")]], OPEN, Some(Unstorable::NotFresh)),
        (&[&[(CC, "max-age=60"), ("age", "99999999999999999999")]], OPEN, Some(Unstorable::NotFresh)),
        (&[&[("expires", "0")]], OPEN, Some(Unstorable::NotFresh)),
        (&[&[(CC, "max-age=soon")]], OPEN, Some(Unstorable::NotFresh)),
    ];
    for (answers, policy, expected) in cases {
        assert_eq!(storage(answers, policy).err(), expected, "{answers:?} {policy:?}");
    }
}

#[test]
fn the_shortest_freshness_of_the_answers_applies_to_the_page() {
    const CC: &str = "cache-control";
    /// The freshness and the age, in seconds, and whether the page may be served stale.
    type Life = (Option<u64>, u64, bool);
    let cases: [(&[Said], Life); 10] = [
        (&[&[]], (None, 0, true)),
        (&[&[(CC, "max-age=60")]], (Some(60), 0, true)),
        (&[&[(CC, "max-age=60"), ("age", "20")], &[]], (Some(40), 20, true)),
        (&[&[(CC, "max-age=60, s-maxage=90")]], (Some(90), 0, false)),
        (&[&[(CC, "max-age=60")], &[(CC, "max-age=30")]], (Some(30), 0, true)),
        (&[&[(CC, "max-age=60, must-revalidate")]], (Some(60), 0, false)),
        (&[&[(CC, "max-age=60, proxy-revalidate")]], (Some(60), 0, false)),
        (
            &[&[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")]],
            (Some(60), 0, true),
        ),
        (&[&[("expires", "Sun, 06 Nov 1994 08:49:47 GMT")]], (Some(10), 0, true)),
        (&[&[(CC, "max-age=5"), ("expires", "Sun, 06 Nov 1994 09:49:47 GMT")]], (Some(5), 0, true)),
    ];
    for (answers, expected) in cases {
        let found = storage(answers, OPEN).unwrap();
        assert_eq!((found.fresh, found.age, found.may_be_stale), expected, "{answers:?}");
    }
    let stale =
        storage(&[&[(CC, "stale-if-error=9, stale-while-revalidate=5")], &[(CC, "stale-if-error=3")], &[]], OPEN);
    let stale = stale.unwrap();
    assert_eq!((stale.stale_while_revalidate, stale.stale_if_error), (Some(5), Some(3)));
}

/// Row: A22
#[test]
fn names_and_tags_of_all_answers_are_joined() {
    let found = storage(
        &[
            &[("vary", "X-B, Accept-Encoding"), ("surrogate-key", "users  tenant-7")],
            &[("vary", "x-a,x-b"), ("cache-tag", "users, page one")],
        ],
        OPEN,
    );
    let found = found.unwrap();
    assert_eq!(found.varies, ["x-a", "x-b"]);
    assert_eq!(found.tags, ["users", "tenant-7", "page one"]);
    let many = (0..=MOST_VARIED).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(",");
    let mut answer = HeaderMap::new();
    answer.insert(VARY, many.parse().unwrap());
    assert_eq!(answer_storage(&answer, OPEN), Err(Unstorable::Varies));
    let tags = (0..=MOST_TAGS).map(|number| format!("t{number}")).collect::<Vec<_>>().join(" ");
    let mut answer = HeaderMap::new();
    answer.insert("surrogate-key", tags.parse().unwrap());
    assert_eq!(page_storage(&[&answer], OPEN, NOW), Err(Unstorable::Tags));
}

#[test]
fn cache_directives_of_requests_are_read() {
    const CC: &str = "cache-control";
    let none = RequestDirectives::default();
    let cases: [(Said, RequestDirectives); 8] = [
        (&[], none),
        (&[("pragma", "No-Cache")], RequestDirectives { reloads: true, ..none }),
        (&[(CC, "max-age=9"), ("pragma", "no-cache")], RequestDirectives { max_age: Some(9), ..none }),
        (&[(CC, "no-cache")], RequestDirectives { reloads: true, ..none }),
        (&[(CC, "max-age=0")], RequestDirectives { reloads: true, max_age: Some(0), ..none }),
        (&[(CC, "no-store")], RequestDirectives { no_store: true, ..none }),
        (
            &[(CC, "only-if-cached, min-fresh=5")],
            RequestDirectives { only_if_cached: true, min_fresh: Some(5), ..none },
        ),
        (&[(CC, "max-stale=60")], none),
    ];
    for (pairs, expected) in cases {
        assert_eq!(RequestDirectives::read(&headers(pairs)), expected, "{pairs:?}");
    }
    let asked = RequestDirectives { max_age: Some(10), min_fresh: Some(5), ..none };
    assert_eq!(
        [(10, 5), (11, 5), (10, 4), (0, 100)].map(|(age, left)| asked.accepts(age, left)),
        [true, false, false, true]
    );
}
