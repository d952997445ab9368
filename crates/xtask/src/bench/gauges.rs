//! The daemon's own figures, as `fpctl status` tells them.

use std::collections::HashMap;
use std::process::Command;

use super::starting::printed;
use crate::Outcome;

pub struct Gauges(HashMap<String, u64>);

impl Gauges {
    /// Of the daemon whose session the command is in.
    pub fn ask(mut fpctl: Command) -> Outcome<Self> {
        fpctl.arg("status");
        Ok(Self::parse(&printed(fpctl)?))
    }

    /// What is no number is no gauge.
    fn parse(status: &str) -> Self {
        let pairs = status.lines().filter_map(|line| line.split_once('='));
        let numbers = pairs.filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
        Self(numbers.collect())
    }

    pub fn get(&self, name: &str) -> Outcome<u64> {
        let value = self.0.get(name).copied();
        value.ok_or_else(|| format!("fpctl status tells no {name}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gauges_and_words_are_not() {
        let gauges = Gauges::parse("daemon=connected\nlookups=12\nserved_bytes=0\n");
        assert_eq!(gauges.get("lookups").unwrap(), 12);
        assert_eq!(gauges.get("served_bytes").unwrap(), 0);
        assert!(gauges.get("daemon").is_err());
    }
}
