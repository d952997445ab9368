//! What a promise is, without any way to touch the world: names, attributes, ids, the image of a
//! committed tree, the one table of outcomes and the limits.
//!
//! Nothing here does I/O, starts a thread or needs unsafe code, so everything here can be tested
//! by calling it.

#![forbid(unsafe_code)]

pub mod attr;
pub mod failure;
pub mod ids;
pub mod image;
pub mod limits;
pub mod path;
pub mod range;
pub mod record;
pub mod status;
pub mod words;

/// `FP_API_VERSION` of the C header, which every program is compiled with; part of the frozen 1.0
/// ABI.
pub const API_VERSION: u32 = 1;

pub use attr::{NodeAttr, NodeKind};
pub use failure::{Failure, Result};
pub use ids::{Inode, JobNumber, PromiseNumber, ProviderNumber, Row, Token};
pub use image::{ImageView, Node, TreeBuilder};
pub use path::{PathRule, RelativePath};
pub use record::Record;
pub use status::Status;
pub use words::{CachePolicy, ConflictPolicy, NodeState, ProviderState};
