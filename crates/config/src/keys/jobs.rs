//! The keys of `[services.jobs]`.

use std::time::Duration;

use http::HeaderName;

use crate::{
    diagnostic::Located,
    key::{
        Defaulted, Key,
        Literal::{Boolean, Count, Text, Texts},
        caseless_texts, count, duration, flag, named_tables, size, table, text, texts,
    },
    schema::Schema,
    settings::IdentityWord,
    spanned::Spanned,
    syntax,
};

table! {
    /// The keys of `[services.jobs]`.
    JOBS: JobsKeys => #[derive(Debug, Clone, PartialEq, Eq)] JobSettings {
        /// The path of these requests, under every host. Requests for this path and for the paths below it go to the
        /// service and to no route.
        pub path: Defaulted<String> => text(syntax::service_path).default(Text("/jobs"));

        /// What identifies a client, whose jobs no other client sees, in the form of `identity` of a route. Default:
        /// `identity` of [defaults].
        pub identity: Key<Vec<Located<String>>> as Vec<IdentityWord> =>
            texts(&Schema::Text(syntax::identity)).example(r#"["jwt:sub"]"#);

        /// The queues. A job is stored where exports are, and kept as long.
        pub queues: Key<Spanned> as Vec<JobQueueSettings> => named_tables(
            &Schema::Table(JobQueueKeys::KEYS),
            "write [services.jobs.queues.NAME]",
        ).named("reports", "");

        /// The headers that say nothing about a person, as `[defaults]` lists them.
        pub impersonal: Vec<HeaderName>;
    }
}

table! {
    /// The keys of `[services.jobs.queues.NAME]`.
    JOB_QUEUE: JobQueueKeys => #[derive(Debug, Clone, PartialEq, Eq)] JobQueueSettings {
        /// The method and the path of the request that begins the work at the upstream. A route of the gateway forwards
        /// it, with the body of the client that begins the job and with the client's headers.
        request: Key<Located<String>> => text(syntax::operation_type).sample(r#""POST /reports""#);

        /// The largest number of jobs that are at work at the same time, of all processes that share the store. The
        /// others wait in the queue.
        pub at_once: Defaulted<u32> => count(1, 1_000).default(Count(2));

        /// The largest number of unfinished jobs of a client. Beyond it, requests for further jobs are answered with
        /// 429. All clients of an address together have four times as many.
        pub per_client: Defaulted<usize> => count(1, 1_000).default(Count(5));

        /// The largest number of unfinished jobs of all clients. Beyond it, requests for further jobs are answered with
        /// 503.
        pub unfinished: Defaulted<usize> => count(1, 100_000).default(Count(100));

        /// With `true`, the request is sent again if it isn't known whether the upstream carried it out: after a
        /// time-out, a broken connection or a killed process. Each time it has the same `Idempotency-Key`. With `false`
        /// such a job fails. Requests by GET, PUT and DELETE are always repeated.
        pub repeat: Defaulted<bool> => flag().default(Boolean(false));

        /// The longest time for which a request that fails is sent again, with pauses that grow to five minutes. Then
        /// the job has failed, and can be resumed.
        pub retry_for: Defaulted<Duration> => duration("0s", "7d").default(Text("10m"));

        /// The longest time for a request.
        pub request_timeout: Defaulted<Duration> => duration("1s", "10m").default(Text("2m"));

        /// The first pause between two questions for the status, if the upstream sends no `Retry-After`. Each further
        /// one is twice as long, up to a minute.
        pub interval: Defaulted<Duration> => duration("100ms", "1m").default(Text("2s"));

        /// The largest number of requests of a job. A job that needs more has failed.
        pub requests: Defaulted<u64> => count(2, 100_000).default(Count(1_000));

        /// The longest time from the first request to the end, with all pauses. A job that takes longer has failed.
        pub timeout: Defaulted<Duration> => duration("1s", "30d").default(Text("1h"));

        /// The largest answer of the upstream. A job with a larger one has failed.
        pub size: Defaulted<usize> => size("1KiB", "64MiB").default(Text("1MiB"));

        /// The member of a status that names its state (JSON Pointer). Without it, 202 means that the work goes on, and
        /// any other 2xx that it is done.
        pub state: Key<String> => text(syntax::pointer).example(r#""/status""#);

        /// The states in which the work goes on. Case doesn't matter.
        pub running: Defaulted<Vec<String>> => caseless_texts(&Schema::Text(syntax::line)).default(Texts(&[
            "accepted", "notstarted", "pending", "queued", "running", "processing", "in_progress",
        ]));

        /// The states in which the work has failed.
        pub failed: Defaulted<Vec<String>> => caseless_texts(&Schema::Text(syntax::line)).default(Texts(&[
            "failed", "error", "canceled", "cancelled",
        ]));

        /// The member of a status that says how much is done, in per cent.
        pub progress: Key<String> => text(syntax::pointer).example(r#""/percentComplete""#);

        /// The name of the queue.
        pub name: String;

        /// The method of `request`.
        pub method: String;

        /// The path of `request`.
        pub path: Located<String>;
    }
}
