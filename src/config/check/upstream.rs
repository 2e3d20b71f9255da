//! `[upstreams]`.

use std::{path::Path, time::Duration};

use super::Context;
use crate::config::{
    form,
    secret::Secret,
    settings::{Timeouts, UpstreamSettings, UpstreamTls},
    written::{Value, Written},
};

/// Headers that belong to the connection or are written by the gateway.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "content-encoding",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn upstreams(root: &Written, context: &mut Context<'_>) -> Vec<UpstreamSettings> {
    let table = root.table("upstreams");
    table.tables().map(|(name, written)| upstream(&name.value, written, context)).collect()
}

fn upstream(name: &str, written: &Written, context: &mut Context<'_>) -> UpstreamSettings {
    let peers = written.texts("peers");
    let nothing = match written.find("peers") {
        None => Some(written.at),
        Some(list) => (list.value == Value::List(Vec::new())).then_some(list.at),
    };
    if let Some(at) = nothing {
        context.missing(at, format!("upstreams.{name} has no peers"), "peers = [\"host:port\"]");
    }
    UpstreamSettings {
        name: name.to_owned(),
        peers,
        host_header: written.string("host_header"),
        base_path: written.string("base_path").unwrap_or_default().trim_end_matches('/').to_owned(),
        ignores_case: written.string("paths").is_some_and(|paths| paths == "case-insensitive"),
        tls: written.find("tls").map(|tls| UpstreamTls {
            server_name: tls.string("server_name"),
            ca: tls.text("ca").map(|ca| {
                let path = context.path(&ca.value);
                context.check_writers(Path::new(&path), ca.at);
                path
            }),
        }),
        headers: headers(written, context),
        timeouts: timeouts(written, context),
        connections: written.count("connections").unwrap_or(1_024),
    }
}

fn headers(written: &Written, context: &mut Context<'_>) -> Vec<(http::HeaderName, Secret)> {
    let mut headers = Vec::new();
    for (name, value) in written.text_members("headers") {
        let Ok(header) = http::HeaderName::from_bytes(name.value.as_bytes()) else {
            let message = format!("{:?} is no header", name.value);
            context.diagnostics.error(name.at, message, "write a name such as X-Api-Key");
            continue;
        };
        if RESERVED.contains(&header.as_str()) {
            let help = if header == "host" {
                "write host_header = \"…\""
            } else {
                "remove it: it belongs to the connection"
            };
            context.diagnostics.error(name.at, format!("the header `{}` is the gateway's own", name.value), help);
            continue;
        }
        if headers.iter().any(|(known, _)| *known == header) {
            context.diagnostics.error(
                name.at,
                format!("the header `{header}` stands here twice"),
                "remove one of them",
            );
            continue;
        }
        let secret = if form::is_reference(&value.value) {
            context.secret(&value, "")
        } else {
            Some(Secret::new(value.value.into_bytes()))
        };
        let Some(secret) = secret else { continue };
        if http::HeaderValue::from_bytes(secret.reveal()).is_err() {
            let message = format!("the value of `{}` can't stand in a header", name.value);
            context.diagnostics.error(value.at, message, "it holds a line end or another control character");
            continue;
        }
        headers.push((header, secret));
    }
    headers
}

/// What is not written is shortened to `whole`; what is written beyond it is a mistake.
fn timeouts(written: &Written, context: &mut Context<'_>) -> Timeouts {
    let table = written.table("timeouts");
    let whole = table.duration("whole");
    let mut within = |name: &str, default: Duration| {
        let said = table.duration(name);
        if let (Some(said), Some(whole), Some(at)) = (said, whole, table.find(name).map(|value| value.at))
            && said > whole
        {
            let help = "the whole fetch includes it: raise `whole`, or lower this";
            context.diagnostics.error(at, format!("`{name}` is longer than `whole`"), help);
        }
        said.unwrap_or_else(|| whole.map_or(default, |whole| whole.min(default)))
    };
    let connect = within("connect", Duration::from_secs(1));
    let first_byte = within("first_byte", Duration::from_secs(10));
    let least = connect.max(first_byte).max(Duration::from_secs(15));
    Timeouts { connect, first_byte, whole: whole.unwrap_or(least) }
}
