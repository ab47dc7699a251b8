use std::path::Path;

use deployment_config::Checked;

#[test]
fn every_example_and_the_deployed_file_load() {
    let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let examples = std::fs::read_dir(infra.join("examples")).unwrap();
    let files = examples.map(|entry| entry.unwrap().path()).chain([infra.join("config.yaml")]);
    let loaded = files.map(|file| Checked::load(&file).unwrap_or_else(|error| panic!("{error}")));
    assert!(loaded.filter(|config| !config.config.runtimes.is_empty()).count() >= 5);
}

#[test]
fn a_missing_file_is_named() {
    let error = Checked::load(Path::new("no-such-file.yaml")).unwrap_err().to_string();
    assert!(error.starts_with("no-such-file.yaml cannot be deployed:\n  it cannot be read: "), "{error}");
}
