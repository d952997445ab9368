//! The text files of the source tree.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::cargo::root;

/// Folders that hold no sources.
const SKIPPED: [&str; 3] = [".git", "target", "build"];

/// One file: its path from the top, and its text.
#[derive(Debug)]
pub struct Source {
    pub path: String,
    pub text: String,
}

impl Source {
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Every text file, in order of path.
pub fn sources() -> Outcome<Vec<Source>> {
    let mut found = Vec::new();
    collect(root(), &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<Source>) -> Outcome {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !SKIPPED.contains(&name.as_ref()) {
                collect(&path, found)?;
            }
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root())?.to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
    Ok(())
}
