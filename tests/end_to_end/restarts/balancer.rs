//! A small load balancer. It requests `/readyz` of two processes, and passes connections, byte for byte, to the ready
//! processes in turn.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::harness::http::Connection;

/// The time between two requests for `/readyz` to a process.
const INTERVAL: Duration = Duration::from_millis(50);

pub(super) struct Balancer {
    /// The address for clients.
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    processes: [Process; 2],
    next: AtomicUsize,
    ended: AtomicBool,
}

struct Process {
    public: SocketAddr,
    admin: SocketAddr,
    is_ready: AtomicBool,
}

impl Balancer {
    /// Starts a balancer in front of two processes. Each has an address for clients and an address for operators.
    pub(super) fn start(processes: [(SocketAddr, SocketAddr); 2]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let processes = processes.map(|(public, admin)| Process { public, admin, is_ready: AtomicBool::new(true) });
        let shared = Arc::new(Shared { processes, next: AtomicUsize::new(0), ended: AtomicBool::new(false) });
        let (asking, passing) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || asking.ask());
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if passing.ended.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&passing);
                thread::spawn(move || shared.pass(client));
            }
        });
        Self { address, shared }
    }

    /// Returns whether a process was ready at the last check.
    pub(super) fn is_ready(&self, index: usize) -> bool {
        self.shared.processes[index].is_ready.load(Ordering::Relaxed)
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // The connection wakes the listening thread, which then ends.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn ask(&self) {
        while !self.ended.load(Ordering::Relaxed) {
            for process in &self.processes {
                let answer = Connection::open(process.admin)
                    .and_then(|mut connection| connection.request("GET", "/readyz", &[("Connection", "close")], b""));
                let is_ready = answer.is_ok_and(|answer| answer.status == 200);
                process.is_ready.store(is_ready, Ordering::Relaxed);
            }
            thread::sleep(INTERVAL);
        }
    }

    /// Passes a connection to a ready process. A process that refuses the connection is skipped, as balancers do.
    fn pass(&self, client: TcpStream) {
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let turns = (0..self.processes.len()).map(|turn| &self.processes[(first + turn) % self.processes.len()]);
        let mut ready = turns.filter(|process| process.is_ready.load(Ordering::Relaxed));
        let Some(server) = ready.find_map(|process| TcpStream::connect(process.public).ok()) else { return };
        let (Ok(from_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) else { return };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let upwards = thread::spawn(move || copy(from_client, to_server));
        copy(server, client);
        let _ = upwards.join();
    }
}

/// Copies bytes until one side ends, and then closes the sending direction of the other connection.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
