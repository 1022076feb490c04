//! Every message and answer comes back from its bytes as it was, and no bytes make a decoder panic.

#[path = "samples/messages.rs"]
mod messages;

use std::fs::File;
use std::os::fd::OwnedFd;

use messages::{Generate, GenerateAnswer, reading};
use port_proto::*;
use proptest::prelude::*;

/// A frame as the receiver has it, and a copy of its payload.
fn received(frame: Frame) -> (Frame, Vec<u8>) {
    let payload = frame.payload.clone();
    (frame, payload)
}

fn message_survives<D: Generate + std::fmt::Debug>(
    message: D,
    stream: u32,
) -> Result<(), TestCaseError> {
    let kind = message.kind();
    let stream = if D::REQUESTS.contains(&kind) { StreamId(stream) } else { StreamId::NONE };
    let before = reading(&message);
    let (frame, payload) = received(message.into_frame(stream).expect("is small"));
    prop_assert_eq!(frame.kind, kind);
    prop_assert!(frame.last);
    let (found, message) = D::from_frame(frame).expect("decodes");
    prop_assert_eq!(found, stream);
    prop_assert_eq!(reading(&message), before);
    let again = message.into_frame(stream).expect("is small");
    prop_assert_eq!(again.payload, payload);
    Ok(())
}

fn answer_survives<R: GenerateAnswer>(
    result: Result<R::Reply, R::Refusal>,
    stream: u32,
) -> Result<(), TestCaseError> {
    let stream = StreamId(stream);
    let kind = if result.is_ok() { Kind::Ready } else { Kind::Error };
    let (frame, payload) = received(answer::<R>(stream, result).expect("is small"));
    prop_assert_eq!((frame.kind, frame.stream, frame.last), (kind, stream, true));
    let result = read_answer::<R>(frame).expect("decodes");
    prop_assert_eq!(result.is_ok(), kind == Kind::Ready);
    let again = answer::<R>(stream, result).expect("is small");
    prop_assert_eq!(again.payload, payload);
    Ok(())
}

/// Decoding anything is a message or an error; extra and missing descriptors are errors.
fn anything_decodes_or_fails<D: Direction>(
    kind: Kind,
    stream: u32,
    payload: &[u8],
    fds: usize,
) -> Result<(), TestCaseError> {
    let null = || OwnedFd::from(File::open("/dev/null").expect("opens"));
    let frame = Frame {
        kind,
        stream: StreamId(stream),
        last: true,
        payload: payload.to_vec(),
        fds: (0..fds).map(|_| null()).collect(),
    };
    if let Ok((stream, message)) = D::from_frame(frame) {
        prop_assert!(D::KINDS.contains(&kind));
        let frame = message.into_frame(stream).expect("was small");
        prop_assert_eq!(frame.fds.len(), fds);
    }
    Ok(())
}

macro_rules! messages_survive {
    ($($name:ident: $direction:ty;)*) => {
        proptest! {
            $(
                #[test]
                fn $name(message in <$direction>::any(), stream in 1..=u32::MAX) {
                    message_survives(message, stream)?;
                }
            )*

            #[test]
            fn any_payload_decodes_or_fails_without_panic(
                kind in proptest::sample::select(Kind::ALL.to_vec()),
                stream: u32,
                payload in proptest::collection::vec(any::<u8>(), 0..100),
                fds in 0..=FDS_MAX,
            ) {
                $( anything_decodes_or_fails::<$direction>(kind, stream, &payload, fds)?; )*
                anything_decodes_or_fails::<RouterToController>(kind, stream, &payload, fds)?;
                anything_decodes_or_fails::<PrototypeToMain>(kind, stream, &payload, fds)?;
            }
        }
    };
}

messages_survive! {
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

macro_rules! answers_survive {
    ($($name:ident: $request:ty;)*) => {
        proptest! {
            $(
                #[test]
                fn $name(result in <$request>::any_answer(), stream in 1..=u32::MAX) {
                    answer_survives::<$request>(result, stream)?;
                }
            )*

            #[test]
            fn any_answer_decodes_or_fails_without_panic(
                kind in proptest::sample::select(Kind::ALL.to_vec()),
                payload in proptest::collection::vec(any::<u8>(), 0..100),
            ) {
                let frame = || Frame {
                    kind,
                    stream: StreamId(1),
                    last: true,
                    payload: payload.clone(),
                    fds: Vec::new(),
                };
                $( let _ = read_answer::<$request>(frame()); )*
            }
        }
    };
}

answers_survive! {
    check_config_is_answered: CheckConfig;
    permit_config_is_answered: PermitConfig;
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
