//! The signal packs: those that come with Observed, which are data embedded in the binary, and those of users.

mod borrow;
mod check;
mod join;

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::OnceLock;

use foldhash::fast::RandomState;
use observed_crds::v1alpha1::signal_pack::{Scope, Series, Signal, SignalPack};

use crate::promql::{self, Expression};
use crate::signals::selectors;

/// A file of a built-in pack, as the build script has written it.
macro_rules! pack {
    ($name:literal) => {
        (
            concat!($name, ".yaml"),
            include_str!(concat!(env!("OUT_DIR"), "/", $name, ".json")),
        )
    };
}

/// The files of the built-in packs, in the order in which dashboards show them.
const BUILTIN: [(&str, &str); 10] = [
    pack!("http"),
    pack!("llm"),
    pack!("business"),
    pack!("workload"),
    pack!("target"),
    pack!("controller"),
    pack!("observed"),
    pack!("postgres"),
    pack!("redis"),
    pack!("http-dependency"),
];

/// A built-in pack that is not of the format. Tests keep it from ever being released.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the built-in pack {file}")]
pub struct PackError {
    /// Name of the file.
    pub file: &'static str,
    /// Which field, and what the parser says of it.
    #[source]
    pub source: serde_path_to_error::Error<serde_json::Error>,
}

/// Expressions by their texts, which are long: the hash of the standard library takes longer for one than what is done with it.
type Parsed = HashMap<String, OnceLock<Option<Expression>>, RandomState>;

/// Signal packs, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packs {
    /// The packs.
    pub packs: Vec<SignalPack>,
    /// Their expressions, which are the same for every service, each parsed when it is first asked for.
    parsed: Parsed,
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
            .map(|(file, text)| read(file, text))
            .collect::<Result<Vec<_>, _>>()
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
            parsed: unparsed(&packs),
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
        let known = self.parsed.get(text);
        match known.and_then(|it| it.get_or_init(|| Expression::parse(text).ok()).as_ref()) {
            Some(parsed) => Ok(Cow::Borrowed(parsed)),
            None => Expression::parse(text).map(Cow::Owned),
        }
    }

    /// The pack that a user's pack extends, or else it itself.
    pub(crate) fn whole<'a>(&'a self, pack: &'a SignalPack) -> &'a SignalPack {
        let name = pack.spec.extends.as_ref().unwrap_or(&pack.metadata.name);
        self.get(name).unwrap_or(pack)
    }

    /// A series of the scope `rules` that an expression of a pack reads. What is no PromQL reads none.
    pub(crate) fn read_of_rules<'a>(&'a self, pack: &'a SignalPack, expr: &str) -> Option<&'a Series> {
        let expr = self.expression(expr).ok()?;
        let series = pack.spec.series.iter().chain(&self.whole(pack).spec.series);
        series.filter(|series| series.scope == Scope::Rules).find(|series| {
            let selectors = selectors(series);
            expr.selected().any(|name| selectors.iter().any(|own| own == name))
        })
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

fn read(file: &'static str, text: &str) -> Result<SignalPack, PackError> {
    let json = &mut serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(json).map_err(|source| PackError { file, source })
}

/// The expressions of packs, none of them parsed yet. What is no PromQL is told where it is used.
fn unparsed(packs: &[SignalPack]) -> Parsed {
    let signals = packs.iter().flat_map(|pack| &pack.spec.signals);
    let indicators = packs.iter().flat_map(|pack| &pack.spec.indicators);
    let selectors = indicators.flat_map(|it| std::iter::once(&it.total).chain(&it.bad).chain(&it.within));
    // An alert of a recorded series reads it by its name.
    let texts = |signal| Signal::expressions(signal).chain(signal.record.iter().map(|it| it.r#as.as_str()));
    let texts = signals.flat_map(texts).chain(selectors.map(String::as_str));
    texts.map(|text| (text.to_owned(), OnceLock::new())).collect()
}

pub use check::check;
pub use join::Joined;

#[cfg(test)]
mod tests;
