//! What a person sees: pages in Chromium.

use std::fs;
use std::path::Path;

use blackbox::websocket::echo_application;
use blackbox::{Browser, Place, Unitd, skip};
use serde_json::json;

/// A sound of 16-bit samples in two channels: long enough that no browser fetches all of it ahead.
fn wave(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 44_100;
    const FRAME: u32 = 4;
    let len = seconds * RATE * FRAME;
    let mut file = Vec::new();
    file.extend_from_slice(b"RIFF");
    file.extend_from_slice(&(36 + len).to_le_bytes());
    file.extend_from_slice(b"WAVEfmt ");
    file.extend_from_slice(&16_u32.to_le_bytes());
    file.extend_from_slice(&1_u16.to_le_bytes());
    file.extend_from_slice(&2_u16.to_le_bytes());
    file.extend_from_slice(&RATE.to_le_bytes());
    file.extend_from_slice(&(RATE * FRAME).to_le_bytes());
    file.extend_from_slice(&4_u16.to_le_bytes());
    file.extend_from_slice(&16_u16.to_le_bytes());
    file.extend_from_slice(b"data");
    file.extend_from_slice(&len.to_le_bytes());
    file.resize(file.len() + len as usize, 0);
    file
}

#[test]
fn the_demo_is_shown_as_it_was_meant() {
    let browser = match Browser::start() {
        Ok(browser) => browser,
        Err(missing) => skip!("{missing}"),
    };
    let unitd = Unitd::start();
    let port = unitd.port();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("demo/www");
    for name in ["index.html", "style.css", "data/planets.json"] {
        unitd.write(&format!("www/{name}"), fs::read_to_string(demo.join(name)).unwrap());
    }
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/favicon.ico" }, "action": { "return": 204 } },
            { "action": { "share": format!("{}$uri", unitd.text_path("www")) } },
        ],
    }));
    browser.go(&format!("http://127.0.0.1:{port}/"));
    assert_eq!(browser.run("return document.querySelector('h1').textContent"), "It works");
    // The style sheet came with a type that the browser takes.
    assert_eq!(
        browser.run("return getComputedStyle(document.body).backgroundColor"),
        "rgb(246, 245, 241)"
    );
    let planets = browser.run("return (await (await fetch('/data/planets.json')).json())");
    assert!(planets.is_array() || planets.is_object(), "{planets}");
    // A second look comes from the browser's store, which asks whether it still holds.
    let status = "return (await fetch('/style.css', { cache: 'no-cache' })).status";
    assert_eq!(browser.run(status), 200);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_medium_is_played_from_its_middle() {
    let browser = match Browser::start() {
        Ok(browser) => browser,
        Err(missing) => skip!("{missing}"),
    };
    let unitd = Unitd::start();
    let port = unitd.port();
    let sound = wave(240);
    let len = sound.len();
    fs::write(unitd.path("www/sound.wav"), sound).unwrap();
    unitd.write(
        "www/index.html",
        "<!doctype html><title>Medium</title><video preload=metadata src=/sound.wav></video>",
    );
    let log = unitd.text_path("access.log");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/favicon.ico" }, "action": { "return": 204 } },
            { "action": { "share": format!("{}$uri", unitd.text_path("www")) } },
        ],
        "access_log": { "path": log, "format": "$uri $status $header_range" },
    }));
    browser.go(&format!("http://127.0.0.1:{port}/"));
    let played = browser.run(
        "const medium = document.querySelector('video');
         const heard = name => new Promise((resolve, reject) => {
             medium.addEventListener(name, resolve, { once: true });
             medium.addEventListener('error', () => reject(medium.error.message), { once: true });
         });
         if (medium.readyState < 1) await heard('loadedmetadata');
         const length = medium.duration;
         const seeked = heard('seeked');
         medium.currentTime = 230;
         await seeked;
         const before = medium.currentTime;
         const moved = heard('timeupdate');
         await medium.play();
         await moved;
         medium.pause();
         return { length, before };",
    );
    assert_eq!(played, json!({ "length": 240, "before": 230 }));
    let from = blackbox::wait_for("a part was asked for", blackbox::LIMIT, || {
        let log = fs::read_to_string(&log).unwrap();
        let starts = log.lines().filter_map(|line| {
            let range = line.strip_prefix("/sound.wav 206 bytes=")?;
            range.split('-').next()?.parse::<usize>().ok()
        });
        starts.max().filter(|&start| start > 0)
    });
    assert!(from > len / 2, "the browser began at {from} of {len}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_page_talks_to_an_application_over_a_websocket() {
    let browser = match Browser::start() {
        Ok(browser) => browser,
        Err(missing) => skip!("{missing}"),
    };
    let runtime = Path::new(env!("CARGO_BIN_EXE_echo-runtime"));
    let unitd = Place::new().with_echo_runtime(runtime).start();
    let port = unitd.port();
    unitd.write("www/index.html", "<!doctype html><title>Echo</title>");
    unitd.configure(&json!({
        "listeners": { format!("127.0.0.1:{port}"): { "pass": "routes" } },
        "routes": [
            { "match": { "uri": "/echo" }, "action": { "pass": "applications/app" } },
            { "match": { "uri": "/favicon.ico" }, "action": { "return": 204 } },
            { "action": { "share": format!("{}$uri", unitd.text_path("www")) } },
        ],
        "applications": { "app": echo_application() },
    }));
    browser.go(&format!("http://127.0.0.1:{port}/"));
    let said = browser.run(
        "const socket = new WebSocket(`ws://${location.host}/echo`, ['chat', 'other']);
         const event = name => new Promise((resolve, reject) => {
             socket.addEventListener(name, resolve, { once: true });
             socket.addEventListener('error', () => reject('an error'), { once: true });
         });
         await event('open');
         socket.binaryType = 'arraybuffer';
         const heard = [];
         for (const message of ['', 'Grüße', 'x'.repeat(70000)]) {
             const answer = event('message');
             socket.send(message);
             heard.push((await answer).data === message);
         }
         const sent = crypto.getRandomValues(new Uint8Array(65536));
         const answer = event('message');
         socket.send(sent);
         const echoed = new Uint8Array((await answer).data);
         heard.push(echoed.length === sent.length && echoed.every((octet, at) => octet === sent[at]));
         const closed = event('close');
         socket.close(4000, 'enough');
         const { code, wasClean } = await closed;
         return { protocol: socket.protocol, heard, code, wasClean };",
    );
    assert_eq!(
        said,
        json!({
            "protocol": "chat",
            "heard": [true, true, true, true],
            "code": 4000,
            "wasClean": true,
        })
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
