//! The supervisor driven step by step, then by seeds with every kind of fault.

use proptest::prelude::*;

use super::*;

const CRASH: Ending = Ending::Signal { number: 11, core_dumped: true };
const KILLED: Ending = Ending::Signal { number: 9, core_dumped: false };

/// A supervisor with a clock, and processes that do what they are told to.
struct World {
    supervisor: Supervisor,
    now: Instant,
    next_pid: i32,
    done: Vec<Action>,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        Self { supervisor: Supervisor::new(Pid(1), now), now, next_pid: 100, done: Vec::new() }
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.supervisor.next_action()).collect()
    }

    fn start(&mut self, role: Role) -> Identity {
        self.next_pid += 1;
        self.supervisor.started(role, Pid(self.next_pid), self.now)
    }

    fn start_and_connect(&mut self, role: Role) -> Identity {
        let identity = self.start(role);
        self.supervisor.connected(identity);
        identity
    }

    /// Discovery, its report, then controller and router; no actions left over.
    fn running() -> (Self, Identity, Identity) {
        let mut world = Self::new();
        assert_eq!(world.actions(), [Action::Start(CoreRole::Discovery)]);
        let discovery = world.start_and_connect(Role::Discovery);
        assert_eq!(world.actions(), [Action::SetUp(discovery)]);
        assert!(world.supervisor.report_arrived(discovery, world.now));
        assert_eq!(
            world.actions(),
            [
                Action::Quit(discovery, Quit::Fast),
                Action::Start(CoreRole::Controller),
                Action::Start(CoreRole::Router),
            ]
        );
        world.exit(discovery, Ending::Code(0));
        let controller = world.start_and_connect(Role::Controller);
        let router = world.start_and_connect(Role::Router);
        assert_eq!(
            world.actions(),
            [
                Action::Forget(discovery),
                Action::SetUp(controller),
                Action::SetUp(router),
                Action::Introduce(router, controller),
            ]
        );
        (world, controller, router)
    }

    fn prototype(&mut self, router: Identity) -> Identity {
        let prototype = self.start_and_connect(Role::Prototype);
        self.supervisor.prototype_known(prototype, router);
        assert_eq!(self.actions(), [Action::SetUp(prototype)]);
        prototype
    }

    fn exit(&mut self, identity: Identity, ending: Ending) {
        assert_eq!(self.supervisor.exited(identity.pid, ending, self.now), Some(identity));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.supervisor.tick(self.now);
    }
}

#[test]
fn a_hello_that_is_heard_after_the_end_connects_nobody() {
    let (mut world, _, router) = World::running();
    let prototype = world.start(Role::Prototype);
    assert_eq!(world.supervisor.starting().collect::<Vec<_>>(), [prototype]);
    world.exit(prototype, KILLED);
    assert_eq!(world.actions(), [Action::Forget(prototype)]);
    assert!(!world.supervisor.connected(prototype));
    assert_eq!(world.actions(), []);
    assert!(world.supervisor.is_reachable(router));
    assert_eq!(world.supervisor.starting().count(), 0);
}

#[test]
fn controller_and_router_start_without_discovery_when_it_dies() {
    let mut world = World::new();
    world.actions();
    let discovery = world.start(Role::Discovery);
    world.exit(discovery, CRASH);
    // Once may be chance.
    assert_eq!(world.actions(), [Action::Forget(discovery), Action::Start(CoreRole::Discovery)]);
    let discovery = world.start_and_connect(Role::Discovery);
    assert_eq!(world.actions(), [Action::SetUp(discovery)]);
    world.exit(discovery, KILLED);
    assert_eq!(
        world.actions(),
        [
            Action::Forget(discovery),
            Action::DiscoveryFailed,
            Action::Start(CoreRole::Controller),
            Action::Start(CoreRole::Router),
        ]
    );
}

#[test]
fn a_hanging_discovery_is_killed_and_its_late_report_ignored() {
    let mut world = World::new();
    world.actions();
    let discovery = world.start_and_connect(Role::Discovery);
    world.actions();
    assert_eq!(world.supervisor.deadline(), Some(world.now + DISCOVERY_LIMIT));
    world.pass(DISCOVERY_LIMIT);
    assert_eq!(
        world.actions(),
        [
            Action::DiscoveryFailed,
            Action::Start(CoreRole::Controller),
            Action::Start(CoreRole::Router),
            Action::Signal(discovery, Signal::SIGKILL),
        ]
    );
    assert!(!world.supervisor.report_arrived(discovery, world.now));
    assert_eq!(world.actions(), []);
}

#[test]
fn a_report_is_taken_from_the_discovery_only_and_once() {
    let mut world = World::new();
    world.actions();
    let discovery = world.start_and_connect(Role::Discovery);
    let router = Identity { role: Role::Router, ..discovery };
    let another = Identity { generation: Generation(99), ..discovery };
    assert!(!world.supervisor.report_arrived(router, world.now));
    assert!(!world.supervisor.report_arrived(another, world.now));
    assert!(world.supervisor.report_arrived(discovery, world.now));
    assert!(!world.supervisor.report_arrived(discovery, world.now));
}

#[test]
fn a_report_while_stopping_starts_nothing() {
    let mut world = World::new();
    world.actions();
    let discovery = world.start_and_connect(Role::Discovery);
    world.supervisor.stop(Quit::Fast, world.now);
    assert!(!world.supervisor.report_arrived(discovery, world.now));
    world.exit(discovery, Ending::Code(0));
    assert_eq!(
        world.actions(),
        [
            Action::SetUp(discovery),
            Action::Quit(discovery, Quit::Fast),
            Action::Forget(discovery),
            Action::Exit { failed: false },
        ]
    );
}

#[test]
fn a_lost_router_is_told_of_restarted_and_takes_its_prototypes_along() {
    let (mut world, controller, router) = World::running();
    let prototype = world.prototype(router);
    let starting = world.start(Role::Prototype);
    world.pass(LIVED);
    world.exit(router, CRASH);
    assert_eq!(
        world.actions(),
        [
            Action::Forget(router),
            Action::TellLost { told: controller, lost: router },
            Action::Quit(prototype, Quit::Fast),
            Action::Start(CoreRole::Router),
        ]
    );
    world.pass(Duration::ZERO);
    assert_eq!(world.actions(), [Action::Signal(starting, Signal::SIGKILL)]);
    let next = world.start_and_connect(Role::Router);
    assert_ne!(next, router);
    assert_eq!(world.actions(), [Action::SetUp(next), Action::Introduce(next, controller)]);
    // The next router never had the old prototypes, so it does not hear of their end.
    world.exit(starting, KILLED);
    world.pass(PROTOTYPE_LIMIT);
    world.pass(TERM_LIMIT);
    world.exit(prototype, KILLED);
    assert_eq!(
        world.actions(),
        [
            Action::Forget(starting),
            Action::Signal(prototype, Signal::SIGTERM),
            Action::Signal(prototype, Signal::SIGKILL),
            Action::Forget(prototype),
        ]
    );
}

#[test]
fn a_prototype_that_hung_up_keeps_its_time_when_the_router_ends() {
    let (mut world, _, router) = World::running();
    let prototype = world.prototype(router);
    world.pass(LIVED);
    // Both end at once, and the prototype closed its port first.
    world.supervisor.hung_up(prototype, world.now);
    world.exit(router, Ending::Code(0));
    world.actions();
    world.pass(Duration::ZERO);
    assert_eq!(world.actions(), []);
    world.pass(LINGER_LIMIT);
    assert_eq!(world.actions(), [Action::Signal(prototype, Signal::SIGKILL)]);
}

#[test]
fn a_prototype_that_refuses_is_not_killed_while_it_ends() {
    let (mut world, _, _) = World::running();
    let prototype = world.start_and_connect(Role::Prototype);
    world.actions();
    world.supervisor.prototype_failed(prototype, world.now);
    world.pass(Duration::ZERO);
    assert_eq!(world.actions(), []);
    world.pass(LINGER_LIMIT);
    assert_eq!(world.actions(), [Action::Signal(prototype, Signal::SIGKILL)]);
}

#[test]
fn a_lost_controller_disturbs_nothing() {
    let (mut world, controller, router) = World::running();
    world.prototype(router);
    world.exit(controller, KILLED);
    assert_eq!(
        world.actions(),
        [
            Action::Forget(controller),
            Action::TellLost { told: router, lost: controller },
            Action::Start(CoreRole::Controller),
        ]
    );
}

#[test]
fn the_router_hears_of_prototypes_it_was_given_and_of_no_others() {
    let (mut world, _, router) = World::running();
    let known = world.prototype(router);
    let unknown = world.start_and_connect(Role::Prototype);
    world.actions();
    world.exit(known, KILLED);
    world.exit(unknown, Ending::Code(1));
    assert_eq!(
        world.actions(),
        [
            Action::Forget(known),
            Action::TellLost { told: router, lost: known },
            Action::Forget(unknown),
        ]
    );
}

#[test]
fn a_role_that_keeps_failing_is_started_less_and_less_often() {
    let (mut world, _, mut router) = World::running();
    let mut delays = Vec::new();
    for _ in 0..9 {
        world.exit(router, CRASH);
        let before = world.now;
        while !world.actions().contains(&Action::Start(CoreRole::Router)) {
            let due = world.supervisor.deadline().unwrap();
            world.pass(due - world.now);
        }
        delays.push((world.now - before).as_secs());
        router = world.start_and_connect(Role::Router);
    }
    assert_eq!(delays, [0, 1, 2, 4, 8, 16, 30, 30, 30]);
    // Once it has worked for a while it is forgiven.
    world.pass(LIVED);
    world.exit(router, CRASH);
    assert!(world.actions().contains(&Action::Start(CoreRole::Router)));
}

#[test]
fn a_role_that_others_kill_is_back_soon_every_time() {
    let (mut world, _, mut router) = World::running();
    for _ in 0..100 {
        world.exit(router, KILLED);
        let before = world.now;
        while !world.actions().contains(&Action::Start(CoreRole::Router)) {
            let due = world.supervisor.deadline().unwrap();
            world.pass(due - world.now);
        }
        assert!(world.now - before <= DELAY_KILLED_MAX);
        router = world.start_and_connect(Role::Router);
    }
}

#[test]
fn a_failure_at_the_first_start_ends_the_daemon() {
    for step in 0..4 {
        let mut world = World::new();
        world.actions();
        world.supervisor.start_failed(CoreRole::Discovery, world.now);
        assert_eq!(world.actions().len(), 3);
        let mut left = None;
        match step {
            0 => world.supervisor.start_failed(CoreRole::Controller, world.now),
            1 => {
                left = Some(world.start_and_connect(Role::Controller));
                world.supervisor.start_failed(CoreRole::Router, world.now);
            }
            2 => {
                let router = world.start(Role::Router);
                world.supervisor.connect_failed(router, world.now);
                left = Some(router);
            }
            _ => {
                let router = world.start(Role::Router);
                world.exit(router, Ending::Code(127));
            }
        }
        assert!(world.supervisor.is_stopping(), "{step}");
        if let Some(left) = left {
            world.exit(left, Ending::Code(0));
        }
        assert_eq!(world.actions().last(), Some(&Action::Exit { failed: true }), "{step}");
    }
}

#[test]
fn a_role_that_somebody_kills_at_the_first_start_is_started_again() {
    let mut world = World::new();
    world.actions();
    let discovery = world.start_and_connect(Role::Discovery);
    world.supervisor.report_arrived(discovery, world.now);
    let controller = world.start(Role::Controller);
    let router = world.start(Role::Router);
    world.actions();
    world.supervisor.hung_up(controller, world.now);
    world.exit(controller, KILLED);
    assert_eq!(world.actions(), [Action::Forget(controller), Action::Start(CoreRole::Controller)]);
    world.exit(router, CRASH);
    world.pass(Duration::ZERO);
    assert!(world.supervisor.is_stopping());
}

#[test]
fn a_start_failure_later_is_tried_again() {
    let (mut world, _, router) = World::running();
    world.exit(router, CRASH);
    world.actions();
    world.supervisor.start_failed(CoreRole::Router, world.now);
    assert_eq!(world.actions(), [Action::Delayed(CoreRole::Router, Duration::from_secs(1))]);
    let router = {
        world.pass(Duration::from_secs(1));
        assert_eq!(world.actions(), [Action::Start(CoreRole::Router)]);
        world.start(Role::Router)
    };
    world.supervisor.connect_failed(router, world.now);
    world.pass(Duration::ZERO);
    assert_eq!(world.actions(), [Action::Signal(router, Signal::SIGKILL)]);
}

#[test]
fn a_stop_lets_the_router_finish_before_its_prototypes() {
    for how in [Quit::Fast, Quit::Graceful] {
        let (mut world, controller, router) = World::running();
        let prototype = world.prototype(router);
        world.supervisor.stop(how, world.now);
        assert_eq!(world.actions(), [Action::Quit(controller, how), Action::Quit(router, how)]);
        // What it accepted may need another prototype.
        let late = world.start_and_connect(Role::Prototype);
        assert_eq!(world.actions(), []);
        world.exit(controller, Ending::Code(0));
        world.exit(router, Ending::Code(0));
        let actions = world.actions();
        assert!(actions.contains(&Action::Quit(prototype, how)));
        assert!(actions.contains(&Action::Quit(late, how)));
        world.exit(prototype, Ending::Code(0));
        world.exit(late, Ending::Code(0));
        assert_eq!(
            world.actions(),
            [Action::Forget(prototype), Action::Forget(late), Action::Exit { failed: false }]
        );
    }
}

#[test]
fn a_stuck_stop_escalates_and_is_over_in_time() {
    let (mut world, controller, router) = World::running();
    let prototype = world.prototype(router);
    let begin = world.now;
    world.supervisor.stop(Quit::Fast, world.now);
    world.exit(controller, Ending::Code(0));
    world.actions();
    let mut signals = Vec::new();
    while let Some(due) = world.supervisor.deadline() {
        world.pass(due - world.now);
        for action in world.actions() {
            match action {
                Action::Signal(identity, signal) => {
                    signals.push((identity.role, signal));
                    if signal == Signal::SIGKILL {
                        world.exit(identity, KILLED);
                    }
                }
                Action::Exit { failed } => world.done.push(Action::Exit { failed }),
                other => {
                    assert!(matches!(other, Action::Quit(..) | Action::Forget(_)), "{other:?}")
                }
            }
        }
    }
    world.done.extend(world.supervisor.next_action());
    assert!(signals.contains(&(prototype.role, Signal::SIGTERM)));
    assert_eq!(signals.iter().filter(|(_, signal)| *signal == Signal::SIGKILL).count(), 2);
    assert!(world.now - begin <= Duration::from_secs(15));
}

#[test]
fn a_second_order_hurries_a_graceful_stop_and_nothing_slows_a_fast_one() {
    let (mut world, controller, router) = World::running();
    world.supervisor.stop(Quit::Graceful, world.now);
    world.actions();
    assert_eq!(world.supervisor.deadline(), Some(world.now + STOP_GRACEFUL_LIMIT));
    world.supervisor.stop(Quit::Fast, world.now);
    assert_eq!(
        world.actions(),
        [Action::Quit(controller, Quit::Fast), Action::Quit(router, Quit::Fast)]
    );
    assert_eq!(world.supervisor.deadline(), Some(world.now + STOP_FAST_LIMIT));
    world.supervisor.stop(Quit::Graceful, world.now);
    assert_eq!(world.actions(), []);
    assert_eq!(world.supervisor.deadline(), Some(world.now + STOP_FAST_LIMIT));
}

#[test]
fn a_process_that_drops_its_port_does_not_linger() {
    let (mut world, _, router) = World::running();
    world.supervisor.hung_up(router, world.now);
    assert!(!world.supervisor.is_reachable(router));
    world.pass(LINGER_LIMIT);
    assert_eq!(world.actions(), [Action::Signal(router, Signal::SIGKILL)]);
}

#[test]
fn a_reused_pid_is_another_process() {
    let (mut world, _, router) = World::running();
    world.exit(router, CRASH);
    world.actions();
    let next = world.supervisor.started(Role::Router, router.pid, world.now);
    world.supervisor.connected(next);
    world.actions();
    world.supervisor.hung_up(router, world.now);
    world.supervisor.connect_failed(router, world.now);
    world.supervisor.prototype_failed(router, world.now);
    assert!(world.supervisor.is_reachable(next));
    world.pass(LINGER_LIMIT);
    assert_eq!(world.actions(), []);
    assert_eq!(world.supervisor.exited(Pid(9999), CRASH, world.now), None);
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Fault {
    Pass(u16),
    Exit(u8, u8),
    HangUp(u8),
    NoHello(u8),
    Prototype,
    Report,
    Stop(bool),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        6 => (0..4000_u16).prop_map(Fault::Pass),
        4 => (any::<u8>(), any::<u8>()).prop_map(|(who, how)| Fault::Exit(who, how)),
        2 => any::<u8>().prop_map(Fault::HangUp),
        1 => any::<u8>().prop_map(Fault::NoHello),
        3 => Just(Fault::Prototype),
        3 => Just(Fault::Report),
        1 => any::<bool>().prop_map(Fault::Stop),
    ]
}

/// Carries out actions as a kernel would, and checks after each that it makes sense.
struct Kernel {
    world: World,
    /// Who runs, and whether it said hello.
    alive: BTreeMap<Pid, (Identity, bool)>,
    exited: Option<bool>,
    refuse_start: bool,
}

impl Kernel {
    fn settle(&mut self) {
        while let Some(action) = self.world.supervisor.next_action() {
            assert_eq!(self.exited, None, "{action:?} after the end");
            match action {
                Action::Start(role) => {
                    let role_of = role.role();
                    assert!(!self.world.supervisor.is_stopping());
                    assert!(
                        !self.alive.values().any(|(identity, _)| identity.role == role_of),
                        "two of {role_of:?}"
                    );
                    self.refuse_start = !self.refuse_start;
                    if self.refuse_start && role_of == Role::Router {
                        self.world.supervisor.start_failed(role, self.world.now);
                    } else {
                        let identity = self.world.start(role_of);
                        self.alive.insert(identity.pid, (identity, true));
                        self.world.supervisor.connected(identity);
                    }
                }
                Action::SetUp(who) | Action::Quit(who, _) => self.assert_hears(who),
                Action::Introduce(a, b) => {
                    self.assert_hears(a);
                    self.assert_hears(b);
                }
                Action::TellLost { told, lost } => {
                    self.assert_hears(told);
                    assert!(!self.alive.contains_key(&lost.pid));
                }
                Action::Signal(who, signal) => {
                    let (identity, _) = self.alive[&who.pid];
                    assert_eq!(identity, who);
                    if signal == Signal::SIGKILL {
                        self.exit(who.pid, KILLED);
                    }
                }
                Action::Forget(who) => assert!(!self.alive.contains_key(&who.pid)),
                Action::DiscoveryFailed | Action::Delayed(..) => {}
                Action::Exit { failed } => {
                    assert!(self.alive.is_empty(), "left behind: {:?}", self.alive);
                    self.exited = Some(failed);
                }
            }
        }
    }

    fn assert_hears(&self, who: Identity) {
        if let Some((identity, _)) = self.alive.get(&who.pid) {
            assert_eq!(*identity, who);
        }
    }

    fn exit(&mut self, pid: Pid, ending: Ending) {
        let (identity, _) = self.alive.remove(&pid).unwrap();
        assert_eq!(self.world.supervisor.exited(pid, ending, self.world.now), Some(identity));
    }

    fn pick(&self, which: u8) -> Option<Identity> {
        let count = self.alive.len();
        let at = usize::from(which).checked_rem(count)?;
        self.alive.values().nth(at).map(|(identity, _)| *identity)
    }

    fn apply(&mut self, fault: &Fault) {
        let now = self.world.now;
        match *fault {
            Fault::Pass(ms) => self.world.pass(Duration::from_millis(ms.into())),
            Fault::Exit(which, how) => {
                if let Some(who) = self.pick(which) {
                    let ending = match how % 4 {
                        0 => Ending::Code(0),
                        1 => Ending::Code(1),
                        2 => KILLED,
                        _ => CRASH,
                    };
                    self.exit(who.pid, ending);
                }
            }
            Fault::HangUp(which) => {
                if let Some(who) = self.pick(which) {
                    self.world.supervisor.hung_up(who, now);
                }
            }
            Fault::NoHello(which) => {
                if let Some(who) = self.pick(which) {
                    self.world.supervisor.connect_failed(who, now);
                }
            }
            Fault::Prototype => {
                let router = self.alive.values().find(|(who, _)| who.role == Role::Router);
                if let Some((router, _)) = router.copied() {
                    let identity = self.world.start(Role::Prototype);
                    self.alive.insert(identity.pid, (identity, true));
                    self.world.supervisor.connected(identity);
                    self.world.supervisor.prototype_known(identity, router);
                }
            }
            Fault::Report => {
                let who = self.alive.values().find(|(who, _)| who.role == Role::Discovery);
                if let Some((who, _)) = who.copied() {
                    self.world.supervisor.report_arrived(who, now);
                }
            }
            Fault::Stop(graceful) => {
                let how = if graceful { Quit::Graceful } else { Quit::Fast };
                self.world.supervisor.stop(how, now);
            }
        }
        self.settle();
    }
}

proptest! {
    #[test]
    fn every_history_ends_with_nothing_left(faults in prop::collection::vec(fault(), 0..80)) {
        let mut kernel = Kernel {
            world: World::new(),
            alive: BTreeMap::new(),
            exited: None,
            refuse_start: true,
        };
        kernel.settle();
        for fault in &faults {
            if kernel.exited.is_some() {
                break;
            }
            kernel.apply(fault);
            let supervisor = &kernel.world.supervisor;
            if !supervisor.is_stopping() && supervisor.discovery == Discovery::Over {
                for (role, restart) in [
                    (Role::Controller, supervisor.controller),
                    (Role::Router, supervisor.router),
                ] {
                    prop_assert!(
                        supervisor.has(role) || restart.due.is_some(),
                        "{role:?} neither runs nor is due"
                    );
                }
            }
        }
        // Then everybody hangs, and only signals help.
        let begin = kernel.world.now;
        kernel.apply(&Fault::Stop(false));
        while kernel.exited.is_none() {
            let due = kernel.world.supervisor.deadline().expect("something is due until the end");
            let wait = due.saturating_duration_since(kernel.world.now);
            kernel.world.pass(wait);
            kernel.settle();
        }
        prop_assert!(kernel.world.now - begin <= Duration::from_secs(15));
    }
}
