//! Request records as a worker reads them: what decodes says the same when it is written again.
#![no_main]

use app_proto::{Request, RequestParts, encode_request, set_request_id};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = Request::decode(bytes) else { return };
    let fields: Vec<(&[u8], &[u8])> = request.fields().collect();
    assert_eq!(fields.len(), request.fields_count as usize);
    let parts = RequestParts {
        flags: request.flags,
        target_index: request.target_index,
        minor_version: request.minor_version,
        method: request.method,
        target: request.target,
        path: request.path,
        query: request.query,
        remote: request.remote,
        local_addr: request.local_addr,
        local_port: request.local_port,
        server_name: request.server_name,
        body: request.body,
        body_len: request.body_len,
    };
    let mut record = Vec::new();
    encode_request(&mut record, &parts, fields.iter().copied())
        .expect("was small enough to arrive");
    set_request_id(&mut record, request.id);
    assert_eq!(Request::decode(&record).expect("was encoded just now"), request);
});
