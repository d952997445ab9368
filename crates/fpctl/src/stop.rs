//! Waiting for Ctrl-C and its kin. The first such signal ends the command in good order, a second one
//! ends the process at once, should the first take too long.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};

/// What a shell reports for a program that Ctrl-C ended.
const ENDED_BY_INTERRUPT: i32 = 130;

pub struct Stop {
    signals: Signals,
}

impl Stop {
    /// From here on the signals no longer end the process by themselves.
    pub fn listen() -> io::Result<Self> {
        let once = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register_conditional_shutdown(signal, ENDED_BY_INTERRUPT, Arc::clone(&once))?;
        }
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            flag::register(signal, Arc::clone(&once))?;
        }
        Ok(Self {
            signals: Signals::new([SIGINT, SIGTERM, SIGHUP])?,
        })
    }

    /// Makes [`wait`](Self::wait) return without a signal when it is closed.
    pub fn handle(&self) -> Handle {
        self.signals.handle()
    }

    /// Returns true at the first signal, at once if it came before; false if the handle was closed.
    pub fn wait(&mut self) -> bool {
        self.signals.forever().next().is_some()
    }
}
