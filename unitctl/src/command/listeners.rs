//! `unitctl listeners`: where the daemon listens, and where requests go from there.

use conf::Value;

use crate::command_line::{Format, OutputArgs};
use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::session::{self, Session};
use crate::table::{Align, Table};

pub(super) fn run(session: &Session, output: OutputArgs) -> Result<(), Failure> {
    session.each(|client| {
        let listeners = match session::get(client, "/config/listeners") {
            Ok((listeners, _)) => listeners,
            // A configuration need not have the member.
            Err(Failure::Refusal(Refusal { status: 404, .. })) => Value::empty_object(),
            Err(failure) => return Err(failure),
        };
        match session.format(output) {
            Format::Text => Ok(session.console.print(table(&listeners))?),
            format => Ok(session.console.print_value(&listeners, format)?),
        }
    })
}

fn table(listeners: &Value) -> String {
    let mut table = Table::new(&[
        ("LISTENER", Align::Left),
        ("PASS", Align::Left),
        ("CERTIFICATE", Align::Left),
    ]);
    for (address, listener) in listeners.as_object().into_iter().flatten() {
        let text = |value: Option<&Value>| match value {
            None => String::new(),
            Some(Value::String(text)) => String::from_utf8_lossy(text).into_owned(),
            Some(value) => String::from_utf8_lossy(&conf::print_compact(value)).into_owned(),
        };
        table.row([
            String::from_utf8_lossy(address).into_owned(),
            text(listener.member(b"pass").or_else(|| listener.member(b"action"))),
            text(listener.member(b"tls").and_then(|tls| tls.member(b"certificate"))),
        ]);
    }
    if table.is_empty() { "no listeners\n".to_owned() } else { table.to_string() }
}
