//! The `flux-manifests` artifact: one layer, one document.

use std::io::{self, Read};
use std::path::{Component, Path};

use domain::{Digest, ImageRef};
use flate2::read::MultiGzDecoder;

use crate::client::Client;
use crate::error::{Error, Failure, Operation};
use crate::manifest::Content;

/// Longest document, and longest layer: `gotk-components.yaml` of Flux 2.9 has about 700 KB.
pub const MAX_DOCUMENT_BYTES: u64 = 4 << 20;
/// What an archive may hold beside its document: headers, padding, other files.
const MAX_ARCHIVE_OVERHEAD: u64 = 1 << 20;
/// Most entries of an archive; real ones have one or two.
const MAX_ENTRIES: usize = 64;

const FLUX_CONTENT: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
/// The document that `flux push artifact` of a release packs.
const COMPONENTS_FILE: &str = "gotk-components.yaml";

/// A `flux-manifests` artifact with its layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxManifests {
    /// Digest of the OCI manifest: what is signed.
    pub manifest: Digest,
    /// Digest of the layer.
    pub layer: Digest,
    /// The layer, a tar.gz, at most 4 MiB; [`document`] unpacks it.
    pub layer_bytes: Vec<u8>,
}

/// Why a layer holds no document. Never worth a retry: the bytes are what they are.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not a gzip stream.
    #[error("unpacking the gzip stream of the manifests layer")]
    Gzip(#[source] io::Error),
    /// Not a tar archive.
    #[error("reading the archive of the manifests layer")]
    Tar(#[source] io::Error),
    /// More bytes than allowed.
    #[error("manifests layer unpacks to more than {cap} bytes")]
    TooLarge {
        /// The cap in bytes.
        cap: u64,
    },
    /// More entries than plausible.
    #[error("manifests layer has more than {cap} entries")]
    TooMany {
        /// The cap.
        cap: usize,
    },
    /// An entry that is neither file nor folder, or a path that leaves the archive.
    #[error("manifests layer has the entry {path:?}, which is no file or folder inside it")]
    Entry {
        /// As the archive names it.
        path: String,
    },
    /// No document, or several.
    #[error("manifests layer has {found} YAML documents instead of one, or of one gotk-components.yaml")]
    Documents {
        /// How many.
        found: usize,
    },
    /// Not text.
    #[error("manifests document is not UTF-8")]
    Text(#[source] std::string::FromUtf8Error),
}

impl DocumentError {
    /// Whether the same call may succeed later: never.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        false
    }
}

impl Client {
    /// The `flux-manifests` artifact of an image reference; nothing where the registry has none.
    ///
    /// # Errors
    /// If it cannot be fetched, has another digest, is not an artifact with exactly one Flux content
    /// layer, or has a layer longer than 4 MiB.
    pub async fn flux_manifests(&self, image: &ImageRef) -> Result<Option<FluxManifests>, Error> {
        self.fetched_manifests(image)
            .await
            .map_err(|failure| Error::new(Operation::FluxManifests, image, failure))
    }

    async fn fetched_manifests(&self, image: &ImageRef) -> Result<Option<FluxManifests>, Failure> {
        let Some(manifest) = self.any_manifest(image).await? else {
            return Ok(None);
        };
        let Content::Image { layers, .. } = manifest.content()? else {
            return Err(Failure::Malformed("manifests artifact is an image index"));
        };
        let [layer] = layers.as_slice() else {
            return Err(Failure::Malformed("manifests artifact has not exactly one layer"));
        };
        if layer.media_type != FLUX_CONTENT {
            return Err(Failure::Malformed(
                "manifests artifact has a layer of another media type",
            ));
        }
        let bytes = self
            .any_blob(image.repository(), layer.digest, MAX_DOCUMENT_BYTES)
            .await?;
        let layer_bytes = bytes.to_vec();
        Ok(Some(FluxManifests {
            manifest: manifest.digest,
            layer: layer.digest,
            layer_bytes,
        }))
    }
}

/// The one document in a layer: its only `.yaml` file, or its only `gotk-components.yaml` where there are
/// several. At most `max` bytes, and never more than [`MAX_DOCUMENT_BYTES`]. Nothing is written to disk.
///
/// # Errors
/// If the layer is not a tar.gz within the caps, has an entry that is not a plain file or folder inside
/// it, or has not exactly one document.
pub fn document(layer_bytes: &[u8], max: u64) -> Result<String, DocumentError> {
    let max = max.min(MAX_DOCUMENT_BYTES);
    let archive = unpacked(layer_bytes, max)?;
    let mut found = documents(&archive, max)?;
    if found.len() > 1 {
        found.retain(|(name, _)| name == COMPONENTS_FILE);
    }
    match (found.pop(), found.len()) {
        (Some((_, bytes)), 0) => String::from_utf8(bytes).map_err(DocumentError::Text),
        (None, _) => Err(DocumentError::Documents { found: 0 }),
        (Some(_), others) => Err(DocumentError::Documents { found: others + 1 }),
    }
}

fn unpacked(layer_bytes: &[u8], max: u64) -> Result<Vec<u8>, DocumentError> {
    let cap = max + MAX_ARCHIVE_OVERHEAD;
    let mut archive = Vec::new();
    let mut limited = MultiGzDecoder::new(layer_bytes).take(cap + 1);
    limited.read_to_end(&mut archive).map_err(DocumentError::Gzip)?;
    if archive.len() as u64 > cap {
        Err(DocumentError::TooLarge { cap })
    } else {
        Ok(archive)
    }
}

fn documents(archive: &[u8], max: u64) -> Result<Vec<(String, Vec<u8>)>, DocumentError> {
    let mut found = Vec::new();
    for (count, entry) in tar::Archive::new(archive)
        .entries()
        .map_err(DocumentError::Tar)?
        .enumerate()
    {
        let mut entry = entry.map_err(DocumentError::Tar)?;
        if count >= MAX_ENTRIES {
            return Err(DocumentError::TooMany { cap: MAX_ENTRIES });
        }
        let kind = entry.header().entry_type();
        let path = entry.path().map_err(DocumentError::Tar)?.into_owned();
        if !(kind.is_file() || kind.is_dir()) || !is_inside(&path) {
            return Err(DocumentError::Entry {
                path: path.to_string_lossy().into_owned(),
            });
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !kind.is_file() || !(name.ends_with(".yaml") || name.ends_with(".yml")) {
            continue;
        }
        if entry.size() > max {
            return Err(DocumentError::TooLarge { cap: max });
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(DocumentError::Tar)?;
        found.push((name, bytes));
    }
    Ok(found)
}

fn is_inside(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn layer(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            // Written by hand, because the builder refuses hostile paths.
            header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_cksum();
            archive.append(&header, *bytes).unwrap();
        }
        gzip(&archive.into_inner().unwrap())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn reads_the_one_document() {
        assert_eq!(
            document(&layer(&[("./all.yaml", b"a: 1\n")]), 100).unwrap(),
            "a: 1\n"
        );
        let two = layer(&[
            ("kustomization.yaml", b"k"),
            ("gotk-components.yaml", b"c"),
            ("README.md", b"r"),
        ]);
        assert_eq!(document(&two, 100).unwrap(), "c");
    }

    #[test]
    fn refuses_none_and_several_documents() {
        for files in [
            &[] as &[(&str, &[u8])],
            &[("README.md", b"r")],
            &[("a.yaml", b"a"), ("b.yaml", b"b")],
            &[("a/gotk-components.yaml", b"a"), ("b/gotk-components.yaml", b"b")],
        ] {
            assert!(
                matches!(document(&layer(files), 100), Err(DocumentError::Documents { .. })),
                "{files:?}"
            );
        }
    }

    #[test]
    fn refuses_paths_that_leave_the_archive() {
        for path in ["../x.yaml", "/etc/x.yaml", "a/../../x.yaml"] {
            assert!(
                matches!(
                    document(&layer(&[(path, b"x")]), 100),
                    Err(DocumentError::Entry { .. })
                ),
                "{path}"
            );
        }
    }

    #[test]
    fn refuses_links() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, "x.yaml", "/etc/passwd").unwrap();
        let layer = gzip(&archive.into_inner().unwrap());
        assert!(matches!(document(&layer, 100), Err(DocumentError::Entry { .. })));
    }

    #[test]
    fn refuses_documents_and_bombs_beyond_the_cap() {
        let long = layer(&[("x.yaml", &[b'x'; 101])]);
        assert!(matches!(
            document(&long, 100),
            Err(DocumentError::TooLarge { cap: 100 })
        ));
        let bomb = gzip(&vec![0; 16 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert!(matches!(
            document(&bomb, u64::MAX),
            Err(DocumentError::TooLarge { .. })
        ));
    }

    #[test]
    fn refuses_what_is_no_archive() {
        assert!(matches!(document(b"plain", 100), Err(DocumentError::Gzip(_))));
        assert!(matches!(
            document(&layer(&[("x.yaml", b"\xff")]), 100),
            Err(DocumentError::Text(_))
        ));
        let cut = layer(&[("x.yaml", b"x")]);
        assert!(matches!(
            document(&cut[..cut.len() - 9], 100),
            Err(DocumentError::Gzip(_))
        ));
    }
}
