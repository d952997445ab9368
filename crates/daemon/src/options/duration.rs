//! Durations as people write them: a whole number and a unit, seconds without one.

use std::time::Duration;

/// Reads `500ms`, `30s`, `30`, `5m`, `1h`.
///
/// # Errors
/// A sentence that says what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds_each = match unit.trim() {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected(text)),
    };
    let number: u64 = number.parse().map_err(|_| expected(text))?;
    let milliseconds = number
        .checked_mul(milliseconds_each)
        .filter(|&milliseconds| milliseconds <= LONGEST_MS)
        .ok_or_else(|| format!("\"{text}\" is too long; the longest is 8760h"))?;
    Ok(Duration::from_millis(milliseconds))
}

/// A year. Longer than any session, and short enough that no sum of deadlines overflows.
const LONGEST_MS: u64 = 8_760 * 3_600_000;

fn expected(text: &str) -> String {
    format!("\"{text}\" is no duration; write a number with a unit, as in 500ms, 30s, 5m or 1h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_says_what_is_counted_and_seconds_are_the_default() {
        for (text, milliseconds) in [
            ("0", 0),
            ("30", 30_000),
            ("30s", 30_000),
            ("500ms", 500),
            ("5m", 300_000),
            ("5min", 300_000),
            ("1h", 3_600_000),
            ("8760h", LONGEST_MS),
            ("2 s", 2_000),
        ] {
            assert_eq!(
                parse(text),
                Ok(Duration::from_millis(milliseconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_text_and_an_example() {
        for text in ["", "s", "-1s", "1.5s", "10 parsecs", "1h30m", "\u{661}s"] {
            let refusal = parse(text).unwrap_err();
            assert!(
                refusal.contains(text) && refusal.contains("500ms"),
                "{refusal}"
            );
        }
        for text in ["8761h", "18446744073709551615h"] {
            assert!(parse(text).unwrap_err().contains("too long"), "{text}");
        }
        let beyond_u64 = parse("99999999999999999999s").unwrap_err();
        assert!(beyond_u64.contains("99999999999999999999s"), "{beyond_u64}");
    }
}
