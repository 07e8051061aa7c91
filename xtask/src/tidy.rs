//! `cargo xtask tidy`: what no compiler checks about the workspace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use onsager_figures::REGISTRY;
use toml::Table;

/// Each member with the members it may depend on; tests and examples of a member may use more.
const LAYERS: [(&str, &[&str]); 12] = [
    ("onsager-scalar", &[]),
    ("onsager-operators", &[]),
    (
        "onsager-ensembles",
        &["onsager-scalar", "onsager-operators"],
    ),
    (
        "onsager-model",
        &["onsager-scalar", "onsager-operators", "onsager-ensembles"],
    ),
    (
        "onsager-amp",
        &[
            "onsager-scalar",
            "onsager-operators",
            "onsager-ensembles",
            "onsager-model",
        ],
    ),
    (
        "onsager-replica",
        &["onsager-scalar", "onsager-ensembles", "onsager-model"],
    ),
    ("onsager-lattice", &[]),
    ("onsager-baselines", &["onsager-operators", "onsager-model"]),
    ("onsager-figures", &BELOW_FIGURES),
    ("onsager", &PUBLISHED),
    ("xtask", &ALL),
    ("onsager-tests", &ALL),
];

const BELOW_FIGURES: [&str; 8] = [
    "onsager-scalar",
    "onsager-operators",
    "onsager-ensembles",
    "onsager-model",
    "onsager-amp",
    "onsager-replica",
    "onsager-lattice",
    "onsager-baselines",
];

/// What the published facade may show.
const PUBLISHED: [&str; 7] = [
    "onsager-scalar",
    "onsager-operators",
    "onsager-ensembles",
    "onsager-model",
    "onsager-amp",
    "onsager-replica",
    "onsager-lattice",
];

const ALL: [&str; 10] = [
    "onsager-scalar",
    "onsager-operators",
    "onsager-ensembles",
    "onsager-model",
    "onsager-amp",
    "onsager-replica",
    "onsager-lattice",
    "onsager-baselines",
    "onsager-figures",
    "onsager",
];

/// Packages that must not be in the lock file, with the reason.
const BANNED: [(&str, &str); 9] = [
    ("rug", "copyleft and native code"),
    ("gmp-mpfr-sys", "copyleft and native code"),
    ("malachite", "copyleft"),
    ("GSL", "copyleft and native code"),
    ("plotters", "pictures are drawn with kuva"),
    ("openssl-sys", "native code"),
    ("native-tls", "native code"),
    ("openblas-src", "native code"),
    ("intel-mkl-src", "native code"),
];

/// The one crate that may allow unsafe code, in one module.
const UNSAFE: &str = "onsager-operators";

pub(crate) fn run(root: &Path) -> ExitCode {
    let mut faults = Vec::new();
    match members(root) {
        Ok(members) => {
            for (folder, manifest) in &members {
                layers(folder, manifest, &mut faults);
                unsafe_code(root, folder, manifest, &mut faults);
                readme(folder, manifest, &mut faults);
            }
        }
        Err(fault) => faults.push(fault),
    }
    documentation(root, &mut faults);
    banned(root, &mut faults);
    gallery(root, &mut faults);
    links(root, &mut faults);
    for fault in &faults {
        eprintln!(
            "tidy: {}",
            fault.replace(&format!("{}/", root.display()), "")
        );
    }
    if faults.is_empty() {
        println!(
            "tidy: layers, unsafe code, documents, links, gallery and dependencies are in order"
        );
        ExitCode::SUCCESS
    } else {
        eprintln!("tidy: {} faults", faults.len());
        ExitCode::FAILURE
    }
}

/// Every public item is documented, and every link between items leads somewhere.
fn documentation(root: &Path, faults: &mut Vec<String>) {
    let built = std::process::Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()))
        .args([
            "doc",
            "--release",
            "--locked",
            "--workspace",
            "--no-deps",
            "--quiet",
        ])
        .env("RUSTDOCFLAGS", "-D warnings -D missing_docs")
        .current_dir(root)
        .output();
    match built {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let report = String::from_utf8_lossy(&output.stderr);
            let errors = report
                .lines()
                .filter(|line| line.starts_with("error") || line.trim_start().starts_with("-->"));
            faults.extend(errors.map(|line| format!("documentation: {}", line.trim())));
            faults.push("documentation: `cargo doc` with warnings denied failed".to_owned());
        }
        Err(error) => faults.push(format!("cargo doc: {error}")),
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn parse(path: &Path) -> Result<Table, String> {
    read(path)?
        .parse()
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// Folder and manifest of every member.
fn members(root: &Path) -> Result<Vec<(PathBuf, Table)>, String> {
    let crates = root.join("crates");
    let entries =
        fs::read_dir(&crates).map_err(|error| format!("{}: {error}", crates.display()))?;
    let mut folders: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    folders.extend([root.join("xtask"), root.join("tests")]);
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();
    folders
        .into_iter()
        .map(|folder| Ok((folder.clone(), parse(&folder.join("Cargo.toml"))?)))
        .collect()
}

fn name(manifest: &Table) -> &str {
    manifest
        .get("package")
        .and_then(|package| package.get("name")?.as_str())
        .unwrap_or("")
}

fn is_published(manifest: &Table) -> bool {
    let publish = manifest
        .get("package")
        .and_then(|package| package.get("publish"));
    publish.is_none_or(|publish| publish.as_bool() != Some(false))
}

/// Dependencies on other members stay within the table.
fn layers(folder: &Path, manifest: &Table, faults: &mut Vec<String>) {
    let package = name(manifest);
    let Some((_, allowed)) = LAYERS.iter().find(|(member, _)| *member == package) else {
        faults.push(format!(
            "{}: member {package:?} has no layer; add it to the table of tidy",
            folder.display()
        ));
        return;
    };
    for section in ["dependencies", "build-dependencies"] {
        let Some(dependencies) = manifest.get(section).and_then(|section| section.as_table())
        else {
            continue;
        };
        for (key, value) in dependencies {
            let dependency = value
                .get("package")
                .and_then(|name| name.as_str())
                .unwrap_or(key);
            let internal = LAYERS.iter().any(|(member, _)| *member == dependency);
            if internal && !allowed.contains(&dependency) {
                faults.push(format!(
                    "{}: {package} must not depend on {dependency}",
                    folder.join("Cargo.toml").display()
                ));
            }
        }
    }
}

/// Every crate root forbids unsafe code, but one, which denies it and allows it in one file.
fn unsafe_code(root: &Path, folder: &Path, manifest: &Table, faults: &mut Vec<String>) {
    let package = name(manifest);
    let source = folder.join("src");
    let wanted = if package == UNSAFE {
        "#![deny(unsafe_code)]"
    } else {
        "#![forbid(unsafe_code)]"
    };
    for file in ["lib.rs", "main.rs"]
        .map(|file| source.join(file))
        .iter()
        .filter(|file| file.is_file())
    {
        match read(file) {
            Ok(text) if text.contains(wanted) => {}
            Ok(_) => faults.push(format!("{}: must contain {wanted}", file.display())),
            Err(fault) => faults.push(fault),
        }
    }
    let allows = |file: &PathBuf| read(file).is_ok_and(|text| text.contains("allow(unsafe_code)"));
    let allowing = files(&source, "rs").into_iter().filter(allows).count();
    if package == UNSAFE && allowing > 1 {
        let shown = source.strip_prefix(root).unwrap_or(&source).display();
        faults.push(format!(
            "{shown}: unsafe code must be allowed in one module, got {allowing}"
        ));
    }
}

/// A published crate shows its use on its front page.
fn readme(folder: &Path, manifest: &Table, faults: &mut Vec<String>) {
    if is_published(manifest) {
        let path = folder.join("README.md");
        match read(&path) {
            Ok(text) if text.contains("```rust") => {}
            Ok(_) => faults.push(format!("{}: must show an example in Rust", path.display())),
            Err(fault) => faults.push(fault),
        }
    }
}

fn banned(root: &Path, faults: &mut Vec<String>) {
    let path = root.join("Cargo.lock");
    let lock = match parse(&path) {
        Ok(lock) => lock,
        Err(fault) => return faults.push(fault),
    };
    let packages = lock.get("package").and_then(|packages| packages.as_array());
    for package in packages.into_iter().flatten() {
        let name = package.get("name").and_then(|name| name.as_str());
        if let Some((name, reason)) = BANNED.iter().find(|(banned, _)| Some(*banned) == name) {
            faults.push(format!("{}: {name} is banned ({reason})", path.display()));
        }
    }
}

/// Every registered figure is described in the gallery, by its identifier in code type.
fn gallery(root: &Path, faults: &mut Vec<String>) {
    let path = root.join("docs/gallery.md");
    if REGISTRY.is_empty() && !path.exists() {
        return;
    }
    match read(&path) {
        Ok(text) => {
            let missing = REGISTRY
                .iter()
                .filter(|figure| !text.contains(&format!("`{}`", figure.id())));
            faults.extend(
                missing.map(|figure| {
                    format!("{}: figure `{}` is missing", path.display(), figure.id())
                }),
            );
        }
        Err(fault) => faults.push(fault),
    }
}

/// Relative links of all documents lead to files that exist.
fn links(root: &Path, faults: &mut Vec<String>) {
    for document in files(root, "md") {
        let text = match read(&document) {
            Ok(text) => text,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        for target in targets(&text) {
            let file = target.split(['#', '?']).next().unwrap_or(target);
            let elsewhere =
                file.is_empty() || target.contains("://") || target.starts_with("mailto:");
            let folder = document.parent().unwrap_or(root);
            if !elsewhere && !folder.join(file).exists() {
                faults.push(format!(
                    "{}: link to {target} leads nowhere",
                    document.display()
                ));
            }
        }
    }
}

/// Targets of inline links and images, and of reference definitions, outside code.
fn targets(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code || line.starts_with("    ") {
            continue;
        }
        // Between back-quotes stands code: every second piece.
        for prose in line.split('`').step_by(2) {
            for rest in prose.split("](").skip(1) {
                let target = rest.split([')', ' ']).next().unwrap_or("");
                found.push(target.trim_matches(['<', '>']));
            }
        }
        if let Some((label, target)) = line.split_once("]: ")
            && label.starts_with('[')
            && !label.starts_with("[^")
        {
            found.push(target.split_whitespace().next().unwrap_or(""));
        }
    }
    found
}

/// All files with this extension below a folder, without hidden and built ones.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for path in fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
        {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "reproduction"
            {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code_only() {
        let text = "[a](x.md) and ![b](<y.png> \"title\") `[c](no)`\n```\n[d](no)\n```\n    [e](no)\n[f]: z.md#part\n[^g]: no\n";
        assert_eq!(targets(text), ["x.md", "y.png", "z.md#part"]);
    }

    #[test]
    fn a_wrong_layer_and_an_unknown_member_are_faults() {
        let manifest = |text: &str| text.parse::<Table>().expect("a manifest");
        let faults_of = |text: &str| {
            let mut faults = Vec::new();
            layers(Path::new("crate"), &manifest(text), &mut faults);
            faults
        };
        let amp = "[package]\nname = \"onsager-amp\"\n[dependencies]\n";
        assert!(
            faults_of(&format!(
                "{amp}onsager-model.workspace = true\nrand = \"1\"\n"
            ))
            .is_empty()
        );
        assert_eq!(
            faults_of(&format!("{amp}onsager-replica.workspace = true\n")).len(),
            1
        );
        // A renamed dependency and a development dependency: the first is one, the second is not.
        assert_eq!(
            faults_of(&format!(
                "{amp}x = {{ package = \"onsager-replica\", path = \"\" }}\n"
            ))
            .len(),
            1
        );
        assert!(
            faults_of(&format!(
                "{amp}[dev-dependencies]\nonsager-replica.workspace = true\n"
            ))
            .is_empty()
        );
        assert_eq!(faults_of("[package]\nname = \"stranger\"\n").len(), 1);
    }
}
