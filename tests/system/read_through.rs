//! Read-through: what programs cost a provider whose bytes are kept, counted in the
//! bytes it was asked for.

mod one_read;
mod support;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::thread;

use fuse_promise_testkit::Random;
use fuse_promise_testkit::{ProviderProcess, Session, Shape, Tree};
use one_read::assert_right;
use rustix::io::Errno;
use support::balance::gauge;
use support::copying::target;
use support::{SHAPES, errno, state, wait_for_state, wait_until};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// No multiple of anything.
const SIZE: u64 = 9 * MIB + 54_321;

fn session(shape: Shape) -> Session {
    Session::options(shape).flag("--cache=read-through").start()
}

/// The ranges a node was asked for, in order of their offsets.
fn asked(provider: &mut ProviderProcess, node: &str) -> Vec<(u64, u64)> {
    let asked = provider.asked().into_iter();
    let of_node = asked.filter(|read| read.node_id == node);
    let mut ranges: Vec<_> = of_node
        .map(|read| (read.offset, read.length as u64))
        .collect();
    ranges.sort_unstable();
    ranges
}

/// Each byte of the file was asked for, and none twice.
#[track_caller]
fn assert_asked_once(provider: &mut ProviderProcess, node: &str, size: u64) {
    let mut end = 0;
    for (offset, length) in asked(provider, node) {
        assert_eq!(offset, end, "{node}: a gap, or bytes asked for twice");
        end += length;
    }
    assert_eq!(end, size, "{node}");
}

#[track_caller]
fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {output:?}");
}

/// > With the policy read-through a program that reads a file from its beginning to its end makes
/// > the provider give each byte once, however it reads, and reading it again costs nothing.
#[test]
fn whole_files_are_asked_for_once() {
    for shape in SHAPES {
        let session = session(shape);
        let mut provider = session.provider();
        let names = ["copied", "catted", "packed", "mapped", "blocks"];
        let tree = names
            .iter()
            .fold(Tree::new(), |tree, name| tree.file(name, SIZE));
        let promise = provider.publish(&tree);
        let target = target(&session);
        let [copied, catted, packed, mapped, blocks] = names.map(|name| promise.join(name));
        run("cp", &[copied.as_os_str(), target.join("copy").as_os_str()]);
        run(
            "sh",
            &[
                "-c".as_ref(),
                "cat \"$0\" >/dev/null".as_ref(),
                catted.as_os_str(),
            ],
        );
        let archive = target.join("archive");
        run(
            "tar",
            &["-cPf".as_ref(), archive.as_os_str(), packed.as_os_str()],
        );
        let block = format!("if={}", blocks.display());
        run(
            "dd",
            &[
                block.as_ref(),
                "of=/dev/null".as_ref(),
                "bs=7001".as_ref(),
                "status=none".as_ref(),
            ],
        );
        let script = "import mmap,sys;f=open(sys.argv[1],'rb');\
                      m=mmap.mmap(f.fileno(),0,prot=mmap.PROT_READ);\
                      sys.exit(sum(m[i] for i in range(0,len(m),4096))<0)";
        run(
            "python3",
            &["-c".as_ref(), script.as_ref(), mapped.as_os_str()],
        );
        for name in names {
            assert_asked_once(&mut provider, name, SIZE);
        }
        let before = provider.counters().requests;
        promise.check();
        assert_eq!(provider.counters().requests, before, "read again");
        for name in names {
            assert_eq!(state(&promise.join(name)).unwrap(), "cached", "{name}");
        }
        assert_eq!(state(&promise.path).unwrap(), "cached");
    }
}

/// > A look at the head of a read-through file makes the provider give at most 64 KiB, and random
/// > reads at most 16 times what was read.
#[test]
fn a_look_at_the_head_of_a_file_asks_for_little() {
    for shape in SHAPES {
        let session = session(shape);
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().files("f", 20, SIZE));
        for index in 0..20 {
            let file = File::open(promise.join(format!("f{index}"))).unwrap();
            let mut head = [0; 4096];
            file.read_exact_at(&mut head, 0).unwrap();
            assert_right(&format!("f{index}"), 0, &head);
        }
        for index in 0..20 {
            let asked = asked(&mut provider, &format!("f{index}"));
            let bytes: u64 = asked.iter().map(|(_, length)| length).sum();
            assert!(bytes <= 64 * KIB, "f{index}: {asked:?}");
        }
    }
}

/// > A look at the head of a read-through file makes the provider give at most 64 KiB, and random
/// > reads at most 16 times what was read.
#[test]
fn random_reads_ask_for_a_bounded_part() {
    const READS: u64 = 500;
    for shape in SHAPES {
        let session = session(shape);
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("a", 1 << 30));
        let file = File::open(promise.join("a")).unwrap();
        let mut random = Random::new(11);
        for _ in 0..READS {
            let offset = random.below((1 << 30) / 4096) * 4096;
            let mut bytes = [0; 4096];
            file.read_exact_at(&mut bytes, offset).unwrap();
            assert_right("a", offset, &bytes);
        }
        let asked = provider.counters().bytes;
        assert!(asked <= 16 * 4096 * READS, "{asked}");
    }
}

#[test]
fn two_readers_at_different_places_get_right_bytes_once_each() {
    for shape in SHAPES {
        let session = session(shape);
        let mut provider = session.provider();
        provider.delay_ms(1);
        let promise = provider.publish(&Tree::new().file("a", 4 * SIZE));
        let path = promise.join("a");
        thread::scope(|scope| {
            for start in [0, 2 * SIZE] {
                let path = &path;
                scope.spawn(move || {
                    let file = File::open(path).unwrap();
                    let mut block = vec![0; 100_000];
                    let mut offset = start;
                    while offset < start + 2 * SIZE {
                        let length = file.read_at(&mut block, offset).unwrap();
                        assert_right("a", offset, &block[..length]);
                        offset += length as u64;
                    }
                });
            }
        });
        assert_asked_once(&mut provider, "a", 4 * SIZE);
    }
}

/// > What the cache holds whole is served without its provider; what it holds in part fails
/// > everywhere, so that the answer does not depend on what was read before.
#[test]
fn a_promise_lives_from_the_cache_alone() {
    for shape in SHAPES {
        let session = session(shape);
        let mut provider = session.provider();
        let promise = provider.publish(&Tree::new().file("whole", SIZE).file("part", SIZE));
        fs::read(promise.join("whole")).unwrap();
        let part = File::open(promise.join("part")).unwrap();
        part.read_exact_at(&mut [0; 4096], 0).unwrap();
        wait_until("the file being held", || {
            state(&promise.join("whole")).unwrap() == "cached"
        });
        provider.kill();
        wait_for_state(&promise.join("part"), "provider-gone");
        let whole = fs::read(promise.join("whole")).unwrap();
        assert_right("whole", 0, &whole);
        assert_eq!(whole.len() as u64, SIZE);
        assert_eq!(errno(fs::read(promise.join("part"))), Some(Errno::IO));
        let gone = || errno(part.read_exact_at(&mut [0; 4096], 0)) == Some(Errno::IO);
        wait_until("the pages going", gone);
    }
}

#[test]
fn the_cache_stays_within_its_size_in_memory_and_on_disk() {
    const LIMIT: u64 = 4 * MIB;
    for shape in SHAPES {
        for on_disk in [false, true] {
            let options = Session::options(shape).flag("--cache=read-through");
            let options = options.flag("--cache-size=4MiB");
            let session = match on_disk {
                true => options.flag("--cache-dir=/var/tmp").start(),
                false => options.start(),
            };
            let mut provider = session.provider();
            let promise = provider.publish(&Tree::new().file("a", 8 * SIZE).file("b", MIB));
            let read = |name: &str| {
                let bytes = fs::read(promise.join(name)).unwrap();
                assert_right(name, 0, &bytes);
            };
            read("b");
            read("a");
            let held = gauge(&session, "cache_bytes");
            assert!(held <= LIMIT && held > LIMIT / 2, "{held}");
            assert!(gauge(&session, "cache_evictions") > 0);
            assert_ne!(state(&promise.join("a")).unwrap(), "cached");
        }
    }
}
