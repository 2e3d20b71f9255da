//! The worker: the thread that talks to the servers of the store. Because the worker has a thread of its own, replies
//! and reconnections take no time from the threads that serve clients.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, PoisonError},
    time::Duration,
};

use redis::{Cmd, RedisError, Value};
use tokio::{
    sync::{Notify, Semaphore},
    task::{AbortHandle, LocalSet, spawn_local},
};

use super::{
    connect::{Connector, Driver, ServerLine, said},
    counts::{StoreCounts, Written},
    link::{Question, StoreFault, StoreLink, StoreState, WorkerEnd, Write},
    node::{ServerStatus, StoreNode},
    topology::{self, SlotRange},
};
use crate::runtime::clock;
use cursorgate_config::settings::{StoreKind, StoreSettings};

/// The largest number of writes that wait for their replies. Further writes stay in the queue of the link.
const WRITES_AT_ONCE: usize = 128;

/// The largest number of bytes of a reply to a write. If a reply is much longer, its connection ends.
const REPLY: usize = 1 << 10;

/// The codes of errors by which a server that can still be read refuses a write.
const REFUSALS: [&str; 5] = ["OOM", "MISCONF", "NOREPLICAS", "NOPERM", "READONLY"];

/// The interval at which the slots of a cluster are read.
const REMAP: Duration = Duration::from_secs(60);
/// The shortest pause between two readings of the slots of a cluster.
const REMAP_AGAIN: Duration = Duration::from_millis(250);

/// Starts the worker of a link, unless it has been started.
///
/// # Errors
///
/// Returns an error if the thread can't be started.
pub fn begin(link: &StoreLink) -> std::io::Result<()> {
    let Some(end) = link.take_end() else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("store".to_owned()).spawn(move || {
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, work(end));
    })?;
    Ok(())
}

/// Serves questions and writes until the link has been dropped.
async fn work(end: WorkerEnd) {
    let WorkerEnd { mut questions, mut writes, settings, tls, state, counts } = end;
    let connector = Connector::new(Arc::clone(&settings), tls);
    let worker =
        Rc::new(Worker { connector, settings, state, counts, cluster: RefCell::default(), remap: Notify::new() });
    let keeping = spawn_local(Rc::clone(&worker).keep());
    let places = Arc::new(Semaphore::new(WRITES_AT_ONCE));
    loop {
        // The place is taken before the write, so writes beyond the limit wait in the bounded queue of the link.
        let write = async {
            let place = Arc::clone(&places).acquire_owned().await.ok()?;
            Some((writes.recv().await?, place))
        };
        tokio::select! {
            // Questions are served first, because requests wait for their replies.
            biased;
            question = questions.recv() => match question {
                Some(question) => Rc::clone(&worker).ask(question),
                None => break,
            },
            Some((write, place)) = write => {
                let worker = Rc::clone(&worker);
                spawn_local(async move {
                    worker.write(&write).await;
                    drop(place);
                });
            }
        }
    }
    keeping.abort();
}

struct Worker {
    connector: Connector,
    settings: Arc<StoreSettings>,
    state: Arc<StoreState>,
    counts: Arc<StoreCounts>,
    cluster: RefCell<StoreServers>,
    /// Wakes the task that reads the slots of a cluster.
    remap: Notify,
}

/// The servers, and the slots of each. A single server has all slots.
#[derive(Default)]
struct StoreServers {
    nodes: BTreeMap<String, ServingNode>,
    slots: Vec<(SlotRange, Rc<StoreNode>)>,
}

/// A node, and the task that keeps it connected. Dropping this value ends the task.
struct ServingNode {
    node: Rc<StoreNode>,
    task: AbortHandle,
}

impl Drop for ServingNode {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Worker {
    /// Keeps the servers connected until the worker ends.
    async fn keep(self: Rc<Self>) {
        match self.settings.kind {
            StoreKind::Cluster => self.keep_cluster().await,
            StoreKind::Server | StoreKind::Sentinel => {
                let address = self.settings.addresses.first().map(|first| &first.value);
                let name = self.settings.master.as_ref().or(address);
                let everywhere = SlotRange { first: 0, last: u16::MAX, master: name.cloned().unwrap_or_default() };
                self.serve_by(vec![everywhere]);
            }
        }
    }

    /// Reads the slots of a cluster at intervals, and at once after a reply that shows a change, and keeps its nodes
    /// connected.
    async fn keep_cluster(self: &Rc<Self>) {
        let whole = ServerStatus::new("cluster".to_owned(), Arc::default());
        loop {
            let wait = match self.slots().await {
                Ok(slots) => {
                    self.serve_by(slots);
                    REMAP
                }
                Err(reason) => {
                    whole.fell(reason);
                    if self.cluster.borrow().nodes.is_empty() {
                        self.publish(vec![Arc::clone(&whole)]);
                    }
                    4 * REMAP_AGAIN
                }
            };
            // The slots are read at most four times a second, however many replies show a change.
            tokio::time::sleep(REMAP_AGAIN).await;
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.remap.notified() => {}
            }
        }
    }

    /// Returns the slots of a cluster from the first node that returns them. Connected nodes are asked first, and then
    /// the addresses of the configuration.
    async fn slots(&self) -> Result<Vec<SlotRange>, String> {
        let connected: Vec<(String, ServerLine)> = {
            let cluster = self.cluster.borrow();
            let lines = cluster.nodes.iter().map(|(address, serving)| (address.clone(), serving.node.line()));
            lines.filter_map(|(address, line)| Some((address, line?))).collect()
        };
        let mut fault = String::new();
        for (address, line) in connected {
            match self.slots_of(&address, line).await {
                Ok(slots) => return Ok(slots),
                Err(reason) => fault = reason,
            }
        }
        for address in &self.settings.addresses {
            let (line, driver) = match self.connector.connect(&address.value, &self.settings.user).await {
                Ok(connected) => connected,
                Err(reason) => {
                    fault = reason;
                    continue;
                }
            };
            let asked = tokio::select! {
                slots = self.slots_of(&address.value, line) => slots,
                () = driver => Err("the connection ended".to_owned()),
            };
            match asked {
                Ok(slots) => return Ok(slots),
                Err(reason) => fault = reason,
            }
        }
        Err(fault)
    }

    async fn slots_of(&self, address: &str, line: ServerLine) -> Result<Vec<SlotRange>, String> {
        let reply = self.patiently(line, &topology::ask_slots(), topology::CLUSTER_SIZE).await?;
        topology::read_slots(&reply, address).ok_or_else(|| "the node reports no slots".to_owned())
    }

    /// Asks a question that no request waits for, with `connect_timeout` as the time limit.
    async fn patiently(&self, line: ServerLine, command: &Cmd, size: usize) -> Result<Value, String> {
        let patience = self.settings.connect_timeout;
        let asked = tokio::time::timeout(patience, line.ask(command, size)).await;
        asked.map_err(|_| format!("no answer within {patience:?}"))?.map_err(|error| said(&error))
    }

    /// Replaces the slots and their nodes. Nodes that also have slots afterwards stay connected, and other nodes are
    /// dropped.
    fn serve_by(self: &Rc<Self>, ranges: Vec<SlotRange>) {
        let mut known = std::mem::take(&mut self.cluster.borrow_mut().nodes);
        let (mut nodes, mut slots) = (BTreeMap::<String, ServingNode>::new(), Vec::with_capacity(ranges.len()));
        for range in ranges {
            // A master has one node, whatever the number of its ranges.
            let serving = nodes
                .entry(range.master.clone())
                .or_insert_with(|| known.remove(&range.master).unwrap_or_else(|| self.serving(range.master.clone())));
            let node = Rc::clone(&serving.node);
            slots.push((range, node));
        }
        self.publish(nodes.values().map(|serving| Arc::clone(&serving.node.status)).collect());
        *self.cluster.borrow_mut() = StoreServers { nodes, slots };
    }

    fn publish(&self, servers: Vec<Arc<ServerStatus>>) {
        *self.state.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    fn serving(self: &Rc<Self>, address: String) -> ServingNode {
        let node = StoreNode::new(ServerStatus::new(address.clone(), Arc::clone(&self.state.up)));
        let worker = Rc::clone(self);
        let task = spawn_local(Rc::clone(&node).keep(async move || worker.connect(&address).await));
        ServingNode { node, task: task.abort_handle() }
    }

    /// Connects to a server, and tests the connection with one command. Returns the connection and its driver. With
    /// sentinels, `address` is the name of a master.
    async fn connect(&self, address: &str) -> Result<(ServerLine, Driver), String> {
        let master;
        let address = match self.settings.kind {
            StoreKind::Server | StoreKind::Cluster => address,
            StoreKind::Sentinel => {
                master = self.master(address).await?;
                &master
            }
        };
        let connected = self.connector.connect(address, &self.settings.user).await;
        let tried = match connected {
            Ok((line, mut driver)) => tokio::select! {
                tried = self.connector.try_out(&line) => tried.map(|()| (line, driver)),
                () = &mut driver => Err("the connection ended".to_owned()),
            },
            Err(reason) => Err(reason),
        };
        if tried.is_err() {
            // The node may have left the cluster, so the slots are read again.
            self.remap.notify_one();
        }
        tried
    }

    /// Returns the address of a master, from the first sentinel that knows it.
    async fn master(&self, name: &str) -> Result<String, String> {
        let mut fault = String::new();
        for sentinel in &self.settings.addresses {
            let address = &sentinel.value;
            let (line, driver) = match self.connector.connect(address, &self.settings.sentinel_user).await {
                Ok(connected) => connected,
                Err(reason) => {
                    fault = format!("sentinel {address}: {reason}");
                    continue;
                }
            };
            let question = topology::ask_master(name);
            let asked = tokio::select! {
                reply = self.patiently(line, &question, REPLY) => reply,
                () = driver => Err("the connection ended".to_owned()),
            };
            match asked.map(|reply| topology::read_master(&reply)) {
                Ok(Some(master)) => return Ok(master),
                Ok(None) => fault = format!("sentinel {address} has no master {name:?}"),
                Err(reason) => fault = format!("sentinel {address}: {reason}"),
            }
        }
        Err(fault)
    }

    /// Returns the node that has the slot of a name, and its connection; `None` if the node is down.
    fn line(&self, name: &str) -> Option<(Rc<StoreNode>, ServerLine)> {
        // Names have no hash tags, so a page and the purges may be on two nodes. Test:
        // `the_nodes_of_a_cluster_share_the_pages`.
        let slot = topology::slot(name);
        let cluster = self.cluster.borrow();
        let node = cluster.slots.iter().find(|(range, _)| (range.first..=range.last).contains(&slot));
        let node = Rc::clone(&node?.1);
        let line = node.line()?;
        Some((node, line))
    }

    /// Asks a question in a task of its own, and sends the reply to the request.
    fn ask(self: Rc<Self>, question: Question) {
        let Question { name, command, size, patience, writes, reply } = question;
        // The request has ended, or its time limit is over, so the question isn't sent.
        if reply.is_closed() {
            return;
        }
        let Some((node, line)) = self.line(&name) else {
            let _ = reply.send(Err(StoreFault::Down));
            return;
        };
        spawn_local(async move {
            let asked = tokio::time::timeout(patience, line.ask(&command, size)).await.ok();
            let judged = match writes {
                true => self.judge_write(&node, asked, patience),
                false => self.judge(&node, asked, patience),
            };
            // This fails if the request no longer waits. The reply is then dropped.
            let _ = reply.send(judged);
        });
    }

    /// Sends a write to its server, and counts the outcome.
    async fn write(&self, write: &Write) {
        let Some((node, line)) = self.line(&write.name) else {
            self.counts.write(Written::Dropped);
            return;
        };
        let patience = self.settings.timeout;
        let asked = tokio::time::timeout(patience, line.ask(&write.command, REPLY)).await.ok();
        let judged = self.judge_write(&node, asked, patience);
        self.counts.write(if judged.is_ok() { Written::Stored } else { Written::Failed });
    }

    /// Returns the reply to a write, and records whether the server accepts writes.
    fn judge_write(
        &self,
        node: &StoreNode,
        asked: Option<Result<Value, RedisError>>,
        patience: Duration,
    ) -> Result<Value, StoreFault> {
        let refusal = asked.as_ref().and_then(|asked| refusal(asked.as_ref().err()?));
        let judged = self.judge(node, asked, patience);
        match refusal {
            // The master has become a replica. A new trial asks the sentinels, or the cluster, for the new master.
            // Test: `the_successor_of_a_master_is_found_by_its_sentinels`.
            Some(reason) if reason == "READONLY" => node.leave("READONLY: the server is a replica".to_owned()),
            // Any other error shows neither that writes are accepted nor that they are refused, so nothing is recorded.
            None if judged.is_err() => {}
            refusal => node.status.takes_writes(refusal, clock::instant()),
        }
        judged
    }

    /// Returns the reply, and records whether the server failed. Errors that concern only one key or one command aren't
    /// failures of the server.
    fn judge(
        &self,
        node: &StoreNode,
        asked: Option<Result<Value, RedisError>>,
        patience: Duration,
    ) -> Result<Value, StoreFault> {
        match asked {
            Some(Ok(value)) => {
                node.answered();
                Ok(value)
            }
            None => {
                node.failed(format!("no answer within {patience:?}"));
                Err(StoreFault::Late)
            }
            Some(Err(error)) => {
                match error.code() {
                    // The slot has moved, or is moving, to another node. This isn't a failure of the node that was
                    // asked, so the slots are read again instead.
                    Some("MOVED" | "ASK" | "TRYAGAIN") if self.settings.kind == StoreKind::Cluster => {
                        self.remap.notify_one();
                    }
                    // The value of another program has this name, or the server refuses a write. The server itself
                    // works, so this isn't counted as a failure.
                    Some(code) if code == "WRONGTYPE" || refusal(&error).is_some() => node.answered(),
                    _ => node.failed(said(&error)),
                }
                Err(StoreFault::Refused)
            }
        }
    }
}

/// Returns the reason for a refused write in words, if the server can still be read; `None` for any other error.
/// Servers before version 7 wrap the error of a command in a script: `ERR Error running script …: -OOM command not
/// allowed`.
fn refusal(error: &RedisError) -> Option<String> {
    let code = error.code()?;
    if REFUSALS.contains(&code) {
        return Some(said(error));
    }
    let detail = error.detail().filter(|_| code == "ERR")?;
    REFUSALS.into_iter().find(|code| detail.contains(&format!("-{code} "))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_known_within_the_error_of_a_script() {
        for (said, known) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", Some("OOM command not allowed")),
            ("READONLY You can't write against a read only replica.", Some("READONLY")),
            (
                "ERR Error running script (call to f_0a): @user_script:36: @user_script: 36: -OOM command not allowed",
                Some("OOM"),
            ),
            ("ERR unknown command 'EVAL'", None),
            ("LOADING Redis is loading the dataset in memory", None),
            ("MOVED 3999 127.0.0.1:6381", None),
        ] {
            let reply = redis::parse_redis_value(format!("-{said}\r\n").as_bytes()).expect("a reply");
            let error = reply.extract_error().expect_err("an error");
            let found = refusal(&error);
            assert_eq!(found.is_some(), known.is_some(), "{said}: {found:?}");
            assert!(found.unwrap_or_default().starts_with(known.unwrap_or_default()), "{said}");
        }
    }
}
