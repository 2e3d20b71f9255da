use std::net::{IpAddr, Ipv4Addr};

use http::HeaderMap;
use tokio::sync::Semaphore;

use super::*;
use crate::runtime::futures::join_all;

const MINUTE: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn slots(configured: usize) -> Arc<UpstreamSlots> {
    UpstreamSlots::new(Some(configured), now)
}

async fn take_as(slots: &Arc<UpstreamSlots>, client: u32, left: Duration) -> Result<UpstreamSlot, Occupied> {
    let headers = HeaderMap::new();
    let address = IpAddr::V4(Ipv4Addr::from_bits(client));
    slots.take(LimitedClient { headers: &headers, address, known: None }, left).await
}

async fn take(slots: &Arc<UpstreamSlots>, left: Duration) -> Result<UpstreamSlot, Occupied> {
    take_as(slots, 1, left).await
}

#[tokio::test]
async fn few_requests_wait_and_the_rest_are_refused_at_once() {
    let slots = slots(2);
    let held = (take(&slots, MINUTE).await.unwrap(), take(&slots, MINUTE).await.unwrap());
    assert_eq!(slots.in_flight(), 2);
    let waiting = join_all((0..LEAST_QUEUE).map(|_| async { take(&slots, MINUTE).await.map(drop) }));
    let beyond = async {
        assert_eq!(slots.waiting(), LEAST_QUEUE);
        // The slots are still held here, so the refusal doesn't wait for a slot.
        assert!(take(&slots, MINUTE).await.is_err());
        assert_eq!((slots.refused(), slots.waiting()), (1, LEAST_QUEUE));
        drop(held);
    };
    let (taken, ()) = tokio::join!(waiting, beyond);
    assert!(taken.iter().all(Result::is_ok));
    assert_eq!((slots.in_flight(), slots.waiting(), slots.refused()), (0, 0, 1));
}

/// However many requests are refused, their clients don't come back together.
#[test]
fn refused_clients_come_back_at_different_times() {
    let slots = slots(1);
    let mut refused = [0; 31];
    (0..3_000).for_each(|_| refused[slots.refuse().retry_after as usize] += 1);
    assert!(refused.iter().all(|count| *count < 600) && refused[20..30].iter().all(|count| *count > 0), "{refused:?}");
}

#[tokio::test]
async fn a_request_waits_for_a_slot_no_longer_than_its_deadline() {
    let slots = slots(1);
    let held = take(&slots, MINUTE).await.unwrap();
    assert!(take(&slots, SHORT).await.is_err());
    assert_eq!((slots.waiting(), slots.refused()), (0, 1));
    drop(held);
    assert!(take(&slots, SHORT).await.is_ok());
}

/// A request that is cancelled while it waits counts neither as waiting nor as refused, and takes no slot.
#[tokio::test]
async fn a_wait_that_is_given_up_takes_no_place() {
    let slots = slots(1);
    let held = take(&slots, MINUTE).await.unwrap();
    tokio::select! {
        biased;
        _ = take(&slots, MINUTE) => panic!("there is none"),
        () = tokio::task::yield_now() => {}
    }
    assert_eq!((slots.waiting(), slots.refused()), (0, 0));
    drop(held);
    assert_eq!(slots.in_flight(), 0);
}

/// A slot that is handed to a request whose client leaves at that moment is free again.
#[tokio::test]
async fn a_slot_for_a_client_that_has_left_goes_to_the_next() {
    let slots = slots(2);
    let (held, _other) = (take(&slots, MINUTE).await.unwrap(), take(&slots, MINUTE).await.unwrap());
    let mut first = Box::pin(take(&slots, MINUTE));
    let mut second = Box::pin(take(&slots, MINUTE));
    assert!(futures_poll(&mut first).await.is_none() && futures_poll(&mut second).await.is_none());
    drop(held);
    assert_eq!((slots.in_flight(), slots.waiting()), (2, 1), "the first one has it");
    drop(first);
    assert!(futures_poll(&mut second).await.is_some_and(|taken| taken.is_ok()));
    assert_eq!((slots.in_flight(), slots.waiting()), (1, 0));
}

/// Polls a future once.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// The rest of an answer, such as a download or a WebSocket, occupies a slot, but doesn't keep others from being asked.
#[tokio::test]
async fn an_answer_that_has_begun_leaves_the_adaptive_limit() {
    let slots = UpstreamSlots::new(None, now);
    let limit = slots.limit();
    let held = join_all((0..limit).map(|_| take(&slots, MINUTE))).await;
    assert!(!slots.enters());
    held.iter().flatten().for_each(UpstreamSlot::begins);
    assert!(take(&slots, SHORT).await.is_ok());
    assert_eq!(slots.in_flight(), limit);
    drop(held);
    assert_eq!((slots.in_flight(), slots.awaited.load(Ordering::SeqCst)), (0, 0));
}

/// A service in simulated time: `workers` at once, each answer takes `time`, or up to a share of it more or less.
struct Service {
    slots: Arc<UpstreamSlots>,
    workers: Semaphore,
    time: Duration,
    share: f64,
    kind: LatencyKind,
    /// The kind and the time of each third request; `None` if all are alike.
    third: Option<(LatencyKind, Duration)>,
    /// The number of requests so far.
    asked: AtomicU64,
}

/// The counts of a client that sends requests at a fixed rate.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    sent: u32,
    /// The answers within a second.
    useful: u32,
    late: u32,
    refused: u32,
}

const SECONDS: u32 = 25;
/// The time that the limit may take to adapt itself, whose requests aren't counted.
const START: u32 = 5;

impl Service {
    fn new(workers: usize, time: Duration, share: f64) -> Self {
        let slots = UpstreamSlots::new(None, now);
        let kind = LatencyKind::default();
        Self { slots, workers: Semaphore::new(workers), time, share, kind, third: None, asked: AtomicU64::new(0) }
    }

    /// Returns the kind and the time of the next answer. The times are the same in each run of a test.
    #[expect(clippy::cast_precision_loss, reason = "the number has few bits")]
    fn takes(&self) -> (LatencyKind, Duration) {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let (kind, time) = self.third.filter(|_| asked.is_multiple_of(3)).unwrap_or((self.kind, self.time));
        let mixed = asked.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 48;
        let between = mixed as f64 / 32_768.0 - 1.0;
        (kind, time.mul_f64(1.0 + self.share * between))
    }

    /// Sends `rate` requests a second as a client, whether they are answered or not.
    async fn send(self: Arc<Self>, client: u32, rate: u32) -> Counts {
        let began = tokio::time::Instant::now();
        let mut requests = Vec::new();
        for index in 0..SECONDS * rate {
            tokio::time::sleep_until(began + Duration::from_secs(1) * index / rate).await;
            let is_counted = index >= START * rate;
            let service = Arc::clone(&self);
            requests.push(tokio::spawn(async move { is_counted.then_some(service.request(client).await) }));
        }
        let mut counts = Counts::default();
        for request in requests {
            let Some(took) = request.await.unwrap() else { continue };
            counts.sent += 1;
            match took {
                None => counts.refused += 1,
                Some(took) if took <= Duration::from_secs(1) => counts.useful += 1,
                Some(_) => counts.late += 1,
            }
        }
        counts
    }

    async fn request(&self, client: u32) -> Option<Duration> {
        let (began, slot) = (now(), take_as(&self.slots, client, MINUTE).await.ok()?);
        self.answer(began, slot).await
    }

    /// Sends a request of one of the clients at the address 1.
    async fn request_from_one_address(&self, client: u32) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, client.into());
        let client = LimitedClient { headers: &headers, address: Ipv4Addr::from_bits(1).into(), known: None };
        let (began, slot) = (now(), self.slots.take(client, MINUTE).await.ok()?);
        self.answer(began, slot).await
    }

    async fn answer(&self, began: Instant, slot: UpstreamSlot) -> Option<Duration> {
        let sent = now();
        let worker = self.workers.acquire().await.unwrap();
        let (kind, time) = self.takes();
        tokio::time::sleep(time).await;
        drop(worker);
        self.slots.answered(kind, sent, now());
        drop(slot);
        Some(now() - began)
    }
}

/// The goodput of a service that works on 8 requests at once, at up to ten times what it can do, without any setting:
/// nine tenths of what it can do or is asked for, within a second, also if the times of its answers differ.
#[tokio::test(start_paused = true)]
async fn goodput_stays_at_any_load() {
    for (time, capacity) in [(40, 200), (160, 50)] {
        for (share, tenths) in
            [0.0, 0.1, 0.8].into_iter().flat_map(|share| [5, 9, 12, 20, 100].map(|load| (share, load)))
        {
            let service = Arc::new(Service::new(8, Duration::from_millis(time), share));
            let counts = Arc::clone(&service).send(1, capacity * tenths / 10).await;
            let useful = counts.useful / (SECONDS - START);
            let limit = service.slots.limit();
            println!("{tenths}/10 of {capacity}/s, ±{share}: {useful} useful/s, {counts:?}, limit {limit}");
            assert!(
                useful >= capacity * tenths.min(10) * 9 / 100,
                "{tenths}/10 of {capacity}/s, ±{share}: {useful} {counts:?}"
            );
            assert_eq!((service.slots.in_flight(), service.slots.waiting()), (0, 0));
        }
    }
}

/// The same of a service whose answers are of two kinds, of which one takes four times as long.
#[tokio::test(start_paused = true)]
async fn goodput_of_two_kinds_stays_at_any_load() {
    let (time, capacity) = (Duration::from_millis(40), 100);
    for (share, tenths) in [0.0, 0.5].into_iter().flat_map(|share| [9, 20, 100].map(|load| (share, load))) {
        let third = Some((LatencyKind::of("/reports"), time * 4));
        let service = Arc::new(Service { third, ..Service::new(8, time, share) });
        let counts = Arc::clone(&service).send(1, capacity * tenths / 10).await;
        let useful = counts.useful / (SECONDS - START);
        println!("{tenths}/10, ±{share}: {useful} useful/s, {counts:?}, limit {}", service.slots.limit());
        assert!(useful >= capacity * tenths.min(10) * 9 / 100, "{tenths}/10, ±{share}: {useful} {counts:?}");
    }
}

/// A client that sends one request after the other is served while 2,000 clients at 200 addresses ask for five times what
/// the service can do, and the service answers these as well as before.
#[tokio::test(start_paused = true)]
async fn a_client_among_a_crowd_of_addresses_is_served() {
    let service = Arc::new(Service::new(8, Duration::from_millis(40), 0.1));
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    let crowd = join_all((0..2_000).map(|client| {
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let (mut useful, mut asked) = (0, client);
            while tokio::time::Instant::now() < end {
                let took = service.request(1_000 + client % 200).await;
                useful += u32::from(took.is_some_and(|took| took <= Duration::from_secs(1)));
                asked += 1;
                tokio::time::sleep(Duration::from_millis(500) + Duration::from_millis(16) * (asked * 7 % 64)).await;
            }
            useful
        })
    }));
    let honest = async {
        let mut served = 0;
        for _ in 0..79 {
            served += u32::from(service.request(1).await.is_some());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        served
    };
    let (crowd, honest) = tokio::join!(crowd, honest);
    let crowd: u32 = crowd.into_iter().map(|useful| useful.unwrap()).sum();
    println!("{honest} of 79, and {crowd} of the crowd");
    assert!(honest >= 70, "{honest} of 79");
    assert!(crowd >= 200 * 20 * 9 / 10, "{crowd}");
}

/// A client that sends five times what the service can do leaves the others whole.
#[tokio::test(start_paused = true)]
async fn a_hot_client_leaves_the_others_whole() {
    let service = Arc::new(Service::new(8, Duration::from_millis(40), 0.0));
    let others = join_all((2..12).map(|client| Arc::clone(&service).send(client, 4)));
    let (hot, others) = tokio::join!(Arc::clone(&service).send(1, 1_000), others);
    let sent: u32 = others.iter().map(|counts| counts.sent).sum();
    let useful: u32 = others.iter().map(|counts| counts.useful).sum();
    println!("hot: {hot:?}; others: {useful} of {sent}");
    assert!(useful >= sent * 99 / 100, "{others:?}");
    assert!(hot.useful / (SECONDS - START) >= 140, "{hot:?}");
}

/// Clients that come all at once beside a client that fills the queue are served, if the configuration sets as many slots
/// as the service has workers.
#[tokio::test(start_paused = true)]
async fn a_hot_client_leaves_the_others_whole_with_few_slots() {
    let slots = UpstreamSlots::new(Some(8), now);
    let service = Arc::new(Service { slots, ..Service::new(8, Duration::from_millis(80), 0.0) });
    let others = join_all((2..12).map(|client| Arc::clone(&service).send(client, 3)));
    let (hot, others) = tokio::join!(Arc::clone(&service).send(1, 500), others);
    let (sent, useful) = others.iter().fold((0, 0), |all, counts| (all.0 + counts.sent, all.1 + counts.useful));
    println!("hot: {hot:?}; others: {useful} of {sent}");
    assert_eq!(useful, sent);
    assert!(hot.useful / (SECONDS - START) >= 55, "{hot:?}");
}

/// A client that sends five times what the service can do leaves the others at its address whole, even if they all come at
/// once.
#[tokio::test(start_paused = true)]
async fn a_hot_client_leaves_the_others_at_its_address_whole() {
    for (time, capacity) in [(40, 200), (160, 50)] {
        for share in [0.0, 0.1, 0.8] {
            let service = Arc::new(Service::new(8, Duration::from_millis(time), share));
            let end = tokio::time::Instant::now() + Duration::from_secs(30);
            let hot = async {
                let mut requests = Vec::new();
                while tokio::time::Instant::now() < end {
                    let service = Arc::clone(&service);
                    requests.push(tokio::spawn(async move { service.request_from_one_address(1).await }));
                    tokio::time::sleep(Duration::from_secs(1) / (capacity * 5)).await;
                }
                let took = join_all(requests).await;
                took.into_iter().filter(|took| took.as_ref().unwrap().is_some_and(|took| took.as_secs() < 1)).count()
            };
            let others = async {
                let (mut sent, mut useful) = (0, 0);
                tokio::time::sleep(Duration::from_secs(5)).await;
                while tokio::time::Instant::now() < end {
                    let took = join_all((2..12).map(|client| service.request_from_one_address(client))).await;
                    sent += took.len();
                    useful += took.iter().filter(|took| took.is_some_and(|took| took.as_secs() < 1)).count();
                    tokio::time::sleep(Duration::from_millis(600)).await;
                }
                (sent, useful)
            };
            let (hot, (sent, useful)) = tokio::join!(hot, others);
            println!("{time} ms, ±{share}: hot {hot}; others {useful} of {sent}");
            assert_eq!(useful, sent, "{time} ms, ±{share}");
        }
    }
}

/// A service that stands still when its first requests come, under a load that it can't carry: its first answers are all
/// late, as when the gateway is restarted in front of an overloaded service. They must not stay the standard.
#[tokio::test(start_paused = true)]
async fn late_first_answers_do_not_stay_the_standard() {
    for (time, capacity) in [(40, 200), (160, 50)] {
        for load in [2, 10] {
            let service = Arc::new(Service::new(8, Duration::from_millis(time), 0.1));
            let halted = Arc::clone(&service);
            let halt = tokio::spawn(async move {
                let all = halted.workers.acquire_many(8).await.unwrap();
                tokio::time::sleep(Duration::from_secs(2)).await;
                drop(all);
            });
            let first = Arc::clone(&service).send(1, capacity * load).await;
            halt.await.unwrap();
            let second = Arc::clone(&service).send(1, capacity * load).await;
            println!("{load} times {capacity}/s: {first:?}, then {second:?}");
            assert!(second.useful >= capacity * (SECONDS - START) * 9 / 10, "{load} times {capacity}/s: {second:?}");
        }
    }
}

/// A slow service that nothing has shown to be overloaded gets all requests that come at once, as without a limit.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_slow_requests_is_let_in_at_once() {
    let service = Service::new(1_000, Duration::from_secs(12), 0.0);
    let took = join_all((0..1_000).map(|client| service.request(client % 10))).await;
    assert!(took.iter().all(Option::is_some), "{} refused", service.slots.refused());
}

/// Requests that wait for an event don't count as a sign of overload, and aren't refused.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_long_polls_is_let_in() {
    let slots = UpstreamSlots::new(None, now);
    let polls = join_all((0..600).map(|client| {
        let slots = Arc::clone(&slots);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(20) * client).await;
            let slot = take_as(&slots, client, MINUTE).await.ok()?;
            let sent = now();
            tokio::time::sleep(Duration::from_secs(30)).await;
            slots.answered(LatencyKind::default(), sent, now());
            drop(slot);
            Some(())
        })
    }));
    let fast = async {
        let service = Service { slots: Arc::clone(&slots), ..Service::new(8, Duration::from_millis(10), 0.0) };
        let mut failed = 0;
        for _ in 0..1_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let four = (0..4).map(|client| service.request(1_000 + client));
            failed += join_all(four).await.iter().filter(|took| took.is_none()).count();
        }
        failed
    };
    let (polls, failed) = tokio::join!(polls, fast);
    assert!(polls.into_iter().all(|poll| poll.unwrap().is_some()));
    assert_eq!(failed, 0);
}

/// Slow requests among fast ones aren't a sign of overload, however slow they become.
#[tokio::test(start_paused = true)]
async fn slow_requests_among_fast_ones_do_not_lower_the_limit() {
    for phases in [[(20, 1_000), (60, 2_000)], [(20, 1_000), (60, 4_000)], [(30, 50), (30, 3_000)]] {
        let fast = Arc::new(Service::new(10_000, Duration::from_millis(5), 0.2));
        let fast = Arc::new(Service { kind: LatencyKind::of("/people").of_pages(), ..Arc::into_inner(fast).unwrap() });
        let pages = Arc::clone(&fast).send(1, 100);
        let reports = async {
            let mut refused = [0, 0];
            for (phase, (rate, time)) in phases.into_iter().enumerate() {
                let reports = Arc::new(Service {
                    slots: Arc::clone(&fast.slots),
                    kind: LatencyKind::of("/reports"),
                    ..Service::new(10_000, Duration::from_millis(time), 0.2)
                });
                let began = tokio::time::Instant::now();
                let sent = (0..12 * rate).map(|index| {
                    let reports = Arc::clone(&reports);
                    tokio::spawn(async move {
                        tokio::time::sleep_until(began + Duration::from_secs(1) * index / rate).await;
                        reports.request(2).await
                    })
                });
                let took = join_all(sent.collect::<Vec<_>>()).await;
                refused[phase] = took.iter().filter(|took| took.as_ref().unwrap().is_none()).count();
            }
            refused
        };
        let (pages, refused) = tokio::join!(pages, reports);
        println!("{phases:?}: {pages:?}, {refused:?} reports refused, limit {}", fast.slots.limit());
        assert!(pages.refused == 0 && refused.iter().sum::<usize>() <= 2, "{phases:?}: {pages:?}, {refused:?}");
    }
}

/// Ten clients at one address, each of which sends one request after the other, are too few to be refused, although the
/// service stands still again and again, and its limit falls.
#[tokio::test(start_paused = true)]
async fn a_few_clients_wait_instead_of_being_refused() {
    for (workers, time) in [(1, 30), (2, 60), (4, 100)] {
        let service = Arc::new(Service::new(workers, Duration::from_millis(time), 0.5));
        let end = tokio::time::Instant::now() + Duration::from_secs(30);
        let halted = Arc::clone(&service);
        let halts = async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            while tokio::time::Instant::now() < end {
                let all = halted.workers.acquire_many(u32::try_from(workers).unwrap()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(250)).await;
                drop(all);
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let clients = join_all((0..10).map(|_| async {
            let (mut sent, mut refused) = (0, 0);
            while tokio::time::Instant::now() < end {
                sent += 1;
                if service.request(1).await.is_none() {
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            (sent, refused)
        }));
        let ((), clients) = tokio::join!(halts, clients);
        let (sent, refused) = clients.iter().fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1));
        println!("{workers} workers of {time} ms: {refused} of {sent} refused, limit {}", service.slots.limit());
        assert_eq!(refused, 0, "{workers} workers of {time} ms: of {sent}");
    }
}
