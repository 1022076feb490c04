//! What goes in comes out of a decoder, in time, and of no other response.

use proptest::prelude::*;

use super::*;
use crate::compression::testing::{ENCODINGS, compressor, decode, levels, text};

fn encode(compressor: &Compressor, window: Window, pieces: &[&[u8]], end: End) -> Vec<u8> {
    let len = pieces.iter().map(|piece| piece.len() as u64).sum();
    let mut encoder = Encoder::new(compressor, len, window).unwrap();
    let mut out = Vec::new();
    for piece in pieces {
        encoder.encode(piece, end, &mut out).unwrap();
    }
    encoder.encode(b"", End::Finish, &mut out).unwrap();
    out
}

#[test]
fn every_level_gives_the_text_back() {
    let text = text(1, 70_000);
    for encoding in ENCODINGS {
        for level in levels(encoding) {
            let compressor = compressor(encoding, level);
            for (window, end) in [(Window::File, End::More), (Window::Stream, End::Flush)] {
                let pieces: Vec<_> = text.chunks(23_000).collect();
                let encoded = encode(&compressor, window, &pieces, end);
                let (decoded, is_whole) = decode(encoding, &encoded);
                assert!(decoded == text && is_whole, "{encoding} {level} {end:?}");
                // Level 0 of zlib is none.
                let is_stored = level == 0
                    && encoding != ContentEncoding::Brotli
                    && encoding != ContentEncoding::Zstd;
                assert!(encoded.len() < text.len() / 2 || is_stored, "{encoding} {level}");
            }
        }
    }
}

#[test]
fn lengths_around_each_window_come_back() {
    for encoding in ENCODINGS {
        let compressor = compressor(encoding, 1);
        for len in [1, 2, 249, 250, 251, 511, 512, 1007, 1024, 32_506, 32_768, 65_537, 1_200_000] {
            for window in [Window::Stream, Window::File] {
                let text = text(7, len);
                let encoded = encode(&compressor, window, &[&text], End::More);
                assert!(decode(encoding, &encoded) == (text, true), "{encoding} {len}");
            }
        }
    }
}

#[test]
fn formats_are_those_of_the_names() {
    let start = |encoding| encode(&compressor(encoding, 6), Window::File, &[b"abc"], End::More);
    assert!(start(ContentEncoding::Gzip).starts_with(&[0x1F, 0x8B, 8]));
    let zlib = start(ContentEncoding::Deflate);
    assert_eq!(zlib[0] & 0x0F, 8, "deflate");
    assert_eq!(u16::from_be_bytes([zlib[0], zlib[1]]) % 31, 0, "a zlib header");
    assert!(start(ContentEncoding::Zstd).starts_with(&[0x28, 0xB5, 0x2F, 0xFD]));
}

#[test]
fn higher_levels_make_less_of_it() {
    let text = text(3, 200_000);
    for encoding in ENCODINGS {
        let len =
            |level| encode(&compressor(encoding, level), Window::File, &[&text], End::More).len();
        let highest = *levels(encoding).end();
        assert!(len(highest) < len(1), "{encoding}");
    }
    let gzip = |level| {
        encode(&compressor(ContentEncoding::Gzip, level), Window::File, &[&text], End::More)
    };
    assert_eq!(gzip(-1), gzip(6), "the default");
    assert_ne!(gzip(-1), gzip(9));
}

#[test]
fn a_flush_brings_out_all_that_was_put_in() {
    for encoding in ENCODINGS {
        for level in [1, 5, *levels(encoding).end()] {
            let text = text(5, 40_000);
            let mut encoder =
                Encoder::new(&compressor(encoding, level), 40_000, Window::Stream).unwrap();
            let mut out = Vec::new();
            for (at, piece) in text.chunks(10_000).enumerate() {
                encoder.encode(piece, End::Flush, &mut out).unwrap();
                let (decoded, is_whole) = decode(encoding, &out);
                assert_eq!(decoded.len(), (at + 1) * 10_000, "{encoding} {level}");
                assert!(text.starts_with(&decoded) && !is_whole, "{encoding} {level}");
            }
            encoder.encode(b"", End::Finish, &mut out).unwrap();
            assert!(decode(encoding, &out) == (text, true), "{encoding} {level}");
        }
    }
}

/// N4: nothing of one response is in another, however they are interleaved.
#[test]
fn interleaved_encoders_know_nothing_of_each_other() {
    for encoding in ENCODINGS {
        let compressor = compressor(encoding, 4);
        let texts: Vec<_> = (0..16).map(|seed| text(seed, 20_000)).collect();
        let alone: Vec<_> = texts
            .iter()
            .map(|text| {
                let pieces: Vec<_> = text.chunks(1000).collect();
                encode(&compressor, Window::Stream, &pieces, End::Flush)
            })
            .collect();
        let mut encoders: Vec<_> = texts
            .iter()
            .map(|_| Encoder::new(&compressor, 20_000, Window::Stream).unwrap())
            .collect();
        let mut outs = vec![Vec::new(); texts.len()];
        for at in 0..20 {
            for ((text, encoder), out) in texts.iter().zip(&mut encoders).zip(&mut outs) {
                encoder.encode(&text[at * 1000..][..1000], End::Flush, out).unwrap();
            }
        }
        for (encoder, out) in encoders.iter_mut().zip(&mut outs) {
            encoder.encode(b"", End::Finish, out).unwrap();
        }
        assert!(outs == alone, "{encoding}");
    }
}

#[test]
fn a_body_of_another_length_than_was_said_is_an_error_at_most() {
    for encoding in ENCODINGS {
        for said in [1, 10, 100_000] {
            let mut encoder = Encoder::new(&compressor(encoding, 3), said, Window::Stream).unwrap();
            let text = text(1, 5000);
            let mut out = Vec::new();
            let result = encoder
                .encode(&text, End::Flush, &mut out)
                .and_then(|()| encoder.encode(b"", End::Finish, &mut out));
            match result {
                Ok(()) => assert!(decode(encoding, &out) == (text, true), "{encoding} {said}"),
                Err(error) => assert!(error.to_string().starts_with("zstd: "), "{error}"),
            }
        }
    }
}

/// The table at the head of the file; the other libraries do not tell.
#[test]
fn zstd_holds_no_more_than_is_said() {
    const MB: usize = 1 << 20;
    let text = text(1, 8 << 20);
    for (level, window, max) in [
        (9, Window::Stream, 4 * MB),
        (22, Window::Stream, 6 * MB),
        (9, Window::File, 12 * MB),
        (22, Window::File, 19 * MB),
    ] {
        let compressor = compressor(ContentEncoding::Zstd, level);
        let mut encoder = Encoder::new(&compressor, text.len() as u64, window).unwrap();
        let piece = &text[..if level > 9 { MB } else { text.len() }];
        encoder.encode(piece, End::Flush, &mut Vec::new()).unwrap();
        let State::Zstd(state) = &encoder.state else { panic!("is zstd") };
        assert!(state.sizeof() <= max, "{level} {window:?}: {}", state.sizeof());
        if window == Window::Stream {
            let said = Effort::of(&compressor).stream_memory(text.len() as u64);
            assert!(state.sizeof() <= said + MB / 2, "{level}: {} of {said}", state.sizeof());
        }
    }
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..5000_usize).prop_map(|(octet, len)| vec![octet; len]),
        (any::<u32>(), 0..5000_usize).prop_map(|(seed, len)| text(seed, len)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_pieces_come_back(
        pieces in proptest::collection::vec((piece(), any::<bool>()), 0..6),
        level in 0..10_i32,
        window in prop_oneof![Just(Window::Stream), Just(Window::File)],
    ) {
        let whole: Vec<u8> = pieces.iter().flat_map(|(piece, _)| piece.clone()).collect();
        for encoding in ENCODINGS {
            let mut encoder =
                Encoder::new(&compressor(encoding, level), whole.len() as u64, window).unwrap();
            let mut out = Vec::new();
            for (piece, flushes) in &pieces {
                let end = if *flushes { End::Flush } else { End::More };
                encoder.encode(piece, end, &mut out).unwrap();
            }
            encoder.encode(b"", End::Finish, &mut out).unwrap();
            prop_assert!(decode(encoding, &out) == (whole.clone(), true), "{}", encoding);
        }
    }
}
