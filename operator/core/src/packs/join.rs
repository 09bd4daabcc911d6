//! The packs of one service: the built-in ones with what the user's packs put into them, and the user's own beside them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use observed_crds::v1alpha1::signal_pack::{BuiltIn, Record, Scope, Series, Signal, SignalPack};

use super::borrow::borrow;
use super::{Packs, check, unparsed};
use crate::finding::{Code, Finding, nearest};

/// The packs that a service can have, and the names of those that it has.
#[derive(Clone, Debug)]
pub struct Joined<'a> {
    /// Every pack, with what those of the user that are named put into them.
    pub packs: Cow<'a, Packs>,
    /// Names of the packs that apply.
    pub names: Vec<String>,
}

impl<'a> Joined<'a> {
    /// Built-in packs as they are.
    pub fn of(packs: &'a Packs, names: Vec<String>) -> Self {
        Self {
            packs: Cow::Borrowed(packs),
            names,
        }
    }
}

impl Packs {
    /// The packs of a service that names these, of which some are in `own` or `unreadable`: SignalPacks of its namespace.
    ///
    /// # Errors
    /// What stands against the user's packs, at the name in `spec.signals.packs`. A name that is no pack's is not among
    /// it.
    pub fn joined(
        &self,
        named: &[String],
        own: &[SignalPack],
        unreadable: &BTreeMap<String, String>,
    ) -> Result<Joined<'_>, Vec<Finding>> {
        let mut findings = Vec::new();
        let mut joined = Joined::of(self, Vec::new());
        for (index, name) in named.iter().enumerate() {
            let own = own.iter().find(|pack| pack.metadata.name == *name);
            let own = own.filter(|_| self.get(name).is_none());
            let mut against = |found: Finding| {
                findings.push(Finding {
                    severity: found.severity,
                    code: Code::SignalPack,
                    path: format!("spec.signals.packs[{index}]"),
                    message: format!("SignalPack {name:?}, {}: {}", found.path, found.message),
                    help: found.help,
                });
            };
            let apply = match (own, unreadable.get(name)) {
                (Some(pack), _) => {
                    let found = check(self, pack);
                    let found = if found.is_empty() {
                        joined.packs.to_mut().put(pack)
                    } else {
                        found
                    };
                    found.into_iter().for_each(&mut against);
                    pack.spec.extends.as_ref().unwrap_or(name)
                }
                (None, Some(words)) => {
                    let help = "Write it as the installed CRD describes it: kubectl explain signalpack.spec";
                    against(Finding::error(Code::WrongType, "spec", words, help));
                    continue;
                }
                (None, None) => name,
            };
            // A pack about a dependency is there with the dependency.
            let about = joined
                .packs
                .get(apply)
                .is_some_and(|pack| pack.spec.dependency.is_some());
            if !(joined.names.contains(apply) || about && own.is_some()) {
                joined.names.push(apply.clone());
            }
        }
        if findings.is_empty() { Ok(joined) } else { Err(findings) }
    }

    /// Puts a user's pack into the one that it extends, or beside the others.
    pub(super) fn put(&mut self, own: &SignalPack) -> Vec<Finding> {
        let mut findings = self.taken(own);
        let records = own.spec.signals.iter().filter_map(|signal| signal.record.as_ref());
        let records = records.map(|record| record.r#as.clone());
        let extended = own.spec.extends.as_deref();
        match extended.map(|name| self.packs.iter().position(|pack| pack.metadata.name == name)) {
            None => {
                findings.extend(own.spec.series.iter().enumerate().filter_map(of_nothing));
                let mut whole = own.clone();
                findings.extend(borrow(&mut whole, &own.spec.borrows, &self.packs));
                self.packs.push(whole);
            }
            Some(Some(at)) => {
                let mut whole = self.packs[at].clone();
                findings.extend(into(&mut whole, own));
                for (lender, series) in &own.spec.borrows {
                    let all = whole.spec.borrows.entry(lender.clone()).or_default();
                    all.extend(series.iter().cloned());
                }
                findings.extend(borrow(&mut whole, &own.spec.borrows, &self.packs));
                self.packs[at] = whole;
            }
            Some(None) => findings.push(self.no_such(extended.unwrap_or_default())),
        }
        self.parsed.extend(unparsed(std::slice::from_ref(own)));
        self.own_records.extend(records);
        findings
    }

    fn no_such(&self, name: &str) -> Finding {
        let meant = nearest(name, self.names());
        let meant = meant.map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
        let known = self.names().collect::<Vec<_>>().join(", ");
        Finding::error(
            Code::UnknownSignal,
            "spec.extends",
            format!("there is no built-in pack {name:?}"),
            format!("{meant}The built-in packs are: {known}"),
        )
    }

    /// Names of alerts and recorded series that another signal has already.
    fn taken(&self, own: &SignalPack) -> Vec<Finding> {
        let mut findings = Vec::new();
        let replaced = |pack: &SignalPack, signal: &Signal| {
            own.spec.extends.as_deref() == Some(&pack.metadata.name)
                && own
                    .spec
                    .signals
                    .iter()
                    .any(|written| written.name == signal.name && written.built_in == Some(BuiltIn::Replace))
        };
        let packs = self
            .packs
            .iter()
            .flat_map(|pack| pack.spec.signals.iter().map(move |signal| (pack, signal)));
        let others: Vec<_> = packs.filter(|(pack, signal)| !replaced(pack, signal)).collect();
        for (index, signal) in own.spec.signals.iter().enumerate() {
            let earlier = own.spec.signals.iter().take(index).map(|signal| (own, signal));
            let earlier: Vec<_> = others.iter().copied().chain(earlier).collect();
            let mut say = |path: String, what: &str, name: &str, by: Option<&(&SignalPack, &Signal)>| {
                if let Some((pack, signal)) = by {
                    let message = format!(
                        "the {what} {name:?} is that of the signal {:?} in the pack {:?} already",
                        signal.name, pack.metadata.name
                    );
                    let help = "Give it a name of its own";
                    findings.push(Finding::error(Code::InvalidValue, path, message, help));
                }
            };
            let recorded = |record: &Record| {
                earlier
                    .iter()
                    .find(|(_, other)| other.record.as_ref().is_some_and(|other| other.r#as == record.r#as))
            };
            if let Some(record) = &signal.record {
                let path = format!("spec.signals[{index}].record.as");
                say(path, "recorded series", &record.r#as, recorded(record));
            }
            for (nth, alert) in signal.alerts.iter().enumerate() {
                let by = earlier
                    .iter()
                    .find(|(_, other)| other.alerts.iter().any(|other| other.name == alert.name));
                say(
                    format!("spec.signals[{index}].alerts[{nth}].name"),
                    "alert",
                    &alert.name,
                    by,
                );
            }
        }
        findings
    }
}

/// Whether a series is about a dependency: its exporter's, or the service's own of the calls of a host.
fn is_about_dependency(series: &Series) -> bool {
    series.scope == Scope::Dependency || series.scope == Scope::Service && series.host_label.is_some()
}

/// A series of a dependency in a pack that extends none.
fn of_nothing((index, series): (usize, &Series)) -> Option<Finding> {
    (series.scope == Scope::Dependency || series.host_label.is_some()).then(|| {
        let field = if series.scope == Scope::Dependency {
            "scope"
        } else {
            "hostLabel"
        };
        Finding::error(
            Code::Expression,
            format!("spec.series[{index}].{field}"),
            "the pack is about the service, and not about a dependency",
            "Name the pack of the dependency in extends, or write another scope",
        )
    })
}

/// Puts the series and signals of a user's pack into a built-in one.
fn into(pack: &mut SignalPack, own: &SignalPack) -> Vec<Finding> {
    let mut findings = Vec::new();
    if own.spec.window != pack.spec.window {
        findings.push(Finding::error(
            Code::Duration,
            "spec.window",
            format!("{:?} is not the window of {:?}", own.spec.window, pack.metadata.name),
            format!("Write {:?}, and the same range in the expressions", pack.spec.window),
        ));
    }
    for (name, setting) in &own.spec.settings {
        pack.spec.settings.insert(name.clone(), *setting);
    }
    for (index, series) in own.spec.series.iter().enumerate() {
        findings.extend(series_into(pack, series, index));
    }
    for (index, signal) in own.spec.signals.iter().enumerate() {
        findings.extend(signal_into(pack, signal, index));
    }
    findings
}

fn series_into(pack: &mut SignalPack, own: &Series, index: usize) -> Option<Finding> {
    let about_dependency = pack.spec.dependency.is_some();
    if is_about_dependency(own) != about_dependency {
        let (message, help) = if about_dependency {
            (
                "a pack about a dependency reads nothing else",
                "Write scope: dependency, name in hostLabel the label of the service's series that holds the host, or give the series a pack of its own",
            )
        } else {
            (
                "the pack is about the service, and not about a dependency",
                "Extend the pack of the dependency, or write another scope",
            )
        };
        return Some(Finding::error(
            Code::Expression,
            format!("spec.series[{index}].scope"),
            message,
            help,
        ));
    }
    let Some(known) = pack.spec.series.iter_mut().find(|series| series.name == own.name) else {
        pack.spec.series.push(own.clone());
        return None;
    };
    if (known.r#type, known.scope) != (own.r#type, own.scope) {
        return Some(Finding::error(
            Code::InvalidValue,
            format!("spec.series[{index}]"),
            format!(
                "{:?} has another type or scope in the pack {:?}",
                own.name, pack.metadata.name
            ),
            "Declare it as the built-in pack does, or leave it out: a pack that extends another one reads its series",
        ));
    }
    let more = own.labels.iter().filter(|label| !known.labels.contains(label)).cloned();
    known.labels.extend(more.collect::<Vec<_>>());
    None
}

fn signal_into(pack: &mut SignalPack, own: &Signal, index: usize) -> Option<Finding> {
    let path = |field: &str| format!("spec.signals[{index}].{field}");
    let name = &pack.metadata.name;
    let there = pack.spec.signals.iter().position(|signal| signal.name == own.name);
    match (there, own.built_in) {
        (None, None) => pack.spec.signals.push(own.clone()),
        (None, Some(_)) => {
            let names = || pack.spec.signals.iter().map(|signal| signal.name.as_str());
            let meant = nearest(&own.name, names()).map(|name| format!("did you mean {name:?}? "));
            return Some(Finding::error(
                Code::UnknownSignal,
                path("name"),
                format!("the pack {name:?} has no signal {:?}", own.name),
                format!(
                    "{}Its signals are: {}",
                    meant.unwrap_or_default(),
                    names().collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        (Some(_), None) => {
            return Some(Finding::error(
                Code::InvalidValue,
                path("name"),
                format!("the pack {name:?} has a signal {:?} already", own.name),
                "Write builtIn: extend to add to it, builtIn: replace to have this one instead, or give it another name",
            ));
        }
        (Some(at), Some(BuiltIn::Replace)) => {
            let before = &pack.spec.signals[at];
            let kept = |record: &Record| own.record.as_ref().is_some_and(|own| own.r#as == record.r#as);
            let gone = before
                .record
                .as_ref()
                .filter(|record| !kept(record))
                .map(|record| &record.r#as);
            let others = pack.spec.signals.iter().filter(|signal| signal.name != own.name);
            let reads = |signal: &&Signal, gone: &str| signal.expressions().any(|text| text.contains(gone));
            if let Some((gone, by)) = gone.and_then(|gone| Some((gone, others.into_iter().find(|it| reads(it, gone))?)))
            {
                return Some(Finding::error(
                    Code::Expression,
                    path("record"),
                    format!("the signal {:?} reads {gone:?}, which would be gone", by.name),
                    format!("Record it under the same name, or replace {:?} too", by.name),
                ));
            }
            pack.spec.signals[at] = own.clone();
        }
        (Some(at), Some(BuiltIn::Extend)) => {
            let built_in = &mut pack.spec.signals[at];
            if own.record.is_some() {
                return Some(Finding::error(
                    Code::InvalidValue,
                    path("record"),
                    format!("the record of the built-in signal {:?} stays", own.name),
                    "Leave it out, or write builtIn: replace",
                ));
            }
            if own.unit != built_in.unit {
                return Some(Finding::error(
                    Code::InvalidValue,
                    path("unit"),
                    format!("the built-in signal {:?} has another unit", own.name),
                    "Write the unit of the built-in signal, or write builtIn: replace",
                ));
            }
            match (&mut built_in.panel, &own.panel) {
                (Some(panel), Some(more)) => panel.queries.extend(more.queries.iter().cloned()),
                (panel @ None, Some(more)) => *panel = Some(more.clone()),
                (_, None) => {}
            }
            built_in.alerts.extend(own.alerts.iter().cloned());
        }
    }
    None
}
