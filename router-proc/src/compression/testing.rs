//! What the tests of this module share: bodies, compressors and decoders.

use std::io::Read;

use conf::{Compressor, ContentEncoding};

pub(super) const ENCODINGS: [ContentEncoding; 4] = [
    ContentEncoding::Gzip,
    ContentEncoding::Deflate,
    ContentEncoding::Zstd,
    ContentEncoding::Brotli,
];

pub(super) fn compressor(encoding: ContentEncoding, level: i32) -> Compressor {
    Compressor { encoding, level, rejected_level: None, min_length: None }
}

/// All levels of an encoding.
pub(super) fn levels(encoding: ContentEncoding) -> std::ops::RangeInclusive<i32> {
    match encoding {
        ContentEncoding::Identity => 0..=0,
        ContentEncoding::Gzip | ContentEncoding::Deflate => -1..=9,
        ContentEncoding::Zstd => -7..=22,
        ContentEncoding::Brotli => 0..=11,
    }
}

/// Text of that length; another for another seed.
pub(super) fn text(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut text = Vec::with_capacity(len + 16);
    while text.len() < len {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let words = ["return", " const ", "let value = ", "<div class=\"", "\">", "</div>\n", "  "];
        text.extend_from_slice(words[(state >> 24) as usize % words.len()].as_bytes());
        if state & 0x300 == 0 {
            text.extend_from_slice(state.to_string().as_bytes());
        }
    }
    text.truncate(len);
    text
}

/// What was encoded; everything that can be told from octets that may be only the first ones.
pub(super) fn decode(encoding: ContentEncoding, encoded: &[u8]) -> (Vec<u8>, bool) {
    let mut text = Vec::new();
    let is_whole = match encoding {
        ContentEncoding::Identity => {
            text.extend_from_slice(encoded);
            true
        }
        ContentEncoding::Gzip => {
            flate2::read::GzDecoder::new(encoded).read_to_end(&mut text).is_ok()
        }
        ContentEncoding::Deflate => {
            flate2::read::ZlibDecoder::new(encoded).read_to_end(&mut text).is_ok()
        }
        ContentEncoding::Brotli => {
            brotli::Decompressor::new(encoded, 4096).read_to_end(&mut text).is_ok()
        }
        ContentEncoding::Zstd => {
            let mut state = zstd_safe::DCtx::create();
            let mut input = zstd_safe::InBuffer::around(encoded);
            loop {
                text.reserve(64 * 1024);
                let (start, before) = (text.len(), input.pos());
                let mut out = zstd_safe::OutBuffer::around_pos(&mut text, start);
                let left = state.decompress_stream(&mut out, &mut input).expect("is zstd");
                if left == 0 {
                    assert_eq!(input.pos(), encoded.len(), "nothing follows the frame");
                    break true;
                }
                if text.len() == start && input.pos() == before {
                    break false;
                }
            }
        }
    };
    (text, is_whole)
}
