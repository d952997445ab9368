//! The bus objects over socket pairs, with a real engine and no mount and no bus.

mod fuzz;
mod inspect;
mod introspection;
mod job;
mod list;
mod manager;
mod objects;
mod promise;
mod provider;
mod rig;
mod socket;
mod stop;

pub use rig::run;
