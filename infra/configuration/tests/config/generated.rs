use std::path::Path;

use deployment_config::generate;

#[test]
fn generated_files_follow_from_the_types_of_runtimes() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in generate::files().unwrap() {
        assert!(file.is_current(&repository), "{}: run `darkroom-config generate`", file.path.display());
    }
}
