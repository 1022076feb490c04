//! As much of an HTTP client as the commands need: one request, one connection, whole answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

const TIMEOUT: Duration = Duration::from_secs(30);

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Sends one request to the control socket.
pub(crate) fn ask_control(socket: &Path, method: &str, path: &str, body: &str) -> Result<Response> {
    let stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    exchange(stream, method, path, body)
}

/// Gets a path from a server on the loopback address.
pub(crate) fn get(tcp_port: u16, path: &str) -> Result<Response> {
    let stream = TcpStream::connect(("127.0.0.1", tcp_port))
        .with_context(|| format!("cannot connect to 127.0.0.1:{tcp_port}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    exchange(stream, "GET", path, "")
}

fn exchange(
    mut stream: impl Read + Write,
    method: &str,
    path: &str,
    body: &str,
) -> Result<Response> {
    let length =
        if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{length}Connection: close\r\n\r\n{body}"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("the answer was cut short")?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Response> {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .context("the answer has no complete head")?;
    let head = std::str::from_utf8(&answer[..end]).context("the head of the answer is not text")?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|word| word.get(..3)?.parse().ok())
        .context("the answer has no status")?;
    let body = &answer[end + 4..];
    let is_chunked = head.lines().any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("transfer-encoding:") && line.ends_with("chunked")
    });
    let body = if is_chunked { join_chunks(body)? } else { body.to_vec() };
    Ok(Response { status, body })
}

fn join_chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|window| window == b"\r\n")
            .context("the chunked answer was cut short")?;
        let size = std::str::from_utf8(&rest[..end])?;
        let size = usize::from_str_radix(size, 16).context("a chunk size is no number")?;
        if size == 0 {
            return Ok(body);
        }
        let data = rest.get(end + 2..).and_then(|rest| rest.get(..size));
        body.extend_from_slice(data.context("the chunked answer was cut short")?);
        rest = rest.get(end + 2 + size + 2..).context("the chunked answer was cut short")?;
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_status_and_body() {
        let response = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").unwrap();
        assert_eq!((response.status, response.text().as_str()), (404, "no"));
    }

    #[test]
    fn joins_chunks() {
        let response = parse(
            b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
        )
        .unwrap();
        assert_eq!(response.text(), "abcd");
    }

    #[test]
    fn an_answer_cut_short_is_an_error() {
        assert!(parse(b"HTTP/1.1 200 OK\r\n").is_err());
        assert!(parse(b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc").is_err());
    }
}
