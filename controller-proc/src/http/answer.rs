//! The octets of an answer.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::http::date::http_date;
use crate::response::Response;

/// Writes an answer out: exactly these fields, in this order, whatever the request was.
pub(crate) fn encode(response: &Response, now: SystemTime) -> Vec<u8> {
    let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let head = format!(
        "HTTP/1.1 {}\r\n\
         Server: Unit/{}\r\n\
         Date: {}\r\n\
         Content-Type: application/json\r\n\
         Content-Length: {}\r\n\
         Connection: close\r\n\
         \r\n",
        response.status.line(),
        env!("CARGO_PKG_VERSION"),
        http_date(seconds),
        response.body.len(),
    );
    let mut octets = head.into_bytes();
    octets.extend_from_slice(&response.body);
    octets
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
