//! Fields of a content that hold images, video or sound.

use std::fmt;

/// A field whose value the worker may have to fetch or upload before the runtime sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaField {
    /// JSON Pointer into the content.
    pub pointer: String,
    /// The value as it stands there: see [`crate::image_source::ImageSource`].
    pub value: String,
    /// What the field takes.
    pub media: Media,
}

/// Without the value: addresses hold secrets, and images are long.
impl fmt::Debug for MediaField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, media, value: _ } = self;
        f.debug_struct("MediaField").field("pointer", pointer).field("media", media).finish_non_exhaustive()
    }
}

/// What a media field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    /// A still image.
    Image,
    /// A video, or an animated image.
    Video,
    /// A sound file, or the sound of a video.
    Audio,
    /// Any of these: the field of a node that is not known.
    Any,
}

impl Media {
    /// Whether such a field takes a file of that media type (`image/png`).
    pub fn takes(self, content_type: &str) -> bool {
        let kinds: &[&str] = match self {
            Self::Image => &["image/"],
            Self::Video => &["video/", "image/"],
            Self::Audio => &["audio/", "video/"],
            Self::Any => &["image/", "video/", "audio/"],
        };
        kinds.iter().any(|kind| content_type.starts_with(kind))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "an image",
            Self::Video => "a video or an animated image",
            Self::Audio => "a sound file",
            Self::Any => "an image, a video or a sound file",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_a_field_holds_no_secret() {
        let value = "https://user:SECRET@a/b?sig=SECRET".to_owned();
        let field = MediaField { pointer: "/mask".to_owned(), value, media: Media::Image };
        let printed = format!("{field:?}");
        assert!(printed.contains("/mask") && !printed.contains("SECRET"), "{printed}");
    }
}
