//! Changed copies of an input: what makes parsers stumble, a few changes at a time.

use crate::fixture::random::Random;

/// Longer inputs only cost time.
const LEN_MAX: usize = 64 << 10;

/// The borders that counts, offsets and lengths are compared with.
const BORDERS: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0xffff_fffe,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_fffe,
    u64::MAX,
];

/// Up to six changes; `other` is what pieces are taken from.
pub fn mutate(mut input: Vec<u8>, other: &[u8], random: &mut Random) -> Vec<u8> {
    // Most often one or two: many changes at once all end at the first check.
    let changes = 1 + random.below(6) * random.below(2);
    for _ in 0..changes {
        change(&mut input, other, random);
    }
    input.truncate(LEN_MAX);
    input
}

fn change(input: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    match random.below(10) {
        0 => on_byte(input, random, |byte, random| *byte ^= 1 << random.below(8)),
        1 => on_byte(input, random, |byte, random| {
            *byte = random.next_number() as u8;
        }),
        2 | 3 => {
            let border = random.one_of(&BORDERS);
            overwrite(input, random, |_| border);
        }
        4 => {
            let step = random.below(33).wrapping_sub(16);
            overwrite(input, random, |number| number.wrapping_add(step));
        }
        5 => {
            let end = place(input, random);
            input.truncate(end);
        }
        6 => {
            let range = range(input, random);
            input.drain(range);
        }
        7 => {
            let (at, piece) = (place(input, random), range(input, random));
            let piece = input[piece].to_vec();
            input.splice(at..at, piece);
        }
        8 => {
            let (at, piece) = (place(input, random), range(other, random));
            input.splice(at..at, other[piece].iter().copied());
        }
        _ => {
            // The same place of another input: fields stay where they are.
            let piece = range(other, random);
            if piece.end <= input.len() {
                input[piece.clone()].copy_from_slice(&other[piece]);
            }
        }
    }
}

fn on_byte(input: &mut [u8], random: &mut Random, change: impl Fn(&mut u8, &mut Random)) {
    let at = place(input, random);
    if let Some(byte) = input.get_mut(at) {
        change(byte, random);
    }
}

/// Replaces a number of 1, 2, 4 or 8 bytes, which lies at a multiple of its size more often than
/// not.
fn overwrite(input: &mut [u8], random: &mut Random, value: impl Fn(u64) -> u64) {
    let size = random.one_of(&[1_usize, 2, 4, 4, 8, 8]);
    let mut at = place(input, random);
    if random.below(4) > 0 {
        at -= at % size;
    }
    if let Some(field) = input.get_mut(at..at + size) {
        let mut number = [0; 8];
        number[..size].copy_from_slice(field);
        let changed = value(u64::from_le_bytes(number)).to_le_bytes();
        field.copy_from_slice(&changed[..size]);
    }
}

/// A place in the input, or its end.
fn place(input: &[u8], random: &mut Random) -> usize {
    random.below(input.len() as u64 + 1) as usize
}

/// A piece of the input, short ones more often than long ones.
fn range(input: &[u8], random: &mut Random) -> std::ops::Range<usize> {
    let start = place(input, random);
    let longest = (input.len() - start) as u64;
    let longest = random.one_of(&[longest, longest.min(8), longest.min(64)]);
    start..start + random.below(longest + 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_can_be_made_to_every_length() {
        let mut random = Random::new(3);
        let (mut longer, mut shorter, mut same) = (0, 0, 0);
        for length in 0..200_usize {
            for _ in 0..50 {
                let before = vec![7; length];
                let after = mutate(before.clone(), &[1, 2, 3, 4], &mut random);
                longer += u32::from(after.len() > length);
                shorter += u32::from(after.len() < length);
                same += u32::from(after.len() == length && after != before);
            }
        }
        assert!(longer > 1000 && shorter > 1000 && same > 1000);
    }
}
