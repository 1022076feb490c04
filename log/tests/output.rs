//! What really reaches descriptor 2, one packet for each system call: this file executes itself
//! with a packet socket for standard error.

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

/// What the child is to log; absent in the parent.
const CASE: &str = "UNIT_LOG_TEST_CASE";

/// Not a test of its own: the child of the others.
#[test]
fn child() {
    let Ok(case) = std::env::var(CASE) else { return };
    unit_log::init();
    unit_log::init();
    match case.as_str() {
        "levels" => {
            unit_log::alert!("one {}", 1);
            unit_log::error!("two {:?}", "2");
            unit_log::warn!("three");
            let four = 4;
            unit_log::notice!("four {four}");
            unit_log::info!("five");
            unit_log::debug!("six");
        }
        "connections" => {
            unit_log::info!(conn = 43u64, "no key found");
            unit_log::info!(conn = 44, "int {}", 5);
            let conn = 45usize;
            unit_log::info!(conn, "short");
            unit_log::info!(conn = -1, "negative");
        }
        "libraries" => {
            tracing::error!("theirs");
            tracing::warn!(other = 5, "theirs too");
            tracing::info!("too much");
            tracing::info_span!("span").in_scope(|| unit_log::info!("inside"));
        }
        "forged" => unit_log::warn!("uri \"/{}\"", "\n2026/11/21 04:44:58 [alert] 1#1 forged"),
        "unit" => {
            unit_log::write_unit(unit_log::Level::Error, Some(7), "Error in application.");
            unit_log::write_unit(unit_log::Level::Warn, None, "no request");
            unit_log::write_unit(unit_log::Level::Debug, None, "too much");
            unit_log::write_unit(unit_log::Level::Info, None, &"x".repeat(5000));
        }
        "outer" => {
            unit_log::set_outer_pid(123_456);
            std::thread::spawn(|| unit_log::info!("thread")).join().expect("ends");
        }
        "panic" => {
            let _ = std::panic::catch_unwind(|| panic!("broken\ninvariant {}", 5));
        }
        "redirect" => {
            let (reader, writer) = std::io::pipe().expect("makes");
            unit_log::info!("before");
            unit_log::redirect(&writer).expect("moves");
            unit_log::info!("after");
            drop(writer);
            unit_log::redirect(std::fs::File::open("/dev/null").expect("opens")).expect("moves");
            let text = std::io::read_to_string(reader).expect("reads");
            assert!(text.ends_with(" after\n") && text.contains("[info]"), "{text}");
        }
        other => panic!("unknown case {other}"),
    }
}

/// The packets the child wrote to its standard error, and its pid.
fn log_of(case: &str) -> (Vec<String>, u32) {
    let (ours, theirs) = sys::socket::seqpacket_pair().expect("makes");
    let theirs: OwnedFd = theirs;
    sys::fd::set_nonblocking(&theirs, false).expect("clears");
    let mut child = Command::new(std::env::current_exe().expect("is known"))
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CASE, case)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(theirs)
        .spawn()
        .expect("starts");
    let pid = child.id();
    assert!(child.wait().expect("ends").success(), "{case}");
    let mut lines = Vec::new();
    let mut buf = [0; 8192];
    loop {
        let packet = sys::socket::recv_packet(&ours, &mut buf, 0, true).expect("arrives");
        if packet.len == 0 {
            return (lines, pid);
        }
        lines.push(String::from_utf8(buf[..packet.len].to_vec()).expect("is UTF-8"));
    }
}

/// What follows the stamp, which is checked for its form.
fn after_stamp(line: &str) -> &str {
    let form: String =
        line[..19].chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000/00/00 00:00:00", "{line}");
    &line[20..]
}

/// Checks the lines of a case; `PID` stands for the pid, `TID` for any thread.
fn expect(case: &str, expected: &[&str]) {
    let (lines, pid) = log_of(case);
    assert_eq!(lines.len(), expected.len(), "{case}: {lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        let line = after_stamp(line);
        let thread: String = line
            .split_once('#')
            .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect())
            .expect("has ids");
        let expected = expected.replace("PID", &pid.to_string()).replace("TID", &thread);
        assert_eq!(line, expected, "{case}");
    }
}

#[test]
fn each_level_is_one_write_and_debug_is_none() {
    expect(
        "levels",
        &[
            "[alert] PID#TID one 1\n",
            "[error] PID#TID two \"2\"\n",
            "[warn] PID#TID three\n",
            "[notice] PID#TID four 4\n",
            "[info] PID#TID five\n",
        ],
    );
}

#[test]
fn connections_stand_before_the_message() {
    expect(
        "connections",
        &[
            "[info] PID#TID *43 no key found\n",
            "[info] PID#TID *44 int 5\n",
            "[info] PID#TID *45 short\n",
            "[info] PID#TID negative\n",
        ],
    );
}

#[test]
fn libraries_are_heard_from_warn_on() {
    expect(
        "libraries",
        &["[error] PID#TID theirs\n", "[warn] PID#TID theirs too\n", "[info] PID#TID inside\n"],
    );
}

#[test]
fn n16_a_line_break_in_a_value_stays_in_its_line() {
    expect("forged", &["[warn] PID#TID uri \"/\\n2026/11/21 04:44:58 [alert] 1#1 forged\"\n"]);
}

#[test]
fn lines_of_the_application_side_are_marked() {
    let (lines, pid) = log_of("unit");
    assert_eq!(lines.len(), 3);
    let ids = |line: &str| after_stamp(line).split_once("] ").expect("has a level").1.to_owned();
    assert!(ids(&lines[0]).starts_with(&format!("{pid}#")));
    assert!(lines[0].ends_with(" [unit] #7: Error in application.\n"));
    assert!(lines[1].contains("[warn] ") && lines[1].ends_with(" [unit] no request\n"));
    assert!(lines[2].ends_with("xxx[...]\n"));
    assert_eq!(lines[2].len(), unit_log::LINE_LEN_MAX);
}

#[test]
fn a_process_in_a_namespace_shows_its_outer_pid() {
    expect("outer", &["[info] 123456#TID thread\n"]);
}

#[test]
fn a_panic_is_one_line_at_alert() {
    let (lines, _) = log_of("panic");
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("[alert] "), "{lines:?}");
    assert!(lines[0].contains(" panic at log/tests/output.rs:"), "{lines:?}");
    assert!(lines[0].ends_with(": broken\\ninvariant 5\n"), "{lines:?}");
}

#[test]
fn the_log_moves_to_a_reopened_file() {
    expect("redirect", &["[info] PID#TID before\n"]);
}
