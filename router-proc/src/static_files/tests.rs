//! What a `share` gives, on real files.

mod confinement;
mod mime_table;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::routing::tests::{Request, Router, logged};

/// A directory to share, with a few files.
fn tree() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in [
        ("www/index.html", "index"),
        ("www/a.txt", "abc"),
        ("www/a b?.CSS", "abcd"),
        ("www/noext", "12345"),
        ("www/x.unknown", "123456"),
        ("www/empty.js", ""),
        ("www/sub/index.html", "sub index"),
        ("www/sub/other.png", "png"),
        ("www/bare/file", "b"),
        ("www2/secret.txt", "secret!"),
        ("secret.txt", "top secret"),
    ] {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    dir
}

/// `DIR` in a configuration or a log line stands for the directory.
fn router(dir: &Path, action: &str) -> Router {
    let action = action.replace("DIR", dir.to_str().unwrap());
    Router::with_steps(&format!(r#"[{{"action":{action}}}]"#))
}

fn outcome(dir: &TempDir, action: &str, target: &str) -> String {
    let mut outcome = String::new();
    let lines = logged(|| {
        outcome = router(dir.path(), action).outcome(&mut Request::get(target));
    });
    assert_eq!(lines, [] as [&str; 0], "{action} {target}");
    outcome
}

/// As [`outcome`], with what was logged about it.
fn outcome_and_line(dir: &TempDir, action: &str, target: &str) -> (String, String) {
    let mut outcome = String::new();
    let lines = logged(|| {
        outcome = router(dir.path(), action).outcome(&mut Request::get(target));
    });
    let [line] = &lines[..] else { panic!("{action} {target}: {lines:?}") };
    (outcome, line.replace(dir.path().to_str().unwrap(), "DIR"))
}

#[test]
fn files_directories_and_nothing() {
    let dir = tree();
    for (target, expected) in [
        ("/a.txt", "file 3 text/plain"),
        ("/a%20b%3F.CSS", "file 4 text/css"),
        ("/noext", "file 5 -"),
        ("/x.unknown", "file 6 -"),
        ("/empty.js", "file 0 application/javascript"),
        ("/", "file 5 text/html"),
        ("/sub/", "file 9 text/html"),
        ("/sub/other.png?x", "file 3 image/png"),
        ("/sub", "return 301 </sub/>"),
        ("/sub?", "return 301 </sub/>"),
        ("/sub?a=%zz b", "return 301 </sub/?a=%zz b>"),
        ("/bare/", "404"),
        ("/none", "404"),
        ("/none/", "404"),
        ("/a.txt/", "404"),
        ("/a.txt/b", "404"),
    ] {
        assert_eq!(outcome(&dir, r#"{"share":"DIR/www$uri"}"#, target), expected, "{target}");
    }
    let long = format!("/{}", "n".repeat(300));
    assert_eq!(outcome(&dir, r#"{"share":"DIR/www$uri"}"#, &long), "404");
    let long = format!("/{}", "n/".repeat(2500));
    assert_eq!(outcome(&dir, r#"{"share":"DIR/www$uri"}"#, &long), "404");
}

#[test]
fn head_finds_what_get_finds_and_others_are_not_allowed() {
    let dir = tree();
    let router = router(dir.path(), r#"{"share":"DIR/www$uri"}"#);
    assert_eq!(router.outcome(&mut Request::new("HEAD /a.txt", &[])), "file 3 text/plain");
    assert_eq!(router.outcome(&mut Request::new("POST /a.txt", &[])), "405");
    assert_eq!(router.outcome(&mut Request::new("GE /a.txt", &[])), "405");
}

#[test]
fn the_path_is_what_the_template_makes_and_no_more() {
    let dir = tree();
    for (action, target, expected) in [
        (r#"{"share":"DIR/www/a.txt"}"#, "/b", "file 3 text/plain"),
        (r#"{"share":"DIR/www/"}"#, "/b", "file 5 text/html"),
        (r#"{"share":"DIR/$arg_d$uri"}"#, "/secret.txt?d=www2", "file 7 text/plain"),
        (r#"{"share":""}"#, "/b", "404"),
        (r#"{"share":"$arg_none"}"#, "/b", "404"),
        (r#"{"share":"DIR/www$uri","rewrite":"/a.txt"}"#, "/b", "file 3 text/plain"),
        (r#"{"share":"DIR/www/sub","rewrite":"/x y"}"#, "/b?q", "return 301 </x%20y/?q>"),
        (r#"{"share":"DIR/www/$arg_f"}"#, "/?f=a.txt%00.png", "404"),
        (r#"{"share":"DIR/www/a.txt\u0000"}"#, "/", "404"),
        (r#"{"share":"DIR/www/","index":"a.txt\u0000b"}"#, "/", "404"),
    ] {
        assert_eq!(outcome(&dir, action, target), expected, "{action} {target}");
    }
}

/// Relative paths begin where the router runs, which for this test is its crate.
#[test]
fn relative_paths_begin_at_the_working_directory() {
    let dir = tree();
    let len = fs::metadata("Cargo.toml").unwrap().len();
    for action in [
        r#"{"share":"Cargo.toml"}"#,
        r#"{"share":"./Cargo.toml"}"#,
        r#"{"share":"src/../Cargo.toml"}"#,
        r#"{"share":"Cargo.toml","follow_symlinks":false}"#,
        r#"{"share":"./Cargo.toml","chroot":"."}"#,
        r#"{"share":"./Cargo.toml","chroot":"./"}"#,
        r#"{"share":"./src/../Cargo.toml","chroot":"."}"#,
        r#"{"share":"./../Cargo.toml","chroot":"."}"#,
    ] {
        assert_eq!(outcome(&dir, action, "/"), format!("file {len} -"), "{action}");
    }
    for action in [
        r#"{"share":"Cargo.toml","chroot":"."}"#,
        r#"{"share":".Cargo.toml","chroot":"."}"#,
        r#"{"share":"src/lib.rs","chroot":"sr"}"#,
        r#"{"share":"/src/lib.rs","chroot":"src"}"#,
    ] {
        assert_eq!(outcome_and_line(&dir, action, "/").0, "403", "{action}");
    }
}

#[test]
fn a_redirect_encodes_the_path_and_not_the_query() {
    let dir = tree();
    let share = r#"{"share":"DIR/www/sub"}"#;
    for (target, location) in [
        ("/sub", "/sub/"),
        ("/a%20b", "/a%20b/"),
        ("/%22%23%25%3C%3E%3F%5C%5E%60%7B%7C%7D", "/%22%23%25%3C%3E%3F%5C%5E%60%7B%7C%7D/"),
        ("/%e4%C3%a4%7f%01", "/%E4%C3%A4%7F%01/"),
        ("/a:@!$&'()*+,;=-._~[]", "/a:@!$&'()*+,;=-._~[]/"),
        ("/a/./b/../c//d", "/a/c/d/"),
        ("/a?b c?d%zz#e", "/a/?b c?d%zz"),
        ("/a?", "/a/"),
        ("/", "//"),
    ] {
        assert_eq!(outcome(&dir, share, target), format!("return 301 <{location}>"), "{target}");
    }
}

#[test]
fn fallbacks_follow_one_another() {
    let dir = tree();
    let chain = r#"{"share":"DIR/none$uri","fallback":
        {"share":"DIR/www2$uri","types":"text/*","fallback":
        {"share":["DIR/none","DIR/www$uri"],"fallback":{"return":404}}}}"#;
    for (start, expected) in [
        ("GET /secret.txt", "file 7 text/plain"),
        ("GET /a.txt", "file 3 text/plain"),
        ("GET /sub/other.png", "file 3 image/png"),
        ("GET /sub", "return 301 </sub/>"),
        ("GET /none", "404"),
        ("HEAD /a.txt", "file 3 text/plain"),
        // Each of them is for GET and HEAD alone.
        ("POST /a.txt", "404"),
    ] {
        let outcome = router(dir.path(), chain).outcome(&mut Request::new(start, &[]));
        assert_eq!(outcome, expected, "{start}");
    }
    let other = r#"{"share":"DIR/www$uri","fallback":{"return":201}}"#;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "GE", "HEADS"] {
        let mut request = Request::new(&format!("{method} /a.txt"), &[]);
        assert_eq!(router(dir.path(), other).outcome(&mut request), "return 201", "{method}");
    }
    // What ends the search ends it here, too.
    assert_eq!(outcome(&dir, other, "/a.txt"), "file 3 text/plain");
    assert_eq!(outcome(&dir, other, "/none"), "return 201");
}

#[test]
fn the_index_is_configurable_and_gives_the_type() {
    let dir = tree();
    for (action, target, expected) in [
        (r#"{"share":"DIR/www$uri","index":"a.txt"}"#, "/", "file 3 text/plain"),
        (r#"{"share":"DIR/www$uri","index":"noext"}"#, "/", "file 5 -"),
        (r#"{"share":"DIR/www$uri","index":"sub/other.png"}"#, "/", "file 3 image/png"),
        (r#"{"share":"DIR/www$uri","index":"none"}"#, "/", "404"),
        (r#"{"share":"DIR/www$uri","index":"$uri"}"#, "/", "404"),
    ] {
        assert_eq!(outcome(&dir, action, target), expected, "{action} {target}");
    }
    for (action, path) in [
        (r#"{"share":"DIR/www$uri","index":""}"#, "DIR/www/"),
        (r#"{"share":"DIR/www$uri","index":"sub"}"#, "DIR/www/sub"),
    ] {
        let (outcome, line) = outcome_and_line(&dir, action, "/");
        assert_eq!(outcome, "404", "{action}");
        assert_eq!(line, format!("error *43 \"{path}\" is not a regular file"));
    }
}

#[test]
fn types_limit_what_is_served_but_not_index_files() {
    let dir = tree();
    for (types, target, expected) in [
        (r#""text/plain""#, "/a.txt", "file 3 text/plain"),
        (r#""TEXT/*""#, "/a.txt", "file 3 text/plain"),
        (r#""image/*""#, "/a.txt", "403"),
        (r#""image/*""#, "/", "file 5 text/html"),
        (r#""image/*""#, "/none.txt", "403"),
        (r#""image/*""#, "/none.png", "404"),
        (r#""image/*""#, "/sub", "403"),
        (r#"["!text/*"]"#, "/a.txt", "403"),
        (r#"["!text/*"]"#, "/noext", "file 5 -"),
        (r#""""#, "/noext", "file 5 -"),
        (r#""""#, "/a.txt", "403"),
        (r#""!""#, "/noext", "403"),
        (r#""!""#, "/a.txt", "file 3 text/plain"),
        (r#""~^text""#, "/a.txt", "file 3 text/plain"),
        (r#""~^TEXT""#, "/a.txt", "403"),
        (r#""!~^text""#, "/noext", "file 5 -"),
        (r#""~^$""#, "/noext", "file 5 -"),
        (r#"["image/*",""]"#, "/noext", "file 5 -"),
        (r#"["image/*",""]"#, "/sub/other.png", "file 3 image/png"),
        (r#"["image/*",""]"#, "/a.txt", "403"),
        (r#"["!image/*","!"]"#, "/noext", "403"),
        (r#"["!image/*","!"]"#, "/sub/other.png", "403"),
        (r#"["!image/*","!"]"#, "/a.txt", "file 3 text/plain"),
        (r#""*/plain""#, "/a.txt", "file 3 text/plain"),
        (r#""*""#, "/noext", "file 5 -"),
        (r#""text/plain""#, "/", "file 5 text/html"),
        // The type is tested before anybody looks whether there is such a file.
        (r#""""#, "/sub", "return 301 </sub/>"),
        ("[]", "/noext", "file 5 -"),
    ] {
        let action = format!(r#"{{"share":"DIR/www$uri","types":{types}}}"#);
        assert_eq!(outcome(&dir, &action, target), expected, "{types} {target}");
    }
}

#[test]
fn configured_types_override_the_known_ones() {
    let dir = tree();
    let config = format!(
        r#"{{"settings":{{"http":{{"static":{{"mime_types":{{"a/b":[".TXT","noext"]}}}}}}}},
            "listeners":{{"*:80":{{"pass":"routes"}}}},
            "routes":[{{"action":{{"share":"{}/www$uri"}}}}]}}"#,
        dir.path().display()
    );
    let router = Router::new(&config);
    for (target, expected) in
        [("/a.txt", "file 3 a/b"), ("/noext", "file 5 a/b"), ("/", "file 5 text/html")]
    {
        assert_eq!(router.outcome(&mut Request::get(target)), expected, "{target}");
    }
}

#[test]
fn the_first_path_that_gives_something_is_taken() {
    let dir = tree();
    for (action, target, expected) in [
        (r#"{"share":["DIR/www$uri","DIR/www2$uri"]}"#, "/secret.txt", "file 7 text/plain"),
        (r#"{"share":["DIR/www$uri","DIR/www2$uri"]}"#, "/a.txt", "file 3 text/plain"),
        (r#"{"share":["DIR/www$uri","DIR/www/a.txt"]}"#, "/sub", "return 301 </sub/>"),
        (r#"{"share":["DIR/www$uri","DIR/no"],"types":"image/*"}"#, "/a.txt", "403"),
        (r#"{"share":["DIR/www$uri","DIR/no.png"],"types":"image/*"}"#, "/a.txt", "404"),
        (r#"{"share":["DIR/no.png","DIR/www$uri"],"types":"image/*"}"#, "/a.txt", "403"),
        (
            r#"{"share":"DIR/www$uri","types":"image/*","fallback":{"return":204}}"#,
            "/a.txt",
            "return 204",
        ),
        (r#"{"share":"DIR/no","fallback":{"share":"DIR/www$uri"}}"#, "/a.txt", "file 3 text/plain"),
        (r#"{"share":"DIR/www$uri","fallback":{"return":204}}"#, "/sub", "return 301 </sub/>"),
    ] {
        assert_eq!(outcome(&dir, action, target), expected, "{action} {target}");
    }
}

#[test]
fn what_is_no_file_is_not_served_and_does_not_block() {
    let dir = tree();
    let www = dir.path().join("www");
    mknodat(CWD, www.join("fifo"), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let _socket = UnixListener::bind(www.join("socket")).unwrap();
    let (refused, line) = outcome_and_line(&dir, r#"{"share":"DIR/www$uri"}"#, "/fifo");
    assert_eq!(refused, "404");
    assert_eq!(line, "error *43 \"DIR/www/fifo\" is not a regular file");
    let (refused, line) = outcome_and_line(&dir, r#"{"share":"/dev/null"}"#, "/");
    assert_eq!(refused, "404");
    assert_eq!(line, "error *43 \"/dev/null\" is not a regular file");
    assert_eq!(outcome(&dir, r#"{"share":"DIR/www$uri"}"#, "/socket"), "404");
}

#[test]
fn symbolic_links_are_followed_unless_that_is_forbidden() {
    let dir = tree();
    let www = dir.path().join("www");
    symlink("a.txt", www.join("link.txt")).unwrap();
    symlink("sub", www.join("linked")).unwrap();
    symlink("loop", www.join("loop")).unwrap();
    symlink("nowhere", www.join("dangling")).unwrap();
    let follow = r#"{"share":"DIR/www$uri"}"#;
    assert_eq!(outcome(&dir, follow, "/link.txt"), "file 3 text/plain");
    assert_eq!(outcome(&dir, follow, "/linked/other.png"), "file 3 image/png");
    assert_eq!(outcome(&dir, follow, "/dangling"), "404");
    let (refused, line) = outcome_and_line(&dir, follow, "/loop");
    assert_eq!(refused, "403");
    let text = "error *43 opening \"DIR/www/loop\" failed (40: Too many levels of symbolic links)";
    assert_eq!(line, text);
    let refuse = r#"{"share":"DIR/www$uri","follow_symlinks":false}"#;
    assert_eq!(outcome(&dir, refuse, "/a.txt"), "file 3 text/plain");
    for target in ["/link.txt", "/linked/other.png", "/dangling"] {
        let (refused, line) = outcome_and_line(&dir, refuse, target);
        assert_eq!(refused, "403", "{target}");
        let path = format!("\"DIR/www{target}\" failed (40: ");
        assert!(line.starts_with(&format!("error *43 opening {path}")), "{line}");
    }
    // A link above what is shared counts as well.
    symlink("www", dir.path().join("link")).unwrap();
    assert_eq!(outcome(&dir, r#"{"share":"DIR/link$uri"}"#, "/a.txt"), "file 3 text/plain");
    let above = r#"{"share":"DIR/link$uri","follow_symlinks":false}"#;
    assert_eq!(outcome_and_line(&dir, above, "/a.txt").0, "403");
    // One above the chroot does not: it is where the search begins.
    let below = r#"{"share":"DIR/link$uri","chroot":"DIR/link","follow_symlinks":false}"#;
    assert_eq!(outcome(&dir, below, "/a.txt"), "file 3 text/plain");
    assert_eq!(outcome_and_line(&dir, below, "/link.txt").0, "403");
    let fallback = r#"{"share":"DIR/www$uri","follow_symlinks":false,"fallback":{"return":204}}"#;
    assert_eq!(outcome_and_line(&dir, fallback, "/link.txt").0, "return 204");
}

#[test]
fn mount_points_are_crossed_unless_that_is_forbidden() {
    let dir = tree();
    assert_eq!(outcome(&dir, r#"{"share":"/proc/version"}"#, "/"), "file 0 -");
    let (refused, line) =
        outcome_and_line(&dir, r#"{"share":"/proc/version","traverse_mounts":false}"#, "/");
    assert_eq!(refused, "403");
    assert_eq!(line, "error *43 opening \"/proc/version\" failed (18: Invalid cross-device link)");
    // From within the mount there is none to cross.
    let within = r#"{"share":"/proc/version","chroot":"/proc","traverse_mounts":false}"#;
    assert_eq!(outcome(&dir, within, "/"), "file 0 -");
    let above = r#"{"share":"/proc/version","chroot":"/","traverse_mounts":false}"#;
    let (refused, line) = outcome_and_line(&dir, above, "/");
    assert_eq!(refused, "403");
    let text = "opening \"proc/version\" at \"/\" failed (18: Invalid cross-device link)";
    assert_eq!(line, format!("error *43 {text}"));
    let fallback = r#"{"share":"/proc/version","traverse_mounts":false,"fallback":{"return":204}}"#;
    assert_eq!(outcome_and_line(&dir, fallback, "/").0, "return 204");
}

#[test]
fn a_chroot_bounds_what_a_path_leads_to() {
    let dir = tree();
    let www = dir.path().join("www");
    symlink("/a.txt", www.join("absolute.txt")).unwrap();
    symlink("../../../../../../secret.txt", www.join("up.txt")).unwrap();
    symlink(dir.path().join("secret.txt"), www.join("outside.txt")).unwrap();
    symlink("sub/../a.txt", www.join("inside.txt")).unwrap();
    for (action, target, expected) in [
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www"}"#, "/a.txt", "file 3 text/plain"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www/"}"#, "/a.txt", "file 3 text/plain"),
        (r#"{"share":"DIR//www$uri","chroot":"DIR/www//"}"#, "/a.txt", "file 3 text/plain"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www"}"#, "/", "file 5 text/html"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www"}"#, "/sub", "return 301 </sub/>"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www"}"#, "/absolute.txt", "file 3 text/plain"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www"}"#, "/inside.txt", "file 3 text/plain"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www"}"#, "/up.txt", "404"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR/www"}"#, "/outside.txt", "404"),
        (r#"{"share":"DIR/www$uri","chroot":"DIR"}"#, "/up.txt", "file 10 text/plain"),
        (r#"{"share":"DIR/www/$arg_f","chroot":"DIR/www"}"#, "/?f=../secret.txt", "404"),
        (r#"{"share":"DIR/www$uri","chroot":""}"#, "/outside.txt", "file 10 text/plain"),
        (r#"{"share":"DIR/www$uri","chroot":"$arg_none"}"#, "/a.txt", "file 3 text/plain"),
        (r#"{"share":"DIR/no$uri","chroot":"DIR/no"}"#, "/a.txt", "404"),
        (r#"{"share":"DIR/www/a.txt/b","chroot":"DIR/www/a.txt"}"#, "/", "404"),
    ] {
        assert_eq!(outcome(&dir, action, target), expected, "{action} {target}");
    }
    let templated = r#"{"share":"DIR/www$uri","chroot":"DIR/$arg_d"}"#;
    assert_eq!(outcome(&dir, templated, "/a.txt?d=www"), "file 3 text/plain");
    assert_eq!(outcome_and_line(&dir, templated, "/a.txt?d=www2").0, "403");
}

#[test]
fn a_path_beside_the_chroot_is_refused() {
    let dir = tree();
    for (action, shown) in [
        (r#"{"share":"DIR/www2/secret.txt","chroot":"DIR/www"}"#, "DIR/www2/secret.txt"),
        (r#"{"share":"DIR/secret.txt","chroot":"DIR/www"}"#, "DIR/secret.txt"),
        (r#"{"share":"DIR/www","chroot":"DIR/www"}"#, "DIR/www"),
    ] {
        let (refused, line) = outcome_and_line(&dir, action, "/");
        assert_eq!(refused, "403", "{action}");
        let text = "at \"DIR/www\" failed (13: Permission denied)";
        assert_eq!(line, format!("error *43 opening \"{shown}\" {text}"));
    }
    let action = r#"{"share":"DIR/www$uri","chroot":"DIR/www","follow_symlinks":false}"#;
    symlink("a.txt", dir.path().join("www/link.txt")).unwrap();
    let (refused, line) = outcome_and_line(&dir, action, "/link.txt");
    assert_eq!(refused, "403");
    let text = "opening \"link.txt\" at \"DIR/www\" failed (40: Too many levels of symbolic links)";
    assert_eq!(line, format!("error *43 {text}"));
}

#[test]
fn files_carry_length_and_time_of_the_descriptor() {
    let dir = tree();
    let path = dir.path().join("www/a.txt");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let router = router(dir.path(), r#"{"share":"DIR/www$uri"}"#);
    let mut request = Request::get("/a.txt");
    let crate::routing::Decision::File { file, .. } = router.decide(&mut request) else {
        panic!("not a file");
    };
    assert_eq!((file.len, file.mtime), (3, 784_111_777));
    assert_eq!(file.etag.as_bytes(), b"\"2ebc98a1-3\"");
    assert_eq!(&file.last_modified, b"Sun, 06 Nov 1994 08:49:37 GMT");
    let flags = rustix::fs::fcntl_getfl(&file.file).unwrap();
    assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
    let flags = rustix::io::fcntl_getfd(&file.file).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn errors_of_the_system_are_told_apart() {
    use rustix::io::Errno;
    for (errno, kind) in [
        (Errno::NOENT, open::FaultKind::Absent),
        (Errno::NOTDIR, open::FaultKind::Absent),
        (Errno::NAMETOOLONG, open::FaultKind::Absent),
        (Errno::NXIO, open::FaultKind::Absent),
        (Errno::ACCESS, open::FaultKind::Forbidden),
        (Errno::LOOP, open::FaultKind::Forbidden),
        (Errno::XDEV, open::FaultKind::Forbidden),
        (Errno::MFILE, open::FaultKind::System),
        (Errno::IO, open::FaultKind::System),
        (Errno::PERM, open::FaultKind::System),
    ] {
        assert_eq!(Fault::from(errno).kind, kind, "{errno:?}");
    }
}

#[test]
fn an_error_of_the_system_is_an_alert_and_ends_the_request() {
    let mut request = Request::get("/");
    let ctx = request.context();
    let place =
        Place { path: b"/srv/a", chroot: None, follow_symlinks: true, traverse_mounts: true };
    let fault = Fault::from(rustix::io::Errno::MFILE);
    let lines = logged(|| assert!(matches!(refuse(&place, &fault, &ctx), Served::Failed)));
    assert_eq!(lines, ["alert *43 opening \"/srv/a\" failed (24: Too many open files)"]);
}
