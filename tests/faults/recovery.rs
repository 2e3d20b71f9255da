//! What holds for every fault on every kind of route: the request ends as its row says, nothing of the upstream is shown
//! that did not pass as it came, the process lives, and once the upstream is well, the next request gets its answer.

use std::io;

use crate::harness::{
    gateway::Gateway,
    http::{self, Response},
    list::{PLAIN, Setup, serve, users},
    upstream::{After, Exchange, Upstream},
};

/// Short deadlines, for the rows in which a deadline ends the wait. All others leave it at the defaults, which no busy
/// machine reaches.
pub(crate) const SHORT: &str = "timeouts = { connect = \"1s\", first_byte = \"1s\", whole = \"2s\" }";

/// The ways in which a request reaches the upstream. A fault is written once, and happens on each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page of a list.
    List,
    /// A route that forwards.
    Forward,
    /// An old client's request for a list, which passes.
    Legacy,
    /// A route that observes.
    Observe,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::List, Self::Forward, Self::Legacy, Self::Observe];
    /// Those whose answers are the upstream's own.
    pub(crate) const PASSING: [Self; 3] = [Self::Forward, Self::Legacy, Self::Observe];

    /// What is asked of the gateway for the first five.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::List => "/users?limit=5",
            Self::Forward => "/rest/users?offset=0&limit=5",
            Self::Legacy => "/users?offset=0&limit=5",
            Self::Observe => "/observed?offset=0&limit=5",
        }
    }
}

/// The routes beside the list's, and what lets old requests for that pass.
const BESIDE: &str = r#"
[routes.rest]
path = "/rest/{*rest}"
upstream = "legacy"
action = "forward"

[routes.observed]
path = "/observed"
upstream = "legacy"
action = "observe"
dialect = "scripted"
order = ["id"]
legacy = { policy = "passthrough", unmarked = "legacy", sunset = 2036-12-31 }
"#;

/// What becomes of what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It is refused with this status and code.
    Refused(&'static str),
    /// The client gets what it would get of the upstream.
    AsItCame,
    /// It has begun, and the client sees that it was cut.
    Cut,
}

/// What becomes of a request, by the kind of its route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// Status and code of the refusal of a page.
    pub(crate) list: &'static str,
    /// On all other kinds.
    pub(crate) passed: Passed,
}

/// Refused on every kind of route.
pub(crate) const fn everywhere(outcome: &'static str) -> Expected {
    Expected { list: outcome, passed: Passed::Refused(outcome) }
}

/// Refused as a page; what passes passes.
pub(crate) const fn as_a_page(list: &'static str) -> Expected {
    Expected { list, passed: Passed::AsItCame }
}

/// Refused as a page; what passes has begun, and is cut.
pub(crate) const fn within(list: &'static str) -> Expected {
    Expected { list, passed: Passed::Cut }
}

/// A gateway with a route of each kind in front of a scripted upstream.
pub(crate) struct Rig {
    /// The upstream.
    pub(crate) upstream: Upstream,
    /// The gateway.
    pub(crate) gateway: Gateway,
}

impl Rig {
    /// Both.
    pub(crate) fn start() -> Self {
        Self::with(&PLAIN)
    }

    /// Both, set up otherwise.
    pub(crate) fn with(setup: &Setup) -> Self {
        let upstream = Upstream::start(serve(users(60)));
        let gateway = Gateway::start(&configuration(setup, &upstream));
        Self { upstream, gateway }
    }

    /// One page while the upstream answers like this.
    pub(crate) fn page_during(
        &self,
        fault: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    ) -> Response {
        self.upstream.answer(fault);
        self.gateway.get(Kind::List.target())
    }

    /// One request to a route of that kind, on a connection of its own; an error where the answer is cut.
    pub(crate) fn ask(&self, kind: Kind) -> io::Result<Response> {
        self.gateway.connect().request("GET", kind.target(), &[], b"")
    }

    /// A whole row of the matrix: the fault on a first page and on a later one and on every other kind of route, ended as
    /// expected, and the recovery after each.
    pub(crate) fn refuses(
        &self,
        expected: Expected,
        fault: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + Clone + 'static,
    ) {
        let next = self.gateway.get(Kind::List.target()).link("next").expect("a next page");
        let first = self.page_during(fault.clone());
        self.assert_problem(expected.list, &first);
        let later = self.gateway.get(&next);
        self.assert_problem(expected.list, &later);
        self.recovers();
        let later = self.gateway.get(&next);
        assert_eq!(later.json()["data"][0]["id"], 6, "the walk goes on where it was: {later:?}");
        for kind in Kind::PASSING {
            self.upstream.answer(fault.clone());
            self.assert_passed(kind, expected.passed);
        }
        self.recovers();
    }

    /// The upstream is well again, and a client gets its answer on every kind of route.
    pub(crate) fn recovers(&self) {
        self.upstream.answer(serve(users(60)));
        for kind in Kind::ALL {
            let response = self.ask(kind).unwrap_or_else(|fault| panic!("{kind:?}: the next request: {fault}"));
            assert_eq!(response.outcome(), "200", "{kind:?}: the next request: {response:?}");
            let items = if kind == Kind::List { "data" } else { "items" };
            assert_eq!(response.json()[items][4]["id"], 5, "{kind:?}: {response:?}");
        }
        assert!(self.gateway.is_healthy());
    }

    fn assert_problem(&self, outcome: &str, response: &Response) {
        assert_eq!(response.outcome(), outcome, "{response:?}");
        let shown = format!("{response:?}");
        let upstream = self.upstream.address.port().to_string();
        assert!(!shown.contains(&upstream) && !shown.contains("SECRET"), "shows something of the upstream: {shown}");
        assert!(response.json()["request_id"].is_string(), "{response:?}");
    }

    fn assert_passed(&self, kind: Kind, expected: Passed) {
        let passed = self.ask(kind);
        match (expected, passed) {
            (Passed::Refused(outcome), Ok(response)) => self.assert_problem(outcome, &response),
            (Passed::AsItCame, Ok(response)) => {
                let direct = http::Connection::direct(self.upstream.address)
                    .and_then(|mut connection| connection.request("GET", kind.target(), &[], b""))
                    .expect("the upstream answers");
                assert_eq!((response.status, &response.body), (direct.status, &direct.body), "{kind:?}: {response:?}");
            }
            (Passed::Cut, Err(fault)) => assert_eq!(fault.kind(), io::ErrorKind::UnexpectedEof, "{kind:?}: {fault}"),
            (expected, passed) => panic!("{kind:?}: {passed:?} instead of {expected:?}"),
        }
    }
}

fn configuration(setup: &Setup, upstream: &Upstream) -> String {
    let policy = "legacy = { policy = \"passthrough\", unmarked = \"new\", sunset = 2036-12-31 }\norder = [\"id\"]";
    setup.configuration(upstream.address).replacen("order = [\"id\"]", policy, 1) + BESIDE
}

/// A row of the matrix with a gateway of its own: [`Rig::refuses`].
pub(crate) fn refused(
    setup: &Setup,
    expected: Expected,
    fault: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + Clone + 'static,
) {
    Rig::with(setup).refuses(expected, fault);
}
