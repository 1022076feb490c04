//! The built program against a control socket that answers by a script: what a daemon of another
//! version, a proxy in between or somebody else's change makes it do.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

/// A request as it came.
struct Request {
    line: String,
    head: String,
    body: String,
}

impl Request {
    /// A field of its head.
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A daemon that gives these answers, one to each connection.
struct Daemon {
    directory: TempDir,
    served: JoinHandle<Vec<Request>>,
}

fn answer(status: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// The configuration as the reference gives it, without a tag.
fn config(body: &str) -> String {
    answer("200 OK", "", body)
}

fn tagged_config(tag: &str, body: &str) -> String {
    answer("200 OK", &format!("ETag: \"{tag}\"\r\n"), body)
}

fn done() -> String {
    answer("200 OK", "", "{\"success\": \"Reconfiguration done.\"}\r\n")
}

fn conflict() -> String {
    let body = r#"{"error":"Precondition failed.","detail":"The value has another tag."}"#;
    answer("412 Precondition Failed", "", body)
}

impl Daemon {
    fn start(answers: impl IntoIterator<Item = String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let answers: Vec<String> = answers.into_iter().collect();
        let served = std::thread::spawn(move || {
            answers
                .into_iter()
                .map(|answer| {
                    let (stream, _) = listener.accept().unwrap();
                    let request = read(&stream);
                    // A client that has gone away shows in its own outcome.
                    let _ = (&stream).write_all(answer.as_bytes());
                    request
                })
                .collect()
        });
        Self { directory, served }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unitctl"));
        command.arg("-s").arg(self.path("control.sock")).args(words);
        command.stdin(Stdio::null()).env_remove("UNIT_CTRL").env("TMPDIR", self.directory.path());
        command
    }

    fn run(&self, words: &[&str]) -> Outcome {
        self.command(words).output().unwrap().into()
    }

    /// Edits with a shell script that finds the file in `$1`.
    fn edit(&self, script: &str, words: &[&str]) -> Outcome {
        let editor = self.write("editor", &format!("#!/bin/sh\n{script}\n"));
        let mut command = self.command(words);
        command.env_remove("VISUAL").env("EDITOR", format!("sh {editor}"));
        command.output().unwrap().into()
    }

    /// The texts that were kept for the user.
    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let kept = paths.filter(|path| {
            path.file_name().is_some_and(|name| name.to_str().unwrap().starts_with("unitctl-"))
        });
        kept.map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    /// What was asked, once every answer was given.
    fn requests(self) -> Vec<Request> {
        self.served.join().unwrap()
    }
}

fn read(stream: &UnixStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut head = String::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).unwrap();
        if field.trim().is_empty() {
            break;
        }
        head.push_str(&field.replace("\r\n", "\n"));
    }
    let mut request = Request { line: line.trim().to_owned(), head, body: String::new() };
    let length = request.field("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    request
}

/// How the program ended.
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
    fn expect(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(&self, text: &str) -> &Self {
        assert!(self.err.contains(text), "{text} in {}", self.err);
        self
    }
}

#[test]
fn an_edited_value_is_sent_only_over_the_one_that_was_edited() {
    let daemon = Daemon::start([tagged_config("0123456789abcdef", "{\"a\": 1}"), done()]);
    let outcome = daemon.edit("sed -i s/1/2/ \"$1\"", &["config", "edit", "/x"]);
    outcome.expect(0);
    assert!(outcome.err.contains("-\t\"a\": 1\n+\t\"a\": 2"), "{}", outcome.err);
    assert!(daemon.kept().is_empty(), "what was sent needs no copy");
    let requests = daemon.requests();
    assert_eq!(requests[0].line, "GET /config/x HTTP/1.1");
    assert_eq!(requests[1].line, "PUT /config/x HTTP/1.1");
    assert_eq!(requests[1].field("If-Match"), Some("\"0123456789abcdef\""));
    assert_eq!(requests[1].body, "{\"a\":2}");
}

#[test]
fn who_was_slower_keeps_the_text() {
    let daemon = Daemon::start([tagged_config("1", "{\"a\": 1}"), conflict()]);
    let outcome = daemon.edit("sed -i s/1/2/ \"$1\"", &["edit"]);
    outcome.expect(15).says("Somebody else changed it").says("Your text is kept in");
    assert_eq!(daemon.kept(), ["{\n\t\"a\": 2\n}\n"]);
    assert!(outcome.err.contains(daemon.directory.path().to_str().unwrap()));
}

#[test]
fn a_daemon_without_tags_is_edited_with_a_warning() {
    let daemon = Daemon::start([config("{\"a\": 1}"), done()]);
    let outcome = daemon.edit("sed -i s/1/2/ \"$1\"", &["edit"]);
    outcome.expect(0).says("gives no tags");
    assert_eq!(daemon.requests()[1].field("If-Match"), None);
}

#[test]
fn nothing_is_sent_when_nothing_was_changed() {
    for script in ["true", "printf '{\"a\":1}' > \"$1\""] {
        let daemon = Daemon::start([tagged_config("1", "{\"a\": 1}")]);
        let outcome = daemon.edit(script, &["edit", "-t", "text"]);
        outcome.expect(0);
        assert_eq!(outcome.out, "Nothing was changed.\n");
        assert!(daemon.kept().is_empty());
        assert_eq!(daemon.requests().len(), 1);
    }
}

#[test]
fn a_mistake_of_the_editor_loses_nothing() {
    let daemon = Daemon::start([tagged_config("1", "{\"a\": 1}")]);
    let outcome = daemon.edit("printf '{\\n  \"b\" 2\\n}\\n' > \"$1\"", &["edit"]);
    outcome.expect(99).says("A colon (:) is expected here.").says("2 |   \"b\" 2");
    assert_eq!(daemon.kept(), ["{\n  \"b\" 2\n}\n"]);
    let daemon = Daemon::start([tagged_config("1", "{\"a\": 1}")]);
    let outcome = daemon.edit("echo typed > \"$1\"; exit 3", &["edit"]);
    outcome.expect(99).says("exit status: 3").says("The text is in");
    assert_eq!(daemon.kept(), ["typed\n"]);
}

#[test]
fn a_refused_text_is_kept_and_the_place_shown() {
    let refusal = r#"{"error":"Invalid configuration.","detail":"Unknown parameter \"pas\".",
        "location":{"path":"/x/a/pas"},"suggestion":"pass"}"#;
    let daemon = Daemon::start([
        tagged_config("1", "{\"a\": {\"pass\": 1}}"),
        answer("400 Bad Request", "", refusal),
    ]);
    let outcome = daemon.edit("sed -i s/pass/pas/ \"$1\"", &["config", "edit", "x"]);
    outcome.expect(13).says("Did you mean \"pass\"?").says(".json:3:3");
    assert_eq!(daemon.kept().len(), 1);
}

#[test]
fn yaml_is_edited_as_yaml_and_sent_as_json() {
    let daemon = Daemon::start([tagged_config("1", "{\"b\": [1], \"a\": \"no\"}"), done()]);
    let script = "grep -q '^b:' \"$1\" && echo 'c: {d: on}' >> \"$1\"";
    daemon.edit(script, &["edit", "--yaml"]).expect(0);
    assert_eq!(daemon.requests()[1].body, r#"{"b":[1],"a":"no","c":{"d":"on"}}"#);
}

#[test]
fn a_broken_connection_keeps_the_text() {
    let daemon = Daemon::start([tagged_config("1", "1"), String::new()]);
    let outcome = daemon.edit("echo 2 > \"$1\"", &["edit"]);
    outcome.expect(13).says("no answer from").says("Your text is kept in");
    assert_eq!(daemon.kept(), ["2\n"]);
}

#[test]
fn apply_sends_only_what_differs_and_only_over_what_was_compared() {
    let daemon = Daemon::start([tagged_config("7", "{\"a\": 1.0, \"b\": []}")]);
    let same = daemon.write("c.json", "// The same.\n{\"a\": 1.0, \"b\": [],}");
    daemon.run(&["apply", &same]).expect(0);
    assert_eq!(daemon.requests().len(), 1);
    let daemon = Daemon::start([tagged_config("7", "{\"a\": 2}"), done()]);
    let file = daemon.write("c.yaml", "a: 1\nb: []\n");
    daemon.run(&["apply", &file]).expect(0);
    let requests = daemon.requests();
    assert_eq!(requests[1].field("If-Match"), Some("\"7\""));
    assert_eq!(requests[1].body, "{\"a\":1,\"b\":[]}");
}

#[test]
fn apply_tells_when_somebody_was_faster() {
    let daemon = Daemon::start([tagged_config("7", "{}"), conflict()]);
    let file = daemon.write("c.json", "{\"a\": 1}");
    daemon.run(&["apply", &file]).expect(15).says("Precondition failed.").says("Apply it again");
}

#[test]
fn a_daemon_that_would_make_the_change_gets_no_dry_run() {
    for words in [
        &["config", "set", "a", "1", "--dry-run"][..],
        &["config", "append", "a", "1", "--dry-run"],
        &["config", "delete", "a", "--dry-run"],
    ] {
        let daemon = Daemon::start([config("{}")]);
        daemon.run(words).expect(13).says("nothing was sent");
        assert_eq!(daemon.requests()[0].line, "GET /config HTTP/1.1");
    }
    let daemon = Daemon::start([config("{}"), config("{}")]);
    let file = daemon.write("c.json", "{\"a\": 1}");
    daemon.run(&["apply", "--dry-run", &file]).expect(13).says("nothing was sent");
    assert!(daemon.requests().iter().all(|request| request.line.starts_with("GET ")));
}

#[test]
fn a_dry_run_is_asked_for_as_the_api_has_it() {
    let valid = answer("200 OK", "", "{\"success\": \"Configuration is valid.\"}");
    let daemon = Daemon::start([tagged_config("1", "{}"), valid]);
    let outcome = daemon.run(&["config", "set", "a", "1", "--dry-run", "-t", "text"]);
    outcome.expect(0);
    assert_eq!(outcome.out, "Configuration is valid.\n");
    assert_eq!(daemon.requests()[1].line, "PUT /config/a?dry_run=1 HTTP/1.1");
}

#[test]
fn refusals_are_raw_on_standard_output_for_those_who_want_json() {
    let body = "{\r\n\t\"error\": \"Value doesn't exist.\"\r\n}\r\n";
    let daemon = Daemon::start([answer("404 Not Found", "", body)]);
    let outcome = daemon.run(&["--json", "config", "get", "/x"]);
    outcome.expect(13);
    assert_eq!(outcome.out, "{\n\t\"error\": \"Value doesn't exist.\"\n}\n");
    assert_eq!(outcome.err, "");
}

#[test]
fn answers_of_something_else_are_told_apart() {
    let daemon = Daemon::start([answer("200 OK", "", "<html>")]);
    daemon.run(&["status"]).expect(13).says("is this a control socket?");
    let daemon = Daemon::start([answer("502 Bad Gateway", "", "<html>\x1b[2J")]);
    let outcome = daemon.run(&["status"]);
    outcome.expect(13).says("status 502 without an explanation");
    assert!(!outcome.err.contains('\x1b'));
    let daemon = Daemon::start(["SSH-2.0-x\r\n".to_owned()]);
    daemon.run(&["status"]).expect(13).says("no answer from");
    let daemon = Daemon::start([answer("200 OK", "", "[1]")]);
    daemon.run(&["status", "-t", "text"]).expect(13).says("not what a control API answers");
}

#[test]
fn an_answer_in_chunks_is_one() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\n{\"a\r\n5\r\n\": 1}\r\n0\r\n\r\n";
    let daemon = Daemon::start([chunked.to_owned()]);
    let outcome = daemon.run(&["config", "get", "-t", "json"]);
    outcome.expect(0);
    assert_eq!(outcome.out, "{\"a\":1}\n");
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_any_longer() {
    let daemon = Daemon::start([]);
    // Nobody accepts: the connection waits in the queue of a listener that is kept for the purpose.
    let listener = UnixListener::bind(daemon.path("silent.sock")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_unitctl"));
    command.arg("-s").arg(daemon.path("silent.sock")).args(["--timeout", "1", "status"]);
    let outcome: Outcome = command.output().unwrap().into();
    outcome.expect(13).says("within 1 s");
    drop(listener);
}

#[test]
fn certificates_go_up_in_one_bundle() {
    let uploaded = answer("200 OK", "", "{\"success\": \"Certificate chain uploaded.\"}");
    let daemon = Daemon::start([uploaded]);
    let key = daemon.write("key.pem", "KEY");
    let chain = daemon.write("chain.pem", "CHAIN\n");
    daemon.run(&["certs", "upload", "a/b", &key, &chain, "--replace"]).expect(0);
    let requests = daemon.requests();
    assert_eq!(requests[0].line, "PUT /certificates/a%2Fb?replace HTTP/1.1");
    assert_eq!(requests[0].body, "KEY\nCHAIN\n");
}

#[test]
fn a_directory_is_imported_with_the_configuration_last() {
    let ok = || answer("200 OK", "", "{\"success\": \"ok\"}");
    let daemon = Daemon::start([ok(), ok(), ok()]);
    fs::create_dir(daemon.path("dir")).unwrap();
    daemon.write("dir/a.yaml", "x: 1");
    daemon.write("dir/b.js", "export default {}");
    daemon.write("dir/c.pem", "PEM");
    daemon.write("dir/d.txt", "nothing");
    let outcome = daemon.run(&["import", daemon.path("dir").to_str().unwrap()]);
    outcome.expect(0).says("d.txt is left out");
    let requests = daemon.requests();
    let lines: Vec<&str> = requests.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "PUT /certificates/c.pem HTTP/1.1",
            "PUT /js_modules/b.js HTTP/1.1",
            "PUT /config HTTP/1.1"
        ]
    );
    assert_eq!(requests[2].body, "{\"x\":1}");
}

#[test]
fn the_configuration_is_not_imported_without_its_certificates() {
    let refused = answer("400 Bad Request", "", "{\"error\": \"Invalid certificate.\"}");
    let daemon = Daemon::start([refused]);
    fs::create_dir(daemon.path("dir")).unwrap();
    daemon.write("dir/a.json", "{}");
    daemon.write("dir/c.pem", "PEM");
    let outcome = daemon.run(&["import", daemon.path("dir").to_str().unwrap()]);
    outcome.expect(13).says("not everything was imported");
    assert_eq!(daemon.requests().len(), 1);
}

#[test]
fn an_export_can_be_imported() {
    let scripts = "{\"a.js\": \"export default {}\", \"b\": \"x\", \"c/d\": \"y\"}";
    let daemon = Daemon::start([config("{\"listeners\": {}}"), config(scripts)]);
    let file = daemon.path("out.tar");
    let outcome = daemon.run(&["export", "-f", file.to_str().unwrap()]);
    outcome.expect(0).says("c/d is left out").says("Certificates are not in it");
    let unpacked = daemon.path("unpacked");
    tar::Archive::new(fs::File::open(file).unwrap()).unpack(&unpacked).unwrap();
    let mut names: Vec<String> = fs::read_dir(&unpacked)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["a.js", "b.js", "config.json"]);
    assert_eq!(
        fs::read_to_string(unpacked.join("config.json")).unwrap(),
        "{\n\t\"listeners\": {}\n}\n"
    );
}

#[test]
fn several_sockets_are_asked_one_after_the_other() {
    let one = Daemon::start([config("1")]);
    let other =
        Daemon::start([answer("404 Not Found", "", "{\"error\": \"Value doesn't exist.\"}")]);
    let second = other.path("control.sock");
    let words = ["-s", second.to_str().unwrap(), "config", "get", "/x"];
    let outcome = one.run(&words);
    outcome.expect(13).says("failed on unix:").says("Value doesn't exist.");
    assert_eq!(outcome.out, "1\n");
    let words = ["-s", second.to_str().unwrap(), "edit"];
    one.run(&words).expect(11).says("give -s once");
}

#[test]
fn whoever_reads_may_leave() {
    let daemon = Daemon::start([config(&format!("[{}1]", "1,".repeat(200_000)))]);
    let mut child = daemon
        .command(&["config", "get"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn the_environment_may_name_the_socket() {
    let daemon = Daemon::start([config("1")]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_unitctl"));
    command.args(["config", "get"]).env("UNIT_CTRL", daemon.path("control.sock"));
    let outcome: Outcome = command.output().unwrap().into();
    outcome.expect(0);
    assert_eq!(outcome.out, "1\n");
}

#[test]
fn what_was_left_out_says_so() {
    let daemon = Daemon::start([]);
    daemon
        .run(&["instances", "new", "/s", "/app", "unit:latest", "-r"])
        .expect(99)
        .says("left out");
    for address in ["ssh://user@host/socket", "docker://name", "https://host"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unitctl"));
        let outcome: Outcome = command.args(["-s", address, "status"]).output().unwrap().into();
        outcome.expect(12).says("not supported");
    }
}

#[test]
fn shells_and_manuals_are_served() {
    let daemon = Daemon::start([]);
    for shell in ["bash", "zsh", "fish"] {
        let outcome = daemon.run(&["completions", shell]);
        outcome.expect(0);
        assert!(outcome.out.contains("restart"), "{shell}");
    }
    let outcome = daemon.run(&["man"]);
    outcome.expect(0);
    assert!(outcome.out.contains(".TH unitctl 1"), "{}", outcome.out);
    let pages = daemon.path("man");
    daemon.run(&["man", "--dir", pages.to_str().unwrap()]).expect(0);
    for page in ["unitctl.1", "unitctl-config-edit.1", "unitctl-top.1"] {
        assert!(pages.join(page).is_file(), "{page}");
    }
    daemon.run(&["nonsense"]).expect(2);
}
