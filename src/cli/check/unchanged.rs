//! The proof that old clients see no change: each of their requests goes straight to the service, through the gateway's
//! own code, and straight to the service again. The answers are compared by `learn::unchanged`.

mod causes;
pub(super) mod reads;

use std::{collections::BTreeSet, fmt::Write as _, thread, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use self::{
    causes::DifferenceCause,
    reads::{OldRead, ReadSource},
};
use super::super::Failure;
use cursorgate_config::{
    Diagnostics,
    settings::{ListSettings, RouteSettings, Settings},
};
use cursorgate_core::pagination::paging::Family;
use cursorgate_gateway::{
    Route, Snapshot,
    explain::{AskedRequest, RequestFate, explain},
    replay::{ReplayedRequest, Replayer},
    routes::upstream::Upstream,
};
use cursorgate_learn::unchanged::{AnswerComparison, Meant, WholeAnswer, compare, compare_form};
use cursorgate_translate::upstream::Dialect;

/// The largest number of requests for a route, in both ways together.
const MOST_REQUESTS: usize = 220;

/// The largest number of further attempts if the list moves between two answers of the service.
const FURTHER: usize = 3;

/// The largest number of requests without an answer; after a further one the proof ends.
const MOST_UNANSWERED: usize = 5;

/// The number of times that a difference is confirmed.
const CONFIRMATIONS: usize = 2;

/// The number of differing requests that a message names.
const NAMED: usize = 3;

/// The gateway and the manner of requests to it.
pub(super) struct Prover<'s> {
    pub(super) settings: &'s Settings,
    pub(super) snapshot: &'s Snapshot,
    pub(super) replayer: Replayer,
    /// The headers of each request, such as a client's credentials. They are never printed.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The pause before each request.
    pub(super) delay: Duration,
}

/// A list of the configuration and its route.
#[derive(Clone, Copy)]
pub(super) struct ProvenRoute<'s> {
    pub(super) route: &'s RouteSettings,
    pub(super) list: &'s ListSettings,
    pub(super) dialect: &'s Dialect,
    pub(super) compiled: &'s Route,
    /// The path of the requests, and the values that it has for the parameters of the route.
    pub(super) sample: &'s SamplePath,
    /// The host that clients of the gateway send.
    pub(super) client_host: Option<&'s str>,
}

/// A path of a route with values for its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SamplePath {
    pub(super) path: String,
    pub(super) parameters: Vec<(String, String)>,
}

impl SamplePath {
    /// Returns the path of a route, with the values that one of these paths has. Returns `None` if the route has
    /// parameters, and none of the paths is of the route.
    pub(super) fn of(route: &RouteSettings, snapshot: &Snapshot, host: Option<&str>, paths: &[String]) -> Option<Self> {
        let template = &route.path.value;
        if !template.contains('{') {
            return Some(Self { path: template.clone(), parameters: Vec::new() });
        }
        let parameters = paths.iter().find_map(|path| parameters_of(route, snapshot, host, path))?;
        Some(Self { path: with_values(template, &parameters), parameters })
    }
}

/// Returns the values of a path for the parameters of a route; `None` if the path is another route's.
pub(super) fn parameters_of(
    route: &RouteSettings,
    snapshot: &Snapshot,
    host: Option<&str>,
    path: &str,
) -> Option<Vec<(String, String)>> {
    let host = host.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
    let found = snapshot.table.find(host, path)?;
    (found.route.name == route.name.value).then_some(found.parameters)
}

/// Writes values into the parameters of a path.
fn with_values(template: &str, parameters: &[(String, String)]) -> String {
    parameters.iter().fold(template.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), value).replace(&format!("{{*{name}}}"), value)
    })
}

/// The result of the proof for a route.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// The old requests that were compared.
    pub(super) compared: usize,
    /// The requests of which only the status and the form could be compared, because the list moved.
    pub(super) moved: usize,
    /// The old requests whose answers differ.
    pub(super) differing: usize,
    /// The old requests to which the service gave no answer.
    unanswered: usize,
    /// The reason why the proof ended early; `None` otherwise.
    pub(super) ended: Option<String>,
    sent: usize,
}

/// The reason why a proof ends early.
#[derive(Debug)]
enum ProofHalt {
    /// The service gave no answer to one request.
    Unanswered(String),
    /// No further request may be sent.
    Ended(String),
}

impl ProofHalt {
    fn why(self) -> String {
        match self {
            Self::Unanswered(why) | Self::Ended(why) => why,
        }
    }
}

/// The two ways of a request.
pub(super) struct Ways<'s> {
    pub(super) upstream: &'s Upstream,
    pub(super) authority: Option<String>,
    pub(super) meant: Meant,
}

/// The differences of one cause.
struct Differing {
    cause: DifferenceCause,
    requests: Vec<String>,
    difference: String,
}

impl Prover<'_> {
    /// Returns whether the service takes the `Host` of the gateway's clients. Reports an error if it doesn't.
    pub(super) fn takes_host(&self, of: ProvenRoute<'_>, diagnostics: &mut Diagnostics) -> bool {
        let ProvenRoute { route, compiled, client_host, .. } = of;
        let upstream = &compiled.upstream;
        let own = upstream.host_for(None).to_str().unwrap_or_default().to_owned();
        let Some(host) = client_host.filter(|host| upstream.host.is_none() && *host != own) else { return true };
        let path = reads::plain_path(of);
        let asked = |authority: Option<&str>| {
            thread::sleep(self.delay);
            let request = self.request(&OldRead::get("", path.clone()), authority.map(str::to_owned));
            self.replayer.direct(upstream, &request)
        };
        // An unreachable service is reported by the checks of the list.
        let (Ok(by_own), Ok(by_public)) = (asked(None), asked(Some(host))) else { return true };
        if !by_own.is_success() || compare_form(&by_own, &by_public) == AnswerComparison::Same {
            return true;
        }
        let name = &route.name.value;
        let (status, other) = (by_own.status, by_public.status);
        let said = if status == other { "with something else".to_owned() } else { format!("{other}") };
        let message = format!(
            "{name}: the service answers {said} to requests with Host {host}, which is what it gets from the gateway, \
             and {status} to those with its own name"
        );
        let at = self.settings.upstreams.get(route.upstream).and_then(|own| own.peers.first()).map(|peer| peer.at);
        let help = format!("in the upstream {:?} write host_header = {own:?}", upstream.name);
        diagnostics.error(at.unwrap_or(route.name.at), message, help);
        false
    }

    /// Warns if the service writes the configured `host_header` into links. In answers that are passed on, only the
    /// links of lists are rewritten, so clients of other paths would be led past the gateway.
    pub(super) fn weigh_host(&self, of: ProvenRoute<'_>, diagnostics: &mut Diagnostics) {
        let upstream = &of.compiled.upstream;
        let configured = upstream.host.as_ref().and_then(|host| host.to_str().ok());
        let (Some(own), Some(public)) = (configured, of.client_host) else { return };
        let passes = |route: &RouteSettings| route.upstream == of.route.upstream && route.list.is_none();
        if !self.settings.routes.iter().any(passes) {
            return;
        }
        let Some((at, written)) = HeaderValue::from_str(public).ok().filter(|_| own != public).and_then(|written| {
            let settings = self.settings.upstreams.get(of.route.upstream)?;
            Some((settings.peers.first()?.at, written))
        }) else {
            return;
        };
        let mut request = self.request(&OldRead::get("", reads::plain_path(of)), None);
        let mut asked = |host: Option<HeaderValue>| {
            thread::sleep(self.delay);
            request.headers.extend(host.map(|host| (http::header::HOST, host)));
            self.replayer.direct(upstream, &request).ok()
        };
        let names = |answer: &WholeAnswer, host: &str| {
            let text = String::from_utf8_lossy(&answer.decoded()).replace("\\/", "/");
            text.contains(&format!("//{host}/"))
        };
        if !asked(None).is_some_and(|answer| answer.is_success() && names(&answer, own)) {
            return;
        }
        let takes_public = asked(Some(written)).is_some_and(|answer| answer.is_success() && names(&answer, public));
        let message = format!(
            "the upstream {:?} writes the Host of a request into links, and host_header is {own}: in answers of paths \
             without a list they lead old clients there",
            upstream.name
        );
        let help = match takes_public {
            true => format!("leave host_header out: the service answers Host {public} too, with links to {public}"),
            false => format!("let the service accept the Host {public}, and leave host_header out"),
        };
        diagnostics.warning(at, message, help);
    }

    /// Compares the old requests of a route. Reports an error for each cause of differences.
    pub(super) fn prove(
        &self,
        of: ProvenRoute<'_>,
        body: Option<&serde_json::Value>,
        diagnostics: &mut Diagnostics,
    ) -> Proof {
        let mut proof = Proof::default();
        let mut found: Vec<Differing> = Vec::new();
        let mut ended = self.each(of, body, &mut proof, &mut found).err();
        if ended.is_none() {
            let second = self.find_second(of, &mut proof, diagnostics);
            let second = second.and_then(|()| self.find_suffix(of, &mut proof, diagnostics));
            let second = second.and_then(|()| self.find_marks(of, &mut proof, diagnostics));
            ended = second.and_then(|()| self.find_sequence(of, &mut proof, diagnostics)).err();
        }
        proof.ended = ended.map(ProofHalt::why);
        proof.differing = found.iter().map(|differing| differing.requests.len()).sum();
        report(of, self.settings, &found, diagnostics);
        proof
    }

    fn each(
        &self,
        of: ProvenRoute<'_>,
        body: Option<&serde_json::Value>,
        proof: &mut Proof,
        found: &mut Vec<Differing>,
    ) -> Result<(), ProofHalt> {
        let ways = ways(of);
        let bare = OldRead::get("no parameters", reads::plain_path(of));
        let first = self.direct(ways.upstream, &self.request(&bare, ways.authority.clone()), proof)?;
        let source = ReadSource { of, first: &first, body };
        for read in reads::of(&source) {
            if !self.is_of(of, &read) {
                continue;
            }
            let (comparison, through) = match self.compared(&ways, &read, proof) {
                // A service may fail at a strange request, such as a size of `abc`, and answer the others.
                Err(ProofHalt::Unanswered(_)) if proof.unanswered < MOST_UNANSWERED => {
                    proof.unanswered += 1;
                    continue;
                }
                compared => compared?,
            };
            proof.compared += 1;
            if let AnswerComparison::Differs(difference) = comparison {
                let cause = DifferenceCause::of(of, &read, &through);
                let name = read.name();
                match found.iter_mut().find(|known| known.cause == cause) {
                    Some(known) => known.requests.push(name),
                    None => found.push(Differing { cause, requests: vec![name], difference }),
                }
            }
        }
        Ok(())
    }

    /// Reports a second path for new clients at which the service itself has something: its clients would get pages.
    fn find_second(
        &self,
        of: ProvenRoute<'_>,
        proof: &mut Proof,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), ProofHalt> {
        let Some(second) = &of.list.new_clients.path else { return Ok(()) };
        let (path, ways) = (with_values(&second.value, &of.sample.parameters), ways(of));
        let mut asked = |path: &str| {
            let read = OldRead::recorded(Method::GET, path.to_owned(), path.to_owned());
            self.direct(ways.upstream, &self.request(&read, ways.authority.clone()), proof)
        };
        // Some services answer every path alike.
        let (status, unknown) = (asked(&path)?.status, asked(reads::UNKNOWN)?.status);
        if status != unknown {
            let message = format!(
                "{}: the service itself answers {status} at {path}, and {unknown} at an unknown path: its clients would \
                 get pages instead",
                of.route.name.value
            );
            diagnostics.error(second.at, message, "choose a path at which the service has nothing");
        }
        Ok(())
    }

    /// Warns of a path that ends with `.json` at which the service has something, if the gateway refuses it for a policy
    /// of the route: in some frameworks, old clients request lists by this spelling.
    fn find_suffix(
        &self,
        of: ProvenRoute<'_>,
        proof: &mut Proof,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), ProofHalt> {
        let (path, ways) = (reads::plain_path(of), ways(of));
        let bare = path.target.trim_end_matches('/');
        let restricts = of.compiled.restricts(&HeaderMap::new(), None) && !of.dialect.sends_bodies();
        if !restricts || bare.is_empty() || bare != path.direct.trim_end_matches('/') {
            return Ok(());
        }
        let spelt = format!("{bare}.json");
        // The replayed gateway has no limits, so only the configuration shows the refusal.
        let request = AskedRequest {
            method: Method::GET,
            scheme: "http",
            authority: ways.authority.clone(),
            target: spelt.clone(),
            headers: Vec::new(),
            body: None,
            has_keys: true,
            is_live: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| ProofHalt::Ended(error.to_string()))?;
        let RequestFate::Refused(why) = runtime.block_on(explain(self.snapshot, request)).fate else { return Ok(()) };
        let mut asked = |path: &str| {
            let read = OldRead::recorded(Method::GET, path.to_owned(), path.to_owned());
            self.direct(ways.upstream, &self.request(&read, ways.authority.clone()), proof)
        };
        let (answer, unknown) = (asked(&spelt)?, asked(reads::UNKNOWN)?);
        if answer.is_success() && answer.status != unknown.status {
            let name = &of.route.name.value;
            let message = format!("{name}: the service answers {} at {spelt}, and the gateway {why}", answer.status);
            let help = format!(
                "if old clients use it, write a route of its own with path = {spelt:?} and action = \"forward\", which \
                 has no limits unless it says so"
            );
            diagnostics.warning(of.route.path.at, message, help);
        }
        Ok(())
    }

    /// Reports names that mark a request as a new client's although the service has a use for them: other items, or
    /// another status. Old clients that send such a name would get pages. Links are left out, because many services
    /// repeat every parameter in them.
    fn find_marks(
        &self,
        of: ProvenRoute<'_>,
        proof: &mut Proof,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), ProofHalt> {
        let (bare, ways) = (OldRead::get("", reads::plain_path(of)), ways(of));
        let mut shown = |read: &OldRead| {
            let answer = self.direct(ways.upstream, &self.request(read, ways.authority.clone()), proof)?;
            let items = reads::items(of, &answer);
            Ok((answer.status, items))
        };
        for name in &of.list.new_clients.by {
            let plain = shown(&bare)?;
            for read in reads::named(of, &name.value) {
                let named = shown(&read)?;
                // Of a list that moves, only the status is known.
                if named != plain && (named.0 != plain.0 || shown(&bare)? == plain) {
                    let message = format!(
                        "{}: the service itself has a use for `{}`: it answers `{}` with something else than without it, \
                         and old clients that send it would get pages",
                        of.route.name.value,
                        name.value,
                        read.name()
                    );
                    let help = "leave it out of new_clients.by: then only a cursor marks a request of a new client";
                    diagnostics.error(name.at, message, help);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Warns of a list without a declared order of which two equal requests don't show the same sequence. Lists by token
    /// need none, and lists by POST aren't asked.
    fn find_sequence(
        &self,
        of: ProvenRoute<'_>,
        proof: &mut Proof,
        diagnostics: &mut Diagnostics,
    ) -> Result<(), ProofHalt> {
        let ProvenRoute { route, list, dialect, .. } = of;
        if list.declared || dialect.paging().family == Family::Token || dialect.sends_bodies() {
            return Ok(());
        }
        let (ways, bare) = (ways(of), OldRead::get("", reads::plain_path(of)));
        let mut sequence = || {
            let answer = self.direct(ways.upstream, &self.request(&bare, ways.authority.clone()), proof)?;
            Ok(reads::sequence(of, &answer).unwrap_or_default())
        };
        let (one, two) = (sequence()?, sequence()?);
        if one == two {
            return Ok(());
        }
        let [all, again] = [&one, &two].map(|sequence| sequence.iter().collect::<BTreeSet<_>>());
        let seen = match all == again {
            true => "the same items in another order: pages of such a list skip and repeat items",
            false => "other items, so it was not seen whether the list keeps its order",
        };
        let message = format!("{}: no order is declared, and two equal requests got {seen}", route.name.value);
        let help = "declare an order that the service keeps, and sortable if the service can be asked for it; or check \
                    again while the list rests";
        diagnostics.warning(route.name.at, message, help);
        Ok(())
    }

    /// Compares the answers to one request. Returns the difference; `None` if a client sees none.
    pub(super) fn replay(&self, ways: &Ways<'_>, read: &OldRead) -> Result<Option<String>, String> {
        match self.compared(ways, read, &mut Proof::default()) {
            Ok((AnswerComparison::Differs(difference), _)) => Ok(Some(difference)),
            Ok(_) => Ok(None),
            Err(halt) => Err(halt.why()),
        }
    }

    fn compared(
        &self,
        ways: &Ways<'_>,
        read: &OldRead,
        proof: &mut Proof,
    ) -> Result<(AnswerComparison, WholeAnswer), ProofHalt> {
        let Ways { upstream, authority, meant } = ways;
        let request = self.request(read, authority.clone());
        let mut direct = self.direct(upstream, &request, proof)?;
        // A list that has moved before moves again.
        let further = if proof.moved > 1 { 0 } else { FURTHER };
        for _ in 0..=further {
            let through = self.through(upstream, &request, proof)?;
            if compare(&direct, &through, None, meant) == AnswerComparison::Same {
                return Ok((AnswerComparison::Same, through));
            }
            let again = self.direct(upstream, &request, proof)?;
            match compare(&direct, &through, Some(&again), meant) {
                AnswerComparison::Moved => direct = again,
                AnswerComparison::Same => return Ok((AnswerComparison::Same, through)),
                AnswerComparison::Differs(difference) => match self.confirmed(ways, &request, &direct, proof)? {
                    AnswerComparison::Moved => direct = again,
                    AnswerComparison::Same => return Ok((AnswerComparison::Same, through)),
                    AnswerComparison::Differs(_) => return Ok((AnswerComparison::Differs(difference), through)),
                },
            }
        }
        let through = self.through(upstream, &request, proof)?;
        proof.moved += 1;
        Ok((compare_form(&direct, &through), through))
    }

    /// Repeats a comparison whose answers differed. The service's own answers may have been equal by chance: a few rows in
    /// no order have few orders.
    fn confirmed(
        &self,
        Ways { upstream, meant, .. }: &Ways<'_>,
        request: &ReplayedRequest,
        direct: &WholeAnswer,
        proof: &mut Proof,
    ) -> Result<AnswerComparison, ProofHalt> {
        let mut found = AnswerComparison::Same;
        for _ in 0..CONFIRMATIONS {
            let through = self.through(upstream, request, proof)?;
            let again = self.direct(upstream, request, proof)?;
            found = compare(direct, &through, Some(&again), meant);
            if !matches!(found, AnswerComparison::Differs(_)) {
                break;
            }
        }
        Ok(found)
    }

    /// Returns whether a request is the route's, or one that no route covers, and not one of another route's list or of
    /// another service.
    fn is_of(&self, of: ProvenRoute<'_>, read: &OldRead) -> bool {
        let path = read.target.split('?').next().unwrap_or_default();
        let host = of.client_host.map(|host| host.rsplit_once(':').map_or(host, |(host, _)| host));
        match self.snapshot.table.find(host, path) {
            None => true,
            Some(found) if found.route.name == of.route.name.value => true,
            Some(found) => found.route.list.is_none() && found.route.upstream.name == of.compiled.upstream.name,
        }
    }

    fn request(&self, read: &OldRead, authority: Option<String>) -> ReplayedRequest {
        let agent = HeaderValue::from_static(concat!("cursorgate/", env!("CARGO_PKG_VERSION")));
        let mut headers = vec![(http::header::USER_AGENT, agent)];
        headers.extend(read.headers.iter().cloned());
        // Both ways have the `Host` that the configuration says. With a second one, every request would be refused. Test:
        // `learned_files_answer_old_clients_as_before`.
        let is_taken =
            |name: &HeaderName| *name == http::header::HOST || read.headers.iter().any(|(own, _)| own == name);
        headers.extend(self.headers.iter().filter(|(name, _)| !is_taken(name)).cloned());
        ReplayedRequest {
            method: read.method.clone(),
            target: read.target.clone(),
            direct: read.direct.clone(),
            authority,
            headers,
            body: read.body.clone(),
        }
    }

    fn direct(
        &self,
        upstream: &Upstream,
        request: &ReplayedRequest,
        proof: &mut Proof,
    ) -> Result<WholeAnswer, ProofHalt> {
        self.pause(proof)?;
        let answer = self.replayer.direct(upstream, request).map_err(ProofHalt::Unanswered)?;
        match answer.asks_to_wait() {
            true => Err(ProofHalt::Ended(format!("the service asks to come back later: {}", answer.status))),
            false => Ok(answer),
        }
    }

    fn through(
        &self,
        upstream: &Upstream,
        request: &ReplayedRequest,
        proof: &mut Proof,
    ) -> Result<WholeAnswer, ProofHalt> {
        self.pause(proof)?;
        self.replayer.through(upstream, request).map_err(ProofHalt::Ended)
    }

    fn pause(&self, proof: &mut Proof) -> Result<(), ProofHalt> {
        if proof.sent == MOST_REQUESTS {
            return Err(ProofHalt::Ended(format!("{MOST_REQUESTS} requests were spent")));
        }
        proof.sent += 1;
        thread::sleep(self.delay);
        Ok(())
    }
}

/// Returns the two ways of a route's requests.
fn ways(ProvenRoute { route, list, compiled, client_host, .. }: ProvenRoute<'_>) -> Ways<'_> {
    Ways {
        upstream: &compiled.upstream,
        authority: client_host.map(str::to_owned),
        meant: meant(compiled, route.cors.is_some(), Some(list), client_host),
    }
}

/// Returns the changes to old answers that a route demands.
pub(super) fn meant(compiled: &Route, shares: bool, list: Option<&ListSettings>, client_host: Option<&str>) -> Meant {
    let rewritten = || compiled.upstream.authorities.iter().cloned().chain(client_host.map(str::to_owned)).collect();
    let legacy = list.map(|list| &list.legacy);
    Meant {
        authorities: if compiled.rewrites_links { rewritten() } else { Vec::new() },
        shares,
        announces: legacy.is_some_and(|legacy| {
            legacy.deprecation.is_some() || legacy.sunset.is_some() || legacy.documentation.is_some()
        }),
    }
}

/// Reports the differences of a route, an error for each cause.
fn report(of: ProvenRoute<'_>, settings: &Settings, found: &[Differing], diagnostics: &mut Diagnostics) {
    let name = &of.route.name.value;
    for Differing { cause, requests, difference } in found {
        let shown = requests.iter().take(NAMED).map(|request| format!("`{request}`")).collect::<Vec<_>>().join(", ");
        let more = match requests.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let (at, help) = cause.place(of, settings);
        let message = format!("{name}: old clients get another answer to {shown}{more}: {difference}");
        diagnostics.error(at, message, help);
    }
}

impl Proof {
    /// Describes the proof, after the number of differences of the list.
    pub(super) fn described(&self) -> String {
        let mut text = format!("{} of {} old requests unchanged", self.compared - self.differing, self.compared);
        if self.moved > 0 {
            let _ = write!(
                text,
                ", {} of them by status and form only, because the service answered them differently by itself",
                self.moved
            );
        }
        if self.unanswered > 0 {
            let _ = write!(text, "; to {} more, the service gives no answer", self.unanswered);
        }
        if let Some(why) = &self.ended {
            let _ = write!(text, ", and then {why}");
        }
        text
    }
}

/// Returns a failure of the system as that of the command.
pub(super) fn unready(error: &std::io::Error) -> Failure {
    Failure::failed(format!("the gateway can't be started for the comparison: {error}"))
}
