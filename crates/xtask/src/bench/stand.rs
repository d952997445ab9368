//! What serves while cases are measured: the baseline's file system, the daemon, its providers,
//! and a folder in memory for copies. It is there for the whole run; who serves nothing sleeps.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::case::Case;
use super::copying::Tree;
use super::cost::Cost;
use super::process::Process;
use super::programs::Programs;
use super::scratch::Scratch;
use crate::Outcome;

/// The file that is read. It stays in the processor's cache on purpose: the question is what the
/// way costs, and a provider's copy out of slow memory would be counted as part of it.
const FILE_SIZE: u64 = 8 << 20;

/// Something that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One file by a process with a mount of its own (tests/bench/baseline.rs).
    SingleProcess,
    /// The same file promised by a provider in C that has it in memory (tests/bench/provider.c).
    Memory,
    /// A promised tree (tests/bench/tree.rs).
    Tree(Tree),
}

/// A tree that was published just now.
pub struct TreeServed {
    pub files: u64,
    pub bytes: u64,
    pub path: PathBuf,
}

pub struct Stand {
    milliseconds: u64,
    served: Vec<Served>,
    daemon: Option<Process>,
    runtime_dir: PathBuf,
    scratch: Scratch,
    /// Its end undoes what the run changed on the machine, so it comes last.
    programs: Programs,
}

struct Served {
    source: Source,
    process: Process,
    /// What a reader opens; of a tree, each publication has its own.
    file: Option<PathBuf>,
}

impl Stand {
    /// Serves what the cases need. Each measurement of reads takes `milliseconds`.
    pub fn start(mut programs: Programs, cases: &[Case], milliseconds: u64) -> Outcome<Self> {
        let runtime_dir = programs.private_folder("session")?;
        let scratch = Scratch::create(&mut programs)?;
        let mut daemon = programs.daemon();
        in_session(&mut daemon, &runtime_dir);
        let daemon = Process::start_daemon(daemon, programs.stage(), &runtime_dir)?;
        let mut stand = Self {
            milliseconds,
            served: Vec::new(),
            daemon: Some(daemon),
            runtime_dir,
            scratch,
            programs,
        };
        for source in cases.iter().flat_map(Case::sources) {
            if stand.served.iter().all(|served| served.source != source) {
                let served = stand.serve(source)?;
                stand.served.push(served);
            }
        }
        Ok(stand)
    }

    fn serve(&self, source: Source) -> Outcome<Served> {
        let mut command = match source {
            Source::SingleProcess => {
                let mut command = self.programs.baseline();
                command.arg(self.programs.private_folder("baseline")?);
                command.arg(FILE_SIZE.to_string());
                command
            }
            Source::Memory => {
                let mut command = self.programs.provider();
                command.arg(FILE_SIZE.to_string());
                command
            }
            Source::Tree(tree) => {
                let mut command = self.programs.tree();
                command.args(["serve", tree.shape]);
                command.arg(tree.milliseconds.to_string());
                command.arg(tree.concurrent.to_string());
                command
            }
        };
        in_session(&mut command, &self.runtime_dir);
        let mut process = Process::start(command)?;
        let file = match source {
            Source::Tree(_) => None,
            Source::SingleProcess | Source::Memory => Some(PathBuf::from(process.line()?)),
        };
        Ok(Served {
            source,
            process,
            file,
        })
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// An empty folder in memory.
    pub fn scratch_folder(&self, name: &str) -> Outcome<PathBuf> {
        self.scratch.folder(&self.programs, name)
    }

    pub fn milliseconds(&self) -> u64 {
        self.milliseconds
    }

    /// fpctl in the daemon's session.
    pub fn fpctl(&self, verb: &str) -> Command {
        let mut command = self.programs.fpctl();
        in_session(&mut command, &self.runtime_dir);
        command.arg(verb);
        command
    }

    /// What a reader opens.
    pub fn file(&self, source: Source) -> Outcome<&Path> {
        let served = self.served.iter().find(|served| served.source == source);
        let file = served.and_then(|served| served.file.as_deref());
        file.ok_or_else(|| format!("{source:?} is no file").into())
    }

    /// Publishes a tree again, as one that nobody has touched; the one before goes.
    pub fn serve_anew(&mut self, tree: Tree) -> Outcome<TreeServed> {
        let source = Source::Tree(tree);
        let mut all = self.served.iter_mut();
        let served = all.find(|served| served.source == source);
        let served = served.ok_or("the tree is not served")?;
        let answer = served.process.ask("again")?;
        let mut words = answer.splitn(3, ' ');
        let mut next = || words.next().ok_or("the tree was not told whole");
        Ok(TreeServed {
            files: next()?.parse()?,
            bytes: next()?.parse()?,
            path: PathBuf::from(next()?),
        })
    }

    /// What the processes that serve the source have spent so far.
    pub fn cost(&self, source: Source) -> Outcome<Cost> {
        let of_it = |served: &&Served| served.source == source;
        let mut ids: Vec<u32> = self
            .served
            .iter()
            .filter(of_it)
            .map(|served| served.process.id())
            .collect();
        if source != Source::SingleProcess {
            ids.extend(self.daemon.iter().map(Process::id));
        }
        Cost::sample(&ids)
    }

    /// Ends every process and says so if one of them did not end well.
    pub fn stop(mut self) -> Outcome {
        for served in std::mem::take(&mut self.served) {
            served.process.end()?;
        }
        self.daemon.take().map_or(Ok(()), Process::end)
    }
}

fn in_session(command: &mut Command, runtime_dir: &Path) {
    command
        .env("XDG_RUNTIME_DIR", runtime_dir)
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
}
