//! N17: whatever a client makes of a path, what it gets lies where it may.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use rustix::fs::fstat;

use super::*;
use crate::http::{Limits, ParseStatus, RequestHead, parse_head};
use crate::routing::Decision;

/// A shared directory beside others whose names begin like its own, with links of every kind.
fn tree_with_links() -> TempDir {
    let dir = tree_without_links();
    let www = dir.path().join("www");
    for (link, to) in [
        ("climb", "../out"),
        ("climb-far", "../../../../../../../../../../../etc/passwd"),
        ("absolute", "/a"),
        ("across", "b/../b/b"),
        ("b/up", ".."),
        ("b/beside", "../../www2/a"),
        ("round", "round"),
    ] {
        symlink(to, www.join(link)).unwrap();
    }
    symlink(dir.path().join("out"), www.join("outside")).unwrap();
    symlink(dir.path().join("out/a"), www.join("b/b/outside")).unwrap();
    dir
}

fn tree_without_links() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for path in ["www/a", "www/b/a", "www/b/b/a", "www2/a", "wwwa", "out/a", "out/b/a", "a"] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    dir
}

/// The regular files below a directory, links not followed.
fn files_below(dir: &Path) -> HashSet<(u64, u64)> {
    let mut found = HashSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                dirs.push(entry.path());
            } else if metadata.is_file() {
                found.insert((metadata.dev(), metadata.ino()));
            }
        }
    }
    found
}

/// The file that a request gets, or the status it gets instead.
fn got(router: &Router, request: &mut Request) -> Result<(u64, u64), u16> {
    match router.decide(request) {
        Decision::File { file, .. } => {
            let stat = fstat(&file.file).unwrap();
            Ok((stat.st_dev, stat.st_ino))
        }
        Decision::ErrorPage(status) | Decision::Return { status, .. } => Err(status),
        decision => panic!("{decision:?}"),
    }
}

/// Paths from the names in the trees, and from what leads elsewhere.
fn paths() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        8 => prop::sample::select(vec!["a", "b"]),
        3 => Just(".."),
        4 => prop::sample::select(vec![
            "climb", "climb-far", "absolute", "across", "up", "beside", "round", "outside",
        ]),
        2 => prop::sample::select(vec![".", "", "www", "www2", "wwwa", "out", "a%00", "none"]),
    ];
    prop::collection::vec(name, 0..6).prop_map(|names| names.join("/"))
}

fn check(cases: u32, test: impl Fn(String) -> Result<(), TestCaseError>) {
    let cases = Cases { cases, failure_persistence: None, ..Cases::default() };
    TestRunner::new(cases).run(&paths(), test).unwrap();
}

#[test]
fn n17_nothing_leads_out_of_a_chroot() {
    let dir = tree_with_links();
    let inside = files_below(&dir.path().join("www"));
    let below = files_below(&dir.path().join("www/b"));
    let served = std::cell::Cell::new(0);
    let whole = router(dir.path(), r#"{"share":"DIR/www/$arg_p","chroot":"DIR/www"}"#);
    let part = router(dir.path(), r#"{"share":"DIR/www/$arg_p","chroot":"DIR/www/b/"}"#);
    let beside = router(dir.path(), r#"{"share":"DIR/www2/$arg_p","chroot":"DIR/www"}"#);
    let cut = router(dir.path(), r#"{"share":"DIR/www/$arg_p","chroot":"DIR/ww"}"#);
    check(3000, |path| {
        let target = format!("/?p={path}");
        match got(&whole, &mut Request::get(&target)) {
            Ok(file) => {
                served.set(served.get() + 1);
                prop_assert!(inside.contains(&file));
            }
            Err(status) => prop_assert!([301, 403, 404].contains(&status), "{}", status),
        }
        if let Ok(file) = got(&part, &mut Request::get(&target)) {
            prop_assert!(below.contains(&file));
            prop_assert!(path.starts_with("b/") || path.starts_with("/b"), "{}", path);
        }
        // The text of the path decides, whatever it leads to.
        let refused = if path.contains("%00") { 404 } else { 403 };
        prop_assert_eq!(got(&beside, &mut Request::get(&target)), Err(refused));
        prop_assert_eq!(got(&cut, &mut Request::get(&target)), Err(refused));
        Ok(())
    });
    assert!(served.get() > 100, "{} are no test", served.get());
}

#[test]
fn n17_no_link_is_followed_where_none_may_be() {
    let dir = tree_with_links();
    let served = std::cell::Cell::new(0);
    let router = router(dir.path(), r#"{"share":"DIR/www/$arg_p","follow_symlinks":false}"#);
    check(3000, |path| {
        let outcome = got(&router, &mut Request::get(&format!("/?p={path}")));
        let mut prefix = dir.path().join("www");
        let mut has_link = false;
        for name in path.split('/') {
            prefix = PathBuf::from(format!("{}/{name}", prefix.display()));
            has_link |= fs::symlink_metadata(&prefix).is_ok_and(|metadata| metadata.is_symlink());
        }
        match outcome {
            Ok(_) => {
                served.set(served.get() + 1);
                prop_assert!(!has_link);
            }
            Err(status) => {
                prop_assert!([301, 403, 404].contains(&status), "{}", status);
                let is_there = !has_link && prefix.is_file() && !path.contains("%00");
                prop_assert!(!is_there, "{} was not served", path);
            }
        }
        Ok(())
    });
    assert!(served.get() > 100, "{} are no test", served.get());
}

#[test]
fn n17_a_nul_is_in_no_path() {
    let dir = tree_without_links();
    for more in ["", r#","chroot":"DIR/www""#, r#","follow_symlinks":false"#] {
        let action = format!(r#"{{"share":["DIR/www/$arg_p","DIR/www/$arg_p"]{more}}}"#);
        let router = router(dir.path(), &action);
        check(500, |path| {
            for at in (0..=path.len()).filter(|&at| path.is_char_boundary(at)) {
                let (before, behind) = path.split_at(at);
                // Not into the middle of an escape.
                if before.ends_with('%') || before.ends_with("%0") {
                    continue;
                }
                let target = format!("/?p={before}%00{behind}");
                prop_assert_eq!(got(&router, &mut Request::get(&target)), Err(404));
            }
            Ok(())
        });
    }
}

/// A `$uri` behind a directory stays below it, however the target is written.
#[test]
fn n17_targets_do_not_climb() {
    let dir = tree_without_links();
    let inside = files_below(&dir.path().join("www"));
    let router = router(dir.path(), r#"{"share":"DIR/www$uri"}"#);
    let served = std::cell::Cell::new(0);
    let piece = prop::sample::select(vec![
        "/", "/", "/", "%2f", "%2F", ".", "..", "%2e", "%2E", "%2e%2e", "a", "b", "%61", "www2",
        "out", "\\", "%5c", ";", "?", "#", "%00", "%", " ", "//", "/../", "%252e",
    ]);
    let targets = prop::collection::vec(piece, 1..9).prop_map(|pieces| pieces.concat());
    let cases = Cases { cases: 5000, failure_persistence: None, ..Cases::default() };
    let test = |target: String| {
        let text = format!("GET /{target} HTTP/1.1\r\n\r\n");
        let mut head = RequestHead::new();
        let status = parse_head(text.as_bytes(), &Limits::default(), &mut head);
        if matches!(status, ParseStatus::Complete { .. }) {
            let mut request = Request { head, ..Request::get("/") };
            match got(&router, &mut request) {
                Ok(file) => {
                    served.set(served.get() + 1);
                    prop_assert!(inside.contains(&file));
                }
                Err(status) => prop_assert!([301, 404].contains(&status), "{}", status),
            }
        }
        Ok(())
    };
    TestRunner::new(cases).run(&targets, test).unwrap();
    assert!(served.get() > 50, "{} are no test", served.get());
}
