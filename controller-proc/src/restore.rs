//! What a controller starts with: the stored configuration, as much of it as can be used, or the
//! default one and the reason why.

use conf::{Origin, Pruned, ValidationError, Value, prune};
use port_proto::StoredConfig;

/// What came out of restoring.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Restored {
    /// The stored configuration, if it can be used.
    pub(crate) config: Option<Value>,
    /// What of it a router can be given, where that is not all of it.
    pub(crate) served: Option<Value>,
    /// Lines for the log, at level alert, about what cannot be used.
    pub(crate) alerts: Vec<String>,
}

/// The configuration of a daemon that has none.
#[must_use]
pub(crate) fn default_config() -> Value {
    Value::from_iter([
        ("listeners", Value::empty_object()),
        ("routes", Value::from(Vec::new())),
        ("applications", Value::empty_object()),
    ])
}

/// Reads and checks what main found in the state directory. Nothing on the disk changes: what
/// cannot be used stays until the next update, so that it can be mended.
#[must_use]
pub(crate) fn restore(
    stored: &StoredConfig,
    check: &dyn Fn(&Value, Origin) -> Result<(), ValidationError>,
) -> Restored {
    const FAILED: &str = "failed to restore previous configuration: ";
    let unusable = |alert: String| Restored { alerts: vec![alert], ..Restored::default() };
    let json = match stored {
        StoredConfig::Absent | StoredConfig::Initial { .. } => {
            return Restored::default();
        }
        StoredConfig::Present { json, version: _ } => json,
        StoredConfig::BadVersion { text } => {
            return unusable(format!("{FAILED}invalid version string \"{text}\""));
        }
        StoredConfig::Unreadable { text } => return unusable(format!("{FAILED}{text}")),
    };
    let Ok(config) = conf::parse(json) else {
        return unusable(format!("{FAILED}file is corrupted or not enough memory"));
    };
    let Err(first) = check(&config, Origin::Stored) else {
        return Restored { config: Some(config), ..Restored::default() };
    };
    let invalid = |detail: &str| format!("the previous configuration is invalid: {detail}");
    match prune(&config, |value| check(value, Origin::Stored)) {
        Some(Pruned { rest, faults }) => Restored {
            config: Some(config),
            served: Some(rest),
            alerts: faults.iter().map(|fault| invalid(fault)).collect(),
        },
        None => unusable(invalid(&first.detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what has neither a member `bad` nor one `hopeless`, which it finds nowhere.
    fn check(config: &Value, origin: Origin) -> Result<(), ValidationError> {
        assert_eq!(origin, Origin::Stored);
        let fault = |name: &str, path: &str| ValidationError {
            detail: format!("Unknown parameter \"{name}\"."),
            path: path.to_owned(),
            suggestion: None,
            log: None,
        };
        match (config.member(b"bad"), config.member(b"hopeless")) {
            (None, None) => Ok(()),
            (Some(_), _) => Err(fault("bad", "/bad")),
            (None, Some(_)) => Err(fault("hopeless", "")),
        }
    }

    fn present(json: &str) -> StoredConfig {
        StoredConfig::Present { json: json.as_bytes().to_vec(), version: 12500 }
    }

    #[test]
    fn each_fault_of_the_store_has_its_line() {
        for (stored, alert) in [
            (StoredConfig::Absent, None),
            (
                StoredConfig::BadVersion { text: "1.2".to_owned() },
                Some("failed to restore previous configuration: invalid version string \"1.2\""),
            ),
            (
                StoredConfig::Unreadable { text: "open(\"x\") failed (5: I/O error)".to_owned() },
                Some("failed to restore previous configuration: open(\"x\") failed (5: I/O error)"),
            ),
            (
                present(""),
                Some(
                    "failed to restore previous configuration: file is corrupted or not enough \
                     memory",
                ),
            ),
            (
                present("{\"listeners\":"),
                Some(
                    "failed to restore previous configuration: file is corrupted or not enough \
                     memory",
                ),
            ),
            (
                present("{\"hopeless\":1}"),
                Some("the previous configuration is invalid: Unknown parameter \"hopeless\"."),
            ),
        ] {
            let restored = restore(&stored, &check);
            let alerts = alert.into_iter().map(str::to_owned).collect();
            let expected = Restored { config: None, served: None, alerts };
            assert_eq!(restored, expected, "{stored:?}");
        }
    }

    #[test]
    fn what_is_sound_is_used() {
        let restored = restore(&present("{\"good\":1}"), &check);
        assert_eq!(restored.config, conf::parse(b"{\"good\":1}").ok());
        assert_eq!((restored.served, restored.alerts), (None, Vec::new()));
    }

    #[test]
    fn what_is_sound_in_part_is_kept_whole_and_served_in_part() {
        let restored = restore(&present("{\"good\":1,\"bad\":2}"), &check);
        assert_eq!(restored.config, conf::parse(b"{\"good\":1,\"bad\":2}").ok());
        assert_eq!(restored.served, conf::parse(b"{\"good\":1}").ok());
        assert_eq!(
            restored.alerts,
            ["the previous configuration is invalid: Unknown parameter \"bad\". (/bad is left \
                 out)"]
        );
    }

    #[test]
    fn the_default_is_pinned() {
        assert_eq!(
            conf::print_compact(&default_config()),
            br#"{"listeners":{},"routes":[],"applications":{}}"#
        );
    }
}
