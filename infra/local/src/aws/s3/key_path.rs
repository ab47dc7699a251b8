//! Keys as paths of files, and back.
//!
//! A key is its own path wherever a file system allows that, so that users find their files. What cannot be a file
//! name is escaped with `%`: an empty segment (`/output` begins with one) is the folder `%2F`, `.` and `..` are
//! `%2E` and `%2E.`, and a segment too long for a file name continues in a subfolder, with `%-` as the separator.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;

/// File systems allow 255 bytes; this leaves room for the separator.
const MAX_NAME: usize = 250;

const CONTINUED: &str = "%-";
const EMPTY: &str = "%2F";

/// The path of a key's file within its bucket's folder.
pub(super) fn path_of(key: &str) -> PathBuf {
    key.split('/').flat_map(names_of).collect()
}

/// The key of a file, or `None` if no key has this path.
pub(super) fn key_of(path: &Path) -> Option<String> {
    let mut key = String::new();
    let mut at_start = true;
    for component in path.components() {
        let name = component.as_os_str().to_str()?;
        if !at_start {
            key.push('/');
        }
        let (name, continues) = name.strip_suffix(CONTINUED).map_or((name, false), |name| (name, true));
        if name != EMPTY {
            key.push_str(&percent_decode_str(name).decode_utf8().ok()?);
        }
        at_start = continues;
    }
    (path_of(&key) == path).then_some(key)
}

fn names_of(segment: &str) -> Vec<String> {
    match segment {
        "" => return vec![EMPTY.to_owned()],
        "." => return vec!["%2E".to_owned()],
        ".." => return vec!["%2E.".to_owned()],
        _ => {}
    }
    let mut names = Vec::new();
    let mut name = String::new();
    for character in segment.chars() {
        let escaped = escape(character);
        if name.len() + escaped.len() > MAX_NAME {
            names.push(std::mem::take(&mut name) + CONTINUED);
        }
        name.push_str(&escaped);
    }
    names.push(name);
    names
}

/// Control characters, `%` and `\\` as `%XX`; everything else as it is.
fn escape(character: char) -> String {
    match character {
        '%' | '\\' | '\0'..='\x1f' | '\x7f' => format!("%{:02X}", u32::from(character)),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{key_of, path_of};

    #[test]
    fn ordinary_keys_are_their_own_paths() {
        for key in ["output/id/id-1.png", "p/ä ö/日本 語.png", "a:b?c*d", ".hidden"] {
            assert_eq!(path_of(key), Path::new(key));
            assert_eq!(key_of(Path::new(key)).as_deref(), Some(key));
        }
    }

    #[test]
    fn every_key_comes_back_from_its_path() {
        let long = format!("p/{}/x", "ü%".repeat(300));
        for key in ["/output/id/x.png", "a//b", "a/", "//", "../x", "./.", "%2F", "a%-", "a\\b\u{1}", &long] {
            let path = path_of(key);
            assert!(
                path.is_relative() && path.components().all(|name| name.as_os_str().len() <= 255),
                "{key}"
            );
            assert_eq!(key_of(&path).as_deref(), Some(key));
        }
    }
}
