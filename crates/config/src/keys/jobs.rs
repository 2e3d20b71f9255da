//! The keys of `[services.jobs]`.

use std::time::Duration;

use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        count, duration, flag, named_tables, size, table, text, texts,
    },
    schema::Schema,
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `[services.jobs]`.
    JOBS: JobsKeys {
        /// The path of these requests, under every host. Requests for this path and for the paths below it go to the
        /// service and to no route.
        path: Defaulted<String> => text(syntax::service_path).default(Text("/jobs"));

        /// What identifies a client, whose jobs no other client sees, in the form of `identity` of a route. Default:
        /// `identity` of [defaults].
        identity: Key<Vec<Located<String>>> => texts(&Schema::Text(syntax::identity)).example(r#"["jwt:sub"]"#);

        /// The queues. A job is stored where exports are, and kept as long.
        queues: Key<Spanned> => named_tables(
            &Schema::Table(JobQueueKeys::KEYS),
            "write [services.jobs.queues.NAME]",
        ).named("reports", "");
    }
}

table! {
    /// The keys of `[services.jobs.queues.NAME]`.
    JOB_QUEUE: JobQueueKeys {
        /// The method and the path of the request that begins the work at the upstream. A route of the gateway forwards
        /// it, with the body of the client that begins the job and with the client's headers.
        request: Key<String> => text(syntax::operation_type).sample(r#""POST /reports""#);

        /// The largest number of jobs that are at work at the same time, of all processes that share the store. The
        /// others wait in the queue.
        at_once: Defaulted<u32> => count(1, 1_000).default(Count(2));

        /// The largest number of unfinished jobs of a client. Beyond it, requests for further jobs are answered with
        /// 429. All clients of an address together have four times as many.
        per_client: Defaulted<usize> => count(1, 1_000).default(Count(5));

        /// The largest number of unfinished jobs of all clients. Beyond it, requests for further jobs are answered with
        /// 503.
        unfinished: Defaulted<usize> => count(1, 100_000).default(Count(100));

        /// With `true`, the request is sent again if it isn't known whether the upstream carried it out: after a
        /// time-out, a broken connection or a killed process. Each time it has the same `Idempotency-Key`. With `false`
        /// such a job fails. Requests by GET, PUT and DELETE are always repeated.
        repeat: Defaulted<bool> => flag().default(Boolean(false));

        /// The longest time for which a request that fails is sent again, with pauses that grow to five minutes. Then
        /// the job has failed, and can be resumed.
        retry_for: Defaulted<Duration> => duration("0s", "7d").default(Text("10m"));

        /// The longest time for a request.
        request_timeout: Defaulted<Duration> => duration("1s", "10m").default(Text("2m"));

        /// The first pause between two questions for the status, if the upstream sends no `Retry-After`. Each further
        /// one is twice as long, up to a minute.
        interval: Defaulted<Duration> => duration("100ms", "1m").default(Text("2s"));

        /// The largest number of requests of a job. A job that needs more has failed.
        requests: Defaulted<u64> => count(2, 100_000).default(Count(1_000));

        /// The longest time from the first request to the end, with all pauses. A job that takes longer has failed.
        timeout: Defaulted<Duration> => duration("1s", "30d").default(Text("1h"));

        /// The largest answer of the upstream. A job with a larger one has failed.
        size: Defaulted<usize> => size("1KiB", "64MiB").default(Text("1MiB"));

        /// The member of a status that names its state (JSON Pointer). Without it, 202 means that the work goes on, and
        /// any other 2xx that it is done.
        state: Key<String> => text(syntax::pointer).example(r#""/status""#);

        /// The states in which the work goes on. Case doesn't matter.
        running: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).default(Texts(&[
            "accepted", "notstarted", "pending", "queued", "running", "processing", "in_progress",
        ]));

        /// The states in which the work has failed.
        failed: Defaulted<Vec<Located<String>>> => texts(&Schema::Text(syntax::line)).default(Texts(&[
            "failed", "error", "canceled", "cancelled",
        ]));

        /// The member of a status that says how much is done, in per cent.
        progress: Key<String> => text(syntax::pointer).example(r#""/percentComplete""#);
    }
}
