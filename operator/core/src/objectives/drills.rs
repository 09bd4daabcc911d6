//! The proof of the alerts: what the world looks like when they must fire, and when they must not.

use std::collections::BTreeMap;

use observed_crds::v1alpha1::Severity;
use observed_crds::v1alpha1::signal_pack::{Bucket, Outcome, Scope};

use super::burn::{Burn, shortest};
use super::goal::Goal;
use crate::plan::{Case, Course, Input};

/// Cases in which an alert fires, and in which it is silent.
pub(super) type Cases = (Vec<Case>, Vec<Case>);

/// Events a second, where nothing asks for more.
const EVENTS_PER_SECOND: f64 = 10.0;
/// How much above or below the threshold a ratio is, as a share of it.
const NEAR: f64 = 0.05;

/// Events a second by what becomes of them.
#[derive(Clone, Copy)]
struct Traffic {
    good: f64,
    bad: f64,
    ignored: f64,
}

impl Traffic {
    fn new(events: f64, ratio: f64) -> Self {
        Self {
            good: events * (1.0 - ratio),
            bad: events * ratio,
            ignored: 0.0,
        }
    }

    fn of(self, outcomes: &[Outcome]) -> f64 {
        let each = outcomes.iter().map(|outcome| match outcome {
            Outcome::Good => self.good,
            Outcome::Bad => self.bad,
            Outcome::Ignored => self.ignored,
        });
        // Not sum(), whose zero is -0.
        each.fold(0.0, |all, rate| all + rate)
    }
}

/// The proof of a burn-rate alert.
pub(super) fn burning(goal: &Goal<'_>, burn: Burn) -> Cases {
    if goal.indicator.flows.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let threshold = goal.threshold(burn).value();
    let short = shortest(goal.service.interval_seconds);
    let over = (threshold * (1.0 + NEAR)).min(f64::midpoint(threshold, 1.0));
    let under = threshold * (1.0 - NEAR);
    let floor = f64::from(goal.min_bad_events);
    // So many that the floor is passed within the shortest window.
    let events = EVENTS_PER_SECOND.max(((2.0 * floor + 10.0) / (f64::from(short) * under)).ceil());
    let steady = |ratio: f64| rates(goal, Traffic::new(events, ratio));
    let change = |mut inputs: Vec<Input>, with: &dyn Fn(&mut Input)| {
        inputs.iter_mut().for_each(with);
        inputs
    };
    let restart = Some(short);

    let mut fires = vec![case("just over the rate that is allowed", steady(over))];
    // The ticket's windows are long, and so would be its drills; what it counts is the same.
    if burn.severity == Severity::Critical {
        fires.extend([
            case("every event is bad", steady(1.0)),
            case(
                "just over the rate, and the process restarts and counts from zero again",
                change(steady(over), &|input| input.reset_at = restart),
            ),
            case(
                "just over the rate, and one of two replicas goes away",
                replicas(steady(over), short),
            ),
        ]);
    }

    let mut silent = vec![
        case("just under the rate that is allowed", steady(under)),
        case("none is bad, and no bad event was ever counted", steady(0.0)),
        case(
            "just under the rate, and the process restarts and counts from zero again",
            change(steady(under), &|input| input.reset_at = restart),
        ),
        case("nobody asks", idle(goal)),
        case("there is nothing to count", Vec::new()),
    ];
    if goal
        .indicator
        .flows
        .iter()
        .any(|flow| flow.counts.contains(&Outcome::Ignored))
    {
        let traffic = Traffic {
            ignored: events,
            ..Traffic::new(events, 0.0)
        };
        silent.push(case("only what does not count is bad", rates(goal, traffic)));
    }
    if goal.min_bad_events > 1 {
        let few = Traffic {
            good: floor / 2.0,
            bad: floor - 1.0,
            ignored: 0.0,
        };
        let inputs = change(rates(goal, few), &|input| {
            if let Course::Rate(count) = input.course {
                input.course = Course::Step(count.round());
            }
        });
        silent.push(case("most are bad, but too few to judge", inputs));
    }
    if burn.severity == Severity::Critical {
        silent.push(case(
            "a long time without a bad event, and then few at once",
            blip(goal, burn, events),
        ));
    }
    (fires, silent)
}

/// The long window at work: what the short one alone would call a person for.
fn blip(goal: &Goal<'_>, burn: Burn, events: f64) -> Vec<Input> {
    let count = events * f64::from(burn.long) * goal.threshold(burn).value() * (1.0 - NEAR);
    let bad = Traffic {
        good: 0.0,
        bad: count,
        ignored: 0.0,
    };
    let burst = rates(goal, bad).into_iter().map(|input| Input {
        course: match input.course {
            Course::Rate(count) => Course::Step(count.round()),
            other => other,
        },
        from: burn.long,
        // Another pod, or the series would be the ones that count good events.
        labels: with_pod(&input.labels, "b"),
        ..input
    });
    rates(goal, Traffic::new(events, 0.0))
        .into_iter()
        .chain(burst)
        .collect()
}

/// It was measured, and its series go away while the service is scraped.
pub(super) fn gone(goal: &Goal<'_>) -> Cases {
    if goal.indicator.flows.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let short = shortest(goal.service.interval_seconds);
    let traffic = || rates(goal, Traffic::new(EVENTS_PER_SECOND, 0.0));
    let until = |mut inputs: Vec<Input>, at: u32| {
        inputs.iter_mut().for_each(|input| input.until = Some(at));
        inputs
    };
    let fires = vec![case("its series are gone", until(traffic(), short))];
    let silent = vec![
        case("it is measured", traffic()),
        case("nobody asks", idle(goal)),
        case("it was never measured", vec![up()]),
        case("one of two replicas goes away", replicas(traffic(), short)),
    ];
    (fires, silent)
}

/// The service is scraped and counts nothing.
pub(super) fn never(goal: &Goal<'_>) -> Cases {
    let mut silent = vec![case("there is no service", Vec::new())];
    if !goal.indicator.flows.is_empty() {
        silent.push(case("nobody asks yet", [idle(goal), vec![up()]].concat()));
    }
    (vec![case("the pods answer and count nothing", vec![up()])], silent)
}

fn up() -> Input {
    Input {
        name: "up".to_owned(),
        scope: Scope::Scrape,
        labels: BTreeMap::new(),
        workload_labels: BTreeMap::new(),
        host_label: None,
        course: Course::Constant(1.0),
        since: None,
        from: 0,
        reset_at: None,
        until: None,
    }
}

/// The series that count the traffic. A counter without an event is not there, as client libraries have it.
fn rates(goal: &Goal<'_>, traffic: Traffic) -> Vec<Input> {
    rates_with(goal, traffic, false)
}

fn rates_with(goal: &Goal<'_>, traffic: Traffic, initialised: bool) -> Vec<Input> {
    let flows = goal.indicator.flows.iter();
    flows
        .filter_map(|flow| {
            let rate = traffic.of(&flow.counts);
            let mut labels = flow.labels.clone();
            match (flow.bucket, &goal.bound) {
                (Some(Bucket::Threshold), Some(bound)) => drop(labels.insert("le".to_owned(), bound.clone())),
                (Some(Bucket::Infinite), _) => drop(labels.insert("le".to_owned(), "+Inf".to_owned())),
                (Some(Bucket::Threshold), None) | (None, _) => {}
            }
            // A histogram exposes all its buckets at once.
            (rate > 0.0 || flow.bucket.is_some() || initialised).then(|| Input {
                name: flow.name.clone(),
                scope: flow.scope,
                labels,
                workload_labels: BTreeMap::new(),
                host_label: None,
                course: Course::Rate(rate),
                since: None,
                from: 0,
                reset_at: None,
                until: None,
            })
        })
        .collect()
}

/// Nobody asks: the counters are there, and stand still.
fn idle(goal: &Goal<'_>) -> Vec<Input> {
    let none = Traffic {
        good: 0.0,
        bad: 0.0,
        ignored: 0.0,
    };
    rates_with(goal, none, true)
}

fn case(title: &str, inputs: Vec<Input>) -> Case {
    Case {
        title: title.to_owned(),
        inputs,
    }
}

/// The same series at two pods, one of which goes away.
fn replicas(inputs: Vec<Input>, at: u32) -> Vec<Input> {
    let leaving = inputs.iter().map(|input| Input {
        labels: with_pod(&input.labels, "b"),
        until: Some(at),
        ..input.clone()
    });
    let leaving: Vec<Input> = leaving.collect();
    inputs.into_iter().chain(leaving).collect()
}

fn with_pod(labels: &BTreeMap<String, String>, pod: &str) -> BTreeMap<String, String> {
    let mut labels = labels.clone();
    labels.insert("pod".to_owned(), pod.to_owned());
    labels
}
