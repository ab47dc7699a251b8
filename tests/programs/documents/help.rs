//! The arguments of a program, by its help.

use std::process::{Command, Stdio};

/// The help that a program prints.
pub(super) struct Help(String);

impl Help {
    pub(super) fn of(command: &mut Command) -> Result<Self, String> {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() && !text.is_empty() {
            return Ok(Self(text));
        }
        Err(format!("{command:?} prints no help: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// The options among the arguments, with their values, and the other arguments. An option that the help does not
    /// name is an error.
    pub(super) fn parse(&self, arguments: &[String]) -> Result<Parsed, String> {
        let mut parsed = Parsed::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            if !argument.starts_with('-') {
                parsed.positionals.push(argument.clone());
                continue;
            }
            let takes_value =
                self.option(argument).ok_or_else(|| format!("there is no option {argument}"))?;
            let value = takes_value.then(|| rest.next().cloned().ok_or(format!("{argument} has no value")));
            parsed.options.push((argument.clone(), value.transpose()?));
        }
        Ok(parsed)
    }

    /// Whether an option is followed by a value (`--listen <ADDRESS>`, `--config FILE`); nothing if there is no such option.
    fn option(&self, name: &str) -> Option<bool> {
        let words =
            self.0.lines().map(|line| line.split_whitespace().map(|w| w.trim_matches(['[', ']', ','])));
        words
            .filter_map(|mut words| {
                words.find(|word| *word == name)?;
                // `-p, --package <SPEC>`
                let next = words.find(|word| !word.starts_with('-')).unwrap_or_default();
                Some(
                    next.starts_with('<')
                        || (!next.is_empty() && next.chars().all(|c| c.is_ascii_uppercase())),
                )
            })
            .next()
    }

    /// The words in capitals of the first line: arguments that are not options.
    pub(super) fn positionals(&self) -> usize {
        let words = self.0.lines().next().unwrap_or_default().split_whitespace();
        words.filter(|word| word.chars().all(|c| c.is_ascii_uppercase())).count()
    }

    /// Whether it lists a command of that name.
    pub(super) fn has_command(&self, name: &str) -> bool {
        let commands = self.0.lines().skip_while(|line| *line != "Commands:").skip(1);
        let mut commands = commands.take_while(|line| line.starts_with(' '));
        commands.any(|line| line.split_whitespace().next() == Some(name))
    }

    pub(super) fn names(&self, word: &str) -> bool {
        self.0.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|known| known == word)
    }
}

#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub(super) options: Vec<(String, Option<String>)>,
    pub(super) positionals: Vec<String>,
}

impl Parsed {
    /// The values of an option, under any of its names.
    pub(super) fn values(&self, names: &[&str]) -> impl Iterator<Item = &str> {
        let given = self.options.iter().filter(|(name, _)| names.contains(&name.as_str()));
        given.filter_map(|(_, value)| value.as_deref())
    }
}

#[test]
fn options_are_those_of_the_help() {
    let help =
        Help("Usage: x [--config FILE]\n  -p, --package [<SPEC>]  only this\n      --quick  soon\n".into());
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let parsed = help.parse(&words("-p worker --quick here --config a.yaml")).unwrap();
    assert_eq!(parsed.values(&["-p", "--package"]).collect::<Vec<_>>(), ["worker"]);
    assert_eq!(parsed.values(&["--config"]).collect::<Vec<_>>(), ["a.yaml"]);
    assert_eq!(parsed.positionals, ["here"]);
    assert_eq!(help.parse(&words("--quic")), Err("there is no option --quic".into()));
    assert_eq!(help.parse(&words("--config")), Err("--config has no value".into()));
}
