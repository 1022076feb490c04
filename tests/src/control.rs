//! The control API as a client of its socket uses it.

use std::path::Path;

use serde_json::Value;

use crate::client::{Connection, Response};

/// What the control API answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, to the byte.
    pub text: String,
    /// Status line and fields.
    pub head: String,
}

impl Answer {
    /// The body as a value.
    ///
    /// # Panics
    /// When it is no JSON: it always is.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        match serde_json::from_str(&self.text) {
            Ok(value) => value,
            Err(error) => panic!("{error} in {}", self.text),
        }
    }

    /// The sentence about what is wrong with the configuration.
    #[must_use]
    pub fn detail(&self) -> String {
        self.json()["detail"].as_str().unwrap_or_default().to_owned()
    }

    /// Nothing but success will do.
    ///
    /// # Panics
    /// When it was refused.
    #[track_caller]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.status, 200, "{}", self.text);
        self
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { status: response.status, text: response.text(), head: response.head }
    }
}

/// Asks the control API at a socket.
///
/// # Errors
/// When there is no answer.
pub(crate) fn ask(
    socket: &Path,
    method: &str,
    target: &str,
    body: &[u8],
) -> anyhow::Result<Answer> {
    let mut connection = Connection::try_unix(socket)?;
    // A head without Host and a body announced even when empty: as small as can be, and exact.
    let head = format!("{method} {target} HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    connection.send(&[head.as_bytes(), body].concat())?;
    Ok(connection.read_response()?.into())
}
