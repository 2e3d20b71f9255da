//! The identity of a request across proxies: its `X-Request-Id`, and the address of its client.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header with the id of a request.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The header in which proxies list the addresses through which a request has passed.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The largest length of a proxy's request id, in bytes. A longer id is ignored. Proxies write UUIDs, ULIDs and trace
/// ids; the ids of AWS are the longest, with about 90 bytes.
const LONGEST_ID: usize = 128;

/// The largest number of addresses in `X-Forwarded-For` that are read, beginning with the last address. The remaining
/// addresses are ignored.
const MOST_HOPS: usize = 32;

/// Returns the id that a proxy in front of the gateway has given a request. Returns `None` if the header is missing,
/// repeated, empty or too long, or has characters that could break a log line or a search in the log.
pub fn given_id(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(&REQUEST_ID).iter();
    let id = values.next()?.to_str().ok()?;
    let is_sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/+=@;,".contains(&byte);
    let sound = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(is_sound);
    (sound && values.next().is_none()).then_some(id)
}

/// Replaces the id of a request. All spellings of the header are removed, because CGI-like servers treat `X_Request_Id`
/// as the same header.
pub fn write_id(headers: &mut pingora::http::RequestHeader, id: &str) {
    let dashed = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let is_id = |name: &&HeaderName| name.as_str().bytes().map(dashed).eq(REQUEST_ID.as_str().bytes());
    let spellings: Vec<HeaderName> = headers.headers.keys().filter(is_id).cloned().collect();
    for name in &spellings {
        headers.remove_header(name);
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        // This fails only beyond the largest number of headers that a request may have, so a failure is ignored.
        let _ = headers.insert_header(REQUEST_ID, value);
    }
}

/// Returns the address of the client beyond the trusted proxies of a request. This is the last address in
/// `X-Forwarded-For` that isn't a trusted proxy's, or the first address if all are trusted. At most [`MOST_HOPS`]
/// addresses are read, from the end, and text that isn't an address ends the search. Returns `None` if no address was
/// read. Example: `198.51.100.1, 203.0.113.7, 10.0.0.1` gives `203.0.113.7` if `10.0.0.1` is trusted.
pub fn forwarded_client(headers: &HeaderMap, trusts: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let lines: Vec<&str> = headers.get_all(&FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut farthest = None;
    // Several lines form one list (RFC 9110 section 5.3), so the last line contains the last addresses.
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')).take(MOST_HOPS) {
        // The entries before an unreadable one come from an unknown hop, so they aren't trusted.
        let Some(address) = address(hop.trim()) else { break };
        farthest = Some(address);
        if !trusts(address) {
            break;
        }
    }
    farthest
}

/// Parses an address, such as `192.0.2.1`, `2001:db8::1` or `[2001:db8::1]`. Some proxies append a port, which is
/// ignored. Returns `None` for any other text.
fn address(text: &str) -> Option<IpAddr> {
    let parsed = text.parse().ok().or_else(|| text.parse().ok().map(|address: std::net::SocketAddr| address.ip()));
    parsed.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let pairs = values.iter().map(|value| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()));
        pairs.collect()
    }

    #[test]
    fn ids_of_safe_characters_and_length_are_taken_over() {
        let long = "x".repeat(LONGEST_ID);
        for id in ["7f3b-1", "Root=1-67891233-abcdef012345678912345678;Self=1-5", long.as_str()] {
            assert_eq!(given_id(&headers("x-request-id", &[id])), Some(id));
        }
        let longer = "x".repeat(LONGEST_ID + 1);
        for ids in [&[][..], &[""], &["a b"], &["a\"b"], &["<a>"], &["a", "a"], &["é"], &[longer.as_str()]] {
            assert_eq!(given_id(&headers("x-request-id", ids)), None, "{ids:?}");
        }
    }

    #[test]
    fn the_client_is_the_last_address_that_no_trusted_proxy_has() {
        let trusts = |address: IpAddr| address.to_string().starts_with("10.");
        for (lines, client) in [
            (&["203.0.113.7"][..], Some("203.0.113.7")),
            (&["198.51.100.1, 203.0.113.7, 10.0.0.1"], Some("203.0.113.7")),
            (&["198.51.100.1", "203.0.113.7,10.0.0.1"], Some("203.0.113.7")),
            (&["10.0.0.3, 10.0.0.2"], Some("10.0.0.3")),
            (&["203.0.113.7:5000, 10.0.0.1"], Some("203.0.113.7")),
            (&["[2001:db8::7]:5000"], Some("2001:db8::7")),
            (&["203.0.113.7, unknown, 10.0.0.1"], Some("10.0.0.1")),
            (&["unknown"], None),
            (&[], None),
        ] {
            let found = forwarded_client(&headers("x-forwarded-for", lines), trusts);
            assert_eq!(found.map(|address| address.to_string()).as_deref(), client, "{lines:?}");
        }
    }
}
