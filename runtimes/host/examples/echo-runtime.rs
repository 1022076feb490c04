//! The smallest runtime there is: a "language" whose application is Rust code below. The tests of
//! `host` run it, and whoever writes a runtime can start from it.
//!
//! The path of a request says what it does.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use host::{
    Application, Facts, Language, LoadFailed, Next, OPCODE_CLOSE, OPCODE_TEXT, Request,
    RequestBody, Response, SessionError, SessionId, SessionNews, Sessions, StartError, WriteError,
};

#[derive(Default)]
struct Echo {
    script: String,
    initialised_by: u32,
    greeting_when_initialised: String,
    forked: bool,
    served: u32,
}

impl Language for Echo {
    fn initialise(&mut self, application: &Application) -> Result<(), StartError> {
        if let conf::ApplicationKind::Perl(perl) = &application.kind {
            self.script = perl.script.to_string();
        }
        if self.script == "refuse" {
            return Err(StartError("the language does not start".to_owned()));
        }
        self.initialised_by = std::process::id();
        self.greeting_when_initialised = std::env::var("GREETING").unwrap_or_default();
        Ok(())
    }

    fn after_fork_in_worker(&mut self) {
        self.forked = true;
    }

    fn load(&mut self) -> Result<(), LoadFailed> {
        if self.script == "broken" {
            unit_log::alert!("the script is broken");
            return Err(LoadFailed);
        }
        assert!(self.forked, "a worker is told that it was forked");
        println!("loaded");
        let _ = writeln!(std::io::stderr(), "loading was noted");
        Ok(())
    }

    fn serve(
        &mut self,
        request: &Request<'_>,
        body: RequestBody<'_>,
        mut response: Response<'_>,
    ) -> Next {
        self.served += 1;
        if request.is_websocket_handshake() {
            if let Err(error) = response.accept() {
                unit_log::error!("the handshake was not accepted: {error}");
            }
            return Next::Continue;
        }
        match request.path {
            b"/exit" => return Next::Exit(3),
            b"/abort" => std::process::abort(),
            b"/drop" => return Next::Continue,
            b"/hang" => loop {
                std::thread::sleep(Duration::from_secs(1));
            },
            b"/slow" => std::thread::sleep(Duration::from_millis(300)),
            _ => {}
        }
        match self.answer(request, body, response) {
            Ok(()) | Err(WriteError::Cancelled) => {}
            Err(error) => unit_log::error!("the answer was not sent: {error}"),
        }
        Next::Continue
    }

    fn session(&mut self, id: SessionId, news: SessionNews, sessions: &mut Sessions<'_>) -> Next {
        let outcome = match news {
            SessionNews::Frames => converse(id, sessions),
            SessionNews::Sent => sessions.send(id, OPCODE_TEXT, true, b"sent"),
            SessionNews::Ended => sessions.finish(id),
        };
        if let Err(error) = outcome {
            unit_log::info!("the session: {error}");
        }
        Next::Continue
    }

    fn finish(&mut self) {
        let _ = writeln!(std::io::stderr(), "finished after {} requests", self.served);
    }
}

/// Sends each message back. `large` calls for a large one before that, which is waited for.
fn converse(id: SessionId, sessions: &mut Sessions<'_>) -> Result<(), SessionError> {
    while let Some(mut frame) = sessions.next_frame(id) {
        if frame.opcode() == OPCODE_CLOSE {
            return sessions.close(id, 1000, b"");
        }
        if frame.payload() == b"large" {
            sessions.send(id, OPCODE_TEXT, true, &[b'l'; 300_000])?;
            sessions.wait_until_sent(id)?;
        }
        let (opcode, fin) = (frame.opcode(), frame.is_final());
        sessions.send(id, opcode, fin, frame.payload())?;
    }
    Ok(())
}

impl Echo {
    fn answer(
        &self,
        request: &Request<'_>,
        mut body: RequestBody<'_>,
        mut response: Response<'_>,
    ) -> Result<(), WriteError> {
        response.start(200);
        for (name, value) in request.fields() {
            // Fields that are none are left out of the echo.
            let _ = response.field(name, value);
        }
        match request.path {
            b"/facts" => response.finish_with(self.facts().as_bytes()),
            b"/many" => {
                for piece in 0..100_000_u32 {
                    response.write(&piece.to_le_bytes())?;
                }
                response.finish()
            }
            b"/large" => response.finish_with(&vec![b'x'; 5_000_000]),
            b"/fail" => {
                response.write(b"part")?;
                response.fail()
            }
            b"/twice" => {
                response.finish_with(b"once")?;
                assert!(matches!(response.finish(), Err(WriteError::Complete)));
                assert!(matches!(response.write(b"x"), Err(WriteError::Complete)));
                response.fail()
            }
            _ => {
                let mut bytes = vec![0; usize::try_from(body.remaining()).unwrap_or(0)];
                match body.read(&mut bytes) {
                    Ok(_) => response.finish_with(&bytes),
                    Err(_) => response.fail(),
                }
            }
        }
    }

    fn facts(&self) -> String {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let wanted = [
            "Uid:",
            "Gid:",
            "Groups:",
            "CapInh:",
            "CapPrm:",
            "CapEff:",
            "CapAmb:",
            "NoNewPrivs:",
            "SigBlk:",
        ];
        let mut lines: Vec<String> = status
            .lines()
            .filter(|line| wanted.iter().any(|name| line.starts_with(name)))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        lines.push(format!("initialised by {}", self.initialised_by));
        lines.push(format!("pid {}", std::process::id()));
        let directory = std::env::current_dir().unwrap_or_default();
        lines.push(format!("directory {}", directory.display()));
        let title = std::fs::read("/proc/self/cmdline").unwrap_or_default();
        let end = title.iter().position(|byte| *byte == 0).unwrap_or(title.len());
        lines.push(format!("title {}", String::from_utf8_lossy(&title[..end])));
        let mut files: Vec<String> = std::fs::read_dir("/proc/self/fd")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        files.sort();
        lines.push(format!("files {}", files.join(" ")));
        for name in ["GREETING", "LD_PRELOAD", "PATH"] {
            let value = std::env::var(name).unwrap_or_default();
            lines.push(format!("{name} {value}"));
        }
        lines.push(format!("found when initialised {}", self.greeting_when_initialised));
        lines.join("\n")
    }
}

fn main() -> ExitCode {
    let facts = Facts { language: conf::Language::Perl, version: "1.0", mounts: &[] };
    host::run(&facts, Echo::default())
}
