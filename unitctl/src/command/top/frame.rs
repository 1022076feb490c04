//! One picture of the live view: totals, rates, applications in an order.

use std::time::Instant;

use crate::status_report::{Application, StatusReport};
use crate::table::{Align, Table};
use crate::visible::visible;

/// A report and when it was made.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) report: StatusReport,
    pub(super) at: Instant,
}

/// What happened in each second between two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rates {
    pub(super) requests: f64,
    pub(super) connections: f64,
}

impl Rates {
    /// The rates; nothing when the counters began anew in between, as they do with a new router.
    pub(super) fn between(before: &Sample, after: &Sample) -> Option<Self> {
        let elapsed = after.at.checked_duration_since(before.at)?.as_secs_f64();
        let rate = |before: u64, after: u64| {
            let difference = after.checked_sub(before)?;
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let rate = difference as f64 / elapsed;
            rate.is_finite().then_some(rate)
        };
        Some(Self {
            requests: rate(before.report.requests_total, after.report.requests_total)?,
            connections: rate(
                before.report.connections.accepted,
                after.report.connections.accepted,
            )?,
        })
    }
}

/// What applications are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Most active requests first.
    Active,
    /// Most processes first.
    Processes,
    /// By name.
    Name,
}

impl Order {
    fn sort(self, applications: &mut [Application]) {
        applications.sort_by(|a, b| {
            let by_count = match self {
                Self::Active => (b.active_requests, b.running).cmp(&(a.active_requests, a.running)),
                Self::Processes => (b.running + b.starting).cmp(&(a.running + a.starting)),
                Self::Name => std::cmp::Ordering::Equal,
            };
            by_count.then_with(|| a.name.cmp(&b.name))
        });
    }
}

/// The picture, its lines as long as they come.
pub(super) fn text(
    report: &StatusReport,
    rates: Option<Rates>,
    address: &str,
    order: Order,
) -> String {
    let rate = |of: fn(Rates) -> f64| {
        rates.map_or_else(|| "-".to_owned(), |rates| format!("{:.1}", of(rates)))
    };
    let connections = report.connections;
    let mut text = format!(
        "{}\n\nRequests     {}/s, {} in all\nConnections  {}/s, {} active, {} idle\n\n",
        visible(address),
        rate(|rates| rates.requests),
        report.requests_total,
        rate(|rates| rates.connections),
        connections.active,
        connections.idle,
    );
    let mut table = Table::new(&[
        ("APPLICATION", Align::Left),
        ("RUNNING", Align::Right),
        ("STARTING", Align::Right),
        ("IDLE", Align::Right),
        ("REQUESTS", Align::Right),
    ]);
    let mut applications = report.applications.clone();
    order.sort(&mut applications);
    for application in applications {
        table.row([
            application.name,
            application.running.to_string(),
            application.starting.to_string(),
            application.idle.to_string(),
            application.active_requests.to_string(),
        ]);
    }
    if table.is_empty() {
        text.push_str("no applications\n");
    } else {
        text.push_str(&table.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::status_report::Connections;

    fn sample(at: Instant, requests_total: u64, accepted: u64) -> Sample {
        let connections = Connections { accepted, ..Connections::default() };
        Sample {
            report: StatusReport { requests_total, connections, ..StatusReport::default() },
            at,
        }
    }

    #[test]
    fn rates_are_what_happened_between_two_samples() {
        let start = Instant::now();
        let before = sample(start, 100, 10);
        let after = sample(start + Duration::from_secs(2), 150, 11);
        assert_eq!(
            Rates::between(&before, &after),
            Some(Rates { requests: 25.0, connections: 0.5 })
        );
        assert_eq!(Rates::between(&after, &before), None);
        assert_eq!(Rates::between(&before, &before), None);
        let anew = sample(start + Duration::from_secs(2), 3, 1);
        assert_eq!(Rates::between(&before, &anew), None);
    }

    #[test]
    fn applications_come_in_the_chosen_order() {
        let application = |name: &str, running, active_requests| Application {
            name: name.to_owned(),
            running,
            active_requests,
            ..Application::default()
        };
        let report = StatusReport {
            applications: vec![
                application("b", 9, 0),
                application("c", 1, 5),
                application("a", 1, 0),
            ],
            ..StatusReport::default()
        };
        for (order, names) in
            [(Order::Active, "cba"), (Order::Processes, "bac"), (Order::Name, "abc")]
        {
            let text = text(&report, None, "unix:/c", order);
            let lines = text.lines().skip_while(|line| !line.starts_with("APPLICATION")).skip(1);
            let shown: String = lines.filter_map(|line| line.chars().next()).collect();
            assert_eq!(shown, names, "{order:?}");
        }
    }

    #[test]
    fn rates_are_not_made_up() {
        let none = text(&StatusReport::default(), None, "a", Order::Name);
        assert!(none.contains("Requests     -/s, 0 in all"), "{none}");
        let some = Rates { requests: 12.34, connections: 0.0 };
        let some = text(&StatusReport::default(), Some(some), "a", Order::Name);
        assert!(some.contains("Requests     12.3/s"), "{some}");
    }
}
