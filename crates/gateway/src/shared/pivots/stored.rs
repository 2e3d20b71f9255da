//! The form of cached items in the shared store.
//!
//! Values in the store are sealed, so only a gateway with the same keys can have written them, but perhaps one of
//! another version. The name of their kind (`gateway::store::handle::StoredKind`) therefore contains the version of
//! this form. Reading is bounded and doesn't panic, whatever the bytes are.
//!
//! An item consists of a byte of flags, the numbers of its hint, the number of its keys, and for each key its kind, its
//! length and its bytes. Numbers have one to ten bytes ([`write_number`]).

use std::time::Instant;

use super::{KnownItem, SeenItem};
use cursorgate_core::pagination::{
    answer::Total,
    key::KeyValue,
    mark::Mark,
    position::{Hint, WalkFacts},
    window::Offset,
};

/// The largest number of bytes of a stored entry, which contains the keys and the hint of an item. An item with a
/// longer entry isn't stored, but looked up at the upstream.
const MOST: usize = 16 << 10;

/// The largest number of keys of an item. An item with more keys isn't stored.
const MOST_KEYS: u64 = 32;

/// The bit of the first byte that is set if the hint belongs to the position before the item. The bits [`TOTAL`],
/// [`FIRST_TOTAL`] and [`AHEAD`] mean that this part of the hint follows. The other bits are flags, too.
const BACKWARD: u8 = 1;
const FROM_END: u8 = 1 << 1;
const TOTAL: u8 = 1 << 2;
const FIRST_TOTAL: u8 = 1 << 3;
const FIRST_TOTAL_EXACT: u8 = 1 << 4;
const AHEAD: u8 = 1 << 5;

/// Returns the bytes of an item; `None` if it has more than [`MOST`] bytes or [`MOST_KEYS`] keys.
pub(super) fn write(item: &SeenItem<'_>) -> Option<Vec<u8>> {
    let SeenItem { anchor, hint, backward, .. } = item;
    let Hint { offset, from_end, run, within, total, first_total, ahead, honoured, walk: _ } = *hint;
    let flag = |is_set, bit| if is_set { bit } else { 0 };
    let mut out = vec![
        flag(*backward, BACKWARD)
            | flag(from_end, FROM_END)
            | flag(total.is_some(), TOTAL)
            | flag(first_total.is_some(), FIRST_TOTAL)
            | flag(matches!(first_total, Some(Total { exact: true, .. })), FIRST_TOTAL_EXACT)
            | flag(ahead.is_some(), AHEAD),
    ];
    for number in [offset.0, u64::from(run), u64::from(within), u64::from(honoured)] {
        write_number(number, &mut out);
    }
    for number in [total, first_total.map(|total| total.value), ahead.map(Mark::number)].into_iter().flatten() {
        write_number(number, &mut out);
    }
    write_number(anchor.keys.len() as u64, &mut out);
    for key in &anchor.keys {
        let (kind, bytes) = super::bytes(key);
        out.push(kind);
        write_number(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
    }
    (out.len() <= MOST && anchor.keys.len() as u64 <= MOST_KEYS).then_some(out)
}

/// Reads an item that expires at `until`; `None` if the bytes are malformed, or if more bytes follow.
pub(super) fn read(bytes: &[u8], until: Instant) -> Option<KnownItem> {
    if bytes.len() > MOST {
        return None;
    }
    let mut rest = bytes;
    let flags = *rest.split_off_first()?;
    let has = |bit: u8| flags & bit != 0;
    let offset = Offset(read_number(&mut rest)?);
    let [run, within, honoured] = [read_small(&mut rest)?, read_small(&mut rest)?, read_small(&mut rest)?];
    let total = if has(TOTAL) { Some(read_number(&mut rest)?) } else { None };
    let first_total = match has(FIRST_TOTAL) {
        true => Some(Total { value: read_number(&mut rest)?, exact: has(FIRST_TOTAL_EXACT) }),
        false => None,
    };
    let ahead = if has(AHEAD) { Some(Mark::of(read_number(&mut rest)?)) } else { None };
    let count = read_number(&mut rest).filter(|count| *count <= MOST_KEYS)?;
    let mut keys = Vec::new();
    for _ in 0..count {
        keys.push(read_key(&mut rest)?);
    }
    let hint = Hint {
        offset,
        from_end: has(FROM_END),
        run,
        within,
        total,
        first_total,
        ahead,
        honoured,
        walk: WalkFacts::default(),
    };
    rest.is_empty().then_some(KnownItem { keys, hint, backward: has(BACKWARD), until })
}

fn read_key(rest: &mut &[u8]) -> Option<KeyValue> {
    let kind = *rest.split_off_first()?;
    let length = usize::try_from(read_number(rest)?).ok()?;
    // A length beyond the rest fails here, so no memory is allocated for it. Test: `hostile_bytes_are_read_or_refused`.
    let bytes = rest.split_off(..length)?;
    match kind {
        0 if bytes.is_empty() => Some(KeyValue::Null),
        1 if bytes.is_empty() => Some(KeyValue::Boolean(false)),
        2 if bytes.is_empty() => Some(KeyValue::Boolean(true)),
        3 => Some(KeyValue::Number(String::from_utf8(bytes.to_vec()).ok()?)),
        4 => Some(KeyValue::Text(bytes.to_vec())),
        _ => None,
    }
}

/// Writes a number in groups of seven bits, the lowest first; the top bit is set in every byte but the last (LEB128).
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    // A number of 64 bits takes at most ten bytes.
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn read_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = *rest.split_off_first()?;
        let group = u64::from(byte & 0x7f);
        // The group has bits beyond the 64th bit of the number, so the bytes are malformed.
        if group > u64::MAX >> shift {
            return None;
        }
        number |= group << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn read_small(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(read_number(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cursorgate_core::pagination::position::Anchor;

    fn until() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn hints() -> [Hint; 3] {
        let all = Hint {
            offset: Offset(u64::MAX),
            from_end: true,
            run: u32::MAX,
            within: 7,
            total: Some(0),
            first_total: Some(Total { value: 300, exact: true }),
            ahead: Some(Mark::of(u64::MAX >> 24)),
            honoured: 100,
            walk: WalkFacts::default(),
        };
        let bound = Hint { first_total: Some(Total { value: 1, exact: false }), ahead: None, ..all };
        [Hint::default(), all, bound]
    }

    fn keys() -> Vec<KeyValue> {
        vec![
            KeyValue::Null,
            KeyValue::Boolean(true),
            KeyValue::Boolean(false),
            KeyValue::Number("-1.50".to_owned()),
            KeyValue::Text("é\0".as_bytes().to_vec()),
            KeyValue::Text(vec![b'x'; 300]),
        ]
    }

    fn written(hint: Hint, backward: bool, keys: Vec<KeyValue>) -> Option<Vec<u8>> {
        let anchor = Anchor { keys, id: KeyValue::Null };
        write(&SeenItem { anchor: &anchor, fingerprint: Mark::of(0), hint, backward })
    }

    #[test]
    fn an_item_is_read_as_it_was_written() {
        for hint in hints() {
            for (backward, keys) in [(true, keys()), (false, Vec::new())] {
                let bytes = written(hint, backward, keys.clone()).unwrap();
                let read = read(&bytes, until()).unwrap();
                assert_eq!((read.hint, read.backward, read.keys), (hint, backward, keys));
            }
        }
        assert_eq!(written(Hint::default(), true, vec![KeyValue::Text(vec![0; MOST])]), None);
        assert_eq!(written(Hint::default(), true, vec![KeyValue::Null; 33]), None);
    }

    /// Bytes that are cut, changed, or shorter than the lengths in them are read or refused, and a result is never
    /// longer than the bytes.
    #[test]
    fn hostile_bytes_are_read_or_refused() {
        for hint in hints() {
            let bytes = written(hint, true, keys()).unwrap();
            for end in 0..bytes.len() {
                assert!(read(&bytes[..end], until()).is_none(), "{end} bytes of {}", bytes.len());
            }
            assert!(read(&[&bytes[..], &[0]].concat(), until()).is_none(), "a byte too many");
            for at in 0..bytes.len() {
                for value in 0..=255 {
                    let mut changed = bytes.clone();
                    changed[at] = value;
                    if let Some(read) = read(&changed, until()) {
                        let length: usize = read.keys.iter().map(|key| super::super::bytes(key).1.len()).sum();
                        assert!(length <= changed.len() && read.keys.len() as u64 <= MOST_KEYS);
                    }
                }
            }
        }
        for bytes in [&[0xff_u8; 64][..], &[0; MOST + 1], &[0, 0, 0, 0, 0, 33], &[0, 0, 0, 0, 0, 1, 4, 0xff, 0xff, 3]] {
            assert!(read(bytes, until()).is_none());
        }
        let mut endless = vec![0, 0, 0, 0, 0, 1, 4];
        endless.extend([0xff; 9]);
        endless.push(1);
        assert!(read(&endless, until()).is_none(), "a length beyond all memory");
    }
}
