//! A case of the table: which call fails, how, how often, and the scenario in which a worker makes it.

use std::fmt::{self, Display, Formatter};

use local_stack::aws::Service;
use reqwest::Method;

use crate::scenario::Scenario;

/// One row of the table, before it is observed.
#[derive(Clone)]
pub(crate) struct Case {
    /// The name of the call in the table.
    pub(crate) call: &'static str,
    /// The call.
    pub(crate) target: Target,
    /// How it fails.
    pub(crate) failure: Failure,
    /// How often.
    pub(crate) extent: Extent,
    /// The scenario that leads to the call.
    pub(crate) scenario: Scenario,
}

/// A call that a worker makes.
#[derive(Clone)]
pub(crate) enum Target {
    /// Of AWS: the service, the action, and the end of the name of its object, queue or topic.
    Aws(Service, &'static str, &'static str),
    /// Of its runtime: the method, and how the path begins.
    Runtime(Method, &'static str),
    /// Of the server of images: the path.
    Images(&'static str),
}

/// How a call fails.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    /// AWS denies it to the role.
    Refused,
    /// S3 reports a concurrent write.
    Conflict,
    /// It is answered 500, and not done.
    Failed,
    /// The connection breaks before it is done.
    CutBefore,
    /// It is done, then the connection breaks. Of an image, half of it has arrived.
    CutAfter,
}

/// Which of the calls fail.
#[derive(Clone, Copy)]
pub(crate) enum Extent {
    /// This one, from 1.
    Nth(usize),
    /// So many, from the first on.
    First(usize),
    /// From the one to the other.
    Between(usize, usize),
    /// All of them.
    Each,
    /// All of them until so many have failed; then none.
    Until(usize),
}

impl Case {
    /// The cases of one call, one for each of the ways in which it fails.
    pub(crate) fn of(
        call: &'static str,
        target: Target,
        scenario: &Scenario,
        ways: &[(Failure, Extent)],
    ) -> Vec<Self> {
        let case = |&(failure, extent)| Self {
            call,
            target: target.clone(),
            failure,
            extent,
            scenario: scenario.clone(),
        };
        ways.iter().map(case).collect()
    }
}

impl Extent {
    /// How many calls fail, at least.
    pub(crate) fn calls(self) -> usize {
        match self {
            Self::Nth(_) | Self::Each => 1,
            Self::First(calls) | Self::Until(calls) => calls,
            Self::Between(from, to) => to + 1 - from,
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Conflict => "answered 409",
            Self::Failed => "answered 500",
            Self::CutBefore => "cut off before",
            Self::CutAfter => "cut off after",
        })
    }
}

impl Display for Extent {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth(n) => write!(f, "{}", ordinal(*n)),
            Self::First(n) => write!(f, "1st to {}", ordinal(*n)),
            Self::Between(from, to) => write!(f, "{} to {}", ordinal(*from), ordinal(*to)),
            Self::Each => f.write_str("each"),
            Self::Until(n) => write!(f, "each, for {n} calls"),
        }
    }
}

fn ordinal(n: usize) -> String {
    let ending = match n {
        1 => "st",
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}
