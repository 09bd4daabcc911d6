use super::super::answers::UNBOUNDED_LABELS;
use super::super::kind::{MONITORS, Need};
use super::super::scraping::by_label;
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
    by_label(
        snapshot,
        &UNBOUNDED_LABELS,
        Query::LabelValues,
        |monitor, who, label, sample| {
            let evidence = format!(
                "{who}: the label {label} of job {:?} has {} values",
                sample.label("job"),
                sample.value
            );
            let fix = format!("Let {label} hold the route's template, and \"unmatched\" where there is none");
            Found::new(Severity::Warning, monitor.object, evidence, fix)
        },
    )
}
