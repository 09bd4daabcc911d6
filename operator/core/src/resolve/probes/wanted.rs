//! What the spec and its defaults want each probe to be.

mod handlers;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use observed_crds::v1alpha1::{ObservedServiceSpec, ProbeSettings, StartupSettings};

use crate::duration;
use crate::facts::Container;
use crate::finding::{Code, Finding};
use crate::gift::{ProbeKind, ProbeShape};
use handlers::Led;

/// Longest start that a startup probe may allow.
const LONGEST_START_SECONDS: u32 = 3600;
/// How long a start may take when the spec says nothing.
const DEFAULT_START_SECONDS: u32 = 300;

/// Longest time that the pods are asked before anything is given.
const LONGEST_WINDOW_SECONDS: u32 = 600;
/// How long they are asked when the spec says nothing.
const DEFAULT_WINDOW_SECONDS: u32 = 30;

/// Longest timeout that readiness gets because the pods are slow, and the period that it then gets.
const SLOW_SECONDS: i32 = 10;

/// How long the running pods must have answered well.
pub(super) fn window(spec: &ObservedServiceSpec) -> Result<u32, Finding> {
    let probes = spec.probes.as_ref();
    let written = probes.and_then(|probes| probes.preflight.as_ref()?.window.as_deref());
    let Some(text) = written else {
        return Ok(DEFAULT_WINDOW_SECONDS);
    };
    let seconds = duration::seconds(text).filter(|seconds| *seconds <= LONGEST_WINDOW_SECONDS);
    seconds.ok_or_else(|| {
        Finding::error(
            Code::Duration,
            "spec.probes.preflight.window",
            format!("{text:?} is not a duration from 1s to 10m"),
            "Write it as Prometheus does, for instance 30s or 2m",
        )
    })
}

/// A probe that the container should have.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// What it does.
    pub(super) shape: ProbeShape,
    /// Number of the port that it asks. None for a command.
    pub(super) port: Option<i32>,
    /// How it asks where the pods turn out to be slow. None: as it asks otherwise.
    pub(super) slow: Option<Pace>,
}

/// How often a probe asks, and how long it waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    pub(super) period_seconds: i32,
    pub(super) timeout_seconds: i32,
}

impl Pace {
    pub(super) fn set(self, shape: &mut ProbeShape) {
        shape.period_seconds = self.period_seconds;
        shape.timeout_seconds = self.timeout_seconds;
    }
}

/// The wanted probes; in words where a default does not fit the container. A kind that is not wanted at all is left out.
pub(super) type AllWanted = BTreeMap<ProbeKind, Result<Wanted, String>>;

/// What is known of the container.
#[derive(Clone, Debug)]
pub(super) struct Past<'a> {
    /// Seconds that its pods took to start.
    pub(super) took: Option<u32>,
    /// The probes that were given to it, or are offered. They do not change because the next pods are slower or faster.
    pub(super) given: BTreeMap<ProbeKind, &'a ProbeShape>,
}

impl Past<'_> {
    /// Attempts that a startup probe allows where the spec says nothing: time enough for twice what a start took, in whole
    /// minutes, or what was given before.
    fn attempts(&self, period: i32) -> i32 {
        let usual = attempts(DEFAULT_START_SECONDS, period);
        match (self.given.get(&ProbeKind::Startup), self.took) {
            (Some(given), _) if given.period_seconds == period => given.failure_threshold.max(usual),
            (Some(_), _) | (None, None) => usual,
            (None, Some(took)) => {
                let twice = took.saturating_mul(2).div_ceil(60).saturating_mul(60);
                attempts(twice.clamp(DEFAULT_START_SECONDS, LONGEST_START_SECONDS), period)
            }
        }
    }
}

fn attempts(within: u32, period: i32) -> i32 {
    let within = i32::try_from(within).unwrap_or(i32::MAX);
    (within.saturating_add(period - 1) / period.max(1)).max(1)
}

/// What each probe should be. `theirs` is a liveness probe that the container's owner gave it.
pub(super) fn wanted(
    spec: &ObservedServiceSpec,
    container: &Container,
    theirs: Option<&ProbeShape>,
    past: &Past<'_>,
) -> Result<AllWanted, Vec<Finding>> {
    let settings = spec.probes.clone().unwrap_or_default();
    let mut findings = Vec::new();
    let mut all = AllWanted::new();

    let liveness = settings.liveness.unwrap_or_default();
    let defaults = Numbers {
        period: 10,
        timeout: 5,
        failures: 6,
    };
    let liveness = one(
        container,
        ProbeKind::Liveness,
        &liveness,
        "/health",
        defaults,
        &mut findings,
    );
    let readiness = settings.readiness.unwrap_or_default();
    let defaults = Numbers {
        period: 5,
        timeout: 3,
        failures: 3,
    };
    let given = past.given.get(&ProbeKind::Readiness).copied();
    let written = &readiness;
    let readiness = one(
        container,
        ProbeKind::Readiness,
        written,
        "/ready",
        defaults,
        &mut findings,
    )
    .map(|wanted| Ok(roomy(wanted?, written, given)));
    let followed = match theirs {
        Some(shape) => handlers::follow(container, shape),
        None => liveness
            .clone()
            .map(|liveness| liveness.map(|w| (w.shape.handler, w.port))),
    };
    let startup = startup(
        container,
        &settings.startup.unwrap_or_default(),
        followed,
        past,
        &mut findings,
    );
    findings.extend(window(spec).err());
    if !findings.is_empty() {
        return Err(findings);
    }
    for (kind, wanted) in [
        (ProbeKind::Liveness, liveness),
        (ProbeKind::Readiness, readiness),
        (ProbeKind::Startup, startup),
    ] {
        if let Some(wanted) = wanted {
            all.insert(kind, wanted);
        }
    }
    Ok(all)
}

fn one(
    container: &Container,
    kind: ProbeKind,
    settings: &ProbeSettings,
    path: &str,
    defaults: Numbers,
    findings: &mut Vec<Finding>,
) -> Option<Result<Wanted, String>> {
    let at = format!("spec.probes.{kind}");
    let led = handlers::given(container, &at, settings.into(), findings);
    let led = led.unwrap_or_else(|| Some(handlers::by_default(container, kind, path)));
    let numbers = numbers(
        &at,
        settings.period_seconds,
        settings.timeout_seconds,
        defaults,
        findings,
    );
    let failures = settings.failure_threshold.unwrap_or(defaults.failures);
    bounded(&format!("{at}.failureThreshold"), failures, 1..=100, findings);
    Some(led?.map(|(handler, port)| Wanted {
        shape: ProbeShape {
            handler,
            period_seconds: numbers.period,
            timeout_seconds: numbers.timeout,
            failure_threshold: failures,
            initial_delay_seconds: 0,
        },
        port,
        slow: None,
    }))
}

/// Readiness that waits longer for slow pods, and so asks them less often: an attempt that times out takes a pod away that
/// would have answered. What was given so before stays.
fn roomy(mut wanted: Wanted, written: &ProbeSettings, given: Option<&ProbeShape>) -> Wanted {
    let every = |period: i32| Pace {
        period_seconds: period,
        timeout_seconds: period.min(SLOW_SECONDS),
    };
    let usual = wanted.shape.period_seconds;
    let slow = every(written.period_seconds.unwrap_or(usual.max(SLOW_SECONDS)));
    if written.timeout_seconds.is_none() && slow.timeout_seconds > wanted.shape.timeout_seconds {
        let before = given.map(|given| Pace {
            period_seconds: given.period_seconds,
            timeout_seconds: given.timeout_seconds,
        });
        // The second was given before the period followed the timeout.
        match before.filter(|before| [slow, every(usual)].contains(before)) {
            Some(before) => before.set(&mut wanted.shape),
            None => wanted.slow = Some(slow),
        }
    }
    wanted
}

fn startup(
    container: &Container,
    settings: &StartupSettings,
    followed: Led,
    past: &Past<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Result<Wanted, String>> {
    let at = "spec.probes.startup";
    let led = handlers::given(container, at, settings.into(), findings);
    let defaults = Numbers {
        period: 5,
        timeout: 3,
        failures: 0,
    };
    let numbers = numbers(
        at,
        settings.period_seconds,
        settings.timeout_seconds,
        defaults,
        findings,
    );
    let attempts = match settings.within.as_deref() {
        None => past.attempts(numbers.period),
        Some(text) => {
            let within = duration::seconds(text).filter(|seconds| *seconds <= LONGEST_START_SECONDS);
            if within.is_none() {
                findings.push(Finding::error(
                    Code::Duration,
                    format!("{at}.within"),
                    format!("{text:?} is not a duration from 1s to 1h"),
                    "Write it as Prometheus does, for instance 2m or 1m30s",
                ));
            }
            attempts(within.unwrap_or(DEFAULT_START_SECONDS), numbers.period)
        }
    };
    let led = match led {
        Some(led) => led,
        None => followed,
    };
    Some(led?.map(|(handler, port)| Wanted {
        shape: ProbeShape {
            handler,
            period_seconds: numbers.period,
            timeout_seconds: numbers.timeout,
            failure_threshold: attempts,
            initial_delay_seconds: 0,
        },
        port,
        slow: None,
    }))
}

#[derive(Clone, Copy)]
struct Numbers {
    period: i32,
    timeout: i32,
    failures: i32,
}

fn numbers(
    at: &str,
    period: Option<i32>,
    timeout: Option<i32>,
    defaults: Numbers,
    findings: &mut Vec<Finding>,
) -> Numbers {
    let before = findings.len();
    let written = period.unwrap_or(defaults.period);
    bounded(&format!("{at}.periodSeconds"), written, 1..=300, findings);
    if let Some(timeout) = timeout {
        bounded(&format!("{at}.timeoutSeconds"), timeout, 1..=60, findings);
    }
    let allowed = timeout.unwrap_or_else(|| defaults.timeout.min(written));
    if findings.len() == before && allowed > written {
        let which = if period.is_none() { ", the default" } else { "" };
        findings.push(Finding::error(
            Code::Duration,
            format!("{at}.timeoutSeconds"),
            format!("timeoutSeconds {allowed} is greater than periodSeconds {written}{which}"),
            "An attempt must end before the next one: lower timeoutSeconds or raise periodSeconds",
        ));
    }
    Numbers {
        period: written,
        timeout: allowed,
        ..defaults
    }
}

fn bounded(path: &str, value: i32, bounds: RangeInclusive<i32>, findings: &mut Vec<Finding>) {
    if !bounds.contains(&value) {
        findings.push(Finding::error(
            Code::InvalidValue,
            path,
            format!("{value} is out of bounds"),
            format!("It is from {} to {}", bounds.start(), bounds.end()),
        ));
    }
}
