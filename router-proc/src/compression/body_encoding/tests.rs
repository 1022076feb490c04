//! Bodies encoded as they come.

use conf::ContentEncoding;

use super::*;
use crate::compression::testing::{ENCODINGS, compressor, decode, levels, text};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn begin(encoding: ContentEncoding, level: i32, len: usize) -> BodyEncoding {
    BodyEncoding::begin(&compressor(encoding, level), len as u64).unwrap().unwrap()
}

#[test]
fn every_piece_comes_out_at_once_and_the_last_ends_it() {
    run(async {
        for encoding in ENCODINGS {
            // Some of this is encoded on the spot, some on other threads.
            for level in [1, *levels(encoding).end()] {
                let text = text(4, 150_000);
                let mut body = begin(encoding, level, text.len());
                let mut out = Vec::new();
                let mut sent = 0;
                for len in [1, 10, 1000, 60_000, 88_989] {
                    let mut piece = text[sent..sent + len].to_vec();
                    sent += len;
                    body.push(&mut piece, &mut out).await.unwrap();
                    let (decoded, is_whole) = decode(encoding, &out);
                    assert_eq!(decoded.len(), sent, "{encoding} {level}");
                    assert_eq!(is_whole, sent == text.len(), "{encoding} {level}");
                }
                assert!(body.is_whole() && body.encoder.is_none() && body.lease.is_none());
                assert!(decode(encoding, &out) == (text, true), "{encoding} {level}");
            }
        }
    });
}

#[test]
fn what_is_beyond_the_length_is_left_out() {
    run(async {
        for encoding in ENCODINGS {
            let mut body = begin(encoding, 1, 5);
            let mut out = Vec::new();
            body.push(&mut b"abc".to_vec(), &mut out).await.unwrap();
            assert!(!body.is_whole());
            body.push(&mut b"defgh".to_vec(), &mut out).await.unwrap();
            assert!(body.is_whole());
            let len = out.len();
            body.push(&mut b"ijk".to_vec(), &mut out).await.unwrap();
            assert_eq!(out.len(), len);
            assert_eq!(decode(encoding, &out), (b"abcde".to_vec(), true));
        }
    });
}

#[test]
fn a_body_gives_back_what_its_encoder_may_hold() {
    static BUDGET: Budget = Budget::new(1000);
    run(async {
        let mut body = begin(ContentEncoding::Gzip, 1, 3);
        body.lease = BUDGET.lease(1000);
        body.push(&mut b"ab".to_vec(), &mut Vec::new()).await.unwrap();
        assert!(BUDGET.lease(1).is_none());
        body.push(&mut b"c".to_vec(), &mut Vec::new()).await.unwrap();
        assert!(BUDGET.lease(1000).is_some(), "while the client still reads");
        let mut cut = begin(ContentEncoding::Gzip, 1, 3);
        cut.lease = BUDGET.lease(1000);
        drop(cut);
        assert!(BUDGET.lease(1000).is_some());
    });
}
