//! Amounts of memory as people write them: a whole number and a unit, bytes without one.

/// Reads `64MiB`, `64M`, `1GiB`, `512KiB`, `1048576`. Units are powers of 1024.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err(expected(text)),
    };
    let number: u64 = number.parse().map_err(|_| expected(text))?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("\"{text}\" is more than there is"))
}

fn expected(text: &str) -> String {
    format!("\"{text}\" is no amount of memory; write a number with a unit, as in 512KiB or 64MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_says_what_is_counted_and_bytes_are_the_default() {
        for (text, bytes) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("7B", 7),
            ("512KiB", 512 << 10),
            ("64MiB", 64 << 20),
            ("64M", 64 << 20),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_text_and_an_example() {
        for text in ["", "MiB", "-1", "1.5G", "64MB", "99999999999999999999"] {
            let refusal = parse(text).unwrap_err();
            assert!(
                refusal.contains(text) && refusal.contains("64MiB"),
                "{refusal}"
            );
        }
        assert!(parse("99999999999GiB").unwrap_err().contains("more than"));
    }
}
