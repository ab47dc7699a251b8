//! Where a save node writes: `filename_prefix` may hold folders, but may not lead outside.

/// Where ComfyUI lies on the server.
const ROOT: &str = "/opt/ComfyUI";

/// Subfolder and beginning of the file name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutputPath {
    pub(super) subfolder: String,
    pub(super) prefix: String,
}

impl OutputPath {
    /// # Errors
    /// The message of the exception that ComfyUI raises when the prefix leads outside of the output folder.
    pub(super) fn parse(filename_prefix: &str) -> Result<Self, String> {
        let output = format!("{ROOT}/output");
        let absolute = if filename_prefix.starts_with('/') {
            normalize(filename_prefix)
        } else {
            normalize(&format!("{output}/{filename_prefix}"))
        };
        let (folder, prefix) = absolute.rsplit_once('/').unwrap_or(("", &absolute));
        let inside = folder == output || folder.starts_with(&format!("{output}/"));
        if !inside {
            let folder = if folder.is_empty() { "/" } else { folder };
            return Err(format!(
                "**** ERROR: Saving image outside the output folder is not allowed.\n full_output_folder: {folder}\n         \
                 output_dir: {output}\n         commonpath: {}\n",
                common(folder, &output),
            ));
        }
        let subfolder = folder.strip_prefix(&output).unwrap_or_default().trim_start_matches('/');
        Ok(Self { subfolder: subfolder.to_owned(), prefix: prefix.to_owned() })
    }

    /// The beginning of the path within the folder.
    pub(super) fn stem(&self) -> String {
        join(&self.subfolder, &self.prefix)
    }
}

/// `subfolder/name`, or `name` alone.
pub(super) fn join(subfolder: &str, name: &str) -> String {
    if subfolder.is_empty() { name.to_owned() } else { format!("{subfolder}/{name}") }
}

/// True if a relative path climbs out of the folder it starts in, or is not relative.
pub(super) fn leads_outside(path: &str) -> bool {
    let absolute = format!("{ROOT}/input/{path}");
    path.starts_with('/') || !format!("{}/", normalize(&absolute)).starts_with(&format!("{ROOT}/input/"))
}

/// Resolves `.` and `..` of an absolute path.
fn normalize(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn common(one: &str, other: &str) -> String {
    let same = one.split('/').zip(other.split('/')).take_while(|(one, other)| one == other);
    let path = same.map(|(part, _)| part).collect::<Vec<_>>().join("/");
    if path.is_empty() { "/".to_owned() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_in_the_prefix_become_the_subfolder() {
        let path = OutputPath::parse("job/a/./out").unwrap();

        assert_eq!(path, OutputPath { subfolder: "job/a".to_owned(), prefix: "out".to_owned() });
        assert_eq!(OutputPath::parse("out").unwrap().stem(), "out");
    }

    #[test]
    fn a_prefix_that_leads_outside_is_refused() {
        for prefix in ["../x", "a/../../x", "/tmp/x", "../output2/x"] {
            let message = OutputPath::parse(prefix).unwrap_err();
            assert!(message.starts_with("**** ERROR: Saving image outside the output folder"), "{prefix}");
        }
    }

    #[test]
    fn climbing_within_the_folder_stays_inside() {
        assert!(!leads_outside("a/../b"));
        assert!(leads_outside("../input2"));
        assert!(leads_outside("/etc"));
    }
}
