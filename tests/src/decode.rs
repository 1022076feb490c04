//! Content encodings taken back.

use std::io::Read;

use anyhow::{Result, bail, ensure};

/// What the whole of a body was before it was encoded.
///
/// # Errors
/// When it is not whole, has something behind its end, or is of another encoding.
pub fn decode(encoding: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    match encoding {
        "gzip" => {
            let mut decoder = flate2::bufread::GzDecoder::new(body);
            decoder.read_to_end(&mut text)?;
            ensure!(decoder.into_inner().is_empty(), "something follows the end");
        }
        "deflate" => {
            let mut decoder = flate2::bufread::ZlibDecoder::new(body);
            decoder.read_to_end(&mut text)?;
            ensure!(decoder.into_inner().is_empty(), "something follows the end");
        }
        "br" => {
            brotli::Decompressor::new(body, 4096).read_to_end(&mut text)?;
        }
        "zstd" => {
            let mut state = zstd_safe::DCtx::create();
            let mut input = zstd_safe::InBuffer::around(body);
            loop {
                text.reserve(256 * 1024);
                let (start, before) = (text.len(), input.pos());
                let mut out = zstd_safe::OutBuffer::around_pos(&mut text, start);
                let left = state
                    .decompress_stream(&mut out, &mut input)
                    .map_err(|code| anyhow::anyhow!("{}", zstd_safe::get_error_name(code)))?;
                if left == 0 {
                    ensure!(input.pos() == body.len(), "something follows the end");
                    break;
                }
                ensure!(text.len() > start || input.pos() > before, "cut short");
            }
        }
        other => bail!("unknown encoding {other}"),
    }
    Ok(text)
}
