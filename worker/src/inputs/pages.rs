//! Pages that show an image, which people link to in place of the image: what to link to instead.

use url::Url;

/// Where services that share files have the file itself, by the end of the page's host.
const DIRECT: [(&str, &str); 8] = [
    (
        "drive.google.com",
        "`https://drive.google.com/uc?export=download&id=<id>`, shared with anyone who has the link",
    ),
    ("dropbox.com", "the same link with `raw=1` in place of `dl=0`"),
    ("imgur.com", "`https://i.imgur.com/<id>.png`"),
    ("github.com", "the same link with `/raw/` in place of `/blob/`"),
    ("gitlab.com", "the same link with `/-/raw/` in place of `/-/blob/`"),
    ("huggingface.co", "the same link with `/resolve/` in place of `/blob/`"),
    ("onedrive.live.com", "the address that its `Download` leads to"),
    ("sharepoint.com", "the same link with `download=1`"),
];

/// What to link to instead of the page at that address, which itself is not repeated.
pub(super) fn advice(address: &str) -> String {
    const ADVICE: &str = "link to the file itself, not to a page that shows or shares it";
    let url = Url::parse(address.trim()).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    let is_at = |end: &str| host.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    match DIRECT.iter().find(|(end, _)| is_at(end)) {
        Some((_, direct)) => format!("{ADVICE}: {direct}"),
        None => ADVICE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_that_share_files_are_known_by_their_host() {
        for (address, expected) in [
            ("https://drive.google.com/file/d/SECRET/view?usp=sharing", "uc?export=download"),
            ("https://www.dropbox.com/s/SECRET/a.png?dl=0", "`raw=1`"),
            ("https://github.com/a/b/blob/main/SECRET.png", "`/raw/`"),
            ("https://notgithub.com/SECRET", "the file itself, not to a page that shows or shares it"),
            ("data:text/html;base64,SECRET", "the file itself"),
        ] {
            let said = advice(address);
            assert!(said.contains(expected) && !said.contains("SECRET"), "{said}");
        }
        assert!(!advice("https://notgithub.com/x").contains("/raw/"));
    }
}
