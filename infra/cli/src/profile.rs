//! The profile file: for each deployment its front door and an API key.
//!
//! ```toml
//! default = "production"
//!
//! [profiles.production]
//! endpoint = "https://abc.execute-api.eu-central-1.amazonaws.com/prod"
//! api_key = "..."
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::options::{Options, given};

/// The most bytes of a file.
const MAX_BYTES: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the profile file {} cannot be read: {cause}", .file.display())]
    Unreadable { file: PathBuf, cause: io::Error },
    #[error("the profile file {} is invalid: {cause}", .file.display())]
    Invalid { file: PathBuf, cause: String },
    #[error("other users can {what} {}, which has API keys: `chmod 600 {}`", .file.display(), .file.display())]
    Open { file: PathBuf, what: &'static str },
    #[error("the profile file {} has no profile `{name}`", .file.display())]
    Unknown { file: PathBuf, name: String },
}

/// An API key. Nothing prints it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ApiKey(pub(crate) String);

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(...)")
    }
}

/// The settings of one deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The front door.
    pub(crate) endpoint: Option<String>,
    pub(crate) api_key: Option<ApiKey>,
    /// The runtime of tasks that name none.
    pub(crate) runtime: Option<String>,
    /// The name of the deployment, which its queues begin with.
    pub(crate) deployment: Option<String>,
    /// The bucket for results.
    pub(crate) bucket: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profiles {
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

impl Profile {
    /// The profile that the options, or variables, name.
    pub(crate) fn of(options: &Options) -> Result<Self, Error> {
        Self::load(options.config.as_deref(), given(options.profile.as_deref()))
    }

    /// The profile of that name, or the default one; empty if there is no file at the usual place.
    fn load(file: Option<&Path>, name: Option<&str>) -> Result<Self, Error> {
        let usual = usual_file();
        let Some(path) = file.or(usual.as_deref()) else { return Ok(Self::default()) };
        let text = match read(path) {
            Ok(text) => text,
            // Only a file that was named explicitly must exist.
            Err(Error::Unreadable { cause, .. })
                if file.is_none() && name.is_none() && cause.kind() == io::ErrorKind::NotFound =>
            {
                return Ok(Self::default());
            }
            Err(error) => return Err(error),
        };
        // The parser's own message quotes the line, which can have a key.
        let invalid = |error: toml::de::Error| Error::Invalid {
            file: path.to_owned(),
            cause: described(&error, &text),
        };
        let Profiles { default, mut profiles } = toml::from_str(&text).map_err(invalid)?;
        match name.or(default.as_deref()) {
            Some(name) => profiles
                .remove(name)
                .ok_or_else(|| Error::Unknown { file: path.to_owned(), name: name.to_owned() }),
            None => Ok(profiles.remove("default").unwrap_or_default()),
        }
    }
}

/// What is wrong, with the number of the line.
fn described(error: &toml::de::Error, text: &str) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    // This message has the value, which may be a key in the wrong place.
    let message =
        if error.message().contains("string \"") { "a value of the wrong type" } else { error.message() };
    format!("line {line}: {message}")
}

/// As XDG has it, also on macOS.
fn usual_file() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")))?;
    Some(folder.join("darkroom").join("config.toml"))
}

fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |cause| Error::Unreadable { file: path.to_owned(), cause };
    let file = File::open(path).map_err(unreadable)?;
    check_permissions(path, &file)?;
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// Refuses a file that all users can read, or that others can change: they could send the key elsewhere. A group that can read
/// it may be meant to.
#[cfg(unix)]
fn check_permissions(path: &Path, file: &File) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;

    let metadata = file.metadata().map_err(|cause| Error::Unreadable { file: path.to_owned(), cause })?;
    let mode = metadata.permissions().mode();
    let open = |what| Err(Error::Open { file: path.to_owned(), what });
    match mode {
        mode if mode & 0o022 != 0 => open("change"),
        mode if mode & 0o004 != 0 => open("read"),
        mode => {
            if mode & 0o040 != 0 {
                crate::output::note(&format!(
                    "warning: your group can read {}, which has API keys",
                    path.display()
                ));
            }
            Ok(())
        }
    }
}

#[cfg(not(unix))]
fn check_permissions(_: &Path, _: &File) -> Result<(), Error> {
    Ok(())
}
