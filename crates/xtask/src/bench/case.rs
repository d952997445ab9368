//! What is read, and how much of the baseline's rate a promise must reach.

/// One way to read the file.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    /// The reader program's first argument.
    pub order: &'static str,
    pub block: u64,
    pub readers: usize,
    /// The least acceptable share of the baseline's rate.
    pub target: f64,
}

/// The targets follow from the number of wake-ups: a read from one process needs two, a read
/// through a provider four. The larger the read, the less they weigh.
pub const CASES: [Case; 4] = [
    Case {
        name: "sequential-1m",
        order: "sequential",
        block: 1 << 20,
        readers: 1,
        target: 0.90,
    },
    Case {
        name: "sequential-128k",
        order: "sequential",
        block: 128 << 10,
        readers: 1,
        target: 0.52,
    },
    Case {
        name: "random-4k-1",
        order: "random",
        block: 4 << 10,
        readers: 1,
        target: 0.40,
    },
    Case {
        name: "random-4k-8",
        order: "random",
        block: 4 << 10,
        readers: 8,
        target: 0.53,
    },
];
