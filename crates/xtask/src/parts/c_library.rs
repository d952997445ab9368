//! The C library as its users get it: built and installed by meson, found by
//! pkg-config, and driven by C programs, which run plain, under the address
//! and undefined-behaviour sanitizers, and under memcheck.
//!
//! The programs are compiled here and run by the tests in
//! `tests/system/c_library.rs`, which know what each of them needs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Selection;
use super::test_bed::TestBed;
use crate::Outcome;
use crate::cargo::{cargo, must, root};
use crate::stage::Stage;
use crate::steps::Tally;

/// The test program of this part.
pub const TEST: &str = "c_library";

/// Beside warnings as errors: what both languages are compiled with.
const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-pthread"];
const SANITIZED: [&str; 3] = [
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
];

/// Everything that an installation must bring, below its prefix.
const INSTALLED: [&str; 11] = [
    "bin/fpctl",
    "bin/fuse-promised",
    "include/fuse-promise/fuse-promise.h",
    "lib/libfusepromise.a",
    "lib/libfusepromise.so",
    "lib/libfusepromise.so.1",
    "lib/pkgconfig/fuse-promise.pc",
    "lib/systemd/user/fuse-promised.service",
    "lib/systemd/user/fuse-promised.socket",
    "lib/systemd/user/fuse-promised-cleanup.service",
    "share/dbus-1/services/io.github.fuse_promise.Private1.service",
];

pub fn run(selection: &Selection) -> Outcome<Tally> {
    let panicking = build_panicking()?;
    let install = Installation::make()?;
    let mut tally = install.check()?;
    let bed = TestBed::prepare(|test| test == TEST)?;
    Programs::create(&install, &bed.stage)?.compile_all(&panicking)?;
    tally += bed.run(selection)?;
    Ok(tally)
}

/// Where cargo builds the library by itself: together with the daemon it
/// would get features that only the daemon asks for.
fn target() -> PathBuf {
    root().join("target/c-library")
}

/// The test build in which every export can be made to panic.
fn build_panicking() -> Outcome<PathBuf> {
    let mut command = cargo(&["build", "--locked", "-p", "fusepromise"]);
    command.args(["--features", "test-panics", "--target-dir"]);
    must(command.arg(target()))?;
    let kept = target().join("panicking.so");
    // The plain build comes to lie at the same place.
    fs::copy(target().join("debug/libfusepromise.so"), &kept)?;
    Ok(kept)
}

/// What `meson install` has put below a prefix.
struct Installation {
    prefix: PathBuf,
}

impl Installation {
    fn make() -> Outcome<Self> {
        let (build, prefix) = (target().join("meson"), target().join("prefix"));
        for folder in [&build, &prefix] {
            if folder.exists() {
                fs::remove_dir_all(folder)?;
            }
        }
        let mut setup = Command::new("meson");
        setup.arg("setup").arg(&build).current_dir(root());
        setup.arg(format!("--prefix={}", prefix.display()));
        setup.arg(format!("-Dcargo_target_dir={}", target().display()));
        must(setup.args(["--libdir=lib", "-Dcargo_profile=dev"]))?;
        must(Command::new("meson").args(["install", "-C"]).arg(&build))?;
        Ok(Self { prefix })
    }

    /// Every file is there, and the static library shows what the shared one
    /// does and no more.
    fn check(&self) -> Outcome<Tally> {
        let mut tally = Tally::default();
        for file in INSTALLED {
            let there = self.prefix.join(file).exists();
            if !there {
                println!("not installed: {file}");
            }
            tally += Tally::one(there);
        }
        let mut shown = static_symbols(&self.prefix.join("lib/libfusepromise.a"))?;
        shown.sort();
        let listed = fs::read_to_string(root().join("tests/c/symbols.txt"))?;
        let mut listed: Vec<String> = listed.lines().map(|name| format!("T {name}")).collect();
        listed.sort();
        if shown != listed {
            println!("libfusepromise.a shows {shown:?}");
        }
        tally += Tally::one(shown == listed);
        Ok(tally)
    }

    /// What pkg-config says, as words for the compiler.
    fn flags(&self, question: &[&str]) -> Outcome<Vec<String>> {
        let output = Command::new("pkg-config")
            .args(question)
            .arg("fuse-promise")
            .env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig"))
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let words = String::from_utf8(output.stdout)?;
        Ok(words.split_whitespace().map(str::to_owned).collect())
    }
}

/// `T fp_…` for each global symbol.
fn static_symbols(library: &Path) -> Outcome<Vec<String>> {
    let output = Command::new("nm")
        .args(["-g", "--defined-only"])
        .arg(library)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let symbols = text.lines().filter_map(|line| {
        let (_address, symbol) = line.split_once(' ')?;
        symbol.contains(' ').then(|| symbol.to_owned())
    });
    Ok(symbols.collect())
}

/// The compiled programs, on the stage: a folder for each way of building.
struct Programs<'a> {
    install: &'a Installation,
    folder: PathBuf,
}

impl<'a> Programs<'a> {
    fn create(install: &'a Installation, stage: &Stage) -> Outcome<Self> {
        let folder = stage.folder("c")?;
        for kind in ["plain", "sanitized", "static", "lib", "panicking"] {
            fs::create_dir(folder.join(kind))?;
        }
        let library = install.prefix.join("lib/libfusepromise.so.1");
        fs::copy(library, folder.join("lib/libfusepromise.so.1"))?;
        Ok(Self { install, folder })
    }

    fn compile_all(&self, panicking: &Path) -> Outcome {
        let sources = root().join("tests/c");
        fs::copy(sources.join("symbols.txt"), self.folder.join("symbols.txt"))?;
        fs::copy(panicking, self.folder.join("panicking/libfusepromise.so.1"))?;
        symlink(
            "libfusepromise.so.1",
            self.folder.join("lib/libfusepromise.so"),
        )?;
        for source in files(&sources)? {
            let is_c = source.extension().is_some_and(|kind| kind == "c");
            if is_c || source.extension().is_some_and(|kind| kind == "cpp") {
                self.compile(&source, "plain", &[])?;
                self.compile(&source, "sanitized", &SANITIZED)?;
            }
        }
        for sample in files(&root().join("tests/samples"))? {
            self.compile(&sample, "plain", &[])?;
        }
        for name in ["arguments.c", "commit.c"] {
            self.compile_static(&sources.join(name))?;
        }
        Ok(())
    }

    fn compile(&self, source: &Path, kind: &str, more: &[&str]) -> Outcome {
        let mut command = self.compiler(source, kind);
        command.args(more).arg(source);
        command.args(self.install.flags(&["--cflags", "--libs"])?);
        must(&mut command)
    }

    fn compile_static(&self, source: &Path) -> Outcome {
        let mut command = self.compiler(source, "static");
        command.arg(source).args(self.install.flags(&["--cflags"])?);
        for word in self.install.flags(&["--libs", "--static"])? {
            command.arg(word.replace("-lfusepromise", "-l:libfusepromise.a"));
        }
        must(&mut command)
    }

    fn compiler(&self, source: &Path, kind: &str) -> Command {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let is_c = source.extension().is_some_and(|kind| kind == "c");
        let (program, standard, name) = if is_c {
            ("cc", "-std=c11", name.into_owned())
        } else {
            ("c++", "-std=c++17", format!("{name}-cpp"))
        };
        let mut command = Command::new(program);
        command.arg(standard).args(STRICT);
        command.arg("-o").arg(self.folder.join(kind).join(name));
        command
    }
}

fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        found.push(entry?.path());
    }
    found.sort();
    Ok(found)
}
