//! The command line as clap knows it. It uses nothing of the rest of fpctl, so that the man page
//! can be made from this file alone.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};

use fuse_promise_core::limits::CONCURRENT_READS_MAX;

/// Look at the fuse-promise daemon of this session, publish directories through it, and copy what
/// others promised.
///
/// A promise is a directory whose files are readable before their bytes are here: each read is
/// answered by the program that published it. Without a command, fpctl prints the status.
#[derive(Debug, Parser)]
#[command(name = "fpctl", version, after_long_help = EXIT_CODES)]
pub struct Cli {
    /// Use the daemon of this runtime directory instead of $XDG_RUNTIME_DIR.
    #[arg(long, global = true, value_name = "DIR")]
    pub runtime_dir: Option<PathBuf>,

    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Status(Status),
    List(List),
    Inspect(Inspect),
    Serve(Serve),
    Materialize(Materialize),
    Destroy(Destroy),
}

/// Say whether the daemon runs, where its mount is and what it holds.
///
/// Prints a table on a terminal and lines of key=value elsewhere. Never starts the daemon, unless
/// asked to with --start. Without a daemon it says so and succeeds.
#[derive(Debug, Args, Default)]
pub struct Status {
    /// Start the daemon if it does not run.
    #[arg(long)]
    pub start: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// List the promises and their nodes.
///
/// Prints one line for each promise and each of its nodes. Values with spaces, control characters
/// or bytes that are not UTF-8 have these written as \xNN. Never starts the daemon.
#[derive(Debug, Args)]
pub struct List {
    /// List the promises alone, without their nodes.
    #[arg(long)]
    pub promises: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Show what is known of single promised files or directories.
///
/// Says who serves each, its state, what of it is kept here, how often it is open, how many reads
/// failed, and of the last one when, why and where; then the counters of its promise. Of a
/// directory the bytes are those of all files in it. Prints a table on a terminal and lines of
/// key=value elsewhere, with an empty line between two nodes. A path that cannot be shown is
/// named, and the others are shown all the same; the first failure is the exit code. Symbolic
/// links that lead into the mount are followed. Never starts the daemon.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// What to show: paths below the promise mount, or links to such.
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
}

/// Publish a directory until Ctrl-C.
///
/// Prints the promise's path once it can be read. Files are read when they are asked for; a file
/// that has changed or gone since it was published gives an error, never other bytes. Symbolic
/// links, special files and what you may not read are left out, and named.
#[derive(Debug, Args)]
pub struct Serve {
    /// Read up to N ranges at a time, so that a slow one does not hold up the others.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        value_parser = value_parser!(u32).range(1..=i64::from(CONCURRENT_READS_MAX)),
    )]
    pub concurrent: u32,
    /// The directory to publish.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Copy a promised file, directory or whole promise to ordinary files.
///
/// Prints where the copy is and how much it is, as lines of key=value. Files appear under their
/// names whole or not at all. Entries that failed or were skipped are named; the first failure is
/// the exit code. Ctrl-C stops the copy and takes away what it has made. Without an option for it,
/// something that is already there under the copy's name refuses the whole copy.
#[derive(Debug, Args)]
pub struct Materialize {
    /// Show how far it is: a line that changes on a terminal, lines of "progress key=value" on
    /// standard error elsewhere.
    #[arg(long)]
    pub progress: bool,
    /// Replace files that are there and use directories that are there; never a symbolic link.
    #[arg(long, group = "conflict")]
    pub overwrite: bool,
    /// Give the copy a name of its own: "name (1).ext".
    #[arg(long, group = "conflict")]
    pub rename: bool,
    /// Leave files that are there as they are.
    #[arg(long, group = "conflict")]
    pub skip: bool,
    /// Replace only files that are older than the promised ones.
    #[arg(long, group = "conflict")]
    pub newer: bool,
    /// Bring everything to disk before it counts as copied.
    #[arg(long)]
    pub sync: bool,
    /// Begin the copy, print the job's object path, and leave it to the daemon.
    #[arg(long, conflicts_with = "progress")]
    pub detach: bool,
    /// What to copy: a path below the promise mount.
    #[arg(value_name = "PROMISE_PATH")]
    pub promise_path: PathBuf,
    /// The directory that gets the copy.
    #[arg(value_name = "TARGET_DIR")]
    pub target_dir: PathBuf,
}

/// Take promises out of the listing.
///
/// Prints a line for each one that it has destroyed. Whoever published them: their names are gone
/// at once, files that are open can be read on while their provider lives. A promise that cannot be
/// destroyed is named, and the others are destroyed all the same; the first failure is the exit
/// code. Never starts the daemon.
#[derive(Debug, Args)]
pub struct Destroy {
    /// What to destroy, one or more: an id such as promise-7, or the path of a promise's own directory.
    #[arg(value_name = "PROMISE", required = true)]
    pub promises: Vec<OsString>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0   done
  1   the output could not be written
  2   bad usage
  11  invalid argument
  12  unavailable: no daemon, no mount or no runtime directory
  13  permission denied
  14  not found
  15  already exists
  16  provider gone
  17  I/O error
  18  timeout
  19  cancelled
  20  version mismatch";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(words: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["fpctl"], words].concat())
    }

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_command_is_allowed() {
        assert!(parse(&[]).unwrap().command.is_none());
    }

    #[test]
    fn the_runtime_directory_may_stand_before_and_after_the_command() {
        for words in [
            ["--runtime-dir", "/r", "status"],
            ["status", "--runtime-dir", "/r"],
        ] {
            let cli = parse(&words).unwrap();
            assert_eq!(cli.runtime_dir, Some(PathBuf::from("/r")));
            assert!(matches!(cli.command, Some(Command::Status(_))));
        }
    }

    #[test]
    fn bad_usage_exits_with_2_and_help_with_0() {
        for words in [
            &["serve"] as &[&str],
            &["serve", "--concurrent", "0", "/d"],
            &["serve", "--concurrent", "4097", "/d"],
            &["bogus"],
            &["status", "--bogus"],
            &["list", "x"],
            &["inspect"],
            &["destroy"],
            &["materialize", "/p"],
            &["materialize", "--overwrite", "--rename", "/p", "/t"],
            &["materialize", "--skip", "--newer", "/p", "/t"],
            &["materialize", "--detach", "--progress", "/p", "/t"],
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
        let help = parse(&["list", "--help"]).unwrap_err();
        assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
    }
}
