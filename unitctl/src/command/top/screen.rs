//! The terminal while it is ours, and given back as it was, however this ends.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event};
use crossterm::terminal::{
    self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{cursor, queue};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::visible::visible;

/// The terminal, ours until this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    ends: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&ends))?;
        }
        // A panic aborts, so nothing is dropped then; its message should be readable as well.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            usual(panic);
        }));
        enable_raw_mode()?;
        let screen = Self { ends };
        let mut out = io::stdout();
        queue!(out, EnterAlternateScreen, cursor::Hide)?;
        out.flush()?;
        Ok(screen)
    }

    /// Whether a signal asked for the end.
    pub(super) fn is_told_to_end(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// What the user does within a time.
    pub(super) fn event(&self, limit: Duration) -> io::Result<Option<Event>> {
        if event::poll(limit)? { event::read().map(Some) } else { Ok(None) }
    }

    /// Shows a text, cut to the size of the terminal, and a line at its foot.
    pub(super) fn draw(&mut self, text: &str, footer: &str) -> io::Result<()> {
        // Some terminals do not know their size.
        let (width, height) = match terminal::size()? {
            (0, _) | (_, 0) => (80, 24),
            (width, height) => (usize::from(width), usize::from(height)),
        };
        let mut lines: Vec<&str> = text.lines().take(height.saturating_sub(2)).collect();
        lines.resize(height.saturating_sub(1), "");
        let footer = visible(footer);
        lines.push(&footer);
        let mut out = io::stdout().lock();
        queue!(out, cursor::MoveTo(0, 0))?;
        for (number, line) in lines.iter().take(height).enumerate() {
            let shown: String = line.chars().take(width).collect();
            let end = if number + 1 < height { "\r\n" } else { "" };
            write!(out, "{shown}")?;
            // The last column would go on in the next line when it is cleared.
            if shown.chars().count() < width {
                queue!(out, Clear(ClearType::UntilNewLine))?;
            }
            write!(out, "{end}")?;
        }
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Nobody is left to tell of a failure.
fn give_back() {
    let mut out = io::stdout();
    let _ = queue!(out, LeaveAlternateScreen, cursor::Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}
