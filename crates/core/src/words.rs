//! The words that people and scripts see: states, policies, kinds.
//!
//! Each is an enum with its words beside its variants, so that fpctl, the bus, the extended
//! attributes and the configuration cannot disagree about a spelling.

use crate::failure::Failure;

/// Declares an enum whose variants each have one word: `word()`, `ALL`, `Display`, `FromStr`.
macro_rules! words {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $( $(#[$variant_about:meta])* $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_about])* $variant, )+
        }

        impl $name {
            /// Every variant, in order.
            pub const ALL: &[Self] = &[$( Self::$variant, )+];

            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $( Self::$variant => $word, )+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.word())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::failure::Failure;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL
                    .iter()
                    .copied()
                    .find(|known| known.word() == word)
                    .ok_or_else(|| {
                        let known: Vec<&str> = Self::ALL.iter().map(|known| known.word()).collect();
                        $crate::words::unknown_word(word, &known)
                    })
            }
        }
    };
}

pub(crate) use words;

pub(crate) fn unknown_word(word: &str, known: &[&str]) -> Failure {
    Failure::invalid(format!(
        "unknown word {word:?}; use one of {}",
        known.join(", ")
    ))
}

words! {
    /// Where the bytes of repeated reads come from. A policy never changes what a reader sees.
    pub enum CachePolicy {
        /// Every read goes to the provider, with exactly the range the application asked for.
        NoCache = "no-cache",
        /// What was read once is served from the kernel's page cache and a bounded store.
        ReadThrough = "read-through",
        /// As read-through, and what was read once is kept as long as the promise lives.
        Keep = "keep",
    }
}

impl CachePolicy {
    /// The number of `fp_cache_policy_t`, where 0 leaves the choice to the daemon.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::NoCache => 1,
            Self::ReadThrough => 2,
            Self::Keep => 3,
        }
    }

    /// The policy behind such a number.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|policy| policy.code() == code)
    }
}

words! {
    /// How a provider is doing.
    pub enum ProviderState {
        Live = "live",
        /// Lost, and may come back by its session key.
        Disconnected = "disconnected",
        /// Connected, but not a sign of life within a deadline.
        Stalled = "stalled",
    }
}

words! {
    /// How a node, or the worst file of a promise, is doing: ordered from best to worst.
    pub enum NodeState {
        /// Served from an ordinary file that was written out.
        Materialized = "materialized",
        /// Every byte is held here.
        Cached = "cached",
        /// Served by a live provider.
        Available = "available",
        /// The provider is lost and may resume; reads wait.
        Waiting = "waiting",
        /// The provider is lost for good; reads fail.
        ProviderGone = "provider-gone",
        /// Taken out of the listing; only files already open are served.
        Destroyed = "destroyed",
    }
}

words! {
    /// How far a materialize job is.
    pub enum JobState {
        /// Copies.
        Running = "running",
        /// Everything is written; whoever began the job asked for the last word.
        Waiting = "waiting",
        /// Ended well.
        Finished = "finished",
        /// Ended with a failure, of the whole or of an entry.
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

words! {
    /// What became of an entry of a materialize that was not simply written.
    pub enum EntryOutcome {
        /// It took the place of a file that was there.
        Replaced = "replaced",
        /// The policy left what was there.
        Skipped = "skipped",
        Failed = "failed",
    }
}

words! {
    /// What a materialize does where something is in its way.
    pub enum ConflictPolicy {
        /// Refuse the whole job before anything is written.
        Fail = "fail",
        /// Replace regular files, reuse directories.
        Overwrite = "overwrite",
        /// Give the root of the copy a name of its own.
        Rename = "rename",
        /// Leave what is there.
        Skip = "skip",
        /// Replace only files that are older than the promised ones.
        Newer = "newer",
    }
}

impl ConflictPolicy {
    /// The policy behind a number of `fp_conflict_policy_t`.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr::NodeKind;
    use crate::status::Status;

    #[test]
    fn every_word_leads_back_to_its_variant() {
        for policy in CachePolicy::ALL {
            assert_eq!(policy.word().parse(), Ok(*policy));
        }
        for state in ProviderState::ALL {
            assert_eq!(state.word().parse(), Ok(*state));
        }
        for state in NodeState::ALL {
            assert_eq!(state.word().parse(), Ok(*state));
        }
        for kind in NodeKind::ALL {
            assert_eq!(kind.word().parse(), Ok(*kind));
        }
    }

    #[test]
    fn a_cache_policy_has_its_number_and_0_is_none() {
        for policy in CachePolicy::ALL {
            assert_eq!(CachePolicy::from_code(policy.code()), Some(*policy));
        }
        for other in [0, 4, u32::MAX] {
            assert_eq!(CachePolicy::from_code(other), None);
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_those_that_are_known() {
        let refused = "none".parse::<CachePolicy>().unwrap_err();
        assert_eq!(refused.status, Status::InvalidArgument);
        assert_eq!(
            refused.message,
            "unknown word \"none\"; use one of no-cache, read-through, keep"
        );
        assert!("".parse::<NodeState>().is_err());
        assert!("Available".parse::<NodeState>().is_err());
    }

    #[test]
    fn states_are_ordered_from_best_to_worst() {
        assert!(NodeState::ALL.is_sorted());
        let states = [
            NodeState::Cached,
            NodeState::ProviderGone,
            NodeState::Materialized,
        ];
        assert_eq!(states.iter().max(), Some(&NodeState::ProviderGone));
    }
}
