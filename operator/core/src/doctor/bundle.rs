//! The files of a support archive: what was found and what it was found in, without what is nobody's business.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::answers::{PrometheusAnswers, Query, Sample, TARGET_LABELS};
use super::kind::Kind;
use super::redact::Redactor;
use super::{Diagnosis, Snapshot};

/// Name and content of each file. `versions` is what else should be known: of the program, of the cluster.
pub fn bundle(snapshot: &Snapshot, diagnosis: &Diagnosis, versions: &Value) -> Vec<(String, Value)> {
    let mut redactor = Redactor::default();
    let mut files = Vec::new();
    for kind in Kind::iter() {
        let objects: Vec<Value> = snapshot.of(kind).iter().map(|object| redactor.object(object)).collect();
        if !objects.is_empty() {
            files.push((format!("objects/{}.json", kind.plural()), json!(objects)));
        }
    }
    for object in snapshot.objects.values().flatten() {
        let labels = object.labels.values().map(String::as_str);
        redactor.known(labels.chain([object.name.as_str(), object.namespace.as_str()]));
    }
    for (index, answers) in snapshot.alertmanagers.iter().enumerate() {
        let config = match &answers.config {
            Ok(config) => json!({"answer": redactor.routes(config)}),
            Err(words) => json!({"error": words}),
        };
        let answers = json!({"who": answers.who, "config": config});
        files.push((format!("answers/alertmanager-{index}.json"), redactor.words(answers)));
    }
    for (index, answers) in snapshot.prometheuses.iter().enumerate() {
        files.push((
            format!("answers/prometheus-{index}.json"),
            redactor.words(prometheus(answers)),
        ));
    }
    if let Some(grafana) = &snapshot.grafana {
        let dashboards = grafana.dashboards.iter();
        let dashboards: BTreeMap<_, _> = dashboards.map(|(uid, known)| (uid, either(known.as_ref()))).collect();
        let answers = json!({"who": grafana.url, "dashboards": dashboards});
        files.push(("answers/grafana.json".into(), redactor.words(answers)));
    }
    if let Some(answers) = &snapshot.probes {
        files.push(("answers/probes.json".into(), redactor.words(json!(answers))));
    }
    let findings = json!({
        "findings": diagnosis.findings,
        "notRun": diagnosis.not_run,
        "unseen": snapshot.not_seen(),
    });
    files.push(("findings.json".into(), redactor.words(findings)));
    files.push((
        "about.json".into(),
        json!({"versions": versions, "namespace": snapshot.scope.namespace, "name": snapshot.scope.name}),
    ));
    files
}

fn prometheus(answers: &PrometheusAnswers) -> Value {
    let queries = answers.queries.iter().map(|(query, samples)| {
        let samples = samples
            .as_ref()
            .map(|samples| samples.iter().map(sample).collect::<Vec<_>>());
        json!({"query": Query::promql(*query), "result": either(samples)})
    });
    json!({
        "who": answers.who,
        "targets": either(answers.targets.as_ref()),
        "rules": either(answers.rules.as_ref()),
        "metrics": either(answers.metrics.as_ref()),
        "queries": queries.collect::<Vec<_>>(),
    })
}

fn either<T: serde::Serialize>(answer: Result<T, &String>) -> Value {
    match answer {
        Ok(answer) => json!({"answer": answer}),
        Err(words) => json!({"error": words}),
    }
}

/// Labels of the target are names of objects; a label of the service may be anybody's.
fn sample(sample: &Sample) -> Value {
    let labels = sample
        .labels
        .iter()
        .filter(|(name, _)| TARGET_LABELS.contains(&name.as_str()));
    json!({"labels": labels.collect::<std::collections::BTreeMap<_, _>>(), "value": sample.value})
}
