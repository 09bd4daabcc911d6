//! Shares in exact arithmetic, so that no binary fraction is ever seen: 0.1 % is 0.001, and 14.4 times that 0.0144.

/// Parts of one in which a target is counted: percent with five decimals.
const PARTS: u64 = 10_000_000;
/// Decimals of a percentage that [`PARTS`] hold.
const PERCENT_DECIMALS: usize = 5;
/// Decimals that are printed at most.
const DECIMALS: usize = 15;
/// Ten to the power of [`DECIMALS`].
const SCALE: u128 = 1_000_000_000_000_000;

/// A fraction, not negative.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    numerator: u128,
    denominator: u128,
}

impl Share {
    /// `numerator / denominator`; of nothing it is 0.
    pub(super) fn new(numerator: u64, denominator: u64) -> Self {
        Self {
            numerator: numerator.into(),
            denominator: u128::from(denominator.max(1)),
        }
    }

    /// A percentage greater than 0 and less than 100, as `99.9%`.
    pub(super) fn of_percent(text: &str) -> Option<Self> {
        let number = text.strip_suffix('%')?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 2 || fraction.len() > PERCENT_DECIMALS || number.ends_with('.') {
            return None;
        }
        if !digits(whole) || !digits(fraction) {
            return None;
        }
        let parts: u64 = format!("{whole}{fraction:0<PERCENT_DECIMALS$}").parse().ok()?;
        (parts > 0).then(|| Self::new(parts, PARTS))
    }

    /// What is missing to one.
    pub(super) fn rest(self) -> Self {
        Self {
            numerator: self.denominator.saturating_sub(self.numerator),
            denominator: self.denominator,
        }
    }

    pub(super) fn times(self, other: Self) -> Self {
        Self {
            numerator: self.numerator.saturating_mul(other.numerator),
            denominator: self.denominator.saturating_mul(other.denominator),
        }
    }

    /// Divided by a share that is not 0.
    pub(super) fn per(self, other: Self) -> Self {
        Self {
            numerator: self.numerator.saturating_mul(other.denominator),
            denominator: self.denominator.saturating_mul(other.numerator.max(1)),
        }
    }

    /// The least hundredth of a percent that is greater.
    pub(super) fn next_hundredth(self) -> Self {
        let hundredths = self.numerator.saturating_mul(10_000) / self.denominator;
        Self {
            numerator: hundredths.saturating_add(1),
            denominator: 10_000,
        }
    }

    /// Whether a ratio, which is never greater than one, can be greater.
    pub(super) fn can_be_exceeded(self) -> bool {
        self.numerator < self.denominator
    }

    /// As a decimal number, rounded after 15 decimals.
    pub(super) fn decimal(self) -> String {
        self.scaled(0)
    }

    /// As a percentage, with its sign.
    pub(super) fn percent(self) -> String {
        format!("{}%", self.scaled(2))
    }

    /// The nearest number of a computer.
    pub(super) fn value(self) -> f64 {
        self.decimal().parse().unwrap_or_default()
    }

    /// The decimal number times ten to the power of `shift`.
    fn scaled(self, shift: usize) -> String {
        let decimals = DECIMALS - shift;
        let scaled = self
            .numerator
            .saturating_mul(SCALE)
            .saturating_add(self.denominator / 2)
            / self.denominator;
        let digits = scaled.to_string();
        let zeros = "0".repeat((decimals + 1).saturating_sub(digits.len()));
        let digits = zeros + &digits;
        let (whole, fraction) = digits.split_at(digits.len() - decimals);
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() {
            whole.to_owned()
        } else {
            format!("{whole}.{fraction}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_and_its_multiples_print_as_people_write_them() {
        for (target, budget, burning) in [
            ("99.9%", "0.001", "0.0144"),
            ("99.99%", "0.0001", "0.00144"),
            ("99.95%", "0.0005", "0.0072"),
            ("99%", "0.01", "0.144"),
            ("99.99999%", "0.0000001", "0.00000144"),
            ("0.00001%", "0.9999999", "14.39999856"),
        ] {
            let target = Share::of_percent(target).unwrap();
            assert_eq!(target.rest().decimal(), budget);
            let burning_ = Share::new(144, 10).times(target.rest());
            assert_eq!(burning_.decimal(), burning);
            assert_eq!(burning_.value().to_string(), burning);
        }
        assert_eq!(Share::of_percent("99.9%").unwrap().rest().percent(), "0.1%");
        assert_eq!(Share::new(7, 30).decimal(), "0.233333333333333");
        assert_eq!(Share::new(1, 1).percent(), "100%");
    }

    #[test]
    fn what_is_no_percentage_between_0_and_100_is_none() {
        for wrong in [
            "",
            "%",
            "99.9",
            "100%",
            "0%",
            "0.0%",
            "-1%",
            "99,9%",
            "99.%",
            ".5%",
            "99.999999%",
            "1e1%",
            "9\u{664}%",
        ] {
            assert!(Share::of_percent(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn a_threshold_of_one_can_never_be_exceeded() {
        let at = |target| Share::new(144, 10).times(Share::of_percent(target).unwrap().rest());
        assert!(at("93.06%").can_be_exceeded());
        assert!(!at("93.05%").can_be_exceeded());
        assert!(!Share::new(1, 1).can_be_exceeded());
        // 1 - 1 / 14.4, which is 93.0555... %.
        assert_eq!(Share::new(134, 144).next_hundredth().percent(), "93.06%");
        assert_eq!(Share::new(1, 2).next_hundredth().percent(), "50.01%");
    }
}
