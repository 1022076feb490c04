//! Random sequences of events, with every invariant checked after each.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What may happen next.
#[derive(Clone, Debug)]
enum Event {
    Put(&'static str, &'static str),
    /// A dry run of a PUT.
    Try(&'static str, &'static str),
    Post(&'static str, &'static str),
    Delete(&'static str),
    Read(&'static str),
    Restart,
    /// The open question, if any, is answered: done, or not.
    Answer(bool),
    /// The open question is lost with the peer.
    Lose,
    Find,
    Retry,
}

const PATHS: [&str; 8] = ["", "/a", "/b", "/a/b", "/l", "/l/0", "/l/1", "/x/y"];
const VALUES: [&str; 6] = ["{}", "{\"a\":{}}", "1", "[]", "{\"l\":[1,2]}", "?"];

fn event() -> impl Strategy<Value = Event> {
    let path = || proptest::sample::select(&PATHS[..]);
    let value = || proptest::sample::select(&VALUES[..]);
    prop_oneof![
        4 => (path(), value()).prop_map(|(path, value)| Event::Put(path, value)),
        1 => (path(), value()).prop_map(|(path, value)| Event::Try(path, value)),
        2 => (path(), value()).prop_map(|(path, value)| Event::Post(path, value)),
        2 => path().prop_map(Event::Delete),
        1 => path().prop_map(Event::Read),
        1 => Just(Event::Restart),
        16 => Just(Event::Answer(true)),
        2 => Just(Event::Answer(false)),
        1 => Just(Event::Lose),
        3 => Just(Event::Find),
        1 => Just(Event::Retry),
    ]
}

/// What the world outside knows.
struct World {
    session: Session,
    /// What main has on its disk, compact.
    disk: String,
    /// What the router runs and what it has prepared, if there is one.
    router: Option<(Option<String>, Option<String>)>,
    open: Option<(Step, Asked)>,
    waiting: BTreeSet<u64>,
    last_ticket: u64,
}

enum Asked {
    Router(Question),
    Main(String),
}

impl World {
    fn new() -> Self {
        let stored = present("{\"l\":[0]}");
        Self {
            session: Session::new(&stored, &[], &[], check()),
            disk: "{\"l\":[0]}".to_owned(),
            router: None,
            open: None,
            waiting: BTreeSet::new(),
            last_ticket: 0,
        }
    }

    fn submit(&mut self, operation: Operation) {
        self.last_ticket += 1;
        self.waiting.insert(self.last_ticket);
        self.session.submit(Ticket(self.last_ticket), operation);
    }

    fn edit(&mut self, at: &str, edit: Edit) {
        self.edit_or_try(at, edit, false);
    }

    fn edit_or_try(&mut self, at: &str, edit: Edit, dry_run: bool) {
        let preconditions = Preconditions::default();
        self.submit(Operation::Edit { path: path(at), edit, preconditions, dry_run });
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Put(at, json) => self.edit(at, Edit::Put(json.into())),
            Event::Try(at, json) => self.edit_or_try(at, Edit::Put(json.into()), true),
            Event::Post(at, json) => self.edit(at, Edit::Post(json.into())),
            Event::Delete(at) => self.edit(at, Edit::Delete),
            Event::Read(at) => self.submit(Operation::Status(path(at))),
            Event::Restart => self.submit(Operation::Restart { name: "x".to_owned() }),
            Event::Answer(yes) => self.answer(yes),
            Event::Lose => {
                self.router = None;
                self.session.router_lost();
                if matches!(self.open, Some((_, Asked::Router(_)))) {
                    self.open = None;
                }
            }
            Event::Find => {
                // A router that is replaced took its open question with it.
                if matches!(self.open, Some((_, Asked::Router(_)))) {
                    self.open = None;
                }
                self.router = Some((None, None));
                self.session.router_found();
            }
            Event::Retry => self.session.retry(),
        }
        self.note();
    }

    fn answer(&mut self, yes: bool) {
        let Some((step, asked)) = self.open.take() else { return };
        let answer = match asked {
            Asked::Main(json) if yes => {
                self.disk = json;
                Answer::Done
            }
            Asked::Router(Question::Status) if yes => Answer::Status(Status::default()),
            Asked::Router(question) if yes => {
                let (runs, prepared) = self.router.as_mut().expect("only a router is asked");
                match question {
                    Question::Prepare(_, json) => {
                        assert!(prepared.is_none(), "prepared twice");
                        *prepared = Some(text(&json));
                    }
                    Question::Commit => {
                        assert!(prepared.is_some(), "nothing to commit");
                        *runs = prepared.take();
                        assert_eq!(
                            runs.as_deref(),
                            Some(&self.disk[..]),
                            "runs what is not stored"
                        );
                    }
                    Question::Abort => *prepared = None,
                    Question::Restart(_) | Question::Status => {}
                }
                Answer::Done
            }
            Asked::Router(Question::Commit) => {
                // A router that cannot commit drops what it prepared.
                if let Some((_, prepared)) = &mut self.router {
                    *prepared = None;
                }
                no("no")
            }
            // One that says it cannot abort has nothing more to say about it.
            Asked::Router(Question::Abort) => {
                if let Some((_, prepared)) = &mut self.router {
                    *prepared = None;
                }
                no("no")
            }
            Asked::Router(Question::Prepare(..) | Question::Status | Question::Restart(_))
            | Asked::Main(_) => no("no"),
        };
        self.session.answered(step, answer);
    }

    fn note(&mut self) {
        while let Some(effect) = self.session.next_effect() {
            match effect {
                Effect::Ask(step, question) => {
                    assert!(self.router.is_some(), "nobody to ask");
                    assert!(self.open.replace((step, Asked::Router(question))).is_none());
                }
                Effect::Store(step, json) => {
                    assert!(self.open.replace((step, Asked::Main(text(&json)))).is_none());
                }
                Effect::Answer(Ticket(ticket), response) => {
                    assert!(self.waiting.remove(&ticket), "answered twice");
                    if response == Response::reconfigured() {
                        let (runs, _) = self.router.as_ref().expect("success needs a router");
                        assert_eq!(runs.as_deref(), Some(&self.disk[..]));
                        assert_eq!(self.current(), self.disk);
                    }
                }
                Effect::Alert(_) => {
                    // The default takes the place of a state that cannot be applied, which stays
                    // on the disk until the next update. From here on the disk says nothing.
                    if self.session.standing == sync::Standing::Default {
                        self.disk = self.current();
                    }
                }
                Effect::StoreUpload(..) | Effect::DeleteUpload(..) => {
                    unreachable!("nothing is uploaded")
                }
                Effect::Open | Effect::RetryAfter(_) | Effect::Error(_) => {}
            }
        }
    }

    fn current(&self) -> String {
        text(&print_compact(self.session.config()))
    }

    /// What must hold between events.
    fn check(&self) {
        let storing = matches!(self.open, Some((_, Asked::Main(_))));
        let committing = matches!(self.open, Some((_, Asked::Router(Question::Commit))));
        if !storing && !committing {
            assert_eq!(self.current(), self.disk, "what is visible is on the disk");
        }
        if self.router.is_some() && self.open.is_none() {
            assert!(self.waiting.is_empty(), "somebody waits for nothing");
        }
        assert_eq!(self.session.is_at_rest(), self.waiting.is_empty() && self.open.is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn invariants_hold_whatever_happens(events in proptest::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
            world.check();
        }
        // With a router that agrees, everybody is answered in the end.
        world.happen(Event::Find);
        for _ in 0..4 * world.last_ticket + 20 {
            world.happen(Event::Answer(true));
            world.happen(Event::Retry);
            world.check();
        }
        prop_assert!(world.session.is_at_rest());
        let runs = world.router.and_then(|(runs, _)| runs);
        prop_assert_eq!(runs, Some(world.disk));
    }

    #[test]
    fn edits_agree_with_the_tree_operations(
        edits in proptest::collection::vec(event(), 1..60),
    ) {
        let mut bench = Bench::running("{}");
        let mut model = conf::parse(b"{}").unwrap();
        for (ticket, event) in (1..).zip(edits) {
            let (at, edit, expected) = match event {
                Event::Put(at, json) => (
                    at,
                    Edit::Put(json.into()),
                    conf::parse(json.as_bytes()).ok().and_then(|value| conf::tree::put(&model, &path(at), value).ok()),
                ),
                Event::Post(at, json) => (
                    at,
                    Edit::Post(json.into()),
                    conf::parse(json.as_bytes()).ok().and_then(|value| conf::tree::post(&model, &path(at), value).ok()),
                ),
                Event::Delete(at) => (at, Edit::Delete, conf::tree::delete(&model, &path(at)).ok()),
                Event::Try(..) | Event::Read(_) | Event::Restart | Event::Answer(_) | Event::Lose | Event::Find
                | Event::Retry => continue,
            };
            bench.edit(ticket, at, edit);
            // Only an object can be a configuration.
            if let Some(value) = expected.filter(|value| value.as_object().is_some()) {
                for step in ["prepare", "store", "commit"] {
                    bench.answer(step, Answer::Done);
                }
                prop_assert_eq!(bench.said(), [done(ticket)]);
                model = value;
            } else {
                let said = bench.said();
                prop_assert!(said.len() == 1 && said[0].starts_with(&format!("{ticket} 4")), "{:?}", said);
            }
            prop_assert_eq!(bench.session.config(), &model);
        }
    }
}
