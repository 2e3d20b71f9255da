//! What holds for every fault: the request fails as its row says, as a problem document that shows nothing of the
//! upstream; the process lives; and once the upstream is well, the next request gets its page.

use std::io;

use crate::harness::{
    gateway::Gateway,
    http::Response,
    list::{PLAIN, Setup, serve, users},
    upstream::{After, Exchange, Upstream},
};

/// Short deadlines, for the rows in which a deadline ends the wait. All others leave it at the defaults, which no busy
/// machine reaches.
pub(crate) const SHORT: &str = "timeouts = { connect = \"1s\", first_byte = \"1s\", whole = \"2s\" }";

/// A gateway in front of a scripted upstream.
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
        let gateway = Gateway::start(&setup.configuration(upstream.address));
        Self { upstream, gateway }
    }

    /// One page while the upstream answers like this.
    pub(crate) fn page_during(
        &self,
        fault: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static,
    ) -> Response {
        self.upstream.answer(fault);
        self.gateway.get("/users?limit=5")
    }

    /// The upstream is well again, and a client gets its page.
    pub(crate) fn recovers(&self) {
        self.upstream.answer(serve(users(60)));
        let page = self.gateway.get("/users?limit=5");
        assert_eq!(page.outcome(), "200", "the next request: {page:?}");
        assert_eq!(page.json()["data"][4]["id"], 5, "{page:?}");
        assert!(self.gateway.is_healthy());
    }
}

/// The whole row: the fault on a first page and on a later one, both refused as `outcome` says, and the recovery.
pub(crate) fn refused(
    setup: &Setup,
    outcome: &str,
    fault: impl Fn(&mut Exchange) -> io::Result<After> + Send + Sync + 'static,
) {
    let rig = Rig::with(setup);
    let next = rig.gateway.get("/users?limit=5").link("next").expect("a next page");
    let first = rig.page_during(fault);
    assert_problem(outcome, &first, &rig);
    let later = rig.gateway.get(&next);
    assert_problem(outcome, &later, &rig);
    rig.recovers();
    let later = rig.gateway.get(&next);
    assert_eq!(later.json()["data"][0]["id"], 6, "the walk goes on where it was: {later:?}");
}

fn assert_problem(outcome: &str, response: &Response, rig: &Rig) {
    assert_eq!(response.outcome(), outcome, "{response:?}");
    let shown = format!("{response:?}");
    let upstream = rig.upstream.address.port().to_string();
    assert!(!shown.contains(&upstream) && !shown.contains("SECRET"), "shows something of the upstream: {shown}");
    assert!(response.json()["request_id"].is_string(), "{response:?}");
}
