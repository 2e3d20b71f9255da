//! The check of `[traces]`.

use super::Context;
use crate::{
    key::TableSettings as _,
    keys::{FILE, TRACES},
    settings::TraceSettings,
    spanned::Spanned,
};

pub(super) fn traces(root: &Spanned, context: &mut Context<'_>) -> Option<TraceSettings> {
    let traces = FILE.traces.read(root)?;
    let settings = TraceSettings::read(&traces);
    let help = "upstream = \"NAME\" of an [upstreams.NAME] with the peers of the collector";
    let upstream = context.required(&TRACES.upstream, &traces, "[traces] names no upstream", help)?;
    Some(TraceSettings { upstream: context.upstream(&upstream, root)?, ..settings })
}
