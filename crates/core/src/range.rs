//! Ranges of a file.

/// How many of `length` bytes at `offset` lie below `size`. No offset or length overflows.
#[must_use]
pub fn clamp(offset: u64, length: u32, size: u64) -> u32 {
    let left = size.saturating_sub(offset);
    u32::try_from(left).map_or(length, |left| left.min(length))
}

#[cfg(test)]
mod tests {
    use super::clamp;

    const LARGEST: u64 = i64::MAX as u64;

    #[test]
    fn a_range_is_cut_at_the_end_of_the_file() {
        assert_eq!(clamp(0, 10, 100), 10);
        assert_eq!(clamp(95, 10, 100), 5);
        assert_eq!(clamp(99, 10, 100), 1);
        assert_eq!(clamp(100, 10, 100), 0);
        assert_eq!(clamp(101, 10, 100), 0);
        assert_eq!(clamp(0, 10, 0), 0);
        assert_eq!(clamp(3, 0, 100), 0);
    }

    #[test]
    fn the_largest_file_and_the_largest_offset_do_not_overflow() {
        assert_eq!(clamp(0, u32::MAX, LARGEST), u32::MAX);
        assert_eq!(clamp(LARGEST - 1, 4096, LARGEST), 1);
        assert_eq!(clamp(LARGEST, 4096, LARGEST), 0);
        assert_eq!(clamp(u64::MAX, u32::MAX, LARGEST), 0);
        assert_eq!(clamp(0, u32::MAX, u64::from(u32::MAX) + 1), u32::MAX);
        assert_eq!(clamp(1, u32::MAX, u64::from(u32::MAX)), u32::MAX - 1);
    }
}
