use super::super::kind::{MONITORS, Need};
use super::super::scraping::of_pool;
use super::super::{Found, Query, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "empty-page",
    title: "A target is up and its page has no metric",
    effect: "`up` is 1, so that nothing alerts, and there is nothing to look at",
    fix: "The path is that of another page, or the page serves another registry than the one that the code counts in",
    needs: &[Need::Any(&MONITORS), Need::Prometheus],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for answers in &snapshot.prometheuses {
        let Some(Ok(samples)) = answers.queries.get(&Query::EmptyPages) else {
            continue;
        };
        for sample in samples {
            let mut targets = answers.targets.iter().flatten();
            let same = |label: &str, labels: &std::collections::BTreeMap<String, String>| {
                labels.get(label).map(String::as_str).unwrap_or_default() == sample.label(label)
            };
            let target = targets.find(|target| {
                ["job", "instance", "namespace", "pod"]
                    .iter()
                    .all(|label| same(label, &target.labels))
            });
            let Some(target) = target else { continue };
            let Some(monitor) = of_pool(snapshot, &target.scrape_pool) else {
                continue;
            };
            let evidence = format!(
                "{}: {} is up, and scrape_samples_scraped is 0",
                answers.who, target.scrape_url
            );
            let fix = "Look at the page; correct path, or serve the registry that the code counts in";
            found.push(Found::new(Severity::Error, monitor, evidence, fix));
        }
    }
    found
}
