//! Starting: what appears in which order, who runs as whom, and what is there at rest.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use blackbox::{
    Connection, Place, Process, Unitd, need_python, need_root, process, pythons, request, wait_for,
    wait_until,
};
use nix::sys::signal::Signal;
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn three_processes_remain_at_rest() {
    let unitd = Unitd::start();
    unitd.wait_for_rest();
    let main = unitd.main();
    assert!(main.title.starts_with("unit: main v2.0.0 ["), "{}", main.title);
    assert!(main.title.ends_with(']'), "{}", main.title);
    for role in ["controller", "router"] {
        assert_eq!(unitd.role(role).parent, main.pid, "{role} is a child of main");
    }
}

#[test]
fn the_title_of_main_holds_the_options() {
    let unitd = Unitd::start();
    let title = unitd.main().title;
    for words in [
        format!("--control unix:{}", unitd.control_socket().display()),
        format!("--log {}", unitd.log().path().display()),
    ] {
        assert!(title.contains(&words), "{words} in {title}");
    }
}

#[test]
fn the_log_tells_the_start_in_order() {
    let unitd = Unitd::start();
    let text = unitd.log().text();
    let lines = [
        r"\[info\] \d+#\d+ unit 2\.0\.0 started$",
        r"\[info\] \d+#\d+ discovery started$",
        r#"\[notice\] \d+#\d+ (module: \S+ \S+ "|no modules matching: ").*"#,
        r"\[info\] \d+#\d+ controller started$",
        r"\[info\] \d+#\d+ router started$",
    ];
    let mut from = 0;
    for line in lines {
        let stamp = r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ";
        let pattern = regex::Regex::new(&format!("(?m){stamp}{line}")).unwrap();
        let found = pattern.find_at(&text, from);
        from = found.unwrap_or_else(|| panic!("{line} after byte {from} of\n{text}")).end();
    }
}

#[test]
fn no_modules_are_told_by_their_pattern() {
    let place = Place::new();
    let empty = place.path("no-modules");
    fs::create_dir(&empty).unwrap();
    let unitd = place.with_modules(&empty).start();
    unitd.log().wait(&format!(r#"no modules matching: "{}/\*\.unit" found"#, empty.display()));
    assert_eq!(unitd.status("/modules"), json!({}));
}

#[test]
fn modules_are_logged_and_listed() {
    need_python!();
    let unitd = Unitd::start();
    let lines = unitd.log().find_all(r#"module: ([a-zA-Z\-]+ .* ".*")$"#);
    assert!(lines.iter().any(|line| line.starts_with("python 3.")), "{lines:?}");
    let listed = unitd.status("/modules/python");
    let listed = match listed.as_array() {
        Some(several) => several.clone(),
        None => vec![listed],
    };
    assert_eq!(listed.len(), pythons().len());
    for module in listed {
        let version = module["version"].as_str().unwrap();
        let file = module["lib"].as_str().unwrap();
        unitd.log().wait(&regex::escape(&format!("module: python {version} \"{file}\"")));
    }
}

#[test]
fn the_socket_appears_when_the_pid_can_be_read() {
    let place = Place::new();
    let mut child = place.command().spawn().unwrap();
    // No rest between two looks: this is about microseconds.
    let socket = place.control_socket();
    let deadline = std::time::Instant::now() + LIMIT;
    while !socket.exists() {
        assert!(std::time::Instant::now() < deadline, "{}", place.log().text());
    }
    let pid = fs::read_to_string(place.pid_file());
    // What is asked at once waits and is answered.
    let answer = Connection::unix(&socket).ask(&request("GET", "/config", &[], b""));
    let main = process(i32::try_from(child.id()).unwrap()).unwrap();
    main.signal(Signal::SIGTERM);
    let status = child.wait().unwrap();
    assert_eq!(pid.unwrap(), format!("{}\n", main.pid));
    assert_eq!(answer.status, 200);
    assert_eq!(status.code(), Some(0));
}

#[test]
fn files_have_the_modes_they_are_documented_with() {
    let unitd = Unitd::start();
    assert_eq!(mode(&unitd.pid_file()), 0o644);
    assert_eq!(mode(&unitd.control_socket()), 0o600);
    for directory in ["state/certs", "state/scripts"] {
        assert_eq!(mode(&unitd.path(directory)), 0o700, "{directory}");
    }
    unitd.configure(&json!({ "listeners": {} }));
    for file in ["state/conf.json", "state/version"] {
        assert_eq!(mode(&unitd.path(file)), 0o600, "{file}");
    }
}

#[test]
fn the_log_is_made_for_its_owner_only() {
    let place = Place::new();
    let log = place.text_path("other.log");
    let unitd = place.with_options(&["--log", &log]).start();
    assert_eq!(mode(&unitd.path("other.log")), 0o600);
}

#[test]
fn the_control_socket_takes_mode_and_owner_from_the_command_line() {
    need_root!();
    let options = ["--control-mode", "0660", "--control-user", "nobody", "--control-group", "tty"];
    let unitd = Place::new().with_options(&options).start();
    let metadata = fs::metadata(unitd.control_socket()).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    let user = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let group = nix::unistd::Group::from_name("tty").unwrap().unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (user.uid.as_raw(), group.gid.as_raw()));
}

#[test]
fn a_control_address_can_be_a_port() {
    let place = Place::new();
    let port = place.port();
    let place = place.with_options(&["--control", &format!("127.0.0.1:{port}")]);
    let mut child = place.command().spawn().unwrap();
    let status = wait_for("the control port answers", LIMIT, || {
        let mut connection = Connection::try_tcp(port).ok()?;
        Some(connection.exchange(&request("GET", "/config", &[], b"")).ok()?.status)
    });
    process(i32::try_from(child.id()).unwrap()).unwrap().signal(Signal::SIGTERM);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(status, 200);
}

#[test]
fn roles_run_without_privilege() {
    need_root!();
    let unitd = Unitd::start();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    assert_eq!(unitd.main().uid, 0);
    for role in ["controller", "router"] {
        expect_unprivileged(&unitd.role(role), nobody.uid.as_raw(), nobody.gid.as_raw());
    }
}

#[test]
fn the_user_of_the_roles_is_an_option() {
    need_root!();
    let user = nix::unistd::User::from_name("daemon").unwrap().unwrap();
    let unitd = Place::new().with_options(&["--user", "daemon"]).start();
    for role in ["controller", "router"] {
        expect_unprivileged(&unitd.role(role), user.uid.as_raw(), user.gid.as_raw());
    }
}

#[test]
fn applications_run_without_privilege() {
    need_python!();
    need_root!();
    let unitd = Unitd::start();
    let directory = unitd.application("hello");
    let application = |user: Option<&str>| {
        let mut application =
            json!({ "type": "python", "module": "hello", "path": directory, "processes": 1 });
        if let Some(user) = user {
            application["user"] = json!(user);
        }
        application
    };
    unitd.configure(&json!({
        "listeners": {},
        "applications": { "ours": application(None), "theirs": application(Some("daemon")) },
    }));
    for (name, user) in [("ours", "nobody"), ("theirs", "daemon")] {
        let user = nix::unistd::User::from_name(user).unwrap().unwrap();
        let prototype = unitd.titled(&format!("unit: \"{name}\" prototype"));
        assert_eq!(prototype.len(), 1);
        assert_eq!(prototype[0].parent, unitd.pid());
        for process in prototype.iter().chain(&unitd.wait_for_workers(name, 1)) {
            expect_identity(process, user.uid.as_raw(), user.gid.as_raw());
        }
    }
}

fn expect_identity(process: &Process, uid: u32, gid: u32) {
    let all = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    assert_eq!(process.status("Uid:").unwrap(), all(uid), "{}", process.title);
    assert_eq!(process.status("Gid:").unwrap(), all(gid), "{}", process.title);
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        let capabilities = process.status(set).unwrap();
        assert!(capabilities.chars().all(|digit| digit == '0'), "{set} of {}", process.title);
    }
}

fn expect_unprivileged(process: &Process, uid: u32, gid: u32) {
    expect_identity(process, uid, gid);
    assert_eq!(process.status("NoNewPrivs:").as_deref(), Some("1"), "{}", process.title);
}

/// Descriptors of main, controller and router are counted after the first write, as acceptance
/// suites do, and must not be more when the configuration is empty again.
#[test]
fn n5_descriptors_return_to_where_they_began() {
    let unitd = Unitd::start();
    unitd.clear();
    let roles = [unitd.main(), unitd.role("controller"), unitd.role("router")];
    let before: Vec<usize> = roles.iter().map(Process::descriptors).collect();

    let ports = [unitd.port(), unitd.port(), unitd.port()];
    let file = unitd.write("www/file.txt", "file");
    let mut listeners = json!({
        format!("unix:{}", unitd.text_path("listener.sock")): { "pass": "routes" },
    });
    for port in ports {
        listeners[format!("127.0.0.1:{port}")] = json!({ "pass": "routes" });
    }
    let mut config = json!({
        "listeners": listeners,
        "routes": [{ "match": { "uri": "/file" }, "action": { "share": file } },
                   { "action": { "return": 200 } }],
        "applications": {},
    });
    if !pythons().is_empty() {
        let directory = unitd.application("hello");
        config["applications"]["hello"] =
            json!({ "type": "python", "module": "hello", "path": directory, "processes": 3 });
        config["routes"][1]["action"] = json!({ "pass": "applications/hello" });
    }
    unitd.configure(&config);
    let mut open = Vec::new();
    for port in ports {
        for target in ["/file", "/", "/none/../.."] {
            let mut connection = Connection::tcp(port);
            connection.get(target);
            open.push(connection);
        }
    }
    unitd.clear();
    drop(open);

    for (role, before) in roles.iter().zip(before) {
        let mut seen = 0;
        wait_until(&format!("{} has {before} descriptors", role.title), LIMIT * 2, || {
            let now = role.descriptors();
            if now != seen {
                println!("{now} of {before}: {:?}", role.descriptor_names());
                seen = now;
            }
            now <= before
        });
    }
    unitd.wait_for_rest();
}

#[test]
fn nothing_of_discovery_stays() {
    let unitd = Unitd::start();
    unitd.wait_for_rest();
    let pid = unitd.log().wait(r"(\d+)#\d+ discovery started");
    unitd.log().wait(&format!("process {pid} exited with code 0"));
}

#[test]
fn it_goes_into_the_background() {
    let place = Place::new();
    let foreground = place.command();
    let mut command = Command::new(foreground.get_program());
    command.args(foreground.get_args().filter(|word| *word != "--no-daemon"));
    command.current_dir(place.directory()).stdin(Stdio::null());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unit 2.0.0 started"));

    // Its starter has ended, and it is a daemon already.
    let pid: i32 = fs::read_to_string(place.pid_file()).unwrap().trim().parse().unwrap();
    let main = process(pid).unwrap();
    let answer =
        Connection::unix(&place.control_socket()).ask(&request("GET", "/config", &[], b""));
    let stdin = fs::read_link(format!("/proc/{pid}/fd/0")).unwrap();
    let stderr = fs::read_link(format!("/proc/{pid}/fd/2")).unwrap();
    let directory = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    main.signal(Signal::SIGTERM);
    wait_until("the daemon ends", Duration::from_secs(15), || {
        process(pid).is_none_or(|now| now.started != main.started || now.state == 'Z')
    });
    assert_eq!(answer.status, 200);
    assert_eq!(main.group, pid, "it leads its session");
    assert_eq!(stdin, Path::new("/dev/null"));
    assert_eq!(stderr, place.log().path());
    assert_eq!(directory, place.directory());
    assert!(!place.control_socket().exists());
    assert!(!place.pid_file().exists());
    assert_eq!(place.log().unexpected(&[]), [""; 0]);
}

#[test]
fn it_starts_without_roots_rights() {
    need_root!();
    let Some(setpriv) = blackbox::program("setpriv") else {
        blackbox::skip!("no setpriv");
    };
    let place = Place::new();
    let port = place.port();
    let privileged = place.bare_command();
    let mut command = Command::new(setpriv);
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]);
    command.arg(privileged.get_program()).args(privileged.get_args());
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let config = json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 204 } }],
    });
    let socket = place.control_socket();
    wait_until("the control socket appears", LIMIT, || socket.exists());
    let put = request("PUT", "/config", &[], config.to_string().as_bytes());
    let answer = Connection::unix(&socket).ask(&put);
    let status = Connection::tcp(port).get("/").status;
    process(i32::try_from(child.id()).unwrap()).unwrap().signal(Signal::SIGTERM);
    let ended = child.wait().unwrap();
    assert_eq!((answer.status, status), (200, 204));
    assert_eq!(ended.code(), Some(0));
    let mut early = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut early).unwrap();
    assert!(
        early
            .contains("Unit is running unprivileged, then it cannot use arbitrary user and group."),
        "{early}"
    );
}
