//! Duration: texts of Go such as `1h0m0s`, as a refreshInterval has them.

/// `None` where it is none, or no number of whole seconds.
pub(super) fn seconds(text: &str) -> Option<u64> {
    milliseconds(text).filter(|ms| ms.is_multiple_of(1000)).map(|ms| ms / 1000)
}

/// `None` where it is none, or has parts below a millisecond.
pub(crate) fn milliseconds(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, next) = after.split_at_checked(letters)?;
        let number: u64 = number.parse().ok()?;
        let each = match unit {
            "h" => 3_600_000,
            "m" => 60_000,
            "s" => 1000,
            "ms" => 1,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(each)?)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

/// With one unit, the largest that is exact.
pub(super) fn interval(seconds: u64) -> String {
    match seconds {
        0 => "0".to_owned(),
        s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_go_become_intervals_of_one_unit() {
        let of = |text| seconds(text).map(interval);
        for (text, interval) in [
            ("1h0m0s", "1h"),
            ("30s", "30s"),
            ("90s", "90s"),
            ("1h30m", "90m"),
            ("0", "0"),
            ("2000ms", "2s"),
        ] {
            assert_eq!(of(text).as_deref(), Some(interval), "{text}");
        }
        for text in ["", "1", "s", "1d", "1.5h", "-1s", "1h ", "1500ms", "99999999999999999999h"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
