//! `spec.objectives[].sli`: what is counted.

use observed_crds::v1alpha1::{Latency, Sli};

use super::burn::HOUR;
use super::{Service, own};
use crate::duration;
use crate::finding::{Code, Finding};
use crate::plan::{Events, Indicator, Part};
use crate::promql::{Match, Selector};

/// The indicators of packs, by the names that both sides use.
const ERROR_RATIO: &str = "errorRatio";
const LATENCY: &str = "latency";

/// What the objective counts, and the bound of its bucket. None with a finding, or when the packs are in doubt.
pub(super) fn measured(
    sli: &Sli,
    path: &str,
    service: &Service<'_>,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<Finding>,
) -> Option<(Indicator, Option<String>)> {
    let own = |indicator: Result<Indicator, Vec<Finding>>, findings: &mut Vec<Finding>| match indicator {
        Ok(indicator) => Some((indicator, None)),
        Err(found) => {
            findings.extend(found);
            None
        }
    };
    match (&sli.error_ratio, &sli.latency, &sli.ratio, &sli.expr) {
        (Some(_), None, None, None) => Some((of_packs(ERROR_RATIO, path, service, findings)?, None)),
        (None, Some(latency), None, None) => {
            let indicator = of_packs(LATENCY, path, service, findings);
            let native = indicator.as_ref().is_some_and(is_native);
            let millis = millis(latency, native, path, service, findings, warnings);
            let indicator = indicator?;
            within(indicator, millis?, path, findings)
        }
        (None, None, Some(ratio), None) => own(own::ratio(ratio, path, service), findings),
        (None, None, None, Some(expr)) => own(own::expr(expr, path, service, warnings), findings),
        _ => {
            findings.push(Finding::error(
                Code::BrokenRule,
                format!("{path}.sli"),
                "there is not exactly one indicator",
                "Give exactly one of errorRatio, latency, ratio and expr",
            ));
            None
        }
    }
}

/// The indicator of a pack that applies.
fn of_packs(name: &str, path: &str, service: &Service<'_>, findings: &mut Vec<Finding>) -> Option<Indicator> {
    let mut indicators = service.packs?.iter().flat_map(|pack| &pack.indicators);
    let found = indicators.find(|indicator| indicator.name == name).cloned();
    if found.is_none() {
        let mut packs = service.known.packs.iter();
        let pack = packs.find(|pack| pack.spec.indicators.iter().any(|indicator| indicator.name == name));
        let help = pack.map_or_else(
            || "Use another indicator".to_owned(),
            |pack| {
                format!(
                    "Add {:?} to spec.signals.packs, or use ratio with counters of your own",
                    pack.metadata.name
                )
            },
        );
        findings.push(Finding::error(
            Code::UnknownSignal,
            format!("{path}.sli.{name}"),
            format!("no pack of the service counts {name}"),
            help,
        ));
    }
    found
}

fn is_native(indicator: &Indicator) -> bool {
    matches!(indicator.total, Events::Natives(_))
}

/// The threshold in milliseconds, if it is one. That it is no bucket is advice: a pod's page must not take away what works.
/// A native histogram has no buckets that one could be.
fn millis(
    latency: &Latency,
    native: bool,
    path: &str,
    service: &Service<'_>,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<Finding>,
) -> Option<u32> {
    let path = format!("{path}.sli.latency.below");
    let text = &latency.below;
    let Some(millis) = duration::millis(text).filter(|millis| *millis <= HOUR * 1_000) else {
        findings.push(Finding::error(
            Code::Duration,
            path,
            format!("{text:?} is not a duration from 1ms to 1h"),
            "Write it as Prometheus does, for instance 5s or 250ms",
        ));
        return None;
    };
    let bounds = service.bounds.filter(|_| !native);
    if let Some(problem) = bounds.and_then(|bounds| no_bucket(bounds, millis)) {
        warnings.push(Finding::warning(
            Code::InvalidValue,
            path,
            format!(
                "no bucket of the histogram ends at {text:?}, so that nobody can say how many requests were faster"
            ),
            problem,
        ));
    }
    Some(millis)
}

/// What to do when none of the bounds is the threshold.
fn no_bucket(bounds: &[f64], millis: u32) -> Option<String> {
    let wanted = f64::from(millis) / 1_000.0;
    // Bounds are written in decimals, so that equal ones differ by less than any that were meant to be different.
    if bounds.iter().any(|bound| (bound - wanted).abs() <= wanted * 1e-9) {
        return None;
    }
    let finite = || bounds.iter().copied().filter(|bound| bound.is_finite());
    let below = finite().filter(|bound| *bound < wanted).max_by(f64::total_cmp);
    let above = finite().filter(|bound| *bound > wanted).min_by(f64::total_cmp);
    let nearest: Vec<String> = below.iter().chain(&above).map(|bound| format!("{bound}s")).collect();
    let add = format!(
        "add a bucket of {} seconds to the histogram in the service",
        seconds(millis)
    );
    Some(if nearest.is_empty() {
        format!("The histogram has no finite bucket: {add}")
    } else {
        format!(
            "The nearest buckets end at {}: use one of them, or {add}",
            nearest.join(" and ")
        )
    })
}

/// The indicator with the bucket of its threshold.
fn within(
    mut indicator: Indicator,
    millis: u32,
    path: &str,
    findings: &mut Vec<Finding>,
) -> Option<(Indicator, Option<String>)> {
    let bound = seconds(millis);
    // Prometheus 3 stores the bucket of a whole number as 5.0, Prometheus 2 as the client wrote it.
    let pattern = if bound.contains('.') {
        bound.replace('.', "[.]")
    } else {
        format!("{bound}([.]0)?")
    };
    if is_native(&indicator) {
        return Some((indicator, Some(bound)));
    }
    let Part::Within(Events::Counters(buckets)) = &indicator.part else {
        return Some((indicator, None));
    };
    let narrowed = |selector: &str| -> Result<String, String> {
        let selector = Selector::parse(selector).map_err(|error| error.to_string())?;
        Ok(selector.matching("le", Match::Like(&pattern)))
    };
    let bucket = narrowed(buckets);
    let of_buckets = |needed: &str| Selector::parse(needed).is_ok_and(|needed| needed.metric().ends_with("_bucket"));
    let needs = indicator.needs.iter().map(|needed| {
        if of_buckets(needed) {
            narrowed(needed)
        } else {
            Ok(needed.clone())
        }
    });
    match (bucket, needs.collect::<Result<Vec<_>, _>>()) {
        (Ok(bucket), Ok(needs)) => {
            indicator.part = Part::Within(Events::Counters(bucket));
            indicator.needs = needs;
            Some((indicator, Some(bound)))
        }
        (Err(error), _) | (_, Err(error)) => {
            findings.push(Finding::error(
                Code::Expression,
                format!("{path}.sli.{LATENCY}"),
                error,
                "Correct the pack",
            ));
            None
        }
    }
}

/// Seconds as a decimal number.
fn seconds(millis: u32) -> String {
    (f64::from(millis) / 1_000.0).to_string()
}
