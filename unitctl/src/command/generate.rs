//! `unitctl completions` and `unitctl man`: what the shell and `man` know of this program.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::command_line::CommandLine;
use crate::failure::Failure;
use crate::session::Session;

pub(super) fn completions(session: &Session, shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut CommandLine::command(), "unitctl", &mut script);
    Ok(session.console.print(script)?)
}

pub(super) fn manual(session: &Session, directory: Option<&str>) -> Result<(), Failure> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let rendered = clap_mangen::Man::new(CommandLine::command()).render(&mut page);
        rendered.map_err(|cause| Failure::System { what: "manual page".to_owned(), cause })?;
        return Ok(session.console.print(page)?);
    };
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(CommandLine::command(), directory))
        .map_err(|cause| Failure::System { what: directory.to_owned(), cause })
}
