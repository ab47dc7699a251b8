//! The supported versions of the interface, and their differences.

use std::str::FromStr;

/// A version of ComfyUI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComfyUiVersion {
    /// 0.3.64 of October 2025: any prompt id, no `/api/jobs`.
    V0_3,
    /// 0.25.0 of June 2026, which the recordings are of.
    #[default]
    V0_25,
    /// 0.33.0: jobs can be cancelled by their ids.
    V0_33,
    /// 0.45.2 of November 2026: a prompt id that is known is refused.
    V0_45,
}

impl ComfyUiVersion {
    /// The version in `/system_stats`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V0_3 => "0.3.64",
            Self::V0_25 => "0.25.0",
            Self::V0_33 => "0.33.0",
            Self::V0_45 => "0.45.2",
        }
    }

    /// Whether `/api/jobs` is there.
    pub(super) fn lists_jobs(self) -> bool {
        self >= Self::V0_25
    }

    /// Whether a prompt id has to be a UUID.
    pub(super) fn wants_uuids(self) -> bool {
        self >= Self::V0_25
    }

    /// Whether `POST /api/jobs/{id}/cancel` is there.
    pub(super) fn cancels_by_id(self) -> bool {
        self >= Self::V0_33
    }

    /// Whether a prompt id that is known is answered 409.
    pub(super) fn refuses_repeated_ids(self) -> bool {
        self >= Self::V0_45
    }

    /// Whether the history has the outputs of cached nodes, although they are sent to no client.
    pub(super) fn shows_cached_without_client(self) -> bool {
        self != Self::V0_25
    }
}

impl FromStr for ComfyUiVersion {
    type Err = String;

    /// `0.3`, `0.25`, `0.33`, `0.45`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "0.3" => Ok(Self::V0_3),
            "0.25" => Ok(Self::V0_25),
            "0.33" => Ok(Self::V0_33),
            "0.45" => Ok(Self::V0_45),
            _ => Err("one of 0.3, 0.25, 0.33, 0.45".to_owned()),
        }
    }
}
