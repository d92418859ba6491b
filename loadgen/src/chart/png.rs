//! PNG encoder: the signature, three chunks, and a checksum per chunk (PNG specification, third
//! edition). Pure.
//!
//! Pixels are 8-bit RGB without a filter: charts are flat, and deflate alone makes them small.

use miniz_oxide::deflate::compress_to_vec_zlib;

const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";

/// Deflate level, from 0 to 10.
const DEFLATE_LEVEL: u8 = 8;

/// Encodes rows of `width` pixels, each of three bytes.
pub(super) fn encode(pixels: &[u8], width: u32, height: u32) -> Vec<u8> {
    let row = usize::try_from(width)
        .unwrap_or(usize::MAX)
        .saturating_mul(3);
    let mut filtered = Vec::with_capacity(pixels.len() + pixels.len() / row.max(1) + 1);
    for row in pixels.chunks_exact(row.max(1)) {
        filtered.push(0);
        filtered.extend_from_slice(row);
    }
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    // Bit depth 8, colour type 2 (RGB), and the only compression, filter and interlace methods.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut file = SIGNATURE.to_vec();
    chunk(&mut file, b"IHDR", &header);
    chunk(
        &mut file,
        b"IDAT",
        &compress_to_vec_zlib(&filtered, DEFLATE_LEVEL),
    );
    chunk(&mut file, b"IEND", &[]);
    file
}

fn chunk(file: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    file.extend_from_slice(&len.to_be_bytes());
    let begin = file.len();
    file.extend_from_slice(kind);
    file.extend_from_slice(data);
    let sum = crc32(&file[begin..]);
    file.extend_from_slice(&sum.to_be_bytes());
}

/// CRC-32 as in annex D of the specification, bit by bit; the input is a few hundred kilobytes at
/// most.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1));
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        // The end chunk of every PNG.
        assert_eq!(crc32(b"IEND"), 0xae42_6082);
    }

    #[test]
    fn pixels_come_out_again() {
        let pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let file = encode(&pixels, 2, 2);
        let len = usize::from(file[36]);
        let data = miniz_oxide::inflate::decompress_to_vec_zlib(&file[41..41 + len]).unwrap();
        assert_eq!(data, [0, 1, 2, 3, 4, 5, 6, 0, 7, 8, 9, 10, 11, 12]);
    }
}
