//! Look-ups of names in DNS and in `/etc/hosts`.
//!
//! Each look-up builds a new resolver. Thus changes of `/etc/resolv.conf` and `/etc/hosts` take effect, and no socket
//! outlives the runtime that opened it. There is one look-up of a name at a time. A name with addresses is looked up at
//! most once a second.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::Name,
};

/// The longest time of a look-up. A look-up that takes longer fails.
const PATIENCE: Duration = Duration::from_secs(10);

const NO_ADDRESS: &str = "the name has no address";

/// The largest number of addresses of a name that are used. Other addresses are ignored.
const MOST_ADDRESSES: usize = 128;

/// Returns the addresses of a host, each once and in a fixed order, and the time at which they expire. The DNS servers
/// are `servers`, or the system's if `servers` is empty.
///
/// # Errors
///
/// Returns the reason as text for the log. A name without an address is also an error.
pub async fn look_up(host: &str, servers: &[SocketAddr]) -> Result<(Vec<IpAddr>, Instant), String> {
    let resolver = build(servers).map_err(|error| error.to_string())?;
    // Names of services may contain underscores, which the parser of international names refuses. The configuration
    // permits only ASCII names, so the ASCII parser suffices. Test: `peers_follow_dns_and_outlive_its_failure`.
    let name = Name::from_ascii(host).map_err(|error| error.to_string())?;
    let found = tokio::time::timeout(PATIENCE, resolver.lookup_ip(name)).await;
    let found = found.map_err(|_| format!("no answer within {PATIENCE:?}"))?.map_err(|error| reason(&error))?;
    let mut addresses: Vec<IpAddr> = found.iter().collect();
    // DNS servers rotate addresses. A fixed order keeps each peer's turn.
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(MOST_ADDRESSES);
    // An answer without addresses is a failed look-up, so the known addresses stay in use.
    if addresses.is_empty() {
        return Err(NO_ADDRESS.to_owned());
    }
    Ok((addresses, found.valid_until()))
}

/// Describes a fault in words. The resolver's own text of a name without records has the query as Rust writes it.
fn reason(error: &NetError) -> String {
    match error {
        _ if error.is_nx_domain() => "no such name is known to the DNS server".to_owned(),
        _ if error.is_no_records_found() => NO_ADDRESS.to_owned(),
        _ => error.to_string(),
    }
}

fn build(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            config.connections.iter_mut().for_each(|connection| connection.port = server.port());
            config
        });
        let config = ResolverConfig::from_name_servers(servers.collect());
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build()
}
