//! The threads of a provider that allows several reads at a time.
//!
//! All of them wait for packets in the kernel, which wakes one for each packet that comes; nobody
//! is woken by another thread. Whoever is awake takes one packet under the lock of the intake, and
//! what is no read is carried out under it, so the frames keep their order whichever thread gets
//! them. The lock is free again before the handler is called.
//!
//! The pool begins with one thread. Whoever takes a read and leaves no thread to wait for the next
//! packet starts another one, up to the number of reads allowed or the number of slots, whichever
//! is smaller: the daemon has no more reads here than there are slots. A thread whose handler
//! hears an event is as busy as one with a read. So a provider that is read
//! by one program has two threads. Threads stay until the session ends: one that waits costs some
//! pages of stack, and to end it would take a clock that wakes it.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::Flow;
use super::answering::Answering;
use super::intake::{Intake, Packet, TakenRead};
use crate::arena::CurrentArena;
use crate::fork::{ParentOnly, in_child};
use crate::handler::ReadHandler;
use crate::readiness::await_packet;
use crate::session::{End, Session};

pub(crate) struct Pool {
    session: Arc<Session>,
    handler: Arc<dyn ReadHandler>,
    /// Reads at a time, as the provider allowed.
    at_once: u32,
    turn: Mutex<Turn>,
    /// Threads with a read or an event in hand. Only ever counted up in turn, so that of two who take a read
    /// the second sees the first.
    busy: AtomicU32,
    /// Why it is over: the first reason that a thread found.
    end: OnceLock<End>,
}

/// What belongs to whoever takes the next packet.
struct Turn {
    intake: Intake,
    threads: u32,
}

/// A read in a thread's hand.
struct InHand {
    read: TakenRead,
    arena: Arc<ParentOnly<CurrentArena>>,
    /// Nobody waits for the next packet, and there may be one more thread, counted already.
    unattended: bool,
}

impl Pool {
    pub(super) fn new(
        session: Arc<Session>,
        intake: Intake,
        handler: Arc<dyn ReadHandler>,
        at_once: u32,
    ) -> Arc<ParentOnly<Self>> {
        Arc::new(ParentOnly::new(Self {
            session,
            handler,
            at_once,
            turn: Mutex::new(Turn { intake, threads: 1 }),
            busy: AtomicU32::new(0),
            end: OnceLock::new(),
        }))
    }

    /// Takes the next packet, if there is one.
    fn take(&self, packet: &mut Packet) -> ControlFlow<End, Option<InHand>> {
        let mut turn = self.lock();
        // What still lies in the channel then is for nobody.
        if self.end.get().is_some() {
            return ControlFlow::Break(End::HungUp);
        }
        let taken = turn.intake.take_ready(packet);
        if let ControlFlow::Break(end) = &taken {
            let _ = self.end.set(end.clone());
        }
        let Some(read) = taken? else {
            return ControlFlow::Continue(None);
        };
        let arena = Arc::clone(turn.intake.arena());
        let unattended = self.occupy(&mut turn);
        ControlFlow::Continue(Some(InHand {
            read,
            arena,
            unattended,
        }))
    }

    /// A thread becomes busy. True if that leaves nobody to wait for the next packet, and there may
    /// be one more thread, which is counted already.
    fn occupy(&self, turn: &mut Turn) -> bool {
        let busy = 1 + self.busy.fetch_add(1, Ordering::Relaxed);
        let slots = turn.intake.arena().arena.geometry().slot_count();
        let unattended = busy >= turn.threads && turn.threads < self.at_once.min(slots);
        if unattended {
            turn.threads += 1;
        }
        unattended
    }

    /// A thread leaves, and the others with it. The last one ends the session.
    fn leave(&self, end: End) {
        let _ = self.end.set(end);
        // Wakes all that wait.
        self.session.channel().shutdown();
        let mut turn = self.lock();
        turn.threads -= 1;
        let last = turn.threads == 0;
        drop(turn);
        if last && let Some(end) = self.end.get() {
            self.session.finish(end.clone());
        }
    }

    /// Nothing in here panics half way, so a poisoned turn is as good as any.
    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The life of one of the pool's threads.
pub(super) fn run(pool: &Arc<ParentOnly<Pool>>) {
    let mut answering = Answering::new(&pool.session, &*pool.handler);
    let ControlFlow::Break(end) = serve(pool, &mut answering);
    // A handler that forked goes on as the child's only thread; the pool is not the child's.
    if !in_child() {
        pool.leave(end);
    }
}

fn serve(
    pool: &Arc<ParentOnly<Pool>>,
    answering: &mut Answering<'_>,
) -> ControlFlow<End, Infallible> {
    let mut packet = [0; _];
    loop {
        await_packet(pool.session.channel());
        let Some(InHand {
            read,
            arena,
            unattended,
        }) = pool.take(&mut packet)?
        else {
            tell(pool, answering)?;
            continue;
        };
        if unattended {
            grow(pool);
        }
        let done = answering.read(&read, &arena)?;
        // The release of its promise may wait for it.
        drop(read);
        // Before Done, on which the next read may follow at once.
        pool.busy.fetch_sub(1, Ordering::Relaxed);
        answering.send(&done)?;
        tell(pool, answering)?;
    }
}

/// Has the handler hear what it has to.
fn tell(pool: &Arc<ParentOnly<Pool>>, answering: &Answering<'_>) -> Flow {
    while let Some(told) = pool.session.events.next() {
        let unattended = pool.occupy(&mut pool.lock());
        if unattended {
            grow(pool);
        }
        answering.tell(&told)?;
        pool.busy.fetch_sub(1, Ordering::Relaxed);
    }
    ControlFlow::Continue(())
}

/// Starts the thread that was counted already. Without it reads are answered all the same, later;
/// the next read tries again.
fn grow(pool: &Arc<ParentOnly<Pool>>) {
    let another = Arc::clone(pool);
    if pool.session.start_thread(move || run(&another)).is_err() {
        pool.lock().threads -= 1;
    }
}
