//! Listening sockets the daemon was started with, by systemd or by a daemon before it.

use std::net::TcpListener;
use std::os::fd::{OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixListener;

use port_proto::ListenAddress;
use sys::errno::Described;
use thiserror::Error;

use crate::address::show;

/// Variables that are for this process only.
pub const VARIABLES: [&str; 4] = ["NGINX", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// The first descriptor of systemd's.
const SYSTEMD_FD_FIRST: RawFd = 3;

/// Why the variables cannot be followed.
#[derive(Debug, Error)]
pub enum InheritError {
    /// A part of `NGINX` that is no number.
    #[error(
        "invalid socket number \"{0}\" in NGINX environment variable, ignoring the rest of the \
         variable"
    )]
    Number(String),
    /// A number under which there is no socket that listens somewhere.
    #[error("inherited socket {number} cannot be used {described}")]
    Unusable {
        /// The descriptor.
        number: RawFd,
        /// Why.
        described: String,
    },
}

/// Takes the sockets over. `variable` reads the environment; `pid` is that of this process.
///
/// # Errors
/// [`InheritError`] when a variable is there, but wrong.
pub fn take(
    variable: impl Fn(&str) -> Option<String>,
    pid: i32,
) -> Result<Vec<(ListenAddress, OwnedFd)>, InheritError> {
    let numbers = if let Some(list) = variable("NGINX") {
        let numbers = numbers(&list)?;
        unit_log::info!("using inherited listen sockets: {list}");
        numbers
    } else {
        let number = |name| variable(name).and_then(|text| text.parse::<i32>().ok());
        match (number("LISTEN_PID"), number("LISTEN_FDS")) {
            (Some(meant), Some(count @ 1..)) if meant == pid => {
                unit_log::info!("using {count} systemd listen sockets");
                (SYSTEMD_FD_FIRST..SYSTEMD_FD_FIRST.saturating_add(count)).collect()
            }
            _ => Vec::new(),
        }
    };
    numbers.into_iter().map(take_one).collect()
}

fn numbers(list: &str) -> Result<Vec<RawFd>, InheritError> {
    // Each number is followed by a semicolon.
    let parts = list.strip_suffix(';').unwrap_or(list).split(';');
    parts
        .map(|part| match part.parse() {
            Ok(number @ 3..) if part.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            Ok(_) | Err(_) => Err(InheritError::Number(part.to_owned())),
        })
        .collect()
}

fn take_one(number: RawFd) -> Result<(ListenAddress, OwnedFd), InheritError> {
    let unusable =
        |error| InheritError::Unusable { number, described: Described(&error).to_string() };
    let socket = sys::fd::take_inherited(number).map_err(unusable)?;
    let address = address_of(&socket).map_err(unusable)?;
    sys::fd::set_nonblocking(&socket, true).map_err(unusable)?;
    unit_log::debug!("inherited socket {number} listens on {}", show(&address));
    Ok((address, socket))
}

fn address_of(socket: &OwnedFd) -> std::io::Result<ListenAddress> {
    let inet = TcpListener::from(sys::fd::duplicate(socket)?).local_addr();
    if let Ok(address) = inet {
        return Ok(ListenAddress::Inet(address));
    }
    let address = UnixListener::from(sys::fd::duplicate(socket)?).local_addr()?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    let path = address.as_pathname().and_then(|path| path.to_str()).map(str::to_owned);
    path.map(ListenAddress::UnixPath)
        .or_else(|| address.as_abstract_name().and_then(text).map(ListenAddress::UnixAbstract))
        .ok_or_else(|| std::io::Error::other("it has no name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_numbers() {
        assert_eq!(numbers("6;7;").unwrap(), [6, 7]);
        assert_eq!(numbers("6").unwrap(), [6]);
        for (list, part) in [("6;x;7;", "x"), ("", ""), ("6;;", ""), ("2;", "2"), ("+5;", "+5")] {
            assert_eq!(
                numbers(list).unwrap_err().to_string(),
                format!(
                    "invalid socket number \"{part}\" in NGINX environment variable, ignoring \
                     the rest of the variable"
                )
            );
        }
    }

    #[test]
    fn variables_for_another_process_are_not_ours() {
        let of_systemd = |name: &str| match name {
            "LISTEN_PID" => Some("7".to_owned()),
            "LISTEN_FDS" => Some("1".to_owned()),
            _ => None,
        };
        assert!(take(of_systemd, 8).unwrap().is_empty());
        assert!(take(|_| None, 8).unwrap().is_empty());
    }

    #[test]
    fn names_the_address_of_a_socket() {
        let inet = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = inet.local_addr().unwrap();
        assert_eq!(address_of(&inet.into()).unwrap(), ListenAddress::Inet(address));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sock");
        let unix = UnixListener::bind(&path).unwrap();
        assert_eq!(
            address_of(&unix.into()).unwrap(),
            ListenAddress::UnixPath(path.to_str().unwrap().into())
        );
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(address_of(&file.into()).is_err());
    }
}
