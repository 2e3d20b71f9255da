//! The check of the store of `[services.exports]`.

use super::super::{Context, store, tls};
use crate::{
    key::TableSettings as _,
    keys::{EXPORTS, POSTGRES},
    settings::{ExportStoreSettings, PostgresSettings},
    spanned::Spanned,
};

/// The name of the database's table, for messages.
const NAME: &str = "services.exports.postgres";

/// Reads the store: a directory or a database. Reports a table with both or neither. Returns `None` for neither, and
/// for a database without addresses.
pub(super) fn store(written: &Spanned, context: &mut Context<'_>) -> Option<ExportStoreSettings> {
    let directory = EXPORTS.directory.located(written).map(|directory| {
        let path = context.path(&directory.value, directory.at).into();
        (ExportStoreSettings::Directory(path), directory.at)
    });
    let database = EXPORTS.postgres.find(written);
    let postgres = database
        .and_then(|database| postgres(database, context))
        .map(|postgres| ExportStoreSettings::Postgres(Box::new(postgres)));
    match (directory, database) {
        (Some((directory, at)), Some(_)) => {
            let message = "services.exports has a directory and a database";
            context.diagnostics.error(at, message, "remove one of them: jobs are in one place");
            Some(directory)
        }
        (Some((directory, _)), None) => Some(directory),
        (None, Some(_)) => postgres,
        (None, None) => {
            // A faulty directory has been reported, so it isn't reported as missing.
            if EXPORTS.directory.find(written).is_none() {
                let help = "directory = \"/var/lib/cursorgate/exports\", or [services.exports.postgres]";
                context.missing(written.at, "services.exports has no directory", help);
            }
            None
        }
    }
}

fn postgres(written: &Spanned, context: &mut Context<'_>) -> Option<PostgresSettings> {
    let addresses = POSTGRES.addresses.or_empty(written);
    if addresses.is_empty() {
        let message = format!("[{NAME}] has no addresses");
        context.missing(written.at, message, "addresses = [\"postgres.internal:5432\"]");
        return None;
    }
    let tls = POSTGRES.tls.find(written).map(|tls| tls::upstream(NAME, tls, context));
    let password = store::password(NAME, written, &POSTGRES.password, context);
    if let (None, Some(password)) = (&tls, POSTGRES.password.located(written)) {
        store::warn_of_plain(&addresses, &password, context);
    }
    Some(PostgresSettings { addresses, password, tls, ..PostgresSettings::read(written) })
}
