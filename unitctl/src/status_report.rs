//! What `/status` says, as numbers and names.

use conf::Value;

/// The whole report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatusReport {
    pub(crate) connections: Connections,
    /// Requests since the router started.
    pub(crate) requests_total: u64,
    pub(crate) applications: Vec<Application>,
    pub(crate) modules: Vec<Module>,
}

/// Client connections of the router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connections {
    pub(crate) accepted: u64,
    pub(crate) active: u64,
    pub(crate) idle: u64,
    pub(crate) closed: u64,
}

/// One application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Application {
    pub(crate) name: String,
    pub(crate) running: u64,
    pub(crate) starting: u64,
    pub(crate) idle: u64,
    /// Requests that it works on or that wait for it.
    pub(crate) active_requests: u64,
}

/// One language module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) language: String,
    pub(crate) version: String,
    pub(crate) file: String,
}

impl StatusReport {
    /// Reads a report; nothing if it is none. A number that is not there counts as none, as not
    /// every version has every member.
    pub(crate) fn read(status: &Value) -> Option<Self> {
        let count = |path: &[&str]| count_at(status, path);
        status.member(b"connections")?.as_object()?;
        let applications = status.member(b"applications")?.as_object()?;
        let applications = applications.iter().map(|(name, application)| Application {
            name: String::from_utf8_lossy(name).into_owned(),
            running: count_at(application, &["processes", "running"]),
            starting: count_at(application, &["processes", "starting"]),
            idle: count_at(application, &["processes", "idle"]),
            active_requests: count_at(application, &["requests", "active"]),
        });
        Some(Self {
            connections: Connections {
                accepted: count(&["connections", "accepted"]),
                active: count(&["connections", "active"]),
                idle: count(&["connections", "idle"]),
                closed: count(&["connections", "closed"]),
            },
            requests_total: count(&["requests", "total"]),
            applications: applications.collect(),
            modules: status.member(b"modules").map(modules).unwrap_or_default(),
        })
    }
}

fn count_at(value: &Value, path: &[&str]) -> u64 {
    let found = path.iter().try_fold(value, |value, name| value.member(name.as_bytes()));
    let Some(Value::Number(number)) = found else { return 0 };
    number.integer().and_then(|number| u64::try_from(number).ok()).unwrap_or(0)
}

/// Several modules of one language stand in an array.
fn modules(value: &Value) -> Vec<Module> {
    let mut found = Vec::new();
    for (language, versions) in value.as_object().into_iter().flatten() {
        let one = std::slice::from_ref(versions);
        for module in versions.as_array().unwrap_or(one) {
            let text = |name: &[u8]| {
                let text = module.member(name).and_then(Value::as_text);
                text.map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
            };
            found.push(Module {
                language: String::from_utf8_lossy(language).into_owned(),
                version: text(b"version"),
                file: text(b"lib"),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<StatusReport> {
        StatusReport::read(&conf::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn every_member_is_read() {
        let report = read(
            r#"{"modules":{"python":[{"version":"3.12","lib":"/a"},{"version":"3.11","lib":"/b"}],
                "php":{"version":"8.2","lib":"/c"}},
            "connections":{"accepted":4,"active":3,"idle":2,"closed":1},"requests":{"total":9},
            "applications":{"a":{"processes":{"running":1,"starting":2,"idle":3},
                "requests":{"active":4}}}}"#,
        )
        .unwrap();
        assert_eq!(report.connections, Connections { accepted: 4, active: 3, idle: 2, closed: 1 });
        assert_eq!(report.requests_total, 9);
        let application = &report.applications[0];
        assert_eq!(
            (
                application.running,
                application.starting,
                application.idle,
                application.active_requests
            ),
            (1, 2, 3, 4)
        );
        let files: Vec<&str> = report.modules.iter().map(|module| module.file.as_str()).collect();
        assert_eq!(files, ["/a", "/b", "/c"]);
    }

    #[test]
    fn what_is_no_report_is_none() {
        for text in ["[]", "{}", r#"{"connections":1,"applications":{}}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        let odd = read(r#"{"connections":{"accepted":-1},"applications":{"a":1}}"#).unwrap();
        assert_eq!(odd.connections.accepted, 0);
        assert_eq!(odd.applications[0].running, 0);
    }
}
