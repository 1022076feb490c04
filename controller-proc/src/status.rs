//! The value behind `/status`: the modules of the installation and the counters of the router.

use conf::{Language, Value};
use port_proto::{ApplicationStatus, Module, Status};

/// The member `modules`, which does not change while a controller runs. A language with several
/// modules has a list of them, in the order given: the newest first.
#[must_use]
pub(crate) fn modules(modules: &[Module]) -> Value {
    let listed = Language::ALL.into_iter().filter(|language| *language != Language::External);
    let members = listed.filter_map(|language| {
        let name = language.name();
        let mut found: Vec<Value> = modules
            .iter()
            .filter(|module| module.language == name)
            .map(|module| {
                Value::from_iter([
                    ("version", Value::from(module.version.as_str())),
                    ("lib", Value::from(module.file.as_str())),
                ])
            })
            .collect();
        match found.len() {
            0 => None,
            1 => Some((name, found.remove(0))),
            _ => Some((name, Value::from(found))),
        }
    });
    Value::from_iter(members)
}

/// The whole value.
#[must_use]
pub(crate) fn report(modules: &Value, status: &Status) -> Value {
    Value::from_iter([
        ("modules", modules.clone()),
        (
            "connections",
            Value::from_iter([
                ("accepted", Value::from(status.accepted)),
                ("active", Value::from(status.active)),
                ("idle", Value::from(status.idle)),
                ("closed", Value::from(status.closed)),
            ]),
        ),
        ("requests", Value::from_iter([("total", Value::from(status.requests))])),
        ("applications", status.applications.iter().map(application).collect()),
    ])
}

fn application(status: &ApplicationStatus) -> (&str, Value) {
    let value = Value::from_iter([
        (
            "processes",
            Value::from_iter([
                ("running", Value::from(u64::from(status.running))),
                ("starting", Value::from(u64::from(status.starting))),
                ("idle", Value::from(u64::from(status.idle))),
            ]),
        ),
        ("requests", Value::from_iter([("active", Value::from(status.active_requests))])),
    ]);
    (&status.name, value)
}

#[cfg(test)]
mod tests {
    use conf::print_compact;

    use super::*;

    fn module(language: &str, version: &str) -> Module {
        Module {
            language: language.to_owned(),
            version: version.to_owned(),
            file: format!("/m/{language}{version}.unit"),
            mounts: Vec::new(),
        }
    }

    fn compact(value: &Value) -> String {
        String::from_utf8(print_compact(value)).unwrap()
    }

    #[test]
    fn a_fresh_router_has_nothing_but_zeros() {
        let value = report(&modules(&[]), &Status::default());
        assert_eq!(
            compact(&value),
            r#"{"modules":{},"connections":{"accepted":0,"active":0,"idle":0,"closed":0},"requests":{"total":0},"applications":{}}"#
        );
    }

    #[test]
    fn counters_stand_where_they_belong() {
        let application = |name: &str, by: u32| ApplicationStatus {
            name: name.to_owned(),
            running: by + 1,
            starting: by + 2,
            idle: by + 3,
            active_requests: u64::from(by) + 4,
        };
        let status = Status {
            accepted: 4,
            active: 1,
            idle: 2,
            closed: 3,
            requests: u64::MAX,
            applications: vec![application("b/c", 0), application("a", 10)],
        };
        assert_eq!(
            compact(&report(&modules(&[]), &status)),
            r#"{"modules":{},"connections":{"accepted":4,"active":1,"idle":2,"closed":3},"requests":{"total":18446744073709551615},"applications":{"b/c":{"processes":{"running":1,"starting":2,"idle":3},"requests":{"active":4}},"a":{"processes":{"running":11,"starting":12,"idle":13},"requests":{"active":14}}}}"#
        );
    }

    #[test]
    fn modules_are_listed_by_language_and_external_never() {
        let found = [
            module("external", "1"),
            module("wasm", "0.1"),
            module("python", "3.12.1"),
            module("php", "8.3.0"),
            module("python", "3.11.2"),
            module("wasm-wasi-component", "0.2"),
            module("cobol", "1"),
        ];
        assert_eq!(
            compact(&modules(&found)),
            r#"{"python":[{"version":"3.12.1","lib":"/m/python3.12.1.unit"},{"version":"3.11.2","lib":"/m/python3.11.2.unit"}],"php":{"version":"8.3.0","lib":"/m/php8.3.0.unit"},"wasm":{"version":"0.1","lib":"/m/wasm0.1.unit"},"wasm-wasi-component":{"version":"0.2","lib":"/m/wasm-wasi-component0.2.unit"}}"#
        );
    }
}
