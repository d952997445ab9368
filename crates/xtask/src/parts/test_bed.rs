//! Where built tests run: staged for the ordinary user, in a control group,
//! on a machine whose settings are undone afterwards. Nothing may be left.

use crate::Outcome;
use crate::cargo::{Executable, executables, libtest};
use crate::machine::Machine;
use crate::parts::Selection;
use crate::stage::Stage;
use crate::steps::Tally;

/// The tests mostly wait for other processes, so more of them run at once
/// than a small machine has processors.
const AT_ONCE: &str = "--test-threads=4";

/// A prepared machine with the programs under test staged.
#[derive(Debug)]
pub struct TestBed {
    pub stage: Stage,
    machine: Machine,
    tests: Vec<Executable>,
    environment: Vec<(&'static str, String)>,
}

impl TestBed {
    /// Builds and stages. `wanted` tells which of the test programs will run,
    /// by name.
    pub fn prepare(wanted: impl Fn(&str) -> bool) -> Outcome<Self> {
        // The whole workspace each time: what it shares is then built once.
        let programs = executables(&["build", "--workspace", "--bins"])?;
        let mut tests = executables(&["test", "--no-run", "--workspace", "--test=*"])?;
        // The package's programs are built for its tests and named along with them.
        tests.retain(|test| test.is_test && test.manifest.ends_with("tests/Cargo.toml"));
        tests.retain(|test| wanted(&test.name));
        let mut machine = Machine::as_root()?;
        let user = machine.user()?;
        println!("the tests run as {}", user.name);
        machine.settings()?;
        let stage = Stage::create(&mut machine, &user)?;
        stage.add(&programs)?;
        stage.add(&tests)?;
        machine.enter_group(&user)?;
        Ok(Self {
            stage,
            machine,
            tests,
            environment: Vec::new(),
        })
    }

    /// Sets a variable for the tests.
    pub fn environment(&mut self, name: &'static str, value: String) {
        self.environment.push((name, value));
    }

    /// Runs the tests, then looks for what they left behind.
    pub fn run(mut self, selection: &Selection) -> Outcome<Tally> {
        let mut tally = Tally::default();
        for test in &self.tests {
            let mut command = self.stage.command(&self.stage.test(&test.name));
            command.arg(AT_ONCE).args(&selection.filters);
            for (name, value) in &self.environment {
                command.env(name, value);
            }
            if selection.full {
                command.env("FUSE_PROMISE_TEST_FULL", "1");
            }
            tally += libtest(&mut command)?;
        }
        if tally == Tally::default() {
            return Err("no test ran".into());
        }
        let left = self.machine.leftovers()?;
        for item in &left {
            println!("left behind: {item}");
        }
        tally += Tally::one(left.is_empty());
        Ok(tally)
    }
}
