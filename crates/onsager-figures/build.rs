//! Hashes the sources on which the numbers of a figure depend, for the keys of cached points.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use sha2::{Digest, Sha256};

/// The crates below this one. A figure's numbers may change whenever one of them does.
const BELOW: [&str; 7] = [
    "scalar",
    "operators",
    "ensembles",
    "model",
    "amp",
    "replica",
    "lattice",
];

fn main() -> io::Result<()> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut below = Sha256::new();
    // Outside the workspace the neighbours are absent; their versions are released together with ours.
    below.update(env::var("CARGO_PKG_VERSION").unwrap_or_default());
    for name in BELOW {
        let folder = here.join(format!("../onsager-{name}/src"));
        if folder.is_dir() {
            println!("cargo::rerun-if-changed={}", folder.display());
            for file in files(&folder)? {
                add(&mut below, &folder, &file)?;
            }
        }
    }

    let figures = here.join("src/figures");
    println!("cargo::rerun-if-changed={}", figures.display());
    println!("cargo::rerun-if-changed=build.rs");
    let common = figures.join("common.rs");
    if common.is_file() {
        add(&mut below, &figures, &common)?;
    }
    let below = below.finalize();

    // One hash for each figure: the crates below, what figures share, and its own file.
    let mut table = String::from("&[\n");
    for file in files(&figures)? {
        let stem = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .replace('_', "-");
        let mut hash = Sha256::new();
        hash.update(below);
        add(&mut hash, &figures, &file)?;
        let _ = writeln!(table, "    ({stem:?}, {:?}),", hex(&hash.finalize()));
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("figure_sources.rs"), table)?;
    println!("cargo::rustc-env=ONSAGER_SOURCES_BELOW={}", hex(&below));
    Ok(())
}

/// All files below a folder, in the order of their paths.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Hashes the relative path and the length with the content, so that moving a file counts.
fn add(hash: &mut Sha256, root: &Path, file: &Path) -> io::Result<()> {
    let content = fs::read(file)?;
    let name = file
        .strip_prefix(root)
        .unwrap_or(file)
        .to_string_lossy()
        .replace('\\', "/");
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name);
    hash.update((content.len() as u64).to_le_bytes());
    hash.update(content);
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
