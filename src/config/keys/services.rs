//! `[services]`.

use std::time::Duration;

use crate::config::{
    key::{
        Defaulted, Key,
        Literal::{Count, Text},
        count, duration, size, sub_table, table, text,
    },
    spanned::Spanned,
    syntax,
};

table! {
    /// `[services]`
    SERVICES: ServicesKeys {
        /// Many requests in one: a POST with operations, which run as if each had come alone, and one answer with all
        /// results; docs/bulk.md.
        bulk: Key<Spanned> => sub_table(BulkKeys::KEYS).optional_section();
    }
}

table! {
    /// `[services.bulk]`
    BULK: BulkKeys {
        /// The path, under every host. Requests by POST for exactly this path go to no route.
        path: Defaulted<String> => text(syntax::service_path).default(Text("/bulk"));

        /// The largest number of operations in a request.
        operations: Defaulted<usize> => count(1, 1_000).default(Count(1_000));

        /// The number of operations of a request that run at a time.
        at_once: Defaulted<usize> => count(1, 100).default(Count(5));

        /// The time that an operation may take. One that takes longer is given up and has the status 504. The body of the
        /// bulk request has as much time to come.
        timeout: Defaulted<Duration> => duration("1s", "5m").default(Text("30s"));

        /// The largest body of a bulk request.
        size: Defaulted<usize> => size("1KiB", "64MiB").default(Text("1MiB"));

        /// The size up to which the bodies of all answers together are kept. An answer beyond it has its status and no body.
        answer_size: Defaulted<usize> => size("1KiB", "1GiB").default(Text("16MiB"));

        /// The results of requests with an `Idempotency-Key`, which a repetition gets again. They are in the memory of the
        /// process.
        idempotency: Key<Spanned> => sub_table(IdempotencyKeys::KEYS).section();
    }
}

table! {
    /// `[services.bulk.idempotency]`
    IDEMPOTENCY: IdempotencyKeys {
        /// The time for which a key is known.
        ttl: Defaulted<Duration> => duration("1m", "7d").default(Text("24h"));

        /// The number of keys that are known at a time. Beyond it requests with a new key are answered with 503, because a
        /// key that is forgotten early would let its operations run twice.
        entries: Defaulted<usize> => count(1, 100_000).default(Count(10_000));

        /// The memory for results, beside `server.memory`. Beyond it the oldest results are dropped; a repetition of their requests is answered
        /// with 409 and runs nothing.
        size: Defaulted<usize> => size("64KiB", "64GiB").default(Text("64MiB"));
    }
}
