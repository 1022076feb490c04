//! A real Flask application: pages, forms, sessions, large uploads and downloads.

use std::process::Command;

use blackbox::{Connection, Unitd, Venv, need_python, request, skip};
use regex::Regex;
use serde_json::json;

fn serving(venv: &Venv) -> (Unitd, u16) {
    let unitd = Unitd::start();
    let (port, directory) = (unitd.port(), unitd.application("board"));
    unitd.configure(&json!({
        "settings": { "http": { "max_body_size": 200 << 20 } },
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/board" } },
        "applications": { "board": {
            "type": venv.application_type(),
            "home": venv.home(),
            "path": directory,
            "module": "board",
            "callable": "app",
        } },
    }));
    (unitd, port)
}

#[test]
fn pages_forms_and_sessions_work() {
    need_python!();
    let venv = match Venv::shared() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let (unitd, port) = serving(&venv);
    let mut connection = Connection::tcp(port);
    let first = connection.get("/");
    assert_eq!(first.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert!(first.text().contains("Seen 1 times."), "{}", first.text());
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let posted = connection.ask(&request("POST", "/", &[kind], b"note=%3Cb%3E+%C3%A9"));
    assert_eq!((posted.status, posted.field("Location")), (303, Some("/")));
    let cookie = first.field("Set-Cookie").unwrap().split(';').next().unwrap().to_owned();
    let second = connection.ask(&request("GET", "/", &[&format!("Cookie: {cookie}")], b""));
    assert!(second.text().contains("Seen 2 times."), "{}", second.text());
    assert!(second.text().contains("<li>&lt;b&gt; é</li>"), "{}", second.text());
    assert_eq!(connection.get("/forbidden").status, 403);
    assert_eq!(connection.get("/none").status, 404);
    assert_eq!(connection.ask(&request("DELETE", "/", &[], b"")).status, 405);
    // Flask answers for its own errors, and says why in the log.
    assert_eq!(connection.get("/broken").status, 500);
    assert_eq!(unitd.log().count("^ZeroDivisionError"), 1);
    connection.send(&request("HEAD", "/", &[], b"")).unwrap();
    assert_eq!(connection.read_head().unwrap().status, 200);
    assert_eq!(connection.get("/").status, 200);
}

#[test]
fn fifty_megabytes_are_uploaded() {
    need_python!();
    let venv = match Venv::shared() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let Some(curl) = blackbox::program("curl") else {
        skip!("no curl");
    };
    let (unitd, port) = serving(&venv);
    let size = 50 << 20;
    let byte = |at: usize| u8::try_from((at % 251) ^ (at >> 22)).expect("below 256");
    let content: Vec<u8> = (0..size).map(byte).collect();
    let file = unitd.write("upload.bin", &content);
    let sum = Command::new("sha256sum").arg(&file).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    for chunked in [false, true] {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--fail", "--max-time", "120"]);
        if chunked {
            unitd.put("/config/settings/http/chunked_transform", true).expect_success();
            command.args(["-H", "Transfer-Encoding: chunked"]);
        }
        command.args(["-F", &format!("file=@{file}")]);
        let output = command.arg(format!("http://127.0.0.1:{port}/upload")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let record: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let wanted = json!({ "name": "upload.bin", "length": size, "sha256": sum[..64] });
        assert_eq!(record, wanted, "chunked: {chunked}");
    }
}

#[test]
fn two_hundred_megabytes_are_downloaded() {
    need_python!();
    let venv = match Venv::shared() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    const BLOCKS: usize = 200 * 16;
    const BLOCK: usize = 65_536;
    let (unitd, port) = serving(&venv);
    let (router, worker) = (unitd.role("router"), unitd.wait_for_workers("board", 1)[0].clone());
    let mut connection = Connection::tcp(port);
    let before = [router.resident_kib(), worker.resident_kib()];
    connection.send(&request("GET", &format!("/download/{BLOCKS}"), &[], b"")).unwrap();
    let head = connection.read_head().unwrap();
    assert_eq!(head.field("Content-Type"), Some("application/octet-stream"));
    let tail: Vec<u8> = (0..=u8::MAX).cycle().take(BLOCK).collect();
    let (mut arrived, mut block) = (0, Vec::new());
    loop {
        let size = connection.read_chunk_size().unwrap();
        let chunk = connection.read_exactly(size + 2).unwrap();
        if size == 0 {
            break;
        }
        block.extend_from_slice(&chunk[..size]);
        while block.len() >= BLOCK {
            let number = u64::from_be_bytes(block[..8].try_into().unwrap());
            assert_eq!(number, arrived);
            assert!(block[8..BLOCK] == tail[8..], "block {number}");
            block.drain(..BLOCK);
            arrived += 1;
        }
    }
    assert_eq!((arrived, block.len()), (BLOCKS as u64, 0));
    let now = [router.resident_kib(), worker.resident_kib()];
    for (now, before) in now.into_iter().zip(before) {
        assert!(now < before + (24 << 10), "{before} KiB, then {now}");
    }
    // The connection goes on.
    assert_eq!(connection.get("/").status, 200);
}

#[test]
fn the_environment_is_the_one_named_by_home() {
    need_python!();
    let venv = match Venv::shared() {
        Ok(venv) => venv,
        Err(reason) => skip!("{reason}"),
    };
    let unitd = Unitd::start();
    let (port, directory) = (unitd.port(), unitd.application("tools"));
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "applications/tools" } },
        "applications": { "tools": {
            "type": venv.application_type(), "home": venv.home(), "path": directory,
            "module": "tools",
        } },
    }));
    let facts = unitd.fetch(port, "/facts").json();
    assert_eq!(facts["prefix"], venv.home().to_str().unwrap());
    let paths = facts["path"].as_array().unwrap();
    let packages = Regex::new("^.*/test-venv-[^/]*/lib/python3[^/]*/site-packages$").unwrap();
    assert!(paths.iter().any(|path| packages.is_match(path.as_str().unwrap())), "{paths:?}");
    // One that is none refuses the configuration.
    unitd.expect_alert("Failed to initialise config");
    unitd.expect_alert("failed to apply new conf");
    let before = unitd.workers("tools");
    let answer = unitd.put("/config/applications/tools/home", json!("/no/such/home"));
    assert_eq!(answer.status, 500, "{}", answer.text);
    assert_eq!(unitd.workers("tools"), before);
}
