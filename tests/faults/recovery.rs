//! The conditions of each fault on each kind of route: the request ends as its row says, the client gets no part of a
//! failed answer, the process survives, and the next request to a healthy upstream succeeds.

use std::{io, net::SocketAddr};

use crate::harness::{
    gateway::Gateway,
    http::{self, Response},
    list::{PLAIN, Setup, serve, users},
    upstream::{After, Exchange, Upstream},
};

/// Short deadlines, for rows in which a deadline ends the wait. All other rows use the default deadlines, which are
/// long enough for a loaded machine.
pub(crate) const SHORT: &str = "timeouts = { connect = \"1s\", first_byte = \"1s\", whole = \"2s\" }";

/// The kinds of routes by which a request reaches the upstream. Each fault is written once and is tried on each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A page of a list.
    List,
    /// A route that forwards.
    Forward,
    /// A legacy request for a list, which passes through.
    Legacy,
    /// A route that observes.
    Observe,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::List, Self::Forward, Self::Legacy, Self::Observe];
    /// The kinds whose answers are the upstream's own answers.
    pub(crate) const PASSING: [Self; 3] = [Self::Forward, Self::Legacy, Self::Observe];

    /// Returns the target of a request, for the first five items.
    pub(crate) fn target(self) -> &'static str {
        match self {
            Self::List => "/users?cursor=start&limit=5",
            Self::Forward => "/rest/users?offset=0&limit=5",
            Self::Legacy => "/users?offset=0&limit=5",
            Self::Observe => "/observed?offset=0&limit=5",
        }
    }
}

/// The routes of the other kinds, which are configured in addition to the list.
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
old_clients = "pass"
legacy = { sunset = 2036-12-31 }
"#;

/// The outcome of a fault for a request whose answer is the upstream's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Passed {
    /// A refusal with this status and code.
    Refused(&'static str),
    /// The upstream's answer, unchanged.
    AsItCame,
    /// An answer that begins and is visibly truncated.
    Cut,
}

/// The outcomes of a fault by the kind of route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// The status and code of the refusal of a page.
    pub(crate) list: &'static str,
    /// The outcome on all other kinds of routes.
    pub(crate) passed: Passed,
}

/// Returns the expectation that each kind of route refuses with the same outcome.
pub(crate) const fn everywhere(outcome: &'static str) -> Expected {
    Expected { list: outcome, passed: Passed::Refused(outcome) }
}

/// Returns the expectation that a page is refused, and that forwarded answers pass unchanged.
pub(crate) const fn as_a_page(list: &'static str) -> Expected {
    Expected { list, passed: Passed::AsItCame }
}

/// Returns the expectation that a page is refused, and that forwarded answers are visibly truncated.
pub(crate) const fn within(list: &'static str) -> Expected {
    Expected { list, passed: Passed::Cut }
}

/// A gateway with a route of each kind in front of a scripted upstream.
pub(crate) struct Rig {
    pub(crate) upstream: Upstream,
    pub(crate) gateway: Gateway,
}

impl Rig {
    /// Starts the upstream and the gateway.
    pub(crate) fn start() -> Self {
        Self::with(&PLAIN)
    }

    /// Starts the upstream and the gateway with a setup.
    pub(crate) fn with(setup: &Setup) -> Self {
        let upstream = Upstream::start(serve(users(60)));
        let gateway = Gateway::start(&configuration(setup, upstream.address));
        Self { upstream, gateway }
    }

    /// Requests a page while the upstream has a fault.
    pub(crate) fn page_during(
        &self,
        fault: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    ) -> Response {
        self.upstream.answer(fault);
        self.gateway.get(Kind::List.target())
    }

    /// Requests a route of this kind on a new connection. Returns an error if the answer is truncated.
    pub(crate) fn ask(&self, kind: Kind) -> io::Result<Response> {
        self.gateway.connect().request("GET", kind.target(), &[], b"")
    }

    /// Tests a row of the matrix: the fault on a first page, on a later page and on each other kind of route, the
    /// outcome, and the recovery afterwards.
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

    /// Checks that each kind of route gets its answer from a healthy upstream.
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
        assert_problem(self.upstream.address, outcome, response);
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

/// Returns the configuration with a route of each kind in front of an upstream.
fn configuration(setup: &Setup, upstream: SocketAddr) -> String {
    let policy = "old_clients = \"pass\"\nlegacy = { sunset = 2036-12-31 }\norder = [\"id\"]";
    setup.configuration(upstream).replacen("order = [\"id\"]", policy, 1) + BESIDE
}

fn assert_problem(upstream: SocketAddr, outcome: &str, response: &Response) {
    assert_eq!(response.outcome(), outcome, "{response:?}");
    let shown = format!("{response:?}");
    let port = upstream.port().to_string();
    assert!(!shown.contains(&port) && !shown.contains("SECRET"), "shows something of the upstream: {shown}");
    assert!(response.json()["requestId"].is_string(), "{response:?}");
}

/// Tests a row of the matrix for an address without an upstream: the outcome on each kind of route, twice.
pub(crate) fn unreachable(setup: &Setup, address: SocketAddr, outcome: &str) {
    let gateway = Gateway::start(&configuration(setup, address));
    for kind in Kind::ALL.repeat(2) {
        assert_problem(address, outcome, &gateway.get(kind.target()));
    }
    assert!(gateway.is_healthy());
}

/// Tests a row of the matrix with its own gateway (see [`Rig::refuses`]).
pub(crate) fn refused(
    setup: &Setup,
    expected: Expected,
    fault: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + Clone + 'static,
) {
    Rig::with(setup).refuses(expected, fault);
}
