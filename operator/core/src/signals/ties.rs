//! What every series of the chosen packs is at the service.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use observed_crds::v1alpha1::signal_pack::{Scope, Series, SeriesType, SignalPack};

use super::rename::Renames;
use super::{Binding, broken, dialect};
use crate::finding::Finding;
use crate::names;
use crate::plan;
use crate::promql::{Declared, Error, Expression, Match, Tie};

/// The ties of the chosen packs, and their recorded series.
pub(super) struct Ties<'a> {
    renames: &'a Renames,
    dialects: &'a BTreeMap<&'a str, &'a str>,
    ties: BTreeMap<&'a str, Tie>,
    scopes: BTreeMap<String, Scope>,
    records: BTreeMap<&'a str, Expression>,
}

impl<'a> Ties<'a> {
    pub(super) fn new(
        chosen: &[&'a SignalPack],
        binding: &Binding<'_>,
        window: Option<Duration>,
        renames: &'a Renames,
        dialects: &'a BTreeMap<&'a str, &'a str>,
    ) -> Result<Self, Finding> {
        let mut scopes: BTreeMap<String, Scope> = chosen
            .iter()
            .flat_map(|pack| &pack.spec.series)
            .flat_map(|series| selectors(series).into_iter().map(|name| (name, series.scope)))
            .collect();
        for (pack, record) in records(chosen) {
            let expr = Expression::parse(&record.expr).map_err(|error| broken(pack, &record.r#as, &error))?;
            let scope = scope(&expr, &scopes);
            scopes.insert(record.r#as.clone(), scope);
        }
        let mut bound = Self {
            renames,
            dialects,
            ties: BTreeMap::new(),
            scopes,
            records: BTreeMap::new(),
        };
        for pack in chosen {
            let tie = bound
                .tie(pack, chosen, binding, window)
                .map_err(|error| broken(pack, "its series", &error))?;
            bound.ties.insert(&pack.metadata.name, tie);
        }
        for (pack, record) in records(chosen) {
            let expr = bound
                .of(pack)
                .and_then(|tie| tie.rule(&record.expr))
                .map_err(|error| broken(pack, &record.r#as, &error))?;
            bound.records.insert(&record.r#as, expr);
        }
        Ok(bound)
    }

    fn tie(
        &self,
        pack: &SignalPack,
        chosen: &[&SignalPack],
        binding: &Binding<'_>,
        window: Option<Duration>,
    ) -> Result<Tie, Error> {
        let pack_window = crate::duration::seconds(&pack.spec.window)
            .map(|seconds| Duration::from_secs(seconds.into()))
            .ok_or_else(|| Error::Amount(pack.spec.window.clone()))?;
        let labels = self.renames.labels_in(pack, self.dialect(pack));
        let mut tie = Tie::new(pack_window, window.unwrap_or(pack_window), labels)?;
        let pods = names::pod_pattern(binding.target_kind, binding.target_name);
        let by_job = [
            ("namespace", Match::Is(binding.namespace)),
            ("job", Match::Is(binding.job)),
        ];
        let by_pod = [("namespace", Match::Is(binding.namespace)), ("pod", Match::Like(&pods))];
        let matches = |scope| match scope {
            Scope::Service | Scope::Scrape => &by_job,
            Scope::Pod => &by_pod,
        };
        for series in &pack.spec.series {
            for selector in selectors(series) {
                let suffix = selector.strip_prefix(&series.name).unwrap_or_default();
                let name = format!("{}{suffix}", self.renames.metric(series, self.dialect(pack)));
                let declared = Declared {
                    name: &name,
                    matches: matches(series.scope),
                    windowed: series.scope == Scope::Service,
                };
                tie.declare(&selector, declared)?;
            }
        }
        for (_, record) in records(chosen) {
            let scope = self.scopes.get(&record.r#as).copied().unwrap_or(Scope::Service);
            let declared = Declared {
                name: &record.r#as,
                matches: matches(scope),
                windowed: false,
            };
            tie.declare(&record.r#as, declared)?;
        }
        Ok(tie)
    }

    /// How the service spells the series of a pack.
    fn dialect(&self, pack: &SignalPack) -> &'a str {
        let name = pack.metadata.name.as_str();
        self.dialects.get(name).copied().unwrap_or(dialect::GUIDE)
    }

    /// Labels of a pack that the service does not have.
    pub(super) fn without(&self, pack: &SignalPack) -> BTreeSet<String> {
        self.renames.without(pack, self.dialect(pack))
    }

    /// The tie of a pack.
    pub(super) fn of(&self, pack: &SignalPack) -> Result<&Tie, Error> {
        let name = pack.metadata.name.as_str();
        self.ties.get(name).ok_or_else(|| Error::Undeclared(name.to_owned()))
    }

    /// The expression of a recorded series.
    pub(super) fn record(&self, name: &str) -> Option<&Expression> {
        self.records.get(name)
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
            name: self.renames.metric(series, self.dialect(pack)).to_owned(),
            kind: series.r#type,
            when_missing: series.when_missing.clone(),
        };
        pack.spec.series.iter().map(at_service).collect()
    }
}

/// The names by which expressions select a declared series.
pub(super) fn selectors(series: &Series) -> Vec<String> {
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

/// Values belong to pods when everything that they come from does.
fn scope(expr: &Expression, scopes: &BTreeMap<String, Scope>) -> Scope {
    let pods = |name: &String| scopes.get(name) == Some(&Scope::Pod);
    if expr.metrics().iter().all(pods) {
        Scope::Pod
    } else {
        Scope::Service
    }
}
