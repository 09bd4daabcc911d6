//! The signal packs: those that come with Observed, which are data embedded in the binary, and those of users.

mod borrow;
mod check;
mod join;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use observed_crds::v1alpha1::signal_pack::{Signal, SignalPack};

use crate::promql::{self, Expression};

/// The files of the built-in packs, in the order in which dashboards show them.
const BUILTIN: [(&str, &str); 10] = [
    ("http.yaml", include_str!("../packs/http.yaml")),
    ("llm.yaml", include_str!("../packs/llm.yaml")),
    ("business.yaml", include_str!("../packs/business.yaml")),
    ("workload.yaml", include_str!("../packs/workload.yaml")),
    ("target.yaml", include_str!("../packs/target.yaml")),
    ("controller.yaml", include_str!("../packs/controller.yaml")),
    ("observed.yaml", include_str!("../packs/observed.yaml")),
    ("postgres.yaml", include_str!("../packs/postgres.yaml")),
    ("redis.yaml", include_str!("../packs/redis.yaml")),
    ("http-dependency.yaml", include_str!("../packs/http-dependency.yaml")),
];

/// A built-in pack that cannot be read. Tests keep it from ever being released.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the built-in pack {file}")]
pub struct PackError {
    /// Name of the file.
    pub file: &'static str,
    /// What the parser says.
    #[source]
    pub source: Box<serde_saphyr::Error>,
}

/// Signal packs, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packs {
    /// The packs.
    pub packs: Vec<SignalPack>,
    /// Their expressions, which are the same for every service.
    parsed: HashMap<String, Expression>,
    /// Series that are recorded by a signal of a user's pack.
    own_records: BTreeSet<String>,
    /// Nobody wants the proof of alerts.
    undrilled: bool,
}

impl Packs {
    /// The packs that come with Observed.
    ///
    /// # Errors
    /// A pack is not of the format.
    pub fn builtin() -> Result<Self, PackError> {
        BUILTIN
            .into_iter()
            .map(|(file, text)| {
                serde_saphyr::from_str(text).map_err(|source| PackError {
                    file,
                    source: Box::new(source),
                })
            })
            .collect::<Result<Vec<SignalPack>, _>>()
            .map(Self::of)
    }

    fn of(mut packs: Vec<SignalPack>) -> Self {
        for index in 0..packs.len() {
            if let Some((pack, before)) = packs.get_mut(..=index).and_then(<[_]>::split_last_mut) {
                let wanted = pack.spec.borrows.clone();
                let findings = borrow::borrow(pack, &wanted, before);
                debug_assert!(findings.is_empty(), "{findings:?}");
            }
        }
        Self {
            parsed: parsed(&packs),
            packs,
            own_records: BTreeSet::new(),
            undrilled: false,
        }
    }

    /// The packs without the proof of their alerts and of those of objectives, which only `observed drill`, the preview and
    /// the tests need: to compute its numbers costs more than all the rest. Those of users' packs stay.
    #[must_use]
    pub fn without_drills(mut self) -> Self {
        let signals = self.packs.iter_mut().flat_map(|pack| &mut pack.spec.signals);
        for alert in signals.flat_map(|signal| &mut signal.alerts) {
            alert.drill.fires.clear();
            alert.drill.silent.clear();
        }
        self.undrilled = true;
        self
    }

    /// Whether anybody wants the proof of alerts.
    pub fn has_drills(&self) -> bool {
        !self.undrilled
    }

    /// An expression of a pack.
    ///
    /// # Errors
    /// It is no PromQL.
    pub fn expression(&self, text: &str) -> Result<Cow<'_, Expression>, promql::Error> {
        match self.parsed.get(text) {
            Some(parsed) => Ok(Cow::Borrowed(parsed)),
            None => Expression::parse(text).map(Cow::Owned),
        }
    }

    /// Whether a series is recorded by a signal of a user's pack.
    pub fn is_own_record(&self, name: &str) -> bool {
        self.own_records.contains(name)
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.packs.iter().map(|pack| pack.metadata.name.as_str())
    }

    /// The pack of that name.
    pub fn get(&self, name: &str) -> Option<&SignalPack> {
        self.packs.iter().find(|pack| pack.metadata.name == name)
    }
}

/// The expressions of packs. What is no PromQL is told where it is used.
fn parsed(packs: &[SignalPack]) -> HashMap<String, Expression> {
    let signals = packs.iter().flat_map(|pack| &pack.spec.signals);
    let indicators = packs.iter().flat_map(|pack| &pack.spec.indicators);
    let selectors = indicators.flat_map(|it| std::iter::once(&it.total).chain(&it.bad).chain(&it.within));
    let texts = signals
        .flat_map(Signal::expressions)
        .chain(selectors.map(String::as_str));
    texts
        .filter_map(|text| Some((text.to_owned(), Expression::parse(text).ok()?)))
        .collect()
}

pub use check::check;
pub use join::Joined;

#[cfg(test)]
mod tests;
