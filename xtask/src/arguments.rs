//! The command line of a task.

use crate::tools::Result;

/// The arguments that a task has not taken yet.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    /// These arguments.
    pub(crate) fn new(given: Vec<String>) -> Self {
        Self(given)
    }

    /// Takes a flag; whether it was there.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|argument| argument != name);
        self.0.len() != before
    }

    /// Takes an option and its value, given as `--name value` or `--name=value`.
    pub(crate) fn option(&mut self, name: &str) -> Result<Option<String>> {
        let prefix = format!("{name}=");
        let Some(at) = self.0.iter().position(|a| a == name || a.starts_with(&prefix)) else {
            return Ok(None);
        };
        let taken = self.0.remove(at);
        if let Some(value) = taken.strip_prefix(&prefix) {
            return Ok(Some(value.to_owned()));
        }
        if at == self.0.len() {
            return Err(format!("{name} needs a value").into());
        }
        Ok(Some(self.0.remove(at)))
    }

    /// Takes `--python EXE`: the Python to work with, or else `python3`.
    pub(crate) fn python(&mut self) -> Result<String> {
        Ok(self.option("--python")?.unwrap_or_else(|| "python3".to_owned()))
    }

    /// Takes all that is left.
    pub(crate) fn rest(self) -> Vec<String> {
        self.0
    }

    /// Ends the command line: an error if there is anything left.
    pub(crate) fn end(self) -> Result {
        match self.0.first() {
            None => Ok(()),
            Some(argument) => Err(format!("unexpected argument {argument:?}").into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;

    fn arguments(given: &[&str]) -> Arguments {
        Arguments::new(given.iter().map(|&argument| argument.to_owned()).collect())
    }

    #[test]
    fn options_are_taken_in_both_spellings() {
        let mut given = arguments(&["lua54", "--python", "pypy3", "--only=rust"]);
        assert_eq!(given.python().unwrap(), "pypy3");
        assert_eq!(given.option("--only").unwrap().as_deref(), Some("rust"));
        assert_eq!(given.option("--only").unwrap(), None);
        assert_eq!(given.rest(), ["lua54"]);
    }

    #[test]
    fn an_option_without_its_value_is_an_error() {
        assert!(arguments(&["--python"]).option("--python").is_err());
    }

    #[test]
    fn what_no_task_takes_is_an_error() {
        let mut given = arguments(&["--debug", "--degub"]);
        assert!(given.flag("--debug"));
        assert!(given.end().unwrap_err().to_string().contains("--degub"));
    }
}
