//! The hash of an asset's bytes, as the API writes it: `blake3:` and 64 hexadecimal digits.

use sha2::{Digest, Sha256};
use task_records::Owner;
use uuid::Uuid;

/// A BLAKE3 hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blake3(blake3::Hash);

impl Blake3 {
    /// The hash of these bytes.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes))
    }

    /// A finished hash.
    pub(crate) fn new(hash: blake3::Hash) -> Self {
        Self(hash)
    }

    /// The hash in a text such as `blake3:af13...`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        blake3::Hash::from_hex(text.strip_prefix("blake3:")?).ok().map(Self)
    }

    /// The digits.
    pub(crate) fn hex(&self) -> String {
        self.0.to_hex().to_string()
    }

    /// The id of an owner's asset with these bytes and that name.
    pub(super) fn asset_id(&self, owner: &Owner, file_path: &str) -> Uuid {
        let digest = Sha256::new()
            .chain_update("darkroom asset ")
            .chain_update(self.0.as_bytes())
            .chain_update(owner.as_str())
            .chain_update([0])
            .chain_update(file_path)
            .finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        Uuid::new_v8(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_read_back() {
        // The hash of nothing (the test vectors of BLAKE3).
        let hex = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        let hash = Blake3::of(b"");
        assert_eq!(hash.hex(), hex);
        assert_eq!(Blake3::parse(&format!("blake3:{hex}")), Some(hash));
        for text in [hex, "blake3:", "blake3:00", "sha256:00", &format!("blake3:{hex}0")] {
            assert_eq!(Blake3::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_asset_id_depends_on_bytes_owner_and_name() {
        let id = |bytes: &[u8], owner: &str, name: &str| Blake3::of(bytes).asset_id(&Owner::new(owner), name);
        assert_eq!(id(b"a", "o", "n"), id(b"a", "o", "n"));
        for other in [id(b"b", "o", "n"), id(b"a", "p", "n"), id(b"a", "o", "m")] {
            assert_ne!(id(b"a", "o", "n"), other);
        }
    }
}
