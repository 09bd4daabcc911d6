//! One case of a drill with its numbers, under the service's own names.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{Amount, DrillCase, DrillSeries, Scope, SignalPack};

use super::ties::Ties;
use crate::plan::{self, Course, Input};
use crate::promql::{Error, amount};

/// The case with its numbers.
pub(super) fn case(
    pack: &SignalPack,
    case: &DrillCase,
    variables: &[(&str, f64)],
    ties: &Ties<'_>,
) -> Result<plan::Case, Error> {
    let mut inputs = Vec::new();
    for (selector, given) in &case.given {
        for series in given {
            inputs.push(input(pack, selector, series, variables, ties)?);
        }
    }
    Ok(plan::Case {
        title: case.case.clone(),
        inputs,
    })
}

fn input(
    pack: &SignalPack,
    selector: &str,
    series: &DrillSeries,
    variables: &[(&str, f64)],
    ties: &Ties<'_>,
) -> Result<Input, Error> {
    let tie = ties.of(pack)?;
    let scope = ties.scope_of(selector)?;
    let name = tie
        .metric(selector)
        .ok_or_else(|| Error::Undeclared(selector.to_owned()))?;
    let mut labels: BTreeMap<String, String> = series
        .labels
        .iter()
        .map(|(label, value)| {
            let label = if scope == Scope::Service {
                tie.label(label)
            } else {
                label
            };
            (label.to_owned(), value.clone())
        })
        .collect();
    if let Some(bucket) = &series.bucket {
        labels.insert("le".to_owned(), bound(number(bucket, variables)?));
    }
    let seconds = |amount: &Option<Amount>| match amount {
        Some(amount) => whole_seconds(number(amount, variables)?, amount).map(Some),
        None => Ok(None),
    };
    Ok(Input {
        name: name.to_owned(),
        scope,
        labels,
        course: course(selector, series, variables)?,
        from: 0,
        reset_at: seconds(&series.reset_at)?,
        until: seconds(&series.until)?,
    })
}

fn course(selector: &str, series: &DrillSeries, variables: &[(&str, f64)]) -> Result<Course, Error> {
    let (make, written): (fn(f64) -> Course, _) = match (&series.value, &series.rate, &series.count) {
        (Some(value), None, None) => (Course::Constant, value),
        (None, Some(rate), None) => (Course::Rate, rate),
        (None, None, Some(count)) => (Course::Step, count),
        _ => return Err(Error::Amount(format!("{selector}: not one of value, rate and count"))),
    };
    let value = number(written, variables)?;
    if value.is_finite() {
        Ok(make(value))
    } else {
        Err(Error::Amount(shown(written)))
    }
}

fn number(amount_: &Amount, variables: &[(&str, f64)]) -> Result<f64, Error> {
    match amount_ {
        Amount::Number(number) => Ok(*number),
        Amount::Formula(formula) => amount(formula, variables),
    }
}

fn whole_seconds(seconds: f64, written: &Amount) -> Result<u32, Error> {
    if (0.0..=f64::from(u32::MAX)).contains(&seconds) {
        // It is in range, and the fraction of a second does not matter.
        Ok(seconds as u32)
    } else {
        Err(Error::Amount(shown(written)))
    }
}

fn shown(written: &Amount) -> String {
    match written {
        Amount::Number(number) => number.to_string(),
        Amount::Formula(formula) => formula.clone(),
    }
}

/// The bound of a bucket as client libraries write it.
fn bound(value: f64) -> String {
    if value == f64::INFINITY {
        "+Inf".to_owned()
    } else {
        value.to_string()
    }
}
