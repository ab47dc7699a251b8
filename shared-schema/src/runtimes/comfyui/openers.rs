//! The inputs of node classes that name something to open: those that people have looked at, and those that a scan of the
//! sources of ComfyUI and of extensions found (`tests/clients/scan_nodes.py`).

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::content::Media;

/// What an input of a node takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A file of the runtime's input folder, which the worker can put there.
    Media(Media),
    /// The same, named by a path from where the runtime was started. The node would take any path, and addresses.
    Path(Media),
    /// A file of the runtime's. ComfyUI lists what it takes, so that the worker cannot add to it.
    Name,
    /// A folder within the runtime's input or output folder.
    Folder,
    /// A folder named by a path from where the runtime was started.
    FolderPath,
    /// What the editor draws of a 3D scene: an object of pictures, and a video named `recording`.
    Views,
    /// A file, a folder or an address that an extension's node reads, whose values are judged like those of any path.
    Place,
    /// A place that an extension's node writes to, judged in the same way.
    Target,
}

impl Takes {
    /// Whether values are judged by what they say only, since nothing more is known of the input.
    pub(super) fn is_of_extension(self) -> bool {
        matches!(self, Self::Place | Self::Target)
    }
}

/// An input of a node class that names something to open.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opens {
    pub(super) class: &'static str,
    pub(super) input: &'static str,
    pub(super) takes: Takes,
}

const fn opens(class: &'static str, input: &'static str, takes: Takes) -> Opens {
    Opens { class, input, takes }
}

pub(super) const IMAGE: Takes = Takes::Media(Media::Image);
pub(super) const VIDEO: Takes = Takes::Media(Media::Video);
const AUDIO: Takes = Takes::Media(Media::Audio);

/// Those of ComfyUI itself and of VideoHelperSuite (`VHS_`), read by people.
pub(super) const KNOWN: [Opens; 37] = [
    opens("LoadImage", "image", IMAGE),
    opens("LoadImageMask", "image", IMAGE),
    opens("LoadImageOutput", "image", IMAGE),
    opens("WebcamCapture", "image", IMAGE),
    opens("Painter", "mask", IMAGE),
    opens("LoadVideo", "file", VIDEO),
    opens("LoadAudio", "audio", AUDIO),
    opens("RecordAudio", "audio", AUDIO),
    opens("LoadLatent", "latent", Takes::Name),
    opens("Load3D", "model_file", Takes::Name),
    opens("Load3D", "image", Takes::Views),
    opens("Load3DAnimation", "model_file", Takes::Name),
    opens("Load3DAnimation", "image", Takes::Views),
    opens("Load3DAdvanced", "model_file", Takes::Name),
    opens("Load3DAdvanced", "image", Takes::Views),
    opens("GeminiInputFiles", "file", Takes::Name),
    opens("OpenAIInputFiles", "file", Takes::Name),
    opens("LoadImageSetFromFolderNode", "folder", Takes::Folder),
    opens("LoadImageTextSetFromFolderNode", "folder", Takes::Folder),
    opens("LoadImageDataSetFromFolder", "folder", Takes::Folder),
    opens("LoadImageTextDataSetFromFolder", "folder", Takes::Folder),
    opens("LoadVideoDataSetFromFolder", "folder", Takes::Folder),
    opens("LoadVideoTextDataSetFromFolder", "folder", Takes::Folder),
    opens("LoadTrainingDataset", "folder_name", Takes::Folder),
    opens("SaveImageDataSetToFolder", "folder_name", Takes::Folder),
    opens("SaveImageTextDataSetToFolder", "folder_name", Takes::Folder),
    opens("SaveTrainingDataset", "folder_name", Takes::Folder),
    opens("VHS_LoadVideo", "video", VIDEO),
    opens("VHS_LoadVideoFFmpeg", "video", VIDEO),
    opens("VHS_LoadAudioUpload", "audio", AUDIO),
    opens("VHS_LoadImages", "directory", Takes::Folder),
    opens("VHS_LoadImagePath", "image", Takes::Path(Media::Image)),
    opens("VHS_LoadVideoPath", "video", Takes::Path(Media::Video)),
    opens("VHS_LoadVideoFFmpegPath", "video", Takes::Path(Media::Video)),
    opens("VHS_LoadAudio", "audio_file", Takes::Path(Media::Audio)),
    opens("VHS_LoadImagesPath", "directory", Takes::FolderPath),
    opens("LoadImageSetNode", "images", IMAGE),
];

/// What the scan found: a class, an input, what it takes and the sources that say so, on each line.
const SCANNED: &str = include_str!("openers.tsv");

/// What the scan takes for paths, but is none: colours, a word to search for, weights.
const NO_PATHS: [(&str, &str); 5] = [
    ("ImageResizeKJv2", "pad_color"),
    ("LoadAndResizeImage", "background_color"),
    ("Text Random Prompt", "search_seed"),
    ("easy ipadapterApplyADV", "layer_weights"),
    ("easy ipadapterApplyFaceIDKolors", "layer_weights"),
];

static BY_CLASS: LazyLock<HashMap<&'static str, Vec<Opens>>> = LazyLock::new(|| {
    let mut by_class: HashMap<&str, Vec<Opens>> = HashMap::new();
    for found in KNOWN.into_iter().chain(SCANNED.lines().filter_map(scanned)) {
        let of_class = by_class.entry(found.class).or_default();
        if of_class.iter().all(|known| known.input != found.input) {
            of_class.push(found);
        }
    }
    by_class
});

/// The inputs of a class that name something to open.
pub(super) fn of(class: &str) -> &'static [Opens] {
    BY_CLASS.get(class).map_or(&[], Vec::as_slice)
}

/// What an input of a class takes, if it names something to open.
pub(super) fn takes(class: &str, input: &str) -> Option<Takes> {
    of(class).iter().find(|opens| opens.input == input).map(|opens| opens.takes)
}

/// One line of the scan's result; nothing for its comments and for what is no path.
fn scanned(line: &'static str) -> Option<Opens> {
    let mut columns = line.split('\t');
    let (class, input, takes) = (columns.next()?, columns.next()?, columns.next()?);
    let takes = match takes {
        "image" => IMAGE,
        "video" => VIDEO,
        "audio" => AUDIO,
        "save" => Takes::Target,
        _ if NO_PATHS.contains(&(class, input)) => return None,
        _ => Takes::Place,
    };
    Some(opens(class, input, takes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_the_scan_is_sorted_whole_and_says_its_sources() {
        let (comments, rows): (Vec<&str>, Vec<&str>) =
            SCANNED.lines().partition(|line| line.starts_with('#'));
        let sources: Vec<&str> = comments.iter().filter_map(|line| line.split(' ').nth(1)).collect();
        for row in &rows {
            let columns: Vec<&str> = row.split('\t').collect();
            let takes = ["image", "video", "audio", "file", "folder", "path", "listing", "url", "save"];
            assert!(columns.len() == 4 && takes.contains(&columns[2]), "{row}");
            assert!(columns[3].split(',').all(|source| sources.contains(&source)), "{row}");
        }
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]), "not sorted, or a line stands twice");
        assert!(rows.len() > 100 && SCANNED.len() < 64 * 1024, "{} lines", rows.len());
    }

    #[test]
    fn the_scan_finds_what_people_found() {
        // Those that came with later versions of ComfyUI than the one that was scanned; the last one gives its path away
        // in a way that the scan does not follow.
        const LATER: [&str; 11] = [
            "Painter",
            "Load3DAdvanced",
            "LoadImageDataSetFromFolder",
            "LoadImageTextDataSetFromFolder",
            "LoadVideoDataSetFromFolder",
            "LoadVideoTextDataSetFromFolder",
            "LoadTrainingDataset",
            "SaveImageDataSetToFolder",
            "SaveImageTextDataSetToFolder",
            "SaveTrainingDataset",
            "VHS_LoadImagePath",
        ];
        let found: Vec<(&str, &str)> =
            SCANNED.lines().filter_map(scanned).map(|opens| (opens.class, opens.input)).collect();
        let missing: Vec<&Opens> = KNOWN
            .iter()
            .filter(|known| !LATER.contains(&known.class))
            .filter(|known| !found.contains(&(known.class, known.input)))
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn what_people_found_goes_before_the_scan() {
        assert_eq!(takes("VHS_LoadVideoPath", "video"), Some(Takes::Path(Media::Video)));
        assert_eq!(takes("Image Load", "image_path"), Some(Takes::Place));
        assert_eq!(takes("Video Dump Frames", "output_path"), Some(Takes::Target));
        for (class, input) in NO_PATHS {
            assert!(SCANNED.contains(&format!("\n{class}\t{input}\t")), "{class} {input}");
            assert_eq!(takes(class, input), None, "{class} {input}");
        }
        assert_eq!(takes("LoadImage", "other"), None);
        assert!(of("KSampler").is_empty());
    }
}
