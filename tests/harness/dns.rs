//! A DNS server inside the test. For every name it returns the addresses that the test sets, with a time to live of one
//! second, or answers that the name does not exist.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{RData, Record, RecordType},
};

/// The largest number of bytes that are read of a query.
const LARGEST: usize = 4_096;

/// A listening DNS server. Dropping it stops the server.
pub(crate) struct DnsServer {
    /// The address of the server's socket.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// The addresses of every name; `None` if no name exists.
    addresses: Mutex<Option<Vec<Ipv4Addr>>>,
    asked: AtomicUsize,
    ended: AtomicBool,
}

impl DnsServer {
    /// Starts a server on a free port of the loopback address.
    pub(crate) fn start(addresses: &[Ipv4Addr]) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("it is bound");
        let addresses = Mutex::new(Some(addresses.to_vec()));
        let shared = Arc::new(Shared { addresses, asked: AtomicUsize::new(0), ended: AtomicBool::new(false) });
        let server = Arc::clone(&shared);
        thread::spawn(move || serve(&socket, &server));
        Self { address, shared }
    }

    /// Changes the addresses of every name. With `None`, no name exists any more.
    pub(crate) fn change(&self, addresses: Option<&[Ipv4Addr]>) {
        *self.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses.map(<[_]>::to_vec);
    }

    /// Returns the number of queries so far.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // The packet wakes the thread, which then ends.
        let _ = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.send_to(b"", self.address));
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; LARGEST];
    while let Ok((length, client)) = socket.recv_from(&mut buffer) {
        if shared.ended.load(Ordering::SeqCst) {
            return;
        }
        let Ok(question) = Message::from_vec(&buffer[..length]) else { continue };
        shared.asked.fetch_add(1, Ordering::SeqCst);
        let addresses = shared.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bytes = answer(question, addresses).to_vec().expect("an answer can be written");
        // The client may have closed its socket, so an error is ignored.
        let _ = socket.send_to(&bytes, client);
    }
}

fn answer(question: Message, addresses: Option<Vec<Ipv4Addr>>) -> Message {
    let asked = question.queries.first().cloned();
    let mut answer = question.into_response();
    answer.metadata.recursion_available = true;
    match (addresses, asked) {
        (Some(addresses), Some(asked)) if asked.query_type() == RecordType::A => {
            let records =
                addresses.into_iter().map(|ip| Record::from_rdata(asked.name().clone(), 1, RData::A(ip.into())));
            answer.add_answers(records);
        }
        // For another type of record, the answer is empty, since NXDOMAIN would deny all records of the name (RFC
        // 4074, section 4.2).
        (Some(_), _) => {}
        (None, _) => answer.metadata.response_code = ResponseCode::NXDomain,
    }
    answer
}
