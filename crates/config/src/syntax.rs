//! The syntax of texts: addresses, paths, places in an answer, names. Each function accepts a text, or returns the
//! fault of the text.

mod network;

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

pub(super) use network::{network, read_network};

use super::schema::SyntaxFault;
use cursorgate_core::pagination::order::{Direction, Grain};

pub(super) type Checked = Result<(), SyntaxFault>;

/// Accepts any text without control characters.
pub(super) fn line(text: &str) -> Checked {
    match text.find(char::is_control) {
        Some(_) => Err(SyntaxFault::new("the text has a control character", "write it in one line, without tabs")),
        None => Ok(()),
    }
}

/// Accepts any text whose only control characters are line ends and tabs.
pub(super) fn lines(text: &str) -> Checked {
    match text.find(|character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
        Some(_) => Err(SyntaxFault::new("the text has a control character", "write it without this character")),
        None => Ok(()),
    }
}

/// Accepts any text without control characters that isn't empty.
pub(super) fn name(text: &str) -> Checked {
    if text.is_empty() {
        return Err(SyntaxFault::new("the text is empty", "write a name, or remove the key"));
    }
    line(text)
}

/// Accepts a first cursor. No link has to encode it, and it can't be a cursor, or the word of the backward direction.
pub(super) fn first_cursor(text: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if text.is_empty() || text.len() > 64 || text == "end" || !text.bytes().all(allowed) {
        let help = "write a word of letters, digits, `_`, `-` and `.` that is no id; `end` is the last page";
        return Err(SyntaxFault::new(format!("{text:?} can't be the first cursor"), help));
    }
    Ok(())
}

/// Accepts the name of a listener, an upstream, a route, a dialect or an envelope, which appears in cursors, logs and
/// metrics.
pub(super) fn table_name(text: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
        return Err(SyntaxFault::new(
            format!("{text:?} is not a name"),
            "write at most 64 of the letters a-z A-Z, digits, `_`, `-` and `.`",
        ));
    }
    Ok(())
}

/// Accepts the path of a file or folder to include, or a pattern such as `routes/*.toml`.
pub(super) fn include(text: &str) -> Checked {
    if text.contains("**") {
        let help = "write a pattern for each level, such as \"teams/*/*.toml\"";
        return Err(SyntaxFault::new("`**` can't be included", help));
    }
    if let Err(error) = glob::Pattern::new(text) {
        let message = format!("{text:?} is not a pattern: {}", error.msg);
        return Err(SyntaxFault::new(message, "write a pattern such as \"routes/*.toml\", or a folder"));
    }
    name(text)
}

/// Accepts the address of a listener: an IP address with a port, or `unix:` and the absolute path of a socket.
pub(super) fn listen_address(text: &str) -> Checked {
    let Some(path) = text.strip_prefix("unix:") else { return address(text) };
    if !path.starts_with('/') {
        let help = "write an absolute path, such as \"unix:/run/cursorgate/public.sock\"";
        return Err(SyntaxFault::new(format!("{text:?} is not a path of a socket"), help.to_owned()));
    }
    if path.len() > SOCKET_PATH_MAX {
        let message = format!("the path of a socket has at most {SOCKET_PATH_MAX} bytes, and this one {}", path.len());
        return Err(SyntaxFault::new(message, "choose a shorter one".to_owned()));
    }
    Ok(())
}

/// The largest number of bytes in the path of a Unix socket: the size of `sun_path` on Linux without the terminating
/// zero. Longer paths are refused.
const SOCKET_PATH_MAX: usize = 107;

/// Accepts the permissions of a file in octal digits.
pub(super) fn mode(text: &str) -> Checked {
    match read_mode(text) {
        Some(_) => Ok(()),
        None => {
            Err(SyntaxFault::new(format!("{text:?} is not a mode"), "write octal digits, such as \"0660\"".to_owned()))
        }
    }
}

/// Reads the permissions of a file: three octal digits, with or without a leading zero. Returns `None` for other texts.
pub(super) fn read_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    let fits = digits.len() == 3 && digits.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    fits.then(|| u32::from_str_radix(digits, 8).ok())?
}

/// Accepts an IP address and a port.
pub(super) fn address(text: &str) -> Checked {
    if text.parse::<SocketAddr>().is_ok() {
        return Ok(());
    }
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let port = if is_port(port) { port } else { "8080" };
    let meant = match host {
        "localhost" => format!("127.0.0.1:{port}"),
        host if host.parse::<IpAddr>().is_ok() => format!("{host}:{port}"),
        _ => format!("0.0.0.0:{port}"),
    };
    Err(SyntaxFault::new(
        format!("{text:?} is not an address to listen on"),
        format!("write an IP address and a port, such as \"{meant}\"; names are not resolved"),
    ))
}

/// Accepts a peer: `host:port`, with the port from 1 to 65535.
pub(super) fn peer(text: &str) -> Checked {
    let fault = |help: String| Err(SyntaxFault::new("a peer is host:port", help));
    if let Some((scheme, rest)) = text.split_once("://") {
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // The help must not repeat a password, so the part before the `@` is dropped. Test:
        // `peers_are_hosts_with_ports`.
        let authority = authority.rsplit('@').next().unwrap_or(authority);
        let secure = scheme.eq_ignore_ascii_case("https");
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| is_port(port));
        let port = match (has_port, secure) {
            (true, _) => "",
            (false, true) => ":443",
            (false, false) => ":80",
        };
        let tls = if secure { " and add tls = {}" } else { "" };
        let path = path.trim_end_matches('/');
        let base = if path.is_empty() { String::new() } else { format!("; base_path = \"/{path}\"") };
        return fault(format!("write \"{authority}{port}\"{tls}{base}"));
    }
    if text.contains('@') {
        return fault("leave out the part before the `@`; credentials go into `headers`".into());
    }
    if let Some((authority, path)) = text.split_once('/') {
        return fault(format!("write \"{authority}\", and base_path = \"/{path}\""));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return fault(format!("write \"{text}:8000\" with its port"));
    };
    if number::<u16>(port).is_none_or(|port| port == 0) {
        return fault("a port is a number from 1 to 65535".into());
    }
    if is_host(host) {
        return Ok(());
    }
    fault("a host is a name such as people.internal, or an address; IPv6 in brackets".into())
}

/// Accepts the address of a server of Redis or Valkey: `host:port`.
pub(super) fn store_address(text: &str) -> Checked {
    server_address(text, "6379", "rediss")
}

/// Accepts the address of a server of PostgreSQL: `host:port`.
pub(super) fn postgres_address(text: &str) -> Checked {
    server_address(text, "5432", "")
}

/// Accepts `host:port`. If the text is a URL, the help suggests `usual_port` for a missing port, and `tls` if the
/// scheme is `secure`.
fn server_address(text: &str, usual_port: &str, secure: &str) -> Checked {
    let fault = |help: String| Err(SyntaxFault::new("an address of the store is host:port", help));
    if let Some((scheme, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?']).next().unwrap_or(rest);
        let (user, server) = authority.rsplit_once('@').map_or(("", authority), |(user, server)| (user, server));
        let port = if server.rsplit_once(':').is_some() { String::new() } else { format!(":{usual_port}") };
        let tls = if scheme.eq_ignore_ascii_case(secure) { ", tls = {}" } else { "" };
        let user = if user.is_empty() { "" } else { ", username and password = \"env:NAME\"" };
        return fault(format!("write \"{server}{port}\"{tls}{user}"));
    }
    if text.contains('@') {
        return fault("leave out the part before the `@`; write username and password = \"env:NAME\"".into());
    }
    if !text.contains(':') {
        return fault(format!("write \"{text}:{usual_port}\" with its port"));
    }
    peer(text).map_err(|fault| SyntaxFault::new("an address of the store is host:port", fault.help))
}

/// Accepts the beginning of the names in the store. Braces are refused, because a Redis cluster chooses the node by the
/// text within braces.
pub(super) fn store_prefix(text: &str) -> Checked {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(is_plain) {
        return Ok(());
    }
    let help = "write letters, digits and `.` `_` `-` `/` `:`, at most 64 of them";
    Err(SyntaxFault::new(format!("{text:?} is not a prefix of keys"), help))
}

/// Accepts the host of a route, without a port.
pub(super) fn host(text: &str) -> Checked {
    if is_host(text) {
        return Ok(());
    }
    let help = if text.contains("://") || text.contains('/') {
        "leave out the scheme and the path"
    } else if text.contains(':') {
        "leave out the port: a route answers for its host on every port"
    } else if text.contains('*') {
        "name each host; a route without `hosts` answers for all"
    } else {
        "write a name such as api.example.com"
    };
    Err(SyntaxFault::new(format!("{text:?} is not a host"), help))
}

/// Accepts an origin as browsers send it (RFC 6454 section 6.2), or `*`.
pub(super) fn origin(text: &str) -> Checked {
    if text == "*" {
        return Ok(());
    }
    let fault = |help: String| Err(SyntaxFault::new(format!("{text:?} is not an origin"), help));
    let Some((scheme, authority)) = text.split_once("://") else {
        let help = match text {
            "null" => "all files and sandboxed pages send null, so it identifies no origin",
            _ => "write https:// and the host, or \"*\" for all",
        };
        return fault(help.to_owned());
    };
    if text.contains('*') {
        return fault("name each origin, or write \"*\" for all".to_owned());
    }
    if let Some((host, _)) = authority.split_once(['/', '?', '#']) {
        return fault(format!("an origin has no path: write \"{scheme}://{host}\""));
    }
    let lower = text.to_ascii_lowercase();
    let short = match lower.split_once(':') {
        Some(("https", _)) => lower.strip_suffix(":443"),
        Some(("http", _)) => lower.strip_suffix(":80"),
        _ => None,
    };
    if let Some(short) = short {
        return fault(format!("browsers leave out the default port: write {short:?}"));
    }
    // The last colon of `[::1]` is a part of the address, and no port follows it.
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.contains(']')) {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if is_host(host) && is_scheme && port.is_none_or(is_port) {
        return Ok(());
    }
    fault("write the scheme, the host, and the port if it is not the default".to_owned())
}

/// Accepts a value of the header `Host`: a host, with or without a port.
pub(super) fn host_header(text: &str) -> Checked {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if is_host(host) && port.is_none_or(is_port) {
        return Ok(());
    }
    Err(SyntaxFault::new(
        format!("{text:?} is not a host"),
        "write a name such as api.example.com, with its port if it has one",
    ))
}

/// Returns whether a string is the name of a host, an IPv4 address, or an IPv6 address in brackets.
fn is_host(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok(),
        None => is_host_name(text),
    }
}

fn is_port(text: &str) -> bool {
    number::<u16>(text).is_some()
}

/// Parses a number. A sign is refused, although [`str::parse`] would accept it.
fn number<N: FromStr>(text: &str) -> Option<N> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_host_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !text.is_empty() && text.len() <= 253 && text.bytes().all(allowed) && !text.starts_with(['.', '-'])
}

/// Accepts the beginning of links: an absolute URL without query and fragment.
pub(super) fn base_url(text: &str) -> Checked {
    if text.contains(['?', '#']) {
        return Err(SyntaxFault::new(
            format!("{text:?} can't be the beginning of links"),
            "leave out the query and the fragment",
        ));
    }
    url(text)
}

/// Accepts an absolute URL that begins with `http://` or `https://`.
pub(super) fn url(text: &str) -> Checked {
    let fault = |help: &str| Err(SyntaxFault::new(format!("{text:?} is not a URL"), help));
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return fault("write https:// and the host first");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let port = authority.rsplit_once(':').filter(|(host, port)| !host.is_empty() && !port.ends_with(']'));
    let host = port.map_or(authority, |(host, _)| host);
    if !is_host(host) || port.is_some_and(|(_, port)| !is_port(port)) {
        return fault("a host follows https://, with or without a port");
    }
    // Such URLs are sent in headers, so characters with a meaning there are refused. Test:
    // `urls_have_a_host_and_nothing_that_breaks_a_header`.
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if text.bytes().all(allowed) { Ok(()) } else { fault("write other characters as %XX") }
}

/// Accepts the beginning of problem types: a URL or another URI.
pub(super) fn uri(text: &str) -> Checked {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let is_scheme =
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if is_scheme && text.bytes().all(allowed) {
        return Ok(());
    }
    Err(SyntaxFault::new(
        format!("{text:?} is not a URI"),
        "write a URI such as \"https://docs.example.com/problems/\"; a code is appended",
    ))
}

/// Accepts the beginning of every path of an upstream: an empty text, or a path.
pub(super) fn base_path(text: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"?#{}\"<>\\^`|".contains(&byte);
    if text.is_empty() || (text.starts_with('/') && text.bytes().all(allowed)) {
        return Ok(());
    }
    Err(SyntaxFault::new(format!("{text:?} is not a path"), "write a path such as \"/v1\", which begins with `/`"))
}

/// Accepts the path of a service: a path other than the root, without a query and a final slash.
pub(super) fn service_path(text: &str) -> Checked {
    if text.len() > 1 && !text.ends_with('/') && base_path(text).is_ok() {
        return Ok(());
    }
    let help = "write a path such as \"/bulk\", which begins with `/` and does not end with it";
    Err(SyntaxFault::new(format!("{text:?} is not the path of a service"), help))
}

/// Accepts the method and the path of a type of operations, such as `PATCH /users/{id}`.
pub(super) fn operation_type(text: &str) -> Checked {
    const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_valid = text.split_once(' ').is_some_and(|(method, path)| {
        let mut parts = path.split('{');
        let mut plain = parts.next().unwrap_or_default().to_owned();
        let are_names = parts.all(|part| {
            let Some((name, rest)) = part.split_once('}') else { return false };
            plain.push('x');
            plain.push_str(rest);
            is_name(name)
        });
        METHODS.contains(&method) && are_names && plain.starts_with('/') && base_path(&plain).is_ok()
    });
    if is_valid {
        return Ok(());
    }
    let help = "write a method and a path with names in braces, such as \"PATCH /users/{id}\"";
    Err(SyntaxFault::new(format!("{text:?} is not an operation"), help))
}

/// Accepts a type of events, such as `order.paid`.
pub(super) fn event_type(text: &str) -> Checked {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    if text.len() <= 64 && text.contains('.') && text.split('.').all(is_part) {
        return Ok(());
    }
    let help = "write words of lowercase letters, digits and `_` with dots between, such as \"order.paid\"";
    Err(SyntaxFault::new(format!("{text:?} is not a type of events"), help))
}

/// Accepts the name of a field in GraphQL (<https://spec.graphql.org/October2021/#Name>). Names that begin with two
/// underscores are reserved for GraphQL itself.
pub(super) fn graphql_name(text: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let begins = text.bytes().next().is_some_and(|first| !first.is_ascii_digit());
    if begins && text.len() <= 64 && text.bytes().all(allowed) && !text.starts_with("__") {
        return Ok(());
    }
    let help = "write letters, digits and `_`, at most 64, with no digit and no `__` in front";
    Err(SyntaxFault::new(format!("{text:?} is not a name in GraphQL"), help))
}

/// Accepts an origin as browsers send it, but not `*`.
pub(super) fn one_origin(text: &str) -> Checked {
    if text == "*" {
        let help = "name each origin: any page could use the tools with what its reader may see";
        return Err(SyntaxFault::new(format!("{text:?} is not an origin"), help));
    }
    origin(text)
}

/// The largest number of bytes in a list's name in the names of its tools. Longer names are refused. With the prefix
/// `export_` the name of a tool has at most 64 bytes, which all models accept.
const LONGEST_TOOL: usize = 57;

/// Accepts the name of a list in the names of its tools.
pub(super) fn tool_name(text: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !text.is_empty() && text.len() <= LONGEST_TOOL && text.bytes().all(allowed) {
        return Ok(());
    }
    let help = format!("write letters, digits, `_` and `-`, at most {LONGEST_TOOL}");
    Err(SyntaxFault::new(format!("{text:?} is not a name for tools"), help))
}

/// Accepts a path with a query, such as that of a health check.
pub(super) fn check_path(text: &str) -> Checked {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte);
    if text.starts_with('/') && text.bytes().all(allowed) {
        return Ok(());
    }
    let help = "write a path such as \"/health\", which begins with `/`, with other characters encoded";
    Err(SyntaxFault::new(format!("{text:?} is not a path"), help))
}

/// Accepts the address of a DNS server: an IP address with a port.
pub(super) fn resolver(text: &str) -> Checked {
    if text.parse::<SocketAddr>().is_ok_and(|address| address.port() > 0) {
        return Ok(());
    }
    let help = "write an IP address and a port, such as \"10.0.0.2:53\"";
    Err(SyntaxFault::new(format!("{text:?} is not an address of a DNS server"), help))
}

/// Accepts a date and time with its offset (RFC 3339), such as `2027-01-10T08:00:00Z`. Times before 1970 are refused.
pub(super) fn moment(text: &str) -> Checked {
    match read_moment(text) {
        Some(_) => Ok(()),
        None => Err(SyntaxFault::new(format!("{text:?} is not a time"), "write \"2027-01-10T08:00:00Z\"")),
    }
}

/// Reads a time that [`moment`] accepts, as seconds since 1970. Returns `None` for other texts.
pub(super) fn read_moment(text: &str) -> Option<u64> {
    let moment = chrono::DateTime::parse_from_rfc3339(text).ok()?;
    u64::try_from(moment.timestamp()).ok()
}

/// Accepts the name of a header.
pub(super) fn header_name(text: &str) -> Checked {
    match http::HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(()),
        Err(_) => Err(SyntaxFault::new(format!("{text:?} is not a header"), "write a name such as \"X-Tenant-Id\"")),
    }
}

/// Accepts the path of an entry: the root, or the path of a service.
pub(super) fn entry_path(text: &str) -> Checked {
    if text == "/" { Ok(()) } else { service_path(text) }
}

/// Accepts the name of a header for events. The header is removed from answers, so a header that clients need is refused.
pub(super) fn event_header(text: &str) -> Checked {
    header_name(text)?;
    if text.to_ascii_lowercase().contains("event") {
        return Ok(());
    }
    let help = "write a name such as \"Cursorgate-Event\": clients don't get this header";
    Err(SyntaxFault::new(format!("{text:?} doesn't name events"), help))
}

/// Accepts a word of `identity`, such as "cookie:session".
pub(super) fn identity(text: &str) -> Checked {
    let help = "write \"jwt:sub\", \"answer:/id\", \"cookie:session\", \"header:X-User\", \"parameter:api_key\" or \
                \"certificate\"";
    let fault = |message: String| Err(SyntaxFault::new(message, help));
    match text.split_once(':') {
        Some((_, "")) => fault(format!("{text:?} names nothing")),
        Some(("header", name)) => header_name(name),
        Some(("cookie", name)) if !name.bytes().all(is_token) => fault(format!("{name:?} is not the name of a cookie")),
        Some(("cookie" | "parameter" | "jwt", _)) => Ok(()),
        Some(("answer", place)) if place.starts_with('/') => member_pointer(place),
        Some(("answer", name)) => header_name(name),
        None if text == "certificate" => Ok(()),
        _ => fault(format!("{text:?} identifies nobody")),
    }
}

/// Returns whether a byte may be in a token of HTTP (RFC 9110, section 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Accepts a JSON Pointer (RFC 6901), which may also contain steps such as `[rel=next]`.
pub(super) fn pointer(text: &str) -> Checked {
    if text.is_empty() || text.starts_with('/') {
        return Ok(());
    }
    let meant = pointer_meant(text);
    Err(SyntaxFault::new(
        format!("{text:?} is not a place in an answer"),
        format!("for this member write {meant:?} (JSON Pointer); \"\" is the whole body"),
    ))
}

/// Accepts `s3://BUCKET` or `s3://BUCKET/PREFIX`. Only letters that no part of a request or of its signature writes in
/// another way are accepted.
pub(super) fn bucket(text: &str) -> Checked {
    let is_name = |name: &str| {
        let ends = name.starts_with('-') || name.ends_with('-') || name.starts_with('.') || name.ends_with('.');
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        (3..=63).contains(&name.len()) && !ends && name.bytes().all(is_letter)
    };
    let is_step = |step: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        !matches!(step, "" | "." | "..") && step.bytes().all(is_letter)
    };
    let (name, prefix) = read_bucket(text);
    if text.len() <= 255
        && text.starts_with("s3://")
        && is_name(name)
        && prefix.is_none_or(|text| text.split('/').all(is_step))
    {
        return Ok(());
    }
    Err(SyntaxFault::new(
        format!("{text:?} is not a bucket"),
        "write \"s3://BUCKET\" or \"s3://BUCKET/PREFIX\", the prefix of letters, digits, `-`, `_`, `.` and `/`",
    ))
}

/// Returns the name of a bucket, and the prefix without its last `/`; `None` without a prefix.
pub(super) fn read_bucket(text: &str) -> (&str, Option<&str>) {
    let rest = text.strip_prefix("s3://").unwrap_or(text);
    rest.split_once('/').map_or((rest, None), |(name, prefix)| (name, Some(prefix.trim_end_matches('/'))))
}

/// Accepts the name of a region, such as `eu-central-1`.
pub(super) fn region(text: &str) -> Checked {
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Ok(());
    }
    Err(SyntaxFault::new(format!("{text:?} is not a region"), "write a name such as \"eu-central-1\""))
}

/// Accepts a pointer to a member of an item. The empty pointer, which is the whole item, is refused.
pub(super) fn member_pointer(text: &str) -> Checked {
    if text.is_empty() {
        return Err(SyntaxFault::new(
            "an empty pointer is the whole element, not a member",
            "write a pointer such as \"/created_at\" (JSON Pointer)",
        ));
    }
    if text.starts_with('/') {
        return Ok(());
    }
    let message = format!("{text:?} is not a place in an element");
    Err(SyntaxFault::new(message, format!("for this member write {:?} (JSON Pointer)", pointer_meant(text))))
}

/// Accepts a pointer to a member of a request's body.
pub(super) fn body_pointer(text: &str) -> Checked {
    if text.starts_with('/') {
        return Ok(());
    }
    let message = format!("{text:?} is not a member of a body");
    Err(SyntaxFault::new(message, format!("for this member write {:?} (JSON Pointer)", pointer_meant(text))))
}

/// Accepts a place in an answer: a JSON Pointer, `header:NAME`, `link:REL`, `link:REL;NAME=VALUE` or
/// `content-range:PART`.
pub(super) fn place(text: &str) -> Checked {
    let Some((kind, name)) = text.split_once(':').filter(|_| !text.starts_with('/')) else {
        return pointer(text);
    };
    match kind {
        "header" => header_name(name),
        "link" if name.bytes().all(|byte| byte.is_ascii_graphic()) && is_link(name) => Ok(()),
        "link" => Err(SyntaxFault::new(
            format!("{text:?} is not a place in an answer"),
            "write \"link:REL\", or \"link:REL;NAME=VALUE\" for a parameter that the link must have, with its value \
             without quotes",
        )),
        "content-range" if ["start", "end", "total"].contains(&name) => Ok(()),
        "content-range" => Err(SyntaxFault::new(
            format!("{text:?} is not a place in an answer"),
            "Content-Range has start, end and total",
        )),
        _ => Err(SyntaxFault::new(
            format!("{text:?} is not a place in an answer"),
            "write \"/a/b\" (JSON Pointer), \"header:NAME\", \"link:REL\" or \"content-range:total\"",
        )),
    }
}

/// Returns whether this is a relation of links, alone or with a parameter, such as `next;results=true`.
fn is_link(text: &str) -> bool {
    let (relation, parameter) = text.split_once(';').map_or((text, None), |(rel, rest)| (rel, Some(rest)));
    let is_parameter = |text: &str| {
        text.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.contains(['"', ';', ',']))
    };
    !relation.is_empty() && parameter.is_none_or(is_parameter)
}

/// Converts a path such as `data.users` or `$.data.users[0]` to a JSON Pointer, for help texts.
fn pointer_meant(text: &str) -> String {
    let path = text.trim_start_matches('$').replace('[', ".").replace([']', '"', '\''], "");
    let steps = path.split(['.', '/']).filter(|step| !step.is_empty());
    steps.map(|step| format!("/{step}")).collect()
}

/// Accepts a term of an order, such as `-created_at`.
pub(super) fn sort_term(text: &str) -> Checked {
    let field = read_sort_term(text).0;
    if is_field(field) && !has_direction(field) {
        return Ok(());
    }
    let lower = text.to_lowercase();
    let mut words =
        lower.split(|character: char| !(character.is_alphanumeric() || character == '_' || character == '-'));
    let descending = words.any(|word| word.starts_with("desc"));
    let field = text
        .split(|character: char| !(character.is_alphanumeric() || character == '_'))
        .find(|word| {
            !word.is_empty() && !["asc", "desc", "ascending", "descending"].contains(&word.to_lowercase().as_str())
        })
        .unwrap_or("created_at");
    let help = if descending {
        format!("write \"-{field}\" for descending")
    } else {
        format!("write \"{field}\" for ascending, \"-{field}\" for descending")
    };
    Err(SyntaxFault::new(format!("{text:?} is not a sort key"), help))
}

/// Splits a term that [`sort_term`] accepts into its field and its direction.
pub(super) fn read_sort_term(text: &str) -> (&str, Direction) {
    match text.strip_prefix('-') {
        Some(field) => (field, Direction::Descending),
        None => (text.strip_prefix('+').unwrap_or(text), Direction::Ascending),
    }
}

/// Accepts the name of a field without a direction.
pub(super) fn field(text: &str) -> Checked {
    if is_field(text) && !has_direction(text) {
        return Ok(());
    }
    let help = match text.strip_prefix(['-', '+']) {
        Some(field) => format!("write \"{field}\", without a direction"),
        None => "write only its name, without a direction".to_owned(),
    };
    Err(SyntaxFault::new(format!("{text:?} is not a field"), help))
}

/// Accepts a grain: `day`, `s`, `ms` or `us`, or for numbers `1`, `0.1`, `0.01` and so on.
pub(super) fn grain(text: &str) -> Checked {
    if read_grain(text).is_some() {
        return Ok(());
    }
    let meant = text.strip_prefix('1').filter(|unit| read_grain(unit).is_some());
    let meant = meant.map(|unit| format!("did you mean {unit:?}? ")).unwrap_or_default();
    let help =
        format!("{meant}write \"day\", \"s\", \"ms\" or \"us\" for dates and times, \"1\" or \"0.01\" for numbers");
    Err(SyntaxFault::new(format!("{text:?} is not a grain"), help))
}

/// Returns the grain of a text that [`grain`] accepts; `None` for other texts.
pub(super) fn read_grain(text: &str) -> Option<Grain> {
    Some(match text {
        "day" => Grain::Day,
        "s" | "1" => Grain::Digits(0),
        "ms" => Grain::Digits(3),
        "us" => Grain::Digits(6),
        _ => {
            let zeros = text.strip_prefix("0.")?.strip_suffix('1')?;
            let plain = zeros.len() < 12 && zeros.bytes().all(|digit| digit == b'0');
            Grain::Digits(u8::try_from(zeros.len()).ok().filter(|_| plain)? + 1)
        }
    })
}

fn is_field(text: &str) -> bool {
    let allowed = |character: char| character.is_alphanumeric() || "_-./@:$".contains(character);
    !text.is_empty() && text.len() <= 128 && !text.starts_with(['-', '+']) && text.chars().all(allowed)
}

fn has_direction(field: &str) -> bool {
    // `created_at.desc` is a term with a direction in other grammars, so it isn't accepted as the name of a field.
    // Test: `sort_terms_say_their_direction_by_a_sign`.
    let last = field.rsplit(['.', ':', '/']).next().filter(|last| last.len() < field.len());
    last.is_some_and(|last| ["asc", "desc"].contains(&last.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests;
