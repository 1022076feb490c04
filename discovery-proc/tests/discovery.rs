//! The real `unit-discovery` with this program in the place of main, and of runtimes with every kind
//! of fault. It has no test harness of the standard kind because it has to notice in `main` that it
//! is a runtime.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test program, which clippy knows only by its harness")]

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use port_io::blocking::Port;
use port_proto::{
    DiscoveryToMain, Generation, Identity, MainToDiscovery, Modules, Pid, ProbeModules, Quit, Role,
};
use sys::poll::{PollFd, PollFlags, poll};
use sys::signal::{Ending, Signal};
use sys::spawn::{SpawnPlan, spawn};

/// Every runtime of the test, in the order of the report, with what is to be in the log about it.
const RUNTIMES: [(&str, &str); 11] = [
    ("aborts", "describe(\"FILE\"), failed: \"exited on signal 6\""),
    ("cobol", "unknown module type cobol"),
    ("exits", "describe(\"FILE\"), failed: \"exited with code 3\""),
    ("floods", "describe(\"FILE\"), failed: \"the description is longer than 65536 bytes\""),
    ("forks", "module: perl 5.36.0 \"FILE\""),
    ("good", "module: python 3.11.2 \"FILE\""),
    ("hangs", "describe(\"FILE\"), failed: \"no answer within 15 s\""),
    ("large", "describe(\"FILE\"), failed: \"the description is longer than 65536 bytes\""),
    ("newer", "module: python 3.12.1 \"FILE\""),
    ("old", "incompatible module FILE"),
    ("prose", "describe(\"FILE\"), failed: \"expected value at line 1 column 1\""),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|word| word == "--describe") {
        return describe(Path::new(&words[0]).file_stem().unwrap().to_str().unwrap());
    }
    let name = "every_runtime_is_judged_and_none_keeps_the_report_waiting";
    if words.iter().any(|word| word == "--list") {
        println!("{name}: test");
        return ExitCode::SUCCESS;
    }
    println!("\nrunning 1 test");
    every_runtime_is_judged_and_none_keeps_the_report_waiting();
    println!("test {name} ... ok");
    println!("\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n");
    ExitCode::SUCCESS
}

/// Plays the runtime of this name.
fn describe(name: &str) -> ExitCode {
    let say = |language: &str, version: &str| {
        println!(
            "{{\"unit\":\"2.0.0\",\"language\":\"{language}\",\"version\":\"{version}\",\"mounts\":[]}}"
        );
    };
    match name {
        "aborts" => sys::signal::send(sys::process::id(), Signal::SIGABRT).unwrap(),
        "cobol" => say("cobol", "1"),
        "exits" => return ExitCode::from(3),
        "floods" => while io::stdout().write_all(&[b' '; 4096]).is_ok() {},
        "forks" => {
            say("perl", "5.36.0");
            // Somebody else keeps the pipe open.
            Command::new("sh").args(["-c", "sleep 6 &"]).stdin(Stdio::null()).status().unwrap();
        }
        "good" => say("python", "3.11.2"),
        "hangs" => sleep(Duration::from_secs(60)),
        "large" => io::stdout().write_all(&[b' '; 65_537]).unwrap(),
        "newer" => say("python", "3.12.1"),
        "old" => println!("{{\"unit\":\"1.35.0\"}}"),
        _ => println!("Python 3.11.2"),
    }
    ExitCode::SUCCESS
}

fn every_runtime_is_judged_and_none_keeps_the_report_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    for (name, _) in RUNTIMES {
        symlink(&program, directory.path().join(format!("{name}.unit"))).unwrap();
    }
    let log = directory.path().join("log");
    let (pid, mut port) = start(&log);
    let modules_dir = directory.path().to_str().unwrap().to_owned();
    let begun = Instant::now();
    port.send(MainToDiscovery::ProbeModules(ProbeModules { modules_dir: modules_dir.clone() }))
        .unwrap();
    let DiscoveryToMain::Modules(Modules { modules }) = hear(&mut port);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    let versions: Vec<&str> = modules.iter().map(|module| module.version.as_str()).collect();
    assert_eq!(versions, ["5.36.0", "3.11.2", "3.12.1"]);
    let text = fs::read_to_string(&log).unwrap();
    for (name, said) in RUNTIMES {
        let said = said.replace("FILE", &format!("{modules_dir}/{name}.unit"));
        assert_eq!(text.matches(&format!(" {said}\n")).count(), 1, "{said} in\n{text}");
    }
    port.send(MainToDiscovery::Quit(Quit::Fast)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let ending = loop {
        match sys::signal::try_wait(pid).unwrap() {
            Some(ending) => break ending,
            None => assert!(Instant::now() < deadline, "discovery does not end"),
        }
        sleep(Duration::from_millis(5));
    };
    assert_eq!(ending, Ending::Code(0));
}

/// Executes discovery as main does.
fn start(log: &Path) -> (sys::spawn::Pid, Port<MainToDiscovery, DiscoveryToMain>) {
    let (ours, theirs) = port_io::bootstrap::pair().unwrap();
    let executable =
        sys::fs::open_executable(Path::new(env!("CARGO_BIN_EXE_unit-discovery"))).unwrap();
    let null = File::open("/dev/null").unwrap();
    let log = File::create(log).unwrap();
    let mut plan = SpawnPlan::new(executable.as_fd(), vec![c"unit: discovery".to_owned()]);
    plan.environment = vec![CString::new("PATH=/usr/bin:/bin").unwrap()];
    plan.descriptors = vec![null.as_fd(), null.as_fd(), log.as_fd(), theirs.as_fd()];
    let pid = spawn(&plan).unwrap();
    let identity = |role, pid| Identity { role, pid: Pid(pid), generation: Generation(1) };
    let main = identity(Role::Main, sys::process::id().as_raw());
    let discovery = identity(Role::Discovery, pid.as_raw());
    (pid, Port::new(ours, main, discovery).unwrap())
}

/// The next thing discovery says.
fn hear(port: &mut Port<MainToDiscovery, DiscoveryToMain>) -> DiscoveryToMain {
    loop {
        if let Some((_, message)) = port.recv().unwrap() {
            return message;
        }
        let waited = poll(&mut [PollFd::new(&*port, PollFlags::IN)], Some(Duration::from_secs(20)));
        assert_ne!(waited.unwrap(), 0, "discovery says nothing");
    }
}
