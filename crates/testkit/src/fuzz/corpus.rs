//! The committed inputs of a target: a folder of small files.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

#[derive(Debug, Clone)]
pub struct Corpus {
    folder: PathBuf,
}

impl Corpus {
    pub fn open(name: &str) -> Self {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
        let top = crates.expect("the crate lies two folders below the top");
        Self::at(&top.join("tests/fuzz/corpus").join(name))
    }

    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Every input, in order of name.
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(&self.folder)
            .unwrap_or_else(|error| panic!("{}: {error}", self.folder.display()));
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    /// Writes a finding; returns its place, or the bytes themselves if it cannot be written.
    pub fn keep(&self, kind: &str, input: &[u8]) -> String {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let path = self.folder.join(format!("{kind}-{:016x}", hasher.finish()));
        match fs::write(&path, input) {
            Ok(()) => path.display().to_string(),
            Err(error) => format!("not written ({error}): {input:?}"),
        }
    }
}
