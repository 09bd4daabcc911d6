use super::super::kind::{Kind, MONITORS, Need};
use super::super::scraping::{monitors, pool};
use super::super::selectors::{is_sharded, selected_by};
use super::super::snapshot::Object;
use super::super::{Found, Rule, Severity, Snapshot, pods};

pub(super) const RULE: Rule = Rule {
    id: "no-target",
    title: "Prometheus selects the monitor, its Services have ready pods, and there is no target",
    effect: "The service is not scraped although every object looks right",
    fix: "Wait two minutes after a change; then look into the log of prometheus-operator and of Prometheus",
    needs: &[
        Need::Any(&MONITORS),
        Need::Prometheus,
        Need::Objects(Kind::EndpointSlice),
        Need::Objects(Kind::Service),
    ],
    find,
};

fn find(snapshot: &Snapshot) -> Vec<Found> {
    let mut found = Vec::new();
    for monitor in monitors(snapshot).filter(|monitor| monitor.is_of_services()) {
        let readers = selected_by(snapshot, monitor.object);
        for endpoint in &monitor.endpoints {
            // A port that is not there is a finding of its own.
            let aims = monitor.aims(snapshot, endpoint);
            let ready = aims
                .iter()
                .filter_map(|aim| aim.service)
                .find(|service| is_ready(snapshot, service));
            let Some(service) = ready else { continue };
            let Some(pool) = pool(monitor.object, endpoint.index) else {
                continue;
            };
            for answers in &snapshot.prometheuses {
                let reads = readers
                    .iter()
                    .any(|reader| !is_sharded(reader) && answers.is_of(reader));
                let Ok(targets) = &answers.targets else { continue };
                if reads && !targets.iter().any(|target| target.scrape_pool == pool) {
                    let evidence = format!(
                        "{} selects it and has no target in {pool}; {} has ready pods",
                        answers.who,
                        service.reference()
                    );
                    let fix = "If it was changed more than two minutes ago: see the log of prometheus-operator for this monitor, \
                               relabelings that drop the target, and Prometheus' page Service discovery";
                    found.push(Found::new(Severity::Error, monitor.object, evidence, fix));
                }
            }
        }
    }
    found
}

fn is_ready(snapshot: &Snapshot, service: &Object) -> bool {
    pods::endpoints(snapshot, service).any(|endpoint| endpoint["conditions"]["ready"] != false)
}
