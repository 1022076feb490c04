//! Starts that cannot succeed: said in a sentence, with status 1, leaving nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use blackbox::{Place, Unitd, need_python, need_root, run, wait_for, wait_for_end, wait_until};
use nix::sys::signal::Signal;

const LIMIT: Duration = Duration::from_secs(30);

/// The start fails with this text, in the log or on standard error, and leaves nothing.
#[track_caller]
fn expect_failure(place: &Place, text: &str) {
    let output = run(place.bare_command());
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &place.log().text();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(text), "{text} in {said}");
    assert!(!said.contains("panicked"), "{said}");
    for file in [place.control_socket(), place.path("control.sock.tmp"), place.pid_file()] {
        assert!(!file.exists(), "{} is left: {said}", file.display());
    }
}

/// A directory with the executables of the roles, as links, for a test to spoil.
fn executables(place: &Place) -> PathBuf {
    let directory = place.path("bin");
    fs::create_dir(&directory).unwrap();
    let command = place.bare_command();
    let beside = Path::new(command.get_program()).parent().unwrap().to_owned();
    for name in ["unitd", "unit-discovery", "unit-controller", "unit-router"] {
        fs::hard_link(beside.join(name), directory.join(name))
            .or_else(|_| fs::copy(beside.join(name), directory.join(name)).map(|_| ()))
            .unwrap();
    }
    directory
}

#[test]
fn a_missing_role_is_named() {
    for name in ["unit-discovery", "unit-controller", "unit-router"] {
        let place = Place::new();
        let directory = executables(&place);
        fs::remove_file(directory.join(name)).unwrap();
        expect_failure(&place.with_executables(&directory), &format!("\"{name}\" not found"));
    }
}

#[test]
fn a_role_that_is_no_program_is_named() {
    let place = Place::new();
    let directory = executables(&place);
    let router = directory.join("unit-router");
    fs::remove_file(&router).unwrap();
    fs::write(&router, "no program").unwrap();
    fs::set_permissions(&router, fs::Permissions::from_mode(0o755)).unwrap();
    expect_failure(&place.with_executables(&directory), "router failed to start");
}

/// A program of ours that takes itself for another release.
fn with_release(program: &[u8], release: &str) -> Vec<u8> {
    let mut program = program.to_vec();
    let ours = b"2.0.0";
    let places: Vec<usize> = program
        .windows(ours.len())
        .enumerate()
        .filter_map(|(at, window)| (window == ours).then_some(at))
        .collect();
    assert!(!places.is_empty(), "it knows its release");
    for at in places {
        program[at..at + ours.len()].copy_from_slice(release.as_bytes());
    }
    program
}

#[test]
fn a_role_of_another_release_is_told_by_both() {
    for name in ["unit-controller", "unit-router"] {
        let place = Place::new();
        let directory = executables(&place);
        let file = directory.join(name);
        let program = with_release(&fs::read(&file).unwrap(), "9.8.7");
        // Not through the link, which leads to the one everybody uses.
        fs::remove_file(&file).unwrap();
        fs::write(&file, program).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let place = place.with_executables(&directory);
        expect_failure(&place, "9.8.7");
        let log = place.log().text();
        let line = log.lines().find(|line| line.contains("9.8.7")).unwrap();
        assert!(line.contains("[alert]") && line.contains("2.0.0"), "{line}");
    }
}

#[test]
fn a_control_socket_in_use_is_not_taken() {
    let place = Place::new();
    let socket = place.control_socket();
    let other = UnixListener::bind(&socket).unwrap();
    let output = run(place.bare_command());
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &place.log().text();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("unix:{}", socket.display())), "{said}");
    assert!(said.contains("[alert]") && said.contains("socket already in use"), "{said}");
    assert!(socket.exists(), "it is somebody else's");
    assert!(!place.pid_file().exists() && !place.path("control.sock.tmp").exists());
    drop(other);
    // A process that is being started in another test may hold a copy for a moment.
    wait_until("nobody listens", LIMIT, || UnixStream::connect(&socket).is_err());
    // Now it is stale, and is replaced.
    let unitd = place.start();
    assert_eq!(unitd.get("/config").status, 200);
}

#[test]
fn a_control_port_in_use_is_told() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let place = Place::new().with_options(&["--control", &address]);
    expect_failure(&place, "98: Address already in use");
}

#[test]
fn two_daemons_do_not_share_a_place() {
    let unitd = Unitd::start();
    let before = fs::read_to_string(unitd.pid_file()).unwrap();
    let output = run(unitd.bare_command());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("socket already in use"));
    assert_eq!(fs::read_to_string(unitd.pid_file()).unwrap(), before);
    assert_eq!(unitd.get("/config").status, 200);
}

#[test]
fn an_unknown_user_is_told() {
    need_root!();
    let place = Place::new().with_options(&["--user", "no-such-user"]);
    expect_failure(&place, "getpwnam(\"no-such-user\") failed, user \"no-such-user\" not found");
    let place = Place::new().with_options(&["--group", "no-such-group"]);
    expect_failure(&place, "getgrnam(\"no-such-group\") failed, group \"no-such-group\" not found");
}

#[test]
fn files_that_cannot_be_written_are_named() {
    let place = Place::new();
    let missing = place.text_path("missing/unit.log");
    expect_failure(
        &place.with_options(&["--log", &missing]),
        &format!("open(\"{missing}\") failed (2: No such file or directory)"),
    );
    let place = Place::new();
    let directory = place.text_path("www");
    expect_failure(
        &place.with_options(&["--log", &directory]),
        &format!("open(\"{directory}\") failed (21: Is a directory)"),
    );
    let place = Place::new();
    let file = place.write("file", "");
    let below = format!("{file}/unit.pid");
    expect_failure(&place.with_options(&["--pid", &below]), "unit.pid");
    let place = Place::new();
    let below = format!("unix:{}/control", place.write("file", ""));
    expect_failure(&place.with_options(&["--control", &below]), "/control");
}

#[test]
fn missing_directories_of_pid_and_control_are_made() {
    let place = Place::new();
    let (pid, control) = (place.path("run/a/unit.pid"), place.path("run/b/control.sock"));
    let place = place.with_options(&[
        "--pid",
        pid.to_str().unwrap(),
        "--control",
        &format!("unix:{}", control.display()),
    ]);
    let mut child = place.command().spawn().unwrap();
    wait_until("the control socket appears", LIMIT, || control.exists());
    let written = fs::read_to_string(&pid).unwrap();
    let main = wait_for("main", LIMIT, || blackbox::process(i32::try_from(child.id()).unwrap()));
    main.signal(Signal::SIGTERM);
    wait_for_end(&mut child);
    assert_eq!(written, format!("{}\n", main.pid));
    assert!(!pid.exists() && !control.exists());
}

#[test]
fn options_that_cannot_be_followed_are_told() {
    let program = Place::new().bare_command().get_program().to_owned();
    let run_with = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words);
        run(command)
    };
    for (words, text) in [
        (
            &["--nonsense"][..],
            "unknown option \"--nonsense\", try \"PROGRAM -h\" for available options\n",
        ),
        (&["--log=x"], "unknown option \"--log=x\", try \"PROGRAM -h\" for available options\n"),
        (&["stray"], "unknown option \"stray\", try \"PROGRAM -h\" for available options\n"),
        (&["--control"], "option \"--control\" requires socket address\n"),
        (&["--no-daemon", "--log"], "option \"--log\" requires filename\n"),
        (
            &["--modules", "x", "--pid"],
            "option \"--modules\" is deprecated; use \"--modulesdir\" instead\n\
             option \"--pid\" requires filename\n",
        ),
    ] {
        let output = run_with(words);
        let wanted = text.replace("PROGRAM", program.to_str().unwrap());
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), wanted);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn version_and_help_have_the_shape_tools_read() {
    let program = Place::new().bare_command().get_program().to_owned();
    let run_with = |word: &str| {
        let mut command = Command::new(&program);
        command.arg(word);
        run(command)
    };
    let version = run_with("--version");
    assert_eq!(version.status.code(), Some(0));
    let text = String::from_utf8(version.stderr).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0], "unit version: 2.0.0");
    assert!(lines[1].starts_with("configured as ./configure"), "{text}");
    for word in ["--help", "-h"] {
        let help = run_with(word);
        assert_eq!(help.status.code(), Some(0));
        let text = String::from_utf8(help.stdout).unwrap();
        assert!(text.starts_with("\nunit options:\n"), "{text}");
        for option in ["--control ADDRESS", "--log FILE"] {
            let line = text.lines().skip_while(|line| !line.trim().starts_with(option)).nth(1);
            let default = line.unwrap().trim();
            assert!(default.starts_with("default: \"") && default.ends_with('"'), "{default}");
        }
    }
}

#[test]
fn an_inherited_socket_that_is_none_fails_the_start() {
    let place = Place::new();
    let mut command = place.bare_command();
    command.env("NGINX", "nonsense;");
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &place.log().text();
    let text = "invalid socket number \"nonsense\" in NGINX environment variable, ignoring the rest \
                of the variable";
    assert!(said.contains(text), "{said}");
}

/// Whatever lies in the modules directory, the daemon starts.
#[test]
fn broken_modules_are_told_and_left_out() {
    need_python!();
    let place = Place::new();
    let directory = place.path("modules");
    let runtime = blackbox::modules_dir().join(format!("python{}.unit", blackbox::pythons()[0]));
    let runtime = fs::read(runtime).unwrap();
    for (name, content) in [
        ("script", b"#!/bin/sh\necho it\n".to_vec()),
        ("fails", fs::read("/bin/sh").unwrap()),
        ("text", b"no program".to_vec()),
        ("empty", Vec::new()),
        ("old", with_release(&runtime, "1.0.0")),
        ("works", runtime),
    ] {
        let path = place.write(&format!("modules/{name}.unit"), content);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    place.write("modules/other.so", "ignored");
    let unitd = place.with_modules(&directory).start();
    for name in ["script", "fails", "text", "empty"] {
        unitd.expect_alert(&format!("{name}.unit"));
        unitd.log().wait(&format!(r"\[alert\] .*{name}\.unit"));
    }
    unitd.log().wait(r"\[notice\] .*incompatible module .*old\.unit");
    assert_eq!(unitd.log().count("other"), 0);
    let works = unitd.text_path("modules/works.unit");
    assert_eq!(unitd.status("/modules/python/lib"), works);
    unitd.wait_for_rest();
}
