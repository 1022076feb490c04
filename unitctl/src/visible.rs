//! Text from elsewhere, made safe to show: terminals obey control sequences.

use std::borrow::Cow;

/// The text with everything a terminal or a reader could be misled by spelled out.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// The same for text of several lines: line feeds and tabs stay.
pub(crate) fn visible_lines(text: &str) -> Cow<'_, str> {
    escape(text, |character| matches!(character, '\n' | '\t'))
}

fn escape(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    let misleads = |character: char| is_misleading(character) && !stays(character);
    if !text.contains(misleads) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if misleads(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Controls of both sets, and the marks that turn the direction of text around.
fn is_misleading(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_out_what_terminals_obey() {
        assert_eq!(visible("a\x1b[2Jb\u{9b}1m\n"), "a\\u{1b}[2Jb\\u{9b}1m\\u{a}");
        assert_eq!(visible("\u{202e}txt"), "\\u{202e}txt");
        assert_eq!(visible_lines("a\n\tb\r\x07"), "a\n\tb\\u{d}\\u{7}");
    }

    #[test]
    fn leaves_text_alone() {
        assert!(matches!(visible("*:8080 größe 漢字"), Cow::Borrowed(_)));
    }
}
