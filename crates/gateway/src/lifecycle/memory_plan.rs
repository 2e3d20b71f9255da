//! The division of the process's memory. `server.memory` is the memory of the whole process: what the process takes at
//! rest, for connections, routes and caches is set aside, and the bodies of requests and answers share the rest.

use std::{fmt, sync::Arc};

use crate::{routes::route::Route, runtime::memory_limit, shared::clients::rate_limit};
use cursorgate_config::{Diagnostics, diagnostic::Located, settings::Settings};

/// The memory of a process without connections, routes and caches.
const AT_REST: usize = 32 << 20;

/// The memory of a connection: 20 KiB for its state, and [`UNREAD`] in the system's queue while its client reads
/// nothing.
const CONNECTION: usize = (20 << 10) + UNREAD as usize;

/// The bytes that the system keeps for a client that hasn't taken them, beyond those on their way
/// (`TCP_NOTSENT_LOWAT`). The rest of an answer stays in the process, where it counts as a body.
pub const UNREAD: u32 = 64 << 10;

/// The memory of a route: 80 KiB compiled, with its metrics, and 60 KiB while a reload compiles the new one beside it.
const ROUTE: usize = 140 << 10;

/// The size of a cache, if it isn't configured and an eighth of the memory isn't smaller.
const CACHE: usize = 64 << 20;

/// The number of client connections, if it isn't configured and the memory suffices.
const CONNECTIONS: usize = 10_000;

/// The smallest memory for bodies with which requests are served.
const LEAST_BODIES: usize = 8 << 20;

/// The parts of the process's memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    pub whole: usize,
    /// The largest number of client connections.
    pub connections: usize,
    routes: usize,
    /// The cache of pages; 0 if no route has one.
    pub pages: usize,
    /// The cache of sort keys. It takes no memory if no route seeks.
    pub pivots: usize,
    seeks: bool,
    /// The results of bulk requests; 0 without the service.
    results: usize,
    /// The number of rate limits of all routes, each with the states of its clients.
    limits: usize,
    /// The bodies of requests and answers: the rest.
    pub bodies: usize,
}

impl MemoryPlan {
    /// Divides `server.memory`, or the memory that the system permits. Reports an error if the parts that are set aside
    /// leave too little for bodies.
    pub fn of(settings: &Settings, routes: &[Arc<Route>], diagnostics: &mut Diagnostics) -> Self {
        let written = settings.server.memory.as_ref();
        let plan = Self::divide(settings, routes, written.map_or_else(memory_limit::usable, |memory| memory.value));
        let Some(Located { at, .. }) = written.filter(|_| plan.bodies < LEAST_BODIES) else {
            return Self { bodies: plan.bodies.max(LEAST_BODIES), ..plan };
        };
        let message = format!("server.memory is too small: {plan}");
        let help = format!(
            "raise it by {} or more, or lower server.connections or the size of a cache",
            Mebibytes(plan.set_aside().saturating_add(LEAST_BODIES).saturating_sub(plan.whole))
        );
        diagnostics.error(*at, message, help);
        plan
    }

    fn divide(settings: &Settings, routes: &[Arc<Route>], whole: usize) -> Self {
        let lists = || routes.iter().filter_map(|route| route.list.as_ref());
        let cache = CACHE.min(whole / 8);
        let possible = (whole / 8 * 3 / CONNECTION).min(CONNECTIONS);
        let mut plan = Self {
            whole,
            connections: settings.server.connections.unwrap_or(possible),
            routes: routes.len(),
            pages: if lists().any(|list| list.page_cache.is_some()) {
                settings.caches.pages.unwrap_or(cache)
            } else {
                0
            },
            pivots: settings.caches.pivots.size.unwrap_or(cache),
            seeks: lists().any(|list| list.remembers),
            results: settings.services.bulk.as_ref().map_or(0, |bulk| bulk.idempotency.size),
            limits: routes.iter().filter_map(|route| route.limits.as_ref()).map(|limits| limits.count()).sum(),
            bodies: 0,
        };
        plan.bodies = whole.saturating_sub(plan.set_aside());
        plan
    }

    fn set_aside(&self) -> usize {
        self.parts().iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// Returns the parts that are set aside.
    fn parts(&self) -> [(&'static str, usize); 7] {
        [
            ("at rest", AT_REST),
            ("for connections", self.connections.saturating_mul(CONNECTION)),
            ("for routes", self.routes.saturating_mul(ROUTE)),
            ("for the page cache", self.pages),
            ("for sort keys", if self.seeks { self.pivots } else { 0 }),
            ("for results of bulk requests", self.results),
            ("for rate limits", self.limits.saturating_mul(rate_limit::MOST_BYTES)),
        ]
    }

    /// Returns whether less is left for bodies than requests need.
    pub fn is_short(&self) -> bool {
        self.whole.saturating_sub(self.set_aside()) < LEAST_BODIES
    }
}

/// `of 512 MiB, 32 at rest, 192 for 2340 connections, 1 for routes, 287 for bodies`.
impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {}", Mebibytes(self.whole))?;
        for (name, bytes) in self.parts().into_iter().filter(|(_, bytes)| *bytes > 0) {
            write!(f, ", {} {name}", bytes.div_ceil(1 << 20))?;
            if name == "for connections" {
                write!(f, " (at most {})", self.connections)?;
            }
        }
        write!(f, ", {} for bodies", self.whole.saturating_sub(self.set_aside()) >> 20)
    }
}

struct Mebibytes(usize);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0.div_ceil(1 << 20))
    }
}
