//! The types of runtimes: what each accepts as the content of its tasks.

pub(crate) mod comfyui;
pub(crate) mod sdwebui;
