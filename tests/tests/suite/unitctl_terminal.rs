//! The command-line client with somebody at the keyboard.

use blackbox::{Terminal, Unitd};
use nix::sys::signal::Signal;
use serde_json::json;

/// What a terminal is told to show the usual screen again.
const LEAVES_THE_SCREEN: &str = "\x1b[?1049l";

#[test]
fn the_live_view_gives_the_terminal_back_however_it_ends() {
    let (unitd, _) = Unitd::with_routes(&json!([]));
    for end in ["q", "\x03", "\x1b", "TERM", "HUP"] {
        let mut terminal = Terminal::start(&mut unitd.unitctl(&["top", "-i", "0.1"]));
        terminal.wait("q quit");
        // Rates are there from the second sample on.
        terminal.wait("0.0/s");
        assert!(!terminal.is_cooked(), "keys are taken one by one");
        match end {
            "TERM" => terminal.signal(Signal::SIGTERM),
            "HUP" => terminal.signal(Signal::SIGHUP),
            keys => terminal.type_in(keys),
        }
        assert_eq!(terminal.wait_for_end().code(), Some(0), "{end:?}");
        terminal.wait(LEAVES_THE_SCREEN);
        assert!(terminal.is_cooked(), "{end:?}");
    }
}

#[test]
fn the_live_view_survives_the_daemon() {
    let mut unitd = Unitd::start();
    let mut terminal = Terminal::start(&mut unitd.unitctl(&["top", "-i", "0.1"]));
    terminal.wait("0.0/s");
    unitd.stop();
    terminal.wait("cannot connect to unix:");
    // The keys are shown again when there is no trouble to tell of.
    let before = terminal.text().matches("q quit").count();
    unitd.start_again();
    terminal.wait_times("q quit", before + 1);
    terminal.type_in("q");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
}

#[test]
fn status_is_watched_in_place() {
    let unitd = Unitd::start();
    let mut terminal = Terminal::start(&mut unitd.unitctl(&["status", "--watch", "0.1"]));
    terminal.wait_times("\x1b[H\x1b[2J", 3);
    terminal.signal(Signal::SIGINT);
    let _ = terminal.wait_for_end();
}

#[test]
fn a_mistake_is_mended_in_the_editor_and_the_change_confirmed() {
    let unitd = Unitd::start();
    unitd.put("/config/routes", r#"[{"action":{"return":200}}]"#).expect_success();
    // Each run of the editor does the next thing: bad JSON, a bad value, a good one.
    let editor = unitd.write(
        "editor",
        "n=$(cat \"$0.count\" 2>/dev/null || echo 0)\necho $((n + 1)) > \"$0.count\"\n\
         case $n in\n0) echo '{' > \"$1\" ;;\n1) echo '{\"action\":{\"return\":\"x\"}}' > \"$1\" ;;\n\
         2) echo '{\"action\":{\"return\":204}}' > \"$1\" ;;\nesac\n",
    );
    let mut command = unitd.unitctl(&["config", "edit", "routes/0"]);
    let mut terminal = Terminal::start(command.env("EDITOR", format!("sh {editor}")));
    terminal.wait("is not valid JSON");
    terminal.wait("Edit again?");
    terminal.type_in("\n");
    terminal.wait("Send it?");
    terminal.type_in("y\n");
    terminal.wait("Invalid configuration.");
    terminal.wait_times("Edit again?", 2);
    terminal.type_in("y\n");
    // In colour, as this is a terminal.
    terminal.wait("\x1b[32m+\t\t\"return\": 204");
    terminal.wait_times("Send it?", 2);
    assert_eq!(unitd.config("/routes/0/action/return"), json!(200));
    terminal.type_in("y\n");
    assert_eq!(terminal.wait_for_end().code(), Some(0));
    terminal.wait("Reconfiguration done.");
    assert_eq!(unitd.config("/routes/0/action/return"), json!(204));
}

#[test]
fn a_change_that_is_declined_is_kept_and_not_sent() {
    let unitd = Unitd::start();
    unitd.put("/config/routes", "[]").expect_success();
    let editor = unitd.write("editor", "echo '[ {} ]' > \"$1\"\n");
    let mut command = unitd.unitctl(&["config", "edit", "routes"]);
    let mut terminal = Terminal::start(command.env("EDITOR", format!("sh {editor}")));
    terminal.wait("Send it?");
    terminal.type_in("n\n");
    assert_eq!(terminal.wait_for_end().code(), Some(16));
    terminal.wait("Your text is kept in");
    assert_eq!(unitd.config("/routes"), json!([]));
}

#[test]
fn removing_everything_is_asked_for_twice() {
    let unitd = Unitd::start();
    unitd.put("/config/routes", "[]").expect_success();
    let before = unitd.config("");
    let mut terminal = Terminal::start(&mut unitd.unitctl(&["config", "delete", "/"]));
    terminal.wait("removes the whole configuration");
    terminal.type_in("\n");
    assert_eq!(terminal.wait_for_end().code(), Some(16));
    assert_eq!(unitd.config(""), before);
    let mut terminal = Terminal::start(&mut unitd.unitctl(&["config", "delete", "/", "--yes"]));
    assert_eq!(terminal.wait_for_end().code(), Some(0));
    assert_eq!(unitd.config(""), json!({}));
}

#[test]
fn tables_are_for_terminals() {
    let unitd = Unitd::start();
    let mut terminal = Terminal::start(&mut unitd.unitctl(&["status"]));
    assert_eq!(terminal.wait_for_end().code(), Some(0));
    terminal.wait("Connections  0 accepted");
    let mut command = unitd.unitctl(&["status"]);
    let piped = command.output().unwrap();
    assert!(piped.stdout.starts_with(b"{"));
}
