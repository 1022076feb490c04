//! The octets of an answer.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::date::http_date;
use crate::response::{Response, StatusCode};

/// Writes an answer out: exactly these fields, in this order, whatever the request was.
pub(crate) fn encode(response: &Response, now: SystemTime) -> Vec<u8> {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let mut head = format!(
        "HTTP/1.1 {}\r\nServer: Unit/{}\r\nDate: {}\r\n",
        response.status.line(),
        env!("CARGO_PKG_VERSION"),
        http_date(seconds),
    );
    // What is not sent again has no content, and so no type and length of its own.
    if response.status != StatusCode::NotModified {
        head.push_str("Content-Type: application/json\r\nContent-Length: ");
        head.push_str(&response.body.len().to_string());
        head.push_str("\r\n");
    }
    if let Some(etag) = response.etag {
        head.push_str(&format!("ETag: {etag}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    let mut octets = head.into_bytes();
    octets.extend_from_slice(&response.body);
    octets
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_tag_stands_before_the_end_and_what_is_known_has_no_content() {
        let value = conf::parse(b"1").unwrap();
        let head = |response: &Response| {
            String::from_utf8(encode(response, UNIX_EPOCH)).unwrap().replace("\r\n", "|")
        };
        let etag = crate::precondition::ETag::of(&value).to_string();
        assert_eq!(
            head(&Response::tagged(&value)),
            format!(
                "HTTP/1.1 200 OK|Server: Unit/2.0.0|Date: Thu, 01 Jan 1970 00:00:00 GMT|\
                 Content-Type: application/json|Content-Length: 3|ETag: {etag}|Connection: close||1|"
            )
        );
        assert_eq!(
            head(&Response::not_modified(&value)),
            format!(
                "HTTP/1.1 304 Not Modified|Server: Unit/2.0.0|\
                 Date: Thu, 01 Jan 1970 00:00:00 GMT|ETag: {etag}|Connection: close||"
            )
        );
    }

    #[test]
    fn the_head_is_pinned() {
        let now = UNIX_EPOCH + Duration::from_secs(1_795_236_297);
        let octets = encode(&Response::success("Ok"), now);
        assert_eq!(
            std::str::from_utf8(&octets).unwrap(),
            "HTTP/1.1 200 OK\r\n\
             Server: Unit/2.0.0\r\n\
             Date: Sat, 21 Nov 2026 04:44:57 GMT\r\n\
             Content-Type: application/json\r\n\
             Content-Length: 24\r\n\
             Connection: close\r\n\
             \r\n\
             {\r\n\t\"success\": \"Ok\"\r\n}\r\n"
        );
    }
}
