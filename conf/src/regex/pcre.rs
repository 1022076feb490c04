//! Translation of PCRE patterns into the syntax of the engines at hand.
//!
//! Every literal becomes `\xHH` or a plain letter, every class a list of byte ranges, so that
//! nothing in the output can be read differently from how PCRE reads the input.

use super::RegexError;

/// The limits PCRE2 has.
const REPEAT_MAX: u32 = 65535;
const NESTING_MAX: usize = 250;

/// A pattern for the engines.
#[derive(Debug)]
pub(super) struct Translation {
    pub(super) pattern: String,
    /// Whether it uses look-around, backreferences or atomic groups.
    pub(super) needs_backtracking: bool,
}

/// Translates a PCRE pattern.
pub(super) fn translate(source: &[u8]) -> Result<Translation, RegexError> {
    // Whether `\10` is a reference or an octal number depends on how many groups there are.
    let groups = Translator::new(source, usize::MAX).run().map(|done| done.groups).unwrap_or(0);
    let done = Translator::new(source, groups).run()?;
    if let Some((offset, _)) = done.references.iter().find(|(_, group)| *group > done.groups) {
        return Err(error("reference to non-existent subpattern", Some(*offset)));
    }
    Ok(Translation { pattern: done.out, needs_backtracking: done.needs_backtracking })
}

fn error(message: &str, offset: Option<usize>) -> RegexError {
    RegexError { message: message.to_owned(), offset }
}

type Step<T = ()> = Result<T, RegexError>;

struct Translator<'a> {
    source: &'a [u8],
    pos: usize,
    out: String,
    /// Where the last item that can be repeated starts in `out`.
    atom: Option<usize>,
    /// The open groups, innermost last.
    open: Vec<Group>,
    flags: Flags,
    /// Capture groups seen, and how many there are in all.
    groups: usize,
    groups_in_all: usize,
    /// Where a group is referred to by number, and which.
    references: Vec<(usize, usize)>,
    needs_backtracking: bool,
}

/// A group that is not closed yet: what to restore and where it began.
struct Group {
    flags: Flags,
    start: usize,
}

/// The options that change how the rest of the pattern is read. The engines keep the others.
#[derive(Clone, Copy, Default)]
struct Flags {
    multi_line: bool,
    extended: bool,
    no_capture: bool,
}

impl<'a> Translator<'a> {
    fn new(source: &'a [u8], groups_in_all: usize) -> Self {
        Self {
            source,
            pos: 0,
            out: String::new(),
            atom: None,
            open: Vec::new(),
            flags: Flags::default(),
            groups: 0,
            groups_in_all,
            references: Vec::new(),
            needs_backtracking: false,
        }
    }

    fn run(mut self) -> Step<Self> {
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => self.escape()?,
                b'[' => self.class()?,
                b'(' => self.open_group()?,
                b')' => self.close_group()?,
                b'*' => self.repeat(0, None)?,
                b'+' => self.repeat(1, None)?,
                b'?' => self.repeat(0, Some(1))?,
                b'{' => match self.braces()? {
                    Some((min, max)) => self.repeat(min, max)?,
                    None => self.literal(b'{'),
                },
                b'.' => self.item("."),
                b'^' => self.assertion("^"),
                b'$' if self.flags.multi_line => self.assertion("$"),
                b'$' => self.assertion(END),
                b'|' => self.assertion("|"),
                b'#' if self.flags.extended => {
                    while self.next().is_some_and(|byte| byte != b'\n') {}
                }
                b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c if self.flags.extended => (),
                byte => self.literal(byte),
            }
        }
        if self.open.is_empty() {
            Ok(self)
        } else {
            Err(error("missing closing parenthesis", None))
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.get(self.pos).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.pos += 1;
        Some(byte)
    }

    fn skip(&mut self, text: &[u8]) -> bool {
        let found = self.source[self.pos..].starts_with(text);
        if found {
            self.pos += text.len();
        }
        found
    }

    /// An error at the current position.
    fn fault<T>(&self, message: &str) -> Step<T> {
        Err(error(message, (self.pos < self.source.len()).then_some(self.pos)))
    }

    /// Something that can be repeated.
    fn item(&mut self, text: &str) {
        self.atom = Some(self.out.len());
        self.out.push_str(text);
    }

    /// Something that cannot.
    fn assertion(&mut self, text: &str) {
        self.atom = None;
        self.out.push_str(text);
    }

    fn literal(&mut self, byte: u8) {
        self.atom = Some(self.out.len());
        push_byte(&mut self.out, byte);
    }

    fn repeat(&mut self, min: u32, max: Option<u32>) -> Step {
        let Some(start) = self.atom.take() else {
            self.pos -= 1;
            return self.fault("quantifier does not follow a repeatable item");
        };
        match (min, max) {
            (0, None) => self.out.push('*'),
            (1, None) => self.out.push('+'),
            (0, Some(1)) => self.out.push('?'),
            (min, None) => self.out.push_str(&format!("{{{min},}}")),
            (min, Some(max)) if min == max => self.out.push_str(&format!("{{{min}}}")),
            (min, Some(max)) => self.out.push_str(&format!("{{{min},{max}}}")),
        }
        if self.skip(b"?") {
            self.out.push('?');
        } else if self.skip(b"+") {
            self.out.insert_str(start, "(?>");
            self.out.push(')');
            self.needs_backtracking = true;
        }
        Ok(())
    }

    /// Reads `n}`, `n,}` or `n,m}`. Anything else after a brace makes the brace a literal.
    fn braces(&mut self) -> Step<Option<(u32, Option<u32>)>> {
        let start = self.pos;
        let parsed = (|| {
            let min = self.digits()?;
            let max = if self.skip(b",") {
                if self.peek() == Some(b'}') { None } else { Some(self.digits()?) }
            } else {
                Some(min)
            };
            self.skip(b"}").then_some((min, max))
        })();
        let Some((min, max)) = parsed else {
            self.pos = start;
            return Ok(None);
        };
        if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX) {
            return self.fault("number too big in {} quantifier");
        }
        if max.is_some_and(|max| max < min) {
            return self.fault("numbers out of order in {} quantifier");
        }
        Ok(Some((min, max)))
    }

    /// A decimal number; what does not fit is as large as can be.
    fn digits(&mut self) -> Option<u32> {
        let start = self.pos;
        let mut number = 0_u32;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            number = number.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
            self.pos += 1;
        }
        (self.pos > start).then_some(number)
    }

    fn escape(&mut self) -> Step {
        let start = self.pos - 1;
        let Some(byte) = self.next() else {
            return Err(error("\\ at end of pattern", None));
        };
        match byte {
            b'Q' => self.quoted(),
            b'E' | b'K' => (),
            b'd' | b'D' | b'w' | b'W' | b's' | b'S' => {
                self.item(&format!("\\{}", char::from(byte)));
            }
            b'h' | b'H' | b'v' | b'V' => {
                let mut set = Bytes::default();
                set.add_type(byte);
                let class = set.render(false);
                self.item(&class);
            }
            b'N' => self.item(r"[^\n]"),
            b'R' => {
                self.needs_backtracking = true;
                self.item(r"(?>\r\n|[\n\x0B\x0C\r\x85])");
            }
            b'C' => self.item("(?s:.)"),
            b'b' | b'B' => self.assertion(&format!("\\{}", char::from(byte))),
            b'A' | b'G' => self.assertion(r"\A"),
            b'z' => self.assertion(r"\z"),
            b'Z' => self.assertion(END),
            b'g' => self.group_reference(start)?,
            b'k' => {
                let name = self.delimited_name(start)?;
                self.named_reference(&name);
            }
            b'1'..=b'9' => self.number_reference(start)?,
            b'p' | b'P' | b'X' => {
                return self.fault("Unicode properties are not supported");
            }
            _ => match self.character(byte)? {
                Some(byte) => self.literal(byte),
                None => return self.fault("unrecognized character follows \\"),
            },
        }
        Ok(())
    }

    /// Copies up to `\E` as it stands.
    fn quoted(&mut self) {
        while self.pos < self.source.len() && !self.skip(b"\\E") {
            let byte = self.source[self.pos];
            self.pos += 1;
            self.literal(byte);
        }
    }

    /// The character that an escape stands for, inside a class or not, after its first letter.
    fn character(&mut self, byte: u8) -> Step<Option<u8>> {
        let character = match byte {
            b'a' => 0x07,
            b'e' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'c' => match self.next() {
                Some(byte @ 0x20..0x7f) => byte.to_ascii_uppercase() ^ 0x40,
                Some(_) | None => {
                    return self.fault("\\c must be followed by a printable ASCII character");
                }
            },
            b'x' if self.skip(b"{") => self.code(16, b'}')?,
            b'x' => self.code_digits(16, 2),
            b'o' if self.skip(b"{") => self.code(8, b'}')?,
            b'o' => return self.fault("missing opening brace after \\o"),
            b'0' => self.code_digits(8, 2),
            byte if byte.is_ascii_alphanumeric() => return Ok(None),
            byte => byte,
        };
        Ok(Some(character))
    }

    /// Digits up to a closing brace.
    fn code(&mut self, radix: u32, end: u8) -> Step<u8> {
        let mut code = 0_u32;
        let start = self.pos;
        while let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(radix)) {
            code = code.saturating_mul(radix).saturating_add(digit);
            self.pos += 1;
        }
        if self.pos == start || self.peek() != Some(end) {
            return self.fault("non-hex character in \\x{} (closing brace missing?)");
        }
        self.pos += 1;
        match u8::try_from(code) {
            Ok(byte) => Ok(byte),
            Err(_) => self.fault("character code point value in \\x{} or \\o{} is too large"),
        }
    }

    /// At most `len_max` digits, perhaps none; what is too large loses its upper bits.
    fn code_digits(&mut self, radix: u32, len_max: usize) -> u8 {
        let mut code = 0_u32;
        for _ in 0..len_max {
            let Some(digit) = self.peek().and_then(|byte| char::from(byte).to_digit(radix)) else {
                break;
            };
            code = code * radix + digit;
            self.pos += 1;
        }
        code.to_le_bytes()[0]
    }

    /// `\` and a number: a reference to a group if there are so many, else an octal number.
    fn number_reference(&mut self, start: usize) -> Step {
        self.pos = start + 1;
        let number = self.digits().unwrap_or(u32::MAX) as usize;
        if number < 10 || number <= self.groups_in_all {
            self.reference(start, number);
            return Ok(());
        }
        self.pos = start + 1;
        if self.peek().is_some_and(|byte| byte >= b'8') {
            return self.fault("reference to non-existent subpattern");
        }
        let byte = self.code_digits(8, 3);
        self.literal(byte);
        Ok(())
    }

    /// `\g1`, `\g{1}`, `\g{-1}` and `\g{name}`.
    fn group_reference(&mut self, start: usize) -> Step {
        if matches!(self.peek(), Some(b'<' | b'\'')) {
            return self.fault(NO_RECURSION);
        }
        let in_braces = self.skip(b"{");
        let is_relative = self.skip(b"-");
        match self.digits() {
            Some(number) => {
                let number = number as usize;
                if in_braces && !self.skip(b"}") {
                    return self.fault("missing terminator for \\g");
                }
                let number = match (is_relative, number) {
                    (false, number) => number,
                    (true, number) if (1..=self.groups).contains(&number) => {
                        self.groups + 1 - number
                    }
                    (true, _) => return self.fault("reference to non-existent subpattern"),
                };
                if number == 0 {
                    return self.fault("a numbered reference must not be zero");
                }
                self.reference(start, number);
                Ok(())
            }
            None if in_braces && !is_relative => {
                let name = self.name(b'}')?;
                self.named_reference(&name);
                Ok(())
            }
            None => self.fault("a numbered reference must not be zero"),
        }
    }

    fn reference(&mut self, offset: usize, group: usize) {
        self.references.push((offset, group));
        self.needs_backtracking = true;
        self.item(&format!("(?:\\{group})"));
    }

    fn named_reference(&mut self, name: &str) {
        self.needs_backtracking = true;
        self.item(&format!("\\k<{name}>"));
    }

    /// The name in `<name>`, `'name'` or `{name}`.
    fn delimited_name(&mut self, start: usize) -> Step<String> {
        let end = match self.next() {
            Some(b'<') => b'>',
            Some(b'\'') => b'\'',
            Some(b'{') => b'}',
            Some(_) | None => {
                self.pos = start + 2;
                return self
                    .fault("\\k is not followed by a braced, angle-bracketed, or quoted name");
            }
        };
        self.name(end)
    }

    /// A group's name and the delimiter behind it.
    fn name(&mut self, end: u8) -> Step<String> {
        const LEN_MAX: usize = 32;
        let rest = &self.source[self.pos..];
        let is_part = |&&byte: &&u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let len = rest.iter().take_while(is_part).count();
        if len == 0 {
            return self.fault("subpattern name expected");
        }
        if rest[0].is_ascii_digit() {
            return self.fault("subpattern name must start with a non-digit");
        }
        let name = rest[..len].iter().copied().map(char::from).collect::<String>();
        self.pos += len;
        if len > LEN_MAX {
            return self.fault("subpattern name is too long (maximum 32 code units)");
        }
        if self.next() != Some(end) {
            self.pos -= usize::from(self.pos == self.source.len());
            return self.fault("syntax error in subpattern name (missing terminator?)");
        }
        Ok(name)
    }

    fn push_group(&mut self, text: &str) -> Step {
        if self.open.len() == NESTING_MAX {
            return self.fault("parentheses are too deeply nested");
        }
        self.open.push(Group { flags: self.flags, start: self.out.len() });
        self.atom = None;
        self.out.push_str(text);
        Ok(())
    }

    fn close_group(&mut self) -> Step {
        let Some(group) = self.open.pop() else {
            self.pos -= 1;
            return self.fault("unmatched closing parenthesis");
        };
        self.flags = group.flags;
        self.out.push(')');
        self.atom = Some(group.start);
        Ok(())
    }

    /// What follows an opening parenthesis.
    fn open_group(&mut self) -> Step {
        if self.peek() == Some(b'*') {
            return self.fault("verbs are not supported");
        }
        if !self.skip(b"?") {
            if self.flags.no_capture {
                return self.push_group("(?:");
            }
            self.groups += 1;
            return self.push_group("(");
        }
        let start = self.pos;
        match self.next() {
            Some(b'#') => {
                while let Some(byte) = self.next() {
                    if byte == b')' {
                        return Ok(());
                    }
                }
                self.fault("missing ) after (?# comment")
            }
            Some(b':') => self.push_group("(?:"),
            Some(b'=') => self.look_around("(?="),
            Some(b'!') => self.look_around("(?!"),
            Some(b'>') => self.look_around("(?>"),
            Some(b'<') if self.skip(b"=") => self.look_around("(?<="),
            Some(b'<') if self.skip(b"!") => self.look_around("(?<!"),
            Some(b'<') => self.named_group(b'>'),
            Some(b'\'') => self.named_group(b'\''),
            Some(b'P') if self.skip(b"<") => self.named_group(b'>'),
            Some(b'P') if self.skip(b"=") => {
                let name = self.name(b')')?;
                self.named_reference(&name);
                Ok(())
            }
            Some(b'(') => self.conditional(),
            Some(b'P' | b'R' | b'&' | b'0'..=b'9' | b'+' | b'C') => {
                self.pos = start;
                self.fault(NO_RECURSION)
            }
            Some(b'-') if self.peek().is_some_and(|byte| byte.is_ascii_digit()) => {
                self.pos = start;
                self.fault(NO_RECURSION)
            }
            Some(b'|') => {
                self.pos = start;
                self.fault("branch reset groups are not supported")
            }
            Some(_) | None => {
                self.pos = start;
                self.set_flags()
            }
        }
    }

    fn look_around(&mut self, text: &str) -> Step {
        self.needs_backtracking = true;
        self.push_group(text)
    }

    fn named_group(&mut self, end: u8) -> Step {
        let name = self.name(end)?;
        self.groups += 1;
        self.push_group(&format!("(?P<{name}>"))
    }

    /// `(?(1)yes|no)` and `(?(<name>)yes|no)`, after the second parenthesis.
    fn conditional(&mut self) -> Step {
        let start = self.pos;
        let condition = if let Some(number) = self.digits() {
            self.references.push((start, number as usize));
            number.to_string()
        } else if self.skip(b"<") {
            format!("<{}>", self.name(b'>')?)
        } else if self.skip(b"'") {
            format!("<{}>", self.name(b'\'')?)
        } else {
            return self.fault("conditions other than a group are not supported");
        };
        if !self.skip(b")") {
            return self.fault("missing closing parenthesis for condition");
        }
        self.look_around(&format!("(?({condition})"))
    }

    /// `(?i)`, `(?i-s:` and the like.
    fn set_flags(&mut self) -> Step {
        let outer = self.flags;
        let mut flags = self.flags;
        let (mut on, mut off) = (String::new(), String::new());
        let mut value = true;
        if self.skip(b"^") {
            flags = Flags::default();
            off.push_str("ims");
        }
        loop {
            match self.next() {
                Some(b'-') if value => value = false,
                Some(byte @ (b'i' | b's' | b'm')) => {
                    if byte == b'm' {
                        flags.multi_line = value;
                    }
                    let flag = char::from(byte);
                    on.retain(|other| other != flag);
                    off.retain(|other| other != flag);
                    if value { &mut on } else { &mut off }.push(flag);
                }
                Some(b'x') => flags.extended = value,
                Some(b'n') => flags.no_capture = value,
                // Greed does not change whether there is a match, and names may not be repeated.
                Some(b'U' | b'J') => (),
                Some(end @ (b')' | b':')) => {
                    let dash = if off.is_empty() { "" } else { "-" };
                    let text = format!("(?{on}{dash}{off}");
                    if end == b':' {
                        self.push_group(&format!("{text}:"))?;
                    } else if !(on.is_empty() && off.is_empty()) {
                        self.assertion(&format!("{text})"));
                    } else {
                        self.atom = None;
                    }
                    self.flags = flags;
                    if let (b':', Some(group)) = (end, self.open.last_mut()) {
                        group.flags = outer;
                    }
                    return Ok(());
                }
                Some(_) => {
                    self.pos -= 1;
                    return self.fault("unrecognized character after (? or (?-");
                }
                None => return self.fault("missing closing parenthesis"),
            }
        }
    }

    /// A character class, after its opening bracket.
    fn class(&mut self) -> Step {
        const UNCLOSED: &str = "missing terminating ] for character class";
        let is_negated = self.skip(b"^");
        let mut set = Bytes::default();
        // A bracket that comes first is a literal.
        let mut is_first = true;
        loop {
            let Some(byte) = self.next() else {
                return Err(error(UNCLOSED, None));
            };
            if byte == b']' && !is_first {
                break;
            }
            is_first = false;
            let Some(low) = self.class_item(byte, &mut set)? else {
                continue;
            };
            let is_range = self.peek() == Some(b'-')
                && self.source.get(self.pos + 1).is_some_and(|&byte| byte != b']');
            if !is_range {
                set.add_range(low, low);
                continue;
            }
            let dash = self.pos;
            self.pos += 1;
            let Some(byte) = self.next() else {
                return Err(error(UNCLOSED, None));
            };
            match self.class_item(byte, &mut set)? {
                Some(high) if high < low => {
                    self.pos -= 1;
                    return self.fault("range out of order in character class");
                }
                Some(high) => set.add_range(low, high),
                // Before a set of characters the dash is a literal.
                None => {
                    set.add_range(low, low);
                    set.add_range(self.source[dash], b'-');
                }
            }
        }
        let class = set.render(is_negated);
        self.item(&class);
        Ok(())
    }

    /// One item of a class: a character, or nothing after adding a set of them.
    fn class_item(&mut self, byte: u8, set: &mut Bytes) -> Step<Option<u8>> {
        match byte {
            b'[' if matches!(self.peek(), Some(b':' | b'.' | b'=')) => self.posix_class(set),
            b'\\' => match self.next() {
                None => Err(error("\\ at end of pattern", None)),
                Some(
                    byte @ (b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'H' | b'v' | b'V'),
                ) => {
                    set.add_type(byte);
                    Ok(None)
                }
                Some(b'b') => Ok(Some(0x08)),
                Some(b'E') => Ok(None),
                Some(b'Q') => {
                    while self.pos < self.source.len() && !self.skip(b"\\E") {
                        let byte = self.source[self.pos];
                        set.add_range(byte, byte);
                        self.pos += 1;
                    }
                    Ok(None)
                }
                Some(b'1'..=b'7') => {
                    self.pos -= 1;
                    Ok(Some(self.code_digits(8, 3)))
                }
                Some(b'p' | b'P') => self.fault("Unicode properties are not supported"),
                Some(b'B' | b'R' | b'X' | b'N') => {
                    self.fault("escape sequence is invalid in character class")
                }
                Some(byte) => match self.character(byte)? {
                    Some(byte) => Ok(Some(byte)),
                    None => self.fault("unrecognized character follows \\"),
                },
            },
            byte => Ok(Some(byte)),
        }
    }

    /// `[:name:]`, after its opening bracket, if it is one.
    fn posix_class(&mut self, set: &mut Bytes) -> Step<Option<u8>> {
        let start = self.pos;
        let rest = &self.source[self.pos..];
        let kind = rest[0];
        let is_inside = |&&byte: &&u8| byte != b']' && byte != kind;
        let len = rest[1..].iter().take_while(is_inside).count();
        if rest.get(len + 1) != Some(&kind) || rest.get(len + 2) != Some(&b']') {
            return Ok(Some(b'['));
        }
        if kind != b':' {
            self.pos -= 1;
            return self.fault("POSIX collating elements are not supported");
        }
        let name = &rest[1..=len];
        let (is_negated, name) = match name.strip_prefix(b"^") {
            Some(name) => (true, name),
            None => (false, name),
        };
        let is_member: fn(&u8) -> bool = match name {
            b"alpha" => u8::is_ascii_alphabetic,
            b"digit" => u8::is_ascii_digit,
            b"alnum" => u8::is_ascii_alphanumeric,
            b"upper" => u8::is_ascii_uppercase,
            b"lower" => u8::is_ascii_lowercase,
            b"punct" => u8::is_ascii_punctuation,
            b"xdigit" => u8::is_ascii_hexdigit,
            b"cntrl" => u8::is_ascii_control,
            b"graph" => u8::is_ascii_graphic,
            b"ascii" => u8::is_ascii,
            b"print" => |byte| matches!(byte, 0x20..0x7f),
            b"blank" => |byte| matches!(byte, b' ' | b'\t'),
            b"space" => |byte| matches!(byte, b' ' | 0x09..=0x0d),
            b"word" => |byte| byte.is_ascii_alphanumeric() || *byte == b'_',
            _ => {
                self.pos = start;
                return self.fault("unknown POSIX class name");
            }
        };
        for byte in 0..=u8::MAX {
            if is_member(&byte) != is_negated {
                set.add_range(byte, byte);
            }
        }
        self.pos += len + 3;
        Ok(None)
    }
}

const NO_RECURSION: &str = "recursion and subroutine calls are not supported";

/// The end of the subject, or before a line feed that ends it.
const END: &str = r"(?:\n?\z)";

fn push_byte(out: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'_') {
        out.push(char::from(byte));
    } else {
        out.push_str(&format!("\\x{byte:02X}"));
    }
}

/// A set of bytes.
struct Bytes([bool; 256]);

impl Default for Bytes {
    fn default() -> Self {
        Self([false; 256])
    }
}

impl Bytes {
    fn add_range(&mut self, low: u8, high: u8) {
        for byte in low..=high {
            self.0[usize::from(byte)] = true;
        }
    }

    /// Adds what `\d`, `\D` and the like stand for.
    fn add_type(&mut self, letter: u8) {
        let is_member: fn(u8) -> bool = match letter.to_ascii_lowercase() {
            b'd' => |byte| byte.is_ascii_digit(),
            b'w' => |byte| byte.is_ascii_alphanumeric() || byte == b'_',
            b's' => |byte| matches!(byte, b' ' | 0x09..=0x0d),
            b'h' => |byte| matches!(byte, b' ' | b'\t' | 0xa0),
            _ => |byte| matches!(byte, 0x0a..=0x0d | 0x85),
        };
        for byte in 0..=u8::MAX {
            if is_member(byte) != letter.is_ascii_uppercase() {
                self.0[usize::from(byte)] = true;
            }
        }
    }

    /// The set as a class. A negated one is written as such: letter case, where it is ignored, is
    /// folded before the negation.
    fn render(&self, is_negated: bool) -> String {
        if !self.0.contains(&true) {
            return if is_negated { r"[\x00-\xFF]" } else { r"[^\x00-\xFF]" }.to_owned();
        }
        let mut class = String::from(if is_negated { "[^" } else { "[" });
        let mut byte = 0;
        while byte < 256 {
            if !self.0[byte] {
                byte += 1;
                continue;
            }
            let first = byte;
            while byte < 256 && self.0[byte] {
                byte += 1;
            }
            class.push_str(&format!("\\x{first:02X}-\\x{:02X}", byte - 1));
        }
        class.push(']');
        class
    }
}
