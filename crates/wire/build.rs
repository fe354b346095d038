//! Turns `proto/` into Rust without protoc: messages and services (prost, tonic), their ProtoJSON
//! (pbjson), and the descriptor set that reflection serves.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const PROTO: &str = "../../proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);

    let mut files = Vec::new();
    collect(&Path::new(PROTO).join("fluxgate"), &mut files)?;
    files.sort();

    let mut compiler = protox::Compiler::new([PROTO])?;
    compiler
        .include_imports(true)
        .include_source_info(true)
        .open_files(&files)?;
    let descriptors = compiler.encode_file_descriptor_set();
    fs::write(out.join("fluxgate.descriptors"), &descriptors)?;

    // The well-known types come from pbjson-types, because those of prost have no ProtoJSON; times are ours,
    // because its ProtoJSON of them is not that of the specification.
    tonic_prost_build::configure()
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .extern_path(".google.protobuf.Timestamp", "crate::protobuf::Timestamp")
        .btree_map(".")
        .compile_fds(compiler.file_descriptor_set())?;
    // Strict as it comes: unknown fields and unknown enum values are refused.
    pbjson_build::Builder::new()
        .register_descriptors(&descriptors)?
        .btree_map(["."])
        .build(&[".fluxgate"])?;
    Ok(())
}

/// Every `.proto` file below a directory.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
