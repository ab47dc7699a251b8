//! Bodies that their server sends compressed: unpacked while they arrive, within the budget and within reason.
//!
//! The fetcher asks for no compression, but what is stored with `Content-Encoding` is sent so all the same (S3 does).

use std::io::{self, Write};
use std::mem;

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use shared_schema::ErrorCode;

use super::budget::{Body, InputBudget, Spent};
use super::errors::not_media;
use crate::error::TaskError;

/// A body may unpack to so many bytes, and to so many times its size beyond: an image that compresses better than that is
/// no photograph, and a compressed bomb is (RFC 1951 reaches 1032 times).
const FREE_BYTES: u64 = 16 * 1024 * 1024;
const MAX_TIMES: u64 = 100;

/// How a body is compressed (RFC 9110, section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Not at all.
    Identity,
    /// `gzip`, `x-gzip`.
    Gzip,
    /// `deflate`: the zlib format.
    Deflate,
}

impl Coding {
    /// The coding that a `Content-Encoding` names.
    ///
    /// # Errors
    ///
    /// One that is not unpacked, or several.
    pub(super) fn named<'a>(headers: impl Iterator<Item = &'a str>) -> Result<Self, TaskError> {
        // SDKs stored the framing of their upload as an encoding, which S3 has removed.
        const NONE: [&str; 3] = ["", "identity", "aws-chunked"];
        let names: Vec<String> =
            headers.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !NONE.contains(name)).collect();
        match names.as_slice() {
            [] => Ok(Self::Identity),
            ["gzip" | "x-gzip"] => Ok(Self::Gzip),
            ["deflate"] => Ok(Self::Deflate),
            _ => Err(not_media(
                "comes with a `Content-Encoding` that is not unpacked; of compressed files, gzip and deflate are taken",
            )),
        }
    }

    /// Whether a body begins as this coding does. Servers label files that are not compressed, too.
    fn begins(self, piece: &[u8]) -> bool {
        match self {
            Self::Identity => false,
            Self::Gzip => piece[0] == 0x1f,
            // Method and window of a zlib header (RFC 1950, section 2.2).
            Self::Deflate => piece[0] & 0x0f == 8 && piece[0] >> 4 <= 7,
        }
    }
}

/// A body that arrives, of any coding.
pub(super) struct Incoming<'a> {
    budget: &'a InputBudget,
    /// What its first piece is examined for.
    coding: Coding,
    unpacking: Unpacking<'a>,
}

enum Unpacking<'a> {
    None(Body<'a>),
    Gzip(Box<MultiGzDecoder<Bounded<'a>>>),
    Deflate(Box<ZlibDecoder<Bounded<'a>>>),
}

impl<'a> Incoming<'a> {
    /// One of so many bytes as they are sent, if the sender announces its length.
    pub(super) fn new(
        budget: &'a InputBudget,
        announced: Option<u64>,
        coding: Coding,
    ) -> Result<Self, Spent> {
        let announced = announced.filter(|_| coding == Coding::Identity);
        Ok(Self { budget, coding, unpacking: Unpacking::None(Body::new(budget, announced)?) })
    }

    /// The next piece of it, as it is sent.
    pub(super) fn push(&mut self, piece: &[u8]) -> Result<(), TaskError> {
        if piece.is_empty() {
            return Ok(());
        }
        match mem::replace(&mut self.coding, Coding::Identity) {
            coding if !coding.begins(piece) => {}
            Coding::Gzip => {
                self.unpacking = Unpacking::Gzip(Box::new(MultiGzDecoder::new(Bounded::new(self.budget)?)));
            }
            _ => self.unpacking = Unpacking::Deflate(Box::new(ZlibDecoder::new(Bounded::new(self.budget)?))),
        }
        let sent = piece.len() as u64;
        let unpacked = match &mut self.unpacking {
            Unpacking::None(body) => return Ok(body.push(piece)?),
            Unpacking::Gzip(decoder) => {
                decoder.get_mut().sent += sent;
                decoder.write_all(piece)
            }
            Unpacking::Deflate(decoder) => {
                decoder.get_mut().sent += sent;
                decoder.write_all(piece)
            }
        };
        unpacked.map_err(not_unpacked)
    }

    /// All of it, unpacked.
    pub(super) fn finish(self) -> Result<Bytes, TaskError> {
        Ok(match self.unpacking {
            Unpacking::None(body) => body,
            Unpacking::Gzip(decoder) => decoder.finish().map_err(not_unpacked)?.body,
            Unpacking::Deflate(decoder) => decoder.finish().map_err(not_unpacked)?.body,
        }
        .finish())
    }
}

/// What is unpacked so far, bounded by what was sent for it.
struct Bounded<'a> {
    body: Body<'a>,
    sent: u64,
    unpacked: u64,
}

impl<'a> Bounded<'a> {
    fn new(budget: &'a InputBudget) -> Result<Self, Spent> {
        Ok(Self { body: Body::new(budget, None)?, sent: 0, unpacked: 0 })
    }
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unpacked += bytes.len() as u64;
        if self.unpacked > FREE_BYTES + self.sent.saturating_mul(MAX_TIMES) {
            let message = format!("the input unpacks to more than {MAX_TIMES} times its size");
            return Err(io::Error::other(TaskError::new(ErrorCode::InputTooLarge, message)));
        }
        self.body.push(bytes).map_err(|spent| io::Error::other(TaskError::from(spent)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A bound that was met comes out of the decoder wrapped up; anything else is its own.
fn not_unpacked(error: io::Error) -> TaskError {
    error.downcast().unwrap_or_else(|_| not_media("is compressed, and damaged or incomplete"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(coding: Coding, sent: &[u8], budget: u64) -> Result<Vec<u8>, ErrorCode> {
        let budget = InputBudget::new(budget);
        let mut body =
            Incoming::new(&budget, Some(sent.len() as u64), coding).map_err(|_| ErrorCode::InputTooLarge)?;
        let pushed = sent.chunks(7_000).try_for_each(|piece| body.push(piece));
        pushed.and_then(|()| body.finish()).map(|bytes| bytes.to_vec()).map_err(|error| error.code)
    }

    #[test]
    fn a_body_is_unpacked_as_it_is_labelled_unless_it_is_not_compressed() {
        let text = b"hello".repeat(10_000);
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let zlib = zlib.finish().unwrap();
        for (coding, sent) in [
            (Coding::Identity, &text),
            (Coding::Gzip, &gzip(&text)),
            (Coding::Gzip, &[gzip(&text[..9]), gzip(&text[9..])].concat()),
            (Coding::Deflate, &zlib),
            (Coding::Gzip, &text),
        ] {
            assert_eq!(unpacked(coding, sent, 50_000).as_deref(), Ok(&text[..]), "{coding:?}");
        }
        assert_eq!(unpacked(Coding::Identity, &gzip(&text), 50_000), Ok(gzip(&text)));
        assert_eq!(unpacked(Coding::Gzip, b"", 0), Ok(Vec::new()));
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused_before_it_has() {
        let text = b"hello".repeat(10_000);
        assert_eq!(unpacked(Coding::Gzip, &gzip(&text), 49_999), Err(ErrorCode::InputTooLarge));
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        assert_eq!(unpacked(Coding::Gzip, &bomb, u64::MAX), Err(ErrorCode::InputTooLarge));
    }

    #[test]
    fn damaged_data_is_no_medium() {
        let packed = gzip(&b"hello".repeat(1_000));
        assert_eq!(
            unpacked(Coding::Gzip, &packed[..packed.len() - 1], 50_000),
            Err(ErrorCode::InputNotMedia)
        );
        assert_eq!(unpacked(Coding::Gzip, b"\x1f\x8b\x08nonsense", 50_000), Err(ErrorCode::InputNotMedia));
    }

    #[test]
    fn codings_are_read_from_the_header() {
        let named = |values: &[&'static str]| Coding::named(values.iter().copied());
        assert_eq!(named(&[]), Ok(Coding::Identity));
        assert_eq!(named(&["identity"]), Ok(Coding::Identity));
        assert_eq!(named(&["X-Gzip"]), Ok(Coding::Gzip));
        assert_eq!(named(&["aws-chunked, gzip"]), Ok(Coding::Gzip));
        assert_eq!(named(&["deflate"]), Ok(Coding::Deflate));
        for refused in [&["br"][..], &["zstd"], &["gzip, gzip"], &["gzip", "br"]] {
            assert_eq!(named(refused).unwrap_err().code, ErrorCode::InputNotMedia);
        }
    }
}
