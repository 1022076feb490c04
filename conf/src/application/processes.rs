//! How many processes an application has.

use std::time::Duration;

use crate::node::{COUNT_MAX, Kinds, Node, Valid};
use crate::schema::{COUNT, Member, Object, integer};
use crate::seconds;

/// The longest an idle process is kept, in seconds: what fits 32 bits of milliseconds.
const IDLE_TIMEOUT_MAX: i64 = 2_147_483;

pub(crate) static PROCESSES: Object = Object::new(
    "processes",
    "How many processes an application has.",
    &[
        Member::new("max", COUNT)
            .about("The most there may be.")
            .default("1")
            .example("8")
            .refuses(&[
                ("0", r#"The "max" number must be equal to or greater than 1."#),
                ("2147483648", r#"The "max" number must not exceed 2147483647."#),
            ]),
        Member::new("spare", integer(0, COUNT_MAX as i64))
            .about("Idle ones that are kept ready; not more than `max`.")
            .default("0")
            .example("1")
            .refuses(&[
                ("-1", r#"The "spare" number must not be negative."#),
                ("2", r#"The "spare" number must be less than or equal to "max"."#),
                ("2147483648", r#"The "spare" number must not exceed 2147483647."#),
            ]),
        Member::new("idle_timeout", integer(0, IDLE_TIMEOUT_MAX))
            .seconds()
            .about("How long others stay when they are idle.")
            .default("15")
            .example("30")
            .refuses(&[
                ("-1", r#"The "idle_timeout" number must not be negative."#),
                ("2147484", r#"The "idle_timeout" number must not exceed 2147483."#),
            ]),
    ],
);

/// The `processes` of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processes {
    /// The most there may be; at least one.
    pub max: u32,
    /// How many idle ones are kept ready; not more than `max`.
    pub spare: u32,
    /// How long a process that is not among them stays when it is idle.
    pub idle_timeout: Duration,
}

impl Default for Processes {
    fn default() -> Self {
        Self::fixed(1)
    }
}

impl Processes {
    /// The idle timeout of a definition that names none, in seconds.
    const IDLE_TIMEOUT: i64 = 15;

    /// A number of processes that does not change.
    fn fixed(count: u32) -> Self {
        Self { max: count, spare: count, idle_timeout: seconds::time(Self::IDLE_TIMEOUT) }
    }

    pub(crate) fn read(node: &Node<'_>) -> Valid<Self> {
        node.expect(Kinds::INTEGER | Kinds::OBJECT)?;
        if let Some(count) = node.as_integer() {
            return node.checked_count(count).map(Self::fixed);
        }
        // The kinds of all members are checked before any of the numbers.
        let (mut max, mut spare, mut idle_timeout) = (None, None, None);
        for member in node.members() {
            match member.name() {
                b"max" => max = Some((member, member.integer()?)),
                b"spare" => spare = Some((member, member.integer()?)),
                b"idle_timeout" => idle_timeout = Some((member, member.integer()?)),
                _ => return Err(member.unknown(&PROCESSES)),
            }
        }
        let spare_number = match spare {
            Some((member, number)) => bounded(&member, number, COUNT_MAX.into())?,
            None => 0,
        };
        let max = match max {
            Some((member, number)) => member.checked_count(number)?,
            None => 1,
        };
        if spare_number > i64::from(max) {
            let (member, _) = spare.unwrap_or((*node, 0));
            return Err(member.fault("The \"spare\" number must be less than or equal to \"max\"."));
        }
        let idle_timeout = match idle_timeout {
            Some((member, number)) => bounded(&member, number, IDLE_TIMEOUT_MAX)?,
            None => Self::IDLE_TIMEOUT,
        };
        Ok(Self {
            max,
            spare: u32::try_from(spare_number).unwrap_or(max).min(max),
            idle_timeout: seconds::time(idle_timeout),
        })
    }
}

fn bounded(node: &Node<'_>, number: i64, max: i64) -> Valid<i64> {
    let label = node.label();
    if number < 0 {
        return Err(node.fault(format!("The \"{label}\" number must not be negative.")));
    }
    if number > max {
        return Err(node.fault(format!("The \"{label}\" number must not exceed {max}.")));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{accepts, config, refuses};

    const FRAME: &str =
        r#"{"applications":{"a":{"type":"external","executable":"/a","processes":@}}}"#;

    #[test]
    fn numbers_and_objects_are_accepted_or_refused() {
        accepts(
            FRAME,
            &[
                "1",
                "2147483647",
                "{}",
                r#"{"spare":1}"#,
                r#"{"max":2147483647,"spare":2147483647,"idle_timeout":2147483}"#,
            ],
        );
        refuses(
            FRAME,
            &[
                (
                    r#""1""#,
                    r#"The "processes" value must be either an integer number or an object, but not a string."#,
                ),
                ("0", r#"The "processes" number must be equal to or greater than 1."#),
                ("2147483648", r#"The "processes" number must not exceed 2147483647."#),
                (r#"{"min":1}"#, r#"Unknown parameter "min"."#),
                (
                    r#"{"max":"1"}"#,
                    r#"The "max" value must be an integer number, but not a string."#,
                ),
                (
                    r#"{"spare":-1,"idle_timeout":"1"}"#,
                    r#"The "idle_timeout" value must be an integer number, but not a string."#,
                ),
                (r#"{"max":0,"spare":-1}"#, r#"The "spare" number must not be negative."#),
                (
                    r#"{"max":0,"spare":2147483648}"#,
                    r#"The "spare" number must not exceed 2147483647."#,
                ),
                (
                    r#"{"max":0,"spare":1}"#,
                    r#"The "max" number must be equal to or greater than 1."#,
                ),
                (r#"{"max":2147483648}"#, r#"The "max" number must not exceed 2147483647."#),
                (
                    r#"{"spare":2,"idle_timeout":-1}"#,
                    r#"The "spare" number must be less than or equal to "max"."#,
                ),
                (r#"{"idle_timeout":-1}"#, r#"The "idle_timeout" number must not be negative."#),
                (
                    r#"{"idle_timeout":2147484}"#,
                    r#"The "idle_timeout" number must not exceed 2147483."#,
                ),
            ],
        );
    }

    #[test]
    fn a_number_is_both_the_most_and_the_spare_ones() {
        let processes =
            |text: &str| config(&FRAME.replace('@', text)).applications.remove(0).processes;
        let idle_timeout = Duration::from_secs(15);
        assert_eq!(processes("3"), Processes { max: 3, spare: 3, idle_timeout });
        assert_eq!(processes("{}"), Processes { max: 1, spare: 0, idle_timeout });
        assert_eq!(
            processes(r#"{"idle_timeout":0,"spare":2,"max":4}"#),
            Processes { max: 4, spare: 2, idle_timeout: Duration::ZERO }
        );
        assert_eq!(Processes::default(), Processes { max: 1, spare: 1, idle_timeout });
    }
}
