//! The dashboard output: one ConfigMap that the Grafana sidecar loads.
