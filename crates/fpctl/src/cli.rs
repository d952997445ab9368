//! The command line as clap knows it. It uses nothing of the rest of fpctl, so that the man page
//! can be made from this file alone.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Look at the fuse-promise daemon of this session, and publish directories through it.
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
    Serve(Serve),
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

/// Publish a directory until Ctrl-C.
///
/// Prints the promise's path once it can be read. Files are read when they are asked for; a file
/// that has changed or gone since it was published gives an error, never other bytes. Symbolic
/// links, special files and what you may not read are left out, and named.
#[derive(Debug, Args)]
pub struct Serve {
    /// The directory to publish.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
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
            &["bogus"],
            &["status", "--bogus"],
            &["list", "x"],
        ] {
            assert_eq!(parse(words).unwrap_err().exit_code(), 2, "{words:?}");
        }
        let help = parse(&["list", "--help"]).unwrap_err();
        assert_eq!((help.kind(), help.exit_code()), (ErrorKind::DisplayHelp, 0));
    }
}
