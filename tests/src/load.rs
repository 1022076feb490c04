//! Clients that ask without pause from other threads, and count what they get.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::{Connection, Response, request};
use crate::wait::wait_until;

/// How many kinds of failures a client keeps in words.
const WORDS_MAX: usize = 20;

/// What the clients of a load got.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers that were right.
    pub right: u64,
    /// Answers that were not.
    pub wrong: u64,
    /// Connections that broke in the middle of an exchange.
    pub broken: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// What was not right, in words, and how often.
    pub words: BTreeMap<String, u64>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.broken += other.broken;
        self.refused += other.refused;
        for (words, count) in other.words {
            *self.words.entry(words).or_default() += count;
        }
    }

    fn tell(&mut self, words: String) {
        if self.words.len() < WORDS_MAX || self.words.contains_key(&words) {
            *self.words.entry(words).or_default() += 1;
        }
    }

    /// Every request was answered, and rightly.
    ///
    /// # Panics
    /// When one was not.
    #[track_caller]
    pub fn expect_clean(&self) {
        let failures = self.wrong + self.broken + self.refused;
        assert!(failures == 0 && self.right > 0, "{self:#?}");
    }
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    right: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Tally>>,
}

impl Load {
    /// Lets that many keep-alive clients get `target` from `port` until they are stopped. Answers
    /// are judged by `is_right`.
    #[must_use]
    pub fn start(clients: usize, port: u16, target: &str, is_right: fn(&Response) -> bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let right = Arc::new(AtomicU64::new(0));
        let threads = (0..clients)
            .map(|_| {
                let (stop, right) = (Arc::clone(&stop), Arc::clone(&right));
                let bytes = request("GET", target, &[], b"");
                std::thread::spawn(move || run(port, &bytes, is_right, &stop, &right))
            })
            .collect();
        Self { stop, right, threads }
    }

    /// How many right answers there were so far.
    #[must_use]
    pub fn right(&self) -> u64 {
        self.right.load(Ordering::Relaxed)
    }

    /// Waits until that many further requests were answered rightly.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn wait_for_more(&self, count: u64) {
        let goal = self.right() + count;
        wait_until("answers under load", Duration::from_secs(60), || self.right() >= goal);
    }

    /// Ends the load and sums up.
    ///
    /// # Panics
    /// When a client did.
    #[must_use]
    pub fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut sum = Tally::default();
        for thread in self.threads.drain(..) {
            sum.add(thread.join().unwrap());
        }
        sum
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // A test that failed stops its load too.
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn run(
    port: u16,
    bytes: &[u8],
    is_right: fn(&Response) -> bool,
    stop: &AtomicBool,
    right: &AtomicU64,
) -> Tally {
    let mut tally = Tally::default();
    let mut open: Option<Connection> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut connection = match open.take() {
            Some(connection) => connection,
            None => match Connection::try_tcp(port) {
                Ok(connection) => connection,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    tally.refused += 1;
                    tally.tell(error.to_string());
                    // A server that is gone for good must not be asked a million times.
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                Err(error) => {
                    tally.broken += 1;
                    tally.tell(error.to_string());
                    continue;
                }
            },
        };
        match connection.exchange(bytes) {
            Ok(response) if is_right(&response) => {
                tally.right += 1;
                right.fetch_add(1, Ordering::Relaxed);
                let closes = response.field("Connection").is_some_and(|value| value == "close");
                open = (!closes).then_some(connection);
            }
            Ok(response) => {
                tally.wrong += 1;
                tally.tell(format!("{}: {}", response.status_line(), response.text()));
            }
            Err(error) => {
                tally.broken += 1;
                tally.tell(format!("{error:#}"));
            }
        }
    }
    tally
}
