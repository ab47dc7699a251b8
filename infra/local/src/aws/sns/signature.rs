//! The signatures of documents, and the certificate that verifies them ("Verifying the signatures of Amazon SNS messages" in the SNS
//! Developer Guide).
//!
//! The key is below, for everybody to read: a signature shows that a receiver verifies in the right way, and proves nothing.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD as BASE64;
use num_bigint::BigUint;
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

/// The path of the certificate, in the form of AWS's. No bucket can have such a name.
pub(in crate::aws) const CERTIFICATE_PATH: &str =
    "/SimpleNotificationService-0000000000000000000000000000d0c5.pem";

const CERTIFICATE: &str = include_str!("certificate.pem");

/// What is signed: the fields that a document has of these, in this order.
const SIGNED: [&str; 8] =
    ["Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type"];

/// The topic attribute `SignatureVersion`: the hash that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum SignatureVersion {
    /// `1`: SHA-1, unless a topic has another one.
    #[default]
    Sha1,
    /// `2`: SHA-256.
    Sha256,
}

impl SignatureVersion {
    pub(super) fn parse(value: &str) -> Option<Self> {
        match value {
            "1" => Some(Self::Sha1),
            "2" => Some(Self::Sha256),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "1",
            Self::Sha256 => "2",
        }
    }

    /// The hash of a text as `DigestInfo` (RFC 8017, section 9.2).
    fn digest_info(self, text: &str) -> Vec<u8> {
        const SHA1: &[u8] = b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14";
        const SHA256: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
        match self {
            Self::Sha1 => [SHA1, &Sha1::digest(text)].concat(),
            Self::Sha256 => [SHA256, &Sha256::digest(text)].concat(),
        }
    }
}

/// The signature of a document, in base64.
pub(super) fn sign(document: &Value, version: SignatureVersion) -> String {
    let fields = SIGNED.iter().filter_map(|name| Some((name, document[name].as_str()?)));
    let text: String = fields.map(|(name, value)| format!("{name}\n{value}\n")).collect();
    BASE64.encode_to_string(KEY.sign(&version.digest_info(&text)))
}

/// The answer to a request for the certificate.
pub(in crate::aws) fn certificate() -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], CERTIFICATE).into_response()
}

/// An RSA key with the exponent 65537 and several primes: with eight, a signature takes a quarter of the time that two need. No crate
/// that is linked signs SHA-1, which is the default of SNS: `ring` refuses it, and `rsa` has an open advisory (its duration
/// depends on the key, which is public here).
struct Key {
    modulus: BigUint,
    factors: Vec<Factor>,
}

struct Factor {
    prime: BigUint,
    /// The private exponent modulo `prime` − 1.
    exponent: BigUint,
    /// 1 modulo `prime`, and 0 modulo every other prime (Chinese remainder theorem).
    coefficient: BigUint,
}

/// Bytes of the modulus.
const KEY_BYTES: usize = 256;

/// The primes of the public key in `certificate.pem`.
const PRIMES: [&[u8]; 8] = [
    b"fdf4ef38a3624e2e5f3815f8fbb8928f975ea373ccf1d9ee64ac3aa74ae9af27",
    b"fee9089382ca38c32a401d2615efd1e610ec5877ec7b9efc7379cba17b39c3f7",
    b"f42fb71cd99a247cefeaa321ba3f7d525762a23e8a0ad16045c21b8cc8a6306b",
    b"f66b96ec4061f67fa475023099c632a63124303211b40b8422c1bacaf5a6213b",
    b"f7d75f40680a65614b5a8729f4e2a3ede90ab1d4bcbfd2210120620da726eb57",
    b"f2ce08a0d9c7237336a2fb8b8b27c0199bdd22e59709aa5176648ffb394ccea5",
    b"f708ea99dc277445f992c46ae9467dfb52f834068bd839e2dad7369ebd1578ad",
    b"f3f6982c927a6c89fb86d6efdc5f34b233dcfb1f39253276cd4b514a2f4d03e7",
];

static KEY: LazyLock<Key> = LazyLock::new(|| {
    let primes = PRIMES.map(|digits| BigUint::parse_bytes(digits, 16).unwrap_or_default());
    let modulus: BigUint = primes.iter().product();
    let factor = |prime: BigUint| {
        let others = &modulus / &prime;
        Factor {
            exponent: BigUint::from(65_537_u32).modinv(&(&prime - 1_u32)).unwrap_or_default(),
            coefficient: others.modinv(&prime).unwrap_or_default() * others,
            prime,
        }
    };
    let factors = primes.into_iter().map(factor).collect();
    Key { modulus, factors }
});

impl Key {
    /// RSASSA-PKCS1-v1_5 (RFC 8017, sections 8.2.1 and 9.2).
    fn sign(&self, digest_info: &[u8]) -> Vec<u8> {
        let padding = vec![0xff; KEY_BYTES - 3 - digest_info.len()];
        let encoded = [&[0, 1], padding.as_slice(), &[0], digest_info].concat();
        let message = BigUint::from_bytes_be(&encoded);
        let part =
            |Factor { prime, exponent, coefficient }: &Factor| message.modpow(exponent, prime) * coefficient;
        let parts: BigUint = self.factors.iter().map(part).sum();
        let signature = (parts % &self.modulus).to_bytes_be();
        [vec![0; KEY_BYTES - signature.len()], signature].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, UnparsedPublicKey};
    use serde_json::json;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    #[test]
    fn signatures_that_begin_with_a_zero_are_as_long_as_others() {
        let (_, pem) = x509_parser::pem::parse_x509_pem(CERTIFICATE.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
        let key = &certificate.public_key().subject_public_key.data;
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, key);
        let mut zeros = 0;
        for n in 0..1000 {
            let signature = sign(&json!({ "Message": n.to_string() }), SignatureVersion::Sha1);
            let signature = BASE64.decode_to_vec(signature).unwrap();
            assert!(key.verify(format!("Message\n{n}\n").as_bytes(), &signature).is_ok(), "{n}");
            zeros += usize::from(signature[0] == 0);
        }
        assert!(zeros > 0, "no signature of these begins with a zero");
    }
}
