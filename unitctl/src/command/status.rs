//! `unitctl status`: connections, requests, applications and modules, once or again and again.

use std::time::Duration;

use crate::client::Client;
use crate::command_line::{Format, StatusArgs};
use crate::console::Colour;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::status_report::StatusReport;
use crate::table::{Align, Table};
use crate::visible::visible;

/// Goes to the corner of the terminal and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(super) fn run(session: &Session, arguments: &StatusArgs) -> Result<(), Failure> {
    match arguments.watch {
        None => session.each(|client| {
            let text = report(session, client, arguments)?;
            Ok(session.console.print(text)?)
        }),
        Some(interval) => watch(session, arguments, Duration::from_secs_f64(interval)),
    }
}

fn watch(session: &Session, arguments: &StatusArgs, interval: Duration) -> Result<(), Failure> {
    let client = session.client()?;
    let format = format_of(session, arguments);
    let in_place = session.console.is_interactive_output && format == Format::Text;
    loop {
        let text = report(session, &client, arguments)?;
        // In one piece, so that nothing flickers.
        if in_place {
            session.console.print([CLEAR.as_bytes(), &text].concat())?;
        } else {
            session.console.print(text)?;
        }
        std::thread::sleep(interval);
    }
}

fn report(session: &Session, client: &Client, arguments: &StatusArgs) -> Result<Vec<u8>, Failure> {
    let (value, _) = session::get(client, "/status")?;
    Ok(match format_of(session, arguments) {
        Format::Text => {
            let report = StatusReport::read(&value).ok_or(Failure::UnexpectedAnswer("/status"))?;
            let address = client.address().to_string();
            render(&report, &address, session.console.out).into_bytes()
        }
        Format::JsonPretty => crate::document::pretty_json(&value),
        Format::Json => [conf::print_compact(&value), b"\n".to_vec()].concat(),
        Format::Yaml => crate::yaml::print(&value)?.into_bytes(),
    })
}

/// Repeated output is for people to look at, wherever it goes.
fn format_of(session: &Session, arguments: &StatusArgs) -> Format {
    let is_asked_for = session.is_json() || arguments.output.format.is_some();
    if arguments.watch.is_some() && !is_asked_for {
        return Format::Text;
    }
    session.format(arguments.output)
}

fn render(report: &StatusReport, address: &str, colour: Colour) -> String {
    let connections = report.connections;
    let mut text = format!("{}\n\n", colour.bold(&visible(address)));
    text.push_str(&format!(
        "Connections  {} accepted, {} active, {} idle, {} closed\nRequests     {} in all\n",
        connections.accepted,
        connections.active,
        connections.idle,
        connections.closed,
        report.requests_total,
    ));
    let mut applications = Table::new(&[
        ("APPLICATION", Align::Left),
        ("RUNNING", Align::Right),
        ("STARTING", Align::Right),
        ("IDLE", Align::Right),
        ("REQUESTS", Align::Right),
    ]);
    for application in &report.applications {
        applications.row([
            application.name.clone(),
            application.running.to_string(),
            application.starting.to_string(),
            application.idle.to_string(),
            application.active_requests.to_string(),
        ]);
    }
    let mut modules =
        Table::new(&[("MODULE", Align::Left), ("VERSION", Align::Left), ("FILE", Align::Left)]);
    for module in &report.modules {
        modules.row([module.language.clone(), module.version.clone(), module.file.clone()]);
    }
    for (table, none) in [(applications, "no applications"), (modules, "no language modules")] {
        text.push('\n');
        if table.is_empty() {
            text.push_str(&format!("{none}\n"));
        } else {
            text.push_str(&table.to_string());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status_report::{Application, Connections, Module};

    #[test]
    fn a_report_reads_as_a_table() {
        let report = StatusReport {
            connections: Connections { accepted: 10, active: 2, idle: 3, closed: 5 },
            requests_total: 1234,
            applications: vec![Application {
                name: "shop".to_owned(),
                running: 4,
                starting: 1,
                idle: 2,
                active_requests: 7,
            }],
            modules: vec![Module {
                language: "python".to_owned(),
                version: "3.11".to_owned(),
                file: "/m/python3.11.unit".to_owned(),
            }],
        };
        assert_eq!(
            render(&report, "unix:/run/c.sock", Colour::Never),
            "unix:/run/c.sock\n\n\
             Connections  10 accepted, 2 active, 3 idle, 5 closed\n\
             Requests     1234 in all\n\n\
             APPLICATION  RUNNING  STARTING  IDLE  REQUESTS\n\
             shop               4         1     2         7\n\n\
             MODULE  VERSION  FILE\n\
             python  3.11     /m/python3.11.unit\n"
        );
        let none = render(&StatusReport::default(), "a", Colour::Never);
        assert!(none.ends_with("\nno applications\n\nno language modules\n"), "{none}");
    }
}
