//! `unitctl edit` and `unitctl config edit`: a value in the user's editor, and back.

use conf::Value;

use super::apply::{guarded, show_difference};
use super::change::{explain_absence, send_change};
use crate::client::{Answer, Client};
use crate::command_line::EditArgs;
use crate::document::{self, Document, Syntax};
use crate::editor::{self, EditedFile};
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::target;
use crate::visible::visible;

pub(super) fn run(session: &Session, arguments: &EditArgs) -> Result<(), Failure> {
    let client = session.client()?;
    let editor = editor::choose()?;
    let target = target::config(&arguments.path);
    let got = session::get(&client, &target);
    let (current, answer) = got.map_err(|failure| explain_absence(&client, &target, failure))?;
    let syntax = if arguments.yaml { Syntax::Yaml } else { Syntax::Json };
    let extension = if arguments.yaml { ".yaml" } else { ".json" };
    let original = document::print(&current, syntax)?;
    let file = EditedFile::new(&original, extension)?;
    let edit =
        Edit { session, client: &client, arguments, editor, target, current, answer, syntax };
    match edit.rounds(&file, &original) {
        Ok(()) => {
            file.remove();
            Ok(())
        }
        Err(failure) => {
            session.report(&failure);
            // An editor that failed has told where the text is.
            if !matches!(failure, Failure::Editor(_)) {
                let path = file.path().display().to_string();
                session.console.say(&format!("Your text is kept in {}", visible(&path)));
            }
            Err(Failure::Told(failure.exit()))
        }
    }
}

struct Edit<'a> {
    session: &'a Session,
    client: &'a Client,
    arguments: &'a EditArgs,
    editor: String,
    target: String,
    current: Value,
    answer: Answer,
    syntax: Syntax,
}

/// What comes after a mistake.
enum Next {
    EditAgain,
    Stop,
}

impl Edit<'_> {
    /// Edits until it is sent, nothing is left to send, or the user has enough.
    fn rounds(&self, file: &EditedFile, original: &[u8]) -> Result<(), Failure> {
        loop {
            let text = file.edit(&self.editor)?;
            if text == original {
                return self.session.print_sentence("Nothing was changed.", self.arguments.output);
            }
            let name = file.path().display().to_string();
            let document = Document { name, syntax: self.syntax, text };
            let wanted = match document.value() {
                Ok(wanted) => wanted,
                Err(error) => match self.after_mistake(error.into())? {
                    Next::EditAgain => continue,
                    Next::Stop => return Err(Failure::Declined),
                },
            };
            if wanted == self.current {
                return self.session.print_sentence("Nothing was changed.", self.arguments.output);
            }
            show_difference(self.session, (&self.current, &wanted), self.arguments.output)?;
            if self.must_ask() {
                match self.session.console.ask("Send it? [Y]es, [e]dit again, [n]o:", 'y', 'n') {
                    'y' => {}
                    'e' => continue,
                    _ => return Err(Failure::Declined),
                }
            }
            match self.send(&document, &wanted) {
                Ok(answer) => return self.session.print_success(&answer, self.arguments.output),
                Err(Failure::Refusal(refusal)) if refusal.is_conflict() => {
                    let hint = "Somebody else changed it while you were editing; \
                                nothing of yours was sent.";
                    return Err(refusal.with_hint(hint).into());
                }
                Err(Failure::Refusal(refusal)) => match self.after_mistake(refusal.into())? {
                    Next::EditAgain => {}
                    Next::Stop => return Err(Failure::Declined),
                },
                Err(failure) => return Err(failure),
            }
        }
    }

    fn must_ask(&self) -> bool {
        self.session.console.can_ask && !self.arguments.yes
    }

    fn send(&self, document: &Document, wanted: &Value) -> Result<Answer, Failure> {
        let request = guarded(self.session, &self.target, &self.answer)
            .with_body(conf::print_compact(wanted));
        send_change(self.client, request, self.arguments.dry_run, Some(document))
    }

    /// Tells of a mistake, and offers to mend it to whoever is there.
    fn after_mistake(&self, failure: Failure) -> Result<Next, Failure> {
        if !self.session.console.can_ask {
            return Err(failure);
        }
        self.session.report(&failure);
        match self.session.console.ask("Edit again? [Y/n]", 'y', 'n') {
            'y' => Ok(Next::EditAgain),
            _ => Ok(Next::Stop),
        }
    }
}
