use super::*;
use crate::settings::UNIX_CLIENT;

fn help(check: fn(&str) -> Checked, text: &str) -> String {
    check(text).err().map(|wrong| wrong.help).unwrap_or_default()
}

#[test]
fn peers_are_hosts_with_ports() {
    for right in ["people.internal:8000", "10.0.0.1:80", "[::1]:8080", "shop_1:1"] {
        assert_eq!(peer(right), Ok(()), "{right}");
    }
    let cases = [
        ("https://shop.internal:8443", "write \"shop.internal:8443\" and add tls = {}"),
        ("http://shop.internal", "write \"shop.internal:80\""),
        ("https://u:p@shop.internal/v1/", "write \"shop.internal:443\" and add tls = {}; base_path = \"/v1\""),
        ("http://shop.internal:80/", "write \"shop.internal:80\""),
        ("shop.internal", "write \"shop.internal:8000\" with its port"),
        ("shop.internal:80/v1", "write \"shop.internal:80\", and base_path = \"/v1\""),
        ("shop.internal:0", "a port is a number from 1 to 65535"),
        ("shop.internal:+80", "a port is a number from 1 to 65535"),
        ("a b:80", "a host is a name such as people.internal, or an address; IPv6 in brackets"),
        ("::1:80", "a host is a name such as people.internal, or an address; IPv6 in brackets"),
    ];
    for (wrong, meant) in cases {
        assert_eq!(help(peer, wrong), meant, "{wrong}");
    }
}

#[test]
fn addresses_to_listen_on_are_numeric() {
    assert_eq!(address("127.0.0.1:0"), Ok(()));
    assert_eq!(address("[::]:8080"), Ok(()));
    assert!(help(address, "localhost:9000").starts_with("write an IP address and a port, such as \"127.0.0.1:9000\""));
    assert!(help(address, ":8080").starts_with("write an IP address and a port, such as \"0.0.0.0:8080\""));
    assert!(help(address, "10.0.0.1").starts_with("write an IP address and a port, such as \"10.0.0.1:8080\""));
}

#[test]
fn networks_have_nothing_after_their_prefix() {
    for right in ["10.20.0.0/16", "0.0.0.0/0", "127.0.0.1", "2001:db8::/32", "::/0"] {
        assert_eq!(network(right), Ok(()), "{right}");
    }
    assert_eq!(help(network, "10.20.1.5/16"), "write \"10.20.0.0/16\", or a longer prefix");
    assert_eq!(help(network, "2001:db8::1/32"), "write \"2001:db8::/32\", or a longer prefix");
    assert_eq!(help(network, "::ffff:10.20.1.5/112"), "write \"10.20.0.0/16\", or a longer prefix");
    assert!(network("::ffff:10.20.0.0/90").is_err());
    for wrong in ["10.20.0.0/33", "internal", "10.0.0.0/", "10.0.0.0/+8", "::ffff:10.0.0.0/129", ""] {
        assert!(help(network, wrong).starts_with("write a network such as"), "{wrong}");
    }
}

#[test]
fn places_are_pointers_or_headers() {
    for right in [
        "",
        "/a/b",
        "header:X-Total-Count",
        "link:next",
        "link:next;results=true",
        "content-range:total",
        "/links/[rel=next]/href",
    ] {
        assert_eq!(place(right), Ok(()), "{right}");
    }
    let cases = [
        ("data.users", "for this member write \"/data/users\" (JSON Pointer); \"\" is the whole body"),
        ("$.data[0].users", "for this member write \"/data/0/users\" (JSON Pointer); \"\" is the whole body"),
        ("content-range:size", "Content-Range has start, end and total"),
        ("headers:X", "write \"/a/b\" (JSON Pointer), \"header:NAME\", \"link:REL\" or \"content-range:total\""),
        (
            "link:next;results",
            "write \"link:REL\", or \"link:REL;NAME=VALUE\" for a parameter that the link must have, with its value \
             without quotes",
        ),
        ("header:X Total", "write a name such as \"X-Tenant-Id\""),
    ];
    for (wrong, meant) in cases {
        assert_eq!(help(place, wrong), meant, "{wrong}");
    }
}

#[test]
fn sort_terms_say_their_direction_by_a_sign() {
    for right in ["created_at", "-created_at", "+email", "author.name", "id"] {
        assert_eq!(sort_term(right), Ok(()), "{right}");
    }
    let cases = [
        ("created_at desc", "write \"-created_at\" for descending"),
        ("created_at.desc", "write \"-created_at\" for descending"),
        ("desc(created_at)", "write \"-created_at\" for descending"),
        ("created_at ASC", "write \"created_at\" for ascending, \"-created_at\" for descending"),
        ("", "write \"created_at\" for ascending, \"-created_at\" for descending"),
        ("--a", "write \"a\" for ascending, \"-a\" for descending"),
    ];
    for (wrong, meant) in cases {
        assert_eq!(help(sort_term, wrong), meant, "{wrong}");
    }
    assert_eq!(help(field, "-email"), "write \"email\", without a direction");
}

#[test]
fn urls_have_a_host_and_nothing_that_breaks_a_header() {
    for right in ["https://api.example.com", "http://127.0.0.1:8080/base", "https://[::1]:8443/x?y=1#z"] {
        assert_eq!(url(right), Ok(()), "{right}");
    }
    for wrong in [
        "api.example.com",
        "https://",
        "https://a b",
        "https://a/<x>",
        "https://u:p@a",
        "https://u:p@[::1]",
        "https://a:port",
        "https://a:+80",
        "https://[a]/",
        "https://[::1]x/",
    ] {
        assert!(url(wrong).is_err(), "{wrong}");
    }
    assert!(base_url("https://a/?x=1").is_err());
}

#[test]
fn hosts_in_brackets_are_addresses_and_ports_have_no_sign() {
    for right in ["api.example.com", "10.0.0.1", "[::1]", "[2001:db8::7]"] {
        assert_eq!(host(right), Ok(()), "{right}");
    }
    for wrong in ["[]", "[api.example.com]", "[a b]", "[::1", "[::1]:80"] {
        assert!(host(wrong).is_err(), "{wrong}");
    }
    assert_eq!((origin("https://[::1]:8443"), origin("https://a:8443")), (Ok(()), Ok(())));
    assert!(origin("https://a:+8443").is_err() && origin("https://[a]").is_err());
    assert_eq!(host_header("a:80"), Ok(()));
    assert!(host_header("a:+80").is_err());
}

#[test]
fn networks_contain_addresses() {
    for (network, address, within) in [
        ("10.20.0.0/16", "10.20.255.1", true),
        ("10.20.0.0/16", "10.21.0.1", false),
        ("10.20.0.0/16", "::ffff:10.20.1.1", true),
        ("::ffff:10.20.0.0/112", "10.20.1.1", true),
        ("::ffff:10.20.0.0/112", "::ffff:10.20.1.1", true),
        ("::ffff:10.20.0.0/112", "10.21.0.1", false),
        ("::ffff:127.0.0.1", "127.0.0.1", true),
        ("0.0.0.0/0", "192.0.2.1", true),
        ("0.0.0.0/0", "2001:db8::1", false),
        ("127.0.0.1", "127.0.0.2", false),
        ("2001:db8::/32", "2001:db8:7::1", true),
        ("::/0", "2001:db8::1", true),
        ("::1/128", "::1", true),
        ("::1/128", "::2", false),
    ] {
        assert_eq!(read_network(network).unwrap().contains(address.parse().unwrap()), within, "{network} {address}");
    }
    let unix = read_network("unix").unwrap();
    assert!(unix.contains(UNIX_CLIENT) && !unix.contains("::1".parse().unwrap()));
    assert!(!read_network("127.0.0.0/8").unwrap().contains(UNIX_CLIENT));
}

#[test]
fn modes_are_octal() {
    for (text, mode) in
        [("0660", Some(0o660)), ("600", Some(0o600)), ("0668", None), ("66", None), ("06600", None), ("rw-", None)]
    {
        assert_eq!(read_mode(text), mode, "{text}");
    }
}

#[test]
fn buckets_have_names_and_prefixes_that_are_written_in_one_way() {
    for (right, read) in [
        ("s3://exports", ("exports", None)),
        ("s3://my.exports-1/a/B_c.d", ("my.exports-1", Some("a/B_c.d"))),
        ("s3://exports/a/", ("exports", Some("a"))),
    ] {
        assert_eq!((bucket(right), read_bucket(right)), (Ok(()), read), "{right}");
    }
    for wrong in
        ["exports", "https://exports/a", "s3://", "s3://ab", "s3://Exports", "s3://-ab", "s3://abc/", "s3://abc//a"]
    {
        assert!(help(bucket, wrong).contains("s3://BUCKET/PREFIX"), "{wrong}");
    }
    for wrong in ["s3://abc/a b", "s3://abc/..", "s3://abc/a?b", "s3://abc/%61"] {
        assert!(bucket(wrong).is_err(), "{wrong}");
    }
    assert_eq!((region("eu-central-1"), region("").is_err(), region("a/b").is_err()), (Ok(()), true, true));
}
