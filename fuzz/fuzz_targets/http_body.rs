//! Bodies: a decoder gives the same data and the same end however the octets arrive.
#![no_main]

use router_proc::http::{BodyDecoder, BodyEvent, RequestBody};

/// How a body ended: behind this many octets, not yet, or refused with this status.
#[derive(Debug, PartialEq)]
enum End {
    At(usize),
    Open,
    Refused(u16),
}

fn decode(mut decoder: BodyDecoder, input: &[u8], piece: usize) -> (Vec<u8>, End) {
    let mut data = Vec::new();
    for (index, octets) in input.chunks(piece).enumerate() {
        let mut at = 0;
        loop {
            match decoder.decode(&octets[at..]) {
                BodyEvent::Data(range) => {
                    assert!(!range.is_empty());
                    data.extend_from_slice(&octets[at..][range.clone()]);
                    at += range.end;
                }
                BodyEvent::NeedMore => break,
                BodyEvent::Done { consumed } => {
                    assert!(decoder.is_done() && decoder.decoded_len() == data.len() as u64);
                    return (data, End::At(index * piece + at + consumed));
                }
                BodyEvent::Error(status) => return (data, End::Refused(status)),
            }
        }
    }
    // A body may end where the input does, and only asking again tells.
    let end = match decoder.decode(b"") {
        BodyEvent::Done { .. } => End::At(input.len()),
        BodyEvent::Error(status) => End::Refused(status),
        BodyEvent::NeedMore | BodyEvent::Data(_) => End::Open,
    };
    (data, end)
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((&[kind, length, max, piece], input)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let body = match kind % 4 {
        0 => RequestBody::None,
        1 => RequestBody::Length(u64::from(length)),
        _ => RequestBody::Chunked,
    };
    let max = if max == u8::MAX { u64::MAX } else { u64::from(max) };
    let decoder = BodyDecoder::new(body, max);
    let (data, end) = decode(decoder.clone(), input, input.len().max(1));
    assert!(data.len() as u64 <= max && data.len() <= input.len());
    assert!(matches!(end, End::Open | End::At(_) | End::Refused(400 | 413)));
    if let (RequestBody::Length(length), End::At(at)) = (body, &end) {
        assert_eq!((data.len() as u64, *at as u64), (length, length));
    }
    assert_eq!(decode(decoder, input, 1 + usize::from(piece)), (data, end));
});
