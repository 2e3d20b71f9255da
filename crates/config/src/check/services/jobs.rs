//! The check of `[services.jobs]`.

use super::super::{Context, identity};
use crate::{
    diagnostic::Located,
    keys::{FILE, JOB_QUEUE, JOBS, ROUTE},
    settings::{JobQueueSettings, JobSettings},
    spanned::Spanned,
    syntax,
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
        path: JOBS.path.read(written),
        identity: identity::of_service(JOBS.identity.read(written), root, context),
        impersonal: ROUTE.impersonal.read(&FILE.defaults.table(root)),
        queues: queues.tables().filter_map(|(name, written)| queue(name, written, context)).collect(),
    }
}

fn queue(name: &Located<String>, written: &Spanned, context: &mut Context<'_>) -> Option<JobQueueSettings> {
    if let Err(fault) = syntax::table_name(&name.value) {
        fault.report(name.at, &name.value, context.diagnostics);
    }
    let Some(request) = JOB_QUEUE.request.located(written) else {
        if JOB_QUEUE.request.find(written).is_none() {
            let message = format!("services.jobs.queues.{} has no request", name.value);
            context.missing(written.at, message, "request = \"POST /reports\"");
        }
        return None;
    };
    let (method, path) = request.value.split_once(' ')?;
    if path.contains('{') {
        let message = format!("{path:?} has a parameter, for which a job has no value");
        context.diagnostics.error(request.at, message, "write a path without braces, such as \"POST /reports\"");
    }
    let words = |words: Vec<Located<String>>| words.iter().map(|word| word.value.to_lowercase()).collect();
    Some(JobQueueSettings {
        name: name.value.clone(),
        method: method.to_owned(),
        path: Located { value: path.to_owned(), at: request.at },
        at_once: JOB_QUEUE.at_once.read(written),
        per_client: JOB_QUEUE.per_client.read(written),
        unfinished: JOB_QUEUE.unfinished.read(written),
        repeats: JOB_QUEUE.repeat.read(written) || IDEMPOTENT.contains(&method),
        retry_for: JOB_QUEUE.retry_for.read(written),
        request_timeout: JOB_QUEUE.request_timeout.read(written),
        interval: JOB_QUEUE.interval.read(written),
        requests: JOB_QUEUE.requests.read(written),
        timeout: JOB_QUEUE.timeout.read(written),
        size: JOB_QUEUE.size.read(written),
        state: JOB_QUEUE.state.read(written),
        running: words(JOB_QUEUE.running.read(written)),
        failed: words(JOB_QUEUE.failed.read(written)),
        progress: JOB_QUEUE.progress.read(written),
    })
}
