//! Names of files that are safe to create, made from keys that others chose.

/// The most bytes of a name: file systems take 255, and a name in progress is longer.
const MAX_BYTES: usize = 200;

/// The name for the n-th file (from 1) of a task: the last part of its address without what a file system, a shell or a terminal
/// treats specially, and never one of `taken`.
pub(crate) fn safe(address: &str, n: usize, taken: &[String]) -> String {
    let last = address.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_safe = |c: char| c.is_alphanumeric() || "-_.+=@ ".contains(c);
    let cleaned: String = last.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
    // No hidden file, no option of a command, no end that Windows cuts off.
    let cleaned = cleaned.trim_matches(['.', '-', ' ']);
    let cleaned = if cleaned.is_empty() { format!("file-{n}") } else { cleaned.to_owned() };
    let (stem, extension) = match cleaned.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => {
            (stem, format!(".{extension}"))
        }
        _ => (cleaned.as_str(), String::new()),
    };
    let stem = &stem[..stem.floor_char_boundary(MAX_BYTES - extension.len())];
    let name = format!("{stem}{extension}");
    let is_taken = |name: &str| taken.iter().any(|other| other.eq_ignore_ascii_case(name));
    if is_taken(&name) { format!("{n}-{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_stay() {
        assert_eq!(safe("s3://b/output/a/a-0123456789abcdef-1.png", 1, &[]), "a-0123456789abcdef-1.png");
        assert_eq!(safe("s3://b/x/größe 猫-1.webp", 1, &[]), "größe 猫-1.webp");
    }

    #[test]
    fn hostile_names_are_harmless() {
        for (address, name) in [
            ("s3://b/..", "file-3"),
            ("s3://b/", "file-3"),
            ("s3://b/a/..\\..\\x.exe", "x.exe"),
            ("s3://b/.bashrc", "bashrc"),
            ("s3://b/-rf.png", "rf.png"),
            ("s3://b/a\0b\u{1b}[2J:*?\"<>|.png", "a_b__2J_______.png"),
            ("s3://b/x\u{202e}gnp.exe", "x_gnp.exe"),
        ] {
            assert_eq!(safe(address, 3, &[]), name, "{address:?}");
        }
        assert!(safe(&format!("s3://b/{}.png", "é".repeat(500)), 1, &[]).len() <= MAX_BYTES);
    }

    #[test]
    fn two_files_never_have_one_name() {
        let taken = ["a.png".to_owned()];
        assert_eq!(safe("s3://b/A.png", 2, &taken), "2-A.png");
    }
}
