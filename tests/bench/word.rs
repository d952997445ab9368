//! The words that content is made of: 64 bits, each a mix of its own position, so that every page
//! differs and a reader can tell from the offset alone which bytes belong there. provider.c has
//! the same function.

/// The word at position `index` (byte offset divided by 8), the finalizer of splitmix64.
pub fn word(index: u64) -> u64 {
    let mut mixed = index.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
