//! The description of services that depend on routes: who may register endpoints of webhooks, and which lists are watched.

use std::fmt::Write as _;

use super::durations::duration;
use crate::gateway::{Snapshot, lifecycle::snapshot::authorizing};

/// Returns the description of webhooks; none without them.
pub(super) fn described(snapshot: &Snapshot) -> String {
    let Some(webhooks) = &snapshot.services.webhooks else { return String::new() };
    let mut text = format!("{:<16} events to endpoints, from {}\n", "webhooks", webhooks.directory.display());
    let mut line = |word: &str, said: String| {
        let _ = writeln!(text, "  {word:<11}  {said}");
    };
    if let Some(clients) = &webhooks.clients {
        let authorize = &clients.authorize.value;
        let answered = match authorizing(authorize, &snapshot.table, &snapshot.routes) {
            Some(route) => format!("clients whose GET {authorize} routes.{} answers with 2xx", route.name),
            None => format!("nobody: no route answers GET {authorize}"),
        };
        line("register", format!("at {}: {answered}", clients.path));
    }
    for endpoint in &webhooks.endpoints {
        let events: Vec<&str> = endpoint.events.iter().map(|event| event.word()).collect();
        line("sends", format!("{} to {} ({})", events.join(", "), endpoint.name, endpoint.url.host));
    }
    for watch in &webhooks.watches {
        line("watches", format!("{} every {}: {}", watch.path.value, duration(watch.interval), watch.name));
    }
    text
}
