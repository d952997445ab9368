//! `cargo xtask test`: everything that must hold, in named parts.

use std::process::ExitCode;

use clap::Args;

use crate::Outcome;
use crate::packages;
use crate::parts::{PARTS, Part, Selection};
use crate::steps::{Steps, Tally};

/// Installs what is missing, then runs every check, or the parts named.
#[derive(Debug, Args)]
pub struct Test {
    /// Parts to run; all of them if none is named.
    #[arg(value_name = "PART")]
    parts: Vec<String>,

    /// Add the checks that take long.
    #[arg(long)]
    full: bool,

    /// List the parts.
    #[arg(long)]
    list: bool,

    /// Run only tests whose names contain one of these.
    #[arg(last = true, value_name = "FILTER")]
    filters: Vec<String>,
}

impl Test {
    pub fn run(self) -> Outcome<ExitCode> {
        if self.list {
            for part in PARTS {
                println!("{:<12} {}", part.name, part.about);
            }
            return Ok(ExitCode::SUCCESS);
        }
        let parts = self.selected()?;
        let mut steps = Steps::default();
        let needs: Vec<_> = parts.iter().flat_map(|part| part.needs).copied().collect();
        steps.run("packages", || {
            packages::install(&needs).map(|()| Tally::default())
        });
        let selection = Selection {
            full: self.full,
            filters: self.filters,
        };
        for part in parts {
            steps.run(part.name, || (part.run)(&selection));
        }
        Ok(steps.report())
    }

    fn selected(&self) -> Outcome<Vec<&'static Part>> {
        for name in &self.parts {
            if PARTS.iter().all(|part| part.name != name) {
                let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
                return Err(
                    format!("there is no part `{name}`; parts: {}", names.join(" ")).into(),
                );
            }
        }
        Ok(PARTS
            .iter()
            .filter(|part| self.parts.is_empty() || self.parts.iter().any(|n| n == part.name))
            .collect())
    }
}
