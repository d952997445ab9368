//! Points in time as people and programs both read them: `2026-11-22T17:43:14.000000001Z`.

const SECONDS_PER_DAY: i64 = 86_400;

/// Nanoseconds since 1970, in UTC as RFC 3339 has it.
pub fn utc(nanoseconds: i64) -> String {
    let (seconds, rest) = (
        nanoseconds.div_euclid(1_000_000_000),
        nanoseconds.rem_euclid(1_000_000_000),
    );
    let (days, of_day) = (
        seconds.div_euclid(SECONDS_PER_DAY),
        seconds.rem_euclid(SECONDS_PER_DAY),
    );
    let (year, month, day) = date(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{rest:09}Z")
}

/// The Gregorian date so many days after 1 January 1970. Years are taken to begin in March, so
/// that a leap day is the last of its year: then the days before a month follow a straight line.
fn date(days: i64) -> (i64, i64, i64) {
    const DAYS_PER_400_YEARS: i64 = 146_097;
    // 1 March of the year 0 is so many days before 1970.
    let days = days + 719_468;
    let (cycle, day) = (
        days.div_euclid(DAYS_PER_400_YEARS),
        days.rem_euclid(DAYS_PER_400_YEARS),
    );
    // A leap day every 4 years, but not every 100, and yet every 400.
    let year = (day - day / 1460 + day / 36_524 - day / (DAYS_PER_400_YEARS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Of March, April and so on, 5 months always have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = match month {
        0..10 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (400 * cycle + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_1970_are_right() {
        for (nanoseconds, wanted) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400_000_000_007, "2000-02-29T00:00:00.000000007Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
            (i64::MAX, "2262-04-11T23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21T00:12:43.145224192Z"),
        ] {
            assert_eq!(utc(nanoseconds), wanted);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = date(-110_000);
        for days in -109_999..110_000 {
            let now = date(days);
            let (year, month, day) = before;
            let next = [
                (year, month, day + 1),
                (year, month + 1, 1),
                (year + 1, 1, 1),
            ];
            assert!(next.contains(&now), "{before:?} {now:?}");
            before = now;
        }
    }
}
