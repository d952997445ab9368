//! The client's way to the right daemon, as a decision without I/O.
//!
//! What was found out so far goes in, the next step comes out; `connect` takes the steps and asks
//! again. Whether a daemon lives is known from its lock, never by connecting, because a connection
//! may start one. A daemon found over the bus counts only if it serves our runtime directory: a
//! private daemon and its programs inherit the bus address of the login session.

use std::path::{Path, PathBuf};

use fuse_promise_core::{Failure, Status};

/// Whether a call may start a daemon that is not running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    Never,
    IfNeeded,
}

/// Whose runtime directory it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directory {
    /// `$XDG_RUNTIME_DIR`, which the session bus belongs to.
    Session,
    /// Another one, named by the program: no bus is asked.
    Other,
}

/// What the session bus has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bus {
    NotAsked,
    /// The owner of the name serves our runtime directory.
    Ours,
    /// It serves another one.
    Foreign(PathBuf),
    NameFree,
    /// There is no bus, it does not answer, or it does not know how to start the daemon.
    Failed(Failure),
    /// The daemon was started and failed. The socket would only start the same one again.
    GaveUp(Failure),
}

#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) directory: Directory,
    /// The daemon's lock on the runtime directory is held.
    pub(crate) running: bool,
    pub(crate) start: Start,
    pub(crate) bus: Bus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// No daemon runs and none may be started.
    NotRunning,
    /// Ask who owns the name, without starting anything.
    AskBus,
    /// Let the bus start the owner of the name.
    ActivateByBus,
    UseBus,
    /// Connect to the socket in the runtime directory, which may start the daemon.
    UseSocket,
    GiveUp,
}

impl Facts {
    pub(crate) fn step(&self) -> Step {
        if !self.running && self.start == Start::Never {
            return Step::NotRunning;
        }
        if self.directory == Directory::Other {
            return Step::UseSocket;
        }
        match self.bus {
            Bus::NotAsked if self.running => Step::AskBus,
            Bus::NotAsked => Step::ActivateByBus,
            Bus::Ours => Step::UseBus,
            Bus::Foreign(_) | Bus::NameFree | Bus::Failed(_) => Step::UseSocket,
            Bus::GaveUp(_) => Step::GiveUp,
        }
    }

    /// Why there is no daemon. `socket` tells how the socket failed, if it was tried.
    pub(crate) fn dead_end(&self, runtime_dir: &Path, socket: &str) -> Failure {
        let ours = runtime_dir.display();
        let way = match &self.bus {
            Bus::Failed(failure) | Bus::GaveUp(failure)
                if failure.status != Status::Unavailable =>
            {
                // A daemon of another version or another user says more than a missing socket.
                return failure.clone();
            }
            Bus::GaveUp(failure) => {
                return failure
                    .clone()
                    .context(&format!("no fuse-promised for {ours}"));
            }
            Bus::Failed(failure) => format!("{failure}, and {socket}"),
            Bus::Foreign(theirs) => format!(
                "the one on the session bus serves {}, and {socket}",
                theirs.display()
            ),
            Bus::NotAsked | Bus::NameFree | Bus::Ours => socket.to_owned(),
        };
        Failure::unavailable(format!(
            "no fuse-promised for {ours}: {way}; start one with \
             `XDG_RUNTIME_DIR={ours} fuse-promised --foreground`"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Walks the decisions, with the bus saying `answer` when it is asked or told to activate.
    fn walk(directory: Directory, running: bool, start: Start, answer: &Bus) -> Vec<Step> {
        let mut facts = Facts {
            directory,
            running,
            start,
            bus: Bus::NotAsked,
        };
        let mut steps = Vec::new();
        loop {
            let step = facts.step();
            steps.push(step);
            match step {
                Step::AskBus | Step::ActivateByBus => facts.bus = answer.clone(),
                Step::NotRunning | Step::UseBus | Step::UseSocket | Step::GiveUp => return steps,
            }
        }
    }

    fn foreign() -> Bus {
        Bus::Foreign("/run/user/1000".into())
    }

    fn failed() -> Bus {
        Bus::Failed(Failure::unavailable("no session bus"))
    }

    fn gave_up() -> Bus {
        Bus::GaveUp(Failure::unavailable("the unit failed"))
    }

    #[test]
    #[rustfmt::skip]
    fn every_way_is_as_designed() {
        use Directory::{Other, Session};
        use Start::{IfNeeded, Never};
        use Step::{ActivateByBus, AskBus, GiveUp, NotRunning, UseBus, UseSocket};

        let table: &[(Directory, bool, Start, Bus, &[Step])] = &[
            // Another directory: its socket only, and nothing at all if nothing may start.
            (Other,   true,  Never,    Bus::Ours,     &[UseSocket]),
            (Other,   true,  IfNeeded, Bus::Ours,     &[UseSocket]),
            (Other,   false, IfNeeded, Bus::Ours,     &[UseSocket]),
            (Other,   false, Never,    Bus::Ours,     &[NotRunning]),
            // The lock is held: the bus if it knows our daemon, else the socket; no activation.
            (Session, true,  Never,    Bus::Ours,     &[AskBus, UseBus]),
            (Session, true,  IfNeeded, Bus::Ours,     &[AskBus, UseBus]),
            (Session, true,  IfNeeded, Bus::NameFree, &[AskBus, UseSocket]),
            (Session, true,  Never,    Bus::NameFree, &[AskBus, UseSocket]),
            (Session, true,  IfNeeded, foreign(),     &[AskBus, UseSocket]),
            (Session, true,  IfNeeded, failed(),      &[AskBus, UseSocket]),
            // Not held: activate by the bus, then by the socket.
            (Session, false, IfNeeded, Bus::Ours,     &[ActivateByBus, UseBus]),
            (Session, false, IfNeeded, foreign(),     &[ActivateByBus, UseSocket]),
            (Session, false, IfNeeded, failed(),      &[ActivateByBus, UseSocket]),
            (Session, false, IfNeeded, Bus::NameFree, &[ActivateByBus, UseSocket]),
            // A unit that failed is not started a second time through the socket.
            (Session, false, IfNeeded, gave_up(),     &[ActivateByBus, GiveUp]),
            // Status and list never start anything, and so do not connect to anything.
            (Session, false, Never,    Bus::Ours,     &[NotRunning]),
        ];
        for (directory, running, start, answer, steps) in table {
            assert_eq!(
                walk(*directory, *running, *start, answer),
                *steps,
                "{directory:?} running={running} {start:?} {answer:?}"
            );
        }
    }

    fn dead_end(bus: Bus) -> Failure {
        let facts = Facts {
            directory: Directory::Session,
            running: false,
            start: Start::IfNeeded,
            bus,
        };
        facts.dead_end(Path::new("/tmp/private"), "nobody listens")
    }

    #[test]
    fn a_dead_end_names_what_was_tried() {
        let failure = dead_end(foreign());
        assert_eq!(failure.status, Status::Unavailable);
        for part in ["/tmp/private", "/run/user/1000", "nobody listens"] {
            assert!(failure.message.contains(part), "{failure}");
        }
        for part in ["no session bus", "nobody listens"] {
            let failure = dead_end(failed());
            assert!(failure.message.contains(part), "{failure}");
        }
        assert!(dead_end(gave_up()).message.contains("the unit failed"));
    }

    #[test]
    fn another_version_or_user_on_the_bus_is_what_the_caller_hears_of() {
        for failure in [
            Failure::version_mismatch("1 and 2"),
            Failure::permission("uid 7"),
        ] {
            assert_eq!(dead_end(Bus::Failed(failure.clone())), failure);
        }
    }
}
