//! What a configuration is stored in may fail at any moment, and main may die at any moment: the old
//! configuration or the new one is served afterwards, and what was acknowledged is there.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{TryRecvError, channel};

use blackbox::{Connection, Killed, Place, Unitd, kill_at_call, need_root, program, request, run};
use serde_json::json;

/// The fewest calls of main that an update is known to consist of: fewer, and nothing was tried.
const CALLS_MIN: usize = 15;

/// How an attempt ended: whether main came to the call it was to die of, and what the client was
/// told, if anything.
struct Attempt {
    killed: Killed,
    acknowledged: bool,
}

/// Sends a request to the control API, kills main as it is about to do its system call of this
/// number, and starts again.
fn kill_and_restart(unitd: &mut Unitd, bytes: Vec<u8>, calls: usize) -> nix::Result<Attempt> {
    let before_kill = unitd.processes();
    let (told, answer) = channel();
    let socket = unitd.control_socket();
    let status = Cell::new(None);
    let killed = kill_at_call(
        unitd.pid(),
        calls,
        || {
            std::thread::spawn(move || {
                let answer = Connection::try_unix(&socket)
                    .ok()
                    .and_then(|mut connection| connection.exchange(&bytes).ok());
                // A test that failed does not listen.
                let _ = told.send(answer.map(|answer| answer.status));
            });
        },
        || match answer.try_recv() {
            Ok(found) => {
                status.set(found);
                true
            }
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::Disconnected) => true,
        },
    )?;
    // What the others say of main's end.
    for text in
        ["port to the main process was closed", "unused listening sockets", "failed to apply"]
    {
        unitd.expect_alert(text);
    }
    unitd.wait_for_death(&before_kill);
    // The answer may have been on its way already.
    let status = status.get().or_else(|| answer.recv().ok().flatten());
    unitd.start_again();
    Ok(Attempt { killed, acknowledged: status == Some(200) })
}

/// Kills main at each of its calls in turn. `forget` makes each update the first one.
fn kill_at_each_call(forget: bool) {
    let mut unitd = Unitd::start();
    let port = unitd.port();
    let mut old = None;
    for calls in 0.. {
        let status = 200 + u16::try_from(calls % 90).unwrap();
        let config = json!({
            "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
            "routes": [{ "action": { "return": status } }],
        });
        let put = request("PUT", "/config", &[], config.to_string().as_bytes());
        let Attempt { killed, acknowledged } = match kill_and_restart(&mut unitd, put, calls) {
            Ok(attempt) => attempt,
            Err(error) => blackbox::skip!("main cannot be traced: {error}"),
        };
        // Old or new, never neither.
        let answer = unitd.get("/config/routes/0/action/return");
        let now: Option<u16> = answer.text.trim().parse().ok();
        assert!(now == old || now == Some(status), "call {calls}: {}", answer.text);
        assert!(!acknowledged || now == Some(status), "call {calls}: acknowledged and lost");
        if let Some(now) = now {
            assert_eq!(unitd.fetch(port, "/").status, now, "call {calls}: what is shown is served");
        } else {
            assert!(Connection::try_tcp(port).is_err(), "call {calls}");
        }
        old = now;
        if forget {
            unitd.stop();
            for name in ["conf.json", "version"] {
                // The first ones to die have not got that far.
                let _ = fs::remove_file(unitd.path(format!("state/{name}")));
            }
            unitd.start_again();
            old = None;
        }
        if killed == Killed::Afterwards {
            assert!(calls >= CALLS_MIN, "{calls} calls");
            println!("main was killed at each of {calls} calls");
            break;
        }
    }
}

#[test]
fn an_update_that_main_dies_of_is_done_or_not() {
    kill_at_each_call(false);
}

#[test]
fn a_first_update_that_main_dies_of_is_done_or_not() {
    kill_at_each_call(true);
}

/// A bundle of a key and a certificate of this name.
fn bundle(place: &Place, openssl: &Path, name: &str) -> Vec<u8> {
    let (key, certificate) = (place.text_path("key.pem"), place.text_path("certificate.pem"));
    let mut command = Command::new(openssl);
    command.args([
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    command.args([
        "-subj",
        &format!("/CN={name}"),
        "-days",
        "2",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ]);
    let output = run(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    [fs::read(certificate).unwrap(), fs::read(key).unwrap()].concat()
}

/// A bundle is replaced by one of another name, again and again.
#[test]
fn a_replaced_certificate_that_main_dies_of_is_the_old_or_the_new() {
    let Some(openssl) = program("openssl") else {
        blackbox::skip!("no openssl");
    };
    let mut unitd = Unitd::start();
    let names = ["one.test", "two.test"];
    let bundles = names.map(|name| bundle(&unitd, &openssl, name));
    let mut old = None;
    for calls in 0.. {
        let new = names[calls % 2];
        let put = request("PUT", "/certificates/c?replace", &[], &bundles[calls % 2]);
        let Attempt { killed, acknowledged } = match kill_and_restart(&mut unitd, put, calls) {
            Ok(attempt) => attempt,
            Err(error) => blackbox::skip!("main cannot be traced: {error}"),
        };
        let answer = unitd.get("/certificates/c/chain/0/subject/common_name");
        let now: Option<String> =
            (answer.status == 200).then(|| answer.json().as_str().unwrap().to_owned());
        assert!(now == old || now.as_deref() == Some(new), "call {calls}: {}", answer.text);
        assert!(!acknowledged || now.as_deref() == Some(new), "call {calls}: lost");
        let private = fs::read(unitd.path("state/certs/c")).unwrap_or_default();
        assert!(now.is_none() || bundles.contains(&private), "call {calls}: a whole one");
        old = now;
        if killed == Killed::Afterwards {
            assert!(calls >= CALLS_MIN, "{calls} calls");
            break;
        }
    }
}

#[test]
fn a_deleted_certificate_that_main_dies_of_is_there_or_not() {
    let Some(openssl) = program("openssl") else {
        blackbox::skip!("no openssl");
    };
    let mut unitd = Unitd::start();
    let bundle = bundle(&unitd, &openssl, "one.test");
    for calls in 0.. {
        unitd.control("PUT", "/certificates/c?replace", &bundle).expect_success();
        let delete = request("DELETE", "/certificates/c", &[], b"");
        let Attempt { killed, acknowledged } = match kill_and_restart(&mut unitd, delete, calls) {
            Ok(attempt) => attempt,
            Err(error) => blackbox::skip!("main cannot be traced: {error}"),
        };
        let is_there = unitd.get("/certificates/c").status == 200;
        assert!(!(acknowledged && is_there), "call {calls}: acknowledged and there");
        if is_there {
            assert_eq!(fs::read(unitd.path("state/certs/c")).unwrap(), bundle);
        }
        if killed == Killed::Afterwards {
            assert!(calls >= 5, "{calls} calls");
            break;
        }
    }
}

/// The temporary file cannot be made, whoever asks for it.
#[test]
fn a_configuration_that_cannot_be_stored_is_not_applied() {
    let (mut unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    let stored = fs::read(unitd.path("state/conf.json")).unwrap();
    fs::create_dir_all(unitd.path("state/conf.json.tmp/in-the-way")).unwrap();
    expect_not_stored(&unitd, port, &stored);
    fs::remove_dir_all(unitd.path("state/conf.json.tmp")).unwrap();
    expect_stored_again(&mut unitd, port);
}

/// A state directory on a file system that is full while the configuration is stored.
#[test]
fn a_full_disk_loses_nothing() {
    need_root!();
    let place = Place::new();
    let port = place.port();
    let Some(disk) = TinyDisk::mount(place.path("state")) else {
        blackbox::skip!("no file system can be mounted");
    };
    let mut unitd = place.start();
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 200 } }],
    }));
    let stored = fs::read(unitd.path("state/conf.json")).unwrap();
    disk.fill();
    expect_not_stored(&unitd, port, &stored);
    disk.make_room();
    expect_stored_again(&mut unitd, port);
    unitd.stop();
}

/// A disk with an error is remounted like this by the kernel.
#[test]
fn a_read_only_disk_loses_nothing() {
    need_root!();
    let place = Place::new();
    let port = place.port();
    let Some(disk) = TinyDisk::mount(place.path("state")) else {
        blackbox::skip!("no file system can be mounted");
    };
    let mut unitd = place.start();
    unitd.configure(&returns_200(port));
    let stored = fs::read(unitd.path("state/conf.json")).unwrap();
    disk.set_read_only(true);
    expect_not_stored(&unitd, port, &stored);
    disk.set_read_only(false);
    expect_stored_again(&mut unitd, port);
    unitd.stop();
}

#[test]
fn a_vanished_state_directory_loses_nothing() {
    for in_its_place in [None, Some("a file")] {
        let (mut unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
        let stored = fs::read(unitd.path("state/conf.json")).unwrap();
        let (state, away) = (unitd.path("state"), unitd.path("away"));
        fs::rename(&state, &away).unwrap();
        if let Some(content) = in_its_place {
            fs::write(&state, content).unwrap();
        }
        expect_not_stored(&unitd, port, &stored);
        if in_its_place.is_some() {
            fs::remove_file(&state).unwrap();
        }
        fs::rename(&away, &state).unwrap();
        assert_eq!(fs::read(unitd.path("state/conf.json")).unwrap(), stored);
        expect_stored_again(&mut unitd, port);
    }
}

/// One that is made anew, as after a cleaning, is written to in full.
#[test]
fn an_emptied_state_directory_is_filled_again() {
    let (mut unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 200 } }]));
    for entry in fs::read_dir(unitd.path("state")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            fs::remove_dir(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }
    assert_eq!(unitd.fetch(port, "/").status, 200);
    expect_stored_again(&mut unitd, port);
    assert_eq!(fs::read(unitd.path("state/version")).unwrap(), b"20000");
}

fn returns_200(port: u16) -> serde_json::Value {
    json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 200 } }],
    })
}

fn expect_not_stored(unitd: &Unitd, port: u16, stored: &[u8]) {
    unitd.expect_alert("failed to store current configuration");
    // And before it the call that failed, by name and file.
    unitd.expect_alert("state/");
    let before = unitd.get("/config").text;
    let other = unitd.port();
    for attempt in 0..3 {
        let answer = unitd.put(
            "/config",
            json!({
                "listeners": { format!("127.0.0.1:{other}"): { "pass": "routes" } },
                "routes": [{ "action": { "return": 201, "location": "x".repeat(8000) } }],
            }),
        );
        assert_eq!(answer.status, 500, "{}", answer.text);
        assert_eq!(answer.json()["error"], "Failed to store configuration.", "{attempt}");
        assert!(!answer.detail().is_empty(), "{}", answer.text);
        assert_eq!(unitd.get("/config").text, before);
        assert_eq!(unitd.fetch(port, "/").status, 200);
        assert!(Connection::try_tcp(other).is_err(), "nobody listens on a refused address");
        if let Ok(found) = fs::read(unitd.path("state/conf.json")) {
            assert_eq!(found, stored);
        }
    }
    unitd.log().wait("failed to store current configuration");
}

fn expect_stored_again(unitd: &mut Unitd, port: u16) {
    unitd.put("/config/routes/0/action/return", 202).expect_success();
    assert_eq!(unitd.fetch(port, "/").status, 202);
    let left: Vec<PathBuf> = fs::read_dir(unitd.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    unitd.stop();
    unitd.start_again();
    assert_eq!(unitd.fetch(port, "/").status, 202);
}

/// A file system of a few pages, gone with this value.
struct TinyDisk {
    path: PathBuf,
}

impl TinyDisk {
    fn mount(path: PathBuf) -> Option<Self> {
        let flags = nix::mount::MsFlags::empty();
        let options = Some("size=32k,mode=0777");
        nix::mount::mount(Some("unit-test-state"), &path, Some("tmpfs"), flags, options).ok()?;
        Some(Self { path })
    }

    fn set_read_only(&self, read_only: bool) {
        let mut flags = nix::mount::MsFlags::MS_REMOUNT;
        flags.set(nix::mount::MsFlags::MS_RDONLY, read_only);
        nix::mount::mount(None::<&str>, &self.path, None::<&str>, flags, None::<&str>).unwrap();
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.path.join("filler")).unwrap();
        while std::io::Write::write(&mut file, &[0; 1024]).is_ok_and(|count| count > 0) {}
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.path, nix::mount::MntFlags::MNT_DETACH);
    }
}
