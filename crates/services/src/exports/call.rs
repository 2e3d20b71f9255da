//! A job of a queue: a request to an upstream, whose work is followed to its end.
//!
//! Each step is one request through the gateway, with the headers of the job's client. The first one begins the work. If
//! the upstream accepts it with 202 and says where its status is, each further step asks for the status. Between two
//! steps no process holds the job, so any process that shares the store takes the next step, and a process that ends
//! loses at most the answer to one question.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::http::RequestHeader;
use tokio::sync::watch;
use url::Url;

use super::{
    job::{JobFault, JobPlace, ToldProblem},
    page::{LEAST_WAIT, PageFault, refused},
    store::JobStoreFault,
    work::{Interruption, JobWork},
};
use crate::{
    answer::{self, InnerAnswer, NoAnswer},
    backoff::Backoff,
    caller::Caller,
    inner::InnerRequest,
};
use cursorgate_config::settings::JobQueueSettings;
use cursorgate_core::json::{self, Pointer};
use cursorgate_gateway::{Snapshot, request::target, routes::route::Route, runtime::clock};

/// The headers of an answer that say where the status of the work is, by precedence.
const PLACES: [HeaderName; 3] =
    [HeaderName::from_static("operation-location"), header::LOCATION, header::CONTENT_LOCATION];

/// The longest pause between two steps that is not longer than the upstream asks for, and the longest that it can ask
/// for.
const USUAL_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The largest number of redirects that are followed one after the other.
const MOST_REDIRECTS: u64 = 5;

/// The largest number of characters that are kept of each text in an upstream's problem.
const LONGEST_TEXT: usize = 500;

pub(super) struct CallRun {
    pub(super) work: JobWork,
    /// The settings of the job's queue; `None` if it is no longer configured.
    pub(super) queue: Option<JobQueueSettings>,
}

impl CallRun {
    /// Takes the next step of the job, and stores its outcome.
    ///
    /// # Errors
    ///
    /// Returns the fault of the store. The step is then taken again.
    pub(super) async fn run(mut self) -> Result<(), JobStoreFault> {
        let Some(queue) = self.queue.take() else {
            let fault = JobFault::new("queue_removed", "the queue of the job is no longer there");
            return self.work.end(Err(fault.into()), Duration::ZERO).await;
        };
        let worked = self.step(&queue).await;
        self.work.end(worked, queue.retry_for).await
    }

    async fn step(&mut self, queue: &JobQueueSettings) -> Result<(), Interruption> {
        self.work.begin()?;
        let progress = &self.work.taken.job.progress;
        let place = progress.next.clone();
        let is_first = place == JobPlace::First;
        if !self.work.taken.lease.restore(progress.lengths()).await? {
            return Err(JobFault::new("result_lost", "the stored result is no longer whole").into());
        }
        let progress = &mut self.work.taken.job.progress;
        let target = match place {
            JobPlace::First => queue.path.value.clone(),
            JobPlace::At(target) => target,
            JobPlace::Parts(_) | JobPlace::End => return Ok(()),
        };
        // The process that sent the request has ended before it stored the answer.
        if is_first && progress.interruptions > 0 && !queue.repeat {
            return Err(unknown("a process ended before it stored the answer").into());
        }
        progress.pages += 1;
        if progress.pages > queue.requests {
            let detail = format!("the work isn't done after {} requests", queue.requests);
            return Err(JobFault::new("job_requests_exceeded", detail).into());
        }
        if self.work.spent() > queue.timeout {
            let detail = format!("the work isn't done after {:?}", queue.timeout);
            return Err(JobFault::new("job_timeout", detail).into());
        }
        let snapshot = self.work.inner.gateway().live.pin();
        if self.work.inner.gateway().vitals.is_stopping() {
            return Err(Interruption::Stopping);
        }
        let (caller, body) = self.work.credentials(snapshot.keys.as_deref())?;
        let method = if is_first { queue.method.as_str() } else { "GET" };
        let body = if is_first { Bytes::from(body) } else { Bytes::new() };
        let Some(head) = self.head(method, &target, &caller, &body) else {
            return Err(JobFault::new("request_invalid", "the request can't be written").into());
        };
        let (_goes_on, mut wanted) = watch::channel(());
        let (time, most) = (queue.request_timeout, queue.size);
        let gateway = self.work.inner.gateway();
        let request = InnerRequest { head: head.clone(), body };
        let answer = match answer::send(gateway, &snapshot, &caller, request, most, time, &mut wanted).await {
            Ok(answer) => answer,
            Err(NoAnswer::TooLarge) => {
                let detail = format!("the answer is larger than {} bytes", queue.size);
                return Err(JobFault::new("result_too_large", detail).into());
            }
            Err(reason) => {
                let (code, detail) = reason.said();
                let fault = JobFault::new(code.as_str(), detail);
                return Err(if is_first && !queue.repeat { unknown(detail).into() } else { again(fault) });
            }
        };
        self.judge(queue, &snapshot, &head, is_first, answer).await
    }

    /// Returns the head of the next request; `None` if the target isn't valid.
    fn head(&self, method: &str, target: &str, caller: &Caller, body: &Bytes) -> Option<RequestHeader> {
        let mut head = RequestHeader::build(method, target.as_bytes(), None).ok()?;
        for (name, value) in &caller.headers {
            head.append_header(name.clone(), value.clone()).ok()?;
        }
        if method == "GET" {
            head.insert_header(header::CACHE_CONTROL, "no-cache").ok()?;
            return Some(head);
        }
        head.insert_header(header::CONTENT_TYPE, "application/json").ok()?;
        head.insert_header(header::CONTENT_LENGTH, body.len()).ok()?;
        // The upstream recognises a repetition.
        head.insert_header("Idempotency-Key", format!("\"{}\"", self.work.taken.job.id)).ok()?;
        Some(head)
    }

    /// Decides by an answer how the job goes on.
    async fn judge(
        &mut self,
        queue: &JobQueueSettings,
        snapshot: &Snapshot,
        head: &RequestHeader,
        is_first: bool,
        answer: InnerAnswer,
    ) -> Result<(), Interruption> {
        let progress = &mut self.work.taken.job.progress;
        let status = StatusCode::from_u16(answer.status).unwrap_or_default();
        if status.is_redirection() {
            progress.redirects += 1;
            // After 307 and 308 the work would have to be begun at another place, with the same body.
            let is_repeat = matches!(answer.status, 307 | 308) && is_first;
            let place = place(&answer.headers, &PLACES[1..2]).filter(|_| !is_repeat);
            return match place.filter(|_| progress.redirects <= MOST_REDIRECTS) {
                Some(place) => self.follow(snapshot, head, &place, Duration::ZERO),
                None => Err(failure("redirected", "the upstream redirects too often, or to no place", status).into()),
            };
        }
        if !status.is_success() {
            let mut fault = refused(&answer);
            let (PageFault::Again(known, _) | PageFault::Limited(known, _) | PageFault::Final(known)) = &mut fault;
            describe(known, &answer);
            // 503 says that the request was not carried out; after another failure of the first one nobody knows.
            if let PageFault::Again(known, _) = &fault
                && is_first
                && !queue.repeat
                && status != StatusCode::SERVICE_UNAVAILABLE
            {
                return Err(PageFault::Final(known.clone()).into());
            }
            return Err(fault.into());
        }
        progress.redirects = 0;
        (progress.failures, progress.failing_at, progress.interruptions) = (0, None, 0);
        let member = |place: &Option<String>| text(&answer.body, place.as_deref()?);
        progress.percent = member(&queue.progress).and_then(|text| percent(&text)).or(progress.percent);
        let state = member(&queue.state).map(|state| state.to_lowercase());
        if let Some(state) = state.as_ref().filter(|state| queue.failed.contains(state)) {
            let mut fault = failure("job_failed", &format!("the upstream says that the work is {state}"), status);
            describe(&mut fault, &answer);
            return Err(fault.into());
        }
        let steps = u32::try_from(progress.pages).unwrap_or(u32::MAX);
        let usual = Backoff { first: queue.interval, factor: 2, longest: USUAL_PAUSE.max(queue.interval) };
        let pause = answer.retry_after().min(LONGEST_PAUSE);
        let pause = if pause.is_zero() { usual.pause(steps) } else { pause };
        let is_running = status == StatusCode::ACCEPTED || state.is_some_and(|state| queue.running.contains(&state));
        if is_first {
            // Some services begin the work with 200 or 201, and name the place of its status all the same.
            let places = if is_running { &PLACES[..] } else { &PLACES[..1] };
            return match place(&answer.headers, places) {
                Some(place) => self.follow(snapshot, head, &place, pause),
                None if is_running => {
                    let said = "the upstream has accepted the work, and doesn't say where its status is";
                    Err(failure("status_unknown", said, status).into())
                }
                None => self.complete(answer).await,
            };
        }
        if is_running { Err(Interruption::Waiting(pause)) } else { self.complete(answer).await }
    }

    /// Lets the next step ask for this place, after a pause.
    fn follow(
        &mut self,
        snapshot: &Snapshot,
        head: &RequestHeader,
        place: &str,
        pause: Duration,
    ) -> Result<(), Interruption> {
        let Some(target) = target_at(snapshot, head, place) else {
            let detail = "the upstream names a place that isn't its own, or that no route leads to";
            return Err(JobFault::new("status_elsewhere", detail).into());
        };
        let progress = &mut self.work.taken.job.progress;
        progress.next = JobPlace::At(target);
        (progress.failures, progress.failing_at, progress.interruptions) = (0, None, 0);
        Err(Interruption::Waiting(pause))
    }

    /// Stores the last answer as the result.
    async fn complete(&mut self, answer: InnerAnswer) -> Result<(), Interruption> {
        let mut progress = self.work.taken.job.progress.clone();
        let now = clock::instant();
        progress.spend(now.saturating_duration_since(self.work.since));
        self.work.since = now;
        progress.next = JobPlace::End;
        progress.bytes = u64::try_from(answer.body.len()).unwrap_or(u64::MAX);
        let media_type = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        progress.media_type = media_type.map(str::to_owned);
        let is_kept = self.work.taken.lease.advance(0, answer.body.to_vec(), &progress).await?;
        self.work.taken.job.progress = progress;
        if is_kept { Ok(()) } else { Err(Interruption::Lost) }
    }
}

/// Returns the first of these headers that an answer has.
fn place(headers: &HeaderMap, names: &[HeaderName]) -> Option<String> {
    let text = |name| headers.get(name)?.to_str().ok().filter(|text| !text.trim().is_empty());
    names.iter().find_map(text).map(str::to_owned)
}

/// Returns the target at which the gateway reaches a place that the answer to a request names; `None` if the place is at
/// another host, or another upstream answers there. So no upstream can send the credentials of a client elsewhere.
fn target_at(snapshot: &Snapshot, head: &RequestHeader, place: &str) -> Option<String> {
    let asked = target::read(head).ok()?;
    let from = route(snapshot, asked.host.as_deref(), &asked.normal_path)?;
    let own = asked.authority.unwrap_or_else(|| "localhost".to_owned());
    let base = Url::parse(&format!("http://{own}")).ok()?.join(std::str::from_utf8(head.raw_path()).ok()?).ok()?;
    let url = base.join(place).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let public = from.public_url.as_deref().and_then(|url| Url::parse(url).ok());
    let is_own = url.authority() == base.authority()
        || from.upstream.authorities.iter().any(|known| known.eq_ignore_ascii_case(url.authority()))
        || public.is_some_and(|public| public.authority() == url.authority());
    if !is_own || !url.username().is_empty() {
        return None;
    }
    // A link that the gateway hasn't rewritten has the path of the upstream.
    let path = match from.upstream.base_path.as_str() {
        prefix if !from.rewrites_links => url.path().strip_prefix(prefix).unwrap_or_else(|| url.path()),
        _ => url.path(),
    };
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let target = format!("{path}{query}");
    let mut next = RequestHeader::build(Method::GET, target.as_bytes(), None).ok()?;
    next.insert_header(header::HOST, HeaderValue::from_str(&own).ok()?).ok()?;
    let next = target::read(&next).ok()?;
    let to = route(snapshot, next.host.as_deref(), &next.normal_path)?;
    Arc::ptr_eq(&from.upstream, &to.upstream).then_some(target)
}

fn route(snapshot: &Snapshot, host: Option<&str>, path: &str) -> Option<Arc<Route>> {
    Some(snapshot.table.find(host, path)?.route)
}

/// Returns the scalar at a place of a JSON body as text.
fn text(body: &[u8], place: &str) -> Option<String> {
    let raw = Pointer::parse(place).ok()?.find(body)?.of(body);
    let text = json::scalar::text(raw).map_or_else(|| raw.to_vec(), std::borrow::Cow::into_owned);
    String::from_utf8(text).ok()
}

fn percent(text: &str) -> Option<u64> {
    let number: f64 = text.trim_end_matches('%').trim().parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number from 0 to 99")]
    (0.0..=f64::MAX).contains(&number).then(|| number.min(99.0) as u64)
}

/// Adds to a fault what an upstream's answer says about it.
fn describe(fault: &mut JobFault, answer: &InnerAnswer) {
    let short = |text: String| text.chars().take(LONGEST_TEXT).collect::<String>();
    let told: ToldProblem = serde_json::from_slice(&answer.body).unwrap_or_default();
    fault.told = Some(Box::new(ToldProblem { kind: told.kind.map(short), title: told.title.map(short) }));
    let detail = text(&answer.body, "/detail");
    if let Some(said) = detail.or_else(|| text(&answer.body, "/error/message")) {
        fault.detail = short(said);
    }
}

fn failure(code: &str, detail: &str, status: StatusCode) -> JobFault {
    JobFault { status: Some(status.as_u16()), ..JobFault::new(code, detail) }
}

/// Returns the fault of a request that may or may not have been carried out.
fn unknown(why: &str) -> JobFault {
    let detail = format!("{why}: the upstream may have begun the work, and is not asked again");
    JobFault::new("request_interrupted", detail)
}

fn again(fault: JobFault) -> Interruption {
    PageFault::Again(fault, LEAST_WAIT).into()
}
