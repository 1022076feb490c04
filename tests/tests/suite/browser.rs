//! What a person sees: pages in Chromium.

use std::fs;
use std::path::Path;

use blackbox::{Browser, Unitd, skip};
use serde_json::json;

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
