//! Files encoded whole.

use std::os::fd::AsFd;

use rustix::fs::ftruncate;

use super::*;
use crate::compression::testing::{ENCODINGS, compressor, decode, text};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn file_of(text: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    file
}

fn content(encoded: &EncodedFile) -> Vec<u8> {
    let mut octets = vec![0; usize::try_from(encoded.encoded_len()).unwrap() + 1];
    let read = rustix::io::pread(encoded.octets(), &mut octets[..], 0).unwrap();
    octets.truncate(read);
    assert_eq!(octets.len() as u64, encoded.encoded_len());
    octets
}

#[test]
fn files_of_all_lengths_come_back_and_leave_no_name() {
    let dir = tempfile::tempdir().unwrap();
    for encoding in ENCODINGS {
        for len in [1, 1000, 24 * 1024, 24 * 1024 + 1, 200_000, 3_000_000] {
            let text = text(9, len);
            let file = file_of(&text);
            let compressor = compressor(encoding, 2);
            let encode = encode_file(file.as_fd(), len as u64, &compressor, dir.path());
            let encoded = run(encode).unwrap();
            assert!(decode(encoding, &content(&encoded)) == (text, true), "{encoding} {len}");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn a_file_is_read_to_the_length_it_had() {
    let dir = tempfile::tempdir().unwrap();
    for encoding in ENCODINGS {
        let compressor = compressor(encoding, 1);
        let text = text(2, 300_000);
        let file = file_of(&text);
        let shorter = run(encode_file(file.as_fd(), 250_000, &compressor, dir.path())).unwrap();
        assert!(decode(encoding, &content(&shorter)) == (text[..250_000].to_vec(), true));
        ftruncate(&file, 280_000).unwrap();
        let error = run(encode_file(file.as_fd(), 300_000, &compressor, dir.path())).unwrap_err();
        assert_eq!(error.to_string(), "the file shrank while it was read");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let file = file_of(b"text");
    let dir = Path::new("/nonexistent");
    let compressor = compressor(ENCODINGS[0], 1);
    let error = run(encode_file(file.as_fd(), 4, &compressor, dir)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "mkstemp(/nonexistent/unit-compr-XXXXXX) failed (2: No such file or directory)"
    );
}

#[test]
fn many_at_once_are_encoded_each_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    run(async {
        let tasks = tokio::task::LocalSet::new();
        for seed in 0..24 {
            let dir = dir.path().to_owned();
            tasks.spawn_local(async move {
                let encoding = ENCODINGS[seed as usize % 4];
                let text = text(seed, 100_000 + seed as usize * 100_000);
                let file = file_of(&text);
                let compressor = compressor(encoding, 4);
                let encode = encode_file(file.as_fd(), text.len() as u64, &compressor, &dir);
                let encoded = encode.await.unwrap();
                assert!(decode(encoding, &content(&encoded)) == (text, true), "{seed}");
            });
        }
        tasks.await;
    });
}
