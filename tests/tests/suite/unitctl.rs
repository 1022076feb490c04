//! The command-line client: what it shows, what it changes, and what it tells scripts.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use blackbox::{Connection, Place, Unitd, need_python, wait_for, wait_until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(30);

const RSA: &str = include_str!("../../../controller-proc/src/certificate/tests/rsa.pem");
const EC: &str = include_str!("../../../controller-proc/src/certificate/tests/ec.pem");

/// How a run ended.
struct Outcome {
    status: i32,
    out: String,
    err: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Outcome {
    #[track_caller]
    fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "{text} in {}", self.err);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn run(place: &Place, words: &[&str]) -> Outcome {
    place.unitctl(words).output().unwrap().into()
}

/// Edits with a shell script that has the file in `$1`.
fn edit(place: &Place, script: &str, words: &[&str]) -> Outcome {
    let editor = place.write("editor", script);
    let mut command = place.unitctl(words);
    command.env("EDITOR", format!("sh {editor}")).output().unwrap().into()
}

/// The texts that were kept in the place.
fn kept(place: &Place) -> Vec<String> {
    let names = fs::read_dir(place.directory()).unwrap().flatten();
    let paths = names.map(|entry| entry.path());
    let is_kept = |path: &std::path::PathBuf| {
        path.file_name().unwrap().to_str().unwrap().starts_with("unitctl-")
    };
    paths.filter(is_kept).map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn status_is_a_table_for_people_and_the_answer_for_programs() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    let _ = Connection::tcp(port).get("/");
    let table = run(&unitd, &["status", "-t", "text"]).expect(0).out;
    assert!(table.contains("Connections  1 accepted"), "{table}");
    assert!(table.contains("Requests     1 in all"), "{table}");
    let answer = run(&unitd, &["status"]).expect(0).json();
    assert_eq!(answer["requests"]["total"], json!(1));
    let compact = run(&unitd, &["status", "-t", "json"]).expect(0).out;
    assert_eq!(compact.lines().count(), 1);
    let yaml = run(&unitd, &["status", "-t", "yaml"]).expect(0).out;
    assert!(yaml.contains("requests:\n  total: 1\n"), "{yaml}");
}

#[test]
fn listeners_are_listed_with_what_they_pass_to() {
    let (unitd, port) = Unitd::with_routes(&json!([]));
    let table = run(&unitd, &["listeners", "-t", "text"]).expect(0).out;
    assert!(table.contains(&format!("127.0.0.1:{port}")) && table.contains("routes"), "{table}");
    run(&unitd, &["config", "delete", "/"]).expect(0);
    assert_eq!(run(&unitd, &["listeners"]).expect(0).json(), json!({}));
    assert_eq!(run(&unitd, &["listeners", "-t", "text"]).expect(0).out, "no listeners\n");
}

#[test]
fn every_place_of_the_configuration_can_be_read_and_changed() {
    let unitd = Unitd::start();
    for (words, config) in [
        (&["config", "set", "/", r#"{"routes": []}"#][..], json!({ "routes": [] })),
        (
            &["config", "append", "/config/routes", r#"{"action": {"return": 200}}"#],
            json!({ "routes": [{ "action": { "return": 200 } }] }),
        ),
        (
            &["config", "set", "routes/0/action/return", "204"],
            json!({ "routes": [{ "action": { "return": 204 } }] }),
        ),
        (
            &["config", "set", "settings", "--yaml", "{http: {max_body_size: 5}}"],
            json!({
                "routes": [{ "action": { "return": 204 } }],
                "settings": { "http": { "max_body_size": 5 } },
            }),
        ),
        (
            &["config", "delete", "/settings/"],
            json!({ "routes": [{ "action": { "return": 204 } }] }),
        ),
    ] {
        let answer = run(&unitd, words).expect(0).json();
        assert_eq!(answer, json!({ "success": "Reconfiguration done." }), "{words:?}");
        assert_eq!(unitd.config(""), config, "{words:?}");
    }
    let value = run(&unitd, &["config", "get", "routes/0"]).expect(0).json();
    assert_eq!(value, json!({ "action": { "return": 204 } }));
    let words = ["config", "set", "listeners", "--string", "x", "-t", "text"];
    run(&unitd, &words).expect(13).says("Invalid configuration.");
}

#[test]
fn a_value_may_come_from_a_file_or_standard_input() {
    let unitd = Unitd::start();
    let file = unitd.write("routes.yml", "- action: {return: 201}\n");
    run(&unitd, &["config", "set", "routes", "-f", &file]).expect(0);
    assert_eq!(unitd.config("/routes/0/action/return"), json!(201));
    let body = unitd.write("body.json", "/* A comment. */ 202");
    let mut command = unitd.unitctl(&["config", "set", "routes/0/action/return", "-"]);
    command.stdin(fs::File::open(body).unwrap());
    Outcome::from(command.output().unwrap()).expect(0);
    assert_eq!(unitd.config("/routes/0/action/return"), json!(202));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_changes_nothing() {
    let unitd = Unitd::start();
    let before = unitd.config("");
    run(&unitd, &["config", "set", "routes", "[1, }"]).expect(99).says("1 | [1, }\n  |     ^");
    run(&unitd, &["config", "set", "routes", "abc"]).expect(99).says("'\"abc\"'");
    run(&unitd, &["config", "get", "/nope"]).expect(13).says("Value doesn't exist.");
    run(&unitd, &["config", "append", "/listeners", "1"]).expect(13).says("Method isn't allowed.");
    let file = unitd.write(
        "site.json",
        "{\n  // A site.\n  \"routes\": [\n    {\"action\": {\"return\": 204, \"locaton\": \"/\"}}\n  ]\n}\n",
    );
    run(&unitd, &["apply", &file])
        .expect(13)
        .says("at /routes/0/action/locaton")
        .says("Did you mean \"location\"?")
        .says("site.json:4:32\n  |\n4 |     {\"action\": {\"return\": 204, \"locaton\": \"/\"}}\n")
        .says("\n  |                                ^");
    let refused = run(&unitd, &["--json", "apply", "-q", &file]).expect(13).json();
    assert_eq!(refused["suggestion"], json!("location"));
    assert_eq!(unitd.config(""), before);
}

#[test]
fn apply_changes_what_differs_and_nothing_else() {
    let unitd = Unitd::start();
    let file = unitd.write("site.yaml", "routes:\n- action: {return: 204}\n");
    let outcome = run(&unitd, &["apply", &file, "-t", "text"]).expect(0);
    assert!(outcome.out.contains("+\t\t\t\t\"return\": 204"), "{}", outcome.out);
    assert!(outcome.out.ends_with("Reconfiguration done.\n"), "{}", outcome.out);
    let stored = unitd.path("state/conf.json");
    let written = fs::metadata(&stored).unwrap().modified().unwrap();
    let outcome = run(&unitd, &["apply", &file, "-t", "text"]).expect(0);
    assert!(outcome.out.starts_with("Nothing to change"), "{}", outcome.out);
    assert_eq!(fs::metadata(&stored).unwrap().modified().unwrap(), written);
    run(&unitd, &["apply", &file, "--ask"]).expect(0);
    let other = unitd.write("other.json", "{}");
    run(&unitd, &["apply", &other, "--ask"]).expect(99).says("needs a terminal");
}

#[test]
fn a_dry_run_is_checked_and_dropped() {
    let unitd = Unitd::start();
    let before = unitd.config("");
    for words in [
        &["config", "set", "routes", "[]", "--dry-run"][..],
        &["config", "append", "routes", r#"{"action":{"return":200}}"#, "--dry-run"],
        &["config", "delete", "routes", "--dry-run"],
    ] {
        let answer = run(&unitd, words).expect(0).json();
        assert_eq!(answer, json!({ "success": "Configuration is valid." }), "{words:?}");
        assert_eq!(unitd.config(""), before, "{words:?}");
    }
    let file = unitd.write("c.json", r#"{"routes": [{"action": {"return": 200}}]}"#);
    run(&unitd, &["apply", "--dry-run", &file]).expect(0).says("+");
    let words = ["config", "set", "routes", "1", "--dry-run"];
    run(&unitd, &words).expect(13).says("Invalid configuration.");
    edit(&unitd, "sed -i 's/\\[\\]/{}/' \"$1\"", &["edit", "--dry-run"]).expect(0);
    assert_eq!(unitd.config(""), before);
}

#[test]
fn an_edit_is_sent_and_its_file_removed() {
    let unitd = Unitd::start();
    run(&unitd, &["config", "set", "routes", r#"[{"action":{"return":200}}]"#]).expect(0);
    edit(&unitd, "sed -i s/200/204/ \"$1\"", &["config", "edit", "routes/0"])
        .expect(0)
        .says("-\t\t\"return\": 200\n+\t\t\"return\": 204");
    assert_eq!(unitd.config("/routes/0/action/return"), json!(204));
    edit(&unitd, "sed -i s/204/205/ \"$1\"", &["edit", "--yaml"]).expect(0);
    assert_eq!(unitd.config("/routes/0/action/return"), json!(205));
    assert!(kept(&unitd).is_empty());
}

#[test]
fn an_edit_never_overwrites_what_somebody_else_did_meanwhile() {
    let unitd = Unitd::start();
    run(&unitd, &["config", "set", "routes", r#"[{"action":{"return":200}}]"#]).expect(0);
    // The editor is slow, and somebody else is not.
    let client = unitd.unitctl(&[]).get_program().to_str().unwrap().to_owned();
    let socket = unitd.control_socket();
    let script = format!(
        "sed -i s/200/299/ \"$1\"\n{client} -s {} config set routes/0/action/return 201\n",
        socket.display()
    );
    edit(&unitd, &script, &["edit"])
        .expect(15)
        .says("Precondition failed.")
        .says("Somebody else changed it")
        .says("Your text is kept in");
    assert_eq!(unitd.config("/routes/0/action/return"), json!(201));
    let kept = kept(&unitd);
    assert!(matches!(kept.as_slice(), [text] if text.contains("299")), "{kept:?}");
}

#[test]
fn certificates_are_uploaded_listed_replaced_and_deleted() {
    let unitd = Unitd::start();
    assert_eq!(run(&unitd, &["certs", "list"]).expect(0).json(), json!({}));
    let split = RSA.find("-----BEGIN CERTIFICATE").unwrap();
    let key = unitd.write("key.pem", RSA[..split].trim_end());
    let chain = unitd.write("chain.pem", &RSA[split..]);
    run(&unitd, &["certs", "upload", "site", &key, &chain]).expect(0);
    let table = run(&unitd, &["certs", "list", "-t", "text"]).expect(0).out;
    assert!(table.contains("site  RSA (2048 bits)  full.example"), "{table}");
    let shown = run(&unitd, &["certs", "show", "site", "-t", "text"]).expect(0).out;
    assert!(shown.contains("x.example, Y.example"), "{shown}");
    run(&unitd, &["certs", "upload", "site", &key, &chain]).expect(13).says("Give --replace");
    let other = unitd.write("ec.pem", EC);
    run(&unitd, &["certs", "upload", "site", &other, "--replace"]).expect(0);
    assert_eq!(run(&unitd, &["certs", "show", "site"]).expect(0).json()["key"], json!("ECDH"));
    unitd.expect_alert("no key found");
    let words = ["certs", "upload", "bare", &chain];
    run(&unitd, &words).expect(13).says("this has 0 and 1");
    run(&unitd, &["certs", "upload", "a/b", &other]).expect(0);
    // A name is accepted as it is listed.
    run(&unitd, &["certs", "delete", "a%2Fb"]).expect(0);
    run(&unitd, &["certs", "delete", "site"]).expect(0);
    run(&unitd, &["certs", "delete", "site"]).expect(13).says("Certificate doesn't exist.");
}

#[test]
fn applications_are_listed_and_restarted() {
    need_python!();
    let unitd = Unitd::start();
    let directory = unitd.application("tools");
    unitd.configure(&json!({
        "listeners": {},
        "applications": { "shop/a b": {
            "type": "python", "module": "tools", "path": directory, "processes": 1,
        } },
    }));
    let table = run(&unitd, &["apps", "list", "-t", "text"]).expect(0).out;
    assert!(table.contains("shop/a b     python        1     1         0"), "{table}");
    let workers = |unitd: &Unitd| -> Vec<i32> {
        let processes = unitd.processes().into_iter();
        let own = processes.filter(|process| process.title.contains("\" application"));
        own.map(|process| process.pid).collect()
    };
    let before = workers(&unitd);
    run(&unitd, &["apps", "restart", "shop/a b"]).expect(0);
    wait_until("a new process", LIMIT, || {
        let now = workers(&unitd);
        !now.is_empty() && now.iter().all(|pid| !before.contains(pid))
    });
    run(&unitd, &["apps", "restart", "shop"]).expect(13).says("there is \"shop/a b\"");
}

#[test]
fn a_running_daemon_is_found_and_described() {
    let unitd = Unitd::start();
    unitd.wait_for_rest();
    let command = &mut unitd.unitctl_finding_out(&["instances", "--json"]);
    let list = Outcome::from(command.output().unwrap()).expect(0).json();
    let list = list.as_array().unwrap();
    let own = list.iter().find(|instance| instance["pid"] == json!(unitd.pid())).unwrap();
    assert_eq!(own["version"], json!("2.0.0"));
    assert_eq!(own["control_socket"], json!(format!("unix:{}", unitd.text_path("control.sock"))));
    assert_eq!(own["log"], json!(unitd.text_path("unit.log")));
    for role in ["controller", "router"] {
        let children = own["child_pids"].as_array().unwrap();
        assert!(children.contains(&json!(unitd.role(role).pid)), "{role} in {children:?}");
    }
    assert!(own["flags"].as_str().unwrap().starts_with("--no-daemon --control unix:"), "{own}");
}

#[test]
fn several_daemons_are_listed_for_the_user_to_choose() {
    let (one, other) = (Unitd::start(), Unitd::start());
    let command = &mut one.unitctl_finding_out(&["status"]);
    Outcome::from(command.output().unwrap())
        .expect(11)
        .says(&format!("-s unix:{}", one.text_path("control.sock")))
        .says(&format!("-s unix:{}", other.text_path("control.sock")));
}

#[test]
fn a_daemon_that_is_about_to_start_is_waited_for() {
    let place = Place::new();
    let early = place.unitctl(&["-w", "1", "-t", "1", "status"]).output().unwrap();
    Outcome::from(early).expect(14).says("after 1 s");
    let now = place.unitctl(&["status"]).output().unwrap();
    Outcome::from(now).expect(13).says("Does the daemon run?");
    let mut command = place.unitctl(&["-w", "30", "status"]);
    let waiting = command.stdout(Stdio::piped()).spawn().unwrap();
    let unitd = place.start();
    let outcome = Outcome::from(waiting.wait_with_output().unwrap()).expect(0);
    assert_eq!(outcome.json()["requests"]["total"], json!(0));
    unitd.expect_no_alerts();
}

#[test]
fn the_log_is_found_and_followed_through_a_rotation() {
    let unitd = Unitd::start();
    let last = run(&unitd, &["logs", "-n", "1"]).expect(0).out;
    assert_eq!(last.lines().count(), 1);
    assert!(unitd.log().text().ends_with(&last));
    let seen = unitd.path("seen");
    let mut command: Command = unitd.unitctl(&["logs", "-f", "-n", "0"]);
    let mut following = command.stdout(fs::File::create(&seen).unwrap()).spawn().unwrap();
    let sees = |text: &str| fs::read_to_string(&seen).unwrap().contains(text);
    // It has begun to follow when it has seen something.
    wait_for("the first line", LIMIT, || {
        unitd.signal(Signal::SIGHUP);
        sees("SIGHUP").then_some(())
    });
    fs::rename(unitd.log().path(), unitd.path("unit.log.1")).unwrap();
    unitd.signal(Signal::SIGUSR1);
    wait_until("the new log", LIMIT, || unitd.log().path().exists());
    wait_until("the last line of the old log", LIMIT, || sees("log files rotation"));
    unitd.signal(Signal::SIGHUP);
    wait_until("a line in the new log", LIMIT, || unitd.log().text().contains("SIGHUP"));
    wait_until("all of the new log", LIMIT, || {
        fs::read_to_string(&seen).unwrap().ends_with(&unitd.log().text())
    });
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn requests_are_sent_as_they_are() {
    let unitd = Unitd::start();
    let file = unitd.write("routes.json", r#"[{"action":{"return":200}}]"#);
    let words = ["execute", "-m", "put", "-p", "/config/routes", "-f", &file, "-t", "json"];
    let answer = run(&unitd, &words).expect(0).out;
    assert_eq!(answer, "{\"success\":\"Reconfiguration done.\"}\n");
    let words = ["execute", "-m", "GET", "-p", "config/routes/0/action", "-t", "yaml"];
    assert_eq!(run(&unitd, &words).expect(0).out, "return: 200\n");
    let bad = unitd.write("bad.json", "{\n\"a\" 1}");
    let words = ["execute", "-m", "PUT", "-p", "/config", "-f", &bad];
    run(&unitd, &words).expect(13).says("bad.json:2:5");
}

#[test]
fn what_was_exported_can_be_imported() {
    let unitd = Unitd::start();
    run(&unitd, &["config", "set", "routes", r#"[{"action":{"return":201}}]"#]).expect(0);
    let archive = unitd.text_path("out.tar");
    run(&unitd, &["export", "-f", &archive]).expect(0);
    let directory = unitd.text_path("unpacked");
    fs::create_dir(&directory).unwrap();
    let unpacked = Command::new("tar").args(["-xf", &archive, "-C", &directory]).status().unwrap();
    assert!(unpacked.success());
    let config = unitd.config("");
    run(&unitd, &["config", "delete", "/"]).expect(0);
    let pem = unitd.write("unpacked/site.pem", RSA);
    run(&unitd, &["import", &directory]).expect(0);
    assert_eq!(unitd.config(""), config);
    assert!(run(&unitd, &["certs", "list"]).expect(0).json()["site.pem"].is_object());
    run(&unitd, &["import", &directory]).expect(13).says("Certificate already exists.");
    run(&unitd, &["import", "--replace", &directory]).expect(0);
    fs::remove_file(pem).unwrap();
}

#[test]
fn samples_are_printed_where_there_is_no_terminal() {
    let (unitd, port) = Unitd::with_routes(&json!([{ "action": { "return": 204 } }]));
    let one = run(&unitd, &["top"]).expect(0).out;
    assert!(one.contains("Requests     -/s, 0 in all"), "{one}");
    let _ = Connection::tcp(port).get("/");
    let two = run(&unitd, &["top", "--json", "-n", "2", "-i", "0.05"]).expect(0).out;
    let samples: Vec<Value> = two.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(samples.len(), 2);
    assert_eq!(samples[0]["requests_per_second"], Value::Null);
    assert_eq!(samples[1]["requests_per_second"], json!(0.0));
    assert_eq!(samples[1]["status"]["requests"]["total"], json!(1));
}
