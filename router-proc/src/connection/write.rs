//! Writing: bytes, and stretches of files.

use std::future::poll_fn;
use std::io;
use std::os::fd::BorrowedFd;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::io::Errno;

use super::Connection;
use super::pace::Verdict;

/// The most of a file that is sent in one call: larger ones give other connections a turn.
const SENDFILE_LEN_MAX: usize = 2 * 1024 * 1024;

/// The most bytes that the kernel is to hold for a client with a tiny window.
const UNSENT_LEN_MAX: u32 = 16 * 1024;

/// Heads are held back for files up to this size, so that both leave in one segment. Beyond it the
/// larger segments cost more than the saved one.
const JOIN_LEN_MAX: u64 = 64 * 1024;

/// The client left, or took nothing for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteFailed;

/// Why a file was not sent to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SendFailed {
    /// The client left, or took nothing for too long.
    Client,
    /// The file ended early.
    Shrank,
    /// The file could not be read.
    File(Errno),
}

impl SendFailed {
    /// Tells whether an error of `sendfile` is one of the connection, which no file is to blame for.
    fn of_sendfile(error: &io::Error) -> SendFailed {
        const OF_THE_CONNECTION: [Errno; 11] = [
            Errno::PIPE,
            Errno::CONNRESET,
            Errno::CONNABORTED,
            Errno::NOTCONN,
            Errno::TIMEDOUT,
            Errno::HOSTUNREACH,
            Errno::NETUNREACH,
            Errno::NETDOWN,
            Errno::HOSTDOWN,
            Errno::SHUTDOWN,
            // A packet filter forbids it.
            Errno::PERM,
        ];
        match Errno::from_io_error(error) {
            Some(errno) if !OF_THE_CONNECTION.contains(&errno) => SendFailed::File(errno),
            Some(_) | None => SendFailed::Client,
        }
    }
}

impl Connection {
    /// There is no room to write: judges the client whenever it is time to.
    fn wait_for_room<T>(
        &mut self,
        cx: &Context<'_>,
        patience: Option<Duration>,
    ) -> Poll<Result<T, WriteFailed>> {
        let now = self.event_loop.now_ms();
        let verdict = if !self.taking.is_waiting() {
            self.taking.wait(now, patience)
        } else if self.timer.is_over(now) {
            self.taking.judge(now, patience, self.stream.unsent())
        } else {
            self.timer.watch(cx);
            return Poll::Pending;
        };
        match verdict {
            Verdict::TooSlow => Poll::Ready(Err(WriteFailed)),
            Verdict::Until(ms) => {
                self.timer.set(ms);
                self.timer.watch(cx);
                Poll::Pending
            }
        }
    }

    /// The kernel has taken bytes. For a client with a tiny window it would take megabytes, in
    /// thousands of pieces as tiny: milliseconds in which nobody else is served.
    fn wrote(&mut self, len: usize) {
        self.taking.wrote(len);
        let stream = &self.stream;
        if self.taking.has_tiny_window(|| stream.not_sent()) {
            stream.bound_unsent(UNSENT_LEN_MAX);
        }
    }

    /// There is room after a wait. `Err`: it has come too slowly for too long.
    pub(super) fn has_room(&mut self) -> Result<(), WriteFailed> {
        if !self.taking.is_waiting() {
            return Ok(());
        }
        let stream = &self.stream;
        let goes_on = self.taking.go_on(self.event_loop.now_ms(), || stream.unsent());
        if goes_on { Ok(()) } else { Err(WriteFailed) }
    }

    /// Writes all of `data`; `patience` bounds each pause between two writes.
    pub(super) async fn write_all(
        &mut self,
        data: &[u8],
        patience: Option<Duration>,
    ) -> Result<(), WriteFailed> {
        let mut rest = data;
        while !rest.is_empty() {
            let len = poll_fn(|cx| match self.stream.poll_write(cx, rest) {
                Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(WriteFailed)),
                Poll::Ready(Ok(len)) => Poll::Ready(Ok(len)),
                Poll::Pending => self.wait_for_room(cx, patience),
            })
            .await?;
            self.account.wrote(len);
            self.wrote(len);
            self.has_room()?;
            rest = rest.get(len..).unwrap_or_default();
        }
        Ok(())
    }

    /// Waits until there is room to write.
    async fn wait_writable(&mut self, patience: Option<Duration>) -> Result<(), WriteFailed> {
        poll_fn(|cx| match self.stream.poll_write_ready(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(WriteFailed)),
            Poll::Pending => self.wait_for_room(cx, patience),
        })
        .await?;
        self.has_room()
    }

    /// Writes a head and then a stretch of a file.
    pub(super) async fn write_with_file(
        &mut self,
        head: &[u8],
        file: BorrowedFd<'_>,
        mut offset: u64,
        len: u64,
        patience: Option<Duration>,
    ) -> Result<(), SendFailed> {
        let mut rest = head;
        if len > 0 && len <= JOIN_LEN_MAX && !rest.is_empty() {
            match self.stream.try_write_more(rest) {
                Ok(sent) => {
                    self.account.wrote(sent);
                    self.wrote(sent);
                    rest = rest.get(sent..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(SendFailed::Client),
            }
        }
        self.write_all(rest, patience).await.map_err(|WriteFailed| SendFailed::Client)?;
        let mut left = len;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(usize::MAX);
            let piece = piece.min(self.taking.piece_max(SENDFILE_LEN_MAX));
            match self.stream.try_sendfile(file, &mut offset, piece) {
                Ok(0) => return Err(SendFailed::Shrank),
                Ok(sent) => {
                    self.account.wrote(sent);
                    self.wrote(sent);
                    left = left.saturating_sub(sent as u64);
                    if left > 0 && sent == piece {
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_writable(patience).await.map_err(|WriteFailed| SendFailed::Client)?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SendFailed::of_sendfile(&error)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_is_told_from_the_file() {
        for (errno, is_of_the_file) in [
            (Errno::PIPE, false),
            (Errno::CONNRESET, false),
            (Errno::CONNABORTED, false),
            (Errno::TIMEDOUT, false),
            (Errno::HOSTUNREACH, false),
            (Errno::NETUNREACH, false),
            (Errno::PERM, false),
            (Errno::IO, true),
            (Errno::STALE, true),
            (Errno::NOMEM, true),
        ] {
            let failed = SendFailed::of_sendfile(&errno.into());
            let expected =
                if is_of_the_file { SendFailed::File(errno) } else { SendFailed::Client };
            assert_eq!(failed, expected, "{errno}");
        }
    }
}
