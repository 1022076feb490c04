//! An HTTP client that sends exactly what it is given and keeps exactly what it gets.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// How long one exchange may take.
pub const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A connection to a server, with what arrived and was not asked for yet.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    arrived: Vec<u8>,
    limit: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The number in its status line.
    pub status: u16,
    /// Status line and fields as they came, the empty line not.
    pub head: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
    /// Its body, chunks joined.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first field of that name in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The values of all fields of that name.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let found = self.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).collect()
    }

    /// The first line.
    #[must_use]
    pub fn status_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_slice(&self.body) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {}\n{}", self.head, self.text()),
        }
    }

    fn is_bodiless(&self) -> bool {
        self.status < 200 || self.status == 204 || self.status == 304
    }
}

/// The bytes of a request with this method, target, further field lines and body, its length told
/// when there is one.
#[must_use]
pub fn request(method: &str, target: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for field in fields {
        head.push_str(field);
        head.push_str("\r\n");
    }
    if !body.is_empty() {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

impl Connection {
    /// Connects to a port of the loopback address.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn try_tcp(port: u16) -> io::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", port))?;
        // What a test sends in pieces has to arrive in pieces.
        socket.set_nodelay(true)?;
        Ok(Self::over(Socket::Tcp(socket)))
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// Those of the connection.
    pub fn try_unix(path: &Path) -> io::Result<Self> {
        Ok(Self::over(Socket::Unix(UnixStream::connect(path)?)))
    }

    /// The same, where it has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn tcp(port: u16) -> Self {
        match Self::try_tcp(port) {
            Ok(connection) => connection,
            Err(error) => panic!("cannot connect to port {port}: {error}"),
        }
    }

    /// The same, where it has to succeed.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn unix(path: &Path) -> Self {
        match Self::try_unix(path) {
            Ok(connection) => connection,
            Err(error) => panic!("cannot connect to {}: {error}", path.display()),
        }
    }

    fn over(socket: Socket) -> Self {
        Self { socket, arrived: Vec::new(), limit: LIMIT }
    }

    /// Changes how long one exchange may take.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// Those of the socket, the limit among them.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let limit = Some(self.limit);
        match &mut self.socket {
            Socket::Tcp(socket) => {
                socket.set_write_timeout(limit)?;
                socket.write_all(bytes)
            }
            Socket::Unix(socket) => {
                socket.set_write_timeout(limit)?;
                socket.write_all(bytes)
            }
        }
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn finish_sending(&mut self) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(socket) => socket.shutdown(Shutdown::Write),
            Socket::Unix(socket) => socket.shutdown(Shutdown::Write),
        }
    }

    /// Goes away without a goodbye: the server gets a reset.
    ///
    /// # Panics
    /// For anything but TCP.
    pub fn reset(self) {
        let Socket::Tcp(socket) = self.socket else { panic!("only TCP has resets") };
        rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
    }

    /// Takes more from the socket; false at the end.
    fn fill(&mut self, deadline: Instant) -> io::Result<bool> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut buffer = [0; 64 * 1024];
        let count = match &mut self.socket {
            Socket::Tcp(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.read(&mut buffer)
            }
            Socket::Unix(socket) => {
                socket.set_read_timeout(Some(left))?;
                socket.read(&mut buffer)
            }
        };
        match count {
            Ok(count) => {
                self.arrived.extend_from_slice(&buffer[..count]);
                Ok(count > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::ErrorKind::TimedOut.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Takes some bytes, at most that many; none at the end.
    ///
    /// # Errors
    /// Those of the socket, the limit among them.
    pub fn read_some(&mut self, at_most: usize) -> io::Result<Vec<u8>> {
        if self.arrived.is_empty() {
            self.fill(Instant::now() + self.limit)?;
        }
        let count = at_most.min(self.arrived.len());
        Ok(self.arrived.drain(..count).collect())
    }

    /// Takes exactly that many bytes.
    ///
    /// # Errors
    /// When the connection ends before.
    pub fn read_exactly(&mut self, count: usize) -> Result<Vec<u8>> {
        let deadline = Instant::now() + self.limit;
        while self.arrived.len() < count {
            let more = self.fill(deadline)?;
            ensure!(more, "closed after {} of {count} bytes", self.arrived.len());
        }
        Ok(self.arrived.drain(..count).collect())
    }

    /// Takes everything up to the end. A reset is an end as well.
    ///
    /// # Errors
    /// At the limit.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let deadline = Instant::now() + self.limit;
        loop {
            match self.fill(deadline) {
                Ok(true) => {}
                Ok(false) => return Ok(std::mem::take(&mut self.arrived)),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Ok(std::mem::take(&mut self.arrived));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits for the server to close, having sent nothing more.
    ///
    /// # Panics
    /// When it does not, or sends something.
    #[track_caller]
    pub fn expect_close(&mut self) {
        match self.read_to_end() {
            Ok(rest) if rest.is_empty() => {}
            Ok(rest) => panic!("sent before it closed: {}", String::from_utf8_lossy(&rest)),
            Err(error) => panic!("not closed: {error}"),
        }
    }

    /// Takes the head of an answer, an interim one too.
    ///
    /// # Errors
    /// When there is none.
    pub fn read_head(&mut self) -> Result<Response> {
        let deadline = Instant::now() + self.limit;
        let end = loop {
            if let Some(at) = self.arrived.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            let more = self.fill(deadline)?;
            if !more && self.arrived.is_empty() {
                bail!("closed without an answer");
            }
            ensure!(more, "closed in the head: {}", String::from_utf8_lossy(&self.arrived));
        };
        let bytes: Vec<u8> = self.arrived.drain(..end + 4).collect();
        parse_head(&bytes[..end])
    }

    /// Takes a whole answer to a request that was not HEAD.
    ///
    /// # Errors
    /// When there is none or it is cut short.
    pub fn read_response(&mut self) -> Result<Response> {
        let mut response = self.read_head()?;
        response.body = self.read_body(&response)?;
        Ok(response)
    }

    /// Takes the body that follows a head.
    ///
    /// # Errors
    /// When it is cut short.
    pub fn read_body(&mut self, head: &Response) -> Result<Vec<u8>> {
        if head.is_bodiless() {
            return Ok(Vec::new());
        }
        if let Some(coding) = head.field("Transfer-Encoding") {
            ensure!(coding == "chunked", "unknown coding {coding}");
            return self.read_chunks();
        }
        if let Some(length) = head.field("Content-Length") {
            let length = length.parse().with_context(|| format!("Content-Length {length}"))?;
            return self.read_exactly(length);
        }
        Ok(self.read_to_end()?)
    }

    fn read_chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = self.read_chunk_size()?;
            if size == 0 {
                ensure!(self.read_exactly(2)? == b"\r\n", "trailers after the last chunk");
                return Ok(body);
            }
            body.extend(self.read_exactly(size)?);
            ensure!(self.read_exactly(2)? == b"\r\n", "a chunk does not end where it said");
        }
    }

    /// Takes the line before a chunk.
    ///
    /// # Errors
    /// When it is none.
    pub fn read_chunk_size(&mut self) -> Result<usize> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(self.read_exactly(1)?);
            ensure!(line.len() <= 18, "a chunk size of {} bytes", line.len());
        }
        let digits = std::str::from_utf8(&line[..line.len() - 2])?;
        ensure!(
            digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')),
            "chunk size {digits}"
        );
        usize::from_str_radix(digits, 16).with_context(|| format!("chunk size {digits}"))
    }

    /// Sends a request and takes its answer.
    ///
    /// # Errors
    /// When there is none.
    pub fn exchange(&mut self, bytes: &[u8]) -> Result<Response> {
        self.send(bytes)?;
        self.read_response()
    }

    /// Sends GET and takes the answer, the connection staying open.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        match self.exchange(&request("GET", target, &[], b"")) {
            Ok(response) => response,
            Err(error) => panic!("GET {target}: {error:#}"),
        }
    }

    /// Sends bytes and takes the answer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn ask(&mut self, bytes: &[u8]) -> Response {
        match self.exchange(bytes) {
            Ok(response) => response,
            Err(error) => panic!("{error:#} for {}", String::from_utf8_lossy(bytes)),
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<Response> {
    // Values are bytes; as Latin-1 none is lost.
    let head: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let mut lines = head.split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let number = status_line
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .with_context(|| format!("status line {status_line:?}"))?;
    let status = number.parse().with_context(|| format!("status line {status_line:?}"))?;
    let fields = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").with_context(|| format!("field {line:?}"))?;
            ensure!(!name.contains([' ', '\t']), "field {line:?}");
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Response { status, fields, body: Vec::new(), head })
}
