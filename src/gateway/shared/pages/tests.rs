use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use http::HeaderValue;

use super::{
    generations::{PurgeSubject, Stamp},
    key::{KeptScope, KeptScopeParts, PageKeyParts},
    stored::{PageLife, PageUse},
    *,
};
use crate::gateway::identity::Viewer;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn key(query: &str) -> KeptKey {
    let none = HeaderMap::new();
    let viewer = Viewer { headers: &none, known: None, told_apart_by: &[], bound: &[], impersonal: &[] };
    let scope =
        KeptScopeParts { viewer, route: "users", headers: viewer.headers, settings: &[0; 32], host: "", reached: "" };
    KeptScope::new(scope).page(PageKeyParts {
        address: "",
        path: "/users",
        query: Some(query),
        convention: "standard",
        by_preference: false,
        preferred_limit: None,
        body: None,
    })
}

fn life(made: Instant) -> PageLife {
    PageLife { made, age: 5, fresh: 10 * SECOND, while_revalidate: 5 * SECOND, if_error: 20 * SECOND }
}

fn page(stamp: Stamp, size: usize) -> Arc<StoredPage> {
    Arc::new(StoredPage {
        headers: HeaderMap::new(),
        body: Bytes::from(vec![b'x'; size]),
        level: "exact",
        paging: "cursor",
        next: None,
        life: life(now()),
        stamp,
        shared: None,
        is_refreshing: AtomicBool::new(false),
    })
}

const SUBJECTS: [PurgeSubject<'_>; 3] =
    [PurgeSubject::Route("users"), PurgeSubject::Collection("users", "/users"), PurgeSubject::Tag("red")];

#[test]
fn a_page_is_fresh_then_stale_then_old() {
    let begin = now();
    let life = life(begin);
    let at = |seconds| life.at(begin + SECOND * seconds);
    assert_eq!(at(0), PageUse::Fresh(10 * SECOND));
    assert_eq!(at(9), PageUse::Fresh(SECOND));
    assert_eq!(at(10), PageUse::Stale(Duration::ZERO));
    assert_eq!(at(14), PageUse::Stale(4 * SECOND));
    assert_eq!(at(15), PageUse::Old(5 * SECOND));
    assert_eq!([9, 29, 30].map(|seconds| life.serves_on_error(begin + SECOND * seconds)), [true, true, false]);
    assert_eq!(life.age_at(begin + SECOND * 7), 12);
}

/// A purge drops pages that were kept or being made at its time, and no page whose making began later.
#[test]
fn a_purge_drops_pages_that_are_being_made() {
    let (pages, none) = (KeptPages::new(1 << 20), HeaderMap::new());
    for subject in SUBJECTS {
        let place = pages.find(key("a"), &none, now());
        let stamp = pages.generations.stamp(pages.generations.now(), SUBJECTS.into_iter());
        let before = pages.generations.since("users", "/users");
        assert!(pages.store(&place, &[], &none, &page(stamp.clone(), 10)).is_some());
        assert!(pages.find(key("a"), &none, now()).found.is_some());
        pages.generations.purge(subject);
        assert!(pages.find(key("a"), &none, now()).found.is_none(), "{subject:?}");
        assert!(pages.store(&place, &[], &none, &page(stamp, 10)).is_none(), "it was in the making: {subject:?}");
        assert_ne!(pages.generations.since("users", "/users"), before, "later requests wait for another page");
        let stamp = pages.generations.stamp(pages.generations.now(), SUBJECTS.into_iter());
        assert!(pages.store(&place, &[], &none, &page(stamp, 10)).is_some());
    }
    for other in [PurgeSubject::Route("/users"), PurgeSubject::Tag("users"), PurgeSubject::Collection("users", "/x")] {
        pages.generations.purge(other);
        assert!(pages.find(key("a"), &none, now()).found.is_some(), "{other:?}");
    }
    assert_eq!([0, 1, 2].map(|cause| pages.generations.count(cause)), [2, 2, 2]);
}

/// Row: A22
#[test]
fn pages_that_differ_by_a_header_are_found_by_its_value() {
    let pages = KeptPages::new(1 << 20);
    let stamp = || pages.generations.stamp(0, std::iter::empty());
    let language =
        |value: &'static str| HeaderMap::from_iter([(http::header::ACCEPT_LANGUAGE, HeaderValue::from_static(value))]);
    let (de, en) = (language("de"), language("en"));
    let names = [http::header::ACCEPT_LANGUAGE];
    let place = pages.find(key("a"), &de, now());
    let stored = pages.store(&place, &names, &de, &page(stamp(), 1)).unwrap();
    assert!(place.is_at(&stored, &de) && !place.is_at(&stored, &en));
    let found = |headers: &HeaderMap| pages.find(key("a"), headers, now()).found.map(|page| page.body.len());
    assert_eq!((found(&de), found(&en), found(&HeaderMap::new())), (Some(1), None, None));
    // An answer without `Vary` isn't sent to clients with another value of the header.
    let place = pages.find(key("a"), &en, now());
    pages.store(&place, &[], &en, &page(stamp(), 2)).unwrap();
    assert_eq!((found(&de), found(&en), found(&HeaderMap::new())), (Some(1), Some(2), None));
    assert!(pages.find(key("b"), &de, now()).found.is_none());
}

#[test]
fn the_cache_keeps_to_its_size() {
    let (pages, none) = (KeptPages::new(1 << 20), HeaderMap::new());
    for number in 0..1_000 {
        let place = pages.find(key(&number.to_string()), &none, now());
        let stamp = pages.generations.stamp(0, std::iter::empty());
        pages.store(&place, &[], &none, &page(stamp, 10_000));
        assert!(pages.size() <= 1 << 20, "{}", pages.size());
    }
    assert!(pages.size() > 1 << 19 && pages.evicted() > 800, "{} {}", pages.size(), pages.evicted());
}

#[test]
fn work_in_the_background_is_bounded() {
    let pages = Arc::new(KeptPages::new(1 << 20));
    let mut taken: Vec<_> = (0..MOST_BACKGROUND).filter_map(|_| pages.background()).collect();
    assert_eq!(taken.len(), MOST_BACKGROUND);
    assert!(pages.background().is_none());
    taken.pop();
    assert!(pages.background().is_some());
}
