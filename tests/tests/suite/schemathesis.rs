//! The control API as its OpenAPI description says it is: Schemathesis makes requests from what a
//! real daemon answers at `/openapi.json`, and holds every answer against it.

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;

use blackbox::{Place, Unitd, Venv, need_python, skip};
use regex::Regex;
use serde_json::json;

/// A bundle that can be uploaded.
const BUNDLE: &str = include_str!("../../../controller-proc/src/certificate/tests/chain.pem");

/// The checks that are left out, each for its reason.
const EXCLUDED: [&str; 5] = [
    // Takes every 500 for a fault; ours allows the described ones.
    "not_a_server_error",
    // What fits the schema may still be refused, as for names that lead nowhere.
    "positive_data_acceptance",
    // What does not fit may be taken: parameters that are not described are ignored, and so are
    // bodies where none is described.
    "negative_data_rejection",
    // There is no `Allow` field, as there never was.
    "allow_header_conformance",
    // For some paths, the name is at fault before the method is.
    "unsupported_method",
];

/// A TCP port that leads to a Unix socket, for as long as the test runs.
fn bridge(socket: PathBuf) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let socket = socket.clone();
            thread::spawn(move || join(&client, &socket));
        }
    });
    port
}

/// Carries what both sides say until both have ended.
fn join(client: &TcpStream, socket: &Path) -> io::Result<()> {
    let server = UnixStream::connect(socket)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    io::copy(&mut &server, &mut &*client)?;
    client.shutdown(Shutdown::Both)
}

/// Runs Schemathesis against the control socket; each of its checks passes.
fn run(unitd: &Unitd, venv: &Venv) {
    let port = bridge(unitd.control_socket());
    let scratch = Place::new();
    let checkers = Path::new(env!("CARGO_MANIFEST_DIR")).join("checkers");
    let mut command = venv.program("schemathesis");
    command
        .env("SCHEMATHESIS_HOOKS", "control_api")
        .env("PYTHONPATH", checkers)
        .env("UNIT_TEST_DIRECTORY", unitd.directory())
        .env("UNIT_TEST_BUNDLE", unitd.write("bundle.pem", BUNDLE))
        .current_dir(scratch.directory())
        .args(["run", "--no-color", "--seed=20261125", "--generation-deterministic"])
        .args(["--exclude-checks", &EXCLUDED.join(",")])
        .args(["--continue-on-failure", "--workers=1", "--max-examples=30"])
        .arg(format!("http://127.0.0.1:{port}/openapi.json"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    let generated = Regex::new(r"(\d+) generated, (\d+) passed").unwrap();
    let counts = generated.captures(&said).unwrap_or_else(|| panic!("{said}"));
    assert_eq!(counts[1], counts[2], "{said}");
    assert!(counts[1].parse::<u32>().unwrap() > 2000, "{said}");
}

#[test]
fn every_answer_is_as_the_description_says() {
    need_python!();
    let venv = match Venv::of_checkers() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let unitd = Unitd::start();
    let directory = unitd.application("tools");
    unitd.configure(&json!({
        "listeners": { format!("unix:{}", unitd.text_path("app.sock")): { "pass": "applications/app" } },
        "routes": [{ "action": { "return": 404 } }],
        "applications": { "app": { "type": "python", "path": directory, "module": "tools" } },
    }));
    // Much of what is made up cannot be applied, and many a bundle is none.
    unitd.expect_alert("failed to apply new conf");
    unitd.expect_alert(" in certificate \"");
    let (main, controller, router) = (unitd.main(), unitd.role("controller"), unitd.role("router"));
    run(&unitd, &venv);
    // Nobody had to be replaced.
    assert_eq!(unitd.main().pid, main.pid);
    assert_eq!(unitd.role("controller").pid, controller.pid);
    assert_eq!(unitd.role("router").pid, router.pid);
    unitd.clear();
}
