//! The PROXY protocol, versions 1 and 2 (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>): a head that a
//! proxy sends before the first byte of the client, and before TLS, with the client's address.

use std::{io, net::SocketAddr, time::Duration};

use proxy_header::{Error, ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The largest size of a head, in bytes. Even the heads of proxies that add certificates and names are far smaller. A
/// larger head is refused.
const LARGEST: usize = 4_096;

/// The size of the first read, in bytes. Most heads are shorter.
const FIRST_READ: usize = 512;

/// Reads a head. Returns the client's address and the bytes that arrived after the head. The address is `None` if the
/// proxy connects for itself, for example for a health check.
///
/// # Errors
///
/// Returns an error if no valid head of at most [`LARGEST`] bytes has arrived within `patience`.
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    patience: Duration,
) -> io::Result<(Option<SocketAddr>, Vec<u8>)> {
    // The time limit is for the whole head, not for each read. Test: `a_head_that_drips_times_out`.
    tokio::time::timeout(patience, read_head(stream)).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(Option<SocketAddr>, Vec<u8>)> {
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let mut bytes = vec![0; FIRST_READ];
    let mut length = 0;
    // Each iteration reads at least one byte, so there are at most `LARGEST` iterations.
    loop {
        let count = stream.read(&mut bytes[length..]).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        length += count;
        match ProxyHeader::parse(&bytes[..length], config) {
            Ok((head, end)) => {
                let client = head.proxied_address().map(|proxied| proxied.source);
                return Ok((client, bytes[end..length].to_vec()));
            }
            // A head that claims to be longer than `LARGEST` is refused. Test:
            // `bytes_that_are_not_a_proxy_protocol_head_are_refused`.
            Err(Error::BufferTooShort) if length < LARGEST => bytes.resize(LARGEST, 0),
            Err(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a head of version 2 with this command, this family with its protocol, and `covered`, the bytes that the
    /// length of the head counts.
    fn second(command: u8, family: u8, covered: &[u8]) -> Vec<u8> {
        let length = u16::try_from(covered.len()).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n", &[command, family][..], &length, covered].concat()
    }

    const IPV4: &[u8] = &[203, 0, 113, 9, 192, 0, 2, 1, 0x30, 0x39, 0x01, 0xbb];

    #[tokio::test]
    async fn heads_are_read_to_their_last_byte() {
        let ipv6 = [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[9], &[0; 16], &[0x30, 0x39, 0x01, 0xbb]].concat();
        let extended = [IPV4, &[0xee, 3, 0xe8], &[0; 1_000]].concat();
        let cases: [(Vec<u8>, Option<&str>); 9] = [
            (b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 443\r\n".to_vec(), Some("203.0.113.9:12345")),
            (b"PROXY TCP6 2001:db8::9 2001:db8::1 12345 443\r\n".to_vec(), Some("[2001:db8::9]:12345")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN 203.0.113.9 192.0.2.1 12345 443\r\n".to_vec(), None),
            (second(0x21, 0x11, IPV4), Some("203.0.113.9:12345")),
            (second(0x21, 0x21, &ipv6), Some("[2001:db8::9]:12345")),
            (second(0x20, 0x11, IPV4), None),
            (second(0x21, 0x00, b""), None),
            (second(0x21, 0x11, &extended), Some("203.0.113.9:12345")),
        ];
        for (head, client) in cases {
            let whole = [&head[..], b"GET / HTTP/1.1\r\n"].concat();
            // Each head is read once as a whole and once byte by byte.
            let mut drips = dripping(&whole);
            let patience = Duration::from_secs(60);
            let (at_once, rest) = read(&mut &whole[..], patience).await.unwrap();
            assert_eq!(at_once.map(|address| address.to_string()).as_deref(), client, "{head:?}");
            let left = whole.len().min(FIRST_READ.max(if head.len() > FIRST_READ { LARGEST } else { 0 }));
            assert_eq!(rest, whole[head.len()..left.max(head.len())], "{head:?}");
            let (dripped, rest) = read(&mut drips, patience).await.unwrap();
            assert_eq!((dripped, &rest[..]), (at_once, &b""[..]), "{head:?}");
        }
    }

    /// Returns a stream that returns one byte for each read.
    fn dripping(bytes: &[u8]) -> impl AsyncRead + Unpin + use<> {
        struct Drips(std::collections::VecDeque<u8>);
        impl AsyncRead for Drips {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
                into: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<io::Result<()>> {
                into.put_slice(&self.0.pop_front().map_or(vec![], |byte| vec![byte]));
                std::task::Poll::Ready(Ok(()))
            }
        }
        Drips(bytes.iter().copied().collect())
    }

    /// Row: A45
    #[tokio::test]
    async fn bytes_that_are_not_a_proxy_protocol_head_are_refused() {
        let long = [b"PROXY TCP4 ", &[b'1'; 200][..], b" 192.0.2.1 1 2\r\n"].concat();
        let huge = second(0x21, 0x11, &[IPV4, &[0; 8_000]].concat());
        let cases: [&[u8]; 12] = [
            b"",
            b"PROXY TCP4 203.0.113.9",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and further bytes of TLS",
            b"PROXY TCP5 203.0.113.9 192.0.2.1 12345 443\r\n",
            b"PROXY TCP4 999.0.113.9 192.0.2.1 12345 443\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 443\rX",
            &second(0x31, 0x11, IPV4),
            &long,
            &huge,
        ];
        for bytes in cases {
            let read = read(&mut &bytes[..], Duration::from_secs(60)).await;
            assert!(read.is_err(), "{:?}: {read:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[tokio::test]
    async fn a_head_that_drips_times_out() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        let error = read(&mut ours, Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(theirs);
    }
}
