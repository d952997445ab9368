//! What a case must reach. A case may have several targets, or none where only the figures matter.

use std::fmt;

use super::measurement::Side;
use super::report::Measured;

#[derive(Debug, Clone, Copy, Default)]
pub struct Target {
    /// The least acceptable share of the baseline's rate.
    pub ratio: Option<f64>,
    /// The least acceptable rate.
    pub rate: Option<f64>,
    /// The 99th percentile of the promise's latencies, as a multiple of the baseline's, at most.
    pub p99: Option<f64>,
    /// KiB of memory, at most.
    pub memory: Option<f64>,
}

impl Target {
    pub const NONE: Self = Self {
        ratio: None,
        rate: None,
        p99: None,
        memory: None,
    };

    pub const fn ratio(least: f64) -> Self {
        Self {
            ratio: Some(least),
            ..Self::NONE
        }
    }

    pub const fn rate(least: f64) -> Self {
        Self {
            rate: Some(least),
            ..Self::NONE
        }
    }

    pub const fn memory(most: f64) -> Self {
        Self {
            memory: Some(most),
            ..Self::NONE
        }
    }

    pub const fn and_ratio(self, least: f64) -> Self {
        Self {
            ratio: Some(least),
            ..self
        }
    }

    pub const fn and_p99(self, most: f64) -> Self {
        Self {
            p99: Some(most),
            ..self
        }
    }

    /// A sentence for each of them that was missed.
    pub fn missed(&self, measured: &Measured) -> Vec<String> {
        let (name, unit) = (measured.case.name, measured.case.unit());
        let ratio = measured.ratio().median;
        let rate = measured.of(Side::Promise, |now| now.rate).median;
        let p99 = measured.p99_ratio();
        let mut missed = Vec::new();
        if let Some(least) = self.ratio.filter(|least| ratio < *least) {
            missed.push(format!(
                "{name}: {ratio:.3} of the baseline, target {least:.2}"
            ));
        }
        if let Some(least) = self.rate.filter(|least| rate < *least) {
            missed.push(format!("{name}: {rate:.0} {unit}, target {least:.0}"));
        }
        if let Some((most, p99)) = self.p99.zip(p99).filter(|(most, p99)| p99 > most) {
            missed.push(format!(
                "{name}: p99 is {p99:.2} times the baseline's, target {most:.2}"
            ));
        }
        let memory = measured.memory(Side::Promise).map(|memory| memory.median);
        let too_much = self.memory.zip(memory).filter(|(most, now)| now > most);
        if let Some((most, memory)) = too_much {
            missed.push(format!("{name}: {memory:.0} KiB, target {most:.0}"));
        }
        missed
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map(|least| format!("{least:.2}"));
        let rate = self.rate.map(|least| format!("{least:.0}/s"));
        let p99 = self.p99.map(|most| format!("p99 x{most:.1}"));
        let memory = self.memory.map(|most| format!("{most:.0} KiB"));
        let all: Vec<String> = [ratio, rate, p99, memory].into_iter().flatten().collect();
        out.write_str(if all.is_empty() { "-" } else { "" })?;
        out.write_str(&all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_in_one_cell() {
        assert_eq!(Target::NONE.to_string(), "-");
        let target = Target::rate(70.0).and_ratio(7.0);
        assert_eq!(target.to_string(), "7.00, 70/s");
        assert_eq!(
            Target::ratio(0.65).and_p99(2.0).to_string(),
            "0.65, p99 x2.0"
        );
        assert_eq!(Target::memory(200.0).to_string(), "200 KiB");
    }
}
