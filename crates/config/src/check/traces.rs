//! The check of `[traces]`.

use super::{Context, route::unknown_upstream};
use crate::{
    keys::{FILE, TRACES},
    settings::TraceSettings,
    spanned::Spanned,
};

pub(super) fn traces(root: &Spanned, context: &mut Context<'_>) -> Option<TraceSettings> {
    let traces = FILE.traces.read(root)?;
    let upstreams = FILE.upstreams.table(root);
    let (every, service_name) = (TRACES.every.read(&traces), TRACES.service_name.read(&traces));
    let Some(upstream) = TRACES.upstream.located(&traces) else {
        if TRACES.upstream.find(&traces).is_none() {
            let help = "upstream = \"NAME\" of an [upstreams.NAME] with the peers of the collector";
            context.missing(traces.at, "[traces] names no upstream", help);
        }
        return None;
    };
    let Some(index) = upstreams.tables().position(|(known, _)| known.value == upstream.value) else {
        unknown_upstream(&upstream, &upstreams, context);
        return None;
    };
    Some(TraceSettings { upstream: index, every, service_name })
}
