//! Everything that is wrong with the text of an ObservedService or a SignalPack, at once, each with its place. The same schema and the
//! same rules as the API server's, read from the CRD itself.

mod document;
mod metadata;
mod packs;
mod rules;
mod schema;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use observed_crds::v1alpha1::signal_pack::{self, SignalPack};
use observed_crds::v1alpha1::{ObservedService, crd};
use serde::Serialize;
use serde_json::Value;

use crate::facts::Facts;
use crate::finding::{Code, Finding, FindingSeverity};
use crate::gift::Gift;
use crate::packs::Packs;
use crate::plan::Plan;
use crate::resolve;
use crate::yaml::{Node, Place};

pub use document::{Source, of_kind, read};
pub use packs::Pack;

/// A finding and where it stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Located {
    /// Name of the file.
    pub file: String,
    /// Place in it.
    #[serde(flatten)]
    pub place: Place,
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
}

impl Located {
    /// Whether it stops the resource from being used.
    pub fn is_error(&self) -> bool {
        self.finding.severity == FindingSeverity::Error
    }
}

impl std::fmt::Display for Located {
    /// `file:line:column: severity[code]: message. help`, on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = match self.finding.severity {
            FindingSeverity::Error => "error",
            FindingSeverity::Warning => "warning",
        };
        let code: &str = self.finding.code.into();
        let Place { line, column, .. } = self.place;
        let path = match self.finding.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        let words = format!("{path}{}. {}", self.finding.message, self.finding.help);
        // A foreign control character must not reach a terminal.
        let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(
            f,
            "{}:{line}:{column}: {severity}[{code}]: {}",
            self.file,
            words.trim_end()
        )
    }
}

/// What was read of some files.
#[derive(Debug, Default)]
pub struct Read {
    /// The ObservedServices without an error of their own.
    pub services: Vec<Service>,
    /// The SignalPacks, with errors or without.
    pub packs: Vec<Pack>,
    /// Every finding, by file and place.
    pub findings: Vec<Located>,
}

/// An ObservedService that was read.
#[derive(Clone, Debug)]
pub struct Service {
    /// Name of the file.
    pub file: String,
    /// The resource. Its namespace is set.
    pub service: ObservedService,
    /// The SignalPacks of its namespace that were read with it.
    packs: Vec<SignalPack>,
    /// Names of SignalPacks of its namespace whose findings are told where they stand.
    broken: BTreeSet<String>,
    node: Node,
}

impl Service {
    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.service.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.service.metadata.name.as_deref().unwrap_or_default()
    }

    /// The findings with their places.
    pub fn locate(&self, findings: impl IntoIterator<Item = Finding>) -> Vec<Located> {
        let locate = |finding: Finding| Located {
            file: self.file.clone(),
            place: self.node.place_of(&finding.path),
            finding,
        };
        findings.into_iter().map(locate).collect()
    }

    /// The plan, and the findings that stand against it or that it can live with.
    pub fn plan(&self, facts: &Facts, packs: &Packs) -> (Option<Plan>, Vec<Located>) {
        let mut facts = Cow::Borrowed(facts);
        if !(self.packs.is_empty() && self.broken.is_empty()) {
            let facts = facts.to_mut();
            let others = self
                .packs
                .iter()
                .filter(|own| !facts.packs.iter().any(|it| it.metadata.name == own.metadata.name));
            facts.packs.extend(others.cloned().collect::<Vec<_>>());
            let broken = self.broken.iter().map(|name| (name.clone(), String::new()));
            facts.unreadable_packs.extend(broken);
        }
        match resolve::resolve(&self.service.spec, &facts, packs) {
            Ok(plan) => {
                let warnings = plan.warnings.iter().cloned().chain(not_exposed(&plan));
                let warnings = self.locate(warnings.collect::<Vec<_>>());
                (Some(plan), warnings)
            }
            Err(findings) => {
                let told = findings.into_iter().filter(|finding| !self.is_told(finding));
                (None, self.locate(told))
            }
        }
    }

    /// Whether a finding is about a SignalPack that has findings of its own.
    fn is_told(&self, finding: &Finding) -> bool {
        let signals = self.service.spec.signals.as_ref();
        let named = signals.iter().flat_map(|signals| &signals.packs).flatten().enumerate();
        let mut broken = named.filter(|(_, name)| self.broken.contains(*name));
        finding.code == Code::SignalPack
            && broken.any(|(index, _)| finding.path == format!("spec.signals.packs[{index}]"))
    }

    /// The probes that the workload would be given, if its pods answer as they must where nobody asked them yet.
    pub fn gift(&self, facts: &Facts) -> Option<Gift> {
        let spec = &self.service.spec;
        resolve::gift(spec, &facts.answered(spec))
    }
}

/// What the facts say that the service does not expose: a running operator tells it in a condition of its own.
fn not_exposed(plan: &Plan) -> impl Iterator<Item = Finding> {
    let missing = plan.exposure.missing.iter().map(|series| {
        let help = series.when_missing.trim_end_matches('.');
        Finding::warning(Code::NotExposed, "spec.signals", series.message(), help)
    });
    let lacking = plan
        .exposure
        .lacking
        .iter()
        .map(|label| Finding::warning(Code::NotExposed, "spec.signals.rename", label.message(), label.help()));
    missing.chain(lacking)
}

/// What the ObservedServices of all files have against each other.
fn against_each_other(services: &[Service]) -> Vec<Located> {
    let mut findings = Vec::new();
    let mut names: BTreeMap<(&str, &str), &Service> = BTreeMap::new();
    let mut targets: BTreeMap<(&str, &str, &str), &Service> = BTreeMap::new();
    for service in services {
        if let Some(first) = names.insert((service.namespace(), service.name()), service) {
            findings.extend(service.locate([Finding::error(
                Code::InvalidValue,
                "metadata.name",
                format!(
                    "there are two ObservedServices {}/{}; the first is in {}",
                    service.namespace(),
                    service.name(),
                    first.file
                ),
                "Give one of the two another name, or delete it",
            )]));
            continue;
        }
        let target = &service.service.spec.target_ref;
        if let Some(first) = targets.insert((service.namespace(), target.kind.as_str(), &target.name), service) {
            findings.extend(service.locate([Finding::error(
                Code::TargetTaken,
                "spec.targetRef.name",
                format!(
                    "{} {:?} already belongs to the ObservedService {:?} in {}",
                    target.kind.as_str(),
                    target.name,
                    first.name(),
                    first.file
                ),
                "Point one ObservedService at a workload: change this one's targetRef, or delete one of the two",
            )]));
        }
    }
    findings
}

/// The schema of the CRD, as the API server has it.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = crd();
    let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref());
    schema
        .and_then(|schema| serde_json::to_value(&schema.open_api_v3_schema).ok())
        .unwrap_or_default()
});

/// The same of SignalPack.
static PACK_SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let crd = signal_pack::crd().and_then(serde_json::to_value);
    let schema = crd.map(|crd| crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone());
    schema.unwrap_or_default()
});

#[cfg(test)]
mod tests;
