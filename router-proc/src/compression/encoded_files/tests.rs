//! What is kept of encoded files, and for how long.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::Duration;

use super::*;
use crate::compression::testing::{compressor, text};

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn gzip() -> Compressor {
    compressor(ContentEncoding::Gzip, 1)
}

/// A file, and what it is to the table once it has been left alone for long enough.
fn version_of(file: &File) -> Version {
    let stat = fstat(file).unwrap();
    Version::of(&stat, u64::try_from(stat.st_size).unwrap(), ContentEncoding::Gzip)
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

fn get(files: &EncodedFiles, file: &File) -> Result<Arc<EncodedFile>, EncodeFileError> {
    run(files.get(file.as_fd(), &gzip(), &std::env::temp_dir()))
}

#[test]
fn a_file_that_stays_as_it_is_is_encoded_once() {
    let files = EncodedFiles::default();
    let mut file = settled_file(&text(1, 50_000));
    let first = get(&files, &file).unwrap();
    assert!(Arc::ptr_eq(&first, &get(&files, &file).unwrap()));
    let zstd = compressor(ContentEncoding::Zstd, 1);
    let other = run(files.get(file.as_fd(), &zstd, &std::env::temp_dir())).unwrap();
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
        let dir = std::env::temp_dir();
        let gzip = gzip();
        let get = || files.get(file.as_fd(), &gzip, &dir);
        let (one, two, three) = tokio::join!(get(), get(), get());
        let one = one.unwrap();
        assert!(Arc::ptr_eq(&one, &two.unwrap()) && Arc::ptr_eq(&one, &three.unwrap()));
    });
}

#[test]
fn a_failure_is_not_kept() {
    let files = EncodedFiles::default();
    let file = settled_file(b"text");
    let missing = run(files.get(file.as_fd(), &gzip(), Path::new("/nonexistent")));
    assert!(matches!(missing, Err(EncodeFileError::Create(..))), "{missing:?}");
    assert!(files.kept().slots.is_empty());
    assert!(get(&files, &file).is_ok());
    assert_eq!(files.kept().slots.len(), 1);
}

#[test]
fn one_that_gives_up_does_not_hold_up_the_next() {
    let files = EncodedFiles::default();
    let file = settled_file(&text(1, 900_000));
    run(async {
        let dir = std::env::temp_dir();
        let gzip = gzip();
        let gave_up = tokio::time::timeout(Duration::ZERO, files.get(file.as_fd(), &gzip, &dir));
        assert!(gave_up.await.is_err());
        assert!(files.get(file.as_fd(), &gzip, &dir).await.is_ok());
    });
}

#[test]
fn the_least_lately_used_go_first() {
    let file = settled_file(b"text");
    let encoded = get(&EncodedFiles::default(), &file).unwrap();
    let mut kept = Kept::default();
    let version = |inode| Version { inode, ..version_of(&file) };
    for inode in 0..KEPT_MAX as u64 {
        kept.cell(version(inode)).set(Arc::clone(&encoded)).unwrap();
        kept.tidy(version(inode));
    }
    let _ = kept.cell(version(0));
    kept.cell(version(1000)).set(Arc::clone(&encoded)).unwrap();
    kept.tidy(version(1000));
    assert_eq!(kept.slots.len(), KEPT_MAX);
    assert!(kept.slots.contains_key(&version(0)) && kept.slots.contains_key(&version(1000)));
    assert!(!kept.slots.contains_key(&version(1)));
}

#[test]
fn what_is_under_way_drives_out_nothing() {
    let file = settled_file(b"text");
    let encoded = get(&EncodedFiles::default(), &file).unwrap();
    let mut kept = Kept::default();
    let version = |inode| Version { inode, ..version_of(&file) };
    for inode in 0..2 * KEPT_MAX as u64 {
        kept.cell(version(inode));
    }
    kept.cell(version(1000)).set(encoded).unwrap();
    kept.tidy(version(1000));
    assert!(kept.slots.contains_key(&version(1000)));
}

#[test]
fn what_is_kept_is_bounded_in_length() {
    let file = settled_file(b"text");
    let long = |len| {
        let file = tempfile::tempfile().unwrap();
        Arc::new(EncodedFile::pretend(file, len))
    };
    let mut kept = Kept::default();
    let version = |inode| Version { inode, ..version_of(&file) };
    kept.cell(version(1)).set(long(KEPT_LEN_EACH_MAX + 1)).unwrap();
    kept.tidy(version(1));
    assert!(kept.slots.is_empty(), "it would leave no room for others");
    for inode in 0..10 {
        kept.cell(version(inode)).set(long(KEPT_LEN_EACH_MAX)).unwrap();
        kept.tidy(version(inode));
    }
    let len: u64 = kept.slots.values().map(Slot::len).sum();
    assert_eq!(len, KEPT_LEN_MAX);
    assert!(kept.slots.contains_key(&version(9)));
}
