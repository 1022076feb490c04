//! WebSocket frames: a checker passes on the same octets, makes the same pongs and finds the same
//! mistake however the octets arrive.
#![no_main]

use app_proto::FrameHeader;
use router_proc::http::websocket::{Checked, FrameBoundary, FrameChecker, FrameError};

#[derive(Debug, PartialEq)]
enum End {
    Open,
    Closed,
    Refused(FrameError),
}

fn check(limit: u64, input: &[u8], piece: usize) -> (Vec<u8>, Vec<u8>, End) {
    let mut checker = FrameChecker::new(limit);
    let (mut passed, mut pongs) = (Vec::new(), Vec::new());
    for octets in input.chunks(piece) {
        match checker.check(octets, &mut passed, &mut pongs) {
            Checked::Open => {}
            Checked::Closed => return (passed, pongs, End::Closed),
            Checked::Refused(error) => return (passed, pongs, End::Refused(error)),
        }
    }
    (passed, pongs, End::Open)
}

/// Every whole frame in `octets`, which begin with one.
fn frames(mut octets: &[u8]) -> Vec<(FrameHeader, usize)> {
    let mut frames = Vec::new();
    let mut boundary = FrameBoundary::default();
    while !octets.is_empty() {
        let len = boundary.advance(octets);
        assert!(len > 0);
        if !boundary.is_reached() {
            break;
        }
        let header = FrameHeader::read(octets).expect("the frame is whole");
        frames.push((header, len));
        octets = &octets[len..];
    }
    frames
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[limit, piece], input)) = bytes.split_first_chunk::<2>() else { return };
    let limit = if limit == u8::MAX { u64::MAX } else { u64::from(limit) * 8 };
    let (passed, pongs, end) = check(limit, input, input.len().max(1));
    assert!(passed.len() <= input.len() && pongs.len() <= input.len());
    for (header, len) in frames(&passed) {
        assert!(header.mask.is_some() && header.opcode != 9 && len as u64 <= limit);
    }
    for (header, _) in frames(&pongs) {
        assert!(header.mask.is_none() && header.opcode == 10 && header.fin && header.rsv == 0);
    }
    if let End::Refused(error) = &end {
        assert!(matches!(error.code, 1002 | 1009) && error.mistake.to_string().len() <= 123);
    }
    assert_eq!(check(limit, input, 1 + usize::from(piece)), (passed, pongs, end));
});
