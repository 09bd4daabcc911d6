//! What a service depends on, and where its series come from.

use observed_crds::v1alpha1::DependencyType;

/// Something that the service cannot work without.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dependency {
    /// Its name: the label `dependency` of its alerts and recorded series.
    pub name: String,
    /// Its type.
    pub kind: DependencyType,
    /// Where its exporter's series come from, if it has one.
    pub exporter: Option<Exporter>,
    /// The host that the service calls, if its calls are looked at.
    pub host: Option<String>,
}

/// The scrape of a dependency's exporter, as its series name it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exporter {
    /// The `namespace` label.
    pub namespace: String,
    /// The `job` label.
    pub job: String,
    /// The `instance` label, where only one is about the dependency.
    pub instance: Option<String>,
}
