//! The control API, row by row: the wire, paths, methods, bodies, JSON, edits, certificates,
//! status and restarts. There is one file for each section of the API's description.
//!
//! Where unitd differs from NGINX Unit on purpose, the row says so; `docs/compatibility.md` has
//! the list. What each table covers is counted, so that no row is lost in silence.

mod applying;
mod bodies;
mod certificates;
mod control;
mod defects;
mod json;
mod methods;
mod paths;
mod scripts;
mod status;
mod transport;
mod tree;

use blackbox::{Connection, Response, Unitd};
use serde_json::Value;

/// Sends bytes to the control socket and takes the one answer, which has to be JSON under the head
/// that all answers have, before the connection is closed.
#[track_caller]
fn ask(unitd: &Unitd, bytes: &[u8]) -> Response {
    let mut connection = Connection::unix(&unitd.control_socket());
    let response = connection.ask(bytes);
    connection.expect_close();
    expect_head(&response);
    response
}

/// The fields of every answer, in their order.
#[track_caller]
fn expect_head(response: &Response) {
    let lines: Vec<&str> = response.head.split("\r\n").collect();
    let reason = match response.status {
        200 => "200 OK",
        400 => "400 Bad Request",
        404 => "404 Not Found",
        405 => "405 Method Not Allowed",
        413 => "413 Content Too Large",
        412 => "412 Precondition Failed",
        500 => "500 Internal Server Error",
        other => panic!("status {other}: {}", response.head),
    };
    assert_eq!(lines[0], format!("HTTP/1.1 {reason}"));
    assert_eq!(lines[1], "Server: Unit/2.0.0");
    let date = response.field("Date").unwrap();
    assert_eq!((lines[2], date.len()), (&*format!("Date: {date}"), 29), "{}", response.head);
    assert!(date.ends_with(" GMT"), "{date}");
    assert!(response.text().ends_with("\r\n"), "{:?}", response.text());
    assert!(!response.json().to_string().is_empty());
    // A value that was read has a tag as well, for writes that depend on it.
    let rest: Vec<&str> =
        lines[3..].iter().copied().filter(|line| !line.starts_with("ETag: ")).collect();
    let length = format!("Content-Length: {}", response.body.len());
    assert_eq!(rest, ["Content-Type: application/json", &length, "Connection: close"]);
}

/// The members of an object in the order in which they stand in a text.
fn names(text: &str, value: &Value) -> Vec<String> {
    let mut names: Vec<&String> = value.as_object().unwrap().keys().collect();
    names.sort_by_key(|name| text.find(&format!("\t\"{name}\"")));
    names.into_iter().cloned().collect()
}
