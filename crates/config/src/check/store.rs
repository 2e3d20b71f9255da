//! The check of `[caches.shared]`.

use super::{Context, tls};
use crate::{
    diagnostic::Located,
    key::{Key, TableSettings as _},
    keys::{FILE, STORE},
    secret::Secret,
    settings::{StoreKind, StoreSettings, StoreUser},
    spanned::Spanned,
};

/// Reads the store that several processes share. Returns `None` if it has no addresses.
pub(super) fn store(root: &Spanned, store: &Spanned, context: &mut Context<'_>) -> Option<StoreSettings> {
    let addresses = STORE.addresses.or_empty(store);
    if addresses.is_empty() {
        context.missing(store.at, "[caches.shared] has no addresses", "addresses = [\"redis.internal:6379\"]");
        return None;
    }
    if FILE.cursor.find(root).is_none() {
        let message = "[caches.shared] needs the keys of [cursor]: values in the store are sealed by them";
        context.missing(store.at, message, "[cursor] with keys = { 1 = \"env:NAME\" } and signing_key = 1");
    }
    let kind = STORE.kind.read(store);
    if let (StoreKind::Server, Some(second)) = (kind, addresses.get(1)) {
        let help = "kind = \"cluster\" if these are nodes of a cluster, \"sentinel\" if they are sentinels";
        context.diagnostics.error(second.at, "one server has one address", help);
    }
    let master = STORE.master.located(store);
    match (kind, &master) {
        (StoreKind::Sentinel, None) => {
            let message = "caches.shared has no master: sentinels are asked for it by its name";
            context.missing(store.at, message, "master = \"NAME\", as in `sentinel monitor NAME …`");
        }
        (StoreKind::Server | StoreKind::Cluster, Some(master)) => {
            let message = "caches.shared.master is a name that sentinels know";
            context.diagnostics.error(master.at, message, "kind = \"sentinel\", or remove it");
        }
        _ => {}
    }
    for key in [&STORE.sentinel_username, &STORE.sentinel_password] {
        if let Some(written) = key.located(store).filter(|_| kind != StoreKind::Sentinel) {
            let message = format!("caches.shared.{} is for sentinels", key.definition.name);
            context.diagnostics.error(written.at, message, "kind = \"sentinel\", or remove it");
        }
    }
    let user = user(store, &STORE.username, &STORE.password, context);
    let sentinel_user = self::user(store, &STORE.sentinel_username, &STORE.sentinel_password, context);
    let tls = STORE.tls.find(store).map(|tls| tls::upstream("caches.shared", tls, context));
    // The password of the sentinels is checked too, because they may have one although their master has none. Test:
    // `the_password_of_sentinels_needs_tls_as_well`.
    let sentinel_password = || STORE.sentinel_password.located(store).filter(|_| kind == StoreKind::Sentinel);
    if let (None, Some(password)) = (&tls, STORE.password.located(store).or_else(sentinel_password)) {
        warn_of_plain(&addresses, &password, context);
    }
    Some(StoreSettings { addresses, user, sentinel_user, tls, ..StoreSettings::read(store) })
}

/// Reads a user and its password. Reports a user without a password.
fn user(
    store: &Spanned,
    username: &'static Key<String>,
    password: &'static Key<String>,
    context: &mut Context<'_>,
) -> StoreUser {
    let secret = self::password("caches.shared", store, password, context);
    if let Some(written) = username.located(store).filter(|_| password.find(store).is_none()) {
        let message = format!("caches.shared.{} needs a password", username.definition.name);
        context.diagnostics.error(written.at, message, format!("{} = \"file:PATH\"", password.definition.name));
    }
    StoreUser { username: username.read(store), password: secret }
}

/// Reads the password of a server; `None` if it isn't written or can't be opened. `owner` is the table of the server,
/// for messages.
pub(super) fn password(
    owner: &str,
    table: &Spanned,
    key: &'static Key<String>,
    context: &mut Context<'_>,
) -> Option<Secret> {
    let written = key.located(table)?;
    let secret = context.secret(&written, "")?;
    if std::str::from_utf8(secret.reveal()).is_err() {
        let message = format!("{owner}.{} is not UTF-8", key.definition.name);
        context.diagnostics.error(written.at, message, "choose another password");
    }
    Some(secret)
}

/// Warns if a password is sent without TLS to another machine, because others on the network could read it.
pub(super) fn warn_of_plain(addresses: &[Located<String>], password: &Located<String>, context: &mut Context<'_>) {
    let is_local = |address: &Located<String>| {
        let host = address.value.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    };
    // The password is sent to each address, so a single remote one is enough.
    if !addresses.iter().all(is_local) {
        let message = "the password is sent without TLS, to another machine";
        context.diagnostics.warning(
            password.at,
            message,
            "tls = {}, or { ca = \"PATH\" } for an authority of your own",
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::{ProcessEnvironment, WithoutSecrets, load_text};

    #[test]
    fn the_password_of_sentinels_needs_tls_as_well() {
        for (keys, expected) in [("", true), ("tls = {}\n", false)] {
            let text = format!(
                "version = 1\n[caches.shared]\nkind = \"sentinel\"\nmaster = \"shared\"\n\
                 addresses = [\"10.0.0.1:26379\"]\nsentinel_password = \"env:PASSWORD\"\n{keys}"
            );
            let (_, diagnostics) = load_text("a.toml", &text, &WithoutSecrets(&ProcessEnvironment::default()));
            let said = diagnostics.render(false);
            assert_eq!(said.contains("the password is sent without TLS"), expected, "{said}");
        }
    }
}
