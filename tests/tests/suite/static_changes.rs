//! Files that change between two requests and while they are sent; the files that the router keeps
//! open from one request to the next.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use blackbox::{Connection, Place, Process, Response, Unitd, need_root, request, wait_until};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

/// A daemon with one event loop that shares its `www` directory.
fn sharing(action: &Value) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let port = unitd.port();
    share(&unitd, port, action);
    (unitd, port)
}

fn share(unitd: &Unitd, port: u16, action: &Value) {
    let mut action = action.clone();
    if action.get("share").is_none() {
        action["share"] = json!(format!("{}$uri", unitd.text_path("www")));
    }
    unitd.configure(&json!({
        "settings": { "listen_threads": 1 },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": action }],
    }));
}

/// Whether a process has the file at this path open, deleted or not.
fn holds(process: &Process, path: &str) -> bool {
    process.descriptor_names().iter().any(|name| name.contains(path))
}

/// Fetches a file; when this returns, it is open only if it is kept open.
#[track_caller]
fn fetch(connection: &mut Connection, target: &str) -> Response {
    let response = connection.get(target);
    // The answer may be here before the router is done with it; now it is.
    assert_eq!(connection.get("/nothing-of-that-name").status, 404);
    response
}

/// Fetches a file until the router keeps it open, which takes a little while after a change.
#[track_caller]
fn fetch_until_kept(unitd: &Unitd, connection: &mut Connection, target: &str) {
    let router = unitd.role("router");
    let path = unitd.text_path(format!("www{target}"));
    wait_until("the file is kept open", LIMIT, || {
        assert_eq!(fetch(connection, target).status, 200);
        holds(&router, &path)
    });
}

/// Bytes that repeat with no power of two, so that a piece in the wrong place shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from((at ^ (at >> 8)) % 251).unwrap()).collect()
}

#[test]
fn every_change_is_seen_by_the_next_request() {
    type Change = fn(&Path);
    let changes: [(&str, Change, u16, &str); 12] = [
        (
            "longer",
            |path| fs::write(path, "longer than it was").unwrap(),
            200,
            "longer than it was",
        ),
        ("of the same length", |path| fs::write(path, "CONTENT").unwrap(), 200, "CONTENT"),
        ("empty", |path| fs::write(path, "").unwrap(), 200, ""),
        ("gone", |path| fs::remove_file(path).unwrap(), 404, ""),
        (
            "gone and back",
            |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "another").unwrap();
            },
            200,
            "another",
        ),
        (
            "replaced",
            |path| {
                let other = path.with_extension("other");
                fs::write(&other, "another").unwrap();
                fs::rename(&other, path).unwrap();
            },
            200,
            "another",
        ),
        (
            "replaced by one of that time",
            |path| {
                let other = path.with_extension("other");
                let modified = fs::metadata(path).unwrap().modified().unwrap();
                fs::write(&other, "another").unwrap();
                fs::File::options()
                    .write(true)
                    .open(&other)
                    .unwrap()
                    .set_modified(modified)
                    .unwrap();
                fs::rename(&other, path).unwrap();
            },
            200,
            "another",
        ),
        (
            "a link",
            |path| {
                let other = path.with_extension("other");
                fs::rename(path, &other).unwrap();
                fs::write(path.with_extension("target"), "another").unwrap();
                symlink(path.with_extension("target"), path).unwrap();
            },
            200,
            "another",
        ),
        (
            "a link to nothing",
            |path| {
                fs::remove_file(path).unwrap();
                symlink("nothing", path).unwrap();
            },
            404,
            "",
        ),
        (
            "a directory",
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            301,
            "",
        ),
        (
            "its directory gone",
            |path| {
                let directory = path.parent().unwrap();
                fs::rename(directory, directory.with_extension("old")).unwrap();
            },
            404,
            "",
        ),
        (
            "its directory another",
            |path| {
                let directory = path.parent().unwrap();
                fs::rename(directory, directory.with_extension("old")).unwrap();
                fs::create_dir(directory).unwrap();
                fs::write(path, "another").unwrap();
            },
            200,
            "another",
        ),
    ];
    let (unitd, port) = sharing(&json!({}));
    let target = |number: usize| format!("/{number}/file.txt");
    for number in 0..changes.len() {
        unitd.write(&format!("www{}", target(number)), "content");
    }
    let mut connection = Connection::tcp(port);
    for number in 0..changes.len() {
        fetch_until_kept(&unitd, &mut connection, &target(number));
    }
    for (number, (what, change, status, content)) in changes.into_iter().enumerate() {
        change(&unitd.path(format!("www{}", target(number))));
        for _ in 0..2 {
            let response = connection.get(&target(number));
            assert_eq!(response.status, status, "{what}");
            if status == 200 {
                assert_eq!(response.text(), content, "{what}");
            }
        }
    }
}

#[test]
fn rights_that_are_taken_away_are_missed_at_once() {
    need_root!();
    let (unitd, port) = sharing(&json!({}));
    let set = |path: &str, mode: u32| {
        fs::set_permissions(unitd.path(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    unitd.write("www/one/file.txt", "file");
    unitd.write("www/two/file.txt", "file");
    let mut connection = Connection::tcp(port);
    fetch_until_kept(&unitd, &mut connection, "/one/file.txt");
    fetch_until_kept(&unitd, &mut connection, "/two/file.txt");
    set("www/one/file.txt", 0o600);
    set("www/two", 0o700);
    for target in ["/one/file.txt", "/two/file.txt"] {
        assert_eq!(connection.get(target).status, 403, "{target}");
    }
    set("www/one/file.txt", 0o604);
    // To pass through is enough.
    set("www/two", 0o701);
    for target in ["/one/file.txt", "/two/file.txt"] {
        assert_eq!(connection.get(target).status, 200, "{target}");
    }
}

#[test]
fn a_deleted_file_gives_its_room_back() {
    let (unitd, port) = sharing(&json!({}));
    let path = unitd.write("www/file.txt", "file");
    let kept = unitd.write("www/kept.txt", "kept");
    let router = unitd.role("router");
    let mut connection = Connection::tcp(port);
    fetch_until_kept(&unitd, &mut connection, "/kept.txt");
    fetch_until_kept(&unitd, &mut connection, "/file.txt");
    fs::remove_file(&path).unwrap();
    wait_until("the deleted file is closed", LIMIT, || !holds(&router, &path));
    wait_until("the unused file is closed", LIMIT, || !holds(&router, &kept));
    // Asked for, it is closed without waiting.
    let path = unitd.write("www/file.txt", "file");
    fetch_until_kept(&unitd, &mut connection, "/file.txt");
    fs::remove_file(&path).unwrap();
    assert_eq!(connection.get("/file.txt").status, 404);
    assert!(!holds(&router, &path));
}

#[test]
fn another_configuration_begins_with_no_file_open() {
    let (unitd, port) = sharing(&json!({}));
    let path = unitd.write("www/file.txt", "file");
    let router = unitd.role("router");
    let mut connection = Connection::tcp(port);
    assert_eq!(connection.get("/file.txt").field("Content-Type"), Some("text/plain"));
    fetch_until_kept(&unitd, &mut connection, "/file.txt");
    let types = json!({ "http": { "static": { "mime_types": { "a/b": ".txt" } } } });
    unitd.put("/config/settings", types).expect_success();
    assert!(!holds(&router, &path), "{:?}", router.descriptor_names());
    assert_eq!(unitd.fetch(port, "/file.txt").field("Content-Type"), Some("a/b"));
}

#[test]
fn restricted_shares_keep_nothing_open() {
    let unitd = Unitd::start();
    let port = unitd.port();
    let www = unitd.text_path("www");
    let share = |more: Value| {
        let mut action = json!({ "share": format!("{www}$uri") });
        action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        action
    };
    unitd.configure(&json!({
        "settings": { "listen_threads": 1 },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/chroot.txt" }, "action": share(json!({ "chroot": www })) },
            { "match": { "uri": "/links.txt" }, "action": share(json!({ "follow_symlinks": false })) },
            // From there on no mount point is in the way.
            { "match": { "uri": "/mounts.txt" },
              "action": share(json!({ "traverse_mounts": false, "chroot": www })) },
            { "action": share(json!({})) },
        ],
    }));
    let names = ["chroot.txt", "links.txt", "mounts.txt"];
    for name in names {
        unitd.write(&format!("www/{name}"), "file");
    }
    unitd.write("www/kept.txt", "file");
    let router = unitd.role("router");
    let mut connection = Connection::tcp(port);
    // When another share keeps its files open, these would have had the time to.
    fetch_until_kept(&unitd, &mut connection, "/kept.txt");
    for name in names.into_iter().cycle().take(9) {
        assert_eq!(fetch(&mut connection, &format!("/{name}")).text(), "file", "{name}");
        assert!(!holds(&router, name), "{name}");
    }
}

#[test]
fn a_file_that_grows_or_goes_while_it_is_sent_arrives_as_it_began() {
    let (unitd, port) = sharing(&json!({}));
    let content = pattern(32 << 20);
    let path = unitd.write("www/large.bin", &content);
    let mut connection = Connection::tcp(port);
    let mut send_while = |change: &dyn Fn()| {
        connection.send(&request("GET", "/large.bin", &[], b"")).unwrap();
        let head = connection.read_head().unwrap();
        change();
        let length = head.field("Content-Length").unwrap().parse().unwrap();
        let body = connection.read_exactly(length).unwrap();
        assert!(body == content[..length], "the body differs");
        // The next answer is about the file as it is now.
        connection.send(&request("HEAD", "/large.bin", &[], b"")).unwrap();
        let next = connection.read_head().unwrap();
        (next.status, next.field("Content-Length").map(str::to_owned))
    };
    let grow = || {
        fs::File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
    };
    let longer = (content.len() + 4).to_string();
    assert_eq!(send_while(&grow), (200, Some(longer)));
    fs::write(&path, &content).unwrap();
    let other = unitd.write("www/other.bin", "other");
    assert_eq!(send_while(&|| fs::rename(&other, &path).unwrap()), (200, Some("5".to_owned())));
    fs::write(&path, &content).unwrap();
    assert_eq!(send_while(&|| fs::remove_file(&path).unwrap()).0, 404);
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let (unitd, port) = sharing(&json!({}));
    unitd.expect_alert("shrank while it was sent");
    let content = pattern(32 << 20);
    for fields in [&[][..], &["Range: bytes=0-16777215,16777217-"]] {
        let path = unitd.write("www/large.bin", &content);
        let mark = unitd.log().len();
        let mut connection = Connection::tcp(port);
        connection.send(&request("GET", "/large.bin", fields, b"")).unwrap();
        let head = connection.read_head().unwrap();
        fs::File::options().write(true).open(path).unwrap().set_len(1 << 20).unwrap();
        // The client must see that it is short, and nothing made up.
        let body = connection.read_to_end().unwrap();
        let announced: usize = head.field("Content-Length").unwrap().parse().unwrap();
        assert!(body.len() < announced);
        if fields.is_empty() {
            // What was cut off may be on its way in any state.
            let left = (1 << 20).min(body.len());
            assert!(body[..left] == content[..left]);
        }
        let line = r#"\[alert\] .*\*\d+ ".*/www/large\.bin" shrank while it was sent"#;
        unitd.log().wait_after(mark, line);
    }
    unitd.write("www/small.txt", "small");
    assert_eq!(unitd.fetch(port, "/small.txt").text(), "small");
}

/// Lets a process have few descriptors more than it has, until this is dropped.
struct Shortage {
    pid: Pid,
    before: Rlimit,
}

impl Shortage {
    fn of(process: &Process, spare: u64) -> Self {
        let pid = Pid::from_raw(process.pid).unwrap();
        let taken: HashSet<u64> = process
            .descriptor_names()
            .iter()
            .filter_map(|name| name.split_once('=')?.0.parse().ok())
            .collect();
        let free = (0..).find(|number| !taken.contains(number)).unwrap();
        // The hard limit is left as it is.
        let known = fs::read_to_string(format!("/proc/{}/limits", process.pid)).unwrap();
        let line = known.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let maximum = line.split_whitespace().nth(1).unwrap().parse().ok();
        let limit = Rlimit { current: Some(free + spare), maximum };
        let before = prlimit(Some(pid), Resource::Nofile, limit).unwrap();
        Self { pid, before }
    }
}

impl Drop for Shortage {
    fn drop(&mut self) {
        let _ = prlimit(Some(self.pid), Resource::Nofile, self.before);
    }
}

/// A daemon whose roles stay the user who runs the tests: nobody else may limit them.
fn own_daemon() -> Unitd {
    let place = Place::new();
    if nix::unistd::Uid::effective().is_root() {
        place.with_options(&["--user", "root", "--group", "root"]).start()
    } else {
        place.start()
    }
}

#[test]
fn files_that_are_kept_open_make_room_when_descriptors_run_short() {
    let unitd = own_daemon();
    let port = unitd.port();
    share(&unitd, port, &json!({}));
    let kept = unitd.write("www/kept.txt", "kept");
    unitd.write("www/wanted.txt", "wanted");
    let router = unitd.role("router");
    let mut connection = Connection::tcp(port);
    fetch_until_kept(&unitd, &mut connection, "/kept.txt");
    // So few connections may have the last descriptors too. As long as there is something to close,
    // no request is refused; a file that has just been written is opened each time.
    let shortage = Shortage::of(&router, 0);
    assert_eq!(connection.get("/kept.txt").text(), "kept");
    unitd.write("www/wanted.txt", "wanted");
    assert_eq!(fetch(&mut connection, "/wanted.txt").text(), "wanted");
    assert!(!holds(&router, &kept));
    assert_eq!(connection.get("/kept.txt").text(), "kept");
    drop(shortage);
}

#[test]
fn files_that_are_kept_open_make_room_for_compressed_ones() {
    let unitd = own_daemon();
    let port = unitd.port();
    share(&unitd, port, &json!({}));
    let compression = json!({ "compressors": { "encoding": "gzip" } });
    unitd.put("/config/settings/http", json!({ "compression": compression })).expect_success();
    let kept: Vec<String> =
        (0..4).map(|number| unitd.write(&format!("www/kept{number}.txt"), "kept")).collect();
    let page = unitd.write("www/page.html", "<p>a page of many words</p>".repeat(100));
    let router = unitd.role("router");
    let mut connection = Connection::tcp(port);
    wait_until("all are kept open", LIMIT, || {
        for number in 0..4 {
            fetch(&mut connection, &format!("/kept{number}.txt"));
        }
        fetch(&mut connection, "/page.html");
        holds(&router, &page) && kept.iter().all(|path| holds(&router, path))
    });
    let shortage = Shortage::of(&router, 0);
    let gzip = request("GET", "/page.html", &["Accept-Encoding: gzip"], b"");
    let response = connection.ask(&gzip);
    drop(shortage);
    assert_eq!((response.status, response.field("Content-Encoding")), (200, Some("gzip")));
}

/// An error of the system ends the search: neither another path nor the fallback hides it.
#[test]
fn an_error_of_the_system_is_an_alert_and_500_at_once() {
    let unitd = own_daemon();
    let port = unitd.port();
    let www = unitd.text_path("www");
    let path = unitd.write("www/file.txt", "file");
    unitd.write("www/other.txt", "other");
    unitd.configure(&json!({
        "settings": { "listen_threads": 1 },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/nothing" }, "action": { "return": 204 } },
            { "action": {
                "share": [format!("{www}$uri"), format!("{www}/other.txt")],
                "fallback": { "return": 204 },
            } },
        ],
    }));
    unitd.expect_alert("Too many open files");
    let router = unitd.role("router");
    let mut connection = Connection::tcp(port);
    assert_eq!(connection.get("/nothing").status, 204);
    let shortage = Shortage::of(&router, 0);
    let response = connection.get("/file.txt");
    assert_eq!(response.status, 500);
    assert_eq!(response.text(), "<!DOCTYPE html><title>Error 500</title><p>Error 500.\r\n");
    drop(shortage);
    let line = format!(r#"\[alert\] .*\*\d+ opening "{path}" failed \(24: Too many open files\)"#);
    assert_eq!(unitd.log().count(&line), 1);
    assert_eq!(unitd.log().count("other.txt"), 0);
    wait_until("there are descriptors again", LIMIT, || connection.get("/file.txt").status == 200);
}
