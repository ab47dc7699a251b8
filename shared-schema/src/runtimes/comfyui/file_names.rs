//! Names of files and folders as ComfyUI's nodes open them: which stay among what every caller may see.

/// What a name must be, for messages.
pub(super) const PLAIN: &str = "no `..`, no `\\`, no leading `/`, no ` [output]`, nothing below `darkroom`, \
                                and at most 255 bytes between two `/`";

/// The folder that the worker puts the files of its jobs in, among the inputs and outputs of ComfyUI. The names below it
/// cannot be guessed, but some nodes list folders.
pub const JOBS_FOLDER: &str = "darkroom";

/// What ComfyUI takes at the end of a name for the folder to look in (`folder_paths.annotated_filepath`).
const ANNOTATIONS: [&str; 3] = ["[output]", "[temp]", "[input]"];

/// The most bytes of a path, and of one name in it, that Linux takes (`PATH_MAX`, `NAME_MAX`).
pub(super) const LONGEST_PATH: usize = 4096;
const LONGEST_NAME: usize = 255;

/// The folders that hold the files of all jobs.
const SHARED_FOLDERS: [&str; 3] = ["input", "output", "temp"];

/// Beyond what its caller may see: how a text names something there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Absolute,
    Climbs,
    Annotated,
    Jobs,
    Address,
}

impl Reach {
    /// For messages: what is wrong with the text, and what to do.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Absolute => "names an absolute path; a workflow may only name files by relative names",
            Self::Climbs => "climbs out of its folder by `..`; a workflow may only name files below it",
            Self::Annotated => {
                "names a folder of ComfyUI's by ` [output]`, ` [temp]` or ` [input]`; leave that out"
            }
            Self::Jobs => "names the folder `darkroom`, which holds the files of all callers",
            Self::Address => {
                "names an address, which the node itself would open; give the address to a loader such as `LoadImage`"
            }
        }
    }
}

/// Whether a name stays within the folder that its node looks in, and away from the files of jobs.
pub(super) fn is_plain(name: &str) -> bool {
    let drive = name.trim().as_bytes().get(1) == Some(&b':');
    let odd = name.contains(|c: char| c == '\\' || c.is_control());
    !(drive || odd || is_too_long(name) || name_reaches(name).is_some() || is_jobs_folder(name))
}

/// Whether no file can have that name.
pub(super) fn is_too_long(name: &str) -> bool {
    name.len() > LONGEST_PATH || name.split('/').any(|segment| segment.len() > LONGEST_NAME)
}

/// Whether a name is plain, and names something in the folder that its node looks in rather than that folder itself.
pub(super) fn is_plain_folder(name: &str) -> bool {
    is_plain(name) && segments(name).next().is_some()
}

/// Whether a name is that of the folder of jobs, or of one that holds it, such as `.`.
pub(super) fn is_shared_folder(name: &str) -> bool {
    let shared = |last: &str| SHARED_FOLDERS.iter().any(|folder| last.eq_ignore_ascii_case(folder));
    let is_here = !name.trim().is_empty() && segments(name).next().is_none();
    is_here || is_jobs_folder(name) || segments(name).last().is_some_and(shared)
}

/// Whether a name is a pattern of Python's `glob`.
pub(super) fn is_pattern(name: &str) -> bool {
    name.bytes().any(is_wildcard)
}

/// Whether a pattern matches folders, whose names need not be known then: `in?ut/*/x`, `**`.
pub(super) fn matches_folders(pattern: &str) -> bool {
    let mut from_first = pattern.bytes().skip_while(|byte| !is_wildcard(*byte));
    from_first.any(|byte| matches!(byte, b'/' | b'\\')) || pattern.contains("**")
}

fn is_wildcard(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[')
}

fn is_jobs_folder(name: &str) -> bool {
    segments(name).next().is_some_and(|first| first.eq_ignore_ascii_case(JOBS_FOLDER))
}

/// How a text reaches for what it may not see, if it does. A text that lists names (by lines, commas or semicolons) is
/// judged by each of them.
pub(super) fn reaches(text: &str) -> Option<Reach> {
    // Nearly all values are short words and numbers.
    let may_reach = |byte: u8| matches!(byte, b'/' | b'\\' | b'~' | b'%' | b']' | b':' | b'.');
    if !text.bytes().any(may_reach) || is_embedded(text) {
        return None;
    }
    name_reaches(text).or_else(|| text.split(['\n', '\r', ',', ';']).find_map(name_reaches))
}

fn name_reaches(name: &str) -> Option<Reach> {
    // Nodes strip spaces and quotes from what was pasted.
    let name =
        name.trim_matches(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`'));
    let decoded = decoded(name);
    let name = decoded.as_deref().unwrap_or(name);
    if is_address(name) {
        Some(Reach::Address)
    } else if name.starts_with(['/', '\\', '~']) || has_drive(name) {
        Some(Reach::Absolute)
    } else if name.split(['/', '\\']).any(|segment| segment.trim() == "..") {
        Some(Reach::Climbs)
    } else if ANNOTATIONS.iter().any(|annotation| name.ends_with(annotation)) {
        Some(Reach::Annotated)
    } else {
        names_jobs(name).then_some(Reach::Jobs)
    }
}

/// A URL, or what some libraries take for one: `file:/etc`.
fn is_address(name: &str) -> bool {
    let Some((scheme, rest)) = name.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme && (rest.starts_with("//") || scheme.eq_ignore_ascii_case("file"))
}

fn has_drive(name: &str) -> bool {
    matches!(name.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

/// Something below the folder of jobs, from that folder's parents on: `output/darkroom/x`, `darkroom/x`.
fn names_jobs(name: &str) -> bool {
    let is_jobs = |segment: &str| segment.eq_ignore_ascii_case(JOBS_FOLDER);
    let is_shared = |segment: &str| SHARED_FOLDERS.iter().any(|folder| segment.eq_ignore_ascii_case(folder));
    let first = name.contains(['/', '\\']) && segments(name).next().is_some_and(is_jobs);
    first
        || segments(name).zip(segments(name).skip(1)).any(|(folder, next)| is_shared(folder) && is_jobs(next))
}

/// The folders and files on a way, without what means the same folder.
fn segments(name: &str) -> impl Iterator<Item = &str> {
    name.split(['/', '\\']).map(str::trim).filter(|segment| !segment.is_empty() && *segment != ".")
}

/// A name with percent-encoded dots and separators decoded; `None` where there are none.
fn decoded(name: &str) -> Option<String> {
    const ENCODED: [(&str, &str); 3] = [("%2e", "."), ("%2f", "/"), ("%5c", "\\")];
    let holds = |text: &str| name.contains(text) || name.contains(&text.to_uppercase());
    if !name.contains('%') || !ENCODED.iter().any(|(text, _)| holds(text)) {
        return None;
    }
    let decode = |name: String, (text, plain): (&str, &str)| {
        name.replace(text, plain).replace(&text.to_uppercase(), plain)
    };
    Some(ENCODED.into_iter().fold(name.to_owned(), decode))
}

/// A file as base64, in a data URI, or a JPEG alone, whose base64 begins like a path; or the address of a picture on
/// ComfyUI's pages, which widgets that show pictures keep.
fn is_embedded(text: &str) -> bool {
    const SHORTEST: usize = 64;
    let text = text.trim();
    if text.starts_with("/api/view?") || text.starts_with("/view?") {
        let decoded = decoded(text);
        let text = decoded.as_deref().unwrap_or(text);
        return !text.contains(['\n', ',', ';', '\\']) && !text.contains("..");
    }
    let data = match text.split_once(";base64,") {
        Some((head, data)) if head.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) => {
            data
        }
        None if text.len() >= SHORTEST && text.starts_with("/9j/") => text,
        _ => return false,
    };
    data.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=\r\n".contains(&byte))
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

    #[test]
    fn a_name_is_as_long_as_files_can_have_it() {
        let (longest, deep) = ("x".repeat(LONGEST_NAME), "x/".repeat(LONGEST_PATH / 2));
        assert!(is_plain(&longest) && is_plain(&deep) && is_plain(&format!("a/{longest}/{longest}")));
        for name in [format!("{longest}x"), format!("a/{longest}x/b"), format!("{deep}x"), "猫".repeat(86)] {
            assert!(!is_plain(&name), "{name}");
        }
    }

    #[test]
    fn a_folder_is_one_within_another() {
        assert!(is_plain_folder("set") && is_plain_folder("./set/1"));
        for name in ["", ".", "./", " ./. ", "darkroom", "../set"] {
            assert!(!is_plain_folder(name), "{name:?}");
        }
        for name in ["darkroom", "output", "./input/", "ComfyUI/Temp", ".", "./", " ./. "] {
            assert!(is_shared_folder(name), "{name:?}");
        }
        for name in ["output/mine", "inputs", "", " "] {
            assert!(!is_shared_folder(name), "{name:?}");
        }
    }

    #[test]
    fn patterns_of_folders_are_distinguished_from_those_of_files() {
        for name in ["in?ut/x", "*/x.png", "a/d[a]rkroom/x", "**", "a/**", "**.png", "?\\x", "[/"] {
            assert!(matches_folders(name) && is_pattern(name), "{name:?}");
        }
        for name in ["*.png", "a/*.png", "set/x?.png", "a/b [1].png"] {
            assert!(!matches_folders(name) && is_pattern(name), "{name:?}");
        }
        for name in ["", "a/b.png", "a (1)/b"] {
            assert!(!matches_folders(name) && !is_pattern(name), "{name:?}");
        }
    }

    #[test]
    fn texts_that_reach_for_what_they_may_not_see_are_classified() {
        for (text, reach) in [
            ("/dev/zero", Reach::Absolute),
            (" \"/etc/passwd\"", Reach::Absolute),
            ("\\\\host\\share\\x", Reach::Absolute),
            ("\\Windows\\win.ini", Reach::Absolute),
            ("c:\\x", Reach::Absolute),
            ("C:/x", Reach::Absolute),
            ("~/.ssh/id_rsa", Reach::Absolute),
            ("~root", Reach::Absolute),
            ("//host/share", Reach::Absolute),
            ("%2fetc%2Fpasswd", Reach::Absolute),
            ("a.png,/etc/passwd", Reach::Absolute),
            ("a.png\n/etc/passwd", Reach::Absolute),
            ("/view?/../etc/passwd", Reach::Absolute),
            ("/view?/%2e%2E/etc/passwd", Reach::Absolute),
            ("..", Reach::Climbs),
            ("a/../../b", Reach::Climbs),
            ("a\\..\\b", Reach::Climbs),
            ("%2e%2E/b", Reach::Climbs),
            ("x.png [output]", Reach::Annotated),
            ("x.png[temp] ", Reach::Annotated),
            ("darkroom/x", Reach::Jobs),
            ("./DarkRoom\\x", Reach::Jobs),
            ("ComfyUI/output/darkroom", Reach::Jobs),
            ("http://169.254.169.254/", Reach::Address),
            ("FILE:/etc/passwd", Reach::Address),
            ("s3://bucket/key", Reach::Address),
        ] {
            assert_eq!(reaches(text), Some(reach), "{text:?}");
        }
    }

    #[test]
    fn what_workflows_hold_besides_reaches_for_nothing() {
        let jpeg = format!("/9j/{}", "A".repeat(80));
        let data = "data:image/jpeg;base64,/9j/AAAA";
        for text in [
            "",
            "euler",
            "SDXL/model.safetensors",
            "SDXL\\Turbo\\model.safetensors",
            "video/h264-mp4",
            "16:9",
            "1:1",
            "1/2",
            "%date:yyyy-MM-dd%/a b #1 100% 猫",
            "[time(%Y-%m-%d)]",
            "<lora:a/b:0.8>",
            "darkroom",
            "darkroom style",
            "#ff0000",
            "wait .. what",
            "v1.5..2",
            "x [1].png",
            "black-forest-labs/FLUX.1-dev",
            "Key: value",
            "{\"a\": 1}",
            &jpeg,
            data,
            "/api/view?filename=a.png&type=temp",
            "/api/view?filename=audio%20%5Bvocals%5D.mp3&type=input&subfolder=a%2Fb&rand=0.774",
        ] {
            assert_eq!(reaches(text), None, "{text:?}");
        }
    }

    #[test]
    fn no_text_breaks_the_check() {
        for text in ["%", "%2", "é%2e", ":", "://", "a:", "\u{0}", "data:", "data:;base64,", "\"", "猫://x"]
        {
            let _ = (reaches(text), is_plain(text), is_plain_folder(text));
        }
    }
}
