//! What a controller starts with: the stored configuration, or the default one and the reason why.

use conf::{Origin, ValidationError, Value};
use port_proto::StoredConfig;

/// What came out of restoring.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Restored {
    /// The stored configuration, if it can be used.
    pub(crate) config: Option<Value>,
    /// A line for the log, at level alert, about why it cannot.
    pub(crate) alert: Option<String>,
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
    let unusable = |alert: String| Restored { config: None, alert: Some(alert) };
    let json = match stored {
        StoredConfig::Absent | StoredConfig::Initial { .. } => {
            return Restored { config: None, alert: None };
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
    match check(&config, Origin::Stored) {
        Ok(()) => Restored { config: Some(config), alert: None },
        Err(error) => unusable(format!("the previous configuration is invalid: {}", error.detail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes what has no member `bad`.
    fn check(config: &Value, origin: Origin) -> Result<(), ValidationError> {
        assert_eq!(origin, Origin::Stored);
        match config.member(b"bad") {
            None => Ok(()),
            Some(_) => Err(ValidationError {
                detail: "Unknown parameter \"bad\".".to_owned(),
                path: "/bad".to_owned(),
                suggestion: None,
                log: None,
            }),
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
                present("{\"bad\":1}"),
                Some("the previous configuration is invalid: Unknown parameter \"bad\"."),
            ),
        ] {
            let restored = restore(&stored, &check);
            let expected = Restored { config: None, alert: alert.map(str::to_owned) };
            assert_eq!(restored, expected, "{stored:?}");
        }
    }

    #[test]
    fn what_is_sound_is_used() {
        let restored = restore(&present("{\"good\":1}"), &check);
        assert_eq!(restored.config, conf::parse(b"{\"good\":1}").ok());
        assert_eq!(restored.alert, None);
    }

    #[test]
    fn the_default_is_pinned() {
        assert_eq!(
            conf::print_compact(&default_config()),
            br#"{"listeners":{},"routes":[],"applications":{}}"#
        );
    }
}
