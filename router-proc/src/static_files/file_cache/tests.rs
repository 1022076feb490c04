//! What is kept open, and for how long.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags, fstat, open};
use tempfile::TempDir;

use super::*;
use crate::routing::tests::{Request, Router};

/// A time at which every file has been as it is for long.
const LATER: i64 = i64::MAX;

/// Opens a file as a `share` would.
fn keep(cache: &FileCache, path: &Path) {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let state = fstat(&file).unwrap();
    let file = Rc::new(OpenedFile::new(file, &state, None));
    cache.insert(octets(path), &state, &file, LATER);
}

fn octets(path: &Path) -> &[u8] {
    path.to_str().unwrap().as_bytes()
}

/// A directory with the files `0`, `1` and so on.
fn numbered(count: usize) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..count {
        fs::write(dir.path().join(number.to_string()), format!("file {number}")).unwrap();
    }
    dir
}

/// The numbers of the files that are kept.
fn kept(cache: &FileCache, dir: &Path) -> Vec<usize> {
    let files = cache.files.borrow();
    assert_eq!(files.places.len(), files.entries.len());
    let mut numbers: Vec<usize> = files
        .entries
        .iter()
        .enumerate()
        .map(|(at, entry)| {
            assert_eq!(files.places[&entry.path], at);
            let path = std::str::from_utf8(&entry.path).unwrap();
            Path::new(path).strip_prefix(dir).unwrap().to_str().unwrap().parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Waits until a change of a file would have another time than its last one.
fn wait_for_the_clock_of(path: &Path) {
    let changed_at = |path: &Path| {
        let state = fs::metadata(path).unwrap();
        (state.ctime(), state.ctime_nsec())
    };
    let probe = path.with_extension("probe");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        fs::write(&probe, "x").unwrap();
        if changed_at(&probe) > changed_at(path) {
            return;
        }
        assert!(Instant::now() < deadline, "the clock stands still");
        std::thread::yield_now();
    }
}

#[test]
fn an_unchanged_file_is_given_again() {
    let dir = numbered(1);
    let path = dir.path().join("0");
    let cache = FileCache::new(4);
    assert!(cache.get(octets(&path), None).is_none());
    keep(&cache, &path);
    let one = cache.get(octets(&path), None).unwrap();
    let other = cache.get(octets(&path), None).unwrap();
    assert!(Rc::ptr_eq(&one, &other));
    // What is known of its type is part of it.
    assert!(cache.get(octets(&path), Some(&"text/plain".into())).is_none());
    assert!(cache.is_empty());
}

#[test]
fn whatever_changes_at_the_path_shows() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 8] = [
        ("removed", |path| fs::remove_file(path).unwrap()),
        ("written", |path| fs::write(path, "FILE 0").unwrap()),
        ("longer", |path| fs::write(path, "file 0 and more").unwrap()),
        ("replaced", |path| {
            // Same length, same time.
            let other = path.with_extension("new");
            let modified = fs::metadata(path).unwrap().modified().unwrap();
            fs::write(&other, "FILE 0").unwrap();
            fs::File::options().write(true).open(&other).unwrap().set_modified(modified).unwrap();
            fs::rename(&other, path).unwrap();
        }),
        ("another time", |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.set_modified(UNIX_EPOCH).unwrap();
        }),
        ("other rights", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }),
        ("a link to another", |path| {
            let other = path.with_extension("new");
            fs::write(&other, "file 0").unwrap();
            fs::remove_file(path).unwrap();
            symlink(other, path).unwrap();
        }),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
    ];
    for (what, change) in changes {
        let dir = numbered(1);
        let path = dir.path().join("0");
        // Clocks of file systems may be coarse; this is a change to all of them.
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(9)).unwrap();
        drop(file);
        let cache = FileCache::new(4);
        keep(&cache, &path);
        assert!(cache.get(octets(&path), None).is_some(), "{what}");
        wait_for_the_clock_of(&path);
        change(&path);
        assert!(cache.get(octets(&path), None).is_none(), "{what}");
        assert!(cache.is_empty(), "{what}");
    }
}

/// It could change once more without showing it.
#[test]
fn what_has_just_been_changed_is_not_kept() {
    let dir = numbered(1);
    let path = dir.path().join("0");
    let cache = FileCache::new(4);
    let file = open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let state = fstat(&file).unwrap();
    let file = Rc::new(OpenedFile::new(file, &state, None));
    for (age, is_kept) in
        [(-9, false), (0, false), (SETTLED_SECS, false), (SETTLED_SECS + 1, true), (1, false)]
    {
        cache.insert(octets(&path), &state, &file, state.st_ctime + age);
        assert_eq!(cache.get(octets(&path), None).is_some(), is_kept, "{age}");
    }
}

#[test]
fn a_link_that_is_turned_leads_to_the_other_file() {
    let dir = numbered(2);
    let link = dir.path().join("link");
    symlink("0", &link).unwrap();
    let cache = FileCache::new(4);
    keep(&cache, &link);
    assert!(cache.get(octets(&link), None).is_some());
    fs::remove_file(&link).unwrap();
    symlink("1", &link).unwrap();
    assert!(cache.get(octets(&link), None).is_none());
}

#[test]
fn no_more_than_allowed_are_kept_and_those_in_use_stay() {
    let dir = numbered(6);
    let cache = FileCache::new(3);
    let path = |number: usize| dir.path().join(number.to_string());
    for number in 0..3 {
        keep(&cache, &path(number));
    }
    // All were used; the first in the row has to go, and nobody is used any more.
    keep(&cache, &path(3));
    assert_eq!(kept(&cache, dir.path()), [1, 2, 3]);
    assert!(cache.get(octets(&path(1)), None).is_some());
    keep(&cache, &path(4));
    assert_eq!(kept(&cache, dir.path()).len(), 3);
    assert!(kept(&cache, dir.path()).contains(&1), "{:?}", kept(&cache, dir.path()));
    for round in 0..50 {
        keep(&cache, &path(round % 6));
        assert!(cache.get(octets(&path(round % 6)), None).is_some());
        assert_eq!(kept(&cache, dir.path()).len(), 3);
    }
    // One path is one file.
    keep(&cache, &path(5));
    keep(&cache, &path(5));
    assert_eq!(kept(&cache, dir.path()).len(), 3);
    let none = FileCache::new(0);
    keep(&none, &path(0));
    assert!(none.is_empty() && none.get(octets(&path(0)), None).is_none());
}

#[test]
fn what_is_not_used_is_closed_and_gives_its_room_back() {
    let dir = numbered(2);
    let (one, other) = (dir.path().join("0"), dir.path().join("1"));
    let cache = FileCache::new(4);
    keep(&cache, &one);
    keep(&cache, &other);
    let weak = Rc::downgrade(&cache.get(octets(&other), None).unwrap());
    fs::remove_file(&other).unwrap();
    cache.tick(1000);
    assert_eq!(cache.len(), 2);
    assert!(cache.get(octets(&one), None).is_some());
    // Looks in between change nothing.
    cache.tick(1001);
    cache.tick(1000 + SWEEP_MS - 1);
    assert_eq!(cache.len(), 2);
    cache.tick(1000 + SWEEP_MS);
    assert_eq!(kept(&cache, dir.path()), [0]);
    assert!(weak.upgrade().is_none());
    cache.tick(1000 + 2 * SWEEP_MS);
    assert!(cache.is_empty());
}

#[test]
fn even_what_is_in_use_is_opened_anew_in_the_end() {
    let dir = numbered(1);
    let path = dir.path().join("0");
    let cache = FileCache::new(4);
    keep(&cache, &path);
    let mut sweeps = 0;
    while cache.get(octets(&path), None).is_some() {
        sweeps += 1;
        cache.tick(sweeps * SWEEP_MS);
    }
    assert_eq!(sweeps, u64::from(SWEEPS_MAX) + 1);
    assert!(cache.is_empty());
}

#[test]
fn clearing_leaves_what_is_being_sent() {
    let dir = numbered(2);
    let (one, other) = (dir.path().join("0"), dir.path().join("1"));
    let cache = FileCache::new(4);
    keep(&cache, &one);
    keep(&cache, &other);
    let file = cache.get(octets(&one), None).unwrap();
    assert_eq!(cache.clear(), 2);
    assert_eq!(cache.clear(), 0);
    assert_eq!(fstat(file.file.as_fd()).unwrap().st_size, 6);
    assert!(cache.get(octets(&one), None).is_none());
    keep(&cache, &one);
    cache.set_capacity(1);
    assert!(cache.is_empty());
}

#[test]
fn the_limit_of_the_process_is_shared_by_its_loops() {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let one = FileCache::capacity_for(1);
    assert!(one <= FILES_MAX && one as u64 <= limit / DESCRIPTORS_PER_FILE);
    assert_eq!(FileCache::capacity_for(0), one);
    assert!(FileCache::capacity_for(64) * 64 <= one.max(64 * FILES_MAX));
    assert!(FileCache::capacity_for(64) as u64 * 64 * DESCRIPTORS_PER_FILE <= limit);
    assert_eq!(FileCache::capacity_for(usize::MAX), 0);
}

/// A `share` uses it, unless it asks for more than where a path leads.
#[test]
fn only_unrestricted_shares_keep_files() {
    let dir = numbered(1);
    let dir_text = dir.path().to_str().unwrap();
    for (more, count) in [
        ("", 1),
        (r#","index":"0","types":"""#, 1),
        (r#","chroot":"""#, 1),
        (r#","follow_symlinks":true,"traverse_mounts":true"#, 1),
        (r#","chroot":"DIR""#, 0),
        (r#","follow_symlinks":false"#, 0),
        (r#","traverse_mounts":false"#, 0),
    ] {
        let action = format!(r#"{{"share":"DIR$uri"{more}}}"#).replace("DIR", dir_text);
        let router = Router::with_steps(&format!(r#"[{{"action":{action}}}]"#));
        for _ in 0..2 {
            let mut request = Request::get("/0");
            request.times.unix_secs = LATER;
            let outcome = router.outcome(&mut request);
            // A mount point may be on the way.
            if !more.contains("traverse_mounts\":false") {
                assert_eq!(outcome, "file 6 -", "{action}");
            }
        }
        assert_eq!(router.files.len(), count, "{action}");
    }
}
