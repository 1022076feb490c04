//! What a configuration takes of the descriptors before there is any connection. Where that leaves
//! none, nothing could be served and nothing changed, which is better known before it runs.

use conf::Config;
use port_proto::{ConfigStage, Refusal};

use crate::shortage;

/// Standard streams, ports, the control thread's runtime and the like.
const BASE: u64 = 16;

/// Of an event loop: its runtime, and its page twice.
const PER_LOOP: u64 = 6;

/// Of a channel between a loop and a worker: its doorbell twice.
const PER_CHANNEL: u64 = 2;

/// Of an application: the port to its prototype, and a body or log on its way.
const PER_APPLICATION: u64 = 2;

/// How a number of descriptors suits a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suits {
    Well,
    /// Connections can use only what is otherwise kept for changes.
    Barely,
    No,
}

fn suits(needed: u64, limit: u64) -> Suits {
    if needed >= limit.saturating_sub(shortage::LAST) {
        Suits::No
    } else if needed >= limit.saturating_sub(shortage::reserve_of(limit)) {
        Suits::Barely
    } else {
        Suits::Well
    }
}

/// How many descriptors `config` takes with so many loops.
fn needed(config: &Config, loops: u64) -> u64 {
    // One that is started on demand is needed as well.
    let workers = config
        .applications
        .iter()
        .map(|application| u64::from(application.processes.spare.max(1)))
        .fold(0, u64::saturating_add);
    let count = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
    let channels = workers.saturating_mul(loops).saturating_mul(PER_CHANNEL);
    BASE.saturating_add(loops.saturating_mul(PER_LOOP))
        .saturating_add(channels)
        .saturating_add(count(config.applications.len()).saturating_mul(PER_APPLICATION))
        .saturating_add(count(config.listeners.len()))
}

/// Whether `config` can be served with so many loops: refused if not, unless it ran before.
pub(super) fn check(config: &Config, loops: usize, stage: ConfigStage) -> Result<(), Refusal> {
    let Some(limit) = sys::process::descriptor_limit() else { return Ok(()) };
    let needed = needed(config, u64::try_from(loops).unwrap_or(u64::MAX));
    let text = format!(
        "the event loops, listeners and application processes of the configuration take {needed} \
         of the {limit} descriptors that the router may have"
    );
    match (suits(needed, limit), stage) {
        (Suits::Well, _) => {}
        (Suits::Barely, _) => unit_log::warn!("{text}"),
        (Suits::No, ConfigStage::Proposed | ConfigStage::Tried) => {
            unit_log::alert!("{text}");
            return Err(Refusal::new(text));
        }
        // It was served as far as it went.
        (Suits::No, ConfigStage::Current) => unit_log::alert!("{text}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        let environment = conf::Environment::default();
        Config::validate(&conf::parse(text.as_bytes()).unwrap(), &environment).unwrap()
    }

    #[test]
    fn each_process_has_a_channel_to_each_loop() {
        let nothing = config("{}");
        assert_eq!(needed(&nothing, 1), 22);
        assert_eq!(needed(&nothing, 1024), 16 + 1024 * 6);
        let served = config(
            r#"{"listeners":{"127.0.0.1:80":{"pass":"routes"},"127.0.0.1:81":{"pass":"routes"}},
                "routes":[]}"#,
        );
        assert_eq!(needed(&served, 1), 24);
    }

    #[test]
    fn a_limit_suits_barely_within_the_reserve_and_not_within_the_last() {
        for (needed, expected) in [
            (895, Suits::Well),
            (896, Suits::Barely),
            (1015, Suits::Barely),
            (1016, Suits::No),
            (u64::MAX, Suits::No),
        ] {
            assert_eq!(suits(needed, 1024), expected, "{needed}");
        }
    }
}
