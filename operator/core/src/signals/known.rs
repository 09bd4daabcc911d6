//! What is known of what a service exposes: what its pods say now, and what they said before.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::signal_pack::{Applies, Scope, Series, SignalPack};
use observed_crds::v1alpha1::{PackSignals, Signals};

use super::dialect;
use crate::facts::{Exposed, Facts};
use crate::packs::Packs;

/// What is known of what a service exposes. Nothing at all: then everything counts as exposed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// What the pods say now, if the page of any could be read.
    pub now: Option<&'a Exposed>,
    /// What is kept of what they said before, by pack.
    pub before: &'a [PackSignals],
    /// Generation of the spec.
    pub generation: i64,
    /// No rollout is under way: what the pods say now is what they will go on to say.
    pub settled: bool,
}

impl<'a> Known<'a> {
    /// What the facts know.
    pub fn of(facts: &'a Facts) -> Self {
        Self {
            now: Some(&facts.exposed).filter(|exposed| exposed.is_known()),
            before: &facts.seen,
            generation: facts.generation,
            settled: facts.target.as_ref().is_none_or(|target| target.unsettled.is_none()),
        }
    }

    /// What is kept of a pack.
    pub(super) fn before(&self, pack: &SignalPack) -> Option<&'a PackSignals> {
        self.before.iter().find(|before| before.pack == pack.metadata.name)
    }

    /// Whether what is kept of a pack holds beside what the pods say now: until the spec changes, and then until the
    /// pods of no rollout say what is there.
    pub(super) fn holds(&self, before: &PackSignals) -> bool {
        self.now.is_none() || before.generation == self.generation || !self.settled
    }

    /// Whether any series of the pack's own is exposed, in whatever dialect.
    fn shows(&self, pack: &SignalPack, signals: &Signals) -> bool {
        let now = self.now.is_some_and(|exposed| {
            own(pack).any(|series| {
                let mut names = dialect::names(pack)
                    .into_iter()
                    .map(|dialect| dialect::metric(series, dialect, signals.rename.get(&series.name)));
                names.any(|name| exposed.family(name, series.r#type).is_some())
            })
        });
        let before = self.before(pack).filter(|before| self.holds(before));
        let seen = |before: &PackSignals| own(pack).any(|own| before.seen.iter().any(|seen| seen.name == own.name));
        now || before.is_some_and(seen)
    }
}

/// Names of the packs that apply when the spec lists none: those for every service, those of which the service exposes
/// something, and those of which the spec names something.
pub fn default_packs(packs: &Packs, signals: &Signals, known: &Known<'_>) -> Vec<String> {
    let is_always = |pack: &&SignalPack| pack.spec.applies == Applies::Always;
    let common: BTreeSet<&str> = packs
        .packs
        .iter()
        .filter(is_always)
        .flat_map(of_service)
        .flat_map(labels)
        .collect();
    let applies =
        |pack: &&SignalPack| is_always(pack) || known.shows(pack, signals) || is_named(pack, signals, &common);
    packs
        .packs
        .iter()
        .filter(|pack| pack.spec.dependency.is_none())
        .filter(applies)
        .map(|pack| pack.metadata.name.clone())
        .collect()
}

/// Whether the spec changes or requires something that only this pack has: then it is wanted, whatever is exposed. A
/// label that a pack has which is always there is meant for that one, and a series for the first that has it.
fn is_named(pack: &SignalPack, signals: &Signals, common: &BTreeSet<&str>) -> bool {
    let name = pack.metadata.name.as_str();
    let required = signals
        .require
        .iter()
        .any(|required| required.split('/').next() == Some(name));
    let mut alerts = pack.spec.signals.iter().flat_map(|signal| &signal.alerts);
    let renamed = |name: &str| signals.rename.contains_key(name);
    let priced = || own(pack).any(|series| series.priced.is_some());
    required
        || !signals.prices.is_empty() && priced()
        || alerts.any(|alert| signals.alerts.contains_key(&alert.name))
        || own(pack).any(|series| renamed(&series.name))
        || own(pack)
            .flat_map(labels)
            .any(|label| !common.contains(label) && renamed(label))
}

fn labels(series: &Series) -> impl Iterator<Item = &str> {
    series.labels.iter().map(String::as_str)
}

/// The series of the service that the pack itself declares: the others are borrowed, bring no pack and choose no dialect.
pub(crate) fn own(pack: &SignalPack) -> impl Iterator<Item = &Series> {
    of_service(pack).filter(|series| pack.lender(&series.name).is_none())
}

/// The series that the service itself exposes.
pub(super) fn of_service(pack: &SignalPack) -> impl Iterator<Item = &Series> {
    pack.spec.series.iter().filter(|series| series.scope == Scope::Service)
}
