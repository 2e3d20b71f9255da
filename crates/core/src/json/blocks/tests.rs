//! The tests of block marking: both markers must give the same marks as a simple loop over the bytes.

use super::*;

/// Returns a pseudo-random number below `bound`, by Marsaglia's xorshift, which gives the same numbers on every
/// platform.
fn below(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap() % bound
}

/// Returns the marks that `marker` makes for a text: the offsets of the signs, whether each byte is in a string, and
/// whether the text may be valid.
fn marked(marker: WindowMarker, text: &[u8]) -> (Vec<usize>, Vec<bool>, bool) {
    let (mut before, mut marks) = (Before::default(), WindowMarks::new());
    let (mut signs, mut strings, mut is_sound) = (Vec::new(), Vec::new(), true);
    for window in 0..text.len().div_ceil(WINDOW_BYTES) {
        is_sound &= marker.judge(text, window, &mut before, &mut marks);
        let begin = window * WINDOW_BYTES;
        // The vector code also marks the control character 0x1a as a sign; such a text is refused anyway.
        let found = (0..).map_while(|number| marks.signs.get(number)).map(|place| begin + place);
        signs.extend(found.filter(|at| text[*at] != 0x1a));
        strings.extend((0..WINDOW_BYTES).map(|place| marks.strings[place / 64] >> (place % 64) & 1 == 1));
    }
    strings.truncate(text.len());
    (signs, strings, is_sound && (marker.judges_utf8() || std::str::from_utf8(text).is_ok()))
}

/// Returns the expected marks, in the form of `marked`, from a loop over the bytes.
fn seen(text: &[u8]) -> (Vec<usize>, Vec<bool>, bool) {
    let (mut signs, mut strings, mut is_sound) = (Vec::new(), Vec::new(), std::str::from_utf8(text).is_ok());
    let (mut is_open, mut is_escaped) = (false, false);
    let mark = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    for (at, byte) in text.iter().enumerate() {
        is_open ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        strings.push(is_open);
        if !is_open && b"{}[]:".contains(byte) {
            signs.push(at);
        }
        is_sound &= match byte {
            b'\n' | b'\r' | b'\t' => !is_open,
            0..b' ' => false,
            b'\\' => is_open,
            0x80.. => is_open || at < mark,
            _ => true,
        };
    }
    (signs, strings, is_sound)
}

fn compare(text: &[u8]) -> bool {
    let expected = seen(text);
    assert_eq!(marked(WindowMarker::Portable, text), expected, "{:?}", String::from_utf8_lossy(text));
    assert_eq!(marked(WindowMarker::best(), text), expected, "{:?}", String::from_utf8_lossy(text));
    expected.2
}

#[test]
fn random_texts_have_the_same_marks_as_when_read_byte_by_byte() {
    let mut random = 0x9e37_79b9_7f4a_7c15;
    let mut sound = 0;
    for round in 0..3_000 {
        let mut text = String::from(if below(&mut random, 20) == 0 { "\u{feff}" } else { "" });
        let length = [70, 300, 1_100, 4_000][below(&mut random, 4)];
        // Two thirds of the texts use only the first 4 or 11 pieces, which contain no fault.
        let kinds = [4, 11, 15][round % 3];
        while text.len() < length {
            let pieces = [
                "\"x\"",
                " ",
                "{",
                "]",
                "\"é\\\"[:\"",
                "\"\\\\\"",
                ":",
                ",",
                "1",
                "\n",
                "}[",
                "\"",
                "\\",
                "\u{1}",
                "é",
            ];
            let piece = pieces[below(&mut random, kinds)];
            let count = if below(&mut random, 6) == 0 { below(&mut random, 90) } else { 1 };
            text.push_str(&piece.repeat(count));
        }
        sound += usize::from(compare(text.as_bytes()));
    }
    assert!((500..2_500).contains(&sound), "{sound} are without a fault");
}

#[test]
fn backslashes_escape_by_the_parity_of_their_number_at_every_offset() {
    for before in (0..66).chain(1_020..1_026) {
        for length in (0..6).chain(60..70).chain(126..132) {
            let text = format!("[\"{}{}\":[\"]", "x".repeat(before), "\\".repeat(length));
            compare(text.as_bytes());
        }
    }
}

#[test]
fn every_byte_has_its_marks_inside_and_outside_of_strings() {
    for byte in 0..=u8::MAX {
        for place in [0, 1, 31, 32, 63, 64, 100, 1_023, 1_024] {
            let mut text = vec![b' '; 1_100];
            text[place] = byte;
            compare(&text);
            text.insert(0, b'"');
            text.push(b'"');
            compare(&text);
        }
    }
}

#[test]
fn utf8_is_validated_as_by_the_standard_library() {
    let telling = [
        0x20, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
        0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff,
    ];
    let all: Vec<u8> = (b' '..=u8::MAX).collect();
    let mut sequences: Vec<Vec<u8>> = all.iter().flat_map(|one| all.iter().map(|other| vec![*one, *other])).collect();
    for one in telling {
        for other in telling {
            for third in telling {
                sequences.push(vec![one, other, third]);
                sequences.extend([0x41, 0x80, 0xbf, 0xc2, 0xf0].map(|fourth| vec![one, other, third, fourth]));
            }
        }
    }
    let mut random = 0x2545_f491_4f6c_dd1d;
    for sequence in sequences {
        // The sequence crosses the edge of a half register, a block or a window, or comes after other characters.
        let edge = [0, 32, 64, 96, 128, WINDOW_BYTES][below(&mut random, 6)];
        let mut text = vec![b'x'; edge + 1 - edge.min(5) + below(&mut random, 6)];
        text.insert(0, b'"');
        text.extend_from_slice(&sequence);
        // The next block is ASCII in half of the cases.
        text.extend_from_slice(&[b'x'; 70][..70 * below(&mut random, 2)]);
        text.extend_from_slice("x€x".as_bytes());
        let (_, _, is_sound) = marked(WindowMarker::best(), &text);
        // A quote in the sequence closes the string; then the last characters are outside of strings, which is a fault.
        assert_eq!(is_sound, seen(&text).2, "{sequence:x?} after {edge}");
    }
}

#[test]
fn every_character_is_utf8_at_every_place_of_a_block() {
    let all: String = ('\u{80}'..=char::MAX).step_by(37).collect();
    for shift in 0..64 {
        let text = format!("\"{}{all}\"", "x".repeat(shift));
        assert!(marked(WindowMarker::best(), text.as_bytes()).2, "after {shift} bytes");
    }
}
