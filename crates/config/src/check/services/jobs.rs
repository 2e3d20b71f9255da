//! The check of `[services.jobs]`.

use super::super::{Context, identity};
use crate::{
    diagnostic::Located,
    key::TableSettings as _,
    keys::{FILE, JOB_QUEUE, JOBS, ROUTE},
    settings::{JobQueueSettings, JobSettings},
    spanned::Spanned,
};

/// Methods whose repetition changes nothing more (RFC 9110, section 9.2.2).
const IDEMPOTENT: [&str; 4] = ["GET", "HEAD", "PUT", "DELETE"];

/// Reads the queues. Jobs are stored where exports are, so these must be on.
pub(super) fn read(written: &Spanned, root: &Spanned, has_exports: bool, context: &mut Context<'_>) -> JobSettings {
    if !has_exports {
        let help = "add [services.exports] with a directory or a database: jobs are stored there";
        context.missing(written.at, "services.jobs has no store", help);
    }
    if JOBS.queues.find(written).is_none() {
        context.missing(written.at, "services.jobs has no queue", "add [services.jobs.queues.NAME] with a request");
    }
    let queues = JOBS.queues.table(written);
    JobSettings {
        identity: identity::of_service(JOBS.identity.read(written), root, context),
        impersonal: ROUTE.impersonal.read(&FILE.defaults.table(root)),
        queues: queues.tables().filter_map(|(name, written)| queue(name, written, context)).collect(),
        ..JobSettings::read(written)
    }
}

fn queue(name: &Located<String>, written: &Spanned, context: &mut Context<'_>) -> Option<JobQueueSettings> {
    context.check_name(name);
    let message = format!("services.jobs.queues.{} has no request", name.value);
    let request = context.required(&JOB_QUEUE.request, written, message, "request = \"POST /reports\"")?;
    let (method, path) = request.value.split_once(' ')?;
    if path.contains('{') {
        let message = format!("{path:?} has a parameter, for which a job has no value");
        context.diagnostics.error(request.at, message, "write a path without braces, such as \"POST /reports\"");
    }
    let settings = JobQueueSettings::read(written);
    Some(JobQueueSettings {
        name: name.value.clone(),
        method: method.to_owned(),
        path: Located { value: path.to_owned(), at: request.at },
        repeat: settings.repeat || IDEMPOTENT.contains(&method),
        ..settings
    })
}
