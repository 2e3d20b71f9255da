//! The thread that reads the URL of the keys of tokens (`server.tokens.keys`). The connections are those of an upstream,
//! with its checks of certificates, heads and sizes.

use std::{sync::Arc, thread, time::Duration};

use http::{HeaderMap, HeaderValue, Method, header};
use pingora::http::RequestHeader;

use super::{live::Live, snapshot::Snapshot};
use crate::{
    net::fetch::{AskedPeer, Bounds, Fetcher},
    routes::token_keys::TokenKeys,
    runtime::clock,
};

/// The interval at which the thread looks whether a read is due, and whether another configuration is in force.
const LOOK: Duration = Duration::from_secs(1);

/// The largest size of a set of keys, in bytes.
const LARGEST: usize = 256 << 10;

/// Starts the thread.
///
/// # Errors
///
/// Returns an error if the thread can't be started.
pub fn begin(live: Arc<Live>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        runtime.block_on(async {
            let fetcher = Fetcher::default();
            loop {
                let snapshot = live.pin();
                let Some(keys) = &snapshot.token_keys else {
                    tokio::time::sleep(LOOK).await;
                    continue;
                };
                if keys.begin(clock::instant()) {
                    let read = read(keys, &snapshot, &fetcher).await;
                    keys.end(read, clock::instant());
                }
                keys.expire(clock::instant());
                let _ = tokio::time::timeout(LOOK, keys.wanted.notified()).await;
            }
        });
    };
    thread::Builder::new().name("token keys".to_owned()).spawn(work).map(drop)
}

async fn read(keys: &TokenKeys, snapshot: &Snapshot, fetcher: &Fetcher) -> Result<Vec<u8>, String> {
    let upstream = &keys.upstream;
    let head = || -> pingora::Result<RequestHeader> {
        let mut head = RequestHeader::build(Method::GET, keys.target.as_bytes(), None)?;
        head.insert_header(header::HOST, upstream.host_for(None))?;
        head.insert_header(header::ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"))?;
        head.insert_header(header::ACCEPT_ENCODING, upstream.codings.clone())?;
        Ok(head)
    };
    let head = head().map_err(|error| error.to_string())?;
    let (held, asked) = (snapshot.memory.share(), AskedPeer::default());
    let bounds = Bounds::from_now(upstream.timeouts, LARGEST, &held, &asked);
    let visit = upstream.visit(&HeaderMap::new(), &keys.target, true);
    let fetched = fetcher.fetch(&visit, &head, b"", bounds).await.map_err(|error| error.to_string())?;
    match fetched.status.as_u16() {
        200 => Ok(fetched.body),
        status => Err(format!("the status is {status}")),
    }
}
