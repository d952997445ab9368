//! Mapped files, read by a program of its own: what cannot be read there is a signal.

mod support;

use std::path::Path;

use fuse_promise_core::Status;
use fuse_promise_testkit::process::{Ran, run};
use fuse_promise_testkit::{Answer, Content, Session, Tree};
use support::SHAPES;

const SIZE: u64 = 300_001;

/// A program with `path`, `right` (what the file should contain) and `map`.
const BEGIN: &str = "
import mmap, os, sys
path, right = sys.argv[1], open(sys.argv[2], 'rb').read()
def map(flags, protection=mmap.PROT_READ):
    file = os.open(path, os.O_RDONLY)
    try:
        return mmap.mmap(file, 0, flags=flags, prot=protection)
    finally:
        os.close(file)
";

fn python(session: &Session, promised: &Path, program: &str) -> Ran {
    let expected = session.dirs().home().join("expected");
    std::fs::write(&expected, Content::of(b"a").bytes(0, SIZE as usize)).unwrap();
    let mut command = session.command("python3");
    command.arg("-c").arg(format!("{BEGIN}{program}"));
    run(command.arg(promised).arg(expected))
}

fn in_each_case(test: fn(&Session)) {
    for shape in SHAPES {
        for policy in ["no-cache", "read-through"] {
            let options = Session::options(shape).flag(format!("--cache={policy}"));
            test(&options.start());
        }
    }
}

/// > A file can be mapped, privately or shared for reading, with every cache policy.
#[test]
fn a_file_can_be_mapped_privately_and_shared() {
    in_each_case(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE));
        let program = "
for flags in (mmap.MAP_PRIVATE, mmap.MAP_SHARED):
    m = map(flags)
    assert len(m) == len(right)
    for at in range(len(right) - 1, 0, -70001):
        assert m[at] == right[at], at
    assert m[:] == right
    # Both ways at once, mapping and reading the same file.
    with open(path, 'rb') as file:
        assert file.read() == right
        m2 = mmap.mmap(file.fileno(), 0, flags=flags, prot=mmap.PROT_READ)
        assert m2[:] == m[:]
assert mmap.mmap(os.open(path, os.O_RDONLY), 0, access=mmap.ACCESS_READ)[:] == right
";
        python(session, &promise.join("a"), program).ok();
    });
}

#[test]
fn a_private_mapping_can_be_written_and_nobody_else_sees_it() {
    in_each_case(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE));
        let program = "
m = map(mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
m[5000:5003] = b'new'
assert m[5000:5003] == b'new' and m[:5000] == right[:5000] and m[5003:] == right[5003:]
assert map(mmap.MAP_PRIVATE)[:] == right
assert map(mmap.MAP_SHARED)[:] == right
assert open(path, 'rb').read() == right
try:
    map(mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    sys.exit('a shared mapping could be written')
except PermissionError:
    pass
";
        python(session, &promise.join("a"), program).ok();
    });
}

#[test]
fn a_page_that_cannot_be_read_is_a_bus_error() {
    in_each_case(|session| {
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", SIZE));
        provider.answer(None, Answer::Refuse(Status::Io));
        let touch = "print(map(mmap.MAP_SHARED)[10])";
        let killed = 128 + rustix::process::Signal::BUS.as_raw();
        python(session, &promise.join("a"), touch).fails_with(killed);
        provider.answer(None, Answer::Right);
        let right = "assert map(mmap.MAP_SHARED)[:] == right";
        python(session, &promise.join("a"), right).ok();
    });
}
