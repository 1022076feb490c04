//! Answers, each read as one to every request there is.
#![no_main]

use port_proto::*;
use unit_fuzz::answer;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    answer::<CheckConfig>(bytes);
    answer::<PermitConfig>(bytes);
    answer::<StoreConfig>(bytes);
    answer::<StoreUpload>(bytes);
    answer::<DeleteUpload>(bytes);
    answer::<OpenListener>(bytes);
    answer::<KeepListeners>(bytes);
    answer::<StartPrototype>(bytes);
    answer::<OpenAccessLog>(bytes);
    answer::<OpenUpload>(bytes);
    answer::<WithFds<SetUpPrototype, 1>>(bytes);
    answer::<PrepareConfig>(bytes);
    answer::<CommitConfig>(bytes);
    answer::<AbortConfig>(bytes);
    answer::<GetStatus>(bytes);
    answer::<RestartApplication>(bytes);
    answer::<WithFds<StartWorker, 3>>(bytes);
});
