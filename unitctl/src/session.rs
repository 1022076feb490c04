//! What every command has at hand: the options of the connection and the console.

use std::time::{Duration, Instant};

use conf::Value;

use crate::address::Address;
use crate::client::{Answer, Client, Method, Patience, Request};
use crate::command_line::{ConnectionArgs, Format, OutputArgs};
use crate::console::{Console, OutputError};
use crate::discover::{self, DiscoverError};
use crate::document::Document;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::refusal::{Refusal, pointer_of};

/// How often running daemons are looked for while one is waited for.
const WAIT_STEP: Duration = Duration::from_millis(100);

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Session {
    connection: ConnectionArgs,
    pub(crate) console: Console,
}

impl Session {
    /// A run with these options.
    pub(crate) fn new(connection: ConnectionArgs) -> Self {
        Self { connection, console: Console::of_this_process() }
    }

    fn patience(&self) -> Patience {
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        Patience {
            wait_for_socket: self.connection.wait_timeout_seconds.map(seconds),
            tries: self.connection.wait_max_tries,
            answer: (self.connection.timeout > 0).then(|| seconds(self.connection.timeout)),
        }
    }

    /// The addresses that were named, or that of the one daemon there is.
    pub(crate) fn addresses(&self) -> Result<Vec<Address>, Failure> {
        let named = &self.connection.control_socket_address;
        if !named.is_empty() {
            let parsed: Result<Vec<_>, _> = named.iter().map(|text| Address::parse(text)).collect();
            return Ok(parsed?);
        }
        let deadline = Instant::now() + self.patience().total();
        loop {
            match discover::the_one() {
                Ok(address) => return Ok(vec![address]),
                Err(DiscoverError::None { .. }) if Instant::now() < deadline => {
                    std::thread::sleep(WAIT_STEP);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A client of the only daemon that is meant.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let mut addresses = self.addresses()?;
        match addresses.pop() {
            Some(address) if addresses.is_empty() => Ok(Client::new(address, self.patience())?),
            Some(_) | None => Err(Failure::Reported {
                what: "this command is for one daemon; give -s once".to_owned(),
                exit: Exit::SeveralInstances,
            }),
        }
    }

    /// Carries something out on every daemon that is meant. A failure of one does not keep the
    /// others from it.
    pub(crate) fn each(
        &self,
        mut act: impl FnMut(&Client) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let addresses = self.addresses()?;
        if let [address] = addresses.as_slice() {
            return act(&Client::new(address.clone(), self.patience())?);
        }
        let mut failed: Vec<(Address, Exit)> = Vec::new();
        for address in addresses {
            self.console.say(&self.console.err.bold(&address.to_string()));
            let client = Client::new(address.clone(), self.patience());
            if let Err(failure) = client.map_err(Failure::from).and_then(|client| act(&client)) {
                self.report(&failure);
                failed.push((address, failure.exit()));
            }
        }
        match failed.first() {
            None => Ok(()),
            Some((_, exit)) => {
                let names: Vec<String> =
                    failed.iter().map(|(address, _)| address.to_string()).collect();
                let what = format!("failed on {}", names.join(", "));
                Err(Failure::Reported { what, exit: *exit })
            }
        }
    }

    /// Says why a command ended.
    pub(crate) fn report(&self, failure: &Failure) {
        match failure {
            Failure::Output(OutputError::Closed) | Failure::Told(_) => {}
            Failure::Refusal(refusal) if self.connection.json => {
                let mut raw = refusal.raw.clone();
                raw.retain(|&byte| byte != b'\r');
                let _ = self.console.print(raw);
            }
            _ => self.console.say(&format!("{} {failure}", self.console.err.red("unitctl:"))),
        }
    }

    /// How to print a result: as it was asked for, else a table for people and JSON for programs.
    pub(crate) fn format(&self, output: OutputArgs) -> Format {
        match (self.connection.json, output.format) {
            (true, Some(Format::Json)) => Format::Json,
            (true, _) => Format::JsonPretty,
            (false, Some(format)) => format,
            (false, None) if self.console.is_interactive_output => Format::Text,
            (false, None) => Format::JsonPretty,
        }
    }

    /// The format of what always is a value: JSON for people too, unless text is asked for.
    pub(crate) fn value_format(&self, output: OutputArgs) -> Format {
        match (self.format(output), output.format) {
            (Format::Text, None) => Format::JsonPretty,
            (format, _) => format,
        }
    }

    /// Whether JSON was asked for in so many words.
    pub(crate) fn is_json(&self) -> bool {
        self.connection.json
    }

    /// Prints the answer to a change: its sentence for people, itself for programs.
    pub(crate) fn print_success(&self, answer: &Answer, output: OutputArgs) -> Result<(), Failure> {
        let value = answer.value()?;
        let sentence = value.member(b"success").filter(|_| self.format(output) == Format::Text);
        Ok(self.console.print_value(sentence.unwrap_or(&value), self.format(output))?)
    }

    /// Prints a sentence of our own as the daemon would say it.
    pub(crate) fn print_sentence(&self, sentence: &str, output: OutputArgs) -> Result<(), Failure> {
        let value = match self.format(output) {
            Format::Text => Value::from(sentence),
            Format::JsonPretty | Format::Json | Format::Yaml => {
                Value::from_iter([("success", Value::from(sentence))])
            }
        };
        Ok(self.console.print_value(&value, self.format(output))?)
    }
}

/// Asks; an answer that is no success is a failure. `document` is what the body was made of.
pub(crate) fn ask(
    client: &Client,
    request: &Request,
    document: Option<&Document>,
) -> Result<Answer, Failure> {
    let answer = client.send(request)?;
    if answer.is_success() {
        return Ok(answer);
    }
    let mut pointer = pointer_of(&request.target);
    if request.method == Method::Post {
        // What was sent is an element of what the target names, of an index that only the refusal
        // has.
        pointer.push_str("/*");
    }
    Err(Refusal::new(&answer, document.map(|document| (document, pointer.as_str()))).into())
}

/// Asks for a value.
pub(crate) fn get(client: &Client, target: &str) -> Result<(Value, Answer), Failure> {
    let answer = client.get(target)?;
    if !answer.is_success() {
        return Err(Refusal::new(&answer, None).into());
    }
    Ok((answer.value()?, answer))
}
