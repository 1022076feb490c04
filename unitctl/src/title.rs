//! The title of a main process, `unit: main v<version> [<command line>]`, and what is in it.

/// What a title says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Title {
    /// The version of the daemon.
    pub(crate) version: String,
    /// Its command line, words joined by single blanks; cut when it was very long.
    pub(crate) command_line: String,
}

impl Title {
    /// Reads a title; nothing if it is not that of a main process.
    pub(crate) fn parse(title: &str) -> Option<Self> {
        let rest = title.strip_prefix("unit: main v")?;
        let (version, rest) = rest.split_once(" [")?;
        let rest = rest.trim_end_matches([' ', '\0']);
        let command_line = rest.strip_suffix(']').unwrap_or(rest);
        let is_version = |character: char| character.is_ascii_graphic();
        if version.is_empty() || !version.chars().all(is_version) {
            return None;
        }
        Some(Self { version: version.to_owned(), command_line: command_line.to_owned() })
    }

    /// The value of an option; of one given twice the last counts. A value with blanks in it ends
    /// where the next option begins, which is as well as a title can tell.
    pub(crate) fn option(&self, name: &str) -> Option<&str> {
        let mark = format!(" {name} ");
        let start = self.command_line.rfind(&mark)? + mark.len();
        let rest = self.command_line.get(start..)?;
        let value = match rest.find(" --") {
            Some(end) => rest.get(..end)?,
            None => rest,
        };
        let value = value.trim();
        // What begins like an option is the next one: this one takes no value.
        (!value.is_empty() && !value.starts_with("--")).then_some(value)
    }

    /// The options, without the name of the program.
    pub(crate) fn flags(&self) -> &str {
        match self.command_line.find(" --") {
            Some(start) => self.command_line.get(start + 1..).unwrap_or_default(),
            None => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_from_a_title() {
        let title = Title::parse(
            "unit: main v2.0.0 [/usr/sbin/unitd --no-daemon --control unix:/a --log /var/log/u l \
             --control unix:/run/c.sock]",
        )
        .unwrap();
        assert_eq!(title.version, "2.0.0");
        assert_eq!(title.option("--control"), Some("unix:/run/c.sock"));
        assert_eq!(title.option("--log"), Some("/var/log/u l"));
        assert_eq!(title.option("--pid"), None);
        assert_eq!(title.option("--no-daemon"), None);
        assert!(title.flags().starts_with("--no-daemon --control"));
    }

    #[test]
    fn a_title_that_was_cut_is_still_one() {
        let title = Title::parse("unit: main v1.35.0 [unitd --control unix:/lo").unwrap();
        assert_eq!(title.option("--control"), Some("unix:/lo"));
    }

    #[test]
    fn other_processes_are_none() {
        for title in
            ["unit: router", "unit: main v2.0.0", "unit: main v [x]", "vi unit: main v1 [x]"]
        {
            assert_eq!(Title::parse(title), None, "{title}");
        }
        assert_eq!(Title::parse("unit: main v2 [unitd]").unwrap().flags(), "");
    }
}
