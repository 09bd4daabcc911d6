use super::super::answers::UNBOUNDED_LABELS;
use super::super::kind::{MONITORS, Need};
use super::super::scraping::{monitors, sample_of};
use super::super::{Found, Query, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "unbounded-label",
    title: "A label has hundreds of values: a raw path, an id, a user",
    effect: "Each value is a series for each metric, bucket and pod: Prometheus and the service grow until one of them dies, or \
             the sample limit drops everything",
    fix: "Use the route's template (`request.scope[\"route\"].path`) instead of the path, `unmatched` for the rest, and no label for \
          ids",
    needs: &[Need::Any(&MONITORS), Need::Prometheus],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot) {
        for answers in &snapshot.prometheuses {
            for label in UNBOUNDED_LABELS {
                let Some(sample) = sample_of(answers, Query::LabelValues(label), monitor.object) else {
                    continue;
                };
                let evidence = format!(
                    "{}: the label {label} of job {:?} has {} values",
                    answers.who,
                    sample.label("job"),
                    sample.value
                );
                let fix = format!("Let {label} hold the route's template, and \"unmatched\" where there is none");
                found.push(Found::new(Severity::Warning, monitor.object, evidence, fix));
            }
        }
    }
    found
}
