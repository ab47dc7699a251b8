//! `POST /upload/image`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Multipart, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Comfy,
    files::{Files, Folder},
    output_path::{join, leads_outside},
};

/// The fields of the form.
#[derive(Default)]
struct Form {
    name: String,
    content: Option<Bytes>,
    overwrite: bool,
    subfolder: String,
    folder: Option<String>,
}

/// Stores an image. Answers with the name it got: another one if a file with other content has the name.
pub(super) async fn image(State(comfy): State<Arc<Comfy>>, form: Multipart) -> Response {
    let Some(form) = read(form).await else { return super::trouble() };
    let Some(content) = form.content.filter(|_| !form.name.is_empty()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Some(folder) = Folder::parse(form.folder.as_deref().unwrap_or("input")) else {
        return super::trouble();
    };
    let path = join(&form.subfolder, &form.name);
    if leads_outside(&path) || leads_outside(&form.subfolder) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    if form.name.contains('/') {
        return super::trouble();
    }
    let mut files = comfy.files();
    let name = if form.overwrite {
        form.name
    } else {
        free_name(&files, folder, &form.subfolder, &form.name, &content)
    };
    files.put(folder, &join(&form.subfolder, &name), content);
    let stored = json!({"name": name, "subfolder": form.subfolder, "type": folder.name()});
    super::json(StatusCode::OK, &stored)
}

async fn read(mut multipart: Multipart) -> Option<Form> {
    let mut form = Form::default();
    while let Some(field) = multipart.next_field().await.ok()? {
        match field.name() {
            Some("image") => {
                // A backslash is no separator on the server, and is dropped.
                form.name = field.file_name().unwrap_or_default().replace('\\', "");
                form.content = Some(field.bytes().await.ok()?);
            }
            Some("subfolder") => form.subfolder = field.text().await.ok()?,
            Some("type") => form.folder = Some(field.text().await.ok()?),
            Some("overwrite") => form.overwrite = matches!(field.text().await.ok()?.as_str(), "true" | "1"),
            _ => {}
        }
    }
    Some(form)
}

/// The name itself if it is free or holds the same bytes, else `name (1).png` and so on.
fn free_name(files: &Files, folder: Folder, subfolder: &str, name: &str, content: &Bytes) -> String {
    let (stem, extension) = name
        .rsplit_once('.')
        .map_or((name, String::new()), |(stem, extension)| (stem, format!(".{extension}")));
    let numbered = (1..).map(|number| format!("{stem} ({number}){extension}"));
    std::iter::once(name.to_owned())
        .chain(numbered)
        .find(|name| files.get(folder, &join(subfolder, name)).is_none_or(|file| file.content == content))
        .unwrap_or_else(|| name.to_owned())
}
