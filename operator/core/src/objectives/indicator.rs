//! `spec.objectives[].sli`: what is counted.

use std::time::Duration;

use observed_crds::v1alpha1::signal_pack::{Outcome, Scope};
use observed_crds::v1alpha1::{Latency, Ratio, Sli};

use super::Service;
use super::burn::HOUR;
use crate::duration;
use crate::finding::{Code, Finding};
use crate::plan::{Counted, Flow, Indicator, Part};
use crate::promql::{Declared, Error, Match, Misplaced, Pattern, Selector, Tie, example, prove_namespaced};

/// The indicators of packs, by the names that both sides use.
const ERROR_RATIO: &str = "errorRatio";
const LATENCY: &str = "latency";
const RATIO: &str = "ratio";

/// What the objective counts, and the bound of its bucket. None with a finding, or when the packs are in doubt.
pub(super) fn measured(
    sli: &Sli,
    path: &str,
    service: &Service<'_>,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<Finding>,
) -> Option<(Indicator, Option<String>)> {
    match (&sli.error_ratio, &sli.latency, &sli.ratio) {
        (Some(_), None, None) => Some((of_packs(ERROR_RATIO, path, service, findings)?, None)),
        (None, Some(latency), None) => {
            let indicator = of_packs(LATENCY, path, service, findings);
            let counted = indicator
                .as_ref()
                .map_or(Counted::Counters, |indicator| indicator.counted);
            let millis = millis(latency, counted, path, service, findings, warnings);
            let indicator = indicator?;
            within(indicator, millis?, path, findings)
        }
        (None, None, Some(ratio)) => {
            let path = format!("{path}.sli.{RATIO}");
            match own(ratio, &path, service) {
                Ok(indicator) => Some((indicator, None)),
                Err(found) => {
                    findings.extend(found);
                    None
                }
            }
        }
        _ => {
            findings.push(Finding::error(
                Code::BrokenRule,
                format!("{path}.sli"),
                "there is not exactly one indicator",
                "Give exactly one of errorRatio, latency and ratio",
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
    // Every expression of an objective is made of these, and of what is recorded under the service's own labels.
    let selectors = found.iter().flat_map(Indicator::selectors);
    let escapes = selectors.filter_map(|selector| prove_namespaced(selector, service.namespace).err());
    findings.extend(escapes.map(|error| {
        Finding::error(
            Code::Expression,
            format!("{path}.sli.{name}"),
            error.to_string(),
            "Correct the pack",
        )
    }));
    found
}

/// The threshold in milliseconds, if it is one. That it is no bucket is advice: a pod's page must not take away what works.
/// A native histogram has no buckets that one could be.
fn millis(
    latency: &Latency,
    counted: Counted,
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
    let bounds = service.bounds.filter(|_| counted == Counted::Counters);
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
    if indicator.counted == Counted::Natives {
        return Some((indicator, Some(bound)));
    }
    let Part::Within(buckets) = &indicator.part else {
        return Some((indicator, None));
    };
    let narrowed = |selector: &str| -> Result<String, String> {
        let selector = Selector::parse(selector).map_err(|error| error.to_string())?;
        let pattern = Pattern::new("le", &pattern).map_err(|error| error.to_string())?;
        Ok(selector.matching("le", Match::Like(&pattern)).to_string())
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
            indicator.part = Part::Within(bucket);
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

/// Counters of the user's own.
fn own(ratio: &Ratio, path: &str, service: &Service<'_>) -> Result<Indicator, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut read = |field: &str, text: &str| {
        let tied = Selector::parse(text)
            .map_err(|error| misplaced(path, field, text, &error))
            .and_then(|selector| {
                let tied = tied(&selector, service).map_err(|error| untied(path, field, text, &error))?;
                Ok((selector, tied))
            });
        tied.map_err(|finding| findings.push(finding)).ok()
    };
    let total = read("total", &ratio.total);
    let good = ratio.good.as_deref().and_then(|text| read("good", text));
    let bad = ratio.bad.as_deref().and_then(|text| read("bad", text));
    if ratio.good.is_some() == ratio.bad.is_some() {
        findings.push(Finding::error(
            Code::BrokenRule,
            path,
            "there is not exactly one of good and bad",
            "Give one of them beside total: the other is the rest",
        ));
    }
    let (counts_good, counted) = match (good, bad) {
        (Some(good), None) => (true, good),
        (None, Some(bad)) => (false, bad),
        _ => return Err(findings),
    };
    let (Some((total, total_tied)), true) = (total, findings.is_empty()) else {
        return Err(findings);
    };
    let (part, part_tied) = counted;
    let whole = Selector::parse(total.metric())
        .map_err(|error| misplaced(path, "total", total.metric(), &error))
        .and_then(|whole| tied(&whole, service).map_err(|error| untied(path, "total", total.metric(), &error)));
    Ok(Indicator {
        name: RATIO.to_owned(),
        counted: Counted::Counters,
        total: total_tied,
        needs: vec![whole.map_err(|finding| vec![finding])?],
        impact: "Fewer events are good than was promised.".to_owned(),
        first: vec![
            "Since when, on the panels of the row \"Objectives\" of the dashboard.".to_owned(),
            "Whether it began with a rollout.".to_owned(),
            "What the pods say in their logs.".to_owned(),
        ],
        flows: flows(&total, &part, counts_good).unwrap_or_default(),
        part: if counts_good {
            Part::Good(part_tied)
        } else {
            Part::Bad(part_tied)
        },
    })
}

/// The selector with the matchers that tie it to the service.
fn tied(selector: &Selector, service: &Service<'_>) -> Result<String, Error> {
    let mut tie = Tie::new(Duration::ZERO, Duration::ZERO, [].into())?;
    let metric = selector.metric();
    tie.declare(
        metric,
        Declared {
            name: metric,
            matches: &[
                ("namespace", Match::Is(service.namespace)),
                ("job", Match::Is(service.job)),
            ],
            windowed: false,
        },
    )?;
    let tied = tie.rule(&selector.expression())?;
    tied.prove_namespaced(service.namespace)?;
    Ok(tied.to_string())
}

fn misplaced(path: &str, field: &str, text: &str, error: &Misplaced) -> Finding {
    Finding::error(
        Code::Expression,
        format!("{path}.{field}"),
        format!("{text:?} is not a selector; {error}"),
        "Write a counter's name with matchers, for instance tasks_total{outcome=\"failure\"}: Observed puts rates around it",
    )
}

fn untied(path: &str, field: &str, text: &str, error: &Error) -> Finding {
    let help = match error {
        Error::Contradiction { label, .. } => {
            format!("Leave out the matcher on {label}: Observed adds the service's own")
        }
        _ => "Select a counter of the service itself".to_owned(),
    };
    Finding::error(
        Code::Expression,
        format!("{path}.{field}"),
        format!("{text:?} cannot be tied to the service: {error}"),
        help,
    )
}

/// Series that count good and bad events, as the selectors tell them apart.
fn flows(total: &Selector, part: &Selector, counts_good: bool) -> Option<Vec<Flow>> {
    let flow = |selector: &Selector, labels, counts: &[Outcome]| Flow {
        name: selector.metric().to_owned(),
        scope: Scope::Service,
        labels,
        bucket: None,
        counts: counts.to_vec(),
    };
    let (of_part, of_rest) = if counts_good {
        (Outcome::Good, Outcome::Bad)
    } else {
        (Outcome::Bad, Outcome::Good)
    };
    Some(if total.metric() == part.metric() {
        vec![
            flow(total, example(&[total, part], None)?, &[of_part]),
            flow(total, example(&[total], Some(part))?, &[of_rest]),
        ]
    } else {
        vec![
            flow(total, example(&[total], None)?, &[Outcome::Good, Outcome::Bad]),
            flow(part, example(&[part], None)?, &[of_part]),
        ]
    })
}
