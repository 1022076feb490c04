//! Status lines and reason phrases.

/// The internal status of a plain request on a TLS listener.
pub const PLAIN_HTTP_ON_TLS: u16 = 497;

/// The phrase sent with `status`; empty for a code that has none here.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Payload Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        423 => "Locked",
        424 => "Failed Dependency",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

/// Three digits of `status`, zero padded; 500 for a code above 999.
pub fn status_digits(status: u16) -> [u8; 3] {
    let status = if status > 999 { 500 } else { status };
    let digit = |value: u16| b'0' + u8::try_from(value % 10).unwrap_or(0);
    [digit(status / 100), digit(status / 10), digit(status)]
}

/// Appends `HTTP/1.1 <status> <phrase>` and its line end.
pub fn push_status_line(out: &mut Vec<u8>, status: u16) {
    match status {
        // By far the most frequent one, in one copy.
        200 => out.extend_from_slice(b"HTTP/1.1 200 OK\r\n"),
        PLAIN_HTTP_ON_TLS => {
            out.extend_from_slice(b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n")
        }
        _ => {
            let status = if status > 999 { 500 } else { status };
            out.extend_from_slice(b"HTTP/1.1 ");
            out.extend_from_slice(&status_digits(status));
            out.push(b' ');
            out.extend_from_slice(reason_phrase(status).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: u16) -> String {
        let mut out = Vec::new();
        push_status_line(&mut out, status);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn status_lines_are_as_documented() {
        for (status, expected) in [
            (0, "HTTP/1.1 000 \r\n"),
            (7, "HTTP/1.1 007 \r\n"),
            (99, "HTTP/1.1 099 \r\n"),
            (100, "HTTP/1.1 100 Continue\r\n"),
            (200, "HTTP/1.1 200 OK\r\n"),
            (299, "HTTP/1.1 299 \r\n"),
            (305, "HTTP/1.1 305 \r\n"),
            (306, "HTTP/1.1 306 \r\n"),
            (307, "HTTP/1.1 307 Temporary Redirect\r\n"),
            (308, "HTTP/1.1 308 Permanent Redirect\r\n"),
            (418, "HTTP/1.1 418 I'm a teapot\r\n"),
            (419, "HTTP/1.1 419 \r\n"),
            (425, "HTTP/1.1 425 \r\n"),
            (431, "HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            (497, "HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n"),
            (505, "HTTP/1.1 505 HTTP Version Not Supported\r\n"),
            (999, "HTTP/1.1 999 \r\n"),
            (1000, "HTTP/1.1 500 Internal Server Error\r\n"),
            (u16::MAX, "HTTP/1.1 500 Internal Server Error\r\n"),
        ] {
            assert_eq!(line(status), expected);
        }
    }

    #[test]
    fn codes_without_a_phrase_print_none() {
        for status in [306, 419, 420, 425, 427, 428, 429, 430, 498, 499, 506, 511, 600] {
            assert_eq!(reason_phrase(status), "", "{status}");
        }
    }
}
