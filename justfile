# The commands that people type most. `just` lists them; CONTRIBUTING.md explains what is behind them.

_list:
    @just --list --unsorted

# Build the programs, which the tests start.
build:
    cargo build --workspace --bins --examples --locked

# Run the tests, or those whose name contains the filter.
test filter="": build
    cargo test --workspace --locked --no-fail-fast {{ filter }}

# Check formatting and lints.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# Run the whole system on this machine: two prompts become two image files.
demo:
    cargo run --locked -p local-stack -- --demo

# Fuzz one target (message, image_header, websocket_frames, front_door); needs nightly Rust and cargo-fuzz.
fuzz target seconds="300":
    cargo +nightly fuzz run --features libfuzzer {{ target }} -- -max_total_time={{ seconds }}

# Run everything that continuous integration runs.
ci:
    ./test
