//! The tables of `docs/port-protocol.md` are those of the code. `UPDATE_DOCS=1` writes them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use port_proto::*;

const PATH: &str = "../docs/port-protocol.md";
const BEGIN: &str = "<!-- Generated from port-proto/src/role.rs: begin -->\n";
const END: &str = "<!-- Generated from port-proto/src/role.rs: end -->\n";

/// Whether a kind is a request, among the messages of a direction; `None` in another direction.
fn wants_answer(from: Role, to: Role, kind: Kind) -> Option<bool> {
    fn of<D: Direction>(from: Role, to: Role, kind: Kind) -> Option<bool> {
        (D::FROM == from && D::TO == to && D::KINDS.contains(&kind))
            .then(|| D::REQUESTS.contains(&kind))
    }
    of::<MainToDiscovery>(from, to, kind)
        .or_else(|| of::<DiscoveryToMain>(from, to, kind))
        .or_else(|| of::<MainToController>(from, to, kind))
        .or_else(|| of::<ControllerToMain>(from, to, kind))
        .or_else(|| of::<MainToRouter>(from, to, kind))
        .or_else(|| of::<RouterToMain>(from, to, kind))
        .or_else(|| of::<MainToPrototype>(from, to, kind))
        .or_else(|| of::<PrototypeToMain>(from, to, kind))
        .or_else(|| of::<ControllerToRouter>(from, to, kind))
        .or_else(|| of::<RouterToController>(from, to, kind))
        .or_else(|| of::<RouterToPrototype>(from, to, kind))
        .or_else(|| of::<PrototypeToRouter>(from, to, kind))
}

fn tables() -> String {
    let mut text = String::new();
    let mut line = |row: std::fmt::Arguments<'_>| writeln!(text, "{row}").expect("never fails");

    line(format_args!("### Who may send what to whom\n"));
    line(format_args!("Requests, which want an answer, are in bold.\n"));
    line(format_args!("| from | to | messages |\n|---|---|---|"));
    for (from, to, kinds) in SENDS {
        let kinds: Vec<String> = kinds
            .iter()
            .map(|kind| match wants_answer(*from, *to, *kind) {
                Some(true) => format!("**{kind:?}**"),
                Some(false) | None => format!("{kind:?}"),
            })
            .collect();
        line(format_args!("| {} | {} | {} |", from.name(), to.name(), kinds.join(", ")));
    }

    line(format_args!("\n### Who is introduced to whom by main\n"));
    line(format_args!("| told | gets a port to |\n|---|---|"));
    for (told, of) in INTRODUCED {
        line(format_args!("| {} | {} |", told.name(), of.name()));
    }

    line(format_args!("\n### Who is told by main that a process is gone\n"));
    line(format_args!("| told | of the loss of |\n|---|---|"));
    for (told, of) in TOLD_OF_LOSS {
        line(format_args!("| {} | {} |", told.name(), of.name()));
    }

    line(format_args!("\n### Who is started again\n"));
    line(format_args!("| role | started again after it ended unasked |\n|---|---|"));
    for role in Role::ALL {
        let again = if role.is_restarted() { "yes" } else { "no" };
        line(format_args!("| {} | {again} |", role.name()));
    }

    line(format_args!("\n### Kinds\n"));
    line(format_args!("| number | kind | a sender without the right to it \"cannot …\" |"));
    line(format_args!("|---|---|---|"));
    for kind in Kind::ALL {
        line(format_args!("| {} | {kind:?} | {} |", kind.number(), kind.deed()));
    }
    text
}

#[test]
fn the_documented_matrix_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PATH);
    let text = fs::read_to_string(&path).expect("the document is there");
    let (before, rest) = text.split_once(BEGIN).expect("it has the line before the tables");
    let (documented, after) = rest.split_once(END).expect("it has the line behind the tables");
    let tables = format!("\n{}\n", tables());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let text = format!("{before}{BEGIN}{tables}{END}{after}");
        fs::write(&path, text).expect("the document can be written");
        return;
    }
    assert_eq!(documented, tables, "UPDATE_DOCS=1 brings the document up to date");
}
