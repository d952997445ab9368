//! What one side of a case reached in one round.

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Baseline,
    Promise,
}

/// One side's rate, and what an operation (a read, a copied MiB or file) cost it.
#[derive(Debug, Clone, Copy)]
pub struct Measurement {
    /// In the unit of its case; the more, the better.
    pub rate: f64,
    /// Processor time of all programs concerned, for each operation.
    pub cpu_microseconds: f64,
    /// Context switches of the serving programs, for each operation.
    pub switches: f64,
    /// Of single operations, where these are timed.
    pub latency: Option<Latency>,
    /// Of the serving program, where memory is what the case is about; for each session, or at most.
    pub memory_kibibytes: Option<f64>,
}

#[derive(Debug, Clone, Copy)]
pub struct Latency {
    pub p50_microseconds: f64,
    pub p99_microseconds: f64,
}

/// The two measurements of one round.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub baseline: Measurement,
    pub promise: Measurement,
}

impl Pair {
    /// Measures both sides, `first` before the other.
    pub fn of<E>(
        first: Side,
        mut measure: impl FnMut(Side) -> Result<Measurement, E>,
    ) -> Result<Self, E> {
        Ok(match first {
            Side::Baseline => Self {
                baseline: measure(Side::Baseline)?,
                promise: measure(Side::Promise)?,
            },
            Side::Promise => {
                let promise = measure(Side::Promise)?;
                let baseline = measure(Side::Baseline)?;
                Self { baseline, promise }
            }
        })
    }

    pub fn side(&self, side: Side) -> &Measurement {
        match side {
            Side::Baseline => &self.baseline,
            Side::Promise => &self.promise,
        }
    }

    pub fn ratio(&self) -> f64 {
        self.promise.rate / self.baseline.rate
    }
}
