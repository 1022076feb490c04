//! The tests.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::role::{LATE, OUTDATED};
use crate::world::{Actor, World, descriptors, is_alive, title, wait_for};

pub(crate) type Case = fn();

macro_rules! cases {
    ($($name:ident,)*) => { &[$((stringify!($name), $name as Case)),*] };
}

pub(crate) const ALL: &[(&str, Case)] = cases![
    version_and_help_go_where_scripts_look,
    wrong_options_are_told_on_stderr,
    a_start_leaves_what_supervisors_rely_on,
    in_the_background_the_starter_waits_until_it_is_up,
    a_failed_start_in_the_background_is_a_failed_command,
    a_stop_at_any_moment_of_the_start_leaves_nothing,
    a_missing_role_executable_is_named,
    a_socket_in_use_is_respected,
    a_state_directory_in_use_is_respected,
    a_role_of_another_release_ends_the_start,
    a_role_that_fails_at_once_ends_the_start,
    unprivileged_roles_have_nothing,
    a_stop_tells_everyone_and_leaves_nothing,
    a_killed_router_loses_neither_connections_nor_peers,
    a_killed_controller_is_replaced,
    listeners_are_opened_kept_and_released,
    a_stored_configuration_survives_the_controller,
    a_store_that_fails_is_refused,
    access_logs_are_opened_for_the_router,
    the_router_is_refused_what_no_configuration_needs,
    uploads_are_kept_for_the_controller_and_handed_to_the_router,
    what_was_proposed_is_permitted_on_and_on_once_it_is_stored,
    rotation_reaches_every_process,
    rotation_reaches_what_is_just_starting,
    rotation_to_nowhere_changes_nothing,
    a_prototype_is_started_and_its_end_is_told,
    a_prototype_that_cannot_be_started_is_refused,
    prototypes_end_with_their_router,
    nobody_outlives_a_killed_main,
    other_signals_are_ignored_and_logged,
    an_inherited_socket_is_handed_out,
    roles_may_have_more_descriptors_than_applications,
    a_killed_discovery_is_started_again,
];

fn unitd(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_unitd")).args(words).output().unwrap()
}

fn version_and_help_go_where_scripts_look() {
    let version = unitd(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(version.stdout, b"");
    let text = String::from_utf8(version.stderr).unwrap();
    assert!(text.starts_with("unit version: 2.0.0\nconfigured as ./configure "), "{text}");
    let help = unitd(&["-h"]);
    assert_eq!(help.status.code(), Some(0));
    assert_eq!(help.stderr, b"");
    assert!(help.stdout.starts_with(b"\nunit options:\n"));
}

fn wrong_options_are_told_on_stderr() {
    let unknown = unitd(&["--log=x"]);
    assert_eq!(unknown.status.code(), Some(1));
    let program = env!("CARGO_BIN_EXE_unitd");
    assert_eq!(
        String::from_utf8(unknown.stderr).unwrap(),
        format!("unknown option \"--log=x\", try \"{program} -h\" for available options\n")
    );
    let missing = unitd(&["--tmp", "x", "--pid"]);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(missing.stderr).unwrap(),
        "option \"--tmp\" is deprecated; use \"--tmpdir\" instead\n\
         option \"--pid\" requires filename\n"
    );
}

fn a_start_leaves_what_supervisors_rely_on() {
    let world = World::new();
    let mut command = world.command();
    let mut unitd = command.arg("--no-daemon").spawn().unwrap();
    let main = i32::try_from(unitd.id()).unwrap();
    wait_for("the control socket", || world.path("control.sock").exists().then_some(()));
    // The moment it is there, the pid is too, and clients are not refused.
    assert_eq!(fs::read_to_string(world.path("unit.pid")).unwrap(), format!("{main}\n"));
    UnixStream::connect(world.path("control.sock")).unwrap();
    let (controller, router) = world.core_roles();
    let words: Vec<String> =
        [command.get_program()].into_iter().chain(command.get_args()).map(text).collect();
    assert_eq!(title(main), format!("unit: main v2.0.0 [{}]", words.join(" ")));
    assert_eq!(title(controller.pid), "unit: controller");
    assert_eq!(title(router.pid), "unit: router");
    world.wait_for_log("exited with code 0");
    assert_eq!(fs::metadata(world.path("unit.log")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(world.path("control.sock")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(world.path("state/certs")).unwrap().mode() & 0o777, 0o700);
    let stderr = fs::read_to_string(world.path("stderr")).unwrap();
    assert!(stderr.contains("[info]") && stderr.contains("unit 2.0.0 started\n"), "{stderr}");
    let log = world.log();
    assert!(log.contains(&format!("[info] {main}#{main} controller started\n")), "{log}");
    assert!(log.contains("module \"/bin/true\" is not in the modules directory"), "{log}");
    world.signal(main, "TERM");
    assert_eq!(unitd.wait().unwrap().code(), Some(0));
}

fn text(word: &std::ffi::OsStr) -> String {
    word.to_str().unwrap().to_owned()
}

fn in_the_background_the_starter_waits_until_it_is_up() {
    let world = World::new();
    let status = world.command().status().unwrap();
    assert_eq!(status.code(), Some(0));
    let pid = fs::read_to_string(world.path("unit.pid")).unwrap();
    let main: i32 = pid.trim_end().parse().unwrap();
    UnixStream::connect(world.path("control.sock")).unwrap();
    let (_controller, _router) = world.core_roles();
    assert!(title(main).starts_with("unit: main v2.0.0 ["));
    let stat = fs::read_to_string(format!("/proc/{main}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[3], main.to_string(), "it leads a session");
    for number in [0, 1] {
        let target = fs::read_link(format!("/proc/{main}/fd/{number}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"));
    }
    world.signal(main, "QUIT");
    wait_for("the daemon to end", || (!is_alive(main)).then_some(()));
    assert!(!world.path("unit.pid").exists() && !world.path("control.sock").exists());
}

fn a_failed_start_in_the_background_is_a_failed_command() {
    let world = World::new();
    fs::create_dir(world.path("unit.pid.tmp")).unwrap();
    assert_eq!(world.command().status().unwrap().code(), Some(1));
    assert!(world.log().contains("unit.pid\") failed ("), "{}", world.log());
    assert!(!world.path("control.sock").exists() && !world.path("control.sock.tmp").exists());
    let world = World::new();
    let status = world.command().args(["--log", "/nonexistent/unit.log"]).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let stderr = fs::read_to_string(world.path("stderr")).unwrap();
    let said = "open(\"/nonexistent/unit.log\") failed (2: No such file or directory)";
    assert!(stderr.contains(said), "{stderr}");
}

fn a_stop_at_any_moment_of_the_start_leaves_nothing() {
    for _ in 0..20 {
        let world = World::new();
        let mut unitd = world.command().arg("--no-daemon").spawn().unwrap();
        let pid = world.path("unit.pid");
        wait_for("the pid file", || pid.exists().then_some(()));
        world.signal(i32::try_from(unitd.id()).unwrap(), "TERM");
        let status = wait_for("unitd to end", || unitd.try_wait().unwrap());
        assert_eq!(status.code(), Some(0), "{}", world.log());
        for name in ["control.sock", "control.sock.tmp", "unit.pid"] {
            assert!(!world.path(name).exists(), "{name} is left");
        }
    }
}

fn a_missing_role_executable_is_named() {
    let world = World::new();
    fs::remove_file(world.path("libexec/unit-router")).unwrap();
    assert_eq!(world.command().status().unwrap().code(), Some(1));
    let stderr = fs::read_to_string(world.path("stderr")).unwrap();
    let said = format!("executable \"unit-router\" not found in \"{}\"\n", world.text("libexec"));
    assert!(stderr.ends_with(&said), "{stderr}");
}

fn a_socket_in_use_is_respected() {
    let (mut world, _controller, _router) = World::running();
    let other = world.command().arg("--no-daemon").status().unwrap();
    assert_eq!(other.code(), Some(1));
    let stderr = fs::read_to_string(world.path("stderr")).unwrap();
    let said = format!(", unix:{}) socket already in use\n", world.text("control.sock"));
    assert!(stderr.contains("[alert]") && stderr.ends_with(&said), "{stderr}");
    UnixStream::connect(world.path("control.sock")).unwrap();
    world.stop("TERM");
}

fn a_state_directory_in_use_is_respected() {
    let (mut world, mut controller, _router) = World::running();
    let mut command = world.command();
    let other = format!("unix:{}", world.text("other.sock"));
    let other = command.args(["--no-daemon", "--control", &other]).status().unwrap();
    assert_eq!(other.code(), Some(1));
    let stderr = fs::read_to_string(world.path("stderr")).unwrap();
    let said =
        format!("state directory \"{}\" is in use by another process\n", world.text("state"));
    assert!(stderr.contains("[alert]") && stderr.ends_with(&said), "{stderr}");
    assert!(!world.path("other.sock").exists() && !world.path("other.sock.tmp").exists());
    // A daemon that was killed leaves nothing that would keep the next one away.
    assert_eq!(controller.ask("store {}"), "stored");
    world.signal(world.main(), "KILL");
    world.end();
    let mut next = world.command().arg("--no-daemon").spawn().unwrap();
    let (_controller, _router) = world.core_roles();
    world.signal(i32::try_from(next.id()).unwrap(), "TERM");
    assert_eq!(next.wait().unwrap().code(), Some(0));
}

fn a_role_of_another_release_ends_the_start() {
    let world = World::new();
    let status = world.command().arg("--no-daemon").env(OUTDATED, "controller").status().unwrap();
    assert_eq!(status.code(), Some(1));
    let log = world.log();
    let line = log.lines().find(|line| line.contains("controller failed to start")).unwrap();
    assert!(line.contains("[alert]") && line.contains("2.0.0") && line.contains("1.9.9"), "{line}");
}

fn a_role_that_fails_at_once_ends_the_start() {
    let world = World::new();
    fs::remove_file(world.path("libexec/unit-router")).unwrap();
    symlink("/bin/false", world.path("libexec/unit-router")).unwrap();
    assert_eq!(world.command().arg("--no-daemon").status().unwrap().code(), Some(1));
    assert!(!world.path("unit.pid").exists() && !world.path("control.sock").exists());
}

fn unprivileged_roles_have_nothing() {
    let (mut world, mut controller, mut router) = World::running();
    let main = fs::read_to_string(format!("/proc/{}/status", world.main())).unwrap();
    if !main.contains("\nUid:\t0\t") {
        eprintln!("skipped: needs root");
        return;
    }
    let nobody = Command::new("id").args(["-u", "nobody"]).output().unwrap();
    let nobody = String::from_utf8(nobody.stdout).unwrap().trim().to_owned();
    for role in [&mut controller, &mut router] {
        let status = role.ask("status");
        let none = "0000000000000000";
        for part in [
            format!("Uid: {nobody} {nobody} {nobody} {nobody}"),
            format!("CapPrm: {none}"),
            format!("CapEff: {none}"),
            format!("CapBnd: {none}"),
            "NoNewPrivs: 1".to_owned(),
        ] {
            assert!(status.contains(&part), "{part:?} in {status:?}");
        }
        // Standard streams and the port, its own polling, the line to the test and what it was
        // given: nothing of main's.
        let fds = format!("/proc/{}/fd", role.pid);
        let targets: Vec<String> = fs::read_dir(fds)
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .map(|target| target.display().to_string())
            .collect();
        for target in &targets {
            assert!(!target.contains("unit-") && !target.contains("/modules/"), "{targets:?}");
        }
    }
    world.stop("TERM");
}

fn a_stop_tells_everyone_and_leaves_nothing() {
    for (signal, how) in [("TERM", "Fast"), ("INT", "Fast"), ("QUIT", "Graceful")] {
        let (mut world, mut controller, mut router) = World::running();
        let listener = world.text("listener.sock");
        let module = world.text("modules/fake.unit");
        permit(&mut controller, &[&format!("unix:{listener}"), &format!("app={module}")]);
        router.ask(&format!("listen unix:{listener}"));
        router.tell("start app");
        let mut prototype = world.meet_role("prototype");
        prototype.hear();
        assert_eq!(router.hear(), format!("started {}", prototype.pid));
        router.ask("stubborn");
        let begun = Instant::now();
        world.signal(world.main(), signal);
        assert_eq!(controller.hear(), format!("quit {how}"));
        assert_eq!(router.hear(), format!("quit {how}"));
        // As long as the router has work, its prototypes have.
        assert!(prototype.is_alive());
        router.tell("exit 0");
        assert_eq!(prototype.hear(), format!("quit {how}"));
        assert_eq!(world.end().code(), Some(0));
        assert!(begun.elapsed() < Duration::from_secs(15));
        for left in [&listener, &world.text("control.sock"), &world.text("unit.pid")] {
            assert!(!fs::exists(left).unwrap(), "{left}");
        }
        for role in [&controller, &router, &prototype] {
            assert!(!role.is_alive());
        }
        let log = world.log();
        let alerts: Vec<&str> = log.lines().filter(|line| line.contains("[alert]")).collect();
        // The one about the module that the stand-in for discovery made up.
        assert_eq!(alerts.len(), 1, "{alerts:?}");
    }
}

/// Has the controller permit the router what these words say.
fn permit(controller: &mut Actor, needs: &[&str]) {
    assert_eq!(controller.ask(&format!("permit {}", needs.join(" "))), "permitted");
}

/// Has the controller permit the router to start this application.
fn permit_application(world: &World, controller: &mut Actor, name: &str) {
    permit(controller, &[&format!("{name}={}", world.text("modules/fake.unit"))]);
}

/// An address that no other test uses.
fn address(last: u8) -> String {
    let listener = TcpListener::bind((std::net::Ipv4Addr::new(127, 18, 0, last), 0)).unwrap();
    listener.local_addr().unwrap().to_string()
}

fn a_killed_router_loses_neither_connections_nor_peers() {
    let (mut world, mut controller, mut router) = World::running();
    let address = address(1);
    permit(&mut controller, &[&address]);
    assert_eq!(router.ask(&format!("listen {address}")), "listening, created: true");
    for _ in 0..5 {
        world.signal(router.pid, "KILL");
        world.wait_for_log(&format!("process {} exited on signal 9", router.pid));
        assert_eq!(controller.hear(), format!("peer-lost {}", router.pid));
        // Nobody accepts, yet nobody is refused.
        TcpStream::connect(&address).unwrap();
        router = world.meet_role("router");
        assert_eq!(router.hear(), "set-up /somewhere");
        assert_eq!(router.hear(), format!("new-peer {}", controller.pid));
        assert_eq!(controller.hear(), format!("new-peer {}", router.pid));
        assert_eq!(router.ask(&format!("listen {address}")), "listening, created: false");
    }
    world.stop("TERM");
}

fn a_killed_controller_is_replaced() {
    let (mut world, controller, mut router) = World::running();
    world.signal(controller.pid, "KILL");
    assert_eq!(router.hear(), format!("peer-lost {}", controller.pid));
    let mut next = world.meet_role("controller");
    assert_eq!(next.hear(), "set-up Absent 3.9");
    assert_eq!(next.hear(), format!("new-peer {}", router.pid));
    assert_eq!(router.hear(), format!("new-peer {}", next.pid));
    world.stop("TERM");
}

fn listeners_are_opened_kept_and_released() {
    let (mut world, mut controller, mut router) = World::running();
    // Once discovery is gone and main has been round its loop, what it holds is what it keeps.
    world.wait_for_log("exited with code 0");
    for _ in 0..3 {
        assert_eq!(router.ask("keep"), "kept");
    }
    let before = descriptors(world.main());
    let holds = |more: usize| {
        wait_for("main's descriptors", || {
            (descriptors(world.main()) == before + more).then_some(())
        });
    };
    let (kept, released) = (address(2), address(3));
    let path = world.text("listener.sock");
    let missing = format!("unix:{}", world.text("missing/listener.sock"));
    permit(&mut controller, &[&kept, &released, &format!("unix:{path}"), &missing]);
    for address in [&kept, &released, &format!("unix:{path}")] {
        assert_eq!(router.ask(&format!("listen {address}")), "listening, created: true");
    }
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o666);
    holds(3);
    let refused = router.ask(&format!("listen {missing}"));
    assert!(refused.starts_with("refused: Path bind(\\\"unix:"), "{refused}");
    world.wait_for_log("bind(\\\"unix:");
    router.ask("drop");
    assert_eq!(router.ask(&format!("keep {kept}")), "kept");
    TcpListener::bind(&released).unwrap();
    TcpStream::connect(&kept).unwrap();
    assert!(!fs::exists(&path).unwrap());
    assert_eq!(router.ask("keep"), "kept");
    holds(0);
    world.stop("TERM");
}

fn a_stored_configuration_survives_the_controller() {
    let (mut world, mut controller, _router) = World::running();
    assert_eq!(controller.ask("store {\"a\":1}"), "stored");
    assert_eq!(fs::read(world.path("state/conf.json")).unwrap(), b"{\"a\":1}");
    assert_eq!(fs::read(world.path("state/version")).unwrap(), b"20000");
    world.signal(controller.pid, "KILL");
    let stored = world.meet_role("controller").hear();
    assert!(stored.starts_with("set-up Present { json: [123, 34, 97"), "{stored}");
    world.stop("TERM");
}

fn a_store_that_fails_is_refused() {
    let (mut world, mut controller, _router) = World::running();
    fs::remove_dir_all(world.path("state")).unwrap();
    let refused = controller.ask("store {}");
    assert!(refused.starts_with("refused: open(\""), "{refused}");
    assert!(refused.ends_with("failed (2: No such file or directory)"), "{refused}");
    world.wait_for_log("failed to store current configuration\n");
    world.stop("TERM");
}

fn access_logs_are_opened_for_the_router() {
    let (mut world, mut controller, mut router) = World::running();
    let path = world.text("access.log");
    permit(&mut controller, &[&format!(">{path}"), ">/nonexistent/access.log"]);
    assert_eq!(router.ask(&format!("access-log {path}")), "opened");
    assert_eq!(router.ask(&format!("access-log {path}")), "opened");
    assert_eq!(fs::read(&path).unwrap(), b"line\nline\n");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let refused = router.ask("access-log /nonexistent/access.log");
    let said = "open(\"/nonexistent/access.log\") failed (2: No such file or directory)";
    assert_eq!(refused, format!("refused: {said}"));
    world.wait_for_log(said);
    let line = world.log().lines().find(|line| line.contains(said)).unwrap().to_owned();
    assert!(line.contains("[error]"), "{line}");
    world.stop("TERM");
}

fn the_router_is_refused_what_no_configuration_needs() {
    let (mut world, mut controller, mut router) = World::running();
    let (access_log, socket) = (world.text("access.log"), world.text("listener.sock"));
    permit_application(&world, &mut controller, "app");
    for (deed, said) in [
        (format!("access-log {access_log}"), format!("open access logs: \"{access_log}\"")),
        ("certificate c".to_owned(), "open uploads: \"c\"".to_owned()),
        ("start other".to_owned(), "start processes: application \"other\"".to_owned()),
        (format!("listen unix:{socket}"), format!("create listener sockets: unix:{socket}")),
    ] {
        let refused = router.ask(&deed);
        let said = format!("process {} cannot {said} is not configured", router.pid);
        assert!(refused.starts_with("refused: ") && refused.ends_with(&said), "{refused}");
        let log = world.log();
        let line = log.lines().find(|line| line.ends_with(&said)).unwrap();
        assert!(line.contains("[alert]"), "{line}");
    }
    assert!(!fs::exists(access_log).unwrap() && !fs::exists(socket).unwrap());
    world.stop("TERM");
}

fn uploads_are_kept_for_the_controller_and_handed_to_the_router() {
    let (mut world, mut controller, mut router) = World::running();
    assert_eq!(controller.ask("upload c one"), "uploaded");
    assert_eq!(controller.ask("upload c two"), "uploaded");
    let file = world.path("state").join("certs/c");
    assert_eq!(fs::read(&file).unwrap(), b"two");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    permit(&mut controller, &["%c", "%d"]);
    assert_eq!(router.ask("certificate c"), "two");
    let said = format!("open(\"{}\") failed", world.path("state").join("certs/d").display());
    let refused = router.ask("certificate d");
    assert!(refused.starts_with(&format!("refused: {said}")), "{refused}");
    assert_eq!(controller.ask("delete c"), "deleted");
    assert_eq!(controller.ask("delete c"), "deleted");
    assert!(!file.exists());
    fs::remove_dir_all(world.path("state").join("certs")).unwrap();
    let refused = controller.ask("upload c one");
    assert!(refused.ends_with("failed (2: No such file or directory)"), "{refused}");
    world.wait_for_log("no certificates storage directory\n");
    world.stop("TERM");
}

fn what_was_proposed_is_permitted_on_and_on_once_it_is_stored() {
    let (mut world, mut controller, mut router) = World::running();
    let [one, two, three] = ["1", "2", "3"].map(|name| world.text(name));
    let mut permitted =
        || [&one, &two, &three].map(|path| router.ask(&format!("access-log {path}")) == "opened");
    permit(&mut controller, &[&format!(">{one}")]);
    assert_eq!(controller.ask(&format!("propose >{two}")), "permitted");
    assert_eq!(permitted(), [true, true, false]);
    // It came to nothing, and the next one is stored.
    assert_eq!(controller.ask(&format!("propose >{three}")), "permitted");
    assert_eq!(controller.ask("store {}"), "stored");
    assert_eq!(permitted(), [true, false, true]);
    // A store that fails makes nothing current.
    assert_eq!(controller.ask(&format!("propose >{two}")), "permitted");
    fs::remove_dir_all(world.path("state")).unwrap();
    assert!(controller.ask("store {}").starts_with("refused: "));
    permit(&mut controller, &[&format!(">{three}")]);
    assert_eq!(permitted(), [true, false, true]);
    world.stop("TERM");
}

fn rotation_reaches_every_process() {
    let (mut world, mut controller, mut router) = World::running();
    permit_application(&world, &mut controller, "app");
    router.tell("start app");
    let mut prototype = world.meet_role("prototype");
    prototype.hear();
    router.hear();
    fs::rename(world.path("unit.log"), world.path("old.log")).unwrap();
    world.signal(world.main(), "USR1");
    for (role, text) in
        [(&mut controller, "of controller"), (&mut router, "of router"), (&mut prototype, "of app")]
    {
        assert_eq!(role.hear(), "reopen-log");
        role.ask(&format!("log {text}"));
        assert!(world.log().contains(text));
    }
    assert_eq!(fs::metadata(world.path("unit.log")).unwrap().mode() & 0o777, 0o600);
    let old = fs::read_to_string(world.path("old.log")).unwrap();
    assert!(old.ends_with(" signal 10 (SIGUSR1) received, log files rotation\n"), "{old}");
    world.stop("TERM");
    assert_eq!(fs::read_to_string(world.path("old.log")).unwrap(), old);
}

fn rotation_reaches_what_is_just_starting() {
    let world = World::new();
    let mut unitd = world.command().arg("--no-daemon").env(LATE, "router").spawn().unwrap();
    let main = i32::try_from(unitd.id()).unwrap();
    let controller = world.meet_role("controller");
    wait_for("the router to be executed", || {
        let children = format!("/proc/{main}/task/{main}/children");
        let children = fs::read_to_string(children).unwrap();
        children
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .find(|pid| *pid != controller.pid)
            .filter(|pid| title(*pid) == "unit: router")
    });
    fs::rename(world.path("unit.log"), world.path("old.log")).unwrap();
    world.signal(main, "USR1");
    wait_for("the new log", || world.path("unit.log").exists().then_some(()));
    fs::write(world.path("go"), b"").unwrap();
    let mut router = world.meet_role("router");
    assert_eq!(router.hear(), "reopen-log");
    assert_eq!(router.hear(), "set-up /somewhere");
    assert_eq!(router.hear(), format!("new-peer {}", controller.pid));
    router.ask("log of router");
    assert!(world.log().contains("of router"));
    world.signal(main, "TERM");
    assert_eq!(unitd.wait().unwrap().code(), Some(0));
}

fn rotation_to_nowhere_changes_nothing() {
    let (mut world, mut controller, _router) = World::running();
    fs::rename(world.path("unit.log"), world.path("old.log")).unwrap();
    fs::create_dir(world.path("unit.log")).unwrap();
    world.signal(world.main(), "USR1");
    let old = || fs::read_to_string(world.path("old.log")).unwrap();
    wait_for("the failure", || old().contains("failed (21: Is a directory)").then_some(()));
    assert_eq!(controller.ask("log still here"), "logged");
    assert!(old().contains("still here"));
    world.stop("TERM");
}

fn a_prototype_is_started_and_its_end_is_told() {
    let (mut world, mut controller, mut router) = World::running();
    permit_application(&world, &mut controller, "app");
    router.tell("start app");
    let mut prototype = world.meet_role("prototype");
    let set_up = prototype.hear();
    assert!(set_up.starts_with(&format!("set-up app {} ", router.pid)), "{set_up}");
    assert_eq!(router.hear(), format!("started {}", prototype.pid));
    assert_eq!(title(prototype.pid), "unit: \"app\" prototype  ");
    assert!(prototype.ask("status").contains("NoNewPrivs: 0"));
    world.signal(prototype.pid, "KILL");
    assert_eq!(router.hear(), format!("peer-lost {}", prototype.pid));
    world.stop("TERM");
}

fn a_prototype_that_cannot_be_started_is_refused() {
    let (mut world, mut controller, mut router) = World::running();
    let module = world.text("modules/fake.unit");
    let applications = ["app=/bin/true", &format!("refusing={module}"), &format!("dying={module}")];
    permit(&mut controller, &applications);
    assert_eq!(router.ask("start app"), "refused: \"/bin/true\" is not an application module");
    assert_eq!(router.ask("start refusing"), "refused: it does not want to");
    let refused = world.meet_role("prototype");
    wait_for("the refusing prototype to be gone", || (!refused.is_alive()).then_some(()));
    let lost = router.ask("start dying");
    assert_eq!(lost, "refused: \"dying\" prototype failed to start: it has ended");
    // The router was never told of either, so it is not told of their end.
    assert_eq!(router.ask("log x"), "logged");
    world.stop("TERM");
}

fn prototypes_end_with_their_router() {
    let (mut world, mut controller, mut router) = World::running();
    permit_application(&world, &mut controller, "app");
    router.tell("start app");
    let mut prototype = world.meet_role("prototype");
    prototype.hear();
    router.hear();
    world.signal(router.pid, "KILL");
    assert_eq!(prototype.hear(), "quit Fast");
    assert_eq!(world.meet_role("router").hear(), "set-up /somewhere");
    wait_for("the prototype to end", || (!prototype.is_alive()).then_some(()));
    world.stop("TERM");
}

fn nobody_outlives_a_killed_main() {
    let (mut world, mut controller, mut router) = World::running();
    permit_application(&world, &mut controller, "app");
    router.tell("start app");
    let mut prototype = world.meet_role("prototype");
    prototype.hear();
    world.signal(world.main(), "KILL");
    world.end();
    for role in [&controller, &router, &prototype] {
        wait_for("the roles to end", || (!role.is_alive()).then_some(()));
    }
}

fn other_signals_are_ignored_and_logged() {
    let (mut world, _controller, _router) = World::running();
    for (signal, line) in [
        ("HUP", "signal signo:1 (SIGHUP) received, ignored\n"),
        ("USR2", "signal signo:12 (SIGUSR2) received, ignored\n"),
    ] {
        world.signal(world.main(), signal);
        world.wait_for_log(line);
    }
    world.stop("TERM");
    assert!(world.log().contains("signal signo:15 (SIGTERM) received\n"));
}

fn roles_may_have_more_descriptors_than_applications() {
    let world = World::new();
    let unitd = world.command();
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg("ulimit -Sn 200 && ulimit -Hn 3000 && exec \"$@\"").arg("sh");
    command.arg(unitd.get_program()).args(unitd.get_args()).arg("--no-daemon");
    command.env(crate::role::DIRECTORY, world.directory.path());
    let mut unitd = command.spawn().unwrap();
    let (mut controller, mut router) = world.core_roles();
    for line in ["set-up", "new-peer"] {
        assert!(controller.hear().starts_with(line) && router.hear().starts_with(line));
    }
    permit_application(&world, &mut controller, "app");
    router.tell("start app");
    let mut prototype = world.meet_role("prototype");
    prototype.hear();
    router.hear();
    let limits = [&mut controller, &mut router, &mut prototype].map(|role| role.ask("limit"));
    assert_eq!(limits, ["3000", "3000", "200"]);
    world.signal(i32::try_from(unitd.id()).unwrap(), "TERM");
    assert_eq!(unitd.wait().unwrap().code(), Some(0));
}

fn a_killed_discovery_is_started_again() {
    let world = World::new();
    let mut unitd = world.command().arg("--no-daemon").env(LATE, "discovery").spawn().unwrap();
    let main = i32::try_from(unitd.id()).unwrap();
    let discovery = wait_for("discovery", || {
        let children = fs::read_to_string(format!("/proc/{main}/task/{main}/children")).ok()?;
        let pid = children.split_whitespace().next()?.parse().ok()?;
        (title(pid) == "unit: discovery").then_some(pid)
    });
    world.signal(discovery, "KILL");
    fs::write(world.path("go"), b"").unwrap();
    let (mut controller, _router) = world.core_roles();
    assert_eq!(controller.hear(), "set-up Absent 3.9");
    world.signal(main, "TERM");
    assert_eq!(unitd.wait().unwrap().code(), Some(0));
}

fn an_inherited_socket_is_handed_out() {
    let world = World::new();
    let socket = TcpListener::bind("127.18.0.9:0").unwrap();
    let address = socket.local_addr().unwrap();
    // The standard library passes descriptors on as standard streams only.
    let mut command = Command::new("/bin/sh");
    let unitd = world.command();
    command.arg("-c").arg("exec 7<&0 0</dev/null; exec \"$@\"").arg("sh");
    command.arg(unitd.get_program()).args(unitd.get_args()).env("NGINX", "7;");
    command.env(crate::role::DIRECTORY, world.directory.path());
    command.stdin(std::os::fd::OwnedFd::from(socket));
    let mut unitd = command.spawn().unwrap();
    let (mut controller, mut router) = world.core_roles();
    for line in ["set-up", "new-peer"] {
        assert!(controller.hear().starts_with(line) && router.hear().starts_with(line));
    }
    permit(&mut controller, &[&address.to_string()]);
    assert_eq!(router.ask(&format!("listen {address}")), "listening, created: false");
    assert_eq!(router.ask("variable NGINX"), "not set");
    world.signal(i32::try_from(unitd.id()).unwrap(), "TERM");
    assert_eq!(unitd.wait().unwrap().code(), Some(0));
}
