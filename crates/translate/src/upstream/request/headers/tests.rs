//! The headers of requests to upstreams, and the headers about the origin of a request.

use super::*;

const ORIGIN: ClientOrigin<'static> = ClientOrigin {
    address: IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7)),
    host: Some("api.example.com"),
    scheme: "https",
    version: Version::HTTP_11,
};

fn map(fields: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
    }
    headers
}

/// Returns the headers of a request, without `Host`.
fn passed(
    client: &HeaderMap,
    origin: ClientOrigin<'_>,
    protected: &[HeaderName],
    dialect: &[(HeaderName, HeaderValue)],
    added: &[(HeaderName, HeaderValue)],
) -> Result<HeaderMap, HeaderRefusal> {
    let upstream = HeaderValue::from_static("people.internal");
    let all = request_headers(
        upstream.clone(),
        &HeaderValue::from_static("gzip"),
        client,
        origin,
        protected,
        dialect,
        added,
    )?;
    let mut fields = all.iter();
    assert_eq!(fields.next(), Some((&HOST, &upstream)));
    Ok(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
}

fn forwarded(fields: &[(&str, &str)], origin: ClientOrigin<'_>) -> Vec<(String, String)> {
    let headers = passed(&map(fields), origin, &[], &[], &[]).unwrap();
    headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

fn value_of<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(known, _)| known == name);
    let value = found.next().map(|(_, value)| value.as_str());
    assert!(found.next().is_none(), "{name} twice");
    value
}

#[test]
fn end_to_end_headers_are_forwarded() {
    let fields = [
        ("accept", "application/json"),
        ("authorization", "Bearer x"),
        ("cookie", "a=1"),
        ("accept-language", "de"),
        ("cache-control", "no-cache"),
        ("traceparent", "00-1-2-01"),
        ("x-tenant-id", "7"),
    ];
    let sent = forwarded(&fields, ORIGIN);
    for (name, value) in fields {
        assert_eq!(value_of(&sent, name), Some(value), "{name}");
    }
}

#[test]
fn headers_that_would_change_the_answer_are_withheld() {
    let withheld = [
        "host",
        "range",
        "if-none-match",
        "if-modified-since",
        "if-range",
        "expect",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "x_http_method_override",
        "proxy",
        "x-original-url",
        "X_Rewrite_Url",
        "content-type",
        "content-length",
        "content-encoding",
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "http2-settings",
    ];
    for name in withheld {
        let sent = forwarded(&[(name, "x")], ORIGIN);
        assert_eq!(value_of(&sent, name), None, "{name}");
    }
    let sent = forwarded(&[("accept-encoding", "br, gzip")], ORIGIN);
    assert_eq!(value_of(&sent, "accept-encoding"), Some("gzip"));
}

#[test]
fn nominated_headers_are_dropped_in_every_spelling() {
    let sent = forwarded(&[("connection", "close, X-Hop"), ("x-hop", "1"), ("x_hop", "2"), ("x-end", "3")], ORIGIN);
    assert_eq!(value_of(&sent, "x-hop"), None);
    assert_eq!(value_of(&sent, "x_hop"), None);
    assert_eq!(value_of(&sent, "x-end"), Some("3"));
}

/// Row: A16
#[test]
fn headers_of_principal_and_origin_cant_be_nominated() {
    let tenant = HeaderName::from_static("x-tenant-id");
    for name in [
        "Host",
        "authorization",
        "Cookie",
        "X-Forwarded-For",
        "x-forwarded-anything",
        "X_Forwarded_Host",
        "Forwarded",
        "x-real-ip",
        "X-Tenant-Id",
        "x_tenant_id",
    ] {
        for field in [name.to_owned(), format!("close ,\t{name}")] {
            let client = map(&[("connection", "keep-alive"), ("connection", &field)]);
            let refused = passed(&client, ORIGIN, std::slice::from_ref(&tenant), &[], &[]);
            assert!(matches!(refused, Err(HeaderRefusal::Nominated(_))), "{field}");
        }
    }
    let refused = passed(&map(&[("connection", "a b")]), ORIGIN, &[], &[], &[]);
    assert_eq!(refused, Err(HeaderRefusal::Connection));
}

/// Headers about the origin of a request, under the names that different proxies use.
const CLAIMS: [(&str, &str); 34] = [
    ("x-forwarded-for", "10.0.0.1"),
    ("x_forwarded_for", "10.0.0.2"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-port", "1"),
    ("forwarded", "for=10.0.0.1;host=evil.example"),
    ("x-real-ip", "10.0.0.1"),
    ("true-client-ip", "10.0.0.1"),
    ("cf-connecting-ip", "10.0.0.1"),
    ("x-client-ip", "10.0.0.1"),
    ("wl-proxy-client-ip", "10.0.0.1"),
    ("proxy-client-ip", "10.0.0.1"),
    ("x-proxyuser-ip", "10.0.0.1"),
    ("forwarded-for", "10.0.0.1"),
    ("http_x_forwarded_for", "10.0.0.1"),
    ("http_client_ip", "10.0.0.1"),
    ("cf-pseudo-ipv4", "240.0.0.1"),
    ("remote-addr", "10.0.0.1"),
    ("x-originating-ip", "10.0.0.1"),
    ("x-azure-socketip", "10.0.0.1"),
    ("x-appengine-user-ip", "10.0.0.1"),
    ("x-sucuri-clientip", "10.0.0.1"),
    ("ali-cdn-real-ip", "10.0.0.1"),
    ("cdn_src_ip", "10.0.0.1"),
    ("eo-connecting-ip", "10.0.0.1"),
    ("cloudfront-viewer-address", "10.0.0.1:1"),
    ("x-scheme", "https"),
    ("x-url-scheme", "https"),
    ("front-end-https", "on"),
    ("x-host", "evil.example"),
    ("x-original-host", "evil.example"),
    ("x_ssl_client", "CN=root"),
    ("x-ssl-client", "CN=root"),
];

/// Returns the origin headers that are kept from an unknown client, or from a trusted proxy that writes the headers in
/// `vouched`.
fn believed(vouched: &[&'static str], trusted: bool) -> Vec<&'static str> {
    let vouched: Vec<HeaderName> = vouched.iter().map(|name| HeaderName::from_static(name)).collect();
    let client = map(&CLAIMS);
    let dropped = unvouched(&client, None, &vouched, trusted);
    CLAIMS.iter().map(|(name, _)| *name).filter(|name| !dropped.iter().any(|dropped| dropped == name)).collect()
}

/// Row: A13
#[test]
fn unknown_clients_cant_state_their_origin() {
    assert!(OF_ORIGIN.is_sorted());
    assert_eq!(believed(&["x-forwarded-for", "x-forwarded-proto"], false), ["x_ssl_client", "x-ssl-client"]);
    // A header that a proxy writes, according to `vouched`, counts as a header about the origin, whatever its name.
    assert_eq!(believed(&["x-ssl-client"], false), [""; 0]);
}

/// Row: A13
#[test]
fn a_trusted_proxy_vouches_for_what_it_writes() {
    let usual = believed(&["x-forwarded-for", "x-forwarded-proto"], true);
    assert_eq!(usual, ["x-forwarded-for", "x-forwarded-proto", "x_ssl_client", "x-ssl-client"]);
    assert_eq!(believed(&["cf-connecting-ip", "x-ssl-client"], true), ["cf-connecting-ip", "x-ssl-client"]);
}

#[test]
fn the_origin_is_appended_to_that_of_a_trusted_proxy() {
    let claims = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-host", "public.example"),
        ("x-forwarded-proto", "http"),
    ];
    let sent = forwarded(&claims, ORIGIN);
    assert_eq!(value_of(&sent, "x-forwarded-for"), Some("203.0.113.9, 10.0.0.1, 192.0.2.7"));
    assert_eq!(value_of(&sent, "x-forwarded-host"), Some("public.example"));
    assert_eq!(value_of(&sent, "x-forwarded-proto"), Some("http"));
    let sent = forwarded(&[], ORIGIN);
    assert_eq!(value_of(&sent, "x-forwarded-for"), Some("192.0.2.7"));
    assert_eq!(value_of(&sent, "x-forwarded-host"), Some("api.example.com"));
    assert_eq!(value_of(&sent, "x-forwarded-proto"), Some("https"));
}

#[test]
fn a_client_without_an_address_adds_none() {
    let origin = ClientOrigin { address: "::".parse().unwrap(), ..ORIGIN };
    assert_eq!(value_of(&forwarded(&[], origin), "x-forwarded-for"), None);
    let earlier = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-for", "10.0.0.1")];
    assert_eq!(value_of(&forwarded(&earlier, origin), "x-forwarded-for"), Some("203.0.113.9, 10.0.0.1"));
}

#[test]
fn addresses_are_written_in_their_shortest_form() {
    for (address, told) in [
        ("192.0.2.7", "192.0.2.7"),
        ("0.10.100.255", "0.10.100.255"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0::0:7", "2001:db8::7"),
        ("::1", "::1"),
    ] {
        let origin = ClientOrigin { address: address.parse().unwrap(), ..ORIGIN };
        assert_eq!(value_of(&forwarded(&[], origin), "x-forwarded-for"), Some(told));
    }
}

#[test]
fn via_is_appended_with_the_protocol_it_came_by() {
    let headers = passed(&map(&[("via", "1.0 front")]), ORIGIN, &[], &[], &[]).unwrap();
    assert_eq!(headers.get_all(VIA).iter().collect::<Vec<_>>(), ["1.0 front", "1.1 cursorgate"]);
    let origin = ClientOrigin { version: Version::HTTP_2, ..ORIGIN };
    assert_eq!(value_of(&forwarded(&[], origin), "via"), Some("2 cursorgate"));
}

#[test]
fn headers_of_the_dialect_replace_those_of_the_client() {
    let dialect = [
        (HeaderName::from_static("range"), HeaderValue::from_static("0-24")),
        (HeaderName::from_static("prefer"), HeaderValue::from_static("count=exact")),
    ];
    let client = map(&[("range", "bytes=0-1"), ("prefer", "a"), ("prefer", "b")]);
    let headers = passed(&client, ORIGIN, &[], &dialect, &[]).unwrap();
    assert_eq!(headers.get_all("range").iter().collect::<Vec<_>>(), ["0-24"]);
    assert_eq!(headers.get_all("prefer").iter().collect::<Vec<_>>(), ["count=exact"]);
}

#[test]
fn a_forwarded_request_states_its_origin() {
    let client = map(&[("x-forwarded-for", "203.0.113.9"), ("x_via", "1"), ("via", "1.0 edge"), ("accept", "*/*")]);
    let text = |headers: &HeaderMap, name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (dropped, ours) = provenance(&client, ORIGIN, &[]);
    assert_eq!(dropped, [""; 0]);
    assert_eq!(text(&ours, "x-forwarded-for").as_deref(), Some("203.0.113.9, 192.0.2.7"));
    assert_eq!(text(&ours, "x-forwarded-host").as_deref(), Some("api.example.com"));
    assert_eq!(text(&ours, "x-forwarded-proto").as_deref(), Some("https"));
    assert_eq!(text(&ours, "via").as_deref(), Some("1.0 edge, 1.1 cursorgate"));
}

#[test]
fn lists_are_asked_for_as_json() {
    let dialect = [(ACCEPT, HeaderValue::from_static("application/vnd.people+json"))];
    for (accepted, bound) in [
        (&[][..], "application/json"),
        (&["text/html,application/xhtml+xml,*/*;q=0.8"], "application/json"),
        (&["*/*"], "application/json"),
        (&["text/html;profile=json"], "application/json"),
        (&["Application/JSON;q=0.9"], "Application/JSON;q=0.9"),
        (&["application/vnd.people.v2+json"], "application/vnd.people.v2+json"),
        (&["text/html, application/json"], "text/html, application/json"),
    ] {
        let fields: Vec<_> = accepted.iter().map(|value| ("accept", *value)).collect();
        assert_eq!(value_of(&forwarded(&fields, ORIGIN), "accept"), Some("application/json"), "{accepted:?}");
        // If cursors are bound to the media type, the type decides which list is requested.
        let sent = passed(&map(&fields), ORIGIN, &[ACCEPT], &[], &[]).unwrap();
        assert_eq!(sent.get(ACCEPT).map(HeaderValue::as_bytes), Some(bound.as_bytes()), "{accepted:?}");
        let headers = passed(&map(&fields), ORIGIN, &[], &dialect, &[]).unwrap();
        assert_eq!(headers.get_all(ACCEPT).iter().collect::<Vec<_>>(), ["application/vnd.people+json"]);
    }
}

#[test]
fn client_headers_that_resemble_headers_of_the_gateway_are_dropped() {
    let tenant = [HeaderName::from_static("x-tenant-id"), HeaderName::from_static("x_own_name")];
    let dialect = [(HeaderName::from_static("x-page-size"), HeaderValue::from_static("5"))];
    let added = [(HeaderName::from_static("x-api-key"), HeaderValue::from_static("ours"))];
    let client = map(&[
        ("x_tenant_id", "7"),
        ("X-Tenant_Id", "8"),
        ("x_page_size", "9"),
        ("x_api_key", "theirs"),
        ("x-api-key", "theirs"),
        ("x_own_name", "itself"),
        ("x_other", "passes"),
    ]);
    let headers = passed(&client, ORIGIN, &tenant, &dialect, &added).unwrap();
    let mut twins: Vec<_> = headers.keys().map(HeaderName::as_str).filter(|name| name.contains('_')).collect();
    twins.sort_unstable();
    assert_eq!(twins, ["x_other", "x_own_name"]);
    assert_eq!(headers.get_all("x-api-key").iter().collect::<Vec<_>>(), ["ours"]);
    let (dropped, _) = provenance(&client, ORIGIN, &added);
    assert_eq!(dropped, ["x_api_key"]);
}

#[test]
fn connection_based_authentication_is_distinguished_from_other_credentials() {
    for (name, value, of_connection) in [
        ("authorization", "Negotiate YII=", true),
        ("authorization", "NTLM TlR=", true),
        ("authorization", "Bearer negotiate", false),
        ("authorization", "Basic bnRsbQ==", false),
        ("www-authenticate", "Basic realm=\"a\", negotiate", true),
        ("www-authenticate", "NTLM", true),
        ("www-authenticate", "Bearer realm=\"people\"", false),
        ("x-other", "NTLM", false),
    ] {
        assert_eq!(authenticates_connection(&map(&[(name, value)])), of_connection, "{name}: {value}");
    }
}

#[test]
fn retry_after_is_limited_to_a_day() {
    const NOW: u64 = 1_700_000_000;
    let day = |after: u64| httpdate::fmt_http_date(UNIX_EPOCH + std::time::Duration::from_secs(NOW + after));
    for (said, left) in [
        ("0".to_owned(), Some("0".to_owned())),
        ("30".to_owned(), Some("30".to_owned())),
        ("86400".to_owned(), Some("86400".to_owned())),
        ("86401".to_owned(), Some("86400".to_owned())),
        ("99999999999999".to_owned(), Some("86400".to_owned())),
        ("9".repeat(40), Some("86400".to_owned())),
        ("-7".to_owned(), None),
        ("+7".to_owned(), None),
        ("1.5".to_owned(), None),
        ("soon".to_owned(), None),
        (String::new(), None),
        (day(60), Some(day(60))),
        (day(90_000), Some("86400".to_owned())),
        ("Sun, 06 Nov 1994 08:49:37 GMT".to_owned(), Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned())),
    ] {
        let mut headers = HeaderMap::from_iter([(RETRY_AFTER, said.parse().unwrap())]);
        bound_retry_after(&mut headers, NOW);
        let kept = headers.get(RETRY_AFTER).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(kept, left, "{said}");
    }
}
