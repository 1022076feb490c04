//! `unitctl`, the command-line client of unitd: it talks to the control API over its socket, finds
//! that socket by itself, and shows what it is told to people and to scripts.
//!
//! It is a user's program. It holds no privilege beyond that of who runs it, starts no process but
//! the user's editor and the daemon's own executable (to ask it for its defaults, and only when
//! nobody else could have put another program there), and links none of the daemon's crates but
//! `conf`, whose reader of JSON knows where a mistake is.
//!
//! | module | what it is for |
//! |---|---|
//! | `command_line` | the words a user may say, as types |
//! | `exit`, `failure` | statuses for scripts; everything that can end a command early |
//! | `address`, `discover`, `title` | which daemon is meant and where its socket is |
//! | `client`, `target`, `refusal` | one request, one answer; paths; refusals for people |
//! | `document`, `yaml`, `locate`, `diff` | JSON and YAML, places in them, what changed |
//! | `console`, `visible`, `table`, `editor` | the terminal: output, questions, the user's editor |
//! | `status_report`, `validity` | what `/status` and `/certificates` say, as numbers and dates |
//! | `command` | one file for each command |
//!
//! A command takes a `Session` (options of the connection, the console), asks, prints, and returns
//! the status to exit with or a `Failure`. Standard output carries results and nothing else; all
//! talk goes to standard error. What comes from the daemon or a file is shown only through
//! `visible`, as it may hold sequences that terminals obey.

#![forbid(unsafe_code)]
