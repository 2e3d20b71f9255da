//! The check of the stores of `[services.exports]` and `[services.webhooks]`.

use super::super::{Context, store, tls};
use crate::{
    key::{Key, TableSettings as _},
    keys::{OBJECTS, POSTGRES},
    settings::{ObjectBucket, ObjectSettings, PostgresSettings, ServiceStoreSettings},
    spanned::Spanned,
    syntax,
};

/// A service with a store.
pub(in crate::check) struct DurableService {
    /// The name of its table.
    pub(in crate::check) name: &'static str,
    /// What it stores, for messages.
    pub(in crate::check) content: &'static str,
    pub(in crate::check) directory: &'static Key<String>,
    pub(in crate::check) postgres: &'static Key<Spanned>,
}

impl DurableService {
    /// Reads the store: a directory or a database. Reports a table with both or neither. Returns `None` for neither, and
    /// for a database without addresses.
    pub(in crate::check) fn store(&self, written: &Spanned, context: &mut Context<'_>) -> Option<ServiceStoreSettings> {
        let Self { name, content, .. } = self;
        let directory = self.directory.located(written).map(|directory| {
            let path = context.path(&directory.value, directory.at).into();
            (ServiceStoreSettings::Directory(path), directory.at)
        });
        let database = self.postgres.find(written);
        let postgres = database
            .and_then(|database| postgres(&format!("{name}.postgres"), database, context))
            .map(|postgres| ServiceStoreSettings::Postgres(Box::new(postgres)));
        match (directory, database) {
            (Some((directory, at)), Some(_)) => {
                let message = format!("{name} has a directory and a database");
                context.diagnostics.error(at, message, format!("remove one of them: {content} are in one place"));
                Some(directory)
            }
            (Some((directory, _)), None) => Some(directory),
            (None, Some(_)) => postgres,
            (None, None) => {
                // A faulty directory has been reported, so it isn't reported as missing.
                if self.directory.find(written).is_none() {
                    let folder = name.trim_start_matches("services.");
                    let help = format!("directory = \"/var/lib/cursorgate/{folder}\", or [{name}.postgres]");
                    context.missing(written.at, format!("{name} has no directory"), help);
                }
                None
            }
        }
    }
}

/// Reads the object store of the results of exports. Returns `None` if a key is missing or faulty, which has been
/// reported.
pub(super) fn objects(written: &Spanned, root: &Spanned, context: &mut Context<'_>) -> Option<ObjectSettings> {
    const OWNER: &str = "services.exports.objects";
    let settings = ObjectSettings::read(written);
    let missing = |name: &str| format!("[{OWNER}] has no {name}");
    let help = "upstream = \"NAME\" of an [upstreams.NAME] with the servers of the object store";
    let upstream = context.required(&OBJECTS.upstream, written, missing("upstream"), help);
    let bucket = context.required(&OBJECTS.bucket, written, missing("bucket"), "bucket = \"s3://NAME/PREFIX\"");
    let keys = [&OBJECTS.access_key_id, &OBJECTS.secret_access_key].map(|key| {
        let name = key.definition.name;
        context.required(key, written, missing(name), format!("{name} = \"file:PATH\""))?;
        store::password(OWNER, written, key, context)
    });
    let upstream = context.upstream(&upstream?, root)?;
    let bucket = bucket?;
    let (name, prefix) = syntax::read_bucket(&bucket);
    let prefix = prefix.map(|prefix| format!("{prefix}/")).unwrap_or_default();
    let [Some(id), Some(secret)] = keys else { return None };
    let bucket = ObjectBucket { name: name.to_owned(), prefix };
    Some(ObjectSettings { upstream, bucket, id, secret, ..settings })
}

fn postgres(name: &str, written: &Spanned, context: &mut Context<'_>) -> Option<PostgresSettings> {
    let addresses = POSTGRES.addresses.or_empty(written);
    if addresses.is_empty() {
        let message = format!("[{name}] has no addresses");
        context.missing(written.at, message, "addresses = [\"postgres.internal:5432\"]");
        return None;
    }
    let tls = POSTGRES.tls.find(written).map(|tls| tls::upstream(name, tls, context));
    let password = store::password(name, written, &POSTGRES.password, context);
    if let (None, Some(password)) = (&tls, POSTGRES.password.located(written)) {
        store::warn_of_plain(&addresses, &password, context);
    }
    Some(PostgresSettings { addresses, password, tls, ..PostgresSettings::read(written) })
}
