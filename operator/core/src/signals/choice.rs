//! The packs that apply to a service.

use observed_crds::v1alpha1::signal_pack::SignalPack;

use super::{Binding, meant};
use crate::finding::{Code, Finding, nearest};
use crate::packs::Packs;
use crate::plan;

/// The packs that exist, and those of them that apply.
pub(super) struct Choice<'a> {
    pub(super) packs: &'a Packs,
    /// Packs about the service itself.
    pub(super) chosen: Vec<&'a SignalPack>,
    /// Packs about what it depends on, one a dependency.
    pub(super) depended: Vec<(&'a SignalPack, &'a plan::Dependency)>,
}

impl<'a> Choice<'a> {
    /// Every pack that applies.
    pub(super) fn all(&self) -> impl Iterator<Item = &'a SignalPack> {
        self.chosen
            .iter()
            .copied()
            .chain(self.depended.iter().map(|(pack, _)| *pack))
    }

    /// The packs that read something of the service itself, if it exposes that: about itself, and about what it calls.
    pub(super) fn asking(&self) -> Vec<&'a SignalPack> {
        let mut asking = self.chosen.clone();
        let called = self.depended.iter().filter(|(_, dependency)| dependency.host.is_some());
        for (pack, _) in called {
            if !asking.contains(pack) {
                asking.push(pack);
            }
        }
        asking
    }

    /// The packs that lend a series to one that asks, and do not ask themselves.
    pub(super) fn lending(&self) -> Vec<&'a SignalPack> {
        let asking = self.asking();
        let lends = |lender: &SignalPack| {
            asking
                .iter()
                .any(|pack| pack.spec.borrows.contains_key(&lender.metadata.name))
        };
        let packs = self.packs.packs.iter();
        packs.filter(|pack| lends(pack) && !asking.contains(pack)).collect()
    }

    /// The pack that does not apply and has what is looked for, in words.
    pub(super) fn elsewhere(&self, has: impl Fn(&SignalPack) -> bool) -> Option<String> {
        let others = self.packs.packs.iter().filter(|pack| !self.has(&pack.metadata.name));
        let pack = others.into_iter().find(|pack| has(pack))?;
        let name = &pack.metadata.name;
        Some(match pack.spec.dependency {
            Some(kind) => format!(
                "It belongs to dependencies of the type {}: declare one in spec.dependencies, or leave this out",
                kind.as_str()
            ),
            None => format!("It belongs to the pack {name:?}: add it to spec.signals.packs, or leave this out"),
        })
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all().any(|pack| pack.metadata.name == name)
    }
}

/// The packs that apply, of those that exist; findings for the others.
pub(super) fn choose<'a>(
    packs: &'a Packs,
    names: &[String],
    binding: &Binding<'a>,
    findings: &mut Vec<Finding>,
) -> Choice<'a> {
    let mut chosen: Vec<&SignalPack> = Vec::new();
    let own = || packs.packs.iter().filter(|pack| pack.spec.dependency.is_none());
    let own = || own().map(|pack| pack.metadata.name.as_str());
    for (index, name) in names.iter().enumerate() {
        match packs.get(name).map(|pack| (pack, pack.spec.dependency)) {
            Some((_, Some(kind))) => findings.push(Finding::error(
                Code::UnknownSignal,
                format!("spec.signals.packs[{index}]"),
                format!("the pack {name:?} is about a dependency, not about the service"),
                format!(
                    "Take it out, and declare a dependency of the type {} in spec.dependencies",
                    kind.as_str()
                ),
            )),
            Some((pack, None)) => {
                if !chosen.contains(&pack) {
                    chosen.push(pack);
                }
            }
            None => {
                let known = own().collect::<Vec<_>>().join(", ");
                findings.push(Finding::error(
                    Code::UnknownSignal,
                    format!("spec.signals.packs[{index}]"),
                    format!("there is no pack {name:?}"),
                    format!("{}The packs are: {known}", meant(nearest(name, own()))),
                ));
            }
        }
    }
    let of_type = |dependency: &'a plan::Dependency| {
        let mut packs = packs.packs.iter();
        let pack = packs.find(|pack| pack.spec.dependency == Some(dependency.kind))?;
        Some((pack, dependency))
    };
    Choice {
        packs,
        chosen,
        depended: binding.dependencies.iter().filter_map(of_type).collect(),
    }
}
