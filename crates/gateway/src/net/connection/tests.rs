use super::*;

#[test]
fn a_failed_handshake_has_a_reason_in_words() {
    for (text, reason) in [
        (
            " TLSHandshakeFailure context: TLS connect() failed: error:0A00010B:SSL routines:ssl3_get_record:wrong \
             version number:../ssl/record/ssl3_record.c:354:, SNI: people.test cause: local address 127.0.0.1:1",
            "wrong version number",
        ),
        (" TLSHandshakeFailure context: TLS connect() failed: unexpected EOF, SNI: people.test", "unexpected EOF"),
        (" TLSHandshakeFailure context: ssl config error", "TLSHandshakeFailure context: ssl config error"),
    ] {
        assert_eq!(tls_reason(text), reason);
    }
}

#[test]
fn heads_frame_their_bodies_in_one_way_within_limits() {
    let many = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: 1\r\n".repeat(count));
    for (head, is_sound) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 200 OK\nX: a:b\nServer:\n\n".to_owned(), true),
        (many(MOST_LINES), true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nCONTENT-LENGTH:2\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n".to_owned(), false),
        ("HTTP/1.1 200 OK\r\nX: a\r\n\tContent-Length: 2\r\n\r\n".to_owned(), false),
        (many(MOST_LINES + 1), false),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(LARGEST_HEAD)), false),
    ] {
        let shown = head.chars().take(100).collect::<String>();
        assert_eq!(fault(head.as_bytes()).is_none(), is_sound, "{shown}: {:?}", fault(head.as_bytes()));
    }
}

#[test]
fn idle_connections_are_let_go_before_the_upstream_closes_them() {
    for (said, kept) in
        [("timeout=5", 4), ("timeout=5, max=100", 4), ("max=7, timeout=1", 1), ("timeout=900", 30), ("x", 30)]
    {
        let headers =
            HeaderMap::from_iter([(HeaderName::from_static("keep-alive"), http::HeaderValue::from_str(said).unwrap())]);
        assert_eq!(kept_for(&headers), Duration::from_secs(kept), "{said}");
    }
    assert_eq!(kept_for(&HeaderMap::new()), IDLE);
}

#[test]
fn a_connection_on_which_nothing_is_acknowledged_is_lost() {
    let of_system = |errno: Errno| {
        let cause = std::io::Error::from_raw_os_error(errno.raw_os_error());
        pingora::Error::because(ErrorType::ReadError, "while reading response headers", cause)
    };
    assert!(matches!(broken(&of_system(Errno::TIMEDOUT)), FetchError::Lost(_)));
    assert!(matches!(broken(&of_system(Errno::CONNRESET)), FetchError::Unavailable(_)));
    assert!(matches!(broken(&of_system(Errno::MFILE)), FetchError::Exhausted(_)));
}
