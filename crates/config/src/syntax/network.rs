//! The syntax of networks: an address and the length of its prefix.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Checked, number};
use crate::{
    schema::SyntaxFault,
    settings::{Network, UNIX_CLIENT},
};

/// Accepts a network without bits after its prefix, an IP address, or `unix`.
pub(crate) fn network(text: &str) -> Checked {
    let Some(network) = read_network(text) else {
        return Err(SyntaxFault::new(
            format!("{text:?} is not a network"),
            "write a network such as \"10.20.0.0/16\" or \"::1/128\", or \"unix\" for clients of unix sockets",
        ));
    };
    let bits = match network.address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    // A prefix of 0 bits would shift by all 128 bits, which `checked_shl` refuses.
    let kept = bits & u128::MAX.checked_shl(128 - u32::from(network.prefix)).unwrap_or(0);
    if kept == bits {
        return Ok(());
    }
    let first = match network.address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(kept >> 96).unwrap_or(0))),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(kept)),
    };
    let message = format!("{text:?} has bits after its prefix");
    Err(SyntaxFault::new(message, format!("write \"{first}/{}\", or a longer prefix", network.prefix)))
}

/// Reads a network. An address without a prefix is a network of one address, and an IPv4-mapped network becomes an IPv4
/// network. Returns `None` for a text that isn't a network.
pub(crate) fn read_network(text: &str) -> Option<Network> {
    if text == "unix" {
        return Some(Network { address: UNIX_CLIENT, prefix: 128 });
    }
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let longest: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Some(longest), number).filter(|prefix| *prefix <= longest)?;
    // The IPv4-mapped addresses of clients are compared as IPv4 addresses, so mapped networks must be IPv4 networks
    // too. Test: `networks_contain_addresses`.
    match (address, address.to_canonical(), prefix.checked_sub(96)) {
        (IpAddr::V6(_), IpAddr::V4(mapped), Some(prefix)) => Some(Network { address: mapped.into(), prefix }),
        _ => Some(Network { address, prefix }),
    }
}
