//! Numbers as decimal text: compared and computed exactly, or not at all.

use std::cmp::Ordering;

/// As JSON writes them: no plus, no leading zero, no bare point.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let mantissa = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|text| digits(text.strip_prefix(['+', '-']).unwrap_or(text)))
}

/// 0.`digits` times ten to the power of `exponent`; no digits for zero.
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// `None` if its exponent has no place in 64 bits.
    fn of(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let zeros = all.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, exponent: 0 });
        }
        let point = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(zeros).ok()?)?;
        let exponent = exponent.parse::<i64>().ok()?.checked_add(point)?;
        Some(Self { negative, digits, exponent })
    }

    /// As a whole number of 10^-`scale`.
    fn scaled(&self, scale: i64) -> Option<i128> {
        if self.digits.is_empty() {
            return Some(0);
        }
        let digits = i64::try_from(self.digits.len()).ok()?;
        let zeros = self.exponent.checked_add(scale)?.checked_sub(digits)?;
        let factor = 10_i128.checked_pow(u32::try_from(zeros).ok()?)?;
        let value = self.digits.parse::<i128>().ok()?.checked_mul(factor)?;
        Some(if self.negative { -value } else { value })
    }

    /// How many decimal places it has.
    fn places(&self) -> Option<i64> {
        let digits = i64::try_from(self.digits.len()).ok()?;
        Some(digits.checked_sub(self.exponent)?.max(0))
    }
}

/// `None` if an exponent is beyond all bounds.
pub(super) fn compare(a: &str, b: &str) -> Option<Ordering> {
    let (a, b) = (Decimal::of(a)?, Decimal::of(b)?);
    let sign = |number: &Decimal| match (number.digits.is_empty(), number.negative) {
        (true, _) => 0,
        (false, true) => -1,
        (false, false) => 1,
    };
    // Without trailing zeros the digits of fractions compare as texts do.
    let size = a.exponent.cmp(&b.exponent).then_with(|| a.digits.cmp(&b.digits));
    Some(match sign(&a).cmp(&sign(&b)) {
        Ordering::Equal if sign(&a) < 0 => size.reverse(),
        Ordering::Equal if sign(&a) == 0 => Ordering::Equal,
        Ordering::Equal => size,
        differ => differ,
    })
}

pub(super) fn abs(text: &str) -> &str {
    text.strip_prefix('-').unwrap_or(text)
}

/// The whole number next to it, downwards or upwards.
pub(super) fn round(text: &str, up: bool) -> Option<String> {
    if !text.contains(['.', 'e', 'E']) {
        return Some(text.to_owned());
    }
    let number = Decimal::of(text)?;
    let places = number.places()?;
    // A fraction this small is no more than that there is one.
    let (value, unit) = if number.exponent <= 0 && !number.digits.is_empty() {
        (if number.negative { -1 } else { 1 }, 2)
    } else {
        (number.scaled(places)?, 10_i128.checked_pow(u32::try_from(places).ok()?)?)
    };
    let below = value.div_euclid(unit);
    let exact = value.rem_euclid(unit) == 0;
    Some((if up && !exact { below.checked_add(1)? } else { below }).to_string())
}

/// Exact, or `None` if it has more than 38 digits.
pub(super) fn sum<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let (total, scale, _) = total(texts)?;
    Some(decimal(total, scale))
}

/// Exact if its digits end, otherwise the nearest double, as JMESPath has it.
pub(super) fn average<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    const MORE_PLACES: u32 = 12;
    const MOST_DIGITS: usize = 38;
    let (total, scale, count) = total(texts)?;
    let count = i128::try_from(count).ok()?;
    let longer = total.checked_mul(10_i128.checked_pow(MORE_PLACES)?)?;
    if longer.checked_rem(count)? == 0 {
        return Some(decimal(longer.checked_div(count)?, scale + i64::from(MORE_PLACES)));
    }
    // Thirty digits are more than enough for the double next to them.
    let digits = total.unsigned_abs().to_string().len();
    let more = u32::try_from(MOST_DIGITS.checked_sub(digits)?).ok()?;
    let near = total.checked_mul(10_i128.checked_pow(more)?)?.checked_div(count)?;
    let text = format!("{near}1e-{}", scale + i64::from(more) + 1);
    Some(text.parse::<f64>().ok()?.to_string())
}

fn total<'a>(texts: impl Iterator<Item = &'a str>) -> Option<(i128, i64, usize)> {
    let numbers: Vec<Decimal> = texts.map(Decimal::of).collect::<Option<_>>()?;
    let places: Vec<i64> = numbers.iter().map(Decimal::places).collect::<Option<_>>()?;
    let scale = places.into_iter().max().unwrap_or(0);
    let total = numbers
        .iter()
        .try_fold(0_i128, |total, number| total.checked_add(number.scaled(scale)?))?;
    Some((total, scale, numbers.len()))
}

/// `value` times 10^-`scale`, without zeros at the end of a fraction.
fn decimal(value: i128, scale: i64) -> String {
    let places = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0>width$}", value.unsigned_abs().to_string(), width = places + 1);
    let (whole, fraction) = digits.split_at_checked(digits.len() - places).unwrap_or((&digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests;
