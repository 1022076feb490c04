//! `unitctl export`: the configuration and the scripts as a tar archive that `import` understands.

use std::fs::File;
use std::io::Write;

use conf::Value;

use crate::command_line::ExportArgs;
use crate::document::pretty_json;
use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::session::{self, Session};
use crate::validity;
use crate::visible::visible;

pub(super) fn run(session: &Session, arguments: &ExportArgs) -> Result<(), Failure> {
    if arguments.file == "-" && session.console.is_interactive_output {
        return Err(Failure::Usage("an archive is nothing for a terminal".to_owned()));
    }
    let client = session.client()?;
    let (config, _) = session::get(&client, "/config")?;
    let scripts = match session::get(&client, "/js_modules") {
        Ok((scripts, _)) => scripts,
        // A build without them.
        Err(Failure::Refusal(Refusal { status: 404, .. })) => Value::empty_object(),
        Err(failure) => return Err(failure),
    };
    let archive = archive(session, &config, &scripts)
        .map_err(|cause| Failure::System { what: "cannot make the archive".to_owned(), cause })?;
    if arguments.file == "-" {
        session.console.print(archive)?;
    } else {
        let written = File::create(&arguments.file).and_then(|mut file| file.write_all(&archive));
        written.map_err(|cause| {
            let what = format!("cannot write {}", visible(&arguments.file));
            Failure::System { what, cause }
        })?;
    }
    session.console.say("Certificates are not in it: a daemon does not give them out again.");
    Ok(())
}

fn archive(session: &Session, config: &Value, scripts: &Value) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    add(&mut archive, "config.json", &pretty_json(config))?;
    for (name, source) in scripts.as_object().into_iter().flatten() {
        let (Some(name), Some(source)) = (name.to_str(), source.as_text()) else {
            session.console.warn("a script whose name is no text is left out");
            continue;
        };
        // A name is one file, wherever the archive is unpacked.
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            session.console.warn(&format!("script {} is left out", visible(name)));
            continue;
        }
        let file = if name.ends_with(".js") { name.to_owned() } else { format!("{name}.js") };
        add(&mut archive, &file, source)?;
    }
    archive.into_inner()
}

fn add(archive: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) -> std::io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
    header.set_mode(0o600);
    header.set_mtime(u64::try_from(validity::now()).unwrap_or(0));
    archive.append_data(&mut header, name, content)
}
