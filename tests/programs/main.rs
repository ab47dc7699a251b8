//! Starts the shipped programs as their users start them, and uses them as their users do.
//!
//! What `AWS_ENDPOINT_URL` names is used by the programs that talk to AWS; `local-stack` always brings its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod agents;
mod check_scripts;
mod command_line;
mod dead_letter;
mod dead_letter_keys;
mod deployment;
mod documents;
mod function;
mod lambda;
mod local_stack;
mod log_contents;
mod log_lines;
mod metrics;
mod predecessors;
mod served;
mod submitted_once;
mod traces;
