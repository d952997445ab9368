//! Providers and readers that are killed at random moments, again and again.
//!
//! Each round has a provider, readers in processes of their own that compare
//! every byte, and a reader in this process. Some of them are killed with
//! SIGKILL at moments that are drawn from a seed; who is not must end by
//! itself, and without having seen a wrong byte. After the last round the
//! daemon must hold what it held before the first: nothing.

mod support;

use std::io;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fuse_promise_testkit::fixture::check::read_range;
use fuse_promise_testkit::process::{HANG_LIMIT, Process};
use fuse_promise_testkit::{
    Answer, Content, ProviderProcess, Published, Random, Session, Shape, Tree,
};
use rustix::io::Errno;
use rustix::process::Signal;
use support::balance::{
    OF_PROMISES, OF_READS, await_descriptors, await_zero, gauge, lasting_descriptors,
};

const ROUNDS: u64 = 60;

/// With `cargo xtask test --full`.
const ROUNDS_FULL: u64 = 1000;

/// Small, larger than one request of the kernel, and larger than several.
const FILES: [(&str, u64); 3] = [("s", 3000), ("m", 300_000), ("dir/l", 3_000_000)];

/// Latest moment of a kill after the readers were started: they need some of
/// it to come up, and then read for most of the time.
const LATEST_KILL_MICROS: u64 = 40_000;

/// The same for a provider that is only just starting.
const LATEST_EARLY_KILL_MICROS: u64 = 25_000;

#[test]
fn without_a_cache() {
    Loop::run(
        Session::options(Shape::Private)
            .flag("--linger=50ms")
            .start(),
    );
}

#[test]
fn under_systemd_with_the_kernels_cache() {
    let options = Session::options(Shape::Systemd).flag("--linger=50ms");
    // What the cache holds whole would be read on for ever.
    let options = options.flag("--linger-materialized=50ms");
    Loop::run(options.flag("--cache=read-through").start());
}

struct Loop {
    session: Session,
    random: Random,
    tally: Tally,
}

/// What has happened so far; a loop in which nothing happens tests nothing.
#[derive(Debug, Default)]
struct Tally {
    /// Reader processes that came to an error and ended by themselves.
    failed_readers: u64,
    killed_readers: u64,
    /// Whole files read in this process.
    whole_files: u64,
    /// Providers that had published before they were killed as they started.
    early_but_seen: u64,
}

impl Loop {
    fn run(mut session: Session) {
        let full = std::env::var_os("FUSE_PROMISE_TEST_FULL").is_some();
        let before = lasting_descriptors(&mut session);
        let mut this = Self {
            session,
            random: Random::from_environment(),
            tally: Tally::default(),
        };
        for round in 0..if full { ROUNDS_FULL } else { ROUNDS } {
            // Each round has the time of a whole test.
            this.session.allow(HANG_LIMIT);
            match this.random.below(4) {
                0 => this.early_death(round),
                _ => this.reading_round(round),
            }
        }
        println!("{:?}", this.tally);
        assert!(this.tally.failed_readers > 0 && this.tally.killed_readers > 0);
        this.assert_nothing_is_held(&before);
    }

    fn assert_nothing_is_held(mut self, descriptors_before: &[String]) {
        let session = &mut self.session;
        await_zero(session, &OF_READS);
        await_zero(session, &OF_PROMISES);
        await_zero(session, &["lookups"]);
        await_descriptors(session, descriptors_before);
        assert!(gauge(session, "served_bytes") > 0);
        assert_eq!(gauge(session, "faulty_sessions"), 0);
        assert_eq!(gauge(session, "timeouts"), 0);
        let mut provider = session.provider();
        provider.publish(&Tree::new().file("a", 100_000)).check();
        assert_eq!(session.stop_daemon(), Some(0));
    }

    /// One provider and several readers.
    fn reading_round(&mut self, round: u64) {
        let (mut provider, promise) = self.provider();
        let mut readers: Vec<Process> = FILES
            .iter()
            .map(|(name, size)| self.reader_process(promise.join(name), name, *size, round))
            .collect();
        let own = FILES.map(|(name, size)| read_whole(promise.join(name), size));

        // Whose turn it is to be killed, and when; nobody waits for anything here.
        let provider_first = self.random.below(2) == 0;
        self.pause(LATEST_KILL_MICROS);
        if provider_first {
            provider.kill();
        }
        let victim = self.random.below(FILES.len() as u64) as usize;
        readers[victim].signal(Signal::KILL);
        self.pause(LATEST_KILL_MICROS / 4);
        self.end(provider);

        for ((name, size), reader) in FILES.iter().zip(own) {
            self.tally.whole_files += u64::from(is_whole(name, *size, reader));
        }
        for (place, reader) in readers.iter_mut().enumerate() {
            let status = reader.wait();
            let log = reader.log();
            assert!(!log.contains("wrong"), "{log}");
            match status.code() {
                Some(0) => self.tally.failed_readers += 1,
                // The victim may have ended before the signal reached it.
                None if place == victim => self.tally.killed_readers += 1,
                _ => panic!("{status} {log}"),
            }
        }
    }

    /// Killed if it still lives, or asked to leave.
    fn end(&mut self, mut provider: ProviderProcess) {
        if provider.process().ended().is_none() {
            match self.random.below(3) {
                0 => provider.unregister(),
                1 => provider.close(),
                _ => provider.kill(),
            }
        }
    }

    fn provider(&mut self) -> (ProviderProcess, Published) {
        let mut provider = ProviderProcess::launch(&self.session, None);
        let at_once = self.random.one_of(&["1", "4"]);
        let options = [("max_concurrent_reads", at_once)];
        provider.register(&options).unwrap();
        let answers = [Answer::Right, Answer::Right, Answer::Short(50_000)];
        provider.answer(None, self.random.one_of(&answers));
        let mut tree = Tree::new();
        for (name, size) in FILES {
            tree = tree.file(name, size);
        }
        let promise = provider.publish(&tree);
        (provider, promise)
    }

    fn reader_process(&mut self, file: PathBuf, name: &str, size: u64, round: u64) -> Process {
        let seed = self.random.next_number().to_string();
        let mut command = self.session.command("test-reader");
        command.args([&seed, &size.to_string(), name]).arg(file);
        let log = format!("reader-{round}-{}", name.replace('/', "-"));
        Process::spawn(command, &self.session.dirs().log(&log))
    }

    /// A program that is killed while it registers, publishes or has just done
    /// so; whatever of it can be seen is looked at meanwhile.
    fn early_death(&mut self, round: u64) {
        let folder = self.session.dirs().home().join("served");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("f"), Content::of(b"f").bytes(0, 200_000)).unwrap();
        let log = self.session.dirs().log(&format!("serve-{round}"));
        let mut command = self.session.command("fpctl");
        command.arg("serve").arg(&folder);
        let mut provider = Process::spawn(command, &log);
        self.pause(LATEST_EARLY_KILL_MICROS);
        for file in visible(&self.session.mount()) {
            let reader = read_whole(file, 200_000);
            self.pause(LATEST_EARLY_KILL_MICROS / 10);
            provider.signal(Signal::KILL);
            self.tally.whole_files += u64::from(is_whole("f", 200_000, reader));
            self.tally.early_but_seen += 1;
        }
        provider.kill();
    }

    /// A random moment; not a wait for anything.
    fn pause(&mut self, latest_micros: u64) {
        let micros = self.random.below(latest_micros);
        thread::sleep(Duration::from_micros(micros));
    }
}

/// What promises of an early death show: their one file.
fn visible(mount: &Path) -> Vec<PathBuf> {
    let promises = mount.read_dir().unwrap().flatten();
    let files = promises.map(|promise| promise.path().join("f"));
    files.filter(|file| file.exists()).collect()
}

/// A reader in this process.
fn read_whole(file: PathBuf, size: u64) -> JoinHandle<io::Result<Vec<u8>>> {
    thread::spawn(move || read_range(&file, 0, size as usize))
}

/// Whether it got every byte; if not, it was told that the provider is gone.
#[track_caller]
fn is_whole(name: &str, size: u64, reader: JoinHandle<io::Result<Vec<u8>>>) -> bool {
    match reader.join().unwrap() {
        Ok(bytes) => {
            assert_eq!(bytes.len() as u64, size, "{name}");
            let wrong = Content::of(name.as_bytes()).first_wrong(0, &bytes);
            assert_eq!(wrong, None, "a wrong byte in {name}");
            true
        }
        Err(error) => {
            let errno = Errno::from_io_error(&error);
            let is_gone = matches!(errno, Some(Errno::IO | Errno::NOENT));
            assert!(is_gone, "{name}: {error}");
            false
        }
    }
}
