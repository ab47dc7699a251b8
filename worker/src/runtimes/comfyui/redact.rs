//! Redacts ComfyUI's messages for callers: short, without paths of the server and folders of jobs.

use shared_schema::runtimes::comfyui::JOBS_FOLDER;

/// The first lines of a text: at most three, and at most 500 characters.
pub(super) fn first_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(3).collect();
    cut(&lines.join(" "), 500)
}

/// A text cut to that many characters.
pub(super) fn cut(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A text without paths of the server and without the folders of jobs.
pub(super) fn redacted(text: &str) -> String {
    without_folders(&without_paths(text))
}

/// A text with the name of every job's folder replaced by `…`: a caller who knows it could name the files of another.
pub(super) fn without_folders(text: &str) -> String {
    /// What may stand between the two segments of the name: a separator, escaped, encoded or in a list.
    const MAX_BETWEEN: usize = 8;
    let lower = text.to_ascii_lowercase();
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for (start, name) in lower.match_indices(JOBS_FOLDER) {
        let behind = start + name.len();
        let uuid = (behind + 1..=behind + MAX_BETWEEN).find(|at| is_uuid(lower.as_bytes(), *at));
        if let Some(uuid) = uuid {
            shown.push_str(&text[from..start]);
            shown.push('…');
            from = uuid + UUID_LENGTH;
        }
    }
    shown.push_str(&text[from..]);
    shown
}

const UUID_LENGTH: usize = 36;

fn is_uuid(text: &[u8], start: usize) -> bool {
    let is_dash = |place: usize| [8, 13, 18, 23].contains(&place);
    text.get(start..start + UUID_LENGTH).is_some_and(|uuid| {
        let mut bytes = uuid.iter().enumerate();
        bytes.all(|(place, byte)| if is_dash(place) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
    })
}

/// A text with every absolute path, of Unix or Windows, replaced by `…`. URLs and relative names stay.
pub(super) fn without_paths(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if may_precede_a_path(before) && starts_a_path(rest) {
            shown.push('…');
            path_length(rest, before)
        } else {
            shown.push(next);
            next.len_utf8()
        };
        before = next;
        rest = &rest[length..];
    }
    shown
}

/// Not within a word, a relative path, a URL or a closing tag.
fn may_precede_a_path(before: char) -> bool {
    !before.is_alphanumeric() && !"_-./\\)]<".contains(before)
}

fn starts_a_path(text: &str) -> bool {
    let mut chars = text.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('/'), Some(name), _) => name.is_alphanumeric() || "._~".contains(name),
        (Some('~'), Some('/'), _) | (Some('\\'), Some('\\'), Some(_)) => true,
        (Some(drive), Some(':'), Some('/' | '\\')) => drive.is_ascii_alphabetic(),
        _ => text.starts_with("file:/"),
    }
}

/// A path in quotes may hold spaces; any other ends where a word does.
fn path_length(path: &str, before: char) -> usize {
    let quoted = "'\"`".contains(before).then(|| path.find([before, '\n'])).flatten();
    quoted
        .or_else(|| path.find(|c: char| c.is_whitespace() || "'\"`,;<>|()[]{}".contains(c)))
        .unwrap_or(path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_disappear() {
        for (said, shown) in [
            ("full_output_folder: /opt/ComfyUI", "full_output_folder: …"),
            ("[Errno 2] No such file: '/home/my user/x.png' (2)", "[Errno 2] No such file: '…' (2)"),
            (r"can't open C:\Comfy\models\a.safetensors, sorry", "can't open …, sorry"),
            (r"can't open \\server\share\a", "can't open …"),
            ("cache at ~/.cache/huggingface", "cache at …"),
            ("loading file:///srv/a.bin failed", "loading … failed"),
            ("path=/a", "path=…"),
        ] {
            assert_eq!(without_paths(said), shown);
        }
    }

    #[test]
    fn what_is_no_path_stays() {
        for said in [
            "see https://example.com/a/b for help",
            "value 1/2 is neither input/output nor N/A",
            "the token </s> is missing; ratio 16 / 9",
            "darkroom/x/input-1.png — größer",
        ] {
            assert_eq!(without_paths(said), said);
        }
    }

    #[test]
    fn the_folders_of_jobs_disappear() {
        const UUID: &str = "53a5516f-29c3-4168-a6d2-70030438aef2";
        let part = &UUID[1..];
        for (said, shown) in [
            (format!("['darkroom/{UUID}', 'darkroom/{UUID}/a', 'é']"), "['…', '…/a', 'é']".to_owned()),
            (format!(r"é darkroom\\{UUID}\x.png; DARKROOM%2F{UUID}!"), r"é …\x.png; …!".to_owned()),
            (format!("darkroom/{part}"), format!("darkroom/{part}")),
            (format!("{UUID} darkroom"), format!("{UUID} darkroom")),
            ("darkroom/éééééééé".to_owned(), "darkroom/éééééééé".to_owned()),
        ] {
            assert_eq!(without_folders(&said), shown);
        }
    }

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(first_lines("a\n\n  b \nc\nd"), "a b c");
        assert_eq!(first_lines(&"é".repeat(600)).chars().count(), 501);
    }
}
