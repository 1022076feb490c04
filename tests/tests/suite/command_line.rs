//! The command line: every option does what its line says, and what is wrong is said as always.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use blackbox::{
    Connection, Place, Process, need_python, process, program, request, run, wait_for_end,
    wait_until,
};
use nix::sys::signal::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

/// `unitd` with these words and nothing else.
fn unitd(words: &[&str]) -> Output {
    let mut command = Command::new(Place::new().bare_command().get_program());
    command.args(words);
    run(command)
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A daemon that was started by other means than the harness has.
struct Started(Child);

impl Started {
    fn main(&self) -> Process {
        process(i32::try_from(self.0.id()).unwrap()).unwrap()
    }

    /// Stops it; it has to come to a good end.
    #[track_caller]
    fn stop(mut self) {
        self.main().signal(Signal::SIGTERM);
        assert_eq!(wait_for_end(&mut self.0).code(), Some(0));
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It has ended, unless the test failed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn every_missing_value_is_told() {
    for (option, what) in [
        ("--control", "socket address"),
        ("--control-mode", "a mode"),
        ("--control-user", "a username"),
        ("--control-group", "a group name"),
        ("--pid", "filename"),
        ("--log", "filename"),
        ("--modulesdir", "directory"),
        ("--statedir", "directory"),
        ("--tmpdir", "directory"),
        ("--user", "username"),
        ("--group", "group name"),
        ("--libexecdir", "directory"),
        ("--config", "filename"),
        ("--check", "filename"),
    ] {
        let output = unitd(&["--no-daemon", option]);
        assert_eq!(output.status.code(), Some(1), "{option}");
        assert_eq!(stderr(&output), format!("option \"{option}\" requires {what}\n"));
        assert!(output.stdout.is_empty());
    }
    for (old, new) in [("modules", "modulesdir"), ("state", "statedir"), ("tmp", "tmpdir")] {
        let output = unitd(&[&format!("--{old}")]);
        assert_eq!(output.status.code(), Some(1), "{old}");
        assert_eq!(
            stderr(&output),
            format!(
                "option \"--{old}\" is deprecated; use \"--{new}\" instead\n\
                 option \"--{old}\" requires directory\n"
            )
        );
    }
}

#[test]
fn options_are_read_from_left_to_right() {
    let bad = unitd(&["--bad", "--version"]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(stderr(&bad).starts_with("unknown option \"--bad\", try \""), "{}", stderr(&bad));
    let version = unitd(&["--no-daemon", "--version", "--bad"]);
    assert_eq!(version.status.code(), Some(0));
    assert!(version.stdout.is_empty(), "the version goes to standard error");
    let help = unitd(&["-h", "--bad"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(help.stderr.is_empty(), "the help goes to standard output");
}

/// Each option stands on a line of its own, and its default, where it has one, on the next.
#[test]
fn the_help_has_the_shape_that_scripts_read() {
    let text = String::from_utf8(unitd(&["--help"]).stdout).unwrap();
    let rest = text.strip_prefix("\nunit options:\n").unwrap();
    let line = regex::Regex::new(
        r#"(?m)^  (--[a-z-]+(?:, -h)?(?: [A-Z]+)?) +\S.*\n(?: {23}default: (.+)\n)?"#,
    )
    .unwrap();
    let found: Vec<(&str, Option<&str>)> = line
        .captures_iter(rest)
        .map(|found| (found.get(1).unwrap().as_str(), found.get(2).map(|default| default.as_str())))
        .collect();
    let unquoted = ["--group GROUP"];
    for (option, has_default) in [
        ("--version", false),
        ("--help, -h", false),
        ("--no-daemon", false),
        ("--control ADDRESS", true),
        ("--control-mode MODE", true),
        ("--control-user USER", false),
        ("--control-group GROUP", false),
        ("--pid FILE", true),
        ("--log FILE", true),
        ("--modulesdir DIR", true),
        ("--statedir DIR", true),
        ("--tmpdir DIR", true),
        ("--user USER", true),
        ("--group GROUP", true),
        ("--libexecdir DIR", false),
        ("--config FILE", false),
        ("--check FILE", false),
    ] {
        let (_, default) = found.iter().find(|(name, _)| *name == option).unwrap_or_else(|| {
            panic!("{option} is not in {text}");
        });
        assert_eq!(default.is_some(), has_default, "{option}: {default:?}");
        if let Some(default) = default.filter(|_| !unquoted.contains(&option)) {
            assert!(default.starts_with('"') && default.ends_with('"'), "{option}: {default}");
        }
    }
    // And nothing but such lines.
    let left: String = line.replace_all(rest, "").split_whitespace().collect();
    assert_eq!(left, "");
}

#[test]
fn deprecated_options_do_what_they_did() {
    let place = Place::new();
    let (state, tmp) = (place.path("old-state"), place.path("old-tmp"));
    let modules = place.path("old-modules");
    for directory in [&state, &tmp, &modules] {
        fs::create_dir(directory).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let words: [&str; 6] = [
        "--modules",
        modules.to_str().unwrap(),
        "--state",
        state.to_str().unwrap(),
        "--tmp",
        tmp.to_str().unwrap(),
    ];
    let unitd = place.with_options(&words).start();
    let text = unitd.log().text();
    for (old, new) in [("modules", "modulesdir"), ("state", "statedir"), ("tmp", "tmpdir")] {
        let line = format!("option \"--{old}\" is deprecated; use \"--{new}\" instead\n");
        assert!(text.contains(&line), "{text}");
    }
    unitd.log().wait(&format!("no modules matching: \"{}", modules.display()));
    unitd.configure(&json!({ "listeners": {} }));
    assert!(state.join("conf.json").exists());
    assert!(!unitd.path("state/conf.json").exists());
}

#[test]
fn the_mode_of_the_control_socket_is_octal_or_the_default() {
    for (text, expected) in
        [("0", 0o600), ("", 0o600), ("rw", 0o600), ("98", 0o600), ("666", 0o666), ("0640", 0o640)]
    {
        let unitd = Place::new().with_options(&["--control-mode", text]).start();
        assert_eq!(mode(&unitd.control_socket()), expected, "{text:?}");
    }
}

#[test]
fn unknown_owners_of_the_control_socket_fail_the_start() {
    for (option, text) in [
        ("--control-user", "getpwnam(\"no-such-one\") failed, user \"no-such-one\" not found"),
        ("--control-group", "getgrnam(\"no-such-one\") failed, group \"no-such-one\" not found"),
    ] {
        let place = Place::new().with_options(&[option, "no-such-one"]);
        let output = run(place.bare_command());
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains(text), "{}", stderr(&output));
        for name in ["control.sock", "control.sock.tmp", "unit.pid"] {
            assert!(!place.path(name).exists(), "{name}");
        }
    }
}

#[test]
fn control_addresses_of_every_form_answer() {
    let place = Place::new();
    let (port, port_of_6) = (place.port(), place.port());
    let name = format!("unit-test-{}-{port}", std::process::id());
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    let ask = |stream: &mut dyn std::io::Read, written: std::io::Result<()>| {
        written.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).ok()?;
        Some(status == *b"HTTP/1.1 200")
    };
    let bytes = request("GET", "/config", &[], b"");
    for address in
        [format!("127.0.0.1:{port}"), format!("[::1]:{port_of_6}"), format!("unix:@{name}")]
    {
        if address.starts_with('[') && !has_ipv6 {
            eprintln!("no IPv6 here: {address} is not tried");
            continue;
        }
        let mut command = place.command();
        command.args(["--control", &address]);
        let daemon = Started(command.spawn().unwrap());
        wait_until(&format!("{address} answers"), LIMIT, || {
            let answer = if let Some(name) = address.strip_prefix("unix:@") {
                let name = SocketAddr::from_abstract_name(name).unwrap();
                UnixStream::connect_addr(&name).ok().and_then(|mut stream| {
                    let written = std::io::Write::write_all(&mut stream, &bytes);
                    ask(&mut stream, written)
                })
            } else {
                std::net::TcpStream::connect(&address).ok().and_then(|mut stream| {
                    let written = std::io::Write::write_all(&mut stream, &bytes);
                    ask(&mut stream, written)
                })
            };
            answer == Some(true)
        });
        daemon.stop();
    }
    assert_eq!(place.log().unexpected(&[]), [""; 0]);
}

#[test]
fn addresses_that_are_none_fail_the_start() {
    for (address, text) in [
        ("127.0.0.1", "The address \"127.0.0.1\" must specify a port."),
        ("localhost:80", "invalid address \"localhost:80\""),
        ("127.0.0.1:0", "invalid port in \"127.0.0.1:0\""),
        ("unix:", "invalid address \"unix:\""),
        ("", "socket address cannot be empty"),
    ] {
        let place = Place::new().with_options(&["--control", address]);
        let output = run(place.bare_command());
        assert_eq!(output.status.code(), Some(1), "{address}");
        assert!(stderr(&output).contains(text), "{}", stderr(&output));
        assert!(!place.pid_file().exists());
    }
}

#[test]
fn directories_of_pid_file_and_control_socket_are_made_for_all_to_pass() {
    let place = Place::new();
    let pid = place.text_path("run/a/b/unit.pid");
    let control = format!("unix:{}", place.text_path("run/c/control"));
    let mut command = place.command();
    command.args(["--pid", &pid, "--control", &control]);
    let daemon = Started(command.spawn().unwrap());
    let socket = place.path("run/c/control");
    wait_until("the control socket appears", LIMIT, || socket.exists());
    for directory in ["run", "run/a", "run/a/b", "run/c"] {
        assert_eq!(mode(&place.path(directory)), 0o755, "{directory}");
    }
    assert_eq!(mode(Path::new(&pid)), 0o644);
    daemon.stop();
    assert!(!socket.exists() && !Path::new(&pid).exists());
}

#[test]
fn what_a_dead_daemon_left_is_replaced() {
    let place = Place::new();
    place.write("unit.pid", "99999999\n");
    drop(std::os::unix::net::UnixListener::bind(place.control_socket()).unwrap());
    drop(std::os::unix::net::UnixListener::bind(place.path("control.sock.tmp")).unwrap());
    let socket = place.control_socket();
    wait_until("nobody listens", LIMIT, || UnixStream::connect(&socket).is_err());
    let unitd = place.start();
    assert_eq!(fs::read_to_string(unitd.pid_file()).unwrap(), format!("{}\n", unitd.pid()));
    assert!(!unitd.path("control.sock.tmp").exists());
}

#[test]
fn the_title_of_a_long_command_line_is_cut() {
    let place = Place::new();
    let tmp = place.text_path("tmp");
    let words: Vec<&str> = std::iter::repeat_n(["--tmpdir", &tmp], 200).flatten().collect();
    let unitd = place.with_options(&words).start();
    let title = unitd.main().title;
    assert_eq!(title.len(), 2047, "{title}");
    assert!(title.starts_with("unit: main v2.0.0 [") && title.ends_with(']'), "{title}");
    assert!(title.contains(&format!("--control unix:{}", unitd.control_socket().display())));
}

/// The command of a place in a shell that puts a listening socket at descriptor 3.
fn with_socket(place: &Place, socket: TcpListener, before: &str) -> Command {
    let unitd = place.command();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("exec 3<&0 0</dev/null; {before} exec \"$@\"")).arg("sh");
    command.arg(unitd.get_program()).args(unitd.get_args().filter(|word| *word != "--no-daemon"));
    command.envs(unitd.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let log = fs::OpenOptions::new().append(true).create(true).open(place.log().path()).unwrap();
    command.stdin(OwnedFd::from(socket)).stderr(log).stdout(Stdio::null());
    command
}

/// Sockets of a supervisor are used, and keep the daemon in the foreground.
#[test]
fn inherited_sockets_are_listened_on() {
    for (before, line) in [
        ("export NGINX='3;';", r"\[info\] .*using inherited listen sockets: 3;$"),
        ("export LISTEN_PID=$$ LISTEN_FDS=1;", r"\[info\] .*using 1 systemd listen sockets$"),
    ] {
        let place = Place::new();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let daemon = Started(with_socket(&place, socket, before).spawn().unwrap());
        let control = place.control_socket();
        wait_until("the control socket appears", LIMIT, || control.exists());
        place.log().wait(line);
        let config = json!({
            "listeners": { address.to_string(): { "pass": "routes" } },
            "routes": [{ "action": { "return": 204 } }],
        });
        let put = request("PUT", "/config", &[], config.to_string().as_bytes());
        let answer = Connection::unix(&control).ask(&put);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(Connection::tcp(address.port()).get("/").status, 204);
        let pid = fs::read_to_string(place.pid_file()).unwrap();
        assert_eq!(pid.trim(), daemon.0.id().to_string(), "it stays in the foreground");
        daemon.stop();
        assert_eq!(place.log().unexpected(&[]), [""; 0]);
    }
    // Those of another process are not ours.
    let place = Place::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command =
        with_socket(&place, socket, "export LISTEN_PID=1 LISTEN_FDS=1; set -- \"$@\" --no-daemon;");
    let daemon = Started(command.spawn().unwrap());
    let control = place.control_socket();
    wait_until("the control socket appears", LIMIT, || control.exists());
    assert_eq!(place.log().count("listen sockets"), 0);
    daemon.stop();
}

/// The variables are for main alone.
#[test]
fn variables_of_inheritance_reach_no_application() {
    need_python!();
    let place = Place::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let file = place.write(
        "apps/names/wsgi.py",
        "import os\n\ndef application(environ, start_response):\n    start_response('200 OK', [])\n    \
         return [repr(sorted(os.environ)).encode()]\n",
    );
    let directory = Path::new(&file).parent().unwrap();
    let daemon = Started(with_socket(&place, socket, "export NGINX='3;';").spawn().unwrap());
    let control = place.control_socket();
    wait_until("the control socket appears", LIMIT, || control.exists());
    let config = json!({
        "listeners": { address.to_string(): { "pass": "applications/app" } },
        "applications": {
            "app": { "type": "python", "module": "wsgi", "path": directory, "processes": 1 },
        },
    });
    let put = request("PUT", "/config", &[], config.to_string().as_bytes());
    assert_eq!(Connection::unix(&control).ask(&put).status, 200);
    let names = Connection::tcp(address.port()).get("/").text();
    assert!(!names.contains("'NGINX'") && names.contains("'UNIT_TEST_PLACE'"), "{names}");
    daemon.stop();
}

/// A mask of the starter's own is kept in the foreground and replaced in the background.
#[test]
fn the_file_mode_mask_is_that_of_a_daemon_in_the_background() {
    let place = Place::new();
    let unitd = place.bare_command();
    let start = |words: &str| {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("umask 077; exec \"$@\" {words}")).arg("sh");
        command.arg(unitd.get_program());
        command.args(unitd.get_args().filter(|word| *word != "--no-daemon"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.current_dir(place.directory());
        Started(command.spawn().unwrap())
    };
    let mask = |pid: i32| process(pid).unwrap().status("Umask:").unwrap();
    let mut starter = start("");
    assert_eq!(wait_for_end(&mut starter.0).code(), Some(0));
    let pid: i32 = fs::read_to_string(place.pid_file()).unwrap().trim().parse().unwrap();
    let main = process(pid).unwrap();
    let found = mask(pid);
    main.signal(Signal::SIGTERM);
    wait_until("it has ended", LIMIT, || {
        process(pid).is_none_or(|now| now.started != main.started || now.state == 'Z')
    });
    assert_eq!(found, "0022");
    let daemon = start("--no-daemon");
    let control = place.control_socket();
    wait_until("the control socket appears", LIMIT, || control.exists());
    let found = mask(daemon.main().pid);
    daemon.stop();
    assert_eq!(found, "0077");
}

/// The directories for certificates and scripts are made one level deep, and a daemon does without.
#[test]
fn a_missing_state_directory_is_told_and_done_without() {
    let place = Place::new();
    let state = place.text_path("none/state");
    let unitd = place.with_options(&["--statedir", &state]).start();
    for thing in ["certificates", "scripts"] {
        unitd.expect_alert(&format!("{thing} storage directory"));
    }
    for (thing, name) in [("certificates", "certs"), ("scripts", "scripts")] {
        unitd.log().wait(&format!(
            r"\[alert\] .*Unable to create {thing} storage directory: mkdir\({state}/{name}/\) failed \(2: No such file or directory\)$"
        ));
    }
    unitd.expect_alert(&state);
    unitd.expect_alert("failed to store current configuration");
    let answer = unitd.put("/config", json!({ "listeners": {} }));
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert_eq!(unitd.config("/listeners"), json!({}));
}

#[test]
fn listeners_are_removed_with_the_daemon() {
    let mut unitd = Place::new().start();
    let socket = unitd.path("listener.sock");
    let name = format!("unit-test-{}", unitd.pid());
    unitd.configure(&json!({
        "listeners": {
            format!("unix:{}", socket.display()): { "pass": "routes" },
            format!("unix:@{name}"): { "pass": "routes" },
        },
        "routes": [{ "action": { "return": 200 } }],
    }));
    assert_eq!(mode(&socket), 0o666);
    unitd.stop();
    assert!(!socket.exists());
}

/// What a tool sees of a daemon from outside, `ps` above all.
#[test]
fn tools_find_the_daemon_by_its_title() {
    let Some(ps) = program("ps") else {
        blackbox::skip!("no ps");
    };
    let unitd = Place::new().start();
    unitd.wait_for_rest();
    let mut command = Command::new(ps);
    command.args(["-ax", "-o", "pid=,ppid=,args="]);
    let output = String::from_utf8(run(command).stdout).unwrap();
    let pid = unitd.pid().to_string();
    let lines: Vec<&str> = output
        .lines()
        .filter(|line| line.split_whitespace().take(2).any(|word| word == pid))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for title in ["unit: main v2.0.0 [", "unit: controller", "unit: router"] {
        assert_eq!(lines.iter().filter(|line| line.contains(title)).count(), 1, "{title}");
    }
}
