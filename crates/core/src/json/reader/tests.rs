//! Tests of the accepted texts: a text that is read in full is accepted if it is UTF-8 and serde_json's strict parser
//! accepts it, and is refused otherwise.

use crate::json::{
    JsonError, Limits, Pointer, Shape,
    scan::{compare::serde_json_accepts, read_page},
    scan_page,
};

/// Returns two shapes. With the first, all values are passed over; the second leads into objects and arrays, so values
/// are also read.
fn shapes() -> [Shape; 2] {
    let pointer = |text: &str| Pointer::parse(text).unwrap();
    let walking = Shape {
        items: pointer("/a"),
        columns: vec![pointer("/a"), pointer("/0")],
        facts: vec![pointer("/0/[a=a]/a"), pointer("/a/a")],
        ..Shape::default()
    };
    [Shape { items: pointer("/nowhere"), ..Shape::default() }, walking]
}

fn is_json(body: &[u8], shape: &Shape) -> bool {
    match read_page(body, shape, Limits { depth: u16::MAX, ..Limits::default() }) {
        Ok(_) | Err(JsonError::NotAnArray | JsonError::ItemMissing { .. }) => true,
        Err(JsonError::Malformed { at }) => {
            assert!(at <= body.len());
            false
        }
        Err(JsonError::TooDeep | JsonError::TooManyItems) => panic!("{}", String::from_utf8_lossy(body)),
    }
}

fn compare(body: &[u8], shapes: &[Shape]) {
    let expected = serde_json_accepts(body);
    for shape in shapes {
        assert_eq!(is_json(body, shape), expected, "{:?}", String::from_utf8_lossy(body));
    }
}

/// Compares the verdicts on `before` + s + `after`, for every byte string s over the alphabet of at most `length`
/// bytes.
fn compare_all(alphabet: &[u8], length: usize, before: &[u8], after: &[u8]) {
    let shapes = shapes();
    let mut chosen = vec![0; length];
    for length in 0..=length {
        chosen[..length].fill(0);
        loop {
            let middle = chosen[..length].iter().map(|letter| alphabet[*letter]);
            let body: Vec<u8> = before.iter().copied().chain(middle).chain(after.iter().copied()).collect();
            compare(&body, &shapes);
            let Some(place) = chosen[..length].iter().rposition(|letter| letter + 1 < alphabet.len()) else {
                break;
            };
            chosen[place] += 1;
            chosen[place + 1..length].fill(0);
        }
    }
}

#[test]
fn every_short_structure_is_accepted_or_refused_as_by_serde_json() {
    compare_all(b"{}[],:\"a0 ", 5, b"", b"");
    compare_all(b"{}[],:0 ", 4, b"{\"a\":", b"}");
    compare_all(b"{}[],: ", 5, b"[{\"a\":0", b"}]");
}

#[test]
fn every_short_number_is_accepted_or_refused_as_by_serde_json() {
    compare_all(b"019-+.eE,] ", 5, b"", b"");
    compare_all(b"09-+.eE", 5, b"[", b"]");
}

#[test]
fn every_short_string_is_accepted_or_refused_as_by_serde_json() {
    compare_all(b"\"\\u0dG/n\x1f\n\x7f\xc3\xa9", 4, b"\"", b"\"");
    compare_all(b"0aAfFgG\"\\", 4, b"\"\\u", b"\"");
}

#[test]
fn every_short_literal_is_accepted_or_refused_as_by_serde_json() {
    compare_all(b"nultrefas,", 5, b"", b"");
    compare_all(b"nulE0 \x00\"]", 3, b"[nul", b"]");
}

#[test]
fn strings_with_any_byte_are_accepted_or_refused_as_by_serde_json() {
    let shapes = shapes();
    let telling = b"\"\\\0\x1f\x20!#[]\x7f\x80\xff";
    for length in (0..20).chain(28..44).chain(60..72) {
        for place in 0..length {
            for byte in (0..=u8::MAX).filter(|byte| length < 20 || telling.contains(byte)) {
                let mut body = vec![b'x'; length + 2];
                body[0] = b'"';
                body[length + 1] = b'"';
                body[place + 1] = byte;
                compare(&body, &shapes[..1]);
            }
        }
    }
}

/// Texts, after those of the JSON parsing test suite, that every parser must accept, or that this parser accepts
/// although it needn't.
const ACCEPTED: [&[u8]; 46] = [
    b"[[]   ]",
    b"[\"\"]",
    b"[]",
    b"[\"a\"]",
    b"[false]",
    b"[null, 1, \"1\", {}]",
    b"[null]",
    b"[1\n]",
    b" [1]",
    b"[1,null,null,null,2]",
    b"[2] ",
    b"[123e65]",
    b"[0e+1]",
    b"[0e1]",
    b"[ 4]",
    b"[-0.0000000000000000000000001]",
    b"[20e1]",
    b"[-0]",
    b"[-123]",
    b"[-1]",
    b"[1E22]",
    b"[1E-2]",
    b"[1E+2]",
    b"[123e45]",
    b"[123.456e78]",
    b"[1e400]",
    b"[9007199254740993]",
    b"[25.0]",
    b"{\"asd\":\"sdf\", \"dfg\":\"fgh\"}",
    b"{\"a\":\"b\",\"a\":\"c\"}",
    b"{}",
    b"{\"\":0}",
    b"{\"foo\\u0000bar\": 42}",
    b"{\n\"a\": \"b\"\n}",
    b"[\"\\u0060\\u012a\\u12AB\"]",
    b"[\"\\ud801\\udc37\"]",
    b"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
    b"[\"\\\\u0000\"]",
    b"[\"a/*b*/c\"]",
    b"[\"\\uDEAD\"]",
    b"[\"\x7f\"]",
    "[\"\u{2028}€\u{10ffff}\"]".as_bytes(),
    b"\"\"",
    b"\t\r\n 42 ",
    b"true",
    b"\xef\xbb\xbf[1]",
];

/// Texts that every parser must refuse.
const REFUSED: [&[u8]; 70] = [
    b"",
    b" ",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf\xef\xbb\xbf[]",
    b"[]\xef\xbb\xbf",
    b"[1 true]",
    b"[a\xe5]",
    b"[\"\": 1]",
    b"[\"\"],",
    b"[,1]",
    b"[1,,2]",
    b"[\"x\",,]",
    b"[\"x\"]]",
    b"[\"\",]",
    b"[\"x\"",
    b"[x",
    b"[3[4]]",
    b"[:]",
    b"[,",
    b"[-]",
    b"[   , \"\"]",
    b"[1,]",
    b"[*]",
    b"[\"\"",
    b"[1,\n1\n,1",
    b"[{}",
    b"[fals]",
    b"[nul]",
    b"[tru]",
    b"[True]",
    b"123\x00",
    b"[++1234]",
    b"[+1]",
    b"[-01]",
    b"[-1.0.]",
    b"[-2.]",
    b"[-NaN]",
    b"[.-1]",
    b"[.2e-3]",
    b"[0.1.2]",
    b"[0.3e+]",
    b"[0.e1]",
    b"[0E+]",
    b"[0E]",
    b"[1.0e-]",
    b"[1 000.0]",
    b"[2.e3]",
    b"[Inf]",
    b"[0x42]",
    b"[012]",
    b"[-foo]",
    b"[1a]",
    b"{\"x\", null}",
    b"{\"x\"::\"b\"}",
    b"{\"a\":\"a\" 123}",
    b"{key: 'value'}",
    b"{\"a\" b}",
    b"{:\"b\"}",
    b"{\"a\":",
    b"{1:1}",
    b"{\"id\":0,}",
    b"{\"a\":1}#",
    b"[\"\\x00\"]",
    b"[\"\\u00A\"]",
    b"[\"\\\"]",
    b"[\"new\nline\"]",
    b"[\"\t\"]",
    b"[\"\xff\"]",
    b"[\"\xed\xa0\x80\"]",
    b"<html>",
];

#[test]
fn the_cases_of_the_json_test_suites_get_their_verdicts() {
    for (bodies, expected) in [(&ACCEPTED[..], true), (&REFUSED[..], false)] {
        for body in bodies {
            for shape in shapes() {
                assert_eq!(is_json(body, &shape), expected, "{}", String::from_utf8_lossy(body));
            }
            assert_eq!(serde_json_accepts(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }
}

#[test]
fn the_byte_at_fault_is_named() {
    let cases: [(&[u8], usize); 10] = [
        (b"", 0),
        (b"<html>", 0),
        (b"[1,]", 3),
        (b"{\"a\" 1}", 5),
        (b"[1] x", 4),
        (b"[\"ab\ncd\"]", 4),
        (b"[\"a\\x\"]", 3),
        (b"[\"a\xff\"]", 3),
        (b"[1", 2),
        (b"{\"a\":1]", 6),
    ];
    for (body, at) in cases {
        let error = scan_page(body, &Shape::default(), Limits::default()).unwrap_err();
        assert_eq!(error, JsonError::Malformed { at }, "{}", String::from_utf8_lossy(body));
    }
}

/// Row: A27
#[test]
fn nesting_is_bounded_and_never_costs_the_stack() {
    let judge = || {
        for depth in [1, 2, 63, 64, 65, 127, 128, 129, 1_000, 10_000, 65_535, 65_536, 1_000_000] {
            let bodies = [
                "[".repeat(depth) + &"]".repeat(depth),
                "[".repeat(depth) + "1" + &"]".repeat(depth),
                "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth),
                "[{\"a\":".repeat(depth / 2)
                    + &"[".repeat(depth % 2)
                    + "1"
                    + &"]".repeat(depth % 2)
                    + &"}]".repeat(depth / 2),
                format!("{{\"a\":{}1{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1)),
            ];
            for body in &bodies {
                // An unclosed text is refused too, whatever its depth.
                let unclosed = &body[..body.len() / 2];
                for shape in shapes() {
                    for limit in [0, 1, 64, 128, u16::MAX] {
                        let scanned = scan_page(body.as_bytes(), &shape, Limits { depth: limit, ..Limits::default() });
                        let too_deep = scanned.as_ref().err() == Some(&JsonError::TooDeep);
                        assert_eq!(
                            too_deep,
                            depth > usize::from(limit),
                            "{depth} levels, {limit} allowed: {scanned:?}"
                        );
                        assert!(!matches!(scanned, Err(JsonError::Malformed { .. })));
                        assert!(
                            scan_page(unclosed.as_bytes(), &shape, Limits { depth: limit, ..Limits::default() })
                                .is_err()
                        );
                    }
                }
                assert_eq!(Pointer::parse("/a/0").unwrap().find(body.as_bytes()).is_some(), {
                    body.starts_with("{\"a\":[") && (2..=65_535).contains(&depth)
                });
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(judge).unwrap().join().unwrap();
}
