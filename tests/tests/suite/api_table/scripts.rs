//! Section 9: JavaScript modules, which this release does not have: it answers as a build without
//! them does.

use blackbox::Unitd;
use serde_json::json;

#[test]
fn without_scripts_there_is_nothing_there() {
    let unitd = Unitd::start();
    let missing = json!({ "error": "Value doesn't exist." });
    for target in ["/js_modules", "/js_modules/", "/js_modules/a", "/js_modules/a/b"] {
        for method in ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"] {
            let body = "export default {}";
            let mut connection = blackbox::Connection::unix(&unitd.control_socket());
            let response = connection.ask(&blackbox::request(method, target, &[], body.as_bytes()));
            assert_eq!(
                (response.status, response.json()),
                (404, missing.clone()),
                "{method} {target}"
            );
        }
    }
    assert!(unitd.get("/").json().get("js_modules").is_none());
}
