//! Threads that encode what would keep an event loop from its other connections.
//!
//! There are few, whatever the number of loops and requests: what they can take of the machine is
//! bounded, and they are of lower priority than the loops. Work comes in pieces and is taken in the
//! order it came, so a long file does not hold up a short one.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread;

use thiserror::Error;
use tokio::sync::oneshot;

/// The most threads, on machines of any size.
const THREADS_MAX: usize = 4;

/// How much they yield to the loops.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// No thread does the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no thread to encode on")]
pub struct NoThread;

/// Does some work on one of the threads.
///
/// # Errors
/// When no thread can be started. The work is lost.
pub(super) async fn on_pool<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NoThread> {
    let (done, is_done) = oneshot::channel();
    submit(move || {
        // Who wanted it may have given up.
        let _ = done.send(work());
    })?;
    is_done.await.map_err(|_| NoThread)
}

/// Leaves some work for one of the threads. It may leave more itself, which comes behind all that
/// waits.
///
/// # Errors
/// When no thread can be started. The work is lost.
pub(super) fn submit(work: impl FnOnce() + Send + 'static) -> Result<(), NoThread> {
    jobs().ok_or(NoThread)?.send(Box::new(work)).map_err(|_| NoThread)
}

/// Where work is left. The threads are started when there is some for the first time.
fn jobs() -> Option<&'static mpsc::Sender<Job>> {
    static JOBS: OnceLock<Option<mpsc::Sender<Job>>> = OnceLock::new();
    JOBS.get_or_init(start).as_ref()
}

fn start() -> Option<mpsc::Sender<Job>> {
    let (jobs, inbox) = mpsc::channel::<Job>();
    let inbox = Arc::new(Mutex::new(inbox));
    let count = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let mut started = 0;
    for number in 0..count {
        let inbox = Arc::clone(&inbox);
        let thread = thread::Builder::new().name(format!("encoder-{number}")).spawn(move || {
            // Without it the loops only share the machine with us.
            let _ = rustix::process::nice(NICENESS);
            loop {
                let job = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(job) = job else { break };
                job();
            }
        });
        match thread {
            Ok(_) => started += 1,
            Err(error) => unit_log::alert!("cannot start a thread to encode on: {error}"),
        }
    }
    (started > 0).then_some(jobs)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn work_is_done_elsewhere_and_handed_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let here = thread::current().id();
        runtime.block_on(async {
            let (there, sum) =
                on_pool(|| (thread::current().id(), (0..100_u32).sum::<u32>())).await.unwrap();
            assert_ne!(there, here);
            assert_eq!(sum, 4950);
        });
    }

    #[test]
    fn work_that_nobody_waits_for_harms_nobody() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (go, wait) = mpsc::channel::<()>();
            let abandoned = on_pool(move || wait.recv());
            assert!(tokio::time::timeout(Duration::from_millis(1), abandoned).await.is_err());
            drop(go);
            for at in 0..20 {
                assert_eq!(on_pool(move || at).await, Ok(at));
            }
        });
    }
}
