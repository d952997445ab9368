//! What serves while cases are measured: the baseline's file systems, the daemons, their
//! providers, and a folder in memory for copies. It is there for the whole run; who serves nothing
//! sleeps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::case::Case;
use super::copying::Tree;
use super::cost::Cost;
use super::daemons::{Caching, Daemons};
use super::process::Process;
use super::programs::Programs;
use super::scratch::Scratch;
use super::starting::Bus;
use crate::Outcome;

/// The file that is read over and over. It stays in the processor's cache on purpose: the question
/// is what the way costs, and a provider's copy out of slow memory would be counted as part of it.
const FILE_SIZE: u64 = 8 << 20;
/// The file of passes through the page cache.
const PASS_SIZE: u64 = 256 << 20;

/// Who has been idle for so long stays so.
const AT_REST: Duration = Duration::from_millis(200);
/// Switches of idle threads within that.
const IDLE_SWITCHES: u64 = 10;
/// A million names are forgotten in a few seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// Something that is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Files by a process with a mount of its own (tests/bench/baseline.rs), with direct I/O.
    SingleProcess,
    /// The same through the kernel's page cache.
    KeepCache,
    /// The names of a tree by such a process, of the shape.
    Names(&'static str),
    /// A file promised by a provider in C that has it in memory (tests/bench/provider.c).
    Memory,
    /// Another such file, by a provider of its own through the same daemon.
    Neighbour,
    /// A promised tree (tests/bench/tree.rs).
    Tree(Tree),
}

impl Source {
    /// The daemon it is served through.
    fn caching(self) -> Option<Caching> {
        match self {
            Self::SingleProcess | Self::KeepCache | Self::Names(_) => None,
            Self::Memory | Self::Neighbour => Some(Caching::Off),
            Self::Tree(tree) => Some(tree.caching),
        }
    }
}

/// What was published just now.
pub struct TreeServed {
    pub files: u64,
    pub bytes: u64,
    /// To build and commit it.
    pub seconds: f64,
    /// A tree's own folder, or a single process's file.
    pub path: PathBuf,
}

impl TreeServed {
    /// `FILES BYTES NANOSECONDS PATH`, as the serving programs tell it.
    pub fn told(line: &str) -> Outcome<Self> {
        let mut words = line.splitn(4, ' ');
        let mut next = || words.next().ok_or("what is served was not told whole");
        Ok(Self {
            files: next()?.parse()?,
            bytes: next()?.parse()?,
            seconds: next()?.parse::<f64>()? / 1e9,
            path: PathBuf::from(next()?),
        })
    }

    /// The first one, of a tree without directories.
    pub fn file(&self, source: Source) -> PathBuf {
        match source {
            Source::Tree(_) => self.first_file(),
            _ => self.path.clone(),
        }
    }

    /// Of a tree without directories.
    pub fn first_file(&self) -> PathBuf {
        self.path.join("file-0")
    }
}

pub struct Stand {
    milliseconds: u64,
    served: Vec<Served>,
    daemons: Daemons,
    /// Started by the first case that needs it.
    bus: Option<Bus>,
    scratch: Scratch,
    /// Its end undoes what the run changed on the machine, so it comes last.
    programs: Programs,
}

struct Served {
    source: Source,
    process: Process,
    /// What a reader opens, if it is always the same.
    file: Option<PathBuf>,
}

impl Stand {
    /// Serves what the cases need. Each measurement of reads takes `milliseconds`.
    pub fn start(mut programs: Programs, cases: &[Case], milliseconds: u64) -> Outcome<Self> {
        let scratch = Scratch::create(&mut programs)?;
        let mut stand = Self {
            milliseconds,
            served: Vec::new(),
            daemons: Daemons::default(),
            bus: None,
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

    fn serve(&mut self, source: Source) -> Outcome<Served> {
        let mut command = self.serving(source)?;
        if let Some(caching) = source.caching() {
            self.daemons.start(&self.programs, caching)?;
            self.daemons.attach(&mut command, caching)?;
        }
        let mut process = Process::start(command)?;
        let file = match source {
            Source::Memory | Source::Neighbour => Some(PathBuf::from(process.line()?)),
            Source::SingleProcess => Some(TreeServed::told(&process.ask("again")?)?.path),
            Source::KeepCache | Source::Names(_) | Source::Tree(_) => None,
        };
        Ok(Served {
            source,
            process,
            file,
        })
    }

    fn serving(&self, source: Source) -> Outcome<Command> {
        let programs = &self.programs;
        Ok(match source {
            Source::SingleProcess | Source::KeepCache => {
                let (folder, size, mode) = match source {
                    Source::KeepCache => ("baseline-keep", PASS_SIZE, "keep-cache"),
                    _ => ("baseline", FILE_SIZE, "direct"),
                };
                let mut command = programs.baseline();
                command.arg(programs.private_folder(folder)?);
                command.args([&size.to_string(), mode]);
                command
            }
            Source::Names(shape) => {
                let mut command = programs.baseline();
                command.arg(programs.private_folder(&format!("baseline-{shape}"))?);
                command.args([shape, "names"]);
                command
            }
            Source::Memory | Source::Neighbour => {
                let mut command = programs.provider();
                command.arg(FILE_SIZE.to_string());
                command
            }
            Source::Tree(tree) => {
                let mut command = programs.tree();
                command.args(["serve", tree.shape]);
                command.arg(tree.milliseconds.to_string());
                command.arg(tree.concurrent.to_string());
                command
            }
        })
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// A session with a bus and no daemon.
    pub fn bus(&mut self) -> Outcome<&Bus> {
        if self.bus.is_none() {
            self.bus = Some(Bus::start(&self.programs)?);
        }
        self.bus.as_ref().ok_or_else(|| "no bus".into())
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

    /// fpctl in a daemon's session.
    pub fn fpctl(&self, caching: Caching) -> Outcome<Command> {
        let mut command = self.programs.fpctl();
        self.daemons.attach(&mut command, caching)?;
        Ok(command)
    }

    /// What a reader opens.
    pub fn file(&self, source: Source) -> Outcome<&Path> {
        let served = self.served.iter().find(|served| served.source == source);
        let file = served.and_then(|served| served.file.as_deref());
        file.ok_or_else(|| format!("{source:?} is no file").into())
    }

    /// Publishes something again, as what nobody has touched; what was there before goes.
    pub fn serve_anew(&mut self, source: Source) -> Outcome<TreeServed> {
        let mut all = self.served.iter_mut();
        let served = all.find(|served| served.source == source);
        let served = served.ok_or_else(|| format!("{source:?} is not served"))?;
        TreeServed::told(&served.process.ask("again")?)
    }

    /// What the processes that serve the source have spent so far.
    pub fn cost(&self, source: Source) -> Outcome<Cost> {
        let of_it = self.served.iter().filter(|served| served.source == source);
        let mut ids: Vec<u32> = of_it.map(|served| served.process.id()).collect();
        if let Some(caching) = source.caching() {
            ids.push(self.daemons.id(caching)?);
        }
        Cost::sample(&ids)
    }

    /// Waits until the processes that serve the source have nothing to do any more.
    pub fn until_at_rest(&self, source: Source) -> Outcome {
        let started = Instant::now();
        let (mut since, mut last) = (started, self.cost(source)?);
        while since.elapsed() < AT_REST {
            if started.elapsed() > PATIENCE {
                return Err(format!("who serves {source:?} does not come to rest").into());
            }
            std::thread::sleep(LOOK);
            let now = self.cost(source)?;
            // The daemon ticks now and then.
            if (now - last).switches > IDLE_SWITCHES {
                (since, last) = (Instant::now(), now);
            }
        }
        Ok(())
    }

    /// Ends every process and says so if one of them did not end well.
    pub fn stop(mut self) -> Outcome {
        for served in std::mem::take(&mut self.served) {
            served.process.end()?;
        }
        self.bus.take().map_or(Ok(()), Bus::stop)?;
        std::mem::take(&mut self.daemons).stop()
    }
}
