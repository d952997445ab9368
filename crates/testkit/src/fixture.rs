//! Providers for tests: content that is known from a node's id alone, answers
//! that go wrong on demand, and a program that serves both.

pub mod answers;
pub mod check;
pub mod content;
pub mod control;
pub mod hand_played;
pub mod process;
pub mod random;
pub mod script;
pub mod tree;
