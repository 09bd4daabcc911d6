//! SignalPacks: what stands against them, and which services they are for.

use std::collections::BTreeSet;

use observed_crds::v1alpha1::signal_pack::SignalPack;

use super::{Located, Read};
use crate::finding::{Code, Finding};
use crate::packs::{Packs, check};
use crate::yaml::{Node, Place};

/// A SignalPack that was read.
#[derive(Clone, Debug)]
pub struct Pack {
    /// Name of the file.
    pub file: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pack, if it is of the format.
    pub pack: Option<SignalPack>,
    pub(super) node: Node,
}

/// Judges every pack, and gives each service those of its namespace.
pub(super) fn judge(read: &mut Read) {
    if read.packs.is_empty() {
        return;
    }
    let builtin = Packs::builtin();
    let mut broken: BTreeSet<(String, String)> = BTreeSet::new();
    let mut names: BTreeSet<(String, String)> = BTreeSet::new();
    for pack in &read.packs {
        let key = (pack.namespace.clone(), pack.name.clone());
        let mut found = match &pack.pack {
            None => Vec::new(),
            Some(written) => builtin.as_ref().map_or_else(
                |error| {
                    vec![Finding::error(
                        Code::Expression,
                        "",
                        error.to_string(),
                        "This is a bug of Observed",
                    )]
                },
                |builtin| check(builtin, written),
            ),
        };
        if !names.insert(key.clone()) {
            found.push(Finding::error(
                Code::InvalidValue,
                "metadata.name",
                format!("there are two SignalPacks {}/{}", pack.namespace, pack.name),
                "Give one of the two another name, or delete it",
            ));
        }
        if pack.pack.is_none() || !found.is_empty() {
            broken.insert(key);
        }
        let place = |finding: &Finding| -> Place { pack.node.place_of(&finding.path) };
        read.findings.extend(found.into_iter().map(|finding| Located {
            file: pack.file.clone(),
            place: place(&finding),
            finding,
        }));
    }
    for service in &mut read.services {
        let namespace = service.namespace().to_owned();
        let own = read.packs.iter().filter(|pack| pack.namespace == namespace);
        service.packs = own.filter_map(|pack| pack.pack.clone()).collect();
        let of_namespace = broken.iter().filter(|(of, _)| *of == namespace);
        service.broken = of_namespace.map(|(_, name)| name.clone()).collect();
    }
}
