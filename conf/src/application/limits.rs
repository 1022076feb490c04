//! What a process of an application may use.

use std::time::Duration;

use crate::node::{Node, Valid};
use crate::schema::{INTEGER, Member, Object};
use crate::seconds;

pub(crate) static LIMITS: Object = Object::new(
    "limits",
    "What a process of an application may use.",
    &[
        Member::new("timeout", INTEGER)
            .seconds()
            .about(
                "How long a request may wait for a process, and then for each piece of its \
                 response; then it is answered 503. 0 is no limit, but a wait for a process of 60 \
                 seconds.",
            )
            .default("0")
            .example("10")
            .refuses(&[(
                r#""10""#,
                r#"The "timeout" value must be an integer number, but not a string."#,
            )]),
        Member::new("requests", INTEGER)
            .about("After how many requests a process is replaced; 0 is never.")
            .default("0")
            .example("10000")
            .refuses(&[(
                "0.5",
                r#"The "requests" value must be an integer number, but not a fractional number."#,
            )]),
        Member::new("shm", INTEGER)
            .bytes()
            .about("Shared memory; taken for compatibility.")
            .default("104857600")
            .example("8388608")
            .refuses(&[(
                r#""8M""#,
                r#"The "shm" value must be an integer number, but not a string."#,
            )])
            .unused(),
    ],
);

/// The `limits` of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long a request may wait for the next piece of its response.
    pub timeout: Option<Duration>,
    /// How many requests a process serves before it is replaced.
    pub requests: Option<u64>,
    /// How much shared memory a process gets, in bytes.
    pub shm: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: None, requests: None, shm: 100 * 1024 * 1024 }
    }
}

impl Limits {
    /// Negative numbers are taken, as they have always been, and mean none.
    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.object(&[])?;
        let mut limits = Self::default();
        for member in node.members() {
            match member.name() {
                b"timeout" => limits.timeout = seconds::limit(member.integer()?),
                b"requests" => {
                    let requests = u64::try_from(member.integer()?).ok();
                    limits.requests = requests.filter(|&requests| requests > 0);
                }
                b"shm" => limits.shm = u64::try_from(member.integer()?).unwrap_or(0),
                _ => return Err(member.unknown(&LIMITS)),
            }
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str =
        r#"{"applications":{"a":{"type":"external","executable":"/a","limits":{@}}}}"#;

    #[test]
    fn members_are_accepted_or_refused() {
        for member in ["timeout", "requests", "shm"] {
            accepts(FRAME, &[&format!(r#""{member}":1"#), &format!(r#""{member}":-1"#)]);
            let detail =
                format!(r#"The "{member}" value must be an integer number, but not a string."#);
            refuses(FRAME, &[(&format!(r#""{member}":"1""#), &detail)]);
        }
        refuses(FRAME, &[(r#""memory":1"#, r#"Unknown parameter "memory"."#)]);
    }

    #[test]
    fn zero_and_less_are_no_limit() {
        let limits = |text: &str| config(&FRAME.replace('@', text)).applications.remove(0).limits;
        assert_eq!(limits(""), Limits { timeout: None, requests: None, shm: 104_857_600 });
        assert_eq!(
            limits(r#""timeout":3,"requests":9,"shm":1"#),
            Limits { timeout: Some(Duration::from_secs(3)), requests: Some(9), shm: 1 }
        );
        assert_eq!(limits(r#""timeout":-1,"requests":0,"shm":104857600"#), Limits::default());
    }
}
