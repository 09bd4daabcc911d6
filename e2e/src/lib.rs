//! A real Kubernetes cluster on this machine, from nothing but Go, Cargo and Debian's packages.
//!
//! Two sizes of it:
//!
//! * [`Cluster::control_plane`]: etcd and the API server with RBAC on. No root, ready in seconds. For tests of what the API server itself
//!   decides: schemas, rules in CEL, server-side apply, roles.
//! * [`Cluster::node`]: the whole cluster with one node, in namespaces of its own, so that pods run, cgroups limit and Services answer. Needs
//!   root. Nothing of it can reach the machine's network, and nothing of it is left after [`Cluster::stop`].
//!
//! `cargo run -p observed-e2e --bin cluster -- --node --monitoring` brings one up and holds it until Ctrl-C.
//!
//! The programs are built once, from the Go modules in `e2e/tools/`, into a cache ([`Cache`]).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use observed_e2e::{Cluster, ControlPlane, Progress};
//!
//! let progress = Progress::detect();
//! let cluster = Cluster::control_plane(ControlPlane::default(), &progress).await?;
//! let namespace = cluster.namespace("example").await?;
//! cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}}").await?;
//! println!("export KUBECONFIG={}", cluster.kubeconfig().display());
//! cluster.stop().await?;
//! # Ok(()) }
//! ```

pub mod binaries;
pub mod cache;
pub mod cluster;
pub mod demo;
pub mod dependencies;
pub mod history;
pub mod image;
pub mod monitoring;
pub mod otlp;
pub mod pki;
pub mod progress;
pub mod selectors;
pub mod tools;
pub mod wait;

pub use cache::Cache;
pub use cluster::{Cluster, ControlPlane, Node, node_init};
pub use image::Image;
pub use progress::Progress;
pub use tools::{Tool, Tools};
