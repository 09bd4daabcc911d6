//! The built-in signal packs: data, embedded in the binary.

use observed_crds::v1alpha1::signal_pack::SignalPack;

/// The files of the built-in packs, in the order in which dashboards show them.
const BUILTIN: [(&str, &str); 7] = [
    ("http.yaml", include_str!("../packs/http.yaml")),
    ("llm.yaml", include_str!("../packs/llm.yaml")),
    ("business.yaml", include_str!("../packs/business.yaml")),
    ("workload.yaml", include_str!("../packs/workload.yaml")),
    ("target.yaml", include_str!("../packs/target.yaml")),
    ("postgres.yaml", include_str!("../packs/postgres.yaml")),
    ("redis.yaml", include_str!("../packs/redis.yaml")),
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
            .collect::<Result<_, _>>()
            .map(|packs| Self { packs })
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

#[cfg(test)]
mod tests;
