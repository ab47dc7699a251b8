//! Names of files and folders as ComfyUI's nodes open them: which stay among what every caller may see.

/// What a name must be, for messages.
pub(super) const PLAIN: &str = "no `..`, no `\\`, no leading `/`, no ` [output]`, nothing below `darkroom`";

/// The folder that the worker puts the files of its jobs in, among the inputs and outputs of ComfyUI. The names below it
/// cannot be guessed, but some nodes list folders.
pub const COMFYUI_JOBS_FOLDER: &str = "darkroom";

/// Whether a name stays within the folder that its node looks in, and away from the files of jobs. ComfyUI takes
/// ` [output]`, ` [temp]` and ` [input]` at the end for the folder to look in.
pub(super) fn is_plain(name: &str) -> bool {
    let trimmed = name.trim();
    let annotated = ["[output]", "[temp]", "[input]"].iter().any(|folder| trimmed.ends_with(folder));
    let drive = trimmed.as_bytes().get(1) == Some(&b':');
    let mut segments = trimmed.split('/').filter(|segment| !segment.is_empty() && *segment != ".");
    !(annotated
        || drive
        || trimmed.starts_with(['/', '~'])
        || name.contains(|c: char| c == '\\' || c.is_control())
        || name.split('/').any(|part| part.trim() == "..")
        || segments.next().is_some_and(|first| first.trim().eq_ignore_ascii_case(COMFYUI_JOBS_FOLDER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_reach_other_files_are_not_plain() {
        for name in [
            "x.png [output]",
            "x.png[temp]",
            "x.png [input] ",
            "../x.png",
            "a/../x.png",
            "a/.. /x.png",
            "..",
            "/etc/x",
            " /etc/x",
            "~/x.png",
            "C:/x",
            "a\\x.png",
            "..\\x.png",
            "x\0.png",
            "x.png\n",
            "darkroom",
            "darkroom/",
            "darkroom/0123/input-1.png",
            "./darkroom",
            ".//./Darkroom/x",
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn other_names_are_plain() {
        for name in [
            "example.png",
            "clips/猫 1.png",
            "a..b.png",
            "...",
            "a/./b.png",
            "darkroom.png",
            "darkrooms/x.png",
            "x [1].png",
            "",
        ] {
            assert!(is_plain(name), "{name:?}");
        }
    }
}
