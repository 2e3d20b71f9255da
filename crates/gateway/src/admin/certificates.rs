//! `/certificates`: the certificates in use, and the faults of their files, as JSON.

use serde_json::{Value, json};

use crate::{
    lifecycle::snapshot::Snapshot,
    runtime::clock,
    tls::{Credentials, report::CertificateState},
};

/// The path of the report on certificates.
pub(super) const CERTIFICATES_PATH: &str = "/certificates";

/// Renders the certificates of listeners, of upstreams and their authorities, of services, and of the shared store.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let states = snapshot.credentials().flat_map(Credentials::states);
    let states: Vec<Value> = states.map(|state| described(&state)).collect();
    format!("{:#}\n", json!({ "certificates": states }))
}

fn described(state: &CertificateState) -> Value {
    json!({
        "name": state.name,
        "role": if state.is_authority { "authorities" } else { "own" },
        "path": state.path,
        "subject": state.subject,
        "hosts": state.hosts,
        "not_after": clock::rfc3339(u64::try_from(state.not_after).unwrap_or(0)),
        "read_at": clock::rfc3339(state.read_at),
        "fault": state.fault,
    })
}
