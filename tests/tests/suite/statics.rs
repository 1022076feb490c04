//! Files served by `share`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use blackbox::{Connection, Unitd, need_root, request};
use serde_json::{Value, json};

/// A daemon that shares its `www` directory, with the rest of the action given.
fn sharing(action: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    let mut action = action.clone();
    if action.get("share").is_none() {
        action["share"] = json!(format!("{}$uri", unitd.text_path("www")));
    }
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": action }],
    }));
    (unitd, port)
}

#[test]
fn a_file_is_sent_with_its_marks() {
    let (unitd, port) = sharing(&json!({}));
    let path = unitd.write("www/page.html", "<p>A page.</p>");
    let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let response = unitd.fetch(port, "/page.html");
    assert_eq!(response.status, 200);
    assert_eq!(response.text(), "<p>A page.</p>");
    let fields: Vec<(&str, &str)> = response
        .fields
        .iter()
        .filter(|(name, _)| name != "Date" && name != "Server")
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        fields,
        [
            ("Last-Modified", "Sun, 09 Sep 2001 01:46:40 GMT"),
            ("ETag", "\"3b9aca00-e\""),
            ("Content-Type", "text/html"),
            ("Accept-Ranges", "bytes"),
            ("Content-Length", "14"),
        ]
    );
}

#[test]
fn the_mark_changes_with_the_file() {
    let (unitd, port) = sharing(&json!({}));
    let path = unitd.write("www/a.txt", "first");
    let first = unitd.fetch(port, "/a.txt");
    let metadata = fs::metadata(&path).unwrap();
    let tag = format!("\"{:x}-{:x}\"", metadata.mtime(), metadata.size());
    assert_eq!(first.field("ETag"), Some(tag.as_str()));
    fs::write(&path, "the second").unwrap();
    let second = unitd.fetch(port, "/a.txt");
    assert_eq!(second.text(), "the second");
    assert_ne!(second.field("ETag"), first.field("ETag"));
}

#[test]
fn an_index_stands_for_its_directory() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("www/index.html", "top");
    unitd.write("www/sub/index.html", "sub");
    unitd.write("www/sub/main.txt", "main");
    assert_eq!(unitd.fetch(port, "/").text(), "top");
    let sub = unitd.fetch(port, "/sub/");
    assert_eq!((sub.text().as_str(), sub.field("Content-Type")), ("sub", Some("text/html")));
    unitd.put("/config/routes/0/action/index", json!("main.txt")).expect_success();
    let sub = unitd.fetch(port, "/sub/");
    assert_eq!((sub.text().as_str(), sub.field("Content-Type")), ("main", Some("text/plain")));
    assert_eq!(unitd.fetch(port, "/").status, 404);
}

#[test]
fn a_directory_without_its_slash_is_redirected() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("www/a b/index.html", "index");
    let response = unitd.fetch(port, "/a%20b?x=%zz");
    assert_eq!(response.status_line(), "HTTP/1.1 301 Moved Permanently");
    assert_eq!(response.field("Location"), Some("/a%20b/?x=%zz"));
    assert_eq!(response.field("Content-Type"), None);
    assert_eq!(response.field("Content-Length"), Some("0"));
}

#[test]
fn types_come_from_the_extension() {
    let (unitd, port) = sharing(&json!({}));
    for (name, wanted) in [
        ("a.css", Some("text/css")),
        ("a.js", Some("application/javascript")),
        ("a.JSON", Some("application/json")),
        ("a.tar.svg", Some("image/svg+xml")),
        ("a.woff2", Some("font/woff2")),
        ("a.unknown", None),
        ("README", None),
        (".png", Some("image/png")),
    ] {
        unitd.write(&format!("www/{name}"), "x");
        assert_eq!(unitd.fetch(port, &format!("/{name}")).field("Content-Type"), wanted, "{name}");
    }
    let types = json!({ "text/plain": ["README", ".unknown"], "text/x-js": ".js" });
    unitd
        .put("/config/settings", json!({ "http": { "static": { "mime_types": types } } }))
        .expect_success();
    for (name, wanted) in [
        ("README", "text/plain"),
        ("a.unknown", "text/plain"),
        ("a.js", "text/x-js"),
        ("a.css", "text/css"),
    ] {
        let response = unitd.fetch(port, &format!("/{name}"));
        assert_eq!(response.field("Content-Type"), Some(wanted), "{name}");
    }
}

#[test]
fn types_can_be_restricted() {
    let (unitd, port) = sharing(&json!({ "types": ["text/*", "!text/css"] }));
    for (name, status) in [("a.txt", 200), ("a.css", 403), ("a.png", 403), ("a.none", 403)] {
        unitd.write(&format!("www/{name}"), "x");
        assert_eq!(unitd.fetch(port, &format!("/{name}")).status, status, "{name}");
    }
    // Index files are not asked for their type.
    unitd.write("www/index.html", "x");
    unitd.put("/config/routes/0/action/types", json!("image/*")).expect_success();
    assert_eq!(unitd.fetch(port, "/").status, 200);
    unitd.put("/config/routes/0/action/types", json!("")).expect_success();
    assert_eq!(unitd.fetch(port, "/a.none").status, 200);
    assert_eq!(unitd.fetch(port, "/a.txt").status, 403);
}

#[test]
fn what_is_not_there_is_not_found_and_not_logged() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("www/file", "x");
    let long = format!("/{}", "n".repeat(300));
    for target in ["/none", "/none/", "/file/deeper", &long] {
        assert_eq!(unitd.fetch(port, target).status, 404, "{target}");
    }
    assert_eq!(unitd.log().count("opening"), 0);
}

#[test]
fn what_is_no_file_is_not_found() {
    let (unitd, port) = sharing(&json!({}));
    let fifo = unitd.path("www/fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap();
    assert_eq!(unitd.fetch(port, "/fifo").status, 404);
    assert_eq!(
        unitd.log().count(&format!(r#"\[error\] .*"{}" is not a regular file"#, fifo.display())),
        1
    );
}

#[test]
fn what_may_not_be_read_is_forbidden() {
    need_root!();
    let (unitd, port) = sharing(&json!({}));
    let path = unitd.write("www/secret.txt", "secret");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(unitd.fetch(port, "/secret.txt").status, 403);
    let line = format!(r#"\[error\] .*opening "{path}" failed \(13: Permission denied\)"#);
    assert_eq!(unitd.log().count(&line), 1);
}

#[test]
fn a_chroot_has_to_be_passed_through_and_not_to_be_read() {
    need_root!();
    let unitd = Unitd::start();
    let (port, www) = (unitd.port(), unitd.text_path("www/root"));
    unitd.write("www/root/file.txt", "file");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "share": format!("{www}$uri"), "chroot": www } }],
    }));
    let allow = |mode: u32| fs::set_permissions(&www, fs::Permissions::from_mode(mode)).unwrap();
    allow(0o711);
    assert_eq!(unitd.fetch(port, "/file.txt").text(), "file");
    allow(0o700);
    assert_eq!(unitd.fetch(port, "/file.txt").status, 403);
    let line = format!(
        r#"\[error\] .*\*\d+ opening "file.txt" at "{www}" failed \(13: Permission denied\)"#
    );
    assert_eq!(unitd.log().count(&line), 1);
    allow(0o755);
}

/// Relative paths are below it.
#[test]
fn the_router_stays_where_the_daemon_was_started() {
    let unitd = Unitd::start();
    let place = |process: &blackbox::Process| fs::read_link(format!("/proc/{}/cwd", process.pid));
    let here = std::env::current_dir().unwrap();
    assert_eq!(place(&unitd.role("router")).unwrap(), here);
    assert_eq!(place(&unitd.main()).unwrap(), here);
}

#[test]
fn other_methods_are_not_allowed() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("www/file.txt", "file");
    let mut connection = Connection::tcp(port);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let response = connection.ask(&request(method, "/file.txt", &[], b"body"));
        assert_eq!((response.status, response.body.len()), (405, 54), "{method}");
        assert_eq!(response.field("Allow"), None, "{method}");
    }
    assert_eq!(connection.get("/file.txt").text(), "file");
}

#[test]
fn head_tells_the_size_without_the_file() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("www/file.txt", "0123456789");
    unitd.write("www/empty.txt", "");
    let mut connection = Connection::tcp(port);
    for (target, length) in [("/file.txt", "10"), ("/empty.txt", "0")] {
        connection.send(&request("HEAD", target, &[], b"")).unwrap();
        let head = connection.read_head().unwrap();
        assert_eq!((head.status, head.field("Content-Length")), (200, Some(length)));
        let get = connection.get(target);
        assert_eq!(get.field("Content-Length"), Some(length));
        assert_eq!(get.body.len().to_string(), length);
    }
}

#[test]
fn the_first_share_that_has_the_file_serves_it() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let www = unitd.text_path("www");
    unitd.write("www/one/a.txt", "a of one");
    unitd.write("www/two/a.txt", "a of two");
    unitd.write("www/two/b.txt", "b of two");
    fs::create_dir(unitd.path("www/two/d")).unwrap();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": {
            "share": [format!("{www}/one$uri"), format!("{www}/$host$uri"), format!("{www}/two$uri")],
        } }],
    }));
    assert_eq!(unitd.fetch(port, "/a.txt").text(), "a of one");
    assert_eq!(unitd.fetch(port, "/b.txt").text(), "b of two");
    assert_eq!(unitd.fetch(port, "/d").status, 301);
    assert_eq!(unitd.fetch(port, "/c.txt").status, 404);
    let detail = unitd.put("/config/routes/0/action/share", json!([])).detail();
    assert_eq!(detail, "The \"share\" array must contain at least one element.");
}

/// Bytes that repeat with no power of two, so that a piece in the wrong place shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at ^ (at >> 8)) % 251).unwrap()).collect()
}

#[test]
fn large_files_arrive_byte_for_byte() {
    let (unitd, port) = sharing(&json!({}));
    let content = pattern(50 << 20);
    unitd.write("www/large.bin", &content);
    let mut connection = Connection::tcp(port);
    for _ in 0..2 {
        let response = connection.get("/large.bin");
        assert_eq!(response.field("Content-Length"), Some("52428800"));
        assert!(response.body == content, "the body differs");
    }
    let Some(curl) = blackbox::program("curl") else {
        blackbox::skip!("no curl");
    };
    let output = std::process::Command::new(curl)
        .args(["--silent", "--fail", "--max-time", "60"])
        .arg(format!("http://127.0.0.1:{port}/large.bin"))
        .output()
        .unwrap();
    assert!(output.status.success() && output.stdout == content);
}

#[test]
fn sizes_around_buffers_arrive_whole() {
    let (unitd, port) = sharing(&json!({}));
    let mut connection = Connection::tcp(port);
    let powers = [4096, 16_384, 32_768, 65_536, 131_072, 1 << 20];
    for size in powers.into_iter().flat_map(|power| [power - 1, power, power + 1]).chain([0, 1]) {
        let content = pattern(size);
        unitd.write("www/sized", &content);
        assert!(connection.get("/sized").body == content, "{size}");
    }
}

/// Clients that read slowly, leave, or ask all at once; the others are served meanwhile.
#[test]
fn n7_slow_readers_and_leavers_hold_nobody_up() {
    let (unitd, port) = sharing(&json!({}));
    let content = pattern(20 << 20);
    unitd.write("www/large.bin", &content);
    unitd.write("www/small.txt", "small");
    let router = unitd.role("router");
    unitd.fetch(port, "/small.txt");
    let before = router.descriptors();
    let mut slow: Vec<Connection> = (0..10)
        .map(|_| {
            let mut connection = Connection::tcp(port);
            connection.send(&request("GET", "/large.bin", &[], b"")).unwrap();
            connection.read_head().unwrap();
            connection
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(unitd.fetch(port, "/small.txt").text(), "small");
    }
    // Half of them leave in the middle; the rest get everything.
    slow.truncate(5);
    for connection in &mut slow {
        assert!(connection.read_exactly(content.len()).unwrap() == content);
    }
    drop(slow);
    blackbox::wait_until("the descriptors are as before", Duration::from_secs(30), || {
        router.descriptors() <= before
    });
}

#[test]
fn a_chroot_keeps_links_inside() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let www = unitd.text_path("www");
    unitd.write("www/file.txt", "inside");
    unitd.write("outside.txt", "outside");
    symlink("/file.txt", unitd.path("www/to-inside.txt")).unwrap();
    symlink("../outside.txt", unitd.path("www/to-outside.txt")).unwrap();
    let share = |more: Value| {
        let mut action = json!({ "share": format!("{www}$uri") });
        action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
            "routes": [{ "action": action }],
        })
    };
    unitd.configure(&share(json!({ "chroot": www })));
    assert_eq!(unitd.fetch(port, "/file.txt").text(), "inside");
    assert_eq!(unitd.fetch(port, "/to-inside.txt").text(), "inside");
    assert_eq!(unitd.fetch(port, "/to-outside.txt").status, 404);
    // N17: a path that only begins like the directory is not in it.
    unitd.configure(&share(json!({ "chroot": format!("{}/ww", unitd.directory().display()) })));
    assert_eq!(unitd.fetch(port, "/file.txt").status, 403);
    unitd.configure(&share(json!({ "follow_symlinks": false })));
    assert_eq!(unitd.fetch(port, "/file.txt").text(), "inside");
    assert_eq!(unitd.fetch(port, "/to-outside.txt").status, 403);
    unitd.configure(&share(json!({})));
    assert_eq!(unitd.fetch(port, "/to-outside.txt").text(), "outside");
}

/// Nothing a target says leads out of a directory that was shared.
#[test]
fn n17_targets_do_not_climb() {
    let (unitd, port) = sharing(&json!({}));
    unitd.write("secret.txt", "secret");
    unitd.write("www/sub/file.txt", "file");
    for target in [
        "/../secret.txt",
        "/sub/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/sub/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/sub/..%2F..%2Fsecret.txt",
        "/file%00.txt",
    ] {
        let response = unitd.fetch(port, target);
        assert!([400, 404].contains(&response.status), "{target}: {}", response.status);
        assert!(!response.text().contains("secret"), "{target}");
    }
}
