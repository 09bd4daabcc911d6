//! Indicators of the user's own: counters by their selectors, and expressions that count.

use std::time::Duration;

use observed_crds::v1alpha1::signal_pack::{Outcome, Scope};
use observed_crds::v1alpha1::{ExprPair, Ratio};

use super::Service;
use crate::finding::{Code, Finding};
use crate::plan::{Events, Flow, Indicator, Part};
use crate::promql::{Declared, Error, Expression, Match, Misplaced, Selector, Term, Tie, example};

/// The range that stands for the window of each rule.
const WINDOW: Duration = Duration::from_secs(300);

/// What is read of each field.
struct Counts<T> {
    total: T,
    part: T,
    /// The part are the good events, or else the bad ones.
    good: bool,
}

impl<T> Counts<T> {
    /// Reads every field, so that every finding comes at once.
    fn read(
        [good, bad]: [Option<&str>; 2],
        total: &str,
        path: &str,
        mut read: impl FnMut(&str, &str) -> Result<T, Vec<Finding>>,
    ) -> Result<Self, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut kept = |field: &str, text: &str| read(field, text).map_err(|found| findings.extend(found)).ok();
        let total = kept("total", total);
        let of_good = good.and_then(|text| kept("good", text));
        let of_bad = bad.and_then(|text| kept("bad", text));
        if good.is_some() == bad.is_some() {
            findings.push(Finding::error(
                Code::BrokenRule,
                path,
                "there is not exactly one of good and bad",
                "Give one of them beside total: the other is the rest",
            ));
        }
        match (total, of_good, of_bad) {
            (Some(total), Some(part), None) if findings.is_empty() => Ok(Self {
                total,
                part,
                good: true,
            }),
            (Some(total), None, Some(part)) if findings.is_empty() => Ok(Self {
                total,
                part,
                good: false,
            }),
            _ => Err(findings),
        }
    }

    fn indicator(self, name: &str, needs: Vec<String>, flows: Option<Vec<Flow>>, events: fn(T) -> Events) -> Indicator {
        let part = if self.good { Part::Good } else { Part::Bad };
        Indicator {
            name: name.to_owned(),
            total: events(self.total),
            part: part(events(self.part)),
            needs,
            impact: "Fewer events are good than was promised.".to_owned(),
            first: vec![
                "Since when, on the panels of the row \"Objectives\" of the dashboard.".to_owned(),
                "Whether it began with a rollout.".to_owned(),
                "What the pods say in their logs.".to_owned(),
            ],
            flows: flows.unwrap_or_default(),
        }
    }
}

/// Counters that selectors tell apart.
pub(super) fn ratio(ratio: &Ratio, path: &str, service: &Service<'_>) -> Result<Indicator, Vec<Finding>> {
    let path = &format!("{path}.sli.ratio");
    let read = |field: &str, text: &str| {
        let selector = Selector::parse(text).map_err(|error| vec![misplaced(path, field, text, &error)])?;
        let tied = tied(&selector.expression(), service).map_err(|error| vec![untied(path, field, text, &error)])?;
        Ok((selector, tied.to_string()))
    };
    let counts = Counts::read([ratio.good.as_deref(), ratio.bad.as_deref()], &ratio.total, path, read)?;
    let (total, part) = (&counts.total.0, &counts.part.0);
    let needs = vec![whole(total.metric(), path, service)?];
    let flows = flows(total, part, counts.good);
    Ok(counts.indicator("ratio", needs, flows, |(_, tied)| Events::Counters(tied)))
}

/// Expressions that count.
pub(super) fn expr(
    expr: &ExprPair,
    path: &str,
    service: &Service<'_>,
    warnings: &mut Vec<Finding>,
) -> Result<Indicator, Vec<Finding>> {
    let path = &format!("{path}.sli.expr");
    let read = |field: &str, text: &str| {
        let at = format!("{path}.{field}");
        let parsed = Expression::parse(text).map_err(|error| {
            let help = "Write PromQL, for instance sum(increase(jobs_total[5m]))";
            vec![Finding::error(Code::Expression, &at, error.to_string(), help)]
        })?;
        let uncounted = parsed.uncounted(WINDOW).into_iter().map(|wrong| {
            Finding::error(
                Code::Expression,
                &at,
                format!("it does not say how many events there were in the last 5m: {wrong}"),
                "Count with increase, sum_over_time or count_over_time over [5m], which stands for the window of each rule",
            )
        });
        let uncounted: Vec<Finding> = uncounted.collect();
        if !uncounted.is_empty() {
            return Err(uncounted);
        }
        let tied = tied(&parsed, service).map_err(|error| vec![untied(path, field, text, &error)])?;
        Ok((parsed, tied))
    };
    let counts = Counts::read([expr.good.as_deref(), expr.bad.as_deref()], &expr.total, path, read)?;
    let (total, part) = (&counts.total.0, &counts.part.0);
    let part_field = if counts.good { "good" } else { "bad" };
    for (field, expression) in [("total", total), (part_field, part)] {
        warnings.extend(all_or_none(&format!("{path}.{field}"), expression));
    }
    let needed = total.needs(&|_| None);
    let metrics = if needed.is_empty() { total.metrics() } else { needed };
    let needs = metrics
        .iter()
        .map(|metric| whole(metric, path, service))
        .collect::<Result<_, _>>()?;
    let flows = total
        .terms()
        .zip(part.terms())
        .and_then(|(total, part)| flows_of_sums(&total, &part, counts.good));
    Ok(counts.indicator("expr", needs, flows, |(_, tied)| Events::Expression(tied)))
}

/// One counter that is not there hides what the others count: what looks like no event is a dead alert.
fn all_or_none(path: &str, expression: &Expression) -> Option<Finding> {
    let needed = expression.needed_selectors();
    (needed.len() > 1).then(|| {
        let needed: Vec<String> = needed.iter().map(|selector| format!("`{selector}`")).collect();
        Finding::warning(
            Code::Expression,
            path,
            format!("it counts nothing as long as one of {} is not there", needed.join(" and ")),
            "A counter with labels appears with its first event: write (sum(increase(a_total[5m])) or vector(0)) for it",
        )
    })
}

/// The selector of all series of a metric that the service has.
fn whole(metric: &str, path: &str, service: &Service<'_>) -> Result<String, Vec<Finding>> {
    let selector = Selector::parse(metric).map_err(|error| vec![misplaced(path, "total", metric, &error)])?;
    let tied = tied(&selector.expression(), service).map_err(|error| vec![untied(path, "total", metric, &error)])?;
    Ok(tied.to_string())
}

/// The expression with the matchers that tie it to the service.
fn tied(expression: &Expression, service: &Service<'_>) -> Result<Expression, Error> {
    let mut tie = Tie::new(WINDOW, WINDOW, [].into())?;
    for metric in expression.selected() {
        let matches = [
            ("namespace", Match::Is(service.namespace)),
            ("job", Match::Is(service.job)),
        ];
        let declared = Declared {
            name: metric,
            matches: &matches,
            windowed: true,
        };
        tie.declare(metric, declared)?;
    }
    let tied = tie.rule(expression)?;
    tied.prove_namespaced(service.namespace)?;
    Ok(tied)
}

fn misplaced(path: &str, field: &str, text: &str, error: &Misplaced) -> Finding {
    Finding::error(
        Code::Expression,
        format!("{path}.{field}"),
        format!("{text:?} is not a selector; {error}"),
        "Write a counter's name with matchers, for instance tasks_total{outcome=\"failure\"}: Observed puts rates around it. For more than one counter use expr",
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

/// The same of sums, where one term of each is enough and no other counts the same series.
fn flows_of_sums(total: &[Term], part: &[Term], counts_good: bool) -> Option<Vec<Flow>> {
    let of_total = alone(total)?;
    let of_part = alone(part)?;
    let flows = flows(of_total, of_part, counts_good)?;
    let counted = |flow: &Flow, terms: &[Term]| {
        let counting = terms
            .iter()
            .filter(|term| term.selector.selects(&flow.name, &flow.labels));
        counting.count()
    };
    let once = if of_total.metric() == of_part.metric() {
        [(1, 1), (1, 0)]
    } else {
        [(1, 0), (0, 1)]
    };
    let found = flows.iter().map(|flow| (counted(flow, total), counted(flow, part)));
    found.eq(once).then_some(flows)
}

/// The term that the others can be missing beside.
fn alone(terms: &[Term]) -> Option<&Selector> {
    let mut needed = terms.iter().filter(|term| term.needed);
    match (needed.next(), needed.next()) {
        (Some(term), None) => Some(&term.selector),
        (None, _) => Some(&terms.first()?.selector),
        (Some(_), Some(_)) => None,
    }
}
