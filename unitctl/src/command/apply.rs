//! `unitctl apply`: makes the configuration what a file says, if it is not.

use conf::Value;

use super::change::send_change;
use crate::client::{Answer, Client, Method, Request};
use crate::command_line::{ApplyArgs, Format, OutputArgs};
use crate::diff;
use crate::document::{Document, Syntax};
use crate::failure::Failure;
use crate::session::{self, Session};

pub(super) fn run(session: &Session, arguments: &ApplyArgs) -> Result<(), Failure> {
    let syntax = arguments.yaml.then_some(Syntax::Yaml);
    let document = Document::read(&arguments.file, syntax)?;
    let wanted = document.value()?;
    session.each(|client| apply(session, client, arguments, (&document, &wanted)))
}

fn apply(
    session: &Session,
    client: &Client,
    arguments: &ApplyArgs,
    (document, wanted): (&Document, &Value),
) -> Result<(), Failure> {
    let (current, answer) = session::get(client, "/config")?;
    if current == *wanted {
        let sentence = "Nothing to change: the configuration is like that already.";
        return session.print_sentence(sentence, arguments.output);
    }
    if !arguments.quiet {
        show_difference(session, (&current, wanted), arguments.output)?;
    }
    if arguments.ask && !arguments.dry_run {
        if !session.console.can_ask {
            let what = "--ask needs a terminal; nothing was sent".to_owned();
            return Err(Failure::Usage(what));
        }
        if session.console.ask("Apply it? [y/N]", 'n', 'n') != 'y' {
            return Err(Failure::Declined);
        }
    }
    let request = guarded(session, "/config", &answer).with_body(conf::print_compact(wanted));
    match send_change(client, request, arguments.dry_run, Some(document)) {
        Ok(answer) => session.print_success(&answer, arguments.output),
        Err(Failure::Refusal(refusal)) if refusal.is_conflict() => Err(refusal
            .with_hint("Somebody else changed the configuration just now. Apply it again to see.")
            .into()),
        Err(failure) => Err(failure),
    }
}

/// Shows what changes: with the results for people, beside them when they are for programs.
pub(super) fn show_difference(
    session: &Session,
    (old, new): (&Value, &Value),
    output: OutputArgs,
) -> Result<(), Failure> {
    match session.format(output) {
        Format::Text => Ok(session.console.print(diff::unified(old, new, session.console.out))?),
        Format::JsonPretty | Format::Json | Format::Yaml => {
            session.console.say(diff::unified(old, new, session.console.err).trim_end());
            Ok(())
        }
    }
}

/// A PUT that is refused when the value is no longer the one that was answered.
pub(super) fn guarded(session: &Session, target: &str, answer: &Answer) -> Request {
    if answer.etag.is_none() {
        session.console.warn(
            "this daemon gives no tags: a change that somebody else makes meanwhile is not noticed",
        );
    }
    Request { if_match: answer.etag.clone(), ..Request::new(Method::Put, target) }
}
