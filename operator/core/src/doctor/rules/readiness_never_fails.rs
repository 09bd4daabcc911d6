use super::super::kind::{Kind, Need};
use super::super::{Found, Rule, Severity, Snapshot};
use crate::facts::{AnswerOutcome, Content};

pub(super) const RULE: Rule = Rule {
    id: "readiness-never-fails",
    title: "A readiness probe gets a good status from what says that all is not well, or is no health check",
    effect: "The pod stays ready and gets requests while its database is gone: Kubernetes looks at the status alone",
    fix: "Answer 503 when all is not well (in FastAPI `JSONResponse(content, status_code=503)`, as `return {…}, 503` is an answer \
          200 with a list), and let the probe ask the path of a health check",
    needs: &[Need::Objects(Kind::Pod), Need::Probes],
    find,
};

const PATH: &str = "readinessProbe.httpGet.path";

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let answers = snapshot.probes.iter().flatten();
    let found = answers.filter_map(|answer| {
        let Ok(AnswerOutcome::Content(content)) = answer.outcome else {
            return None;
        };
        let asked = &answer.question;
        let workload = &asked.workload;
        let workload = snapshot.find(workload.kind, &workload.namespace, &workload.name)?;
        let severity = match content {
            Content::StatusInside(_) | Content::NotWell => Severity::Warning,
            // Of what serves nothing but pages there may be nothing better to ask.
            Content::Page | Content::Metrics => Severity::Note,
        };
        let scheme = if asked.https { "https" } else { "http" };
        let evidence = format!(
            "the readiness probe of container {} asks {scheme} port {} for {}, and pod {}, which is ready, answers {content}",
            asked.container, asked.port, asked.path, asked.pod
        );
        Some(Found::new(severity, workload, evidence, content.next_step(PATH)))
    });
    found.collect()
}
