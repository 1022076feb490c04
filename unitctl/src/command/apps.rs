//! `unitctl apps`: what applications there are, and new processes for one.

use conf::Value;

use crate::client::{Method, Request};
use crate::command_line::{Format, OutputArgs};
use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::session::{self, Session};
use crate::status_report::StatusReport;
use crate::table::{Align, Table};
use crate::target;
use crate::visible::visible;

const APPLICATIONS: &str = "/config/applications";

pub(super) fn list(session: &Session, output: OutputArgs) -> Result<(), Failure> {
    session.each(|client| {
        let applications = applications(session::get(client, APPLICATIONS))?;
        match session.format(output) {
            Format::Text => {
                let (status, _) = session::get(client, "/status")?;
                let report = StatusReport::read(&status);
                let report = report.ok_or(Failure::UnexpectedAnswer("/status"))?;
                Ok(session.console.print(table(&applications, &report))?)
            }
            format => Ok(session.console.print_value(&applications, format)?),
        }
    })
}

/// A configuration need not have the member.
fn applications<T>(got: Result<(Value, T), Failure>) -> Result<Value, Failure> {
    match got {
        Ok((applications, _)) => Ok(applications),
        Err(Failure::Refusal(Refusal { status: 404, .. })) => Ok(Value::empty_object()),
        Err(failure) => Err(failure),
    }
}

fn table(applications: &Value, report: &StatusReport) -> String {
    let mut table = Table::new(&[
        ("APPLICATION", Align::Left),
        ("TYPE", Align::Left),
        ("RUNNING", Align::Right),
        ("IDLE", Align::Right),
        ("REQUESTS", Align::Right),
    ]);
    for (name, application) in applications.as_object().into_iter().flatten() {
        let name = String::from_utf8_lossy(name).into_owned();
        let kind = application.member(b"type").and_then(Value::as_text);
        let kind = kind.map(|kind| String::from_utf8_lossy(kind).into_owned()).unwrap_or_default();
        let now = report.applications.iter().find(|reported| reported.name == name);
        let count = |of: fn(&crate::status_report::Application) -> u64| {
            now.map_or_else(|| "-".to_owned(), |now| of(now).to_string())
        };
        let counts =
            [count(|now| now.running), count(|now| now.idle), count(|now| now.active_requests)];
        table.row([name, kind].into_iter().chain(counts));
    }
    if table.is_empty() { "no applications\n".to_owned() } else { table.to_string() }
}

pub(super) fn restart(session: &Session, name: &str, output: OutputArgs) -> Result<(), Failure> {
    session.each(|client| {
        let request = Request::new(Method::Get, target::restart(name));
        match session::ask(client, &request, None) {
            Ok(answer) if session.format(output) == Format::Text => {
                answer.value()?;
                let sentence = format!("Application \"{}\" restarts.", visible(name));
                session.print_sentence(&sentence, output)
            }
            Ok(answer) => session.print_success(&answer, output),
            Err(Failure::Refusal(refusal)) if refusal.status == 404 => {
                let known = applications(session::get(client, APPLICATIONS))?;
                Err(refusal.with_hint(&what_there_is(name, &known)).into())
            }
            Err(failure) => Err(failure),
        }
    })
}

fn what_there_is(name: &str, applications: &Value) -> String {
    let names = applications.as_object().into_iter().flatten();
    let names = names.map(|(name, _)| String::from_utf8_lossy(name).into_owned());
    let names: Vec<String> = names.collect();
    if names.iter().any(|known| known == name) {
        return format!(
            "Application \"{}\" is there, but its name cannot be said in a request.",
            visible(name)
        );
    }
    let known: Vec<String> = names.iter().map(|name| format!("\"{}\"", visible(name))).collect();
    match known.as_slice() {
        [] => "There are no applications.".to_owned(),
        known => {
            format!(
                "No application is called \"{}\"; there is {}.",
                visible(name),
                known.join(", ")
            )
        }
    }
}
