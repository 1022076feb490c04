//! What is kept of encoded files, and for how long.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use conf::ContentEncoding;

use super::*;
use crate::compression::testing::{compressor, text};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn gzip() -> Compressor {
    compressor(ContentEncoding::Gzip, 1)
}

/// What a file is to the table once it has been left alone for long enough.
fn version_of(file: &File) -> Version {
    let stat = fstat(file).unwrap();
    Version::of(&stat, u64::try_from(stat.st_size).unwrap(), &gzip())
}

fn settled_file(text: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text).unwrap();
    settle(&file);
    file
}

/// Waits until the file has been left alone for long enough.
fn settle(file: &File) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !is_settled(&fstat(file).unwrap()) {
        assert!(std::time::Instant::now() < deadline, "never settled");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn get(files: &EncodedFiles, file: &File) -> Outcome {
    run(get_patiently(files, file, &gzip()))
}

/// Gets it however many others are at it.
async fn get_patiently(files: &EncodedFiles, file: &File, compressor: &Compressor) -> Outcome {
    loop {
        match files.get(file.as_fd(), compressor, &std::env::temp_dir(), true).await {
            Err(error) if matches!(*error, EncodeFileError::Busy) => {}
            outcome => return outcome,
        }
    }
}

/// One that came to an end.
fn ended(outcome: Result<EncodedFile, EncodeFileError>) -> Encoding {
    let (promise, encoding) = Encoding::new();
    promise.keep(outcome);
    encoding
}

/// A file that says that it takes so much.
fn pretended(len: u64) -> Encoding {
    ended(Ok(EncodedFile::pretend(tempfile::tempfile().unwrap(), len)))
}

#[test]
fn a_file_that_stays_as_it_is_is_encoded_once() {
    let files = EncodedFiles::default();
    let mut file = settled_file(&text(1, 50_000));
    let first = get(&files, &file).unwrap();
    assert!(Arc::ptr_eq(&first, &get(&files, &file).unwrap()));
    let zstd = compressor(ContentEncoding::Zstd, 1);
    let other = run(get_patiently(&files, &file, &zstd)).unwrap();
    assert_ne!(other.encoded_len(), first.encoded_len(), "another encoding is another file");
    file.write_all(b"more").unwrap();
    let changed = get(&files, &file).unwrap();
    assert!(!Arc::ptr_eq(&first, &changed));
    assert!(!Arc::ptr_eq(&changed, &get(&files, &file).unwrap()), "it may change unnoticed");
}

#[test]
fn one_written_over_is_another_though_its_time_was_set_back() {
    use std::os::unix::fs::FileExt;
    let files = EncodedFiles::default();
    let file = settled_file(&text(1, 5000));
    let time = file.metadata().unwrap().modified().unwrap();
    let first = get(&files, &file).unwrap();
    file.write_all_at(&text(2, 5000), 0).unwrap();
    file.set_modified(time).unwrap();
    settle(&file);
    assert!(!Arc::ptr_eq(&first, &get(&files, &file).unwrap()));
}

#[test]
fn a_time_in_the_future_keeps_nothing_from_being_kept() {
    let files = EncodedFiles::default();
    let file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut &file, b"text").unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(100_000)).unwrap();
    settle(&file);
    assert!(Arc::ptr_eq(&get(&files, &file).unwrap(), &get(&files, &file).unwrap()));
}

#[test]
fn who_comes_meanwhile_waits_for_the_same() {
    let files = EncodedFiles::default();
    let file = settled_file(&text(1, 900_000));
    run(async {
        let gzip = gzip();
        let get = || get_patiently(&files, &file, &gzip);
        let (one, two, three) = tokio::join!(get(), get(), get());
        let one = one.unwrap();
        assert!(Arc::ptr_eq(&one, &two.unwrap()) && Arc::ptr_eq(&one, &three.unwrap()));
    });
}

#[test]
fn a_failure_that_cost_nothing_is_not_kept() {
    let files = EncodedFiles::default();
    let file = settled_file(b"text");
    let missing = run(files.get(file.as_fd(), &gzip(), Path::new("/nonexistent"), true));
    assert!(matches!(*missing.unwrap_err(), EncodeFileError::Create(..)));
    assert!(get(&files, &file).is_ok());
}

#[test]
fn a_failure_that_cost_something_is_kept_for_a_while() {
    let files = EncodedFiles::default();
    let named = tempfile::NamedTempFile::new().unwrap();
    named.as_file().set_len(1000).unwrap();
    settle(named.as_file());
    // It cannot be read.
    let file = File::options().write(true).open(named.path()).unwrap();
    let error = get(&files, &file).unwrap_err();
    assert!(matches!(*error, EncodeFileError::Read(_)), "{error}");
    assert!(Arc::ptr_eq(&error, &get(&files, &file).unwrap_err()));
    files.kept().tidy(Instant::now() + FAILED_FOR);
    assert!(!Arc::ptr_eq(&error, &get(&files, &file).unwrap_err()));
}

#[test]
fn one_that_gives_up_does_not_hold_up_the_next() {
    let files = EncodedFiles::default();
    let file = settled_file(&text(1, 900_000));
    run(async {
        let dir = std::env::temp_dir();
        // It takes the better part of a second.
        let slow = compressor(ContentEncoding::Brotli, 11);
        let get = files.get(file.as_fd(), &slow, &dir, true);
        let gave_up = tokio::time::timeout(Duration::ZERO, get);
        assert!(gave_up.await.is_err());
        assert!(get_patiently(&files, &file, &slow).await.is_ok());
    });
}

#[test]
fn what_is_begun_goes_on_when_its_client_has_left() {
    let files = EncodedFiles::default();
    let file = settled_file(&text(1, 900_000));
    run(async {
        let gzip = gzip();
        let leaves_soon = Duration::from_millis(1);
        while files.kept().slots.is_empty() {
            let get = get_patiently(&files, &file, &gzip);
            let _ = tokio::time::timeout(leaves_soon, get).await;
        }
        let encoding = files.kept().find(version_of(&file)).unwrap();
        let made = encoding.outcome(None).await.unwrap();
        assert!(Arc::ptr_eq(&made, &get_patiently(&files, &file, &gzip).await.unwrap()));
    });
}

#[test]
fn the_least_lately_used_go_first() {
    let file = settled_file(b"text");
    let mut kept = Kept { slots_max: 20, ..Kept::default() };
    let version = |inode| Version { inode, ..version_of(&file) };
    for inode in 0..20 {
        kept.insert(version(inode), pretended(1));
    }
    assert!(kept.find(version(0)).is_some());
    kept.insert(version(1000), pretended(1));
    kept.tidy(Instant::now());
    assert_eq!(kept.slots.len(), 20);
    assert!(kept.slots.contains_key(&version(0)) && kept.slots.contains_key(&version(1000)));
    assert!(!kept.slots.contains_key(&version(1)));
}

#[test]
fn what_is_under_way_drives_out_nothing() {
    let file = settled_file(b"text");
    let mut kept = Kept { slots_max: 5, ..Kept::default() };
    let version = |inode| Version { inode, ..version_of(&file) };
    let under_way: Vec<_> = (0..10).map(|inode| (inode, Encoding::new())).collect();
    for (inode, (_, encoding)) in &under_way {
        kept.insert(version(*inode), encoding.clone());
    }
    kept.insert(version(1000), pretended(1));
    kept.tidy(Instant::now());
    assert_eq!(kept.slots.len(), 11);
    // What its thread has lost is not waited for.
    drop(under_way);
    kept.tidy(Instant::now());
    assert_eq!(kept.slots.len(), 1);
}

#[test]
fn what_is_kept_is_bounded_in_length() {
    let file = settled_file(b"text");
    let mut kept = Kept::default();
    let version = |inode| Version { inode, ..version_of(&file) };
    for inode in 0..10 {
        kept.insert(version(inode), pretended(KEPT_LEN_MAX / 4));
        kept.tidy(Instant::now());
    }
    assert_eq!(kept.slots.len(), 4);
    assert!(kept.slots.contains_key(&version(9)));
}

#[test]
fn what_nobody_asks_for_is_let_go_of() {
    let files = EncodedFiles::default();
    let file = settled_file(b"text");
    get(&files, &file).unwrap();
    files.tick(1);
    assert_eq!(files.kept().slots.len(), 1);
    files.kept().tidy(Instant::now() + KEPT_FOR);
    assert!(files.kept().slots.is_empty());
}
