//! A tree of real files, and ordinary programs whose output must be the same
//! whether they read the tree itself or what a provider publishes of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fuse_promise_testkit::Session;
use fuse_promise_testkit::process::{Ran, run};

/// How long all of them may take: dozens of programs, each reading hundreds of files twice.
pub const LIMIT: Duration = Duration::from_secs(240);

/// Scripts with $1 the folder to read, $2 an empty folder to write to and $3
/// the original. What they print must not depend on where $1 is.
const PROGRAMS: &[(&str, &str)] = &[
    ("diff -r", r#"diff -r "$3" "$1""#),
    (
        "find -printf",
        r#"cd "$1"
        find . -type f -printf '%P %s %m %n %T@ %U %G\n' | sort
        find . -mindepth 1 -type d -printf '%P %m %T@ %U %G\n' | sort
        find . -size +100k -newer executable | sort
        find . -empty | sort"#,
    ),
    (
        "sha256sum",
        r#"cd "$1"
        find . -type f -print0 | sort -z | xargs -0 sha256sum"#,
    ),
    (
        "grep -r",
        r#"cd "$1"
        grep -rc define . | sort
        grep -rlZ 499999 . | sort -z"#,
    ),
    // The archives are the same to the last byte: contents, modes, times, owners.
    (
        "tar",
        r#"cd "$1"
        ls -A | sort >"$2/names"
        tar --sort=name --format=gnu -cf "$2/archive" --verbatim-files-from -T "$2/names"
        sha256sum <"$2/archive"
        tar --compare -f "$2/archive"
        mkdir "$2/unpacked"
        tar -C "$2/unpacked" -xf "$2/archive"
        diff -r "$3" "$2/unpacked""#,
    ),
    // The folder itself is a promise's own, which has a time of its own.
    (
        "rsync -a",
        r#"rsync -a "$1/" "$2/copy/"
        diff -r "$3" "$2/copy"
        rsync -anic --delete "$3/" "$2/copy/" | grep -v ' \./$' || true
        rsync -anc --delete --stats "$1/" "$2/copy/" | grep 'files transferred'"#,
    ),
    (
        "cp -a",
        r#"cp -a "$1" "$2/copy"
        diff -r "$3" "$2/copy"
        cd "$2/copy"
        find . -mindepth 1 -printf '%P %y %m %T@\n' | sort"#,
    ),
    (
        "cat, cmp, dd, head, tail, wc",
        r#"cd "$1"
        cat numbers | cmp - "$3/numbers"
        cmp executable "$3/executable"
        dd if=numbers bs=1M status=none | cmp - "$3/numbers"
        dd if=executable bs=8192 skip=10 count=30 iflag=direct status=none | cksum
        head -c 100000 numbers | cksum
        tail -n 3 numbers
        wc numbers executable nothing"#,
    ),
    // Copies by sendfile, and by splice through a pipe.
    (
        "Python's shutil",
        r#"python3 -c 'if True:
            import filecmp, os, shutil, sys
            here, there = sys.argv[1], sys.argv[2] + "/copy"
            shutil.copytree(here, there)
            read, write = os.pipe()
            with open(here + "/numbers") as a, open(there + "/spliced", "w") as b:
                while moved := os.splice(a.fileno(), write, 1 << 20):
                    while moved > 0:
                        moved -= os.splice(read, b.fileno(), moved)
            print(filecmp.cmp(here + "/numbers", there + "/spliced", shallow=False))
        ' "$1" "$2"
        rm "$2/copy/spliced"
        diff -r "$3" "$2/copy""#,
    ),
    (
        "Python's mmap",
        r#"python3 -c 'if True:
            import hashlib, mmap, os, sys
            for folder, folders, files in os.walk(sys.argv[1]):
                folders.sort()
                for name in sorted(files):
                    path = os.path.join(folder, name)
                    size = os.stat(path).st_size
                    with open(path, "rb") as file:
                        if size == 0: continue
                        with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
                            print(name, len(mapped), hashlib.sha256(mapped).hexdigest())
        ' "$1""#,
    ),
    (
        "git clone",
        r#"git clone -q --no-hardlinks "$1/project.git" "$2/cloned"
        git -C "$2/cloned" fsck --strict
        git -C "$2/cloned" log --format='%H %s'
        git -C "$1/project.git" log --stat --format='%H %an'
        git -C "$1/project.git" grep -c define HEAD -- include
        diff -r "$3/include" "$2/cloned/include""#,
    ),
    (
        "sqlite3",
        r#"sqlite3 "$1/numbers.sqlite" 'pragma integrity_check;
            select count(*), sum(n) from numbers;
            select word from numbers where n between 77770 and 77777 order by word'
        sqlite3 "file:$1/numbers.sqlite?immutable=1" 'select max(n) from numbers'"#,
    ),
    (
        "unzip",
        r#"unzip -tqq "$1/archive.zip"
        unzip -qq "$1/archive.zip" -d "$2/unzipped"
        diff -r "$3/include" "$2/unzipped/include"
        zipinfo -h "$1/archive.zip" | sed 's/.*archive/archive/'"#,
    ),
];

/// Makes the tree $1: some hundred headers, files with odd names, modes and
/// sizes, a bare repository, a database, an archive. $2 is a folder to work in.
const MAKE: &str = r#"
    mkdir "$1" "$2"
    cd "$1"
    mkdir include
    cp -r --preserve=mode,timestamps /usr/include/linux/[a-i]* include
    find . ! -type f ! -type d -delete
    seq 500000 >numbers
    cp /bin/bash executable
    : >nothing
    mkdir 'an empty folder' -m 700
    echo one >' leading and trailing '
    echo two >'Grüße – 日本.txt'
    echo three >'"quoted" $HOME `pwd` \ *'
    echo four >-dash
    chmod 400 numbers
    touch -d '1970-01-01 00:00:00.000000001 UTC' nothing
    git init -q "$2/project"
    cp -r include "$2/project"
    git -C "$2/project" add .
    git -C "$2/project" -c user.name=A -c user.email=a@localhost commit -q -m 'The first commit'
    git clone -q --bare --no-local "$2/project" project.git
    sqlite3 numbers.sqlite 'create table numbers as
            with recursive series(n) as
                (select 1 union all select n + 1 from series where n < 100000)
            select n, printf("%x", n * 7919) as word from series;
        create index words on numbers (word)'
    zip -qr archive.zip include"#;

/// The tree on an ordinary file system.
#[derive(Debug)]
pub struct Original {
    pub path: PathBuf,
    work: PathBuf,
}

impl Original {
    pub fn make(session: &Session) -> Self {
        let root = session.dirs().root();
        let original = Self {
            path: root.join("original"),
            work: root.join("work"),
        };
        let mut command = session.command("sh");
        command.args(["-euc", MAKE, "sh"]).arg(&original.path);
        run(command.arg(&original.work)).ok();
        original
    }

    /// Runs every program on the tree and on what is published of it.
    #[track_caller]
    pub fn assert_same(&self, session: &Session, promise: &Path) {
        for (name, script) in PROGRAMS {
            let expected = self.run(session, script, &self.path);
            assert_eq!(
                expected.code, 0,
                "{name} of the original:\n{}",
                expected.err
            );
            let seen = self.run(session, script, promise);
            assert_eq!(
                (seen.code, &seen.err),
                (0, &expected.err),
                "{name} of the promise:\n{}",
                seen.out
            );
            if let Some((line, wanted)) = difference(&seen.out, &expected.out) {
                panic!("{name} prints `{line}` instead of `{wanted}`");
            }
        }
    }

    fn run(&self, session: &Session, script: &str, folder: &Path) -> Ran {
        let scratch = self.work.join("scratch");
        std::fs::create_dir(&scratch).expect("a new folder");
        let mut command = session.command("bash");
        command.args(["-eu", "-o", "pipefail", "-c", script, "bash"]);
        command.args([folder, &scratch, &self.path]);
        let ran = run(command.env("LC_ALL", "C.UTF-8"));
        // Copies of read-only folders are read-only.
        run(session.command("chmod").args(["-R", "u+rwX"]).arg(&scratch)).ok();
        std::fs::remove_dir_all(&scratch).expect("no folder left");
        ran
    }
}

/// The first lines that differ.
fn difference<'a>(seen: &'a str, expected: &'a str) -> Option<(&'a str, &'a str)> {
    let longest = seen.lines().count().max(expected.lines().count());
    let padded = |text: &'a str| text.lines().chain(std::iter::repeat("nothing more"));
    let mut pairs = padded(seen).zip(padded(expected)).take(longest);
    pairs.find(|(seen, expected)| seen != expected)
}
