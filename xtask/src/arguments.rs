//! The words after the command: flags, options with a value, and the rest.

use anyhow::{Context, Result, bail};

/// What is left of the command line; each `take_` removes what it finds.
#[derive(Debug)]
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn new(words: impl Iterator<Item = String>) -> Self {
        Self(words.collect())
    }

    /// True when the flag was there.
    pub(crate) fn take_flag(&mut self, flag: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != flag);
        self.0.len() != before
    }

    /// The value of `--option VALUE` or `--option=VALUE`.
    pub(crate) fn take_value(&mut self, option: &str) -> Result<Option<String>> {
        if let Some(at) = self.0.iter().position(|word| word == option) {
            if at + 1 >= self.0.len() {
                bail!("{option} wants a value");
            }
            self.0.remove(at);
            return Ok(Some(self.0.remove(at)));
        }
        let prefix = format!("{option}=");
        let at = self.0.iter().position(|word| word.starts_with(&prefix));
        Ok(at.map(|at| self.0.remove(at)[prefix.len()..].to_owned()))
    }

    /// The value of an option that is a number.
    pub(crate) fn take_number(&mut self, option: &str) -> Result<Option<u32>> {
        self.take_value(option)?
            .map(|text| text.parse().with_context(|| format!("{option} {text:?} is not a number")))
            .transpose()
    }

    /// The words that are no options; any option left by now is unknown.
    pub(crate) fn into_words(self) -> Result<Vec<String>> {
        match self.0.iter().find(|word| word.starts_with('-')) {
            Some(unknown) => bail!("unknown option {unknown:?}"),
            None => Ok(self.0),
        }
    }

    /// For commands that take nothing more.
    pub(crate) fn finish(self) -> Result<()> {
        match self.into_words()?.first() {
            Some(word) => bail!("unexpected argument {word:?}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn arguments(words: &[&str]) -> Arguments {
        Arguments::new(words.iter().map(|&word| word.to_owned()))
    }

    #[test]
    fn takes_flags_values_and_words_in_any_order() {
        let mut arguments = arguments(&["return", "--json", "--rounds", "3", "--seconds=2"]);
        assert!(arguments.take_flag("--json"));
        assert_eq!(arguments.take_number("--rounds").unwrap(), Some(3));
        assert_eq!(arguments.take_value("--seconds").unwrap().as_deref(), Some("2"));
        assert_eq!(arguments.into_words().unwrap(), ["return"]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        assert!(arguments(&["--fast"]).finish().is_err());
        assert!(arguments(&["word"]).finish().is_err());
        assert!(arguments(&["--prefix"]).take_value("--prefix").is_err());
        assert!(arguments(&["--rounds", "many"]).take_number("--rounds").is_err());
    }
}
