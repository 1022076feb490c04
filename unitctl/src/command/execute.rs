//! `unitctl execute`: a request as it is, and its answer.

use crate::client::{Method, Request};
use crate::command_line::{ExecuteArgs, Format, MethodName};
use crate::document::{Document, Syntax};
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::target;

pub(super) fn run(session: &Session, arguments: &ExecuteArgs) -> Result<(), Failure> {
    let method = match arguments.method {
        MethodName::Get => Method::Get,
        MethodName::Put => Method::Put,
        MethodName::Post => Method::Post,
        MethodName::Delete => Method::Delete,
    };
    let document = match &arguments.file {
        Some(file) => Some(Document::read(file, None)?),
        None => None,
    };
    let body = match &document {
        None => Vec::new(),
        Some(document) if document.syntax == Syntax::Yaml => {
            conf::print_compact(&document.value()?)
        }
        // To the byte: the daemon tells where a mistake is.
        Some(document) => document.text.clone(),
    };
    let format = match session.format(arguments.output) {
        // What was asked for as it is comes as it is.
        Format::Text if arguments.output.format.is_none() => Format::JsonPretty,
        format => format,
    };
    session.each(|client| {
        let request = Request::new(method, target::raw(&arguments.path)).with_body(body.clone());
        let sent_as_it_is = document.as_ref().filter(|document| document.syntax == Syntax::Json);
        let answer = session::ask(client, &request, sent_as_it_is)?;
        Ok(session.console.print_value(&answer.value()?, format)?)
    })
}
