//! `unitctl config get`, `set`, `append` and `delete`.

use conf::Value;

use crate::client::{Answer, Client, Method, Request};
use crate::command_line::{ChangeArgs, OutputArgs};
use crate::document::{Document, Syntax};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::target;
use crate::visible::visible;

pub(super) fn get(session: &Session, path: &str, output: OutputArgs) -> Result<(), Failure> {
    session.each(|client| {
        let target = target::config(path);
        let got = session::get(client, &target);
        let (value, _) = got.map_err(|failure| explain_absence(client, &target, failure))?;
        Ok(session.console.print_value(&value, session.value_format(output))?)
    })
}

pub(super) fn set(session: &Session, arguments: &ChangeArgs) -> Result<(), Failure> {
    change(session, Method::Put, arguments)
}

pub(super) fn append(session: &Session, arguments: &ChangeArgs) -> Result<(), Failure> {
    change(session, Method::Post, arguments)
}

/// How a value is removed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) dry_run: bool,
    pub(super) yes: bool,
}

pub(super) fn delete(
    session: &Session,
    path: &str,
    manner: Manner,
    output: OutputArgs,
) -> Result<(), Failure> {
    let target = target::config(path);
    if target == "/config" && session.console.can_ask && !manner.yes && !manner.dry_run {
        let question = "This removes the whole configuration. Go on? [y/N]";
        if session.console.ask(question, 'n', 'n') != 'y' {
            return Err(Failure::Declined);
        }
    }
    session.each(|client| {
        let request = Request::new(Method::Delete, target.as_str());
        let answer = send_change(client, request, manner.dry_run, None)?;
        session.print_success(&answer, output)
    })
}

fn change(session: &Session, method: Method, arguments: &ChangeArgs) -> Result<(), Failure> {
    let (value, document) = new_value(arguments)?;
    let target = target::config(&arguments.path);
    session.each(|client| {
        let request = Request::new(method, target.as_str()).with_body(conf::print_compact(&value));
        let answer = send_change(client, request, arguments.dry_run, Some(&document))?;
        session.print_success(&answer, arguments.output)
    })
}

/// The value of the command line, a file or standard input.
fn new_value(arguments: &ChangeArgs) -> Result<(Value, Document), Failure> {
    let syntax = arguments.yaml.then_some(Syntax::Yaml);
    let document = match (&arguments.file, &arguments.value) {
        (Some(file), _) => Document::read(file, syntax)?,
        (None, Some(text)) if arguments.string => {
            let value = Value::from(text.as_str());
            let text = conf::print_compact(&value);
            let document = Document { name: "the value".to_owned(), syntax: Syntax::Json, text };
            return Ok((value, document));
        }
        (None, Some(text)) if text == "-" => Document::read("-", syntax)?,
        (None, Some(text)) => Document {
            name: "the value".to_owned(),
            syntax: syntax.unwrap_or(Syntax::Json),
            text: text.clone().into_bytes(),
        },
        // clap asks for one of them.
        (None, None) => return Err(Failure::Usage("a value or -f FILE is needed".to_owned())),
    };
    match document.value() {
        Ok(value) => Ok((value, document)),
        Err(error) => {
            let Some(text) = arguments.value.as_deref().filter(|text| is_bare_word(text)) else {
                return Err(error.into());
            };
            let quoted = String::from_utf8_lossy(&conf::print_compact(&text.into())).into_owned();
            Err(Failure::Usage(format!(
                "{} is not JSON\n  A string has double quotes, which the shell must leave: \
                 '{}'\n  Or give --string.",
                visible(text),
                visible(&quoted)
            )))
        }
    }
}

/// Text that was most likely meant as a string: it does not even begin as another value.
fn is_bare_word(text: &str) -> bool {
    let text = text.trim_start();
    text != "-"
        && !text.starts_with(['{', '[', '"'])
        && !text.contains('\'')
        && text.chars().all(|character| !character.is_control())
}

/// Sends a change of the configuration, or has it checked only.
pub(super) fn send_change(
    client: &Client,
    mut request: Request,
    dry_run: bool,
    document: Option<&Document>,
) -> Result<Answer, Failure> {
    let target = request.target.clone();
    let explain = |failure| explain_absence(client, &target, failure);
    if !dry_run {
        return session::ask(client, &request, document).map_err(explain);
    }
    // A daemon that does not know of dry runs would make the change. Those that do know give tags.
    let (_, whole) = session::get(client, "/config")?;
    if whole.etag.is_none() {
        return Err(Failure::Reported {
            what: "this daemon cannot check a change without making it; nothing was sent"
                .to_owned(),
            exit: Exit::Refused,
        });
    }
    request.target.push_str("?dry_run=1");
    session::ask(client, &request, document).map_err(explain)
}

/// Says of a value that does not exist where its path ends, and what there is instead.
pub(super) fn explain_absence(client: &Client, target: &str, failure: Failure) -> Failure {
    match failure {
        Failure::Refusal(refusal) if refusal.status == 404 => {
            let config = session::get(client, "/config").map(|(config, _)| config);
            match config.ok().and_then(|config| what_there_is(&config, target)) {
                Some(hint) => refusal.with_hint(&hint).into(),
                None => refusal.into(),
            }
        }
        other => other,
    }
}

/// The most names that are told.
const NAMES_MAX: usize = 20;

fn what_there_is(config: &Value, target: &str) -> Option<String> {
    let path = target.strip_prefix("/config")?;
    let path = conf::tree::Path::parse(path.as_bytes()).ok()?;
    let mut place = config;
    let mut name = "the configuration".to_owned();
    for segment in path.segments() {
        let next = match place {
            Value::Object(object) => object.get(segment),
            Value::Array(array) => {
                segment.to_str().and_then(|index| array.get(index.parse::<usize>().ok()?))
            }
            Value::Null | Value::Boolean(_) | Value::Number(_) | Value::String(_) => None,
        };
        let shown = String::from_utf8_lossy(segment).into_owned();
        let Some(next) = next else {
            let has = match place {
                Value::Object(object) if object.is_empty() => "which is empty".to_owned(),
                Value::Object(object) => {
                    let names = object.iter().take(NAMES_MAX);
                    let names = names.map(|(name, _)| String::from_utf8_lossy(name).into_owned());
                    let more = if object.len() > NAMES_MAX { ", ..." } else { "" };
                    format!("which has {}{more}", names.collect::<Vec<_>>().join(", "))
                }
                Value::Array(array) if array.is_empty() => "which is empty".to_owned(),
                Value::Array(array) if array.len() == 1 => "which has one element".to_owned(),
                Value::Array(array) => format!("which has {} elements", array.len()),
                value => format!("which is {}", value.kind()),
            };
            return Some(visible(&format!("There is no {shown} in {name}, {has}.")).into_owned());
        };
        place = next;
        name = if name == "the configuration" { shown } else { format!("{name}/{shown}") };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(value: &str) -> ChangeArgs {
        ChangeArgs {
            path: "/".to_owned(),
            value: Some(value.to_owned()),
            file: None,
            string: false,
            yaml: false,
            dry_run: false,
            output: OutputArgs { format: None },
        }
    }

    fn message(value: &str) -> String {
        new_value(&arguments(value)).unwrap_err().to_string()
    }

    #[test]
    fn a_bare_word_is_told_how_to_become_a_string() {
        assert!(message("routes").contains("'\"routes\"'\n  Or give --string"));
        assert!(message("applications/shop").contains("'\"applications/shop\"'"));
        assert!(message("{\"a\": }").contains("the value:1:7"));
    }

    #[test]
    fn a_path_that_ends_early_is_told_where() {
        let config = conf::parse(br#"{"routes":[1,{"a":{}}],"x":1}"#).unwrap();
        for (target, hint) in [
            ("/config/rout", "There is no rout in the configuration, which has routes, x."),
            ("/config/routes/7", "There is no 7 in routes, which has 2 elements."),
            ("/config/routes/1/a/b/c", "There is no b in routes/1/a, which is empty."),
            ("/config/x/y", "There is no y in x, which is an integer number."),
        ] {
            assert_eq!(what_there_is(&config, target).as_deref(), Some(hint), "{target}");
        }
        assert_eq!(what_there_is(&config, "/config/x"), None);
    }

    #[test]
    fn text_becomes_a_string_when_that_is_said() {
        let arguments = ChangeArgs { string: true, ..arguments("a \"b\"") };
        assert_eq!(new_value(&arguments).unwrap().0, Value::from("a \"b\""));
    }

    #[test]
    fn a_value_may_be_yaml() {
        let arguments = ChangeArgs { yaml: true, ..arguments("{pass: routes}") };
        let value = new_value(&arguments).unwrap().0;
        assert_eq!(conf::print_compact(&value), br#"{"pass":"routes"}"#);
    }
}
