//! One request to a control API and its answer, over a UNIX socket or TCP.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream as StdUnixStream};
use std::time::{Duration, Instant};

use bytes::Bytes;
use conf::Value;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;

use crate::address::Address;

/// The longest answer that is taken.
const ANSWER_LEN_MAX: usize = 256 << 20;

/// How often a socket that is waited for is looked at.
const WAIT_STEP: Duration = Duration::from_millis(50);

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Put,
    Post,
    Delete,
}

impl From<Method> for hyper::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Put => Self::PUT,
            Method::Post => Self::POST,
            Method::Delete => Self::DELETE,
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query, encoded.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
    /// The tag that the value must still have.
    pub(crate) if_match: Option<String>,
}

impl Request {
    /// A request without a body.
    pub(crate) fn new(method: Method, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), body: Vec::new(), if_match: None }
    }

    /// The same with a body.
    pub(crate) fn with_body(self, body: Vec<u8>) -> Self {
        Self { body, ..self }
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The tag of the value, if the daemon gives one.
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Whether what was asked for was done.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as a value, if it is one.
    pub(crate) fn value(&self) -> Result<Value, ClientError> {
        conf::parse(&self.body).map_err(|cause| ClientError::NotJson { status: self.status, cause })
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// Nobody can be reached there.
    #[error("cannot connect to {address}: {cause}{}", hint(.cause))]
    Connect { address: String, cause: io::Error },
    /// It did not come up in the time given.
    #[error("nothing answers at {address} after {waited_s} s: {cause}")]
    Wait { address: String, waited_s: u64, cause: io::Error },
    /// The connection broke, or what came was no HTTP.
    #[error("no answer from {address}: {cause}")]
    Exchange { address: String, cause: hyper::Error },
    /// The answer never ended.
    #[error("the answer of {address} could not be read: {cause}")]
    Body { address: String, cause: Box<dyn std::error::Error + Send + Sync> },
    /// The answer took too long.
    #[error("no answer from {address} within {limit_s} s; a change may still be made")]
    Timeout { address: String, limit_s: u64 },
    /// The target or a field cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(#[from] hyper::http::Error),
    /// Not an answer of a control API.
    #[error("the answer, status {status}, is not JSON: {cause}; is this a control socket?")]
    NotJson { status: u16, cause: conf::ParseError },
    /// The event loop could not be made.
    #[error("cannot set up the connection: {0}")]
    SetUp(io::Error),
}

/// What most often lies behind a failure to connect.
fn hint(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            "\n  The socket belongs to another user, most often root: try sudo."
        }
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => "\n  Does the daemon run?",
        _ => "",
    }
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For the socket, in each try; none does not wait at all.
    pub(crate) wait_for_socket: Option<Duration>,
    /// How many tries.
    pub(crate) tries: u32,
    /// For an answer; none waits for as long as it takes.
    pub(crate) answer: Option<Duration>,
}

impl Patience {
    /// How long the socket is waited for in all.
    pub(crate) fn total(self) -> Duration {
        self.wait_for_socket.unwrap_or_default().saturating_mul(self.tries.max(1))
    }
}

/// A client of one control API. Each request is a connection, as the API closes it anyway.
#[derive(Debug)]
pub(crate) struct Client {
    runtime: Runtime,
    address: Address,
    patience: Patience,
}

impl Client {
    /// A client of the API at an address; waits until it is there if that is wanted.
    pub(crate) fn new(address: Address, patience: Patience) -> Result<Self, ClientError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ClientError::SetUp)?;
        let client = Self { runtime, address, patience };
        if patience.wait_for_socket.is_some() {
            client.wait_for_socket()?;
        }
        Ok(client)
    }

    /// Where it talks to.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    fn wait_for_socket(&self) -> Result<(), ClientError> {
        let limit = self.patience.total();
        let start = Instant::now();
        loop {
            let cause = match self.runtime.block_on(probe(&self.address)) {
                Ok(()) => return Ok(()),
                Err(cause) => cause,
            };
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() {
                let address = self.address.to_string();
                return Err(ClientError::Wait { address, waited_s: limit.as_secs(), cause });
            }
            std::thread::sleep(left.min(WAIT_STEP));
        }
    }

    /// Asks.
    pub(crate) fn send(&self, request: &Request) -> Result<Answer, ClientError> {
        self.runtime.block_on(async {
            match self.patience.answer {
                None => self.exchange(request).await,
                Some(limit) => {
                    tokio::time::timeout(limit, self.exchange(request)).await.unwrap_or_else(|_| {
                        let address = self.address.to_string();
                        Err(ClientError::Timeout { address, limit_s: limit.as_secs() })
                    })
                }
            }
        })
    }

    /// Asks for a value.
    pub(crate) fn get(&self, target: &str) -> Result<Answer, ClientError> {
        self.send(&Request::new(Method::Get, target))
    }

    async fn exchange(&self, request: &Request) -> Result<Answer, ClientError> {
        let connect = |cause| ClientError::Connect { address: self.address.to_string(), cause };
        match &self.address {
            Address::UnixPath(path) => {
                self.over(UnixStream::connect(path).await.map_err(connect)?, request).await
            }
            Address::UnixAbstract(name) => {
                self.over(connect_abstract(name).map_err(connect)?, request).await
            }
            Address::Tcp { authority, .. } => {
                self.over(TcpStream::connect(authority).await.map_err(connect)?, request).await
            }
        }
    }

    async fn over<S>(&self, stream: S, request: &Request) -> Result<Answer, ClientError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let failed = |cause| ClientError::Exchange { address: self.address.to_string(), cause };
        let (mut sender, connection) = http1::Builder::new()
            .title_case_headers(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(failed)?;
        // Its failures reach the request as well.
        let connection = tokio::spawn(connection);
        let mut message = hyper::Request::builder()
            .method(hyper::Method::from(request.method))
            .uri(format!("{}{}", self.address.base(), request.target))
            .header("Host", self.address.host())
            .header("User-Agent", concat!("unitctl/", env!("CARGO_PKG_VERSION")))
            .header("Content-Length", request.body.len())
            .header("Connection", "close");
        if let Some(tag) = &request.if_match {
            message = message.header("If-Match", tag);
        }
        let message = message.body(Full::new(Bytes::from(request.body.clone())))?;
        let response = sender.send_request(message).await.map_err(failed)?;
        let status = response.status().as_u16();
        let etag = response.headers().get("ETag").and_then(|tag| tag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let body = Limited::new(response.into_body(), ANSWER_LEN_MAX).collect().await;
        let body =
            body.map_err(|cause| ClientError::Body { address: self.address.to_string(), cause })?;
        connection.abort();
        Ok(Answer { status, etag, body: body.to_bytes().to_vec() })
    }
}

/// Whether somebody accepts there.
async fn probe(address: &Address) -> io::Result<()> {
    match address {
        Address::UnixPath(path) => UnixStream::connect(path).await.map(drop),
        Address::UnixAbstract(name) => connect_abstract(name).map(drop),
        Address::Tcp { authority, .. } => TcpStream::connect(authority).await.map(drop),
    }
}

fn connect_abstract(name: &str) -> io::Result<UnixStream> {
    let address = SocketAddr::from_abstract_name(name)?;
    let stream = StdUnixStream::connect_addr(&address)?;
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
