//! The marking of blocks with instructions that every processor has.

use crate::json::window::{Before, Blocks, Met, WindowMarks, odd};

/// Marks a window, and updates `before` for the next window. The caller has checked that the text is UTF-8.
pub(super) fn mark(blocks: &Blocks, before: &mut Before, marks: &mut WindowMarks) -> Met {
    let mut met = Met::default();
    for (index, block) in blocks.iter().enumerate() {
        let (quotes, backslashes) = (marked(block, |byte| byte == b'"'), marked(block, |byte| byte == b'\\'));
        let escaped = before.escaped(backslashes);
        let strings = before.strings(odd(quotes & !escaped));
        let signs = marked(block, |byte| matches!(byte, b'{' | b'}' | b'[' | b']' | b':'));
        marks.signs.push(index, signs & !strings);
        marks.strings[index] = strings;
        met.misplaced |= (backslashes | marked(block, |byte| !byte.is_ascii())) & !strings;
        met.controls |= marked(block, |byte| byte < b' ') != 0;
    }
    met
}

/// Returns a word with a bit for each byte of a block, which is set if `is_meant` is true for the byte.
#[inline(always)]
fn marked(block: &[u8; 64], is_meant: impl Fn(u8) -> bool) -> u64 {
    // A product with this factor gathers eight bytes, each 0 or 1, as the bits of its highest byte.
    const GATHERING: u64 = 0x0102_0408_1020_4080;
    let bytes = block.map(|byte| u8::from(is_meant(byte)));
    let (lanes, _) = bytes.as_chunks();
    lanes
        .iter()
        .enumerate()
        .fold(0, |word, (place, lane)| word | (u64::from_le_bytes(*lane).wrapping_mul(GATHERING) >> 56) << (8 * place))
}
