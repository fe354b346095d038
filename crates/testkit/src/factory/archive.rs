//! A tar archive of one file, the same bytes each time: no times, no owners.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

/// An archive, plain (its digest is an image's diff id) and compressed.
pub(super) struct Archive {
    pub(super) tar: Vec<u8>,
    pub(super) gzip: Vec<u8>,
}

pub(super) fn of_one_file(name: &str, bytes: &[u8]) -> io::Result<Archive> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut header, name, bytes)?;
    let tar = builder.into_inner()?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&tar)?;
    Ok(Archive {
        gzip: encoder.finish()?,
        tar,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_each_time() {
        let [one, two] = [1, 2].map(|_| of_one_file("a.yaml", b"a: 1\n").unwrap());
        assert_eq!(one.gzip, two.gzip);
        let other = of_one_file("a.yaml", b"a: 2\n").unwrap();
        assert_ne!(one.tar, other.tar);
    }
}
