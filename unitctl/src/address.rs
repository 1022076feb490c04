//! Addresses of control sockets, in every form that people write them.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where a control API is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A UNIX socket in the file system.
    UnixPath(PathBuf),
    /// A UNIX socket with an abstract name, without its `@`.
    UnixAbstract(String),
    /// A TCP address, and a path that comes before every path of the API (for one behind a proxy).
    Tcp {
        /// Host and port; the host may be a name.
        authority: String,
        /// Empty, or beginning with a slash and not ending with one.
        base: String,
    },
}

/// Why a text is no address that can be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum AddressError {
    /// There is nothing.
    #[error("the address of the control socket is empty")]
    Empty,
    /// A way of reaching it that this program does not have.
    #[error(
        "{0}: {1} addresses are not supported; forward the socket first and name the local one, \
         for example with ssh -L ./unit.sock:/var/run/control.unit.sock HOST"
    )]
    Unsupported(String, &'static str),
    /// No or no sensible port.
    #[error("{0}: the port must be a number from 1 to 65535")]
    Port(String),
    /// A host that cannot stand in a request.
    #[error("{0}: not an address; unix:/PATH, a path, HOST:PORT and http://HOST[:PORT] are")]
    Malformed(String),
}

impl Address {
    /// Reads an address: `unix:/path`, `unix:@name`, a path, `host:port`, `http://host[:port][/base]`.
    pub(crate) fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        for (scheme, name) in [("https://", "TLS"), ("ssh://", "SSH"), ("docker://", "Docker")] {
            if text.starts_with(scheme) {
                return Err(AddressError::Unsupported(text.to_owned(), name));
            }
        }
        if let Some(rest) = text.strip_prefix("http://") {
            let (authority, base) = match rest.find('/') {
                Some(slash) => rest.split_at(slash),
                None => (rest, ""),
            };
            let has_port = authority.rfind(':') > authority.rfind(']');
            let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
            return tcp(text, &authority, base.trim_end_matches('/'));
        }
        if let Some(rest) = text.strip_prefix("unix:") {
            let path = match rest.strip_prefix("//") {
                Some(path) => path,
                None => rest,
            };
            return match path.strip_prefix('@') {
                _ if path.is_empty() => Err(AddressError::Malformed(text.to_owned())),
                Some("") => Err(AddressError::Malformed(text.to_owned())),
                Some(name) => Ok(Self::UnixAbstract(name.to_owned())),
                None => Ok(Self::UnixPath(path.into())),
            };
        }
        if text.contains('/') || !text.contains(':') {
            return Ok(Self::UnixPath(text.into()));
        }
        tcp(text, text, "")
    }

    /// The same address, a relative path taken from `directory`.
    pub(crate) fn relative_to(self, directory: &Path) -> Self {
        match self {
            Self::UnixPath(path) => Self::UnixPath(directory.join(path)),
            Self::UnixAbstract(_) | Self::Tcp { .. } => self,
        }
    }

    /// What the `Host` field of a request says.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::UnixPath(_) | Self::UnixAbstract(_) => "localhost",
            Self::Tcp { authority, .. } => authority,
        }
    }

    /// What comes before every path of the API.
    pub(crate) fn base(&self) -> &str {
        match self {
            Self::UnixPath(_) | Self::UnixAbstract(_) => "",
            Self::Tcp { base, .. } => base,
        }
    }
}

fn tcp(text: &str, authority: &str, base: &str) -> Result<Address, AddressError> {
    let malformed = || AddressError::Malformed(text.to_owned());
    let (host, port) = authority.rsplit_once(':').ok_or_else(malformed)?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = |character: char| character.is_ascii_alphanumeric() || "-._".contains(character);
    let inside = |character: char| character.is_ascii_hexdigit() || ":.".contains(character);
    let sensible = match host {
        "*" => true,
        "" => false,
        host if is_bracketed => host.trim_matches(['[', ']']).chars().all(inside),
        host => host.chars().all(is_host),
    };
    let base_is_sensible =
        base.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if !sensible || !base_is_sensible {
        return Err(malformed());
    }
    match port.parse::<u16>() {
        Ok(1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => {}
        Ok(_) | Err(_) => return Err(AddressError::Port(text.to_owned())),
    }
    // What listens on every address is reached on this one.
    let host = if host == "*" { "127.0.0.1" } else { host };
    Ok(Address::Tcp { authority: format!("{host}:{port}"), base: base.to_owned() })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnixPath(path) => write!(f, "unix:{}", path.display()),
            Self::UnixAbstract(name) => write!(f, "unix:@{name}"),
            Self::Tcp { authority, base } if base.is_empty() => f.write_str(authority),
            Self::Tcp { authority, base } => write!(f, "http://{authority}{base}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_form() {
        for (text, shown) in [
            ("unix:/run/control.sock", "unix:/run/control.sock"),
            ("unix:///run/control.sock", "unix:/run/control.sock"),
            ("unix:control.sock", "unix:control.sock"),
            ("unix:@name", "unix:@name"),
            ("/run/control.sock", "unix:/run/control.sock"),
            ("./control.sock", "unix:./control.sock"),
            ("control.sock", "unix:control.sock"),
            ("run/a:b", "unix:run/a:b"),
            ("127.0.0.1:8443", "127.0.0.1:8443"),
            ("*:80", "127.0.0.1:80"),
            ("[::1]:80", "[::1]:80"),
            ("localhost:80", "localhost:80"),
            ("http://localhost", "localhost:80"),
            ("http://[::1]", "[::1]:80"),
            ("http://localhost:8080/", "localhost:8080"),
            ("http://localhost:8080/unit/", "http://localhost:8080/unit"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn refuses_what_cannot_be_reached() {
        assert_eq!(Address::parse(""), Err(AddressError::Empty));
        for text in ["https://h", "ssh://u@h", "docker://c"] {
            assert!(matches!(Address::parse(text), Err(AddressError::Unsupported(..))), "{text}");
        }
        for text in ["h:0", "h:65536", "h:", "h:+1", "http://h:x"] {
            assert!(matches!(Address::parse(text), Err(AddressError::Port(_))), "{text}");
        }
        for text in ["unix:", "unix:@", ":80", "a b:80", "http://", "h\r\nX:80", "http://h/a b"] {
            assert!(matches!(Address::parse(text), Err(AddressError::Malformed(_))), "{text}");
        }
    }

    #[test]
    fn a_relative_path_is_that_of_the_daemon() {
        let address = Address::parse("unix:run/c.sock").unwrap().relative_to(Path::new("/srv"));
        assert_eq!(address, Address::UnixPath("/srv/run/c.sock".into()));
    }
}
