//! Each command of the README and of the pages in `docs/` is run, or its program and options are checked.

use std::path::Path;
use std::process::Command;

use integration_tests::binaries;
use serde_json::Value;

use super::help::Help;
use super::markdown::Block;
use super::{REPOSITORY, files, guides};

/// The mark of blocks that need an AWS account.
const ACCOUNT: &str = "aws-account";
/// Programs that are not run here, since they build, install or start too much. What they are given is compared with their help.
const CHECKED: [&str; 7] = [
    "cargo",
    "python3",
    "./test",
    "infra/operate",
    "infra/images/build",
    "infra/build-functions",
    "infra/check",
];
/// Other programs, with file names as their only arguments.
const COPIES: [&str; 2] = ["cp", "zip"];

/// What is done with a block.
#[derive(Debug, PartialEq)]
pub(super) enum Treatment {
    /// It is no command: data, or output.
    None,
    /// Its programs and options are checked.
    Check(Vec<Vec<String>>),
    /// It is run against the local stack.
    Run,
}

/// An error for a block that is neither run nor checked.
pub(super) fn treatment(block: &Block) -> Result<Treatment, String> {
    match (block.language.as_str(), block.mark.as_str()) {
        ("json" | "text" | "yaml", "") => return Ok(Treatment::None),
        ("sh", "" | ACCOUNT) => {}
        (language, mark) => return Err(format!("a block of the kind `{language} {mark}` is not checked")),
    }
    let first = block.text.split_whitespace().find(|word| !is_assignment(word)).unwrap_or_default();
    if block.mark == ACCOUNT || CHECKED.contains(&first) {
        return Ok(Treatment::Check(commands(&block.text)?));
    }
    let misplaced = block.text.lines().filter_map(|line| line.split_whitespace().next());
    match misplaced.into_iter().find(|program| CHECKED.contains(program)) {
        Some(program) => Err(format!("{program} is in one block with commands that are run")),
        None => Ok(Treatment::Run),
    }
}

/// `NAME=value` before a command.
fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

/// The commands of a block as words, without comments.
fn commands(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut commands = Vec::new();
    for line in text.replace("\\\n", " ").lines() {
        let words = shlex::split(line).ok_or_else(|| format!("`{line}` has an open quotation"))?;
        for part in words.split(|word| ["&&", "|", ";"].contains(&word.as_str())) {
            let command: Vec<String> = part.iter().skip_while(|word| is_assignment(word)).cloned().collect();
            commands.extend((!command.is_empty()).then_some(command));
        }
    }
    Ok(commands)
}

fn faults(check: impl Fn(&[String]) -> Result<(), String>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut checked = 0;
    for document in guides() {
        for block in &document.blocks {
            let mut report =
                |fault: String| faults.push(format!("{}:{}: {fault}", document.path, block.line));
            match treatment(block) {
                Ok(Treatment::Check(commands)) => {
                    for command in commands {
                        checked += 1;
                        check(&command)
                            .unwrap_or_else(|fault| report(format!("{}: {fault}", command.join(" "))));
                    }
                }
                Ok(_) => {}
                Err(fault) => report(fault),
            }
        }
    }
    assert!(checked > 20, "only {checked} commands were found");
    faults
}

#[test]
fn the_commands_of_the_documents_name_programs_and_options_that_exist() {
    let faults = faults(|command| check(&command[0], &command[1..]));
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
#[ignore = "needs the Node.js packages of `infra/cdk`: `infra/check` runs it"]
fn the_operators_commands_of_the_documents_exist() {
    let faults = faults(|command| match command.split_first() {
        Some((program, arguments)) if program == "infra/operate" => operators(arguments),
        _ => Ok(()),
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn check(program: &str, arguments: &[String]) -> Result<(), String> {
    match program {
        "cargo" => cargo(arguments),
        // Its commands are a test of their own, which needs Node.js.
        "infra/operate" => Ok(()),
        "infra/images/build" | "infra/build-functions" | "infra/check" => {
            let help = Help::of(script(program).arg("--help"))?;
            let named = help.parse(arguments)?.positionals;
            named
                .iter()
                .find(|name| !help.names(name))
                .map_or(Ok(()), |name| Err(format!("there is no {name}")))
        }
        "python3" if files().contains(&arguments[0]) => Ok(()),
        "./test" if arguments.is_empty() && Path::new(REPOSITORY).join("test").is_file() => Ok(()),
        program if COPIES.contains(&program) && !arguments.iter().any(|word| word.starts_with('-')) => Ok(()),
        program => Err(format!("nothing checks {program} with these arguments")),
    }
}

fn script(program: &str) -> Command {
    let mut command = Command::new(Path::new(REPOSITORY).join(program));
    command.current_dir(REPOSITORY);
    command
}

fn operators(arguments: &[String]) -> Result<(), String> {
    let (name, arguments) = arguments.split_first().ok_or("without a command")?;
    let help = Help::of(script("infra/operate").args([name, "--help"]))?;
    let (given, wanted) = (help.parse(arguments)?.positionals.len(), help.positionals());
    if given == wanted { Ok(()) } else { Err(format!("{given} arguments instead of {wanted}")) }
}

fn cargo(arguments: &[String]) -> Result<(), String> {
    let mut parts = arguments.splitn(2, |word| word == "--");
    let (own, programs) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (command, own) = own.split_first().ok_or("without a command")?;
    let own = Help::of(Command::new("cargo").args([command, "-h"]))?.parse(own)?;
    let targets = targets(own.values(&["-p", "--package"]).next())?;
    for kind in ["bin", "example", "test"] {
        for name in own.values(&[&format!("--{kind}")]) {
            if !targets.iter().any(|(of, known)| of == kind && known == name) {
                return Err(format!("there is no {kind} {name}"));
            }
        }
    }
    let manifest = std::fs::read_to_string(Path::new(REPOSITORY).join("Cargo.toml")).unwrap();
    let mut profiles = own.values(&["--profile"]);
    if let Some(profile) = profiles.find(|profile| !manifest.contains(&format!("[profile.{profile}]"))) {
        return Err(format!("there is no profile {profile}"));
    }
    let program = match command.as_str() {
        _ if programs.is_empty() => return Ok(()),
        "run" => match own.values(&["--example"]).next() {
            Some(example) => binaries::example(example),
            None => {
                let only = targets.iter().find(|(kind, _)| kind == "bin").map(|(_, name)| name.as_str());
                binaries::executable(own.values(&["--bin"]).next().or(only).ok_or("it builds no program")?)
            }
        },
        // This is a test, with the options of all others.
        "test" => std::env::current_exe().unwrap(),
        _ => return Err("only `run` and `test` pass arguments on".into()),
    };
    let help = Help::of(Command::new(&program).arg("--help"))?;
    if let Some((name, arguments)) = programs.split_first()
        && help.has_command(name)
    {
        let help = Help::of(Command::new(program).args([name, "--help"]))?;
        let given = help.parse(arguments)?.positionals;
        let is_expected = given.is_empty() || help.names("Arguments");
        return if is_expected { Ok(()) } else { Err(format!("{} is not expected", given[0])) };
    }
    let given = help.parse(programs)?.positionals;
    let filter = usize::from(command == "test");
    given.get(filter).map_or(Ok(()), |word| Err(format!("{word} is not expected")))
}

/// Kind and name of what a package, or the workspace, builds.
fn targets(package: Option<&str>) -> Result<Vec<(String, String)>, String> {
    let arguments = ["metadata", "--no-deps", "--offline", "--format-version", "1"];
    let output = Command::new("cargo").args(arguments).current_dir(REPOSITORY).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let wanted: Vec<&Value> =
        packages.iter().filter(|known| package.is_none_or(|name| known["name"] == name)).collect();
    if wanted.is_empty() {
        return Err(format!("there is no package {}", package.unwrap_or_default()));
    }
    let targets = wanted.iter().flat_map(|package| package["targets"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Ok(targets.map(|target| (text(&target["kind"][0]), text(&target["name"]))).collect())
}

#[test]
fn an_invalid_command_is_a_fault() {
    let fault = |text: &str| {
        let block = Block { language: "sh".into(), text: text.into(), ..Block::default() };
        let Treatment::Check(commands) = treatment(&block)? else { return Ok(()) };
        commands.iter().try_for_each(|command| check(&command[0], &command[1..]))
    };
    assert_eq!(fault("cargo run -p local-stack -- --demo # shows it\n"), Ok(()));
    assert_eq!(fault("cargo run -p darkroom-cli -- submit 'a harbour' --wait\n"), Ok(()));
    assert_eq!(fault("cargo build --profile dist -p worker\ncp a b && zip b.zip b\n"), Ok(()));
    assert_eq!(fault("infra/check units \\\n  chart\n"), Ok(()));
    assert_eq!(fault("infra/images/build --push worker\n"), Ok(()));
    for wrong in [
        "cargo run -p local-stack -- --demonstration",
        "cargo run -p local-stack -- demo",
        "cargo run -p local-stacks",
        "cargo run -p darkroom-cli -- paint",
        "cargo run -p darkroom-cli -- submit x --colour",
        "cargo run -p darkroom-cli -- runtimes all",
        "cargo run -p integration-tests --example figure",
        "cargo build --profile distribution",
        "cargo build --packages worker",
        "infra/check unit",
        "infra/images/build --pull",
        "./test --quick",
        "X=y cargo test --tests-of worker",
        "cargo test --test suites",
        "cargo test -- --no-capture-at-all",
        "python3 tests/clients/gone.py",
        "cargo build && make",
        "cargo build 'open",
        "ls\ncargo build",
    ] {
        assert!(fault(wrong).is_err(), "{wrong}");
    }
    let marked = |language: &str, mark: &str| {
        treatment(&Block {
            language: language.into(),
            mark: mark.into(),
            text: "ls".into(),
            ..Block::default()
        })
    };
    assert_eq!(marked("sh", ""), Ok(Treatment::Run));
    assert_eq!(marked("sh", ACCOUNT), Ok(Treatment::Check(vec![vec!["ls".into()]])));
    assert!(marked("bash", "").is_err() && marked("sh", "later").is_err() && marked("", "").is_err());
}
