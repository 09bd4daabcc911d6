//! One case of a drill with its numbers, under the service's own names.

use std::collections::{BTreeMap, BTreeSet};

use observed_crds::v1alpha1::signal_pack::{Amount, DrillCase, DrillSeries, Scope, SignalPack};

use super::ties::{self, Ties};
use crate::plan::{self, Course, Input};
use crate::promql::{Error, Price, Tie, amount};

/// Whether a case can come up at a service without these labels: not when it tells series apart by one of them.
pub(super) fn can_be(case: &DrillCase, without: &BTreeSet<String>) -> bool {
    without.iter().all(|label| {
        let series = case.given.values().flatten();
        let values: BTreeSet<_> = series.filter_map(|series| series.labels.get(label)).collect();
        values.len() <= 1
    })
}

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
            inputs.extend(input(pack, selector, series, variables, ties)?);
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
) -> Result<Vec<Input>, Error> {
    let tie = ties.of(pack)?;
    let scope = ties.scope_of(selector)?;
    let without = ties.without(pack);
    let mut labels: BTreeMap<String, String> = series
        .labels
        .iter()
        .filter(|(label, _)| scope != Scope::Service || !without.contains(*label))
        .map(|(label, value)| {
            let label = if scope == Scope::Service {
                tie.label(label)
            } else {
                label
            };
            (label.to_owned(), value.clone())
        })
        .collect();
    let declared = ties.declared(pack, selector);
    if let Some(bucket) = &series.bucket {
        labels.insert("le".to_owned(), bound(number(bucket, variables)?));
    }
    let seconds = |amount: &Option<Amount>| match amount {
        Some(amount) => whole_seconds(number(amount, variables)?, amount).map(Some),
        None => Ok(None),
    };
    let (since, reset_at, until) = (
        seconds(&series.since)?,
        seconds(&series.reset_at)?,
        seconds(&series.until)?,
    );
    let at_service = |name: Option<&str>, labels, times| {
        Ok(Input {
            name: name.ok_or_else(|| Error::Undeclared(selector.to_owned()))?.to_owned(),
            scope,
            labels,
            workload_labels: declared
                .map(|declared| ties::workload_labels(declared, ties.target_kind()))
                .unwrap_or_default(),
            host_label: declared
                .and_then(|declared| ties.host_label(pack, declared))
                .map(str::to_owned),
            course: course(selector, series, times, variables)?,
            since,
            from: 0,
            reset_at,
            until,
        })
    };
    match declared.and_then(|series| ties.priced(series)) {
        Some((priced, prices)) => computed(tie, &prices, &labels)
            .into_iter()
            .map(|(labels, times)| at_service(tie.metric(&priced.from), labels, times))
            .collect(),
        None => Ok(vec![at_service(tie.metric(selector), labels, 1.0)?]),
    }
}

/// The tokens that cost as much, every price the same part of it: their labels, and how many of them that part of a
/// dollar buys.
fn computed(tie: &Tie, prices: &[Price], labels: &BTreeMap<String, String>) -> Vec<(BTreeMap<String, String>, f64)> {
    let parts = prices.len() as f64;
    let each = prices.iter().map(|price| {
        let own = price
            .labels
            .iter()
            .map(|(label, value)| (tie.label(label).to_owned(), value.clone()));
        (
            labels.clone().into_iter().chain(own).collect(),
            1.0 / (price.each * parts),
        )
    });
    each.collect()
}

fn course(selector: &str, series: &DrillSeries, times: f64, variables: &[(&str, f64)]) -> Result<Course, Error> {
    let (make, written): (fn(f64) -> Course, _) = match (&series.value, &series.rate, &series.count) {
        (Some(value), None, None) => (Course::Constant, value),
        (None, Some(rate), None) => (Course::Rate, rate),
        (None, None, Some(count)) => (Course::Step, count),
        _ => return Err(Error::Amount(format!("{selector}: not one of value, rate and count"))),
    };
    let value = number(written, variables)? * times;
    if !value.is_finite() {
        return Err(Error::Amount(shown(written)));
    }
    match &series.slope {
        Some(slope) if series.value.is_some() => Ok(Course::Line(value, number(slope, variables)?)),
        Some(slope) => Err(Error::Amount(format!(
            "{selector}: the slope {} is of no value",
            shown(slope)
        ))),
        None => Ok(make(value)),
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
