//! Hostile and honest frames, each split in every way.

use proptest::prelude::*;

use super::*;

const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
const LIMIT: u64 = 1024 * 1024;

/// Everything that came of some octets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    passed: Vec<u8>,
    pongs: Vec<u8>,
    checked: Checked,
}

fn check_in(pieces: &[&[u8]], limit: u64) -> Outcome {
    let mut checker = FrameChecker::new(limit);
    let mut outcome = Outcome { passed: Vec::new(), pongs: Vec::new(), checked: Checked::Open };
    for piece in pieces {
        outcome.checked = checker.check(piece, &mut outcome.passed, &mut outcome.pongs);
        if outcome.checked != Checked::Open {
            break;
        }
    }
    assert_eq!(checker.is_closed(), outcome.checked == Checked::Closed);
    outcome
}

/// Checks the octets at once, and in every split in two and octet by octet with the same outcome.
fn check(octets: &[u8], limit: u64) -> Outcome {
    let outcome = check_in(&[octets], limit);
    for at in 0..=octets.len().min(300) {
        let (first, second) = octets.split_at(at);
        assert_eq!(check_in(&[first, second], limit), outcome, "split at {at}");
    }
    let single: Vec<&[u8]> = octets.chunks(1).collect();
    assert_eq!(check_in(&single, limit), outcome, "octet by octet");
    outcome
}

/// A frame whose length is written in the shortest form, its payload masked.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    FrameHeader {
        fin: first & 0x80 != 0,
        rsv: first >> 4 & 7,
        opcode: first & 15,
        mask: Some(MASK),
        payload_len: payload.len() as u64,
    }
    .write(&mut frame);
    let at = frame.len();
    frame.extend_from_slice(payload);
    mask_payload(&mut frame[at..], MASK);
    frame
}

/// A header with a length of eight octets.
fn long(first: u8, len: u64) -> Vec<u8> {
    let mut header = vec![first, 0xff];
    header.extend_from_slice(&len.to_be_bytes());
    header.extend_from_slice(&MASK);
    header
}

fn close(code: u16, reason: &[u8]) -> Vec<u8> {
    frame(0x88, &[&code.to_be_bytes(), reason].concat())
}

#[test]
fn n2_hostile_frames_are_refused_however_they_are_split() {
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (vec![0x81, 0x00], 1002, "Not masked client frame"),
        (vec![0x81, 0x05, b'h', b'e'], 1002, "Not masked client frame"),
        (vec![0x81, 126, 0, 126], 1002, "Not masked client frame"),
        (vec![0x81, 127, 255, 0, 0, 0, 0, 0, 0, 0], 1002, "Not masked client frame"),
        // The mask comes first, whatever else is wrong.
        (vec![0x0f, 127, 0, 0, 0, 0, 0, 0, 0, 1], 1002, "Not masked client frame"),
        (frame(0x08, b""), 1002, "Fragmented control frame"),
        (frame(0x09, b"p"), 1002, "Fragmented control frame"),
        (frame(0x0a, b""), 1002, "Fragmented control frame"),
        // FIN comes before the opcode.
        (frame(0x0b, b""), 1002, "Fragmented control frame"),
        (frame(0x8b, b""), 1002, "Unrecognized opcode 11"),
        (frame(0x8c, b""), 1002, "Unrecognized opcode 12"),
        (frame(0x8d, b""), 1002, "Unrecognized opcode 13"),
        (frame(0x8e, b""), 1002, "Unrecognized opcode 14"),
        (frame(0x8f, b""), 1002, "Unrecognized opcode 15"),
        // The opcode comes before the length.
        (frame(0x8f, &[0; 126]), 1002, "Unrecognized opcode 15"),
        (frame(0x89, &[0; 126]), 1002, "Control frame too big: 126 bytes"),
        (frame(0x8a, &[0; 127]), 1002, "Control frame too big: 127 bytes"),
        (frame(0x88, &[0; 65_536]), 1002, "Control frame too big: 65536 bytes"),
        (long(0x89, u64::MAX), 1002, "Control frame too big: 18446744073709551615 bytes"),
        (frame(0x88, b"x"), 1002, "Close frame payload length cannot be 1"),
        // The same in the long forms.
        (vec![0x88, 0xfe, 0, 1, 1, 2, 3, 4, 0], 1002, "Close frame payload length cannot be 1"),
        (
            [frame(0x01, b"a"), frame(0x81, b"b")].concat(),
            1002,
            "Continuation expected, but 1 opcode received",
        ),
        (
            [frame(0x02, b"a"), frame(0x82, b"b")].concat(),
            1002,
            "Continuation expected, but 2 opcode received",
        ),
        (
            [frame(0x02, b"a"), frame(0x87, b"b")].concat(),
            1002,
            "Continuation expected, but 7 opcode received",
        ),
        // Inside of a message that comes before the size.
        (
            [frame(0x02, b"a"), long(0x82, u64::MAX)].concat(),
            1002,
            "Continuation expected, but 2 opcode received",
        ),
        (frame(0x80, b"a"), 1002, "Unrecognized opcode 0"),
        (frame(0x00, b"a"), 1002, "Unrecognized opcode 0"),
        (frame(0x83, b""), 1002, "Unrecognized opcode 3"),
        (frame(0x04, b""), 1002, "Unrecognized opcode 4"),
        (frame(0x85, b""), 1002, "Unrecognized opcode 5"),
        (frame(0x86, b""), 1002, "Unrecognized opcode 6"),
        (frame(0x87, b""), 1002, "Unrecognized opcode 7"),
        // A message that ended needs no continuation.
        (
            [frame(0x01, b"a"), frame(0x80, b"b"), frame(0x80, b"c")].concat(),
            1002,
            "Unrecognized opcode 0",
        ),
        (long(0x82, LIMIT), 1009, "Message too big: 1048576 bytes"),
        (long(0x82, LIMIT - 13), 1009, "Message too big: 1048563 bytes"),
        (long(0x82, 1 << 63), 1009, "Message too big: 9223372036854775808 bytes"),
        (long(0x82, u64::MAX), 1009, "Message too big: 18446744073709551615 bytes"),
        (long(0x82, u64::MAX - 13), 1009, "Message too big: 18446744073709551602 bytes"),
        (long(0x01, 1 << 63 | 1), 1009, "Message too big: 9223372036854775809 bytes"),
        (close(0, b""), 1002, "Close code 0 is not valid"),
        (close(999, b""), 1002, "Close code 999 is not valid"),
        (close(1004, b"x"), 1002, "Close code 1004 is not valid"),
        (close(1005, b""), 1002, "Close code 1005 is not valid"),
        (close(1006, b""), 1002, "Close code 1006 is not valid"),
        (close(1015, b""), 1002, "Close code 1015 is not valid"),
        (close(2999, b""), 1002, "Close code 2999 is not valid"),
        (close(5000, b""), 1002, "Close code 5000 is not valid"),
        (close(65_535, b""), 1002, "Close code 65535 is not valid"),
    ];
    for (octets, code, text) in cases {
        let honest = frame(0x81, b"before");
        let ping = frame(0x89, b"x");
        for (start, passed, pongs) in [
            (Vec::new(), &b""[..], &b""[..]),
            ([honest.clone(), ping].concat(), &honest, &[0x8a, 1, b'x'][..]),
        ] {
            let outcome = check(&[start, octets.clone(), b"after".to_vec()].concat(), LIMIT);
            let Checked::Refused(error) = outcome.checked else { panic!("{text}: {outcome:?}") };
            assert_eq!((error.code, error.mistake.to_string().as_str()), (code, text));
            assert_eq!(outcome.pongs, pongs, "{text}");
            // Of the frame at fault nothing was passed on, of those before it all was.
            assert!(outcome.passed.starts_with(passed), "{text}");
            let rest = &outcome.passed[passed.len()..];
            assert!(octets.starts_with(rest) && rest.len() < octets.len(), "{text}");
            assert!(rest.is_empty() || rest.len() == 7 || rest.len() == 14, "{text}: {rest:?}");
        }
    }
}

#[test]
fn n2_frames_of_every_length_are_passed_on_as_they_are() {
    for len in [0usize, 1, 2, 124, 125, 126, 127, 128, 254, 255, 256, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let octets = frame(0x82, &payload);
        let outcome = check(&octets, LIMIT);
        assert_eq!(outcome.checked, Checked::Open);
        assert!(outcome.passed == octets && outcome.pongs.is_empty(), "{len}");
    }
    // A length may be written longer than it needs to be, and reserved bits are the application's.
    let padded = [long(0xf2, 3), b"abc".to_vec()].concat();
    assert_eq!(check(&padded, LIMIT).passed, padded);
}

#[test]
fn the_size_limit_counts_the_header() {
    for (limit, len, fits) in [
        (131, 125, true),
        (130, 125, false),
        (134, 126, true),
        (133, 126, false),
        (14 + 65_536, 65_536, true),
        (13 + 65_536, 65_536, false),
        (6, 0, true),
        (5, 0, false),
        (0, 0, false),
        (u64::MAX, 10, true),
    ] {
        let octets = frame(0x82, &vec![0; len]);
        let outcome = check_in(&[&octets], limit);
        assert_eq!(outcome.checked == Checked::Open, fits, "{len} in {limit}");
    }
    // With no limit to speak of the largest length is one as good as any, and does not overflow.
    assert_eq!(check_in(&[&long(0x82, u64::MAX - 14)], u64::MAX).checked, Checked::Open);
}

#[test]
fn control_frames_come_between_the_frames_of_a_message() {
    let octets = [
        frame(0x01, b"one"),
        frame(0x89, b"ping"),
        frame(0x00, b"two"),
        frame(0x8a, b"pong"),
        frame(0x89, &[7; 125]),
        frame(0x89, b""),
        frame(0x80, b""),
    ]
    .concat();
    let outcome = check(&octets, LIMIT);
    assert_eq!(outcome.checked, Checked::Open);
    let passed = [frame(0x01, b"one"), frame(0x00, b"two"), frame(0x8a, b"pong"), frame(0x80, b"")];
    assert_eq!(outcome.passed, passed.concat());
    let pongs = [&[0x8a, 4][..], b"ping", &[0x8a, 125], &[7; 125], &[0x8a, 0]];
    assert_eq!(outcome.pongs, pongs.concat());
}

#[test]
fn nothing_counts_behind_a_close_frame() {
    for good in [
        frame(0x88, b""),
        close(1000, b""),
        close(1003, b"reason"),
        close(1007, b""),
        close(1014, b""),
        close(3000, b""),
        close(4999, &[b'r'; 123]),
    ] {
        let octets = [good.clone(), vec![0xff; 50]].concat();
        let outcome = check(&octets, LIMIT);
        assert_eq!((outcome.checked, outcome.passed), (Checked::Closed, good));
    }
    // A small length may be written in the long form.
    let mut long_form = vec![0x88, 0xff, 0, 0, 0, 0, 0, 0, 0, 125, 0, 0, 0, 0, 0x03, 0xe8];
    long_form.resize(139, b'x');
    assert_eq!(check(&long_form, LIMIT).passed, long_form);
    long_form[0] = 0x89;
    assert_eq!(check(&long_form, LIMIT).pongs, [&[0x8a, 125], &long_form[14..]].concat());
    // Also in the middle of a message.
    let octets = [frame(0x01, b"a"), close(1001, b"bye")].concat();
    assert_eq!(check(&octets, LIMIT).checked, Checked::Closed);
}

/// What a frame of random octets does, by the words of the table and without any state of its own
/// but the message.
fn model(octets: &[u8], limit: u64) -> Outcome {
    let (mut passed, mut pongs) = (Vec::new(), Vec::new());
    let mut in_message = false;
    let mut at = 0;
    let refused = |passed: Vec<u8>, pongs: Vec<u8>, mistake: FrameMistake| Outcome {
        passed,
        pongs,
        checked: Checked::Refused(mistake.into()),
    };
    loop {
        let rest = &octets[at..];
        if rest.len() < 2 {
            break;
        }
        let (fin, opcode) = (rest[0] >= 0x80, rest[0] % 16);
        let (masked, short) = (rest[1] >= 0x80, u64::from(rest[1] % 128));
        let length_len = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if rest.len() < 2 + length_len {
            break;
        }
        let mut len = short;
        if length_len > 0 {
            len = 0;
            for octet in &rest[2..2 + length_len] {
                len = len * 256 + u64::from(*octet);
            }
        }
        let mistake = if !masked {
            Some(FrameMistake::NotMasked)
        } else if opcode >= 8 && !fin {
            Some(FrameMistake::FragmentedControl)
        } else if opcode >= 11 {
            Some(FrameMistake::UnrecognizedOpcode(opcode))
        } else if opcode >= 8 && len > 125 {
            Some(FrameMistake::ControlTooBig(len))
        } else if opcode == 8 && len == 1 {
            Some(FrameMistake::CloseLength)
        } else if opcode < 8 && in_message && opcode != 0 {
            Some(FrameMistake::ContinuationExpected(opcode))
        } else if opcode < 8 && !in_message && opcode != 1 && opcode != 2 {
            Some(FrameMistake::UnrecognizedOpcode(opcode))
        } else if u128::from(len) + 6 + length_len as u128 > u128::from(limit) {
            Some(FrameMistake::TooBig(len))
        } else {
            None
        };
        if let Some(mistake) = mistake {
            return refused(passed, pongs, mistake);
        }
        let header_len = 6 + length_len;
        if rest.len() < header_len {
            break;
        }
        let payload_len = usize::try_from(len).unwrap_or(usize::MAX);
        let frame_len = header_len.saturating_add(payload_len);
        if opcode < 8 {
            in_message = !fin;
            passed.extend_from_slice(&rest[..frame_len.min(rest.len())]);
        }
        if rest.len() < frame_len {
            break;
        }
        let mask = &rest[header_len - 4..header_len];
        let payload: Vec<u8> = rest[header_len..frame_len]
            .iter()
            .enumerate()
            .map(|(index, octet)| octet ^ mask[index % 4])
            .collect();
        match opcode {
            8 => {
                if let [high, low, ..] = payload[..] {
                    let code = u16::from(high) * 256 + u16::from(low);
                    let valid = (1000..=1014).contains(&code) && !(1004..=1006).contains(&code);
                    if !valid && !(3000..5000).contains(&code) {
                        return refused(passed, pongs, FrameMistake::CloseCode(code));
                    }
                }
                passed.extend_from_slice(&rest[..frame_len]);
                return Outcome { passed, pongs, checked: Checked::Closed };
            }
            9 => {
                pongs.push(0x8a);
                pongs.push(u8::try_from(payload.len()).unwrap());
                pongs.extend_from_slice(&payload);
            }
            10 => passed.extend_from_slice(&rest[..frame_len]),
            _ => {}
        }
        at += frame_len;
    }
    Outcome { passed, pongs, checked: Checked::Open }
}

/// Frames that are mostly good.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop_oneof![Just(0x81u8), Just(0x01), Just(0x80), Just(0x00), Just(0x82)],
        3 => prop_oneof![Just(0x89u8), Just(0x8a), Just(0x88)],
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => proptest::collection::vec(any::<u8>(), 100..400),
    ];
    let piece = prop_oneof![
        12 => (first, payload).prop_map(|(first, payload)| frame(first, &payload)),
        1 => (any::<u8>(), any::<u64>()).prop_map(|(first, len)| long(first, len)),
        1 => (0x88u8..0x8b, 0u64..130).prop_map(|(first, len)| long(first, len)),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_octets_in_any_pieces_do_what_the_table_says(
        octets in frames(),
        cuts in proptest::collection::vec(0usize..3000, 0..6),
        limit in prop_oneof![Just(LIMIT), 0u64..200],
    ) {
        let expected = model(&octets, limit);
        prop_assert_eq!(&check_in(&[&octets], limit), &expected);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(octets.len())).collect();
        cuts.extend([0, octets.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &octets[cut[0]..cut[1]]).collect();
        prop_assert_eq!(check_in(&pieces, limit), expected);
    }
}
