//! What people send in place of an image, described so that they can correct it: the kind of the text, not its contents.

use super::{head, is_base64, is_digit};
use crate::file_kind::described;
use crate::violation::quoted;

/// How many first characters of a text are repeated.
const SHOWN: usize = 12;

/// A text of more bytes is no path.
const LONGEST_PATH: usize = 4096;

/// Extensions by which people name images and videos.
const EXTENSIONS: [&str; 16] = [
    "png", "jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic", "svg", "mp4", "mov", "webm",
    "wav", "mp3",
];

/// What a text is that is no image source: "is …".
pub(super) fn what(text: &str) -> String {
    let text = text.trim();
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    let scheme = scheme.to_ascii_lowercase();
    let is_scheme = scheme.len() > 1
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte));
    match scheme.as_str() {
        "data" => return of_base64(text.split_once(',').map_or("", |(_, data)| data)),
        "file" => return "is a `file:` URL, which names a file of your computer".to_owned(),
        "blob" => return "is a `blob:` URL, which exists in your browser only".to_owned(),
        _ if is_scheme && !rest.starts_with(|c: char| c.is_ascii_digit()) => {
            return format!("is a URL with the scheme {}", quoted(&scheme));
        }
        _ => {}
    }
    if text.starts_with('<') {
        "is HTML or XML".to_owned()
    } else if text.starts_with(['{', '[']) {
        "is JSON as text".to_owned()
    } else if ["b'", "b\""].iter().any(|bytes| text.starts_with(bytes)) {
        "is the text of a Python bytes object (`b'…'`); call `.decode()` on it".to_owned()
    } else if text.starts_with(['"', '\'']) {
        "begins with a quote, which is no part of base64 or of a URL".to_owned()
    } else if is_url_without_scheme(text) {
        "is a URL without its scheme; write `https://` before it".to_owned()
    } else if is_path(text) {
        "is the name of a file, which only you can open".to_owned()
    } else {
        of_base64(text)
    }
}

/// What is wrong with a text that was to be base64.
fn of_base64(text: &str) -> String {
    let text = text.trim();
    let begins = quoted(&text.chars().take(SHOWN).collect::<String>());
    if is_base64(text) {
        let is = described(&head(text));
        let bytes = text.bytes().filter(|byte| is_digit(*byte)).count() * 3 / 4;
        return format!("begins with {begins} and is base64 of {bytes} bytes that are no image: it is {is}");
    }
    if text.contains(['-', '_']) && text.bytes().all(|b| is_digit(b) || b"-_=".contains(&b)) {
        return "is base64 in the alphabet of URLs (`-` and `_`); use the standard one (`+` and `/`)"
            .to_owned();
    }
    let wrong = |(_, c): &(usize, char)| {
        !(c.is_ascii_whitespace() || *c == '=' || u8::try_from(*c).is_ok_and(is_digit))
    };
    match text.chars().enumerate().find(wrong) {
        Some((_, '%')) => "is percent-encoded; send base64 as it is".to_owned(),
        Some((at, c)) => format!(
            "begins with {begins} and is no base64: character {} of {} is {}",
            at + 1,
            text.chars().count(),
            quoted(&c.to_string())
        ),
        None => format!("begins with {begins} and is incomplete base64 of {} characters", text.len()),
    }
}

/// `//host/path`, `www.host`, `host.tld/path`, `host:80/path`.
fn is_url_without_scheme(text: &str) -> bool {
    let host = text.trim_start_matches('/');
    let slashes = text.len() - host.len();
    let (host, path) = host.split_once('/').map_or((host, None), |(host, path)| (host, Some(path)));
    let (host, port) = host.split_once(':').map_or((host, None), |(host, port)| (host, Some(port)));
    let is_host = host.contains('.') || host == "localhost";
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte));
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let may_be_file = path.is_none() && port.is_none() && !host.to_ascii_lowercase().starts_with("www.");
    is_host && is_name && is_port && !host.starts_with('.') && (slashes == 2 || slashes == 0) && !may_be_file
}

fn is_path(text: &str) -> bool {
    let extension = text.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let is_file = extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()));
    let is_drive = text.as_bytes().get(1) == Some(&b':');
    // Base64 of a JPEG begins with a slash.
    let is_absolute = text.starts_with('/') && !text.starts_with("/9j/") && text.len() < LONGEST_PATH;
    let is_relative = ["./", "../", "~/"].iter().any(|path| text.starts_with(path));
    is_file || is_drive || is_absolute || is_relative || text.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image_source::decode_base64;

    #[test]
    fn the_length_is_that_of_the_decoded_file() {
        let long = "QUJD".repeat(1000);
        for text in ["QQ==", "QUI=", "QUI", "QUJD", "QUJD\nQUJDRA", &long] {
            let bytes = decode_base64(text).unwrap().len();
            let found = what(text);
            assert!(found.contains(&format!("is base64 of {bytes} bytes")), "{text}: {found}");
        }
    }

    #[test]
    fn each_kind_of_text_is_named() {
        for (text, expected) in [
            ("file:///etc/passwd", "`file:` URL"),
            ("blob:https://a/1", "`blob:` URL"),
            ("ftp://user:SECRET@a/b", "the scheme `ftp`"),
            ("gs://bucket/a.png", "the scheme `gs`"),
            ("C:\\images\\SECRET.png", "name of a file"),
            ("/home/SECRET/a.png", "name of a file"),
            ("~/SECRET", "name of a file"),
            ("/etc/SECRET", "name of a file"),
            ("cat.png", "name of a file"),
            ("example.com/SECRET.png", "without its scheme"),
            ("//example.com/SECRET.png", "without its scheme"),
            ("example.com:8080/SECRET", "without its scheme"),
            ("localhost:8080/SECRET", "without its scheme"),
            ("www.example.com", "without its scheme"),
            ("<img src='https://SECRET'>", "HTML or XML"),
            ("{\"url\": \"https://SECRET\"}", "JSON"),
            ("b'iVBORw0KGgo='", "Python"),
            ("\"iVBORw0KGgo=\"", "quote"),
            ("string", "begins with `string` and is base64 of 4 bytes that are no image: it is of no type"),
            ("PGh0bWw+", "it is a web page (HTML)"),
            ("data:text/html;base64,PGh0bWw+", "it is a web page (HTML)"),
            ("H4sIAAAAAAAAAwMAAAAAAAAAAAA=", "it is compressed with gzip"),
            ("aVZCT1J3MEtHZ28=", "it is the base64 text of an image"),
            ("iVBORw0KGgo-_A", "the alphabet of URLs"),
            ("iVBORw0KGgo%3D", "percent-encoded"),
            ("iVBORw0KGgoSECRET!", "character 18 of 18 is `!`"),
            ("iVBORw0KGgoA=", "incomplete"),
            ("a black cat", "begins with `a black cat`"),
            ("猫", "character 1 of 1 is `猫`"),
        ] {
            let found = what(text);
            assert!(found.contains(expected), "{text}: {found}");
            assert!(!found.contains("SECRET"), "{found}");
        }
    }
}
