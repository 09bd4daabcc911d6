//! What every series of the chosen packs is at the service.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use observed_crds::v1alpha1::signal_pack::{
    Priced, Scope, Series, SeriesType, Setting, Signal, SignalPack, WorkloadPart,
};
use observed_crds::v1alpha1::{Histograms, TargetKind};

use super::{Adapted, Binding, broken};
use crate::finding::Finding;
use crate::names;
use crate::plan;
use crate::promql::{Declared, Error, Expression, HistogramPart, Match, Price, RULE_GROUP, Tie};

/// The ties of the chosen packs, and their recorded series.
pub(super) struct Ties<'a> {
    adapted: &'a Adapted<'a>,
    /// Pattern of the names of the workload's pods.
    pods: String,
    /// Pattern of the service's rule groups.
    rule_groups: String,
    target_kind: TargetKind,
    /// What the packs are about, if that is not the service itself.
    dependency: Option<plan::Dependency>,
    ties: BTreeMap<&'a str, Tie>,
    scopes: BTreeMap<String, Scope>,
    records: BTreeMap<&'a str, Expression>,
}

impl<'a> Ties<'a> {
    pub(super) fn new(
        chosen: &[&'a SignalPack],
        binding: &Binding<'_>,
        adapted: &'a Adapted<'a>,
    ) -> Result<Self, Finding> {
        let mut scopes: BTreeMap<String, Scope> = chosen
            .iter()
            .flat_map(|pack| &pack.spec.series)
            .flat_map(|series| selectors(series).into_iter().map(|name| (name, series.scope)))
            .collect();
        for (pack, record) in records(chosen) {
            let expr = adapted.packs.expression(&record.expr);
            let expr = expr.map_err(|error| broken(pack, &record.r#as, &error))?;
            let scope = scope(&expr, &scopes);
            scopes.insert(record.r#as.clone(), scope);
        }
        let mut bound = Self {
            adapted,
            pods: names::pod_pattern(binding.target_kind, binding.target_name),
            rule_groups: names::rule_group_pattern(binding.namespace, binding.service),
            target_kind: binding.target_kind,
            dependency: binding.dependency.cloned(),
            ties: BTreeMap::new(),
            scopes,
            records: BTreeMap::new(),
        };
        for pack in chosen {
            let tie = bound
                .tie(pack, chosen, binding)
                .map_err(|error| broken(pack, "its series", &error))?;
            bound.ties.insert(&pack.metadata.name, tie);
        }
        for (pack, record) in records(chosen) {
            let expr = bound
                .of(pack)
                .and_then(|tie| tie.rule(&*adapted.packs.expression(&record.expr)?))
                .map_err(|error| broken(pack, &record.r#as, &error))?;
            bound.records.insert(&record.r#as, expr);
        }
        Ok(bound)
    }

    fn tie(&self, pack: &SignalPack, chosen: &[&SignalPack], binding: &Binding<'_>) -> Result<Tie, Error> {
        let pack_window = crate::duration::seconds(&pack.spec.window)
            .map(|seconds| Duration::from_secs(seconds.into()))
            .ok_or_else(|| Error::Amount(pack.spec.window.clone()))?;
        let adapted = self.adapted;
        let labels = adapted.renames.labels_in(pack, |series| adapted.dialect(pack, series));
        let mut tie = Tie::new(pack_window, self.adapted.window.unwrap_or(pack_window), labels)?;
        let namespace = ("namespace", Match::Is(binding.namespace));
        let matches = |scope| match (scope, binding.dependency) {
            (Scope::Service | Scope::Scrape, _) => vec![namespace, ("job", Match::Is(binding.job))],
            (Scope::Pod, _) => vec![namespace, ("pod", Match::Like(&self.pods))],
            (Scope::Workload | Scope::Namespace, _) => vec![namespace],
            (Scope::Rules, _) => vec![(RULE_GROUP, Match::Like(&self.rule_groups))],
            (Scope::Dependency, dependency) => {
                let exporter = dependency.and_then(|dependency| dependency.exporter.as_ref());
                exporter.map_or(vec![namespace], exported_by)
            }
        };
        for (name, setting) in &pack.spec.settings {
            tie.number(name, value(*setting, binding));
        }
        for series in &pack.spec.series {
            if let Some((priced, prices)) = self.priced(series) {
                tie.price(&series.name, &priced.from, prices);
                continue;
            }
            let workload = workload_labels(series, binding.target_kind);
            let mut matches = matches(series.scope);
            matches.extend(workload.iter().map(|(label, part)| {
                let value = match part {
                    WorkloadPart::Kind => binding.target_kind.as_str(),
                    WorkloadPart::Name => binding.target_name,
                };
                (label.as_str(), Match::Is(value))
            }));
            let host = binding.dependency.and_then(|dependency| dependency.host.as_deref());
            let host_label = self.host_label(pack, series);
            matches.extend(host_label.zip(host).map(|(label, host)| (label, Match::Is(host))));
            for selector in selectors(series) {
                let suffix = selector.strip_prefix(&series.name).unwrap_or_default();
                let name = format!(
                    "{}{suffix}",
                    self.adapted.renames.metric(series, self.adapted.dialect(pack, series))
                );
                let declared = Declared {
                    name: &name,
                    matches: &matches,
                    windowed: series.scope == Scope::Service,
                };
                tie.declare(&selector, declared)?;
                if let Some((histogram, part)) = self.native(pack, series, &name) {
                    tie.native(&selector, histogram, part);
                }
            }
        }
        for (_, record) in records(chosen) {
            let scope = self.scopes.get(&record.r#as).copied().unwrap_or(Scope::Service);
            let own = binding.dependency_labels();
            let kind = kind_label(binding.target_kind);
            let matches = match scope {
                // What is recorded of a dependency has the labels of the service that records it.
                _ if binding.dependency.is_some() => {
                    own.iter().map(|(l, value)| (l.as_str(), Match::Is(value))).collect()
                }
                Scope::Workload => vec![namespace, (kind.as_str(), Match::Is(binding.target_name))],
                _ => matches(scope),
            };
            let declared = Declared {
                name: &record.r#as,
                matches: &matches,
                windowed: false,
            };
            tie.declare(&record.r#as, declared)?;
        }
        Ok(tie)
    }

    /// Pattern of the service's rule groups.
    pub(super) fn rule_groups(&self) -> &str {
        &self.rule_groups
    }

    /// Labels of a pack that the service does not have.
    pub(super) fn without(&self, pack: &SignalPack) -> BTreeSet<String> {
        let adapted = self.adapted;
        adapted.renames.without(pack, |series| adapted.dialect(pack, series))
    }

    /// What a series is computed from, if the service gives prices for it.
    pub(super) fn priced<'s>(&self, series: &'s Series) -> Option<(&'s Priced, Vec<Price>)> {
        let priced = series.priced.as_ref()?;
        Some((priced, self.adapted.prices.of(priced)?))
    }

    /// The counters of a pack whose units the service gives prices for.
    pub(super) fn priced_counters(&self, pack: &SignalPack) -> Vec<plan::Priced> {
        let Ok(tie) = self.of(pack) else {
            return Vec::new();
        };
        let counter = |series: &Series| {
            let (priced, _) = self.priced(series)?;
            Some(plan::Priced {
                metric: tie.stored(&priced.from)?.to_owned(),
                label: tie.label(&priced.model).to_owned(),
                values: self.adapted.prices.models().clone(),
            })
        };
        pack.spec.series.iter().filter_map(counter).collect()
    }

    /// The native histogram that a series of the service is part of, by its name at the service.
    fn native<'n>(&self, pack: &SignalPack, series: &Series, name: &'n str) -> Option<(&'n str, HistogramPart)> {
        if self.adapted.histograms != Histograms::Native || series.scope != Scope::Service {
            return None;
        }
        let (histogram, part) = HistogramPart::of(name)?;
        let renames = self.adapted.renames;
        // A counter is part of one where its dialect says so, or the pack has the histogram.
        let spelled = || renames.user_metric(&series.name).is_none() && name != series.name;
        let known = || {
            let mut others = pack.spec.series.iter();
            others.any(|other| {
                let name = renames.metric(other, self.adapted.dialect(pack, other));
                other.r#type == SeriesType::Histogram && name == histogram
            })
        };
        (series.r#type == SeriesType::Histogram || spelled() || known()).then_some((histogram, part))
    }

    /// The native histograms that a pack reads, by their names at the service.
    pub(super) fn natives(&self, pack: &SignalPack) -> BTreeSet<String> {
        let names = pack.spec.series.iter().flat_map(|series| {
            let name = self.adapted.renames.metric(series, self.adapted.dialect(pack, series));
            let names = match series.r#type {
                SeriesType::Histogram => format!("{name}_count"),
                SeriesType::Counter | SeriesType::Gauge => name.to_owned(),
            };
            Some((series, names))
        });
        let natives = names.filter_map(|(series, name)| Some(self.native(pack, series, &name)?.0.to_owned()));
        natives.collect()
    }

    /// The label by which a series names the host of the dependency, as the service spells it.
    pub(super) fn host_label<'s>(&'s self, pack: &SignalPack, series: &'s Series) -> Option<&'s str> {
        let label = series.host_label.as_deref()?;
        self.adapted
            .renames
            .label(series, self.adapted.dialect(pack, series), label)
    }

    /// Kind of the workload.
    pub(super) fn target_kind(&self) -> TargetKind {
        self.target_kind
    }

    /// The declaration of a series, by the name that the pack selects.
    pub(super) fn declared<'s>(&self, pack: &'s SignalPack, selector: &str) -> Option<&'s Series> {
        let mut series = pack.spec.series.iter();
        series.find(|series| selectors(series).iter().any(|name| name == selector))
    }

    /// The tie of a pack.
    pub(super) fn of(&self, pack: &SignalPack) -> Result<&Tie, Error> {
        let name = pack.metadata.name.as_str();
        self.ties.get(name).ok_or_else(|| Error::Undeclared(name.to_owned()))
    }

    /// The series of a pack, by the names that it selects, that workloads of that kind or the dependency do not have.
    pub(super) fn lacking(&self, pack: &SignalPack, dependency: Option<&plan::Dependency>) -> BTreeSet<String> {
        let series = pack.spec.series.iter();
        let lacking = series.filter(|series| !has(series, self.target_kind, dependency));
        lacking.flat_map(selectors).collect()
    }

    /// Whether a signal reads any of these series.
    pub(super) fn reads(&self, signal: &Signal, series: &BTreeSet<String>) -> bool {
        let any_of_them = |text| {
            let expr = self.parsed(text);
            expr.is_ok_and(|expr| expr.selected().any(|name| series.contains(name)))
        };
        !series.is_empty() && signal.expressions().any(any_of_them)
    }

    /// An expression of a pack, parsed.
    pub(super) fn parsed(&self, text: &str) -> Result<Cow<'a, Expression>, Error> {
        self.adapted.packs.expression(text)
    }

    /// The expression of a recorded series.
    pub(super) fn record(&self, name: &str) -> Option<&Expression> {
        self.records.get(name)
    }

    /// Whether a series is recorded by a signal of a user's pack.
    pub(super) fn is_own_record(&self, name: &str) -> bool {
        self.adapted.packs.is_own_record(name)
    }

    /// What the values of an expression of a pack belong to.
    pub(super) fn scope(&self, expr: &Expression) -> Scope {
        scope(expr, &self.scopes)
    }

    /// What a series belongs to, by the name that the pack selects.
    pub(super) fn scope_of(&self, selector: &str) -> Result<Scope, Error> {
        self.scopes
            .get(selector)
            .copied()
            .ok_or_else(|| Error::Undeclared(selector.to_owned()))
    }

    /// How far a tied expression looks back, through the recorded series too.
    pub(super) fn reach_seconds(&self, expr: &Expression) -> u32 {
        u32::try_from(self.reach(expr, &[]).as_secs()).unwrap_or(u32::MAX)
    }

    fn reach(&self, expr: &Expression, through: &[&str]) -> Duration {
        expr.reach(&|name| match self.records.get(name) {
            Some(record) if !through.contains(&name) => self.reach(record, &[through, &[name]].concat()),
            _ => Duration::ZERO,
        })
    }

    /// The series of a pack, as the service names them.
    pub(super) fn series(&self, pack: &SignalPack) -> Vec<plan::Series> {
        let at_service = |series: &Series| plan::Series {
            canonical: series.name.clone(),
            name: self
                .adapted
                .renames
                .metric(series, self.adapted.dialect(pack, series))
                .to_owned(),
            kind: series.r#type,
            when_missing: series.when_missing.clone(),
        };
        let has =
            |series: &&Series| has(series, self.target_kind, self.dependency.as_ref()) && self.priced(series).is_none();
        pack.spec.series.iter().filter(has).map(at_service).collect()
    }
}

/// The value of a setting of the service.
pub(super) fn value(setting: Setting, binding: &Binding<'_>) -> f64 {
    match setting {
        Setting::SampleLimit => u32::try_from(binding.sample_limit).unwrap_or(u32::MAX).into(),
        Setting::ScrapeTimeout => binding.timeout_seconds.into(),
    }
}

/// The labels by which a series names the workload.
pub(super) fn workload_labels(series: &Series, kind: TargetKind) -> BTreeMap<String, WorkloadPart> {
    if series.scope == Scope::Workload && series.workload_labels.is_empty() {
        [(kind_label(kind), WorkloadPart::Name)].into()
    } else {
        series.workload_labels.clone()
    }
}

/// The labels by which a series is tied to the service, so that no selector may say anything of them itself.
pub(crate) fn tying_labels(series: &Series, kind: TargetKind) -> Vec<String> {
    let scoped: &[&str] = match series.scope {
        Scope::Service | Scope::Scrape | Scope::Dependency => &["namespace", "job"],
        Scope::Pod => &["namespace", "pod"],
        Scope::Workload | Scope::Namespace => &["namespace"],
        Scope::Rules => &[RULE_GROUP],
    };
    let scoped = scoped.iter().map(|label| (*label).to_owned());
    let workload = workload_labels(series, kind).into_keys();
    scoped.chain(workload).chain(series.host_label.clone()).collect()
}

/// The label in which kube-state-metrics holds the name of a workload.
fn kind_label(kind: TargetKind) -> String {
    kind.as_str().to_lowercase()
}

/// What the series of an exporter match.
fn exported_by(exporter: &plan::Exporter) -> Vec<(&str, Match<'_>)> {
    let instance = exporter.instance.as_deref().map(|instance| ("instance", instance));
    let own = [
        ("namespace", exporter.namespace.as_str()),
        ("job", exporter.job.as_str()),
    ];
    let all = own.into_iter().chain(instance);
    all.map(|(label, value)| (label, Match::Is(value))).collect()
}

/// Whether workloads of that kind have the series, and the dependency if it is about one: an exporter has its own, the
/// calls of a host those with its label.
fn has(series: &Series, kind: TargetKind, dependency: Option<&plan::Dependency>) -> bool {
    let lacks = dependency.is_some_and(|dependency| {
        series.scope == Scope::Dependency && dependency.exporter.is_none()
            || series.host_label.is_some() && dependency.host.is_none()
    });
    !lacks && (series.kinds.is_empty() || series.kinds.contains(&kind))
}

/// The names by which expressions select a declared series.
pub(crate) fn selectors(series: &Series) -> Vec<String> {
    match series.r#type {
        SeriesType::Counter | SeriesType::Gauge => vec![series.name.clone()],
        SeriesType::Histogram => ["_bucket", "_sum", "_count"]
            .map(|suffix| format!("{}{suffix}", series.name))
            .to_vec(),
    }
}

fn records<'a>(
    chosen: &[&'a SignalPack],
) -> impl Iterator<Item = (&'a SignalPack, &'a observed_crds::v1alpha1::signal_pack::Record)> {
    chosen.iter().flat_map(|pack| {
        let signals = pack.spec.signals.iter();
        signals.filter_map(|signal| signal.record.as_ref().map(|record| (*pack, record)))
    })
}

/// What values belong to: to the service where anything of it is in them, else to what its dependency, object, pods or rules say.
fn scope(expr: &Expression, scopes: &BTreeMap<String, Scope>) -> Scope {
    let found: Vec<Scope> = expr.selected().filter_map(|name| scopes.get(name)).copied().collect();
    let first = [
        Scope::Dependency,
        Scope::Workload,
        Scope::Pod,
        Scope::Namespace,
        Scope::Rules,
    ];
    match first.into_iter().find(|scope| found.contains(scope)) {
        Some(scope) if !found.contains(&Scope::Service) && !found.contains(&Scope::Scrape) => scope,
        _ => Scope::Service,
    }
}
