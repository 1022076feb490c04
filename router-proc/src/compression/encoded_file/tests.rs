//! Files encoded whole.

use std::os::fd::AsFd;

use conf::ContentEncoding;
use rustix::fs::ftruncate;

use super::*;
use crate::compression::testing::{ENCODINGS, compressor, decode, text};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// Encodes the first `len` octets, however many others are at it.
async fn encode(file: &File, len: u64, compressor: &Compressor, dir: &Path) -> Outcome {
    let turn = loop {
        if let Some(turn) = Turn::take(len, compressor).await {
            break turn;
        }
    };
    let (promise, encoding) = Encoding::new();
    encode_file(file.as_fd(), len, compressor, dir, turn, promise);
    encoding.outcome(None).await
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
            let encoded = run(encode(&file, len as u64, &compressor, dir.path())).unwrap();
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
        let shorter = run(encode(&file, 250_000, &compressor, dir.path())).unwrap();
        assert!(decode(encoding, &content(&shorter)) == (text[..250_000].to_vec(), true));
        ftruncate(&file, 280_000).unwrap();
        let error = run(encode(&file, 300_000, &compressor, dir.path())).unwrap_err();
        assert_eq!(error.to_string(), "the file shrank while it was read");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let file = file_of(b"text");
    let dir = Path::new("/nonexistent");
    let compressor = compressor(ENCODINGS[0], 1);
    let error = run(encode(&file, 4, &compressor, dir)).unwrap_err();
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
                let encoded = encode(&file, text.len() as u64, &compressor, &dir).await.unwrap();
                assert!(decode(encoding, &content(&encoded)) == (text, true), "{seed}");
            });
        }
        tasks.await;
    });
}

#[test]
fn who_finds_no_turn_does_not_wait_for_long() {
    static TURNS: Semaphore = Semaphore::const_new(1);
    run(async {
        let turn = Turn::of(&TURNS).await.unwrap();
        let start = Instant::now();
        assert!(Turn::of(&TURNS).await.is_none());
        assert!(start.elapsed() >= TURN_WAIT);
        let (waiting, ()) = tokio::join!(Turn::of(&TURNS), async { drop(turn) });
        assert!(waiting.is_some(), "it was given up in time");
    });
}

#[test]
fn what_nobody_waits_for_is_given_up() {
    static TURNS: Semaphore = Semaphore::const_new(1);
    // It would take half a minute.
    let file = file_of(&text(1, 30_000_000));
    let compressor = compressor(ContentEncoding::Brotli, 11);
    run(async {
        let turn = Turn::of(&TURNS).await.unwrap();
        let (promise, encoding) = Encoding::new();
        encode_file(file.as_fd(), 30_000_000, &compressor, &std::env::temp_dir(), turn, promise);
        assert!(matches!(
            *encoding.clone().outcome(Some(Duration::ZERO)).await.unwrap_err(),
            EncodeFileError::Busy
        ));
        assert!(encoding.ended().is_none() && TURNS.available_permits() == 0);
        drop(encoding);
        let given_up = tokio::time::timeout(Duration::from_secs(10), TURNS.acquire());
        assert!(given_up.await.is_ok());
    });
}

#[test]
fn no_more_is_written_than_there_is_room_for() {
    static LITTLE: Budget = Budget::new(1000);
    let text = text(1, 20_000);
    let file = file_of(&text);
    let compressor = compressor(ContentEncoding::Gzip, 0);
    let job = || Job::new(file.as_fd(), 20_000, &compressor, &std::env::temp_dir()).unwrap();
    let mut without_room = job();
    without_room.room = LITTLE.lease(0).unwrap();
    let error = loop {
        match without_room.step() {
            Ok(is_over) => assert!(!is_over),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, EncodeFileError::NoRoom) && error.is_temporary());
    drop(without_room);
    // All is given back with the file.
    static ENOUGH: Budget = Budget::new(30_000);
    for _ in 0..3 {
        let mut job = job();
        job.room = ENOUGH.lease(0).unwrap();
        while !job.step().unwrap() {}
        let encoded = job.finish();
        assert!(ENOUGH.lease(30_000 - 20_000).is_none());
        drop(encoded);
    }
}
