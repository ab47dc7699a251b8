//! Nodes that save: under which names, and what they show of it.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Call, Data, Made, Raised};
use crate::comfyui::files::Folder;
use crate::comfyui::output_path::{OutputPath, join};
use crate::picture::Picture;
use crate::python;
use crate::samples::Sample;

impl Call {
    pub(super) fn save_pictures(&self, folder: Folder, filename_prefix: &str) -> Result<Made, Raised> {
        let mut saved = Vec::new();
        for picture in self.pictures("images") {
            let content = self.png(&picture)?;
            saved.push(self.save(folder, filename_prefix, "_.png", content)?);
        }
        Ok(Made { shown: Some(json!({"images": saved})), ..Made::default() })
    }

    /// KJNodes puts the whole prefix, with its folders, behind the folder of the prefix, which is all that it makes.
    pub(super) fn save_string(&self) -> Result<Made, Raised> {
        let prefix = self.text("filename_prefix");
        let path = OutputPath::parse(&prefix).map_err(|message| Raised::new("Exception", message))?;
        let mut files = self.comfy.files();
        let number = files.next_number(Folder::Output, &path.stem());
        let file = join(&path.subfolder, &format!("{prefix}_{number:05}_.txt"));
        let (folder, _) = file.rsplit_once('/').unwrap_or_default();
        if !folder.is_empty() && !files.has_folder(Folder::Output, folder) {
            let message = format!("[Errno 2] No such file or directory: '/opt/ComfyUI/output/{file}'");
            return Err(Raised::new("FileNotFoundError", message));
        }
        files.put(Folder::Output, &file, self.text("string").into());
        Ok(Made { outputs: vec![Data::Value(json!(file))], ..Made::default() })
    }

    pub(super) fn save_sample(
        &self,
        key: &str,
        ending: &str,
        sample: Sample,
        animated: bool,
    ) -> Result<Made, Raised> {
        let content = Bytes::from_static(sample.bytes());
        let saved = self.save(Folder::Output, &self.text("filename_prefix"), ending, content)?;
        let mut shown = Map::from_iter([(key.to_owned(), json!([saved]))]);
        if animated {
            shown.insert("animated".to_owned(), json!([true]));
        }
        Ok(Made { shown: Some(Value::Object(shown)), ..Made::default() })
    }

    /// What is shown is the path in the output folder, the camera and the background, of which none is set.
    pub(super) fn save_model(&self) -> Result<Made, Raised> {
        let content = Bytes::from_static(Sample::Glb.bytes());
        let saved = self.save(Folder::Output, &self.text("filename_prefix"), "_.glb", content)?;
        let text = |key: &str| saved[key].as_str().unwrap_or_default().to_owned();
        let path = join(&text("subfolder"), &text("filename"));
        Ok(Made { shown: Some(json!({"result": [path, null, null]})), ..Made::default() })
    }

    pub(super) fn save(
        &self,
        folder: Folder,
        filename_prefix: &str,
        ending: &str,
        content: Bytes,
    ) -> Result<Value, Raised> {
        let path = OutputPath::parse(filename_prefix).map_err(|message| Raised::new("Exception", message))?;
        let content = self.spoiled.map_or(content, |sample| Bytes::from_static(sample.bytes()));
        let mut files = self.comfy.files();
        let number = files.next_number(folder, &path.stem());
        let filename = format!("{}_{number:05}{ending}", path.prefix);
        files.put(folder, &join(&path.subfolder, &filename), content);
        Ok(json!({"filename": filename, "subfolder": path.subfolder, "type": folder.name()}))
    }

    /// The picture as a file with the workflow inside, as ComfyUI writes it.
    pub(super) fn png(&self, picture: &Picture) -> Result<Bytes, Raised> {
        let prompt = python::dumps(&Value::Object(self.job.prompt.clone()));
        let extra = self.job.extra_data.get("extra_pnginfo").and_then(Value::as_object);
        let extra: Vec<_> =
            extra.into_iter().flatten().map(|(key, value)| (key, python::dumps(value))).collect();
        let mut texts = vec![("prompt", prompt.as_str())];
        texts.extend(extra.iter().map(|(key, text)| (key.as_str(), text.as_str())));
        let artist = &self.comfy.machine.artist;
        artist.encode(picture, &texts).map_err(|error| Raised::new("ValueError", error.to_string()))
    }
}
