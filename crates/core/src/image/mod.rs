//! A committed tree as one run of bytes.
//!
//! A provider's library builds the image, the daemon checks it once and then serves straight from
//! it: a directory's children are neighbouring rows in the order of their names, so a lookup is a
//! binary search and a listing is a slice. No node costs an allocation.
//!
//! There is exactly one image of a tree. Rows stand in breadth-first order; names and node ids lie
//! in row order without gaps, each with a NUL behind it so that C can read it in place; what is
//! reserved is zero. The check holds an image to all of that, so whatever passes it has one
//! meaning and no corner in which something could hide.

mod builder;
mod check;
mod layout;
mod view;
mod writer;

pub use builder::TreeBuilder;
pub use view::{HEADER_LEN, ImageView, Node};

#[cfg(test)]
mod tests;
