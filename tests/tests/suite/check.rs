//! `unitd --check FILE`: whether a configuration is valid, and where it is not.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use blackbox::{Place, Unitd, need_python, need_root, pythons, run, run_with_input};

/// The command line of a place, with what checks a file.
fn check(place: &Place, file: &str) -> Command {
    let mut command = place.bare_command();
    command.args(["--check", file]);
    command
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn expect_valid(output: &Output) {
    assert_eq!(stderr(output), "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"configuration is valid\n");
}

#[track_caller]
fn expect_invalid(output: &Output, text: &str) {
    assert_eq!(stderr(output), text);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_valid_file_is_valid() {
    let place = Place::new();
    let file = place.write(
        "unit.json",
        "{\n  // Comments are allowed.\n  \"listeners\": {\"*:8080\": {\"pass\": \"routes\"}},\n  \
         \"routes\": [{\"action\": {\"return\": 200}}],\n}\n",
    );
    expect_valid(&run(check(&place, &file)));
}

#[test]
fn every_fault_is_told_with_its_place() {
    let place = Place::new();
    for (text, report) in [
        ("", ":1:1: The JSON text is empty.\n"),
        ("{\n  \"listeners\" {}\n}", ":2:15: "),
        (
            "{\n  \"listners\": {}\n}",
            ":2:3: Unknown parameter \"listners\".\n  at /listners\n  did you mean \"listeners\"?\n",
        ),
        (
            "{\"listeners\": {\n  \"*:80\": {\"pass\": \"routes/none\"}}}",
            ":2:12: Request \"pass\" points to invalid location \"routes/none\".\n  \
             at /listeners/*:80/pass\n",
        ),
        (
            "{\"routes\": [\n{}]}",
            ":2:1: Required parameter \"action\" is missing.\n  at /routes/0/action\n",
        ),
        ("[]", ":1:1: The configuration must be an object, but not an array.\n"),
    ] {
        let file = place.write("unit.json", text);
        let output = run(check(&place, &file));
        let said = stderr(&output);
        let wanted = format!("{file}{report}");
        // The sentences of the JSON reader are pinned elsewhere.
        if report.ends_with('\n') && !text.is_empty() {
            expect_invalid(&output, &wanted);
        } else {
            let place = report.rsplit_once(": ").map_or(report, |(place, _)| place);
            assert!(said.starts_with(&format!("{file}{place}: ")), "{said}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
}

#[test]
fn a_dash_is_standard_input() {
    let place = Place::new();
    expect_valid(&run_with_input(check(&place, "-"), b"{}"));
    expect_invalid(
        &run_with_input(check(&place, "-"), b"{\"x\": 1}"),
        "<stdin>:1:2: Unknown parameter \"x\".\n  at /x\n",
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let place = Place::new();
    let missing = place.text_path("none.json");
    let directory = place.text_path("www");
    for (file, text) in [
        (&missing, format!("open(\"{missing}\") failed (2: No such file or directory)\n")),
        (&directory, format!("read(\"{directory}\") failed (21: Is a directory)\n")),
    ] {
        let output = run(check(&place, file));
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).ends_with(&text), "{}", stderr(&output));
    }
}

#[test]
fn languages_are_those_that_are_installed() {
    need_python!();
    let place = Place::new();
    let config = |version: &str| {
        format!(
            "{{\"applications\": {{\"app\": {{\"type\": \"python {version}\", \"module\": \"m\"}}}}}}"
        )
    };
    expect_valid(&run_with_input(check(&place, "-"), config(&pythons()[0]).as_bytes()));
    let output = run_with_input(check(&place, "-"), config("2.7").as_bytes());
    assert!(stderr(&output).contains("\n  at /applications/app/type\n"), "{}", stderr(&output));
    let empty = place.path("no-modules");
    fs::create_dir(&empty).unwrap();
    let place = place.with_modules(&empty);
    let output = run_with_input(check(&place, "-"), config(&pythons()[0]).as_bytes());
    assert_eq!(output.status.code(), Some(1));
}

/// Neither a log nor a pid file, nor anything below the state directory.
#[test]
fn nothing_is_touched() {
    let place = Place::new();
    for text in ["{}", "{\"x\": 1}", "?"] {
        let _ = run_with_input(check(&place, "-"), text.as_bytes());
    }
    let mut names: Vec<String> = fs::read_dir(place.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["apps", "state", "tmp", "www"]);
    for name in ["state", "tmp"] {
        assert_eq!(fs::read_dir(place.path(name)).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn it_works_beside_a_running_daemon() {
    let unitd = Unitd::start();
    let before = (unitd.processes(), unitd.log().text());
    expect_valid(&run_with_input(check(&unitd, "-"), b"{}"));
    expect_invalid(
        &run_with_input(check(&unitd, "-"), b"{\"x\": 1}"),
        "<stdin>:1:2: Unknown parameter \"x\".\n  at /x\n",
    );
    assert_eq!((unitd.processes(), unitd.log().text()), before);
    assert_eq!(unitd.get("/config").status, 200);
}

#[test]
fn anybody_can_check() {
    need_root!();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let place = Place::new();
    let mut command = check(&place, "-");
    command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    expect_valid(&run_with_input(command, b"{}"));
}
