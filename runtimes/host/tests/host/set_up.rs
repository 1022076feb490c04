//! What a prototype makes of its instructions.

use nix::sys::wait::WaitStatus;
use nix::unistd::Pid;
use port_proto::{Credentials, MainToPrototype, ReopenLog, WithFds};

use crate::stage::{SetUp, Stage};
use crate::{definition, fact, program, start};

#[test]
fn workers_have_what_they_need_and_nothing_else() {
    let (stage, mut worker) = start();
    let answer = worker.get("/facts");
    assert_eq!(fact(&answer, "initialised by"), stage.prototype.to_string());
    assert_eq!(fact(&answer, "pid"), worker.pid.to_string());
    assert_eq!(fact(&answer, "title"), "unit: \"app\" application");
    let prototype = std::fs::read(format!("/proc/{}/cmdline", stage.prototype)).unwrap();
    assert!(prototype.starts_with(b"unit: \"app\" prototype\0"));
    assert_eq!(fact(&answer, "SigBlk:"), "0000000000000000");
    assert_eq!(fact(&answer, "NoNewPrivs:"), "0");
    // The streams, the two ends of the pipe a signal writes to, and the doorbell; what is read of
    // /proc is open for the fact itself.
    let log = stage.directory.path().join("log");
    let expected = ["/dev/null", "/dev/null", log.to_str().unwrap(), "pipe", "pipe", "socket"];
    let files: Vec<&str> = fact(&answer, "files")
        .split(' ')
        .filter_map(|file| file.split(':').next())
        .filter(|file| !file.starts_with("/proc/"))
        .collect();
    assert_eq!(files, expected);
}

#[test]
fn becomes_the_user_and_keeps_no_capability() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let mut stage = Stage::new(&program());
    let credentials = Credentials { uid: 65534, gid: 65533, groups: vec![7, 65533] };
    let set_up = SetUp {
        credentials: Some(credentials),
        no_new_privs: true,
        working_directory: Some("/usr".to_owned()),
        ..SetUp::default()
    };
    stage.try_set_up(&definition(""), set_up).unwrap();
    let answer = stage.worker().get("/facts");
    assert_eq!(fact(&answer, "Uid:"), "65534 65534 65534 65534");
    assert_eq!(fact(&answer, "Gid:"), "65533 65533 65533 65533");
    assert_eq!(fact(&answer, "Groups:"), "7 65533");
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(fact(&answer, set), "0000000000000000");
    }
    assert_eq!(fact(&answer, "NoNewPrivs:"), "1");
    assert_eq!(fact(&answer, "directory"), "/usr");
    // The prototype stands above its workers, which have the same user.
    let owner = std::fs::metadata(format!("/proc/{}/fd", stage.prototype)).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
}

#[test]
fn variables_of_the_application_are_there_before_the_language_starts() {
    let mut stage = Stage::with_environment(&program(), &["GREETING=good day"]);
    let environment = r#", "environment": {"GREETING": "a=b", "LD_PRELOAD": "x.so"}"#;
    stage.set_up(&definition(environment));
    let answer = stage.worker().get("/facts");
    assert_eq!(fact(&answer, "GREETING"), "a=b");
    assert_eq!(fact(&answer, "found when initialised"), "a=b");
    // The loader would act upon this one, but it is too late for this program.
    assert_eq!(fact(&answer, "LD_PRELOAD"), "x.so");
    assert_eq!(fact(&answer, "PATH"), std::env::var("PATH").unwrap_or_default());
}

#[test]
fn refuses_a_user_it_may_not_become() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    // An id that is no id: the kernel refuses to change to it, even for root.
    let mut stage = Stage::new(&program());
    let credentials = Credentials { uid: 1, gid: 1, groups: vec![0; 70_000] };
    let set_up = SetUp { credentials: Some(credentials), ..SetUp::default() };
    let refusal = stage.try_set_up(&definition(""), set_up).unwrap_err();
    assert_eq!(refusal, "setgroups(70000) failed (22: Invalid argument)");
    assert!(stage.wait_for_log(&refusal).contains("[alert]"));
}

#[test]
fn refuses_a_directory_that_is_not_there() {
    let mut stage = Stage::new(&program());
    let set_up = SetUp { working_directory: Some("/nonexistent".to_owned()), ..SetUp::default() };
    let refusal = stage.try_set_up(&definition(""), set_up).unwrap_err();
    assert_eq!(refusal, "chdir(/nonexistent) failed (2: No such file or directory)");
    assert!(stage.wait_for_log(&refusal).contains("[warn]"));
    assert_eq!(stage.wait_for_end(), WaitStatus::Exited(Pid::from_raw(stage.last_pid), 1));
}

#[test]
fn refuses_what_the_language_refuses() {
    let mut stage = Stage::new(&program());
    let definition = r#"{"type": "perl", "script": "refuse"}"#;
    let refusal = stage.try_set_up(definition, SetUp::default()).unwrap_err();
    assert_eq!(refusal, "the language does not start");
    assert!(stage.wait_for_log(&refusal).contains("[alert]"));
    assert_eq!(stage.wait_for_end(), WaitStatus::Exited(Pid::from_raw(stage.last_pid), 1));
}

#[test]
fn ends_with_main_before_it_was_set_up() {
    let mut stage = Stage::new(&program());
    stage.drop_main();
    assert_eq!(stage.wait_for_end(), WaitStatus::Exited(Pid::from_raw(stage.last_pid), 0));
}

#[test]
fn streams_of_workers_go_to_files() {
    let mut stage = Stage::new(&program());
    let directory = stage.directory.path().to_str().unwrap().to_owned();
    let set_up = SetUp {
        working_directory: Some(directory.clone()),
        stdout: Some("out".to_owned()),
        stderr: Some(format!("{directory}/err")),
        ..SetUp::default()
    };
    stage.try_set_up(&definition(""), set_up).unwrap();
    let mut worker = stage.worker();
    worker.get("/");
    let read = |name: &str| std::fs::read_to_string(stage.directory.path().join(name)).unwrap();
    assert_eq!(read("out"), "loaded\n");
    assert!(read("err").contains("loading was noted"));
    assert!(!stage.log().contains("loading was noted"));
    assert!(stage.log().contains("\"app\" prototype started"));
}

#[test]
fn streams_that_cannot_be_opened_are_no_reason_to_stop() {
    let mut stage = Stage::new(&program());
    let set_up = SetUp { stderr: Some("/nonexistent/err".to_owned()), ..SetUp::default() };
    stage.try_set_up(&definition(""), set_up).unwrap();
    assert_eq!(stage.worker().get("/").status, Some(200));
    let line = stage.wait_for_log("open(\"/nonexistent/err\") failed (2: No such file");
    assert!(line.contains("[alert]"));
}

#[test]
fn takes_a_reopened_log() {
    let (mut stage, worker) = start();
    let path = stage.directory.path().join("new-log");
    let log = std::fs::File::create(&path).unwrap();
    let message = WithFds { body: ReopenLog, fds: [log.into()] };
    stage.main().send(MainToPrototype::ReopenLog(message)).unwrap();
    stage.signal(&worker, port_proto::WorkerSignal::Term);
    stage.wait_for_exit(&worker);
    let news = format!("app process {} exited with code 0", worker.pid);
    assert!(std::fs::read_to_string(path).unwrap().contains(&news));
    assert!(!stage.log().contains(&news));
}
