//! `cargo run -p local-stack`: serves until Ctrl-C, or runs the demo and exits.

use std::io::IsTerminal;

use clap::Parser;
use local_stack::console::{self, Completions};
use local_stack::options::Options;
use local_stack::{Stack, demo};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,s3s=off".into());
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    logs.with_ansi(std::io::stderr().is_terminal()).init();

    let stopping = worker::shutdown::on_signals()?;
    let data_dir = options.data_dir.clone();
    let stack = Stack::start(options.stack()?).await?;
    let mut completions = Completions::subscribe(&stack).await?;
    console::print_startup(&stack, &data_dir);

    let result = tokio::select! {
        result = work(&options, &stack, &mut completions) => result,
        () = stopping.cancelled() => Ok(()),
    };
    console::print_line("\nstopping");
    let stored = stack.stop().await;
    console::print_shutdown(&data_dir, &stored);
    result
}

async fn work(options: &Options, stack: &Stack, completions: &mut Completions) -> anyhow::Result<()> {
    if options.demo {
        return Ok(demo::run(stack, &options.data_dir, completions).await?);
    }
    loop {
        let event = completions.next().await?;
        console::report(stack, &options.data_dir, &event);
    }
}
