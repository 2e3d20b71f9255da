//! The check of the stores of `[services.exports]` and `[services.webhooks]`.

use super::super::{Context, store, tls};
use crate::{
    key::{Key, TableSettings as _},
    keys::POSTGRES,
    settings::{PostgresSettings, ServiceStoreSettings},
    spanned::Spanned,
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
