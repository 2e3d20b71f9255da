//! Requests with limits, over a store with scripted answers.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Mutex};

use super::{super::limit_store::StoredLimit, *};

/// A store with prepared answers. It records the limits that it is asked for and the units that are charged.
#[derive(Debug, Default)]
struct ScriptedStore {
    answers: Mutex<VecDeque<Option<Vec<StoredStanding>>>>,
    asked: Mutex<Vec<Vec<&'static str>>>,
    charged: Mutex<Vec<i64>>,
}

impl LimitStore for ScriptedStore {
    fn name(&self, of: &[u8]) -> Option<String> {
        Some(format!("{of:?}"))
    }

    fn take<'a>(
        &'a self,
        _name: &'a str,
        limits: &'a [StoredLimit],
    ) -> Pin<Box<dyn Future<Output = Option<Vec<StoredStanding>>> + Send + 'a>> {
        self.asked.lock().unwrap().push(limits.iter().map(|limit| limit.policy).collect());
        let answer = self.answers.lock().unwrap().pop_front().expect("a question too many");
        Box::pin(std::future::ready(answer))
    }

    fn charge(&self, _name: &str, limit: StoredLimit) {
        self.charged.lock().unwrap().push(limit.units);
    }
}

/// Returns limits of ten requests and ten upstream requests in ten hours: one unit comes back each hour.
fn limits() -> Arc<RouteLimits> {
    let quota = QuotaSettings { requests: 10, per: Duration::from_secs(36_000), burst: 10 };
    let at = cursorgate_config::diagnostic::Location { source: 0, start: 0, end: 0 };
    let upstream_requests = Some(cursorgate_config::diagnostic::Located { value: quota, at });
    let settings =
        RateLimitSettings { requests: Some(quota), upstream_requests, clients: Vec::new(), by_identity: false };
    RouteLimits::compile(&settings, None, None, clock::instant()).expect("limits")
}

fn begin(limits: &Arc<RouteLimits>, store: &Arc<ScriptedStore>) -> LimitedRequest {
    let shared = (Arc::clone(store) as Arc<dyn LimitStore>, "users");
    let address = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    let client = LimitedClient { headers: &HeaderMap::new(), address, known: None };
    LimitedRequest::begin(limits, client, Some(shared))
}

/// Returns a standing with these two times in hours.
fn standing(retry: u64, reset: u64) -> StoredStanding {
    let [retry_after, reset_after] = [retry, reset].map(|hours| Duration::from_secs(3_600 * hours));
    StoredStanding { retry_after, reset_after }
}

fn answer(store: &ScriptedStore, answer: Option<[StoredStanding; 2]>) {
    store.answers.lock().unwrap().push_back(answer.map(Vec::from));
}

/// Returns the items of `RateLimit` for both limits, without their times.
fn left(limited: &LimitedRequest) -> [String; 2] {
    let mut headers = HeaderMap::new();
    limited.write(&mut headers, clock::instant());
    let field = headers["ratelimit"].to_str().unwrap().to_owned();
    let (requests, upstream_requests) = field.split_once(", ").unwrap();
    [requests, upstream_requests].map(|item| item.split(";t=").next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_decision_of_the_store_applies_and_later_units_are_charged() {
    let (limits, store) = (limits(), Arc::<ScriptedStore>::default());
    answer(&store, Some([standing(0, 4), standing(0, 7)]));
    let mut limited = begin(&limits, &store);
    limited.admit().await.unwrap();
    limited.settle(3, clock::instant());
    limited.settle(3, clock::instant());
    assert_eq!(left(&limited), [r#""requests";r=3"#, r#""upstream-requests";r=4"#]);
    assert_eq!(*store.asked.lock().unwrap(), [["upstream-requests", "requests"]]);
    assert_eq!(*store.charged.lock().unwrap(), [2], "the first one has been taken");
}

/// A refusal takes no units, so no units are given back. Until the time of the refusal has passed, the client is
/// refused without asking the store again.
#[tokio::test]
async fn a_refusal_is_remembered_and_takes_nothing() {
    let (limits, store) = (limits(), Arc::<ScriptedStore>::default());
    answer(&store, Some([standing(0, 4), standing(5, 10)]));
    for _ in 0..3 {
        let mut limited = begin(&limits, &store);
        let refusal = limited.admit().await.unwrap_err();
        assert_eq!(
            (refusal.policy, refusal.retry_after),
            (LimitPolicy::Requests, refusal.retry_after.clamp(17_940, 18_000))
        );
        limited.settle(0, clock::instant());
    }
    assert_eq!((store.asked.lock().unwrap().len(), store.charged.lock().unwrap().len()), (1, 0));
}

/// If both limits refuse a request, the longer refusal is returned, because the same request must be allowed after that
/// time.
#[tokio::test]
async fn the_refusal_that_lasts_longest_decides() {
    for (upstream_requests, requests, policy) in
        [(3, 8, LimitPolicy::Requests), (8, 3, LimitPolicy::UpstreamRequests), (2, 0, LimitPolicy::UpstreamRequests)]
    {
        let (limits, store) = (limits(), Arc::<ScriptedStore>::default());
        answer(&store, Some([standing(upstream_requests, 10), standing(requests, 10)]));
        for _ in 0..2 {
            assert_eq!(begin(&limits, &store).admit().await.unwrap_err().policy, policy);
        }
    }
}

/// The store is asked again for a client with no units left, because another process may have given a unit back.
#[tokio::test]
async fn a_client_that_was_admitted_is_not_refused_from_memory() {
    let (limits, store) = (limits(), Arc::<ScriptedStore>::default());
    for reset in [10, 9] {
        answer(&store, Some([standing(0, reset), standing(0, reset)]));
        begin(&limits, &store).admit().await.unwrap();
    }
}

/// If the store doesn't answer, the process decides by the last answer and asks only once for each request. It gives no
/// unit back to the store that the store might not have taken.
#[tokio::test]
async fn a_store_that_does_not_answer_is_queried_once_for_each_request() {
    let (limits, store) = (limits(), Arc::<ScriptedStore>::default());
    answer(&store, Some([standing(0, 1), standing(0, 8)]));
    begin(&limits, &store).admit().await.unwrap();
    for taken in [0, 4] {
        answer(&store, None);
        let mut limited = begin(&limits, &store);
        limited.admit().await.unwrap();
        assert!(limited.stored.as_ref().is_some_and(|stored| stored.is_silent));
        limited.settle(taken, clock::instant());
    }
    assert_eq!(*store.charged.lock().unwrap(), [3]);
    answer(&store, None);
    let mut limited = begin(&limits, &store);
    let refusal = limited.admit().await.unwrap_err();
    assert_eq!(refusal.policy, LimitPolicy::Requests, "two were left");
    limited.settle(0, clock::instant());
    assert_eq!(store.asked.lock().unwrap().len(), 4);
}
