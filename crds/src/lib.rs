//! The API of Observed: the `ObservedService` resource, the signal-pack format, and the fields of other projects'
//! resources that Observed reads or writes. Types only: no client, no defaults that depend on a cluster.

pub mod foreign;
pub mod v1alpha1;

/// API group of every resource that Observed defines.
pub const GROUP: &str = "observed.rs";

/// Field manager of the children that are Observed's whole (server-side apply).
pub const MANAGER: &str = "observed";
/// Field manager of a gift to somebody else's workload. Its managedFields entry lives only between give and let go.
pub const PROBES_MANAGER: &str = "observed-probes";
/// Field manager of the status of an `ObservedService`.
pub const STATUS_MANAGER: &str = "observed-status";

/// Field manager of `status.remediation`, and of what a remediation writes into a workload, which is let go of at once.
pub const REMEDIATION_MANAGER: &str = "observed-remediation";

/// Label that every child carries; watches and pruning select on it.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY_LABEL`] on every child.
pub const MANAGED_BY: &str = "observed";
/// Label on a child with the name of its `ObservedService`.
pub const SERVICE_LABEL: &str = "observed.rs/service";
/// Annotation on a child with the UID of the `ObservedService` that it belongs to.
pub const OWNER_UID_ANNOTATION: &str = "observed.rs/owner-uid";
/// Annotation on a workload that received probes: `<container>/<kind>:<hash>,…@<owner uid>`.
pub const PROBES_ANNOTATION: &str = "observed.rs/probes";
/// Annotation on a workload whose probes are taken out again when no `ObservedService` points at it any more: the name of
/// the `DeletionPolicy` `Remove`.
pub const DELETION_POLICY_ANNOTATION: &str = "observed.rs/probes-deletion-policy";
