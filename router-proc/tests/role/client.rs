//! An HTTP client that shows what came over the wire.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    buffer: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> (u16, Vec<u8>) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await;
        let response = self.response("GET").await.expect("an answer");
        (response.status, response.body)
    }

    /// Reads more; `false` at the end.
    async fn read(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
        matches!(read.await.expect("something is sent in time"), Ok(len) if len > 0)
    }

    /// The next response to `method`; `None` when the connection ends before it is whole.
    pub(crate) async fn response(&mut self, method: &str) -> Option<Response> {
        let head_len = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read().await {
                return None;
            }
        };
        let head = String::from_utf8(self.buffer.drain(..head_len).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut response = Response { status, head, body: Vec::new() };
        let is_bodyless = method == "HEAD" || status < 200 || matches!(status, 204 | 304);
        if is_bodyless {
            return Some(response);
        }
        if response.field("Transfer-Encoding") == Some("chunked") {
            loop {
                let line = self.line().await?;
                let len = usize::from_str_radix(&line, 16).unwrap();
                let piece = self.take(len).await?;
                response.body.extend(piece);
                assert_eq!(self.line().await?, "");
                if len == 0 {
                    return Some(response);
                }
            }
        }
        match response.field("Content-Length").map(|len| len.parse().unwrap()) {
            Some(len) => response.body = self.take(len).await?,
            None => {
                while self.read().await {}
                response.body = std::mem::take(&mut self.buffer);
            }
        }
        Some(response)
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.buffer.windows(2).position(|window| window == b"\r\n") {
                let line = self.buffer.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.read().await {
                return None;
            }
        }
    }

    async fn take(&mut self, len: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < len {
            if !self.read().await {
                return None;
            }
        }
        Some(self.buffer.drain(..len).collect())
    }

    /// Whether the connection ends here, with nothing more on it.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && !self.read().await
    }
}
