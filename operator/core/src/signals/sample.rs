//! A service to bind the built-in packs to, for tests.

use std::sync::LazyLock;

use observed_crds::v1alpha1::conditions::Reason;
use observed_crds::v1alpha1::{DependencyType, Signals, TargetKind};

use super::{Binding, Known, bind};
use crate::finding::Finding;
use crate::packs::Packs;
use crate::plan::{Dependency, Exporter, Owner, Plan, Probes, Scrape, Target, Via};

static PACKS: LazyLock<Packs> = LazyLock::new(|| Packs::builtin().unwrap());

static DEPENDENCIES: LazyLock<Vec<Dependency>> = LazyLock::new(|| {
    let dependency = |(name, kind): (&str, DependencyType)| Dependency {
        name: name.to_owned(),
        kind,
        exporter: Some(Exporter {
            namespace: "prod".to_owned(),
            job: format!("{name}-exporter"),
            instance: None,
        }),
        host: (kind == DependencyType::Http).then(|| "models.example.com".to_owned()),
    };
    [
        ("db", DependencyType::PostgreSQL),
        ("cache", DependencyType::Redis),
        ("models", DependencyType::Http),
    ]
    .map(dependency)
    .into()
});

/// A Deployment `claude-api` in `prod`, scraped every 30 s, with what the user adapted.
pub(crate) fn binding(signals: &Signals) -> Binding<'_> {
    Binding {
        namespace: "prod",
        service: "claude",
        job: "claude-api",
        target_kind: TargetKind::Deployment,
        target_name: "claude-api",
        interval_seconds: 30,
        timeout_seconds: 10,
        sample_limit: 1000,
        signals,
        runbook_base: None,
        known: Known::default(),
        dependencies: &DEPENDENCIES,
        dependency: None,
    }
}

/// The packs about a service itself.
fn own(packs: &Packs) -> Vec<String> {
    let own = packs.packs.iter().filter(|pack| pack.spec.dependency.is_none());
    own.map(|pack| pack.metadata.name.clone()).collect()
}

/// The plan of the service with the packs that it names, else with every pack about a service.
pub(crate) fn plan(binding: &Binding<'_>) -> Result<Plan, Vec<Finding>> {
    let packs = &*PACKS;
    let names = binding.signals.packs.clone();
    let names = names.unwrap_or_else(|| own(packs));
    let bound = bind(packs, &names, binding)?;
    Ok(Plan {
        owner: Owner {
            namespace: binding.namespace.to_owned(),
            name: binding.service.to_owned(),
            uid: "5f0c".to_owned(),
        },
        target: Target {
            kind: binding.target_kind,
            name: binding.target_name.to_owned(),
            container: "api".to_owned(),
            replicas: 2,
        },
        probes: Probes {
            gift: None,
            offer: None,
            take_back: None,
            will: None,
            present: [].into(),
            refused: [].into(),
            reason: Reason::Progressing,
            message: String::new(),
        },
        scrape: Scrape {
            via: Via::Service {
                name: binding.job.to_owned(),
                labels: [].into(),
                port: "http".to_owned(),
            },
            job: binding.job.to_owned(),
            path: "/metrics".to_owned(),
            interval_seconds: binding.interval_seconds,
            timeout_seconds: 10,
            sample_limit: 1000,
            label_limit: 64,
            body_size_limit: "16MB".to_owned(),
            histograms: binding.signals.histograms.unwrap_or_default(),
        },
        selection_labels: [].into(),
        window: "5m".to_owned(),
        packs: bound.packs,
        exposure: bound.exposure,
        natives: bound.natives,
        objectives: Vec::new(),
        dashboard: crate::plan::Dashboard::default(),
        warnings: Vec::new(),
        paused: false,
    })
}
