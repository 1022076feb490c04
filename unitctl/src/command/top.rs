//! `unitctl top`: applications and requests as they change, with rates.

mod frame;
mod screen;

use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use conf::Value;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::client::Client;
use crate::command_line::TopArgs;
use crate::failure::Failure;
use crate::session::{self, Session};
use crate::status_report::StatusReport;
use frame::{Order, Rates, Sample};
use screen::Screen;

/// How soon a key or a signal is noticed.
const KEY_STEP: Duration = Duration::from_millis(100);

pub(super) fn run(session: &Session, arguments: &TopArgs) -> Result<(), Failure> {
    let client = session.client()?;
    let interval = Duration::from_secs_f64(arguments.interval);
    let is_live = session.console.is_interactive_output && session.console.can_ask;
    if is_live && arguments.iterations.is_none() && !session.is_json() {
        return live(client, interval);
    }
    let count = arguments.iterations.unwrap_or(1);
    let mut previous: Option<Sample> = None;
    for number in 0..count {
        if number > 0 {
            thread::sleep(interval);
        }
        let (status, report) = look(&client)?;
        let sample = Sample { report, at: Instant::now() };
        let rates = previous.as_ref().and_then(|previous| Rates::between(previous, &sample));
        if session.is_json() {
            let mut line = conf::print_compact(&describe(status, rates));
            line.push(b'\n');
            session.console.print(line)?;
        } else {
            let separator = if number > 0 { "\n" } else { "" };
            let address = client.address().to_string();
            let text = frame::text(&sample.report, rates, &address, Order::Active);
            session.console.print(format!("{separator}{text}"))?;
        }
        previous = Some(sample);
    }
    Ok(())
}

fn look(client: &Client) -> Result<(Value, StatusReport), Failure> {
    let (status, _) = session::get(client, "/status")?;
    let report = StatusReport::read(&status).ok_or(Failure::UnexpectedAnswer("/status"))?;
    Ok((status, report))
}

/// One sample for programs, rates as numbers for each second; null before there are two samples.
fn describe(status: Value, rates: Option<Rates>) -> Value {
    let number = |rate: Option<f64>| {
        let text = rate.map(|rate| format!("{rate:.1}")).unwrap_or_else(|| "null".to_owned());
        conf::parse(text.as_bytes()).unwrap_or(Value::Null)
    };
    Value::from_iter([
        ("requests_per_second", number(rates.map(|rates| rates.requests))),
        ("connections_per_second", number(rates.map(|rates| rates.connections))),
        ("status", status),
    ])
}

/// Shows it in place until `q`.
fn live(client: Client, interval: Duration) -> Result<(), Failure> {
    let address = client.address().to_string();
    let samples = sample_for_ever(client, interval);
    let failed = |cause| Failure::System { what: "terminal".to_owned(), cause };
    let mut screen = Screen::take().map_err(failed)?;
    let mut previous: Option<Sample> = None;
    let mut latest: Option<Sample> = None;
    let mut trouble: Option<String> = None;
    let mut order = Order::Active;
    loop {
        let rates = match (&previous, &latest) {
            (Some(previous), Some(latest)) => Rates::between(previous, latest),
            _ => None,
        };
        let text = match &latest {
            Some(sample) => frame::text(&sample.report, rates, &address, order),
            None => format!("{address}\n\nwaiting for the first answer\n"),
        };
        let keys = "q quit   a by requests   p by processes   n by name";
        let footer = trouble.as_deref().unwrap_or(keys);
        screen.draw(&text, footer).map_err(failed)?;
        loop {
            if screen.is_told_to_end() {
                return Ok(());
            }
            if let Some(event) = screen.event(KEY_STEP).map_err(failed)? {
                match reaction(&event, order) {
                    Reaction::Quit => return Ok(()),
                    Reaction::Order(chosen) => order = chosen,
                    Reaction::Redraw => {}
                    Reaction::None => continue,
                }
                break;
            }
            match samples.try_recv() {
                Ok(Ok(sample)) => {
                    previous = latest.replace(sample);
                    trouble = None;
                    break;
                }
                Ok(Err(message)) => {
                    trouble = Some(message);
                    break;
                }
                Err(_) => {}
            }
        }
    }
}

enum Reaction {
    Quit,
    Order(Order),
    Redraw,
    None,
}

fn reaction(event: &Event, order: Order) -> Reaction {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else {
        return if matches!(event, Event::Resize(..)) { Reaction::Redraw } else { Reaction::None };
    };
    let is_control = modifiers.contains(KeyModifiers::CONTROL);
    match code {
        KeyCode::Char('c' | 'd') if is_control => Reaction::Quit,
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Reaction::Quit,
        KeyCode::Char('a') => Reaction::Order(Order::Active),
        KeyCode::Char('p') => Reaction::Order(Order::Processes),
        KeyCode::Char('n') => Reaction::Order(Order::Name),
        KeyCode::Char('l') if is_control => Reaction::Order(order),
        _ => Reaction::None,
    }
}

/// Asks again and again in a thread of its own: an answer may take long, and keys must not wait.
fn sample_for_ever(client: Client, interval: Duration) -> Receiver<Result<Sample, String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        loop {
            let looked = look(&client);
            let sample = looked
                .map(|(_, report)| Sample { report, at: Instant::now() })
                // There is one line for it.
                .map_err(|failure| failure.to_string().lines().next().unwrap_or_default().into());
            // Whoever looked at it has left.
            if sender.send(sample).is_err() {
                return;
            }
            thread::sleep(interval);
        }
    });
    receiver
}
