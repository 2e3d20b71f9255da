//! Questions to a cluster for its slots and their servers, questions to sentinels for a master, and the reading of the
//! replies.

use redis::{Cmd, Value};

/// The number of slots of a cluster (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>).
const SLOTS: u16 = 16_384;

/// The largest number of ranges of slots in a reply. A reply with more ranges is refused.
const MOST_RANGES: usize = SLOTS as usize;

/// The largest number of bytes of a reply about a cluster. If a reply is much longer, its connection ends.
pub(super) const CLUSTER_SIZE: usize = 1 << 20;

/// A range of slots, both ends included, and the master that serves them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SlotRange {
    pub(super) first: u16,
    pub(super) last: u16,
    /// The address of the master, as `host:port`.
    pub(super) master: String,
}

/// Returns the slot of a key without a hash tag (`{…}`): its CRC-16 (XMODEM), modulo the number of slots.
pub(super) fn slot(key: &str) -> u16 {
    let crc = key.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % SLOTS
}

/// Returns the command that requests the slots of a cluster. Redis 7 and Valkey recommend `CLUSTER SHARDS`, but every
/// version supports this older command.
pub(super) fn ask_slots() -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    command
}

/// Reads the slots of a cluster from the reply of the node at the address `asked`; `None` if any part is malformed. A
/// node that doesn't know its own host leaves it out. The host is then taken from `asked`.
pub(super) fn read_slots(reply: &Value, asked: &str) -> Option<Vec<SlotRange>> {
    let Value::Array(ranges) = reply else { return None };
    if ranges.is_empty() || ranges.len() > MOST_RANGES {
        return None;
    }
    ranges.iter().map(|range| read_range(range, asked)).collect()
}

fn read_range(range: &Value, asked: &str) -> Option<SlotRange> {
    let Value::Array(parts) = range else { return None };
    // The master comes first. The replicas after it aren't used.
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else { return None };
    let [host, Value::Int(port), ..] = master.as_slice() else { return None };
    let (first, last) = (u16::try_from(*first).ok()?, u16::try_from(*last).ok()?);
    // A host that isn't known is null, empty or `?`, depending on the server's version. The host of `asked` replaces
    // it. Test: `slots_are_read_or_refused_as_a_whole`.
    let host = match host {
        Value::Nil => None,
        host => Some(text(host)?).filter(|host| !host.is_empty() && host != "?"),
    };
    let host = host.or_else(|| Some(asked.rsplit_once(':')?.0.trim_matches(['[', ']']).to_owned()))?;
    (first <= last && last < SLOTS).then_some(SlotRange { first, last, master: address(&host, *port)? })
}

/// Returns the question to a sentinel for the master of this name.
pub(super) fn ask_master(name: &str) -> Cmd {
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    command
}

/// Reads the address of a master from the reply of a sentinel; `None` if the sentinel does not know the master, or the
/// reply is malformed.
pub(super) fn read_master(reply: &Value) -> Option<String> {
    let Value::Array(parts) = reply else { return None };
    let [host, port] = parts.as_slice() else { return None };
    address(&text(host)?, text(port)?.parse().ok()?)
}

/// Returns `host:port`, with brackets around an IPv6 address; `None` if the host or the port is invalid.
fn address(host: &str, port: i64) -> Option<String> {
    let port = u16::try_from(port).ok().filter(|port| *port > 0)?;
    let is_host = !host.is_empty() && host.len() <= 255 && host.bytes().all(|byte| byte.is_ascii_graphic());
    is_host.then(|| if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Value {
        let master = Value::Array(vec![host, Value::Int(port), bulk("an-id")]);
        Value::Array(vec![Value::Int(first), Value::Int(last), master.clone(), master])
    }

    #[test]
    fn keys_have_the_slots_of_the_specification() {
        assert_eq!((slot("123456789"), slot("foo"), slot("")), (0x31C3, 12_182, 0));
    }

    #[test]
    fn slots_are_read_or_refused_as_a_whole() {
        let reply = Value::Array(vec![range(0, 5, bulk("10.0.0.1"), 7000), range(6, 16_383, bulk("::1"), 7001)]);
        let slots = read_slots(&reply, "seed:7000").unwrap();
        let masters: Vec<&str> = slots.iter().map(|range| range.master.as_str()).collect();
        assert_eq!(masters, ["10.0.0.1:7000", "[::1]:7001"]);
        for host in [bulk(""), bulk("?"), Value::Nil] {
            let slots = read_slots(&Value::Array(vec![range(0, 5, host, 7000)]), "seed:1").unwrap();
            assert_eq!(slots[0].master, "seed:7000");
        }
        for broken in [
            Value::Nil,
            Value::Array(Vec::new()),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1)])]),
            Value::Array(vec![range(5, 4, bulk("a"), 7000)]),
            Value::Array(vec![range(0, 16_384, bulk("a"), 7000)]),
            Value::Array(vec![range(-1, 5, bulk("a"), 7000)]),
            Value::Array(vec![range(0, 5, bulk("a"), 0)]),
            Value::Array(vec![range(0, 5, bulk("a"), 70_000)]),
            Value::Array(vec![range(0, 5, bulk("a b\n"), 7000)]),
            Value::Array(vec![range(0, 5, Value::Int(7), 7000)]),
        ] {
            assert_eq!(read_slots(&broken, "seed:1"), None, "{broken:?}");
        }
    }

    #[test]
    fn an_invalid_address_of_a_master_is_ignored() {
        assert_eq!(read_master(&Value::Array(vec![bulk("10.0.0.1"), bulk("6379")])).unwrap(), "10.0.0.1:6379");
        for broken in [Value::Nil, Value::Array(vec![bulk("a")]), Value::Array(vec![bulk("a"), bulk("x")]), bulk("a:1")]
        {
            assert_eq!(read_master(&broken), None, "{broken:?}");
        }
    }
}
