//! `unitd --config FILE`: the configuration of a daemon that has none yet.

use std::fs;
use std::os::unix::net::UnixListener;

use blackbox::{Place, Unitd, run};
use serde_json::{Value, json};

/// A place with an initial configuration that answers 204 on a port.
fn place_with(config: impl FnOnce(u16) -> Value) -> (Place, u16) {
    let place = Place::new();
    let port = place.port();
    let file = place.write("initial.json", config(port).to_string());
    (place.with_options(&["--config", &file]), port)
}

fn returns(port: u16) -> Value {
    json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 204 } }],
    })
}

#[test]
fn it_is_served_and_stored_when_the_api_answers() {
    let (place, port) = place_with(returns);
    let unitd = place.start();
    // The first answer there is shows it, and so does the disk.
    assert_eq!(unitd.config(""), returns(port));
    let stored: Value =
        serde_json::from_slice(&fs::read(unitd.path("state/conf.json")).unwrap()).unwrap();
    assert_eq!(stored, returns(port));
    assert_eq!(unitd.fetch(port, "/").status, 204);
}

#[test]
fn it_is_not_used_when_there_is_a_state() {
    let (place, port) = place_with(returns);
    let mut unitd = place.start();
    unitd.put("/config/routes/0/action/return", 205).expect_success();
    unitd.stop();
    unitd.start_again();
    assert_eq!(unitd.fetch(port, "/").status, 205);
    unitd
        .log()
        .wait(r#"\[notice\] .*initial.json" is not used: a configuration is stored already"#);
    // What lies there counts, however it looks.
    unitd.stop();
    fs::write(unitd.path("state/conf.json"), "").unwrap();
    unitd.expect_alert("failed to restore previous configuration");
    unitd.start_again();
    assert_eq!(unitd.config("/listeners"), json!({}));
}

/// As in the foreground of an interactive start.
#[test]
fn an_invalid_one_is_told_before_anything_begins() {
    let place = Place::new();
    let file = place.write("initial.json", "{\n  \"listners\": {}\n}");
    for (file, text) in [
        (
            file.clone(),
            format!(
                "{file}:2:3: Unknown parameter \"listners\".\n  at /listners\n  \
                 did you mean \"listeners\"?\n"
            ),
        ),
        (
            place.text_path("none.json"),
            format!(
                "open(\"{}\") failed (2: No such file or directory)\n",
                place.text_path("none.json")
            ),
        ),
    ] {
        let mut command = place.bare_command();
        command.args(["--config", &file]);
        let output = run(command);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.ends_with(&text), "{said}");
        for name in ["control.sock", "control.sock.tmp", "unit.pid", "unit.log"] {
            assert!(!place.path(name).exists(), "{name} is left");
        }
        assert!(!place.path("state/conf.json").exists());
    }
}

/// The file's own faults aside, it can be what the router cannot do now.
#[test]
fn one_that_cannot_be_applied_leaves_the_default() {
    let place = Place::new();
    let socket = place.text_path("taken.sock");
    let other = UnixListener::bind(&socket).unwrap();
    let config = json!({
        "listeners": { format!("unix:{socket}"): { "pass": "routes" } },
        "routes": [{ "action": { "return": 204 } }],
    });
    let file = place.write("initial.json", config.to_string());
    let place = place.with_options(&["--config", &file]);
    let unitd = place.start();
    for text in ["bind(", "failed to apply new conf", "the initial configuration was not applied"] {
        unitd.expect_alert(text);
    }
    unitd.log().wait(r"\[alert\] .*the initial configuration was not applied: bind\(.*98: Address");
    assert_eq!(unitd.config("/listeners"), json!({}));
    assert!(!unitd.path("state/conf.json").exists());
    drop(other);
    fs::remove_file(&socket).unwrap();
    unitd.configure(&config);
}

/// The first update is one like any other: a controller that dies does not lose it.
#[test]
fn it_outlives_its_controller() {
    let (place, port) = place_with(returns);
    let unitd: Unitd = place.start();
    unitd.expect_alert("exited on signal 9");
    unitd.put("/config/routes/0/action/return", 205).expect_success();
    unitd.role("controller").signal(nix::sys::signal::Signal::SIGKILL);
    assert_eq!(unitd.config("/routes/0/action/return"), 205);
    assert_eq!(unitd.fetch(port, "/").status, 205);
}
