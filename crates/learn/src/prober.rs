//! The prober: runs the steps of learning in their order, and returns each request to the caller, which sends it.

pub(super) mod answer;
pub(super) mod port;
pub(super) mod session;

use std::{rc::Rc, time::Duration};

use http::HeaderName;
use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt, PlaceForm},
    host,
    openapi::{self, DocumentedList},
    order,
    order::ranges,
    order::sorting,
    paging::ends,
    paging::given,
    paging::place,
    paging::size,
    paging::token,
    prober::answer::SeenAnswer,
    prober::port::{Mailbox, Polled, ProbeOutcome, ProbeRequest, Suspended},
    prober::session::{ProbeHalt, Session},
    shape::{ListShape, names},
    surroundings,
    types::SeenItems,
    write::preset,
};

/// The list to learn, and the requests that may be sent for it.
#[derive(Clone, Debug, Default)]
pub struct ProbeTarget {
    /// The path at the upstream.
    pub path: String,
    /// The parameters of every request, decoded: the filters of the list, and the paging parameters of the given URL.
    pub fixed: Vec<(String, String)>,
    /// The body of POST requests; `None` for GET requests.
    pub body: Option<Value>,
    /// The names of headers that the caller adds to every request. The prober does not get the values of these headers,
    /// which may be secrets.
    pub headers: Vec<HeaderName>,
    /// The value of `Accept` in every request, which the route then sends, too; `None` without one, or if it may be a
    /// secret.
    pub accept: Option<String>,
    /// The host of the upstream, to recognise links to other hosts.
    pub host: String,
    /// The `Host` that the upstream gets from a gateway without `host_header`: that of the gateway's clients; `None` if
    /// it isn't tried, because no request is sent.
    pub public_host: Option<String>,
    /// The parameters of each recorded request for the list, decoded; empty for a live list. The prober tries their
    /// names and values, because a recording answers no others.
    pub recorded: Vec<Vec<(String, String)>>,
    /// The list as an OpenAPI document describes it; `None` without a document. Its names and numbers are tried first.
    pub documented: Option<Rc<DocumentedList>>,
}

/// The limits of a prober, which bound the load on the upstream.
#[derive(Clone, Copy, Debug)]
pub struct ProbeLimits {
    /// The largest number of requests. Learning ends when they have been sent.
    pub requests: usize,
    /// The pause before each request except the first.
    pub delay: Duration,
    /// The largest offset that is requested.
    pub depth: u64,
}

impl Default for ProbeLimits {
    fn default() -> Self {
        Self { requests: 40, delay: Duration::from_millis(100), depth: 10_000 }
    }
}

/// The first answer with items, with which later answers are compared.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) seen: Rc<SeenAnswer>,
    pub(super) ids: Vec<String>,
    /// The parameters of the given URL that page, by their usual names or by their effect, and their values.
    pub(super) hints: Vec<(String, String)>,
}

impl Base {
    /// Returns the names of hints that a step should try: those with these usual names, and those whose names are
    /// unusual, which are hints by their effect.
    pub(super) fn hinted(&self, usual: &[&str]) -> impl Iterator<Item = String> {
        use crate::shape::names::plain;
        let is_usual = |name: &str| usual.iter().any(|known| plain(known) == plain(name));
        self.hints.iter().map(|(name, _)| name).filter(move |name| is_usual(name) || !looks_like_paging(name)).cloned()
    }
}

/// The next request of a prober, or its result.
#[derive(Debug)]
pub enum ProberStep<T> {
    /// A request to send after its pause, and the prober to resume with the answer.
    Send(ProbeRequest, Prober<T>),
    /// The result, after which no request follows.
    Done(T),
}

/// A prober that waits for an answer.
pub struct Prober<T>(Suspended<T>);

impl<T> std::fmt::Debug for Prober<T> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Prober")
    }
}

impl<T> Prober<T> {
    /// Starts a procedure, which sends its requests through the mailbox that it gets. Returns its first request, or
    /// its result if it sends none.
    pub(super) fn of<F: Future<Output = T> + 'static>(procedure: impl FnOnce(Mailbox) -> F) -> ProberStep<T> {
        Self::step(Suspended::begin(procedure))
    }

    /// Continues with the answer to the last request.
    #[must_use]
    pub fn resume(self, outcome: ProbeOutcome) -> ProberStep<T> {
        Self::step(self.0.resume(outcome))
    }

    fn step(polled: Polled<T>) -> ProberStep<T> {
        match polled {
            Polled::Ask(request, suspended) => ProberStep::Send(request, Self(suspended)),
            Polled::Done(result) => ProberStep::Done(result),
        }
    }
}

/// The learnt list, or the reason why no list could be learnt, as a message for people.
pub type LearntOutcome = Result<Box<Learnt>, String>;

/// Starts learning a list, and returns the first request.
#[must_use]
pub fn begin(target: ProbeTarget, limits: ProbeLimits) -> ProberStep<LearntOutcome> {
    Prober::of(|mailbox| learn(mailbox, target, limits))
}

async fn learn(mailbox: Mailbox, target: ProbeTarget, limits: ProbeLimits) -> Result<Box<Learnt>, String> {
    let given = target.fixed.clone();
    let mut session = Session::new(mailbox, target, limits);
    let (base, upstream_path) = first_answer(&mut session).await?;
    let Some(shape) = ListShape::find(&base) else {
        return Err(no_list(&base, session.documented(), &session.target.headers));
    };
    let ids = shape.identities(&base).unwrap_or_default();
    let mut learnt = Learnt::new(shape, ids.len());
    learnt.upstream_path = upstream_path;
    // If the upstream returns no list without the given paging parameters, they stay in all requests, unless a step
    // sets them.
    let (hints, fixed) = given.into_iter().partition(|(name, _)| looks_like_paging(name));
    learnt.fixed = fixed;
    let mut base = Base { seen: base, ids, hints };
    let numbers = given::find(&mut session, &mut learnt, &mut base).await;
    note_shape(&mut learnt, &base);
    let hosts = match numbers {
        Ok(()) => host::find(&session, &mut learnt, &base).await,
        Err(halt) => Err(halt),
    };
    let end = match hosts {
        Ok(()) => steps(&session, &mut learnt, &mut base).await,
        Err(halt) => Err(halt),
    };
    if let Err(halt) = end {
        learnt.note(Certainty::Open, "the rest", "not looked at", halt.to_string());
    }
    note_object(&session, &mut learnt);
    // Ties are settled after the steps, since a sort or a range filter makes long tie runs readable.
    order::settle_ties(&mut learnt);
    order::settle_ids(&mut learnt);
    if let Some(document) = &session.target.documented {
        openapi::comparison::note(&mut learnt, document, &base);
    }
    learnt.preset = preset::fitting(&learnt, &base);
    learnt.items = SeenItems::infer(&learnt.shape, &session.lists());
    (learnt.requests, learnt.deepest) = (session.sent(), *session.deepest.borrow());
    Ok(Box::new(learnt))
}

/// Runs the steps in their order. Ends at the first step that can't send another request.
async fn steps(session: &Session, learnt: &mut Learnt, base: &mut Base) -> Result<(), ProbeHalt> {
    let mut tried = Tried::default();
    // The place parameter is found with small pages, which need the size parameter.
    size::find(session, learnt, base, &[]).await?;
    tried.note(session, learnt, "size parameter");
    place::find(session, learnt, base).await?;
    if learnt.place.is_none() || learnt.size.is_none() {
        token::find(session, learnt, base).await?;
    }
    tried.note(session, learnt, "next page");
    if learnt.size.is_none()
        && let Some(PlaceForm::Page { slot, first }) = learnt.place.clone()
    {
        // Some upstreams read the size only in requests with a page, so the size is tried again with the first page.
        size::find(session, learnt, base, &[(slot, first.to_string())]).await?;
    }
    refuse_surplus(learnt);
    let sample = ends::look(session, learnt, base).await?;
    tried.note(session, learnt, "end of the list");
    one_item(session, learnt).await?;
    order::find(learnt, &sample);
    sorting::find(session, learnt, base, &sample).await?;
    tried.note(session, learnt, "sort");
    ranges::find(session, learnt, base, &sample).await?;
    tried.note(session, learnt, "range filters");
    surroundings::find(session, learnt, base).await?;
    tried.note(session, learnt, "surroundings");
    Ok(())
}

/// Withdraws the place of pages if the size was found to have an effect, and answers have more items than it asks for:
/// pages then have items that are not in their places, so no place leads to all items. Test:
/// `pinned_items_on_the_first_page_are_no_page_of_the_list`.
fn refuse_surplus(learnt: &mut Learnt) {
    let is_numbered = matches!(learnt.place, Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }));
    let Some(surplus) = learnt.surplus.clone().filter(|_| is_numbered && learnt.size.is_none()) else { return };
    learnt.place = None;
    learnt.withdraw("page parameter");
    learnt.withdraw("offset parameter");
    let evidence = format!(
        "{surplus}: pages have further items, such as pinned ones, which come again in their own places: give the URL \
         with a parameter that leaves them out"
    );
    learnt.note(Certainty::Open, "next page", "none found", evidence);
}

/// The number of findings, and of requests that are not recorded, before a step.
#[derive(Default)]
struct Tried {
    findings: usize,
    not_recorded: usize,
}

impl Tried {
    /// Notes that requests of a step are not recorded: in the evidence of its open findings, or, if there are none, in
    /// a new finding.
    fn note(&mut self, session: &Session, learnt: &mut Learnt, about: &'static str) {
        let missing = session.not_recorded() - self.not_recorded;
        if missing > 0 {
            let requests = if missing == 1 { "request for it is" } else { "requests for it are" };
            let reason = format!("{missing} {requests} not recorded");
            let mut is_said = false;
            let new = learnt.findings.iter_mut().skip(self.findings);
            for finding in new.filter(|finding| finding.certainty == Certainty::Open) {
                finding.evidence = format!("{}; {reason}", finding.evidence);
                is_said = true;
            }
            if !is_said {
                learnt.note(Certainty::Open, about, "not all was tried", reason);
            }
        }
        *self = Self { findings: learnt.findings.len(), not_recorded: session.not_recorded() };
    }
}

/// Returns the first answer with a list, and the path to which the upstream redirected; `None` if it did not redirect.
/// Paging parameters of the target are left out, unless the upstream needs them.
async fn first_answer(session: &mut Session) -> Result<(Rc<SeenAnswer>, Option<String>), String> {
    let mut given = session.target.fixed.clone();
    // Required paging parameters of the document get a value, since an upstream may refuse requests without them. Test:
    // `a_required_page_parameter_is_sent_from_the_first_request_on`.
    for own in session.documented().required().filter(|own| looks_like_paging(&own.name)) {
        if given.iter().all(|(name, _)| *name != own.name) {
            given.extend(own.example.clone().map(|value| (own.name.clone(), value)));
        }
    }
    let mut moved = None;
    // There are at most four requests: two without the paging parameters, then two with all parameters. Each may be
    // redirected, for example to the path with a final slash.
    for attempt in 0..4 {
        let with_all = attempt > 1;
        session.target.fixed = given.iter().filter(|(name, _)| with_all || !looks_like_paging(name)).cloned().collect();
        let seen = session.ask(&[]).await.map_err(|halt| halt.to_string())?;
        let location = seen.header("location").filter(|_| (300..400).contains(&seen.status));
        if let Some(path) = location.and_then(|to| same_host_path(to, &session.target.host)) {
            // The gateway follows no redirects, so the route gets the path to which the upstream redirects. Test:
            // `a_redirect_to_a_slash_is_followed_and_kept`.
            session.target.path.clone_from(&path);
            moved = Some(path);
            continue;
        }
        if ListShape::find(&seen).is_some() && seen.is_success() {
            let seen = given::in_paged_shape(session, &given, seen).await.map_err(|halt| halt.to_string())?;
            return Ok((seen, moved));
        }
        if with_all || !given.iter().any(|(name, _)| looks_like_paging(name)) {
            return Err(no_list(&seen, session.documented(), &session.target.headers));
        }
    }
    Err("the upstream redirects without an end".to_owned())
}

/// Returns the path of an absolute URL on the given host, or of a relative URL with an absolute path; `None` for other
/// URLs.
fn same_host_path(location: &str, host: &str) -> Option<String> {
    let path = match token::after_scheme(location) {
        Some(rest) => {
            let (authority, path) = rest.split_once('/')?;
            // Another host is another upstream, to which the prober sends nothing.
            if !authority.eq_ignore_ascii_case(host) {
                return None;
            }
            format!("/{path}")
        }
        None => location.to_owned(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().to_owned();
    path.starts_with('/').then_some(path)
}

pub(super) fn looks_like_paging(name: &str) -> bool {
    use crate::shape::names::{OFFSETS, PAGES, SIZES, TOKENS, plain};
    let own = plain(name);
    [&SIZES[..], &PAGES, &OFFSETS, &TOKENS].iter().any(|names| names.iter().any(|known| plain(known) == own))
}

/// Returns the reason why an answer contains no list, with advice. `sent` are the headers that the caller adds.
fn no_list(seen: &SeenAnswer, document: &DocumentedList, sent: &[HeaderName]) -> String {
    let status = seen.status;
    if !seen.is_recorded() {
        return "no answer to this request is recorded: give the URL of a recorded request for the list".to_owned();
    }
    match (&seen.json, seen.is_success()) {
        (_, false) if (300..400).contains(&status) => {
            let to = seen.header("location").unwrap_or("nowhere");
            format!("the answer is a redirect, {status}, to {to}: give that URL")
        }
        (_, false) if matches!(status, 401 | 403) => {
            let header = document.credentials.first().map_or("Authorization", String::as_str);
            match sent {
                [] => format!("the upstream answers {status}: give its credentials by --header '{header}: …'"),
                sent => {
                    let sent: Vec<&str> = sent.iter().map(HeaderName::as_str).collect();
                    format!(
                        "the upstream answers {status} to a request with {}: are these credentials valid for this list?",
                        sent.join(", ")
                    )
                }
            }
        }
        (_, false) if matches!(status, 400 | 422) && document.required().next().is_some() => {
            let names: Vec<&str> = document.required().map(|own| own.name.as_str()).collect();
            let names = names.join(", ");
            format!(
                "the upstream answers {status}, and the document says that {names} must be given: add them to the URL"
            )
        }
        (_, false) if matches!(status, 400 | 404 | 421) && !sent.contains(&http::header::HOST) => format!(
            "the upstream answers {status}, and not with a list: is the path right? A service that answers only under \
             its own name needs --header 'Host: NAME'"
        ),
        (_, false) => format!("the upstream answers {status}, and not with a list"),
        (None, true) => {
            let kind = seen.header("content-type").unwrap_or("of no type");
            format!("the answer is not JSON ({kind}): only lists in JSON can be paged")
        }
        (Some(Value::Array(_)), true) => "the list is empty: give the URL of one that has items".to_owned(),
        (Some(Value::Object(members)), true) => {
            let names: Vec<&str> = members.keys().map(String::as_str).take(12).collect();
            format!("no list with items is in the answer, whose members are {}", names.join(", "))
        }
        (Some(_), true) => "the answer is JSON and holds no list".to_owned(),
    }
}

/// Requests a single item of a list whose array has the name of one item, as in `{"items": {"item": […]}}`. Services that
/// convert XML write no array around a single item, and only an answer with one shows that. Test:
/// `a_single_item_without_an_array_is_learnt`.
async fn one_item(session: &Session, learnt: &Learnt) -> Result<(), ProbeHalt> {
    let name = names::last_step(&learnt.shape.items);
    let is_plural =
        name.is_empty() || name.ends_with('s') || names::ITEMS.iter().any(|usual| names::plain(usual) == name);
    let by_number = matches!(learnt.place, Some(PlaceForm::Page { .. } | PlaceForm::Offset { .. }));
    if !is_plural && by_number && learnt.size.as_ref().is_some_and(|form| form.choices.is_empty()) {
        ends::at(session, learnt, 0, 1).await?;
    }
    Ok(())
}

/// Sets the word for an object that an answer has in place of the array of items.
fn note_object(session: &Session, learnt: &mut Learnt) {
    let Some(word) = session.find_answer(|seen| learnt.shape.object_word(seen)) else { return };
    learnt.places.items_object = Some(word);
    let (found, evidence) = match word {
        "single" => ("an object where there is one", "an answer has the item itself in place of the array"),
        _ => ("members of an object", "an answer has an object with numbers as names in place of the array"),
    };
    learnt.note(Certainty::Shown, "form of items", found, evidence);
}

fn note_shape(learnt: &mut Learnt, base: &Base) {
    let count = base.ids.len();
    let items = if learnt.shape.items.is_empty() { "the whole body" } else { &learnt.shape.items }.to_owned();
    let fields = learnt.shape.fields(learnt.shape.elements(&base.seen).unwrap_or_default()).len();
    learnt.note(
        Certainty::Shown,
        "items",
        items,
        format!(
            "an array of {count} elements with {fields} fields in the first answer ({} bytes)",
            base.seen.body.len()
        ),
    );
    match learnt.shape.id.clone() {
        Some(id) => {
            let certainty = if count >= 5 { Certainty::Shown } else { Certainty::Likely };
            let place = if id.is_empty() { "the element itself".to_owned() } else { id };
            learnt.note(certainty, "id", place, format!("all {count} values of the first answer differ"));
        }
        None => {
            let evidence = "no member of the items differs in all of them: items are recognised by their bytes";
            learnt.note(Certainty::Open, "id", "none", evidence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_redirect_may_have_a_url_in_its_query() {
        for (location, path) in [
            ("/items/?back=http://other.test/", Some("/items/")),
            ("/items/#http://other.test/", Some("/items/")),
            ("http://legacy.test/items/?back=http://other.test/", Some("/items/")),
            ("http://other.test/items/?back=http://legacy.test/", None),
            ("items/?back=http://legacy.test/x", None),
        ] {
            assert_eq!(same_host_path(location, "legacy.test").as_deref(), path, "{location}");
        }
    }
}
