//! Both ways find the same stops, and the same texts to be UTF-8.

use super::*;

/// Marsaglia's xorshift: small, and the same everywhere.
fn below(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 33).unwrap() % bound
}

#[test]
fn both_ways_find_the_same_stops_from_everywhere() {
    let Some(instructions) = Avx2::detect() else { return };
    let mut random = 0x9e37_79b9_7f4a_7c15;
    for length in (0..140).chain([4_095, 4_096, 4_097, 9_000]) {
        let mut text = String::new();
        while text.len() < length {
            // Long runs without a stop, short ones, and none.
            text.push_str(&["x", "é", "\u{10ffff}"][below(&mut random, 3)].repeat(below(&mut random, 90)));
            let stop = ["\"", "\\", "\n", "\u{0}", "\u{1f}", "\u{7f}", " ", "!", "[", "]"][below(&mut random, 10)];
            text.push_str(&stop.repeat(below(&mut random, 3)));
        }
        let text = text.as_bytes();
        let mut marked = Marked::new(instructions);
        for at in 0..=text.len() {
            assert_eq!(marked.next(text, at), Sought.next(text, at), "from {at} of {text:?}");
        }
        // And back, which leaves the window for an earlier one.
        for _ in 0..50 {
            let at = below(&mut random, text.len() + 1);
            assert_eq!(marked.next(text, at), Sought.next(text, at), "from {at} of {text:?}");
        }
        assert!(marked.is_utf8());
    }
}

/// Whether a text is found to be UTF-8, all of its blocks being looked at in turn.
fn is_utf8(instructions: Avx2, text: &[u8]) -> bool {
    let mut marked = Marked::new(instructions);
    for at in (0..text.len()).step_by(64) {
        marked.word(text, at / 64);
    }
    marked.is_utf8()
}

#[test]
fn every_two_bytes_and_every_telling_sequence_are_judged_as_the_standard_library_does() {
    let Some(instructions) = Avx2::detect() else { return };
    let telling = [
        0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
        0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf8, 0xff,
    ];
    let all: Vec<u8> = (0..=u8::MAX).collect();
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
        // Across the halves of a register, of blocks, and of windows, at the beginning, and behind other characters.
        let edge = [0, 1, 32, 64, 96, 128, 4_096][below(&mut random, 7)];
        let place = edge + below(&mut random, 6);
        let mut text = vec![b'x'; place];
        text.extend_from_slice(&sequence);
        text.extend_from_slice("x€x".as_bytes());
        assert_eq!(is_utf8(instructions, &text), std::str::from_utf8(&text).is_ok(), "{sequence:x?} at {place}");
    }
}

#[test]
fn every_character_is_utf8_at_every_place_of_a_block() {
    let Some(instructions) = Avx2::detect() else { return };
    let all: String = ('\u{0}'..=char::MAX).step_by(37).collect();
    for shift in 0..64 {
        let text = format!("{}{all}x", "x".repeat(shift));
        assert!(is_utf8(instructions, text.as_bytes()), "behind {shift} bytes");
    }
}
