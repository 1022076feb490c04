//! Every message and answer survives a real socket, whichever way its payload travels.

#[path = "../../../port-proto/tests/samples/messages.rs"]
mod messages;

use messages::{Generate, GenerateAnswer, reading};
use port_proto::*;
use proptest::prelude::*;

use super::*;
use crate::gate::Gate;

fn identity(role: Role) -> Identity {
    let pid = i32::try_from(std::process::id()).expect("fits");
    Identity { role, pid: Pid(pid), generation: Generation(1) }
}

/// Sends a frame from one role to another, and takes it through the gate.
fn carry(frame: Frame, from: Role, to: Role) -> Frame {
    let (ours, theirs) = sys::socket::seqpacket_pair().expect("makes");
    Outgoing::new(frame).expect("encodes").send(ours.as_fd()).expect("sends");
    let mut buf = buffer();
    let arrived = receive(theirs.as_fd(), &mut buf).expect("arrives").expect("is there");
    let mut gate = Gate::new(identity(to), identity(from));
    gate.admit(arrived, &buf).expect("is a frame").expect("is permitted")
}

fn message_survives<D: Generate + std::fmt::Debug>(message: D) -> Result<(), TestCaseError> {
    let asks = D::REQUESTS.contains(&message.kind());
    let stream = if asks { StreamId(9) } else { StreamId::NONE };
    let before = reading(&message);
    let frame = carry(message.into_frame(stream).expect("encodes"), D::FROM, D::TO);
    let (found, message) = D::from_frame(frame).expect("decodes");
    prop_assert_eq!(found, stream);
    prop_assert_eq!(reading(&message), before);
    Ok(())
}

fn answer_survives<R: GenerateAnswer>(
    result: Result<R::Reply, R::Refusal>,
) -> Result<(), TestCaseError> {
    let frame = answer::<R>(StreamId(9), result).expect("encodes");
    let (kind, payload) = (frame.kind, frame.payload.clone());
    let frame = carry(frame, R::Direction::TO, R::Direction::FROM);
    prop_assert_eq!((frame.kind, frame.stream), (kind, StreamId(9)));
    let result = read_answer::<R>(frame).expect("decodes");
    let again = answer::<R>(StreamId(9), result).expect("encodes");
    prop_assert_eq!((again.kind, again.payload), (kind, payload));
    Ok(())
}

macro_rules! survive {
    (messages { $($message:ident: $direction:ty;)* } answers { $($answer:ident: $request:ty;)* }) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(64))]
            $(
                #[test]
                fn $message(message in <$direction>::any()) {
                    message_survives(message)?;
                }
            )*
            $(
                #[test]
                fn $answer(result in <$request>::any_answer()) {
                    answer_survives::<$request>(result)?;
                }
            )*
        }
    };
}

survive! {
    messages {
        main_to_discovery_survives: MainToDiscovery;
        discovery_to_main_survives: DiscoveryToMain;
        main_to_controller_survives: MainToController;
        controller_to_main_survives: ControllerToMain;
        main_to_router_survives: MainToRouter;
        router_to_main_survives: RouterToMain;
        main_to_prototype_survives: MainToPrototype;
        controller_to_router_survives: ControllerToRouter;
        router_to_prototype_survives: RouterToPrototype;
        prototype_to_router_survives: PrototypeToRouter;
    }
    answers {
        check_config_is_answered: CheckConfig;
        store_config_is_answered: StoreConfig;
        store_upload_is_answered: StoreUpload;
        delete_upload_is_answered: DeleteUpload;
        open_listener_is_answered: OpenListener;
        keep_listeners_is_answered: KeepListeners;
        start_prototype_is_answered: StartPrototype;
        open_access_log_is_answered: OpenAccessLog;
        open_upload_is_answered: OpenUpload;
        set_up_prototype_is_answered: WithFds<SetUpPrototype, 1>;
        prepare_config_is_answered: PrepareConfig;
        commit_config_is_answered: CommitConfig;
        abort_config_is_answered: AbortConfig;
        get_status_is_answered: GetStatus;
        restart_application_is_answered: RestartApplication;
        start_worker_is_answered: WithFds<StartWorker, 3>;
    }
}

#[test]
fn a_payload_over_the_limit_travels_in_a_memory_file() {
    for (len, bulk) in [(PAYLOAD_LEN_MAX - 2, false), (PAYLOAD_LEN_MAX - 1, true), (1 << 20, true)]
    {
        // The length of the array takes two bytes at these sizes.
        let json: Vec<u8> = (0..len).map(|at| at.to_le_bytes()[0]).collect();
        let message = ControllerToMain::StoreConfig(StoreConfig { json: json.clone() });
        let frame = message.into_frame(StreamId(1)).expect("encodes");
        let packet = Outgoing::new(frame).expect("encodes");
        assert_eq!((packet.header.bulk, packet.header.fds), (bulk, 0), "{len}");
        assert_eq!(packet.fds.len(), usize::from(bulk));
        let (ours, theirs) = sys::socket::seqpacket_pair().expect("makes");
        packet.send(ours.as_fd()).expect("sends");
        let mut buf = buffer();
        let arrived = receive(theirs.as_fd(), &mut buf).expect("arrives").expect("is there");
        let frame = arrived.into_frame(&buf).expect("is a frame");
        let (_, found) = ControllerToMain::from_frame(frame).expect("decodes");
        assert!(
            matches!(found, ControllerToMain::StoreConfig(found) if found.json == json),
            "{len}"
        );
    }
}

#[test]
fn the_memory_file_stands_before_the_descriptors_of_the_message() {
    let frame = || {
        let stored = StoredConfig::Present { json: vec![b' '; 100_000], version: 1 };
        let body = SetUpController { stored, modules: Vec::new(), uploads: Vec::new() };
        let message = MainToController::SetUp(messages::with_fds(body));
        message.into_frame(StreamId::NONE).expect("encodes")
    };
    let packet = Outgoing::new(frame()).expect("encodes");
    assert_eq!((packet.header.bulk, packet.header.fds, packet.fds.len()), (true, 1, 2));
    let len = packet.header.payload_len as usize;
    assert!(sys::memfd::open_sealed(&packet.fds[0], len).is_ok());
    let frame = carry(frame(), Role::Main, Role::Controller);
    assert!(MainToController::from_frame(frame).is_ok());
}
