//! The values of the settings by which a server encodes its images. It reads them when the images are there already, so that
//! a wrong one costs a whole run.

use serde_json::Value;

use crate::violation::listed;
use crate::{Violation, ViolationCode};

/// The formats, in any case: those of AUTOMATIC1111 and Forge, then what SD.Next and newer versions have beside them. A
/// server refuses those that it lacks.
const FORMATS: [&str; 8] = ["png", "jpg", "jpeg", "webp", "avif", "tiff", "jp2", "jxl"];

/// Pillow takes nothing but whole numbers for the quality of a JPEG; servers offer 1 to 100.
const QUALITIES: std::ops::RangeInclusive<f64> = 1.0..=100.0;

/// What is wrong with the value of the setting, which stands at `pointer`; `None` for other settings.
pub(super) fn violation(pointer: &str, setting: &str, value: &Value) -> Option<Violation> {
    let (code, message) = match setting {
        "samples_format" => (format_fault(value)?, format!("must be one of {}", listed(FORMATS))),
        "jpeg_quality" => (quality_fault(value)?, "must be a whole number from 1 to 100".to_owned()),
        "webp_lossless" => (flag_fault(value)?, "must be true or false".to_owned()),
        _ => return None,
    };
    Some(Violation::new(pointer, code, format!("`{setting}` {message}")))
}

fn format_fault(value: &Value) -> Option<ViolationCode> {
    let Some(text) = value.as_str() else { return Some(ViolationCode::WrongType) };
    let is_known = FORMATS.iter().any(|format| format.eq_ignore_ascii_case(text));
    (!is_known).then_some(ViolationCode::NotAllowed)
}

fn quality_fault(value: &Value) -> Option<ViolationCode> {
    let Some(quality) = value.as_f64().filter(|quality| quality.fract() == 0.0) else {
        return Some(ViolationCode::WrongType);
    };
    match quality {
        quality if quality < *QUALITIES.start() => Some(ViolationCode::TooSmall),
        quality if quality > *QUALITIES.end() => Some(ViolationCode::TooLarge),
        _ => None,
    }
}

/// Python takes 0 and 1 for them, too.
fn flag_fault(value: &Value) -> Option<ViolationCode> {
    let is_flag = value.is_boolean() || matches!(value.as_f64(), Some(0.0 | 1.0));
    (!is_flag).then_some(ViolationCode::WrongType)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn code(setting: &str, value: &Value) -> Option<ViolationCode> {
        let found = violation("/override_settings/x", setting, value)?;
        assert!(found.message.starts_with(&format!("`{setting}` must be ")), "{found:?}");
        Some(found.code)
    }

    #[test]
    fn what_some_server_takes_passes() {
        for (setting, value) in [
            ("samples_format", json!("png")),
            ("samples_format", json!("JPEG")),
            ("samples_format", json!("jxl")),
            ("jpeg_quality", json!(1)),
            ("jpeg_quality", json!(100.0)),
            ("webp_lossless", json!(false)),
            ("webp_lossless", json!(1)),
            ("sd_vae", json!(["anything"])),
        ] {
            assert_eq!(code(setting, &value), None, "{setting} {value}");
        }
    }

    #[test]
    fn what_none_can_encode_by_is_refused() {
        use ViolationCode::{NotAllowed, TooLarge, TooSmall, WrongType};
        for (setting, value, expected) in [
            ("samples_format", json!("string"), NotAllowed),
            ("samples_format", json!(""), NotAllowed),
            ("samples_format", json!(".png"), NotAllowed),
            ("samples_format", json!(null), WrongType),
            ("samples_format", json!(["png"]), WrongType),
            ("jpeg_quality", json!(0), TooSmall),
            ("jpeg_quality", json!(-1e308), TooSmall),
            ("jpeg_quality", json!(101), TooLarge),
            ("jpeg_quality", json!(80.5), WrongType),
            ("jpeg_quality", json!("80"), WrongType),
            ("jpeg_quality", json!(true), WrongType),
            ("webp_lossless", json!("true"), WrongType),
            ("webp_lossless", json!(2), WrongType),
            ("webp_lossless", json!({}), WrongType),
        ] {
            assert_eq!(code(setting, &value), Some(expected), "{setting} {value}");
        }
    }
}
