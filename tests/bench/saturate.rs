//! Readers that keep a provider busy while somebody else is measured: many threads that read one
//! file at random. A line says that each of them has read; they end with standard input.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use super::content::Aligned;
use super::{Offsets, Order};

struct Readers<'a> {
    path: &'a Path,
    block: u64,
    all_read: Barrier,
    ended: AtomicBool,
}

impl Readers<'_> {
    /// Reads until the end is said.
    fn read(&self, thread: u64) -> io::Result<()> {
        let prepared = self.first(thread);
        // A thread that failed must still let the others go.
        self.all_read.wait();
        let (file, mut offsets, mut buffer) = prepared?;
        while !self.ended.load(Ordering::Relaxed) {
            file.read_exact_at(&mut buffer, offsets.next())?;
        }
        Ok(())
    }

    fn first(&self, thread: u64) -> io::Result<(File, Offsets, Aligned)> {
        let file = File::open(self.path)?;
        let mut offsets = Offsets {
            order: Order::Random,
            block: self.block,
            blocks: file.metadata()?.len() / self.block,
            next: thread << 32,
        };
        let mut buffer = Aligned::new(self.block as usize);
        file.read_exact_at(&mut buffer, offsets.next())?;
        Ok((file, offsets, buffer))
    }
}

pub fn read(path: &Path, block: u64, threads: u64) -> io::Result<()> {
    let readers = Readers {
        path,
        block,
        all_read: Barrier::new(threads as usize + 1),
        ended: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        let readers = &readers;
        let one = |thread| scope.spawn(move || readers.read(thread));
        let all: Vec<_> = (0..threads).map(one).collect();
        readers.all_read.wait();
        let said = writeln!(io::stdout(), "reading");
        let input_ended = said.and_then(|()| io::copy(&mut io::stdin(), &mut io::sink()));
        readers.ended.store(true, Ordering::Relaxed);
        input_ended?;
        all.into_iter().try_for_each(|thread| {
            let read = thread.join();
            read.map_err(|_| io::Error::other("a reader panicked"))?
        })
    })
}
