//! Rust source without its comments and literals, so that words can be looked for in code alone.

/// The code of a file: comments, strings and character literals are blanked, line breaks stay.
pub(crate) fn code_of(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = skip(rest, code.chars().next_back());
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (gone, left) = rest.split_at(skipped);
            code.push(' ');
            code.extend(gone.chars().filter(|&character| character == '\n'));
            rest = left;
        }
    }
    code
}

/// The lines, counted from 1, on which a whole word stands in code.
pub(crate) fn lines_with_word(code: &str, word: &str) -> Vec<usize> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let has = |line: &str| line.split(|character| !is_word(character)).any(|part| part == word);
    code.lines().enumerate().filter(|(_, line)| has(line)).map(|(index, _)| index + 1).collect()
}

/// How many bytes of a comment or literal stand at the start of `rest`; 0 for code.
fn skip(rest: &str, before: Option<char>) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return skip_block_comment(rest);
    }
    if rest.starts_with('"') {
        return skip_quoted(rest);
    }
    // `r"…"`, `br#"…"#` and the like, but not a name that ends in r.
    if !before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
        let prefix = ["br", "cr", "r"].iter().find(|prefix| rest.starts_with(**prefix));
        if let Some(prefix) = prefix {
            let after = &rest[prefix.len()..];
            let hashes = after.len() - after.trim_start_matches('#').len();
            if after[hashes..].starts_with('"') {
                let end = format!("\"{}", "#".repeat(hashes));
                let start = prefix.len() + hashes + 1;
                let length = rest[start..].find(&end).map(|at| start + at + end.len());
                return length.unwrap_or(rest.len());
            }
        }
    }
    if rest.starts_with('\'') {
        return skip_character(rest);
    }
    0
}

fn skip_block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn skip_quoted(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal; a lifetime or label is code.
fn skip_character(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            // What follows the backslash may be a quote itself.
            characters.next();
            characters.find(|&(_, character)| character == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match characters.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{code_of, lines_with_word};

    #[test]
    fn words_in_comments_and_literals_do_not_count() {
        let source = "// unsafe\n/* unsafe /* unsafe */ unsafe */\nlet a = \"unsafe \\\" unsafe\";\n\
                      let b = r#\"unsafe \" unsafe\"#;\nlet c = '\"';\nlet d = b\"unsafe\";\n";
        assert_eq!(lines_with_word(&code_of(source), "unsafe"), [0_usize; 0]);
    }

    #[test]
    fn code_after_a_literal_still_counts() {
        let source =
            "let c = '\\''; unsafe {}\nfn f<'a>(x: &'a str) { unsafe {} }\nr#type; unsafe_code\n";
        assert_eq!(lines_with_word(&code_of(source), "unsafe"), [1, 2]);
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = "/* a\nb */\nlet s = \"x\ny\";\nunsafe {}\n";
        assert_eq!(lines_with_word(&code_of(source), "unsafe"), [5]);
    }
}
