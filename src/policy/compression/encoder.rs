//! One answer's content on its way through a coding.

use super::negotiate::Coding;
use crate::choice;
use std::io::Write;

choice! {
    /// What is given for what.
    pub(in crate::policy) enum Effort {
        Fast = "fast",
        Balanced = "balanced",
        Small = "small",
    }
}

/// Of one answer. What it holds is bounded by the windows below: some 300 KiB of gzip, 1 MiB of zstd or brotli, until the
/// answer has ended.
pub struct Encoder {
    coding: Running,
    /// What comes out of each piece goes on at once: the length is not known, so its sender may be waiting for what its
    /// reader makes of it.
    flushes: bool,
}

enum Running {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    /// None where the library refuses to begin.
    pub(super) fn new(coding: Coding, effort: Effort, flushes: bool) -> Option<Self> {
        let coding = match coding {
            Coding::Gzip => {
                let level = match effort {
                    Effort::Fast => 1,
                    Effort::Balanced => 5,
                    Effort::Small => 9,
                };
                Running::Gzip(flate2::write::GzEncoder::new(
                    Vec::new(),
                    flate2::Compression::new(level),
                ))
            }
            Coding::Brotli => {
                let quality = match effort {
                    Effort::Fast => 1,
                    Effort::Balanced => 4,
                    Effort::Small => 7,
                };
                let writer = brotli::CompressorWriter::new(Vec::new(), PIECE, quality, WINDOW_BITS);
                Running::Brotli(Box::new(writer))
            }
            Coding::Zstd => {
                let level = match effort {
                    Effort::Fast => 1,
                    Effort::Balanced => 3,
                    Effort::Small => 9,
                };
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), level).ok()?;
                encoder.window_log(WINDOW_BITS).ok()?;
                Running::Zstd(encoder)
            }
        };
        Some(Self { coding, flushes })
    }

    pub(in crate::policy) fn push(&mut self, content: &[u8], out: &mut Vec<u8>) {
        let flushes = self.flushes;
        // Into memory nothing fails.
        let _ = match &mut self.coding {
            Running::Gzip(encoder) => write(encoder, content, flushes),
            Running::Brotli(encoder) => write(encoder, content, flushes),
            Running::Zstd(encoder) => write(encoder, content, flushes),
        };
        out.append(match &mut self.coding {
            Running::Gzip(encoder) => encoder.get_mut(),
            Running::Brotli(encoder) => encoder.get_mut(),
            Running::Zstd(encoder) => encoder.get_mut(),
        });
    }

    pub(in crate::policy) fn finish(self, out: &mut Vec<u8>) {
        let rest = match self.coding {
            Running::Gzip(encoder) => encoder.finish().unwrap_or_default(),
            Running::Brotli(encoder) => encoder.into_inner(),
            Running::Zstd(encoder) => encoder.finish().unwrap_or_default(),
        };
        out.extend_from_slice(&rest);
    }
}

fn write(encoder: &mut impl Write, content: &[u8], flushes: bool) -> std::io::Result<()> {
    encoder.write_all(content)?;
    if flushes { encoder.flush() } else { Ok(()) }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").finish_non_exhaustive()
    }
}

/// 256 KiB: answers of an API find nothing further back, and memory is held for each that is under way.
const WINDOW_BITS: u32 = 18;

/// Of brotli's own buffer.
const PIECE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    pub(super) fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match coding {
            Coding::Gzip => flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut out)
                .map(drop),
            Coding::Brotli => brotli::Decompressor::new(bytes, 4096)
                .read_to_end(&mut out)
                .map(drop),
            Coding::Zstd => zstd::stream::read::Decoder::new(bytes)
                .and_then(|mut decoder| decoder.read_to_end(&mut out))
                .map(drop),
        }
        .expect("what was encoded");
        out
    }

    #[test]
    fn what_comes_out_is_what_went_in_and_smaller() {
        let text = "the same words again and again, ".repeat(3000);
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            for effort in [Effort::Fast, Effort::Balanced, Effort::Small] {
                for flushes in [false, true] {
                    let mut encoder = Encoder::new(coding, effort, flushes).expect("an encoder");
                    let mut out = Vec::new();
                    for piece in text.as_bytes().chunks(1000) {
                        let before = out.len();
                        encoder.push(piece, &mut out);
                        assert!(!flushes || out.len() > before, "each piece goes on");
                    }
                    encoder.finish(&mut out);
                    assert_eq!(decoded(coding, &out), text.as_bytes());
                    assert!(out.len() < text.len() / 4, "{coding:?} {effort:?}: {}", out.len());
                }
            }
        }
    }

    #[test]
    fn nothing_is_something() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let mut out = Vec::new();
            Encoder::new(coding, Effort::Fast, false)
                .expect("an encoder")
                .finish(&mut out);
            assert!(decoded(coding, &out).is_empty());
        }
    }
}
