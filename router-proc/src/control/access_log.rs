//! The files of access logs: main opens them, and opens them again after they were renamed.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use port_io::RequestError;
use port_proto::{ConfigStage, OpenAccessLog, Refusal, WithFds};

use super::apply::{lost, plain};
use super::{Control, MainSender};
use crate::access_log::{AccessLog, LogFile};

/// The files that may be in use: those of the running configuration, of one that is being prepared,
/// and of those before whose last requests go on.
#[derive(Debug, Default)]
pub(super) struct LogFiles {
    current: RefCell<Weak<LogFile>>,
    /// Every file that was opened and is not closed yet.
    known: RefCell<Vec<Weak<LogFile>>>,
    /// How often everything was to be reopened.
    reopenings: Cell<u64>,
    /// One reopening at a time, so that the last one wins.
    reopening: tokio::sync::Mutex<()>,
}

impl LogFiles {
    /// The one of the running configuration.
    fn current(&self) -> Option<Arc<LogFile>> {
        self.current.borrow().upgrade()
    }

    /// All of them, each once.
    fn all(&self) -> Vec<Arc<LogFile>> {
        self.known.borrow().iter().filter_map(Weak::upgrade).collect()
    }

    fn add(&self, file: &Arc<LogFile>) {
        let mut known = self.known.borrow_mut();
        known.retain(|file| file.strong_count() > 0);
        known.push(Arc::downgrade(file));
    }

    /// A configuration with this access log runs from now on.
    pub(super) fn committed(&self, log: Option<&AccessLog>) {
        let file = log.map_or_else(Weak::new, |log| Arc::downgrade(log.file()));
        if let Some(before) = self.current.replace(file).upgrade() {
            before.set_in_use(false);
        }
        if let Some(log) = log {
            log.file().set_in_use(true);
        }
    }
}

impl Control {
    /// The access log of a configuration. A path that stays keeps its descriptor; one that could not
    /// be opened before has another try.
    pub(super) async fn access_log(
        &self,
        log: &conf::AccessLog,
        stage: ConfigStage,
    ) -> Result<AccessLog, Refusal> {
        let path = log.path.to_str().ok_or_else(|| {
            Refusal::new(format!("the path of the access log \"{}\" is not UTF-8", log.path))
        })?;
        // What was left before may have been moved away or deleted meanwhile.
        let open = self.log_files.current().filter(|file| file.is_open() && file.path() == path);
        let file = match open {
            Some(file) => file,
            None => {
                let file = Arc::new(match (self.open_log_file(path).await, stage) {
                    (Ok(file), _) => file,
                    (Err(refusal), ConfigStage::Proposed | ConfigStage::Tried) => {
                        return Err(refusal);
                    }
                    (Err(Refusal { text }), ConfigStage::Current) => {
                        unit_log::alert!(
                            "the previous configuration is served in part: requests are not \
                             logged: {text}"
                        );
                        LogFile::closed(path.to_owned())
                    }
                });
                self.log_files.add(&file);
                file
            }
        };
        AccessLog::compile(log, file).map_err(|error| Refusal::new(error.to_string()))
    }

    async fn open_log_file(&self, path: &str) -> Result<LogFile, Refusal> {
        let fd = loop {
            let reopenings = self.log_files.reopenings.get();
            let fd = request(&self.main, path).await?;
            // Otherwise it may have been opened before it was renamed.
            if self.log_files.reopenings.get() == reopenings {
                break fd;
            }
        };
        LogFile::new(path.to_owned(), fd).map_err(|error| {
            let error = crate::event_loop::describe(&error);
            Refusal::new(format!("open(\"{path}\") failed ({error})"))
        })
    }

    /// Has the access logs opened again by their paths. Each moves for all loops at once; one that
    /// cannot be opened stays where it is.
    pub(super) async fn reopen_access_logs(&self) {
        let files = &self.log_files;
        files.reopenings.set(files.reopenings.get() + 1);
        let _one_at_a_time = files.reopening.lock().await;
        for file in files.all() {
            let path = file.path();
            let reopened = match request(&self.main, path).await {
                Err(Refusal { text }) => Err(text),
                Ok(fd) => file.reopen(fd).map_err(|error| crate::event_loop::describe(&error)),
            };
            if let Err(text) = reopened {
                unit_log::alert!("access log \"{path}\" is not reopened: {text}");
            }
        }
    }
}

async fn request(main: &MainSender, path: &str) -> Result<OwnedFd, Refusal> {
    match main.request(OpenAccessLog { path: path.to_owned() }).await {
        Ok(WithFds { fds: [fd], .. }) => Ok(fd),
        Err(RequestError::Refused(refusal)) => Err(Refusal::new(plain(&refusal.text))),
        Err(RequestError::Lost | RequestError::Send(_)) => Err(lost()),
    }
}
