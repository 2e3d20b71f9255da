use super::*;

const MILLI: Duration = Duration::from_millis(1);

/// A service in simulated time, of which every request is sent as soon as the limit permits it.
struct Simulation {
    limiter: Limiter,
    start: Instant,
    now: Instant,
}

impl Simulation {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "a beginning for the simulated clock")]
        let now = Instant::now();
        Self { limiter: Limiter::new(1_024, now), start: now, now }
    }

    /// Answers requests for a while, each after `time` of the number of requests in flight. `wanted` requests are in
    /// flight, if the limit permits them.
    fn run(&mut self, seconds: u32, wanted: usize, time: impl Fn(usize) -> Duration) -> usize {
        let end = self.now + Duration::from_secs(seconds.into());
        while self.now < end {
            let awaited = wanted.min(self.limiter.limit());
            if wanted > awaited {
                self.limiter.pressed(self.now);
            }
            let took = time(awaited);
            // So many requests in flight give an answer each `took / awaited`.
            self.now += took / u32::try_from(awaited).unwrap();
            // At the start nothing is in the service's queue yet.
            let since = self.now - self.start;
            if since >= time(1) {
                self.limiter.answered(LatencyKind::default(), self.now - took.min(since), awaited, self.now);
            }
        }
        self.limiter.limit()
    }
}

/// Returns the time of an answer of a service that works on `workers` requests at once, each for `time`.
fn queued(workers: usize, time: Duration) -> impl Fn(usize) -> Duration {
    move |awaited| time.mul_f64(number(awaited.max(workers)) / number(workers))
}

#[test]
fn the_limit_grows_while_answers_are_fast() {
    let mut service = Simulation::new();
    let limit = service.run(3, 500, |_| 40 * MILLI);
    assert!(limit >= 500, "{limit}");
    // What isn't used doesn't grow.
    assert!(Simulation::new().run(10, 20, |_| 40 * MILLI) == 64);
}

#[test]
fn an_overloaded_service_gets_what_it_can_do() {
    for (workers, time) in [(8, 40 * MILLI), (2, 100 * MILLI), (100, 10 * MILLI), (1, 20 * MILLI)] {
        let mut service = Simulation::new();
        let limit = service.run(30, 2_000, queued(workers, time));
        assert!((workers..=workers * 5 + 8).contains(&limit), "{workers} workers: {limit}");
    }
}

#[test]
fn a_service_that_becomes_slower_is_not_throttled_for_long() {
    let mut service = Simulation::new();
    service.run(5, 500, |_| 20 * MILLI);
    let limit = service.run(10, 500, |_| 400 * MILLI);
    assert!(limit >= 500, "the time of answers doesn't depend on their number: {limit}");
}

#[test]
fn the_limit_recovers_from_a_pause() {
    let mut service = Simulation::new();
    service.run(5, 200, |_| 40 * MILLI);
    service.run(2, 200, |_| 2_000 * MILLI);
    let limit = service.run(10, 200, |_| 40 * MILLI);
    assert!(limit >= 200, "{limit}");
}

/// At the start of an overload, the first requests get the time for their answers before more are sent.
#[test]
fn a_limit_that_has_just_been_reached_stays() {
    let mut service = Simulation::new();
    let at = |millis| service.start + MILLI * millis;
    for millis in [5_000, 5_050] {
        service.limiter.pressed(at(millis));
        assert_eq!(service.limiter.limit(), 64);
    }
    service.limiter.pressed(at(5_100));
    assert_eq!(service.limiter.limit(), 128, "no answer for a while");
    service.limiter.answered(LatencyKind::default(), at(5_000), 1, at(5_110));
    // After a pause, nothing has been asked for that could have been answered.
    service.limiter.pressed(at(20_000));
    service.limiter.pressed(at(20_200));
    assert_eq!(service.limiter.limit(), 128);
}
