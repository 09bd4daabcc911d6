use super::super::kind::{Kind, Need};
use super::super::{Found, Query, Rule, Severity, Snapshot};

pub(super) const RULE: Rule = Rule {
    id: "counters-of-several-processes",
    title: "A pod's page shows another process at each scrape",
    effect: "Counters jump between the workers' values: rates and ratios are noise made of false resets",
    fix: "Share the metrics of all workers (`PROMETHEUS_MULTIPROC_DIR` and MultiProcessCollector), or run one worker and more pods",
    needs: &[Need::Prometheus, Need::Objects(Kind::Pod)],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for answers in &snapshot.prometheuses {
        let Some(Ok(samples)) = answers.queries.get(&Query::ProcessStarts) else {
            continue;
        };
        for sample in samples {
            let Some(pod) = snapshot.find(Kind::Pod, sample.label("namespace"), sample.label("pod")) else {
                continue;
            };
            let statuses = pod.list("/status/containerStatuses").iter();
            let restarts: i64 = statuses.filter_map(|status| status["restartCount"].as_i64()).sum();
            // A container that restarts begins a new process too.
            if restarts as f64 >= sample.value {
                continue;
            }
            let evidence = format!(
                "{}: process_start_time_seconds of job {:?} changed {} times in 15 minutes, and the pod's containers restarted {restarts} times ever",
                answers.who,
                sample.label("job"),
                sample.value
            );
            let fix =
                "Set PROMETHEUS_MULTIPROC_DIR and serve MultiProcessCollector, or run one worker and more replicas";
            found.push(Found::new(Severity::Error, pod, evidence, fix));
        }
    }
    found
}
