//! The keys of `[services.exports.objects]`.

use crate::{
    diagnostic::Located,
    key::{Defaulted, Key, Literal::Text, secret, table, text},
    secret::Secret,
    syntax,
};

table! {
    /// The keys of `[services.exports.objects]`.
    OBJECTS: ObjectKeys => #[derive(Debug, Clone)] ObjectSettings {
        /// The name of the upstream that stores the objects: a server that speaks S3 and takes the name of the bucket in
        /// the path. Its `tls`, `timeouts` and `retries` hold for the requests.
        pub upstream: Key<Located<String>> as usize => text(syntax::name).sample(r#""storage""#);

        /// The bucket, and the beginning of the names of objects. Keep it as long as there are results: they are looked
        /// for where it says.
        pub bucket: Key<String> as ObjectBucket => text(syntax::bucket).sample(r#""s3://exports/cursorgate""#);

        /// The region of the bucket, which the signatures of requests name.
        pub region: Defaulted<String> => text(syntax::region).default(Text("us-east-1"));

        /// The id of the access key. It must permit to put, get and delete objects.
        access_key_id: Key<String> => secret().sample(r#""file:/etc/cursorgate/storage.id""#);

        /// The secret of the access key, which signs requests and isn't sent.
        secret_access_key: Key<String> => secret().sample(r#""file:/etc/cursorgate/storage.secret""#);

        /// The id of the access key.
        pub id: Secret = Secret::new(Vec::new());

        /// The secret of the access key.
        pub secret: Secret = Secret::new(Vec::new());
    }
}

/// A bucket of an object store, and the beginning of the names of its objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectBucket {
    pub name: String,
    /// Empty, or with a `/` at the end.
    pub prefix: String,
}
