//! Providers and readers that are killed at random moments, again and again.
//!
//! Each round has a provider, readers in processes of their own that compare
//! every byte, and a reader in this process. Some of them are killed with
//! SIGKILL at moments that are drawn from a seed; who is not must end by
//! itself, and without having seen a wrong byte. After the last round the
//! daemon must hold what it held before the first: nothing.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use fuse_promise_testkit::process::{HANG_LIMIT, Process};
use fuse_promise_testkit::{
    Answer, Content, ProviderProcess, Published, Random, Session, Shape, Tree,
};
use rustix::io::Errno;
use rustix::process::Signal;
use support::balance::{OF_PROMISES, OF_READS, await_descriptors, await_zero, descriptors, gauge};
use support::reader::Reader;

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
    run(Session::options(Shape::Private)
        .flag("--linger=50ms")
        .start());
}

#[test]
fn under_systemd_with_the_kernels_cache() {
    let options = Session::options(Shape::Systemd).flag("--linger=50ms");
    run(options.flag("--cache=read-through").start());
}

fn run(mut session: Session) {
    let full = std::env::var_os("FUSE_PROMISE_TEST_FULL").is_some();
    let mut random = Random::from_environment();
    let before = descriptors(&mut session);
    let mut sorts = [0; 3];
    for round in 0..if full { ROUNDS_FULL } else { ROUNDS } {
        // Each round has the time of a whole test.
        session.allow(HANG_LIMIT);
        match random.below(4) {
            0 => early_death(&session, &mut random, round),
            sort => sorts[sort as usize - 1] += reading_round(&session, &mut random, round),
        }
    }
    // A loop in which nobody was read from, or nobody had to fail, tests nothing.
    assert!(sorts.iter().sum::<u64>() > 0, "no reader got to an error");
    assert!(gauge(&session, "served_bytes") > 0);
    assert_eq!(gauge(&session, "faulty_sessions"), 0);
    assert_eq!(gauge(&session, "timeouts"), 0);
    await_zero(&session, &OF_READS);
    await_zero(&session, &OF_PROMISES);
    await_zero(&session, &["lookups"]);
    await_descriptors(&mut session, before);
    session
        .provider()
        .publish(&Tree::new().file("a", 100_000))
        .check();
    assert_eq!(session.stop_daemon(), Some(0));
}

/// One provider and several readers; the number of readers that came to an
/// error and ended.
fn reading_round(session: &Session, random: &mut Random, round: u64) -> u64 {
    let (mut provider, promise) = provider(session, random);
    let mut readers: Vec<Process> = FILES
        .iter()
        .map(|file| reader_process(session, &promise, *file, random, round))
        .collect();
    let own: Vec<Reader> = FILES
        .iter()
        .map(|(name, size)| Reader::of(&promise.join(name), 0, *size as usize))
        .collect();

    // Whose turn it is to be killed, and when; nobody waits for anything here.
    let provider_first = random.below(2) == 0;
    pause(random, LATEST_KILL_MICROS);
    if provider_first {
        provider.kill();
    }
    let victim = random.below(FILES.len() as u64) as usize;
    readers[victim].signal(Signal::KILL);
    pause(random, LATEST_KILL_MICROS / 4);
    end(provider, random);

    for ((name, size), reader) in FILES.iter().zip(own) {
        assert_right(name, *size, reader.outcome());
    }
    let mut ended = 0;
    for (place, reader) in readers.iter_mut().enumerate() {
        let status = reader.wait();
        let log = reader.log();
        // The victim may have ended before the signal reached it.
        let killed = place == victim && status.code().is_none();
        assert!(status.code() == Some(0) || killed, "{status} {log}");
        assert!(!log.contains("wrong"), "{log}");
        ended += u64::from(status.code() == Some(0));
    }
    ended
}

/// Killed if it still lives, or asked to leave.
fn end(mut provider: ProviderProcess, random: &mut Random) {
    if provider.process().ended().is_none() {
        match random.below(3) {
            0 => provider.unregister(),
            1 => provider.close(),
            _ => provider.kill(),
        }
    }
}

fn provider(session: &Session, random: &mut Random) -> (ProviderProcess, Published) {
    let mut provider = ProviderProcess::launch(session, None);
    let at_once = random.one_of(&["1", "4"]);
    provider
        .register(&[("max_concurrent_reads", at_once)])
        .unwrap();
    provider.answer(
        None,
        random.one_of(&[Answer::Right, Answer::Right, Answer::Short(50_000)]),
    );
    let tree = FILES
        .iter()
        .fold(Tree::new(), |tree, (name, size)| tree.file(name, *size));
    let promise = provider.publish(&tree);
    (provider, promise)
}

fn reader_process(
    session: &Session,
    promise: &Published,
    (name, size): (&str, u64),
    random: &mut Random,
    round: u64,
) -> Process {
    let mut command = session.command("test-reader");
    command.args([
        random.next_number().to_string(),
        size.to_string(),
        name.to_owned(),
    ]);
    command.arg(promise.join(name));
    let log = format!("reader-{round}-{}", name.replace('/', "-"));
    Process::spawn(command, &session.dirs().log(&log))
}

/// A program that is killed while it registers, publishes or has just done so;
/// whatever of it can be seen is looked at meanwhile.
fn early_death(session: &Session, random: &mut Random, round: u64) {
    let folder = session.dirs().home().join("served");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("f"), Content::of(b"f").bytes(0, 200_000)).unwrap();
    let log = session.dirs().log(&format!("serve-{round}"));
    let mut command = session.command("fpctl");
    command.arg("serve").arg(&folder);
    let mut provider = Process::spawn(command, &log);
    pause(random, LATEST_EARLY_KILL_MICROS);
    for file in visible(&session.mount()) {
        let reader = Reader::of(&file, 0, 200_000);
        pause(random, LATEST_EARLY_KILL_MICROS / 10);
        provider.signal(Signal::KILL);
        assert_right("f", 200_000, reader.outcome());
    }
    provider.kill();
}

/// What promises of an early death show: their one file.
fn visible(mount: &Path) -> Vec<PathBuf> {
    let promises = mount.read_dir().unwrap().flatten();
    let files = promises.map(|promise| promise.path().join("f"));
    files.filter(|file| file.exists()).collect()
}

/// All bytes and all right, or an error that says that the provider is gone.
#[track_caller]
fn assert_right(name: &str, size: u64, outcome: Result<Vec<u8>, Errno>) {
    match outcome {
        Ok(bytes) => {
            assert_eq!(bytes.len() as u64, size, "{name}");
            assert_eq!(Content::of(name.as_bytes()).first_wrong(0, &bytes), None);
        }
        Err(Errno::IO | Errno::NOENT) => {}
        Err(errno) => panic!("{name}: {errno}"),
    }
}

/// A random moment; not a wait for anything.
fn pause(random: &mut Random, latest_micros: u64) {
    std::thread::sleep(Duration::from_micros(random.below(latest_micros)));
}
