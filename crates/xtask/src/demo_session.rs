//! The demo itself, run by the ordinary user.
//!
//! Every step is one ordinary command reading through the mount; it is shown,
//! run, and must succeed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use fuse_promise_testkit::process::Process;
use fuse_promise_testkit::{Session, Shape};

use crate::Outcome;
use crate::steps::announce;

/// Publishes a directory in a private session and reads it back.
#[derive(Debug, Args)]
pub struct DemoSession {
    directory: PathBuf,
}

/// Lines of a long output that are shown.
const BEGINNING: usize = 8;

/// A directory of the caller's choice may be large.
const LIMIT: Duration = Duration::from_secs(3600);

impl DemoSession {
    pub fn run(self) -> Outcome<ExitCode> {
        println!("\n== a private session with a daemon of its own");
        let session = Session::start(Shape::Private);
        session.allow(LIMIT);
        show(session.command("fpctl").arg("status"))?;

        println!("\n== a provider publishes {}", self.directory.display());
        let extras = Extras::make(&session, &self.directory)?;
        let (_provider, promise) = publish(&session, &extras.original)?;
        println!("it appears at {}", promise.display());

        println!("\n== ordinary programs read it");
        for (program, script) in READERS {
            let mut command = session.command("sh");
            command.args(["-e", "-c", script, "sh"]);
            command.args([&extras.original, &promise, &extras.scratch]);
            step(program, &mut command)?;
        }

        println!("\n== materialize makes real files of it");
        let copies = extras.scratch.join("materialized");
        std::fs::create_dir(&copies)?;
        let mut materialize = session.command("fpctl");
        show(materialize.arg("materialize").arg(&promise).arg(&copies))?;
        let copy = copies.join(promise.file_name().ok_or("the promise has no name")?);
        let mut compare = session.command("diff");
        show(compare.arg("-r").arg(&extras.original).arg(copy))?;

        println!("\n== what the session says about it");
        show_beginning(session.command("fpctl").arg("list"))?;
        show(session.command("df").arg("-h").arg(&promise))?;
        drop(session);
        println!("\nevery program read what the provider published");
        Ok(ExitCode::SUCCESS)
    }
}

/// What is shown, and a script with $1 the original, $2 the promise and $3 a
/// folder to write to. Each must end with success.
const READERS: &[(&str, &str)] = &[
    ("diff -r against the original", r#"diff -r "$1" "$2""#),
    ("find -printf", FIND),
    ("sha256sum of every file", SUMS),
    (
        "cp -a",
        r#"cp -a "$2" "$3/copied"; diff -r "$1" "$3/copied""#,
    ),
    (
        "rsync -a",
        r#"rsync -a "$2/" "$3/synced/"; diff -r "$1" "$3/synced""#,
    ),
    ("tar", TAR),
    ("grep -r", GREP),
    ("python mmap", MMAP),
    ("sqlite3", SQLITE),
    (
        "unzip",
        r#"unzip -q "$2/demo.zip" -d "$3/unzipped"; ls "$3/unzipped" | wc -l"#,
    ),
    (
        "git clone",
        r#"git clone -q "$2/demo.git" "$3/cloned"; git -C "$3/cloned" log --oneline"#,
    ),
];

/// A directory's own size is the file system's business.
const FIND: &str = r#"
    list() {
        find "$1" -mindepth 1 -type f -printf '%P %s %m %T@\n' | sort
        find "$1" -mindepth 1 -type d -printf '%P %m %T@\n' | sort
    }
    list "$1" >"$3/a"
    list "$2" >"$3/b"
    cmp "$3/a" "$3/b"
    wc -l <"$3/b""#;

const SUMS: &str = r#"
    cd "$1"
    find . -type f -print0 | sort -z | xargs -0 sha256sum >"$3/sums"
    cd "$2"
    sha256sum --quiet -c "$3/sums""#;

const TAR: &str = r#"
    mkdir "$3/unpacked"
    tar -C "$2" -cf - . | tar -C "$3/unpacked" -xf -
    diff -r "$1" "$3/unpacked""#;

const GREP: &str = r#"
    cd "$1"
    grep -rc e . | sort >"$3/a"
    cd "$2"
    grep -rc e . | sort >"$3/b"
    cmp "$3/a" "$3/b""#;

const MMAP: &str = r#"
    cd "$2"
    python3 -c "
import mmap
with open('demo.sqlite', 'rb') as file:
    mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    print(mapped[:15].decode(), len(mapped))
""#;

const SQLITE: &str = r#"
    rows=$(sqlite3 "file:$2/demo.sqlite?immutable=1" 'select count(*) from numbers')
    test "$rows" = 1000
    echo "$rows rows""#;

/// A copy of the directory with a repository, a database and an archive in
/// it, and a folder to write to.
struct Extras {
    original: PathBuf,
    scratch: PathBuf,
}

impl Extras {
    fn make(session: &Session, directory: &Path) -> Outcome<Self> {
        let root = session.dirs().root();
        let extras = Self {
            original: root.join("original"),
            scratch: root.join("scratch"),
        };
        std::fs::create_dir(&extras.scratch)?;
        let script = "
            cp -r \"$1\" \"$2\"
            find \"$2\" ! -type f ! -type d -delete
            cd \"$2\"
            zip -q -r demo.zip . -i '*'
            sqlite3 demo.sqlite 'create table numbers as with recursive n(i) as
                (select 1 union all select i+1 from n where i<1000) select i from n'
            git init -q \"$3/work\"
            cd \"$3/work\"
            cp \"$2/demo.sqlite\" .
            git add .
            git -c user.name=demo -c user.email=demo@localhost commit -q -m 'A first commit'
            git clone -q --bare \"$3/work\" \"$2/demo.git\"";
        let mut command = session.command("sh");
        command.args(["-e", "-c", script, "sh"]).arg(directory);
        command.arg(&extras.original).arg(&extras.scratch);
        if !command.status()?.success() {
            return Err("the directory to publish could not be prepared".into());
        }
        Ok(extras)
    }
}

/// `fpctl serve DIR`; its first line is the path at which the promise appears.
fn publish(session: &Session, directory: &Path) -> Outcome<(Process, PathBuf)> {
    let mut command = session.command("fpctl");
    command.arg("serve").arg(directory);
    announce(&command);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut provider = Process::spawn_piped(command, &session.dirs().log("serve"));
    let output = provider.child().stdout.take().ok_or("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    if line.is_empty() {
        return Err("fpctl serve ended without having published".into());
    }
    Ok((provider, PathBuf::from(line.trim_end_matches('\n'))))
}

fn show(command: &mut Command) -> Outcome {
    announce(command);
    let name = command.get_program().to_string_lossy().into_owned();
    if !command.stdin(Stdio::null()).status()?.success() {
        return Err(format!("{name} failed").into());
    }
    Ok(())
}

/// The first lines of what a command prints.
fn show_beginning(command: &mut Command) -> Outcome {
    announce(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines()
        .take(BEGINNING)
        .for_each(|line| println!("{line}"));
    let more = text.lines().count().saturating_sub(BEGINNING);
    if more > 0 {
        println!("and {more} lines more");
    }
    Ok(())
}

fn step(what: &str, command: &mut Command) -> Outcome {
    let begin = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{what:<30} {seconds:>6.2} s  {}",
        said.trim().replace('\n', ", ")
    );
    if !output.status.success() {
        return Err(format!(
            "{what} failed: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        )
        .into());
    }
    Ok(())
}
