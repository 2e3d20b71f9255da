//! Lists of routes that serve no pages at the moment: they observe, or they were set back to forwarding. The service
//! would ignore a cursor, and give its first page, so the requests of new clients are refused.

use http::HeaderValue;

use cursorgate_config::settings::Budgets;
use cursorgate_translate::downstream::{Code, Conventions, Problem};

/// The seconds after which a refused client may try again. An operator changes the route by hand.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("60");

/// The list of a route that was set back to forwarding.
#[derive(Debug)]
pub struct SetBackList {
    pub conventions: Conventions,
    pub budgets: Budgets,
}

/// Returns the problem for the request of a new client.
pub(super) fn not_paged() -> Problem {
    let detail = "this list has no pages by cursor at the moment: try again later, or page by the parameters of the \
                  service";
    let mut problem = Problem::new(Code::NotPaged, detail);
    problem.retry_after = Some(RETRY_AFTER);
    problem
}
