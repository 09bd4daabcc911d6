//! The PrometheusRule output: recording rules and alerts.
