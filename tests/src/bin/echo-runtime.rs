//! A language runtime whose application is Rust code below: it echoes requests and WebSocket
//! messages, and does on request what a bad application would do. In a modules directory it is
//! `python0.1.unit`; an application of it has the type `python 0.1` and any module.
//!
//! The path of a handshake says what the session does:
//!
//! | path | what |
//! |---|---|
//! | `/echo`, and any other | sends each frame back; answers a close with its own code |
//! | `/deaf` | never takes a frame |
//! | `/mute` | takes frames and sends nothing, not even an answer to a close |
//! | `/sink` | takes frames and answers `sum` with how many octets of payload came |
//! | `/flood` | for each frame sends 4 MiB in one frame |
//! | `/halves` | sends a frame of 10 octets by halves, one for each frame that comes |
//! | `/close` | for the first frame closes with 4001, whatever it is |
//! | `/forget` | never finishes what has ended |
//! | `/refuse` | refuses the handshake with 403 |
//! | `/plain` | answers it with a plain 101 |
//! | `/slow` | takes 300 ms to accept |
//!
//! A text of `abort` ends the process, one of `fail` cuts the session. An ordinary request for
//! `/state` is answered with the process id and the sessions that live; any other is echoed.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use host::{
    Application, Facts, Language, LoadFailed, Next, OPCODE_BINARY, OPCODE_CLOSE, OPCODE_TEXT,
    Request, RequestBody, Response, SessionError, SessionId, SessionNews, Sessions, StartError,
};

/// What a flood consists of.
const FLOOD_LEN: usize = 4 * 1024 * 1024;

/// A frame of ten octets, and where it is cut.
const HALVES: (&[u8], &[u8]) = (b"\x82\x0a01234", b"56789");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Echo,
    Deaf,
    Mute,
    Sink { sum: usize },
    Flood,
    Halves { sent_first: bool },
    Forget,
    Close,
}

#[derive(Default)]
struct Echo {
    sessions: HashMap<SessionId, Role>,
    ended: u64,
}

impl Language for Echo {
    fn initialise(&mut self, _: &Application) -> Result<(), StartError> {
        Ok(())
    }

    fn load(&mut self) -> Result<(), LoadFailed> {
        Ok(())
    }

    fn serve(
        &mut self,
        request: &Request<'_>,
        body: RequestBody<'_>,
        mut response: Response<'_>,
    ) -> Next {
        if request.is_websocket_handshake() {
            return self.accept(request, &mut response);
        }
        let served = if request.path == b"/state" {
            let (live, ended) = (self.sessions.len(), self.ended);
            let state = format!("{} {live} {ended}", std::process::id());
            response.finish_with(state.as_bytes())
        } else {
            echo(request, body, &mut response)
        };
        if let Err(error) = served {
            unit_log::info!("the answer was not sent: {error}");
        }
        Next::Continue
    }

    fn session(&mut self, id: SessionId, news: SessionNews, sessions: &mut Sessions<'_>) -> Next {
        let outcome = match news {
            SessionNews::Frames => self.hear(id, sessions),
            SessionNews::Sent => Ok(()),
            SessionNews::Ended if self.sessions.get(&id) == Some(&Role::Forget) => Ok(()),
            SessionNews::Ended => self.finish(id, sessions),
        };
        match outcome {
            Ok(()) | Err(SessionError::Ended | SessionError::Finished) => {}
            Err(error) => unit_log::error!("a session broke: {error}"),
        }
        Next::Continue
    }
}

impl Echo {
    fn accept(&mut self, request: &Request<'_>, response: &mut Response<'_>) -> Next {
        let role = match request.path {
            b"/deaf" => Role::Deaf,
            b"/mute" => Role::Mute,
            b"/sink" => Role::Sink { sum: 0 },
            b"/flood" => Role::Flood,
            b"/halves" => Role::Halves { sent_first: false },
            b"/forget" => Role::Forget,
            b"/close" => Role::Close,
            b"/refuse" | b"/plain" => {
                response.start(if request.path == b"/refuse" { 403 } else { 101 });
                let _ = response.finish_with(b"no");
                return Next::Continue;
            }
            b"/slow" => {
                std::thread::sleep(Duration::from_millis(300));
                Role::Echo
            }
            _ => Role::Echo,
        };
        response.start(101);
        for (name, value) in request.fields() {
            if name.eq_ignore_ascii_case(b"sec-websocket-protocol") {
                let first = value.split(|octet| *octet == b',').next().unwrap_or(value);
                // One that is none is left out of the answer.
                let _ = response.field(name, first);
            }
        }
        match response.accept() {
            Ok(id) => {
                self.sessions.insert(id, role);
            }
            Err(error) => unit_log::error!("a handshake was not accepted: {error}"),
        }
        Next::Continue
    }

    fn hear(&mut self, id: SessionId, sessions: &mut Sessions<'_>) -> Result<(), SessionError> {
        let Some(role) = self.sessions.get(&id).copied() else { return Ok(()) };
        if role == Role::Deaf {
            return Ok(());
        }
        while let Some(mut frame) = sessions.next_frame(id) {
            if frame.opcode() == OPCODE_TEXT {
                match frame.payload() {
                    b"abort" => std::process::abort(),
                    b"fail" => {
                        self.sessions.remove(&id);
                        self.ended += 1;
                        return sessions.fail(id);
                    }
                    _ => {}
                }
            }
            if role == Role::Mute {
                continue;
            }
            if role == Role::Close {
                self.sessions.remove(&id);
                self.ended += 1;
                return sessions.close(id, 4001, b"as asked");
            }
            if frame.opcode() == OPCODE_CLOSE {
                let (code, reason) = match frame.close_code() {
                    Some((code, reason)) => (code, reason.to_vec()),
                    None => (1000, Vec::new()),
                };
                self.sessions.remove(&id);
                self.ended += 1;
                return sessions.close(id, code, &reason);
            }
            match self.sessions.get_mut(&id) {
                Some(Role::Sink { sum }) => {
                    if frame.payload() == b"sum" {
                        let text = sum.to_string();
                        sessions.send(id, OPCODE_TEXT, true, text.as_bytes())?;
                    } else {
                        *sum += frame.payload_len();
                    }
                }
                Some(Role::Flood) => {
                    sessions.send(id, OPCODE_BINARY, true, &vec![b'f'; FLOOD_LEN])?;
                }
                Some(Role::Halves { sent_first }) => {
                    let half = if *sent_first { HALVES.1 } else { HALVES.0 };
                    *sent_first = !*sent_first;
                    sessions.send_octets(id, half)?;
                }
                _ => {
                    let (opcode, fin) = (frame.opcode(), frame.is_final());
                    sessions.send(id, opcode, fin, frame.payload())?;
                    if sessions.unsent(id) > FLOOD_LEN {
                        // The client sends without reading: it has to wait now.
                        sessions.wait_until_sent(id)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, id: SessionId, sessions: &mut Sessions<'_>) -> Result<(), SessionError> {
        if self.sessions.remove(&id).is_some() {
            self.ended += 1;
        }
        sessions.finish(id)
    }
}

fn echo(
    request: &Request<'_>,
    mut body: RequestBody<'_>,
    response: &mut Response<'_>,
) -> Result<(), host::WriteError> {
    response.start(200);
    let _ = response.field(b"X-Path", request.path);
    let mut bytes = vec![0; usize::try_from(body.remaining()).unwrap_or(0)];
    match body.read(&mut bytes) {
        Ok(_) => response.finish_with(&bytes),
        Err(_) => response.fail(),
    }
}

fn main() -> ExitCode {
    let facts = Facts { language: conf::Language::Python, version: "0.1", mounts: &[] };
    host::run(&facts, Echo::default())
}
