//! The packs that apply, tied to this service.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::{Histograms, ObservedServiceSpec};

use crate::duration::{self, INTERVALS_IN_WINDOW};
use crate::facts::exposed::NO_BOUND;
use crate::facts::{Facts, Target};
use crate::finding::{Code, Finding};
use crate::packs::{Joined, Packs};
use crate::plan::{Dependency, Objective};
use crate::signals::{Binding, Bound, Known, bind, default_packs};

use super::scrape::Read;

/// Window of the rates when the spec names none, in seconds. Prometheus' own examples use it; with a scrape interval
/// of 30 s it holds ten samples.
const DEFAULT_WINDOW_SECONDS: u32 = 300;

/// The window and the packs.
pub(super) fn signals(
    spec: &ObservedServiceSpec,
    facts: &Facts,
    target: &Target,
    packs: &Packs,
    read: &Read<'_>,
    dependencies: &[Dependency],
) -> Result<(String, Bound), Vec<Finding>> {
    let mut signals = spec.signals.clone().unwrap_or_default();
    let interval_seconds = read.interval_seconds;
    let least = interval_seconds.saturating_mul(INTERVALS_IN_WINDOW);
    if signals.window.is_none() && least > DEFAULT_WINDOW_SECONDS {
        signals.window = Some(duration::text(least));
    }
    let known = Known::of(facts);
    let joined = match &signals.packs {
        Some(named) => packs.joined(named, &facts.packs, &facts.unreadable_packs)?,
        None => Joined::of(packs, default_packs(packs, &signals, &known)),
    };
    let bound = bind(
        &joined.packs,
        &joined.names,
        &Binding {
            namespace: &facts.namespace,
            service: &facts.name,
            job: read.job,
            target_kind: target.kind,
            target_name: &target.name,
            interval_seconds,
            timeout_seconds: read.timeout_seconds,
            sample_limit: read.sample_limit,
            signals: &signals,
            runbook_base: spec.runbooks.as_ref().map(|r| r.base_url.as_str()),
            known,
            dependencies,
            dependency: None,
        },
    )?;
    Ok((
        signals.window.unwrap_or_else(|| duration::text(DEFAULT_WINDOW_SECONDS)),
        bound,
    ))
}

/// What is worth knowing about histograms that are taken for classic ones and show no bucket.
pub(super) fn without_buckets(bound: &Bound, spec: &ObservedServiceSpec) -> Vec<Finding> {
    let signals = spec.signals.as_ref();
    let histograms = signals.and_then(|signals| signals.histograms).unwrap_or_default();
    if histograms == Histograms::Native {
        return Vec::new();
    }
    let seen = bound.exposure.seen.iter().flat_map(|pack| &pack.seen);
    let names: BTreeSet<&str> = seen
        .filter(|seen| seen.bounds == [NO_BOUND])
        .map(|seen| seen.r#as.as_deref().unwrap_or(&seen.name))
        .collect();
    let finding = |name: &str| {
        Finding::warning(
            Code::NotExposed,
            "spec.signals.histograms",
            format!(
                "the histogram {name} has no bucket but +Inf on the pods' page: it is a native one, or says nothing"
            ),
            "If it is a native one, write under spec.signals: histograms: Native. Else give it buckets in the service",
        )
    };
    names.into_iter().map(finding).collect()
}

/// Says of each missing series which objectives are not measured without it.
pub(super) fn tell_unmeasured(bound: &mut Bound, objectives: &[Objective]) {
    let missing = &bound.exposure.missing;
    let series = bound.packs.iter().flat_map(|pack| &pack.series);
    // The count of a summary is a counter of its own, which is there though the histogram is not.
    let there: BTreeSet<String> = series
        .map(|series| series.name.clone())
        .filter(|name| !missing.iter().any(|missing| missing.name == *name))
        .collect();
    for missing in &mut bound.exposure.missing {
        let lacks = |metric: &String| missing.is(metric) && !there.contains(metric);
        let unmeasured = objectives
            .iter()
            .filter(|objective| objective.metrics.iter().any(lacks));
        missing.objectives = unmeasured.map(|objective| objective.name.clone()).collect();
    }
}
