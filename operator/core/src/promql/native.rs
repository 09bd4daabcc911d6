//! Native histograms: one series whose samples hold all buckets, where a classic histogram has a series for each bucket,
//! the sum and the count.

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{AggregateExpr, Call, Expr, LabelModifier, VectorSelector};

use super::{Error, Expression};

/// The label of a bucket's upper bound.
const BOUND: &str = "le";
/// Functions of a range whose result for a histogram is a histogram.
const RATES: [&str; 4] = ["rate", "increase", "irate", "delta"];
/// Functions of a range that look at samples, whatever they hold.
const OF_SAMPLES: [&str; 5] = [
    "absent_over_time",
    "present_over_time",
    "count_over_time",
    "resets",
    "changes",
];

/// Which series of a classic histogram it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HistogramPart {
    /// `_bucket`.
    Bucket,
    /// `_sum`.
    Sum,
    /// `_count`.
    Count,
}

impl HistogramPart {
    /// Every part, with the suffix of its series.
    pub const ALL: [(&'static str, Self); 3] =
        [("_bucket", Self::Bucket), ("_sum", Self::Sum), ("_count", Self::Count)];

    /// The histogram that a series is a part of, by its name.
    pub fn of(series: &str) -> Option<(&str, Self)> {
        let part = |(suffix, part): &(&str, Self)| Some((series.strip_suffix(suffix)?, *part));
        Self::ALL.iter().find_map(part)
    }
}

/// The selector of the range that a call is of.
pub(super) fn range(call: &Call) -> Option<&VectorSelector> {
    call.args.args.iter().find_map(|arg| match arg.as_ref() {
        Expr::MatrixSelector(matrix) => Some(&matrix.vs),
        _ => None,
    })
}

/// Whether the result of a call on a native histogram has to be taken apart; not where the call looks at samples only.
pub(super) fn is_rate(call: &Call) -> Result<bool, Error> {
    let name = call.func.name;
    if RATES.contains(&name) {
        Ok(true)
    } else if OF_SAMPLES.contains(&name) {
        Ok(false)
    } else {
        let read = range(call).map(ToString::to_string).unwrap_or_default();
        Err(Error::Native(read))
    }
}

/// Takes the bound that selects a single bucket out of a selector.
pub(super) fn take_bound(vector: &mut VectorSelector) -> Result<Option<String>, Error> {
    let written = vector.to_string();
    let matchers = std::mem::take(&mut vector.matchers.matchers);
    let (bounds, others): (Vec<Matcher>, Vec<Matcher>) = matchers.into_iter().partition(|own| own.name == BOUND);
    vector.matchers.matchers = others;
    match bounds.as_slice() {
        [] => Ok(None),
        [bound] => number(bound).map(Some).ok_or(Error::Native(written)),
        _ => Err(Error::Native(written)),
    }
}

/// The number that a matcher of a bound means: `5`, or a pattern that also matches `5.0`.
fn number(bound: &Matcher) -> Option<String> {
    let text = match &bound.op {
        MatchOp::Equal => bound.value.clone(),
        MatchOp::Re(_) => {
            let whole = ["([.]0)?", "(\\.0)?", "(\\\\.0)?"]
                .iter()
                .find_map(|zero| bound.value.strip_suffix(zero));
            whole.unwrap_or(&bound.value).replace("[.]", ".").replace("\\.", ".")
        }
        MatchOp::NotEqual | MatchOp::NotRe(_) => return None,
    };
    text.parse::<f64>().ok().filter(|bound| bound.is_finite())?;
    Some(text)
}

/// What a part of a classic histogram is of a native one. The share of a bucket is interpolated; a histogram without an
/// observation has no share, and is left out.
pub(super) fn part_of(part: HistogramPart, bound: Option<&str>, histogram: &Expr) -> Result<Expr, Error> {
    let text = match (part, bound) {
        (HistogramPart::Bucket, None) => return Ok(histogram.clone()),
        (HistogramPart::Bucket, Some(bound)) => {
            format!("(histogram_fraction(0, {bound}, {histogram}) * (histogram_count({histogram}) > 0))")
        }
        (HistogramPart::Sum, _) => format!("histogram_sum({histogram})"),
        (HistogramPart::Count, _) => format!("histogram_count({histogram})"),
    };
    Expression::parse(&text).map(|expr| expr.0)
}

/// The aggregation without the label of bounds, which a native histogram does not have. None if it has none.
pub(super) fn without_bound(aggregate: &AggregateExpr) -> Option<AggregateExpr> {
    let Some(LabelModifier::Include(labels)) = &aggregate.modifier else {
        return None;
    };
    if !labels.labels.iter().any(|label| label == BOUND) {
        return None;
    }
    let mut without = aggregate.clone();
    if let Some(LabelModifier::Include(labels)) = &mut without.modifier {
        labels.labels.retain(|label| label != BOUND);
    }
    Some(without)
}
