//! A minimal Pingora proxy that passes every request to one peer: the baseline of the gateway's cost.
//!
//!     bare-pingora LISTEN UPSTREAM
#![allow(clippy::expect_used, clippy::print_stdout, reason = "this is a benchmark's peer")]

use async_trait::async_trait;
use pingora::{
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::{Server, configuration::ServerConf},
    upstreams::peer::HttpPeer,
};

/// The proxy. `upstream` is the address and the port of its only peer.
struct Bare {
    upstream: String,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _context: &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream.as_str(), false, String::new())))
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().expect("bare-pingora LISTEN UPSTREAM");
    let upstream = arguments.next().expect("bare-pingora LISTEN UPSTREAM");
    // One worker thread, like every proxy in the comparison (README.md).
    let configuration = ServerConf { threads: 1, upstream_keepalive_pool_size: 1024, ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { upstream });
    service.add_tcp(&listen);
    server.add_service(service);
    server.run_forever();
}
