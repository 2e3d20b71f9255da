//! Whether the upstream answers only under its own name. Servers with several sites, or with a list of allowed hosts,
//! refuse a request with another `Host`, and a gateway without `host_header` passes on the one of its client.

use crate::{
    findings::{Certainty, Learnt},
    prober::{
        Base,
        session::{ProbeHalt, Session},
    },
};

/// Requests the list with the `Host` that clients of the gateway send. If the answer lacks the list, the route needs
/// `host_header`.
pub(super) async fn find(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    let own = session.target.host.clone();
    let Some(public) = session.target.public_host.clone() else {
        // No request shows whether the name matters, and a name that is sent in vain does no harm. Test:
        // `the_name_of_a_recorded_upstream_is_kept`.
        if !session.target.recorded.is_empty() && !is_address(&own) {
            let evidence = "recorded requests were sent to it, and none to another name is recorded";
            learnt.note(Certainty::Likely, "host", own.clone(), evidence);
            learnt.host_header = Some(own);
        }
        return Ok(());
    };
    let seen = session.ask_at_host(&public).await?;
    let ids = learnt.shape.identities(&seen).unwrap_or_default();
    // The list may change between two answers, so one common item is enough.
    if seen.is_success() && ids.iter().any(|id| base.ids.contains(id)) {
        return Ok(());
    }
    let answer = if seen.is_success() { "another list".to_owned() } else { seen.status.to_string() };
    learnt.note(Certainty::Shown, "host", own.clone(), format!("with Host {public} the answer is {answer}"));
    learnt.host_header = Some(own);
    Ok(())
}

/// Returns whether an authority is an address or this machine, which no server takes for the name of a site.
fn is_address(authority: &str) -> bool {
    let host = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let host = host.map_or(authority, |(host, _)| host);
    host == "localhost" || host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok()
}
