//! What can be served of a configuration that is not valid: a stored one, after the installation
//! has changed. Whatever is at fault is left out as a whole, and nothing is served in another way
//! than the configuration says, but that a setting left out has its default.

use crate::error::ValidationError;
use crate::tree::{self, EditError, Path};
use crate::value::Value;

/// The most parts that are left out: each costs a validation of the whole.
const LEFT_OUT_MAX: usize = 1000;

/// The rest of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Pruned {
    /// What is valid.
    pub rest: Value,
    /// What was wrong, a sentence for each part that is not served.
    pub faults: Vec<String>,
}

/// Leaves out of a configuration what is at fault until `check` finds nothing more. Nothing if no
/// valid configuration comes of it. A configuration that is valid has no faults.
///
/// A listener, an application, an upstream and the access log go as a whole: without one of its
/// members a listener could be open to more than it was meant for. A step of a route never goes, as
/// requests would reach what stands behind it: its action becomes an answer 503, and where its
/// conditions are at fault the step has none any more. Of the settings only the member goes.
pub fn prune(
    root: &Value,
    check: impl Fn(&Value) -> Result<(), ValidationError>,
) -> Option<Pruned> {
    let mut pruned = Pruned { rest: root.clone(), faults: Vec::new() };
    loop {
        let Err(error) = check(&pruned.rest) else { return Some(pruned) };
        if pruned.faults.len() == LEFT_OUT_MAX {
            return None;
        }
        let (rest, what) = without_fault(&pruned.rest, &error.path).ok()?;
        if rest == pruned.rest {
            return None;
        }
        pruned.rest = rest;
        pruned.faults.push(format!("{} ({what})", error.detail));
    }
}

/// The configuration without what is at fault, and what became of that.
fn without_fault(root: &Value, pointer: &str) -> Result<(Value, String), EditError> {
    let path = Path::from_pointer(pointer);
    let segments = path.segments();
    let first = segments.first().ok_or(EditError::NotFound)?;
    let routes_are_named =
        root.member(b"routes").is_some_and(|routes| routes.as_object().is_some());
    let depth = match first.as_bytes() {
        b"routes" => {
            let depth = if routes_are_named { 3 } else { 2 };
            if segments.len() >= depth {
                return without_step(root, &path, depth);
            }
            segments.len()
        }
        b"listeners" | b"applications" | b"upstreams" => 2,
        b"settings" => segments.len(),
        _ => 1,
    };
    // A member that is missing is at fault with what it is missing from.
    let depths = (1..=depth.min(segments.len())).rev();
    let existing =
        depths.map(|depth| path.first(depth)).find(|path| tree::get(root, path).is_some());
    let path = existing.ok_or(EditError::NotFound)?;
    Ok((tree::delete(root, &path)?, format!("{} is left out", path.to_pointer())))
}

/// The configuration with 503 in the place of a step of a route, or of its action.
fn without_step(root: &Value, path: &Path, depth: usize) -> Result<(Value, String), EditError> {
    let step = path.first(depth);
    let refusal = Value::from_iter([("return", Value::from(503))]);
    let action = path.first(depth + 1);
    let is_action = action.segments().get(depth).is_some_and(|name| name.as_bytes() == b"action");
    let changed = if is_action {
        tree::put(root, &action, refusal)
    } else {
        tree::put(root, &step, Value::from_iter([("action", refusal)]))
    };
    Ok((changed?, format!("{} answers 503", step.to_pointer())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Environment, parse, print_compact};

    /// What is left of a configuration on an installation without languages.
    fn pruned(json: &str) -> (String, Vec<String>) {
        let root = parse(json.as_bytes()).unwrap();
        let env = Environment::default();
        let pruned = prune(&root, |value| Config::validate(value, &env).map(drop)).unwrap();
        (String::from_utf8(print_compact(&pruned.rest)).unwrap(), pruned.faults)
    }

    #[track_caller]
    fn expect(json: &str, rest: &str, what: &[&str]) {
        let (found, faults) = pruned(json);
        assert_eq!(found, rest);
        let ends: Vec<&str> =
            faults.iter().map(|fault| fault.rsplit_once(" (").unwrap().1).collect();
        let wanted: Vec<String> = what.iter().map(|what| format!("{what})")).collect();
        assert_eq!(ends, wanted, "{faults:?}");
    }

    #[test]
    fn what_is_valid_stays_as_it_is() {
        let json = r#"{"listeners":{"*:80":{"pass":"routes"}},"routes":[]}"#;
        expect(json, json, &[]);
    }

    #[test]
    fn an_application_without_its_language_goes_alone() {
        expect(
            r#"{"listeners":{"*:80":{"pass":"applications/a"},"*:81":{"pass":"routes"}},"routes":[{"match":{"uri":"/a"},"action":{"pass":"applications/a"}},{"action":{"return":200}}],"applications":{"a":{"type":"python","module":"m"}}}"#,
            r#"{"listeners":{"*:81":{"pass":"routes"}},"routes":[{"match":{"uri":"/a"},"action":{"return":503}},{"action":{"return":200}}],"applications":{}}"#,
            &[
                "/applications/a is left out",
                "/listeners/*:80 is left out",
                "/routes/0 answers 503",
            ],
        );
    }

    #[test]
    fn what_a_later_release_wrote_is_left_out_where_it_stands() {
        expect(
            r#"{"settings":{"http":{"new":1,"idle_timeout":2}},"listeners":{"*:80":{"pass":"routes","guard":"x"},"*:81":{"pass":"routes"}},"routes":[],"metrics":{}}"#,
            r#"{"settings":{"http":{"idle_timeout":2}},"listeners":{"*:81":{"pass":"routes"}},"routes":[]}"#,
            &[
                "/settings/http/new is left out",
                "/listeners/*:80 is left out",
                "/metrics is left out",
            ],
        );
    }

    /// Behind a step that refuses may stand what nobody should reach.
    #[test]
    fn a_step_with_unknown_conditions_refuses_everything() {
        for (routes, rest) in [
            (
                r#"[{"match":{"sorce":"10.0.0.0/8"},"action":{"return":403}},{"action":{"return":200}}]"#,
                r#"[{"action":{"return":503}},{"action":{"return":200}}]"#,
            ),
            (
                r#"{"r":[{"match":{"uri":"/a"},"action":{"share":"/x","fallback":{"pass":"routes/none"}}}]}"#,
                r#"{"r":[{"match":{"uri":"/a"},"action":{"return":503}}]}"#,
            ),
            (r#"[{"match":{"uri":"/a"}}]"#, r#"[{"match":{"uri":"/a"},"action":{"return":503}}]"#),
        ] {
            let (found, faults) = pruned(&format!(r#"{{"routes":{routes}}}"#));
            assert_eq!(found, format!(r#"{{"routes":{rest}}}"#));
            assert_eq!(faults.len(), 1, "{faults:?}");
            assert!(faults[0].ends_with(" answers 503)"), "{faults:?}");
        }
    }

    #[test]
    fn sections_of_the_wrong_kind_are_left_out() {
        for (json, what) in [
            (r#"{"routes":1}"#, "/routes is left out"),
            (r#"{"listeners":[]}"#, "/listeners is left out"),
            (r#"{"access_log":{"path":1}}"#, "/access_log is left out"),
            (r#"{"settings":{"http":1}}"#, "/settings/http is left out"),
        ] {
            expect(json, if json.contains("http") { r#"{"settings":{}}"# } else { "{}" }, &[what]);
        }
    }

    #[test]
    fn what_cannot_be_left_out_gives_nothing() {
        let never = |path: &str| {
            let path = path.to_owned();
            move |_: &Value| {
                Err(ValidationError {
                    detail: String::new(),
                    path: path.clone(),
                    suggestion: None,
                    log: None,
                })
            }
        };
        let root = parse(br#"{"routes":[{}],"a":1}"#).unwrap();
        for path in ["", "/", "/none", "/routes/0", "/a", "/listeners/x"] {
            assert_eq!(prune(&root, never(path)), None, "{path}");
        }
        assert_eq!(prune(&Value::Null, never("")), None);
    }
}
