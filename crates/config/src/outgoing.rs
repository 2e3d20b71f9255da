//! URLs to which services send requests on behalf of clients, and the addresses that such requests may reach.
//!
//! A client that names a URL must not reach hosts through the gateway that it can't reach itself (server-side request
//! forgery). A URL is parsed strictly, so another parser can't find another host in it. Hosts that some parsers take
//! for addresses, such as `127.1`, are refused. For each request, [`OutgoingRules::permits`] checks every address of
//! the host, and the request is sent to one of these addresses without resolving the name again. So a changed DNS
//! answer has no effect (DNS rebinding).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::settings::Network;

/// The largest number of bytes in a URL. A longer URL is refused.
const LONGEST: usize = 2_048;

/// The default ports of `https` and of `http`.
const SECURE_PORT: u16 = 443;
const PLAIN_PORT: u16 = 80;

/// An absolute URL that begins with `https` or `http`, without a user and without a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    /// True if the scheme is `https`.
    pub is_secure: bool,
    /// The host: a name or an address.
    pub host: EndpointHost,
    /// The port; the default port of the scheme if the URL has none.
    pub port: u16,
    /// The path and the query, with a slash at the beginning.
    pub target: String,
}

/// The host of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointHost {
    /// A host name, in lower case.
    Name(String),
    /// An IP address.
    Address(IpAddr),
}

impl std::fmt::Display for EndpointHost {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => formatter.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(formatter),
            Self::Address(IpAddr::V6(address)) => write!(formatter, "[{address}]"),
        }
    }
}

impl EndpointUrl {
    /// Parses the URL of an endpoint.
    ///
    /// # Errors
    ///
    /// Returns a help text for the author of the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        // Browsers read a backslash as a slash (<https://url.spec.whatwg.org/#url-parsing>), and other clients don't,
        // so they find different hosts. Test: `urls_with_several_readings_are_refused`.
        let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
        if text.len() > LONGEST {
            return Err("write at most 2,048 bytes");
        }
        if !text.bytes().all(allowed) {
            return Err("write other characters as %XX, names in their ASCII form (xn--…), and no fragment");
        }
        let (is_secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err("write https:// and the host first"),
        };
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // A user may look like a host, as in `https://a.example@127.0.0.1/`, so URLs with a user are refused. Test:
        // `urls_with_several_readings_are_refused`.
        if authority.contains('@') {
            return Err("leave out the user and the password");
        }
        // The last colon of `[::1]` is a part of the address, and no port follows it.
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let port = match port {
            None => Some(if is_secure { SECURE_PORT } else { PLAIN_PORT }),
            // `parse` would also accept `+443`, so only digits are parsed.
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
        };
        let port = port.filter(|port| *port > 0).ok_or("a port is a number up to 65535")?;
        let host = read_host(host).ok_or("write a host name such as hooks.example.com")?;
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        Ok(Self { is_secure, host, port, target })
    }

    /// Returns the value of the header `Host` for requests to this URL. It has the port unless that is the default of
    /// the scheme.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.is_secure { SECURE_PORT } else { PLAIN_PORT };
        if self.port == usual { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

fn read_host(text: &str) -> Option<EndpointHost> {
    if let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Some(EndpointHost::Address(inside.parse::<Ipv6Addr>().ok()?.into()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Some(EndpointHost::Address(address.into()));
    }
    let is_label = |label: &str| {
        let inside = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        !label.is_empty() && label.len() <= 63 && inside && !label.starts_with('-') && !label.ends_with('-')
    };
    // Many parsers read a name as an IPv4 address if its last label is a number: 127.1, 0x7f.0.0.1, 2130706433,
    // 0177.0.0.1 (<https://url.spec.whatwg.org/#ends-in-a-number-checker>). No top-level domain begins with a digit.
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_name =
        text.len() <= 253 && text.split('.').all(is_label) && !last.starts_with(|first: char| first.is_ascii_digit());
    is_name.then(|| EndpointHost::Name(text.to_ascii_lowercase()))
}

/// The rules for the URLs and addresses that requests may be sent to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutgoingRules {
    /// True if `http` is permitted in addition to `https`.
    pub http: bool,
    /// The permitted ports.
    pub ports: Vec<u16>,
    /// The networks that are permitted in addition to public addresses.
    pub networks: Vec<Network>,
}

impl OutgoingRules {
    /// Returns the reason that a URL itself is refused; `None` if it is permitted. The addresses of a host name aren't
    /// checked here.
    #[must_use]
    pub fn refusal(&self, url: &EndpointUrl) -> Option<String> {
        if !url.is_secure && !self.http {
            return Some("the URL must begin with https://".to_owned());
        }
        if !self.ports.contains(&url.port) {
            return Some(format!("the port {} is not permitted", url.port));
        }
        match url.host {
            EndpointHost::Address(address) if !self.permits(address) => {
                Some("the address is not a public one".to_owned())
            }
            EndpointHost::Address(_) if url.is_secure => {
                Some("an address has no name to compare with its certificate: write a host name".to_owned())
            }
            _ => None,
        }
    }

    /// Returns whether a request may be sent to an address: a public one, or one of `networks`.
    #[must_use]
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.networks.iter().any(|network| network.contains(address))
    }
}

/// Returns whether an address is in the public internet, according to IANA's registries of special-purpose addresses
/// (<https://www.iana.org/assignments/iana-ipv4-special-registry>,
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>). IPv4-mapped addresses and NAT64 addresses are judged
/// by the IPv4 address that they contain. Teredo and 6to4 addresses are never public, because anyone may run the relays
/// that their packets pass.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    let within = |first: [u8; 4], prefix: u32| {
        let mask = u32::MAX << (32 - prefix);
        bits & mask == Ipv4Addr::from(first).to_bits()
    };
    let special = [
        ([0, 0, 0, 0], 8),       // this network
        ([10, 0, 0, 0], 8),      // private
        ([100, 64, 0, 0], 10),   // shared by customers of a carrier
        ([127, 0, 0, 0], 8),     // loopback
        ([169, 254, 0, 0], 16),  // link-local, with the metadata of clouds
        ([172, 16, 0, 0], 12),   // private
        ([192, 0, 0, 0], 24),    // protocol assignments
        ([192, 0, 2, 0], 24),    // documentation
        ([192, 88, 99, 0], 24),  // relays of 6to4
        ([192, 168, 0, 0], 16),  // private
        ([198, 18, 0, 0], 15),   // benchmarks
        ([198, 51, 100, 0], 24), // documentation
        ([203, 0, 113, 0], 24),  // documentation
        ([224, 0, 0, 0], 4),     // multicast
        ([240, 0, 0, 0], 4),     // reserved, broadcast
    ];
    // The address of Microsoft Azure's platform services, although it is in public space:
    // <https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16>.
    let is_platform = address == Ipv4Addr::new(168, 63, 129, 16);
    !is_platform && !special.into_iter().any(|(first, prefix)| within(first, prefix))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    // A connection to `::ffff:127.0.0.1` reaches 127.0.0.1, so the IPv4 address is judged. Test:
    // `addresses_of_private_and_special_networks_are_not_public`.
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let segments = address.segments();
    // NAT64 (RFC 6052): a translator forwards to the IPv4 address in the last four bytes, which is judged.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        let bits = (u32::from(segments[6]) << 16) | u32::from(segments[7]);
        return is_public_v4(Ipv4Addr::from_bits(bits));
    }
    // Global addresses are 2000::/3. Special ones among them are protocol assignments with Teredo (2001::/23),
    // documentation (2001:db8::/32, 3fff::/20) and 6to4 (2002::/16).
    let is_global = segments[0] & 0xe000 == 0x2000;
    let is_special = (segments[0] == 0x2001 && (segments[1] < 0x0200 || segments[1] == 0x0db8))
        || segments[0] == 0x2002
        || (segments[0] == 0x3fff && segments[1] < 0x1000);
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A URL is split into its parts, and URLs that parsers read in several ways are refused.
    ///
    /// Row: A39
    #[test]
    fn urls_with_several_readings_are_refused() {
        let read = |text: &str| EndpointUrl::parse(text);
        let url = read("https://Hooks.Example.com/a/b?c=d").unwrap();
        assert_eq!((url.is_secure, url.port, url.target.as_str()), (true, 443, "/a/b?c=d"));
        assert_eq!(
            (url.host.to_string().as_str(), url.authority().as_str()),
            ("hooks.example.com", "hooks.example.com")
        );
        assert_eq!(read("https://a.example?x").unwrap().target, "/?x");
        assert_eq!(read("https://a.example:8443").unwrap().authority(), "a.example:8443");
        assert_eq!(read("http://127.0.0.1:80/").unwrap().authority(), "127.0.0.1");
        assert_eq!(read("http://[::1]:81/").unwrap().authority(), "[::1]:81");
        for text in [
            "//evil.example/",
            "ftp://a.example/",
            "HTTPS://a.example/",
            "https:/a.example",
            "https:\\\\a.example",
            "https://a.example\\@b.example/",
            "https://user@a.example/",
            "https://a.example@127.0.0.1/",
            "https://a.example/#fragment",
            "https://a.example:+443/",
            "https://a.example:0/",
            "https://a.example:65536/",
            "https://a.example:/",
            "https:///path",
            "https://a..example/",
            "https://a.example./",
            "https://-a.example/",
            "https://bücher.example/",
            "https://%6c%6f%63%61%6c/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.0.0.1/",
            "https://127.1/",
            "https://0177.0.0.1/",
            "https://127.0.0.1./",
            "https://[::ffff:7f00:1/",
            "https://[fe80::1%25eth0]/",
            "https://a.example/\r\nX: y",
            "https://a.example/ b",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&format!("https://a.example/{}", "a".repeat(LONGEST))).is_err());
    }

    /// Addresses of private and special networks don't count as public.
    ///
    /// Row: A39
    #[test]
    fn addresses_of_private_and_special_networks_are_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.167.1.1",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    /// A URL is permitted only if its scheme, its port and its address are.
    ///
    /// Row: A39
    #[test]
    fn rules_name_schemes_ports_and_networks() {
        let strict = OutgoingRules { http: false, ports: vec![443], networks: Vec::new() };
        let loopback = Network { address: IpAddr::V4(Ipv4Addr::LOCALHOST), prefix: 32 };
        let open = OutgoingRules { http: true, ports: vec![443, 80], networks: vec![loopback] };
        for (text, is_strict, is_open) in [
            ("https://a.example/", true, true),
            ("http://a.example/", false, true),
            ("https://a.example:8443/", false, false),
            ("http://127.0.0.1/", false, true),
            ("http://127.0.0.2/", false, false),
            ("https://127.0.0.1/", false, false),
            ("http://1.1.1.1/", false, true),
        ] {
            let url = EndpointUrl::parse(text).unwrap();
            assert_eq!((strict.refusal(&url).is_none(), open.refusal(&url).is_none()), (is_strict, is_open), "{text}");
        }
        assert!(open.permits("::ffff:127.0.0.1".parse().unwrap()), "the same address in its form of IPv6");
    }
}
